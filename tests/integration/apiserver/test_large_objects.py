"""Objects of a megabyte, and patches of ten thousand parts: they take their time, and nobody else's.

While one is worked on, another client asks whether the server lives. The bound is generous, for test
machines are slow and do other work; what it guards against was a minute.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from tests.integration.apiserver.conftest import Api, Server

MANY = 20_000
PATIENCE = 15.0
JSON_PATCH = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"


@asynccontextmanager
async def others_are_served(server: Server) -> AsyncIterator[None]:
    """Fails when somebody else has to wait for an answer meanwhile."""
    longest = 0.0

    async def ask() -> None:
        nonlocal longest
        connector = aiohttp.TCPConnector(ssl=server.context())
        async with aiohttp.ClientSession(connector=connector) as session:
            while True:
                began = time.monotonic()
                async with session.get(f"{server.url}/livez") as answer:
                    assert answer.status == 200
                longest = max(longest, time.monotonic() - began)
                await asyncio.sleep(0.02)

    asking = asyncio.ensure_future(ask())
    await asyncio.sleep(0.1)
    yield
    await asyncio.sleep(0.1)
    asking.cancel()
    assert longest < PATIENCE


def entries(value: str) -> dict[str, str]:
    return {f"k{number}": value for number in range(MANY)}


def containers(**more: Any) -> list[dict[str, Any]]:
    return [{"name": f"c{number}", "image": "i", **more} for number in range(MANY // 4)]


@pytest.fixture
async def big(maps: str, api: Api) -> str:
    """A ConfigMap of very many entries."""
    await api.ok("POST", maps, {"metadata": {"name": "big"}, "data": entries("v")})
    return f"{maps}/big"


async def test_written_and_replaced(server: Server, api: Api, maps: str) -> None:
    async with others_are_served(server):
        await api.ok("POST", maps, {"metadata": {"name": "big"}, "data": entries("v")})
        changed = await api.ok(
            "PUT", f"{maps}/big", {"metadata": {"name": "big"}, "data": entries("w")}
        )
    assert changed["data"] == entries("w")


async def test_ten_thousand_operations(server: Server, api: Api, big: str) -> None:
    removed = [{"op": "remove", "path": f"/data/k{number}"} for number in range(10_000)]
    async with others_are_served(server):
        patched = await api.ok("PATCH", big, removed, content_type=JSON_PATCH)
    assert len(patched["data"]) == MANY - 10_000


async def test_what_would_move_a_mountain_again_and_again_is_refused(
    server: Server, api: Api, big: str
) -> None:
    there = {"op": "move", "from": "/data", "path": "/binaryData"}
    back = {"op": "move", "from": "/binaryData", "path": "/data"}
    async with others_are_served(server):
        code, answer = await api.request(
            "PATCH", big, [there, back] * 5000, content_type=JSON_PATCH
        )
    assert (code, answer["reason"]) == (422, "Invalid")


async def test_applied_twice(server: Server, api: Api, maps: str) -> None:
    path = f"{maps}/applied?fieldManager=test"
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "applied"}}
    async with others_are_served(server):
        await api.ok("PATCH", path, {**config, "data": entries("v")}, content_type=APPLY)
        found = await api.ok("PATCH", path, {**config, "data": entries("w")}, content_type=APPLY)
    assert found["data"] == entries("w")


async def test_a_list_of_thousands_is_merged_by_its_key(
    server: Server, api: Api, namespace: str
) -> None:
    pods = f"/api/v1/namespaces/{namespace}/pods"
    await api.ok("POST", pods, {"metadata": {"name": "many"}, "spec": {"containers": containers()}})
    change = {"spec": {"containers": containers(image="j")}}
    async with others_are_served(server):
        code, answer = await api.request("PATCH", f"{pods}/many", change, content_type=STRATEGIC)
    assert code == 200, answer["message"][:500]
    assert {one["image"] for one in answer["spec"]["containers"]} == {"j"}
    assert len(answer["spec"]["containers"]) == MANY // 4


async def test_a_hundred_thousand_mistakes_are_told_in_part(
    server: Server, api: Api, maps: str
) -> None:
    wrong = {"metadata": {"name": "a", "finalizers": ["a"] * 100_000}}
    async with others_are_served(server):
        code, answer = await api.post(maps, wrong)
    assert code == 422
    assert len(answer["details"]["causes"]) == 1000
    assert answer["message"].endswith("and 99000 more errors")
