"""Quotas against a real server: exact in a flood, told as Kubernetes tells it, shown by kubectl."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.apiserver.conftest import Api, Server

WIDGETS = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, kind: Widget}
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}
"""
FLOOD = 100
ROOM = 10


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """With controllers: somebody has to count what is there before."""
    made = Server(tmp_path_factory.mktemp("quotas"))
    made.start(whole=True)
    yield made
    made.stop()


async def limit(
    api: Api, namespace: str, hard: dict[str, str], name: str = "q", **spec: Any
) -> None:
    path = f"/api/v1/namespaces/{namespace}/resourcequotas"
    body = {"metadata": {"name": name}, "spec": {"hard": hard, **spec}}
    await api.ok("POST", path, body)


async def used(api: Api, namespace: str, name: str = "q") -> dict[str, str]:
    path = f"/api/v1/namespaces/{namespace}/resourcequotas/{name}"
    found: dict[str, str] = (await api.ok("GET", path))["status"]["used"]
    return found


def pod(name: str, **resources: dict[str, str]) -> dict[str, Any]:
    spec = {"containers": [{"name": "app", "image": "busybox", "resources": resources}]}
    return {"metadata": {"name": name}, "spec": spec}


async def test_a_flood_gets_what_there_is_and_no_more(api: Api, namespace: str) -> None:
    pods = f"/api/v1/namespaces/{namespace}/pods"
    await limit(api, namespace, {"pods": str(ROOM), "requests.cpu": "1"})
    amounts = {"requests": {"cpu": "100m"}}

    async def make(number: int) -> int:
        code, answer = await api.post(pods, pod(f"p{number}", **amounts))
        if code != 201:
            assert "exceeded quota: q, requested: pods=1,requests.cpu=100m" in answer[
                "message"
            ] or ("exceeded quota: q, requested: pods=1" in answer["message"])
        return code

    codes = await asyncio.gather(*(make(number) for number in range(FLOOD)))
    assert codes.count(201) == ROOM and codes.count(403) == FLOOD - ROOM
    assert await used(api, namespace) == {"pods": "10", "requests.cpu": "1"}
    kept = (await api.ok("GET", pods))["items"]
    assert len(kept) == ROOM
    gone = [
        api.delete(f"{pods}/{one['metadata']['name']}", {"gracePeriodSeconds": 0})
        for one in kept[:5]
    ]
    again = [make(number) for number in range(FLOOD, 2 * FLOOD)]
    await asyncio.gather(*gone, *again)
    left = len((await api.ok("GET", pods))["items"])
    assert ROOM - 5 <= left <= ROOM
    assert (await used(api, namespace))["pods"] == str(left)
    # Whatever the order was, there is room again for exactly what is missing.
    codes = await asyncio.gather(*(make(number) for number in range(2 * FLOOD, 2 * FLOOD + 20)))
    assert codes.count(201) == ROOM - left


async def test_a_try_costs_nothing(api: Api, namespace: str) -> None:
    secrets = f"/api/v1/namespaces/{namespace}/secrets"
    await limit(api, namespace, {"count/secrets": "2"})
    await api.ok("POST", secrets, {"metadata": {"name": "a"}})
    await api.ok("POST", f"{secrets}?dryRun=All", {"metadata": {"name": "b"}})
    code, _ = await api.post(secrets, {"metadata": {"name": "a"}})
    assert code == 409
    await api.ok("DELETE", f"{secrets}/a?dryRun=All")
    assert await used(api, namespace) == {"count/secrets": "1"}


