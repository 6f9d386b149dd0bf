"""What a store must do, as a model of a few lines, and a machine that compares the two step by step.

The model keeps the whole state at every revision. The machine runs any implementation behind a
`Factory`: writes alone and in a crowd, reads of the present and the past, watches that are left
lying and picked up again, compaction, a crash. A later implementation passes by being a factory.
"""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from control.store.errors import CompactedError, ConflictError
from control.store.interface import (
    FIRST_REVISION,
    Change,
    Delete,
    KeyValue,
    Put,
    Range,
    Store,
    Watch,
)

KEYS = ["/a/1", "/a/2", "/a/22", "/a/é", "/b/1", "/b/\U0001f600", "/b"]
PREFIXES = ["", "/", "/a/", "/b", "/b/", "/c/"]
DEADLINE = 60.0

keys = st.sampled_from(KEYS)
prefixes = st.sampled_from(PREFIXES)
values = st.binary(max_size=12)
fractions = st.floats(0, 1)


class Factory(Protocol):
    """Opens the same store again and again."""

    async def open(self) -> Store: ...

    async def crash(self, store: Store) -> Store:
        """End `store` as a kill would, and open what the disk has."""
        ...

    def clean_up(self) -> None: ...


class Model:
    """Every revision's state, and the changes that led to it."""

    def __init__(self) -> None:
        self.states: dict[int, dict[str, KeyValue]] = {FIRST_REVISION: {}}
        self.changes: list[Change] = []
        self.revision = FIRST_REVISION
        self.compacted = 0

    @property
    def now(self) -> dict[str, KeyValue]:
        return self.states[self.revision]

    def mod_revision(self, key: str) -> int:
        return self.now[key].mod_revision if key in self.now else 0

    def accepts(self, operations: list[Put | Delete]) -> bool:
        return all(self.mod_revision(o.key) == o.expected for o in operations)

    def apply(self, operations: list[Put | Delete]) -> int:
        state = dict(self.now)
        self.revision += 1
        for operation in operations:
            old = state.pop(operation.key, None)
            created = old.create_revision if old else self.revision
            value = operation.value if isinstance(operation, Put) else None
            if value is not None:
                state[operation.key] = KeyValue(operation.key, value, created, self.revision)
            self.changes.append(
                Change(
                    operation.key,
                    value,
                    old.value if old else None,
                    self.revision,
                    created,
                    old.mod_revision if old else 0,
                )
            )
        self.states[self.revision] = state
        return self.revision

    def range(self, prefix: str, revision: int) -> list[KeyValue]:
        state = self.states[revision]
        return [state[key] for key in sorted(state) if key.startswith(prefix)]

    def since(self, prefix: str, after: int, until: int) -> list[Change]:
        return [c for c in self.changes if after < c.revision <= until and c.key.startswith(prefix)]


async def drain(watch: Watch, until: int) -> list[Change]:
    """Everything the watch has up to a revision that has happened."""
    seen: list[Change] = []
    async with asyncio.timeout(DEADLINE):
        while watch.progress < until:
            watch.request_progress()
            batch = await anext(watch)
            seen += batch
            assert not batch or watch.progress >= batch[-1].revision, "half a transaction"
    return seen


class Follower:
    """A watch that somebody left open, and how far it has been read."""

    def __init__(self, store: Store, prefix: str, after: int) -> None:
        self.prefix = prefix
        self.after = after
        self.watch = store.watch(prefix, after=after)
        self.progress = 0

    def check_progress(self) -> None:
        assert self.watch.progress >= self.progress
        self.progress = self.watch.progress


