"""The rows of storage: classes of it, and what its drivers say. Walk step 4: volumes to mount."""

from api import storage
from api.scheme.resource import STATUS, Resource, Subresource
from api.struct import ApiStruct


def _storage(
    type_: type[ApiStruct],
    plural: str,
    *subresources: Subresource,
    namespaced: bool = False,
    short_names: tuple[str, ...] = (),
) -> Resource:
    kind = type_.__name__
    return Resource(
        "storage.k8s.io",
        "v1",
        kind,
        plural,
        type_,
        namespaced,
        kind.lower(),
        short_names=short_names,
        subresources=subresources,
    )


ROWS: tuple[Resource, ...] = (
    _storage(storage.CSIDriver, "csidrivers"),
    _storage(storage.CSINode, "csinodes"),
    _storage(storage.CSIStorageCapacity, "csistoragecapacities", namespaced=True),
    _storage(storage.StorageClass, "storageclasses", short_names=("sc",)),
    _storage(storage.VolumeAttachment, "volumeattachments", STATUS),
    _storage(storage.VolumeAttributesClass, "volumeattributesclasses", short_names=("vac",)),
)
