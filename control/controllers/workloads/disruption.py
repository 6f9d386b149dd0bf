"""Keeps the figures of disruption budgets: how many pods of an application may be evicted now.

Serves step 7 of a pod's walk (`control/apiserver/registry/evicting.py` asks the figures). Rules: KEP-85
and "Specifying a Disruption Budget for your Application". A budget in percent, or with
`maxUnavailable`, counts against what the pods' controllers want (`scales.py`); a number of `minAvailable`
against the pods that there are.

An eviction that was granted is in `disruptedPods` until its pod is seen to be going; for so long the
pod counts as gone, whatever the informer shows. Both sides write the status under the version they
read, so neither overlooks the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from api import conditions, intstr, pods, timestamps
from api.core import Pod
from api.meta import Condition
from api.objects import Key
from api.policy import (
    PodDisruptionBudget,
    PodDisruptionBudgetSpec,
    PodDisruptionBudgetStatus,
)
from api.selectors import from_label_selector
from control.controllers import indexes
from control.controllers.context import Context
from control.controllers.controller import Controller
from control.controllers.workloads.scales import Scales, UnknownScaleError

DELETION_SECONDS = 120.0
"""How long a granted eviction may take until the pod is seen to be going; then it counts no more."""
AGAIN_SECONDS = 30.0
"""When to look again for a controller that could not be found."""
_CONDITION = "DisruptionAllowed"
_UNMANAGED = (
    "Pods selected by this PodDisruptionBudget (selector: {selector}) were found to be unmanaged. As a "
    "result, the status of the PDB cannot be calculated correctly, which may result in undefined "
    'behavior. To account for these pods please set ".spec.minAvailable" field of the PDB to an '
    "integer value."
)


@dataclass(frozen=True, slots=True)
class Expected:
    """How many pods there should be, and how many of them must be healthy."""

    pods: int
    healthy: int


class DisruptionController(Controller):
    """One entry per budget."""

    name = "disruption"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._budgets = context.informers.of(PodDisruptionBudget)
        self._pods = context.informers.of(Pod)
        self._scales = Scales(context.client, context.catalogue)
        self._recorder = context.recorder("controllermanager")
        indexes.index_pods(self._pods)
        indexes.index_selecting(self._budgets, _pairs)
        self.watch_own(PodDisruptionBudget)
        self._pods.subscribe(self._pod_changed)

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        if old is not None and new is not None and _looks(old) == _looks(new):
            return
        for pod in (one for one in (old, new) if one is not None):
            for budget in indexes.perhaps_selecting(self._budgets, pod):
                if from_label_selector(budget.spec.selector).matches(pod.metadata.labels):
                    self.enqueue(budget)

    async def reconcile(self, key: Key) -> float | None:
        budget = self._budgets.get(key.name, key.namespace)
        if budget is None or budget.metadata.deletion_timestamp is not None:
            return None
        found, now = self._selected(budget), self.clock.now()
        awaited = still_awaited(budget.status.disrupted_pods, found, now)
        try:
            wanted = await self._expected(budget, found)
        except UnknownScaleError as error:
            self._recorder.event(
                budget,
                "Warning",
                "CalculateExpectedPodCountFailed",
                f"Failed to calculate the number of expected pods: {error}",
            )
            await self._write(budget, failed(budget, str(error), now))
            return AGAIN_SECONDS
        self._tell_overdue(budget, found, awaited)
        await self._write(budget, status_of(budget, found, wanted, awaited, now))
        return next_look(awaited, now)

    async def _expected(self, budget: PodDisruptionBudget, found: Sequence[Pod]) -> Expected:
        if not needs_scale(budget.spec):
            return expected(budget.spec, len(found))
        scale, unmanaged = await self._scales.total(found)
        if unmanaged:
            shown = from_label_selector(budget.spec.selector)
            text = _UNMANAGED.format(selector=shown)
            self._recorder.event(budget, "Warning", "UnmanagedPods", text)
        return expected(budget.spec, scale)

    async def _write(self, budget: PodDisruptionBudget, status: PodDisruptionBudgetStatus) -> None:
        if status == budget.status:
            return
        if not status.expected_pods:
            self._recorder.event(budget, "Normal", "NoPods", "No matching pods found")
        await self.client.update(
            msgspec.structs.replace(budget, status=status), subresource="status"
        )

    def _selected(self, budget: PodDisruptionBudget) -> list[Pod]:
        selector = from_label_selector(budget.spec.selector)
        return indexes.matching(self._pods, budget.metadata.namespace, selector)

    def _tell_overdue(
        self, budget: PodDisruptionBudget, found: Sequence[Pod], awaited: Mapping[str, str]
    ) -> None:
        granted = budget.status.disrupted_pods
        for pod in found:
            name = pod.metadata.name
            if name in granted and name not in awaited and not pods.is_terminating(pod):
                text = (
                    f"Pod was expected by PDB {budget.metadata.namespace}/{budget.metadata.name} "
                    "to be deleted but it wasn't"
                )
                self._recorder.event(pod, "Warning", "NotDeleted", text)


def _pairs(budget: PodDisruptionBudget) -> Mapping[str, str]:
    return budget.spec.selector.match_labels if budget.spec.selector else {}


def _looks(pod: Pod) -> tuple[object, ...]:
    """What of a pod budgets look at."""
    return pod.metadata.labels, pods.is_terminating(pod), pods.is_ready(pod)


def needs_scale(spec: PodDisruptionBudgetSpec) -> bool:
    """Whether the budget speaks of a part of what there should be."""
    return spec.max_unavailable is not None or isinstance(spec.min_available, str)


def expected(spec: PodDisruptionBudgetSpec, count: int) -> Expected:
    """What the budget means of `count` pods. Percentages are rounded up, as documented."""
    if spec.max_unavailable is not None:
        missing = intstr.resolve(spec.max_unavailable, count, round_up=True)
        return Expected(count, max(0, count - missing))
    if spec.min_available is not None:
        return Expected(count, intstr.resolve(spec.min_available, count, round_up=True))
    return Expected(0, 0)


def still_awaited(
    granted: Mapping[str, str | None], found: Sequence[Pod], now: datetime
) -> dict[str, str]:
    """Granted evictions whose pods are not seen to be going yet, with the moment; not for ever."""
    awaited = {}
    for pod in found:
        since = granted.get(pod.metadata.name)
        if since and not pods.is_terminating(pod) and now <= _ends(since):
            awaited[pod.metadata.name] = since
    return awaited


def next_look(awaited: Mapping[str, str], now: datetime) -> float | None:
    """Seconds until the first of them is awaited no longer."""
    left = [(_ends(since) - now).total_seconds() for since in awaited.values()]
    return max(min(left), 0.0) + 1.0 if left else None


def _ends(since: str) -> datetime:
    return timestamps.parse(since) + timedelta(seconds=DELETION_SECONDS)


def status_of(
    budget: PodDisruptionBudget,
    found: Sequence[Pod],
    wanted: Expected,
    awaited: Mapping[str, str],
    now: datetime,
) -> PodDisruptionBudgetStatus:
    """The figures that these pods make."""
    healthy = sum(
        pods.is_ready(pod) and not pods.is_terminating(pod) and pod.metadata.name not in awaited
        for pod in found
    )
    # With no pods expected nothing may go: the first ones may come before this is looked at again.
    allowed = max(0, healthy - wanted.healthy) if wanted.pods > 0 else 0
    reason = "SufficientPods" if allowed else "InsufficientPods"
    return PodDisruptionBudgetStatus(
        observed_generation=budget.metadata.generation,
        disrupted_pods=dict(awaited),
        disruptions_allowed=allowed,
        current_healthy=healthy,
        desired_healthy=wanted.healthy,
        expected_pods=wanted.pods,
        conditions=_told(budget, bool(allowed), reason, "", budget.metadata.generation, now),
    )


def failed(budget: PodDisruptionBudget, why: str, now: datetime) -> PodDisruptionBudgetStatus:
    """Nothing may go while the figures are unknown."""
    status = budget.status
    told = _told(budget, False, "SyncFailed", why, status.observed_generation, now)
    return msgspec.structs.replace(status, disruptions_allowed=0, conditions=told)


def _told(
    budget: PodDisruptionBudget,
    allowed: bool,
    reason: str,
    message: str,
    generation: int,
    now: datetime,
) -> list[Condition]:
    condition = Condition(
        type=_CONDITION,
        status="True" if allowed else "False",
        observed_generation=generation,
        last_transition_time=None,
        reason=reason,
        message=message,
    )
    return conditions.put(budget.status.conditions, condition, now=timestamps.format(now))
