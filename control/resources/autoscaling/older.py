"""autoscaling/v1: an autoscaler by CPU alone; all else that v2 says stands in annotations.

The annotations are Kubernetes' own (`autoscaling.alpha.kubernetes.io/…`), so that a manifest that
was read as v1 and is applied again makes the same autoscaler. They exist only in this version: what
is stored has none of them. One that cannot be read counts as if it was not there. What they cannot
say (the order of a CPU metric among others) survives changes by clients of this version (`keep`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from api import autoscaling as v1
from api import autoscalingv2 as v2
from api.codec import decode
from api.errors import ApiError
from api.meta import ObjectMeta
from api.scheme import resource_of
from api.struct import ApiStruct
from control.resources.autoscaling import legacy
from control.resources.autoscaling.autoscaler import STRATEGY
from control.resources.columns import converted
from control.resources.strategy import Strategy

T = TypeVar("T", bound=ApiStruct)

_PREFIX = "autoscaling.alpha.kubernetes.io/"
METRICS = f"{_PREFIX}metrics"
CURRENT_METRICS = f"{_PREFIX}current-metrics"
CONDITIONS = f"{_PREFIX}conditions"
BEHAVIOR = f"{_PREFIX}behavior"
_OURS = (METRICS, CURRENT_METRICS, CONDITIONS, BEHAVIOR)
_CPU = "cpu"


def to_served(obj: v2.HorizontalPodAutoscaler) -> v1.HorizontalPodAutoscaler:
    """An autoscaler in the older words."""
    spec, status = obj.spec, obj.status
    cpu = next((metric for metric in spec.metrics if _use(metric) is not None), None)
    others = [legacy.metric(metric) for metric in spec.metrics if metric is not cpu]
    seen = next((use for one in status.current_metrics if (use := _seen(one)) is not None), None)
    said = {
        METRICS: others,
        CURRENT_METRICS: [legacy.status(one) for one in status.current_metrics],
        CONDITIONS: msgspec.to_builtins(status.conditions),
        BEHAVIOR: legacy.behavior(spec.behavior) if spec.behavior is not None else None,
    }
    return v1.HorizontalPodAutoscaler(
        metadata=_with(
            obj.metadata,
            {name: _text(held) for name, held in said.items() if held not in ([], None)},
        ),
        spec=v1.HorizontalPodAutoscalerSpec(
            scale_target_ref=_reference(v1.CrossVersionObjectReference, spec.scale_target_ref),
            min_replicas=spec.min_replicas,
            max_replicas=spec.max_replicas,
            target_cpu_utilization_percentage=None if cpu is None else _use(cpu),
        ),
        status=v1.HorizontalPodAutoscalerStatus(
            observed_generation=status.observed_generation,
            last_scale_time=status.last_scale_time,
            current_replicas=status.current_replicas,
            desired_replicas=status.desired_replicas,
            current_cpu_utilization_percentage=seen,
        ),
    )


def to_stored(obj: v1.HorizontalPodAutoscaler) -> v2.HorizontalPodAutoscaler:
    """An autoscaler in the older words as it is kept."""
    spec, status, said = obj.spec, obj.status, obj.metadata.annotations
    metrics = _list(said.get(METRICS), legacy.metric_of, v2.MetricSpec)
    if spec.target_cpu_utilization_percentage is not None:
        metrics.append(_by_use(spec.target_cpu_utilization_percentage))
    seen = _list(said.get(CURRENT_METRICS), legacy.status_of, v2.MetricStatus)
    if not seen and status.current_cpu_utilization_percentage is not None:
        seen = [_seen_use(status.current_cpu_utilization_percentage)]
    return v2.HorizontalPodAutoscaler(
        metadata=_with(obj.metadata, {}),
        spec=v2.HorizontalPodAutoscalerSpec(
            scale_target_ref=_reference(v2.CrossVersionObjectReference, spec.scale_target_ref),
            min_replicas=spec.min_replicas,
            max_replicas=spec.max_replicas,
            metrics=metrics,
            behavior=_behavior(said.get(BEHAVIOR)),
        ),
        status=v2.HorizontalPodAutoscalerStatus(
            observed_generation=status.observed_generation,
            last_scale_time=status.last_scale_time,
            current_replicas=status.current_replicas,
            desired_replicas=status.desired_replicas,
            current_metrics=seen,
            conditions=_list(
                said.get(CONDITIONS), lambda tree: tree, v2.HorizontalPodAutoscalerCondition
            ),
        ),
    )


def keep(new: v2.HorizontalPodAutoscaler, old: v2.HorizontalPodAutoscaler) -> None:
    """What looks as before in this version is as before."""
    after, before = to_served(new), to_served(old)
    use = after.spec.target_cpu_utilization_percentage
    if use == before.spec.target_cpu_utilization_percentage and _same(after, before, METRICS):
        new.spec.metrics = old.spec.metrics
    seen = after.status.current_cpu_utilization_percentage
    if seen == before.status.current_cpu_utilization_percentage and _same(
        after, before, CURRENT_METRICS
    ):
        new.status.current_metrics = old.status.current_metrics


def _same(after: v1.HorizontalPodAutoscaler, before: v1.HorizontalPodAutoscaler, name: str) -> bool:
    return after.metadata.annotations.get(name) == before.metadata.annotations.get(name)


def _with(metadata: ObjectMeta, said: dict[str, str]) -> ObjectMeta:
    """Metadata with these annotations instead of those that it may have; a copy."""
    others = {name: text for name, text in metadata.annotations.items() if name not in _OURS}
    return msgspec.structs.replace(metadata, annotations={**others, **said})


def _reference(type_: type[T], about: Any) -> T:
    return type_(kind=about.kind, name=about.name, api_version=about.api_version)


def _use(metric: v2.MetricSpec) -> int | None:
    """The target in percent of a metric by the use of CPU, which this version has a field for."""
    source = metric.resource
    if metric.type != "Resource" or source is None or source.name != _CPU:
        return None
    return source.target.average_utilization


def _seen(status: v2.MetricStatus) -> int | None:
    source = status.resource
    if status.type != "Resource" or source is None or source.name != _CPU:
        return None
    return source.current.average_utilization


def _by_use(percent: int) -> v2.MetricSpec:
    target = v2.MetricTarget(type="Utilization", average_utilization=percent)
    source = v2.ResourceMetricSource(name=_CPU, target=target)
    return v2.MetricSpec(type="Resource", resource=source)


def _seen_use(percent: int) -> v2.MetricStatus:
    current = v2.MetricValueStatus(average_utilization=percent)
    source = v2.ResourceMetricStatus(name=_CPU, current=current)
    return v2.MetricStatus(type="Resource", resource=source)


def _text(said: Any) -> str:
    return msgspec.json.encode(said).decode()


def _list(
    text: str | None, turned: Callable[[dict[str, Any]], dict[str, Any]], type_: type[T]
) -> list[T]:
    """The objects of an annotation; none if one of them cannot be read."""
    trees = _read(text)
    if not isinstance(trees, list) or not all(isinstance(tree, dict) for tree in trees):
        return []
    try:
        return [_made(turned(tree), type_) for tree in trees]
    except (ApiError, AttributeError, TypeError):
        return []


def _behavior(text: str | None) -> v2.HorizontalPodAutoscalerBehavior | None:
    tree = _read(text)
    if not isinstance(tree, dict):
        return None
    try:
        return _made(legacy.behavior_of(tree), v2.HorizontalPodAutoscalerBehavior)
    except ApiError:
        return None


def _read(text: str | None) -> Any:
    try:
        return msgspec.json.decode(text or "null")
    except msgspec.MsgspecError:
        return None


def _made(tree: dict[str, Any], type_: type[T]) -> T:
    made: T = decode.convert(tree, type_, "Ignore").obj
    return made


class OlderRules(Strategy[v1.HorizontalPodAutoscaler]):
    """The columns of v2, printed of v1."""

    def __init__(self) -> None:
        super().__init__(resource_of(v1.HorizontalPodAutoscaler))
        self.columns = converted(STRATEGY.columns, to_stored)


RULES = OlderRules()
