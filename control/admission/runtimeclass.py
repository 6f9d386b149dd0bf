"""RuntimeClass: what a pod gets from the class that it names (step 1 of the pod's walk).

As Kubernetes documents the plugin: the class's overhead becomes the pod's, its node selector is
added to the pod's, and so are its tolerations. A pod that says otherwise itself is refused, and so
is one whose class does not exist: it could never run. The scheduler counts the overhead (step 3).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from api import errors, quantity
from api.core import Pod, Toleration
from api.node import RuntimeClass, Scheduling
from api.scheme import Resource
from control.admission.chain import Attributes, Operation, Plugin, Reader

_OTHER_OVERHEAD = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"
_NO_OVERHEAD = "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"


class RuntimeClassPlugin(Plugin):
    name = "RuntimeClass"

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def handles(self, resource: Resource, operation: Operation, subresource: str) -> bool:
        return resource.type is Pod and operation is Operation.CREATE and not subresource

    async def admit(self, request: Attributes) -> None:
        pod: Pod = request.object
        found = await self._class_of(request)
        if found is None:
            return
        if found.overhead is not None and found.overhead.pod_fixed:
            if pod.spec.overhead and not same_amounts(pod.spec.overhead, found.overhead.pod_fixed):
                raise errors.forbidden(request.resource, request.name, _OTHER_OVERHEAD)
            pod.spec.overhead = dict(found.overhead.pod_fixed)
        if found.scheduling is not None:
            if why := conflict(pod, found.scheduling):
                raise errors.forbidden(request.resource, request.name, why)
            place(pod, found.scheduling)

    async def validate(self, request: Attributes) -> None:
        """Once more after everybody else: a webhook may have changed the pod."""
        pod: Pod = request.object
        found = await self._class_of(request)
        if found is not None and found.overhead is not None:
            if not same_amounts(pod.spec.overhead, found.overhead.pod_fixed):
                raise errors.forbidden(request.resource, request.name, _OTHER_OVERHEAD)
        elif pod.spec.overhead:
            raise errors.forbidden(request.resource, request.name, _NO_OVERHEAD)

    async def _class_of(self, request: Attributes) -> RuntimeClass | None:
        name = request.object.spec.runtime_class_name
        if name is None:
            return None
        await self._reader.fresh(RuntimeClass)
        found = self._reader.get(RuntimeClass, name)
        if found is None:
            why = f'pod rejected: RuntimeClass "{name}" not found'
            raise errors.forbidden(request.resource, request.name, why)
        return found


def same_amounts(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """Whether two sets of resources are of the same size, however it is spelled."""
    return one.keys() == other.keys() and all(
        quantity.compare(amount, other[name]) == 0 for name, amount in one.items()
    )


def conflict(pod: Pod, scheduling: Scheduling) -> str:
    """Why no node is both what the pod asks for and what its class does."""
    for key, wanted in scheduling.node_selector.items():
        said = pod.spec.node_selector.get(key, wanted)
        if said != wanted:
            return (
                f"conflict: runtimeClass.scheduling.nodeSelector[{key}] = {wanted}; "
                f"pod.spec.nodeSelector[{key}] = {said}"
            )
    return ""


def place(pod: Pod, scheduling: Scheduling) -> None:
    """Let the pod run where its class does, and only there."""
    spec = pod.spec
    spec.node_selector = {**spec.node_selector, **scheduling.node_selector}
    spec.tolerations = merged(spec.tolerations, scheduling.tolerations)


def merged(first: Sequence[Toleration], second: Sequence[Toleration]) -> list[Toleration]:
    """All of them but those that another one covers; of equals the first stays."""
    every = [*first, *second]
    kept: list[Toleration] = []
    for number, one in enumerate(every):
        later = (other for other in every[number + 1 :] if other != one)
        if not any(covers(other, one) for other in (*kept, *later)):
            kept.append(one)
    return kept


def covers(wide: Toleration, narrow: Toleration) -> bool:
    """Whether every taint that the narrow one tolerates is tolerated by the wide one, as long."""
    if wide == narrow:
        return True
    if wide.key != narrow.key and (wide.key or wide.operator != "Exists"):
        return False
    if wide.effect not in ("", narrow.effect):
        return False
    if wide.effect == "NoExecute" and wide.toleration_seconds is not None:
        seconds = narrow.toleration_seconds
        if seconds is None or seconds > wide.toleration_seconds:
            return False
    if wide.operator == "Exists":
        return True
    return narrow.operator in ("", "Equal") and narrow.value == wide.value
