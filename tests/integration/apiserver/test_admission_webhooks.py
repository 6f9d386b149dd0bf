"""Webhooks of admission against a real server: every way to write, kubectl, and webhooks that fail."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from base import pki
from base.clock import SystemClock
from tests.integration.apiserver.conftest import Api, Server, config_map
from tests.integration.apiserver.crds import DEFINITIONS, define, eventually, new_group, version
from tests.integration.apiserver.nodeagent import NodeAgent
from tests.integration.apiserver.webhookserver import (
    MUTATING,
    VALIDATING,
    WebhookServer,
    add,
    configuration,
    deny,
    patching,
    path_of,
)

Configure = Callable[..., Awaitable[None]]


@pytest_asyncio.fixture
async def hooks() -> AsyncIterator[WebhookServer]:
    made = WebhookServer("hook.ns.svc")
    await made.start()
    yield made
    await made.stop()


@pytest_asyncio.fixture
async def configure(api: Api, namespace: str) -> AsyncIterator[Configure]:
    """Puts webhooks in force for the test's own namespace, and takes them back."""
    mine = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}
    await api.patch(
        f"/api/v1/namespaces/{namespace}",
        {"metadata": {"labels": {"kubernetes.io/metadata.name": namespace}}},
    )

    async def put(kind: str, *webhooks: dict[str, Any]) -> None:
        chosen = [{**mine, **webhook} for webhook in webhooks]
        await api.delete(path_of(kind, namespace))
        await api.ok("POST", path_of(kind), configuration(kind, namespace, *chosen))

    yield put
    for kind in (MUTATING, VALIDATING):
        await api.delete(path_of(kind, namespace))


async def kubectl(server: Server, *arguments: str, **more: Any) -> CompletedProcess[str]:
    """In a thread: the webhooks answer on this loop."""
    return await asyncio.to_thread(server.kubectl, *arguments, **more)


async def test_every_way_to_write(
    api: Api, hooks: WebhookServer, configure: Configure, maps: str
) -> None:
    await configure(MUTATING, hooks.webhook("m", "configmaps"))
    await configure(VALIDATING, hooks.webhook("v", "configmaps"))
    hooks.answers["m"] = lambda request: (
        patching(add("/data/seen", "yes"))(request) if "object" in request else {"allowed": True}
    )

    made = await api.ok("POST", maps, config_map("a", data={"k": "1"}))
    assert made["data"] == {"k": "1", "seen": "yes"}
    asked = hooks.last("v")
    assert asked["object"]["data"] == made["data"]
    assert asked["object"]["metadata"]["uid"] == made["metadata"]["uid"]
    assert asked["userInfo"]["username"] == "kubernetes-admin"
    assert "system:masters" in asked["userInfo"]["groups"]
    assert asked["dryRun"] is False
    assert hooks.queries[-1] == {"timeout": "10s"}

    made["data"] = {"k": "2"}
    assert (await api.ok("PUT", f"{maps}/a", made))["data"] == {"k": "2", "seen": "yes"}
    assert hooks.last("m")["oldObject"]["data"]["k"] == "1"
    _, patched = await api.patch(f"{maps}/a", {"data": {"k": "3", "seen": None}})
    assert patched["data"] == {"k": "3", "seen": "yes"}
    assert hooks.last("m")["options"]["kind"] == "UpdateOptions"
    applied = {**config_map("b", data={"k": "4"})}
    code, answer = await api.patch(
        f"{maps}/b?fieldManager=me", applied, kind="application/apply-patch+yaml"
    )
    assert (code, answer["data"]) == (201, {"k": "4", "seen": "yes"})
    assert hooks.last("m")["operation"] == "CREATE"
    assert hooks.last("m")["options"]["fieldManager"] == "me"
    owners = answer["metadata"]["managedFields"]
    assert "f:seen" not in json.dumps(owners)  # what webhooks add has no owner

    count = len(hooks.asked["m"])
    _, dry = await api.post(f"{maps}?dryRun=All", config_map("c", data={"k": "5"}))
    assert dry["data"]["seen"] == "yes"
    assert hooks.last("m")["dryRun"] is True
    assert len(hooks.asked["m"]) == count + 1
    assert (await api.get(f"{maps}/c"))[0] == 404

    await api.ok("DELETE", f"{maps}/a", {"propagationPolicy": "Background"})
    asked = hooks.last("v")
    assert (asked["operation"], "object" in asked) == ("DELETE", False)
    assert asked["oldObject"]["data"]["k"] == "3"
    assert asked["options"]["propagationPolicy"] == "Background"
    await api.ok("DELETE", maps)
    assert hooks.last("v")["name"] == "b"  # one question for each that goes


