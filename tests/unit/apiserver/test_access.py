"""Who may do what, without a server: tables of users and requests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from api import nodelabels
from api.core import (
    ConfigMapEnvSource,
    ConfigMapVolumeSource,
    Container,
    EnvFromSource,
    EnvVar,
    EnvVarSource,
    LocalObjectReference,
    Pod,
    PodSpec,
    ProjectedVolumeSource,
    SecretKeySelector,
    SecretProjection,
    SecretVolumeSource,
    Volume,
    VolumeProjection,
)
from api.meta import ObjectMeta
from control.auth.authorization import ALLOWED, Access, Decision, SimpleAuthorizer, refusal
from control.auth.nodes import NodeAuthorizer, own_request, references
from control.auth.user import ANONYMOUS, User, in_process

NODE = User("system:node:n1", ("system:nodes", "system:authenticated"))
JOINING = User("system:bootstrap:abcdef", ("system:bootstrappers", "system:authenticated"))
JANE = User("jane", ("developers", "system:authenticated"))
ROBOT = User(
    "system:serviceaccount:ns:robot",
    ("system:serviceaccounts", "system:serviceaccounts:ns", "system:authenticated"),
)
MASTER = in_process("system:apiserver")


def pod_with_secret() -> Pod:
    return Pod(
        metadata=ObjectMeta(name="p", namespace="ns"),
        spec=PodSpec(
            node_name="n1",
            service_account_name="robot",
            containers=[
                Container(
                    name="c",
                    env=[
                        EnvVar(
                            name="E",
                            value_from=EnvVarSource(
                                secret_key_ref=SecretKeySelector(name="env", key="k")
                            ),
                        )
                    ],
                    env_from=[EnvFromSource(config_map_ref=ConfigMapEnvSource(name="from"))],
                )
            ],
            image_pull_secrets=[LocalObjectReference(name="pull")],
            volumes=[
                Volume(name="a", secret=SecretVolumeSource(secret_name="volume")),
                Volume(name="b", config_map=ConfigMapVolumeSource(name="files")),
                Volume(
                    name="c",
                    projected=ProjectedVolumeSource(
                        sources=[VolumeProjection(secret=SecretProjection(name="projected"))]
                    ),
                ),
            ],
        ),
    )


class Pods:
    """One pod of node n1; seen only after the cache was refreshed."""

    def __init__(self) -> None:
        self.refreshed = 0

    async def fresh(self) -> None:
        self.refreshed += 1

    def bound_to(self, node: str) -> Iterable[Pod]:
        return [pod_with_secret()] if node == "n1" and self.refreshed else []


class Nothing:
    """A reader that finds nothing."""

    def get(self, type_: type[Any], name: str, namespace: str = "") -> Any:
        return None

    def list(self, type_: type[Any], namespace: str = "") -> Any:
        return []

    async def fresh(self, type_: type[Any]) -> None:
        return None


@pytest.fixture
def authorizer() -> SimpleAuthorizer:
    reader = Nothing()
    return SimpleAuthorizer(
        NodeAuthorizer(Pods(), reader), own_request=lambda access: own_request(reader, access)
    )


def test_every_way_to_refer_to_a_secret_counts() -> None:
    assert references(pod_with_secret()) == {
        ("secrets", "env"),
        ("secrets", "pull"),
        ("secrets", "volume"),
        ("secrets", "projected"),
        ("configmaps", "from"),
        ("configmaps", "files"),
    }


CERTIFICATES = {"group": "certificates.k8s.io", "resource": "certificatesigningrequests"}
AUTHENTICATION = "authentication.k8s.io"
TOKEN = {"resource": "serviceaccounts", "subresource": "token"}
LEASES = {"group": "coordination.k8s.io", "resource": "leases"}
TOKEN_REVIEWS = {"group": "authentication.k8s.io", "resource": "tokenreviews"}
ACCESS_REVIEWS = {"group": "authorization.k8s.io", "resource": "subjectaccessreviews"}


@pytest.mark.parametrize(
    ("user", "verb", "more", "allowed"),
    [
        (MASTER, "delete", {"resource": "namespaces"}, True),
        (MASTER, "get", {"path": "/metrics"}, True),
        (ANONYMOUS, "get", {"path": "/healthz"}, True),
        (ANONYMOUS, "get", {"path": "/readyz/ping"}, True),
        (ANONYMOUS, "get", {"path": "/version/"}, True),
        (ANONYMOUS, "post", {"path": "/healthz"}, False),
        (ANONYMOUS, "get", {"path": "/healthzz"}, False),
        (ANONYMOUS, "get", {"path": "/api"}, False),
        (JANE, "get", {"path": "/api"}, True),
        (JANE, "get", {"path": "/openapi/v3/api/v1"}, True),
        (JANE, "get", {"path": "/apinonsense"}, False),
        (JANE, "get", {"path": "/metrics"}, False),
        (JANE, "list", {"resource": "pods"}, False),
        (JOINING, "create", CERTIFICATES, True),
        (JOINING, "get", {**CERTIFICATES, "name": "own"}, True),
        (JOINING, "list", CERTIFICATES, False),
        (JOINING, "list", {**CERTIFICATES, "field_selector": "metadata.name=own"}, True),
        (JOINING, "update", {**CERTIFICATES, "subresource": "approval", "name": "own"}, False),
        (JOINING, "create", {"resource": "nodes"}, False),
        (NODE, "create", {"resource": "nodes", "name": ""}, True),
        (NODE, "patch", {"resource": "nodes", "subresource": "status", "name": "n1"}, True),
        (NODE, "patch", {"resource": "nodes", "subresource": "status", "name": "n2"}, False),
        (NODE, "deletecollection", {"resource": "nodes"}, False),
        (NODE, "patch", {"resource": "nodes", "subresource": "proxy", "name": "n1"}, False),
        (NODE, "watch", {"resource": "services"}, True),
        (NODE, "create", {"resource": "services"}, False),
        (NODE, "get", {"resource": "services", "namespace": "ns", "name": "s"}, True),
        (NODE, "get", {"resource": "services", "subresource": "proxy", "name": "s"}, False),
        (NODE, "get", {"resource": "secrets", "namespace": "ns", "name": "volume"}, True),
        (NODE, "get", {"resource": "secrets", "namespace": "ns", "name": "other"}, False),
        (NODE, "get", {"resource": "secrets", "namespace": "else", "name": "volume"}, False),
        (NODE, "list", {"resource": "secrets", "namespace": "ns"}, False),
        (NODE, "delete", {"resource": "secrets", "namespace": "ns", "name": "volume"}, False),
        (NODE, "get", {"resource": "configmaps", "namespace": "ns", "name": "files"}, True),
        (NODE, "list", {"resource": "pods"}, False),
        (NODE, "list", {"resource": "pods", "field_selector": "spec.nodeName=n1"}, True),
        (NODE, "watch", {"resource": "pods", "field_selector": "spec.nodeName=n2"}, False),
        (NODE, "watch", {"resource": "pods", "field_selector": "spec.nodeName!=n1"}, False),
        (NODE, "update", {"resource": "pods", "name": "p", "namespace": "ns"}, False),
        (NODE, "create", {"resource": "pods", "subresource": "exec", "name": "p"}, False),
        (NODE, "create", {**TOKEN, "namespace": "ns", "name": "robot"}, True),
        (NODE, "create", {**TOKEN, "namespace": "ns", "name": "other"}, False),
        (NODE, "create", {**TOKEN, "namespace": "else", "name": "robot"}, False),
        (NODE, "create", {**TOKEN, "namespace": "ns"}, False),
        (NODE, "get", {"resource": "serviceaccounts", "namespace": "ns", "name": "robot"}, False),
        (NODE, "create", {"resource": "serviceaccounts", "namespace": "ns"}, False),
        (ROBOT, "get", {"path": "/api"}, True),
        (ROBOT, "get", {"path": "/openapi/v3"}, True),
        (ROBOT, "get", {"path": "/openid/v1/jwks"}, True),
        (ROBOT, "get", {"path": "/.well-known/openid-configuration"}, True),
        (JANE, "get", {"path": "/openid/v1/jwks"}, False),
        (ANONYMOUS, "get", {"path": "/.well-known/openid-configuration"}, False),
        (ROBOT, "get", {"path": "/metrics"}, False),
        (ROBOT, "get", {"resource": "pods", "namespace": "ns", "name": "p"}, False),
        (ROBOT, "create", {**TOKEN, "namespace": "ns", "name": "robot"}, False),
        (ROBOT, "create", {"group": AUTHENTICATION, "resource": "tokenreviews"}, False),
        (ROBOT, "create", {"group": AUTHENTICATION, "resource": "selfsubjectreviews"}, True),
        (NODE, "create", {"resource": "events", "namespace": "ns"}, True),
        (NODE, "list", {"resource": "events"}, False),
        (NODE, "update", {**LEASES, "namespace": "kube-node-lease", "name": "n1"}, True),
        (NODE, "update", {**LEASES, "namespace": "kube-node-lease", "name": "n2"}, False),
        (NODE, "update", {**LEASES, "namespace": "kube-system", "name": "n1"}, False),
        (NODE, "list", {"group": "apps", "resource": "deployments"}, False),
        (NODE, "create", TOKEN_REVIEWS, True),
        (NODE, "create", ACCESS_REVIEWS, True),
        (NODE, "get", TOKEN_REVIEWS, False),
        (JOINING, "create", TOKEN_REVIEWS, False),
        (User("system:node:n1"), "list", {"resource": "services"}, False),
        (User("n1", ("system:nodes",)), "list", {"resource": "services"}, False),
    ],
)
async def test_decisions(
    authorizer: SimpleAuthorizer, user: User, verb: str, more: dict[str, str], allowed: bool
) -> None:
    decision: Decision = await authorizer.authorize(Access(user=user, verb=verb, **more))
    assert decision.allowed is allowed


def test_an_allowed_decision_needs_no_words() -> None:
    assert ALLOWED.allowed and not ALLOWED.reason


@pytest.mark.parametrize(
    ("more", "text"),
    [
        (
            {"resource": "pods", "namespace": "ns", "name": "p"},
            'pods "p" is forbidden: User "jane" cannot get resource "pods" in API group "" '
            'in the namespace "ns"',
        ),
        (
            {"resource": "deployments", "group": "apps", "subresource": "scale"},
            'deployments.apps is forbidden: User "jane" cannot get resource "deployments/scale" '
            'in API group "apps" at the cluster scope',
        ),
        ({"path": "/metrics"}, 'forbidden: User "jane" cannot get path "/metrics"'),
    ],
)
def test_refusals_are_worded_as_kubernetes_words_them(more: dict[str, str], text: str) -> None:
    access = Access(user=JANE, verb="get", **more)
    assert refusal(access, "") == text
    assert refusal(access, "because") == f"{text}: because"


@pytest.mark.parametrize(
    ("key", "allowed"),
    [
        ("rack", True),
        ("example.com/rack", True),
        ("kubernetes.io/hostname", True),
        ("topology.kubernetes.io/zone", True),
        ("node.kubernetes.io/anything", True),
        ("kubelet.kubernetes.io/anything", True),
        ("node-role.kubernetes.io/control-plane", False),
        ("node-restriction.kubernetes.io/x", False),
        ("sub.node-restriction.kubernetes.io/x", False),
        ("kubernetes.io/x", False),
        ("x.k8s.io/y", False),
        ("notkubernetes.io/x", True),
    ],
)
def test_labels_a_node_may_give_itself(key: str, allowed: bool) -> None:
    assert nodelabels.allowed(key) is allowed


async def test_a_pod_that_the_cache_has_not_seen_yet_is_looked_for() -> None:
    """It may be another node's, made a moment ago; what nobody knows is answered with 404."""
    pods = Pods()

    class Late(Nothing):
        def get(self, type_: type[Any], name: str, namespace: str = "") -> Any:
            found = pod_with_secret()
            found.spec.node_name = "n1"
            return found if pods.refreshed and name == "web" else None

    authorizer = NodeAuthorizer(pods, Late())

    async def may(node: str, name: str) -> bool:
        pods.refreshed = 0
        user = User(name=f"system:node:{node}", groups=("system:nodes",))
        access = Access(user=user, verb="get", resource="pods", namespace="shop", name=name)
        return (await authorizer.authorize(access, node)).allowed

    assert await may("n1", "web")
    assert not await may("n2", "web")
    assert await may("n2", "gone"), "answered with 404"
