"""DOC meta."""

from typing import Annotated

from msgspec import field

from api.struct import (
    LIST_ATOMIC,
    LIST_SET,
    ApiStruct,
    Int32,
    Int64,
    RawExtension,
    StringList,
    Time,
    enum,
    list_map,
    patch,
    pb,
    type_meta,
)

ManagedFieldsOperationType = Annotated[str, enum("Apply", "Update")]
CauseType = Annotated[
    str,
    enum(
        "FieldValueNotFound",
        "FieldValueRequired",
        "FieldValueDuplicate",
        "FieldValueInvalid",
        "FieldValueNotSupported",
        "FieldValueForbidden",
        "FieldValueTooLong",
        "FieldValueTooMany",
        "InternalError",
        "FieldValueTypeInvalid",
        "UnexpectedServerResponse",
        "FieldManagerConflict",
        "ResourceVersionTooLarge",
    ),
]
StatusReason = Annotated[
    str,
    enum(
        "",
        "Unauthorized",
        "Forbidden",
        "NotFound",
        "AlreadyExists",
        "Conflict",
        "Gone",
        "Invalid",
        "ServerTimeout",
        "StorageReadError",
        "Timeout",
        "TooManyRequests",
        "BadRequest",
        "MethodNotAllowed",
        "NotAcceptable",
        "RequestEntityTooLarge",
        "UnsupportedMediaType",
        "InternalError",
        "Expired",
        "ServiceUnavailable",
    ),
]
ConditionStatus = Annotated[str, enum("True", "False", "Unknown")]
LabelSelectorOperator = Annotated[str, enum("In", "NotIn", "Exists", "DoesNotExist")]
DeletionPropagation = Annotated[str, enum("Orphan", "Background", "Foreground")]
RowConditionType = Annotated[str, enum("Completed")]
ResourceVersionMatch = Annotated[str, enum("NotOlderThan", "Exact")]


class ListMeta(ApiStruct, kw_only=True):
    """DOC ListMeta."""

    self_link: Annotated[str, pb(1)] = ""
    resource_version: Annotated[str, pb(2)] = ""
    continue_: Annotated[str, pb(3)] = ""
    remaining_item_count: Annotated[Int64 | None, pb(4)] = None


class OwnerReference(ApiStruct, kw_only=True):
    """DOC OwnerReference."""

    api_version: Annotated[str, pb(5)]
    kind: Annotated[str, pb(1)]
    name: Annotated[str, pb(3)]
    uid: Annotated[str, pb(4)]
    controller: Annotated[bool | None, pb(6)] = None
    block_owner_deletion: Annotated[bool | None, pb(7)] = None


class ManagedFieldsEntry(ApiStruct, kw_only=True):
    """DOC ManagedFieldsEntry."""

    manager: Annotated[str, pb(1)] = ""
    operation: Annotated[ManagedFieldsOperationType, pb(2)] = ""
    api_version: Annotated[str, pb(3)] = ""
    time: Annotated[Time | None, pb(4)] = None
    fields_type: Annotated[str, pb(6)] = ""
    fields_v1: Annotated[RawExtension, pb(7)] = None
    subresource: Annotated[str, pb(8)] = ""


class ObjectMeta(ApiStruct, kw_only=True):
    """DOC ObjectMeta."""

    name: Annotated[str, pb(1)] = ""
    generate_name: Annotated[str, pb(2)] = ""
    namespace: Annotated[str, pb(3)] = ""
    self_link: Annotated[str, pb(4)] = ""
    uid: Annotated[str, pb(5)] = ""
    resource_version: Annotated[str, pb(6)] = ""
    generation: Annotated[Int64, pb(7)] = 0
    creation_timestamp: Annotated[Time | None, pb(8)] = None
    deletion_timestamp: Annotated[Time | None, pb(9)] = None
    deletion_grace_period_seconds: Annotated[Int64 | None, pb(10)] = None
    labels: Annotated[dict[str, str], pb(11)] = {}
    annotations: Annotated[dict[str, str], pb(12)] = {}
    owner_references: Annotated[
        list[OwnerReference], pb(13), patch("merge", key="uid"), list_map("uid")
    ] = []
    finalizers: Annotated[list[str], pb(14), patch("merge"), LIST_SET] = []
    managed_fields: Annotated[list[ManagedFieldsEntry], pb(17), LIST_ATOMIC] = []


class StatusCause(ApiStruct, kw_only=True):
    """DOC StatusCause."""

    reason: Annotated[CauseType, pb(1)] = ""
    message: Annotated[str, pb(2)] = ""
    field: Annotated[str, pb(3)] = ""


