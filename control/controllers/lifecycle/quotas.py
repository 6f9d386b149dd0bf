"""Counts what namespaces use of their quotas: when a quota comes or changes, and now and then.

Serves step 1 of a pod's walk. From then on every write charges its quotas itself
(`control/admission/resourcequota.py`), so usage is exact between two counts, and nothing has to be
followed; a count only finds what changes without a write (a pod that ought to be gone, because its
node does not tell), what was made while the plugin was off, and what somebody wrote into a status by
hand.

Invariant: a count that is written is of objects no older than the quota that it replaces, and nothing
was charged in between: both are reads of the present, and the write compares the revision. What was on
its way while a quota had no usage yet is found by counting again after the first write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

import msgspec

from api import quantity
from api.core import Pod, ResourceQuota, ResourceQuotaStatus
from api.errors import is_not_found
from api.objects import Key
from api.pods import is_terminal
from api.scheme import Catalogue, Resource
from base.errors import PodwrightError
from base.tasks import TaskGuard
from control.admission.quota.charging import add, counted
from control.admission.quota.usage import Usage, may_use, overdue_at
from control.controllers.context import Context
from control.controllers.controller import Controller

PERIOD_SECONDS = 300.0
"""As kube-controller-manager's `--resource-quota-sync-period`."""
_ROUNDS = 3
_SLICE = 100
_AFTER_SECONDS = 0.1
_NAMESPACE = "namespace"


class QuotaController(Controller):
    """One entry per quota; a burst of reasons is one count."""

    name = "resourcequota-controller"
    workers = 1

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._quotas = context.informers.of(ResourceQuota)
        self._quotas.add_index(_NAMESPACE, lambda quota: [quota.metadata.namespace])
        self._quotas.subscribe(self._quota_changed)
        context.informers.of(Pod).subscribe(self._pod_changed)

    def start(self, guard: TaskGuard) -> None:
        super().start(guard)
        self.every(guard, PERIOD_SECONDS, self._count_all)

    def _count_all(self) -> None:
        for quota in self._quotas.items():
            self.enqueue(quota)

    def _quota_changed(self, old: ResourceQuota | None, new: ResourceQuota | None) -> None:
        if new is not None and (old is None or not is_counted(new)):
            self.enqueue(new)

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        if new is None or is_terminal(new):
            return
        until = overdue_at(new)
        if until is None:
            return
        seconds = (until - self.clock.now()).total_seconds() + _AFTER_SECONDS
        for quota in self._quotas.by_index(_NAMESPACE, new.metadata.namespace):
            self.queue.add_after(Key(quota.metadata.namespace, quota.metadata.name), seconds)

    async def reconcile(self, key: Key) -> float | None:
        try:
            quota = await self.client.get(ResourceQuota, key.name, key.namespace)
            for _ in range(_ROUNDS):
                used = await self._count(quota)
                if is_counted(quota) and same(quota.status.used, used):
                    return None
                status = ResourceQuotaStatus(hard=quota.spec.hard, used=used)
                quota = await self.client.update(
                    msgspec.structs.replace(quota, status=status), subresource="status"
                )
        except PodwrightError as error:
            if is_not_found(error):
                return None  # it is gone
            raise
        return 0.0

    async def _count(self, quota: ResourceQuota) -> Usage:
        now = self.clock.now()
        found = dict.fromkeys(quota.spec.hard, "0")
        for resource in counted_kinds(self.context.catalogue, quota.spec.hard):
            listed = await self.client.list(resource.type, quota.metadata.namespace)
            for start in range(0, len(listed.items), _SLICE):
                some = listed.items[start : start + _SLICE]
                found = add(found, (counted(quota, resource, obj, now) for obj in some))
                await asyncio.sleep(0)  # others want the loop, too
        return found


def counted_kinds(catalogue: Catalogue, names: Iterable[str]) -> list[Resource]:
    """The kinds whose objects a quota over these names counts."""
    wanted = list(names)
    return [
        resource
        for resource in catalogue.stored()
        if resource.namespaced and any(may_use(resource, name) for name in wanted)
    ]


def is_counted(quota: ResourceQuota) -> bool:
    """Whether the status speaks of what the spec limits."""
    hard, status = quota.spec.hard, quota.status
    return same(status.hard, hard) and status.used.keys() == hard.keys()


def same(left: Mapping[str, str], right: Mapping[str, str]) -> bool:
    """Whether the amounts are equal, however they are written."""
    return left.keys() == right.keys() and all(
        quantity.compare(amount, right[name]) == 0 for name, amount in left.items()
    )
