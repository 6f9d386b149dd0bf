"""StatefulSet: who its pods are, which one is next, and what becomes of their claims."""

from __future__ import annotations

import random
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api import objects, pods
from api.apps import StatefulSet
from api.core import PersistentVolumeClaim, Pod, PodCondition
from api.meta import ObjectMeta, OwnerReference
from control.controllers.workloads import claimowners, ordinals, stateful
from control.controllers.workloads.history import REVISION
from control.controllers.workloads.stateful import Step, View
from tests.unit.controllers.making import stateful_set

NOW = datetime(2026, 1, 1, 1, tzinfo=UTC)
EARLIER = "2026-01-01T00:00:00Z"
READY = PodCondition(type="Ready", status="True", last_transition_time=EARLIER)


def pod(number: int, state: str = "ready", *, revision: str = "new") -> Pod:
    """A pod of the set: `ready`, `pending`, `unready`, `leaving`, `failed` or `done`."""
    owner = stateful_set()
    made = ordinals.new_pod(owner, number, owner.spec.template, revision)
    made.metadata.uid = f"uid-{number}"
    phases = {"pending": "Pending", "failed": "Failed", "done": "Succeeded"}
    made.status.phase = phases.get(state, "Running")
    if state in ("ready", "leaving"):
        made.status.conditions = [READY]
    if state == "leaving":
        made.metadata.deletion_timestamp = EARLIER
    return made


def view(owner: StatefulSet, mine: list[Pod], *, stale: Collection[int] = ()) -> View:
    return stateful.look(owner, mine, current="old", update="new", stale=stale, now=NOW)


def step(owner: StatefulSet, *mine: Pod, stale: Collection[int] = ()) -> Step:
    return stateful.plan(view(owner, list(mine), stale=stale))


def numbers(several: Any) -> list[int]:
    return [int(one.metadata.name.rpartition("-")[2]) for one in several]


ORDERED = stateful_set()
PARALLEL = stateful_set(podManagementPolicy="Parallel")


# Who they are


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("web-0", 0),
        ("web-12", 12),
        ("web-01", None),
        ("web-x", None),
        ("other-0", None),
        ("web", None),
    ],
)
def test_numbers_in_names(name: str, number: int | None) -> None:
    assert ordinals.number_of(ORDERED, name) == number


def test_a_pod_has_a_name_a_number_and_claims() -> None:
    owner = stateful_set(claims=("data", "log"))
    owner.spec.template.spec.volumes = objects.copy(
        ordinals.new_pod(owner, 9, owner.spec.template, "x")
    ).spec.volumes[:1]
    made = ordinals.new_pod(owner, 2, owner.spec.template, "web-abc")
    assert (made.metadata.name, made.spec.hostname, made.spec.subdomain) == (
        "web-2",
        "web-2",
        "web",
    )
    assert made.metadata.labels == {
        "app": "web",
        "statefulset.kubernetes.io/pod-name": "web-2",
        "apps.kubernetes.io/pod-index": "2",
        REVISION: "web-abc",
    }
    claims = {
        volume.name: volume.persistent_volume_claim.claim_name
        for volume in made.spec.volumes
        if volume.persistent_volume_claim
    }
    assert claims == {"data": "data-web-2", "log": "log-web-2"}
    assert len(made.spec.volumes) == 2
    first, _ = ordinals.new_claims(owner, 2)
    assert (first.metadata.name, first.metadata.labels) == ("data-web-2", {"app": "web"})
    assert first.spec.resources.requests == {"storage": "1Gi"}


# Which one is next


@pytest.mark.parametrize(
    ("owner", "mine", "expected"),
    [
        (ORDERED, [], [0]),
        (ORDERED, [pod(0)], [1]),
        (ORDERED, [pod(0, "pending")], []),
        (ORDERED, [pod(0, "unready")], []),
        (ORDERED, [pod(0), pod(1, "leaving"), pod(2)], []),
        (ORDERED, [pod(1), pod(2)], [0]),
        (ORDERED, [pod(0), pod(1), pod(2)], []),
        (PARALLEL, [], [0, 1, 2]),
        (PARALLEL, [pod(1, "pending")], [0, 2]),
        (PARALLEL, [pod(0, "leaving"), pod(1), pod(2)], []),
        (stateful_set(ordinals={"start": 5}), [pod(5)], [6]),
        (stateful_set(minReadySeconds=7200), [pod(0)], []),
    ],
)
def test_making(owner: StatefulSet, mine: list[Pod], expected: list[int]) -> None:
    assert step(owner, *mine) == Step(create=tuple(expected))


def test_a_claim_that_goes_with_a_former_pod_is_waited_for() -> None:
    assert step(ORDERED, stale={0}) == Step()
    assert step(PARALLEL, stale={0}) == Step(create=(1, 2))


