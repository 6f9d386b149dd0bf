"""When history is forgotten."""

from __future__ import annotations

import logging

import pytest

from base.clock import FakeClock
from base.tasks import TaskGuard
from control.store.compaction import KeepByAge, run_compaction
from control.store.errors import UnwritableError
from control.store.memory import MemoryStore


def test_nothing_is_forgotten_before_its_time() -> None:
    policy = KeepByAge(300)
    assert [policy.due(now, 10 + now) for now in range(0, 300, 60)] == [0] * 5


def test_what_was_current_long_enough_ago_is_forgotten() -> None:
    policy = KeepByAge(300)
    answers = [policy.due(now, 10 + now) for now in range(0, 600, 60)]
    assert answers == [0, 0, 0, 0, 0, 10, 70, 130, 190, 250]


def test_after_a_long_pause_everything_old_goes_at_once() -> None:
    policy = KeepByAge(300)
    policy.due(0, 5)
    policy.due(60, 6)
    assert policy.due(10_000, 7) == 6


async def test_the_task_keeps_five_minutes_of_history() -> None:
    store, clock = MemoryStore(), FakeClock()
    async with TaskGuard("test") as guard:
        guard.start(run_compaction(store, clock=clock), name="compaction")
        first = await store.put("/k", b"1", expected=0)
        await clock.run_for(120)
        second = await store.put("/k", b"2", expected=first)
        await clock.run_for(179)
        assert store.statistics()["compacted_revision"] < first
        await clock.run_for(130)
        assert store.statistics()["compacted_revision"] == first
        await clock.run_for(300)
        assert store.statistics()["compacted_revision"] == second


async def test_a_full_disk_does_not_end_the_task(caplog: pytest.LogCaptureFixture) -> None:
    class Full(MemoryStore):
        full = True

        async def compact(self, revision: int) -> None:
            if self.full:
                raise UnwritableError("the disk is full")
            await super().compact(revision)

    store, clock = Full(), FakeClock()
    async with TaskGuard("test") as guard:
        guard.start(run_compaction(store, clock=clock), name="compaction")
        revision = await store.put("/k", b"1", expected=0)
        with caplog.at_level(logging.WARNING):
            await clock.run_for(700)
        assert "the disk is full" in caplog.text
        store.full = False
        await clock.run_for(120)
        assert store.statistics()["compacted_revision"] == revision
