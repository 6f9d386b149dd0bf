"""Turns: so many at a time, the most urgent first, and no place is ever lost."""

from __future__ import annotations

import asyncio
import contextlib
import random

import pytest

from agent.containers.turns import SLOW, Rank, Turns


class Crowd:
    """Callers that hold their place until they are told to leave."""

    def __init__(self, places: int, *, most: int = 0, slow: float = SLOW) -> None:
        self.turns = Turns(places, most=most, slow=slow)
        self.inside: list[str] = []
        self.most = 0
        self._leave: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def come(self, name: str, rank: Rank) -> None:
        self._leave[name] = asyncio.Event()
        self.tasks[name] = asyncio.get_running_loop().create_task(self._stay(name, rank))
        await settled()

    async def leave(self, name: str) -> None:
        self._leave[name].set()
        await settled()

    async def _stay(self, name: str, rank: Rank) -> None:
        async with self.turns.turn(rank):
            self.inside.append(name)
            self.most = max(self.most, len(self.inside))
            await self._leave[name].wait()
            self.inside.remove(name)


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_was_begun_is_finished_before_anything_else_begins() -> None:
    crowd = Crowd(1)
    await crowd.come("first", Rank.BEGIN)
    await crowd.come("second", Rank.BEGIN)
    await crowd.come("create in first", Rank.CONTINUE)
    await crowd.come("start first", Rank.FINISH)
    order = []
    while crowd.inside:
        order.append(crowd.inside[0])
        await crowd.leave(crowd.inside[0])
    assert order == ["first", "start first", "create in first", "second"]


async def test_within_a_rank_first_come_first_served() -> None:
    crowd = Crowd(2)
    for name in "abcd":
        await crowd.come(name, Rank.BEGIN)
    assert crowd.inside == ["a", "b"]
    await crowd.leave("b")
    assert crowd.inside == ["a", "c"]
    await crowd.leave("a")
    assert crowd.inside == ["c", "d"]


async def test_who_gives_up_waiting_leaves_nothing_behind() -> None:
    crowd = Crowd(1)
    for name in "abc":
        await crowd.come(name, Rank.BEGIN)
    crowd.tasks["b"].cancel()
    await settled()
    assert len(crowd.turns) == 1
    await crowd.leave("a")
    assert crowd.inside == ["c"]


async def test_a_place_given_to_one_who_gives_up_in_the_same_moment_is_passed_on() -> None:
    turns = Turns(1)
    entered = asyncio.Event()

    async def wait() -> None:
        async with turns.turn(Rank.BEGIN):
            entered.set()

    async with turns.turn(Rank.BEGIN):
        loop = asyncio.get_running_loop()
        gives_up, stays = loop.create_task(wait()), loop.create_task(wait())
        await settled()
    gives_up.cancel()  # before it has run: it has the place and does not know
    with contextlib.suppress(asyncio.CancelledError):
        await gives_up
    await stays
    assert entered.is_set()


async def test_an_error_gives_the_place_back() -> None:
    turns = Turns(1)
    with pytest.raises(ValueError):
        async with turns.turn(Rank.FINISH):
            raise ValueError
    async with asyncio.timeout(60), turns.turn(Rank.FINISH):
        pass


@pytest.mark.parametrize("seed", range(20))
async def test_never_too_many_never_too_few(seed: int) -> None:
    """However callers come, leave and give up: all places are taken while somebody waits."""
    chance = random.Random(seed)
    crowd = Crowd(3)
    for number in range(60):
        waiting = [n for n, task in crowd.tasks.items() if not task.done()]
        waiting = [name for name in waiting if name not in crowd.inside]
        match chance.randrange(4):
            case 0 if crowd.inside:
                await crowd.leave(chance.choice(crowd.inside))
            case 1 if waiting:
                crowd.tasks[chance.choice(waiting)].cancel()
                await settled()
            case _:
                await crowd.come(str(number), chance.choice(list(Rank)))
        assert len(crowd.inside) <= 3
        assert len(crowd.inside) == 3 or not len(crowd.turns)
    for task in crowd.tasks.values():
        task.cancel()
    await asyncio.gather(*crowd.tasks.values(), return_exceptions=True)


async def test_giving_up_in_the_moment_in_which_a_place_gets_free() -> None:
    """All calls to an engine that hangs run into their timeouts at once."""
    crowd = Crowd(1)
    await crowd.come("first", Rank.FINISH)
    await crowd.come("second", Rank.FINISH)
    crowd._leave["first"].set()
    crowd.tasks["second"].cancel()
    with pytest.raises(asyncio.CancelledError):
        await crowd.tasks["second"]
    await crowd.tasks["first"]
    assert repr(crowd.turns) == "Turns(running=0, slow=0, waiting=0)"


async def test_who_takes_long_holds_nobody_up() -> None:
    """Until as many are slow as there is room for; who is quick meanwhile makes room as ever."""
    crowd = Crowd(1, most=3, slow=0.001)
    for name in "abcde":
        await crowd.come(name, Rank.BEGIN)
    async with asyncio.timeout(60):
        while crowd.inside != ["a", "b", "c"] or "slow=3" not in repr(crowd.turns):
            await asyncio.sleep(0.001)
    assert len(crowd.turns) == 2
    await crowd.leave("b")
    assert crowd.inside == ["a", "c", "d"]
    async with asyncio.timeout(60):
        while "slow=3" not in repr(crowd.turns):
            await asyncio.sleep(0.001)
    assert crowd.inside == ["a", "c", "d"]
    for name in "acde":
        await crowd.leave(name)
    assert repr(crowd.turns) == "Turns(running=0, slow=0, waiting=0)"


async def test_of_those_that_do_not_take_long_there_are_never_more_than_places() -> None:
    crowd = Crowd(2, most=5)
    for name in "abcde":
        await crowd.come(name, Rank.BEGIN)
    assert crowd.inside == ["a", "b"]
