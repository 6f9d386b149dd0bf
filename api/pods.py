"""Rules about pods that several sides need: what they request, their class, their state.

Serves the scheduler (requests, tolerations, host ports), the agent (cgroups, class) and the
controllers (readiness, availability). Pure functions over typed values; nothing here changes a pod.

Amounts are in the units of `api.resources`: CPU in thousandths of a core, all else whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from api import conditions, quantity, timestamps
from api.conditions import find as get_condition
from api.core.container import Container
from api.core.pod import Pod, PodCondition, PodSpec
from api.core.scheduling import PodAffinityTerm, Taint, Toleration
from api.core.volume import Volume
from api.resources import CPU, MEMORY, Amounts, add, amounts, raise_to

__all__ = [
    "HostPort",
    "QosClass",
    "all_containers",
    "claims",
    "condition",
    "container_requests",
    "ephemeral_claim",
    "ephemeral_containers",
    "find_port",
    "get_condition",
    "held_requests",
    "host_ports",
    "is_active",
    "is_available",
    "is_of_whole_pods",
    "is_ready",
    "is_restartable_init",
    "is_scheduled",
    "is_terminal",
    "is_terminating",
    "next_availability",
    "no_execute_seconds",
    "pod_limits",
    "pod_requests",
    "qos_class",
    "spec_limits",
    "spec_requests",
    "tolerates",
    "toleration_matches",
    "untolerated",
]


_CONTAINER_FIELDS = msgspec.structs.fields(Container)


class QosClass(StrEnum):
    """How hard a pod's resources are promised; decides who suffers first when memory is short."""

    GUARANTEED = "Guaranteed"
    BURSTABLE = "Burstable"
    BEST_EFFORT = "BestEffort"


def restarts(pod: Pod, container: Container | None, *, exit_code: int) -> bool:
    """Whether a container that ended so is run again: the first of its rules that holds decides, then
    its own policy, then the pod's."""
    for rule in container.restart_policy_rules if container is not None else ():
        codes = rule.exit_codes
        if codes is not None and (exit_code in codes.values) is (codes.operator == "In"):
            return rule.action == "Restart"
    own = container.restart_policy if container is not None else None
    policy = own or pod.spec.restart_policy or "Always"
    return policy == "Always" or (policy == "OnFailure" and exit_code != 0)


def is_restartable_init(container: Container) -> bool:
    """A sidecar: an init container that keeps running beside the app containers."""
    return container.restart_policy == "Always"


def all_containers(spec: PodSpec) -> Iterator[Container]:
    """Init containers, then app containers (ephemeral ones have a type of their own)."""
    yield from spec.init_containers
    yield from spec.containers


def ephemeral_containers(spec: PodSpec) -> list[Container]:
    """The containers that were added to look into the pod, in the shape of the others."""
    return [
        Container(**{field.name: getattr(added, field.name) for field in _CONTAINER_FIELDS})
        for added in spec.ephemeral_containers
    ]


def pod_requests(pod: Pod) -> Amounts:
    """What must be free on a node for the pod."""
    return spec_requests(pod.spec)


def spec_requests(spec: PodSpec) -> Amounts:
    """Requests of a pod with this spec.

    App containers and sidecars run together, so they add up. An init container runs alone but for
    the sidecars started before it, so the largest of those moments counts. Requests of the pod as a
    whole, where given, replace that sum. The runtime's overhead comes on top.
    """
    return _requests(spec, lambda container: amounts(container.resources.requests))


def container_requests(spec: PodSpec) -> Amounts:
    """What the containers request together, whatever the pod as a whole does."""
    return _together(spec, lambda container: amounts(container.resources.requests))


def held_requests(pod: Pod) -> Amounts:
    """What a pod takes of its node: what it asks for, or what it was given as long as that is more.

    The two differ while it is resized in place. What the node could never give does not count.
    """
    listed = (*pod.status.init_container_statuses, *pod.status.container_statuses)
    statuses = {one.name: one for one in listed if one.allocated_resources or one.resources}
    if not statuses:
        return pod_requests(pod)
    resize = condition(pod, "PodResizePending")
    infeasible = resize is not None and resize.reason == "Infeasible"

    def held(container: Container) -> Amounts:
        status = statuses.get(container.name)
        asked = amounts(container.resources.requests)
        if status is None:
            return asked
        given = amounts(status.allocated_resources)
        raise_to(given, amounts(status.resources.requests) if status.resources else {})
        if not infeasible or not given:
            raise_to(given, asked)
        return given

    return _requests(pod.spec, held)


