"""A client that lists, watches and loses its connection always ends with what a fresh list shows.

Random histories, watchers with and without selectors, beginning at random revisions, served from
the ring, from the log, or from one and then the other; small sizes so that every way is taken.
"""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from control.store import logwatch
from control.store.cached import Cached
from control.store.errors import CompactedError
from control.store.subscription import CachedEvent, EventType, Interest, Predicate
from tests.unit.store.cluster import PREFIX, Pods, running

COLORS = ["red", "blue"]


def color_is(color: str) -> Predicate:
    return lambda entry: entry.labels.get("color") == color


interests = st.one_of(
    st.builds(Interest),
    st.builds(Interest, prefix=st.sampled_from([f"{PREFIX}x/", f"{PREFIX}y/"])),
    st.builds(Interest, key=st.just(f"{PREFIX}x/a")),
    st.builds(Interest, predicate=st.sampled_from(COLORS).map(color_is)),
    st.builds(Interest, where=st.sampled_from([("spec.nodeName", "n1"), ("spec.nodeName", "")])),
)
writes = st.tuples(
    st.just("write"),
    st.sampled_from("abc"),
    st.sampled_from("xy"),
    st.sampled_from([*COLORS, "delete"]),
    st.sampled_from(["", "n1", "n2"]),
)
steps = st.lists(
    writes
    | st.tuples(st.sampled_from(["read a little", "read all", "reconnect", "compact", "pause"])),
    max_size=60,
)


class Client:
    """What a client knows: a view built by a list, kept by a watch."""

    def __init__(self, pods: Pods, interest: Interest) -> None:
        self.pods = pods
        self.interest = interest
        self.list()

    def list(self) -> None:
        self.view = dict(self.truth())
        self.revision = self.pods.cache.revision
        self.subscription = self.pods.cache.subscribe(self.revision, self.interest)

    def truth(self) -> dict[str, bytes]:
        matching = [e for e in self.pods.cache.items() if self.matches(e)]
        return {entry.key: entry.body for entry in matching}

    def matches(self, entry: Cached) -> bool:
        return self.interest.covers(entry.key) and self.interest.matches(entry)

    def reconnect(self) -> None:
        self.subscription.close()
        self.subscription = self.pods.cache.subscribe(self.revision, self.interest)

    async def read(self, most: int = 10_000) -> None:
        """As far as there is something; a client whose past is gone lists anew."""
        target = self.pods.cache.revision
        while most and self.subscription.progress < target:
            most -= 1
            try:
                event = await self.next(target)
            except CompactedError:
                self.list()
                return
            except StopAsyncIteration:  # the cache had to begin anew
                self.reconnect()
                continue
            if event is not None:
                self.take(event.type, event.entry)
        assert self.subscription.progress >= self.revision
        self.revision = self.subscription.progress  # a bookmark

    async def next(self, target: int) -> CachedEvent | None:
        """The next event; None when there is none up to a revision, which only progress tells."""
        waiting = asyncio.ensure_future(self.subscription.filled())
        async with asyncio.timeout(60):
            while not waiting.done() and self.subscription.progress < target:
                await asyncio.sleep(0)
        if waiting.done():
            waiting.result()
            return await anext(self.subscription)
        waiting.cancel()
        return None

    def take(self, type_: EventType, entry: Cached) -> None:
        assert entry.revision > self.revision, "an old event, or one twice"
        assert json.loads(entry.body)["metadata"]["resourceVersion"] == str(entry.revision)
        self.revision = entry.revision
        if type_ is EventType.DELETED:
            assert entry.key in self.view
            del self.view[entry.key]
        else:
            assert (entry.key in self.view) == (type_ is EventType.MODIFIED)
            self.view[entry.key] = entry.body


async def act(pods: Pods, clients: list[Client], step: tuple[str, ...]) -> None:
    match step:
        case ("write", name, namespace, "delete", _):
            if pods.key(name, namespace) in pods.at:
                await pods.delete(name, namespace)
        case ("write", name, namespace, color, node):
            await pods.set(name, namespace, color=color, node=node)
        case ("read a little",):
            for client in clients:
                if client.subscription.progress < pods.cache.revision and len(client.subscription):
                    await client.read(1)
        case ("read all",):
            await pods.settled()
            for client in clients:
                await client.read()
        case ("reconnect",):
            for client in clients:
                client.reconnect()
        case ("compact",):
            await pods.store.compact(max(1, pods.store.revision() - 2))
        case _:
            await asyncio.sleep(0)


_NOTHING_OF_INTEREST = [("write", "a", "y", "red", "n1")] * 5 + [("pause",), ("reconnect",)]


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@example(wanted=[Interest(key=f"{PREFIX}x/a")], history=_NOTHING_OF_INTEREST)
@given(wanted=st.lists(interests, min_size=1, max_size=3), history=steps)
def test_a_view_always_converges(wanted: list[Interest], history: list[tuple[str, ...]]) -> None:
    async def run() -> None:
        async with running(ring_events=4, history=3) as pods:
            clients = [Client(pods, interest) for interest in wanted]
            for step in history:
                await act(pods, clients, step)
            await pods.settled()
            for client in clients:
                await client.read()
                assert client.view == client.truth()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logwatch, "BUFFER_CHANGES", 3)
        asyncio.run(run())
