"""NodeRestriction: what a node may write into the objects it is allowed to write (RELIABILITY A3).

Serves steps 4 and 5 of the pod's walk. The authoriser has already looked at the request's address;
here the object itself is read: a node writes only its own Node and Lease, touches only pods that
are bound to it, and cannot give itself labels or lose taints that decide which pods come to it. It
gets tokens only for its pods: bound to them, and for audiences that they ask for.
"""

from __future__ import annotations

from collections.abc import Collection

from api import errors, nodelabels
from api.authentication import TokenRequest
from api.coordination import Lease
from api.core import Node, Pod, PodSpec, ServiceAccount
from api.scheme import Resource, resource_of
from control.admission.chain import Attributes, Operation, Plugin, Reader
from control.auth.nodes import NODE_LEASES, references

_MIRROR = "kubernetes.io/config.mirror"


class NodeRestriction(Plugin):
    """`audiences`: who this server is; a token that is meant for it may always be asked for."""

    name = "NodeRestriction"

    def __init__(self, reader: Reader, audiences: Collection[str]) -> None:
        self._reader = reader
        self._audiences = frozenset(audiences)

    def handles(self, resource: Resource, operation: Operation, subresource: str) -> bool:
        if resource.type is ServiceAccount:
            return subresource == "token"
        return resource.type in (Node, Pod, Lease)

    async def admit(self, request: Attributes) -> None:
        node = request.user.node_name
        if not node:
            return
        if request.resource.type is Node:
            why = _node_error(request, node)
        elif request.resource.type is Pod:
            why = _pod_error(request, node)
        elif request.resource.type is ServiceAccount:
            why = await self._token_error(request, node)
        else:
            why = _lease_error(request, node)
        if why:
            raise errors.forbidden(request.resource, request.name, why)

    async def _token_error(self, request: Attributes, node: str) -> str:
        spec = request.object.spec
        bound_to = spec.bound_object_ref
        if bound_to is None or (bound_to.api_version, bound_to.kind) != ("v1", "Pod"):
            return "node requested token not bound to a pod"
        if not bound_to.uid:
            return "node requested token with a pod binding without a uid"
        await self._reader.fresh(Pod)
        pod = self._reader.get(Pod, bound_to.name, request.namespace)
        if pod is None:
            raise errors.not_found(resource_of(Pod), bound_to.name)
        return token_fault(request.object, pod, node, self._audiences)


def token_fault(
    asked: TokenRequest, pod: Pod, node: str, audiences: Collection[str]
) -> str:  # fmt: skip
    """Why a node does not get the token that it asks for on behalf of a pod."""
    bound_to = asked.spec.bound_object_ref
    if bound_to is None or pod.metadata.uid != bound_to.uid:
        return (
            f"the UID in the bound object reference ({bound_to.uid if bound_to else ''}) does not "
            "match the UID in record. The object might have been deleted and then recreated"
        )
    if pod.spec.node_name != node:
        return "node requested token bound to a pod scheduled on a different node"
    wanted = _token_audiences(pod)
    for audience in asked.spec.audiences:
        if audience not in audiences and audience not in wanted:
            return f'audience "{audience}" not found in pod spec volume'
    return ""


def _token_audiences(pod: Pod) -> set[str]:
    sources = (
        source.service_account_token
        for volume in pod.spec.volumes
        if volume.projected is not None
        for source in volume.projected.sources
    )
    return {token.audience for token in sources if token is not None and token.audience}


def _lease_error(request: Attributes, node: str) -> str:
    if request.namespace != NODE_LEASES or request.name != node:
        return f'node "{node}" can only access node lease "{node}" in {NODE_LEASES}'
    return ""


def _node_error(request: Attributes, node: str) -> str:
    if request.name != node:
        return f'node "{node}" is not allowed to modify node "{request.name}"'
    if request.operation is Operation.DELETE or request.subresource not in ("", "status"):
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
        if before.get(key) != new.metadata.labels.get(key) and not nodelabels.allowed(key)
    )
    if refused:
        return f"is not allowed to modify labels: {', '.join(refused)}"
    return ""


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
        if request.object.metadata.finalizers != old.metadata.finalizers:
            return f'node "{node}" cannot update finalizers through pod status'
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
