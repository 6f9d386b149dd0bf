"""The filters about volumes against slow ones, on random clusters."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from api.core import ObjectReference
from control.scheduler.reachable import (
    CONFLICT,
    DISK_TAKEN,
    IN_USE,
    NONE_TO_BIND,
    OTHER_ZONE,
    TOO_MANY,
    node_volume_limits,
    volume_restrictions,
)
from control.scheduler.request import request_of
from tests.thorough import examples
from tests.unit.controllers.test_volumes import claim, class_, volume
from tests.unit.scheduler.making import pod
from tests.unit.scheduler.test_storage import (
    LATE,
    STATIC,
    attached,
    bound,
    cluster,
    drivers,
    on,
    tried,
    using,
)

DISK, OTHER = "disk.example.com", "other.example.com"
CLAIMS = {"c1": DISK, "c2": DISK, "c3": DISK, "c4": OTHER, "c5": OTHER}
GCE = st.tuples(st.sampled_from("ab"), st.booleans())
PODS = st.tuples(
    st.frozensets(st.sampled_from([*CLAIMS, "alone"]), max_size=3), st.lists(GCE, max_size=2)
)
LIMITS = st.lists(
    st.dictionaries(st.sampled_from([DISK, OTHER]), st.integers(0, 3), max_size=1),
    min_size=2,
    max_size=2,
)


def made(name: str, claims: frozenset[str], disks: list[tuple[str, bool]]) -> Any:
    volumes: list[dict[str, Any]] = [
        {"name": one, "persistentVolumeClaim": {"claimName": one}} for one in sorted(claims)
    ]
    for number, (disk, reads) in enumerate(disks):
        source = {"pdName": disk, "readOnly": reads}
        volumes.append({"name": f"d{number}", "gcePersistentDisk": source})
    return pod(name, volumes=volumes)


def refused(there: list[Any], everywhere: list[Any], wanted: Any) -> str:
    """Why disks and claims keep a pod off a node with these pods; empty if they do not."""
    claims, disks = wanted
    if "alone" in claims and any("alone" in other for other, _ in everywhere):
        return IN_USE
    for name, reads in disks:
        for _, others in there:
            if any(name == other and not (reads and read) for other, read in others):
                return DISK_TAKEN
    return ""


def over(there: list[Any], limits: dict[str, int], wanted: Any) -> str:
    used = {claim for claims, _ in there for claim in claims if claim in CLAIMS}
    for driver, limit in limits.items():
        mine = {claim for claim in wanted[0] if CLAIMS.get(claim) == driver}
        if mine - used and len({c for c in used | mine if CLAIMS[c] == driver}) > limit:
            return TOO_MANY
    return ""


@given(placed=st.lists(st.tuples(PODS, st.integers(0, 1)), max_size=6), limits=LIMITS, wanted=PODS)
@settings(max_examples=examples(120, long=1500), deadline=None)
def test_who_is_refused_and_why(placed: Any, limits: list[dict[str, int]], wanted: Any) -> None:
    objects = [one for name, driver in CLAIMS.items() for one in attached(int(name[1]), driver)]
    alone = bound("", name="alone", spec__accessModes=["ReadWriteOncePod"])
    told = [
        drivers(f"n{number + 1}", count, driver)
        for number, each in enumerate(limits)
        for driver, count in each.items()
    ]
    snapshot = cluster(*objects, alone, *told)
    for number, (one, where) in enumerate(placed):
        request = request_of(made(f"p{number}", *one))
        snapshot.add_pod(request, f"n{2 - where}")
        snapshot.add_pod(request, f"n{where + 1}")
    request = request_of(made("new", *wanted))
    everywhere = [one for one, _ in placed]
    for number in range(2):
        there = [one for one, where in placed if where == number]
        for check, expected in (
            (volume_restrictions, refused(there, everywhere, wanted)),
            (node_volume_limits, over(there, limits[number], wanted)),
        ):
            verdict = check(request, snapshot, snapshot.present)
            found = {int(row): one.reasons[0] for one in verdict.refusals for row in one.rows}
            assert found.get(number, "") == expected
            assert bool(verdict.passes[number]) == (not expected)


REACHES = st.sampled_from(["n1", "n2", ""])
IN_ZONES = st.sampled_from(["", "", "z1", "z2", "z1__z2"])
BOUND = st.lists(st.tuples(REACHES, IN_ZONES), max_size=2)
FREE = st.lists(REACHES, max_size=3)
ALLOWED = st.sampled_from([["n1"], ["n2"], ["n1", "n2"], []])


def conflict(node: str, held: list[tuple[str, str]], waiting: int, late: Any) -> str:
    """Why volumes keep a pod off a node; empty if they do not. `late`: what claims that wait may get."""
    free, allowed = late
    if any(host not in ("", node) for host, _ in held):
        return CONFLICT
    there = sum(host in ("", node) for host in free)
    if waiting > there and (allowed is None or (allowed and node not in allowed)):
        return NONE_TO_BIND
    if any(zones and node.replace("n", "z") not in zones.split("__") for _, zones in held):
        return OTHER_ZONE
    return ""


@given(
    held=BOUND,
    waiting=st.integers(0, 2),
    free=FREE,
    allowed=st.one_of(st.none(), ALLOWED),
)
@settings(max_examples=200, deadline=None)
def test_where_volumes_are_and_could_be(
    held: list[tuple[str, str]], waiting: int, free: list[str], allowed: list[str] | None
) -> None:
    """`allowed` is None when nobody makes volumes of the class, and empty when anywhere would do."""
    objects: list[Any] = []
    for number, (host, zones) in enumerate(held):
        labels = {"topology.kubernetes.io/zone": zones} if zones else {}
        one = volume(f"held{number}", metadata__labels=labels)
        one.spec.node_affinity = (
            volume(spec__nodeAffinity=on(host)).spec.node_affinity if host else None
        )
        one.spec.claim_ref = ObjectReference(name=f"b{number}", namespace="default")
        objects += [one, bound(f"held{number}", name=f"b{number}")]
    for number, host in enumerate(free):
        one = volume(f"free{number}")
        one.spec.node_affinity = (
            volume(spec__nodeAffinity=on(host)).spec.node_affinity if host else None
        )
        objects.append(one)
    for number in range(waiting):
        objects.append(claim(metadata__name=f"w{number}", metadata__uid=f"w{number}"))
    terms = [{"matchLabelExpressions": [{"key": "host", "values": allowed}]}] if allowed else []
    objects.append(class_(**(STATIC if allowed is None else {**LATE, "allowedTopologies": terms})))
    names = [*(f"b{n}" for n in range(len(held))), *(f"w{n}" for n in range(waiting))]
    found = tried(using(*names), cluster(*objects))
    expected = {
        node: (why,)
        for node in ("n1", "n2")
        if (why := conflict(node, held, waiting, (free, allowed)))
    }
    assert found.refused == expected
