"""The garbage collector: what follows an owner's deletion (API concept "Owners and Dependents").

An object whose owners are all gone is deleted (background). An owner with the finalizer
`foregroundDeletion` waits while dependents that block it exist, which are deleted first. One with
the finalizer `orphan` has its dependents' references to it removed, and then goes.

The graph is an index kept by the informers of every kind: UID of an owner → its dependents. The
graph may lag, so an owner is called gone only after a live read says so, an object is deleted only in
the version that was judged, and nobody is said to have no dependents before every kind was listed.
A kind that came at run time may never be listed (its conversion webhook is down): it is waited for
during `PATIENCE` seconds, as in Kubernetes, and then collection goes on without it, which the log, an
event on whoever had its dependents looked for, and `kinds_not_seen` tell. Its objects are judged by
their owners when they can be seen again.
Owners of a namespaced object live in its namespace or are cluster-scoped; an owner in another
namespace counts as gone, and an object of the cluster that names one in a namespace is never
collected. Both are told in an event, OwnerRefInvalidNamespace. One queue; its keys name the kind as
well.

Kinds that come and go at run time have informers that do, too.
"""

import asyncio
from typing import Any, NamedTuple

import msgspec

from api import objects
from api.core import Namespace
from api.custom import Custom
from api.deletion import delete_if_there
from api.errors import is_conflict, is_not_found
from api.informer import Informer
from api.meta import ObjectMeta, OwnerReference
from api.objects import Key
from api.scheme import RESOURCES, Resource
from api.struct import ApiStruct
from base.errors import PodwrightError, TemporaryError
from base.tasks import TaskGuard
from base.workqueue import WorkQueue
from control.controllers.context import Context
from control.controllers.controller import Controller
from control.controllers.lifecycle.ownership import (
    FOREGROUND,
    ORPHAN,
    Keep,
    Standing,
    judge,
    waits_for_dependents,
)

