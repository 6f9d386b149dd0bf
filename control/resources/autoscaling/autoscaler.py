"""HorizontalPodAutoscaler: what to scale, between which sizes, by which metrics, how fast.

Serves the workloads whose pods set out on the walk. Kept as autoscaling/v2, which says everything;
`control.resources.autoscaling.older` shows it as v1. Rules and defaults are those of the API
reference and of the task page "Horizontal Pod Autoscaling".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from api import quantity, validation
from api.autoscalingv2 import (
    CrossVersionObjectReference,
    HorizontalPodAutoscaler,
    HorizontalPodAutoscalerBehavior,
    HPAScalingPolicy,
    HPAScalingPolicyType,
    HPAScalingRules,
    MetricIdentifier,
    MetricSourceType,
    MetricSpec,
    MetricTarget,
    MetricTargetType,
    ResourceMetricSource,
    ScalingPolicySelect,
)
from api.fielderrors import FieldError, Path, forbidden, invalid, required
from api.scheme import resource_of
from control.resources.autoscaling.cells import metrics, reference
from control.resources.checks import (
    check_enum,
    check_non_negative,
    check_selector,
    check_text,
    enum_values,
)
from control.resources.strategy import Column, Strategy

DEFAULT_CPU = 80
MAX_WINDOW = 3600
MAX_PERIOD = 1800


class AutoscalerStrategy(Strategy[HorizontalPodAutoscaler]):
    """A range of sizes and at least one metric; the status is its controller's."""

    columns = (
        Column("Reference", "string", lambda hpa, now: reference(hpa)),
        Column("Targets", "string", lambda hpa, now: metrics(hpa)),
        Column("MinPods", "string", lambda hpa, now: _minimum(hpa)),
        Column("MaxPods", "integer", lambda hpa, now: hpa.spec.max_replicas),
        Column("Replicas", "integer", lambda hpa, now: hpa.status.current_replicas),
    )

    def default(self, obj: HorizontalPodAutoscaler) -> None:
        spec = obj.spec
        if spec.min_replicas is None:
            spec.min_replicas = 1
        if not spec.metrics:
            spec.metrics = [_default_metric()]
        if spec.behavior is not None:
            spec.behavior = completed(spec.behavior)

    def validate(self, obj: HorizontalPodAutoscaler) -> list[FieldError]:
        path, spec = Path("spec"), obj.spec
        errors: list[FieldError] = []
        if spec.min_replicas is not None and spec.min_replicas < 1:
            where = path.child("minReplicas")
            errors.append(invalid(where, spec.min_replicas, "must be greater than or equal to 1"))
        where = path.child("maxReplicas")
        if spec.max_replicas < 1:
            errors.append(invalid(where, spec.max_replicas, "must be greater than 0"))
        if spec.min_replicas is not None and spec.max_replicas < spec.min_replicas:
            errors.append(
                invalid(where, spec.max_replicas, "must be greater than or equal to `minReplicas`")
            )
        errors += _object_errors(path.child("scaleTargetRef"), spec.scale_target_ref)
        for number, metric in enumerate(spec.metrics):
            errors += _metric_errors(path.child("metrics").index(number), metric)
        if spec.behavior is not None:
            where = path.child("behavior")
            for name, rules in (
                ("scaleUp", spec.behavior.scale_up),
                ("scaleDown", spec.behavior.scale_down),
            ):
                errors += _rules_errors(where.child(name), rules)
        return errors

    def validate_subresource(
        self, subresource: str, new: HorizontalPodAutoscaler, old: HorizontalPodAutoscaler
    ) -> list[FieldError]:
        path, status = Path("status"), new.status
        return [
            *check_non_negative(path.child("currentReplicas"), status.current_replicas),
            *check_non_negative(path.child("desiredReplicas"), status.desired_replicas),
        ]


