"""Priority: a pod's class becomes a number in its spec (step 1 of the pod's walk; step 3 reads it).

As Kubernetes documents the plugin: a pod that names a class gets its value and its preemption
policy, one that names none those of the class that is the default for all, or 0. The number is a
copy: a class that is deleted later changes nothing for the pods that have it. Who writes the
number instead of the name must write what the class says.

Only one class may be the default, and those of the system cannot be deleted.
"""

from __future__ import annotations

from api import errors
from api.core import Pod
from api.scheduling import PriorityClass
from api.scheme import Resource
from control.admission.chain import Attributes, Operation, Plugin, Reader
from control.resources.scheduling.priorityclass import SYSTEM_CLASSES

_SYSTEM = frozenset(one.name for one in SYSTEM_CLASSES)
_PREEMPTS = "PreemptLowerPriority"


class Priority(Plugin):
    name = "Priority"

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def handles(self, resource: Resource, operation: Operation, subresource: str) -> bool:
        if subresource:
            return False
        if resource.type is Pod:
            return operation in (Operation.CREATE, Operation.UPDATE)
        return resource.type is PriorityClass

    async def admit(self, request: Attributes) -> None:
        if request.resource.type is PriorityClass:
            if request.operation is Operation.DELETE and request.name in _SYSTEM:
                why = "this is a system priority class and cannot be deleted"
                raise errors.forbidden(request.resource, request.name, why)
        elif request.operation is Operation.CREATE:
            await self._resolve(request)
        else:
            keep(request.object, request.old)

    async def validate(self, request: Attributes) -> None:
        one = request.object
        if not isinstance(one, PriorityClass) or not one.global_default:
            return
        await self._reader.fresh(PriorityClass)
        for other in self._reader.list(PriorityClass):
            if other.global_default and other.metadata.name != one.metadata.name:
                raise errors.forbidden(
                    request.resource,
                    request.name,
                    f"PriorityClass {other.metadata.name} is already marked as globalDefault. "
                    "Only one default can exist",
                )

    async def _resolve(self, request: Attributes) -> None:
        pod: Pod = request.object
        name = pod.spec.priority_class_name
        # One file often holds the class and its first pods.
        await self._reader.fresh(PriorityClass)
        reader = self._reader
        found = reader.get(PriorityClass, name) if name else default_class(reader)
        if name and found is None:
            why = f"no PriorityClass with name {name} was found"
            raise errors.forbidden(request.resource, request.name, why)
        if why := fault(pod, found):
            raise errors.forbidden(request.resource, request.name, why)
        if found is not None:
            pod.spec.priority_class_name = found.metadata.name
        pod.spec.priority, policy = computed(found)
        pod.spec.preemption_policy = policy or pod.spec.preemption_policy


def default_class(reader: Reader) -> PriorityClass | None:
    """The class of pods that name none; the lowest, should two have become the default at once."""
    defaults = [one for one in reader.list(PriorityClass) if one.global_default]
    return min(defaults, key=lambda one: one.value, default=None)


def computed(found: PriorityClass | None) -> tuple[int, str | None]:
    """The priority of a pod of this class, and its preemption policy where the class has one."""
    return (0, _PREEMPTS) if found is None else (found.value, found.preemption_policy)


def fault(pod: Pod, found: PriorityClass | None) -> str:
    """What the pod says of its priority that its class does not."""
    spec, (priority, policy) = pod.spec, computed(found)
    words = "must not be provided in pod spec; priority admission controller computed"
    if spec.priority is not None and spec.priority != priority:
        return (
            f"the integer value of priority ({spec.priority}) {words} {priority} "
            "from the given PriorityClass name"
        )
    if policy and spec.preemption_policy not in (None, policy):
        return (
            f"the string value of PreemptionPolicy ({spec.preemption_policy}) {words} {policy} "
            "from the given PriorityClass name"
        )
    return ""


def keep(new: Pod, old: Pod) -> None:
    """Whoever writes the pod from a manifest of his own does not mean to take its priority away."""
    if new.spec.priority is None:
        new.spec.priority = old.spec.priority
    if new.spec.preemption_policy is None:
        new.spec.preemption_policy = old.spec.preemption_policy
