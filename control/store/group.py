"""What a group of waiting writes comes to: a pure function of the current state and the requests.

Requests are judged in the order in which they came. Each accepted one gets a revision of its own
and is what the following ones are compared with; a refused one costs the others nothing. Nothing
that is said here may be told to anybody before the whole group is durable: a refusal may rest on a
write of the same group.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from control.store.errors import ConflictError
from control.store.interface import Change, Delete, KeyValue, Put
from control.store.mirror import Mirror


class Request(NamedTuple):
    """One write and the caller that waits for it."""

    operations: Sequence[Put | Delete]
    done: asyncio.Future[int]


class Group(NamedTuple):
    """The changes to make durable, in order, and the answer to each request."""

    changes: list[Change]
    answers: list[tuple[asyncio.Future[int], int | ConflictError]]

    def accept(self) -> None:
        """Tell everyone the answer: the group is durable."""
        for done, answer in self.answers:
            if done.done():
                continue  # the caller was cancelled
            if isinstance(answer, int):
                done.set_result(answer)
            else:
                done.set_exception(answer)

    def refuse(self, error: Exception) -> None:
        """The group could not be made durable: everyone gets `error`."""
        for done, _ in self.answers:
            if not done.done():
                done.set_exception(error)


def decide(requests: Sequence[Request], mirror: Mirror) -> Group:
    """Judge each request against the mirror and the requests before it."""
    ahead: dict[str, KeyValue | None] = {}
    group = Group([], [])
    revision = mirror.revision
    for request in requests:
        if request.done.done():
            continue  # the caller was cancelled while it waited
        found = [_find(operation.key, ahead, mirror) for operation in request.operations]
        conflict = _conflict(request.operations, found)
        if conflict is None:
            revision += 1
            for operation, current in zip(request.operations, found, strict=True):
                change = _change(operation, current, revision)
                ahead[change.key] = _result(change)
                group.changes.append(change)
        group.answers.append((request.done, conflict or revision))
    return group


def _find(key: str, ahead: dict[str, KeyValue | None], mirror: Mirror) -> KeyValue | None:
    return ahead[key] if key in ahead else mirror.get(key)


def _conflict(
    operations: Sequence[Put | Delete], found: Sequence[KeyValue | None]
) -> ConflictError | None:
    for operation, current in zip(operations, found, strict=True):
        if operation.expected != (current.mod_revision if current else 0):
            return ConflictError(operation.key, current)
    return None


def _change(operation: Put | Delete, current: KeyValue | None, revision: int) -> Change:
    return Change(
        operation.key,
        operation.value if isinstance(operation, Put) else None,
        current.value if current else None,
        revision,
        current.create_revision if current else revision,
        current.mod_revision if current else 0,
    )


def _result(change: Change) -> KeyValue | None:
    if change.value is None:
        return None
    return KeyValue(change.key, change.value, change.create_revision, change.revision)
