"""Carries autoscalers out: every 15 seconds, and at once when somebody changes one.

Before step 1 of a pod's walk: the size that is set here makes a ReplicaSet and its like create pods. The
use of pods is asked of the same source as `kubectl top`; metrics of other kinds have no source,
which the condition ScalingActive says. Of several metrics the one counts that asks for most pods;
while some are unknown the workload may grow, but not shrink.

What was recommended and changed lately is kept in memory per autoscaler (`pace.Memory`): a restart
forgets it, and takes the size that it finds as the first recommendation.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from api import conditions, quantity, timestamps
from api.autoscalingv2 import (
    ContainerResourceMetricStatus,
    HorizontalPodAutoscaler,
    HorizontalPodAutoscalerCondition,
    HorizontalPodAutoscalerStatus,
    MetricSpec,
    MetricStatus,
    MetricTarget,
    MetricValueStatus,
    ResourceMetricStatus,
)
from api.core import Pod
from api.metrics import PodMetrics
from api.objects import Key
from api.selectors import parse_label_selector
from base.errors import PodwrightError
from control.controllers import indexes
from control.controllers.context import Context
from control.controllers.controller import Controller
from control.controllers.workloads.autoscaling import formula, pace
from control.controllers.workloads.autoscaling.formula import Proposal, Tolerance
from control.controllers.workloads.autoscaling.pace import Memory, Moment
from control.controllers.workloads.autoscaling.samples import UnknownError, requests, samples
from control.controllers.workloads.autoscaling.targets import Target, Targets

PERIOD = 15.0
"""Seconds between two looks at a workload."""

Condition = HorizontalPodAutoscalerCondition
PodUsage = Callable[[str], Awaitable[Sequence[PodMetrics]]]
"""What the pods of a namespace use."""

_FAILURES = {
    "Resource": "FailedGetResourceMetric",
    "ContainerResource": "FailedGetContainerResourceMetric",
    "Pods": "FailedGetPodsMetric",
    "Object": "FailedGetObjectMetric",
    "External": "FailedGetExternalMetric",
}
_SOURCES = {
    "Pods": "custom metrics API: no custom metrics API (custom.metrics.k8s.io) registered",
    "Object": "custom metrics API: no custom metrics API (custom.metrics.k8s.io) registered",
    "External": "external metrics API: no external metrics API (external.metrics.k8s.io) registered",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One metric: what it asks for, its present value, and its name; or why it is unknown."""

    proposal: Proposal | None = None
    status: MetricStatus | None = None
    name: str = ""
    failure: str = ""
    reason: str = ""


@dataclass(slots=True)
class _Round:
    """One look at one autoscaler: its conditions and status while they are made."""

    hpa: HorizontalPodAutoscaler
    now: datetime
    told: list[Condition]

    def tell(self, type_: str, holds: bool, reason: str, message: str) -> None:
        status = "True" if holds else "False"
        condition = Condition(type=type_, status=status, reason=reason, message=message)
        self.told = conditions.put(self.told, condition, now=timestamps.format(self.now))