async def test_a_change_is_tried_again_with_what_is_there_now(
    api: Api, hooks: WebhookServer, configure: Configure, maps: str
) -> None:
    """Others write while a webhook thinks: nothing of theirs is lost."""
    await api.ok("POST", maps, config_map("a", data={}))
    await configure(MUTATING, hooks.webhook("m", "configmaps"))

    def answer(request: dict[str, Any]) -> Any:
        data = request["object"].get("data", {})
        return patching(add("/data", {**data, "count": str(len(data))}))(request)

    hooks.answers["m"] = answer
    hooks.delay = 0.05
    done = await asyncio.gather(
        *(api.patch(f"{maps}/a", {"data": {f"k{number}": "x"}}) for number in range(8))
    )
    assert [code for code, _ in done] == [200] * 8
    found = await api.ok("GET", f"{maps}/a")
    assert {f"k{number}" for number in range(8)} <= found["data"].keys()


async def test_a_refusal_in_the_webhooks_words(
    server: Server, api: Api, hooks: WebhookServer, configure: Configure, namespace: str, maps: str
) -> None:
    await configure(VALIDATING, hooks.webhook("v", "configmaps"))
    cause = {"field": "data.k", "message": "too small"}
    hooks.answers["v"] = deny("no", code=422, reason="Invalid", details={"causes": [cause]})
    code, status = await api.post(maps, config_map("a"))
    said = 'admission webhook "v.hooks.example.com" denied the request: no'
    assert (code, status["reason"], status["message"]) == (422, "Invalid", said)
    assert status["details"]["causes"] == [cause]
    hooks.answers["v"] = lambda request: {**deny("no")(request), "warnings": ["and beware"]}
    await api.post(maps, config_map("a"))
    assert api.warnings == ['299 - "and beware"']  # beside a refusal, too
    hooks.answers["v"] = deny("not on Sundays")
    done = await kubectl(
        server, f"--namespace={namespace}", "create", "configmap", "a", check=False
    )
    assert done.returncode == 1
    assert done.stderr == (
        "error: failed to create configmap: "
        'admission webhook "v.hooks.example.com" denied the request: not on Sundays\n'
    )
    assert (await api.get(f"{maps}/a"))[0] == 404


async def test_kubectl_shows_warnings_and_configurations(
    server: Server, hooks: WebhookServer, namespace: str, configure: Configure
) -> None:
    await configure(VALIDATING, hooks.webhook("v", "configmaps"), hooks.webhook("w", "secrets"))
    await configure(MUTATING, hooks.webhook("m", "configmaps"))
    hooks.answers["v"] = lambda request: {"allowed": True, "warnings": ["this is old"]}
    done = await kubectl(server, f"--namespace={namespace}", "create", "configmap", "a")
    assert (done.stdout, done.stderr) == ("configmap/a created\n", "Warning: this is old\n")
    shown = (await kubectl(server, "get", "validatingwebhookconfigurations", namespace)).stdout
    heads, cells = (line.split() for line in shown.splitlines())
    assert (heads, cells[:2]) == (["NAME", "WEBHOOKS", "AGE"], [namespace, "2"])
    described = (
        await kubectl(server, "describe", "mutatingwebhookconfiguration", namespace)
    ).stdout
    assert "m.hooks.example.com" in described
    assert "Reinvocation Policy:  Never" in described
    explained = (
        await kubectl(server, "explain", "mutatingwebhookconfiguration.webhooks.rules")
    ).stdout
    assert "operations" in explained


