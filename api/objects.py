"""What all objects have in common, whatever their kind: metadata, key, references, copies.

Serves every step of the pod's walk that handles objects without knowing their kind: clients,
informers, events, garbage collection. Pure.
"""

from __future__ import annotations

from typing import NamedTuple, TypeVar, cast

import msgspec

from api.core.references import ObjectReference
from api.meta import ObjectMeta, OwnerReference
from api.struct import ApiStruct

T = TypeVar("T", bound=ApiStruct)

_encoder = msgspec.json.Encoder()


class Key(NamedTuple):
    """The identity of an object among those of its kind."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


def meta(obj: ApiStruct) -> ObjectMeta:
    """The metadata of an object of any kind."""
    return cast(ObjectMeta, obj.metadata)  # type: ignore[attr-defined]


def forget_owners(obj: ApiStruct) -> None:
    """Drop managedFields from an object that is only read here: they are a third of its size."""
    meta(obj).managed_fields = []


def key(obj: ApiStruct) -> Key:
    """Namespace and name of an object of any kind."""
    metadata = meta(obj)
    return Key(metadata.namespace, metadata.name)


def type_names(obj: ApiStruct) -> tuple[str, str]:
    """(apiVersion, kind) of an object of any kind."""
    return obj.api_version, obj.kind  # type: ignore[attr-defined]


def copy(obj: T) -> T:
    """A deep copy that may be changed; objects of caches may not."""
    return msgspec.json.decode(_encoder.encode(obj), type=type(obj))


def reference(obj: ApiStruct, *, field_path: str = "") -> ObjectReference:
    """A reference to this very version of the object, as events carry it."""
    metadata = meta(obj)
    api_version, kind = type_names(obj)
    return ObjectReference(
        kind=kind,
        namespace=metadata.namespace,
        name=metadata.name,
        uid=metadata.uid,
        api_version=api_version,
        resource_version=metadata.resource_version,
        field_path=field_path,
    )


def controller_reference(owner: ApiStruct) -> OwnerReference:
    """The ownerReference that makes `owner` the controller of another object."""
    metadata = meta(owner)
    api_version, kind = type_names(owner)
    return OwnerReference(
        api_version=api_version,
        kind=kind,
        name=metadata.name,
        uid=metadata.uid,
        controller=True,
        block_owner_deletion=True,
    )


def adoption(obj: ApiStruct, owner: ApiStruct) -> dict[str, object]:
    """The merge patch by which `owner` takes control of `obj`, beside the owners it has.

    It holds for this very version only: of two that want the object, one gets a conflict.
    """
    metadata = meta(obj)
    owners = [*metadata.owner_references, controller_reference(owner)]
    return {
        "metadata": {
            "uid": metadata.uid,
            "resourceVersion": metadata.resource_version,
            "ownerReferences": msgspec.to_builtins(owners),
        }
    }


def controller_of(obj: ApiStruct) -> OwnerReference | None:
    """The owner that controls `obj`, if one does."""
    for owner in meta(obj).owner_references:
        if owner.controller:
            return owner
    return None
