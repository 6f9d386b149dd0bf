"""The work queue: deduplicated, one worker per key, nothing lost, back-off per key."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from base.clock import FakeClock
from base.workqueue import ShutDown, WorkQueue


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def queue(clock: FakeClock) -> WorkQueue[str]:
    return WorkQueue("test", clock=clock)


async def test_a_waiting_key_is_there_once(queue: WorkQueue[str]) -> None:
    for key in ("a", "b", "a", "a"):
        queue.add(key)
    assert len(queue) == 2
    assert [await queue.get(), await queue.get()] == ["a", "b"]


async def test_a_higher_rank_goes_first(clock: FakeClock) -> None:
    ranks = {"c": 2, "d": 2, "e": -1}
    queue: WorkQueue[str] = WorkQueue("test", clock=clock, rank=lambda key: ranks.get(key, 0))
    for key in ("e", "a", "c", "b", "d"):
        queue.add(key)
    assert [await queue.get() for _ in range(5)] == ["c", "d", "a", "b", "e"]


async def test_a_key_added_while_it_is_processed_comes_back_after_done(
    queue: WorkQueue[str],
) -> None:
    queue.add("a")
    key = await queue.get()
    queue.add("a")
    queue.add("a")
    assert len(queue) == 0  # no second worker gets it now
    queue.done(key)
    assert await queue.get() == "a"
    queue.done("a")
    assert len(queue) == 0


async def test_get_waits_for_a_key(queue: WorkQueue[str]) -> None:
    getter = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    assert not getter.done()
    queue.add("a")
    assert await getter == "a"


async def test_a_cancelled_getter_takes_no_key_with_it(queue: WorkQueue[str]) -> None:
    first = asyncio.create_task(queue.get())
    second = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add("a")  # wakes the first, which is cancelled before it runs
    first.cancel()
    assert await asyncio.wait_for(second, 60) == "a"
    assert first.cancelled()


async def test_a_delayed_key_arrives_on_time(queue: WorkQueue[str], clock: FakeClock) -> None:
    queue.add_after("a", 10)
    await clock.run_for(9.9)
    assert len(queue) == 0
    await clock.run_for(0.1)
    assert len(queue) == 1


async def test_the_earliest_of_several_delays_wins(queue: WorkQueue[str], clock: FakeClock) -> None:
    queue.add_after("a", 10)
    queue.add_after("a", 2)
    queue.add_after("a", 20)
    await clock.run_for(2)
    assert await queue.get() == "a"
    queue.done("a")
    await clock.run_for(60)
    assert len(queue) == 0


async def test_delays_of_several_keys_do_not_disturb_each_other(
    queue: WorkQueue[str], clock: FakeClock
) -> None:
    queue.add_after("late", 3)
    queue.add_after("early", 1)
    queue.add_after("middle", 2)
    arrived = []
    for _ in range(3):
        await clock.run_for(1)
        arrived.append(await queue.get())
    assert arrived == ["early", "middle", "late"]


async def test_no_delay_is_an_add(queue: WorkQueue[str]) -> None:
    queue.add_after("a", 0)
    assert len(queue) == 1


async def test_backoff_doubles_up_to_its_limit_and_is_forgotten(clock: FakeClock) -> None:
    queue: WorkQueue[str] = WorkQueue("test", clock=clock, base_delay=1, max_delay=5)
    waited = []
    for _ in range(5):
        before = clock.monotonic()
        queue.add_rate_limited("a")
        await clock.run_for(0)
        while not len(queue):
            await clock.run_for(0.5)
        waited.append(clock.monotonic() - before)
        queue.done(await queue.get())
    assert waited == [1, 2, 4, 5, 5]
    assert queue.retries("a") == 5
    queue.forget("a")
    assert queue.retries("a") == 0
    queue.add_rate_limited("a")
    await clock.run_for(1)
    assert len(queue) == 1


async def test_a_thousand_failures_do_not_overflow(queue: WorkQueue[str]) -> None:
    for _ in range(2000):
        queue.add_rate_limited("a")
    assert queue.retries("a") == 2000
    queue.shut_down()


async def test_shut_down_hands_out_what_is_queued_then_ends_every_worker(
    queue: WorkQueue[str], clock: FakeClock
) -> None:
    queue.add("a")
    queue.add_after("delayed", 1)
    queue.shut_down()
    queue.add("late")
    assert await queue.get() == "a"
    with pytest.raises(ShutDown):
        await queue.get()
    await clock.run_for(5)
    assert len(queue) == 0


async def test_shut_down_wakes_the_workers_that_wait(queue: WorkQueue[str]) -> None:
    getters = [asyncio.create_task(queue.get()) for _ in range(3)]
    await asyncio.sleep(0)
    queue.shut_down()
    results = await asyncio.gather(*getters, return_exceptions=True)
    assert all(isinstance(result, ShutDown) for result in results)


async def test_statistics_tell_what_is_where(queue: WorkQueue[str]) -> None:
    queue.add("a")
    queue.add("b")
    await queue.get()
    queue.add_after("c", 5)
    queue.add_rate_limited("d")
    assert queue.statistics() == {
        "queued": 1, "processing": 1, "delayed": 2, "adds": 2, "retries": 1,
    }  # fmt: skip
    queue.shut_down()


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_every_change_is_seen_by_a_reconcile_that_began_after_it(data: st.DataObject) -> None:
    """The promise controllers live by: the last state of every key is reconciled, never in pairs."""
    changes = data.draw(
        st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3)), max_size=40), "changes"
    )
    workers = data.draw(st.integers(1, 4), "workers")

    async def scenario() -> None:
        clock = FakeClock()
        queue: WorkQueue[str] = WorkQueue("test", clock=clock)
        state: dict[str, int] = {}
        seen: dict[str, int] = {}
        running: set[str] = set()

        async def work() -> None:
            try:
                while True:
                    key = await queue.get()
                    assert key not in running
                    running.add(key)
                    observed = state[key]
                    await clock.sleep(1)
                    seen[key] = observed
                    running.discard(key)
                    queue.done(key)
            except ShutDown:
                return

        tasks = [asyncio.create_task(work()) for _ in range(workers)]
        for key, pause in changes:
            state[key] = state.get(key, 0) + 1
            queue.add(key)
            await clock.run_for(pause * 0.5)
        await clock.run_for(200)
        assert seen == state
        queue.shut_down()
        await asyncio.gather(*tasks)

    asyncio.run(scenario())


class QueueModel(RuleBasedStateMachine):
    """add, get and done in any order, against sets and a list."""

    keys = st.sampled_from(["a", "b", "c", "d"])

    def __init__(self) -> None:
        super().__init__()
        self.queue: WorkQueue[str] = WorkQueue("model", clock=FakeClock())
        self.waiting: list[str] = []
        self.processing: set[str] = set()
        self.again: set[str] = set()

    @rule(key=keys)
    def add(self, key: str) -> None:
        self.queue.add(key)
        if key in self.processing:
            self.again.add(key)
        elif key not in self.waiting:
            self.waiting.append(key)

    @rule()
    def get(self) -> None:
        if not self.waiting:
            return
        assert self._now(self.queue.get()) == self.waiting[0]
        self.processing.add(self.waiting.pop(0))

    @rule(data=st.data())
    def done(self, data: Any) -> None:
        if not self.processing:
            return
        key = data.draw(st.sampled_from(sorted(self.processing)))
        self.queue.done(key)
        self.processing.discard(key)
        if key in self.again:
            self.again.discard(key)
            self.waiting.append(key)

    @invariant()
    def lengths_agree(self) -> None:
        assert len(self.queue) == len(self.waiting)
        assert self.queue.statistics()["processing"] == len(self.processing)

    @staticmethod
    def _now(coro: Any) -> str:
        try:
            coro.send(None)
        except StopIteration as result:
            return str(result.value)
        raise AssertionError("get() waited although a key was queued")


TestQueueModel = QueueModel.TestCase
