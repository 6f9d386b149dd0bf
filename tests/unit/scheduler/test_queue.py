"""Who is tried next: parked pods come back when, and only when, something that could help changed."""

import asyncio

from base.clock import FakeClock
from control.scheduler.filters import Filter
from control.scheduler.queue import SchedulingQueue, backoff

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
    queue.park(KEY, FIT)


async def test_a_parked_pod_ignores_what_cannot_help() -> None:
    queue = queue_of(FakeClock())
    await refused(queue)
    queue.activate([Filter.NODE_AFFINITY])
    assert await taken(queue) == []


async def test_a_parked_pod_returns_after_its_backoff() -> None:
    clock = FakeClock()
    queue = queue_of(clock)
    await refused(queue)
    queue.activate(FIT)
    assert await taken(queue) == []
    await clock.run_for(1.1)
    assert await taken(queue) == [KEY]


async def test_long_after_its_attempt_it_returns_at_once() -> None:
    clock = FakeClock()
    queue = queue_of(clock)
    await refused(queue)
    await clock.run_for(20)
    queue.activate(FIT)
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
        queue.park(key, FIT)
    await clock.run_for(20)
    queue.activate(FIT)
    queue.add(("default", "new"))
    assert [name for _, name in await taken(queue)] == ["high", "low", "new"]


def test_backoff_curve() -> None:
    assert [backoff(n) for n in range(1, 7)] == [1, 2, 4, 8, 10, 10]
