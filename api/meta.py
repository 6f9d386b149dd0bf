"""What every object carries beside its own fields, and the bodies that requests and errors use.

Serves step 1 of the pod's walk: names, labels, owners and finalizers of any kind (`ObjectMeta`),
the answer to a failed request (`Status`), options of deletions and lists, the tables that
`kubectl get` prints, and the documents of discovery.
"""

from typing import Annotated, ClassVar

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
FieldSelectorOperator = Annotated[str, enum("In", "NotIn", "Exists", "DoesNotExist")]
DeletionPropagation = Annotated[str, enum("Orphan", "Background", "Foreground")]
RowConditionType = Annotated[str, enum("Completed")]
ResourceVersionMatch = Annotated[str, enum("NotOlderThan", "Exact")]


class ListMeta(ApiStruct, kw_only=True):
    """Facts about a list as a whole."""

    self_link: Annotated[str, pb(1)] = ""
    """Unused; kept because old clients know the field."""
    resource_version: Annotated[str, pb(2)] = ""
    """The store's revision at which the list was read; a watch may start from it."""
    continue_: Annotated[str, pb(3)] = ""
    """Token for the next page, empty on the last one. It expires when its revision is compacted."""
    remaining_item_count: Annotated[Int64 | None, pb(4)] = None
    """How many items follow this page, when that is known."""


class OwnerReference(ApiStruct, kw_only=True):
    """Names an object that this one belongs to. When all owners are gone, the garbage collector
    deletes it."""

    api_version: Annotated[str, pb(5)]
    """Group and version of the owner."""
    kind: Annotated[str, pb(1)]
    """Kind of the owner."""
    name: Annotated[str, pb(3)]
    """Name of the owner; it lives in the same namespace or in none."""
    uid: Annotated[str, pb(4)]
    """UID of the owner. A new object of the same name is not the same owner."""
    controller: Annotated[bool | None, pb(6)] = None
    """True for the one owner that manages this object."""
    block_owner_deletion: Annotated[bool | None, pb(7)] = None
    """True if a foreground deletion of the owner waits until this object is gone."""


class ManagedFieldsEntry(ApiStruct, kw_only=True):
    """The fields that one manager set, as server-side apply remembers them."""

    manager: Annotated[str, pb(1)] = ""
    """Name of the program or person that set the fields."""
    operation: Annotated[ManagedFieldsOperationType, pb(2)] = ""
    """How they were set: `Apply` or `Update`."""
    api_version: Annotated[str, pb(3)] = ""
    """The version in which the fields are named."""
    time: Annotated[Time | None, pb(4)] = None
    """When the entry last changed."""
    fields_type: Annotated[str, pb(6)] = ""
    """Format of `fieldsV1`, always `FieldsV1`."""
    fields_v1: Annotated[RawExtension, pb(7)] = None
    """The set of fields, as a tree."""
    subresource: Annotated[str, pb(8)] = ""
    """The subresource through which they were set, empty for the object itself."""


class ObjectMeta(ApiStruct, kw_only=True):
    """What every object has in common: its name, its labels, its owners, and the stages of its
    life."""

    name: Annotated[str, pb(1)] = ""
    """Name, unique among objects of this kind in the namespace. Cannot be changed."""
    generate_name: Annotated[str, pb(2)] = ""
    """Prefix from which the server makes a unique name when `name` is empty."""
    namespace: Annotated[str, pb(3)] = ""
    """The namespace that the object lives in; empty for kinds that have none. Cannot be changed."""
    self_link: Annotated[str, pb(4)] = ""
    """Unused; kept because old clients know the field."""
    uid: Annotated[str, pb(5)] = ""
    """Identity that no other object ever has, in time or space. Set by the server."""
    resource_version: Annotated[str, pb(6)] = ""
    """Revision of the last write. Send it back with an update to be refused with a conflict if
    somebody else wrote in between."""
    generation: Annotated[Int64, pb(7)] = 0
    """Counts changes of the desired state. Set by the server."""
    creation_timestamp: Annotated[Time | None, pb(8)] = None
    """CreationTimestamp is a timestamp: when the object was created. Set by the server."""
    deletion_timestamp: Annotated[Time | None, pb(9)] = None
    """When the object is to be gone; present once somebody has asked to delete it. Set by the
    server."""
    deletion_grace_period_seconds: Annotated[Int64 | None, pb(10)] = None
    """Seconds granted for a graceful end when deletion was asked for. May only be shortened."""
    labels: Annotated[dict[str, str], pb(11)] = {}
    """Short key and value pairs that selectors match."""
    annotations: Annotated[dict[str, str], pb(12)] = {}
    """Key and value pairs for tools and people; they cannot be selected by."""
    owner_references: Annotated[
        list[OwnerReference], pb(13), patch("merge", key="uid"), list_map("uid")
    ] = []
    """Objects that this one belongs to; it is deleted when the last of them is gone."""
    finalizers: Annotated[list[str], pb(14), patch("merge"), LIST_SET] = []
    """Names of those who must act before a deleted object disappears. Each removes its own entry.
    """
    managed_fields: Annotated[list[ManagedFieldsEntry], pb(17), LIST_ATOMIC] = []
    """Which manager set which field. Kept by the server."""


