"""ReplicaSet: keep so many pods of one template.

The decision is pure: `claim` sorts the pods into mine, to adopt and to release; `plan` says how
many to create and which to delete; `status_of` counts. The controller carries it out, creating in
batches of 1, 2, 4, … so that a quota or a bad template fails once and not five hundred times.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from api import conditions, objects, pods, timestamps
from api.apps import ReplicaSet, ReplicaSetCondition, ReplicaSetStatus
from api.core import Pod
from api.errors import is_namespace_terminating, is_not_found
from api.meta import ObjectMeta
from api.objects import Key
from api.selectors import Selector, from_label_selector
from base.errors import PodwrightError
from control.controllers import indexes
from control.controllers.context import Context
from control.controllers.controller import Controller
from control.controllers.expectations import LAPSE_SECONDS, Expectations

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
MAX_BURST = 500


@dataclass(frozen=True, slots=True)
class Claim:
    """The pods a ReplicaSet controls, those it should adopt, and those it should let go."""

    mine: tuple[Pod, ...]
    adopt: tuple[Pod, ...]
    release: tuple[Pod, ...]


def claim(
    owner_uid: str, selector: Selector, candidates: Sequence[Pod], *, may_adopt: bool
) -> Claim:
    """Sort pods of the namespace by who controls them and whether the selector matches."""
    mine: list[Pod] = []
    adopt: list[Pod] = []
    release: list[Pod] = []
    for pod in candidates:
        owner = objects.controller_of(pod)
        matches = selector.matches(pod.metadata.labels)
        if owner is not None:
            if owner.uid == owner_uid:
                (mine if matches else release).append(pod)
        elif (
            matches
            and may_adopt
            and not pod.metadata.deletion_timestamp
            and not pods.is_terminal(pod)
        ):
            adopt.append(pod)
    return Claim(tuple(mine), tuple(adopt), tuple(release))


@dataclass(frozen=True, slots=True)
class Plan:
    """How many pods to create, or which to delete; never both."""

    create: int = 0
    delete: tuple[Pod, ...] = ()


def plan(replicas: int, mine: Sequence[Pod]) -> Plan:
    """Compare the wanted number with the pods that count (not finished, not being deleted)."""
    active = [pod for pod in mine if pods.is_active(pod)]
    missing = replicas - len(active)
    if missing > 0:
        return Plan(create=min(missing, MAX_BURST))
    if missing < 0:
        return Plan(delete=tuple(deletion_order(active)[: min(-missing, MAX_BURST)]))
    return Plan()


def deletion_order(active: Sequence[Pod]) -> list[Pod]:
    """Pods in the order in which a scale-down takes them (documented ranking of ReplicaSet).

    Without a node first; then pending before unknown before running; not ready before ready; lower
    deletion cost; from nodes with more of these pods; ready for less time; more restarts; newer.
    """
    per_node = Counter(pod.spec.node_name for pod in active)
    phases = {"Pending": 0, "Unknown": 1, "Running": 2}

    def rank(pod: Pod) -> tuple[object, ...]:
        ready = pods.condition(pod, "Ready")
        is_ready = ready is not None and ready.status == "True"
        restarts = max(
            (status.restart_count for status in pod.status.container_statuses), default=0
        )
        return (
            bool(pod.spec.node_name),
            phases.get(pod.status.phase, 0),
            is_ready,
            deletion_cost(pod),
            -per_node[pod.spec.node_name],
            _latest_first(ready.last_transition_time if ready and is_ready else None),
            -restarts,
            _latest_first(pod.metadata.creation_timestamp),
        )

    return sorted(active, key=rank)


def deletion_cost(pod: Pod) -> int:
    """The annotation's number; what is not a number counts as 0."""
    text = pod.metadata.annotations.get(DELETION_COST, "0")
    try:
        return int(text)
    except ValueError:
        return 0


def _latest_first(text: str | None) -> float:
    return -timestamps.parse(text).timestamp() if text else 0.0


