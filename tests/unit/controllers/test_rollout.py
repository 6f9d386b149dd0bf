"""Rollouts: every step keeps the promised bounds, and every rollout ends."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.apps import Deployment, ReplicaSet
from control.controllers.workloads import rollout
from tests.unit.controllers.making import deployment, replica_set, rolling


def sizes(new: ReplicaSet, old: Sequence[ReplicaSet]) -> list[int]:
    return [rollout.size(new), *(rollout.size(rs) for rs in old)]


def apply(step: rollout.Step, sets: Sequence[ReplicaSet]) -> None:
    for rs in sets:
        size = step.sizes.get(rs.metadata.name)
        if size is not None:
            rs.spec.replicas = size
            rs.status.replicas = size
            rs.status.available_replicas = min(rs.status.available_replicas, size)


def transcript(subject: Deployment, new: ReplicaSet, old: ReplicaSet) -> list[tuple[int, int]]:
    """(new, old) sizes after each step; new pods become available one at a time."""
    seen = [(rollout.size(new), rollout.size(old))]
    for _ in range(100):
        step = rollout.next_step(subject, new, [old])
        if not step.sizes:
            if new.status.available_replicas == rollout.size(new):
                return seen
            new.status.available_replicas += 1
            continue
        apply(step, (new, old))
        seen.append((rollout.size(new), rollout.size(old)))
    raise AssertionError(f"no end: {seen}")


def test_four_replicas_with_the_defaults_go_one_by_one() -> None:
    # Books print exactly this order of scaling events for 25 % / 25 %.
    subject = deployment(replicas=4)
    new, old = replica_set("new"), replica_set("old", size=4, available=4)
    steps = transcript(subject, new, old)
    assert steps == [(0, 4), (1, 4), (1, 3), (2, 3), (2, 2), (3, 2), (3, 1), (4, 1), (4, 0)]


def test_max_unavailable_zero_never_dips() -> None:
    subject = deployment(replicas=3, strategy=rolling(1, 0))
    new, old = replica_set("new"), replica_set("old", size=3, available=3)
    assert transcript(subject, new, old) == [(0, 3), (1, 3), (1, 2), (2, 2), (2, 1), (3, 1), (3, 0)]


def test_pods_that_are_still_to_be_deleted_leave_no_room_for_new_ones() -> None:
    subject = deployment(replicas=10, strategy=rolling(2, 1))
    new, old = replica_set("new", size=7, available=7), replica_set("old", size=4, available=4)
    assert rollout.next_step(subject, new, [old]).sizes == {"new": 8}
    old.status.replicas = 7
    assert "new" not in rollout.next_step(subject, new, [old]).sizes
    assert rollout.scaled(deployment(replicas=11, strategy=rolling(2, 1)), [new, old]) == {}


def test_a_size_is_observed_when_the_status_is_of_it() -> None:
    rs = replica_set("rs", size=3)
    rs.metadata.generation, rs.status.observed_generation = 2, 1
    assert not rollout.is_observed(rs)
    rs.status.observed_generation = 2
    assert rollout.is_observed(rs)


def test_recreate_takes_all_down_first() -> None:
    subject = deployment(replicas=2, strategy={"type": "Recreate"})
    new, old = replica_set("new"), replica_set("old", size=2, available=2)
    assert rollout.next_step(subject, new, [old]).sizes == {"old": 0}
    old.spec.replicas = 0
    assert rollout.next_step(subject, new, [old]).sizes == {}, "its pods are still there"
    old.status.replicas = 0
    assert rollout.next_step(subject, new, [old]).sizes == {"new": 2}


def test_broken_old_pods_go_first_and_at_once() -> None:
    subject = deployment(replicas=4, strategy=rolling(1, 1))
    new = replica_set("new", size=1)
    bad = replica_set("bad", size=2, available=0, created="2026-01-02T00:00:00Z")
    good = replica_set("good", size=2, available=2, created="2026-01-01T00:00:00Z")
    assert rollout.next_step(subject, new, [bad, good]).sizes == {"bad": 1}


@pytest.mark.parametrize(
    ("surge", "unavailable", "replicas", "expected"),
    [
        ("25%", "25%", 4, (1, 1)),
        ("25%", "25%", 3, (1, 0)),
        ("50%", "50%", 5, (3, 2)),
        (2, 3, 2, (2, 2)),
        (0, "1%", 10, (0, 1)),
    ],
)
def test_rounding(
    surge: int | str, unavailable: int | str, replicas: int, expected: tuple[int, int]
) -> None:
    subject = deployment(replicas=replicas, strategy=rolling(surge, unavailable))
    assert (rollout.max_surge(subject), rollout.max_unavailable(subject)) == expected


@settings(max_examples=200, deadline=None)
@given(
    replicas=st.integers(0, 12),
    surge=st.integers(0, 4),
    unavailable=st.integers(0, 4),
    old_size=st.integers(0, 12),
    data=st.data(),
)
def test_bounds_hold_while_pods_come_up_in_any_order(
    replicas: int, surge: int, unavailable: int, old_size: int, data: st.DataObject
) -> None:
    if surge == 0 and unavailable == 0:
        unavailable = 1
    subject = deployment(replicas=replicas, strategy=rolling(surge, unavailable))
    new, old = replica_set("new"), replica_set("old", size=old_size, available=old_size)
    ceiling = max(replicas + surge, old_size)
    for _ in range(200):
        before = new.status.available_replicas + old.status.available_replicas
        apply(rollout.next_step(subject, new, [old]), (new, old))
        total = sum(sizes(new, [old]))
        assert total <= ceiling
        available = new.status.available_replicas + old.status.available_replicas
        floor = replicas - rollout.max_unavailable(subject)
        assert available >= min(before, floor)
        if sizes(new, [old]) == [replicas, 0]:
            return
        missing = rollout.size(new) - new.status.available_replicas
        if missing:
            new.status.available_replicas += data.draw(st.integers(1, missing))
    raise AssertionError("the rollout never ended")


def test_proportional_scaling_keeps_the_shares() -> None:
    # The Deployment page's own example: 10 → 15 replicas amid a rollout, maxSurge 3.
    subject = deployment(replicas=15, strategy=rolling(3, 2))
    sized = {rollout.DESIRED: "10", rollout.MAX_REPLICAS: "13"}
    new = replica_set("new", size=5, annotations=sized)
    old = replica_set("old", size=8, available=8, annotations=sized)
    assert rollout.was_scaled(subject, [new, old])
    assert rollout.scaled(subject, [new, old]) == {"new": 7, "old": 11}


def _sized(name: str, size: int, **more: Any) -> ReplicaSet:
    sized = {rollout.DESIRED: "10", rollout.MAX_REPLICAS: "13"}
    return replica_set(name, size=size, available=size, annotations=sized, **more)


@pytest.mark.parametrize(
    ("replicas", "new", "old", "expected"),
    [
        (15, 5, 8, {"new": 7, "old": 11}),
        (10, 5, 8, {}),
        (5, 5, 8, {"new": 3, "old": 5}),
        (0, 5, 8, {"new": 0, "old": 0}),
        (11, 5, 8, {"old": 9}),
        (30, 1, 12, {"new": 3, "old": 30}),
    ],
)
def test_scaling_amid_a_rollout(
    replicas: int, new: int, old: int, expected: dict[str, int]
) -> None:
    subject = deployment(replicas=replicas, strategy=rolling(3, 2))
    sets = [_sized("new", new, created="2026-01-02T00:00:00Z"), _sized("old", old)]
    assert rollout.scaled(subject, sets) == expected


def test_of_equals_the_newer_grows_and_the_older_shrinks() -> None:
    sets = [_sized("new", 5, created="2026-01-02T00:00:00Z"), _sized("old", 5)]
    more = deployment(replicas=8, strategy=rolling(3, 2))
    assert rollout.scaled(more, sets) == {"new": 6}, "halves and leftovers are for the first"
    fewer = deployment(replicas=6, strategy=rolling(3, 2))
    assert rollout.scaled(fewer, sets) == {"old": 4}


@settings(max_examples=200, deadline=None)
@given(
    missing=st.integers(0, 5),
    wanted=st.integers(0, 20),
    surge=st.integers(0, 5),
    counts=st.lists(st.integers(1, 10), min_size=1, max_size=4),
)
def test_shares_add_up_to_what_is_allowed(
    missing: int, wanted: int, surge: int, counts: list[int]
) -> None:
    subject = deployment(replicas=wanted, strategy=rolling(surge, 1))
    sized = {rollout.DESIRED: "1", rollout.MAX_REPLICAS: str(sum(counts) + missing)}
    sets = [
        replica_set(f"r{number}", size=count, annotations=sized)
        for number, count in enumerate(counts)
    ]
    sizes = rollout.scaled(subject, sets)
    total = sum(sizes.get(rs.metadata.name, rollout.size(rs)) for rs in sets)
    assert total == (wanted + surge if wanted else 0)
    assert all(size >= 0 for size in sizes.values())


def _of(subject: Deployment, name: str, **more: Any) -> ReplicaSet:
    """A set of the Deployment's present template."""
    made = replica_set(name, **more)
    made.spec.template = subject.spec.template
    return made


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ({"new": 2, "old": 0}, {"new": 5}),
        ({"new": 0, "old": 2}, {"old": 5}),
        ({"new": 0, "old": 0}, {"new": 5}),
        ({"new": 5, "old": 2}, {"old": 0}),
    ],
)
def test_a_pause_leaves_room_for_scaling_only(
    sizes: dict[str, int], expected: dict[str, int]
) -> None:
    subject = deployment(replicas=5, image="web:2", strategy=rolling(1, 1))
    new = _of(subject, "new", size=sizes["new"], available=sizes["new"])
    new.metadata.annotations = {rollout.REVISION: "2", rollout.DESIRED: "5"}
    old = replica_set("old", size=sizes["old"], annotations={rollout.REVISION: "1"})
    assert rollout.paused_sizes(subject, [new, old]) == expected


