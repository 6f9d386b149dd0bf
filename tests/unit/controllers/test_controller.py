"""What becomes of keys whose reconciliation fails, and of those that only a late cache holds up."""

from __future__ import annotations

from typing import Any

import pytest

from api.core import Pod
from api.errors import conflict
from api.objects import Key
from api.scheme import resource_of
from base.clock import FakeClock
from base.errors import PodwrightError, TemporaryError
from base.tasks import TaskGuard
from control.controllers.context import Context, Informers
from control.controllers.controller import MOMENT, Behind, Controller

KEY = Key("default", "web")


class Failing(Controller):
    """Fails as it is told."""

    name = "failing"
    error: PodwrightError = TemporaryError("the store is away")

    async def reconcile(self, key: Key) -> float | None:
        raise self.error


def a_controller(clock: FakeClock, guard: TaskGuard) -> Failing:
    client: Any = None
    ca: Any = None
    informers = Informers(client, clock)
    return Failing(Context(client=client, informers=informers, clock=clock, ca=ca, guard=guard))


@pytest.mark.parametrize("late", [Behind("not seen yet"), conflict(resource_of(Pod), "web")])
async def test_a_late_cache_is_no_failure(late: PodwrightError) -> None:
    """However often it is late: the next look is a moment away, and the first failure no long one."""
    clock = FakeClock()
    async with TaskGuard("test") as guard:
        controller = a_controller(clock, guard)
        controller.error = late
        for _ in range(30):
            await controller._reconcile(KEY)
        assert controller.queue.retries(KEY) == 0
        clock.advance(MOMENT)
        assert await controller.queue.get() == KEY


async def test_a_failure_waits_longer_each_time() -> None:
    async with TaskGuard("test") as guard:
        controller = a_controller(FakeClock(), guard)
        for _ in range(3):
            await controller._reconcile(KEY)
        assert controller.queue.retries(KEY) == 3
        assert controller.statistics()["reconcile_failures"] == 3
