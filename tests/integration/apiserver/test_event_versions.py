"""Events through v1 and events.k8s.io/v1: one object, whatever the version of reader and writer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.integration.apiserver.conftest import Api, Server

OLD, NEW = "/api/v1", "/apis/events.k8s.io/v1"
TABLE = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}


def old(name: str, namespace: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "involvedObject": {"kind": "Pod", "namespace": namespace, "name": "web"},
        "reason": "Pulled",
        "message": "in the old words",
        "type": "Normal",
        "count": 3,
        "source": {"component": "agent", "host": "n1"},
        "firstTimestamp": "2026-01-02T03:04:05Z",
        "lastTimestamp": "2026-01-02T03:04:06Z",
    }


def new(name: str, namespace: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "eventTime": "2026-01-02T03:04:05.000006Z",
        "regarding": {"apiVersion": "v1", "kind": "Pod", "namespace": namespace, "name": "db"},
        "reportingController": "example.com/maker",
        "reportingInstance": "maker-1",
        "action": "Making",
        "reason": "Made",
        "note": "in the new words",
        "type": "Warning",
    }


def path(version: str, namespace: str, name: str = "") -> str:
    return f"{version}/namespaces/{namespace}/events" + (f"/{name}" if name else "")


async def names(api: Api, version: str, namespace: str, selector: str) -> list[str]:
    answer = await api.ok("GET", path(version, namespace) + f"?fieldSelector={selector}")
    return sorted(item["metadata"]["name"] for item in answer["items"])


async def test_what_is_written_in_one_is_read_in_both(api: Api, namespace: str) -> None:
    first = await api.ok("POST", path(OLD, namespace), old("a", namespace))
    second = await api.ok("POST", path(NEW, namespace), new("b", namespace))
    assert (first["apiVersion"], second["apiVersion"]) == ("v1", "events.k8s.io/v1")
    shown = await api.ok("GET", path(NEW, namespace, "a"))
    assert (shown["note"], shown["deprecatedCount"]) == ("in the old words", 3)
    assert shown["metadata"]["uid"] == first["metadata"]["uid"]
    assert (await api.ok("GET", path(OLD, namespace, "b")))["message"] == "in the new words"
    for version, word in ((OLD, "message"), (NEW, "note")):
        listed = await api.ok("GET", path(version, namespace))
        assert {item[word] for item in listed["items"]} == {"in the old words", "in the new words"}


async def test_fields_have_the_names_of_the_version(api: Api, namespace: str) -> None:
    await api.ok("POST", path(OLD, namespace), old("a", namespace))
    await api.ok("POST", path(NEW, namespace), new("b", namespace))
    assert await names(api, OLD, namespace, "involvedObject.name=db") == ["b"]
    assert await names(api, NEW, namespace, "regarding.name=web,type=Normal") == ["a"]
    assert await names(api, NEW, namespace, "reportingController=example.com/maker") == ["b"]
    assert await names(api, NEW, namespace, "reason!=Made") == ["a"]
    code, said = await api.get(path(NEW, namespace) + "?fieldSelector=involvedObject.name=db")
    assert code == 400 and "field label not supported: involvedObject.name" in said["message"]


async def test_a_watch_tells_in_its_version(api: Api, namespace: str) -> None:
    await api.ok("POST", path(OLD, namespace), old("a", namespace))
    url = api.url + path(NEW, namespace) + "?watch=true&fieldSelector=regarding.name=web"
    async with api.session.get(url) as stream:
        first = json.loads(await stream.content.readline())
        assert (first["type"], first["object"]["note"]) == ("ADDED", "in the old words")
        await api.ok("POST", path(NEW, namespace), new("b", namespace))  # not selected
        change = {"count": 4}
        await api.patch(path(OLD, namespace, "a"), change)
        second = json.loads(await stream.content.readline())
        assert second["type"] == "MODIFIED" and second["object"]["deprecatedCount"] == 4


async def test_each_version_asks_what_it_asks(api: Api, namespace: str) -> None:
    code, said = await api.post(
        path(NEW, namespace), {"metadata": {"name": "c"}, "regarding": {"namespace": namespace}}
    )
    assert code == 422
    assert {cause["field"] for cause in said["details"]["causes"]} == {"eventTime", "type"}
    await api.ok("POST", path(NEW, namespace), new("b", namespace))
    code, said = await api.patch(path(NEW, namespace, "b"), {"note": "other"})
    assert code == 422 and "message: Invalid value" in said["message"]
    series = {"series": {"count": 2, "lastObservedTime": "2026-01-02T03:04:07.000000Z"}}
    code, _ = await api.patch(path(NEW, namespace, "b"), series)
    assert code == 200
    code, _ = await api.patch(path(OLD, namespace, "b"), {"message": "other"})
    assert code == 200
    assert (await api.ok("GET", path(NEW, namespace, "b")))["series"]["count"] == 2


@pytest.mark.parametrize("version", [OLD, NEW])
async def test_the_same_rows(api: Api, namespace: str, version: str) -> None:
    await api.ok("POST", path(OLD, namespace), old("a", namespace))
    table = await api.ok("GET", path(version, namespace), headers=TABLE)
    cells = table["rows"][0]["cells"]
    assert cells[1:4] == ["Normal", "Pulled", "pod/web"] and "in the old words" in cells


def test_kubectl_prints_both(server: Server) -> None:
    server.kubectl("create", "namespace", "told")
    for version, body in (("v1", old("a", "told")), ("events.k8s.io/v1", new("b", "told"))):
        manifest = json.dumps({"apiVersion": version, "kind": "Event", **body})
        server.kubectl("create", "-n", "told", "-f", "-", input=manifest)
    for resource in ("events", "events.events.k8s.io", "ev"):
        printed = server.kubectl("get", resource, "-n", "told").stdout
        assert "in the old words" in printed and "in the new words" in printed
    printed = server.kubectl("events", "-n", "told", "--for=pod/db").stdout
    assert "in the new words" in printed and "in the old words" not in printed
    server.kubectl("delete", "events.events.k8s.io", "-n", "told", "--all")
    assert "No resources found" in server.kubectl("get", "ev", "-n", "told").stderr
