"""Why a pod on a node does not run, is not ready, restarts, ends or goes: its status in words. Pure."""

import signal
from collections.abc import Iterator

from api import conditions, pods
from api.core import ContainerStateTerminated, ContainerStatus, Pod
from api.why import Finding

_SIGNALS = 128


def findings(pod: Pod) -> Iterator[Finding]:
    """What the pod's own fields tell, the most important first."""
    yield from _leaving(pod)
    yield from _ended(pod)
    for status in _statuses(pod):
        yield from _container(pod, status)
    yield from _readiness(pod)


def _leaving(pod: Pod) -> Iterator[Finding]:
    since = pod.metadata.deletion_timestamp
    if not since:
        return
    grace = pod.metadata.deletion_grace_period_seconds
    words = f"it is being deleted, and has {grace or 0} s to end"
    if pod.metadata.finalizers:
        words += (
            f"; it stays until these finalizers are removed: {', '.join(pod.metadata.finalizers)}"
        )
    elif not pod.spec.node_name:
        words += "; it is on no node"
    else:
        words += f"; it goes when the agent on {pod.spec.node_name} has seen its containers end"
    disrupted = conditions.find(pod.status.conditions, "DisruptionTarget")
    if disrupted is not None and disrupted.status == "True":
        words += f". Why: {disrupted.reason}: {disrupted.message}"
    yield Finding(topic="Termination", message=words, since=since)


def _ended(pod: Pod) -> Iterator[Finding]:
    if not pods.is_terminal(pod):
        return
    words = f"its phase is {pod.status.phase}"
    if pod.status.reason or pod.status.message:
        words += f": {': '.join(part for part in (pod.status.reason, pod.status.message) if part)}"
    yield Finding(topic="End", message=words)


def _statuses(pod: Pod) -> Iterator[ContainerStatus]:
    yield from pod.status.init_container_statuses
    yield from pod.status.container_statuses
    yield from pod.status.ephemeral_container_statuses


def _container(pod: Pod, status: ContainerStatus) -> Iterator[Finding]:
    waiting, ended = status.state.waiting, status.state.terminated
    last = status.last_state.terminated
    if waiting is not None and waiting.reason not in ("", "PodInitializing"):
        message = f": {waiting.message}" if waiting.message else ""
        yield Finding(
            topic="Start", message=f"container {status.name} waits with {waiting.reason}{message}"
        )
    if status.restart_count and last is not None:
        times = "once" if status.restart_count == 1 else f"{status.restart_count} times"
        yield Finding(
            topic="Restart",
            message=f"container {status.name} was restarted {times}; before, it {_end(last)}",
            since=last.finished_at,
        )
    if ended is not None and (ended.exit_code or not _is_init(pod, status)):
        yield Finding(
            topic="End",
            message=f"container {status.name} {_end(ended)}",
            since=ended.finished_at,
        )


def _is_init(pod: Pod, status: ContainerStatus) -> bool:
    return any(status.name == one.name for one in pod.spec.init_containers)


def _end(state: ContainerStateTerminated) -> str:
    """`ended with exit code 137, SIGKILL (OOMKilled): last words`"""
    words = f"ended with exit code {state.exit_code}"
    number = state.signal or (state.exit_code - _SIGNALS if state.exit_code > _SIGNALS else 0)
    if number in {one.value for one in signal.Signals}:
        words += f", {signal.Signals(number).name}"
    if state.reason:
        words += f" ({state.reason})"
    if state.message:
        words += f": {state.message.strip()}"
    return words


def _readiness(pod: Pod) -> Iterator[Finding]:
    if pods.is_terminal(pod) or pod.metadata.deletion_timestamp or not pods.is_scheduled(pod):
        return
    ready = conditions.find(pod.status.conditions, "Ready")
    if ready is None or ready.status == "True":
        return
    reason = ": ".join(part for part in (ready.reason, ready.message) if part)
    yield Finding(
        topic="Readiness",
        message=f"it is not ready{': ' if reason else ''}{reason}",
        since=ready.last_transition_time,
    )
    for gate in pod.spec.readiness_gates:
        if not conditions.is_true(pod.status.conditions, gate.condition_type):
            yield Finding(
                topic="Readiness",
                message=f"its readiness gate {gate.condition_type} is not True; whoever it belongs to"
                " has to set that condition",
            )
