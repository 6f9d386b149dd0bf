"""What is said around an object: headers, warnings, options that are wrong, forms for people."""

from __future__ import annotations

import asyncio
import http.client
import json
from typing import Any

import pytest

from tests.integration.apiserver.conftest import Api, Server, config_map

REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
METADATA = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
CURL = {"User-Agent": "curl/8.5.0"}


async def text(api: Api, path: str, **headers: str) -> str:
    async with api.session.get(api.url + path, headers=headers) as answer:
        return await answer.text()


# -- for people ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "agent", "lines"),
    [
        ("", "kubectl/v1.34.0", 1),
        ("?pretty=true", "kubectl/v1.34.0", 9),
        ("?limit=1&pretty=1", "kubectl/v1.34.0", 9),
        ("", "curl/8.5.0", 9),
        ("", "Wget/1.21", 9),
        ("", "Mozilla/5.0 (X11)", 9),
        ("?pretty=false", "curl/8.5.0", 1),
        ("?pretty=", "curl/8.5.0", 1),
    ],
)
async def test_indented_for_people(api: Api, maps: str, query: str, agent: str, lines: int) -> None:
    for path in (f"{maps}{query}", f"{maps}/absent{query}"):
        found = await text(api, path, **{"User-Agent": agent})
        assert (found.count("\n") > 4) == (lines > 1), found
        assert json.loads(found)["apiVersion"] == "v1"


async def test_what_is_written_is_shown_indented_and_watches_are_not(api: Api, maps: str) -> None:
    async with api.session.post(api.url + maps, json=config_map("a"), headers=CURL) as answer:
        assert (await answer.text()).startswith('{\n  "apiVersion": "v1"')
    watch = await text(api, f"{maps}?watch=1&timeoutSeconds=1&pretty=true", **CURL)
    assert watch.count("\n") == 1


async def test_every_path_is_listed_at_the_root(server: Server, api: Api) -> None:
    paths = json.loads(server.kubectl("get", "--raw", "/").stdout)["paths"]
    assert {"/api/v1", "/apis/apps", "/apis/apps/v1", "/healthz/ping", "/openapi/v3"} <= set(paths)
    for path in paths:
        async with api.session.get(api.url + path) as answer:
            assert answer.status == 200, path


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz"])
async def test_each_check_by_itself(api: Api, path: str) -> None:
    whole = await text(api, f"{path}?verbose")
    names = [line.split()[0].removeprefix("[+]") for line in whole.splitlines() if "[+]" in line]
    assert "ping" in names and ("store" in names) == (path != "/livez")
    for name in names:
        assert await text(api, f"{path}/{name}") == "ok"


# -- headers ---------------------------------------------------------------------------------------


async def test_nobody_on_the_way_keeps_answers(api: Api, maps: str) -> None:
    for path in (maps, f"{maps}/absent", f"{maps}?watch=1&timeoutSeconds=1", "/readyz"):
        async with api.session.get(api.url + path) as answer:
            assert answer.headers["Cache-Control"] == "no-cache, private"
            assert answer.headers["Server"] == "podwright"
            assert answer.headers["Audit-Id"]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (
            "/api/v1/namespaces/default/endpoints",
            "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
        ),
        ("/api/v1/componentstatuses", "v1 ComponentStatus is deprecated in v1.19+"),
    ],
)
async def test_kinds_on_their_way_out(api: Api, path: str, words: str) -> None:
    queries = ["", "?watch=1&timeoutSeconds=1"] if "endpoints" in path else [""]
    for query in queries:
        async with api.session.get(api.url + path + query) as answer:
            assert answer.headers.getall("Warning") == [f'299 - "{words}"']


async def test_fields_on_their_way_out(api: Api, namespace: str) -> None:
    container = {"name": "c", "image": "i"}
    spec = {"containers": [container], "nodeSelector": {"beta.kubernetes.io/os": "linux"}}
    words = (
        '299 - "spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; '
        'use \\"kubernetes.io/os\\" instead"'
    )
    path = f"/api/v1/namespaces/{namespace}/pods"
    await api.ok("POST", path, {"metadata": {"name": "p"}, "spec": spec})
    assert words in api.warnings
    await api.patch(f"{path}/p", {"metadata": {"labels": {"a": "b"}}})
    assert words in api.warnings


@pytest.mark.parametrize("length", [1, 200])
async def test_a_thousand_warnings_are_told_in_part(
    server: Server, api: Api, maps: str, length: int
) -> None:
    """Python's clients read no answer of more than a hundred headers."""
    unknown = {f"{'x' * length}{number}": 1 for number in range(1000)}
    await api.ok("POST", maps, config_map("a", **unknown))
    told = api.warnings
    assert len(told) == (64 if length == 1 else 19)
    assert 1000 < sum(map(len, told)) < 6000
    assert all("unknown field" in one for one in told)
    connection = http.client.HTTPSConnection("127.0.0.1", server.port, context=server.context())
    body = json.dumps(config_map("b", **unknown))
    await asyncio.to_thread(connection.request, "POST", maps, body)
    assert connection.getresponse().status == 201
    connection.close()


