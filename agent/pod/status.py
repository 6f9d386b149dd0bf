"""PodStatus, derived anew from what is observed (step 5 of the pod's walk). Pure.

Nothing here remembers: the only history is `previous`, the status last told to the API, from which
a condition keeps its transition time while it does not change.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial

import msgspec

from agent.pod.allocation import changes, is_resizable
from agent.pod.containerstatus import Sort, container_status
from agent.pod.observed import PodObserved
from agent.pod.outcome import Outcome
from agent.pod.plan import initialized
from api import timestamps
from api.core import (
    Container,
    ContainerState,
    ContainerStateTerminated,
    ContainerStatus,
    HostIP,
    Pod,
    PodCondition,
    PodIP,
    PodStatus,
)
from api.pods import all_containers, ephemeral_containers, is_terminal, qos_class

STANDING_CONDITIONS = (
    "PodReadyToStartContainers",
    "Initialized",
    "Ready",
    "ContainersReady",
    "PodScheduled",
)
PASSING_CONDITIONS = ("PodResizePending", "PodResizeInProgress")
"""Conditions that are taken away when they do not hold."""
OWN_CONDITIONS = (*STANDING_CONDITIONS, *PASSING_CONDITIONS, "DisruptionTarget")
"""Conditions that this agent writes; those of others are left alone."""


def status(
    pod: Pod,
    observed: PodObserved,
    *,
    end: Outcome | None,
    previous: PodStatus,
    host_ip: str,
    now: datetime,
) -> PodStatus:
    """The status to report. `end`: how the pod finished, also while some of it still runs."""
    tell = partial(container_status, pod, observed, over=end is not None)
    inits = [tell(container, Sort.INIT) for container in pod.spec.init_containers]
    mains = [tell(container, Sort.MAIN) for container in pod.spec.containers]
    added = [tell(container, Sort.EPHEMERAL) for container in ephemeral_containers(pod.spec)]
    end = _reported_end(pod, observed, end)
    if end is not None and _got_so_far(pod, observed, previous):
        for told in mains:
            _account_for(told)
    phase = end.phase if end is not None else _phase(pod, observed, inits, mains)
    ip = observed.ip if observed.reachable else ""
    if end is not None:
        ip = ip or previous.pod_ip  # a finished pod keeps showing the address it had
    conditions = _conditions(pod, observed, phase, inits, mains, previous, now)
    if end is not None and not (observed.containers or observed.sandboxes):
        inits, mains, added = _of_nothing(pod, observed) or (inits, mains, added)
    return PodStatus(
        observed_generation=pod.metadata.generation,
        phase=phase,
        reason="" if end is None else end.reason,
        message="" if end is None else end.message,
        conditions=conditions,
        host_ip=host_ip,
        host_ips=[HostIP(ip=host_ip)] if host_ip else [],
        pod_ip=ip,
        pod_ips=[PodIP(ip=ip)] if ip else [],
        start_time=previous.start_time or timestamps.format(now),
        init_container_statuses=inits,
        container_statuses=mains,
        ephemeral_container_statuses=added,
        qos_class=previous.qos_class or str(qos_class(pod)),
    )


def _of_nothing(
    pod: Pod, observed: PodObserved
) -> tuple[list[ContainerStatus], list[ContainerStatus], list[ContainerStatus]] | None:
    """The statuses of containers of a pod that has ended, and of which nothing is there: what was told
    of them stands. A pod that was turned away has none, so that its own reason is what people see."""
    if observed.refusal is not None and observed.refusal.rejected:
        return [], [], []
    said = pod.status
    if said.phase not in ("Succeeded", "Failed"):
        return None
    return said.init_container_statuses, said.container_statuses, said.ephemeral_container_statuses


def _reported_end(pod: Pod, observed: PodObserved, end: Outcome | None) -> Outcome | None:
    """How the pod ended, once none of its programs runs any more.

    A job controller counts and replaces a pod by its phase: told too early, two copies would run. What is
    told already stands.
    """
    if is_terminal(pod):
        return end
    alive = any(seen.alive for made in observed.containers.values() for seen in made)
    if alive:
        return None
    for container in (*all_containers(pod.spec), *ephemeral_containers(pod.spec)):
        seen = observed.newest(container.name)
        if (seen is None or seen.unstarted) and f"container/{container.name}" in observed.busy:
            return None  # it may run in a moment
    if end is not None or pod.metadata.deletion_timestamp is None:
        return end
    # Deleted before it ended ("Pod phase"): it ends as its containers ended, and failed if some never ran.
    ends = [observed.newest(container.name) for container in pod.spec.containers]
    good = all(seen is not None and seen.succeeded for seen in ends)
    return Outcome(phase="Succeeded" if good else "Failed")


def _got_so_far(pod: Pod, observed: PodObserved, previous: PodStatus) -> bool:
    """Whether it had come to the main containers of a pod that was taken on at all."""
    if observed.refusal is not None and observed.refusal.rejected:
        return False
    if not pod.spec.init_containers or initialized(pod, observed):
        return True
    return any(c.type == "Initialized" and c.status == "True" for c in previous.conditions)


def _account_for(status: ContainerStatus) -> None:
    """A container that never ran in a pod that has ended, or is not there, counts as failed, in the
    kubelet's words."""
    if status.state.terminated is None:
        message = "The container could not be located when the pod was terminated"
        end = ContainerStateTerminated(
            exit_code=137, reason="ContainerStatusUnknown", message=message
        )
        status.state = ContainerState(terminated=end)


