"""Which server answers for which group and version of the API (group `apiregistration.k8s.io`).

Step 1 of a pod's walk asks this of every path; what is served here itself says so of itself.
"""

from typing import Annotated

from msgspec import field

from api.meta import ObjectMeta
from api.struct import LIST_ATOMIC, ApiStruct, Int32, Time, enum, list_map, patch, pb, type_meta

APIServiceConditionType = Annotated[str, enum("Available")]
ConditionStatus = Annotated[str, enum("True", "False", "Unknown")]


class ServiceReference(ApiStruct, kw_only=True):
    """The Service of another API server."""

    namespace: Annotated[str, pb(1)] = ""
    """Its namespace."""
    name: Annotated[str, pb(2)] = ""
    """Its name."""
    port: Annotated[Int32 | None, pb(3)] = None
    """Its port; 443 unless said otherwise."""


class APIServiceSpec(ApiStruct, kw_only=True):
    """A group and version, and where it is served."""

    service: Annotated[ServiceReference | None, pb(1)] = None
    """The Service behind which it is served. Left out, it is served by this API server."""
    group: Annotated[str, pb(2)] = ""
    """The group."""
    version: Annotated[str, pb(3)] = ""
    """The version."""
    insecure_skip_tls_verify: Annotated[bool, pb(4)] = False
    """Whether to trust whatever certificate that server shows. Not together with `caBundle`."""
    ca_bundle: Annotated[bytes, pb(5), LIST_ATOMIC] = b""
    """The certificates, in PEM, that vouch for that server's."""
    group_priority_minimum: Annotated[Int32, pb(7)]
    """How early the group comes in discovery: the highest number of its versions counts, and
    higher ones come first."""
    version_priority: Annotated[Int32, pb(8)]
    """How early the version comes within its group: higher numbers first. Must be above 0."""


class APIServiceCondition(ApiStruct, kw_only=True):
    """One fact about a registration."""

    type: Annotated[APIServiceConditionType, pb(1)]
    """Which fact: `Available`."""
    status: Annotated[ConditionStatus, pb(2)]
    """`True`, `False` or `Unknown`."""
    last_transition_time: Annotated[Time | None, pb(3)] = None
    """When the status last changed."""
    reason: Annotated[str, pb(4)] = ""
    """Why, as one word."""
    message: Annotated[str, pb(5)] = ""
    """Why, for people."""


class APIServiceStatus(ApiStruct, kw_only=True):
    """What is known of a registration."""

    conditions: Annotated[
        list[APIServiceCondition], pb(1), patch("merge", key="type"), list_map("type")
    ] = []
    """`Available`: whether the server can be asked."""


class APIService(ApiStruct, kw_only=True):
    """Says which server answers for a group and version. Its name is `VERSION.GROUP`."""

    api_version: str = type_meta("apiregistration.k8s.io/v1")
    """Group and version of this schema: `apiregistration.k8s.io/v1`."""
    kind: str = type_meta("APIService")
    """Name of this schema: `APIService`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    spec: Annotated[APIServiceSpec, pb(2)]
    """The wanted state."""
    status: Annotated[APIServiceStatus, pb(3)] = field(default_factory=APIServiceStatus)
    """The observed state. Set by the cluster, ignored in other writes."""