async def test_a_try_is_refused_like_the_real_thing(api: Api, namespace: str) -> None:
    await limit(api, namespace, {"services": "0"})
    body = {"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}}
    path = f"/api/v1/namespaces/{namespace}/services"
    code, answer = await api.post(f"{path}?dryRun=All", body)
    assert code == 403
    assert answer["message"] == (
        'services "web" is forbidden: exceeded quota: q, requested: services=1, '
        "used: services=0, limited: services=0"
    )


async def test_a_service_that_changes_its_type(api: Api, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/services"
    await limit(api, namespace, {"services": "2", "services.nodeports": "1"})
    for name in ("a", "b"):
        await api.ok("POST", path, {"metadata": {"name": name}, "spec": {"ports": [{"port": 80}]}})
    port = {"spec": {"type": "NodePort"}}
    code, _ = await api.patch(f"{path}/a", port)
    assert code == 200
    assert await used(api, namespace) == {"services": "2", "services.nodeports": "1"}
    code, answer = await api.patch(f"{path}/b", port)
    assert code == 403 and "requested: services.nodeports=1" in answer["message"]
    await api.patch(f"{path}/a", {"spec": {"type": "ClusterIP"}})
    code, _ = await api.patch(f"{path}/b", port)
    assert code == 200


async def test_what_is_limited_must_be_said(api: Api, namespace: str) -> None:
    pods = f"/api/v1/namespaces/{namespace}/pods"
    await limit(api, namespace, {"limits.cpu": "2", "requests.memory": "1Gi"}, name="compute")
    code, answer = await api.post(pods, pod("x", limits={"memory": "1Mi"}))
    assert code == 403
    assert answer["message"] == (
        'pods "x" is forbidden: failed quota: compute: must specify limits.cpu for: app'
    )


async def test_scopes(api: Api, namespace: str) -> None:
    pods = f"/api/v1/namespaces/{namespace}/pods"
    await limit(api, namespace, {"pods": "1"}, scopes=["BestEffort"])
    await api.ok("POST", pods, pod("a"))
    await api.ok("POST", pods, pod("b", requests={"cpu": "1m"}))
    code, _ = await api.post(pods, pod("c"))
    assert code == 403
    assert await used(api, namespace) == {"pods": "1"}


async def test_claims_count_by_their_class(api: Api, namespace: str) -> None:
    claims = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims"
    gold = "gold.storageclass.storage.k8s.io/requests.storage"
    await limit(api, namespace, {gold: "10Gi", "requests.storage": "1Ti"})

    def claim(name: str, size: str, class_: str) -> dict[str, Any]:
        resources = {"requests": {"storage": size}}
        spec = {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": class_,
            "resources": resources,
        }
        return {"metadata": {"name": name}, "spec": spec}

    await api.ok("POST", claims, claim("a", "6Gi", "gold"))
    await api.ok("POST", claims, claim("b", "50Gi", "tin"))
    code, answer = await api.post(claims, claim("c", "6Gi", "gold"))
    assert code == 403
    assert f"requested: {gold}=6Gi, used: {gold}=6Gi, limited: {gold}=10Gi" in answer["message"]
    assert await used(api, namespace) == {gold: "6Gi", "requests.storage": "56Gi"}


async def test_a_resize_is_charged(api: Api, namespace: str) -> None:
    pods = f"/api/v1/namespaces/{namespace}/pods"
    await limit(api, namespace, {"requests.cpu": "1"})
    await api.ok("POST", pods, pod("p", requests={"cpu": "500m"}, limits={"cpu": "4"}))

    async def resize(cpu: str) -> tuple[int, Any]:
        container = {"name": "app", "resources": {"requests": {"cpu": cpu}}}
        return await api.patch(
            f"{pods}/p/resize", {"spec": {"containers": [container]}}, "strategic"
        )

    assert (await resize("1"))[0] == 200
    assert await used(api, namespace) == {"requests.cpu": "1"}
    code, answer = await resize("2")
    assert code == 403
    assert (
        "requested: requests.cpu=1, used: requests.cpu=1, limited: requests.cpu=1"
        in (answer["message"])
    )
    assert (await resize("100m"))[0] == 200
    assert await used(api, namespace) == {"requests.cpu": "100m"}


async def test_kinds_of_ones_own_are_counted(server: Server, api: Api, namespace: str) -> None:
    server.kubectl("apply", "-f", "-", input=WIDGETS)
    server.kubectl("wait", "crd/widgets.example.com", "--for=condition=Established")
    path = f"/apis/example.com/v1/namespaces/{namespace}/widgets"
    widget = {"apiVersion": "example.com/v1", "kind": "Widget"}
    await api.ok("POST", path, {**widget, "metadata": {"name": "before"}})
    await limit(api, namespace, {"count/widgets.example.com": "2"})
    await api.ok("POST", path, {**widget, "metadata": {"name": "a"}})
    code, answer = await api.post(path, {**widget, "metadata": {"name": "b"}})
    assert code == 403 and "requested: count/widgets.example.com=1" in answer["message"]
    await api.ok("DELETE", f"{path}/before")
    await api.ok("POST", path, {**widget, "metadata": {"generateName": "b-"}})


async def test_deleting_a_collection_gives_everything_back(api: Api, namespace: str) -> None:
    secrets = f"/api/v1/namespaces/{namespace}/secrets"
    await limit(api, namespace, {"secrets": "5"})
    for number in range(5):
        await api.ok("POST", secrets, {"metadata": {"name": f"s{number}"}})
    await api.ok("DELETE", secrets)
    assert await used(api, namespace) == {"secrets": "0"}


async def test_the_last_room_survives_a_crash(server: Server, api: Api, namespace: str) -> None:
    """The charge and the object are one write: killed at any moment, both are there or neither."""
    secrets = f"/api/v1/namespaces/{namespace}/secrets"
    await limit(api, namespace, {"secrets": "500"})
    await api.ok("POST", secrets, {"metadata": {"name": "first"}})

    async def make(number: int) -> None:
        await api.post(secrets, {"metadata": {"name": f"s{number}"}})

    flood = [asyncio.create_task(make(number)) for number in range(200)]
    while sum(one.done() for one in flood) < 20:
        await asyncio.sleep(0)
    server.kill()
    await asyncio.gather(*flood, return_exceptions=True)
    server.start()  # without controllers: nobody counts anew
    try:
        there = len((await api.ok("GET", secrets))["items"])
        assert there > 20
        assert await used(api, namespace) == {"secrets": str(there)}
    finally:
        server.stop()
        server.start(whole=True)


async def test_kubectl_shows_what_is_used(server: Server, api: Api, namespace: str) -> None:
    hard = {"pods": "4", "requests.cpu": "2", "limits.cpu": "4"}
    await limit(api, namespace, hard, scopes=["NotBestEffort"])
    amounts = {"requests": {"cpu": "500m"}, "limits": {"cpu": "1"}}
    await api.ok("POST", f"/api/v1/namespaces/{namespace}/pods", pod("a", **amounts))
    head, row = server.kubectl("get", "quota", "-n", namespace).stdout.splitlines()
    assert head.split() == ["NAME", "REQUEST", "LIMIT", "AGE"]
    assert row.split()[:6] == ["q", "pods:", "1/4,", "requests.cpu:", "500m/2", "limits.cpu:"]
    told = server.kubectl("describe", "quota", "q", "-n", namespace).stdout
    rows = [line.split() for line in told.splitlines()]
    assert ["limits.cpu", "1", "4"] in rows and ["requests.cpu", "500m", "2"] in rows
    assert "Matches all pods that have at least one resource requirement set" in told
    assert "Resource Quotas" in server.kubectl("describe", "namespace", namespace).stdout
