"""Traffic into the cluster, and which pods may talk to each other (group `networking.k8s.io`).

Ingresses lead to Services; policies stand in the way of packets, step 6 of a pod's walk.
"""

from typing import Annotated, ClassVar

from msgspec import field

from api.core.container import Protocol
from api.core.references import TypedLocalObjectReference
from api.meta import Condition, LabelSelector, ObjectMeta
from api.struct import (
    LIST_ATOMIC,
    ApiStruct,
    Inline,
    Int32,
    IntOrString,
    enum,
    list_map,
    patch,
    pb,
    type_meta,
)

PolicyType = Annotated[str, enum("Ingress", "Egress")]


class ServiceBackendPort(ApiStruct, kw_only=True):
    """A port of a Service, by its name or its number."""

    name: Annotated[str, pb(1)] = ""
    """Its name. Not together with a number."""
    number: Annotated[Int32, pb(2)] = 0
    """Its number. Not together with a name."""


class IngressServiceBackend(ApiStruct, kw_only=True):
    """A Service that answers."""

    name: Annotated[str, pb(1)]
    """Name of the Service, in the namespace of the Ingress."""
    port: Annotated[ServiceBackendPort, pb(2)] = field(default_factory=ServiceBackendPort)
    """Which of its ports."""


class IngressBackend(ApiStruct, kw_only=True):
    """What answers a request: a Service or some other object, one of the two."""

    service: Annotated[IngressServiceBackend | None, pb(4)] = None
    """The Service."""
    resource: Annotated[TypedLocalObjectReference | None, pb(3)] = None
    """Another object of the same namespace that the ingress controller knows what to do with."""


class IngressTLS(ApiStruct, kw_only=True):
    """Names that are served over TLS, and with which certificate."""

    hosts: Annotated[list[str], pb(1), LIST_ATOMIC] = []
    """The names; they should be those in the certificate. If there are none, what the ingress
    controller takes them for decides."""
    secret_name: Annotated[str, pb(2)] = ""
    """The Secret with certificate and key. May be left out where the controller finds the
    certificate by the name."""


class HTTPIngressPath(ApiStruct, kw_only=True):
    """Requests for some path, and what answers them."""

    path: Annotated[str, pb(1)] = ""
    """The path, beginning with `/`."""
    path_type: Annotated[str | None, pb(3)]
    """How a request's path is compared: `Exact`ly; by `Prefix`, segment by segment; or as the
    class of the Ingress sees fit, `ImplementationSpecific`."""
    backend: Annotated[IngressBackend, pb(2)] = field(default_factory=IngressBackend)
    """What answers."""


class HTTPIngressRuleValue(ApiStruct, kw_only=True):
    """What happens to requests over HTTP."""

    paths: Annotated[list[HTTPIngressPath], pb(1), LIST_ATOMIC]
    """The paths; the longest that fits counts."""


class IngressRuleValue(ApiStruct, kw_only=True):
    """What a rule says beside the host."""

    http: Annotated[HTTPIngressRuleValue | None, pb(1)] = None
    """What happens to requests over HTTP. Everything goes to the default backend if nothing is
    said."""


class IngressRule(IngressRuleValue, kw_only=True):
    """Requests for one host, and what answers them."""

    __inline__: ClassVar[Inline] = {2: IngressRuleValue}
    host: Annotated[str, pb(1)] = ""
    """The host's name, or `*.` and a name, which stands for one label before it. Empty stands for
    every host."""


class IngressSpec(ApiStruct, kw_only=True):
    """Which requests are answered by what."""

    ingress_class_name: Annotated[str | None, pb(4)] = None
    """The class, which says which controller looks after it."""
    default_backend: Annotated[IngressBackend | None, pb(1)] = None
    """What answers requests that no rule fits."""
    tls: Annotated[list[IngressTLS], pb(2), LIST_ATOMIC] = []
    """Hosts that are served over TLS."""
    rules: Annotated[list[IngressRule], pb(3), LIST_ATOMIC] = []
    """Hosts and paths, and what answers them."""


class IngressPortStatus(ApiStruct, kw_only=True):
    """How one port of an address fares."""

    port: Annotated[Int32, pb(1)]
    """The port."""
    protocol: Annotated[Protocol, pb(2)]
    """Its protocol."""
    error: Annotated[str | None, pb(3)] = None
    """What is wrong with it, as one word in CamelCase; one of the controller's own has a prefix
    such as `example.com/`."""


