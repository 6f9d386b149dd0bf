"""Whose is it: which objects a controller's owner has, may adopt, and must let go. Walk step 1.

Ownership is an ownerReference with `controller: true`; the selector says who may have one. The
decision (`claim`) is pure; `adopt` and `release` write it, each for the very version that was seen.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from api import objects, pods
from api.client import Client
from api.core import Pod
from api.errors import is_not_found
from api.selectors import Selector
from api.struct import ApiStruct
from base.errors import PodwrightError

T = TypeVar("T", bound=ApiStruct)


@dataclass(frozen=True, slots=True)
class Claim(Generic[T]):
    """The objects an owner controls, those it should adopt, and those it should let go."""

    mine: tuple[T, ...]
    adopt: tuple[T, ...]
    release: tuple[T, ...]


def claim(
    owner_uid: str,
    selector: Selector,
    candidates: Sequence[T],
    *,
    lives: bool,
    wanted: Callable[[T], bool] = lambda one: True,
) -> Claim[T]:
    """Sort objects of the namespace by who controls them and whether the selector matches.

    An owner that is being deleted (`lives` is false) takes nobody and lets nobody go: what it has
    ends with it, or is let go by the garbage collector. `wanted` says what else an object must
    be to belong to this owner (a StatefulSet's pods have its name). What has ended or is being
    deleted is not adopted any more.
    """
    mine: list[T] = []
    adopt: list[T] = []
    release: list[T] = []
    for one in candidates:
        owner, metadata = objects.controller_of(one), objects.meta(one)
        matches = selector.matches(metadata.labels) and wanted(one)
        if owner is not None:
            if owner.uid == owner_uid and (matches or lives):
                (mine if matches else release).append(one)
        elif matches and lives and not metadata.deletion_timestamp and not _has_ended(one):
            adopt.append(one)
    return Claim(tuple(mine), tuple(adopt), tuple(release))


def _has_ended(one: ApiStruct) -> bool:
    return isinstance(one, Pod) and pods.is_terminal(one)


async def adopt(client: Client, owner: ApiStruct, orphans: Sequence[T]) -> list[T]:
    """Take control of objects that nobody has; returns them as they are then."""
    if not orphans or not await _lives(client, owner):
        return []
    taken = [await _change(client, one, objects.adoption(one, owner)) for one in orphans]
    return [one for one in taken if one is not None]


async def _lives(client: Client, owner: ApiStruct) -> bool:
    """Only a live read tells that the owner is not being deleted this very moment."""
    metadata = objects.meta(owner)
    try:
        live = objects.meta(await client.get(type(owner), metadata.name, metadata.namespace))
    except PodwrightError as error:
        if not is_not_found(error):
            raise
        return False
    return live.uid == metadata.uid and not live.deletion_timestamp


async def release(client: Client, owner: ApiStruct, strangers: Sequence[ApiStruct]) -> None:
    """Let go of objects that no longer match."""
    uid = objects.meta(owner).uid
    for one in strangers:
        metadata = objects.meta(one)
        kept = [other for other in metadata.owner_references if other.uid != uid]
        body = {
            "metadata": {
                "uid": metadata.uid,
                "resourceVersion": metadata.resource_version,
                "ownerReferences": msgspec.to_builtins(kept) or None,
            }
        }
        await _change(client, one, body)


async def _change(client: Client, one: T, body: object) -> T | None:
    """The object as it is then; None if it is gone, which is as good as let go."""
    metadata = objects.meta(one)
    try:
        return await client.patch(type(one), metadata.name, metadata.namespace, body)
    except PodwrightError as error:
        if is_not_found(error):
            return None
        raise