class AutoscalerController(Controller):
    """Sets sizes, and says why."""

    name = "horizontal-pod-autoscaler"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._autoscalers = context.informers.of(HorizontalPodAutoscaler)
        self._autoscalers.subscribe(self._changed)
        self._pods = context.informers.of(Pod)
        indexes.index_pods(self._pods)
        self._targets = Targets(context.client, context.catalogue)
        self._recorder = context.recorder(self.name)
        self._memories: dict[Key, tuple[str, Memory]] = {}

    def _changed(
        self, old: HorizontalPodAutoscaler | None, new: HorizontalPodAutoscaler | None
    ) -> None:
        """Only what is wanted matters: our own reports are no reason to look again."""
        either = new or old
        if either is not None and (
            old is None or new is None or old.metadata.generation != new.metadata.generation
        ):
            self.enqueue(either)

    async def reconcile(self, key: Key) -> float | None:
        hpa = self._autoscalers.get(key.name, key.namespace)
        if hpa is None or hpa.metadata.deletion_timestamp:
            self._memories.pop(key, None)
            return None
        look = _Round(hpa, self.clock.now(), list(hpa.status.conditions))
        try:
            target = await self._targets.find(hpa.spec.scale_target_ref, key.namespace)
        except PodwrightError as error:
            why = f"the HPA controller was unable to get the target's current scale: {error}"
            look.tell("AbleToScale", False, "FailedGetScale", why)
            self._recorder.event(hpa, "Warning", "FailedGetScale", str(error))
            await self._report(look, msgspec.structs.replace(hpa.status))
            return PERIOD
        look.tell(
            "AbleToScale",
            True,
            "SucceededGetScale",
            "the HPA controller was able to get the target's current scale",
        )
        await self._scale(look, target, self._memory(key, hpa, target))
        return PERIOD

    def _memory(self, key: Key, hpa: HorizontalPodAutoscaler, target: Target) -> Memory:
        uid, now = hpa.metadata.uid, self.clock.monotonic()
        known = self._memories.get(key)
        if known is None or known[0] != uid:
            known = uid, Memory(recommended=[Moment(now, target.replicas)])
            self._memories[key] = known
        known[1].forget(now)
        return known[1]

    async def _scale(self, look: _Round, target: Target, memory: Memory) -> None:
        spec, current = look.hpa.spec, target.replicas
        minimum = 1 if spec.min_replicas is None else spec.min_replicas
        desired, why, seen = current, "", list(look.hpa.status.current_metrics)
        if current == 0:
            look.tell(
                "ScalingActive",
                False,
                "ScalingDisabled",
                "scaling is disabled since the replica count of the target is zero",
            )
        elif current > spec.max_replicas:
            desired, why = spec.max_replicas, "Current number of replicas above Spec.MaxReplicas"
        elif current < minimum:
            desired, why = minimum, "Current number of replicas below Spec.MinReplicas"
        else:
            measured = await self._measure(look, target)
            seen = [one.status for one in measured if one.status is not None]
            best = self._best(look, measured, current)
            if best is None:
                status = msgspec.structs.replace(
                    look.hpa.status, current_replicas=current, current_metrics=seen
                )
                await self._report(look, status)
                return
            desired, why = self._paced(look, best, current, minimum, memory)
        await self._resize(look, target, desired, why, seen, memory)

    def _paced(
        self, look: _Round, best: Measured, current: int, minimum: int, memory: Memory
    ) -> tuple[int, str]:
        """The size to set now, of the one that is asked for."""
        assert best.proposal is not None
        wanted, now, spec = best.proposal.replicas, self.clock.monotonic(), look.hpa.spec
        found = pace.bounded(
            wanted, current, minimum, spec.max_replicas, spec.behavior, memory, now
        )
        memory.recommended.append(Moment(now, wanted))
        look.tell("AbleToScale", True, *found.able)
        look.tell("ScalingLimited", found.limited, *found.limit)
        if wanted > current:
            return found.replicas, f"{best.name} above target"
        return found.replicas, "All metrics below target"

    async def _resize(
        self,
        look: _Round,
        target: Target,
        desired: int,
        why: str,
        seen: list[MetricStatus],
        memory: Memory,
    ) -> None:
        hpa, current = look.hpa, target.replicas
        last = hpa.status.last_scale_time
        if desired != current:
            try:
                await self._targets.resize(target, desired)
            except PodwrightError as error:
                told = f"New size: {desired}; reason: {why}; error: {error}"
                self._recorder.event(hpa, "Warning", "FailedRescale", told)
                told = f"the HPA controller was unable to update the target scale: {error}"
                look.tell("AbleToScale", False, "FailedUpdateScale", told)
                await self._report(
                    look, _status(hpa, current, hpa.status.desired_replicas, seen, last)
                )
                raise
            told = f"the HPA controller was able to update the target scale to {desired}"
            look.tell("AbleToScale", True, "SucceededRescale", told)
            told = f"New size: {desired}; reason: {why}"
            self._recorder.event(hpa, "Normal", "SuccessfulRescale", told)
            memory.changes.append(Moment(self.clock.monotonic(), desired - current))
            last = timestamps.format(look.now)
        await self._report(look, _status(hpa, current, desired, seen, last))

    async def _report(self, look: _Round, status: HorizontalPodAutoscalerStatus) -> None:
        status.observed_generation = look.hpa.metadata.generation
        status.conditions = look.told
        if status != look.hpa.status:
            changed = msgspec.structs.replace(look.hpa, status=status)
            await self.client.update(changed, subresource="status")

    # Metrics

    async def _measure(self, look: _Round, target: Target) -> list[Measured]:
        """Every metric; an empty list when the target does not say which pods are its own."""
        if not target.selector:
            text = "the HPA target's scale is missing a selector"
            look.tell("ScalingActive", False, "InvalidSelector", text)
            self._recorder.event(look.hpa, "Warning", "SelectorRequired", "selector is required")
            return []
        try:
            selector = parse_label_selector(target.selector)
        except ValueError as error:
            text = "couldn't convert selector into a corresponding internal selector object: "
            look.tell("ScalingActive", False, "InvalidSelector", f"{text}{error}")
            return []
        mine = indexes.matching(self._pods, look.hpa.metadata.namespace, selector)
        return [
            await self._one(look, metric, target.replicas, mine) for metric in look.hpa.spec.metrics
        ]

    async def _one(
        self, look: _Round, metric: MetricSpec, current: int, mine: Sequence[Pod]
    ) -> Measured:
        reason = _FAILURES.get(metric.type, "InvalidMetricSourceType")
        source = metric.resource or metric.container_resource
        if source is None:
            named = metric.pods or metric.object or metric.external
            name = named.metric.name if named is not None else metric.type
            why = (
                f"unable to get metric {name}: unable to fetch metrics from "
                f"{_SOURCES.get(metric.type, 'an unknown source')}"
            )
            return Measured(failure=why, reason=reason)
        container = metric.container_resource.container if metric.container_resource else ""
        by_use = source.target.average_utilization is not None
        try:
            proposal = await self._propose(
                look, source.name, container, source.target, current, mine
            )
        except (UnknownError, PodwrightError) as error:
            what = "utilization" if by_use else "usage"
            return Measured(failure=f"failed to get {source.name} {what}: {error}", reason=reason)
        kind = "container resource" if container else "resource"
        name = f"{source.name} {kind}"
        if by_use:
            name += " utilization (percentage of request)"
        shown = _shown(metric.type, source.name, container, proposal)
        return Measured(proposal=proposal, status=shown, name=name)

    async def _propose(
        self,
        look: _Round,
        resource: str,
        container: str,
        target: MetricTarget,
        current: int,
        mine: Sequence[Pod],
    ) -> Proposal:
        if not mine:
            raise UnknownError("no pods returned by selector while calculating replica count")
        names = {pod.metadata.name for pod in mine}
        used = await self._usage(look.hpa.metadata.namespace, resource)
        found = samples(
            [one for one in used if one.metadata.name in names], resource, container, look.now
        )
        if not found:
            raise UnknownError(
                f"unable to get metrics for resource {resource}: "
                "no metrics returned from resource metrics API"
            )
        groups = formula.grouped(mine, found, resource, look.now)
        tolerance = _tolerance(look.hpa)
        if target.average_utilization is not None:
            asked = requests(mine, resource, container)
            return formula.by_utilization(
                current, target.average_utilization, found, asked, groups, tolerance
            )
        wanted = quantity.milli(target.average_value or "0")
        return formula.by_average(current, wanted, found, groups, tolerance)

    async def _usage(self, namespace: str, resource: str) -> Sequence[PodMetrics]:
        source = self.context.pod_usage
        if source is None:
            raise UnknownError(
                f"unable to get metrics for resource {resource}: unable to fetch metrics from "
                "resource metrics API: the server could not find the requested resource"
            )
        return await source(namespace)

    def _best(self, look: _Round, measured: Sequence[Measured], current: int) -> Measured | None:
        """What asks for most pods; None while too little is known to change anything."""
        if not measured:
            return None
        good = [one for one in measured if one.proposal is not None]
        bad = [one for one in measured if one.proposal is None]
        best = max(good, key=lambda one: one.proposal.replicas if one.proposal else 0, default=None)
        for one in bad:
            self._recorder.event(look.hpa, "Warning", one.reason, one.failure)
        shrinks = (
            best is not None and best.proposal is not None and best.proposal.replicas < current
        )
        if best is None or (bad and shrinks):
            first = bad[0]
            why = f"the HPA was unable to compute the replica count: {first.failure}"
            look.tell("ScalingActive", False, first.reason, why)
            self._recorder.event(
                look.hpa,
                "Warning",
                "FailedComputeMetricsReplicas",
                f"invalid metrics ({len(bad)} invalid out of {len(measured)}), "
                f"first error is: {first.failure}",
            )
            return None
        text = f"the HPA was able to successfully calculate a replica count from {best.name}"
        look.tell("ScalingActive", True, "ValidMetricFound", text)
        return best


