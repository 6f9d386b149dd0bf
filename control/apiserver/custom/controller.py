"""CustomResourceDefinitions come, change and go; the kinds they define with them.

Serves step 1 of the pod's walk. A definition whose names are accepted becomes a kind of the
registry with a watch cache of its own, and rows of the catalogue, by which paths and discovery find
it. A change replaces the kind in one step; watches go on unless what they would be shown is another
thing now (schema, stored version, selectable fields): those end, and clients begin anew. A
definition on its way out has its objects deleted first; nothing can be created meanwhile.

Concurrency: one worker, one definition at a time, level-triggered: whatever the definition is now
decides. A failure is tried again, later and later. At start, `start` serves every definition there
is before it returns. Queue: one entry per definition.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from api import timestamps
from api.client import Client
from api.custom import Custom, custom_type
from api.deletion import delete_if_there
from api.errors import is_conflict
from api.scheme import SERVED, Resource
from base.clock import Clock
from base.errors import PodwrightError
from base.tasks import TaskGuard
from base.workqueue import WorkQueue
from control.apiserver.custom import names
from control.apiserver.custom.conversion import Caller
from control.apiserver.custom.definition import Definition, Names, Tree, condition, holds
from control.apiserver.custom.kinds import Made, Schemas, make
from control.apiserver.registry.kinds import Kind
from control.apiserver.registry.registry import Registry
from control.store.errors import CompactedError

log = logging.getLogger(__name__)

FINALIZER = "customresourcecleanup.apiextensions.k8s.io"
AGAIN_SECONDS = 1.0
_PAGE = 500
_TERMINATING = "create not allowed while custom resource definition is terminating"


Publish = Callable[[Mapping[str, Definition]], None]
"""Told what is defined and served now: OpenAPI documents are made of it."""


@dataclass
class _Served:
    definition: Definition
    made: Made
    type_: type[Custom]
    task: asyncio.Task[None]


class Definitions:
    """Serves what is defined. `crd` is the type of definitions."""

    def __init__(
        self,
        registry: Registry,
        client: Client,
        crd: type[Any],
        *,
        schemas: Schemas,
        caller: Caller,
        clock: Clock,
        publish: Publish | None = None,
    ) -> None:
        self._registry = registry
        self._client = client
        self._crd = crd
        self._kind: Kind[Any] = registry.kind_of(crd)
        self._caller = caller
        self._schemas = schemas
        self._clock = clock
        self._publish = publish
        self._queue: WorkQueue[str] = WorkQueue("definitions", clock=clock)
        self._served: dict[str, _Served] = {}
        self._guard: TaskGuard | None = None
        self._failures = 0

    def statistics(self) -> dict[str, float]:
        return {
            **self._queue.statistics(),
            "served": len(self._served),
            "reconcile_failures": self._failures,
        }

    async def start(self, guard: TaskGuard) -> None:
        """Serve every definition there is; returns when their objects can be read."""
        self._guard = guard
        revision = self._kind.cache.revision
        for tree in self._trees():
            if holds(tree, names.ESTABLISHED):
                await self._serve(tree)
                if tree["metadata"].get("deletionTimestamp"):
                    self._served[tree["metadata"]["name"]].made.kind.closed = _TERMINATING
            self._queue.add(tree["metadata"]["name"])
        guard.start(self._follow(revision), name="definitions: watch")
        guard.start(self._work(), name="definitions: worker")

    def _trees(self) -> list[Tree]:
        return [msgspec.json.decode(entry.body) for entry in self._kind.cache.items()]

    def _tree(self, name: str) -> Tree | None:
        entry = self._kind.cache.get(self._kind.key("", name))
        return None if entry is None else msgspec.json.decode(entry.body)

    async def _follow(self, revision: int) -> None:
        while True:
            subscription = self._kind.cache.subscribe(revision)
            try:
                while True:
                    for event in await subscription.batch():
                        revision = event.revision
                        self._queue.add(_name(event.entry.key))
            except StopAsyncIteration:
                if subscription.closed_reason == "the store was closed":
                    return
            except CompactedError:
                revision = self._kind.cache.revision
            for tree in self._trees():
                self._queue.add(tree["metadata"]["name"])
            for name in self._served:
                self._queue.add(name)
            await self._clock.sleep(AGAIN_SECONDS)

    async def _work(self) -> None:
        while True:
            name = await self._queue.get()
            try:
                again = await self._reconcile(name)
            except PodwrightError as error:
                self._failures += 1
                if not is_conflict(error):
                    log.warning("definition %s: %s", name, error)
                self._queue.add_rate_limited(name)
            except Exception:  # one odd definition must not stop the server
                self._failures += 1
                log.exception("definition %s: will try again", name)
                self._queue.add_rate_limited(name)
            else:
                self._queue.forget(name)
                if again is not None:
                    self._queue.add_after(name, again)
            finally:
                self._queue.done(name)

    async def _reconcile(self, name: str) -> float | None:
        await self._registry.fresh(self._kind)
        tree = self._tree(name)
        if tree is None:
            self._withdraw(name)
            return None
        if tree["metadata"].get("deletionTimestamp"):
            return await self._remove(tree)
        tree = await self._tell(tree)
        if holds(tree, names.ESTABLISHED):
            await self._serve(tree)
        return None

    # Names

    async def _tell(self, tree: Tree) -> Tree:
        """Write what the definition's status should be, and return the definition with it."""
        now = timestamps.now_string(self._clock)
        wanted = names.status(tree, self._others(tree), now)
        if wanted == tree.get("status"):
            return tree
        await self._patch(tree, {"status": wanted}, "status")
        return {**tree, "status": wanted}

    def _others(self, tree: Tree) -> names.Taken:
        group, name = tree["spec"]["group"], tree["metadata"]["name"]
        accepted = [
            Names.read((one.get("status") or {}).get("acceptedNames") or {})
            for one in self._trees()
            if one["spec"]["group"] == group and one["metadata"]["name"] != name
        ]
        return names.taken((row for row in SERVED if row.group == group), accepted)

    # Serving

    async def _serve(self, tree: Tree) -> None:
        definition = Definition.read(tree)
        known = self._served.get(definition.name)
        if known is not None and known.definition == definition:
            return
        keeps = known is not None and known.definition.looks_alike(definition)
        if known is not None and known.definition.names.kind == definition.names.kind:
            type_ = known.type_
        else:
            type_ = custom_type(definition.names.kind)
        registry = self._registry
        cache = known.made.kind.cache if known is not None and keeps else None
        made = make(definition, type_, registry.store, self._caller, self._schemas, cache=cache)
        if known is not None and keeps:
            task = known.task
        else:
            assert self._guard is not None
            task = self._guard.start(
                made.kind.cache.run(), name=f"cache of {made.kind.resource.qualified_name}"
            )
            await made.kind.cache.synced()
        gone: list[Resource] = []
        if known is not None:
            gone = known.made.rows
            registry.remove(known.made.kind)
        registry.add(made.kind, made.versions)
        registry.catalogue.replace(gone, made.rows)
        if known is not None and not keeps:
            known.made.kind.cache.end("its definition has changed")
            known.task.cancel()
        self._served[definition.name] = _Served(definition, made, type_, task)
        self._published()

    def _withdraw(self, name: str) -> None:
        known = self._served.pop(name, None)
        if known is None:
            return
        self._registry.catalogue.replace(known.made.rows, ())
        self._registry.remove(known.made.kind)
        known.made.kind.cache.end("its definition was deleted")
        known.task.cancel()
        self._published()
        for tree in self._trees():
            if tree["spec"]["group"] == known.definition.group:
                self._queue.add(tree["metadata"]["name"])  # its names are free

    def _published(self) -> None:
        if self._publish is not None:
            self._publish({name: one.definition for name, one in self._served.items()})

    # Removing

    async def _remove(self, tree: Tree) -> float | None:
        name = tree["metadata"]["name"]
        if FINALIZER not in (tree["metadata"].get("finalizers") or ()):
            return None
        known = self._served.get(name)
        if known is not None:
            known.made.kind.closed = _TERMINATING
            left = await self._delete_all(known.type_)
            if left:
                await self._tell_terminating(
                    tree, True, "InstanceDeletionInProgress", f"{left} objects remain"
                )
                return AGAIN_SECONDS
        tree = await self._tell_terminating(
            tree, False, "InstanceDeletionCompleted", "removed all instances"
        )
        kept = [one for one in tree["metadata"]["finalizers"] if one != FINALIZER]
        await self._patch(tree, {"metadata": {"finalizers": kept or None}}, "")
        return None

    async def _delete_all(self, type_: type[Custom]) -> int:
        """Ask for the deletion of every object; returns how many there still are."""
        token, count = "", 0
        while True:
            listed = await self._client.list(type_, limit=_PAGE, continue_=token)  # type: ignore[type-var]
            for obj in listed.items:
                if not obj.metadata.deletion_timestamp:
                    await delete_if_there(
                        self._client,
                        obj,  # type: ignore[arg-type]
                        propagation_policy="Background",
                    )
            count += len(listed.items)
            token = listed.continue_
            if not token:
                break
        if not count:
            return 0
        left = await self._client.list(type_, limit=1)  # type: ignore[type-var]
        return count if left.items else 0

    async def _tell_terminating(self, tree: Tree, holds: bool, reason: str, message: str) -> Tree:
        known = condition(tree, names.TERMINATING)
        if (known.get("reason"), known.get("message")) == (reason, message):
            return tree
        now = timestamps.now_string(self._clock)
        status = names.terminating(tree, holds, reason, message, now)
        return await self._patch(tree, {"status": status}, "status")

    async def _patch(self, tree: Tree, change: dict[str, Any], subresource: str) -> Tree:
        """A change of this very version of the definition."""
        metadata = {
            "uid": tree["metadata"]["uid"],
            "resourceVersion": tree["metadata"]["resourceVersion"],
            **change.pop("metadata", {}),
        }
        patched = await self._client.patch(
            self._crd,
            tree["metadata"]["name"],
            "",
            {"metadata": metadata, **change},
            subresource=subresource,
        )
        shown: Tree = msgspec.to_builtins(patched)
        return shown


def _name(key: str) -> str:
    return key.rpartition("/")[2]