def _phase(
    pod: Pod,
    observed: PodObserved,
    inits: Sequence[ContainerStatus],
    mains: Sequence[ContainerStatus],
) -> str:
    """Pending until every container was started once; then Running until the end. A pod that has lost its
    sandbox begins anew with its init containers, and is Pending for so long ("Init Containers")."""
    if inits and not _ran(mains) and not initialized(pod, observed):
        return "Pending"
    specs = {c.name: c for c in pod.spec.init_containers}
    for status in inits:
        if specs[status.name].restart_policy == "Always":
            if status.state.waiting is not None and status.last_state.terminated is None:
                return "Pending"
        elif not status.ready:
            return "Pending" if not _ran(mains) else "Running"
    for status in mains:
        if status.state.waiting is not None and status.last_state.terminated is None:
            return "Pending"
    return "Running"


def _ran(statuses: Sequence[ContainerStatus]) -> bool:
    return any(s.state.running is not None or s.state.terminated is not None for s in statuses)


def _conditions(
    pod: Pod,
    observed: PodObserved,
    phase: str,
    inits: Sequence[ContainerStatus],
    mains: Sequence[ContainerStatus],
    previous: PodStatus,
    now: datetime,
) -> list[PodCondition]:
    refused = observed.refusal
    containers_ready = _containers_ready(pod, phase, inits, mains)
    made = [
        (
            "PodReadyToStartContainers",
            observed.reachable,
            "" if refused is None else refused.reason,
            "" if refused is None else refused.message,
        ),
        ("Initialized", *_initialized(pod, observed, phase, inits, mains)),
        ("Ready", *_ready(pod, previous, containers_ready)),
        ("ContainersReady", *containers_ready),
        ("PodScheduled", True, "", ""),
    ]
    made += [(kind, True, reason, words) for kind, reason, words in _resizing(pod, observed)]
    if observed.eviction is not None and observed.eviction.disrupts:
        words = observed.eviction.condition or observed.eviction.message
        made.append(("DisruptionTarget", True, "TerminationByKubelet", words))
    return [
        _condition(pod, kind, value, reason, message, previous=previous, now=now)
        for kind, value, reason, message in made
    ]


