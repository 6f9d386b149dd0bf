"""apiextensions.k8s.io/v1: CustomResourceDefinition, the kind whose objects define kinds.

Serves step 1 of the pod's walk for what users define. The schema of a version is kept as the tree it
was sent as: it is read by `api.structural`, never field by field, and it may contain itself
(`api.codec.schemaproto` knows its protobuf).
"""

from typing import Annotated

from msgspec import field

from api.meta import ObjectMeta
from api.struct import (
    ApiStruct,
    Int32,
    JsonSchema,
    RawExtension,
    Time,
    enum,
    list_map,
    pb,
    type_meta,
)

ConversionStrategyType = Annotated[str, enum("None", "Webhook")]
CustomResourceDefinitionConditionType = Annotated[
    str,
    enum(
        "Established",
        "NamesAccepted",
        "NonStructuralSchema",
        "Terminating",
        "KubernetesAPIApprovalPolicyConformant",
    ),
]
ResourceScope = Annotated[str, enum("Cluster", "Namespaced")]
ConditionStatus = Annotated[str, enum("True", "False", "Unknown")]


class CustomResourceDefinitionNames(ApiStruct, kw_only=True):
    """What the defined kind and its resource are called."""

    plural: Annotated[str, pb(1)]
    """The resource in URLs, in lower case; with the group it is the definition's own name."""
    singular: Annotated[str, pb(2)] = ""
    """The resource of one object; the kind in lower case unless given."""
    short_names: Annotated[list[str], pb(3)] = []
    """Abbreviations that clients accept."""
    kind: Annotated[str, pb(4)]
    """The kind that objects name, in CamelCase."""
    list_kind: Annotated[str, pb(5)] = ""
    """The kind of a list of objects; the kind with `List` behind it unless given."""
    categories: Annotated[list[str], pb(6)] = []
    """Sets of resources it belongs to, such as `all`."""


class CustomResourceColumnDefinition(ApiStruct, kw_only=True):
    """A column of what `kubectl get` prints."""

    name: Annotated[str, pb(1)]
    """The column's title."""
    type: Annotated[str, pb(2)]
    """An OpenAPI type: integer, number, string, boolean, or date."""
    format: Annotated[str, pb(3)] = ""
    """An OpenAPI format, such as int64 or date-time."""
    description: Annotated[str, pb(4)] = ""
    """What the column shows, for people."""
    priority: Annotated[Int32, pb(5)] = 0
    """Above 0: shown only where there is room (`-o wide`)."""
    json_path: Annotated[str, pb(6)]
    """Where in an object the value is."""


class CustomResourceSubresourceScale(ApiStruct, kw_only=True):
    """Where an object keeps what the `scale` subresource shows and changes."""

    spec_replicas_path: Annotated[str, pb(1)]
    """The number that is wanted; below `.spec`."""
    status_replicas_path: Annotated[str, pb(2)]
    """The number there is; below `.status`."""
    label_selector_path: Annotated[str | None, pb(3)] = None
    """The selector of what is counted, as text; below `.spec` or `.status`."""


class CustomResourceSubresources(ApiStruct, kw_only=True):
    """Which subresources objects have."""

    status: Annotated[RawExtension | None, pb(1)] = None
    """Present: the status is written through `/status` alone."""
    scale: Annotated[CustomResourceSubresourceScale | None, pb(2)] = None
    """Present: objects can be scaled."""


class CustomResourceValidation(ApiStruct, kw_only=True):
    """What objects of a version look like."""

    open_api_v3_schema: Annotated[JsonSchema | None, pb(1)] = None
    """An OpenAPI v3 schema; it must be structural."""


class SelectableField(ApiStruct, kw_only=True):
    """A field that field selectors may ask for."""

    json_path: Annotated[str, pb(1)]
    """Where it is: a simple path to a string, an integer or a boolean, such as `.spec.colour`."""


class CustomResourceDefinitionVersion(ApiStruct, kw_only=True):
    """One version of the defined kind."""

    name: Annotated[str, pb(1)]
    """The version in URLs and in apiVersion, such as `v1`."""
    served: Annotated[bool, pb(2)]
    """Whether it has a path."""
    storage: Annotated[bool, pb(3)]
    """Whether objects are stored as it; true for exactly one version."""
    deprecated: Annotated[bool, pb(7)] = False
    """Whether requests for it are answered with a warning."""
    deprecation_warning: Annotated[str | None, pb(8)] = None
    """The warning's text, where the usual one will not do."""
    schema: Annotated[CustomResourceValidation | None, pb(4)] = None
    """What objects look like; required."""
    subresources: Annotated[CustomResourceSubresources | None, pb(5)] = None
    """Which subresources objects have."""
    additional_printer_columns: Annotated[list[CustomResourceColumnDefinition], pb(6)] = []
    """What is printed beside the name; the age unless given."""
    selectable_fields: Annotated[list[SelectableField], pb(9)] = []
    """Fields that field selectors may ask for; eight at most."""