class StatusCause(ApiStruct, kw_only=True):
    """One reason among several why a request failed."""

    reason: Annotated[CauseType, pb(1)] = ""
    """Kind of the error in one word, for programs."""
    message: Annotated[str, pb(2)] = ""
    """The error in a sentence, for people."""
    field: Annotated[str, pb(3)] = ""
    """Path of the field in question, such as `spec.containers[0].image`."""


class StatusDetails(ApiStruct, kw_only=True):
    """What a failed request was about."""

    name: Annotated[str, pb(1)] = ""
    """Name of the object."""
    group: Annotated[str, pb(2)] = ""
    """API group of the object."""
    kind: Annotated[str, pb(3)] = ""
    """Kind or resource of the object."""
    uid: Annotated[str, pb(6)] = ""
    """UID of the object, if there is one."""
    causes: Annotated[list[StatusCause], pb(4), LIST_ATOMIC] = []
    """Each thing that is wrong, with its field."""
    retry_after_seconds: Annotated[Int32, pb(5)] = 0
    """Try again after this many seconds, if positive."""


class Status(ApiStruct, kw_only=True):
    """The result of a request that returns no object: every error, and most deletions."""

    api_version: str = type_meta("v1")
    """Group and version of this schema: `v1`."""
    kind: str = type_meta("Status")
    """Name of this schema: `Status`."""
    metadata: Annotated[ListMeta, pb(1)] = field(default_factory=ListMeta)
    """Name, namespace, labels and the other facts that every object has."""
    status: Annotated[str, pb(2)] = ""
    """`Success` or `Failure`."""
    message: Annotated[str, pb(3)] = ""
    """What happened, for people."""
    reason: Annotated[StatusReason, pb(4)] = ""
    """Why it failed in one word, for programs, such as `NotFound` or `Conflict`."""
    details: Annotated[StatusDetails | None, pb(5), LIST_ATOMIC] = None
    """The object and the fields it is about."""
    code: Annotated[Int32, pb(6)] = 0
    """The HTTP status code."""


class Condition(ApiStruct, kw_only=True):
    """One aspect of an object's state, with the time since when it has been so."""

    type: Annotated[str, pb(1)]
    """Name of the aspect in CamelCase; one entry for each name."""
    status: Annotated[ConditionStatus, pb(2)]
    """`True`, `False` or `Unknown`."""
    observed_generation: Annotated[Int64, pb(3)] = 0
    """The `metadata.generation` that this was concluded from."""
    last_transition_time: Annotated[Time | None, pb(4)]
    """When `status` last changed."""
    reason: Annotated[str, pb(5)]
    """Why it is so, as one CamelCase word for programs."""
    message: Annotated[str, pb(6)]
    """Why it is so, in a sentence for people."""


class LabelSelectorRequirement(ApiStruct, kw_only=True):
    """One demand on an object's labels."""

    key: Annotated[str, pb(1)]
    """Label to look at."""
    operator: Annotated[LabelSelectorOperator, pb(2)]
    """`In`, `NotIn`, `Exists` or `DoesNotExist`."""
    values: Annotated[list[str], pb(3), LIST_ATOMIC] = []
    """Values to compare with; at least one for `In` and `NotIn`, none otherwise."""