def completed(behavior: HorizontalPodAutoscalerBehavior) -> HorizontalPodAutoscalerBehavior:
    """A behavior with what its rules leave out: what holds where nothing is said at all."""
    up, down = behavior.scale_up or HPAScalingRules(), behavior.scale_down or HPAScalingRules()
    window = up.stabilization_window_seconds
    return HorizontalPodAutoscalerBehavior(
        scale_up=HPAScalingRules(
            stabilization_window_seconds=0 if window is None else window,
            select_policy=up.select_policy or "Max",
            policies=up.policies or [_policy("Pods", 4), _policy("Percent", 100)],
            tolerance=up.tolerance,
        ),
        scale_down=HPAScalingRules(
            stabilization_window_seconds=down.stabilization_window_seconds,
            select_policy=down.select_policy or "Max",
            policies=down.policies or [_policy("Percent", 100)],
            tolerance=down.tolerance,
        ),
    )


def _policy(type_: str, value: int) -> HPAScalingPolicy:
    return HPAScalingPolicy(type=type_, value=value, period_seconds=15)


def _default_metric() -> MetricSpec:
    target = MetricTarget(type="Utilization", average_utilization=DEFAULT_CPU)
    return MetricSpec(type="Resource", resource=ResourceMetricSource(name="cpu", target=target))


def _minimum(hpa: HorizontalPodAutoscaler) -> str:
    return "<unset>" if hpa.spec.min_replicas is None else str(hpa.spec.min_replicas)


def _object_errors(path: Path, about: CrossVersionObjectReference) -> Iterator[FieldError]:
    yield from check_text(path.child("kind"), about.kind, validation.path_segment)
    yield from check_text(path.child("name"), about.name, validation.path_segment)
    if about.api_version.count("/") > 1:
        why = f"unexpected GroupVersion string: {about.api_version}"
        yield invalid(path.child("apiVersion"), about.api_version, why)


def _metric_errors(path: Path, metric: MetricSpec) -> Iterator[FieldError]:
    """Exactly the source that the type names."""
    if not metric.type:
        yield required(path.child("type"), "must specify a metric source type")
    yield from check_enum(path.child("type"), metric.type, MetricSourceType)
    present = {field: source for field, source in _sources(metric).items() if source is not None}
    for field, source in present.items():
        yield from _SOURCES[field](path.child(field), source)
    expected = metric.type[:1].lower() + metric.type[1:]
    if metric.type in enum_values(MetricSourceType) and expected not in present:
        yield required(
            path.child(expected), "must populate information for the given metric source"
        )
    for field in present:
        if len(present) > 1 and field != expected:
            yield forbidden(path.child(field), "must populate the given metric source only")


def _sources(metric: MetricSpec) -> dict[str, Any]:
    return {
        "object": metric.object,
        "external": metric.external,
        "pods": metric.pods,
        "resource": metric.resource,
        "containerResource": metric.container_resource,
    }


def _object_source(path: Path, source: Any) -> Iterator[FieldError]:
    yield from _object_errors(path.child("describedObject"), source.described_object)
    yield from _identifier_errors(path.child("metric"), source.metric)
    yield from _whole_or_average(path.child("target"), source.target)


def _external_source(path: Path, source: Any) -> Iterator[FieldError]:
    target = path.child("target")
    yield from _identifier_errors(path.child("metric"), source.metric)
    yield from _whole_or_average(target, source.target)
    if source.target.value is not None and source.target.average_value is not None:
        why = "may not set both a target value for metric and a per-pod target"
        yield forbidden(target.child("value"), why)


def _pods_source(path: Path, source: Any) -> Iterator[FieldError]:
    target = path.child("target")
    yield from _identifier_errors(path.child("metric"), source.metric)
    yield from _target_errors(target, source.target)
    if source.target.average_value is None:
        yield required(target.child("averageValue"), "must specify a positive target averageValue")


