"""Which requests wait for which when the API server is busy (group `flowcontrol.apiserver.k8s.io`).

They are about step 1 of a pod's walk, before a request is looked at.
"""

from typing import Annotated

from msgspec import field

from api.meta import ObjectMeta
from api.struct import (
    LIST_ATOMIC,
    LIST_SET,
    ApiStruct,
    Int32,
    Time,
    enum,
    list_map,
    patch,
    pb,
    type_meta,
)

FlowDistinguisherMethodType = Annotated[str, enum("ByUser", "ByNamespace")]
SubjectKind = Annotated[str, enum("User", "Group", "ServiceAccount")]
ConditionStatus = Annotated[str, enum("True", "False", "Unknown")]
LimitResponseType = Annotated[str, enum("Queue", "Reject")]
PriorityLevelEnablement = Annotated[str, enum("Exempt", "Limited")]


class PriorityLevelConfigurationReference(ApiStruct, kw_only=True):
    """Names a priority level."""

    name: Annotated[str, pb(1)]
    """Its name."""


class FlowDistinguisherMethod(ApiStruct, kw_only=True):
    """How requests of one schema are told apart as flows."""

    type: Annotated[FlowDistinguisherMethodType, pb(1)]
    """`ByUser` or `ByNamespace`."""


class UserSubject(ApiStruct, kw_only=True):
    """One user, or all of them."""

    name: Annotated[str, pb(1)]
    """The user's name, or `*`."""


class GroupSubject(ApiStruct, kw_only=True):
    """A group of users, or all of them."""

    name: Annotated[str, pb(1)]
    """The group's name, or `*`."""


class ServiceAccountSubject(ApiStruct, kw_only=True):
    """A service account, or all of a namespace."""

    namespace: Annotated[str, pb(1)]
    """Its namespace."""
    name: Annotated[str, pb(2)]
    """Its name, or `*`."""


class Subject(ApiStruct, kw_only=True):
    """Who makes a request."""

    kind: Annotated[SubjectKind, pb(1)]
    """`User`, `Group` or `ServiceAccount`: which of the others is set."""
    user: Annotated[UserSubject | None, pb(2)] = None
    """The user, by name."""
    group: Annotated[GroupSubject | None, pb(3)] = None
    """The group, by name."""
    service_account: Annotated[ServiceAccountSubject | None, pb(4)] = None
    """The service account."""


class ResourcePolicyRule(ApiStruct, kw_only=True):
    """Requests for resources: those that fit every list."""

    verbs: Annotated[list[str], pb(1), LIST_SET]
    """What is done, such as `get` or `list`; `*` alone stands for anything."""
    api_groups: Annotated[list[str], pb(2), LIST_SET]
    """The groups; `*` alone stands for any."""
    resources: Annotated[list[str], pb(3), LIST_SET]
    """The resources, such as `pods` or `pods/log`; `*` alone stands for any."""
    cluster_scope: Annotated[bool, pb(4)] = False
    """Whether requests outside of namespaces are meant, too."""
    namespaces: Annotated[list[str], pb(5), LIST_SET]
    """The namespaces; `*` alone stands for any."""


class NonResourcePolicyRule(ApiStruct, kw_only=True):
    """Requests for paths that belong to no resource: those that fit both lists."""

    verbs: Annotated[list[str], pb(1), LIST_SET]
    """What is done; `*` alone stands for anything."""
    non_resource_urls: Annotated[list[str], pb(6), LIST_SET]
    """The paths, such as `/healthz`; `/*` at the end stands for whatever follows, `*` alone for
    any."""


class PolicyRulesWithSubjects(ApiStruct, kw_only=True):
    """Requests, by who makes them and what they ask: one of the subjects and one of the rules must
    fit."""

    subjects: Annotated[list[Subject], pb(1), LIST_ATOMIC]
    """Who makes them."""
    resource_rules: Annotated[list[ResourcePolicyRule], pb(2), LIST_ATOMIC] = []
    """What they ask of resources."""
    non_resource_rules: Annotated[list[NonResourcePolicyRule], pb(3), LIST_ATOMIC] = []
    """What they ask of other paths."""


class FlowSchemaSpec(ApiStruct, kw_only=True):
    """Which requests belong to which priority level."""

    priority_level_configuration: Annotated[PriorityLevelConfigurationReference, pb(1)]
    """The priority level."""
    matching_precedence: Annotated[Int32, pb(2)]
    """Of all the schemas that fit a request, the one with the smallest number counts; of equals,
    the first by name. From 1 to 10000, and 1000 unless said otherwise."""
    distinguisher_method: Annotated[FlowDistinguisherMethod | None, pb(3)] = None
    """How its requests are told apart, so that one flow does not starve another. All are one flow
    if nothing is said."""
    rules: Annotated[list[PolicyRulesWithSubjects], pb(4), LIST_ATOMIC] = []
    """The requests; one of the rules must fit."""


class FlowSchemaCondition(ApiStruct, kw_only=True):
    """One fact about a schema."""

    type: Annotated[str, pb(1)] = ""
    """Which fact, such as `Dangling`."""
    status: Annotated[ConditionStatus, pb(2)] = ""
    """`True`, `False` or `Unknown`."""
    last_transition_time: Annotated[Time | None, pb(3)] = None
    """When the status last changed."""
    reason: Annotated[str, pb(4)] = ""
    """Why, as one word."""
    message: Annotated[str, pb(5)] = ""
    """Why, for people."""


