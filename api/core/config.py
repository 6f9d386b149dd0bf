"""DOC core/config."""

from typing import Annotated

from msgspec import field

from api.core.references import LocalObjectReference, ObjectReference
from api.meta import ObjectMeta
from api.struct import LIST_ATOMIC, ApiStruct, enum, list_map, patch, pb, type_meta

SecretType = Annotated[
    str,
    enum(
        "Opaque",
        "kubernetes.io/service-account-token",
        "kubernetes.io/dockercfg",
        "kubernetes.io/dockerconfigjson",
        "kubernetes.io/basic-auth",
        "kubernetes.io/ssh-auth",
        "kubernetes.io/tls",
        "bootstrap.kubernetes.io/token",
    ),
]


class ConfigMap(ApiStruct, kw_only=True):
    """DOC ConfigMap."""

    api_version: str = type_meta("v1")
    kind: str = type_meta("ConfigMap")
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    immutable: Annotated[bool | None, pb(4)] = None
    data: Annotated[dict[str, str], pb(2)] = {}
    binary_data: Annotated[dict[str, bytes], pb(3)] = {}


class Secret(ApiStruct, kw_only=True):
    """DOC Secret."""

    api_version: str = type_meta("v1")
    kind: str = type_meta("Secret")
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    immutable: Annotated[bool | None, pb(5)] = None
    data: Annotated[dict[str, bytes], pb(2)] = {}
    string_data: Annotated[dict[str, str], pb(4)] = {}
    type: Annotated[SecretType, pb(3)] = ""


class ServiceAccount(ApiStruct, kw_only=True):
    """DOC ServiceAccount."""

    api_version: str = type_meta("v1")
    kind: str = type_meta("ServiceAccount")
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    secrets: Annotated[
        list[ObjectReference], pb(2), patch("merge", key="name"), list_map("name")
    ] = []
    image_pull_secrets: Annotated[list[LocalObjectReference], pb(3), LIST_ATOMIC] = []
    automount_service_account_token: Annotated[bool | None, pb(4)] = None
