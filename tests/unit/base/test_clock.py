"""FakeClock: time passes only when told, and in the right order."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.clock import FakeClock, SystemClock


async def test_sleepers_wake_when_their_time_has_come() -> None:
    clock = FakeClock()
    sleeper = asyncio.create_task(clock.sleep(10))
    await clock.run_for(9.999)
    assert not sleeper.done()
    await clock.run_for(0.001)
    assert sleeper.done()


async def test_an_hour_of_a_periodic_task_passes_at_once() -> None:
    clock = FakeClock()
    moments: list[float] = []

    async def tick() -> None:
        while True:
            await clock.sleep(60)
            moments.append(clock.monotonic())

    task = asyncio.create_task(tick())
    await clock.run_for(3600)
    task.cancel()
    assert moments == [60.0 * n for n in range(1, 61)]


async def test_advance_is_one_step_and_wakes_everyone_due() -> None:
    clock = FakeClock()
    sleepers = [asyncio.create_task(clock.sleep(seconds)) for seconds in (1, 2, 5)]
    await asyncio.sleep(0)
    clock.advance(2)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert [sleeper.done() for sleeper in sleepers] == [True, True, False]
    assert clock.sleepers == 1
    sleepers[2].cancel()


async def test_a_cancelled_sleeper_is_forgotten() -> None:
    clock = FakeClock()
    sleeper = asyncio.create_task(clock.sleep(1))
    await asyncio.sleep(0)
    sleeper.cancel()
    await asyncio.sleep(0)
    assert clock.sleepers == 0
    await clock.run_for(5)
    assert sleeper.cancelled()


@given(st.lists(st.floats(min_value=0.001, max_value=1e6), max_size=20))
def test_waking_order_is_the_order_of_deadlines(delays: list[float]) -> None:
    async def scenario() -> list[tuple[float, float]]:
        clock = FakeClock()
        woken: list[tuple[float, float]] = []

        async def sleep(seconds: float) -> None:
            await clock.sleep(seconds)
            woken.append((seconds, clock.monotonic()))

        tasks = [asyncio.create_task(sleep(delay)) for delay in delays]
        await clock.run_for(2e6)
        await asyncio.gather(*tasks)
        return woken

    woken = asyncio.run(scenario())
    assert [delay for delay, _ in woken] == sorted(delays)
    assert all(moment == pytest.approx(delay) for delay, moment in woken)


def test_now_follows_the_time_that_passes_and_jumps_alone() -> None:
    start = datetime(2026, 3, 29, tzinfo=UTC)
    clock = FakeClock(start)
    clock.advance(90)
    assert clock.now() == start + timedelta(seconds=90)
    clock.jump(-3600)
    assert clock.now() == start + timedelta(seconds=90 - 3600)
    assert clock.monotonic() == 90


def test_time_does_not_run_backwards() -> None:
    with pytest.raises(ValueError, match="backwards"):
        FakeClock().advance(-1)


def test_a_naive_start_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        FakeClock(datetime(2026, 1, 1))


async def test_the_system_clock_is_aware_and_monotonic() -> None:
    clock = SystemClock()
    before = clock.monotonic()
    await clock.sleep(-1)
    assert clock.now().tzinfo is UTC
    assert clock.monotonic() >= before
