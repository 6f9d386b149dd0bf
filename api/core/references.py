"""How one object names another. Used along the whole walk of a pod, from bindings to events."""

from typing import Annotated, ClassVar

from api.struct import ApiStruct, pb


class LocalObjectReference(ApiStruct, kw_only=True):
    """Names an object in the same namespace."""

    __atomic__: ClassVar[bool] = True

    name: Annotated[str, pb(1)] = ""
    """Name of the object."""


class ObjectReference(ApiStruct, kw_only=True):
    """Names any object, or a part of one."""

    __atomic__: ClassVar[bool] = True

    kind: Annotated[str, pb(1)] = ""
    """Kind of the object."""
    namespace: Annotated[str, pb(2)] = ""
    """Its namespace; empty for kinds without one."""
    name: Annotated[str, pb(3)] = ""
    """Its name."""
    uid: Annotated[str, pb(4)] = ""
    """Its UID."""
    api_version: Annotated[str, pb(5)] = ""
    """Its group and version."""
    resource_version: Annotated[str, pb(6)] = ""
    """The revision that is meant."""
    field_path: Annotated[str, pb(7)] = ""
    """The part that is meant, such as `spec.containers{web}`."""


class SecretReference(ApiStruct, kw_only=True):
    """Names a Secret in any namespace."""

    __atomic__: ClassVar[bool] = True

    name: Annotated[str, pb(1)] = ""
    """Name of the Secret."""
    namespace: Annotated[str, pb(2)] = ""
    """Namespace of the Secret."""


class TypedLocalObjectReference(ApiStruct, kw_only=True):
    """Names an object of any kind in the same namespace."""

    __atomic__: ClassVar[bool] = True

    api_group: Annotated[str | None, pb(1)]
    """API group of the object; absent for the core group."""
    kind: Annotated[str, pb(2)]
    """Kind of the object."""
    name: Annotated[str, pb(3)]
    """Name of the object."""


class TypedObjectReference(ApiStruct, kw_only=True):
    """Names an object of any kind, in this namespace or another."""

    api_group: Annotated[str | None, pb(1)]
    """API group of the object; absent for the core group."""
    kind: Annotated[str, pb(2)]
    """Kind of the object."""
    name: Annotated[str, pb(3)]
    """Name of the object."""
    namespace: Annotated[str | None, pb(4)] = None
    """Namespace of the object; absent for the same one."""
