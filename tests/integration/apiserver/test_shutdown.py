"""TERM under load: whatever was taken is answered, watches end as they should, clients are sent away."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path

import aiohttp
import pytest

from tests.integration.apiserver.conftest import Server, config_map

CLIENTS = 24
MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.fixture
def own(tmp_path: Path) -> Server:
    return Server(tmp_path)


class Client:
    """Writes on one connection after the other, and knows what was answered."""

    def __init__(self, server: Server, number: int) -> None:
        self.server = server
        self.name = f"c-{number}"
        self.written: list[str] = []
        self.broken: list[str] = []
        self.told_to_leave = 0

    async def run(self) -> None:
        """Until no connection is accepted any more."""
        connector = aiohttp.TCPConnector(ssl=self.server.context(), limit=1)
        async with aiohttp.ClientSession(connector=connector) as session:
            while True:
                name = f"{self.name}-{len(self.written)}"
                try:
                    await self._write(session, name)
                except aiohttp.ClientConnectorError:
                    return
                except aiohttp.ClientError as error:
                    self.broken.append(f"{name}: {error!r}")
                    return

    async def _write(self, session: aiohttp.ClientSession, name: str) -> None:
        url = self.server.url + MAPS
        async with session.post(url, json=config_map(name)) as answer:
            assert answer.status == 201
            await answer.read()
            self.written.append(name)
            self.told_to_leave += answer.headers.get("Connection") == "close"


async def _watch(server: Server, began: asyncio.Event) -> list[str]:
    """The names of a watch that ends without an error."""
    seen = []
    connector = aiohttp.TCPConnector(ssl=server.context())
    url = f"{server.url}{MAPS}?watch=true&resourceVersion=0"
    async with aiohttp.ClientSession(connector=connector) as session, session.get(url) as answer:
        began.set()
        async for line in answer.content:
            seen.append(json.loads(line)["object"]["metadata"]["name"])
    return seen


async def test_nothing_that_was_taken_is_dropped(own: Server) -> None:
    own.start()
    clients = [Client(own, number) for number in range(CLIENTS)]
    running = asyncio.gather(*(client.run() for client in clients))
    began = asyncio.Event()
    watch = asyncio.ensure_future(_watch(own, began))
    async with asyncio.timeout(60):
        await began.wait()
        while sum(len(client.written) for client in clients) < 20 * CLIENTS:
            await asyncio.sleep(0.01)
        assert own._process is not None
        own._process.send_signal(signal.SIGTERM)
        await running
        seen = await watch
    assert [client.broken for client in clients if client.broken] == []
    assert all(client.told_to_leave for client in clients)
    assert await asyncio.to_thread(own._process.wait, 30) == 0
    own.start()
    try:
        connector = aiohttp.TCPConnector(ssl=own.context())
        url = own.url + MAPS
        async with aiohttp.ClientSession(connector=connector) as session, session.get(url) as got:
            stored = {item["metadata"]["name"] for item in (await got.json())["items"]}
    finally:
        own.stop()
    acknowledged = {name for client in clients for name in client.written}
    assert acknowledged <= stored
    assert len(seen) == len(set(seen))


async def test_on_the_way_out_it_is_not_ready(own: Server) -> None:
    own.start()
    connector = aiohttp.TCPConnector(ssl=own.context(), limit=1)
    busy = [Client(own, number) for number in range(4)]
    running = asyncio.gather(*(client.run() for client in busy))
    async with aiohttp.ClientSession(connector=connector) as session, asyncio.timeout(60):
        async with session.get(own.url + "/readyz") as answer:
            assert await answer.text() == "ok"
        assert own._process is not None
        own._process.send_signal(signal.SIGTERM)
        while not any(client.told_to_leave for client in busy):
            await asyncio.sleep(0.001)
        async with session.get(own.url + "/readyz") as answer:
            text = await answer.text()
            assert answer.status == 500
            assert "[-]shutdown failed: the server is shutting down" in text
        await running
    assert await asyncio.to_thread(own._process.wait, 30) == 0
