"""Lists: pages, versions, selectors; the table of resourceVersion semantics as tests."""

from __future__ import annotations

import base64
import json

import pytest

from tests.integration.apiserver.conftest import Api, config_map


@pytest.fixture
async def ten(api: Api, maps: str) -> str:
    for number in range(10):
        colour = "red" if number % 2 else "blue"
        body = config_map(f"m{number}", metadata={"labels": {"colour": colour}})
        await api.ok("POST", maps, body)
    return maps


def names(answer: dict) -> list[str]:
    return [item["metadata"]["name"] for item in answer["items"]]


async def test_pages_are_one_snapshot(api: Api, ten: str) -> None:
    first = await api.ok("GET", f"{ten}?limit=4")
    assert names(first) == ["m0", "m1", "m2", "m3"]
    assert first["metadata"]["remainingItemCount"] == 6
    await api.ok("DELETE", f"{ten}/m5")
    await api.ok("POST", ten, config_map("m55"))
    second = await api.ok("GET", f"{ten}?limit=4&continue={first['metadata']['continue']}")
    assert names(second) == ["m4", "m5", "m6", "m7"]
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    third = await api.ok("GET", f"{ten}?limit=4&continue={second['metadata']['continue']}")
    assert names(third) == ["m8", "m9"]
    assert "continue" not in third["metadata"]


async def test_pages_of_a_selection(api: Api, ten: str) -> None:
    query = f"{ten}?limit=2&labelSelector=colour%3Dred"
    first = await api.ok("GET", query)
    assert names(first) == ["m1", "m3"]
    assert "remainingItemCount" not in first["metadata"]
    second = await api.ok("GET", f"{query}&continue={first['metadata']['continue']}")
    assert names(second) == ["m5", "m7"]
    third = await api.ok("GET", f"{query}&continue={second['metadata']['continue']}")
    assert names(third) == ["m9"]


async def test_a_limit_that_is_just_enough_ends_the_list(api: Api, ten: str) -> None:
    assert "continue" not in (await api.ok("GET", f"{ten}?limit=10"))["metadata"]


async def test_a_list_of_nothing_is_an_empty_list(api: Api, maps: str) -> None:
    answer = await api.ok("GET", maps)
    assert answer["items"] == [] and answer["metadata"]["resourceVersion"]


async def test_lists_of_the_past_are_exact(api: Api, ten: str) -> None:
    before = (await api.ok("GET", ten))["metadata"]["resourceVersion"]
    await api.ok("DELETE", f"{ten}/m0")
    query = f"{ten}?resourceVersion={before}&resourceVersionMatch=Exact"
    assert names(await api.ok("GET", query))[0] == "m0"
    assert names(await api.ok("GET", f"{ten}?resourceVersion={before}"))[0] == "m1"
    assert names(await api.ok("GET", f"{ten}?resourceVersion=0"))


