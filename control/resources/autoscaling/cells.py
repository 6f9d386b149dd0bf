"""What `kubectl get hpa` prints of an autoscaler: what it scales, and each metric beside its target."""

from __future__ import annotations

from typing import Any

from api.autoscalingv2 import HorizontalPodAutoscaler, MetricSpec, MetricStatus
from control.resources.columns import NONE, UNKNOWN

_SHOWN = 2


def reference(hpa: HorizontalPodAutoscaler) -> str:
    """`Deployment/web`."""
    return f"{hpa.spec.scale_target_ref.kind}/{hpa.spec.scale_target_ref.name}"


def metrics(hpa: HorizontalPodAutoscaler) -> str:
    """`cpu: 50%/80%, 3/10 + 1 more...`: the present value and the target of each metric."""
    if not hpa.spec.metrics:
        return NONE
    seen = hpa.status.current_metrics
    cells = [
        _metric(spec, seen[at] if at < len(seen) else None)
        for at, spec in enumerate(hpa.spec.metrics)
    ]
    shown = ", ".join(cells[:_SHOWN])
    more = len(cells) - _SHOWN
    return f"{shown} + {more} more..." if more > 0 else shown


def _metric(spec: MetricSpec, status: MetricStatus | None) -> str:
    match spec.type:
        case "Resource":
            return _resource(spec.resource, status and status.resource)
        case "ContainerResource":
            return _resource(spec.container_resource, status and status.container_resource)
        case "Pods":
            return _amount(spec.pods, status and status.pods, of_pods=True)
        case "Object":
            return _amount(spec.object, status and status.object)
        case "External":
            return _amount(spec.external, status and status.external)
    return "<unknown type>"


def _resource(source: Any, status: Any) -> str:
    if source is None:
        return UNKNOWN
    target, current = source.target, status.current if status is not None else None
    if target.average_value is not None:
        seen = current.average_value if current is not None else None
        return f"{source.name}: {seen or UNKNOWN}/{target.average_value}"
    seen = current.average_utilization if current is not None else None
    wanted = "<auto>" if target.average_utilization is None else f"{target.average_utilization}%"
    return f"{source.name}: {UNKNOWN if seen is None else f'{seen}%'}/{wanted}"


def _amount(source: Any, status: Any, *, of_pods: bool = False) -> str:
    if source is None:
        return UNKNOWN
    target, current = source.target, status.current if status is not None else None
    if target.average_value is None and not of_pods:
        return f"{(current.value if current is not None else None) or UNKNOWN}/{target.value}"
    seen = (current.average_value if current is not None else None) or UNKNOWN
    return f"{seen}/{target.average_value}" + ("" if of_pods else " (avg)")
