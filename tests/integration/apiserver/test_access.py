"""Who gets in, and what they may do: the table of actors, over TLS, against a running server."""

from __future__ import annotations

import base64
import ssl
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from msgspec import to_builtins
from msgspec.json import Decoder, encode

from agent.node.staticpods import static_pod
from agent.pod.mirrors import mirror_of
from api.core import Node
from base import pki
from base.clock import SystemClock
from tests.integration.apiserver.conftest import Api, Server

CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"

Connect = Callable[..., Api]


@pytest_asyncio.fixture
async def connect(server: Server) -> AsyncIterator[Connect]:
    """Makes a client of somebody: (name, groups), a token, or nobody."""
    opened: list[aiohttp.ClientSession] = []

    def make(name: str = "", *groups: str, token: str = "") -> Api:
        pair = None
        if name:
            pair = pki.issue(
                server.ca, common_name=name, organizations=groups, client=True, clock=SystemClock()
            )
        context = pki.client_context(ca_pem=server.ca_pem, pair=pair)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context), headers=headers
        )
        opened.append(session)
        return Api(session, server.url)

    yield make
    for session in opened:
        await session.close()


@pytest_asyncio.fixture
async def node(connect: Connect) -> tuple[str, Api]:
    """A node that has registered itself."""
    name = f"node-{uuid.uuid4().hex[:6]}"
    client = connect(f"system:node:{name}", "system:nodes")
    await client.ok("POST", "/api/v1/nodes", {"metadata": {"name": name}})
    return name, client


async def test_nobody_sees_more_than_health_and_version(connect: Connect) -> None:
    nobody = connect()
    for path in ("/healthz", "/livez", "/readyz", "/version"):
        assert (await nobody.get(path))[0] == 200
    for path in ("/api", "/apis", "/metrics", "/openapi/v3", "/api/v1/pods"):
        code, status = await nobody.get(path)
        assert (code, status["reason"]) == (403, "Forbidden")
        assert 'User "system:anonymous" cannot' in status["message"]
    assert (await nobody.post("/api/v1/namespaces", {"metadata": {"name": "x"}}))[0] == 403


async def test_a_token_that_is_unknown_is_not_anonymous(connect: Connect) -> None:
    for token in ("abcdef.0123456789abcdef", "rubbish"):
        code, status = await connect(token=token).get("/version")
        assert (code, status["reason"]) == (401, "Unauthorized")


async def test_a_certificate_of_another_authority_gets_no_connection(server: Server) -> None:
    other = pki.create_ca("other", clock=SystemClock())
    pair = pki.issue(
        other,
        common_name="kubernetes-admin",
        organizations=["system:masters"],
        client=True,
        clock=SystemClock(),
    )
    context = pki.client_context(ca_pem=server.ca_pem, pair=pair)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:
        with pytest.raises((aiohttp.ClientError, ssl.SSLError, OSError)):
            async with session.get(server.url + "/api/v1/secrets") as answer:
                assert answer.status in (401, 403)
                raise aiohttp.ClientError("refused, as it should be")


async def test_somebody_without_rights_is_told_so(connect: Connect) -> None:
    jane = connect("jane", "developers")
    code, status = await jane.get("/api/v1/namespaces/default/pods")
    assert (code, status["message"]) == (
        403,
        'pods is forbidden: User "jane" cannot list resource "pods" in API group "" '
        'in the namespace "default"',
    )
    code, status = await jane.get("/apis/apps/v1/namespaces/default/deployments/d/scale")
    assert status["message"] == (
        'deployments.apps "d" is forbidden: User "jane" cannot get resource "deployments/scale" '
        'in API group "apps" in the namespace "default"'
    )
    code, status = await jane.get("/api/v1/nodes/n")
    assert status["message"].endswith("at the cluster scope")
    assert (await jane.get("/api"))[0] == 200  # discovery is for everybody who is somebody


async def test_a_node_needs_both_name_and_group(connect: Connect) -> None:
    for name, groups in (("system:node:x", ()), ("x", ("system:nodes",))):
        assert (await connect(name, *groups).get("/api/v1/services"))[0] == 403


