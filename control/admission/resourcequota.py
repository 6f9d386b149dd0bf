"""ResourceQuota: what is made is charged to the quotas of its namespace (step 1 of the pod's walk).

As Kubernetes documents the plugin, in its words. The charge is a write of the quota's status beside the
object's own, in one transaction and under the revision that was read: it is made exactly when the
object is, so there is nothing to give back after a failure, and of two requests for the last of
something one starts over and finds it gone. What an object gives back, by ending, shrinking or going,
is written in the same way, and never refused.

Concurrency: those who charge one namespace take turns, or most of a flood would lose races. The turns
only save work; the revisions are what makes it exact. As many wait as there are requests in flight.

A quota that was made a moment ago is not counted yet (`control/controllers/lifecycle/quotas.py`): who
comes at once waits for that, for a second at most. What is written meanwhile is counted then.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Protocol
from weakref import WeakValueDictionary

from api import errors
from api.core import PersistentVolumeClaim, Pod, ResourceQuota, Service
from api.scheme import Resource
from base.clock import Clock
from control.admission.chain import Attributes, Operation, Plugin, Writes
from control.admission.quota.charging import ExceededError, add, charge, counted, difference
from control.admission.quota.scopes import counts
from control.admission.quota.usage import Usage, missing
from control.store.interface import Put

_WISHES = ((PersistentVolumeClaim, ""), (Pod, "resize"), (Service, ""))
"""Changes that may ask for more."""
_REPORTS = ((PersistentVolumeClaim, "status"), (Pod, ""), (Pod, "status"))
"""Changes that only tell what became of an object: none is refused for a quota."""
_WAITS = 20
_WAIT_SECONDS = 0.05


class Ledger(Protocol):
    """The quotas as the store has them, private to the caller."""

    async def quotas(self, namespace: str) -> Sequence[ResourceQuota]: ...

    def write(self, quota: ResourceQuota) -> Put:
        """What replaces the quota if nobody was faster."""
        ...


class ResourceQuotaPlugin(Plugin):
    name = "ResourceQuota"

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

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

    @asynccontextmanager
    async def beside(self, request: Attributes) -> AsyncIterator[Writes]:
        if not self._changes(await self._ledger.quotas(request.namespace), request):
            yield ()
            return
        turn = self._turns.get(request.namespace)
        if turn is None:
            turn = self._turns[request.namespace] = asyncio.Lock()
        async with turn:
            found = self._changes(await self._ledger.quotas(request.namespace), request)
            try:
                charged = [
                    _charged(quota, delta, request)
                    for quota, delta in found
                    if delta.keys() & quota.status.used.keys()
                ]
            except ExceededError as error:
                raise errors.forbidden(request.resource, request.name, str(error)) from None
            yield [self._ledger.write(quota) for quota in charged]

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


def _charged(quota: ResourceQuota, delta: Usage, request: Attributes) -> ResourceQuota:
    """The quota after a change; a name that is not counted yet is left to whoever counts it."""
    used = quota.status.used
    known = {name: amount for name, amount in delta.items() if name in used}
    if _may_be_refused(request):
        quota.status.used = charge(quota.metadata.name, quota.spec.hard, used, known)
    else:
        quota.status.used = add(used, [known])
    return quota


def _may_be_refused(request: Attributes) -> bool:
    if request.operation is Operation.UPDATE:
        return (request.resource.type, request.subresource) in _WISHES
    return request.operation is Operation.CREATE