class FieldSelectorRequirement(ApiStruct, kw_only=True):
    """One demand on an object's fields."""

    key: Annotated[str, pb(1)]
    """Path of the field to look at."""
    operator: Annotated[FieldSelectorOperator, pb(2)]
    """`In`, `NotIn`, `Exists` or `DoesNotExist`."""
    values: Annotated[list[str], pb(3), LIST_ATOMIC] = []
    """Values to compare with; at least one for `In` and `NotIn`, none otherwise."""


class LabelSelector(ApiStruct, kw_only=True):
    """Chooses objects by their labels. All demands must hold; one without any demand chooses
    everything."""

    __atomic__: ClassVar[bool] = True

    match_labels: Annotated[dict[str, str], pb(1)] = {}
    """Labels that must be there with exactly these values."""
    match_expressions: Annotated[list[LabelSelectorRequirement], pb(2), LIST_ATOMIC] = []
    """Further demands, of which each must hold."""


class Preconditions(ApiStruct, kw_only=True):
    """What must still be true for the request to be carried out; otherwise it fails with a
    conflict."""

    uid: Annotated[str | None, pb(1)] = None
    """The object must have this UID."""
    resource_version: Annotated[str | None, pb(2)] = None
    """The object must not have been written since this revision."""


class DeleteOptions(ApiStruct, kw_only=True):
    """Body of a deletion: how long it may take and what happens to dependents."""

    api_version: str = type_meta("v1")
    """Group and version of this schema: `v1`."""
    kind: str = type_meta("DeleteOptions")
    """Name of this schema: `DeleteOptions`."""
    grace_period_seconds: Annotated[Int64 | None, pb(1)] = None
    """Seconds until the object must be gone; 0 means at once. Default: what the kind or the object
    says."""
    preconditions: Annotated[Preconditions | None, pb(2)] = None
    """Delete only if these hold."""
    orphan_dependents: Annotated[bool | None, pb(3)] = None
    """Deprecated form of `propagationPolicy`: true keeps the dependents."""
    propagation_policy: Annotated[DeletionPropagation | None, pb(4)] = None
    """What happens to objects owned by this one: `Background` deletes them afterwards, `Foreground`
    before, `Orphan` keeps them."""
    dry_run: Annotated[list[str], pb(5), LIST_ATOMIC] = []
    """`All` makes every check but changes nothing."""
    ignore_store_read_error_with_cluster_breaking_potential: Annotated[bool | None, pb(6)] = None
    """Delete an object even if its stored form cannot be read."""


