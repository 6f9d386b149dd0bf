"""Watches over HTTP: where they begin, what they tell, how they end, and who must not be hurt."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.integration.apiserver.conftest import Api, Server, config_map
from tests.patience import DEADLINE


class Events:
    """The events of one watch, read one by one under a deadline."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self.answer = answer

    async def next(self, seconds: float = DEADLINE) -> dict[str, Any]:
        async with asyncio.timeout(seconds):
            line = await self.answer.content.readline()
        return json.loads(line) if line else {"type": "END"}

    async def told(self, count: int) -> list[tuple[str, str]]:
        events = [await self.next() for _ in range(count)]
        return [(event["type"], event["object"]["metadata"].get("name", "")) for event in events]


@asynccontextmanager
async def watching(api: Api, path: str, **headers: str) -> AsyncIterator[Events]:
    join = "&" if "?" in path else "?"
    async with api.session.get(f"{api.url}{path}{join}watch=1", headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        yield Events(answer)


async def version(api: Api, maps: str) -> str:
    return str((await api.ok("GET", maps))["metadata"]["resourceVersion"])


async def test_every_change_after_a_version(api: Api, maps: str) -> None:
    since = await version(api, maps)
    await api.ok("POST", maps, config_map("a"))
    async with watching(api, f"{maps}?resourceVersion={since}") as events:
        assert await events.told(1) == [("ADDED", "a")]
        patched = (await api.patch(f"{maps}/a", {"data": {"k": "v"}}))[1]
        event = await events.next()
        assert (event["type"], event["object"]) == ("MODIFIED", patched)
        await api.ok("DELETE", f"{maps}/a")
        gone = await events.next()
        assert gone["type"] == "DELETED" and gone["object"]["data"] == {"k": "v"}
        before = int(patched["metadata"]["resourceVersion"])
        assert int(gone["object"]["metadata"]["resourceVersion"]) > before


async def test_without_a_version_what_is_there_comes_first(api: Api, maps: str) -> None:
    await api.ok("POST", maps, config_map("a"))
    for query in ("", "?resourceVersion=0"):
        async with watching(api, maps + query) as events:
            assert await events.told(1) == [("ADDED", "a")]


async def test_headers_come_before_the_first_event(api: Api, maps: str) -> None:
    async with asyncio.timeout(DEADLINE), watching(api, maps) as events:
        assert events.answer.headers["Transfer-Encoding"] == "chunked"
        assert events.answer.headers["Audit-Id"]


async def test_selected_objects_come_and_go(api: Api, maps: str) -> None:
    since = await version(api, maps)
    path = f"{maps}?resourceVersion={since}&labelSelector=on%3Dyes"
    async with watching(api, path) as events:
        await api.ok("POST", maps, config_map("a"))
        await api.patch(f"{maps}/a", {"metadata": {"labels": {"on": "yes"}}})
        await api.patch(f"{maps}/a", {"data": {"k": "v"}})
        await api.patch(f"{maps}/a", {"metadata": {"labels": {"on": "no"}}})
        await api.ok("DELETE", f"{maps}/a")
        assert await events.told(3) == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]


async def test_one_object_by_name(api: Api, maps: str) -> None:
    since = await version(api, maps)
    path = f"{maps}?resourceVersion={since}&fieldSelector=metadata.name%3Db"
    async with watching(api, path) as events:
        await api.ok("POST", maps, config_map("a"))
        await api.ok("POST", maps, config_map("b"))
        assert await events.told(1) == [("ADDED", "b")]


async def test_a_timeout_ends_with_a_bookmark(api: Api, maps: str) -> None:
    path = f"{maps}?timeoutSeconds=1&allowWatchBookmarks=true&resourceVersion=0"
    async with watching(api, path) as events:
        event = await events.next()
        assert event["type"] == "BOOKMARK"
        assert event["object"]["kind"] == "ConfigMap"
        assert int(event["object"]["metadata"]["resourceVersion"]) > 0
        assert (await events.next())["type"] == "END"


_HASTY = """
import sys
from cli.main import main
from control.apiserver.http import watches
watches.BOOKMARK_SECONDS = 0.4
sys.exit(main(sys.argv[1:]))
"""


