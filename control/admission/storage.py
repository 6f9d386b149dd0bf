"""What claims get from their class of storage (step 1 of the pod's walk; step 4 mounts what they get).

As Kubernetes documents the plugins: a claim that says nothing of a class gets the cluster's default
one, the newest if there are several, and stays without where there is none; only a bound claim may ask
for more space, if its class allows it; and claims and volumes are born with a finalizer, which goes
when nobody uses them any more (`control/controllers/volumes/protection.py`).
"""

from __future__ import annotations

from collections.abc import Mapping

from api import errors, quantity
from api.core import PersistentVolume, PersistentVolumeClaim
from api.scheme import Resource
from api.storage import StorageClass
from api.struct import ApiStruct
from control.admission.chain import Attributes, Operation, Plugin, Reader
from control.resources.core.persistentvolume import STORAGE
from control.resources.core.persistentvolumeclaim import class_of
from control.resources.storage.storageclass import default_class

PROTECTIONS: Mapping[type[ApiStruct], str] = {
    PersistentVolume: "kubernetes.io/pv-protection",
    PersistentVolumeClaim: "kubernetes.io/pvc-protection",
}
"""Finalizers that outlast a deletion while the object is in use."""


class DefaultStorageClass(Plugin):
    name = "DefaultStorageClass"

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def handles(self, resource: Resource, operation: Operation, subresource: str) -> bool:
        creates = operation is Operation.CREATE and not subresource
        return resource.type is PersistentVolumeClaim and creates

    async def admit(self, request: Attributes) -> None:
        claim: PersistentVolumeClaim = request.object
        if class_of(claim) is not None:
            return
        await self._reader.fresh(StorageClass)
        claim.spec.storage_class_name = default_class(self._reader.list(StorageClass))


class StorageObjectInUseProtection(Plugin):
    name = "StorageObjectInUseProtection"

    def handles(self, resource: Resource, operation: Operation, subresource: str) -> bool:
        return resource.type in PROTECTIONS and operation is Operation.CREATE and not subresource

    async def admit(self, request: Attributes) -> None:
        metadata, finalizer = request.object.metadata, PROTECTIONS[request.resource.type]
        if finalizer not in metadata.finalizers:
            metadata.finalizers = [*metadata.finalizers, finalizer]


class PersistentVolumeClaimResize(Plugin):
    name = "PersistentVolumeClaimResize"

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def handles(self, resource: Resource, operation: Operation, subresource: str) -> bool:
        updates = operation is Operation.UPDATE and not subresource
        return resource.type is PersistentVolumeClaim and updates

    async def validate(self, request: Attributes) -> None:
        new: PersistentVolumeClaim = request.object
        old: PersistentVolumeClaim = request.old
        wanted, asked = (one.spec.resources.requests.get(STORAGE, "0") for one in (new, old))
        if quantity.compare(wanted, asked) <= 0:
            return
        why = ""
        if old.status.phase != "Bound":
            why = "Only bound persistent volume claims can be expanded"
        elif not await self._grows(new, old):
            why = (
                "only dynamically provisioned pvc can be resized and the storageclass that "
                "provisions the pvc must support resize"
            )
        if why:
            raise errors.forbidden(request.resource, request.name, why)

    async def _grows(self, new: PersistentVolumeClaim, old: PersistentVolumeClaim) -> bool:
        name = class_of(new)
        if not name or name != class_of(old):
            return False
        await self._reader.fresh(StorageClass)
        found = self._reader.get(StorageClass, name)
        return found is not None and bool(found.allow_volume_expansion)
