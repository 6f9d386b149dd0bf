"""What pods read at run time: ConfigMaps and Secrets, and the identity that they act with.

The agent fetches them in step 4 of the pod's walk for environment variables and volumes.
"""

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
    """Settings for pods: at most 1 MiB of keys and values, read as environment variables or as
    files."""

    api_version: str = type_meta("v1")
    """Group and version of this schema: `v1`."""
    kind: str = type_meta("ConfigMap")
    """Name of this schema: `ConfigMap`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    immutable: Annotated[bool | None, pb(4)] = None
    """True freezes the contents for good; only deletion is possible then."""
    data: Annotated[dict[str, str], pb(2)] = {}
    """Text by key. Keys consist of letters, digits, `-`, `_` and `.`."""
    binary_data: Annotated[dict[str, bytes], pb(3)] = {}
    """Bytes by key, in base64. A key cannot be in `data` too."""


class Secret(ApiStruct, kw_only=True):
    """Confidential settings for pods: at most 1 MiB of keys and values. Base64 hides nothing; who
    may read the object knows the values."""

    api_version: str = type_meta("v1")
    """Group and version of this schema: `v1`."""
    kind: str = type_meta("Secret")
    """Name of this schema: `Secret`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    immutable: Annotated[bool | None, pb(5)] = None
    """True freezes the contents for good; only deletion is possible then."""
    data: Annotated[dict[str, bytes], pb(2)] = {}
    """Values by key, in base64."""
    string_data: Annotated[dict[str, str], pb(4)] = {}
    """Values as plain text, merged into `data` when written and never returned."""
    type: Annotated[SecretType, pb(3)] = ""
    """What the keys mean, such as `kubernetes.io/tls`. Cannot be changed. Default: Opaque."""


class ServiceAccount(ApiStruct, kw_only=True):
    """An identity for the processes in pods."""

    api_version: str = type_meta("v1")
    """Group and version of this schema: `v1`."""
    kind: str = type_meta("ServiceAccount")
    """Name of this schema: `ServiceAccount`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    secrets: Annotated[
        list[ObjectReference], pb(2), patch("merge", key="name"), list_map("name")
    ] = []
    """Secrets that pods of this account may use."""
    image_pull_secrets: Annotated[list[LocalObjectReference], pb(3), LIST_ATOMIC] = []
    """Credentials for registries that pods of this account get."""
    automount_service_account_token: Annotated[bool | None, pb(4)] = None
    """Whether its token is mounted into pods that do not say themselves. Default: true."""