def seconds_until_available(pod: Pod, min_ready_seconds: int, now: datetime) -> float:
    """How long a ready pod must stay ready before it counts as available; 0 when it does."""
    ready = pods.condition(pod, "Ready")
    if min_ready_seconds == 0 or ready is None or not ready.last_transition_time:
        return 0.0
    due = timestamps.parse(ready.last_transition_time) + timedelta(seconds=min_ready_seconds)
    return max(0.0, (due - now).total_seconds())


def status_of(rs: ReplicaSet, mine: Sequence[Pod], failure: str, now: datetime) -> ReplicaSetStatus:
    """The status that these pods and this outcome make. `failure` is empty when all went well."""
    active = [pod for pod in mine if pods.is_active(pod)]
    labels = rs.spec.template.metadata.labels
    told = conditions.remove(rs.status.conditions, "ReplicaFailure")
    if failure:
        failed = ReplicaSetCondition(
            type="ReplicaFailure", status="True", reason="FailedCreate", message=failure
        )
        told = conditions.put(rs.status.conditions, failed, now=timestamps.format(now))
    return ReplicaSetStatus(
        replicas=len(active),
        fully_labeled_replicas=sum(labels.items() <= pod.metadata.labels.items() for pod in active),
        ready_replicas=sum(pods.is_ready(pod) for pod in active),
        available_replicas=sum(
            pods.is_available(pod, min_ready_seconds=rs.spec.min_ready_seconds, now=now)
            for pod in active
        ),
        observed_generation=rs.metadata.generation,
        conditions=told,
    )


def pod_from_template(rs: ReplicaSet) -> Pod:
    """A new pod of this ReplicaSet; the server completes its name."""
    template = objects.copy(rs.spec.template)
    return Pod(
        metadata=ObjectMeta(
            generate_name=f"{rs.metadata.name}-",
            namespace=rs.metadata.namespace,
            labels=template.metadata.labels,
            annotations=template.metadata.annotations,
            finalizers=template.metadata.finalizers,
            owner_references=[objects.controller_reference(rs)],
        ),
        spec=template.spec,
    )