def test_scaling_amid_a_recreation_shares_nothing() -> None:
    subject = deployment(replicas=9, strategy={"type": "Recreate"})
    assert rollout.paused_sizes(subject, [_sized("new", 1), _sized("old", 2)]) == {}


def test_a_status_that_lags_makes_nobody_believe_in_pods_that_go() -> None:
    """The old set is told to have two, but its status still speaks of four that serve."""
    subject = deployment(replicas=4, strategy=rolling(2, 1))
    new = replica_set("new", size=4, available=1)
    old = replica_set("old", size=2, available=4)
    assert rollout.next_step(subject, new, [old]).sizes == {}


def test_a_new_template_amid_a_rollout_takes_the_room_at_once() -> None:
    """The one that was being rolled out is an old one now, and its broken pods go first."""
    subject = deployment(replicas=5, strategy=rolling(2, 1))
    newest = replica_set("newest", created="2026-01-03T00:00:00Z")
    broken = replica_set("broken", size=3, created="2026-01-02T00:00:00Z")
    old = replica_set("old", size=4, available=4)
    assert rollout.next_step(subject, newest, [old, broken]).sizes == {"broken": 0}
    broken.spec.replicas = 0
    assert rollout.next_step(subject, newest, [old, broken]).sizes == {}, "they still exist"
    broken.status.replicas = 0
    assert rollout.next_step(subject, newest, [old, broken]).sizes == {"newest": 3}