class IngressLoadBalancerIngress(ApiStruct, kw_only=True):
    """An address at which an Ingress is reached."""

    ip: Annotated[str, pb(1)] = ""
    """The address, where it has one."""
    hostname: Annotated[str, pb(2)] = ""
    """Its name, where it has one."""
    ports: Annotated[list[IngressPortStatus], pb(4), LIST_ATOMIC] = []
    """The ports that it is reached at."""


class IngressLoadBalancerStatus(ApiStruct, kw_only=True):
    """Where an Ingress is reached."""

    ingress: Annotated[list[IngressLoadBalancerIngress], pb(1), LIST_ATOMIC] = []
    """Every address."""


class IngressStatus(ApiStruct, kw_only=True):
    """What has become of an Ingress."""

    load_balancer: Annotated[IngressLoadBalancerStatus, pb(1)] = field(
        default_factory=IngressLoadBalancerStatus
    )
    """Where it is reached."""


class Ingress(ApiStruct, kw_only=True):
    """Rules for requests from outside to Services: by host and path, with TLS."""

    api_version: str = type_meta("networking.k8s.io/v1")
    """Group and version of this schema: `networking.k8s.io/v1`."""
    kind: str = type_meta("Ingress")
    """Name of this schema: `Ingress`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    spec: Annotated[IngressSpec, pb(2)] = field(default_factory=IngressSpec)
    """The wanted state."""
    status: Annotated[IngressStatus, pb(3)] = field(default_factory=IngressStatus)
    """The observed state. Set by the cluster, ignored in other writes."""


class IngressClassParametersReference(ApiStruct, kw_only=True):
    """An object with settings of a class."""

    api_group: Annotated[str | None, pb(1)] = None
    """Its group; the core group if left out."""
    kind: Annotated[str, pb(2)]
    """Its kind."""
    name: Annotated[str, pb(3)]
    """Its name."""
    scope: Annotated[str | None, pb(4)]
    """`Cluster`, which is the default, or `Namespace`."""
    namespace: Annotated[str | None, pb(5)] = None
    """Its namespace, where it is in one."""


class IngressClassSpec(ApiStruct, kw_only=True):
    """Who looks after the Ingresses of a class."""

    controller: Annotated[str, pb(1)] = ""
    """Name of the controller, such as `example.com/ingress`. It never changes."""
    parameters: Annotated[IngressClassParametersReference | None, pb(2)] = None
    """An object with more settings for it."""


class IngressClass(ApiStruct, kw_only=True):
    """A class of Ingresses, all looked after by one controller. The annotation
    `ingressclass.kubernetes.io/is-default-class` makes it that of Ingresses that name none."""

    api_version: str = type_meta("networking.k8s.io/v1")
    """Group and version of this schema: `networking.k8s.io/v1`."""
    kind: str = type_meta("IngressClass")
    """Name of this schema: `IngressClass`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    spec: Annotated[IngressClassSpec, pb(2)] = field(default_factory=IngressClassSpec)
    """The wanted state."""


class NetworkPolicyPort(ApiStruct, kw_only=True):
    """A port, or a range of them."""

    protocol: Annotated[Protocol | None, pb(1)] = None
    """`TCP`, which is the default, `UDP` or `SCTP`."""
    port: Annotated[IntOrString | None, pb(2)] = None
    """Number or name of the port. All are meant if it is left out."""
    end_port: Annotated[Int32 | None, pb(3)] = None
    """The last of a range that begins at `port`, which must be a number."""


class IPBlock(ApiStruct, kw_only=True):
    """A range of addresses."""

    cidr: Annotated[str, pb(1)]
    """The range, as `192.0.2.0/24` or `2001:db8::/64`."""
    except_: Annotated[list[str], pb(2), LIST_ATOMIC] = []
    """Ranges within it that are left out."""


class NetworkPolicyPeer(ApiStruct, kw_only=True):
    """Who is at the other end: pods, or addresses."""

    pod_selector: Annotated[LabelSelector | None, pb(1)] = None
    """Pods with these labels, in the policy's own namespace or in those that are selected as well."""
    namespace_selector: Annotated[LabelSelector | None, pb(2)] = None
    """All pods of namespaces with these labels, or those of them that are selected as well."""
    ip_block: Annotated[IPBlock | None, pb(3)] = None
    """Addresses. Not together with selectors."""


