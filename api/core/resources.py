"""What a container needs and what it got: amounts of CPU, memory and devices.

The scheduler adds up requests (step 3 of the pod's walk); the agent turns requests and limits
into cgroup values (step 4).
"""

from typing import Annotated

from api.struct import LIST_ATOMIC, ApiStruct, Quantity, enum, list_map, pb

ResourceHealthStatus = Annotated[str, enum("Healthy", "Unhealthy", "Unknown")]
ResourceName = Annotated[
    str,
    enum(
        "cpu",
        "memory",
        "storage",
        "ephemeral-storage",
        "pods",
        "services",
        "replicationcontrollers",
        "resourcequotas",
        "secrets",
        "configmaps",
        "persistentvolumeclaims",
        "services.nodeports",
        "services.loadbalancers",
        "requests.cpu",
        "requests.memory",
        "requests.storage",
        "requests.ephemeral-storage",
        "limits.cpu",
        "limits.memory",
        "limits.ephemeral-storage",
    ),
]


class ResourceClaim(ApiStruct, kw_only=True):
    """Gives a container access to a device that the pod has claimed."""

    name: Annotated[str, pb(1)]
    """Name of an entry in the pod's `resourceClaims`."""
    request: Annotated[str, pb(2)] = ""
    """One request within the claim; empty means all of them."""


class ResourceRequirements(ApiStruct, kw_only=True):
    """How much of each resource is reserved and how much may be used at most."""

    limits: Annotated[dict[str, Quantity], pb(1)] = {}
    """The most that may be used. More CPU is throttled; more memory ends the container with
    OOMKilled."""
    requests: Annotated[dict[str, Quantity], pb(2)] = {}
    """What is reserved on the node. Default: the limit, if there is one."""
    claims: Annotated[list[ResourceClaim], pb(3), list_map("name")] = []
    """Devices that are used, by the names under which the pod claims them."""


class VolumeResourceRequirements(ApiStruct, kw_only=True):
    """How large a claimed volume must be."""

    limits: Annotated[dict[str, Quantity], pb(1)] = {}
    """The largest size that is acceptable."""
    requests: Annotated[dict[str, Quantity], pb(2)] = {}
    """The smallest size that is acceptable."""


class ResourceHealth(ApiStruct, kw_only=True):
    """Health of one device that a container uses."""

    resource_id: Annotated[str, pb(1)]
    """Identity of the device within its resource."""
    health: Annotated[ResourceHealthStatus, pb(2)] = ""
    """`Healthy`, `Unhealthy` or `Unknown`."""


class ResourceStatus(ApiStruct, kw_only=True):
    """Health of the devices of one resource."""

    name: Annotated[ResourceName, pb(1)]
    """Name of the resource, or `claim:NAME/REQUEST`."""
    resources: Annotated[list[ResourceHealth], pb(2), list_map("resourceID")] = []
    """One entry for each device."""


class PodResourceClaim(ApiStruct, kw_only=True):
    """A claim for devices that the containers of the pod may use. Exactly one of its sources must
    be set."""

    name: Annotated[str, pb(1)]
    """Name by which containers refer to the claim."""
    resource_claim_name: Annotated[str | None, pb(3)] = None
    """An existing ResourceClaim in the same namespace."""
    resource_claim_template_name: Annotated[str | None, pb(4)] = None
    """A template from which a claim is made for this pod alone."""


class PodResourceClaimStatus(ApiStruct, kw_only=True):
    """Which claim an entry of `resourceClaims` came to use."""

    name: Annotated[str, pb(1)]
    """Name of the entry."""
    resource_claim_name: Annotated[str | None, pb(2)] = None
    """Name of the ResourceClaim; absent if none was needed."""


class ContainerExtendedResourceRequest(ApiStruct, kw_only=True):
    """Which device request fulfils a container's extended resource."""

    container_name: Annotated[str, pb(1)]
    """The container."""
    resource_name: Annotated[str, pb(2)]
    """The extended resource that it asks for."""
    request_name: Annotated[str, pb(3)]
    """The request in the claim that provides it."""


class PodExtendedResourceClaimStatus(ApiStruct, kw_only=True):
    """The claim that provides the extended resources of a pod."""

    request_mappings: Annotated[list[ContainerExtendedResourceRequest], pb(1), LIST_ATOMIC]
    """Which request serves which container."""
    resource_claim_name: Annotated[str, pb(2)]
    """Name of the ResourceClaim."""
