"""Events in both of their versions: the same objects, under other names and other rules."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings

from api import eventsv1
from api.codec import decode
from api.core import Event
from api.scheme import resource_of
from control.resources.core import event as core
from control.resources.events.event import FIELDS, RULES, to_served, to_stored
from tests.unit.resources.anything import anything
from tests.unit.resources.examples import assert_says, said

NEW: dict[str, Any] = {
    "metadata": {"name": "web.1", "namespace": "ns"},
    "eventTime": "2026-01-02T03:04:05.000006Z",
    "reportingController": "example.com/maker",
    "reportingInstance": "maker-1",
    "action": "Pulling",
    "reason": "Pulled",
    "regarding": {"kind": "Pod", "namespace": "ns", "name": "web"},
    "note": "pulled it",
    "type": "Normal",
}


def served(**change: Any) -> eventsv1.Event:
    obj: eventsv1.Event = decode.convert({**NEW, **change}, eventsv1.Event, "Strict").obj
    return obj


def stored(**change: Any) -> Event:
    obj: Event = decode.convert(
        {"metadata": NEW["metadata"], "involvedObject": NEW["regarding"], **change}, Event, "Strict"
    ).obj
    return obj


@settings(deadline=None, max_examples=50)
@given(anything(Event, 3))
def test_nothing_is_lost_on_the_way_out_and_in(event: Event) -> None:
    assert to_stored(to_served(event)) == event


@settings(deadline=None, max_examples=50)
@given(anything(eventsv1.Event, 3))
def test_nothing_is_lost_on_the_way_in_and_out(event: eventsv1.Event) -> None:
    assert to_served(to_stored(event)) == event


def test_what_each_field_is_called() -> None:
    event = to_served(
        stored(
            message="m",
            source={"component": "c", "host": "h"},
            count=3,
            firstTimestamp="2026-01-02T03:04:05Z",
            lastTimestamp="2026-01-02T03:04:06Z",
            reportingComponent="r",
        )
    )
    tree = msgspec.to_builtins(event)
    assert tree["apiVersion"] == "events.k8s.io/v1"
    assert tree["note"] == "m" and tree["regarding"]["name"] == "web"
    assert tree["deprecatedSource"] == {"component": "c", "host": "h"}
    assert (tree["deprecatedCount"], tree["deprecatedFirstTimestamp"][-3:]) == (3, "05Z")
    assert (tree["reportingController"], tree["deprecatedLastTimestamp"][-3:]) == ("r", "06Z")


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"type": "Warning"},
        {"note": ""},
        {"series": {"count": 2, "lastObservedTime": "2026-01-02T03:04:05.000006Z"}},
    ],
)
def test_sound(change: dict[str, Any]) -> None:
    errors = RULES.validate(served(**change))
    assert not errors, said(errors)


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"eventTime": None}, "eventTime", "Required value"),
        ({"reportingController": ""}, "reportingController", "Required value"),
        ({"reportingController": "a b"}, "reportingController", "must consist of alphanumeric"),
        ({"reportingInstance": ""}, "reportingInstance", "Required value"),
        ({"reportingInstance": "x" * 129}, "reportingInstance", "at most 128 characters"),
        ({"action": ""}, "action", "Required value"),
        ({"action": "x" * 129}, "action", "at most 128 characters"),
        ({"reason": ""}, "reason", "Required value"),
        ({"reason": "x" * 129}, "reason", "at most 128 characters"),
        ({"note": "x" * 1025}, "message", "at most 1024 characters"),
        ({"type": "Odd"}, "type", "has invalid value: Odd"),
        ({"regarding": {"kind": "Node"}}, "involvedObject.namespace", "does not match event"),
        ({"deprecatedCount": 1}, "count", "needs to be unset"),
        ({"deprecatedFirstTimestamp": "2026-01-02T03:04:05Z"}, "firstTimestamp", "to be unset"),
        ({"deprecatedLastTimestamp": "2026-01-02T03:04:05Z"}, "lastTimestamp", "to be unset"),
        ({"deprecatedSource": {"host": "h"}}, "source", "needs to be unset"),
        ({"series": {"count": 1, "lastObservedTime": None}}, "series.count", "at least 2"),
        (
            {"series": {"count": 2, "lastObservedTime": None}},
            "series.lastObservedTime",
            "Required value",
        ),
    ],
)
def test_broken(change: dict[str, Any], field: str, words: str) -> None:
    assert_says(RULES.validate(served(**change)), field, words)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"regarding": {"kind": "Pod", "namespace": "ns", "name": "b"}}, "involvedObject"),
        ({"reason": "Other"}, "reason"),
        ({"note": "other"}, "message"),
        ({"type": "Warning"}, "type"),
        ({"eventTime": "2026-01-02T03:04:06.000000Z"}, "eventTime"),
        ({"action": "Other"}, "action"),
        ({"related": {"kind": "Node", "name": "n"}}, "related"),
        ({"reportingController": "other"}, "reportingController"),
        ({"reportingInstance": "other"}, "reportingInstance"),
        ({"deprecatedCount": 2}, "count"),
    ],
)
def test_only_the_series_goes_on(change: dict[str, Any], field: str) -> None:
    assert_says(RULES.validate_update(served(**change), served()), field, "field is immutable")


def test_a_series_goes_on() -> None:
    again = {"count": 2, "lastObservedTime": "2026-01-02T03:04:05.000006Z"}
    assert not RULES.validate_update(served(series=again), served())
    assert RULES.validate_update(served(series={**again, "count": 1}), served())


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"involvedObject": {"name": "x"}}, "involvedObject.namespace"),
        ({"involvedObject": {"namespace": "other"}}, "involvedObject.namespace"),
        ({"eventTime": NEW["eventTime"]}, "reportingComponent"),
    ],
)
def test_the_old_version_asks_less_but_asks(change: dict[str, Any], field: str) -> None:
    assert not core.STRATEGY.validate(stored())
    assert any(one.field == field for one in core.STRATEGY.validate(stored(**change)))


def test_every_field_selector_is_one_of_the_stored_kind() -> None:
    assert set(FIELDS.values()) <= core.STRATEGY.selectable_fields()


def test_both_print_the_same_cells() -> None:
    now = datetime(2026, 1, 2, 4, 4, 5, tzinfo=UTC)
    event = served()
    for mine, theirs in zip(RULES.columns, core.STRATEGY.columns, strict=True):
        assert mine.name == theirs.name
        assert mine.cell(event, now) == theirs.cell(to_stored(event), now)


def test_the_row_is_of_its_own_group() -> None:
    row = resource_of(eventsv1.Event)
    assert (row.api_version, row.stored_as) == ("events.k8s.io/v1", "v1")
