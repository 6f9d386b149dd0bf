"""Whose turn it is: the queues without a clock, and the gate with a loop."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.errors import ApiError
from base.clock import FakeClock
from control.apiserver.fairness import defaults, levels
from control.apiserver.fairness.book import Book
from control.apiserver.fairness.gate import Gate, Ticket
from control.apiserver.fairness.levels import SEATS, Flow, LevelSpec
from control.apiserver.fairness.queues import Entry, Scheduler, deal
from control.auth.user import ANONYMOUS, User

ONE = LevelSpec("one", 1, queues=64, hand=4, length=10)
TWO = LevelSpec("two", 1, queues=64, hand=4, length=10)

ADMIN = User("admin", ("system:masters", "system:authenticated"))
NODE = User("system:node:n", ("system:nodes", "system:authenticated"))
ACCOUNT = User("system:serviceaccount:a:b", ("system:serviceaccounts", "system:authenticated"))
KUBE_SYSTEM = User(
    "system:serviceaccount:kube-system:x",
    ("system:serviceaccounts", "system:serviceaccounts:kube-system"),
)


@pytest.mark.parametrize(
    ("user", "about", "level"),
    [
        (ADMIN, {"resource": "pods"}, "administrators"),
        (NODE, {"resource": "pods"}, "system"),
        (NODE, {"resource": "leases", "group": "coordination.k8s.io"}, "node-high"),
        (KUBE_SYSTEM, {"resource": "leases", "group": "coordination.k8s.io"}, "leader-election"),
        (KUBE_SYSTEM, {"resource": "pods"}, "workload-high"),
        (ACCOUNT, {"resource": "pods"}, "workload-low"),
        (User("jane", ("system:authenticated",)), {"resource": "pods"}, "global-default"),
        (ANONYMOUS, {"path": "/version"}, "global-default"),
        (ANONYMOUS, {"path": "/readyz/store"}, "exempt"),
        (User("nobody"), {"resource": "pods"}, "catch-all"),
    ],
)
def test_where_requests_belong(user: User, about: dict[str, str], level: str) -> None:
    asked = {"verb": "create", **about}
    flow = Book(defaults.SCHEMAS, defaults.LEVELS).flow(user, **asked)
    assert (flow.level, flow.exempt) == (level, level == "exempt")


def test_large_lists_weigh_more() -> None:
    assert levels.seats("get", 1) == 1
    assert levels.seats("list", 0) == 1
    assert levels.seats("list", 101) == 2
    assert levels.seats("list", 50_000) == levels.MOST_SEATS
    assert levels.seats("create", 50_000) == 1


def test_a_flow_has_a_hand_of_its_own() -> None:
    assert deal("a", 64, 6) == deal("a", 64, 6)
    assert len(set(deal("a", 64, 6))) == 6
    assert len({deal(f"user-{number}", 64, 6) for number in range(100)}) == 100


def test_a_level_borrows_what_nobody_wants() -> None:
    scheduler = Scheduler([ONE, TWO], 8)
    running = [scheduler.arrive("one", "a", 1, None) for _ in range(8)]
    assert all(entry and entry.running for entry in running)
    late = scheduler.arrive("one", "a", 1, None)
    assert late is not None and not late.running
    other = scheduler.arrive("two", "b", 1, None)
    assert other is not None and other.running, "its own seats are always there"


def test_nobody_borrows_while_another_level_waits() -> None:
    scheduler = Scheduler([ONE, TWO], 4)
    ones = [scheduler.arrive("one", "a", 1, None) for _ in range(6)]
    twos = [scheduler.arrive("two", "b", 1, None) for _ in range(3)]
    assert [entry.running for entry in ones if entry] == [True] * 4 + [False] * 2
    assert [entry.running for entry in twos if entry] == [True, True, False]
    assert ones[0] is not None and ones[1] is not None and ones[2] is not None
    assert scheduler.finish(ones[0]) == []
    assert scheduler.finish(ones[1]) == []
    assert len(scheduler.finish(ones[2])) == 1


def test_a_flood_does_not_push_others_back() -> None:
    """A hundred requests of one flow wait; one of another comes last and is among the next."""
    scheduler = Scheduler([LevelSpec("one", 1, queues=64, hand=4, length=100)], 1)
    first = scheduler.arrive("one", "flood", 1, "flood")
    for _ in range(100):
        assert scheduler.arrive("one", "flood", 1, "flood") is not None
    assert scheduler.arrive("one", "quiet", 1, "quiet") is not None
    assert first is not None
    served, entry = [], first
    while "quiet" not in served:
        (entry,) = scheduler.finish(entry)
        served.append(entry.handle)
    assert len(served) <= 2 * 4  # at most as many as the flood has queues, twice


def test_flows_share_alike_whatever_they_ask_for() -> None:
    scheduler = Scheduler([LevelSpec("one", 1, queues=256, hand=2, length=1000)], 2)
    first = scheduler.arrive("one", "first", 2, "first")
    for _ in range(400):
        scheduler.arrive("one", "wide", 2, "wide")
        scheduler.arrive("one", "narrow", 1, "narrow")
    assert first is not None
    seats: Counter[str] = Counter()
    running = [first]
    while sum(seats.values()) < 300:
        entry = running.pop(0)
        seats[entry.handle] += entry.seats
        running += scheduler.finish(entry)
    assert 0.5 < seats["wide"] / seats["narrow"] < 2


def test_a_full_queue_turns_away() -> None:
    scheduler = Scheduler([LevelSpec("one", 1, queues=4, hand=1, length=3)], 1)
    answers = [scheduler.arrive("one", "a", 1, None) for _ in range(6)]
    assert [entry is None for entry in answers] == [False] * 4 + [True] * 2


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 1), st.integers(1, 4))))
def test_what_is_counted_is_what_is_there(steps: list[tuple[int, int, int]]) -> None:
    scheduler = Scheduler([ONE, TWO], 6)
    running: list[Entry] = []
    waiting: list[Entry] = []
    for action, level, seats in steps:
        if action < 2:
            entry = scheduler.arrive(("one", "two")[level], str(seats), seats, None)
            if entry is not None:
                (running if entry.running else waiting).append(entry)
            started: list[Entry] = []
        elif action == 2 and running:
            started = scheduler.finish(running.pop(0))
        elif waiting:
            started = scheduler.leave(waiting.pop())
        else:
            continue
        for entry in started:
            waiting.remove(entry)
            running.append(entry)
        assert scheduler.in_use == sum(entry.seats for entry in running)
        for one in scheduler.levels.values():
            mine = [entry for entry in waiting if entry.level is one]
            assert one.waiting == len(mine)
            assert one.in_use <= scheduler.total
            free = one.nominal - one.in_use
            heads = [queue.entries[0] for queue in one.queues if queue.entries]
            assert not heads or min(entry.seats for entry in heads) > 0
            assert not mine or free < max(entry.seats for entry in mine)
    while running:
        for entry in scheduler.finish(running.pop()):
            waiting.remove(entry)
            running.append(entry)
    assert not waiting
    assert scheduler.in_use == 0


FLOW = Flow("schema", "one", "a")


def gate(total: int = 1) -> Gate:
    return Gate(FakeClock(), Scheduler([LevelSpec("one", 1, queues=1, hand=1, length=2)], total))


async def test_the_gate_lets_in_one_after_the_other() -> None:
    made = gate()
    first, second = Ticket(made), Ticket(made)
    await made.enter(first, FLOW, 1)
    waiting = asyncio.ensure_future(made.enter(second, FLOW, 1))
    await asyncio.sleep(0)
    assert not waiting.done()
    first.release()
    first.release()  # the second time means nothing
    await waiting
    assert made.statistics() == {"seats_in_use": 1, "waiting": 0}
    second.release()
    assert made.statistics() == {"seats_in_use": 0, "waiting": 0}


async def test_who_leaves_the_queue_takes_nothing_along() -> None:
    made = gate()
    first, second, third = (Ticket(made) for _ in range(3))
    await made.enter(first, FLOW, 1)
    gone = asyncio.ensure_future(made.enter(second, FLOW, 1))
    stays = asyncio.ensure_future(made.enter(third, FLOW, 1))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    first.release()
    await stays
    second.release()
    third.release()
    assert made.statistics() == {"seats_in_use": 0, "waiting": 0}


async def test_a_turn_that_comes_to_one_who_left_goes_on() -> None:
    made = gate()
    first, second, third = (Ticket(made) for _ in range(3))
    await made.enter(first, FLOW, 1)
    gone = asyncio.ensure_future(made.enter(second, FLOW, 1))
    stays = asyncio.ensure_future(made.enter(third, FLOW, 1))
    await asyncio.sleep(0)
    first.release()
    gone.cancel()  # in the same moment
    await asyncio.gather(gone, return_exceptions=True)
    await stays
    third.release()
    assert made.statistics() == {"seats_in_use": 0, "waiting": 0}


async def test_no_room_is_429_with_a_time_to_come_back() -> None:
    made = gate()
    await made.enter(Ticket(made), FLOW, 1)
    waiting = [asyncio.ensure_future(made.enter(Ticket(made), FLOW, 1)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(ApiError, match="Too many requests, please try again later") as caught:
        await made.enter(Ticket(made), FLOW, 1)
    assert (caught.value.code, caught.value.retry_after) == (429, 1)
    for one in waiting:
        one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    names = {metric.name for metric in made.collect()}
    assert "apiserver_flowcontrol_rejected_requests" in names
    assert "apiserver_flowcontrol_current_inqueue_requests" in names


def test_every_level_has_seats() -> None:
    scheduler = Scheduler(Book(defaults.SCHEMAS, defaults.LEVELS).levels, SEATS)
    assert min(level.nominal for level in scheduler.levels.values()) >= 1
