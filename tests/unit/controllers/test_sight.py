"""What must be seen before an owner is looked at again, above all after an answer was lost."""

from __future__ import annotations

from typing import Any

import pytest

from api import errors
from api.core import Pod
from api.interface import Listed
from api.objects import Key
from api.scheme import resource_of
from base.errors import TemporaryError
from control.controllers.controller import Behind
from control.controllers.sight import Scene, Sight, is_refusal
from tests.unit.controllers.making import pod

OWNER = Key("default", "web")


class Cache:
    """What an informer shows, and what a client lists."""

    def __init__(self) -> None:
        self.cached: list[Pod] = []
        self.stored: list[Pod] = []
        self.revision = 0
        self.lists = 0

    def shows(self, revision: str) -> bool:
        return self.revision >= int(revision or 0)

    def items(self, namespace: str) -> list[Pod]:
        return self.cached

    async def list(self, type_: type[Any], namespace: str) -> Any:
        self.lists += 1
        return Listed(items=list(self.stored), resource_version="100")


def version(name: str, number: int) -> Pod:
    made = pod(name)
    made.metadata.resource_version = str(number)
    return made


async def answered(value: Any) -> Any:
    return value


async def failed(error: Exception) -> Any:
    raise error


async def sees(sight: Sight[Pod], cache: Any) -> bool:
    try:
        await sight.check(cache, OWNER)
    except Behind:
        return False
    return True


async def test_a_write_is_seen_before_the_next_look() -> None:
    cache: Any = Cache()
    sight = Sight(Pod, cache)
    assert await sees(sight, cache)
    assert (await sight.after(OWNER, answered(version("a", 7)))).metadata.name == "a"
    assert not await sees(sight, cache)
    cache.revision = 7
    assert await sees(sight, cache)
    assert cache.lists == 0


async def test_after_a_lost_answer_the_cache_must_show_what_there_is() -> None:
    cache: Any = Cache()
    sight = Sight(Pod, cache)
    cache.cached, cache.stored = [version("old", 3)], [version("new", 50)]
    with pytest.raises(TemporaryError):
        await sight.perhaps(OWNER, failed(TemporaryError("connection lost")))
    assert not await sees(sight, cache)
    cache.cached, cache.revision = [version("old", 3), version("new", 50)], 50
    assert not await sees(sight, cache), "what is gone is still shown"
    cache.cached = [version("new", 50)]
    assert await sees(sight, cache)
    assert cache.lists == 1, "it waits for what there was then, not for a moment of peace"


async def test_what_came_and_went_meanwhile_is_not_waited_for() -> None:
    cache: Any = Cache()
    sight = Sight(Pod, cache)
    cache.stored = [version("new", 50)]
    with pytest.raises(TemporaryError):
        await sight.perhaps(OWNER, failed(TemporaryError("connection lost")))
    cache.revision = 49
    assert not await sees(sight, cache)
    cache.revision = 60
    assert await sees(sight, cache), "it was deleted before the cache was asked again"


async def test_a_refusal_leaves_nothing_to_doubt() -> None:
    cache: Any = Cache()
    sight = Sight(Pod, cache)
    cache.stored = [version("new", 50)]
    with pytest.raises(errors.ApiError):
        await sight.after(OWNER, failed(errors.conflict(resource_of(Pod), "a")))
    assert await sees(sight, cache)
    assert cache.lists == 0


async def test_who_is_gone_is_forgotten() -> None:
    cache: Any = Cache()
    sight = Sight(Pod, cache)
    await sight.after(OWNER, answered(version("a", 7)))
    sight.forget(OWNER)
    assert await sees(sight, cache)


def test_what_is_a_refusal() -> None:
    assert is_refusal(errors.bad_request("no"))
    assert is_refusal(errors.too_many_requests("later"))
    assert not is_refusal(errors.internal("who knows"))
    assert not is_refusal(errors.unavailable("who knows"))
    assert not is_refusal(TemporaryError("who knows"))


@pytest.mark.parametrize(
    ("cached", "shown"),
    [({"a": 5}, True), ({}, True), ({"a": 6, "later": 11}, True), ({"a": 5, "gone": 9}, False)],
)
def test_a_scene_knows_what_was_gone(cached: dict[str, int], shown: bool) -> None:
    scene = Scene.of(Listed(items=[version("a", 5)], resource_version="10"))
    assert scene == Scene(frozenset({"a"}), "5", 10)
    assert scene.shows_gone(cached) is shown
