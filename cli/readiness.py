"""When is what a manifest asked for there, and if it is not, why? Pure; used by `podwright up`.

Serves the end of a pod's walk: `up` waits until every workload and Pod of the manifest is as it
should be, and otherwise says what stands in the way, in the words of the pods themselves
(states of containers) and of those who tried (events).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from api.apps import DaemonSet, Deployment, ReplicaSet, StatefulSet
from api.core import Event, Pod, ReplicationController
from api.struct import ApiStruct

MAX_EVENTS = 6


def waits_for(found: ApiStruct) -> str:
    """What the object still lacks; empty when it is as its spec asks. Kinds that are ready as soon
    as they exist never lack anything."""
    match found:
        case Pod():
            return _pod(found)
        case Deployment() | ReplicaSet() | ReplicationController() | StatefulSet() | DaemonSet():
            if found.status.observed_generation < found.metadata.generation:
                return "its controller has not seen it yet"
            return _workload(found)
        case _:
            return ""


def explain(pods: Sequence[Pod], events: Iterable[Event]) -> list[str]:
    """Lines that say, pod by pod, what holds it up."""
    all_events = list(events)
    lines: list[str] = []
    for pod in pods:
        lacking = _pod(pod)
        if not lacking:
            continue
        meta = pod.metadata
        lines.append(f"pod {meta.namespace}/{meta.name}: {lacking}")
        lines += [f"  {text}" for text in _states(pod)]
        own = [event for event in all_events if event.involved_object.uid == meta.uid]
        own.sort(key=_when)
        lines += [
            f"  {event.type} {event.reason} (x{max(event.count, 1)}): {event.message}"
            for event in own[-MAX_EVENTS:]
        ]
    return lines


def _workload(
    found: Deployment | ReplicaSet | ReplicationController | StatefulSet | DaemonSet,
) -> str:
    match found:
        case Deployment():
            return _deployment(found)
        case StatefulSet():
            return _stateful_set(found)
        case DaemonSet():
            return _daemon_set(found)
        case _:
            return _count("ready", found.status.ready_replicas, _replicas(found.spec.replicas))


def _deployment(found: Deployment) -> str:
    wanted = _replicas(found.spec.replicas)
    status = found.status
    return (
        _count("updated", status.updated_replicas, wanted)
        or _count("available", status.available_replicas, wanted)
        or ("old replicas are still there" if status.replicas > wanted else "")
    )


def _stateful_set(found: StatefulSet) -> str:
    """With `OnDelete`, and below the partition, old pods are what was asked for."""
    wanted, update = _replicas(found.spec.replicas), found.spec.update_strategy
    rolling = update.rolling_update
    kept = rolling.partition or 0 if rolling is not None else 0
    updated = 0 if update.type == "OnDelete" else max(0, wanted - kept)
    return _count("updated", found.status.updated_replicas, updated) or _count(
        "available", found.status.available_replicas, wanted
    )


def _daemon_set(found: DaemonSet) -> str:
    status = found.status
    wanted = status.desired_number_scheduled
    updated = 0 if found.spec.update_strategy.type == "OnDelete" else wanted
    return _count("updated", status.updated_number_scheduled, updated) or _count(
        "available", status.number_available, wanted
    )


def _pod(pod: Pod) -> str:
    phase = pod.status.phase or "Pending"
    if phase == "Succeeded" or _condition(pod, "Ready") == "True":
        return ""
    if phase == "Pending" and not pod.spec.node_name:
        return "Pending, on no node yet"
    return phase if phase != "Running" else "Running, not ready"


def _states(pod: Pod) -> list[str]:
    """Why each container does not run."""
    texts = []
    for status in (*pod.status.init_container_statuses, *pod.status.container_statuses):
        state = status.state
        if state.waiting is not None and state.waiting.reason:
            texts.append(_sentence(status.name, state.waiting.reason, state.waiting.message))
        elif state.terminated is not None and state.terminated.exit_code != 0:
            reason = f"{state.terminated.reason or 'Error'}, exit code {state.terminated.exit_code}"
            texts.append(_sentence(status.name, reason, state.terminated.message))
    return texts


def _sentence(container: str, reason: str, message: str) -> str:
    return f"container {container}: {reason}" + (f": {message.strip()}" if message else "")


def _condition(pod: Pod, kind: str) -> str:
    return next((each.status for each in pod.status.conditions if each.type == kind), "")


def _replicas(count: int | None) -> int:
    return 1 if count is None else count


def _count(what: str, have: int, wanted: int) -> str:
    return f"{have} of {wanted} {what}" if have < wanted else ""


def _when(event: Event) -> str:
    return event.last_timestamp or event.event_time or event.metadata.creation_timestamp or ""
