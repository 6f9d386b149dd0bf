"""`kubectl drain` and evictions in every notation, against a real server."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest

from tests.debian import fetch_kubectl
from tests.integration.apiserver.conftest import Api, Server, refusals
from tests.patience import DEADLINE


async def _pod(api: Api, namespace: str, name: str, node: str) -> str:
    path = f"/api/v1/namespaces/{namespace}/pods"
    body = {
        "metadata": {"name": name, "labels": {"app": "web"}},
        "spec": {
            "nodeName": node,
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "c", "image": "i"}],
        },
    }
    await api.ok("POST", path, body)
    ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    await api.patch(f"{path}/{name}/status", {"status": ready})
    return f"{path}/{name}"


async def _budget(api: Api, namespace: str, allowed: int) -> str:
    path = f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets"
    spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}
    made = await api.ok("POST", path, {"metadata": {"name": "pdb"}, "spec": spec})
    status = {
        "observedGeneration": made["metadata"]["generation"],
        "disruptionsAllowed": allowed,
        "currentHealthy": 2,
        "desiredHealthy": 1,
        "expectedPods": 2,
    }
    code, _ = await api.patch(f"{path}/pdb/status", {"status": status})
    assert code == 200
    return f"{path}/pdb"


EVICTION = {"apiVersion": "policy/v1", "kind": "Eviction"}


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", {**EVICTION, "metadata": {"name": "p"}}),
        ("application/json", {**EVICTION, "apiVersion": "policy/v1beta1"}),
        ("application/yaml", b"apiVersion: policy/v1\nkind: Eviction\nmetadata: {name: p}\n"),
        (
            "application/vnd.kubernetes.protobuf",
            # Unknown{TypeMeta{policy/v1, Eviction}, raw: Eviction{metadata{name: p}}}
            b"k8s\0\n\x15\n\tpolicy/v1\x12\x08Eviction\x12\x05\n\x03\n\x01p",
        ),
    ],
)
async def test_every_notation(api: Api, namespace: str, content_type: str, body: Any) -> None:
    path = await _pod(api, namespace, "p", "")
    code, status = await api.post(f"{path}/eviction", body, content_type=content_type)
    assert (code, status["status"]) == (201, "Success")
    assert (await api.get(path))[0] == 404


async def test_the_refusal_has_a_cause(api: Api, namespace: str) -> None:
    path = await _pod(api, namespace, "p", "")
    await _budget(api, namespace, 0)
    code, status = await api.post(f"{path}/eviction", EVICTION)
    assert (code, status["reason"]) == (429, "TooManyRequests")
    assert status["details"]["causes"][0]["reason"] == "DisruptionBudget"
    table = "application/json;as=Table;v=v1;g=meta.k8s.io"
    base = f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets"
    rows = (await api.ok("GET", base, headers={"Accept": table}))["rows"]
    assert rows[0]["cells"][:4] == ["pdb", "1", "N/A", 0]


@pytest.mark.parametrize("which", ["kubectl", "debian"])
async def test_a_drain_waits_for_the_budget(
    server: Server, api: Api, namespace: str, which: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    program = which if which == "kubectl" else fetch_kubectl(tmp_path_factory.mktemp("kubectl"))
    node = f"n-{uuid.uuid4().hex[:6]}"
    await api.ok("POST", "/api/v1/nodes", {"metadata": {"name": node}})
    paths = [await _pod(api, namespace, name, node) for name in ("p", "q")]
    budget = await _budget(api, namespace, 1)
    before = await refusals(api)
    drain = asyncio.create_task(
        asyncio.to_thread(
            server.kubectl,
            *("drain", node, "--force", "--timeout=100s"),
            program=program,
            HOME=str(tmp_path_factory.mktemp("home")),
        )
    )
    async with asyncio.timeout(2 * DEADLINE):
        while len(left := [path for path in paths if (await api.get(path))[0] == 200]) == 2:
            await asyncio.sleep(0.02)
        assert len(left) == 1
        while await refusals(api) == before:
            await asyncio.sleep(0.02)
        assert (await api.get(budget))[1]["status"]["disruptionsAllowed"] == 0
        code, _ = await api.patch(f"{budget}/status", {"status": {"disruptionsAllowed": 1}})
        assert code == 200
        done = await drain
    assert "evicted" in done.stdout
    assert "Cannot evict pod as it would violate" in done.stderr
    assert [(await api.get(path))[0] for path in paths] == [404, 404]
    _, cordoned = await api.get(f"/api/v1/nodes/{node}")
    assert cordoned["spec"]["unschedulable"] is True
