"""Custom resources in OpenAPI: published when they are defined, in v3 and in v2, as kubectl reads them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.apiserver.conftest import Api, Server
from tests.integration.apiserver.crds import DEFINITIONS, define, definition, eventually, new_group
from tests.integration.apiserver.crds import version as a_version

SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "A tab that runs at times.",
    "properties": {
        "spec": {
            "type": "object",
            "description": "What is wanted.",
            "required": ["cron", "maybe"],
            "properties": {
                "cron": {"type": "string", "pattern": "^.+$", "description": "When it runs."},
                "replicas": {"type": "integer", "minimum": 1, "maximum": 10, "default": 1},
                "maybe": {"type": "string", "nullable": True},
                "port": {"x-kubernetes-int-or-string": True},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                "choice": {"type": "string", "oneOf": [{"enum": ["a"]}, {"enum": ["b"]}]},
                "template": {
                    "type": "object",
                    "x-kubernetes-embedded-resource": True,
                    "properties": {"spec": {"type": "object"}},
                },
                "steps": {
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name"],
                    "items": {
                        "type": "object",
                        "required": ["name"],
                        "properties": {"name": {"type": "string"}, "run": {"type": "string"}},
                    },
                },
            },
        },
    },
}


async def described(api: Api, path: str) -> Any:
    """The v3 document at the URL that the index gives for it now; None without one."""
    index = await api.ok("GET", "/openapi/v3")
    found = index["paths"].get(path)
    if found is None:
        return None
    document = await api.ok("GET", found["serverRelativeURL"])
    assert "immutable" in api.headers["Cache-Control"]
    return document


async def url(api: Api, path: str) -> str:
    index = await api.ok("GET", "/openapi/v3")
    found: str = index["paths"].get(path, {}).get("serverRelativeURL", "")
    return found


def schema_of(document: Any, name: str) -> Any:
    return document["components"]["schemas"][name]


@pytest.fixture
async def group(api: Api) -> Any:
    name = new_group()
    await define(api, name, a_version(schema={"openAPIV3Schema": SCHEMA}, selectableFields=[]))
    yield name
    await api.delete(f"{DEFINITIONS}/widgets.{name}")


def full(group: str, name: str = "Widget") -> str:
    return ".".join([*reversed(group.split(".")), "v1", name])


async def test_a_definition_is_a_document(api: Api, group: str) -> None:
    document = await described(api, f"apis/{group}/v1")
    own = schema_of(document, full(group))
    kind = {"group": group, "version": "v1", "kind": "Widget"}
    assert own["x-kubernetes-group-version-kind"] == [kind]
    assert own["description"] == "A tab that runs at times."
    spec = own["properties"]["spec"]["properties"]
    assert spec["steps"]["x-kubernetes-list-map-keys"] == ["name"]
    assert spec["port"] == {"x-kubernetes-int-or-string": True}
    assert spec["maybe"]["nullable"] and spec["choice"]["oneOf"]
    assert set(spec["template"]["properties"]) == {"apiVersion", "kind", "metadata", "spec"}
    meta = "io.k8s.apimachinery.pkg.apis.meta.v1"
    assert own["properties"]["metadata"]["allOf"][0]["$ref"].endswith(f"{meta}.ObjectMeta")
    items = schema_of(document, full(group, "WidgetList"))["properties"]["items"]["items"]
    assert items == {"$ref": f"#/components/schemas/{full(group)}"}
    for reference in set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document))):
        assert reference in document["components"]["schemas"]
    path = f"/apis/{group}/v1/namespaces/{{namespace}}/widgets/{{name}}"
    assert document["paths"][path]["get"]["x-kubernetes-group-version-kind"] == kind
    accepted = document["paths"][path]["patch"]["requestBody"]["content"]
    assert not any("strategic" in media_type for media_type in accepted)
    assert f"{path}/scale" in document["paths"] and f"{path}/status" in document["paths"]


async def test_v2_says_what_it_can(api: Api, group: str) -> None:
    document = await api.ok("GET", "/openapi/v2")
    own = document["definitions"][full(group)]
    spec = own["properties"]["spec"]
    assert spec["required"] == ["cron"]
    assert spec["properties"]["maybe"] == {}
    assert spec["properties"]["choice"] == {"type": "string"}
    assert spec["properties"]["replicas"]["maximum"] == 10
    assert own["properties"]["metadata"]["$ref"].startswith("#/definitions/io.k8s")
    assert f"/apis/{group}/v1/namespaces/{{namespace}}/widgets" in document["paths"]
    assert "io.k8s.api.core.v1.Pod" in document["definitions"]
    for reference in set(re.findall(r'"#/definitions/([^"]+)"', json.dumps(document))):
        assert reference in document["definitions"]


async def test_a_change_is_seen_at_once(api: Api, group: str) -> None:
    path = f"apis/{group}/v1"
    before, older = (
        await url(api, path),
        (await api.ok("GET", "/openapi/v2"), api.headers["Etag"])[1],
    )
    changed = json.loads(json.dumps(SCHEMA))
    changed["properties"]["spec"]["properties"]["fresh"] = {"type": "boolean"}
    change = [
        {"op": "replace", "path": "/spec/versions/0/schema/openAPIV3Schema", "value": changed}
    ]
    code, _ = await api.patch(f"{DEFINITIONS}/widgets.{group}", change, "json")
    assert code == 200

    async def moved() -> bool:
        return await url(api, path) != before

    await eventually(moved)
    code, document = await api.get(before)  # a client with an old index is led to what there is
    assert code == 200
    assert "fresh" in json.dumps(schema_of(document, full(group)))
    await api.ok("GET", "/openapi/v2")
    assert api.headers["Etag"] != older


async def test_null_is_a_value(api: Api, group: str, namespace: str) -> None:
    obj = {"apiVersion": f"{group}/v1", "kind": "Widget", "metadata": {"name": "x"}}
    path = f"/apis/{group}/v1/namespaces/{namespace}/widgets"
    made = await api.ok("POST", path, {**obj, "spec": {"cron": "a", "maybe": None}})
    assert made["spec"]["maybe"] is None


async def test_it_goes_with_its_definition(api: Api) -> None:
    group = new_group()
    await define(api, group)
    assert await described(api, f"apis/{group}/v1")
    await api.ok("DELETE", f"{DEFINITIONS}/widgets.{group}")

    async def gone() -> bool:
        return await url(api, f"apis/{group}/v1") == ""

    await eventually(gone)
    assert (await api.request("GET", f"/openapi/v3/apis/{group}/v1"))[0] == 404
    assert group not in json.dumps(await api.ok("GET", "/openapi/v2"))


async def test_what_is_kept_as_it_comes_has_no_fields(api: Api) -> None:
    group = new_group()
    free = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    await define(api, group, a_version(schema={"openAPIV3Schema": free}, selectableFields=[]))
    older = (await api.ok("GET", "/openapi/v2"))["definitions"][full(group)]
    assert set(older) == {"type", "x-kubernetes-group-version-kind"}
    await api.delete(f"{DEFINITIONS}/widgets.{group}")


@pytest.fixture(scope="module")
def tabs(server: Server) -> Iterator[str]:
    """A group whose widgets kubectl knows."""
    group = new_group()
    made = definition(group, a_version(schema={"openAPIV3Schema": SCHEMA}, selectableFields=[]))
    server.kubectl("create", "-f", "-", input=json.dumps(made))
    server.kubectl("wait", "crd", f"widgets.{group}", "--for=condition=Established")
    yield group
    server.kubectl("delete", "crd", f"widgets.{group}")


def test_kubectl_explains(server: Server, tabs: str) -> None:
    said = server.kubectl("explain", f"widgets.{tabs}", "--recursive").stdout
    assert "A tab that runs at times." in said
    assert re.search(r"cron\s+<string> -required-", said) and re.search(
        r"steps\s+<\[\]Object>", said
    )
    assert "When it runs." in server.kubectl("explain", f"widgets.{tabs}.spec.cron").stdout
    older = server.kubectl(
        "explain", f"widgets.{tabs}.spec", "--output=plaintext-openapiv2", "--recursive"
    ).stdout
    assert re.search(r"cron\s+<string>", older) and re.search(r"steps\s+<\[\]Object>", older)


def test_kubectl_applies_diffs_and_patches(server: Server, tabs: str, tmp_path: Path) -> None:
    obj: dict[str, Any] = {
        "apiVersion": f"{tabs}/v1",
        "kind": "Widget",
        "metadata": {"name": "x"},
        "spec": {"cron": "* * *", "maybe": "x", "steps": [{"name": "a", "run": "1"}]},
    }
    server.kubectl("apply", "-f", "-", input=json.dumps(obj))
    obj["spec"]["steps"].append({"name": "b"})
    done = server.kubectl("diff", "-f", "-", input=json.dumps(obj), check=False)
    assert done.returncode == 1 and "+  - name: b" in done.stdout
    server.kubectl("apply", "-f", "-", input=json.dumps(obj))
    server.kubectl("patch", "widget", "x", "--type=merge", "-p", '{"spec":{"replicas":3}}')
    assert server.kubectl("get", "wd", "x", "-o", "jsonpath={.spec.replicas}").stdout == "3"
    obj["spec"]["odd"] = 1
    said = server.kubectl("apply", "-f", "-", input=json.dumps(obj), check=False).stderr
    assert 'unknown field "spec.odd"' in said
