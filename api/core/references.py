"""DOC core/references."""

from typing import Annotated

from api.struct import ApiStruct, pb


class LocalObjectReference(ApiStruct, kw_only=True):
    """DOC LocalObjectReference."""

    name: Annotated[str, pb(1)] = ""


class ObjectReference(ApiStruct, kw_only=True):
    """DOC ObjectReference."""

    kind: Annotated[str, pb(1)] = ""
    namespace: Annotated[str, pb(2)] = ""
    name: Annotated[str, pb(3)] = ""
    uid: Annotated[str, pb(4)] = ""
    api_version: Annotated[str, pb(5)] = ""
    resource_version: Annotated[str, pb(6)] = ""
    field_path: Annotated[str, pb(7)] = ""


class SecretReference(ApiStruct, kw_only=True):
    """DOC SecretReference."""

    name: Annotated[str, pb(1)] = ""
    namespace: Annotated[str, pb(2)] = ""


class TypedLocalObjectReference(ApiStruct, kw_only=True):
    """DOC TypedLocalObjectReference."""

    api_group: Annotated[str | None, pb(1)]
    kind: Annotated[str, pb(2)]
    name: Annotated[str, pb(3)]


class TypedObjectReference(ApiStruct, kw_only=True):
    """DOC TypedObjectReference."""

    api_group: Annotated[str | None, pb(1)]
    kind: Annotated[str, pb(2)]
    name: Annotated[str, pb(3)]
    namespace: Annotated[str | None, pb(4)] = None
