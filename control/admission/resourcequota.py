"""ResourceQuota: what is made is charged to the quotas of its namespace (step 1 of the pod's walk).

As Kubernetes documents the plugin, in its words. The charge is an amendment of the quota's status in
the object's own transaction: it is made exactly when the object is, so there is nothing to give back
after a failure, and it is judged when its turn to be written comes, on whatever was charged before. A
flood neither exceeds a quota nor loses races. What an object gives back, by ending, shrinking or going,
is written in the same way, and never refused.

A quota that was made a moment ago is not counted yet (`control/controllers/lifecycle/quotas.py`): who
comes at once waits for that, for a second at most. What is written meanwhile is counted then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Protocol

from api import errors
from api.core import PersistentVolumeClaim, Pod, ResourceQuota, Service
from api.scheme import Resource
from base.clock import Clock
from control.admission.chain import Attributes, Operation, Plugin
from control.admission.quota.charging import ExceededError, add, charge, counted, difference
from control.admission.quota.scopes import counts
from control.admission.quota.usage import Usage, missing
from control.store.interface import Write

_WISHES = ((PersistentVolumeClaim, ""), (Pod, "resize"), (Service, ""))
"""Changes that may ask for more."""
_REPORTS = ((PersistentVolumeClaim, "status"), (Pod, ""), (Pod, "status"))
"""Changes that only tell what became of an object: none is refused for a quota."""
_WAITS = 20
_WAIT_SECONDS = 0.05


class Ledger(Protocol):
    """The quotas as the store has them, private to the caller."""

    async def quotas(self, namespace: str) -> Sequence[ResourceQuota]: ...

    def amend(self, quota: ResourceQuota, change: Callable[[ResourceQuota], None]) -> Write:
        """What changes the quota, as it is when it is written; `change` may raise."""
        ...


class ResourceQuotaPlugin(Plugin):
    name = "ResourceQuota"

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    def handles(self, resource: Resource, operation: Operation, subresource: str) -> bool:
        if operation is Operation.UPDATE:
            return (resource.type, subresource) in (*_WISHES, *_REPORTS)
        return resource.namespaced and operation is not Operation.CONNECT and not subresource

    async def validate(self, request: Attributes) -> None:
        """Containers say what is limited, and what is limited is known."""
        if not _may_be_refused(request):
            return
        unknown: dict[str, list[str]] = {}
        for attempt in range(_WAITS):
            if attempt:
                await self._clock.sleep(_WAIT_SECONDS)
            quotas = await self._ledger.quotas(request.namespace)
            if why := said_too_little(quotas, request.object):
                raise errors.forbidden(request.resource, request.name, why)
            unknown = not_counted_yet(self._changes(quotas, request))
            if not unknown:
                return
        name, resources = next(iter(unknown.items()))
        why = f"status unknown for quota: {name}, resources: {','.join(resources)}"
        raise errors.forbidden(request.resource, request.name, why)

    async def beside(self, request: Attributes) -> Sequence[Write]:
        writes = []
        quotas = await self._ledger.quotas(request.namespace)
        for quota, delta in self._changes(quotas, request):
            if delta.keys() & quota.status.used.keys():
                change = partial(_charge, request=request, delta=delta)
                change(quota)  # what is full already need not wait for its turn
                writes.append(self._ledger.amend(quota, change))
        return writes

    def _changes(
        self, quotas: Iterable[ResourceQuota], request: Attributes
    ) -> list[tuple[ResourceQuota, Usage]]:
        """By how much the request changes which quotas."""
        found, now = [], self._clock.now()
        for quota in quotas:
            if request.resource.type is ResourceQuota and quota.metadata.name == request.name:
                continue  # it goes with this very transaction
            new = counted(quota, request.resource, request.object, now)
            if delta := difference(new, counted(quota, request.resource, request.old, now)):
                found.append((quota, delta))
        return found


def said_too_little(quotas: Iterable[ResourceQuota], obj: object) -> str:
    """What the containers of a pod must say because a quota limits it."""
    for quota in quotas:
        if isinstance(obj, Pod) and counts(quota.spec, obj):
            if why := missing(obj, quota.spec.hard):
                return f"failed quota: {quota.metadata.name}: {why}"
    return ""


def not_counted_yet(changes: Iterable[tuple[ResourceQuota, Usage]]) -> dict[str, list[str]]:
    """The names of each quota that its status does not tell."""
    found = {
        quota.metadata.name: sorted(delta.keys() - quota.status.used.keys())
        for quota, delta in changes
    }
    return {quota: names for quota, names in found.items() if names}


def _charge(quota: ResourceQuota, *, request: Attributes, delta: Usage) -> None:
    """Write the change down in the quota; a name that is not counted yet is left to who counts it."""
    used = quota.status.used
    known = {name: amount for name, amount in delta.items() if name in used}
    if not _may_be_refused(request):
        quota.status.used = add(used, [known])
        return
    try:
        quota.status.used = charge(quota.metadata.name, quota.spec.hard, used, known)
    except ExceededError as error:
        raise errors.forbidden(request.resource, request.name, str(error)) from None


def _may_be_refused(request: Attributes) -> bool:
    if request.operation is Operation.UPDATE:
        return (request.resource.type, request.subresource) in _WISHES
    return request.operation is Operation.CREATE