async def test_a_node_keeps_to_its_own(connect: Connect, node: tuple[str, Api], api: Api) -> None:
    name, client = node
    await api.request("POST", "/api/v1/nodes", {"metadata": {"name": "other"}})
    lease = {"metadata": {"name": name}, "spec": {"holderIdentity": name}}
    await client.ok("POST", LEASES, lease)
    await client.ok("PUT", f"{LEASES}/{name}", lease)
    assert (await client.patch(f"/api/v1/nodes/{name}/status", {"status": {}}))[0] == 200
    assert (await client.get("/api/v1/services"))[0] == 200
    refused: list[tuple[str, str, Any]] = [
        ("PATCH", "/api/v1/nodes/other/status", {"status": {}}),
        ("POST", "/api/v1/nodes", {"metadata": {"name": "third"}}),
        ("POST", LEASES, {"metadata": {"name": "other"}}),
        ("PUT", f"{LEASES}/other", lease),
        ("GET", "/api/v1/secrets", None),
        ("GET", "/api/v1/namespaces/default/secrets", None),
        ("GET", "/api/v1/pods", None),
        ("GET", "/api/v1/pods?fieldSelector=spec.nodeName%3Dother", None),
        ("DELETE", "/api/v1/namespaces/default", None),
        ("GET", "/apis/apps/v1/deployments", None),
    ]
    for method, path, body in refused:
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        code, status = await client.request(method, path, body, content_type=kind)
        assert code == 403, (method, path, status)
    own = f"/api/v1/pods?fieldSelector=spec.nodeName%3D{name}"
    assert (await client.get(own))[0] == 200


@pytest.mark.parametrize(
    ("patch", "words"),
    [
        ({"metadata": {"labels": {"node-restriction.kubernetes.io/x": "y"}}}, "labels"),
        ({"metadata": {"labels": {"node-role.kubernetes.io/control-plane": ""}}}, "labels"),
        ({"spec": {"taints": [{"key": "k", "effect": "NoSchedule"}]}}, "taints"),
    ],
)
async def test_a_node_cannot_attract_or_repel_pods(
    node: tuple[str, Api], patch: dict[str, Any], words: str
) -> None:
    name, client = node
    code, status = await client.patch(f"/api/v1/nodes/{name}", patch)
    assert code == 403 and words in status["message"]
    code, status = await client.patch(f"/api/v1/nodes/{name}/status", patch)
    # The status has no spec to change.
    assert code == (200 if "spec" in patch else 403), status


async def test_a_node_may_describe_itself(node: tuple[str, Api]) -> None:
    name, client = node
    labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "rack": "7"}
    assert (await client.patch(f"/api/v1/nodes/{name}", {"metadata": {"labels": labels}}))[0] == 200


async def test_a_node_reads_only_what_its_pods_refer_to(
    node: tuple[str, Api], api: Api, namespace: str
) -> None:
    name, client = node
    base = f"/api/v1/namespaces/{namespace}"
    for secret in ("used", "other"):
        await api.ok("POST", f"{base}/secrets", {"metadata": {"name": secret}})
    spec = {
        "nodeName": name,
        "containers": [{"name": "c", "image": "i"}],
        "volumes": [{"name": "v", "secret": {"secretName": "used"}}],
    }
    assert (await client.get(f"{base}/secrets/used"))[0] == 403
    assert (await client.get("/apis/node.k8s.io/v1/runtimeclasses"))[0] == 200
    await api.ok("POST", f"{base}/pods", {"metadata": {"name": "p"}, "spec": spec})
    assert (await client.get(f"{base}/secrets/used"))[0] == 200
    selected = f"{base}/secrets?fieldSelector=metadata.name%3Dused"
    assert (await client.get(selected))[0] == 200
    code, status = await client.get(f"{base}/secrets/other")
    assert code == 403 and f"no relationship found between node '{name}'" in status["message"]
    assert (await client.put(f"{base}/secrets/used", {"metadata": {"name": "used"}}))[0] == 403
    await api.ok("DELETE", f"{base}/pods/p?gracePeriodSeconds=0")
    assert (await client.get(f"{base}/secrets/used"))[0] == 403