@pytest.mark.parametrize("state", ["failed", "done"])
def test_pods_that_ended_are_made_anew(state: str) -> None:
    ended = pod(1, state)
    assert step(ORDERED, pod(0), ended, pod(2)) == Step(ended=(ended,))
    assert step(PARALLEL, ended, pod(2)) == Step(create=(0,), ended=(ended,))
    ended.metadata.deletion_timestamp = EARLIER
    assert step(ORDERED, pod(0), ended, pod(2)) == Step()


@pytest.mark.parametrize(
    ("owner", "states", "expected"),
    [
        (ORDERED, {3: "ready", 4: "ready"}, [4]),
        (ORDERED, {3: "ready", 4: "leaving"}, []),
        (ORDERED, {2: "unready", 4: "ready"}, []),
        (ORDERED, {3: "ready", 4: "unready"}, [4]),
        (ORDERED, {3: "unready", 4: "ready"}, [4]),
        (ORDERED, {3: "unready", 4: "unready"}, []),
        (PARALLEL, {3: "unready", 4: "ready"}, [4, 3]),
        (PARALLEL, {3: "leaving", 4: "ready"}, [4]),
        (stateful_set(ordinals={"start": 1}), {0: "ready", 3: "ready"}, [0]),
    ],
)
def test_ending(owner: StatefulSet, states: dict[int, str], expected: list[int]) -> None:
    mine = {number: pod(number) for number in range(3)} | {
        number: pod(number, state) for number, state in states.items()
    }
    assert numbers(step(owner, *mine.values()).delete) == expected


