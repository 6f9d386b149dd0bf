"""What becomes of an object whose owners have been looked at: the pure part of garbage collection.

Rules from the API concepts "Garbage Collection" and "Owners and Dependents": one owner that stays
keeps an object, and references to others are taken away; without any it goes, in the foreground if
an owner waits for it and it has dependents itself. A reference that cannot be resolved (an object of
the cluster that names an owner in some namespace) keeps an object as it is, for good.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from api.meta import ObjectMeta, OwnerReference

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"


class Standing(StrEnum):
    """What an owner is to an object that names it."""

    STAYS = "stays"
    WAITS = "waits"
    """It is being deleted in the foreground, and waits until its dependents are gone."""
    GONE = "gone"
    UNRESOLVABLE = "unresolvable"


@dataclass(frozen=True, slots=True)
class Keep:
    """Nothing happens, or only references to owners that do not keep the object are taken away."""

    references: tuple[OwnerReference, ...]


@dataclass(frozen=True, slots=True)
class Remove:
    """Delete the object so; `unblock`: first it must keep its owners from going no longer."""

    policy: str
    unblock: bool = False


def waits_for_dependents(metadata: ObjectMeta) -> bool:
    """Whether the object is being deleted in the foreground."""
    return bool(metadata.deletion_timestamp) and FOREGROUND in metadata.finalizers


def judge(
    metadata: ObjectMeta,
    standings: Mapping[str, Standing],
    *,
    has_dependents: bool,
    in_a_circle: bool,
) -> Keep | Remove:
    """What to do with an object that has owners, by the standing of each (by UID).

    `in_a_circle`: one of its own dependents waits in the foreground, too, so that each would wait
    for the other.
    """
    owners = metadata.owner_references
    found = {standings[owner.uid] for owner in owners}
    if Standing.UNRESOLVABLE in found:
        return Keep(tuple(owners))
    if Standing.STAYS in found:
        return Keep(tuple(o for o in owners if standings[o.uid] is Standing.STAYS))
    if Standing.WAITS in found and has_dependents:
        return Remove("Foreground", unblock=in_a_circle)
    return Remove(_policy_of(metadata))


def _policy_of(metadata: ObjectMeta) -> str:
    """Keep what was asked of the object itself, when its finalizers still say so."""
    if ORPHAN in metadata.finalizers:
        return "Orphan"
    return "Foreground" if FOREGROUND in metadata.finalizers else "Background"