async def test_pods_get_a_sidecar(
    api: Api, hooks: WebhookServer, configure: Configure, namespace: str
) -> None:
    await configure(MUTATING, hooks.webhook("m", "pods", failurePolicy="Ignore", timeoutSeconds=3))
    side = {"name": "side", "image": "proxy:1", "resources": {"limits": {"cpu": "1"}}}
    hooks.answers["m"] = patching(add("/spec/containers/-", side))
    spec = {"containers": [{"name": "app", "image": "app"}]}
    pods = f"/api/v1/namespaces/{namespace}/pods"
    made = await api.ok("POST", pods, {"metadata": {"name": "p"}, "spec": spec})
    app, side = made["spec"]["containers"]
    assert side["imagePullPolicy"] == app["imagePullPolicy"].replace("Always", "IfNotPresent")
    assert side["terminationMessagePath"] == "/dev/termination-log"
    assert made["status"]["qosClass"] == "Burstable"  # as it is with the sidecar


@pytest.mark.parametrize("asked_as", ["v1", "v2"])
async def test_custom_resources_in_the_version_of_the_rules(
    api: Api, hooks: WebhookServer, configure: Configure, namespace: str, asked_as: str
) -> None:
    group = new_group()
    await define(api, group, version("v1"), version("v2", storage=False))
    webhook = hooks.webhook("m", "widgets")
    webhook["rules"][0].update(apiGroups=[group], apiVersions=["v2"])
    exact = hooks.webhook("exact", "widgets", matchPolicy="Exact")
    exact["rules"] = webhook["rules"]
    await configure(MUTATING, webhook, exact)
    hooks.answers["m"] = patching(add("/spec/size", 7), add("/spec/unknown", 1))
    path = f"/apis/{group}/{asked_as}/namespaces/{namespace}/widgets"
    body = {
        "apiVersion": f"{group}/{asked_as}",
        "kind": "Widget",
        "metadata": {"name": "w"},
        "spec": {"size": 3},
    }
    made = await api.ok("POST", path, body)
    assert made["apiVersion"] == f"{group}/{asked_as}"
    assert made["spec"] == {"size": 7, "colour": "red"}  # pruned and defaulted
    asked = hooks.last("m")
    assert asked["object"]["apiVersion"] == f"{group}/v2"
    assert asked["kind"] == {"group": group, "version": "v2", "kind": "Widget"}
    assert asked["requestKind"]["version"] == asked_as
    assert ("exact" in hooks.asked) is (asked_as == "v2")
    hooks.answers["m"] = patching(add("/spec/size", 0))
    code, status = await api.post(path, {**body, "metadata": {"name": "x"}})
    assert (code, status["reason"]) == (422, "Invalid")  # the schema has the last word
    assert "spec.size" in status["message"]
    await api.delete(f"{DEFINITIONS}/widgets.{group}")


async def test_streams_into_pods(
    api: Api, hooks: WebhookServer, configure: Configure, namespace: str
) -> None:
    pods = f"/api/v1/namespaces/{namespace}/pods"
    spec = {"nodeName": "n", "containers": [{"name": "app", "image": "app"}]}
    await api.ok("POST", pods, {"metadata": {"name": "p"}, "spec": spec})
    await configure(VALIDATING, hooks.webhook("v", "pods/exec", "pods/proxy"))
    hooks.answers["v"] = deny("nobody looks in here", code=403)
    code, status = await api.get(f"{pods}/p/exec?command=ls&command=-l&stdout=true")
    assert (code, "nobody looks in here" in status["message"]) == (403, True)
    asked = hooks.last("v")
    assert (asked["operation"], asked["subResource"]) == ("CONNECT", "exec")
    assert asked["kind"]["kind"] == "PodExecOptions"
    assert asked["object"] == {
        "kind": "PodExecOptions", "apiVersion": "v1",
        "command": ["ls", "-l"], "stdout": True,
    }  # fmt: skip
    assert "oldObject" not in asked
    code, _ = await api.get(f"{pods}/p/proxy/some/page")
    assert code == 403
    assert hooks.last("v")["object"]["path"] == "/some/page"


