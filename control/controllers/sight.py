"""How new a cache must be before an owner is looked at again: as new as what was written for it.

A decision over several objects (how far may this set of pods grow beside that one?) is only as good
as the view of all of them; the version that each write is bound to protects one. After a write whose
answer was lost nobody knows whether it was done: then the cache must first show what the store has
since. (The revision of a list alone would not do: a cache hears of its own kind only.)
"""

from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, Self, TypeVar

from api import objects
from api.client import Client
from api.errors import ApiError
from api.informer import Informer
from api.interface import Listed
from api.objects import Key
from api.struct import ApiStruct
from base.errors import PodwrightError
from control.controllers.controller import Behind

T = TypeVar("T", bound=ApiStruct)
A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class Scene:
    """What the store had of one kind in a namespace, at a revision."""

    uids: frozenset[str]
    newest: str
    """The highest version among them: who shows that has heard of all of them."""
    revision: int

    @classmethod
    def of(cls, listed: Listed[Any]) -> Self:
        """What a list has told."""
        versions = _versions(listed.items)
        newest = str(max(versions.values(), default=0))
        return cls(frozenset(versions), newest, int(listed.resource_version))

    def shows_gone(self, cached: dict[str, int]) -> bool:
        """Whether a cache with these versions by UID has nothing left that was gone then."""
        return all(uid in self.uids or at > self.revision for uid, at in cached.items())


class Sight(Generic[T]):
    """Per owner: the revision, or the scene, that is to be seen; or that it is not known yet."""

    def __init__(self, type_: type[T], informer: Informer[T]) -> None:
        self._type = type_
        self._informer = informer
        self._revisions: dict[Key, str] = {}
        self._unknown: set[Key] = set()
        self._scenes: dict[Key, Scene] = {}

    async def after(self, owner: Key, write: Awaitable[T]) -> T:
        """Write, and see it before the owner is looked at again."""
        written = await self.perhaps(owner, write)
        self._revisions[owner] = objects.meta(written).resource_version
        return written

    async def perhaps(self, owner: Key, write: Awaitable[A]) -> A:
        """Write what is noted elsewhere when it succeeds; only a lost answer matters here."""
        try:
            return await write
        except PodwrightError as error:
            if not is_refusal(error):
                self._unknown.add(owner)
            raise

    async def check(self, client: Client, owner: Key) -> None:
        """Raise `Behind` until everything that was written for the owner can be seen."""
        if owner in self._unknown:
            listed = await client.list(self._type, owner.namespace)
            self._scenes[owner] = Scene.of(listed)
            self._unknown.discard(owner)
        if not self._shows(owner):
            raise Behind(f"the {self._type.__name__} of {owner} are not seen as they are yet")
        self._scenes.pop(owner, None)

    def _shows(self, owner: Key) -> bool:
        if not self._informer.shows(self._revisions.get(owner, "")):
            return False
        scene = self._scenes.get(owner)
        return scene is None or (
            self._informer.shows(scene.newest)
            and scene.shows_gone(_versions(self._informer.items(owner.namespace)))
        )

    def forget(self, owner: Key) -> None:
        """The owner is gone."""
        self._revisions.pop(owner, None)
        self._unknown.discard(owner)
        self._scenes.pop(owner, None)


def _versions(found: Iterable[ApiStruct]) -> dict[str, int]:
    metadata = map(objects.meta, found)
    return {one.uid: int(one.resource_version) for one in metadata}


def is_refusal(error: PodwrightError) -> bool:
    """Whether the server has said that nothing was done."""
    return isinstance(error, ApiError) and 400 <= error.code < 500