INDEX = "garbage-collector"
_EXPIRING = frozenset({"Event"})
PATIENCE = 30.0
"""Seconds that everybody waits for the first list of a kind that came at run time."""


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
        self._namespaces = context.informers.of(Namespace)
        self._recorder = context.recorder(self.name)
        self._informers: dict[type[Any], Informer[Any]] = {}
        self._rows: dict[type[Any], Resource] = {}
        self._running: dict[type[Any], asyncio.Task[None]] = {}
        self._since: dict[type[Any], float] = {}
        self._given_up: frozenset[str] = frozenset()
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
        return {
            **self._nodes.statistics(),
            "reconcile_failures": self._failures,
            "kinds_not_seen": len(self._blind()),
        }

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
            del self._informers[type_], self._rows[type_], self._since[type_]
        for type_, resource in defined.items():
            if type_ in self._running:
                continue
            informer = self._shared.another(type_)
            self._follow(resource, informer)
            self._since[type_] = self.clock.monotonic()
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
                if not is_conflict(error):
                    self._failures += 1
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
        standings = {o.uid: await self._standing(obj, o) for o in metadata.owner_references}
        own = self._dependents(metadata.uid)
        verdict = judge(
            metadata,
            standings,
            has_dependents=bool(own),
            in_a_circle=any(map(self._is_waiting, own)),
        )
        if isinstance(verdict, Keep):
            await self._keep_owners(node, obj, {owner.uid for owner in verdict.references})
        elif verdict.unblock and any(o.block_owner_deletion for o in metadata.owner_references):
            await self._unblock_owners(node, obj)
        else:
            await self._delete(obj, verdict.policy)

    async def _standing(self, obj: ApiStruct, owner: OwnerReference) -> Standing:
        resource = self._catalogue.stored_by_kind(owner.api_version, owner.kind)
        if resource is None:
            raise PodwrightError(
                f"owner {owner.kind} {owner.name} has the unknown type {owner.api_version}:"
                " whether it exists cannot be told, so its dependents are kept"
            )
        namespace = objects.meta(obj).namespace
        if resource.namespaced and not namespace:
            self._complain(obj, owner)
            return Standing.UNRESOLVABLE
        live = await self._live(resource, owner, namespace if resource.namespaced else "")
        if live is not None:
            waits = waits_for_dependents(objects.meta(live))
            return Standing.WAITS if waits else Standing.STAYS
        if resource.namespaced and self._lives_elsewhere(resource, owner):
            self._complain(obj, owner)
        return Standing.GONE

    def _lives_elsewhere(self, resource: Resource, owner: OwnerReference) -> bool:
        """Whether the owner that is not in the object's namespace is in another one."""
        informer = self._informers.get(resource.type)
        if informer is None:
            return False
        namesakes = (informer.get(owner.name, n.metadata.name) for n in self._namespaces.items())
        return any(objects.meta(o).uid == owner.uid for o in namesakes if o is not None)

    def _complain(self, obj: ApiStruct, owner: OwnerReference) -> None:
        self._recorder.event(
            obj,
            "Warning",
            "OwnerRefInvalidNamespace",
            f"ownerRef [{owner.api_version}/{owner.kind}, namespace: {objects.meta(obj).namespace},"
            f" name: {owner.name}, uid: {owner.uid}] does not exist in namespace"
            f' "{objects.meta(obj).namespace}"',
        )

    async def _live(
        self, resource: Resource, owner: OwnerReference, namespace: str
    ) -> ApiStruct | None:
        """The owner as the store has it; None when it is gone or was replaced by a namesake.

        The cache is good enough to say that it stays, which deletes nobody.
        """
        informer = self._informers.get(resource.type)  # kinds that expire have none
        cached: ApiStruct | None = informer.get(owner.name, namespace) if informer else None
        if cached is not None:
            metadata = objects.meta(cached)
            if metadata.uid == owner.uid and not waits_for_dependents(metadata):
                return cached
        try:
            live: ApiStruct = await self.client.get(resource.type, owner.name, namespace)
        except PodwrightError as error:
            if is_not_found(error):
                return None
            raise
        return live if objects.meta(live).uid == owner.uid else None

    def _is_waiting(self, node: Node) -> bool:
        obj = self._informers[node.resource.type].get(node.key.name, node.key.namespace)
        return obj is not None and waits_for_dependents(objects.meta(obj))

    async def _unblock_owners(self, node: Node, obj: ApiStruct) -> None:
        """It goes when the change is seen: only then is this the version that is judged."""
        owners = objects.meta(obj).owner_references
        freed = [msgspec.structs.replace(o, block_owner_deletion=False) for o in owners]
        await self._patch_metadata(node, obj, {"ownerReferences": msgspec.to_builtins(freed)})

    async def _delete(self, obj: ApiStruct, policy: str) -> None:
        """Only the version that was judged: one that has changed since is judged again."""
        await delete_if_there(self.client, obj, unchanged=True, propagation_policy=policy)

    async def _keep_owners(self, node: Node, obj: ApiStruct, uids: set[str]) -> None:
        metadata = objects.meta(obj)
        kept = [owner for owner in metadata.owner_references if owner.uid in uids]
        if len(kept) == len(metadata.owner_references):
            return
        await self._patch_metadata(
            node, obj, {"ownerReferences": msgspec.to_builtins(kept) or None}
        )

    async def _orphan_dependents(self, node: Node, obj: ApiStruct) -> None:
        self._check_sight(obj)
        uid = objects.meta(obj).uid
        for type_, informer in list(self._informers.items()):
            for dependent in informer.by_index(INDEX, uid):
                owners = {o.uid for o in objects.meta(dependent).owner_references} - {uid}
                of = Node(self._rows[type_], objects.key(dependent))
                await self._keep_owners(of, dependent, owners)
        await self._remove_finalizer(node, obj, ORPHAN)

    async def _delete_in_foreground(self, node: Node, obj: ApiStruct) -> None:
        self._check_sight(obj)
        uid = objects.meta(obj).uid
        blocked = False
        for type_, informer in self._informers.items():
            for dependent in informer.by_index(INDEX, uid):
                blocks = _blocks(dependent, node, uid) and not self._waits_for(dependent, uid)
                blocked = blocked or blocks
                if not objects.meta(dependent).deletion_timestamp:
                    self._nodes.add(Node(self._rows[type_], objects.key(dependent)))
        if not blocked:
            await self._remove_finalizer(node, obj, FOREGROUND)

    def _waits_for(self, obj: ApiStruct, uid: str) -> bool:
        """Whether an object waits in the foreground for the one with this UID, perhaps for others
        that do: in such a circle, or alone with itself, nobody would ever go.
        """
        seen: set[str] = set()
        waiting = [obj]
        while waiting:
            metadata = objects.meta(waiting.pop())
            if metadata.uid in seen or not waits_for_dependents(metadata):
                continue
            if metadata.uid == uid:
                return True
            seen.add(metadata.uid)
            waiting += [
                dependent
                for informer in self._informers.values()
                for dependent in informer.by_index(INDEX, metadata.uid)
            ]
        return False

    def _blind(self) -> list[type[Any]]:
        return [type_ for type_, one in self._informers.items() if not one.has_synced]

    def _check_sight(self, obj: ApiStruct) -> None:
        """The object's dependents may be of a kind that was never listed yet: wait, but not for ever."""
        now = self.clock.monotonic()
        blind = {
            self._rows[type_].qualified_name: self._since.get(type_) for type_ in self._blind()
        }
        awaited = [name for name, at in blind.items() if at is None or now < at + PATIENCE]
        if awaited:
            raise TemporaryError(f"cannot see yet what depends on it among: {', '.join(awaited)}")
        self._go_on_without(obj, frozenset(blind))

    def _go_on_without(self, obj: ApiStruct, names: frozenset[str]) -> None:
        listed = ", ".join(sorted(names))
        if names != self._given_up:
            self._given_up = names
            if names:
                self.log.warning("cannot list %s: collecting garbage without them", listed)
        if names:
            self._recorder.event(
                obj,
                "Warning",
                "DependentsNotSeen",
                f"dependents were looked for without {listed}, which cannot be listed",
            )

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


def _blocks(dependent: ApiStruct, owner: Node, uid: str) -> bool:
    """Whether the owner must wait for this one, which names it rightly (else it means nobody)."""
    return any(
        one.block_owner_deletion
        and (one.uid, one.kind, one.name) == (uid, owner.resource.kind, owner.key.name)
        for one in objects.meta(dependent).owner_references
    )


def _owner_uids(obj: ApiStruct) -> list[str]:
    return [owner.uid for owner in objects.meta(obj).owner_references]
