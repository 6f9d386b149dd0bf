"""Autoscalers through autoscaling/v2 and v1: one object, kept as v2, whoever writes it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.apiserver.conftest import Api, Server
from tests.patience import wait_until

V1, V2 = "/apis/autoscaling/v1", "/apis/autoscaling/v2"
TABLE = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
METRICS = "autoscaling.alpha.kubernetes.io/metrics"
CONDITIONS = "autoscaling.alpha.kubernetes.io/conditions"
TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
MEMORY = {
    "type": "Resource",
    "resource": {"name": "memory", "target": {"type": "Utilization", "averageUtilization": 50}},
}
CPU = {
    "type": "Resource",
    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}},
}


def path(version: str, namespace: str, name: str = "") -> str:
    whole = f"{version}/namespaces/{namespace}/horizontalpodautoscalers"
    return f"{whole}/{name}" if name else whole


def body(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "spec": {"scaleTargetRef": TARGET, "maxReplicas": 5, **spec},
    }


async def test_each_version_shows_the_same(api: Api, namespace: str) -> None:
    made = await api.ok("POST", path(V2, namespace), body("a", metrics=[CPU, MEMORY]))
    assert made["spec"]["minReplicas"] == 1
    shown = await api.ok("GET", path(V1, namespace, "a"))
    assert shown["apiVersion"] == "autoscaling/v1"
    assert shown["spec"]["targetCPUUtilizationPercentage"] == 60
    assert json.loads(shown["metadata"]["annotations"][METRICS])[0]["resource"] == {
        "name": "memory",
        "targetAverageUtilization": 50,
    }
    await api.ok("POST", path(V1, namespace), body("b", targetCPUUtilizationPercentage=30))
    (metric,) = (await api.ok("GET", path(V2, namespace, "b")))["spec"]["metrics"]
    assert metric["resource"]["target"]["averageUtilization"] == 30
    listed = await api.ok("GET", path(V1, namespace))
    assert [item["spec"]["maxReplicas"] for item in listed["items"]] == [5, 5]


async def test_a_change_in_v1_leaves_the_rest_alone(api: Api, namespace: str) -> None:
    made = await api.ok("POST", path(V2, namespace), body("a", metrics=[CPU, MEMORY]))
    shown = await api.ok("GET", path(V1, namespace, "a"))
    shown["spec"]["maxReplicas"] = 9
    await api.ok("PUT", path(V1, namespace, "a"), shown)
    now = await api.ok("GET", path(V2, namespace, "a"))
    assert now["spec"] == {**made["spec"], "maxReplicas": 9}
    assert now["metadata"]["generation"] == 2
    code, _ = await api.patch(
        path(V1, namespace, "a"), {"spec": {"targetCPUUtilizationPercentage": 70}}
    )
    assert code == 200
    metrics = (await api.ok("GET", path(V2, namespace, "a")))["spec"]["metrics"]
    uses = {one["resource"]["name"]: one["resource"]["target"] for one in metrics}
    assert uses["cpu"]["averageUtilization"] == 70 and uses["memory"]["averageUtilization"] == 50


async def test_the_status_in_both(api: Api, namespace: str) -> None:
    await api.ok("POST", path(V2, namespace), body("a"))
    condition = {"type": "AbleToScale", "status": "True", "reason": "ReadyForNewScale"}
    change = {"status": {"currentReplicas": 2, "desiredReplicas": 3, "conditions": [condition]}}
    code, _ = await api.patch(path(V2, namespace, "a") + "/status", change)
    assert code == 200
    shown = await api.ok("GET", path(V1, namespace, "a") + "/status")
    assert shown["status"]["currentReplicas"] == 2
    assert json.loads(shown["metadata"]["annotations"][CONDITIONS])[0]["reason"] == (
        "ReadyForNewScale"
    )
    code, _ = await api.patch(
        path(V1, namespace, "a") + "/status", {"status": {"desiredReplicas": 4}}
    )
    assert code == 200
    status = (await api.ok("GET", path(V2, namespace, "a")))["status"]
    assert status["desiredReplicas"] == 4
    assert [one["type"] for one in status["conditions"]] == ["AbleToScale"]


async def test_errors_are_those_of_what_is_kept(api: Api, namespace: str) -> None:
    for version in (V1, V2):
        code, said = await api.post(path(version, namespace), body("a", minReplicas=6))
        assert code == 422 and "spec.maxReplicas" in said["message"]


async def test_the_same_rows(api: Api, namespace: str) -> None:
    await api.ok("POST", path(V2, namespace), body("a", metrics=[MEMORY, CPU]))
    rows = []
    for version in (V1, V2):
        table = await api.ok("GET", path(version, namespace), headers=TABLE)
        names = [column["name"] for column in table["columnDefinitions"]]
        assert names == ["Name", "Reference", "Targets", "MinPods", "MaxPods", "Replicas", "Age"]
        rows.append(table["rows"][0]["cells"][:6])
    assert rows[0] == rows[1]
    assert rows[0][2] == "memory: <unknown>/50%, cpu: <unknown>/60%"


async def test_v2_is_preferred(api: Api) -> None:
    group = await api.ok("GET", "/apis/autoscaling")
    assert group["preferredVersion"]["version"] == "v2"
    assert [one["version"] for one in group["versions"]] == ["v2", "v1"]


def test_kubectl_autoscales(server: Server) -> None:
    server.kubectl("create", "namespace", "scaled")

    def run(*words: str) -> str:
        return server.kubectl("-n", "scaled", *words).stdout

    run("create", "deployment", "web", "--image=i")
    run("autoscale", "deployment", "web", "--cpu-percent=30", "--min=1", "--max=5")
    assert "cpu: <unknown>/30%" in run("get", "hpa")
    described = run("describe", "hpa", "web")
    assert "Max replicas:" in described and "<unknown> / 30%" in described
    run(
        "patch",
        "horizontalpodautoscalers.v1.autoscaling",
        "web",
        "-p",
        '{"spec":{"maxReplicas":6}}',
    )
    assert run("get", "hpa", "web", "-o", "jsonpath={.spec.maxReplicas}") == "6"
    run("delete", "hpa", "web")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """With controllers."""
    made = Server(tmp_path_factory.mktemp("autoscaling"))
    made.start(whole=True)
    yield made
    made.stop()


def test_kubectl_describes_what_an_autoscaler_waits_for(whole: Server) -> None:
    whole.kubectl("create", "deployment", "web", "--image=i")
    whole.kubectl("autoscale", "deployment", "web", "--cpu-percent=30", "--min=1", "--max=5")
    failed = "the HPA was unable to compute the replica count: failed to get cpu utilization"

    def described() -> bool:
        said = whole.kubectl("describe", "hpa", "web").stdout
        rows = {line.split()[0]: line.split()[1:] for line in said.splitlines() if line.split()}
        assert rows["AbleToScale"][:2] == ["True", "SucceededGetScale"]
        assert rows["ScalingActive"][:2] == ["False", "FailedGetResourceMetric"]
        assert "FailedComputeMetricsReplicas" in said and failed in said
        assert "<unknown> / 30%" in said
        return True

    wait_until(described)
