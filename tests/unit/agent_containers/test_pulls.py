"""How many pulls run at a time, who shares them, and what is told of a slow one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest

from agent.containers.errors import EngineUnavailable, PullError
from agent.containers.fake import FakeRuntime
from agent.containers.pulls import Progress, Pulled, Pulls
from agent.containers.records import ImageRecord, PullProgress, RegistryAuth
from base.clock import FakeClock
from base.tasks import TaskGuard

SLOW = 100.0
MEBIBYTE = 1024 * 1024


@dataclass
class Node:
    clock: FakeClock
    runtime: FakeRuntime
    guard: TaskGuard
    pulls: Pulls
    told: list[str] = field(default_factory=list)

    def begin(self, reference: str, auth: RegistryAuth | None = None) -> asyncio.Task[Pulled]:
        return asyncio.create_task(self.pulls.get(reference, auth, self.told.append))

    @property
    def begun(self) -> list[str]:
        return [image for method, image in self.runtime.calls if method == "pull"]


@pytest.fixture(params=[2])
async def node(request: pytest.FixtureRequest) -> AsyncIterator[Node]:
    clock = FakeClock()
    runtime = FakeRuntime(clock, registry={f"image:{n}": None for n in range(5)})
    runtime.pull_seconds = SLOW
    async with TaskGuard("test") as guard:
        pulls = Pulls(runtime, clock=clock, guard=guard, parallel=request.param)
        yield Node(clock, runtime, guard, pulls)


async def test_so_many_at_a_time_in_the_order_of_asking(node: Node) -> None:
    all = [node.begin(f"image:{n}") for n in range(5)]
    await node.clock.run_for(1)
    assert node.begun == ["image:0", "image:1"]
    assert node.pulls.statistics()["pulls_waiting"] == 3
    await node.clock.run_for(SLOW)
    assert node.begun == [f"image:{n}" for n in range(4)]
    await node.clock.run_for(2 * SLOW)
    assert [(await one).took for one in all] == [SLOW] * 5, "waiting does not count"
    assert node.pulls.statistics() == {
        "pulls_running": 0,
        "pulls_waiting": 0,
        "pulls_succeeded": 5,
        "pulls_failed": 0,
    }


@pytest.mark.parametrize("node", [1], indirect=True)
async def test_one_after_the_other(node: Node) -> None:
    for n in range(3):
        node.begin(f"image:{n}")
    for n in range(3):
        await node.clock.run_for(SLOW - 1)
        assert node.begun == [f"image:{m}" for m in range(n + 1)]
        await node.clock.run_for(1)


async def test_who_wants_the_same_shares_and_other_credentials_do_not(node: Node) -> None:
    mine = RegistryAuth(username="me")
    several = [node.begin("image:0"), node.begin("image:0"), node.begin("image:0", mine)]
    await node.clock.run_for(SLOW)
    assert node.begun == ["image:0", "image:0"]
    assert len({(await one).image.id for one in several[:2]}) == 1


async def test_a_failure_gives_the_place_free(node: Node) -> None:
    node.runtime.registry["image:0"] = node.runtime.registry["image:1"] = PullError("no")
    failing = [node.begin("image:0"), node.begin("image:1")]
    waiting = node.begin("image:2")
    await node.clock.run_for(2 * SLOW)
    for one in failing:
        with pytest.raises(PullError):
            await one
    assert (await waiting).took == SLOW


async def test_an_agent_that_ends_leaves_nobody_waiting(node: Node) -> None:
    waiting = node.begin("image:0")
    await node.clock.run_for(1)
    await node.guard.close()
    with pytest.raises(EngineUnavailable, match="cut off"):
        await waiting


async def test_a_slow_pull_says_how_far_it_is_ever_more_rarely(node: Node) -> None:
    node.runtime.pull = _slow(node.clock, 3600)  # type: ignore[method-assign, assignment]
    node.begin("image:0")
    await node.clock.run_for(29)
    assert node.told == []
    await node.clock.run_for(2)
    assert node.told == ["0 of 2 layers are there, 1.0 of 4.0 MiB are fetched"]
    await node.clock.run_for(3600)
    assert 6 <= len(node.told) <= 12


async def test_one_who_waits_for_a_turn_knows_it(node: Node) -> None:
    for n in range(4):
        node.begin(f"image:{n}")
    await node.clock.run_for(31)
    assert node.told == [
        "the registry has not answered yet",
        "the registry has not answered yet",
        "waits for its turn, 2 other pulls come first",
        "waits for its turn, 3 other pulls come first",
    ]


def _slow(clock: FakeClock, seconds: float) -> Callable[..., object]:
    async def pull(
        reference: str, *, auth: object, progress: Callable[[PullProgress], None]
    ) -> ImageRecord:
        progress(
            PullProgress(layer="a", status="Downloading", current=MEBIBYTE, total=4 * MEBIBYTE)
        )
        progress(PullProgress(layer="b", status="Waiting"))
        await clock.sleep(seconds)
        raise PullError("no")

    return pull


def test_progress_is_summed_over_layers() -> None:
    progress = Progress()
    assert str(progress) == "the registry has not answered yet"
    steps = [
        ("1", "Pulling from library/app", 0, 0),
        ("a", "Already exists", 0, 0),
        ("b", "Pulling fs layer", 0, 0),
        ("b", "Downloading", MEBIBYTE, 3 * MEBIBYTE),
        ("c", "Downloading", 2 * MEBIBYTE, 2 * MEBIBYTE),
        ("c", "Verifying Checksum", 0, 0),
        ("c", "Extracting", MEBIBYTE, 2 * MEBIBYTE),
        ("", "Digest: sha256:0", 0, 0),
    ]
    for layer, status, current, total in steps:
        progress.note(PullProgress(layer=layer, status=status, current=current, total=total))
    assert str(progress) == "1 of 3 layers are there, 3.0 of 5.0 MiB are fetched"
    progress.note(PullProgress(layer="b", status="Download complete"))
    progress.note(PullProgress(layer="b", status="Pull complete"))
    assert str(progress) == "2 of 3 layers are there, 5.0 of 5.0 MiB are fetched"
