"""What a node may read and write: its own affairs and what its pods refer to (RELIABILITY A2, A3).

Serves steps 4 and 5 of the pod's walk. Here the address of the request decides; what may stand in
an object that a node writes is `control/admission/noderestriction.py`'s business.

A Secret may be read by a node only while a pod bound to it refers to it by name, so a stolen node
key opens the secrets of that node's pods and no others; with claims and their volumes it is the same.
The pods of a node are found through the
watch cache's fields, which costs a few microseconds per hundred pods; only the node's own pods are
decoded. A pod that was bound a moment ago counts: on a miss the cache is first brought up to date.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from api.certificates import CertificateSigningRequest
from api.core import PersistentVolumeClaim, Pod
from api.core.container import Container, EphemeralContainer
from api.selectors import parse_field_selector
from control.admission.chain import Reader
from control.auth.authorization import ALLOWED, NO_OPINION, Access, Decision

NODE_LEASES = "kube-node-lease"

_READ = frozenset({"get", "list", "watch"})
_READ_ALL = frozenset(
    {
        ("", "services"),
        ("", "endpoints"),
        ("discovery.k8s.io", "endpointslices"),
        ("node.k8s.io", "runtimeclasses"),
    }
)
_REVIEWS = frozenset(
    {
        ("authentication.k8s.io", "tokenreviews"),
        ("authorization.k8s.io", "subjectaccessreviews"),
        ("authorization.k8s.io", "localsubjectaccessreviews"),
    }
)
"""What an agent asks about those who ask it, as the role `system:node` has it."""
_CLAIMS = "persistentvolumeclaims"
_REFERENCED = frozenset({"secrets", "configmaps", _CLAIMS})


class PodsOfNode(Protocol):
    """The pods bound to a node, from the cache."""

    async def fresh(self) -> None: ...

    def bound_to(self, node: str) -> Iterable[Pod]: ...


class NodeAuthorizer:
    """Decides for users that are nodes."""

    def __init__(self, pods: PodsOfNode, reader: Reader) -> None:
        self._pods = pods
        self._reader = reader

    async def authorize(self, access: Access, node: str) -> Decision:
        if (access.group, access.resource) in _READ_ALL and access.verb in _READ:
            return NO_OPINION if access.subresource else ALLOWED  # to read is not to connect
        if (access.group, access.resource) in _REVIEWS and access.verb == "create":
            return ALLOWED
        if access.group == "" and access.resource in _REFERENCED:
            return await self._authorize_reference(access, node)
        if (access.group, access.resource) == ("", "persistentvolumes"):
            return await self._authorize_volume(access, node)
        if (access.group, access.resource) == ("", "serviceaccounts"):
            return await self._authorize_token(access, node)
        if (access.group, access.resource) == ("", "pods"):
            return await self._authorize_pods(access, node)
        rule = {
            ("", "nodes"): _authorize_node,
            ("", "events"): _authorize_events,
            ("events.k8s.io", "events"): _authorize_events,
            ("coordination.k8s.io", "leases"): _authorize_lease,
        }.get((access.group, access.resource))
        if rule is not None:
            return rule(access, node)
        if access.resource == "certificatesigningrequests":
            return await self._authorize_request(access)
        return NO_OPINION

    async def _authorize_pods(self, access: Access, node: str) -> Decision:
        if access.subresource == "status":
            return ALLOWED if access.verb in ("get", "update", "patch") else NO_OPINION
        if access.subresource:
            return NO_OPINION
        if access.verb in ("create", "delete"):
            return ALLOWED  # which pods, admission decides
        if access.verb == "get" or (access.verb == "watch" and access.name):
            return await self._authorize_pod(access, node)
        if access.verb in ("list", "watch"):
            if _selected(access.field_selector).get("spec.nodeName") == node:
                return ALLOWED
            return Decision(
                False,
                f"node '{node}' may list only pods with field selector spec.nodeName={node}",
            )
        return NO_OPINION

    async def _authorize_pod(self, access: Access, node: str) -> Decision:
        pod = self._reader.get(Pod, access.name, access.namespace)
        if pod is None or pod.spec.node_name != node:
            await (
                self._pods.fresh()
            )  # one that was made a moment ago may be another node's, or its own
            pod = self._reader.get(Pod, access.name, access.namespace)
        if pod is not None and pod.spec.node_name == node:
            return ALLOWED
        if pod is None and access.verb == "get":
            return ALLOWED  # answered with 404, which the agent must learn
        return Decision(False, f"no relationship found between node '{node}' and this object")

    async def _authorize_reference(self, access: Access, node: str) -> Decision:
        if access.verb not in _READ or access.subresource:
            return Decision(False, f"node {node!r} may only read {access.resource}")
        name = access.name or _only_name(access.field_selector)
        if not name or not access.namespace:
            return Decision(
                False, f"node {node!r} may read only single {access.resource}, by their name"
            )
        if self._refers(node, access.resource, access.namespace, name):
            return ALLOWED
        await self._pods.fresh()
        if self._refers(node, access.resource, access.namespace, name):
            return ALLOWED
        return Decision(
            False,
            f"no relationship found between node '{node}' and this object",
        )

    def _refers(self, node: str, resource: str, namespace: str, name: str) -> bool:
        return any(
            pod.metadata.namespace == namespace and (resource, name) in references(pod)
            for pod in self._pods.bound_to(node)
        )

    async def _authorize_volume(self, access: Access, node: str) -> Decision:
        """Volumes that claims of its pods are bound to."""
        name = access.name or _only_name(access.field_selector)
        if access.verb not in _READ or access.subresource or not name:
            return Decision(False, f"node {node!r} may only read single {access.resource}")
        if self._claims(node, name):
            return ALLOWED
        await self._pods.fresh()
        if self._claims(node, name):
            return ALLOWED
        return Decision(False, f"no relationship found between node '{node}' and this object")

    def _claims(self, node: str, volume: str) -> bool:
        for pod in self._pods.bound_to(node):
            for resource, name in references(pod):
                if resource != _CLAIMS:
                    continue
                claim = self._reader.get(PersistentVolumeClaim, name, pod.metadata.namespace)
                if claim is not None and claim.spec.volume_name == volume:
                    return True
        return False

    async def _authorize_token(self, access: Access, node: str) -> Decision:
        """Tokens of accounts that its pods run as; which of them, admission decides."""
        if access.verb != "create" or access.subresource != "token":
            return NO_OPINION
        if not access.name or not access.namespace:
            return Decision(False, "can only create tokens for individual service accounts")
        if not self._runs(node, access.namespace, access.name):
            await self._pods.fresh()
            if not self._runs(node, access.namespace, access.name):
                return Decision(
                    False, f"no relationship found between node '{node}' and this object"
                )
        return ALLOWED

    def _runs(self, node: str, namespace: str, account: str) -> bool:
        return any(
            pod.metadata.namespace == namespace and pod.spec.service_account_name == account
            for pod in self._pods.bound_to(node)
        )

    async def _authorize_request(self, access: Access) -> Decision:
        """A node asks for certificates, and sees what became of its own requests."""
        if access.subresource or access.verb not in ("create", "get", "list", "watch"):
            return NO_OPINION
        if access.verb == "create":
            return ALLOWED
        return own_request(self._reader, access)


def own_request(reader: Reader, access: Access) -> Decision:
    """Whether a certificate request is the caller's; one that is not there may be asked for."""
    name = access.name or _only_name(access.field_selector)
    if not name:
        return Decision(False, "may read only single certificate requests, by their name")
    request = reader.get(CertificateSigningRequest, name)
    if request is None or request.spec.username == access.user.name:
        return ALLOWED
    return Decision(False, "this certificate request is somebody else's")


