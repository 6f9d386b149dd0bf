"""How annotations of autoscaling/v1 spell metrics and behaviors of v2: pure, between trees.

Serves readers and writers of the older autoscalers. A metric had its target's numbers beside its
name (`targetAverageValue`), and which of them were set said what v2 calls the target's type. A
behavior is spelled with Go's names, because Kubernetes wrote its internal type there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from api.autoscalingv2 import HorizontalPodAutoscalerBehavior, MetricSpec, MetricStatus

Tree = dict[str, Any]
Turn = Callable[[Tree], Tree]


def metric(spec: MetricSpec) -> Tree:
    """A metric as an annotation has it."""
    return _turned(msgspec.to_builtins(spec), _OLDER)


def metric_of(tree: Tree) -> Tree:
    """A metric of an annotation as v2 has it."""
    return _turned(tree, _NEWER)


def status(seen: MetricStatus) -> Tree:
    """A metric's present value as an annotation has it."""
    return _turned(msgspec.to_builtins(seen), _OLDER_STATUS)


def status_of(tree: Tree) -> Tree:
    """A present value of an annotation as v2 has it."""
    return _turned(tree, _NEWER_STATUS)


def behavior(rules: HorizontalPodAutoscalerBehavior) -> Tree:
    """A behavior as an annotation has it."""
    named: Tree = _renamed(msgspec.to_builtins(rules), str.upper)
    return named


def behavior_of(tree: Tree) -> Tree:
    """A behavior of an annotation as v2 has it."""
    named: Tree = _renamed(tree, str.lower)
    return named


def _turned(tree: Tree, turns: Mapping[str, Turn]) -> Tree:
    made = {"type": tree.get("type", "")}
    for name, turn in turns.items():
        if tree.get(name) is not None:
            made[name] = _present(turn(tree[name]))
    return made


def _present(tree: Tree) -> Tree:
    return {
        name: _present(held) if isinstance(held, dict) else held
        for name, held in tree.items()
        if held is not None
    }


def _renamed(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, list):
        return [_renamed(held, change) for held in value]
    if isinstance(value, dict):
        return {change(name[:1]) + name[1:]: _renamed(held, change) for name, held in value.items()}
    return value


def _target(
    *, use: Any = None, value: Any = None, average: Any = None
) -> dict[str, int | str | None]:
    kind = "Utilization" if use is not None else "AverageValue" if average is not None else "Value"
    return {"type": kind, "value": value, "averageValue": average, "averageUtilization": use}


def _identifier(tree: Tree, selector: str = "selector") -> Tree:
    return {"name": tree.get("metricName", ""), "selector": tree.get(selector)}


def _older_object(tree: Tree) -> Tree:
    return {
        "target": tree["describedObject"],
        "metricName": tree["metric"]["name"],
        "targetValue": tree["target"].get("value", "0"),  # always written, whether it counts or not
        "selector": tree["metric"].get("selector"),
        "averageValue": tree["target"].get("averageValue"),
    }


def _newer_object(tree: Tree) -> Tree:
    value, average = tree.get("targetValue"), tree.get("averageValue")
    return {
        "describedObject": tree.get("target"),
        "metric": _identifier(tree),
        "target": _target(value=None if average and value == "0" else value, average=average),
    }


def _older_pods(tree: Tree) -> Tree:
    return {
        "metricName": tree["metric"]["name"],
        "targetAverageValue": tree["target"].get("averageValue", "0"),
        "selector": tree["metric"].get("selector"),
    }


def _newer_pods(tree: Tree) -> Tree:
    average = tree.get("targetAverageValue")
    return {
        "metric": _identifier(tree),
        "target": {"type": "AverageValue", "averageValue": average},
    }


def _older_resource(tree: Tree) -> Tree:
    return {
        "name": tree["name"],
        "targetAverageUtilization": tree["target"].get("averageUtilization"),
        "targetAverageValue": tree["target"].get("averageValue"),
        "container": tree.get("container"),
    }


