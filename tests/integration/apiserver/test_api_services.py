"""Registrations of API servers: what is served here, and requests for what others are to serve."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.integration.apiserver.conftest import Api, Server
from tests.integration.apiserver.crds import definition, eventually

PATH = "/apis/apiregistration.k8s.io/v1/apiservices"


def registration(group: str, service: dict[str, Any] | None = None) -> dict[str, Any]:
    spec = {"group": group, "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 10}
    return {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": f"v1.{group}"},
        "spec": {**spec, "service": service},
    }


async def test_requests_for_another_server_say_why_they_fail(api: Api) -> None:
    service = {"namespace": "kube-system", "name": "things"}
    body = registration("things.example.com", service)
    made = await api.ok("POST", PATH, body)
    assert "spec.service: accepted, but without effect" in str(api.warnings)
    (condition,) = made["status"]["conditions"]
    assert (condition["type"], condition["status"]) == ("Available", "False")
    for method, path in (("GET", ""), ("GET", "/things"), ("POST", "/namespaces/default/things")):
        code, answer = await api.request(method, f"/apis/things.example.com/v1{path}", {})
        assert code == 503, (method, path)
        assert answer["reason"] == "ServiceUnavailable"
        assert "belong to the service kube-system/things" in answer["message"]
        assert "APIService v1.things.example.com" in answer["message"]
    assert (await api.get("/apis/things.example.com/v2"))[0] == 404
    await api.ok("DELETE", f"{PATH}/v1.things.example.com")
    assert (await api.get("/apis/things.example.com/v1"))[0] == 404


async def test_discovery_and_what_is_served_here_stay_as_they_are(api: Api, server: Server) -> None:
    before = await api.ok("GET", "/apis")
    service = {"namespace": "kube-system", "name": "mine"}
    for group in ("apps", "mine.example.com"):
        await api.ok("POST", PATH, registration(group, service))
    assert await api.ok("GET", "/apis") == before
    assert (await api.get("/apis/apps/v1/deployments"))[0] == 200
    assert "deployments" in server.kubectl("api-resources").stdout
    printed = server.kubectl("get", "apiservices").stdout.splitlines()
    assert printed[0].split() == ["NAME", "SERVICE", "AVAILABLE", "AGE"]
    assert "kube-system/mine   False (AggregationNotServed)" in printed[1]
    for group in ("apps", "mine.example.com"):
        await api.ok("DELETE", f"{PATH}/v1.{group}")


async def test_a_local_one_is_available_and_answers_404_as_before(api: Api) -> None:
    made = await api.ok("POST", PATH, registration("local.example.com"))
    (condition,) = made["status"]["conditions"]
    assert (condition["status"], condition["reason"]) == ("True", "Local")
    assert condition["lastTransitionTime"] == made["metadata"]["creationTimestamp"]
    assert not api.warnings
    assert (await api.get("/apis/local.example.com/v1"))[0] == 404
    await api.ok("DELETE", f"{PATH}/v1.local.example.com")
    wrong = registration("a.example.com")
    wrong["metadata"]["name"] = "other"
    code, answer = await api.post(PATH, wrong)
    assert code == 422 and "v1.a.example.com" in json.dumps(answer)


async def test_registrations_follow_what_is_served(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.start("--controllers=true")
    try:
        served = {"v1.", "v1.apps", "v1.rbac.authorization.k8s.io"}
        await _until(server, lambda names: served <= set(names))
        server.kubectl("create", "-f", "-", input=json.dumps(definition("example.com")))
        await _until(server, lambda names: "v1.example.com" in names)
        server.kubectl("delete", "crd", "widgets.example.com")
        await _until(server, lambda names: "v1.example.com" not in names)
        server.kubectl("delete", "apiservice", "v1.apps")
        await _until(server, lambda names: names.get("v1.apps") == "Local True")
        change = '{"spec":{"service":{"namespace":"a","name":"b"}}}'
        body = json.dumps(registration("mine.example.com"))
        server.kubectl("create", "-f", "-", input=body)
        for name in ("v1.mine.example.com", "v1.apps"):  # his own, and one of ours
            server.kubectl("patch", "apiservice", name, "--type=merge", "-p", change)
        await _until(
            server,
            lambda names: names.get("v1.mine.example.com") == "a/b False (AggregationNotServed)",
        )
        await _until(server, lambda names: names.get("v1.apps") == "Local True")
    finally:
        server.stop()


async def _until(server: Server, holds: Callable[[dict[str, str]], bool]) -> dict[str, str]:
    """Every registration with its columns, once that is true of them."""

    async def told() -> dict[str, str]:
        printed = server.kubectl("get", "apiservices", "--no-headers", check=False).stdout
        rows = [line.split() for line in printed.splitlines()]
        names = {row[0]: " ".join(row[1:-1]) for row in rows}
        assert holds(names), names
        return names

    return await eventually(told)