def _authorize_node(access: Access, node: str) -> Decision:
    if access.subresource not in ("", "status"):
        return NO_OPINION
    if access.verb == "create" and not access.subresource:
        return ALLOWED  # under its own name only: admission looks into the object
    if access.verb in _READ:
        return ALLOWED  # the agent routes to every other node's pods
    if access.verb not in ("update", "patch"):
        return NO_OPINION  # nor delete: one made anew would be without its taints
    if access.name == node:
        return ALLOWED
    return Decision(False, f"node '{node}' may write only its own Node")


def _authorize_events(access: Access, node: str) -> Decision:
    return ALLOWED if access.verb in ("create", "update", "patch") else NO_OPINION


def _authorize_lease(access: Access, node: str) -> Decision:
    if access.namespace != NODE_LEASES:
        return Decision(False, f"node '{node}' has a lease only in {NODE_LEASES}")
    if access.verb == "create":
        return ALLOWED  # under its own name only: admission looks into the object
    if access.name == node and access.verb in ("get", "update", "patch", "delete"):
        return ALLOWED
    return Decision(False, f"node '{node}' may use only its own lease")


def _selected(field_selector: str) -> Mapping[str, str]:
    try:
        terms = parse_field_selector(field_selector).terms
    except ValueError:
        return {}  # the list itself will say what is wrong with it
    return {term.path: term.value for term in terms if term.equal}


def _only_name(field_selector: str) -> str:
    return _selected(field_selector).get("metadata.name", "") if field_selector else ""


def references(pod: Pod) -> set[tuple[str, str]]:
    """What the pod needs read by its node: (`secrets`, `configmaps` or `persistentvolumeclaims`, name)."""
    return {(resource, name) for resource, name in _references(pod) if name}


def _references(pod: Pod) -> Iterator[tuple[str, str]]:
    spec = pod.spec
    for pull in spec.image_pull_secrets:
        yield "secrets", pull.name
    containers: list[Container | EphemeralContainer] = [*spec.init_containers, *spec.containers]
    for container in (*containers, *spec.ephemeral_containers):
        yield from _environment(container)
    for volume in spec.volumes:
        if volume.secret is not None:
            yield "secrets", volume.secret.secret_name
        if volume.config_map is not None:
            yield "configmaps", volume.config_map.name
        if volume.persistent_volume_claim is not None:
            yield _CLAIMS, volume.persistent_volume_claim.claim_name
        if volume.ephemeral is not None:
            yield _CLAIMS, f"{pod.metadata.name}-{volume.name}"
        if volume.projected is not None:
            for source in volume.projected.sources:
                if source.secret is not None:
                    yield "secrets", source.secret.name
                if source.config_map is not None:
                    yield "configmaps", source.config_map.name


def _environment(container: Container | EphemeralContainer) -> Iterator[tuple[str, str]]:
    for all_of in container.env_from:
        if all_of.secret_ref is not None:
            yield "secrets", all_of.secret_ref.name
        if all_of.config_map_ref is not None:
            yield "configmaps", all_of.config_map_ref.name
    for variable in container.env:
        source = variable.value_from
        if source is None:
            continue
        if source.secret_key_ref is not None:
            yield "secrets", source.secret_key_ref.name
        if source.config_map_key_ref is not None:
            yield "configmaps", source.config_map_key_ref.name
