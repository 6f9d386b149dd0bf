"""How late the loop runs is measured by a sleep that should have been shorter."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from control.looplag import LoopLag


class LateClock:
    """Every sleep takes longer than asked, by what the test says."""

    def __init__(self) -> None:
        self.late = 0.0
        self._time = 0.0

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)

    def monotonic(self) -> float:
        return self._time

    async def sleep(self, seconds: float) -> None:
        self._time += seconds + self.late
        await asyncio.sleep(0)


async def test_the_worst_and_the_last_are_told() -> None:
    clock = LateClock()
    lag = LoopLag(clock)
    running = asyncio.ensure_future(lag.run())
    for late in (0.0, 0.3, 0.01):
        clock.late = late
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    running.cancel()
    statistics = lag.statistics()
    assert abs(statistics["worst"] - 0.3) < 1e-9 and abs(statistics["last"] - 0.01) < 1e-9
    names = {metric.name for metric in lag.collect()}
    assert names == {f"podwright_event_loop_lag_{part}seconds" for part in ("", "p99_", "worst_")}


async def test_one_of_many_is_not_the_rule() -> None:
    clock = LateClock()
    lag = LoopLag(clock)
    running = asyncio.ensure_future(lag.run())
    for number in range(400):
        clock.late = 1.0 if number in (7, 8) else 0.001
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    running.cancel()
    statistics = lag.statistics()
    assert statistics["worst"] > 0.9
    assert statistics["p99"] < 0.01