def _resizing(pod: Pod, observed: PodObserved) -> Iterator[tuple[str, str, str]]:
    """Conditions that are there only while a change of amounts is on its way."""
    if observed.pending is not None:
        yield "PodResizePending", observed.pending.answer.value, observed.pending.message
    specs = {c.name: c for c in all_containers(pod.spec)}
    for name, admitted in observed.allocated.items():
        seen, container = observed.current(name), specs.get(name)
        if seen is None or not seen.alive or container is None:
            continue
        adjusted = msgspec.structs.replace(container, resources=admitted)
        if is_resizable(pod, container) and changes(pod, adjusted, seen.record):
            failure = observed.failures.get(f"container/{name}")
            yield (
                "PodResizeInProgress",
                "" if failure is None else "Error",
                "" if failure is None else failure.message,
            )
            return


def _initialized(
    pod: Pod,
    observed: PodObserved,
    phase: str,
    inits: Sequence[ContainerStatus],
    mains: Sequence[ContainerStatus],
) -> tuple[bool, str, str]:
    if phase == "Succeeded":
        return True, "PodCompleted", ""
    # Of a pod that has failed the sandbox is gone, and its sidecars do not run any more.
    over = phase == "Failed" and any(observed.newest(main.name) for main in mains)
    if not inits or over or initialized(pod, observed):
        return True, "", ""
    by_name = {c.name: c for c in pod.spec.init_containers}
    open_ = [s.name for s in inits if not _init_through(by_name[s.name], s)]
    if not open_:
        return True, "", ""
    message = f"containers with incomplete status: {_go_list(open_)}"
    return False, "ContainersNotInitialized", message


def _init_through(container: Container, status: ContainerStatus) -> bool:
    return status.started is True if container.restart_policy == "Always" else status.ready


def _containers_ready(
    pod: Pod, phase: str, inits: Sequence[ContainerStatus], mains: Sequence[ContainerStatus]
) -> tuple[bool, str, str]:
    if phase == "Succeeded":
        return False, "PodCompleted", ""
    if phase == "Failed":
        return False, "PodFailed", ""
    beside = {c.name for c in pod.spec.init_containers if c.restart_policy == "Always"}
    counted = [s for s in inits if s.name in beside] + list(mains)
    unready = [s.name for s in counted if not s.ready]
    if unready:
        message = f"containers with unready status: {_go_list(unready)}"
        return False, "ContainersNotReady", message
    return True, "", ""


def _ready(
    pod: Pod, previous: PodStatus, containers_ready: tuple[bool, str, str]
) -> tuple[bool, str, str]:
    """ContainersReady, and every readiness gate of the spec is open."""
    if not containers_ready[0]:
        return containers_ready
    said = {c.type: c for c in (*previous.conditions, *pod.status.conditions)}
    shut = []
    for gate in pod.spec.readiness_gates:
        kind = gate.condition_type
        if kind not in said:
            shut.append(f'corresponding condition of pod readiness gate "{kind}" does not exist.')
        elif said[kind].status != "True":
            shut.append(
                f'the status of pod readiness gate "{kind}" is not "True", but {said[kind].status}'
            )
    if shut:
        return False, "ReadinessGatesNotReady", ", ".join(shut)
    return True, "", ""


def _condition(
    pod: Pod,
    kind: str,
    value: bool,
    reason: str,
    message: str,
    *,
    previous: PodStatus,
    now: datetime,
) -> PodCondition:
    said = next((c for c in previous.conditions if c.type == kind), None)
    text = "True" if value else "False"
    same = said is not None and said.status == text
    return PodCondition(
        type=kind,
        observed_generation=pod.metadata.generation,
        status=text,
        last_transition_time=(
            said.last_transition_time if same and said is not None else timestamps.format(now)
        ),
        reason=reason,
        message=message,
    )


def _go_list(names: Sequence[str]) -> str:
    """`[a b]`: as Go prints a list of strings."""
    return f"[{' '.join(names)}]"
