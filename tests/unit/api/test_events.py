"""EventRecorder: delivery, counting of repeats, combining, limits, faults."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from api import errors
from api.core import ConfigMap, Event
from api.events import QUEUE, EventRecorder
from api.meta import ObjectMeta
from api.scheme import resource_of
from base.clock import FakeClock
from base.errors import TemporaryError
from base.tasks import TaskGuard

ABOUT = ConfigMap(metadata=ObjectMeta(name="a", namespace="n", uid="u", resource_version="7"))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def recorder(memory: Any, clock: FakeClock) -> AsyncIterator[EventRecorder]:
    made = EventRecorder(memory, "test", "host", clock=clock)
    async with TaskGuard("test") as guard:
        guard.start(made.run(), name="events")
        yield made


def events(memory: Any) -> list[Event]:
    return list(memory.objects.values())


async def test_an_event_as_kubectl_describe_wants_it(
    memory: Any, clock: FakeClock, recorder: EventRecorder
) -> None:
    recorder.event(
        ABOUT, "Warning", "Failed", "it broke", field_path="spec.x", annotations={"a": "b"}
    )
    await clock.run_for(0)
    (event,) = events(memory)
    assert event.metadata.annotations == {"a": "b"}
    assert event.metadata.namespace == "n"
    assert event.metadata.name.startswith("a.")
    assert (event.type, event.reason, event.message, event.count) == (
        "Warning", "Failed", "it broke", 1,
    )  # fmt: skip
    about = event.involved_object
    assert (about.kind, about.name, about.uid, about.field_path) == (
        "ConfigMap",
        "a",
        "u",
        "spec.x",
    )
    assert event.first_timestamp == event.last_timestamp == "2026-01-01T00:00:00Z"
    assert event.event_time == "2026-01-01T00:00:00.000000Z"
    assert event.action == event.reason and event.reporting_instance
    assert (event.source.component, event.source.host) == ("test", "host")


async def test_repeats_are_counted(memory: Any, clock: FakeClock, recorder: EventRecorder) -> None:
    for _ in range(3):
        recorder.event(ABOUT, "Normal", "Pulled", "again")
        await clock.run_for(60)
    (event,) = events(memory)
    assert event.count == 3
    assert event.last_timestamp == "2026-01-01T00:02:00Z"


async def test_news_takes_the_place_of_the_last(
    memory: Any, clock: FakeClock, recorder: EventRecorder
) -> None:
    recorder.event(ABOUT, "Normal", "Pulling", "pulling")
    for number in range(20):
        recorder.event(ABOUT, "Normal", "Pulling", f"pulling: {number} of 20", update=True)
        await clock.run_for(300)
    first, news = events(memory)
    assert (first.message, first.count) == ("pulling", 1)
    assert (news.message, news.count) == ("pulling: 19 of 20", 20)


async def test_similar_ones_are_combined(
    memory: Any, clock: FakeClock, recorder: EventRecorder
) -> None:
    for number in range(14):
        recorder.event(ABOUT, "Normal", "Pulled", f"number {number}")
    await clock.run_for(0)
    told = events(memory)
    assert len(told) == 11
    assert told[-1].message == "(combined from similar events): number 13"
    assert told[-1].count == 4


async def test_one_object_cannot_flood(
    memory: Any, clock: FakeClock, recorder: EventRecorder
) -> None:
    for _ in range(40):
        recorder.event(ABOUT, "Normal", "Pulled", "again")
    await clock.run_for(0)
    assert events(memory)[0].count == 25
    await clock.run_for(300)
    recorder.event(ABOUT, "Normal", "Pulled", "again")
    await clock.run_for(0)
    assert events(memory)[0].count == 26
    assert recorder.statistics()["cut_short"] == 15


async def test_an_expired_event_is_made_anew(
    memory: Any, clock: FakeClock, recorder: EventRecorder
) -> None:
    recorder.event(ABOUT, "Normal", "Pulled", "again")
    await clock.run_for(0)
    memory.objects.clear()
    recorder.event(ABOUT, "Normal", "Pulled", "again")
    await clock.run_for(1)
    assert [event.count for event in events(memory)] == [1]


async def test_faults_are_retried_and_refusals_are_not(
    memory: Any, clock: FakeClock, recorder: EventRecorder
) -> None:
    memory.fail = [TemporaryError("down"), TemporaryError("down")]
    recorder.event(ABOUT, "Normal", "A", "x")
    await clock.run_for(25)
    assert len(events(memory)) == 1
    memory.fail = [errors.forbidden(resource_of(Event), "x", "namespace is being terminated")]
    recorder.event(ABOUT, "Normal", "B", "x")
    await clock.run_for(25)
    assert len(events(memory)) == 1
    assert recorder.statistics()["dropped"] == 1


async def test_nobody_waits_for_the_events_of_others(memory: Any, clock: FakeClock) -> None:
    """Of one object they come in order."""
    recorder = EventRecorder(memory, "test", clock=clock, at_once=2)
    async with TaskGuard("test") as guard:
        guard.start(recorder.run(), name="events")
        memory.fail = [TemporaryError("down")]
        for name in "aaabcd":
            about = ConfigMap(metadata=ObjectMeta(name=name, namespace="n", uid=name))
            recorder.event(about, "Normal", "A", str(recorder.statistics()["queued"]))
        await clock.run_for(5)
        assert [told(each) for each in events(memory)] == ["b 3", "c 4", "d 5"]
        assert recorder.statistics()["queued"] == 2, "and one on its way"
        await clock.run_for(10)
        assert sorted(map(told, events(memory)))[:3] == ["a 0", "a 1", "a 2"]
        await recorder.flush()
        assert recorder.statistics() == {"queued": 0, "sent": 6, "dropped": 0, "cut_short": 0}


def told(event: Event) -> str:
    return f"{event.involved_object.name} {event.message}"


async def test_a_full_queue_drops(memory: Any, clock: FakeClock) -> None:
    recorder = EventRecorder(memory, "test", clock=clock)
    for number in range(QUEUE + 5):
        recorder.event(ABOUT, "Normal", "A", str(number))
    assert recorder.statistics() == {"queued": QUEUE, "sent": 0, "dropped": 5, "cut_short": 0}


async def test_long_messages_are_cut(
    memory: Any, clock: FakeClock, recorder: EventRecorder
) -> None:
    recorder.event(ABOUT, "Normal", "A", "é" * 2000)
    await clock.run_for(0)
    assert events(memory)[0].message == "é" * 512
