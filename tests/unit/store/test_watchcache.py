"""The watch cache: what is read, what watchers are told, and what happens to slow ones."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from control.store import logwatch, watchcache
from control.store.errors import CompactedError, StoreClosedError
from control.store.interface import Range
from control.store.memory import MemoryStore
from control.store.subscription import CachedEvent, EventType, Interest, Subscription
from control.store.watchcache import WatchCache
from tests.unit.store.cluster import PREFIX, Pods, extract, pod, running


def red(entry: object) -> bool:
    return entry.labels.get("color") == "red"  # type: ignore[attr-defined]


def told(events: list[CachedEvent]) -> list[tuple[str, str, int]]:
    return [(event.type.value, event.entry.key.rsplit("/")[-1], event.revision) for event in events]


async def everything(subscription: Subscription, pods: Pods) -> list[CachedEvent]:
    """All events up to now."""
    await pods.settled()
    events: list[CachedEvent] = []
    async with asyncio.timeout(60):
        while subscription.progress < pods.store.revision():
            events += await subscription.batch()
    return events


class TestReading:
    async def test_an_object_carries_its_revision(self) -> None:
        async with running() as pods:
            revision = await pods.set("a", color="red")
            await pods.settled()
            entry = pods.cache.get(pods.key("a"))
            assert entry and entry.revision == revision
            assert json.loads(entry.body)["metadata"]["resourceVersion"] == str(revision)
            assert entry.labels == {"color": "red"}

    async def test_a_write_is_read_after_waiting_for_it(self) -> None:
        async with running() as pods:
            revision = await pods.set("a")
            await pods.cache.wait_for(revision, timeout=60)
            assert pods.cache.get(pods.key("a"))
            await pods.delete("a")
            await pods.settled()
            assert pods.cache.get(pods.key("a")) is None

    async def test_writes_elsewhere_count_as_progress(self) -> None:
        async with running() as pods:
            revision = await pods.store.put("/registry/nodes/n", b"{}", expected=0)
            await pods.cache.wait_for(revision, timeout=60)
            assert pods.cache.revision == revision

    async def test_waiting_for_the_future(self) -> None:
        async with running() as pods:
            with pytest.raises(TimeoutError):
                await pods.cache.wait_for(pods.store.revision() + 1, timeout=0.01)
            loop = asyncio.get_running_loop()
            waiting = loop.create_task(pods.cache.wait_for(pods.store.revision() + 2, timeout=60))
            await pods.store.put("/registry/nodes/n", b"{}", expected=0)
            await pods.store.put("/registry/nodes/m", b"{}", expected=0)
            await waiting

    async def test_waiting_for_a_far_future_lets_others_run(self) -> None:
        async with running() as pods:
            loop = asyncio.get_running_loop()
            waiting = loop.create_task(pods.cache.wait_for(999_999, timeout=0.2))
            await asyncio.sleep(0)
            await pods.store.put("/registry/nodes/n", b"{}", expected=0)
            revision = await pods.set("a")
            await pods.cache.wait_for(revision, timeout=60)
            with pytest.raises(TimeoutError):
                await waiting

    async def test_who_waits_is_told_when_the_store_closes(self) -> None:
        async with running() as pods:
            loop = asyncio.get_running_loop()
            waiting = loop.create_task(pods.cache.wait_for(99, timeout=60))
            await asyncio.sleep(0)
            await pods.store.close()
            with pytest.raises(StoreClosedError):
                await waiting

    async def test_lists_are_in_order_and_by_namespace(self) -> None:
        async with running() as pods:
            for namespace in ("b", "a", "ab"):
                for name in ("2", "1", "3"):
                    await pods.set(name, namespace)
            await pods.settled()
            keys = [entry.key for entry in pods.cache.items()]
            assert keys == sorted(keys) and len(keys) == pods.cache.count() == 9
            inside = [entry.key for entry in pods.cache.items(f"{PREFIX}a/")]
            assert inside == [f"{PREFIX}a/{i}" for i in (1, 2, 3)]
            page = pods.cache.items(f"{PREFIX}a/", after=inside[0], limit=1)
            assert [entry.key for entry in page] == inside[1:2]
            assert pods.cache.count(f"{PREFIX}a/", after=inside[1]) == 1

    async def test_lookup_by_an_indexed_field(self) -> None:
        async with running() as pods:
            await pods.set("b", node="n1")
            await pods.set("a", node="n1")
            await pods.set("c", node="n2")
            await pods.set("c", node="n1")
            await pods.set("d", node="n1")
            await pods.delete("d")
            await pods.settled()
            found = [entry.key for entry in pods.cache.where("spec.nodeName", "n1")]
            assert found == [pods.key(name) for name in "abc"]
            assert pods.cache.where("spec.nodeName", "n2") == []
            with pytest.raises(ValueError, match="not indexed"):
                pods.cache.where("spec.other", "")

    async def test_what_was_there_before_the_cache_is_loaded(self) -> None:
        store = MemoryStore()
        for name in "abc":
            await store.put(f"{PREFIX}default/{name}", pod(name), expected=0)
        for history in (0, 1, 10_000):
            cache = WatchCache(store, PREFIX, extract, history=history)
            task = asyncio.get_running_loop().create_task(cache.run())
            await cache.synced()
            assert len(cache.items()) == 3
            assert cache.revision == store.revision()
            task.cancel()


class TestWatching:
    async def test_events_in_order_with_the_same_bytes_for_all(self) -> None:
        async with running() as pods:
            first, second = (pods.cache.subscribe(pods.cache.revision) for _ in range(2))
            added = await pods.set("a")
            modified = await pods.set("a", color="red")
            deleted = await pods.delete("a")
            events = await everything(first, pods)
            assert told(events) == [
                ("ADDED", "a", added),
                ("MODIFIED", "a", modified),
                ("DELETED", "a", deleted),
            ]
            others = await everything(second, pods)
            assert [id(event) for event in events] == [id(event) for event in others]

    async def test_a_deletion_carries_the_last_object_and_its_own_revision(self) -> None:
        async with running() as pods:
            subscription = pods.cache.subscribe(pods.cache.revision)
            await pods.set("a", color="red")
            deleted = await pods.delete("a")
            last = (await everything(subscription, pods))[-1]
            tree = json.loads(last.entry.body)
            assert tree["metadata"]["resourceVersion"] == str(deleted)
            assert tree["metadata"]["labels"] == {"color": "red"}

    async def test_an_object_enters_and_leaves_a_selection(self) -> None:
        async with running() as pods:
            subscription = pods.cache.subscribe(pods.cache.revision, Interest(predicate=red))
            await pods.set("a", color="blue")
            entered = await pods.set("a", color="red")
            changed = await pods.set("a", color="red", size="big")
            left = await pods.set("a", color="blue")
            await pods.set("a", color="green")
            await pods.delete("a")
            events = await everything(subscription, pods)
            assert told(events) == [
                ("ADDED", "a", entered),
                ("MODIFIED", "a", changed),
                ("DELETED", "a", left),
            ]
            gone = json.loads(events[-1].entry.body)["metadata"]
            assert gone["labels"] == {"color": "red", "size": "big"}
            assert gone["resourceVersion"] == str(left)

    @pytest.mark.parametrize(
        ("interest", "expected"),
        [
            (Interest(), ["a", "b", "c"]),
            (Interest(prefix=PREFIX), ["a", "b", "c"]),
            (Interest(prefix=f"{PREFIX}one/"), ["a", "b"]),
            (Interest(key=f"{PREFIX}one/b"), ["b"]),
            (Interest(where=("spec.nodeName", "n1")), ["a", "c"]),
            (Interest(where=("spec.nodeName", "n1"), prefix=f"{PREFIX}one/"), ["a"]),
            (Interest(where=("spec.nodeName", "n1"), predicate=red), ["c"]),
        ],
        ids=["all", "kind", "namespace", "name", "node", "node and namespace", "node and label"],
    )
    @pytest.mark.parametrize("when", ["live", "replayed", "from the log"])
    async def test_only_what_is_of_interest(
        self, interest: Interest, expected: list[str], when: str
    ) -> None:
        async with running(ring_events=1 if when == "from the log" else 100) as pods:
            begin = pods.cache.revision
            if when == "live":
                subscription = pods.cache.subscribe(begin, interest)
            await pods.set("a", "one", node="n1")
            await pods.set("b", "one", node="n2")
            await pods.set("c", "two", node="n1", color="red")
            await pods.settled()
            if when != "live":
                subscription = pods.cache.subscribe(begin, interest)
            assert [name for _, name, _ in told(await everything(subscription, pods))] == expected

    async def test_moving_between_nodes_is_leaving_and_entering(self) -> None:
        async with running() as pods:
            begin = pods.cache.revision
            one, two = (
                pods.cache.subscribe(begin, Interest(where=("spec.nodeName", node)))
                for node in ("n1", "n2")
            )
            await pods.set("a", node="n1")
            moved = await pods.set("a", node="n2")
            assert told(await everything(one, pods))[-1] == ("DELETED", "a", moved)
            assert told(await everything(two, pods)) == [("ADDED", "a", moved)]

    async def test_an_interest_that_could_never_match_is_refused(self) -> None:
        async with running() as pods:
            for interest in (Interest(prefix=f"{PREFIX}one"), Interest(where=("other", "x"))):
                with pytest.raises(ValueError):
                    pods.cache.subscribe(1, interest)

    async def test_w6_watching_from_the_future_has_nothing_old(self) -> None:
        async with running() as pods:
            subscription = pods.cache.subscribe(pods.cache.revision + 2)
            written = [await pods.set(name) for name in "abcd"]
            events = await everything(subscription, pods)
            assert [event.revision for event in events] == written[2:]

    async def test_a_list_and_a_watch_after_it_have_no_gap(self) -> None:
        async with running() as pods:
            await pods.set("a")
            await pods.settled()
            loop = asyncio.get_running_loop()
            writing = loop.create_task(pods.set("b"))
            for _ in range(5):
                listed, at = pods.cache.items(), pods.cache.revision
                subscription = pods.cache.subscribe(at)
                await asyncio.sleep(0)
            await writing
            events = await everything(subscription, pods)
            seen = [entry.key for entry in listed] + [event.entry.key for event in events]
            assert seen == [pods.key("a"), pods.key("b")]

    async def test_an_encoding_is_made_once_for_all_watchers(self) -> None:
        made: list[int] = []

        def frame(event: CachedEvent) -> bytes:
            made.append(event.revision)
            return b"{" + event.entry.body + b"}"

        async with running() as pods:
            subscriptions = [pods.cache.subscribe(pods.cache.revision) for _ in range(3)]
            revision = await pods.set("a")
            frames = {
                event.form("json", frame)
                for subscription in subscriptions
                for event in await everything(subscription, pods)
            }
            assert len(frames) == 1 and made == [revision]


class TestThePast:
    async def test_the_recent_past_comes_from_memory(self) -> None:
        async with running() as pods:
            begin = pods.cache.revision
            written = [await pods.set(f"{i}") for i in range(10)]
            await pods.settled()
            assert pods.cache.remembers(begin)
            subscription = pods.cache.subscribe(begin + 3)
            assert len(subscription) == 7
            events = await everything(subscription, pods)
            assert [event.revision for event in events] == written[3:]

    async def test_the_older_past_comes_from_the_log_and_meets_the_present(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(logwatch, "BUFFER_CHANGES", 4)
        async with running(ring_events=3) as pods:
            begin = pods.cache.revision
            written = [await pods.set(f"{i}") for i in range(250)]
            await pods.settled()
            assert not pods.cache.remembers(begin)
            subscription = pods.cache.subscribe(begin)
            seen = [await anext(subscription) for _ in range(5)]
            written += [await pods.set(f"more{i}") for i in range(20)]
            seen += await everything(subscription, pods)
            written.append(await pods.set("live"))
            seen += await everything(subscription, pods)
            assert [event.revision for event in seen] == written
            assert {event.type for event in seen} == {EventType.ADDED}

    async def test_what_left_a_selection_in_the_past(self) -> None:
        async with running(ring_events=1) as pods:
            begin = pods.cache.revision
            await pods.set("a", color="red")
            left = await pods.set("a", color="blue")
            for i in range(3):
                await pods.set(f"{i}")
            await pods.settled()
            subscription = pods.cache.subscribe(begin, Interest(predicate=red))
            events = await everything(subscription, pods)
            assert told(events)[1:] == [("DELETED", "a", left)]
            assert json.loads(events[1].entry.body)["metadata"]["labels"] == {"color": "red"}

    async def test_what_was_compacted_is_gone(self) -> None:
        async with running(ring_events=1) as pods:
            begin = pods.cache.revision
            for i in range(5):
                await pods.set(f"{i}")
            await pods.settled()
            await pods.store.compact(pods.store.revision() - 2)
            with pytest.raises(CompactedError):
                await anext(pods.cache.subscribe(begin))

    async def test_after_a_restart_clients_find_their_place(self) -> None:
        """A new cache over the same store remembers what happened before it began."""
        async with running() as pods:
            written = [await pods.set(f"{i}") for i in range(10)]
            again = WatchCache(pods.store, PREFIX, extract)
            task = asyncio.get_running_loop().create_task(again.run())
            await again.synced()
            assert again.remembers(written[3])
            subscription = again.subscribe(written[3])
            events = await subscription.batch()
            assert [event.revision for event in events] == written[4:]
            task.cancel()

    async def test_the_ring_is_bounded_in_events_and_in_bytes(self) -> None:
        async with running(ring_events=5, ring_bytes=10_000) as pods:
            for i in range(20):
                await pods.set(f"{i}")
            await pods.settled()
            assert pods.cache.statistics()["ring_events"] == 5
            for i in range(20):
                await pods.set("big", text="x" * 4000, i=str(i))
            await pods.settled()
            statistics = pods.cache.statistics()
            assert statistics["ring_bytes"] <= 10_000 and statistics["ring_events"] <= 2
            assert statistics["ring_after_revision"] >= pods.store.revision() - 2


class TestSlowWatchers:
    async def test_a_stalled_watcher_is_closed_with_a_reason_and_holds_nothing(self) -> None:
        async with running() as pods:
            stalled = pods.cache.subscribe(pods.cache.revision, capacity=5)
            lively = pods.cache.subscribe(pods.cache.revision, capacity=5)
            for i in range(10):
                await pods.set(f"{i}")
                assert len(await everything(lively, pods)) == 1
            assert "too slow" in stalled.closed_reason
            assert len(stalled) == 0
            assert await anext(stalled, None) is None
            assert pods.cache.statistics()["subscriptions"] == 1
            assert pods.cache.statistics()["slow_watchers_total"] == 1

    async def test_a_long_replay_is_not_slowness(self) -> None:
        async with running() as pods:
            begin = pods.cache.revision
            for i in range(20):
                await pods.set(f"{i}")
            await pods.settled()
            subscription = pods.cache.subscribe(begin, capacity=5)
            await pods.set("live")
            assert len(await everything(subscription, pods)) == 21
            assert subscription.closed_reason == ""

    async def test_watchers_end_when_the_store_does(self) -> None:
        async with running() as pods:
            subscription = pods.cache.subscribe(pods.cache.revision)
            waiting = asyncio.get_running_loop().create_task(anext(subscription, None))
            await asyncio.sleep(0)
            await pods.store.close()
            assert await waiting is None
            assert subscription.closed_reason == "the store was closed"

    async def test_a_closed_watcher_is_forgotten(self) -> None:
        async with running() as pods:
            subscription = pods.cache.subscribe(pods.cache.revision)
            subscription.close()
            subscription.close("again")
            assert subscription.closed_reason == "closed by its consumer"
            assert pods.cache.statistics()["subscriptions"] == 0
            assert await anext(subscription, None) is None

    async def test_a_cache_slower_than_compaction_begins_anew(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(logwatch, "BUFFER_CHANGES", 3)
        async with running() as pods:
            subscription = pods.cache.subscribe(pods.cache.revision)
            for i in range(10):  # a store in memory gives the loop no turn: the cache falls behind
                await pods.set(f"{i}")
            await pods.store.compact(pods.store.revision())
            async with asyncio.timeout(60):
                await pods.cache.synced()
            assert len(pods.cache.items()) == 10
            assert "compacted" in subscription.closed_reason
            assert not pods.cache.remembers(5)

    async def test_who_subscribes_while_it_begins_anew_misses_nothing(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Slow(MemoryStore):
            turns = 0

            async def range(self, *args: Any, **kwargs: Any) -> Range:
                for _ in range(self.turns):
                    await asyncio.sleep(0)
                return await super().range(*args, **kwargs)

        monkeypatch.setattr(logwatch, "BUFFER_CHANGES", 3)
        store = Slow()
        async with running(store) as pods:
            store.turns = 20
            for i in range(10):
                await pods.set(f"{i}")
            await store.compact(store.revision())
            for _ in range(10):  # into the middle of the reading
                await asyncio.sleep(0)
            missed = pods.cache.subscribe(pods.cache.revision)
            subscription = pods.cache.subscribe(store.revision())
            added = await pods.set("new")
            assert [event.revision for event in await everything(subscription, pods)] == [added]
            with pytest.raises(CompactedError):
                await anext(missed)

    async def test_its_revision_stands_for_what_it_shows_while_it_is_at_work(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(watchcache, "_SLICE_SECONDS", -1.0)  # a pause before every revision
        async with running() as pods:
            await pods.store.put("/registry/nodes/n", b"{}", expected=0)
            before = pods.cache.revision
            assert before == pods.store.revision()
            written = [await pods.set(f"{i}") for i in range(10)]
            while (now := pods.cache.revision) < written[-1]:
                assert now >= before
                shown = max((entry.revision for entry in pods.cache.items()), default=before)
                assert shown <= now < written[-1]
                before = now
                await asyncio.sleep(0)
            assert len(pods.cache.items()) == 10


class TestBookmarks:
    async def test_w4_progress_never_overtakes_an_event_that_was_not_taken(self) -> None:
        async with running() as pods:
            subscription = pods.cache.subscribe(pods.cache.revision)
            first, second = await pods.set("a"), await pods.set("b")
            await pods.store.put("/registry/nodes/n", b"{}", expected=0)
            await pods.settled()
            assert subscription.progress == first - 1
            await anext(subscription)
            assert subscription.progress == second - 1
            await anext(subscription)
            assert subscription.progress == pods.store.revision() > second

    async def test_progress_goes_on_when_nothing_matches(self) -> None:
        async with running() as pods:
            subscription = pods.cache.subscribe(pods.cache.revision, Interest(predicate=red))
            await pods.set("a", color="blue")
            await pods.settled()
            assert subscription.progress == pods.store.revision()