def test_what_is_still() -> None:
    assert rollout.is_still(replica_set("a", size=3))
    growing = replica_set("a", size=3)
    growing.status.replicas = 1
    assert rollout.is_still(growing)
    shrinking = replica_set("a", size=3)
    shrinking.status.replicas = 4
    assert not rollout.is_still(shrinking)


def test_hash_depends_on_template_and_collisions_only() -> None:
    one = rollout.template_hash(deployment(image="a").spec.template, None)
    assert one == rollout.template_hash(deployment("other", image="a").spec.template, None)
    assert one != rollout.template_hash(deployment(image="b").spec.template, None)
    assert one != rollout.template_hash(deployment(image="a").spec.template, 1)


@pytest.mark.parametrize(
    ("before", "been", "number", "expected"),
    [
        ("", "", 1, ""),
        ("3", "", 3, ""),
        ("1", "", 3, "1"),
        ("3", "1", 5, "1,3"),
        ("5", "1,3", 5, "1,3"),
        ("7", ",".join(["999"] * 500), 8, ",".join([*["999"] * 499, "7"])),
    ],
)
def test_a_set_that_comes_back_tells_what_it_has_been(
    before: str, been: str, number: int, expected: str
) -> None:
    annotations = {rollout.REVISION: before, rollout.REVISION_HISTORY: been}
    rs = replica_set("a", annotations={k: v for k, v in annotations.items() if v})
    assert rollout.history(rs, number) == expected


def test_history_keeps_the_newest() -> None:
    subject = deployment(revisionHistoryLimit=1)
    old = [replica_set(f"r{n}", annotations={rollout.REVISION: str(n)}) for n in (3, 1, 2)]
    assert [rs.metadata.name for rs in rollout.surplus_history(subject, old)] == ["r1", "r2"]
    for limit in (None, rollout.UNLIMITED):
        subject.spec.revision_history_limit = limit
        assert rollout.surplus_history(subject, old) == []


def test_history_keeps_what_is_not_known_to_be_empty() -> None:
    subject = deployment(revisionHistoryLimit=0)
    sized = replica_set("sized", size=1)
    running = replica_set("running")
    running.status.replicas = 1
    unseen = replica_set("unseen")
    unseen.metadata.generation = 2
    empty = replica_set("empty")
    old = [sized, running, unseen, empty]
    assert [rs.metadata.name for rs in rollout.surplus_history(subject, old)] == ["empty"]
