"""What bounds may be said, and what they come to when half is left out."""

from __future__ import annotations

import pytest

from tests.unit.resources.examples import (
    REMOVE,
    Change,
    assert_says,
    complete,
    make,
    said,
    strategy_of,
)

KIND = "LimitRange"
ITEM = "spec.limits[0]"


@pytest.mark.parametrize(
    "change",
    [
        {"spec.limits": []},
        {f"{ITEM}.type": "example.com/volume"},
        {f"{ITEM}.min": REMOVE},
        {f"{ITEM}.max[example.com/gpu]": "4"},
        {f"{ITEM}.max[hugepages-2Mi]": "4Mi"},
        {f"{ITEM}.maxLimitRequestRatio": {"cpu": "20"}},
        {"spec.limits[2].min": REMOVE},
    ],
)
def test_sound(change: Change) -> None:
    errors = strategy_of(KIND).validate(complete(KIND, change))
    assert not errors, said(errors)


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({f"{ITEM}.type": ""}, f"{ITEM}.type", "name part must be non-empty"),
        ({f"{ITEM}.type": "Volume"}, f"{ITEM}.type", "must be a standard limit type or fully"),
        ({"spec.limits[1].type": "Container"}, "spec.limits[1].type", 'Duplicate value: "Contai'),
        ({f"{ITEM}.max[pods]": "1"}, f"{ITEM}.max[pods]", "must be a standard resource for cont"),
        ({f"{ITEM}.min[disk]": "1"}, f"{ITEM}.min[disk]", "must be a standard resource type or"),
        (
            {"spec.limits[1].default": {"cpu": "1"}},
            "spec.limits[1].default",
            "may not be specified when `type` is 'Pod'",
        ),
        (
            {"spec.limits[1].defaultRequest": {"cpu": "1"}},
            "spec.limits[1].defaultRequest",
            "may not be specified when `type` is 'Pod'",
        ),
        (
            {"spec.limits[2]": {"type": "PersistentVolumeClaim", "max": {"cpu": "1"}}},
            "spec.limits[2].limits",
            "either minimum or maximum storage value is required, but neither was provided",
        ),
        ({f"{ITEM}.min[cpu]": "3"}, f"{ITEM}.min[cpu]", "min value 3 is greater than max value 2"),
        (
            {f"{ITEM}.defaultRequest[cpu]": "50m"},
            f"{ITEM}.defaultRequest[cpu]",
            "min value 100m is greater than default request value 50m",
        ),
        (
            {f"{ITEM}.defaultRequest[cpu]": "3"},
            f"{ITEM}.defaultRequest[cpu]",
            "default request value 3 is greater than max value 2",
        ),
        (
            {f"{ITEM}.defaultRequest[cpu]": "600m"},
            f"{ITEM}.defaultRequest[cpu]",
            "default request value 600m is greater than default limit value 500m",
        ),
        (
            {f"{ITEM}.default[cpu]": "50m"},
            f"{ITEM}.default[cpu]",
            "min value 100m is greater than default value 50m",
        ),
        (
            {f"{ITEM}.default[cpu]": "3"},
            f"{ITEM}.default[cpu]",
            "default value 3 is greater than max value 2",
        ),
        (
            {f"{ITEM}.maxLimitRequestRatio[cpu]": "500m"},
            f"{ITEM}.maxLimitRequestRatio[cpu]",
            "ratio 500m is less than 1",
        ),
        (
            {f"{ITEM}.maxLimitRequestRatio[cpu]": "21"},
            f"{ITEM}.maxLimitRequestRatio[cpu]",
            "ratio 21 is greater than max/min = 20.000000",
        ),
        (
            {
                f"{ITEM}.default[example.com/gpu]": "2",
                f"{ITEM}.defaultRequest[example.com/gpu]": "1",
            },
            f"{ITEM}.defaultRequest[example.com/gpu]",
            "default value 2 must equal to defaultRequest value 1 in example.com/gpu",
        ),
    ],
)
def test_broken(change: Change, field: str, words: str) -> None:
    assert_says(strategy_of(KIND).validate(complete(KIND, change)), field, words)


def test_all_errors_are_told_at_once() -> None:
    change: Change = {f"{ITEM}.type": "Volume", "spec.limits[1].default": {"cpu": "1"}}
    assert len(strategy_of(KIND).validate(complete(KIND, change))) == 2


@pytest.mark.parametrize(
    ("given", "default", "request_"),
    [
        ({"max": {"cpu": "2"}}, {"cpu": "2"}, {"cpu": "2"}),
        ({"max": {"cpu": "2"}, "default": {"cpu": "1"}}, {"cpu": "1"}, {"cpu": "1"}),
        ({"min": {"cpu": "1"}}, {}, {"cpu": "1"}),
        (
            {"min": {"cpu": "1"}, "default": {"cpu": "2"}, "defaultRequest": {"memory": "1Gi"}},
            {"cpu": "2"},
            {"cpu": "2", "memory": "1Gi"},
        ),
    ],
)
def test_defaults(
    given: dict[str, dict[str, str]], default: dict[str, str], request_: dict[str, str]
) -> None:
    obj = make(KIND, {"spec.limits": [{"type": "Container", **given}]})
    strategy_of(KIND).default(obj)
    assert obj.spec.limits[0].default == default
    assert obj.spec.limits[0].default_request == request_


@pytest.mark.parametrize("type_", ["Pod", "PersistentVolumeClaim"])
def test_only_containers_have_defaults(type_: str) -> None:
    obj = make(KIND, {"spec.limits": [{"type": type_, "max": {"storage": "1Gi"}}]})
    strategy_of(KIND).default(obj)
    assert not obj.spec.limits[0].default and not obj.spec.limits[0].default_request