async def test_a_version_of_the_future_times_out(api: Api, maps: str) -> None:
    code, status = await api.get(f"{maps}?resourceVersion=999999999")
    assert (code, status["reason"]) == (504, "Timeout")
    assert "Too large resource version" in status["message"]
    assert status["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"
    assert status["details"]["retryAfterSeconds"] == 1


async def test_selectors(api: Api, ten: str) -> None:
    async def chosen(query: str) -> list[str]:
        return names(await api.ok("GET", f"{ten}?{query}"))

    assert await chosen("labelSelector=colour+in+(red),colour") == ["m1", "m3", "m5", "m7", "m9"]
    assert await chosen("labelSelector=!colour") == []
    assert await chosen("fieldSelector=metadata.name%3Dm3") == ["m3"]
    assert len(await chosen("fieldSelector=metadata.name!%3Dm3")) == 9


async def test_lists_over_all_namespaces(api: Api, ten: str) -> None:
    everywhere = await api.ok("GET", "/api/v1/configmaps")
    assert len(everywhere["items"]) >= 10
    namespace = ten.split("/")[4]
    path = f"/api/v1/configmaps?fieldSelector=metadata.namespace%3D{namespace}"
    assert len((await api.ok("GET", path))["items"]) == 10


@pytest.mark.parametrize(
    ("query", "code", "words"),
    [
        ("limit=-1", 400, "limit"),
        ("limit=many", 400, "limit"),
        ("resourceVersion=abc", 400, "resourceVersion"),
        ("resourceVersionMatch=Exact", 422, "unless resourceVersion is provided"),
        ("resourceVersion=1&resourceVersionMatch=Roughly", 422, "supported values"),
        ("resourceVersion=0&resourceVersionMatch=Exact", 422, "is forbidden"),
        ("sendInitialEvents=true", 422, "forbidden for list"),
        ("continue=nonsense", 400, "continue key is not valid"),
        ("labelSelector=a%3D%3D%3Db", 400, "unable to parse"),
        ("fieldSelector=spec.nodeName%3Dx", 400, "field label not supported"),
    ],
)
async def test_options_that_make_no_sense(
    api: Api, maps: str, query: str, code: int, words: str
) -> None:
    found, status = await api.get(f"{maps}?{query}")
    assert found == code and words in status["message"]


async def test_an_expired_page_leads_on_inconsistently(api: Api, ten: str) -> None:
    """The token is of a revision that was never there: as good as compacted away."""
    token = json.dumps({"v": "meta.k8s.io/v1", "rv": -1, "start": "m7"}).encode()
    encoded = base64.urlsafe_b64encode(token).decode().rstrip("=")
    rest = await api.ok("GET", f"{ten}?limit=5&continue={encoded}")
    assert names(rest) == ["m8", "m9"]


async def test_tables(api: Api, ten: str) -> None:
    accept = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}
    table = await api.ok("GET", f"{ten}?limit=2", headers=accept)
    assert (table["kind"], table["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert table["rows"][0]["cells"][0] == "m0"
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    assert table["metadata"]["remainingItemCount"] == 8
    bare = await api.ok("GET", f"{ten}/m0?includeObject=None", headers=accept)
    assert "object" not in bare["rows"][0]
    whole = await api.ok("GET", f"{ten}/m0?includeObject=Object", headers=accept)
    assert whole["rows"][0]["object"]["kind"] == "ConfigMap"


async def test_metadata_alone(api: Api, ten: str) -> None:
    accept = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
    answer = await api.ok("GET", ten, headers={"Accept": accept})
    assert answer["kind"] == "PartialObjectMetadataList"
    assert answer["items"][0]["metadata"]["labels"] == {"colour": "blue"}
    assert set(answer["items"][0]) == {"kind", "apiVersion", "metadata"}


async def test_large_answers_are_compressed_for_who_asks(api: Api, maps: str) -> None:
    for number in range(3):
        await api.ok("POST", maps, config_map(f"big{number}", data={"k": "x" * 100_000}))
    answer = await api.ok("GET", maps, headers={"Accept-Encoding": "gzip"})
    assert api.headers["Content-Encoding"] == "gzip" and len(answer["items"]) == 3
    await api.ok("GET", f"{maps}/big0", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in api.headers


async def test_what_cannot_be_produced_is_not_acceptable(api: Api, maps: str) -> None:
    code, status = await api.get(maps, headers={"Accept": "application/vnd.kubernetes.protobuf"})
    assert (code, status["reason"]) == (406, "NotAcceptable")
    both = "application/vnd.kubernetes.protobuf,application/json"
    assert (await api.get(maps, headers={"Accept": both}))[0] == 200


async def test_very_large_answers_arrive_whole(api: Api, maps: str) -> None:
    for number in range(4):
        await api.ok("POST", maps, config_map(f"huge{number}", data={"k": "x" * 700_000}))
    for encoding in ("gzip", "identity"):
        answer = await api.ok("GET", maps, headers={"Accept-Encoding": encoding})
        assert [len(item["data"]["k"]) for item in answer["items"]] == [700_000] * 4