def _requests(spec: PodSpec, of: Callable[[Container], Amounts]) -> Amounts:
    total = _together(spec, of)
    _override(total, spec.resources.requests if spec.resources else {})
    add(total, amounts(spec.overhead))
    return total


def pod_limits(pod: Pod) -> Amounts:
    """What the pod may use at most; a resource that some container leaves open may be missing."""
    return spec_limits(pod.spec)


def spec_limits(spec: PodSpec) -> Amounts:
    """Limits of a pod with this spec, summed as requests are.

    Overhead raises only limits that exist: it does not make one.
    """
    total = _together(spec, lambda container: amounts(container.resources.limits))
    _override(total, spec.resources.limits if spec.resources else {})
    add(total, {name: more for name, more in amounts(spec.overhead).items() if name in total})
    return total


def _together(spec: PodSpec, of: Callable[[Container], Amounts]) -> Amounts:
    """The most that is needed at any moment of the pod's life."""
    running: Amounts = {}
    for container in spec.containers:
        add(running, of(container))
    sidecars: Amounts = {}
    starting: Amounts = {}
    for container in spec.init_containers:
        own = of(container)
        if is_restartable_init(container):
            add(running, own)
            add(sidecars, own)
            raise_to(starting, sidecars)
        else:
            add(own, sidecars)
            raise_to(starting, own)
    raise_to(running, starting)
    return running


def _override(total: Amounts, of_the_pod: Mapping[str, str]) -> None:
    total.update(
        (name, number) for name, number in amounts(of_the_pod).items() if is_of_whole_pods(name)
    )


def is_of_whole_pods(name: str) -> bool:
    """Whether a pod as a whole can have amounts of the resource (KEP-2837)."""
    return name in (CPU, MEMORY) or name.startswith("hugepages-")


def qos_class(pod: Pod) -> QosClass:
    """The class by requests and limits of CPU and memory."""
    spec = pod.spec
    parts = [spec.resources] if spec.resources else [c.resources for c in all_containers(spec)]
    requests: dict[str, int] = {}
    limits: dict[str, int] = {}
    guaranteed = True
    for part in parts:
        add(requests, _computed(part.requests))
        limited = _computed(part.limits)
        add(limits, limited)
        guaranteed = guaranteed and len(limited) == 2
    if not requests and not limits:
        return QosClass.BEST_EFFORT
    if guaranteed and requests == limits:
        return QosClass.GUARANTEED
    return QosClass.BURSTABLE


def _computed(resources: Mapping[str, str]) -> dict[str, int]:
    """CPU and memory above zero, in nano-units: the comparison must be exact."""
    found = {
        name: quantity.parse(resources[name]).nano for name in (CPU, MEMORY) if name in resources
    }
    return {name: amount for name, amount in found.items() if amount > 0}


def condition(pod: Pod, type_: str) -> PodCondition | None:
    """A condition of the pod."""
    return conditions.find(pod.status.conditions, type_)


def is_ready(pod: Pod) -> bool:
    """Ready to serve: what endpoints and rollouts go by."""
    return conditions.is_true(pod.status.conditions, "Ready")


def is_terminal(pod: Pod) -> bool:
    """It has ended and will not run again."""
    return pod.status.phase in ("Succeeded", "Failed")


def is_terminating(pod: Pod) -> bool:
    """Its deletion has begun."""
    return pod.metadata.deletion_timestamp is not None


def is_active(pod: Pod) -> bool:
    """Neither ended nor being deleted: what a ReplicaSet counts."""
    return not is_terminal(pod) and not is_terminating(pod)


def is_scheduled(pod: Pod) -> bool:
    """It has a node."""
    return bool(pod.spec.node_name)


def is_available(pod: Pod, *, min_ready_seconds: int, now: datetime) -> bool:
    """Ready for at least so long."""
    ready = condition(pod, "Ready")
    if ready is None or ready.status != "True":
        return False
    if min_ready_seconds == 0:
        return True
    if not ready.last_transition_time:
        return False
    since = timestamps.parse(ready.last_transition_time)
    return since + timedelta(seconds=min_ready_seconds) <= now