def _tolerance(hpa: HorizontalPodAutoscaler) -> Tolerance:
    behavior = hpa.spec.behavior
    up = behavior.scale_up.tolerance if behavior and behavior.scale_up else None
    down = behavior.scale_down.tolerance if behavior and behavior.scale_down else None
    return Tolerance(up=_fraction(up), down=_fraction(down))


def _fraction(text: str | None) -> float:
    return formula.TOLERANCE if text is None else float(quantity.parse(text).decimal)


def _shown(type_: str, resource: str, container: str, proposal: Proposal) -> MetricStatus:
    current = MetricValueStatus(
        average_value=quantity.from_milli(proposal.average),
        average_utilization=proposal.utilization,
    )
    if container:
        of_container = ContainerResourceMetricStatus(
            name=resource, container=container, current=current
        )
        return MetricStatus(type=type_, container_resource=of_container)
    return MetricStatus(type=type_, resource=ResourceMetricStatus(name=resource, current=current))


def _status(
    hpa: HorizontalPodAutoscaler,
    current: int,
    desired: int,
    seen: list[MetricStatus],
    last: str | None,
) -> HorizontalPodAutoscalerStatus:
    return msgspec.structs.replace(
        hpa.status,
        current_replicas=current,
        desired_replicas=desired,
        current_metrics=seen,
        last_scale_time=last,
    )
