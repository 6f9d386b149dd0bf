"""Wire names: one rename function from Python attribute names to Kubernetes' JSON names.

Serves step 1 of the pod's walk (decoding). Attributes are snake_case; the wire is camelCase,
except for the names below, where Kubernetes writes an acronym in capitals. Every Struct in
`api` uses this one function; a unit test compares each name with the published API.
"""

from functools import cache

_ACRONYMS = {
    "boot_id": "bootID",
    "client_cidr": "clientCIDR",
    "client_ip": "clientIP",
    "cluster_ip": "clusterIP",
    "cluster_ips": "clusterIPs",
    "container_id": "containerID",
    "current_cpu_utilization_percentage": "currentCPUUtilizationPercentage",
    "dataset_uuid": "datasetUUID",
    "disk_uri": "diskURI",
    "downward_api": "downwardAPI",
    "external_id": "externalID",
    "external_ips": "externalIPs",
    "host_ip": "hostIP",
    "host_ipc": "hostIPC",
    "host_ips": "hostIPs",
    "host_pid": "hostPID",
    "image_id": "imageID",
    "insecure_skip_tls_verify": "insecureSkipTLSVerify",
    "insecure_skip_tls_verify_backend": "insecureSkipTLSVerifyBackend",
    "load_balancer_ip": "loadBalancerIP",
    "machine_id": "machineID",
    "node_id": "nodeID",
    "non_resource_urls": "nonResourceURLs",
    "open_api_v3_schema": "openAPIV3Schema",
    "pd_id": "pdID",
    "pod_cidr": "podCIDR",
    "pod_cidrs": "podCIDRs",
    "pod_ip": "podIP",
    "pod_ips": "podIPs",
    "provider_id": "providerID",
    "resource_id": "resourceID",
    "scale_io": "scaleIO",
    "server_address_by_client_cidrs": "serverAddressByClientCIDRs",
    "set_hostname_as_fqdn": "setHostnameAsFQDN",
    "storage_policy_id": "storagePolicyID",
    "system_uuid": "systemUUID",
    "target_cpu_utilization_percentage": "targetCPUUtilizationPercentage",
    "target_wwns": "targetWWNs",
    "volume_id": "volumeID",
}


@cache
def wire_name(attribute: str) -> str:
    """The JSON name of a Struct attribute: `pod_ip` → `podIP`, `continue_` → `continue`.

    A trailing underscore only keeps a Python keyword apart and is dropped.
    """
    exception = _ACRONYMS.get(attribute)
    if exception is not None:
        return exception
    first, *rest = attribute.rstrip("_").split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)