def next_availability(
    several: Iterable[Pod], *, min_ready_seconds: int, now: datetime
) -> float | None:
    """Seconds until the next ready pod counts as available by time alone; None if none waits."""
    if min_ready_seconds == 0:
        return None  # it is available as soon as it is ready
    waits = []
    for pod in several:
        ready = condition(pod, "Ready")
        if ready is None or ready.status != "True" or not ready.last_transition_time:
            continue
        due = timestamps.parse(ready.last_transition_time) + timedelta(seconds=min_ready_seconds)
        waits.append((due - now).total_seconds())
    return min((wait for wait in waits if wait > 0), default=None)


@dataclass(frozen=True, slots=True)
class HostPort:
    """A port of the node that a container takes; the empty address means all of them."""

    ip: str
    protocol: str
    port: int

    def conflicts(self, other: HostPort) -> bool:
        """Whether both cannot be taken on one node."""
        if (self.protocol, self.port) != (other.protocol, other.port):
            return False
        everywhere = ("", "0.0.0.0", "::")
        return self.ip == other.ip or self.ip in everywhere or other.ip in everywhere


def affinity_terms(pod: Pod) -> Iterator[PodAffinityTerm]:
    """What the pod says of pods near and far, required or preferred."""
    affinity = pod.spec.affinity
    if affinity is None:
        return
    for one in (affinity.pod_affinity, affinity.pod_anti_affinity):
        if one is not None:
            yield from one.required_during_scheduling_ignored_during_execution
            for weighted in one.preferred_during_scheduling_ignored_during_execution:
                yield weighted.pod_affinity_term


def claims(pod: Pod) -> Iterator[str]:
    """The names of the PersistentVolumeClaims whose volumes the pod mounts."""
    for volume in pod.spec.volumes:
        if volume.persistent_volume_claim is not None:
            yield volume.persistent_volume_claim.claim_name
        elif volume.ephemeral is not None:
            yield ephemeral_claim(pod, volume)


def ephemeral_claim(pod: Pod, volume: Volume) -> str:
    """The name of the claim that is made for a pod's ephemeral volume."""
    return f"{pod.metadata.name}-{volume.name}"


def host_ports(pod: Pod) -> list[HostPort]:
    """The node's ports that the pod takes (app containers and sidecars, as they stay)."""
    staying = [c for c in pod.spec.init_containers if is_restartable_init(c)]
    return [
        HostPort(port.host_ip, port.protocol or "TCP", port.host_port)
        for container in [*staying, *pod.spec.containers]
        for port in container.ports
        if port.host_port > 0
    ]


def find_port(pod: Pod, port: int | str, protocol: str) -> int | None:
    """The number of a Service's targetPort in this pod; a name is looked up in its containers."""
    if isinstance(port, int):
        return port
    staying = [c for c in pod.spec.init_containers if is_restartable_init(c)]
    for container in [*pod.spec.containers, *staying]:
        for candidate in container.ports:
            if candidate.name == port and (candidate.protocol or "TCP") == protocol:
                return candidate.container_port
    return None


def toleration_matches(toleration: Toleration, taint: Taint) -> bool:
    """Whether one toleration covers one taint; empty effect and empty key cover all."""
    if toleration.effect and toleration.effect != taint.effect:
        return False
    if toleration.key and toleration.key != taint.key:
        return False
    if toleration.operator == "Exists":
        return True
    return toleration.operator in ("", "Equal") and toleration.value == taint.value


def tolerates(tolerations: Iterable[Toleration], taint: Taint) -> bool:
    """Whether any toleration covers the taint."""
    return any(toleration_matches(toleration, taint) for toleration in tolerations)


def untolerated(
    taints: Iterable[Taint], tolerations: Sequence[Toleration], *effects: str
) -> Taint | None:
    """The first taint with one of these effects that is not tolerated."""
    for taint in taints:
        if taint.effect in effects and not tolerates(tolerations, taint):
            return taint
    return None


def no_execute_seconds(taints: Iterable[Taint], tolerations: Sequence[Toleration]) -> float | None:
    """How long a pod may stay on a node with these taints: 0 not at all, None for ever."""
    allowed: list[float] = []
    for taint in taints:
        if taint.effect != "NoExecute":
            continue
        covering = [item for item in tolerations if toleration_matches(item, taint)]
        if not covering:
            return 0.0
        allowed.extend(
            max(0.0, float(item.toleration_seconds))
            for item in covering
            if item.toleration_seconds is not None
        )
    return min(allowed, default=None)
