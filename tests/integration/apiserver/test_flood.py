"""One client floods the server, another asks quietly: the second one hardly notices."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from base import pki
from base.clock import SystemClock
from tests.integration.apiserver.conftest import Api, Server, config_map

FLOODERS = 400
QUIET = 20


def _client(server: Server, name: str) -> aiohttp.ClientSession:
    pair = pki.issue(
        server.ca,
        common_name=name,
        organizations=["system:masters"],
        client=True,
        clock=SystemClock(),
    )
    connector = aiohttp.TCPConnector(ssl=server.context(pair), limit=0)
    return aiohttp.ClientSession(connector=connector)


async def test_a_flood_of_lists_does_not_drown_others(server: Server, api: Api, maps: str) -> None:
    for number in range(120):
        await api.ok("POST", maps, config_map(f"c-{number}", data={"x": "y" * 1000}))
    counts = {200: 0, 429: 0}
    async with _client(server, "flood") as flood, _client(server, "quiet") as quiet:

        async def ask() -> None:
            async with quiet.get(f"{server.url}{maps}/c-7") as answer:
                assert answer.status == 200
                await answer.read()

        async def list_for_ever() -> None:
            while True:
                async with flood.get(server.url + maps) as answer:
                    counts[answer.status] += 1
                    await answer.read()
                    if answer.status == 429:
                        assert answer.headers["Retry-After"] == "1"
                        await asyncio.sleep(0.2)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(list_for_ever()) for _ in range(FLOODERS)]
            while counts[200] < 50:
                await asyncio.sleep(0.01)
            before = counts[200]
            for _ in range(QUIET):
                await ask()
            meanwhile = counts[200] - before
            for task in tasks:
                task.cancel()
    # Counted, not timed: in one queue with the flood, each question would wait for all of it.
    assert meanwhile < QUIET * FLOODERS / 2, counts
    _, metrics = await api.get("/metrics")
    assert 'apiserver_flowcontrol_dispatched_requests_total{flow_schema="system-masters"' in metrics


@pytest.mark.parametrize("gzip", [False, True])
async def test_a_large_list_is_whole(api: Api, maps: str, gzip: bool) -> None:
    for number in range(30):
        await api.ok("POST", maps, config_map(f"large-{number:02}", data={"x": "y" * 100_000}))
    headers = {"Accept-Encoding": "gzip" if gzip else "identity"}
    code, found = await api.get(maps, headers=headers)
    assert code == 200
    names = [item["metadata"]["name"] for item in found["items"]]
    assert names == [f"large-{number:02}" for number in range(30)]
    assert ("Content-Encoding" in api.headers) is gzip
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io"
    code, table = await api.get(maps, headers={**headers, "Accept": accept})
    assert code == 200
    assert len(table["rows"]) == 30


async def test_a_large_body_of_yaml_is_read(api: Api, maps: str) -> None:
    lines = "".join(f"  key-{number}: value\n" for number in range(30_000))
    body = f"metadata:\n  name: large\ndata:\n{lines}".encode()
    code, _ = await api.post(maps, body, content_type="application/yaml")
    assert code == 201
    async with api.session.get(
        f"{api.url}{maps}/large", headers={"Accept": "application/yaml"}
    ) as answer:
        assert "  key-29999: value\n" in await answer.text()
