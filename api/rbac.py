"""Who may do what: roles, and who has them (group `rbac.authorization.k8s.io`).

What they say is to decide at the gate of step 1 of a pod's walk.
"""

from typing import Annotated

from msgspec import field

from api.meta import LabelSelector, ObjectMeta
from api.struct import LIST_ATOMIC, ApiStruct, pb, type_meta


class PolicyRule(ApiStruct, kw_only=True):
    """Something that is allowed: verbs, and what they may be used on."""

    verbs: Annotated[list[str], pb(1), LIST_ATOMIC]
    """What may be done, such as `get` or `create`. `*` stands for everything."""
    api_groups: Annotated[list[str], pb(2), LIST_ATOMIC] = []
    """The groups of the resources; `""` is the core group and `*` any. A resource of any of them
    counts."""
    resources: Annotated[list[str], pb(3), LIST_ATOMIC] = []
    """The resources, such as `pods` or `pods/log`. `*` stands for all in these groups."""
    resource_names: Annotated[list[str], pb(4), LIST_ATOMIC] = []
    """Names of the only objects that are meant. All are, if none is named."""
    non_resource_urls: Annotated[list[str], pb(5), LIST_ATOMIC] = []
    """Paths that belong to no resource, such as `/metrics`; a `*` at the end stands for whatever
    follows. Only in cluster roles, and not beside resources."""


class Role(ApiStruct, kw_only=True):
    """What may be done in one namespace, for bindings to refer to."""

    api_version: str = type_meta("rbac.authorization.k8s.io/v1")
    """Group and version of this schema: `rbac.authorization.k8s.io/v1`."""
    kind: str = type_meta("Role")
    """Name of this schema: `Role`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    rules: Annotated[list[PolicyRule], pb(2), LIST_ATOMIC]
    """All that it allows."""


class Subject(ApiStruct, kw_only=True):
    """Somebody: a user, a group or a service account."""

    kind: Annotated[str, pb(1)]
    """`User`, `Group` or `ServiceAccount`."""
    api_group: Annotated[str, pb(2)] = ""
    """The group of that kind: empty for service accounts, `rbac.authorization.k8s.io` for users
    and groups. Filled in when it is left out."""
    name: Annotated[str, pb(3)]
    """Their name."""
    namespace: Annotated[str, pb(4)] = ""
    """Namespace of the service account; users and groups have none."""


class RoleRef(ApiStruct, kw_only=True):
    """Which role is given."""

    api_group: Annotated[str, pb(1)]
    """Always `rbac.authorization.k8s.io`."""
    kind: Annotated[str, pb(2)]
    """`Role` or `ClusterRole`."""
    name: Annotated[str, pb(3)]
    """Name of the role."""


class RoleBinding(ApiStruct, kw_only=True):
    """Gives what a role allows, in one namespace. The role is one of that namespace, or a cluster
    role."""

    api_version: str = type_meta("rbac.authorization.k8s.io/v1")
    """Group and version of this schema: `rbac.authorization.k8s.io/v1`."""
    kind: str = type_meta("RoleBinding")
    """Name of this schema: `RoleBinding`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    subjects: Annotated[list[Subject], pb(2), LIST_ATOMIC] = []
    """Those who are given it."""
    role_ref: Annotated[RoleRef, pb(3)]
    """The role. It never changes: another role needs another binding."""


class AggregationRule(ApiStruct, kw_only=True):
    """Where the rules of a cluster role come from, when nobody writes them there."""

    cluster_role_selectors: Annotated[list[LabelSelector], pb(1), LIST_ATOMIC] = []
    """Cluster roles whose labels fit one of these selectors lend it their rules."""


class ClusterRole(ApiStruct, kw_only=True):
    """What may be done in the whole cluster, or in the namespace of a binding that refers to it."""

    api_version: str = type_meta("rbac.authorization.k8s.io/v1")
    """Group and version of this schema: `rbac.authorization.k8s.io/v1`."""
    kind: str = type_meta("ClusterRole")
    """Name of this schema: `ClusterRole`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    rules: Annotated[list[PolicyRule], pb(2), LIST_ATOMIC]
    """All that it allows."""
    aggregation_rule: Annotated[AggregationRule | None, pb(3)] = None
    """If set, the rules are gathered from other cluster roles, and what is written there is
    replaced."""


class ClusterRoleBinding(ApiStruct, kw_only=True):
    """Gives what a cluster role allows, in every namespace and outside of them."""

    api_version: str = type_meta("rbac.authorization.k8s.io/v1")
    """Group and version of this schema: `rbac.authorization.k8s.io/v1`."""
    kind: str = type_meta("ClusterRoleBinding")
    """Name of this schema: `ClusterRoleBinding`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    subjects: Annotated[list[Subject], pb(2), LIST_ATOMIC] = []
    """Those who are given it."""
    role_ref: Annotated[RoleRef, pb(3)]
    """The cluster role. It never changes: another role needs another binding."""
