"""The promises of a store that deserve a name (W, S: see the reliability tables), for every implementation.

The model finds what nobody thought of; these say what was. A class of tests to be inherited, with a
fixture `store`.
"""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from control.store import logwatch
from control.store.errors import (
    CompactedError,
    ConflictError,
    FutureRevisionError,
    StoreClosedError,
)
from control.store.interface import FIRST_REVISION, Amend, Delete, KeyValue, Put, Store, Watch
from tests.unit.store.model import drain


async def revisions(watch: Watch, store: Store) -> list[int]:
    return [change.revision for change in await drain(watch, store.revision())]


async def fill(store: Store, count: int, prefix: str = "/k/") -> list[int]:
    return [await store.put(f"{prefix}{i:05}", b"v", expected=0) for i in range(count)]


class FullError(Exception):
    """There is no room for one more."""


def one_more(most: int = 1000) -> Amend:
    """Counts up; not beyond `most`."""

    def change(current: KeyValue) -> bytes:
        total = int(current.value) + 1
        if total > most:
            raise FullError
        return b"%d" % total

    return Amend("/total", change)


class StorePromises:
    async def test_a_fresh_store_is_at_the_first_revision(self, store: Store) -> None:
        assert store.revision() == FIRST_REVISION > 0
        assert (await store.range("")).items == []
        assert await store.get("/nothing") is None

    async def test_a_write_is_found_everywhere_when_it_returns(self, store: Store) -> None:
        watch = store.watch("", after=store.revision())
        revision = await store.put("/k", b"v", expected=0)
        assert store.revision() == revision
        found = await store.get("/k")
        assert found and (found.value, found.mod_revision) == (b"v", revision)
        assert [change.revision for change in await anext(watch)] == [revision]

    async def test_the_empty_value_is_a_value(self, store: Store) -> None:
        revision = await store.put("/k", b"", expected=0)
        found = await store.get("/k", revision=revision)
        assert found and found.value == b""
        changes = await drain(store.watch("/k", after=FIRST_REVISION), revision)
        assert changes[0].value == b""

    async def test_s3_of_many_writers_who_read_the_same_one_wins(self, store: Store) -> None:
        first = await store.put("/k", b"0", expected=0)
        writes = [store.put("/k", b"%d" % i, expected=first) for i in range(1, 9)]
        answers = await asyncio.gather(*writes, return_exceptions=True)
        won = [answer for answer in answers if isinstance(answer, int)]
        lost = [answer for answer in answers if isinstance(answer, ConflictError)]
        current = await store.get("/k")
        assert current and won == [current.mod_revision] and len(lost) == 7
        assert all(error.current == current for error in lost)

    async def test_a_refused_write_costs_the_others_of_its_group_nothing(
        self, store: Store
    ) -> None:
        writes = [store.put(f"/k{i}", b"", expected=i % 2) for i in range(10)]
        answers = await asyncio.gather(*writes, return_exceptions=True)
        accepted = [answer for answer in answers if isinstance(answer, int)]
        assert len(accepted) == 5 and len(set(accepted)) == 5
        assert store.revision() == max(accepted)

    async def test_a_transaction_is_all_or_nothing(self, store: Store) -> None:
        revision = await store.txn([Put("/a", b"1", 0), Put("/b", b"1", 0)])
        with pytest.raises(ConflictError) as conflict:
            await store.txn([Put("/a", b"2", revision), Delete("/b", revision - 1)])
        assert conflict.value.key == "/b"
        assert store.revision() == revision
        items = (await store.range("/")).items
        assert {item.mod_revision for item in items} == {revision}

    async def test_amendments_in_flight_at_once_all_count(self, store: Store) -> None:
        await store.put("/total", b"0", expected=0)
        writes = [store.txn([Put(f"/k{i}", b"", 0), one_more()]) for i in range(20)]
        revisions = await asyncio.gather(*writes)
        total = await store.get("/total")
        assert total and (total.value, total.mod_revision) == (b"20", max(revisions))
        assert len(set(revisions)) == 20

    async def test_an_amendment_that_raises_ends_its_own_transaction(self, store: Store) -> None:
        await store.put("/total", b"0", expected=0)
        writes = [store.txn([Put(f"/k{i}", b"", 0), one_more(most=3)]) for i in range(10)]
        answers = await asyncio.gather(*writes, return_exceptions=True)
        refused = [answer for answer in answers if isinstance(answer, FullError)]
        assert len(refused) == 7
        assert len((await store.range("/k")).items) == 3
        total = await store.get("/total")
        assert total and total.value == b"3"

    async def test_an_amendment_needs_something_to_amend(self, store: Store) -> None:
        with pytest.raises(ConflictError) as conflict:
            await store.txn([Put("/k", b"", 0), one_more()])
        assert (conflict.value.key, conflict.value.current) == ("/total", None)
        assert await store.get("/k") is None

    async def test_an_amendment_sees_what_its_group_wrote_before_it(self, store: Store) -> None:
        first = await store.put("/total", b"0", expected=0)
        put = store.put("/total", b"5", expected=first)
        last = (await asyncio.gather(put, store.txn([one_more()])))[1]
        total = await store.get("/total")
        assert total and (total.value, total.mod_revision) == (b"6", last)
        with pytest.raises(ConflictError):
            await store.put("/total", b"0", expected=first)

    @pytest.mark.parametrize(
        "operations",
        [
            [],
            [Put("/k", b"", 0), Put("/k", b"", 0)],
            [Put("", b"", 0)],
            [Delete("/k", 0)],
            [Put("/k", b"", -1)],
            [Put(f"/{i}", b"", 0) for i in range(1025)],
        ],
        ids=["empty", "key twice", "no key", "delete nothing", "negative", "too many"],
    )
    async def test_a_transaction_that_means_nothing_is_refused(
        self, store: Store, operations: list[Put | Delete]
    ) -> None:
        with pytest.raises(ValueError):
            await store.txn(operations)

    async def test_a_cancelled_writer_leaves_the_others_alone(self, store: Store) -> None:
        loop = asyncio.get_running_loop()
        tasks = [loop.create_task(store.put(f"/k{i}", b"", expected=0)) for i in range(3)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        await asyncio.gather(tasks[0], tasks[2])
        with contextlib.suppress(asyncio.CancelledError):
            await tasks[1]
        assert await store.get("/k0") and await store.get("/k2")

    async def test_pages_of_one_revision_are_one_snapshot(self, store: Store) -> None:
        await fill(store, 5)
        first = await store.range("/k/", limit=2)
        await store.put("/k/00001b", b"", expected=0)
        await store.delete("/k/00004", expected=6)
        rest = await store.range("/k/", after=first.items[-1].key, limit=5, revision=first.revision)
        assert [item.key for item in first.items + rest.items] == [f"/k/{i:05}" for i in range(5)]
        assert (first.remaining, rest.remaining) == (3, 0)

    async def test_a_revision_that_has_not_happened_cannot_be_read(self, store: Store) -> None:
        for question in (store.get("/k", revision=99), store.range("", revision=99)):
            with pytest.raises(FutureRevisionError):
                await question
        with pytest.raises(FutureRevisionError):
            await store.compact(99)

    async def test_w1_a_watch_has_every_change_once_and_in_order(self, store: Store) -> None:
        written = await fill(store, 20)
        watch = store.watch("/k/", after=written[4])
        assert await revisions(watch, store) == written[5:]
        more = await fill(store, 5, "/k/more")
        assert await revisions(watch, store) == more

    async def test_w2_a_slow_watch_is_bounded_and_misses_nothing(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(logwatch, "BUFFER_CHANGES", 8)
        watch = store.watch("/k/", after=store.revision())
        written = await fill(store, 100)
        assert await revisions(watch, store) == written

    async def test_w2_a_watch_slower_than_compaction_is_told(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(logwatch, "BUFFER_CHANGES", 8)
        watch = store.watch("/k/", after=store.revision())
        written = await fill(store, 20)
        await store.compact(written[-1])
        with pytest.raises(CompactedError) as compacted:
            await anext(watch)
        assert compacted.value.oldest == written[-1]
        with pytest.raises(StopAsyncIteration):
            await anext(watch)

    async def test_w2_a_live_watch_does_not_care_about_compaction(self, store: Store) -> None:
        watch = store.watch("/k/", after=store.revision())
        written = await fill(store, 5)
        await store.compact(written[-1])
        assert await revisions(watch, store) == written

    async def test_w4_progress_never_overtakes_a_change(self, store: Store) -> None:
        watch = store.watch("/k/", after=store.revision())
        before = watch.progress
        await store.put("/other", b"", expected=0)
        assert watch.progress == store.revision() > before  # nothing is waiting
        await store.put("/k/1", b"", expected=0)
        await store.put("/other2", b"", expected=0)
        assert watch.progress < store.revision() - 1
        await anext(watch)
        assert watch.progress == store.revision()

    async def test_progress_can_be_asked_for_when_nothing_matches(self, store: Store) -> None:
        watch = store.watch("/k/", after=store.revision())
        watch.request_progress()
        waiting = asyncio.get_running_loop().create_task(anext(watch))
        await store.put("/other", b"", expected=0)
        async with asyncio.timeout(60):
            assert await waiting == []
        assert watch.progress == store.revision()

    async def test_w5_a_deletion_at_the_compacted_revision_is_not_lost(self, store: Store) -> None:
        created = await store.put("/k/1", b"v", expected=0)
        deleted = await store.delete("/k/1", expected=created)
        await store.compact(deleted)
        with pytest.raises(CompactedError):
            await anext(store.watch("/k/", after=deleted - 1))
        watch = store.watch("/k/", after=deleted)
        after = await store.put("/k/1", b"w", expected=0)
        assert await revisions(watch, store) == [after]

    async def test_w6_a_watch_of_the_future_has_nothing_old(self, store: Store) -> None:
        watch = store.watch("/k/", after=store.revision() + 3)
        written = await fill(store, 5)
        assert await revisions(watch, store) == written[3:]

    async def test_w7_what_was_compacted_cannot_be_read(self, store: Store) -> None:
        written = await fill(store, 3)
        await store.compact(written[1])
        for question in (
            store.get("/k/00000", revision=written[0]),
            store.range("/k/", revision=written[0]),
        ):
            with pytest.raises(CompactedError) as error:
                await question
            assert error.value.oldest == written[1]
        kept = await store.range("/k/", revision=written[1])
        assert [item.mod_revision for item in kept.items] == written[:2]

    async def test_w8_revision_zero_is_now_for_a_read_and_the_beginning_for_a_watch(
        self, store: Store
    ) -> None:
        written = await fill(store, 3)
        assert len((await store.range("/k/", revision=0)).items) == 3
        assert await revisions(store.watch("/k/", after=0), store) == written
        await store.compact(written[0])
        with pytest.raises(CompactedError):
            await anext(store.watch("/k/", after=0))

    async def test_a_watch_never_has_half_a_transaction(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(logwatch, "BUFFER_CHANGES", 4)
        watch = store.watch("/", after=store.revision())
        for i in range(10):
            await store.txn([Put(f"/{i}/{j}", b"", 0) for j in range(3)])
        while watch.progress < store.revision():
            batch = await anext(watch)
            assert len(batch) % 3 == 0

    async def test_closing_ends_the_watches_and_refuses_the_rest(self, store: Store) -> None:
        watch = store.watch("", after=store.revision())
        waiting = asyncio.get_running_loop().create_task(anext(watch, None))
        await asyncio.sleep(0)
        await store.close()
        assert await waiting is None
        for refused in (
            store.put("/k", b"", expected=0),
            store.get("/k"),
            store.range(""),
        ):
            with pytest.raises(StoreClosedError):
                await refused
        await store.close()

    async def test_a_closed_watch_ends_for_its_consumer(self, store: Store) -> None:
        watch = store.watch("", after=store.revision())
        waiting = asyncio.get_running_loop().create_task(anext(watch, None))
        await asyncio.sleep(0)
        watch.close()
        watch.close()
        assert await waiting is None
        await store.put("/k", b"", expected=0)
        assert await anext(watch, None) is None

    async def test_statistics_tell_sizes(self, store: Store) -> None:
        await fill(store, 3)
        statistics = store.statistics()
        assert statistics["keys"] == 3
        assert statistics["revision"] == store.revision()