async def test_a_node_reads_the_claims_of_its_pods_and_their_volumes(
    node: tuple[str, Api], api: Api, namespace: str
) -> None:
    name, client = node
    base = f"/api/v1/namespaces/{namespace}"
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
    for claim in ("used", "other"):
        body = {"metadata": {"name": claim}, "spec": spec | {"volumeName": f"{namespace}-{claim}"}}
        await api.ok("POST", f"{base}/persistentvolumeclaims", body)
        disk = {
            "accessModes": ["ReadWriteOnce"],
            "capacity": {"storage": "1Mi"},
            "hostPath": {"path": "/disk"},
        }
        metadata = {"name": f"{namespace}-{claim}"}
        await api.ok("POST", "/api/v1/persistentvolumes", {"metadata": metadata, "spec": disk})
    assert (await client.get(f"{base}/persistentvolumeclaims/used"))[0] == 403
    assert (await client.get(f"/api/v1/persistentvolumes/{namespace}-used"))[0] == 403
    volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": "used"}}]
    containers = [{"name": "c", "image": "i"}]
    pod = {"nodeName": name, "containers": containers, "volumes": volumes}
    await api.ok("POST", f"{base}/pods", {"metadata": {"name": "p"}, "spec": pod})
    assert (await client.get(f"{base}/persistentvolumeclaims/used"))[0] == 200
    assert (await client.get(f"/api/v1/persistentvolumes/{namespace}-used"))[0] == 200
    assert (await client.get(f"{base}/persistentvolumeclaims/other"))[0] == 403
    assert (await client.get(f"/api/v1/persistentvolumes/{namespace}-other"))[0] == 403
    assert (await client.get("/api/v1/persistentvolumes"))[0] == 403
    patch = {"spec": {"volumeName": f"{namespace}-other"}}
    assert (await client.patch(f"{base}/persistentvolumeclaims/used", patch))[0] == 403


async def test_a_node_shows_its_static_pods_by_mirrors(
    node: tuple[str, Api], api: Api, namespace: str
) -> None:
    name, client = node
    text = """
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": "%s"},
         "spec": {"containers": [{"name": "c", "image": "i", "livenessProbe": {"tcpSocket": {"port": 1}}}],
                  "priorityClassName": "system-node-critical",
                  "volumes": [{"name": "v", "hostPath": {"path": "/x"}}]}}
    """
    now = SystemClock().now()
    pod = static_pod((text % namespace).encode(), path=Path("/static/web.json"), node=name, now=now)
    found = Decoder(Node).decode(encode(await api.ok("GET", f"/api/v1/nodes/{name}")))
    body = to_builtins(mirror_of(pod, found))
    pods = f"/api/v1/namespaces/{namespace}/pods"
    code, made = await client.post(pods, body)
    assert code == 201, made
    assert made["metadata"]["annotations"]["kubernetes.io/config.mirror"] == pod.metadata.uid
    filled = to_builtins(pod.spec)["containers"]
    assert made["spec"]["containers"] == filled, "an agent fills in what the server would"
    theirs = to_builtins(mirror_of(pod, found))
    theirs["metadata"] |= {"name": "other", "ownerReferences": []}
    assert (await client.post(pods, theirs))[0] == 403
    path = f"{pods}/web-{name}?gracePeriodSeconds=0"
    assert (await client.delete(path))[0] == 200


async def test_a_node_writes_the_status_of_its_own_pods_only(
    node: tuple[str, Api], api: Api, namespace: str
) -> None:
    name, client = node
    pods = f"/api/v1/namespaces/{namespace}/pods"
    containers = [{"name": "c", "image": "i"}]
    for pod, place in (("mine", name), ("theirs", "other")):
        body = {"metadata": {"name": pod}, "spec": {"nodeName": place, "containers": containers}}
        await api.ok("POST", pods, body)
    running = {"status": {"phase": "Running"}}
    assert (await client.patch(f"{pods}/mine/status", running))[0] == 200
    assert (await client.patch(f"{pods}/theirs/status", running))[0] == 403
    for mark in ({"labels": {"app": "other"}}, {"finalizers": ["example.com/mine"]}):
        assert (await client.patch(f"{pods}/mine/status", {"metadata": mark}))[0] == 403
    owner = {"apiVersion": "v1", "kind": "Node", "name": name, "uid": "u"}
    await client.patch(f"{pods}/mine/status", {"metadata": {"ownerReferences": [owner]}})
    assert "ownerReferences" not in (await api.ok("GET", f"{pods}/mine"))["metadata"]
    assert (await client.get(f"{pods}/theirs"))[0] == 403
    image = {"spec": {"containers": [{"name": "c", "image": "evil"}]}}
    assert (await client.patch(f"{pods}/mine", image))[0] == 403
    assert (await client.post(pods, {"metadata": {"name": "new"}, "spec": {"nodeName": name, "containers": containers}}))[0] == 403  # fmt: skip  # noqa: E501
    binding = {"metadata": {"name": "mine"}, "target": {"kind": "Node", "name": "other"}}
    assert (await client.post(f"{pods}/mine/binding", binding))[0] == 403
    assert (await client.delete(f"{pods}/theirs"))[0] == 403
    assert (await client.delete(f"{pods}/mine?gracePeriodSeconds=0"))[0] == 200


