"""Disruption budgets with their controller: `kubectl drain`, `create pdb`, and kinds of one's own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.apiserver.conftest import Api, Server, refusals
from tests.patience import DEADLINE, eventually, wait_until

LABELS = {"app": "web"}
CRD = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: crowds.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: crowds, kind: Crowd}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
    subresources:
      status: {}
      scale: {specReplicasPath: .spec.size, statusReplicasPath: .status.size}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("disruption"))
    made.start(whole=True)
    yield made
    made.stop()


async def ready_pod(
    api: Api, namespace: str, name: str, *, node: str = "", **metadata: Any
) -> None:
    path = f"/api/v1/namespaces/{namespace}/pods"
    body = {
        "metadata": {"name": name, "labels": LABELS, **metadata},
        "spec": {
            "nodeName": node or namespace,
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "c", "image": "i"}],
        },
    }
    await api.ok("POST", path, body)
    ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    await api.patch(f"{path}/{name}/status", {"status": ready})


async def allowed(api: Api, namespace: str, number: int) -> dict[str, Any]:
    """The budget's status, once it allows so many disruptions."""
    path = f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets/pdb"

    async def told() -> dict[str, Any] | None:
        status: dict[str, Any] = (await api.ok("GET", path))["status"]
        known = status.get("observedGeneration") and status["disruptionsAllowed"] == number
        return status if known else None

    return await eventually(told)


async def test_a_drain_respects_the_budget(server: Server, api: Api, namespace: str) -> None:
    await api.ok("POST", "/api/v1/nodes", {"metadata": {"name": namespace}})
    for name in ("p", "q"):
        await ready_pod(api, namespace, name)
    server.kubectl(
        *("create", "pdb", "pdb", "--selector=app=web", "--min-available=1", "-n", namespace)
    )
    await allowed(api, namespace, 1)
    before = await refusals(api)
    drain = asyncio.create_task(
        asyncio.to_thread(server.kubectl, "drain", namespace, "--force", "--timeout=100s")
    )

    async def refused() -> bool:
        return await refusals(api) > before

    async with asyncio.timeout(2 * DEADLINE):
        await allowed(api, namespace, 0)
        pods = f"/api/v1/namespaces/{namespace}/pods"
        await eventually(refused)
        assert len((await api.ok("GET", pods))["items"]) == 1 and not drain.done()
        await ready_pod(api, namespace, "r", node="elsewhere")
        done = await drain
    assert "Cannot evict pod as it would violate the pod's disruption budget" in done.stderr
    left = (await api.ok("GET", pods))["items"]
    assert [pod["metadata"]["name"] for pod in left] == ["r"]

    def described() -> bool:
        told = server.kubectl("describe", "pdb", "pdb", "-n", namespace).stdout
        rows = [line.split() for line in told.splitlines()]
        for name, number in ("Allowed", 0), ("Current:", 1), ("Desired:", 1), ("Total:", 1):
            assert any(row[:1] == [name] and row[-1] == str(number) for row in rows), told
        assert ["Min", "available:", "1"] in rows and ["Selector:", "app=web"] in rows
        return True

    await asyncio.to_thread(wait_until, described)
    shown = server.kubectl("get", "pdb", "-n", namespace, "--no-headers").stdout.split()
    assert shown[:4] == ["pdb", "1", "N/A", "0"]


async def test_the_scale_of_a_kind_of_ones_own(server: Server, api: Api, namespace: str) -> None:
    server.kubectl("apply", "-f", "-", input=CRD)
    server.kubectl("wait", "crd/crowds.example.com", "--for=condition=Established")
    crowd = {"apiVersion": "example.com/v1", "kind": "Crowd", "metadata": {"name": "c"}}
    path = f"/apis/example.com/v1/namespaces/{namespace}/crowds"
    made = await api.ok("POST", path, {**crowd, "spec": {"size": 4}})
    owner = {
        "apiVersion": "example.com/v1",
        "kind": "Crowd",
        "name": "c",
        "uid": made["metadata"]["uid"],
        "controller": True,
    }
    for name in ("a", "b", "c"):
        await ready_pod(api, namespace, name, ownerReferences=[owner])
    spec = {"maxUnavailable": "50%", "selector": {"matchLabels": LABELS}}
    await api.ok(
        "POST",
        f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets",
        {"metadata": {"name": "pdb"}, "spec": spec},
    )
    status = await allowed(api, namespace, 1)
    assert (status["expectedPods"], status["desiredHealthy"], status["currentHealthy"]) == (4, 2, 3)


async def test_pods_that_nobody_controls_have_no_scale(api: Api, namespace: str) -> None:
    await ready_pod(api, namespace, "p")
    spec = {"maxUnavailable": 1, "selector": {"matchLabels": LABELS}}
    path = f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets"
    await api.ok("POST", path, {"metadata": {"name": "pdb"}, "spec": spec})
    status = await allowed(api, namespace, 0)
    assert status["expectedPods"] == 0

    async def said() -> bool:
        events = (await api.ok("GET", f"/api/v1/namespaces/{namespace}/events"))["items"]
        return any(one["reason"] == "UnmanagedPods" for one in events)

    await eventually(said)
