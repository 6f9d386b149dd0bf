"""Watch: where a watcher begins, what it is told first, and every change after that.

Serves step 2 of the pod's walk. A watch begins with nothing (a resourceVersion was given), with an
ADDED for each object that is there (none or "0" was given), or with those and a bookmark that says
so (`sendInitialEvents`, by which newer clients list). What follows comes from a subscription to the
kind's cache: bounded, so a watcher that does not read is dropped and starts over, and never holds
up or grows the server. A bookmark names the revision up to which everything was handed out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from api import errors
from api.fielderrors import FieldError, Path, forbidden
from api.meta import ListOptions
from control.apiserver.registry.kinds import Kind
from control.apiserver.registry.reading import matching, parse_version
from control.apiserver.registry.registry import Registry
from control.apiserver.registry.selection import Selection, candidates, select
from control.store.cached import Cached
from control.store.subscription import Interest, Subscription

CAPACITY = 1000
"""Events that may wait for one watcher before it counts as stalled."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A watch that has begun. `initial`: objects to announce first, all as of `revision`."""

    initial: Sequence[Cached]
    revision: int
    announce_end: bool
    subscription: Subscription


async def open_watch(
    registry: Registry,
    kind: Kind[Any],
    options: ListOptions,
    *,
    namespace: str,
    name: str = "",
    capacity: int = CAPACITY,
) -> Opened:
    """Begin a watch. Everything that can be refused is refused here, before the first byte."""
    _check_options(options)
    selection = select(kind, namespace, options.label_selector, options.field_selector, name)
    version = parse_version(options.resource_version)
    wants_initial = options.send_initial_events or (
        options.send_initial_events is None and not version
    )
    if version is None:
        await registry.fresh(kind)
    elif version:
        await registry.reach(kind, version)
    # From here to `subscribe` nothing is awaited: the snapshot and the changes meet exactly.
    cache = kind.cache
    revision = cache.revision
    after = revision if wants_initial or not version else version
    there = candidates(kind, selection) if wants_initial else ()
    subscription = cache.subscribe(after, _interest(kind, selection), capacity=capacity)
    try:
        initial = there if selection.everything else await matching(there, selection)
    except BaseException:
        subscription.close()
        raise
    return Opened(initial, revision, bool(options.send_initial_events), subscription)


def _interest(kind: Kind[Any], selection: Selection) -> Interest:
    name, namespace = selection.name, selection.namespace
    single = name and (namespace or not kind.resource.namespaced)
    return Interest(
        prefix=selection.prefix,
        key=kind.key(namespace, name) if single else "",
        where=selection.indexed(kind),
        predicate=None if selection.everything else selection.holds,
    )


def _check_options(options: ListOptions) -> None:
    found: list[FieldError] = []
    match = options.resource_version_match
    if options.send_initial_events is None:
        if match:
            found.append(
                forbidden(
                    Path("resourceVersionMatch"),
                    "resourceVersionMatch is forbidden for watch unless sendInitialEvents is "
                    "provided",
                )
            )
    elif match != "NotOlderThan":
        found.append(
            forbidden(
                Path("resourceVersionMatch"),
                "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
            )
        )
    if options.continue_:
        found.append(forbidden(Path("continue"), "continue is forbidden for watch"))
    if found:
        raise errors.invalid_kind(
            "meta.k8s.io", "ListOptions", "ListOptions.meta.k8s.io", "", found
        )
