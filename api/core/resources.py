"""DOC core/resources."""

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
    """DOC ResourceClaim."""

    name: Annotated[str, pb(1)]
    request: Annotated[str, pb(2)] = ""


class ResourceRequirements(ApiStruct, kw_only=True):
    """DOC ResourceRequirements."""

    limits: Annotated[dict[str, Quantity], pb(1)] = {}
    requests: Annotated[dict[str, Quantity], pb(2)] = {}
    claims: Annotated[list[ResourceClaim], pb(3), list_map("name")] = []


class VolumeResourceRequirements(ApiStruct, kw_only=True):
    """DOC VolumeResourceRequirements."""

    limits: Annotated[dict[str, Quantity], pb(1)] = {}
    requests: Annotated[dict[str, Quantity], pb(2)] = {}


class ResourceHealth(ApiStruct, kw_only=True):
    """DOC ResourceHealth."""

    resource_id: Annotated[str, pb(1)]
    health: Annotated[ResourceHealthStatus, pb(2)] = ""


class ResourceStatus(ApiStruct, kw_only=True):
    """DOC ResourceStatus."""

    name: Annotated[ResourceName, pb(1)]
    resources: Annotated[list[ResourceHealth], pb(2), list_map("resourceID")] = []


class PodResourceClaim(ApiStruct, kw_only=True):
    """DOC PodResourceClaim."""

    name: Annotated[str, pb(1)]
    resource_claim_name: Annotated[str | None, pb(3)] = None
    resource_claim_template_name: Annotated[str | None, pb(4)] = None


class PodResourceClaimStatus(ApiStruct, kw_only=True):
    """DOC PodResourceClaimStatus."""

    name: Annotated[str, pb(1)]
    resource_claim_name: Annotated[str | None, pb(2)] = None


class ContainerExtendedResourceRequest(ApiStruct, kw_only=True):
    """DOC ContainerExtendedResourceRequest."""

    container_name: Annotated[str, pb(1)]
    resource_name: Annotated[str, pb(2)]
    request_name: Annotated[str, pb(3)]


class PodExtendedResourceClaimStatus(ApiStruct, kw_only=True):
    """DOC PodExtendedResourceClaimStatus."""

    request_mappings: Annotated[list[ContainerExtendedResourceRequest], pb(1), LIST_ATOMIC]
    resource_claim_name: Annotated[str, pb(2)]
