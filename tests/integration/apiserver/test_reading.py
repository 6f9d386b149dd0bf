"""What a reader gets for each resourceVersion, match, limit and continue token, kind of answer included.

The table is that of Kubernetes' "API concepts", row by row; versions are named by what they are: `old`
is before the last change, `now` is after it, `future` has not been given out, `gone` is compacted away.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
import pytest_asyncio

from tests.integration.apiserver.conftest import Api, Server, config_map

OLD, NOW = ["a", "b", "c"], ["b", "c", "d"]


class Readable:
    """ConfigMaps a, b and c at `old`; a is deleted and d is made until `now`."""

    def __init__(self, api: Api, path: str, old: str, now: str) -> None:
        self.api = api
        self.path = path
        self.versions = {"old": old, "now": now, "future": "99999999999", "0": "0"}

    def query(self, text: str) -> str:
        """`rv=old&match=Exact&limit=2` as it is asked."""
        parts = []
        for part in text.split("&") if text else []:
            name, _, value = part.partition("=")
            if name == "rv":
                part = f"resourceVersion={self.versions.get(value, value)}"
            elif name == "match":
                part = f"resourceVersionMatch={value}"
            parts.append(part)
        return f"{self.path}?{'&'.join(parts)}"

    async def names(self, text: str) -> tuple[int, Any]:
        code, answer = await self.api.get(self.query(text))
        if code != 200:
            return code, answer["message"]
        return code, [item["metadata"]["name"] for item in answer["items"]]


@pytest_asyncio.fixture
async def readable(api: Api, maps: str) -> Readable:
    for name in OLD:
        await api.ok("POST", maps, config_map(name))
    old = (await api.ok("GET", maps))["metadata"]["resourceVersion"]
    await api.ok("DELETE", f"{maps}/a")
    await api.ok("POST", maps, config_map("d"))
    now = (await api.ok("GET", maps))["metadata"]["resourceVersion"]
    return Readable(api, maps, old, now)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        # resourceVersion and match, no limit
        ("", NOW),
        ("rv=0", NOW),
        ("rv=old", NOW),
        ("rv=now", NOW),
        ("rv=0&match=NotOlderThan", NOW),
        ("rv=old&match=NotOlderThan", NOW),
        ("rv=old&match=Exact", OLD),
        ("rv=now&match=Exact", NOW),
        # with a limit
        ("limit=2", NOW[:2]),
        ("rv=0&limit=2", NOW[:2]),
        ("rv=old&limit=2", OLD[:2]),
        ("rv=old&match=Exact&limit=2", OLD[:2]),
        ("rv=old&match=NotOlderThan&limit=2", NOW[:2]),
        ("rv=0&match=NotOlderThan&limit=2", NOW[:2]),
        ("limit=3", NOW),
        ("limit=500", NOW),
        # with selectors
        ("rv=old&match=Exact&fieldSelector=metadata.name%3Da", ["a"]),
        ("fieldSelector=metadata.name%3Da", []),
        ("rv=old&limit=1&fieldSelector=metadata.name!%3Da", ["b"]),
    ],
)
async def test_lists(readable: Readable, query: str, expected: list[str]) -> None:
    assert await readable.names(query) == (200, expected)


@pytest.mark.parametrize(
    ("query", "code", "words"),
    [
        ("rv=future", 504, "Too large resource version"),
        ("rv=future&match=NotOlderThan", 504, "Too large resource version"),
        ("rv=future&match=Exact", 504, "Too large resource version"),
        ("match=Exact", 422, "resourceVersionMatch is forbidden unless resourceVersion"),
        ("match=NotOlderThan&limit=2", 422, "resourceVersionMatch is forbidden unless"),
        ("rv=0&match=Exact", 422, 'is forbidden for resourceVersion "0"'),
        ("rv=old&match=Nearly", 422, 'Unsupported value: "Nearly"'),
        ("rv=soon", 400, "resourceVersion"),
        ("rv=-1", 400, "resourceVersion"),
    ],
)
async def test_lists_that_cannot_be(readable: Readable, query: str, code: int, words: str) -> None:
    found, message = await readable.names(query)
    assert (found, words in message) == (code, True), message


async def test_pages_are_of_one_version(readable: Readable) -> None:
    api = readable.api
    first = await api.ok("GET", readable.query("rv=old&limit=1"))
    assert first["metadata"]["resourceVersion"] == readable.versions["old"]
    assert first["metadata"]["remainingItemCount"] == 2
    token = first["metadata"]["continue"]
    rest = await api.ok("GET", readable.query(f"limit=1&continue={token}"))
    assert [item["metadata"]["name"] for item in rest["items"]] == ["b"]
    assert rest["metadata"]["resourceVersion"] == readable.versions["old"]
    assert rest["metadata"]["remainingItemCount"] == 1
    token = rest["metadata"]["continue"]
    last = await api.ok("GET", readable.query(f"rv=0&continue={token}"))
    assert [item["metadata"]["name"] for item in last["items"]] == ["c"]
    assert "continue" not in last["metadata"]
    assert "remainingItemCount" not in last["metadata"]
    for more, code, words in (
        (f"&continue={token}&rv=old", 400, "specifying resource version is not allowed"),
        (f"&continue={token}&match=Exact", 422, "forbidden when continue is provided"),
    ):
        found, message = await readable.names("limit=1" + more)
        assert (found, words in message) == (code, True), message


async def test_one_object(readable: Readable) -> None:
    api, path = readable.api, f"{readable.path}/b"
    for version in ("", "0", "old", "now"):
        query = f"?resourceVersion={readable.versions.get(version, '')}"
        assert (await api.get(path + query))[0] == 200
    code, status = await api.get(f"{path}?resourceVersion={readable.versions['future']}")
    assert (code, status["reason"]) == (504, "Timeout")
    assert (await api.get(f"{path}?resourceVersion=x"))[0] == 400


async def _events(api: Api, url: str, **headers: str) -> list[dict[str, Any]]:
    """Everything that a watch of one second tells."""
    async with api.session.get(f"{api.url}{url}&watch=1&timeoutSeconds=1", headers=headers) as got:
        assert got.status == 200, await got.text()
        return [json.loads(line) async for line in got.content]


def _told(events: list[dict[str, Any]]) -> list[str]:
    return [
        f"{event['type']} {event['object']['metadata'].get('name', '')}".strip() for event in events
    ]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["ADDED b", "ADDED c", "ADDED d"]),
        ("rv=0", ["ADDED b", "ADDED c", "ADDED d"]),
        ("rv=old", ["DELETED a", "ADDED d"]),
        ("rv=now", []),
        ("rv=old&fieldSelector=metadata.name%3Dd", ["ADDED d"]),
        ("sendInitialEvents=false&match=NotOlderThan", []),
        (
            "sendInitialEvents=true&match=NotOlderThan&allowWatchBookmarks=true",
            ["ADDED b", "ADDED c", "ADDED d", "BOOKMARK", "BOOKMARK"],
        ),
        (
            "sendInitialEvents=true&match=NotOlderThan&rv=old&allowWatchBookmarks=true",
            ["ADDED b", "ADDED c", "ADDED d", "BOOKMARK", "BOOKMARK"],
        ),
        ("sendInitialEvents=true&match=NotOlderThan", ["ADDED b", "ADDED c", "ADDED d"]),
        (
            "sendInitialEvents=false&match=NotOlderThan&rv=old&allowWatchBookmarks=true",
            ["DELETED a", "ADDED d", "BOOKMARK"],
        ),
    ],
)
async def test_watches(readable: Readable, query: str, expected: list[str]) -> None:
    assert _told(await _events(readable.api, readable.query(query))) == expected


@pytest.mark.parametrize(
    ("query", "code", "words"),
    [
        ("rv=future", 504, "Too large resource version"),
        ("rv=x", 400, "resourceVersion"),
        ("match=NotOlderThan", 422, "unless sendInitialEvents is provided"),
        ("sendInitialEvents=true", 422, "requires setting resourceVersionMatch to NotOlderThan"),
        ("sendInitialEvents=true&match=Exact", 422, "requires setting resourceVersionMatch"),
        ("continue=x", 422, "continue is forbidden for watch"),
    ],
)
async def test_watches_that_cannot_be(
    readable: Readable, query: str, code: int, words: str
) -> None:
    found, message = await readable.names(query + "&watch=1")
    assert (found, words in message) == (code, True), message


@pytest.mark.parametrize(
    ("shape", "kind"),
    [("Table", "Table"), ("PartialObjectMetadata", "PartialObjectMetadata")],
)
async def test_watches_in_other_forms(readable: Readable, shape: str, kind: str) -> None:
    accept = f"application/json;stream=watch;as={shape};g=meta.k8s.io;v=v1"
    query = readable.query("rv=old&allowWatchBookmarks=true")
    events = await _events(readable.api, query, Accept=accept)
    assert [event["type"] for event in events] == ["DELETED", "ADDED", "BOOKMARK"]
    assert {event["object"]["kind"] for event in events} == {kind}
    assert int(events[-1]["object"]["metadata"]["resourceVersion"]) >= int(readable.versions["now"])


async def test_the_encodings_of_a_watch(readable: Readable) -> None:
    api, url = readable.api, readable.query("rv=now") + "&watch=1&timeoutSeconds=1"
    for accept, code in (
        ("application/json;stream=watch", 200),
        ("application/vnd.kubernetes.protobuf;stream=watch,application/json", 200),
        ("application/yaml", 406),
        ("application/vnd.kubernetes.protobuf;stream=watch", 406),
    ):
        async with api.session.get(api.url + url, headers={"Accept": accept}) as answer:
            assert answer.status == code
            if code == 200:
                assert answer.content_type == "application/json"


# -- what is compacted away ------------------------------------------------------------------------


@pytest_asyncio.fixture
async def forgetful(tmp_path: Path) -> AsyncIterator[tuple[Server, Api]]:
    """A server that forgets the past within seconds."""
    server = Server(tmp_path)
    server.start("--compaction-interval=1s")
    connector = aiohttp.TCPConnector(ssl=server.context(), limit=0)
    try:
        async with aiohttp.ClientSession(connector=connector) as session:
            yield server, Api(session, server.url)
    finally:
        server.stop()


async def test_what_is_gone_is_410_and_says_how_to_go_on(
    forgetful: tuple[Server, Api],
) -> None:
    _, api = forgetful
    maps = "/api/v1/namespaces/default/configmaps"
    for number in range(6):
        await api.ok("POST", maps, config_map(f"m{number}"))
    page = await api.ok("GET", f"{maps}?limit=2")
    gone, token = page["metadata"]["resourceVersion"], page["metadata"]["continue"]
    async with asyncio.timeout(60):
        while (await api.get(f"{maps}?resourceVersion={gone}&resourceVersionMatch=Exact"))[
            0
        ] == 200:
            await api.ok("POST", maps, config_map("", metadata={"generateName": "x-"}))
            await asyncio.sleep(0.1)
    code, status = await api.get(f"{maps}?resourceVersion={gone}&resourceVersionMatch=Exact")
    assert (code, status["reason"]) == (410, "Expired")
    assert (await api.get(f"{maps}?resourceVersion={gone}"))[0] == 200
    assert (await api.get(f"{maps}?resourceVersion=0"))[0] == 200

    code, status = await api.get(f"{maps}?limit=2&continue={token}")
    assert (code, status["reason"]) == (410, "Expired")
    assert "The provided continue parameter is too old" in status["message"]
    rest = await api.ok("GET", f"{maps}?limit=2&continue={status['metadata']['continue']}")
    assert [item["metadata"]["name"] for item in rest["items"]] == ["m2", "m3"]
    more = await api.ok("GET", f"{maps}?limit=2&continue={rest['metadata']['continue']}")
    assert [item["metadata"]["name"] for item in more["items"]] == ["m4", "m5"]


async def test_a_watch_of_what_is_gone_is_told_so(forgetful: tuple[Server, Api]) -> None:
    server, api = forgetful
    maps = "/api/v1/namespaces/default/configmaps"
    await api.ok("POST", maps, config_map("m"))
    gone = (await api.ok("GET", maps))["metadata"]["resourceVersion"]
    for number in range(3):
        await api.ok("POST", maps, config_map(f"n{number}"))
    async with asyncio.timeout(60):
        while (await api.get(f"{maps}?resourceVersion={gone}&resourceVersionMatch=Exact"))[
            0
        ] == 200:
            await api.ok("POST", maps, config_map("", metadata={"generateName": "x-"}))
            await asyncio.sleep(0.1)
    await asyncio.to_thread(server.stop)  # what the cache remembers goes with it
    await asyncio.to_thread(server.start, "--compaction-interval=1s")
    url = f"{api.url}{maps}?watch=1&resourceVersion={gone}&timeoutSeconds=5"
    async with api.session.get(url) as answer:
        if answer.status == 200:
            event = json.loads(await answer.content.readline())
            assert event["type"] == "ERROR"
            status = event["object"]
        else:
            status = await answer.json()
    assert (status["code"], status["reason"]) == (410, "Expired")


async def test_errors_are_yaml_for_who_reads_yaml(api: Api, maps: str) -> None:
    code, answer = await api.get(f"{maps}/absent", headers={"Accept": "application/yaml"})
    assert code == 404 and api.headers["Content-Type"] == "application/yaml"
    status = msgspec.yaml.decode(answer)
    assert (status["kind"], status["reason"], status["code"]) == ("Status", "NotFound", 404)
