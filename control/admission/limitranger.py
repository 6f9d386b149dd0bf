"""LimitRanger: pods and claims keep to the bounds of their namespace (step 1 of the pod's walk).

As Kubernetes documents the plugin: containers get the defaults of the namespace's LimitRanges before
they are measured. A pod is looked at when it is made and when it is resized, for nothing else changes
its amounts; a claim with every change. What is being deleted is left alone.
"""

from __future__ import annotations

from api import errors
from api.core import LimitRange, PersistentVolumeClaim, Pod
from api.scheme import Resource
from control.admission import limits
from control.admission.chain import Attributes, Operation, Plugin, Reader


class LimitRanger(Plugin):
    name = "LimitRanger"

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def handles(self, resource: Resource, operation: Operation, subresource: str) -> bool:
        if resource.type is Pod:
            return (operation, subresource) in (
                (Operation.CREATE, ""),
                (Operation.UPDATE, "resize"),
            )
        writes = operation in (Operation.CREATE, Operation.UPDATE)
        return resource.type is PersistentVolumeClaim and writes and not subresource

    async def admit(self, request: Attributes) -> None:
        if request.resource.type is Pod:
            ranges = await self._ranges(request)
            limits.fill_in(request.object, [item for one in ranges for item in one.spec.limits])

    async def validate(self, request: Attributes) -> None:
        if request.old is not None and request.old.metadata.deletion_timestamp is not None:
            return
        for one in await self._ranges(request):
            if found := _faults(request, one):
                why = found[0] if len(found) == 1 else f"[{', '.join(found)}]"
                raise errors.forbidden(request.resource, request.name, why)

    async def _ranges(self, request: Attributes) -> list[LimitRange]:
        await self._reader.fresh(LimitRange)
        return list(self._reader.list(LimitRange, request.namespace))


def _faults(request: Attributes, range_: LimitRange) -> list[str]:
    if isinstance(request.object, Pod):
        return limits.pod_faults(request.object, range_.spec.limits)
    return limits.claim_faults(request.object.spec.resources.requests, range_.spec.limits)