class FlowSchemaStatus(ApiStruct, kw_only=True):
    """What is known of a schema."""

    conditions: Annotated[
        list[FlowSchemaCondition], pb(1), patch("merge", key="type"), list_map("type")
    ] = []
    """`Dangling`: whether its priority level is missing."""


class FlowSchema(ApiStruct, kw_only=True):
    """Sorts requests to the API server into a priority level."""

    api_version: str = type_meta("flowcontrol.apiserver.k8s.io/v1")
    """Group and version of this schema: `flowcontrol.apiserver.k8s.io/v1`."""
    kind: str = type_meta("FlowSchema")
    """Name of this schema: `FlowSchema`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    spec: Annotated[FlowSchemaSpec, pb(2)]
    """The wanted state."""
    status: Annotated[FlowSchemaStatus, pb(3)] = field(default_factory=FlowSchemaStatus)
    """The observed state. Set by the cluster, ignored in other writes."""


class QueuingConfiguration(ApiStruct, kw_only=True):
    """How requests wait."""

    queues: Annotated[Int32, pb(1)]
    """How many queues there are. Flows are spread over them; 64 unless said otherwise."""
    hand_size: Annotated[Int32, pb(2)]
    """Among how many of the queues a flow takes the shortest; 8 unless said otherwise."""
    queue_length_limit: Annotated[Int32, pb(3)]
    """How many requests may wait in one queue before more are refused; 50 unless said otherwise."""


class LimitResponse(ApiStruct, kw_only=True):
    """What becomes of requests that cannot be served at once."""

    type: Annotated[LimitResponseType, pb(1)]
    """`Queue`: they wait. `Reject`: they are refused with 429."""
    queuing: Annotated[QueuingConfiguration | None, pb(2)] = None
    """How they wait. Only with `Queue`."""


class LimitedPriorityLevelConfiguration(ApiStruct, kw_only=True):
    """How much a level may do at a time, and what happens beyond that."""

    nominal_concurrency_shares: Annotated[Int32 | None, pb(1)]
    """Its part of all that the server does at a time, in proportion to the other levels' numbers;
    30 unless said otherwise."""
    limit_response: Annotated[LimitResponse, pb(2)]
    """What becomes of requests beyond that."""
    lendable_percent: Annotated[Int32 | None, pb(3)] = None
    """How much of its part others may borrow while it is idle, in percent; nothing unless said
    otherwise."""
    borrowing_limit_percent: Annotated[Int32 | None, pb(4)] = None
    """How much it may borrow itself, in percent of its own part. No limit if nothing is said."""


class ExemptPriorityLevelConfiguration(ApiStruct, kw_only=True):
    """What counts for a level that never waits."""

    nominal_concurrency_shares: Annotated[Int32 | None, pb(1)] = None
    """The part that is set aside for it, in proportion to the other levels' numbers; none unless
    said otherwise."""
    lendable_percent: Annotated[Int32 | None, pb(2)] = None
    """How much of that others may borrow, in percent; nothing unless said otherwise."""


class PriorityLevelConfigurationSpec(ApiStruct, kw_only=True):
    """How the requests of a level are treated."""

    type: Annotated[PriorityLevelEnablement, pb(1)]
    """`Exempt`: they never wait. `Limited`: they do, as `limited` says."""
    limited: Annotated[LimitedPriorityLevelConfiguration | None, pb(2)] = None
    """How they are limited. Only with `Limited`, which needs it."""
    exempt: Annotated[ExemptPriorityLevelConfiguration | None, pb(3)] = None
    """What counts for a level that is exempt. Only with `Exempt`."""


class PriorityLevelConfigurationCondition(ApiStruct, kw_only=True):
    """One fact about a level."""

    type: Annotated[str, pb(1)] = ""
    """Which fact."""
    status: Annotated[ConditionStatus, pb(2)] = ""
    """`True`, `False` or `Unknown`."""
    last_transition_time: Annotated[Time | None, pb(3)] = None
    """When the status last changed."""
    reason: Annotated[str, pb(4)] = ""
    """Why, as one word."""
    message: Annotated[str, pb(5)] = ""
    """Why, for people."""


class PriorityLevelConfigurationStatus(ApiStruct, kw_only=True):
    """What is known of a level."""

    conditions: Annotated[
        list[PriorityLevelConfigurationCondition],
        pb(1),
        patch("merge", key="type"),
        list_map("type"),
    ] = []
    """Whatever there is to tell about it."""


class PriorityLevelConfiguration(ApiStruct, kw_only=True):
    """A level of priority: how many of its requests the API server works on at a time."""

    api_version: str = type_meta("flowcontrol.apiserver.k8s.io/v1")
    """Group and version of this schema: `flowcontrol.apiserver.k8s.io/v1`."""
    kind: str = type_meta("PriorityLevelConfiguration")
    """Name of this schema: `PriorityLevelConfiguration`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    spec: Annotated[PriorityLevelConfigurationSpec, pb(2)]
    """The wanted state."""
    status: Annotated[PriorityLevelConfigurationStatus, pb(3)] = field(
        default_factory=PriorityLevelConfigurationStatus
    )
    """The observed state. Set by the cluster, ignored in other writes."""
