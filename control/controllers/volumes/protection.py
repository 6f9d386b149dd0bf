"""What is in use is not deleted under its users: finalizers of claims and volumes. Walk step 7.

As Kubernetes documents "Storage Object in Use Protection": a claim that is deleted stays until no pod
on a node mounts it (one without a node will not be started with such a claim), a volume until no
claim has it.
"""

from __future__ import annotations

from typing import Any

from api import objects, pods
from api.core import PersistentVolume, PersistentVolumeClaim, Pod
from api.errors import is_not_found
from api.informer import Informer
from api.objects import Key
from api.struct import ApiStruct
from base.errors import PodwrightError
from control.admission.storage import PROTECTIONS
from control.controllers.context import Context
from control.controllers.controller import Behind, Controller

_CLAIMS = "volume-claims"


class _Protection(Controller):
    """Gives the finalizer to those that lack it, and takes it away at the end."""

    workers = 1
    type: type[ApiStruct]

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._protected: Informer[Any] = context.informers.of(self.type)
        self.watch_own(self.type)

    async def is_used(self, obj: Any) -> bool:
        raise NotImplementedError

    async def reconcile(self, key: Key) -> float | None:
        obj = self._protected.get(key.name, key.namespace)
        if obj is None:
            return None
        finalizer, metadata = PROTECTIONS[self.type], objects.meta(obj)
        has = finalizer in metadata.finalizers
        if not metadata.deletion_timestamp and not has:
            await self._set(obj, [*metadata.finalizers, finalizer])
        elif metadata.deletion_timestamp and has and not await self.is_used(obj):
            await self._set(obj, [name for name in metadata.finalizers if name != finalizer])
        return None

    async def _set(self, obj: ApiStruct, finalizers: list[str]) -> None:
        metadata = objects.meta(obj)
        body = {
            "metadata": {
                "uid": metadata.uid,
                "resourceVersion": metadata.resource_version,
                "finalizers": finalizers,
            }
        }
        try:
            await self.client.patch(self.type, metadata.name, metadata.namespace, body)
        except PodwrightError as error:
            if not is_not_found(error):
                raise


class ClaimProtection(_Protection):
    """Claims stay while pods on nodes mount them."""

    name = "persistentvolumeclaim-protection-controller"
    type = PersistentVolumeClaim

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._pods = context.informers.of(Pod)
        self._pods.add_index(_CLAIMS, _mounted)
        self._pods.subscribe(self._pod_changed)

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        if new is None and old is not None:
            for name in pods.claims(old):
                self.queue.add(Key(old.metadata.namespace, name))

    async def is_used(self, obj: PersistentVolumeClaim) -> bool:
        name = f"{obj.metadata.namespace}/{obj.metadata.name}"
        if self._pods.by_index(_CLAIMS, name):
            return True
        # A pod that was bound a moment ago is not in the cache yet, and this cannot be taken back.
        listed = await self.client.list(Pod, obj.metadata.namespace)
        if any(name in _mounted(pod) for pod in listed.items):
            # Its end is perhaps never told: it may be gone before a list begins anew.
            raise Behind(f"a pod that mounts the claim {name} is not seen yet")
        return False


class VolumeProtection(_Protection):
    """Volumes stay while claims have them."""

    name = "persistentvolume-protection-controller"
    type = PersistentVolume

    async def is_used(self, obj: PersistentVolume) -> bool:
        return obj.status.phase == "Bound"


def _mounted(pod: Pod) -> list[str]:
    if not pod.spec.node_name:
        return []
    return [f"{pod.metadata.namespace}/{name}" for name in pods.claims(pod)]
