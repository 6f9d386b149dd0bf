"""The guard notices every task that dies, and leaves none behind."""

from __future__ import annotations

import asyncio

import pytest

from base.clock import FakeClock
from base.errors import PermanentError
from base.tasks import TaskGuard, persist


async def forever() -> None:
    await asyncio.Event().wait()


async def fail(message: str = "broken") -> None:
    raise RuntimeError(message)


async def test_a_failed_task_fails_its_guard() -> None:
    guard = TaskGuard("test")
    guard.start(forever(), name="fine")
    guard.start(fail(), name="bad")
    with pytest.raises(RuntimeError, match="broken"):
        await guard.failed()
    await guard.close()


async def test_the_first_failure_is_the_one_that_is_told() -> None:
    guard = TaskGuard("test")
    guard.start(fail("first"), name="one")
    guard.start(fail("second"), name="two")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="first"):
        await guard.failed()


async def test_a_task_that_returns_or_is_cancelled_is_forgotten() -> None:
    guard = TaskGuard("test")
    done = guard.start(asyncio.sleep(0, "result"), name="returns")
    stopped = guard.start(forever(), name="stopped")
    assert await done == "result"
    stopped.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopped
    assert guard.statistics() == {"running": 0, "started": 2}
    await guard.close()


async def test_close_ends_every_task_even_a_stubborn_one() -> None:
    refusals = 0

    async def stubborn() -> None:
        nonlocal refusals
        try:
            await forever()
        except asyncio.CancelledError:
            refusals += 1
            await asyncio.sleep(0)
            raise

    guard = TaskGuard("test")
    tasks = [guard.start(stubborn(), name="stubborn"), guard.start(forever(), name="fine")]
    await asyncio.sleep(0)
    await guard.close()
    await guard.close()
    assert refusals == 1
    assert all(task.cancelled() for task in tasks)


async def test_nothing_starts_in_a_closed_guard() -> None:
    guard = TaskGuard("test")
    await guard.close()
    with pytest.raises(RuntimeError, match="closing"):
        guard.start(forever(), name="late")


async def test_a_failure_nobody_waited_for_is_raised_at_the_end() -> None:
    with pytest.raises(RuntimeError, match="broken"):
        async with TaskGuard("test") as guard:
            guard.start(fail(), name="bad")
            await asyncio.sleep(0)
            await asyncio.sleep(0)


async def test_the_error_of_the_body_wins() -> None:
    with pytest.raises(KeyError):
        async with TaskGuard("test") as guard:
            guard.start(fail(), name="bad")
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            raise KeyError("body")


async def test_a_task_may_close_its_own_guard() -> None:
    guard = TaskGuard("test")
    other = guard.start(forever(), name="other")
    closer = guard.start(guard.close(), name="closer")
    await closer
    assert other.cancelled()


async def test_tasks_are_named_after_their_guard() -> None:
    async with TaskGuard("agent") as guard:
        assert guard.start(forever(), name="heartbeat").get_name() == "agent/heartbeat"
        assert "agent/heartbeat" in repr(guard)


async def test_an_error_worded_for_people_is_told_without_a_trace(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def refused() -> None:
        raise PermanentError("the token has expired", hint="Make a new one.")

    guard = TaskGuard("test")
    guard.start(refused(), name="join")
    with pytest.raises(PermanentError):
        await guard.failed()
    (told,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert "the token has expired" in told.getMessage()
    assert told.exc_info is None


async def _persisting(clock: FakeClock, *outcomes: Exception | None) -> list[float]:
    """When each step was taken; after the last outcome they go on for ever."""
    at: list[float] = []
    left = list(outcomes)

    async def step() -> None:
        at.append(clock.monotonic())
        if left and (error := left.pop(0)) is not None:
            raise error
        await clock.sleep(10.0)

    async with TaskGuard("test") as guard:
        guard.start(persist(step, what="looking about", clock=clock), name="looking")
        await clock.run_for(100.0)
        assert guard.statistics()["running"] == 1
    return [one - at[0] for one in at]


async def test_a_loop_outlives_a_step_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    at = await _persisting(FakeClock(), None, RuntimeError("odd"), None)
    assert at[:4] == [0.0, 10.0, 11.0, 21.0]
    assert "looking about failed, next try in 1 s" in caplog.text
    assert "RuntimeError: odd" in caplog.text


async def test_it_pauses_longer_each_time_until_a_step_succeeds() -> None:
    odd = RuntimeError("odd")
    at = await _persisting(FakeClock(), odd, odd, odd, None, odd)
    assert at[:7] == [0.0, 1.0, 3.0, 7.0, 17.0, 18.0, 28.0]


async def test_what_is_worded_for_people_is_told_without_a_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    await _persisting(FakeClock(), PermanentError("no room"))
    assert "looking about failed, next try in 1 s: no room" in caplog.text
    assert "Traceback" not in caplog.text