async def test_a_webhook_that_is_down(
    api: Api, hooks: WebhookServer, configure: Configure, maps: str
) -> None:
    await configure(MUTATING, hooks.webhook("m", "configmaps"))
    await hooks.stop()
    code, status = await api.post(maps, config_map("a"))
    assert (code, status["reason"]) == (500, "InternalError")
    assert status["message"].startswith(
        'Internal error occurred: failed calling webhook "m.hooks.example.com": '
        f'failed to call webhook: Post "https://127.0.0.1:{hooks.port}/m?timeout=10s": '
    )
    await configure(MUTATING, hooks.webhook("m", "configmaps", failurePolicy="Ignore"))
    await api.ok("POST", maps, config_map("a"))


async def test_a_webhook_that_is_slow_holds_up_nobody_else(
    api: Api, hooks: WebhookServer, configure: Configure, namespace: str, maps: str
) -> None:
    await configure(MUTATING, hooks.webhook("m", "configmaps", timeoutSeconds=30))
    answers = asyncio.Event()

    async def held_up(request: dict[str, Any]) -> None:
        await answers.wait()

    async def all_asked() -> bool:
        return len(hooks.asked.get("m", ())) == 20

    hooks.meanwhile = held_up
    writing = [asyncio.create_task(api.post(maps, config_map(f"a{n}"))) for n in range(20)]
    await eventually(all_asked)
    secrets = f"/api/v1/namespaces/{namespace}/secrets"
    await api.ok("POST", secrets, {"metadata": {"name": "s"}})
    await api.ok("GET", maps)
    assert not any(one.done() for one in writing)
    answers.set()
    assert {code for code, _ in await asyncio.gather(*writing)} == {201}


async def test_a_webhook_that_is_too_slow(
    api: Api, hooks: WebhookServer, configure: Configure, maps: str
) -> None:
    slow = {"timeoutSeconds": 1, "failurePolicy": "Fail"}
    await configure(MUTATING, hooks.webhook("m", "configmaps", **slow))
    hooks.delay = 600
    code, status = await api.post(maps, config_map("a"))
    assert code == 500
    assert status["message"].endswith(
        f'Post "https://127.0.0.1:{hooks.port}/m?timeout=1s": context deadline exceeded'
    )
    await configure(
        MUTATING, hooks.webhook("m", "configmaps", **slow | {"failurePolicy": "Ignore"})
    )
    await api.ok("POST", maps, config_map("b"))


GARBAGE: list[tuple[Any, str]] = [
    (web.Response(text="<html>"), "cannot read its answer"),
    (web.Response(body=b"\xff\x00"), "cannot read its answer"),
    (web.Response(text="{}"), "webhook response was absent"),
    (web.Response(text="[" * 100_000), "cannot read its answer"),
    (web.Response(status=404, text="no such page"), "status 404 (no such page)"),
    (web.Response(status=302, headers={"Location": "https://127.0.0.1/"}), "status 302"),
    ({"uid": "other", "allowed": True}, "expected response.uid="),
    ({"allowed": True, "patch": "e30=", "patchType": "Merge"}, "invalid response.patchType"),
]


@pytest.mark.parametrize(("answer", "said"), GARBAGE, ids=[row[1] for row in GARBAGE])
async def test_a_webhook_that_talks_nonsense(
    api: Api,
    hooks: WebhookServer,
    configure: Configure,
    maps: str,
    answer: Any,
    said: str,
) -> None:
    def made(request: dict[str, Any]) -> Any:
        if isinstance(answer, web.Response):  # one is good for one answer
            return web.Response(
                body=answer.body, status=answer.status,
                headers={k: v for k, v in answer.headers.items() if k == "Location"},
            )  # fmt: skip
        return answer

    await configure(MUTATING, hooks.webhook("m", "configmaps"))
    hooks.answers["m"] = made
    code, status = await api.post(maps, config_map("a"))
    assert code == 500
    assert 'failed calling webhook "m.hooks.example.com": ' in status["message"]
    assert said in status["message"]


