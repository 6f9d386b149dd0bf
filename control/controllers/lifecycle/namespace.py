"""Namespaces: a deleted one is emptied, kind by kind, and then let go.

Deleting is asked for again and again until nothing is left, because pods end gracefully and objects
may have finalizers. Nothing else is touched before the last pod is gone: network policies, secrets and
service accounts serve pods to their end (KEP-5080). What remains is told in the namespace's
conditions, in Kubernetes' words.
A namespace goes only when a look that began a moment after its end was seen finds nothing: what was
admitted just before may be written just after.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from api import conditions, objects, timestamps
from api.core import Namespace, NamespaceCondition, Pod
from api.errors import is_conflict, is_not_found
from api.meta import ObjectMeta
from api.objects import Key
from api.scheme import Catalogue, Resource
from api.struct import ApiStruct
from base.errors import PodwrightError
from control.controllers.context import Context
from control.controllers.controller import Controller
from control.resources.core.namespace import FINALIZER

AGAIN_SECONDS = 1.0
SETTLE_SECONDS = 1.0
PAGE = 500


@dataclass(slots=True)
class Remains:
    """What is still in the namespace: object counts per `plural.group`, finalizers, failures."""

    counts: Counter[str] = field(default_factory=Counter)
    finalizers: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        """Whether the namespace can go."""
        return not self.counts and not self.failures


class NamespaceController(Controller):
    """Empties namespaces that are being deleted."""

    name = "namespace-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._namespaces = context.informers.of(Namespace)
        self._catalogue = context.catalogue
        self._ending_since: dict[str, float] = {}
        self.watch_own(Namespace)

    async def reconcile(self, key: Key) -> float | None:
        namespace = self._namespaces.get(key.name)
        if namespace is None or not namespace.metadata.deletion_timestamp:
            self._ending_since.pop(key.name, None)
            return None
        if FINALIZER not in namespace.spec.finalizers:
            return None
        now = self.clock.monotonic()
        settled = self._ending_since.setdefault(key.name, now) + SETTLE_SECONDS
        remains = await self._empty(key.name)
        if remains.empty and now < settled:
            return settled - now
        if remains.empty:
            if namespace.spec.finalizers != [FINALIZER] and await self._tell(namespace, remains):
                return AGAIN_SECONDS  # others hold it: they see that nothing is left
            await self._finalize(namespace)
            return None
        await self._tell(namespace, remains)
        return AGAIN_SECONDS

    async def _empty(self, namespace: str) -> Remains:
        remains = Remains()
        pods, *others = deletion_sequence(self._catalogue)
        await self._delete_all(pods, namespace, remains)
        if remains.empty:
            for resource in others:
                await self._delete_all(resource, namespace, remains)
        return remains

    async def _delete_all(self, resource: Resource, namespace: str, remains: Remains) -> None:
        """Ask for the end of each object of one kind, and see what stays nevertheless."""
        try:
            found = await self._all(resource, namespace)
            for obj in found:
                if not objects.meta(obj).deletion_timestamp:
                    await self._delete(resource, objects.meta(obj), remains)
            left = await self._all(resource, namespace) if found else ()
        except PodwrightError as error:
            remains.failures.append(f"{resource.qualified_name}: {error}")
            return
        for obj in left:
            remains.counts[f"{resource.plural}.{resource.group}"] += 1
            remains.finalizers.update(objects.meta(obj).finalizers)

    async def _all(self, resource: Resource, namespace: str) -> list[ApiStruct]:
        found: list[ApiStruct] = []
        continue_ = ""
        while True:
            page = await self.client.list(resource.type, namespace, limit=PAGE, continue_=continue_)
            found += page.items
            continue_ = page.continue_
            if not continue_:
                return found

    async def _delete(self, resource: Resource, metadata: ObjectMeta, remains: Remains) -> None:
        try:
            await self.client.delete(
                resource.type,
                metadata.name,
                metadata.namespace,
                uid=metadata.uid,
                propagation_policy="Background",
            )
        except PodwrightError as error:
            if not (is_not_found(error) or is_conflict(error)):
                remains.failures.append(f"{resource.qualified_name} {metadata.name}: {error}")

    async def _finalize(self, namespace: Namespace) -> None:
        spec = msgspec.structs.replace(
            namespace.spec, finalizers=[f for f in namespace.spec.finalizers if f != FINALIZER]
        )
        try:
            await self.client.update(
                msgspec.structs.replace(namespace, spec=spec), subresource="finalize"
            )
        except PodwrightError as error:
            if not is_not_found(error):
                raise

    async def _tell(self, namespace: Namespace, remains: Remains) -> bool:
        """Whether the conditions say anything else from now on."""
        told = told_conditions(namespace, remains, self.clock.now())
        if told == namespace.status.conditions:
            return False
        status = msgspec.structs.replace(namespace.status, conditions=told)
        try:
            await self.client.update(
                msgspec.structs.replace(namespace, status=status), subresource="status"
            )
        except PodwrightError as error:
            if not (is_not_found(error) or is_conflict(error)):
                raise
        return True


def deletion_sequence(catalogue: Catalogue) -> list[Resource]:
    """Namespaced resources that can be deleted: pods first, then the rest by name.

    Pods first because they end gracefully while the objects they read are still there (KEP-5080).
    """
    found = [
        r for r in catalogue.stored() if r.namespaced and "delete" in r.verbs and "list" in r.verbs
    ]
    return sorted(found, key=lambda resource: (resource.type is not Pod, resource.qualified_name))


def told_conditions(
    namespace: Namespace, remains: Remains, now: datetime
) -> list[NamespaceCondition]:
    """The conditions that say why a namespace is still there.

    Those about discovery and versions are for clients that wait for them: the kinds of this server
    are always known to it, and it deletes nothing of others.
    """
    content = ", ".join(
        f"{name} has {n} resource instances" for name, n in sorted(remains.counts.items())
    )
    failures = ", ".join(sorted(remains.failures))
    finalizers = ", ".join(
        f"{name} in {n} resource instances" for name, n in sorted(remains.finalizers.items())
    )
    wanted = (
        NamespaceCondition(
            type="NamespaceDeletionDiscoveryFailure",
            status="False",
            reason="ResourcesDiscovered",
            message="All resources successfully discovered",
        ),
        NamespaceCondition(
            type="NamespaceDeletionGroupVersionParsingFailure",
            status="False",
            reason="ParsedGroupVersions",
            message="All legacy kube types successfully parsed",
        ),
        NamespaceCondition(
            type="NamespaceDeletionContentFailure",
            status="True" if remains.failures else "False",
            reason="ContentDeletionFailed" if remains.failures else "ContentDeleted",
            message=f"Failed to delete all resource types, {len(remains.failures)} remaining: {failures}"
            if failures
            else "All content successfully deleted, may be waiting on finalization",
        ),
        NamespaceCondition(
            type="NamespaceContentRemaining",
            status="True" if content else "False",
            reason="SomeResourcesRemain" if content else "ContentRemoved",
            message=f"Some resources are remaining: {content}"
            if content
            else "All content successfully removed",
        ),
        NamespaceCondition(
            type="NamespaceFinalizersRemaining",
            status="True" if finalizers else "False",
            reason="SomeFinalizersRemain" if finalizers else "ContentHasNoFinalizers",
            message=f"Some content in the namespace has finalizers remaining: {finalizers}"
            if finalizers
            else "All content-preserving finalizers finished",
        ),
    )
    told = list(namespace.status.conditions)
    for condition in wanted:
        told = conditions.put(told, condition, now=timestamps.format(now))
    return told
