"""What outlives a restart, and what is forgotten with time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest
import pytest_asyncio

from tests.integration.apiserver.conftest import Api, Server, config_map
from tests.patience import DEADLINE

MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.fixture
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("history"))
    yield made
    made.kill()


@pytest_asyncio.fixture
async def session() -> AsyncIterator[list[aiohttp.ClientSession]]:
    opened: list[aiohttp.ClientSession] = []
    yield opened
    for one in opened:
        await one.close()


def connect(server: Server, session: list[aiohttp.ClientSession]) -> Api:
    connector = aiohttp.TCPConnector(ssl=server.context())
    session.append(aiohttp.ClientSession(connector=connector))
    return Api(session[-1], server.url)


async def test_everything_acknowledged_survives_a_kill(
    own_server: Server, session: list[aiohttp.ClientSession]
) -> None:
    own_server.start()
    api = connect(own_server, session)
    made = await api.ok("POST", MAPS, config_map("a", data={"k": "v"}))
    ports = [{"port": 80}]
    service = {"metadata": {"name": "s"}, "spec": {"type": "NodePort", "ports": ports}}
    given = await api.ok("POST", "/api/v1/namespaces/default/services", service)
    revision = made["metadata"]["resourceVersion"]
    own_server.kill()
    own_server.start()
    api = connect(own_server, session)
    assert await api.get(f"{MAPS}/a") == (200, made)
    # A client that was watching goes on where it was.
    query = f"?watch=1&resourceVersion={revision}"
    async with api.session.get(api.url + MAPS + query) as answer, asyncio.timeout(DEADLINE):
        await api.ok("DELETE", f"{MAPS}/a")
        event = json.loads(await answer.content.readline())
    assert (event["type"], event["object"]["metadata"]["name"]) == ("DELETED", "a")
    # Addresses that were given out stay given out.
    taken = {**service, "metadata": {"name": "t"}}
    taken["spec"] = {"clusterIP": given["spec"]["clusterIP"], "ports": ports}
    code, status = await api.post("/api/v1/namespaces/default/services", taken)
    assert code == 422 and "provided IP is already allocated" in status["message"]


async def test_term_ends_in_order(own_server: Server, session: list[aiohttp.ClientSession]) -> None:
    own_server.start()
    api = connect(own_server, session)
    async with api.session.get(f"{api.url}{MAPS}?watch=1") as answer:
        assert answer.status == 200
        assert await asyncio.to_thread(own_server.stop) == 0


async def test_history_is_forgotten_with_410(
    own_server: Server, session: list[aiohttp.ClientSession]
) -> None:
    own_server.start("--compaction-interval=500ms")
    api = connect(own_server, session)
    for number in range(3):
        await api.ok("POST", MAPS, config_map(f"m{number}"))
    first = await api.ok("GET", f"{MAPS}?limit=1")
    token, revision = first["metadata"]["continue"], first["metadata"]["resourceVersion"]
    await api.ok("POST", MAPS, config_map("later"))

    async def status() -> dict | None:
        code, answer = await api.get(f"{MAPS}?limit=1&continue={token}")
        return answer if code == 410 else None

    async with asyncio.timeout(DEADLINE):
        while (expired := await status()) is None:
            await api.patch(f"{MAPS}/later", {"data": {"t": str(id(object()))}})
            await asyncio.sleep(0.1)
    assert expired["reason"] == "Expired"
    assert "continue parameter is too old" in expired["message"]
    rest = await api.ok("GET", f"{MAPS}?continue={expired['metadata']['continue']}")
    assert [item["metadata"]["name"] for item in rest["items"]] == ["m1", "m2"]

    exact = f"{MAPS}?resourceVersion={revision}&resourceVersionMatch=Exact"
    code, answer = await api.get(exact)
    assert (code, answer["reason"]) == (410, "Expired")
    own_server.stop()  # the cache's ring remembers longer than the store's log
    own_server.start()
    api = connect(own_server, session)
    async with api.session.get(f"{api.url}{MAPS}?watch=1&resourceVersion=2") as watch:
        assert watch.status == 200
        async with asyncio.timeout(DEADLINE):
            event = json.loads(await watch.content.readline())
    assert event["type"] == "ERROR"
    assert (event["object"]["code"], event["object"]["reason"]) == (410, "Expired")