async def test_certificates_are_checked(
    api: Api, hooks: WebhookServer, configure: Configure, maps: str
) -> None:
    import base64

    stranger = pki.create_ca("stranger", days=1, clock=SystemClock())
    webhook = hooks.webhook("m", "configmaps")
    webhook["clientConfig"]["caBundle"] = base64.b64encode(stranger.cert_pem).decode()
    await configure(MUTATING, webhook)
    code, status = await api.post(maps, config_map("a"))
    assert code == 500
    assert "certificate verify failed" in status["message"]
    assert not hooks.asked


async def test_a_webhook_that_writes_what_it_is_asked_about(
    api: Api, hooks: WebhookServer, configure: Configure, maps: str
) -> None:
    """It asks itself without end: time ends it, and the server serves on."""
    await configure(VALIDATING, hooks.webhook("v", "configmaps", timeoutSeconds=1))

    async def meanwhile(request: dict[str, Any]) -> None:
        await api.post(maps, {"metadata": {"generateName": "a-"}})

    hooks.meanwhile = meanwhile
    code, status = await api.post(maps, config_map("a"))
    assert code == 500
    assert "context deadline exceeded" in status["message"]
    hooks.meanwhile = None

    async def well() -> bool:
        code, _ = await api.post(maps, {"metadata": {"generateName": "b-"}})
        return code == 201

    await eventually(well)


async def test_what_is_wrong_with_a_configuration(server: Server, api: Api) -> None:
    wrong = configuration(
        VALIDATING,
        "wrong",
        {"name": "short", "clientConfig": {"url": "http://a"}, "sideEffects": "Some",
         "admissionReviewVersions": ["v9"], "timeoutSeconds": 99,
         "rules": [{"operations": [], "apiGroups": ["*", ""], "apiVersions": ["v1"],
                    "resources": ["pods"]}],
         "matchConditions": [{"name": "a", "expression": "true"}]},
    )  # fmt: skip
    code, status = await api.post(path_of(VALIDATING), wrong)
    assert code == 422
    assert {cause["field"] for cause in status["details"]["causes"]} == {
        "webhooks[0].name",
        "webhooks[0].clientConfig.url",
        "webhooks[0].sideEffects",
        "webhooks[0].timeoutSeconds",
        "webhooks[0].admissionReviewVersions",
        "webhooks[0].rules[0].operations",
        "webhooks[0].rules[0].apiGroups",
        "webhooks[0].matchConditions",
    }
    policy = """
        apiVersion: admissionregistration.k8s.io/v1
        kind: ValidatingAdmissionPolicy
        metadata: {name: p}
        spec:
          matchConstraints:
            resourceRules:
              - {operations: ['*'], apiGroups: [apps], apiVersions: [v1], resources: [deployments]}
          validations: [{expression: object.spec.replicas <= 5}]
    """
    done = await kubectl(server, "apply", "-f", "-", input=policy, check=False)
    assert done.returncode == 1
    assert "expressions in CEL are not evaluated yet" in done.stderr


async def test_figures(api: Api, hooks: WebhookServer, configure: Configure, maps: str) -> None:
    await configure(VALIDATING, hooks.webhook("figures", "configmaps"))
    hooks.answers["figures"] = deny("no", code=403)
    await api.post(maps, config_map("a"))
    _, text = await api.get("/metrics")
    labels = 'name="figures.hooks.example.com",operation="CREATE"'
    prefix = "apiserver_admission_webhook"
    rejected = (
        f'{prefix}_rejection_count{{error_type="no_error",name="figures.hooks.example.com",'
        'operation="CREATE",rejection_code="403",type="validating"} 1.0'
    )
    assert rejected in text
    assert f"{prefix}_admission_duration_seconds_bucket{{" in text
    assert (
        f'{prefix}_request_total{{code="403",{labels},rejected="true",type="validating"}} 1.0'
        in (text)
    )


