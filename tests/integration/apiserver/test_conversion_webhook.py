"""Two versions of a kind, and a real HTTPS server that turns one into the other."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest_asyncio
from aiohttp import web

from base import pki
from base.clock import SystemClock
from tests.integration.apiserver.conftest import Api, Server
from tests.integration.apiserver.crds import (
    DEFINITIONS,
    define,
    eventually,
    new_group,
    served,
    version,
)

pytestmark = served

HOST_PORT = {"type": "object", "properties": {"hostPort": {"type": "string"}}}
HOST_AND_PORT = {
    "type": "object",
    "properties": {"host": {"type": "string"}, "port": {"type": "string"}},
}


class Webhook:
    """`spec.hostPort` of v1 and `spec.host`, `spec.port` of v2."""

    def __init__(self) -> None:
        clock = SystemClock()
        self.ca = pki.create_ca("webhook", days=1, clock=clock)
        self._pair = pki.issue(
            self.ca, common_name="webhook", ip_addresses=["127.0.0.1"], server=True, clock=clock
        )
        self.port = 0
        self.asked = 0
        self.broken = ""
        self._runner: web.AppRunner | None = None

    @property
    def config(self) -> dict[str, Any]:
        return {
            "strategy": "Webhook",
            "webhook": {
                "clientConfig": {
                    "url": f"https://127.0.0.1:{self.port}/convert",
                    "caBundle": base64.b64encode(self.ca.cert_pem).decode(),
                },
                "conversionReviewVersions": ["v1"],
            },
        }

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/convert", self._convert)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(
            self._runner,
            "127.0.0.1",
            self.port,
            ssl_context=pki.server_context(self._pair, ca_pem=self.ca.cert_pem),
        )
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _convert(self, request: web.Request) -> web.Response:
        self.asked += 1
        review = await request.json()
        asked = review["request"]
        response: dict[str, Any] = {"uid": asked["uid"], "result": {"status": "Success"}}
        if self.broken:
            response["result"] = {"status": "Failure", "message": self.broken}
        else:
            wanted = asked["desiredAPIVersion"]
            response["convertedObjects"] = [turned(one, wanted) for one in asked["objects"]]
        return web.json_response(
            {"apiVersion": review["apiVersion"], "kind": review["kind"], "response": response}
        )


def turned(tree: dict[str, Any], wanted: str) -> dict[str, Any]:
    spec = tree.get("spec", {})
    if wanted.endswith("/v2"):
        host, _, port = spec.get("hostPort", "").partition(":")
        spec = {"host": host, "port": port}
    else:
        spec = {"hostPort": f"{spec.get('host', '')}:{spec.get('port', '')}"}
    return {**tree, "apiVersion": wanted, "spec": spec}


def versions(stored: str) -> list[dict[str, Any]]:
    schemas = {"v1": HOST_PORT, "v2": HOST_AND_PORT}
    return [
        version(
            name,
            storage=name == stored,
            schema={"openAPIV3Schema": {"type": "object", "properties": {"spec": schema}}},
            additionalPrinterColumns=[],
            selectableFields=[],
            subresources={},
        )
        for name, schema in schemas.items()
    ]


@pytest_asyncio.fixture
async def webhook() -> AsyncIterator[Webhook]:
    made = Webhook()
    await made.start()
    yield made
    await made.stop()


@pytest_asyncio.fixture
async def group(api: Api, webhook: Webhook) -> AsyncIterator[str]:
    name = new_group()
    await define(api, name, *versions("v1"), conversion=webhook.config)
    yield name
    webhook.broken = ""
    await api.delete(f"{DEFINITIONS}/widgets.{name}")


def paths(group: str, namespace: str) -> tuple[str, str]:
    first, second = (f"/apis/{group}/{v}/namespaces/{namespace}/widgets" for v in ("v1", "v2"))
    return first, second


def made(group: str, name: str) -> dict[str, Any]:
    return {
        "apiVersion": f"{group}/v1",
        "kind": "Widget",
        "metadata": {"name": name},
        "spec": {"hostPort": "web:80"},
    }


async def test_every_verb_in_the_other_version(api: Api, group: str, namespace: str) -> None:
    first, second = paths(group, namespace)
    one = await api.ok("POST", first, made(group, "one"))
    found = await api.ok("GET", f"{second}/one")
    assert (found["apiVersion"], found["spec"]) == (
        f"{group}/v2",
        {"host": "web", "port": "80"},
    )
    assert found["metadata"] == one["metadata"]
    _, patched = await api.patch(f"{second}/one", {"spec": {"port": "81"}})
    assert patched["spec"] == {"host": "web", "port": "81"}
    assert (await api.ok("GET", f"{first}/one"))["spec"] == {"hostPort": "web:81"}
    patched["spec"]["host"] = "db"
    assert (await api.ok("PUT", f"{second}/one", patched))["spec"]["host"] == "db"
    body = {**made(group, "two"), "apiVersion": f"{group}/v2", "spec": {"host": "h", "port": "1"}}
    await api.ok("POST", second, body)
    listed = await api.ok("GET", first)
    assert [item["spec"]["hostPort"] for item in listed["items"]] == ["db:81", "h:1"]
    accept = {"Accept": "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"}
    partial = await api.ok("GET", second, headers=accept)
    assert [item["metadata"]["name"] for item in partial["items"]] == ["one", "two"]
    gone = await api.ok("DELETE", f"{second}/one")
    assert gone["status"] == "Success"


async def test_watchers_share_conversions(
    api: Api, group: str, namespace: str, webhook: Webhook
) -> None:
    first, second = paths(group, namespace)

    async with AsyncExitStack() as opened:
        watch = f"{api.url}{second}?watch=true"
        watches = [await opened.enter_async_context(api.session.get(watch)) for _ in range(5)]
        before = webhook.asked
        await api.ok("POST", first, made(group, "one"))
        for one in watches:
            event = json.loads(await one.content.readline())
            assert event["object"]["apiVersion"] == f"{group}/v2"
            assert event["object"]["spec"] == {"host": "web", "port": "80"}
    assert webhook.asked == before + 1


async def test_failures_are_told_precisely(
    api: Api, group: str, namespace: str, webhook: Webhook
) -> None:
    first, second = paths(group, namespace)
    await api.ok("POST", first, made(group, "one"))
    webhook.broken = "out of order"
    code, status = await api.get(f"{second}/one")
    assert code == 500
    assert status["message"].endswith(
        f"conversion webhook for {group}/v1, Kind=Widget failed: out of order"
    )
    assert (await api.get(f"{first}/one"))[0] == 200  # needs none
    webhook.broken = ""
    await webhook.stop()
    code, status = await api.get(f"{second}/one")
    assert code == 500
    assert f'Post "https://127.0.0.1:{webhook.port}/convert": ' in status["message"]
    await webhook.start()


async def test_certificates_are_checked(api: Api, namespace: str, webhook: Webhook) -> None:
    group, stranger = new_group(), pki.create_ca("stranger", days=1, clock=SystemClock())
    config = webhook.config
    config["webhook"]["clientConfig"]["caBundle"] = base64.b64encode(stranger.cert_pem).decode()
    await define(api, group, *versions("v1"), conversion=config)
    first, second = paths(group, namespace)
    await api.ok("POST", first, made(group, "one"))
    code, status = await api.get(f"{second}/one")
    assert code == 500
    assert "certificate verify failed" in status["message"]
    await api.delete(f"{DEFINITIONS}/widgets.{group}")


async def test_another_stored_version(
    server: Server, api: Api, group: str, namespace: str, webhook: Webhook
) -> None:
    first, second = paths(group, namespace)
    await api.ok("POST", first, made(group, "old"))
    name = f"{DEFINITIONS}/widgets.{group}"
    await api.patch(name, {"spec": {"versions": versions("v2")}})

    async def both() -> bool:
        found = await api.ok("GET", name)
        return bool(found["status"]["storedVersions"] == ["v1", "v2"])

    await eventually(both)
    for path, spec in ((first, {"hostPort": "web:80"}), (second, {"host": "web", "port": "80"})):
        assert (await api.ok("GET", f"{path}/old"))["spec"] == spec
    _, patched = await api.patch(f"{first}/old", {"metadata": {"labels": {"a": "b"}}})
    assert (patched["apiVersion"], patched["spec"]) == (f"{group}/v1", {"hostPort": "web:80"})
    before = webhook.asked
    assert (await api.ok("GET", f"{second}/old"))["spec"] == {"host": "web", "port": "80"}
    assert webhook.asked == before  # it is stored in that version now
