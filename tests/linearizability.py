"""Is there an order of these operations, one after the other, that explains what every client saw?

The check of Wing and Gong with the memory of Lowe's, as Porcupine does it, for one object of the API:
created, read, changed under the version that was seen, deleted. An operation whose answer was lost
(`result` unknown) may have happened at any time after it began, or never. Values are unique, so a
value stands for its version. Pure; histories of some hundred operations take milliseconds, unless
very many of them overlap.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Literal

Action = Literal["create", "get", "update", "delete"]
ABSENT = None


class Result(Enum):
    """What a client was told."""

    OK = "ok"
    EXISTS = "already exists"
    MISSING = "not found"
    CONFLICT = "another version"
    UNKNOWN = "no answer"


@dataclass(frozen=True)
class Operation:
    """One call of one client, from `called` to `returned` (any unit, of one clock).

    `value`: what was written, or what a get saw. `expected`: the value whose version an update or a
    delete demanded; empty when it demanded none.
    """

    client: int
    action: Action
    called: float
    returned: float
    result: Result
    value: str = ""
    expected: str = ""

    @property
    def end(self) -> float:
        return math.inf if self.result is Result.UNKNOWN else self.returned


def step(state: str | None, operation: Operation) -> tuple[bool, str | None]:
    """Whether the object in `state` would have answered so, and what it is afterwards."""
    result, unknown = operation.result, operation.result is Result.UNKNOWN
    exists = state is not ABSENT
    match operation.action:
        case "get":
            seen = operation.value if result is Result.OK else ABSENT
            return state == seen, state
        case "create":
            if result is Result.EXISTS:
                return exists, state
            return (True, state) if exists and unknown else (not exists, operation.value)
        case "update" | "delete":
            fits = exists and (not operation.expected or state == operation.expected)
            after = operation.value if operation.action == "update" else ABSENT
            if result is Result.MISSING:
                return not exists, state
            if result is Result.CONFLICT:
                return exists and not fits, state
            return (True, state) if unknown and not fits else (fits, after if fits else state)


@dataclass(frozen=True)
class _Position:
    """How far an order has come: all known operations before `prefix`, those in the masks, a state."""

    prefix: int
    beyond: int  # bit n: the known operation prefix + n is done too
    lost: int  # bit n: the n-th operation without an answer has taken effect
    state: str | None


@dataclass
class _Search:
    """Depth first over the orders; a position is tried once."""

    known: Sequence[Operation]  # by the time they were called
    lost: Sequence[Operation]

    def explain(self, state: str | None) -> bool:
        stack, tried = [_Position(0, 0, 0, state)], set[_Position]()
        while stack:
            position = stack.pop()
            if position in tried:
                continue
            tried.add(position)
            if position.prefix == len(self.known):
                return True  # what was never answered need not have happened
            stack.extend(self._next(position))
        return False

    def _next(self, position: _Position) -> Iterator[_Position]:
        """Every step that may come next; the likeliest last, because the stack is taken from there."""
        waiting, first_end = [], math.inf
        for at in range(position.prefix, len(self.known)):
            if self.known[at].called > first_end:
                break  # another one had ended before this began
            if not position.beyond >> (at - position.prefix) & 1:
                waiting.append(at)
                first_end = min(first_end, self.known[at].end)
        for at, operation in enumerate(self.lost):
            if operation.called <= first_end and not position.lost >> at & 1:
                possible, after = step(position.state, operation)
                if possible and after != position.state:
                    yield replace(position, lost=position.lost | 1 << at, state=after)
        for at in sorted(waiting, key=lambda at: -self.known[at].end):
            possible, after = step(position.state, self.known[at])
            if possible and self.known[at].called <= first_end:
                yield _done(replace(position, state=after), at)


def _done(position: _Position, at: int) -> _Position:
    prefix, beyond = position.prefix, position.beyond | 1 << (at - position.prefix)
    while beyond & 1:
        prefix, beyond = prefix + 1, beyond >> 1
    return replace(position, prefix=prefix, beyond=beyond)


def linearizable(operations: Sequence[Operation], initial: str | None = ABSENT) -> bool:
    """Whether one order, which respects what ended before what began, explains all results."""
    ordered = sorted(operations, key=lambda operation: operation.called)
    known = [one for one in ordered if one.result is not Result.UNKNOWN]
    lost = [one for one in ordered if one.result is Result.UNKNOWN]
    return _Search(known, lost).explain(initial)


def shortest_violation(operations: Sequence[Operation]) -> list[Operation]:
    """The first operations, by the time of their answers, that have no explanation: for a report."""
    ordered = sorted(operations, key=lambda operation: operation.end)
    low, high = 0, len(ordered)  # the first `low` have an explanation; the first `high` have none
    while high - low > 1:
        middle = (low + high) // 2
        if linearizable(_until(ordered, middle)):
            low = middle
        else:
            high = middle
    return ordered[:high]


def _until(ordered: Sequence[Operation], length: int) -> list[Operation]:
    """The first answers, and what was under way at that moment: it may have taken effect."""
    seen, now = list(ordered[:length]), ordered[length - 1].end
    under_way = [
        replace(one, result=Result.UNKNOWN)
        for one in ordered[length:]
        if one.called <= now and one.action != "get"
    ]
    return seen + under_way