class StatusDetails(ApiStruct, kw_only=True):
    """DOC StatusDetails."""

    name: Annotated[str, pb(1)] = ""
    group: Annotated[str, pb(2)] = ""
    kind: Annotated[str, pb(3)] = ""
    uid: Annotated[str, pb(6)] = ""
    causes: Annotated[list[StatusCause], pb(4), LIST_ATOMIC] = []
    retry_after_seconds: Annotated[Int32, pb(5)] = 0


class Status(ApiStruct, kw_only=True):
    """DOC Status."""

    api_version: str = type_meta("v1")
    kind: str = type_meta("Status")
    metadata: Annotated[ListMeta, pb(1)] = field(default_factory=ListMeta)
    status: Annotated[str, pb(2)] = ""
    message: Annotated[str, pb(3)] = ""
    reason: Annotated[StatusReason, pb(4)] = ""
    details: Annotated[StatusDetails | None, pb(5), LIST_ATOMIC] = None
    code: Annotated[Int32, pb(6)] = 0


class Condition(ApiStruct, kw_only=True):
    """DOC Condition."""

    type: Annotated[str, pb(1)]
    status: Annotated[ConditionStatus, pb(2)]
    observed_generation: Annotated[Int64, pb(3)] = 0
    last_transition_time: Annotated[Time | None, pb(4)]
    reason: Annotated[str, pb(5)]
    message: Annotated[str, pb(6)]


class LabelSelectorRequirement(ApiStruct, kw_only=True):
    """DOC LabelSelectorRequirement."""

    key: Annotated[str, pb(1)]
    operator: Annotated[LabelSelectorOperator, pb(2)]
    values: Annotated[list[str], pb(3), LIST_ATOMIC] = []


class LabelSelector(ApiStruct, kw_only=True):
    """DOC LabelSelector."""

    match_labels: Annotated[dict[str, str], pb(1)] = {}
    match_expressions: Annotated[list[LabelSelectorRequirement], pb(2), LIST_ATOMIC] = []


class Preconditions(ApiStruct, kw_only=True):
    """DOC Preconditions."""

    uid: Annotated[str | None, pb(1)] = None
    resource_version: Annotated[str | None, pb(2)] = None


class DeleteOptions(ApiStruct, kw_only=True):
    """DOC DeleteOptions."""

    api_version: str = type_meta("v1")
    kind: str = type_meta("DeleteOptions")
    grace_period_seconds: Annotated[Int64 | None, pb(1)] = None
    preconditions: Annotated[Preconditions | None, pb(2)] = None
    orphan_dependents: Annotated[bool | None, pb(3)] = None
    propagation_policy: Annotated[DeletionPropagation | None, pb(4)] = None
    dry_run: Annotated[list[str], pb(5), LIST_ATOMIC] = []
    ignore_store_read_error_with_cluster_breaking_potential: Annotated[bool | None, pb(6)] = None


class PartialObjectMetadata(ApiStruct, kw_only=True):
    """DOC PartialObjectMetadata."""

    api_version: str = type_meta("meta.k8s.io/v1")
    kind: str = type_meta("PartialObjectMetadata")
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)


class TableColumnDefinition(ApiStruct, kw_only=True):
    """DOC TableColumnDefinition."""

    name: str
    type: str
    format: str
    description: str
    priority: Int32


class TableRowCondition(ApiStruct, kw_only=True):
    """DOC TableRowCondition."""

    type: RowConditionType
    status: ConditionStatus
    reason: str = ""
    message: str = ""


class TableRow(ApiStruct, kw_only=True):
    """DOC TableRow."""

    conditions: Annotated[list[TableRowCondition], LIST_ATOMIC] = []
    object: RawExtension = None


class Table(ApiStruct, kw_only=True):
    """DOC Table."""

    api_version: str = type_meta("meta.k8s.io/v1")
    kind: str = type_meta("Table")
    metadata: ListMeta = field(default_factory=ListMeta)
    column_definitions: Annotated[list[TableColumnDefinition], LIST_ATOMIC]
    rows: Annotated[list[TableRow], LIST_ATOMIC]


class CreateOptions(ApiStruct, kw_only=True):
    """DOC CreateOptions."""

    api_version: str = type_meta("meta.k8s.io/v1")
    kind: str = type_meta("CreateOptions")
    dry_run: Annotated[list[str], pb(1), LIST_ATOMIC] = []
    field_manager: Annotated[str, pb(3)] = ""
    field_validation: Annotated[str, pb(4)] = ""


