"""NodeRestriction: what a node may write into the objects it is allowed to write (RELIABILITY A3).

Serves steps 4 and 5 of the pod's walk. The authoriser has already looked at the request's address;
here the object itself is read: a node writes only its own Node and Lease, touches only pods that
are bound to it, and cannot give itself labels or lose taints that decide which pods come to it.
"""

from __future__ import annotations

from api import errors
from api.coordination import Lease
from api.core import Node, Pod, PodSpec
from api.scheme import Resource
from control.admission.chain import Attributes, Operation, Plugin
from control.auth.nodes import NODE_LEASES, references

_MIRROR = "kubernetes.io/config.mirror"
_RESTRICTED = "node-restriction.kubernetes.io"
# Labels under Kubernetes' own domains that a node may set on itself.
_ALLOWED_LABELS = frozenset(
    {
        "kubernetes.io/hostname",
        "kubernetes.io/arch",
        "kubernetes.io/os",
        "beta.kubernetes.io/arch",
        "beta.kubernetes.io/os",
        "beta.kubernetes.io/instance-type",
        "node.kubernetes.io/instance-type",
        "failure-domain.beta.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
        "topology.kubernetes.io/region",
        "topology.kubernetes.io/zone",
    }
)
_ALLOWED_DOMAINS = ("kubelet.kubernetes.io", "node.kubernetes.io")


class NodeRestriction(Plugin):
    name = "NodeRestriction"

    def handles(self, resource: Resource, operation: Operation, subresource: str) -> bool:
        return resource.type in (Node, Pod, Lease)

    async def admit(self, request: Attributes) -> None:
        node = request.user.node_name
        if not node:
            return
        if request.resource.type is Node:
            why = _node_error(request, node)
        elif request.resource.type is Pod:
            why = _pod_error(request, node)
        else:
            why = _lease_error(request, node)
        if why:
            raise errors.forbidden(request.resource, request.name, why)


def _lease_error(request: Attributes, node: str) -> str:
    if request.namespace != NODE_LEASES or request.name != node:
        return f'node "{node}" can only access node lease "{node}" in {NODE_LEASES}'
    return ""


def _node_error(request: Attributes, node: str) -> str:
    if request.name != node:
        return f'node "{node}" is not allowed to modify node "{request.name}"'
    if request.operation is Operation.DELETE or request.subresource:
        return ""
    new: Node = request.object
    old: Node | None = request.old
    if new.spec.config_source is not None and old is None:
        return f'node "{node}" is not allowed to create pods with a non-nil configSource'
    if old is not None and new.spec.taints != old.spec.taints:
        return f'node "{node}" is not allowed to modify taints'
    if new.metadata.owner_references != (old.metadata.owner_references if old is not None else []):
        return f'node "{node}" is not allowed to modify ownerReferences'  # it would be collected
    if new.spec.pod_cidrs != (old.spec.pod_cidrs if old is not None else []):
        return f'node "{node}" is not allowed to choose its podCIDR'
    before = old.metadata.labels if old is not None else {}
    refused = sorted(
        key
        for key in before.keys() | new.metadata.labels.keys()
        if before.get(key) != new.metadata.labels.get(key) and not label_allowed(key)
    )
    if refused:
        return f"is not allowed to modify labels: {', '.join(refused)}"
    return ""


def label_allowed(key: str) -> bool:
    """Whether a node may set or change this label of its own."""
    domain, slash, _ = key.partition("/")
    if not slash:
        return True
    if _below(domain, _RESTRICTED):
        return False
    if not (_below(domain, "kubernetes.io") or _below(domain, "k8s.io")):
        return True
    return key in _ALLOWED_LABELS or any(_below(domain, one) for one in _ALLOWED_DOMAINS)


def _below(domain: str, parent: str) -> bool:
    return domain == parent or domain.endswith("." + parent)


def _pod_error(request: Attributes, node: str) -> str:
    if request.operation is Operation.CREATE:
        if request.subresource:
            return f'node "{node}" cannot create subresource {request.subresource} of pods'
        return _mirror_error(request.object, node)
    old: Pod = request.old
    if old.spec.node_name != node:
        return (
            f'node "{node}" can only {request.operation.lower()} pods with spec.nodeName set to '
            "itself"
        )
    if request.operation is Operation.UPDATE:
        if request.subresource != "status":
            return f'node "{node}" can only update the status of pods'
        if request.object.metadata.labels != old.metadata.labels:
            return f'node "{node}" cannot update labels through pod status'
    return ""


def _mirror_error(pod: Pod, node: str) -> str:
    if _MIRROR not in pod.metadata.annotations:
        return (
            f'pod does not have "{_MIRROR}" annotation, node "{node}" can only create mirror pods'
        )
    if pod.spec.node_name != node:
        return f'node "{node}" can only create pods with spec.nodeName set to itself'
    if pod.spec.service_account_name:
        return f'node "{node}" can not create pods that reference a service account'
    if references(pod) or _claims(pod.spec):
        return f'node "{node}" can not create pods that reference other objects'
    owners = pod.metadata.owner_references
    if len(owners) != 1 or owners[0].kind != "Node" or owners[0].name != node:
        return f'node "{node}" can only create pods whose owner is its own Node'
    return ""


def _claims(spec: PodSpec) -> bool:
    return any(
        volume.persistent_volume_claim is not None or volume.ephemeral is not None
        for volume in spec.volumes
    )