# -- options that are wrong --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("POST", "CreateOptions"),
        ("PUT", "UpdateOptions"),
        ("PATCH", "PatchOptions"),
        ("DELETE", "DeleteOptions"),
    ],
)
async def test_all_that_is_wrong_with_options(
    api: Api, maps: str, method: str, options: str
) -> None:
    await api.ok("POST", maps, config_map("a"))
    query = f"?dryRun=Some&fieldValidation=Lax&fieldManager={'m' * 129}"
    path = maps if method == "POST" else f"{maps}/a"
    code, status = await api.request(
        method, path + query, config_map("a"), content_type="application/merge-patch+json"
    )
    assert (code, status["reason"]) == (422, "Invalid")
    assert status["message"].startswith(f'{options}.meta.k8s.io "" is invalid: [')
    fields = {cause["field"] for cause in status["details"]["causes"]}
    assert fields == {"dryRun", "fieldValidation", "fieldManager"}


async def test_a_patch_of_another_sort_is_told_of_all_that_there_are(api: Api, maps: str) -> None:
    await api.ok("POST", maps, config_map("a"))
    code, status = await api.patch(f"{maps}/a", {}, "application/json")
    assert code == 415
    assert "application/apply-patch+yaml" in status["message"]


# -- forms -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [TABLE, METADATA])
async def test_a_question_has_no_rows(api: Api, form: str) -> None:
    review = {"spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}}
    code, status = await api.post(REVIEWS, review, headers={"Accept": form})
    assert (code, status["reason"]) == (406, "NotAcceptable")
    code, answer = await api.post(REVIEWS, review, headers={"Accept": f"{form},application/json"})
    assert code == 406 or answer["status"]["allowed"]


async def test_deletes_answer_in_yaml(api: Api, maps: str) -> None:
    for name in ("a", "b"):
        await api.ok("POST", maps, config_map(name))
    for path, words in ((f"{maps}/a", "status: Success"), (maps, "kind: ConfigMapList")):
        code, answer = await api.delete(path, headers={"Accept": "application/yaml"})
        assert code == 200 and words in answer
        assert api.headers["Content-Type"] == "application/yaml"


async def test_kubectl_prints_a_scale(server: Server, api: Api, namespace: str) -> None:
    template = {
        "metadata": {"labels": {"a": "b"}},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }
    spec: Any = {"replicas": 3, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    await api.ok("POST", path, {"metadata": {"name": "d"}, "spec": spec})
    get = ("get", "deployment", "d", "--subresource=scale", "-n", namespace)
    head, row = server.kubectl(*get).stdout.splitlines()
    assert head.split() == ["NAME", "DESIRED", "AVAILABLE", "AGE"]
    assert row.split()[:3] == ["d", "3", "0"]
    assert "kind: Scale" in server.kubectl(*get, "-o", "yaml").stdout


# -- schedulers of old -----------------------------------------------------------------------------


async def test_a_binding_that_names_its_pod_itself(api: Api, namespace: str) -> None:
    """As the Python client's `create_namespaced_binding` sends it."""
    path = f"/api/v1/namespaces/{namespace}"
    spec = {"containers": [{"name": "c", "image": "i"}]}
    await api.ok("POST", f"{path}/pods", {"metadata": {"name": "p"}, "spec": spec})
    binding = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n1"}}
    code, status = await api.post(f"{path}/bindings", binding)
    assert (code, status["status"]) == (201, "Success")
    assert (await api.ok("GET", f"{path}/pods/p"))["spec"]["nodeName"] == "n1"
    assert (await api.post(f"{path}/bindings", binding))[0] == 409
    binding["metadata"]["name"] = "absent"
    assert (await api.post(f"{path}/bindings", binding))[0] == 404
    assert (await api.get(f"{path}/bindings"))[0] == 405


async def test_a_collection_is_deleted_whatever_its_size(api: Api, maps: str) -> None:
    for number in range(40):
        await api.ok("POST", maps, config_map(f"m{number:02}", metadata={"labels": {"n": "1"}}))
    await api.ok("POST", maps, config_map("other"))
    code, gone = await api.delete(f"{maps}?labelSelector=n%3D1")
    assert code == 200
    assert [one["metadata"]["name"] for one in gone["items"]] == [f"m{n:02}" for n in range(40)]
    left = await api.ok("GET", maps)
    assert [one["metadata"]["name"] for one in left["items"]] == ["other"]