async def test_bookmarks_come_while_nothing_happens(tmp_path: Path) -> None:
    """Once a minute, a little earlier by chance; here the minute is shorter."""
    server = Server(tmp_path)
    server.program = ("-c", _HASTY)
    server.start()
    connector = aiohttp.TCPConnector(ssl=server.context())
    try:
        async with aiohttp.ClientSession(connector=connector) as session:
            api = Api(session, server.url)
            path, elsewhere = (f"/api/v1/namespaces/default/{one}" for one in ("pods", "secrets"))
            since = int(await version(api, path))
            async with watching(api, f"{path}?resourceVersion={since}") as silent:
                async with watching(
                    api, f"{path}?resourceVersion={since}&allowWatchBookmarks=1"
                ) as events:
                    assert (await events.next())["type"] == "BOOKMARK"
                    made = await api.ok("POST", elsewhere, {"metadata": {"name": "s"}})
                    told = [await events.next() for _ in range(2)]
                with pytest.raises(TimeoutError):
                    await silent.next(0.1)
    finally:
        server.stop()
    assert {event["type"] for event in told} == {"BOOKMARK"}
    assert {event["object"]["kind"] for event in told} == {"Pod"}
    # A quiet watch keeps up with what happens elsewhere: who comes back later need not list anew.
    assert int(told[-1]["object"]["metadata"]["resourceVersion"]) >= int(
        made["metadata"]["resourceVersion"]
    )


async def test_watch_list(api: Api, maps: str) -> None:
    await api.ok("POST", maps, config_map("a"))
    path = (
        f"{maps}?sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    )
    async with watching(api, path) as events:
        assert await events.told(1) == [("ADDED", "a")]
        end = await events.next()
        assert end["type"] == "BOOKMARK"
        assert end["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        await api.ok("POST", maps, config_map("b"))
        assert await events.told(1) == [("ADDED", "b")]


@pytest.mark.parametrize(
    "query",
    ["sendInitialEvents=true", "resourceVersionMatch=NotOlderThan", "continue=x"],
)
async def test_options_that_do_not_go_together(api: Api, maps: str, query: str) -> None:
    code, status = await api.get(f"{maps}?watch=1&{query}")
    assert (code, status["reason"]) == (422, "Invalid")


async def test_the_beginning_of_history_can_be_watched(api: Api) -> None:
    async with watching(api, "/api/v1/namespaces?resourceVersion=1") as events:
        assert (await events.next())["type"] == "ADDED"


async def test_table_frames(api: Api, maps: str) -> None:
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
    since = await version(api, maps)
    async with watching(api, f"{maps}?resourceVersion={since}", Accept=accept) as events:
        await api.ok("POST", maps, config_map("a"))
        await api.ok("POST", maps, config_map("b"))
        first, second = await events.next(), await events.next()
    assert first["object"]["kind"] == "Table" and first["object"]["columnDefinitions"]
    assert first["object"]["rows"][0]["cells"][0] == "a"
    assert second["object"]["columnDefinitions"] == []
    assert second["object"]["rows"][0]["object"]["metadata"]["name"] == "b"


async def test_a_stalled_watcher_is_dropped_and_hurts_nobody(
    api: Api, server: Server, maps: str
) -> None:
    since = await version(api, maps)
    before = _memory(server.pid)
    request = (
        f"GET {maps}?watch=1&resourceVersion={since} HTTP/1.1\r\nHost: localhost\r\n\r\n"
    ).encode()
    stalled = []
    for _ in range(20):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", server.port, ssl=server.context(), limit=1024
        )
        writer.write(request)
        writer.transport.pause_reading()
        stalled.append((reader, writer))
    async with watching(api, f"{maps}?resourceVersion={since}") as events:
        await api.ok("POST", maps, config_map("a", data={"k": "x" * 50_000}))
        async with asyncio.timeout(2 * DEADLINE):
            for number in range(200):
                await api.patch(f"{maps}/a", {"data": {"n": str(number)}})
        assert len(await events.told(201)) == 201
    # Ten megabytes were written; twenty watchers that read nothing hold a few buffers each.
    assert _memory(server.pid) - before < 60_000
    for _, writer in stalled:
        writer.transport.abort()


def _memory(pid: int) -> int:
    """Resident memory in KiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


async def test_many_watchers_of_one_change(api: Api, maps: str) -> None:
    since = await version(api, maps)

    async def one() -> list[tuple[str, str]]:
        async with watching(api, f"{maps}?resourceVersion={since}") as events:
            return await events.told(2)

    watchers = [asyncio.create_task(one()) for _ in range(50)]
    await api.ok("POST", maps, config_map("a"))
    await api.ok("POST", maps, config_map("b"))
    for watcher in watchers:
        assert await watcher == [("ADDED", "a"), ("ADDED", "b")]