def everything(hooks: WebhookServer) -> dict[str, Any]:
    return configuration(VALIDATING, "everything", hooks.webhook("all", "*/*"))


async def test_a_broken_webhook_for_everything_can_be_taken_back(
    tmp_path: Path, hooks: WebhookServer
) -> None:
    """Also after the server was restarted with it, when its own first objects are refused, too."""
    server = Server(tmp_path)
    server.start(whole=True)
    try:
        body = json.dumps(everything(hooks))
        await kubectl(server, "create", "-f", "-", input=body)
        await hooks.stop()
        done = await kubectl(server, "create", "configmap", "a", check=False)
        assert 'failed calling webhook "all.hooks.example.com"' in done.stderr
        server.kill()
        server.start(whole=True)
        done = await kubectl(server, "delete", "service", "kubernetes", check=False)
        assert "failed calling webhook" in done.stderr
        await kubectl(server, "delete", "validatingwebhookconfiguration", "everything")
        await eventually(
            lambda: asyncio.to_thread(
                lambda: not server.kubectl("create", "configmap", "a", check=False).returncode
            )
        )
    finally:
        server.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")
async def test_a_webhook_behind_a_service(
    server: Server, api: Api, configure: Configure, namespace: str, maps: str
) -> None:
    """Reached through the agent of its pod, under the name of the Service."""
    hooks = WebhookServer(f"hook.{namespace}.svc")
    agent = NodeAgent()
    await agent.start(server)
    try:
        await serve_in_pod(api, agent, hooks, namespace)
        webhook = hooks.webhook("m", "configmaps")
        service = {"namespace": namespace, "name": "hook", "path": "/m"}
        webhook["clientConfig"] = {"service": service, "caBundle": hooks.bundle}
        await configure(MUTATING, webhook)
        hooks.answers["m"] = patching(add("/data", {"from": "afar"}))
        made = await api.ok("POST", maps, config_map("a"))
        assert made["data"] == {"from": "afar"}
        await api.delete(f"/api/v1/namespaces/{namespace}/services/hook")
        code, status = await api.post(maps, config_map("b"))
        assert code == 500
        assert f'https://hook.{namespace}.svc:443/m?timeout=10s": ' in status["message"]
        assert 'services "hook" not found' in status["message"]
    finally:
        await hooks.stop()
        await agent.stop()


async def serve_in_pod(api: Api, agent: NodeAgent, hooks: WebhookServer, namespace: str) -> None:
    """A node, a pod on it that answers reviews, and a Service with the pod behind it."""
    port, node = 8443, f"n-{namespace}"
    await hooks.start_on(await agent.socket(port))
    await api.ok("POST", "/api/v1/nodes", {"metadata": {"name": node}})
    status = {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": agent.port}},
    }
    await api.patch(f"/api/v1/nodes/{node}/status", {"status": status})
    base = f"/api/v1/namespaces/{namespace}"
    spec = {"nodeName": node, "containers": [{"name": "app", "image": "i"}]}
    await api.ok("POST", f"{base}/pods", {"metadata": {"name": "p"}, "spec": spec})
    running = {"phase": "Running", "podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}]}
    await api.patch(f"{base}/pods/p/status", {"status": running})
    ports = [{"name": "https", "port": 443, "targetPort": port}]
    await api.ok(
        "POST", f"{base}/services", {"metadata": {"name": "hook"}, "spec": {"ports": ports}}
    )
    slice_ = {
        "metadata": {"name": "hook-1", "labels": {"kubernetes.io/service-name": "hook"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.244.0.9"], "targetRef": {"kind": "Pod", "name": "p"}}],
        "ports": [{"name": "https", "port": port}],
    }
    path = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
    await api.ok("POST", path, slice_)