class ReplicaSetController(Controller):
    """Carries the plan out; counts nothing twice (see `Expectations`)."""

    name = "replicaset-controller"
    workers = 4

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._sets = context.informers.of(ReplicaSet)
        self._pods = context.informers.of(Pod)
        indexes.index_pods(self._pods)
        indexes.index_replica_sets(self._sets)
        self._recorder = context.recorder(self.name)
        self._expected: Expectations[Key] = Expectations(context.clock)
        self.watch_own(ReplicaSet)
        self._pods.subscribe(self._on_pod)

    def _on_pod(self, old: Pod | None, new: Pod | None) -> None:
        for pod in (old, new):
            owner = objects.controller_of(pod) if pod is not None else None
            if pod is None or owner is None or owner.kind != "ReplicaSet":
                continue
            key = Key(pod.metadata.namespace, owner.name)
            leaving = new is None or bool(new.metadata.deletion_timestamp)
            self._expected.seen(key, pod.metadata.uid, leaving=leaving)
            self.queue.add(key)
        if new is not None and new.metadata.labels and _is_newly_free(old, new):
            self._enqueue_possible_owners(new)

    def _enqueue_possible_owners(self, pod: Pod) -> None:
        """A pod that nobody controls may be adopted by a ReplicaSet that selects it."""
        for rs in indexes.replica_sets_perhaps_selecting(self._sets, pod):
            if from_label_selector(rs.spec.selector).matches(pod.metadata.labels):
                self.enqueue(rs)

    async def reconcile(self, key: Key) -> float | None:
        rs = self._sets.get(key.name, key.namespace)
        if rs is None:
            self._expected.forget(key)
            return None
        if not self._expected.met(key):
            return LAPSE_SECONDS
        deleting = bool(rs.metadata.deletion_timestamp)
        claimed = claim(
            rs.metadata.uid,
            from_label_selector(rs.spec.selector),
            self._candidates(rs),
            may_adopt=not deleting,
        )
        mine = [*claimed.mine, *await self._adopt(rs, claimed.adopt)]
        await self._release(rs, claimed.release)
        failure = (
            "" if deleting else await self._carry_out(rs, key, plan(rs.spec.replicas or 0, mine))
        )
        now = self.clock.now()
        await self._write_status(rs, status_of(rs, mine, failure, now))
        if failure:
            raise PodwrightError(failure)
        waits = [
            seconds_until_available(pod, rs.spec.min_ready_seconds, now)
            for pod in mine
            if pods.is_ready(pod)
        ]
        return min((wait for wait in waits if wait > 0), default=None)

    def _candidates(self, rs: ReplicaSet) -> list[Pod]:
        labels = rs.spec.selector.match_labels if rs.spec.selector is not None else {}
        free = indexes.free_pods(self._pods, rs.metadata.namespace, labels)
        return [*indexes.pods_of(self._pods, rs.metadata.uid), *free]

    async def _adopt(self, rs: ReplicaSet, orphans: Sequence[Pod]) -> list[Pod]:
        adopted = []
        if orphans:  # only a live read tells that the owner is not being deleted this very moment
            live = await self.client.get(ReplicaSet, rs.metadata.name, rs.metadata.namespace)
            if live.metadata.uid != rs.metadata.uid or live.metadata.deletion_timestamp:
                return []
        for pod in orphans:
            adopted.append(
                await self.client.patch(
                    Pod, pod.metadata.name, pod.metadata.namespace, objects.adoption(pod, rs)
                )
            )
        return adopted

    async def _release(self, rs: ReplicaSet, strangers: Sequence[Pod]) -> None:
        for pod in strangers:
            kept = [o for o in pod.metadata.owner_references if o.uid != rs.metadata.uid]
            body = {
                "metadata": {
                    "uid": pod.metadata.uid,
                    "resourceVersion": pod.metadata.resource_version,
                    "ownerReferences": msgspec.to_builtins(kept) or None,
                }
            }
            await self.client.patch(Pod, pod.metadata.name, pod.metadata.namespace, body)

    async def _carry_out(self, rs: ReplicaSet, key: Key, todo: Plan) -> str:
        """Create or delete; returns why it failed, or an empty string."""
        for pod in todo.delete:
            self._expected.deleted(key, pod.metadata.uid)
            try:
                await self.client.delete(
                    Pod, pod.metadata.name, pod.metadata.namespace, uid=pod.metadata.uid
                )
            except PodwrightError as error:
                self._expected.seen(key, pod.metadata.uid, leaving=True)
                if not is_not_found(error):
                    self._recorder.event(rs, "Warning", "FailedDelete", f"Error deleting: {error}")
                    return str(error)
            else:
                self._recorder.event(
                    rs, "Normal", "SuccessfulDelete", f"Deleted pod: {pod.metadata.name}"
                )
        remaining, batch = todo.create, 1
        while remaining > 0:
            for _ in range(min(batch, remaining)):
                failure = await self._create(rs, key)
                if failure:
                    return failure
                remaining -= 1
            batch *= 2
        return ""

    async def _create(self, rs: ReplicaSet, key: Key) -> str:
        try:
            pod = await self.client.create(pod_from_template(rs))
        except PodwrightError as error:
            if is_namespace_terminating(error):
                raise
            self._recorder.event(rs, "Warning", "FailedCreate", f"Error creating: {error}")
            return str(error)
        if not self._pods.shows(pod.metadata.resource_version):
            self._expected.created(key, pod.metadata.uid)
        self._recorder.event(rs, "Normal", "SuccessfulCreate", f"Created pod: {pod.metadata.name}")
        return ""

    async def _write_status(self, rs: ReplicaSet, status: ReplicaSetStatus) -> None:
        if status == rs.status:
            return
        copy = msgspec.structs.replace(rs, status=status)
        try:
            await self.client.update(copy, subresource="status")
        except PodwrightError as error:
            if not is_not_found(error):
                raise


def _is_newly_free(old: Pod | None, new: Pod) -> bool:
    """Whether the pod can be adopted by somebody who could not have it before."""
    return objects.controller_of(new) is None and (
        old is None
        or old.metadata.labels != new.metadata.labels
        or objects.controller_of(old) is not None
    )