def _resource_source(path: Path, source: Any) -> Iterator[FieldError]:
    if not source.name:
        yield required(path.child("name"), "must specify a resource name")
    target = path.child("target")
    yield from _target_errors(target, source.target)
    by_value, by_use = source.target.average_value, source.target.average_utilization
    if by_value is None and by_use is None:
        yield required(
            target.child("averageUtilization"),
            "must set either a target raw value or a target utilization",
        )
    if by_value is not None and by_use is not None:
        yield forbidden(
            target.child("averageValue"),
            "may not set both a target raw value and a target utilization",
        )


def _container_source(path: Path, source: Any) -> Iterator[FieldError]:
    yield from _resource_source(path, source)
    if not source.container:
        yield required(path.child("container"), "must specify a container")


_SOURCES: Mapping[str, Callable[[Path, Any], Iterator[FieldError]]] = {
    "object": _object_source,
    "external": _external_source,
    "pods": _pods_source,
    "resource": _resource_source,
    "containerResource": _container_source,
}


def _whole_or_average(path: Path, target: MetricTarget) -> Iterator[FieldError]:
    yield from _target_errors(path, target)
    if target.value is None and target.average_value is None:
        yield required(
            path.child("averageValue"),
            "must set either a target value for metric or a per-pod target",
        )


def _target_errors(path: Path, target: MetricTarget) -> Iterator[FieldError]:
    if not target.type:
        yield required(path.child("type"), "must specify a metric target type")
    if target.type not in enum_values(MetricTargetType):
        why = "must be either Utilization, Value, or AverageValue"
        yield invalid(path.child("type"), target.type, why)
    for name, value in (("value", target.value), ("averageValue", target.average_value)):
        if value is not None and quantity.parse(value).nano <= 0:
            yield invalid(path.child(name), value, "must be positive")
    use = target.average_utilization
    if use is not None and use < 1:
        yield invalid(path.child("averageUtilization"), use, "must be greater than 0")


def _identifier_errors(path: Path, metric: MetricIdentifier) -> Iterator[FieldError]:
    if not metric.name:
        yield required(path.child("name"), "must specify a metric name")
    for why in validation.path_segment(metric.name) if metric.name else ():
        yield invalid(path.child("name"), metric.name, why)
    if metric.selector is not None:
        yield from check_selector(path.child("selector"), metric.selector)


def _rules_errors(path: Path, rules: HPAScalingRules | None) -> Iterator[FieldError]:
    if rules is None:
        return
    where, window = path.child("stabilizationWindowSeconds"), rules.stabilization_window_seconds
    if window is not None and window < 0:
        yield invalid(where, window, "must be greater than or equal to zero")
    if window is not None and window > MAX_WINDOW:
        yield invalid(where, window, f"must be less than or equal to {MAX_WINDOW}")
    yield from check_enum(path.child("selectPolicy"), rules.select_policy, ScalingPolicySelect)
    policies = path.child("policies")
    if not rules.policies:
        yield required(policies, "must specify at least one Policy")
    for number, policy in enumerate(rules.policies):
        yield from _policy_errors(policies.index(number), policy)
    if rules.tolerance is not None and quantity.parse(rules.tolerance).nano < 0:
        why = "must be greater than or equal to zero"
        yield invalid(path.child("tolerance"), rules.tolerance, why)


def _policy_errors(path: Path, policy: HPAScalingPolicy) -> Iterator[FieldError]:
    yield from check_enum(path.child("type"), policy.type, HPAScalingPolicyType, needed=True)
    if policy.value <= 0:
        yield invalid(path.child("value"), policy.value, "must be greater than zero")
    period = path.child("periodSeconds")
    if policy.period_seconds <= 0:
        yield invalid(period, policy.period_seconds, "must be greater than zero")
    if policy.period_seconds > MAX_PERIOD:
        why = f"must be less than or equal to {MAX_PERIOD}"
        yield invalid(period, policy.period_seconds, why)


STRATEGY = AutoscalerStrategy(resource_of(HorizontalPodAutoscaler))
