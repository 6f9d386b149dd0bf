"""`kubectl debug` and `kubectl patch --subresource resize` against a real server."""

from __future__ import annotations

import asyncio
import json

from tests.integration.apiserver.conftest import Api, Server

CONTAINER = {
    "name": "app",
    "image": "a:1",
    "resources": {"requests": {"cpu": "100m"}, "limits": {"cpu": "1"}},
}


async def _pod(api: Api, namespace: str) -> str:
    path = f"/api/v1/namespaces/{namespace}/pods"
    await api.ok("POST", path, {"metadata": {"name": "p"}, "spec": {"containers": [CONTAINER]}})
    return f"{path}/p"


async def test_kubectl_debug_adds_a_container(server: Server, api: Api, namespace: str) -> None:
    path = await _pod(api, namespace)
    await asyncio.to_thread(
        server.kubectl,
        *("debug", "p", "-n", namespace, "--image=busybox", "-c", "sh", "--target=app"),
        *("--", "sleep", "1"),
    )
    _, pod = await api.get(path)
    (added,) = pod["spec"]["ephemeralContainers"]
    assert (added["name"], added["targetContainerName"]) == ("sh", "app")
    assert pod["metadata"]["generation"] == 2
    _, same = await api.get(f"{path}/ephemeralcontainers")
    assert same == pod
    pod["spec"]["ephemeralContainers"] = []
    code, status = await api.put(f"{path}/ephemeralcontainers", pod)
    assert (code, status["reason"]) == (422, "Invalid")
    code, status = await api.put(path, pod)
    assert (code, status["reason"]) == (422, "Invalid")


async def test_a_pod_that_waits_is_resized(server: Server, api: Api, namespace: str) -> None:
    path = await _pod(api, namespace)
    patch = {"spec": {"containers": [{"name": "app", "resources": {"limits": {"cpu": "2"}}}]}}
    command = ("patch", "pod", "p", "-n", namespace, "--subresource=resize", "-p")
    await asyncio.to_thread(server.kubectl, *command, json.dumps(patch))
    _, pod = await api.get(path)
    resources = pod["spec"]["containers"][0]["resources"]
    assert resources == {"requests": {"cpu": "100m"}, "limits": {"cpu": "2"}}
    status = {"containerStatuses": [{"name": "app", "state": {"running": {}}}]}
    await api.patch(f"{path}/status", {"status": status})
    patch["spec"]["containers"][0]["resources"] = {"limits": {"cpu": "3"}}
    code, answer = await api.patch(f"{path}/resize", patch, "strategic")
    assert code == 422
    assert "Pod running on node without support for resize" in answer["message"]
