"""The garbage collector: what follows an owner's deletion (API concept "Owners and Dependents").

An object whose owners are all gone is deleted (background). An owner with the finalizer
`foregroundDeletion` waits while dependents that block it exist, which are deleted first. One with
the finalizer `orphan` has its dependents' references to it removed, and then goes.

The graph is an index kept by the informers of every kind: UID of an owner → its dependents. The
graph may lag, so an owner is called gone only after a live read says so. Owners of a namespaced
object live in its namespace or are cluster-scoped; any other reference counts as gone. One queue;
its keys name the kind as well.

Kinds that come and go at run time have informers that do, too.
"""

import asyncio
from typing import Any, NamedTuple

import msgspec

from api import objects
from api.custom import Custom
from api.errors import is_conflict, is_not_found
from api.informer import Informer
from api.meta import ObjectMeta, OwnerReference
from api.objects import Key
from api.scheme import RESOURCES, Resource
from api.struct import ApiStruct
from base.errors import PodwrightError
from base.tasks import TaskGuard
from base.workqueue import WorkQueue
from control.controllers.context import Context
from control.controllers.controller import Controller

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"
INDEX = "garbage-collector"
_EXPIRING = frozenset({"Event"})


class Node(NamedTuple):
    """One object in the graph."""

    resource: Resource
    key: Key


