"""What a group of waiting writes comes to: a pure function of the current state and the requests.

Requests are judged in the order in which they came. Each accepted one gets a revision of its own
and is what the following ones are compared with, and amend; a refused one costs the others nothing.
Nothing that is said here may be told to anybody before the whole group is durable: a refusal may rest
on a write of the same group.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from control.store.errors import ConflictError
from control.store.interface import Amend, Change, KeyValue, Put, Write
from control.store.mirror import Mirror


class Request(NamedTuple):
    """One write and the caller that waits for it."""

    operations: Sequence[Write]
    done: asyncio.Future[int]


class Group(NamedTuple):
    """The changes to make durable, in order, and the answer to each request."""

    changes: list[Change]
    answers: list[tuple[asyncio.Future[int], int | Exception]]

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
        answer = _judge(request.operations, ahead, mirror, revision + 1)
        if isinstance(answer, Exception):
            group.answers.append((request.done, answer))
            continue
        revision += 1
        ahead.update((change.key, _result(change)) for change in answer)
        group.changes.extend(answer)
        group.answers.append((request.done, revision))
    return group


def _judge(
    operations: Sequence[Write],
    ahead: dict[str, KeyValue | None],
    mirror: Mirror,
    revision: int,
) -> list[Change] | Exception:
    """What the operations come to under this revision, or why they cannot."""
    found = [_find(operation.key, ahead, mirror) for operation in operations]
    conflict = _conflict(operations, found)
    if conflict is not None:
        return conflict
    try:
        return [
            _change(operation, current, revision)
            for operation, current in zip(operations, found, strict=True)
        ]
    except Exception as error:  # noqa: BLE001 (an amendment's: it ends its own transaction only)
        return error


def _find(key: str, ahead: dict[str, KeyValue | None], mirror: Mirror) -> KeyValue | None:
    return ahead[key] if key in ahead else mirror.get(key)


def _conflict(
    operations: Sequence[Write], found: Sequence[KeyValue | None]
) -> ConflictError | None:
    for operation, current in zip(operations, found, strict=True):
        if isinstance(operation, Amend):
            if current is None:
                return ConflictError(operation.key, current)
        elif operation.expected != (current.mod_revision if current else 0):
            return ConflictError(operation.key, current)
    return None


def _change(operation: Write, current: KeyValue | None, revision: int) -> Change:
    return Change(
        operation.key,
        _value(operation, current),
        current.value if current else None,
        revision,
        current.create_revision if current else revision,
        current.mod_revision if current else 0,
    )


def _value(operation: Write, current: KeyValue | None) -> bytes | None:
    if isinstance(operation, Put):
        return operation.value
    if isinstance(operation, Amend) and current is not None:
        return operation.change(current)
    return None


def _result(change: Change) -> KeyValue | None:
    if change.value is None:
        return None
    return KeyValue(change.key, change.value, change.create_revision, change.revision)