class UpdateOptions(ApiStruct, kw_only=True):
    """DOC UpdateOptions."""

    api_version: str = type_meta("meta.k8s.io/v1")
    kind: str = type_meta("UpdateOptions")
    dry_run: Annotated[list[str], pb(1), LIST_ATOMIC] = []
    field_manager: Annotated[str, pb(2)] = ""
    field_validation: Annotated[str, pb(3)] = ""


class PatchOptions(ApiStruct, kw_only=True):
    """DOC PatchOptions."""

    api_version: str = type_meta("meta.k8s.io/v1")
    kind: str = type_meta("PatchOptions")
    dry_run: Annotated[list[str], pb(1), LIST_ATOMIC] = []
    force: Annotated[bool | None, pb(2)] = None
    field_manager: Annotated[str, pb(3)] = ""
    field_validation: Annotated[str, pb(4)] = ""


class ListOptions(ApiStruct, kw_only=True):
    """DOC ListOptions."""

    api_version: str = type_meta("meta.k8s.io/v1")
    kind: str = type_meta("ListOptions")
    label_selector: Annotated[str, pb(1)] = ""
    field_selector: Annotated[str, pb(2)] = ""
    watch: Annotated[bool, pb(3)] = False
    allow_watch_bookmarks: Annotated[bool, pb(9)] = False
    resource_version: Annotated[str, pb(4)] = ""
    resource_version_match: Annotated[ResourceVersionMatch, pb(10)] = ""
    timeout_seconds: Annotated[Int64 | None, pb(5)] = None
    limit: Annotated[Int64, pb(7)] = 0
    continue_: Annotated[str, pb(8)] = ""
    send_initial_events: Annotated[bool | None, pb(11)] = None


class GetOptions(ApiStruct, kw_only=True):
    """DOC GetOptions."""

    api_version: str = type_meta("meta.k8s.io/v1")
    kind: str = type_meta("GetOptions")
    resource_version: Annotated[str, pb(1)] = ""


class ServerAddressByClientCIDR(ApiStruct, kw_only=True):
    """DOC ServerAddressByClientCIDR."""

    client_cidr: Annotated[str, pb(1)]
    server_address: Annotated[str, pb(2)]


class APIVersions(ApiStruct, kw_only=True):
    """DOC APIVersions."""

    api_version: str = type_meta("v1")
    kind: str = type_meta("APIVersions")
    versions: Annotated[list[str], pb(1), LIST_ATOMIC]
    server_address_by_client_cidrs: Annotated[list[ServerAddressByClientCIDR], pb(2), LIST_ATOMIC]


class GroupVersionForDiscovery(ApiStruct, kw_only=True):
    """DOC GroupVersionForDiscovery."""

    group_version: Annotated[str, pb(1)]
    version: Annotated[str, pb(2)]


class APIGroup(ApiStruct, kw_only=True):
    """DOC APIGroup."""

    api_version: str = type_meta("v1")
    kind: str = type_meta("APIGroup")
    name: Annotated[str, pb(1)]
    versions: Annotated[list[GroupVersionForDiscovery], pb(2), LIST_ATOMIC]
    preferred_version: Annotated[GroupVersionForDiscovery, pb(3)]
    server_address_by_client_cidrs: Annotated[
        list[ServerAddressByClientCIDR], pb(4), LIST_ATOMIC
    ] = []


class APIGroupList(ApiStruct, kw_only=True):
    """DOC APIGroupList."""

    api_version: str = type_meta("v1")
    kind: str = type_meta("APIGroupList")
    groups: Annotated[list[APIGroup], pb(1), LIST_ATOMIC]


class APIResource(ApiStruct, kw_only=True):
    """DOC APIResource."""

    name: Annotated[str, pb(1)]
    singular_name: Annotated[str, pb(6)]
    namespaced: Annotated[bool, pb(2)]
    group: Annotated[str, pb(8)] = ""
    version: Annotated[str, pb(9)] = ""
    kind: Annotated[str, pb(3)]
    verbs: Annotated[StringList, pb(4)]
    short_names: Annotated[list[str], pb(5), LIST_ATOMIC] = []
    categories: Annotated[list[str], pb(7), LIST_ATOMIC] = []
    storage_version_hash: Annotated[str, pb(10)] = ""


class APIResourceList(ApiStruct, kw_only=True):
    """DOC APIResourceList."""

    api_version: str = type_meta("v1")
    kind: str = type_meta("APIResourceList")
    group_version: Annotated[str, pb(1)]
    resources: Annotated[list[APIResource], pb(2), LIST_ATOMIC]
