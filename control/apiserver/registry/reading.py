"""Get and list: which version of the world a reader gets, and pages that belong together.

Serves every step of the pod's walk. What `resourceVersion` means is the contract of RELIABILITY's
table: unset is as fresh as the last acknowledged write, "0" whatever the cache has, N at least N
(or exactly N). The pages of one listing are one snapshot: the continue token names its revision,
and later pages are read from the store as of then. Bytes come from the watch cache as they are;
only pages of the past are made anew.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from api import errors
from api.fielderrors import FieldError, Path, forbidden, not_supported
from api.meta import ListMeta, ListOptions
from control.apiserver.registry.call import Stored
from control.apiserver.registry.kinds import Kind
from control.apiserver.registry.registry import Registry
from control.apiserver.registry.selection import Selection, candidates, select
from control.store.cached import Bodies, Cached
from control.store.errors import CompactedError, FutureRevisionError

_CHUNK = 500  # keys read at once from the past while a selector looks for matches
_INCONSISTENT = -1
_TURN = 0.005  # seconds at a time for looking through objects
_LOOKS = 32

_TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result. You can start "
    "a new list without the continue parameter, or use the continue token in this response to "
    "retrieve the remainder of the results. Continuing with the provided token results in an "
    "inconsistent list - objects that were created, modified, or deleted between the time the first "
    "chunk was returned and now may show up in the list."
)


class Page(msgspec.Struct, frozen=True, gc=False):
    """Objects as bytes for clients, all of one revision; `continue_` leads to the next ones."""

    items: Sequence[bytes]
    revision: int
    continue_: str = ""
    remaining: int | None = None

    @property
    def size(self) -> int:
        """About how many bytes the objects have."""
        items = self.items
        return items.size if isinstance(items, Bodies) else sum(map(len, items))


class _Token(msgspec.Struct, frozen=True):
    v: str
    rv: int
    start: str


async def get(
    registry: Registry,
    kind: Kind[Any],
    *,
    namespace: str,
    name: str,
    resource_version: str = "",
) -> Stored:
    """One object as bytes for clients."""
    await _reach(registry, kind, parse_version(resource_version))
    entry = kind.cache.get(kind.key(namespace, name))
    if entry is None:
        raise errors.not_found(kind.resource, name)
    return Stored(entry.body, entry.revision)


async def list_(
    registry: Registry, kind: Kind[Any], options: ListOptions, *, namespace: str, name: str = ""
) -> Page:
    """The objects that are asked for, or the first page of them."""
    _check_options(options)
    selection = select(kind, namespace, options.label_selector, options.field_selector, name)
    if options.continue_:
        return await _next_page(registry, kind, options, selection)
    version = parse_version(options.resource_version)
    exact = options.resource_version_match == "Exact" or (
        options.limit > 0 and version and not options.resource_version_match
    )
    if exact and version:
        return await _page_of_past(registry, kind, options, selection, version, "")
    await _reach(registry, kind, version)
    return await _page_of_now(kind, options, selection)


def parse_version(text: str) -> int | None:
    """None when unset; 400 for what the server never gave out."""
    if not text:
        return None
    if not text.isdecimal() or len(text) > 19:
        raise errors.bad_request(f"resourceVersion: Invalid value: {text!r}: not a version")
    return int(text)


async def _reach(registry: Registry, kind: Kind[Any], version: int | None) -> None:
    if version is None:
        await registry.fresh(kind)
    elif version:
        await registry.reach(kind, version)


async def _page_of_now(kind: Kind[Any], options: ListOptions, selection: Selection) -> Page:
    """From the cache, all as of one moment; one object more than asked for tells of the next page."""
    revision = kind.cache.revision
    limit = options.limit
    if selection.everything:
        total = kind.cache.count(selection.prefix) if limit else 0
        wanted = limit + 1 if limit else 0
        found: Sequence[Cached] = kind.cache.items(selection.prefix, limit=wanted)
    else:
        total, found = 0, await matching(candidates(kind, selection), selection, limit)
    items = Bodies(found)
    if not limit or len(items) <= limit:
        return Page(items, revision)
    token = _encode(revision, found[limit - 1].key.removeprefix(selection.prefix))
    return Page(items[:limit], revision, token, total - limit if selection.everything else None)


async def matching(
    entries: Sequence[Cached], selection: Selection, limit: int = 0
) -> Sequence[Cached]:
    """Those of a snapshot that are selected, up to one more than `limit`.

    A selector may be long, and there may be many objects: others get their turn in between.
    """
    found: list[Cached] = []
    loop = asyncio.get_running_loop()
    until = loop.time() + _TURN
    for position, entry in enumerate(entries):
        if position % _LOOKS == 0 and loop.time() > until:
            await asyncio.sleep(0)
            until = loop.time() + _TURN
        if selection.holds(entry):
            found.append(entry)
            if limit and len(found) > limit:
                break
    return found


async def _next_page(
    registry: Registry, kind: Kind[Any], options: ListOptions, selection: Selection
) -> Page:
    token = _decode(options.continue_)
    after = selection.prefix + token.start
    revision = registry.store.revision() if token.rv == _INCONSISTENT else token.rv
    try:
        return await _page_of_past(registry, kind, options, selection, revision, after)
    except CompactedError:
        failure = errors.expired(_TOO_OLD)
        failure.status.metadata = ListMeta(continue_=_encode(_INCONSISTENT, token.start))
        raise failure from None


async def _page_of_past(
    registry: Registry,
    kind: Kind[Any],
    options: ListOptions,
    selection: Selection,
    revision: int,
    after: str,
) -> Page:
    """From the store, as of `revision`."""
    first_page, items = not after, list[bytes]()
    while True:
        chunk = options.limit if options.limit and selection.everything else _CHUNK
        try:
            found = await registry.store.range(
                selection.prefix, after=after, limit=chunk, revision=revision
            )
        except FutureRevisionError as error:
            raise errors.too_large_resource_version(revision, error.current) from None
        except CompactedError:
            if first_page:
                raise errors.expired(
                    "The resourceVersion for the provided list is too old."
                ) from None
            raise
        for position, item in enumerate(found.items):
            if not selection.everything:
                if not selection.holds_facts(kind.extract(item.value)):
                    continue
            items.append(kind.splice(item.value, item.mod_revision))
            after = item.key
            if len(items) == options.limit:
                left = found.remaining + len(found.items) - position - 1
                if not left:
                    break
                token = _encode(revision, after.removeprefix(selection.prefix))
                return Page(items, revision, token, left if selection.everything else None)
        if not found.remaining:
            return Page(items, revision)
        after = found.items[-1].key


def _check_options(options: ListOptions) -> None:
    found = list(_contradictions(options))
    if found:
        raise errors.invalid_kind(
            "meta.k8s.io", "ListOptions", "ListOptions.meta.k8s.io", "", found
        )
    if options.limit < 0:
        raise errors.bad_request(f"limit: expected zero or more, found {options.limit}")
    if options.continue_ and options.resource_version not in ("", "0"):
        raise errors.bad_request("specifying resource version is not allowed when using continue")


def _contradictions(options: ListOptions) -> Iterator[FieldError]:
    match = options.resource_version_match
    where = Path("resourceVersionMatch")
    if options.send_initial_events is not None:
        yield forbidden(Path("sendInitialEvents"), "sendInitialEvents is forbidden for list")
    if not match:
        return
    if options.continue_:
        yield forbidden(where, "resourceVersionMatch is forbidden when continue is provided")
    if not options.resource_version:
        yield forbidden(
            where, "resourceVersionMatch is forbidden unless resourceVersion is provided"
        )
    if match not in ("Exact", "NotOlderThan"):
        yield not_supported(where, match, ["Exact", "NotOlderThan", ""])
    if match == "Exact" and options.resource_version == "0":
        yield forbidden(where, 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"')


def _encode(revision: int, start: str) -> str:
    token = msgspec.json.encode(_Token("meta.k8s.io/v1", revision, start))
    return base64.urlsafe_b64encode(token).rstrip(b"=").decode()


def _decode(text: str) -> _Token:
    try:
        padded = text + "=" * (-len(text) % 4)
        return msgspec.json.decode(base64.urlsafe_b64decode(padded), type=_Token)
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        raise errors.bad_request(
            "continue key is not valid: expected the token of the page before, unchanged"
        ) from None