class GarbageCollector(Controller):
    """Deletes what has no owner left, orphans what shall stay."""

    name = "garbage-collector"
    workers = 4

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._nodes: WorkQueue[Node] = WorkQueue(self.name, clock=context.clock)
        self._catalogue = context.catalogue
        self._shared = context.informers
        self._informers: dict[type[Any], Informer[Any]] = {}
        self._rows: dict[type[Any], Resource] = {}
        self._running: dict[type[Any], asyncio.Task[None]] = {}
        self._guard: TaskGuard | None = None
        for resource in RESOURCES:
            if resource.kind in _EXPIRING or "watch" not in resource.verbs:
                continue
            self._follow(resource, context.informers.of(resource.type))

    def start(self, guard: TaskGuard) -> None:
        self._guard = guard
        self._catalogue.on_change(self._renew)
        self._renew()
        for number in range(self.workers):
            guard.start(self._collect(), name=f"{self.name} worker {number}")

    def statistics(self) -> dict[str, float]:
        return {**self._nodes.statistics(), "reconcile_failures": self._failures}

    async def reconcile(self, key: Key) -> float | None:
        raise NotImplementedError("the garbage collector's keys name a kind: see _collect")

    def _follow(self, resource: Resource, informer: Informer[Any]) -> None:
        informer.add_index(INDEX, _owner_uids)
        informer.subscribe(self._handler(resource))
        self._informers[resource.type] = informer
        self._rows[resource.type] = resource

    def _renew(self) -> None:
        """Follow the kinds that have come at run time, and no longer those that have gone."""
        assert self._guard is not None
        defined = {
            one.type: one for one in self._catalogue.stored() if issubclass(one.type, Custom)
        }
        for type_ in self._running.keys() - defined.keys():
            self._running.pop(type_).cancel()
            del self._informers[type_], self._rows[type_]
        for type_, resource in defined.items():
            if type_ in self._running:
                continue
            informer = self._shared.another(type_)
            self._follow(resource, informer)
            self._running[type_] = self._guard.start(
                informer.run(), name=f"informer {resource.qualified_name}"
            )

    def _handler(self, resource: Resource) -> Any:
        def told(old: ApiStruct | None, new: ApiStruct | None) -> None:
            if new is not None:
                metadata = objects.meta(new)
                if old is not None and _stands_as_before(objects.meta(old), metadata):
                    return  # what happens to owners and dependents is told by them
                if metadata.owner_references or metadata.deletion_timestamp:
                    self._nodes.add(Node(resource, objects.key(new)))
                if old is not None:
                    before = objects.meta(old).owner_references
                    if before and before != metadata.owner_references:
                        self._enqueue_owners(old)  # they may wait for this one no longer
            elif old is not None:
                self._enqueue_around(old)

        return told

    def _enqueue_around(self, gone: ApiStruct) -> None:
        """Look at the dependents of an object that is gone, and at owners that waited for it."""
        metadata = objects.meta(gone)
        for node in self._dependents(metadata.uid):
            self._nodes.add(node)
        self._enqueue_owners(gone)

    def _enqueue_owners(self, obj: ApiStruct) -> None:
        metadata = objects.meta(obj)
        for owner in metadata.owner_references:
            resource = self._catalogue.stored_by_kind(owner.api_version, owner.kind)
            if resource is not None:
                namespace = metadata.namespace if resource.namespaced else ""
                self._nodes.add(Node(resource, Key(namespace, owner.name)))

    def _dependents(self, uid: str) -> list[Node]:
        return [
            Node(self._rows[type_], objects.key(obj))
            for type_, informer in self._informers.items()
            for obj in informer.by_index(INDEX, uid)
        ]

    async def _collect(self) -> None:
        while True:
            node = await self._nodes.get()
            try:
                await self._look_at(node)
            except PodwrightError as error:
                self._failures += 1
                if not is_conflict(error):
                    self.log.warning("%s %s: %s", node.resource.qualified_name, node.key, error)
                self._nodes.add_rate_limited(node)
            except Exception:  # as in Controller: one odd object must not stop the control plane
                self._failures += 1
                self.log.exception("%s %s: will try again", node.resource.qualified_name, node.key)
                self._nodes.add_rate_limited(node)
            else:
                self._nodes.forget(node)
            finally:
                self._nodes.done(node)

    async def _look_at(self, node: Node) -> None:
        informer = self._informers.get(node.resource.type)
        obj = informer.get(node.key.name, node.key.namespace) if informer is not None else None
        if obj is None:
            return
        metadata = objects.meta(obj)
        if metadata.deletion_timestamp:
            if ORPHAN in metadata.finalizers:
                await self._orphan_dependents(node, obj)
            elif FOREGROUND in metadata.finalizers:
                await self._delete_in_foreground(node, obj)
            return
        if metadata.owner_references:
            await self._check_owners(node, obj)

    async def _check_owners(self, node: Node, obj: ApiStruct) -> None:
        metadata = objects.meta(obj)
        alive, waiting, gone = [], [], []
        for owner in metadata.owner_references:
            live = await self._live(owner, metadata.namespace)
            if live is None:
                gone.append(owner)
            elif _waits_for_dependents(live):
                waiting.append(owner)
            else:
                alive.append(owner)
        if alive:
            if gone or waiting:
                await self._keep_owners(node, obj, {owner.uid for owner in alive})
            return
        if waiting:
            own = self._dependents(metadata.uid)
            if any(map(self._is_waiting, own)):
                await self._unblock_owners(node, obj)  # a circle: each would wait for the other
            await self._delete(node, obj, "Foreground" if own else "Background")
            return
        await self._delete(node, obj, _policy_of(obj))

    async def _live(self, owner: OwnerReference, namespace: str) -> ApiStruct | None:
        """The owner as the store has it; None when it is gone or was replaced by a namesake."""
        resource = self._catalogue.stored_by_kind(owner.api_version, owner.kind)
        if resource is None:
            raise PodwrightError(
                f"owner {owner.kind} {owner.name} has the unknown type {owner.api_version}:"
                " whether it exists cannot be told, so its dependents are kept"
            )
        where = namespace if resource.namespaced else ""
        if resource.namespaced and not namespace:
            return None
        informer = self._informers.get(resource.type)  # kinds that expire have none
        cached: ApiStruct | None = informer.get(owner.name, where) if informer else None
        if cached is not None and objects.meta(cached).uid == owner.uid:
            return cached
        try:
            live: ApiStruct = await self.client.get(resource.type, owner.name, where)
        except PodwrightError as error:
            if is_not_found(error):
                return None
            raise
        return live if objects.meta(live).uid == owner.uid else None

    def _is_waiting(self, node: Node) -> bool:
        obj = self._informers[node.resource.type].get(node.key.name, node.key.namespace)
        return obj is not None and _waits_for_dependents(obj)

    async def _unblock_owners(self, node: Node, obj: ApiStruct) -> None:
        owners = objects.meta(obj).owner_references
        if any(owner.block_owner_deletion for owner in owners):
            freed = [msgspec.structs.replace(o, block_owner_deletion=False) for o in owners]
            await self._patch_metadata(node, obj, {"ownerReferences": msgspec.to_builtins(freed)})

    async def _delete(self, node: Node, obj: ApiStruct, policy: str) -> None:
        metadata = objects.meta(obj)
        try:
            await self.client.delete(
                node.resource.type,
                metadata.name,
                metadata.namespace,
                uid=metadata.uid,
                propagation_policy=policy,
            )
        except PodwrightError as error:
            if not is_not_found(error):
                raise

    async def _keep_owners(self, node: Node, obj: ApiStruct, uids: set[str]) -> None:
        metadata = objects.meta(obj)
        kept = [owner for owner in metadata.owner_references if owner.uid in uids]
        await self._patch_metadata(
            node, obj, {"ownerReferences": msgspec.to_builtins(kept) or None}
        )

    async def _orphan_dependents(self, node: Node, obj: ApiStruct) -> None:
        uid = objects.meta(obj).uid
        for type_, informer in list(self._informers.items()):
            for dependent in informer.by_index(INDEX, uid):
                owners = {o.uid for o in objects.meta(dependent).owner_references} - {uid}
                of = Node(self._rows[type_], objects.key(dependent))
                await self._keep_owners(of, dependent, owners)
        await self._remove_finalizer(node, obj, ORPHAN)

    async def _delete_in_foreground(self, node: Node, obj: ApiStruct) -> None:
        uid = objects.meta(obj).uid
        blocked = False
        for type_, informer in self._informers.items():
            for dependent in informer.by_index(INDEX, uid):
                reference = next(
                    o for o in objects.meta(dependent).owner_references if o.uid == uid
                )
                blocked = blocked or bool(reference.block_owner_deletion)
                if not objects.meta(dependent).deletion_timestamp:
                    self._nodes.add(Node(self._rows[type_], objects.key(dependent)))
        if not blocked:
            await self._remove_finalizer(node, obj, FOREGROUND)

    async def _remove_finalizer(self, node: Node, obj: ApiStruct, finalizer: str) -> None:
        kept = [name for name in objects.meta(obj).finalizers if name != finalizer]
        await self._patch_metadata(node, obj, {"finalizers": kept or None})

    async def _patch_metadata(self, node: Node, obj: ApiStruct, change: dict[str, Any]) -> None:
        metadata = objects.meta(obj)
        body = {
            "metadata": {
                "uid": metadata.uid,
                "resourceVersion": metadata.resource_version,
                **change,
            }
        }
        try:
            await self.client.patch(node.resource.type, metadata.name, metadata.namespace, body)
        except PodwrightError as error:
            if not is_not_found(error):
                raise


def _stands_as_before(old: ObjectMeta, new: ObjectMeta) -> bool:
    return (old.owner_references, old.finalizers, old.deletion_timestamp) == (
        new.owner_references,
        new.finalizers,
        new.deletion_timestamp,
    )


def _owner_uids(obj: ApiStruct) -> list[str]:
    return [owner.uid for owner in objects.meta(obj).owner_references]


def _waits_for_dependents(owner: ApiStruct) -> bool:
    metadata = objects.meta(owner)
    return bool(metadata.deletion_timestamp) and FOREGROUND in metadata.finalizers


def _policy_of(obj: ApiStruct) -> str:
    """Keep what was asked of the object itself, when its finalizers still say so."""
    finalizers = objects.meta(obj).finalizers
    if ORPHAN in finalizers:
        return "Orphan"
    return "Foreground" if FOREGROUND in finalizers else "Background"
