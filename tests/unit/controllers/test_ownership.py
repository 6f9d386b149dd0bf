"""Owners and dependents: what becomes of an object by the standing of each of its owners."""

import itertools

import pytest

from api.meta import ObjectMeta, OwnerReference
from control.controllers.lifecycle.ownership import (
    Keep,
    Remove,
    Standing,
    judge,
    waits_for_dependents,
)

STAYS, WAITS, GONE, UNRESOLVABLE = Standing


def _owned(*standings: Standing, finalizers: tuple[str, ...] = ()) -> ObjectMeta:
    owners = [
        OwnerReference(api_version="v1", kind="ConfigMap", name=f"o{number}", uid=f"u{number}")
        for number, _ in enumerate(standings)
    ]
    return ObjectMeta(name="obj", owner_references=owners, finalizers=list(finalizers))


def _judged(
    *standings: Standing,
    finalizers: tuple[str, ...] = (),
    has_dependents: bool = False,
    in_a_circle: bool = False,
) -> str:
    """The verdict in short: the numbers of the owners that are kept, or how it is deleted."""
    verdict = judge(
        _owned(*standings, finalizers=finalizers),
        {f"u{number}": standing for number, standing in enumerate(standings)},
        has_dependents=has_dependents,
        in_a_circle=in_a_circle,
    )
    if isinstance(verdict, Keep):
        return "keep " + "".join(owner.uid[1:] for owner in verdict.references)
    return verdict.policy + (" unblocked" if verdict.unblock else "")


@pytest.mark.parametrize(
    ("standings", "verdict"),
    [
        ((STAYS,), "keep 0"),
        ((STAYS, STAYS), "keep 01"),
        ((STAYS, GONE), "keep 0"),
        ((GONE, STAYS), "keep 1"),
        ((WAITS, STAYS), "keep 1"),
        ((WAITS, STAYS, GONE), "keep 1"),
        ((GONE,), "Background"),
        ((GONE, GONE), "Background"),
        ((WAITS,), "Background"),
        ((WAITS, GONE), "Background"),
        ((UNRESOLVABLE,), "keep 0"),
        ((UNRESOLVABLE, GONE), "keep 01"),
        ((UNRESOLVABLE, STAYS, GONE), "keep 012"),
    ],
)
def test_owners_decide(standings: tuple[Standing, ...], verdict: str) -> None:
    assert _judged(*standings) == verdict


@pytest.mark.parametrize(
    ("standing", "has_dependents", "in_a_circle", "verdict"),
    [
        (WAITS, True, False, "Foreground"),
        (WAITS, True, True, "Foreground unblocked"),
        (GONE, True, False, "Background"),
        (GONE, True, True, "Background"),
        (STAYS, True, True, "keep 0"),
    ],
)
def test_an_owner_that_waits_waits_for_the_dependents_of_its_dependents(
    standing: Standing, has_dependents: bool, in_a_circle: bool, verdict: str
) -> None:
    told = _judged(standing, has_dependents=has_dependents, in_a_circle=in_a_circle)
    assert told == verdict


@pytest.mark.parametrize(
    ("finalizers", "policy"),
    [
        ((), "Background"),
        (("example.com/x",), "Background"),
        (("orphan",), "Orphan"),
        (("foregroundDeletion",), "Foreground"),
        (("orphan", "foregroundDeletion"), "Orphan"),
    ],
)
def test_a_wish_about_its_own_dependents_is_kept(finalizers: tuple[str, ...], policy: str) -> None:
    assert _judged(GONE, finalizers=finalizers) == policy


def test_no_combination_deletes_what_somebody_keeps() -> None:
    for count in (1, 2, 3):
        for standings in itertools.product(Standing, repeat=count):
            verdict = judge(
                _owned(*standings),
                {f"u{number}": standing for number, standing in enumerate(standings)},
                has_dependents=True,
                in_a_circle=True,
            )
            kept = {STAYS, UNRESOLVABLE} & set(standings)
            assert isinstance(verdict, Keep if kept else Remove), standings
            assert not isinstance(verdict, Keep) or verdict.references, standings


@pytest.mark.parametrize(
    ("deleted", "finalizers", "waits"),
    [
        (True, ["foregroundDeletion"], True),
        (True, ["orphan"], False),
        (False, ["foregroundDeletion"], False),
        (True, [], False),
    ],
)
def test_who_waits_for_dependents(deleted: bool, finalizers: list[str], waits: bool) -> None:
    when = "2026-01-01T00:00:00Z" if deleted else None
    metadata = ObjectMeta(name="o", deletion_timestamp=when, finalizers=finalizers)
    assert waits_for_dependents(metadata) is waits
