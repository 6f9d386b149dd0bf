"""What an autoscaler may say, what is filled in, what is printed, and how v1 shows it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings

from api import autoscaling as v1
from api import autoscalingv2 as v2
from api.codec import decode
from control.resources.autoscaling import older
from control.resources.autoscaling.autoscaler import STRATEGY
from tests.unit.resources.anything import anything
from tests.unit.resources.examples import (
    REMOVE,
    Change,
    assert_says,
    changed,
    complete,
    make,
    said,
    strategy_of,
)

HPA = "HorizontalPodAutoscaler"
NOW = datetime(2026, 1, 2, tzinfo=UTC)
CPU = "spec.metrics[0].resource"
EXTERNAL = "spec.metrics[4].external.target"
UP = "spec.behavior.scaleUp"


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"spec.minReplicas": 10},
        {"spec.behavior": REMOVE},
        {"spec.metrics": REMOVE, "spec.minReplicas": REMOVE},
        {f"{UP}.stabilizationWindowSeconds": 3600, f"{UP}.tolerance": "0.05"},
        {f"{UP}.policies[0].periodSeconds": 1800},
        {f"{UP}.policies": []},  # filled in
        {"spec.scaleTargetRef.apiVersion": REMOVE},
    ],
)
def test_sound(change: Change) -> None:
    errors = strategy_of(HPA).validate(complete(HPA, change))
    assert not errors, said(errors)


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"spec.minReplicas": 0}, "spec.minReplicas", "greater than or equal to 1"),
        ({"spec.maxReplicas": 0}, "spec.maxReplicas", "must be greater than 0"),
        ({"spec.minReplicas": 11}, "spec.maxReplicas", "greater than or equal to `minReplicas`"),
        ({"spec.scaleTargetRef.kind": ""}, "spec.scaleTargetRef.kind", "Required value"),
        ({"spec.scaleTargetRef.name": ""}, "spec.scaleTargetRef.name", "Required value"),
        ({"spec.scaleTargetRef.name": "a/b"}, "spec.scaleTargetRef.name", "may not contain '/'"),
        (
            {"spec.scaleTargetRef.apiVersion": "a/b/c"},
            "spec.scaleTargetRef.apiVersion",
            "unexpected GroupVersion string: a/b/c",
        ),
        ({"spec.metrics[0].type": ""}, "spec.metrics[0].type", "must specify a metric source"),
        ({"spec.metrics[0].type": "Odd"}, "spec.metrics[0].type", "Unsupported value"),
        (
            {"spec.metrics[0].type": "Pods"},
            "spec.metrics[0].pods",
            "must populate information for the given metric source",
        ),
        (
            {
                "spec.metrics[0].external": {
                    "metric": {"name": "q"},
                    "target": {"type": "Value", "value": "1"},
                }
            },
            "spec.metrics[0].external",
            "must populate the given metric source only",
        ),
        ({f"{CPU}.name": ""}, f"{CPU}.name", "must specify a resource name"),
        ({f"{CPU}.target.type": ""}, f"{CPU}.target.type", "must specify a metric target type"),
        ({f"{CPU}.target.type": "Odd"}, f"{CPU}.target.type", "must be either Utilization, Value"),
        (
            {f"{CPU}.target.averageUtilization": 0},
            f"{CPU}.target.averageUtilization",
            "must be greater than 0",
        ),
        (
            {f"{CPU}.target.averageUtilization": REMOVE},
            f"{CPU}.target.averageUtilization",
            "must set either a target raw value or a target utilization",
        ),
        (
            {f"{CPU}.target.averageValue": "1"},
            f"{CPU}.target.averageValue",
            "may not set both a target raw value and a target utilization",
        ),
        (
            {"spec.metrics[1].containerResource.container": ""},
            "spec.metrics[1].containerResource.container",
            "must specify a container",
        ),
        (
            {"spec.metrics[2].pods.target.averageValue": REMOVE},
            "spec.metrics[2].pods.target.averageValue",
            "must specify a positive target averageValue",
        ),
        (
            {"spec.metrics[2].pods.metric.name": ""},
            "spec.metrics[2].pods.metric.name",
            "must specify a metric name",
        ),
        (
            {"spec.metrics[3].object.describedObject.kind": ""},
            "spec.metrics[3].object.describedObject.kind",
            "Required value",
        ),
        (
            {"spec.metrics[3].object.target.value": REMOVE},
            "spec.metrics[3].object.target.averageValue",
            "must set either a target value for metric or a per-pod target",
        ),
        ({f"{EXTERNAL}.averageValue": "-1"}, f"{EXTERNAL}.averageValue", "must be positive"),
        (
            {f"{EXTERNAL}.value": "1"},
            f"{EXTERNAL}.value",
            "may not set both a target value for metric and a per-pod target",
        ),
        (
            {f"{UP}.stabilizationWindowSeconds": -1},
            f"{UP}.stabilizationWindowSeconds",
            "must be greater than or equal to zero",
        ),
        (
            {f"{UP}.stabilizationWindowSeconds": 3601},
            f"{UP}.stabilizationWindowSeconds",
            "must be less than or equal to 3600",
        ),
        ({f"{UP}.selectPolicy": "Odd"}, f"{UP}.selectPolicy", "Unsupported value"),
        ({f"{UP}.tolerance": "-1"}, f"{UP}.tolerance", "must be greater than or equal to zero"),
        ({f"{UP}.policies[0].type": "Odd"}, f"{UP}.policies[0].type", "Unsupported value"),
        ({f"{UP}.policies[0].value": 0}, f"{UP}.policies[0].value", "must be greater than zero"),
        (
            {f"{UP}.policies[0].periodSeconds": 0},
            f"{UP}.policies[0].periodSeconds",
            "must be greater than zero",
        ),
        (
            {f"{UP}.policies[0].periodSeconds": 1801},
            f"{UP}.policies[0].periodSeconds",
            "must be less than or equal to 1800",
        ),
    ],
)
def test_broken(change: Change, field: str, words: str) -> None:
    assert_says(strategy_of(HPA).validate(complete(HPA, change)), field, words)


def test_figures_are_not_negative() -> None:
    old, new = complete(HPA), complete(HPA)
    new.status.current_replicas = new.status.desired_replicas = -1
    errors = strategy_of(HPA).validate_subresource("status", new, old)
    assert [error.field for error in errors] == ["status.currentReplicas", "status.desiredReplicas"]


def test_what_nobody_says() -> None:
    spec = complete(HPA, {"spec.metrics": [], "spec.minReplicas": REMOVE}).spec
    assert spec.min_replicas == 1
    (metric,) = spec.metrics
    assert (metric.type, metric.resource.name) == ("Resource", "cpu")
    assert metric.resource.target.average_utilization == 80
    assert complete(HPA, {"spec.behavior": REMOVE}).spec.behavior is None


def test_what_a_behavior_leaves_out() -> None:
    behavior = complete(HPA, {"spec.behavior": {"scaleDown": {"policies": []}}}).spec.behavior
    up, down = behavior.scale_up, behavior.scale_down
    assert (up.stabilization_window_seconds, up.select_policy) == (0, "Max")
    assert [(one.type, one.value, one.period_seconds) for one in up.policies] == [
        ("Pods", 4, 15),
        ("Percent", 100, 15),
    ]
    assert (down.stabilization_window_seconds, down.select_policy) == (None, "Max")
    assert [(one.type, one.value, one.period_seconds) for one in down.policies] == [
        ("Percent", 100, 15)
    ]


def cells(hpa: Any, rules: Any = STRATEGY) -> list[Any]:
    return [column.cell(hpa, NOW) for column in rules.columns]


def test_printed() -> None:
    hpa = complete(HPA)
    hpa.status.current_replicas = 3
    names = [column.name for column in STRATEGY.columns]
    assert names == ["Reference", "Targets", "MinPods", "MaxPods", "Replicas"]
    targets = "cpu: <unknown>/60%, memory: <unknown>/100Mi + 3 more..."
    assert cells(hpa) == ["Deployment/web", targets, "2", 10, 3]
    assert cells(older.to_served(hpa), older.RULES)[0] == "Deployment/web"


@pytest.mark.parametrize(
    ("spec", "status", "shown"),
    [
        (None, None, "<none>"),
        (0, {"resource": {"name": "cpu", "current": {"averageUtilization": 55}}}, "cpu: 55%/60%"),
        (
            1,
            {
                "containerResource": {
                    "name": "memory",
                    "container": "app",
                    "current": {"averageValue": "90Mi"},
                }
            },
            "memory: 90Mi/100Mi",
        ),
        (2, {"pods": {"metric": {"name": "packets"}, "current": {"averageValue": "7"}}}, "7/10"),
        (
            3,
            {
                "object": {
                    "metric": {"name": "requests"},
                    "describedObject": {"kind": "Ingress", "name": "main"},
                    "current": {"value": "1500"},
                }
            },
            "1500/2k",
        ),
        (4, None, "<unknown>/30 (avg)"),
    ],
)
def test_targets(spec: int | None, status: Any, shown: str) -> None:
    hpa = complete(HPA)
    hpa.spec.metrics = [] if spec is None else [hpa.spec.metrics[spec]]
    if status is not None:
        tree = {"type": hpa.spec.metrics[0].type, **status}
        hpa.status.current_metrics = [decode.convert(tree, v2.MetricStatus, "Strict").obj]
    assert cells(hpa)[1] == shown


def test_the_older_version_has_annotations_for_the_rest() -> None:
    hpa = complete(HPA, {"metadata.annotations": {"mine": "stays"}})
    shown = older.to_served(hpa)
    assert shown.spec.target_cpu_utilization_percentage == 60
    assert shown.metadata.annotations["mine"] == "stays"
    metrics = json.loads(shown.metadata.annotations[older.METRICS])
    assert metrics[0] == {
        "type": "ContainerResource",
        "containerResource": {"name": "memory", "targetAverageValue": "100Mi", "container": "app"},
    }
    assert metrics[2]["object"] == {
        "target": {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "main"},
        "metricName": "requests",
        "targetValue": "2k",
    }
    behavior = json.loads(shown.metadata.annotations[older.BEHAVIOR])
    assert behavior["ScaleUp"]["Policies"] == [{"Type": "Pods", "Value": 2, "PeriodSeconds": 60}]
    assert older.METRICS not in hpa.metadata.annotations


def test_the_older_version_comes_back_as_it_was() -> None:
    hpa = complete(HPA)
    hpa.spec.metrics = [*hpa.spec.metrics[1:], hpa.spec.metrics[0]]  # CPU comes back last
    assert older.to_stored(older.to_served(hpa)) == hpa


def test_the_status_comes_back_as_it_was() -> None:
    status = {
        "currentReplicas": 2,
        "desiredReplicas": 3,
        "observedGeneration": 4,
        "lastScaleTime": "2026-01-02T03:04:05Z",
        "currentMetrics": [
            {
                "type": "Resource",
                "resource": {
                    "name": "cpu",
                    "current": {"averageUtilization": 7, "averageValue": "35m"},
                },
            }
        ],
        "conditions": [{"type": "AbleToScale", "status": "True", "reason": "Ready"}],
    }
    hpa = complete(HPA, {"spec.metrics": []})
    hpa.status = decode.convert(status, v2.HorizontalPodAutoscalerStatus, "Strict").obj
    shown = older.to_served(hpa)
    assert shown.status.current_cpu_utilization_percentage == 7
    assert json.loads(shown.metadata.annotations[older.CONDITIONS])[0]["reason"] == "Ready"
    assert older.to_stored(shown) == hpa


def test_what_is_written_in_the_older_version() -> None:
    tree = {
        "metadata": {"name": "web"},
        "spec": {
            "scaleTargetRef": {"kind": "Deployment", "name": "web"},
            "maxReplicas": 3,
            "targetCPUUtilizationPercentage": 30,
        },
    }
    written = decode.convert(tree, v1.HorizontalPodAutoscaler, "Strict").obj
    stored = older.to_stored(written)
    assert stored.spec.metrics[0].resource.target.average_utilization == 30
    assert older.to_served(stored) == written


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"a": 1}', '[{"resource": 1}]', "null", '"x"'])
@pytest.mark.parametrize("name", [older.METRICS, older.CURRENT_METRICS, older.CONDITIONS])
def test_an_unreadable_annotation_is_as_none(name: str, text: str) -> None:
    shown = older.to_served(complete(HPA))
    shown.metadata.annotations[name] = text
    stored = older.to_stored(shown)
    assert name not in stored.metadata.annotations
    if name == older.METRICS:
        assert len(stored.spec.metrics) == 1


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"ScaleUp": 1}', "null"])
def test_an_unreadable_behavior_is_as_none(text: str) -> None:
    shown = older.to_served(complete(HPA))
    shown.metadata.annotations[older.BEHAVIOR] = text
    assert older.to_stored(shown).spec.behavior is None


def test_a_change_in_the_older_version_leaves_alone_what_it_does_not_touch() -> None:
    old = complete(HPA)
    shown = older.to_served(old)
    shown.spec.max_replicas = 20
    new = older.to_stored(shown)
    older.keep(new, old)
    assert new == changed(HPA, old, {"spec.maxReplicas": 20})
    shown.spec.target_cpu_utilization_percentage = 70
    new = older.to_stored(shown)
    older.keep(new, old)
    assert new.spec.metrics[-1].resource is not None
    assert new.spec.metrics[-1].resource.target.average_utilization == 70


@settings(deadline=None, max_examples=60)
@given(anything(v2.HorizontalPodAutoscaler, 5))
def test_nothing_is_lost_in_the_older_version(hpa: v2.HorizontalPodAutoscaler) -> None:
    body = msgspec.json.encode(hpa)
    shown = msgspec.json.decode(
        msgspec.json.encode(older.to_served(hpa)), type=v1.HorizontalPodAutoscaler
    )
    stored = older.to_stored(shown)
    older.keep(stored, hpa)
    assert msgspec.json.encode(hpa) == body  # which is shared
    assert stored == hpa


@settings(deadline=None, max_examples=60)
@given(anything(v1.HorizontalPodAutoscaler, 5))
def test_nothing_is_lost_of_the_older_version(hpa: v1.HorizontalPodAutoscaler) -> None:
    shown = older.to_served(older.to_stored(hpa))
    if hpa.status.current_cpu_utilization_percentage is not None:
        del shown.metadata.annotations[older.CURRENT_METRICS]
    assert shown == hpa


def test_every_example_is_sound_in_both() -> None:
    hpa = make(HPA)
    assert isinstance(hpa, v2.HorizontalPodAutoscaler)
    assert STRATEGY.validate(older.to_stored(older.to_served(complete(HPA)))) == []