class ServiceReference(ApiStruct, kw_only=True):
    """A Service of the cluster that has a webhook."""

    namespace: Annotated[str, pb(1)]
    """The Service's namespace."""
    name: Annotated[str, pb(2)]
    """The Service's name."""
    path: Annotated[str | None, pb(3)] = None
    """The URL path of the webhook."""
    port: Annotated[Int32 | None, pb(4)] = None
    """The Service's port; 443 unless given."""


class WebhookClientConfig(ApiStruct, kw_only=True):
    """How a webhook is reached: by a URL or by a Service."""

    url: Annotated[str | None, pb(3)] = None
    """`https://HOST:PORT/PATH`; for webhooks outside the cluster."""
    service: Annotated[ServiceReference | None, pb(1)] = None
    """For webhooks in the cluster."""
    ca_bundle: Annotated[bytes, pb(2)] = b""
    """The CA, in PEM, that signed its certificate; the system's unless given."""


class WebhookConversion(ApiStruct, kw_only=True):
    """A webhook that converts objects."""

    client_config: Annotated[WebhookClientConfig | None, pb(2)] = None
    """How it is reached."""
    conversion_review_versions: Annotated[list[str], pb(3)]
    """The versions of ConversionReview that it understands, the preferred one first."""


class CustomResourceConversion(ApiStruct, kw_only=True):
    """How objects get from one version to another."""

    strategy: Annotated[ConversionStrategyType, pb(1)]
    """`None`: only apiVersion changes. `Webhook`: somebody else does it."""
    webhook: Annotated[WebhookConversion | None, pb(2)] = None
    """Who, with the strategy `Webhook`."""


class CustomResourceDefinitionSpec(ApiStruct, kw_only=True):
    """What is defined."""

    group: Annotated[str, pb(1)]
    """The API group of the kind."""
    names: Annotated[CustomResourceDefinitionNames, pb(3)]
    """What the kind is called."""
    scope: Annotated[ResourceScope, pb(4)]
    """Whether objects are in namespaces."""
    versions: Annotated[list[CustomResourceDefinitionVersion], pb(7)]
    """The versions of the kind."""
    conversion: Annotated[CustomResourceConversion | None, pb(9)] = None
    """How objects get from one version to another."""
    preserve_unknown_fields: Annotated[bool, pb(10)] = False
    """Only false is allowed: use x-kubernetes-preserve-unknown-fields in the schema."""


class CustomResourceDefinitionCondition(ApiStruct, kw_only=True):
    """One aspect of what became of the definition."""

    type: Annotated[CustomResourceDefinitionConditionType, pb(1)]
    """Established, NamesAccepted, Terminating, …"""
    status: Annotated[ConditionStatus, pb(2)]
    """Whether it holds."""
    last_transition_time: Annotated[Time | None, pb(3)] = None
    """When that changed last."""
    reason: Annotated[str, pb(4)] = ""
    """Why, in one word."""
    message: Annotated[str, pb(5)] = ""
    """Why, for people."""


class CustomResourceDefinitionStatus(ApiStruct, kw_only=True):
    """What became of the definition."""

    conditions: Annotated[list[CustomResourceDefinitionCondition], pb(1), list_map("type")] = field(
        default_factory=list
    )
    """Whether its names are accepted, and whether it is served."""
    accepted_names: Annotated[CustomResourceDefinitionNames, pb(2)] = field(
        default_factory=lambda: CustomResourceDefinitionNames(plural="", kind="")
    )
    """The names that are in use."""
    stored_versions: Annotated[list[str], pb(3)] = field(default_factory=list)
    """The versions in which objects may be stored; those no longer among the versions must go first."""


class CustomResourceDefinition(ApiStruct, kw_only=True):
    """Defines a kind of objects that the server serves like its own; its name is PLURAL.GROUP."""

    api_version: str = type_meta("apiextensions.k8s.io/v1")
    """The version of the API this object is written in: `apiextensions.k8s.io/v1`."""
    kind: str = type_meta("CustomResourceDefinition")
    """What this object is: `CustomResourceDefinition`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Standard metadata."""
    spec: Annotated[CustomResourceDefinitionSpec, pb(2)]
    """What is defined."""
    status: Annotated[CustomResourceDefinitionStatus, pb(3)] = field(
        default_factory=CustomResourceDefinitionStatus
    )
    """What became of it."""