def _newer_resource(tree: Tree) -> Tree:
    use, average = tree.get("targetAverageUtilization"), tree.get("targetAverageValue")
    target = _target(use=use, average=average)
    return {"name": tree.get("name"), "target": target, "container": tree.get("container")}


def _older_external(tree: Tree) -> Tree:
    return {
        "metricName": tree["metric"]["name"],
        "metricSelector": tree["metric"].get("selector"),
        "targetValue": tree["target"].get("value"),
        "targetAverageValue": tree["target"].get("averageValue"),
    }


def _newer_external(tree: Tree) -> Tree:
    target = _target(value=tree.get("targetValue"), average=tree.get("targetAverageValue"))
    return {"metric": _identifier(tree, "metricSelector"), "target": target}


_OLDER: Mapping[str, Turn] = {
    "object": _older_object,
    "pods": _older_pods,
    "resource": _older_resource,
    "containerResource": _older_resource,
    "external": _older_external,
}
_NEWER: Mapping[str, Turn] = {
    "object": _newer_object,
    "pods": _newer_pods,
    "resource": _newer_resource,
    "containerResource": _newer_resource,
    "external": _newer_external,
}


def _older_object_status(tree: Tree) -> Tree:
    return {
        "target": tree["describedObject"],
        "metricName": tree["metric"]["name"],
        "currentValue": tree["current"].get("value", "0"),
        "selector": tree["metric"].get("selector"),
        "averageValue": tree["current"].get("averageValue"),
    }


def _newer_object_status(tree: Tree) -> Tree:
    value, average = tree.get("currentValue"), tree.get("averageValue")
    return {
        "describedObject": tree.get("target"),
        "metric": _identifier(tree),
        "current": {
            "value": None if average and value == "0" else value,
            "averageValue": average,
        },
    }


def _older_pods_status(tree: Tree) -> Tree:
    return {
        "metricName": tree["metric"]["name"],
        "currentAverageValue": tree["current"].get("averageValue", "0"),
        "selector": tree["metric"].get("selector"),
    }


def _newer_pods_status(tree: Tree) -> Tree:
    average = tree.get("currentAverageValue")
    return {"metric": _identifier(tree), "current": {"averageValue": average}}


def _older_resource_status(tree: Tree) -> Tree:
    return {
        "name": tree["name"],
        "currentAverageUtilization": tree["current"].get("averageUtilization"),
        "currentAverageValue": tree["current"].get("averageValue", "0"),
        "container": tree.get("container"),
    }


def _newer_resource_status(tree: Tree) -> Tree:
    use, average = tree.get("currentAverageUtilization"), tree.get("currentAverageValue")
    current = {"averageUtilization": use, "averageValue": average}
    return {"name": tree.get("name"), "current": current, "container": tree.get("container")}


def _older_external_status(tree: Tree) -> Tree:
    return {
        "metricName": tree["metric"]["name"],
        "metricSelector": tree["metric"].get("selector"),
        "currentValue": tree["current"].get("value", "0"),
        "currentAverageValue": tree["current"].get("averageValue"),
    }


def _newer_external_status(tree: Tree) -> Tree:
    value, average = tree.get("currentValue"), tree.get("currentAverageValue")
    return {
        "metric": _identifier(tree, "metricSelector"),
        "current": {
            "value": None if average and value == "0" else value,
            "averageValue": average,
        },
    }


_OLDER_STATUS: Mapping[str, Turn] = {
    "object": _older_object_status,
    "pods": _older_pods_status,
    "resource": _older_resource_status,
    "containerResource": _older_resource_status,
    "external": _older_external_status,
}
_NEWER_STATUS: Mapping[str, Turn] = {
    "object": _newer_object_status,
    "pods": _newer_pods_status,
    "resource": _newer_resource_status,
    "containerResource": _newer_resource_status,
    "external": _newer_external_status,
}