def _request(server: Server, name: str) -> dict[str, Any]:
    made = pki.make_csr(common_name=f"system:node:{name}", organizations=["system:nodes"])
    return {
        "metadata": {"name": f"csr-{name}-{uuid.uuid4().hex[:5]}"},
        "spec": {
            "request": base64.b64encode(made.csr_pem).decode(),
            "signerName": "kubernetes.io/kube-apiserver-client-kubelet",
            "usages": ["digital signature", "client auth"],
            "username": "somebody-else",
            "groups": ["system:masters"],
        },
    }


async def _token(api: Api, *, expiration: str = "", usage: str = "true") -> str:
    identifier, secret = uuid.uuid4().hex[:6], uuid.uuid4().hex[:16]
    data = {
        "token-id": identifier,
        "token-secret": secret,
        "usage-bootstrap-authentication": usage,
        **({"expiration": expiration} if expiration else {}),
    }
    body = {
        "metadata": {"name": f"bootstrap-token-{identifier}"},
        "type": "bootstrap.kubernetes.io/token",
        "stringData": data,
    }
    await api.ok("POST", "/api/v1/namespaces/kube-system/secrets", body)
    return f"{identifier}.{secret}"


async def test_a_token_asks_for_a_certificate_and_nothing_else(
    api: Api, server: Server, connect: Connect
) -> None:
    token = await _token(api)
    joining = connect(token=token)
    body = _request(server, "new")
    made = await joining.ok("POST", CSRS, body)
    assert made["spec"]["username"] == f"system:bootstrap:{token[:6]}"
    assert "system:bootstrappers" in made["spec"]["groups"]
    assert "system:masters" not in made["spec"]["groups"]
    name = made["metadata"]["name"]
    assert (await joining.get(f"{CSRS}/{name}"))[0] == 200
    other = await api.ok("POST", CSRS, _request(server, "other"))
    for path in (f"{CSRS}/{other['metadata']['name']}", CSRS, "/api/v1/nodes", "/api/v1/secrets"):
        assert (await joining.get(path))[0] == 403
    assert (await joining.put(f"{CSRS}/{name}/approval", made))[0] == 403
    await api.ok("DELETE", f"/api/v1/namespaces/kube-system/secrets/bootstrap-token-{token[:6]}")
    assert (await joining.get(f"{CSRS}/{name}"))[0] == 401


async def test_tokens_expire_and_must_be_meant_for_this(api: Api, connect: Connect) -> None:
    good = await _token(api, expiration="2099-01-01T00:00:00Z")
    for token in (
        await _token(api, expiration="2001-01-01T00:00:00Z"),
        await _token(api, expiration="tomorrow"),
        await _token(api, usage="false"),
        good[:-1] + ("0" if good[-1] != "0" else "1"),
    ):
        assert (await connect(token=token).get("/version"))[0] == 401
    assert (await connect(token=good).get("/version"))[0] == 200


async def test_secrets_of_tokens_never_reach_the_log(
    api: Api, server: Server, connect: Connect
) -> None:
    token = await _token(api)
    await connect(token=token).get("/api/v1/nodes")
    assert token.split(".")[1] not in server.log()


def test_keys_are_private(server: Server) -> None:
    for path in (server.directory / "pki").glob("*.key"):
        assert path.stat().st_mode & 0o777 == 0o600
    assert server.kubeconfig.stat().st_mode & 0o777 == 0o600
    assert (server.directory / "pki").stat().st_mode & 0o777 == 0o700


async def test_impersonation_is_refused_rather_than_ignored(api: Api) -> None:
    code, status = await api.get("/api/v1/secrets", headers={"Impersonate-User": "jane"})
    assert code == 403 and "impersonation is not served yet" in status["message"]


async def test_a_node_cannot_shake_off_what_was_put_on_it(node: tuple[str, Api]) -> None:
    """Deleted or collected, its Node would come back without its taints (CVE-2025-5187)."""
    name, client = node
    path = f"/api/v1/nodes/{name}"
    assert (await client.delete(path))[0] == 403
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "none", "uid": "none"}
    for metadata, spec, word in (
        ({"ownerReferences": [owner]}, {}, "ownerReferences"),
        ({}, {"podCIDR": "10.244.0.0/24", "podCIDRs": ["10.244.0.0/24"]}, "podCIDR"),
        ({}, {"taints": [{"key": "k", "effect": "NoSchedule"}]}, "taints"),
    ):
        patch = {"metadata": metadata, "spec": spec}
        code, status = await client.patch(path, patch)
        assert code == 403, status
        assert word in status["message"]