class PartialObjectMetadata(ApiStruct, kw_only=True):
    """An object reduced to its metadata, for clients that need no more."""

    api_version: str = type_meta("meta.k8s.io/v1")
    """Group and version of this schema: `meta.k8s.io/v1`."""
    kind: str = type_meta("PartialObjectMetadata")
    """Name of this schema: `PartialObjectMetadata`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""


class TableColumnDefinition(ApiStruct, kw_only=True):
    """One column of a printed table."""

    name: str
    """Heading of the column."""
    type: str
    """Type of the cells: `string`, `integer`, `number`, `boolean` or `date`."""
    format: str
    """Closer description of the type; `name` marks the column that identifies the object."""
    description: str
    """What the column shows."""
    priority: Int32
    """0 is always printed; higher ones only in wide output."""


class TableRowCondition(ApiStruct, kw_only=True):
    """A mark on a row of a table."""

    type: RowConditionType
    """The mark: `Completed` when the object has run to its end."""
    status: ConditionStatus
    """`True`, `False` or `Unknown`."""
    reason: str = ""
    """Why, in one word."""
    message: str = ""
    """Why, in a sentence."""


class TableRow(ApiStruct, kw_only=True):
    """One object as a row of a table."""

    conditions: Annotated[list[TableRowCondition], LIST_ATOMIC] = []
    """Marks on the row."""
    object: RawExtension = None
    """The object itself: its metadata, the whole, or nothing, as the client asked."""


class Table(ApiStruct, kw_only=True):
    """A list of objects in printable form, as `kubectl get` shows it."""

    api_version: str = type_meta("meta.k8s.io/v1")
    """Group and version of this schema: `meta.k8s.io/v1`."""
    kind: str = type_meta("Table")
    """Name of this schema: `Table`."""
    metadata: ListMeta = field(default_factory=ListMeta)
    """Facts about the list."""
    column_definitions: Annotated[list[TableColumnDefinition], LIST_ATOMIC]
    """Headings and types of the columns."""
    rows: Annotated[list[TableRow], LIST_ATOMIC]
    """One for each object."""


class CreateOptions(ApiStruct, kw_only=True):
    """Query parameters of a creation."""

    api_version: str = type_meta("meta.k8s.io/v1")
    """Group and version of this schema: `meta.k8s.io/v1`."""
    kind: str = type_meta("CreateOptions")
    """Name of this schema: `CreateOptions`."""
    dry_run: Annotated[list[str], pb(1), LIST_ATOMIC] = []
    """`All` makes every check but stores nothing."""
    field_manager: Annotated[str, pb(3)] = ""
    """Name under which the fields set here are remembered."""
    field_validation: Annotated[str, pb(4)] = ""
    """What unknown and duplicate fields lead to: `Ignore`, `Warn` or `Strict`."""


class UpdateOptions(ApiStruct, kw_only=True):
    """Query parameters of an update."""

    api_version: str = type_meta("meta.k8s.io/v1")
    """Group and version of this schema: `meta.k8s.io/v1`."""
    kind: str = type_meta("UpdateOptions")
    """Name of this schema: `UpdateOptions`."""
    dry_run: Annotated[list[str], pb(1), LIST_ATOMIC] = []
    """`All` makes every check but stores nothing."""
    field_manager: Annotated[str, pb(2)] = ""
    """Name under which the fields set here are remembered."""
    field_validation: Annotated[str, pb(3)] = ""
    """What unknown and duplicate fields lead to: `Ignore`, `Warn` or `Strict`."""


class PatchOptions(ApiStruct, kw_only=True):
    """Query parameters of a patch."""

    api_version: str = type_meta("meta.k8s.io/v1")
    """Group and version of this schema: `meta.k8s.io/v1`."""
    kind: str = type_meta("PatchOptions")
    """Name of this schema: `PatchOptions`."""
    dry_run: Annotated[list[str], pb(1), LIST_ATOMIC] = []
    """`All` makes every check but stores nothing."""
    force: Annotated[bool | None, pb(2)] = None
    """For server-side apply: take over fields that other managers own."""
    field_manager: Annotated[str, pb(3)] = ""
    """Name under which the fields set here are remembered; apply demands it."""
    field_validation: Annotated[str, pb(4)] = ""
    """What unknown and duplicate fields lead to: `Ignore`, `Warn` or `Strict`."""


class ListOptions(ApiStruct, kw_only=True):
    """Query parameters of a list or watch."""

    api_version: str = type_meta("meta.k8s.io/v1")
    """Group and version of this schema: `meta.k8s.io/v1`."""
    kind: str = type_meta("ListOptions")
    """Name of this schema: `ListOptions`."""
    label_selector: Annotated[str, pb(1)] = ""
    """Only objects whose labels match, such as `app=web,tier!=test`."""
    field_selector: Annotated[str, pb(2)] = ""
    """Only objects whose fields match, such as `spec.nodeName=node-1`."""
    watch: Annotated[bool, pb(3)] = False
    """Stream changes instead of returning a list."""
    allow_watch_bookmarks: Annotated[bool, pb(9)] = False
    """The stream may hold BOOKMARK events that only carry a newer revision."""
    resource_version: Annotated[str, pb(4)] = ""
    """Where to read or to start watching; empty means the newest state, `0` any cached one."""
    resource_version_match: Annotated[ResourceVersionMatch, pb(10)] = ""
    """What `resourceVersion` means for a list: `Exact` or `NotOlderThan`."""
    timeout_seconds: Annotated[Int64 | None, pb(5)] = None
    """The longest time that a watch or list may take."""
    limit: Annotated[Int64, pb(7)] = 0
    """At most this many items in one page; 0 means all."""
    continue_: Annotated[str, pb(8)] = ""
    """Token of the previous page."""
    send_initial_events: Annotated[bool | None, pb(11)] = None
    """Begin a watch with one ADDED event for every existing object and a bookmark."""


class GetOptions(ApiStruct, kw_only=True):
    """Query parameters of a read."""

    api_version: str = type_meta("meta.k8s.io/v1")
    """Group and version of this schema: `meta.k8s.io/v1`."""
    kind: str = type_meta("GetOptions")
    """Name of this schema: `GetOptions`."""
    resource_version: Annotated[str, pb(1)] = ""
    """The answer must not be older than this revision; empty means the newest state."""


class ServerAddressByClientCIDR(ApiStruct, kw_only=True):
    """The address at which clients of one network reach the server."""

    client_cidr: Annotated[str, pb(1)]
    """Network of the clients."""
    server_address: Annotated[str, pb(2)]
    """Address of the server for them."""


class APIVersions(ApiStruct, kw_only=True):
    """Versions of the core group that the server speaks."""

    api_version: str = type_meta("v1")
    """Group and version of this schema: `v1`."""
    kind: str = type_meta("APIVersions")
    """Name of this schema: `APIVersions`."""
    versions: Annotated[list[str], pb(1), LIST_ATOMIC]
    """The versions, such as `v1`."""
    server_address_by_client_cidrs: Annotated[list[ServerAddressByClientCIDR], pb(2), LIST_ATOMIC]
    """Where clients of which network reach the server."""


class GroupVersionKind(ApiStruct, kw_only=True):
    """A kind, by its full name."""

    group: Annotated[str, pb(1)]
    """Its group; empty for the core group."""
    version: Annotated[str, pb(2)]
    """Its version."""
    kind: Annotated[str, pb(3)]
    """Its name."""


class GroupVersionResource(ApiStruct, kw_only=True):
    """A resource, by its full name."""

    group: Annotated[str, pb(1)]
    """Its group; empty for the core group."""
    version: Annotated[str, pb(2)]
    """Its version."""
    resource: Annotated[str, pb(3)]
    """Its plural."""


class GroupVersionForDiscovery(ApiStruct, kw_only=True):
    """One version of a group."""

    group_version: Annotated[str, pb(1)]
    """Group and version as `apiVersion` spells them."""
    version: Annotated[str, pb(2)]
    """The version alone."""


class APIGroup(ApiStruct, kw_only=True):
    """One group of the API with its versions."""

    api_version: str = type_meta("v1")
    """Group and version of this schema: `v1`."""
    kind: str = type_meta("APIGroup")
    """Name of this schema: `APIGroup`."""
    name: Annotated[str, pb(1)]
    """Name of the group."""
    versions: Annotated[list[GroupVersionForDiscovery], pb(2), LIST_ATOMIC]
    """All its versions."""
    preferred_version: Annotated[GroupVersionForDiscovery, pb(3)]
    """The version to use when there is no reason for another."""
    server_address_by_client_cidrs: Annotated[
        list[ServerAddressByClientCIDR], pb(4), LIST_ATOMIC
    ] = []
    """Where clients of which network reach the server."""


class APIGroupList(ApiStruct, kw_only=True):
    """Every group that the server speaks, except the core group."""

    api_version: str = type_meta("v1")
    """Group and version of this schema: `v1`."""
    kind: str = type_meta("APIGroupList")
    """Name of this schema: `APIGroupList`."""
    groups: Annotated[list[APIGroup], pb(1), LIST_ATOMIC]
    """The groups."""


class APIResource(ApiStruct, kw_only=True):
    """One resource, or subresource, of a group version."""

    name: Annotated[str, pb(1)]
    """Plural name as it stands in the path; `pods/log` for a subresource."""
    singular_name: Annotated[str, pb(6)]
    """Name in the singular."""
    namespaced: Annotated[bool, pb(2)]
    """Whether objects live in a namespace."""
    group: Annotated[str, pb(8)] = ""
    """Group of the body, if it is another one than the list's."""
    version: Annotated[str, pb(9)] = ""
    """Version of the body, if it is another one than the list's."""
    kind: Annotated[str, pb(3)]
    """Kind of the body."""
    verbs: Annotated[StringList, pb(4)]
    """What may be done with it."""
    short_names: Annotated[list[str], pb(5), LIST_ATOMIC] = []
    """Abbreviations that kubectl understands."""
    categories: Annotated[list[str], pb(7), LIST_ATOMIC] = []
    """Collective names, such as `all`."""
    storage_version_hash: Annotated[str, pb(10)] = ""
    """Changes when the stored version changes."""


class APIResourceList(ApiStruct, kw_only=True):
    """All resources of one group version."""

    api_version: str = type_meta("v1")
    """Group and version of this schema: `v1`."""
    kind: str = type_meta("APIResourceList")
    """Name of this schema: `APIResourceList`."""
    group_version: Annotated[str, pb(1)]
    """The group and version."""
    resources: Annotated[list[APIResource], pb(2), LIST_ATOMIC]
    """The resources with their subresources."""