class StoreMachine(RuleBasedStateMachine):
    """Subclasses set `factory`."""

    factory: Factory

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.model = Model()
        self.followers: list[Follower] = []

    @initialize()
    def begin(self) -> None:
        self.store = self.run(self.factory.open())

    def run(self, coroutine: Any) -> Any:
        return self.runner.run(asyncio.wait_for(coroutine, DEADLINE))

    def teardown(self) -> None:
        try:
            if hasattr(self, "store"):
                for follower in list(self.followers):
                    self.read_on(follower)
                self.run(self.store.close())
        finally:
            self.factory.clean_up()
            self.runner.close()

    # Writes

    @rule(key=keys, value=values)
    def create(self, key: str, value: bytes) -> None:
        self.write([Put(key, value, 0)])

    @rule(key=keys, value=values)
    def update(self, key: str, value: bytes) -> None:
        self.write([Put(key, value, self.model.mod_revision(key))])

    @rule(key=keys)
    def delete(self, key: str) -> None:
        self.write([Delete(key, self.model.mod_revision(key) or 1)])

    @rule(key=keys, stale=st.integers(1, 5))
    def write_with_an_old_revision(self, key: str, stale: int) -> None:
        self.write([Put(key, b"late", max(0, self.model.mod_revision(key) - stale))])

    @rule(data=st.data(), chosen=st.lists(keys, min_size=1, max_size=4, unique=True))
    def transaction(self, data: st.DataObject, chosen: list[str]) -> None:
        self.write([self.draw_operation(data, key) for key in chosen])

    @rule(data=st.data(), chosen=st.lists(keys, min_size=2, max_size=12))
    def crowd(self, data: st.DataObject, chosen: list[str]) -> None:
        """Many writers at once: the revisions say in which order it must have happened."""
        requests = [[self.draw_operation(data, key)] for key in chosen]

        async def all_at_once() -> list[Any]:
            return await asyncio.gather(
                *[self.store.txn(operations) for operations in requests], return_exceptions=True
            )

        answers = self.run(all_at_once())
        before = self.model.revision
        accepted = sorted((a, r) for a, r in zip(answers, requests, strict=True) if type(a) is int)
        for revision, operations in accepted:
            assert self.model.accepts(operations)
            assert self.model.apply(operations) == revision
        for answer, operations in zip(answers, requests, strict=True):
            if type(answer) is int:
                continue
            assert isinstance(answer, ConflictError)
            operation = operations[0]
            seen = [self.model.states[r].get(operation.key) for r in self.revisions(before)]
            assert answer.current in seen
            found = answer.current.mod_revision if answer.current else 0
            assert found != operation.expected

    def revisions(self, begin: int) -> range:
        return range(begin, self.model.revision + 1)

    def draw_operation(self, data: st.DataObject, key: str) -> Put | Delete:
        right = self.model.mod_revision(key)
        if right and data.draw(st.booleans()):
            return Delete(key, right)
        wrong = right + 1 if data.draw(st.integers(0, 4)) == 0 else right
        return Put(key, data.draw(values), wrong)

    def write(self, operations: list[Put | Delete]) -> None:
        if self.model.accepts(operations):
            assert self.run(self.store.txn(operations)) == self.model.apply(operations)
            return
        try:
            self.run(self.store.txn(operations))
        except ConflictError as error:
            assert error.current == self.model.now.get(error.key)
            refused = {o.key: o.expected for o in operations}[error.key]
            assert refused != self.model.mod_revision(error.key)
        else:
            raise AssertionError(f"{operations} should have been refused")

    # Reads

    @rule(key=keys, at=fractions)
    def get(self, key: str, at: float) -> None:
        revision = self.pick(at)
        question = self.store.get(key, revision=revision)
        self.compare(revision, question, lambda: self.model.states[revision].get(key))

    @rule(prefix=prefixes, at=fractions)
    def range_at_once(self, prefix: str, at: float) -> None:
        revision = self.pick(at)
        question = self.store.range(prefix, revision=revision)
        self.compare(
            revision, question, lambda: Range(self.model.range(prefix, revision), revision, 0)
        )

    @rule(prefix=prefixes, at=fractions, limit=st.integers(1, 4))
    def range_by_page(self, prefix: str, at: float, limit: int) -> None:
        revision = self.pick(at)
        if revision < self.model.compacted:
            return
        expected = self.model.range(prefix, revision)
        found: list[KeyValue] = []
        while len(found) < len(expected):
            after = found[-1].key if found else ""
            page = self.run(self.store.range(prefix, after=after, limit=limit, revision=revision))
            assert page.items and len(page.items) <= limit
            found += page.items
            assert page.remaining == len(expected) - len(found)
            assert page.revision == revision
        assert found == expected

    def pick(self, at: float) -> int:
        """A revision of the past or the present; the ends are drawn most often."""
        return FIRST_REVISION + round(at * (self.model.revision - FIRST_REVISION))

    def compare(self, revision: int, question: Any, answer: Any) -> None:
        if revision >= self.model.compacted:
            assert self.run(question) == answer()
            return
        try:
            self.run(question)
        except CompactedError as error:
            assert error.oldest == self.model.compacted
        else:
            raise AssertionError(f"revision {revision} should be gone")

    # Watches

    @rule(prefix=prefixes, at=fractions)
    def watch_from_the_past(self, prefix: str, at: float) -> None:
        after = self.pick(at)
        watch = self.store.watch(prefix, after=after)
        question = drain(watch, self.model.revision)
        self.compare(after, question, lambda: self.model.since(prefix, after, self.model.revision))
        watch.close()

    @rule(prefix=prefixes, at=fractions)
    def leave_a_watch_open(self, prefix: str, at: float) -> None:
        after = max(self.pick(at), self.model.compacted)
        if len(self.followers) < 4:
            self.followers.append(Follower(self.store, prefix, after))

    @rule(which=st.integers(0, 3))
    def read_an_open_watch(self, which: int) -> None:
        if which < len(self.followers):
            self.read_on(self.followers[which])

    def read_on(self, follower: Follower) -> None:
        """It has every change since it was last read, or it is told that they are gone."""
        until = self.model.revision
        try:
            seen = self.run(drain(follower.watch, until))
        except CompactedError as error:
            assert error.oldest == self.model.compacted > follower.after
            self.followers.remove(follower)
            return
        assert seen == self.model.since(follower.prefix, follower.after, until)
        follower.after = until

    # Time

    @rule(at=fractions)
    def compact(self, at: float) -> None:
        revision = self.pick(at)
        self.run(self.store.compact(revision))
        self.model.compacted = max(self.model.compacted, revision)

    @rule()
    def crash(self) -> None:
        self.store = self.run(self.factory.crash(self.store))
        for follower in self.followers:
            follower.after = max(follower.after, self.model.compacted)
            follower.watch = self.store.watch(follower.prefix, after=follower.after)
            follower.progress = 0

    @invariant()
    def at_the_same_revision(self) -> None:
        if hasattr(self, "store"):
            assert self.store.revision() == self.model.revision
        for follower in self.followers:
            follower.check_progress()
