"""Who is tried next: parked pods come back when, and only when, something that could help changed."""

import asyncio

from base.clock import FakeClock
from control.scheduler.queue import SchedulingQueue, backoff
from control.scheduler.request import request_of
from control.scheduler.rules import Filter
from tests.unit.scheduler.making import pod

KEY = ("default", "p")
FIT = frozenset({Filter.NODE_RESOURCES_FIT})


def queue_of(clock: FakeClock, **priorities: int) -> SchedulingQueue:
    return SchedulingQueue(clock, lambda key: priorities.get(key[1], 0))


async def taken(queue: SchedulingQueue) -> list[tuple[str, str]]:
    """Everything that is ready to be tried now."""
    found = []
    while queue.statistics()["active"]:
        key = await queue.get()
        queue.done(key)
        found.append(key)
    return found


async def refused(queue: SchedulingQueue) -> None:
    queue.add(KEY)
    assert await taken(queue) == [KEY]
    queue.park(KEY, request_of(pod("p")), FIT)


async def test_a_parked_pod_stays_until_it_is_called() -> None:
    clock = FakeClock()
    queue = queue_of(clock)
    await refused(queue)
    await clock.run_for(250)
    assert queue.activate([("default", "q")]) == 0
    assert await taken(queue) == []
    assert queue.statistics() == {"active": 0, "parked": 1, "sorts": 1, "refused": 1}


def test_pods_are_judged_by_what_filters_read() -> None:
    queue = queue_of(FakeClock())
    for name, more in (
        ("a", {}), ("b", {}), ("c", {"cpu": "1"}), ("d", {"labels": {"x": "y"}}),
        ("e", {"tolerations": [{"operator": "Exists"}]}), ("f", {"nodeSelector": {"a": "b"}}),
    ):  # fmt: skip
        queue.park(("default", name), request_of(pod(name, **more)), FIT)
    queue.park(("default", "g"), request_of(pod("g")), frozenset({Filter.NODE_PORTS}))
    sorts = ["".join(name for _, name in sort.keys) for sort in queue.parked()]
    assert sorts == ["ab", "c", "d", "e", "f", "g"]
    queue.park(("default", "b"), request_of(pod("b", cpu="1")), FIT)
    queue.forget(("default", "a"))
    assert list(queue.parked()[0].keys) == [("default", "c"), ("default", "b")]


async def test_a_parked_pod_returns_after_its_backoff() -> None:
    clock = FakeClock()
    queue = queue_of(clock)
    await refused(queue)
    queue.activate([KEY])
    assert await taken(queue) == []
    await clock.run_for(1.1)
    assert await taken(queue) == [KEY]


async def test_long_after_its_attempt_it_returns_at_once() -> None:
    clock = FakeClock()
    queue = queue_of(clock)
    await refused(queue)
    await clock.run_for(20)
    queue.activate([KEY])
    await asyncio.sleep(0)
    assert await taken(queue) == [KEY]


async def test_its_own_change_brings_it_back_at_once() -> None:
    queue = queue_of(FakeClock())
    await refused(queue)
    queue.add(KEY)
    assert await taken(queue) == [KEY]


async def test_the_safety_net() -> None:
    clock = FakeClock()
    queue = queue_of(clock)
    await refused(queue)
    await clock.run_for(299)
    queue.flush()
    assert await taken(queue) == []
    await clock.run_for(2)
    queue.flush()
    assert await taken(queue) == [KEY]


async def test_the_highest_priority_is_tried_first() -> None:
    queue = queue_of(FakeClock(), high=1000, low=-1)
    for name in ("low", "first", "high", "second"):
        queue.add(("default", name))
    assert [name for _, name in await taken(queue)] == ["high", "first", "second", "low"]


async def test_priority_counts_for_pods_that_come_back_too() -> None:
    clock = FakeClock()
    queue = queue_of(clock, high=1000)
    for name in ("low", "high"):
        queue.add(("default", name))
    for key in await taken(queue):
        queue.park(key, request_of(pod(key[1])), FIT)
    await clock.run_for(20)
    assert len(queue.parked()) == 1, "they are alike"
    for sort in queue.parked():
        assert queue.activate(sort.keys) == 2
    assert queue.parked() == []
    queue.add(("default", "new"))
    assert [name for _, name in await taken(queue)] == ["high", "low", "new"]


def test_backoff_curve() -> None:
    assert [backoff(n) for n in range(1, 7)] == [1, 2, 4, 8, 10, 10]
