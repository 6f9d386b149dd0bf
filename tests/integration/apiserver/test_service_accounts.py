"""Service accounts against a whole control plane: kubectl, tokens that are shown, what ends them."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import aiohttp
import jwt
import pytest
import pytest_asyncio

from base import pki
from base.clock import SystemClock
from tests.integration.apiserver.conftest import Api, Server
from tests.patience import eventually

ISSUER = "https://kubernetes.default.svc.cluster.local"
Connect = Callable[..., Api]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("accounts"))
    made.start(whole=True)
    yield made
    made.stop()


@pytest_asyncio.fixture
async def connect(server: Server) -> AsyncIterator[Connect]:
    """Makes a client of a node, or of whoever shows a token."""
    opened: list[aiohttp.ClientSession] = []

    def make(token: str = "", *, node: str = "") -> Api:
        pair = None
        if node:
            pair = pki.issue(
                server.ca,
                common_name=f"system:node:{node}",
                organizations=["system:nodes"],
                client=True,
                clock=SystemClock(),
            )
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=pki.client_context(ca_pem=server.ca_pem, pair=pair)),
            headers={"Authorization": f"Bearer {token}"} if token else {},
        )
        opened.append(session)
        return Api(session, server.url)

    yield make
    for session in opened:
        await session.close()


@pytest_asyncio.fixture
async def robot(api: Api, namespace: str) -> str:
    """The path of an account."""
    await api.ok(
        "POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": "robot"}}
    )
    return f"/api/v1/namespaces/{namespace}/serviceaccounts/robot"


async def token_of(api: Api, robot: str, **spec: Any) -> str:
    found = await api.ok("POST", f"{robot}/token", {"spec": spec})
    token: str = found["status"]["token"]
    return token


async def make_pod(api: Api, namespace: str, node: str = "", **spec: Any) -> dict[str, Any]:
    body = {
        "metadata": {"name": f"p-{uuid.uuid4().hex[:6]}"},
        "spec": {"containers": [{"name": "c", "image": "i"}], "nodeName": node, **spec},
    }
    made: dict[str, Any] = await api.ok("POST", f"/api/v1/namespaces/{namespace}/pods", body)
    return made


# -- kubectl ---------------------------------------------------------------------------------------


async def test_kubectl_create_token(server: Server, connect: Connect, api: Api, robot: str) -> None:
    namespace = robot.split("/")[4]
    shown = server.kubectl("create", "token", "robot", "-n", namespace).stdout.strip()
    claims = said(shown)
    assert claims["exp"] - claims["iat"] == 3600 and claims["aud"] == [ISSUER]
    me = await whoami(connect(shown))
    assert me["username"] == f"system:serviceaccount:{namespace}:robot"
    assert me["groups"] == [
        "system:serviceaccounts",
        f"system:serviceaccounts:{namespace}",
        "system:authenticated",
    ]
    pod = await make_pod(api, namespace, serviceAccountName="robot")
    bound = server.kubectl(
        "create", "token", "robot", "-n", namespace, "--duration=20m", "--audience=vault",
        "--audience=registry", "--bound-object-kind=Pod",
        f"--bound-object-name={pod['metadata']['name']}",
        f"--bound-object-uid={pod['metadata']['uid']}",
    ).stdout.strip()  # fmt: skip
    claims = said(bound)
    assert claims["exp"] - claims["iat"] == 1200 and claims["aud"] == ["vault", "registry"]
    assert claims["kubernetes.io"]["pod"]["uid"] == pod["metadata"]["uid"]
    whole = server.kubectl("create", "token", "robot", "-n", namespace, "-o", "json").stdout
    answer = json.loads(whole)
    assert answer["kind"] == "TokenRequest" and answer["status"]["expirationTimestamp"]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("robot", "--duration=1m"), "may not specify a duration less than 10 minutes"),
        (("nobody",), 'serviceaccounts "nobody" not found'),
        (
            ("robot", "--bound-object-kind=Pod", "--bound-object-name=none"),
            'pods "none" not found',
        ),
    ],
)
async def test_kubectl_is_told_why_not(
    server: Server, robot: str, arguments: tuple[str, ...], why: str
) -> None:
    done = server.kubectl("create", "token", *arguments, "-n", robot.split("/")[4], check=False)
    assert done.returncode == 1 and why in done.stderr


async def test_kubectl_with_a_token_alone(server: Server, robot: str) -> None:
    namespace = robot.split("/")[4]
    token = server.kubectl("create", "token", "robot", "-n", namespace).stdout.strip()
    ca = server.directory / "pki" / "ca.crt"
    base = ("--kubeconfig=/dev/null", f"--server={server.url}", f"--certificate-authority={ca}")
    who = server.kubectl(*base, f"--token={token}", "auth", "whoami").stdout
    assert f"system:serviceaccount:{namespace}:robot" in who
    done = server.kubectl(*base, f"--token={token}", "get", "pods", "-n", namespace, check=False)
    assert (
        f'pods is forbidden: User "system:serviceaccount:{namespace}:robot" cannot list resource '
        f'"pods" in API group "" in the namespace "{namespace}"'
    ) in done.stderr
    assert server.kubectl(*base, f"--token={token}", "api-resources").returncode == 0
    done = server.kubectl(*base, f"--token={token}x", "get", "pods", check=False)
    assert "Unauthorized" in done.stderr
    assert "its signature is not good" in server.log() or "no JSON Web Token" in server.log()
    assert token not in server.log()


# -- the subresource -------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["json", "yaml", "protobuf"])
async def test_a_request_in_every_form(api: Api, robot: str, form: str) -> None:
    if form == "protobuf":
        spec = nested(1, b"a") + bytes([4 << 3]) + b"\xbc\x05"  # the varint 700
        named = nested(1, b"authentication.k8s.io/v1") + nested(2, b"TokenRequest")
        body = b"k8s\0" + nested(1, named) + nested(2, nested(1, b"") + nested(2, spec))
        kind = "application/vnd.kubernetes.protobuf"
    elif form == "yaml":
        body, kind = b"spec: {audiences: [a], expirationSeconds: 700}", "application/yaml"
    else:
        body, kind = b'{"spec": {"audiences": ["a"], "expirationSeconds": 700}}', "application/json"
    code, answer = await api.post(f"{robot}/token", body, content_type=kind)
    assert code == 201, answer
    claims = said(answer["status"]["token"])
    assert claims["aud"] == ["a"] and claims["exp"] - claims["iat"] == 700


async def test_a_dry_run_gives_no_token(api: Api, robot: str) -> None:
    answer = await api.ok("POST", f"{robot}/token?dryRun=All", {"spec": {}})
    assert answer["status"]["token"] == "" and answer["spec"]["audiences"] == [ISSUER]


async def test_tokens_are_only_made(api: Api, robot: str) -> None:
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        assert (await api.request(method, f"{robot}/token"))[0] == 405


# -- what ends a token -----------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["pod", "account", "account made anew"])
async def test_a_token_ends_at_once(
    api: Api, connect: Connect, namespace: str, robot: str, ending: str
) -> None:
    pod = await make_pod(api, namespace, serviceAccountName="robot")
    path = f"/api/v1/namespaces/{namespace}/pods/{pod['metadata']['name']}"
    ref = {"apiVersion": "v1", "kind": "Pod", "name": pod["metadata"]["name"]}
    client = connect(await token_of(api, robot, boundObjectRef=ref))
    assert (await client.get("/api"))[0] == 200
    if ending == "pod":
        await api.ok("DELETE", f"{path}?gracePeriodSeconds=0")
    else:
        await api.ok("DELETE", robot)
        if ending.endswith("anew"):
            parent = robot.removesuffix("/robot")
            await api.ok("POST", parent, {"metadata": {"name": "robot"}})
    code, status = await client.get("/api")
    assert (code, status["message"]) == (401, "Unauthorized"), "the reason is for the log"


async def test_a_token_for_others_is_no_token_here(api: Api, connect: Connect, robot: str) -> None:
    token = await token_of(api, robot, audiences=["vault"])
    assert (await connect(token).get("/api"))[0] == 401
    for audiences, good in ((["vault", "x"], True), (["x"], False), ([], False)):
        review = {"spec": {"token": token, "audiences": audiences}}
        found = (await api.ok("POST", "/apis/authentication.k8s.io/v1/tokenreviews", review))[
            "status"
        ]
        assert found.get("authenticated", False) is good
        assert found.get("audiences", []) == (["vault"] if good else [])
        if not good:
            assert found["error"].startswith("invalid bearer token: it is meant for")


async def test_a_review_tells_what_a_token_is_bound_to(
    api: Api, connect: Connect, namespace: str, robot: str
) -> None:
    pod = await make_pod(api, namespace, serviceAccountName="robot")
    ref = {"apiVersion": "v1", "kind": "Pod", "name": pod["metadata"]["name"]}
    token = await token_of(api, robot, boundObjectRef=ref)
    answer = await api.ok(
        "POST", "/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": token}}
    )
    assert answer["status"]["audiences"] == [ISSUER]
    extra = answer["status"]["user"]["extra"]
    assert extra["authentication.kubernetes.io/pod-uid"] == [pod["metadata"]["uid"]]
    assert extra == (await whoami(connect(token)))["extra"]


# -- nodes -----------------------------------------------------------------------------------------


async def test_a_node_gets_tokens_of_its_pods_and_no_others(
    api: Api, connect: Connect, namespace: str, robot: str
) -> None:
    mine, theirs = f"n-{uuid.uuid4().hex[:5]}", f"n-{uuid.uuid4().hex[:5]}"
    for name in (mine, theirs):
        await connect(node=name).ok("POST", "/api/v1/nodes", {"metadata": {"name": name}})
    client = connect(node=mine)
    projected = {
        "sources": [{"serviceAccountToken": {"audience": "vault", "path": "t"}}],
    }
    pod = await make_pod(
        api, namespace, mine, serviceAccountName="robot",
        volumes=[{"name": "v", "projected": projected}],
    )  # fmt: skip
    other = await make_pod(api, namespace, theirs, serviceAccountName="robot")
    default = robot.removesuffix("robot") + "default"

    def bound(pod: dict[str, Any], **more: str) -> dict[str, Any]:
        named = {"name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]}
        return {"apiVersion": "v1", "kind": "Pod", **named, **more}

    await token_of(client, robot, boundObjectRef=bound(pod))
    await token_of(client, robot, boundObjectRef=bound(pod), audiences=["vault"])
    for path, spec, code, why in (
        (robot, {}, 403, "node requested token not bound to a pod"),
        (robot, {"boundObjectRef": bound(pod, uid="")}, 403, "without a uid"),
        (robot, {"boundObjectRef": bound(pod, uid="x")}, 403, "does not match the UID in record"),
        (robot, {"boundObjectRef": bound(other)}, 403, "scheduled on a different node"),
        (robot, {"boundObjectRef": bound(pod), "audiences": ["x"]}, 403, 'audience "x" not found'),
        (default, {"boundObjectRef": bound(pod)}, 403, "no relationship found between node"),
    ):
        found, status = await client.post(f"{path}/token", {"spec": spec})
        assert found == code and why in status["message"], status
    assert (await client.get(robot))[0] == 403


# -- admission and controllers ---------------------------------------------------------------------


async def test_a_pod_right_after_its_namespace(api: Api) -> None:
    for _ in range(5):
        name = f"t-{uuid.uuid4().hex[:8]}"
        await api.ok("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        pod = await make_pod(api, name)
        assert pod["spec"]["serviceAccountName"] == "default"


async def test_an_account_that_is_not_there(api: Api, namespace: str) -> None:
    code, status = await api.post(
        f"/api/v1/namespaces/{namespace}/pods",
        {
            "metadata": {"name": "p"},
            "spec": {"serviceAccountName": "x", "containers": [{"name": "c", "image": "i"}]},
        },
    )
    assert code == 403
    assert status["message"] == (
        f'pods "p" is forbidden: error looking up service account {namespace}/x: '
        'serviceaccount "x" not found'
    )


async def test_the_ca_is_in_every_namespace_and_stays(api: Api, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps/kube-root-ca.crt"

    async def whole() -> bool:
        code, found = await api.get(path)
        return code == 200 and found["data"]["ca.crt"].startswith("-----BEGIN CERTIFICATE-----")

    await eventually(whole)
    await api.patch(path, {"data": {"ca.crt": "x"}})
    await eventually(whole)
    await api.ok("DELETE", path)
    await eventually(whole)


async def test_a_secret_of_the_old_kind(
    api: Api, connect: Connect, namespace: str, robot: str
) -> None:
    parent = f"/api/v1/namespaces/{namespace}/secrets"
    body = {
        "metadata": {
            "name": "s",
            "annotations": {"kubernetes.io/service-account.name": "robot"},
        },
        "type": "kubernetes.io/service-account-token",
    }
    await api.ok("POST", parent, body)

    async def filled() -> Any:
        found = await api.ok("GET", f"{parent}/s")
        return found.get("data", {}).get("token") and found

    found = await eventually(filled)
    data = {name: base64.b64decode(value) for name, value in found["data"].items()}
    assert data["namespace"].decode() == namespace and data["ca.crt"].startswith(b"-----BEGIN")
    client = connect(data["token"].decode())
    assert (await whoami(client))["username"] == f"system:serviceaccount:{namespace}:robot"
    await api.ok("DELETE", robot)

    async def gone() -> bool:
        return (await api.get(f"{parent}/s"))[0] == 404

    await eventually(gone)
    assert (await client.get("/api"))[0] == 401


# -- for others ------------------------------------------------------------------------------------


async def test_openid_discovery(server: Server, api: Api, connect: Connect, robot: str) -> None:
    token = await token_of(api, robot, audiences=["vault"])
    own = connect(await token_of(api, robot))
    found = await own.ok("GET", "/.well-known/openid-configuration")
    assert found["issuer"] == ISSUER
    assert found["id_token_signing_alg_values_supported"] == ["RS256"]
    assert found["jwks_uri"] == f"https://127.0.0.1:{server.port}/openid/v1/jwks"
    code, text = await own.get("/openid/v1/jwks")
    assert code == 200 and own.headers["Content-Type"] == "application/jwk-set+json"
    published = jwt.PyJWKSet.from_dict(json.loads(text))
    key = published[jwt.get_unverified_header(token)["kid"]]
    assert jwt.decode(token, key, audience="vault", issuer=ISSUER)["sub"].endswith(":robot")
    assert (await connect().get("/openid/v1/jwks"))[0] == 403
    assert (await own.get("/openid/v1/other"))[0] == 403


async def test_tokens_survive_a_restart(
    server: Server, api: Api, connect: Connect, robot: str
) -> None:
    token = await token_of(api, robot)
    server.stop()
    server.start(whole=True)
    assert (await connect(token).get("/api"))[0] == 200


async def whoami(client: Api) -> dict[str, Any]:
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    answer = await client.ok("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", review)
    found: dict[str, Any] = answer["status"]["userInfo"]
    return found


def nested(number: int, content: bytes) -> bytes:
    """A field of a protobuf message that is text or a message itself."""
    return bytes([number << 3 | 2, len(content)]) + content


def said(token: str) -> dict[str, Any]:
    found: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return found
