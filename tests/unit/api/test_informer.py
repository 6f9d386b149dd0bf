"""Informer: the first list, changes, breaks, expired revisions, identity, indexes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from api import errors
from api.core import ConfigMap
from api.informer import PAGE, Informer
from api.meta import ObjectMeta
from base.clock import FakeClock
from base.errors import TemporaryError
from base.tasks import TaskGuard


def config(name: str, uid: str = "", **labels: str) -> ConfigMap:
    return ConfigMap(metadata=ObjectMeta(name=name, namespace="n", uid=uid, labels=labels))


class Watched:
    """An informer under test with everything it told."""

    def __init__(self, client: Any) -> None:
        self.clock = FakeClock()
        self.client = client
        self.informer = Informer(client, ConfigMap, clock=self.clock, jitter=lambda: 0.5)
        self.told: list[tuple[str, str]] = []
        self.informer.subscribe(self.note)

    def note(self, old: ConfigMap | None, new: ConfigMap | None) -> None:
        some = new if new is not None else old
        assert some is not None
        what = "come" if old is None else "gone" if new is None else "changed"
        self.told.append((what, some.metadata.name))

    async def settle(self) -> None:
        await self.clock.run_for(0)

    def names(self) -> list[str]:
        return sorted(item.metadata.name for item in self.informer.items())


@pytest.fixture
async def watched(memory: Any) -> AsyncIterator[Watched]:
    memory.put(config("a"))
    made = Watched(memory)
    async with TaskGuard("test") as guard:
        guard.start(made.informer.run(), name="informer")
        await made.settle()
        yield made


async def test_list_then_changes(watched: Watched) -> None:
    await asyncio.wait_for(watched.informer.synced(), 60)
    watched.client.put(config("b"))
    watched.client.put(config("a", x="1"))
    watched.client.remove("b")
    await watched.settle()
    assert watched.told == [("come", "a"), ("come", "b"), ("changed", "a"), ("gone", "b")]
    assert watched.client.calls == ["list", "watch 11"]
    found = watched.informer.get("a", "n")
    assert found is not None and found.metadata.labels == {"x": "1"}
    assert watched.informer.resource_version == "14"


async def test_what_is_gone_again_is_not_waited_for(watched: Watched) -> None:
    """A controller that has created something must know whether it is not there yet or no more."""
    assert watched.informer.shows("11")
    assert not watched.informer.shows("12")
    watched.client.put(config("b"))
    watched.client.remove("b")
    await watched.settle()
    assert watched.informer.get("b", "n") is None
    assert watched.informer.shows("12")


async def test_a_broken_watch_resumes_where_it_was(watched: Watched) -> None:
    watched.client.put(config("b"))
    await watched.settle()
    watched.client.end_watches(TemporaryError("cable"))
    await watched.settle()
    watched.client.put(config("c"))
    await watched.clock.run_for(1)
    assert watched.client.calls == ["list", "watch 11", "watch 12"]
    assert watched.told == [("come", "a"), ("come", "b"), ("come", "c")]


async def test_an_expired_revision_lists_again_and_tells_the_difference(watched: Watched) -> None:
    watched.client.put(config("b"))
    await watched.settle()
    watched.told.clear()
    watched.client.end_watches(errors.too_old(12, 99))
    watched.client.changes.clear()
    watched.client.objects.clear()
    watched.client.revision = 100
    watched.client.put(config("b", x="2"))
    watched.client.put(config("c"))
    watched.client.changes.clear()
    await watched.clock.run_for(1)
    assert watched.told == [("gone", "a"), ("changed", "b"), ("come", "c")]
    assert watched.client.calls[-2:] == ["list", "watch 102"]


async def test_made_again_under_the_same_name(watched: Watched) -> None:
    watched.told.clear()
    watched.client.end_watches(errors.expired("gone"))
    watched.client.objects.clear()
    watched.client.changes.clear()
    watched.client.put(config("a", uid="another"))
    await watched.clock.run_for(1)
    assert watched.told == [("gone", "a"), ("come", "a")]


async def test_nothing_is_told_twice(watched: Watched) -> None:
    watched.client.end_watches(errors.expired("gone"))
    await watched.clock.run_for(1)
    assert watched.told == [("come", "a")]


async def test_back_off_grows_and_ends(watched: Watched) -> None:
    watched.client.fail = [TemporaryError("down")] * 6
    watched.client.end_watches(TemporaryError("cable"))
    await watched.settle()
    before = len(watched.client.calls)
    # 0.2 + 0.4 + 0.8 + 1.6 + 3.2 + 6.4 + 12.8: the sixth try comes after 12.6 s
    await watched.clock.run_for(12.5)
    assert len(watched.client.calls) - before == 5
    assert watched.informer.statistics()["failures_in_a_row"] == 6
    watched.client.fail.clear()
    await watched.clock.run_for(60)
    watched.client.put(config("z"))
    await watched.settle()
    assert watched.names() == ["a", "z"]
    assert watched.informer.statistics()["failures_in_a_row"] == 0


async def test_empty_short_watches_do_not_spin(watched: Watched) -> None:
    for _ in range(50):
        watched.client.end_watches()
    await watched.clock.run_for(10)
    assert len(watched.client.calls) < 12


async def test_a_handler_that_raises_ends_the_run(memory: Any) -> None:
    informer = Informer(memory, ConfigMap, clock=FakeClock())

    def broken(old: ConfigMap | None, new: ConfigMap | None) -> None:
        raise ZeroDivisionError

    informer.subscribe(broken)
    memory.put(config("a"))
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(informer.run(), 60)


async def test_late_subscribers_hear_what_is_there(watched: Watched) -> None:
    heard = []
    watched.informer.subscribe(lambda old, new: heard.append((old, new)))
    assert len(heard) == 1 and heard[0][0] is None


async def test_indexes(watched: Watched) -> None:
    watched.informer.add_index("label", lambda item: item.metadata.labels.values())
    watched.client.put(config("a", x="1"))
    watched.client.put(config("b", x="1", y="2"))
    await watched.settle()
    by = watched.informer.by_index
    assert [item.metadata.name for item in by("label", "1")] == ["a", "b"]
    watched.client.put(config("a", x="2"))
    watched.client.remove("b")
    await watched.settle()
    assert by("label", "1") == []
    assert [item.metadata.name for item in by("label", "2")] == ["a"]


async def test_pages(memory: Any) -> None:
    for number in range(PAGE + 3):
        memory.put(config(f"c{number}"))
    watched = Watched(memory)
    async with TaskGuard("test") as guard:
        guard.start(watched.informer.run(), name="informer")
        await watched.settle()
        assert len(watched.informer.items()) == PAGE + 3
    assert memory.calls[:2] == ["list", f"list {PAGE}"]