class NetworkPolicyIngressRule(ApiStruct, kw_only=True):
    """Connections that may come in: from any of these peers to any of these ports."""

    ports: Annotated[list[NetworkPolicyPort], pb(1), LIST_ATOMIC] = []
    """The ports; all of them if none is said."""
    from_: Annotated[list[NetworkPolicyPeer], pb(2), LIST_ATOMIC] = []
    """The peers; anybody if none is said."""


class NetworkPolicyEgressRule(ApiStruct, kw_only=True):
    """Connections that may go out: to any of these ports of any of these peers."""

    ports: Annotated[list[NetworkPolicyPort], pb(1), LIST_ATOMIC] = []
    """The ports; all of them if none is said."""
    to: Annotated[list[NetworkPolicyPeer], pb(2), LIST_ATOMIC] = []
    """The peers; anybody if none is said."""


class NetworkPolicySpec(ApiStruct, kw_only=True):
    """Pods, and the connections that they may have."""

    pod_selector: Annotated[LabelSelector, pb(1)] = field(default_factory=LabelSelector)
    """The pods that it is about; all of the namespace if the selector is empty."""
    ingress: Annotated[list[NetworkPolicyIngressRule], pb(2), LIST_ATOMIC] = []
    """What may come in. With a policy for incoming connections, everything else may not."""
    egress: Annotated[list[NetworkPolicyEgressRule], pb(3), LIST_ATOMIC] = []
    """What may go out. With a policy for outgoing connections, everything else may not."""
    policy_types: Annotated[list[PolicyType], pb(4), LIST_ATOMIC] = []
    """Whether it is about `Ingress`, `Egress` or both. If left out: about incoming connections,
    and about outgoing ones if it has rules for them."""


class NetworkPolicy(ApiStruct, kw_only=True):
    """Which connections some pods may have. What several policies allow for a pod adds up."""

    api_version: str = type_meta("networking.k8s.io/v1")
    """Group and version of this schema: `networking.k8s.io/v1`."""
    kind: str = type_meta("NetworkPolicy")
    """Name of this schema: `NetworkPolicy`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    spec: Annotated[NetworkPolicySpec, pb(2)] = field(default_factory=NetworkPolicySpec)
    """The wanted state."""


class ParentReference(ApiStruct, kw_only=True):
    """The object that an address belongs to."""

    group: Annotated[str, pb(1)] = ""
    """Its group."""
    resource: Annotated[str, pb(2)] = ""
    """Its resource, in the plural."""
    namespace: Annotated[str, pb(3)] = ""
    """Its namespace."""
    name: Annotated[str, pb(4)] = ""
    """Its name."""


class IPAddressSpec(ApiStruct, kw_only=True):
    """What an address is used for."""

    parent_ref: Annotated[ParentReference | None, pb(1)] = None
    """The object that has it."""


class IPAddress(ApiStruct, kw_only=True):
    """An address that is in use by a Service. The object's name is the address."""

    api_version: str = type_meta("networking.k8s.io/v1")
    """Group and version of this schema: `networking.k8s.io/v1`."""
    kind: str = type_meta("IPAddress")
    """Name of this schema: `IPAddress`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    spec: Annotated[IPAddressSpec, pb(2)] = field(default_factory=IPAddressSpec)
    """The wanted state."""


class ServiceCIDRSpec(ApiStruct, kw_only=True):
    """Ranges of addresses for Services."""

    cidrs: Annotated[list[str], pb(1), LIST_ATOMIC] = []
    """One range, or one of each family of addresses."""


class ServiceCIDRStatus(ApiStruct, kw_only=True):
    """Whether the ranges can be used."""

    conditions: Annotated[list[Condition], pb(1), patch("merge", key="type"), list_map("type")] = []
    """`Ready`, with the reason."""


class ServiceCIDR(ApiStruct, kw_only=True):
    """Ranges from which Services get their cluster addresses."""

    api_version: str = type_meta("networking.k8s.io/v1")
    """Group and version of this schema: `networking.k8s.io/v1`."""
    kind: str = type_meta("ServiceCIDR")
    """Name of this schema: `ServiceCIDR`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    spec: Annotated[ServiceCIDRSpec, pb(2)] = field(default_factory=ServiceCIDRSpec)
    """The wanted state."""
    status: Annotated[ServiceCIDRStatus, pb(3)] = field(default_factory=ServiceCIDRStatus)
    """The observed state. Set by the cluster, ignored in other writes."""