def rolling(**bounds: Any) -> dict[str, Any]:
    return {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": bounds}}


OLD = {number: pod(number, revision="old") for number in range(3)}


@pytest.mark.parametrize(
    ("owner", "changed", "expected"),
    [
        (ORDERED, {}, [2]),
        (ORDERED, {2: pod(2)}, [1]),
        (ORDERED, {2: pod(2, "unready")}, []),
        (stateful_set(**rolling(partition=2)), {}, [2]),
        (stateful_set(**rolling(partition=2)), {2: pod(2)}, []),
        (stateful_set(**rolling(partition=9)), {}, []),
        (stateful_set(**rolling(maxUnavailable=2)), {}, [2, 1]),
        (stateful_set(**rolling(maxUnavailable="34%")), {}, [2, 1]),
        (stateful_set(**rolling(maxUnavailable="1%")), {}, [2]),
        (stateful_set(updateStrategy={"type": "OnDelete"}), {}, []),
        (stateful_set(minReadySeconds=7200), {2: pod(2)}, []),
        (ORDERED, {0: pod(0), 1: pod(1), 2: pod(2, "unready", revision="old")}, []),
        (PARALLEL, {2: pod(2, "unready")}, []),
        (PARALLEL, {1: pod(1, "unready", revision="old")}, [2]),
    ],
)
def test_updating(owner: StatefulSet, changed: dict[int, Pod], expected: list[int]) -> None:
    assert numbers(step(owner, *(OLD | changed).values()).delete) == expected


def test_scaling_goes_before_updating() -> None:
    assert numbers(step(ORDERED, *OLD.values(), pod(3, revision="old")).delete) == [3]


def test_the_partition_counts_from_the_first_ordinal() -> None:
    owner = stateful_set(ordinals={"start": 5}, **rolling(partition=2))
    shown = view(owner, [])
    assert [stateful.revision_for(shown, number) for number in (5, 6, 7)] == ["old", "old", "new"]
    deleting = stateful_set(updateStrategy={"type": "OnDelete"})
    assert stateful.revision_for(view(deleting, []), 0) == "new"


def test_status_counts() -> None:
    owner = stateful_set(minReadySeconds=7200, **rolling(partition=1))
    owner.metadata.generation = 7
    mine = [pod(0, revision="old"), pod(1, "unready"), pod(2, "leaving"), pod(3)]
    status = stateful.status_of(view(owner, mine), 1)
    assert (status.replicas, status.ready_replicas, status.available_replicas) == (4, 3, 0)
    assert (status.current_replicas, status.updated_replicas) == (1, 2)
    assert (status.current_revision, status.update_revision) == ("old", "new")
    assert (status.observed_generation, status.collision_count) == (7, 1)


def test_an_update_is_over_when_every_pod_is_new_and_ready() -> None:
    status = stateful.status_of(view(ORDERED, [pod(0), pod(1), pod(2)]), None)
    assert (status.current_revision, status.current_replicas) == ("new", 3)
    waiting = stateful.status_of(view(ORDERED, [pod(0), pod(1), pod(2, "unready")]), None)
    assert waiting.current_revision == "old"


# Claims


def claim(*owners: OwnerReference) -> PersistentVolumeClaim:
    return PersistentVolumeClaim(
        metadata=ObjectMeta(name="data-web-3", owner_references=list(owners))
    )


FOREIGN = OwnerReference(api_version="v1", kind="Thing", name="t", uid="t")


@pytest.mark.parametrize(
    ("policy", "wanted", "expected"),
    [
        (("Retain", "Retain"), True, []),
        (("Retain", "Retain"), False, []),
        (("Delete", "Retain"), True, ["StatefulSet"]),
        (("Delete", "Retain"), False, ["StatefulSet"]),
        (("Retain", "Delete"), True, []),
        (("Retain", "Delete"), False, ["Pod"]),
        (("Delete", "Delete"), True, ["StatefulSet"]),
        (("Delete", "Delete"), False, ["Pod"]),
    ],
)
def test_with_whom_claims_go(policy: tuple[str, str], wanted: bool, expected: list[str]) -> None:
    owner = stateful_set(
        persistentVolumeClaimRetentionPolicy={"whenDeleted": policy[0], "whenScaled": policy[1]}
    )
    one = pod(3)
    before = (objects.controller_reference(owner), objects.controller_reference(one))
    for present in (claim(FOREIGN), claim(FOREIGN, before[0]), claim(FOREIGN, before[1])):
        found = claimowners.owners_of(present, owner, one, wanted=wanted)
        assert [reference.kind for reference in found] == ["Thing", *expected]


def test_foreign_and_stale_claims() -> None:
    ours = objects.controller_reference(ORDERED)
    other = OwnerReference(
        api_version="apps/v1", kind="StatefulSet", name="x", uid="x", controller=True
    )
    assert not claimowners.is_foreign(claim(ours, FOREIGN), ORDERED, "web-3")
    assert claimowners.is_foreign(claim(other), ORDERED, "web-3")
    gone = OwnerReference(api_version="v1", kind="Pod", name="web-3", uid="before")
    assert claimowners.is_stale(claim(gone), "web-3", "now")
    assert not claimowners.is_stale(claim(gone), "web-3", "before")
    assert not claimowners.is_stale(claim(gone), "web-4", "")


# The whole way


class World:
    """A set whose pods end and become ready in any order."""

    def __init__(self, owner: StatefulSet, mine: list[Pod], source: random.Random) -> None:
        self.owner, self.source = owner, source
        self.pods = mine
        self.made: list[int] = []
        self.ended: list[int] = []

    def act(self) -> None:
        done = stateful.plan(view(self.owner, self.pods))
        for one in done.delete:
            assert not one.metadata.deletion_timestamp
            one.metadata.deletion_timestamp = EARLIER
            self.ended += numbers([one])
        for number in done.create:
            revision = stateful.revision_for(view(self.owner, self.pods), number)
            self.pods.append(pod(number, "pending", revision=revision))
            self.made.append(number)

    def move(self) -> None:
        waiting = [
            one for one in self.pods if one.metadata.deletion_timestamp or not pods.is_ready(one)
        ]
        if not waiting:
            return
        one = self.source.choice(waiting)
        if one.metadata.deletion_timestamp:
            self.pods = [other for other in self.pods if other is not one]
        else:
            one.status.phase, one.status.conditions = "Running", [READY]

    def missing(self) -> int:
        there = [o for o in self.pods if pods.is_ready(o) and pods.is_active(o)]
        return (self.owner.spec.replicas or 0) - len(there)


@given(
    policy=st.sampled_from(["OrderedReady", "Parallel"]),
    before=st.integers(0, 5),
    after=st.integers(0, 5),
    partition=st.integers(0, 3),
    most=st.integers(1, 3),
    seed=st.integers(0, 2**16),
)
def test_scaling_and_updating_end_where_they_should(
    policy: str, before: int, after: int, partition: int, most: int, seed: int
) -> None:
    owner = stateful_set(
        replicas=after,
        podManagementPolicy=policy,
        **rolling(partition=partition, maxUnavailable=most),
    )
    mine = [pod(number, revision="old") for number in range(before)]
    world = World(owner, mine, random.Random(seed))
    for _ in range(60):
        world.act()
        found = numbers(world.pods)
        assert len(found) == len(set(found)), "two pods of one identity"
        if before >= after:
            assert world.missing() <= most
        world.move()
    assert sorted(numbers(world.pods)) == list(range(after))
    revisions = {one.metadata.name: one.metadata.labels[REVISION] for one in world.pods}
    assert revisions == {
        f"web-{number}": "new" if number >= partition else "old" for number in range(after)
    }
    if policy == "OrderedReady" and most == 1:
        assert world.ended == sorted(world.ended, reverse=True)
