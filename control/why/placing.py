"""Why a pod is placed where it is, or nowhere: the scheduler's record put into words. Pure."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime

from api import conditions, pods, resources, timestamps
from api.core import Pod
from api.why import Amount, Explanation, Finding, NodeVerdict
from control.scheduler.decide import Decision
from control.scheduler.journal import Entry

TOPIC = "Scheduling"
FORGOTTEN = (
    "how it was chosen is not remembered: the decision was made before this scheduler was started,"
    " or too many others have been made since"
)


def explain(
    answer: Explanation,
    pod: Pod,
    entry: Entry | None,
    remedies: Sequence[str],
    schedulers: Collection[str],
    now: datetime,
    *,
    strangers: bool = True,
) -> None:
    """Add what is known about the pod's placement. `schedulers`: the names of ours.

    `strangers`: whether pods of other namespaces may be named.
    """
    if entry is not None:
        answer.decided_at = timestamps.format(entry.at)
        answer.attempts = entry.attempts
        answer.nodes = list(_verdicts(entry.decision))
    if pods.is_scheduled(pod):
        answer.findings.append(_placed(pod, entry))
        return
    answer.findings.append(_waiting(pod, entry, schedulers, now, strangers=strangers))
    answer.remedies = list(remedies)


def _placed(pod: Pod, entry: Entry | None) -> Finding:
    node = pod.spec.node_name
    known = conditions.find(pod.status.conditions, "PodScheduled")
    since = known.last_transition_time if known else None
    if (author := _author(pod)) and entry is None:
        words = (
            f"it is on {node}, as its spec.nodeName said when {author} made it; no scheduler chose"
        )
        return Finding(topic=TOPIC, message=words, since=pod.metadata.creation_timestamp)
    if entry is None or entry.decision.node != node:
        return Finding(topic=TOPIC, message=f"it is on {node}; {FORGOTTEN}", since=since)
    decision = entry.decision
    able, refused = len(decision.rows), decision.size - len(decision.rows)
    words = f"it is on {node}, which {_rank(decision)} of {able} node(s) that could run it"
    if refused:
        words += f"; {refused} could not"
    return Finding(topic=TOPIC, message=words, since=since)


def _author(pod: Pod) -> str:
    """Who wrote the node's name into the spec; empty for a pod that was bound to its node."""
    for entry in pod.metadata.managed_fields:
        fields = entry.fields_v1
        if isinstance(fields, dict) and "f:nodeName" in fields.get("f:spec", {}):
            return entry.manager
    return ""


def _rank(decision: Decision) -> str:
    first = decision.best[0]
    alike = int((decision.sums >= first.total - 1e-3).sum())
    most = sorted(first.parts.items(), key=lambda part: -part[1])[:3]
    parts = ", ".join(f"{name} {value:.0f}" for name, value in most if value >= 0.5)
    share = f" (as had {alike - 1} more, and chance chose)" if alike > 1 else ""
    return f"scored highest with {first.total:.0f}{share}, by {parts}," if parts else "was one"


def _waiting(
    pod: Pod,
    entry: Entry | None,
    schedulers: Collection[str],
    now: datetime,
    *,
    strangers: bool,
) -> Finding:
    since = pod.metadata.creation_timestamp
    if pod.spec.scheduling_gates:
        gates = ", ".join(gate.name for gate in pod.spec.scheduling_gates)
        return Finding(
            topic=TOPIC,
            message=f"it is not scheduled before these scheduling gates are removed: {gates}",
            since=since,
        )
    if pod.spec.scheduler_name not in schedulers:
        return Finding(
            topic=TOPIC,
            message=f'it waits for the scheduler "{pod.spec.scheduler_name}", which is not this one',
            since=since,
        )
    if entry is None:
        return Finding(topic=TOPIC, message="the scheduler has not tried it yet", since=since)
    if entry.decision.node is not None:
        return Finding(
            topic=TOPIC,
            message=f"{entry.decision.node} was chosen, and its binding is being written",
            since=timestamps.format(entry.at),
        )
    ago = max(0, int((now - entry.at).total_seconds()))
    return Finding(
        topic=TOPIC,
        message=f"{entry.decision.message} (tried {_times(entry.attempts)}, last {ago} s ago)"
        + _room(entry, "" if strangers else pod.metadata.namespace),
        since=since,
    )


def _room(entry: Entry, namespace: str) -> str:
    """Which node it waits for, and whom; of other namespaces than this one only how many."""
    if entry.room is None:
        return ""
    victims = entry.room.victims
    told = [one for one in victims if namespace in ("", one.namespace)]
    names = [f"{one.namespace}/{one.name}" for one in told]
    if others := len(victims) - len(told):
        names.append(f"{others} of other namespaces")
    whom = ", ".join(names)
    return f"; {entry.room.node} is being vacated for it, by less important pods: {whom}"


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def _verdicts(decision: Decision) -> Iterator[NodeVerdict]:
    """Nodes that could run it by their score, then those that could not by their names."""
    parts = {one.node: one.parts for one in decision.best}
    for node, total in sorted(decision.scores.items(), key=lambda item: (-item[1], item[0])):
        yield NodeVerdict(
            node=node,
            score=round(total),
            scores={name: round(value) for name, value in parts.get(node, {}).items()},
        )
    yield from sorted(_refused(decision), key=lambda verdict: verdict.node)


def _refused(decision: Decision) -> Iterator[NodeVerdict]:
    for filter_, refusal in decision.refusals:
        for place, row in enumerate(refusal.rows.tolist()):
            lacking = []
            if (short := refusal.lacking) is not None:
                for column, name in enumerate(short.resources):
                    spelled = resources.quantities({name: short.needed[column]})
                    free = max(0, int(short.free[place, column]))
                    lacking.append(
                        Amount(
                            resource=name,
                            needed=spelled[name],
                            free=resources.quantities({name: free})[name],
                        )
                    )
            yield NodeVerdict(
                node=decision.names[row],
                filter=filter_.value,
                reasons=list(refusal.reasons),
                lacking=lacking,
            )
