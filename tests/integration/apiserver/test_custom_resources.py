"""Custom resources against a real server: defined, served, changed, removed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.integration.apiserver.conftest import Api, Server
from tests.integration.apiserver.crds import (
    DEFINITIONS,
    SPEC_SCHEMA,
    define,
    definition,
    eventually,
    new_group,
    served,
    version,
    widget,
)
from tests.patience import DEADLINE

pytestmark = served


@pytest_asyncio.fixture
async def group(api: Api) -> AsyncIterator[str]:
    """A group with the kind Widget, served as v1."""
    name = new_group()
    await define(api, name)
    yield name
    await api.delete(f"{DEFINITIONS}/widgets.{name}")


@pytest.fixture
def path(group: str, namespace: str) -> str:
    return f"/apis/{group}/v1/namespaces/{namespace}/widgets"


async def test_nothing_is_served_before_and_after(api: Api, namespace: str) -> None:
    group = new_group()
    path = f"/apis/{group}/v1/namespaces/{namespace}/widgets"
    assert (await api.get(path))[0] == 404
    await define(api, group)
    assert (await api.get(path))[0] == 200
    await api.ok("DELETE", f"{DEFINITIONS}/widgets.{group}")

    async def gone() -> bool:
        return (await api.get(path))[0] == 404

    await eventually(gone)
    assert (await api.get(f"/apis/{group}"))[0] == 404


async def test_written_as_the_schema_says(api: Api, group: str, path: str) -> None:
    sent = widget(group, "one", extra=1, status={"phase": "Faked"})
    sent["spec"] = {"size": 3, "unknown": True, "free": {"any": [1, {"x": None}]}}
    made = await api.ok("POST", path, sent)
    assert made["spec"] == {"size": 3, "free": {"any": [1, {"x": None}]}, "colour": "red"}
    assert "status" not in made
    assert "extra" not in made
    assert made["metadata"]["generation"] == 1
    assert sorted(api.warnings) == [
        '299 - "unknown field \\"extra\\""',
        '299 - "unknown field \\"spec.unknown\\""',
    ]
    assert await api.ok("GET", f"{path}/one") == made


async def test_all_violations_are_told(api: Api, group: str, path: str) -> None:
    bad = widget(group, "Bad_Name", spec={"size": 0, "colour": "green"})
    code, status = await api.post(path, bad)
    assert code == 422
    fields = {cause["field"] for cause in status["details"]["causes"]}
    assert fields == {"metadata.name", "spec.size", "spec.colour"}
    assert status["message"].startswith(f'Widget.{group} "Bad_Name" is invalid: ')


async def test_strict_validation(api: Api, group: str, path: str) -> None:
    bad = widget(group, "s", extra=1)
    bad["metadata"]["labelz"] = {}
    code, status = await api.post(f"{path}?fieldValidation=Strict", bad)
    assert code == 400
    told = 'strict decoding error: unknown field "metadata.labelz", unknown field "extra"'
    assert told in status["message"]
    bad["metadata"] = {"name": "s", "labels": {"a": 1}}
    code, status = await api.post(path, bad)
    assert code == 400 and "metadata.labels.a: expected a string" in status["message"]


async def test_status_and_generation(api: Api, group: str, path: str) -> None:
    await api.ok("POST", path, widget(group, "one"))
    _, changed = await api.patch(f"{path}/one", {"spec": {"size": 4}, "status": {"phase": "Faked"}})
    assert (changed["metadata"]["generation"], changed["spec"]["size"]) == (2, 4)
    assert "status" not in changed
    told = {"status": {"phase": "Ready"}, "spec": {"size": 9}}
    _, changed = await api.patch(f"{path}/one/status", told)
    assert (changed["metadata"]["generation"], changed["spec"]["size"]) == (2, 4)
    assert changed["status"] == {"phase": "Ready"}
    _, changed = await api.patch(f"{path}/one", {"metadata": {"labels": {"a": "b"}}})
    assert changed["metadata"]["generation"] == 2
    assert changed["status"] == {"phase": "Ready"}
    code, _ = await api.patch(f"{path}/one/status", {"status": {"phase": 7}})
    assert code == 422


async def test_scale(api: Api, group: str, path: str) -> None:
    await api.ok("POST", path, widget(group, "one"))
    await api.patch(f"{path}/one/status", {"status": {"replicas": 2, "selector": "a=b"}})
    code, status = await api.get(f"{path}/one/scale")
    assert code == 500
    assert "the spec replicas field does not exist" in status["message"]
    await api.patch(f"{path}/one", {"spec": {"replicas": 1}})
    scale = await api.ok("GET", f"{path}/one/scale")
    assert (scale["kind"], scale["spec"]) == ("Scale", {"replicas": 1})
    assert scale["status"] == {"replicas": 2, "selector": "a=b"}
    _, scale = await api.patch(f"{path}/one/scale", {"spec": {"replicas": 5}})
    assert scale["spec"] == {"replicas": 5}
    found = await api.ok("GET", f"{path}/one")
    assert (found["spec"]["replicas"], found["metadata"]["generation"]) == (5, 3)


async def test_patches(api: Api, group: str, path: str) -> None:
    await api.ok("POST", path, widget(group, "one"))
    operations = [{"op": "replace", "path": "/spec/size", "value": 7}]
    _, patched = await api.patch(f"{path}/one", operations, "json")
    assert patched["spec"]["size"] == 7
    code, _ = await api.patch(f"{path}/one", {"spec": {"size": 8}}, "strategic")
    assert code == 415
    code, status = await api.patch(f"{path}/one", {"spec": {"size": None}})
    assert (code, status["details"]["causes"][0]["field"]) == (422, "spec.size")


async def test_apply(api: Api, group: str, path: str) -> None:
    body = json.dumps(widget(group, "applied")).encode()
    url, kind = f"{path}/applied?fieldManager=me", "application/apply-patch+yaml"
    code, made = await api.request("PATCH", url, body, content_type=kind)
    assert code == 201, made
    (entry,) = made["metadata"]["managedFields"]
    assert entry["fieldsV1"]["f:spec"] == {"f:size": {}}
    other = widget(group, "applied", spec={"size": 9})
    code, status = await api.request(
        "PATCH",
        f"{path}/applied?fieldManager=other",
        json.dumps(other).encode(),
        content_type=kind,
    )
    assert (code, status["details"]["causes"][0]["field"]) == (409, ".spec.size")


APPLIED: dict[str, Any] = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "x-kubernetes-preserve-unknown-fields": True,
            "properties": {
                "cron": {"type": "string"},
                "ports": {
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["port", "protocol"],
                    "items": {
                        "type": "object",
                        "required": ["port", "protocol"],
                        "properties": {
                            "port": {"type": "integer"},
                            "protocol": {"type": "string"},
                            "name": {"type": "string"},
                        },
                    },
                },
                "template": {
                    "type": "object",
                    "x-kubernetes-embedded-resource": True,
                    "properties": {
                        "spec": {"type": "object", "properties": {"a": {"type": "integer"}}}
                    },
                },
            },
        }
    },
}


async def test_apply_where_more_is_kept_than_is_named(api: Api, namespace: str) -> None:
    """As Kubernetes' own test of server-side apply for definitions does it."""
    group = new_group()
    schema = {"schema": {"openAPIV3Schema": APPLIED}, "selectableFields": []}
    versions = version(**schema), {**version("v2", **schema), "storage": False}
    await define(api, group, *versions)
    path = f"/apis/{group}/v1/namespaces/{namespace}/widgets/one"

    async def apply(spec: Any, who: str, *, force: str = "false", **more: Any) -> tuple[int, Any]:
        body = widget(group, "one", spec=spec, **more)
        where = path.replace("/v1/", f"/{body['apiVersion'].rpartition('/')[2]}/")
        url = f"{where}?fieldManager={who}&force={force}"
        return await api.patch(url, body, "application/apply-patch+yaml")

    port = {"name": "x", "port": 80, "protocol": "TCP"}
    inner = {"apiVersion": "v1", "kind": "Sub", "metadata": {"name": "s"}, "spec": {"a": 1}}
    spec = {"cron": "*", "replicas": 1, "ports": [port], "template": inner}
    head = {"metadata": {"name": "one", "finalizers": ["mine"]}}
    code, made = await apply(spec, "me", **head)
    assert (code, made["spec"]) == (201, spec)
    assert len(api.warnings) == 1 and "prefer a domain-qualified finalizer" in api.warnings[0]
    owned = made["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"]
    assert {"f:replicas", "f:cron", "f:ports", "f:template"} <= owned.keys()
    assert owned["f:template"]["f:metadata"] == {"f:name": {}}
    assert (await apply(spec, "me", apiVersion=f"{group}/v2"))[0] == 200
    await api.patch(path, {"metadata": {"finalizers": ["mine", "another"]}})
    code, again = await apply(spec, "me", **head)
    assert (code, again["metadata"]["finalizers"]) == (200, ["mine", "another"])
    await api.patch(path, {"spec": {"replicas": 5}})
    code, status = await apply(spec, "me", **head)
    assert code == 409
    assert [one["field"] for one in status["details"]["causes"]] == [".spec.replicas"]
    code, forced = await apply(spec, "me", force="true", **head)
    assert (code, forced["spec"]["replicas"]) == (200, 1)
    code, status = await apply({"ports": [{**port, "name": "y"}]}, "other")
    assert (code, len(status["details"]["causes"])) == (409, 1)
    other = {**port, "port": 8080}
    code, more = await apply({"ports": [other]}, "other")
    assert (code, more["spec"]["ports"]) == (200, [port, other])
    code, less = await apply({"cron": "*"}, "me")
    assert (code, less["spec"]) == (200, {"cron": "*", "ports": [other]})
    bad = {**inner, "metadata": {"unknownSubMeta": "x"}}
    code, status = await apply({"template": bad}, "me")
    told = ".spec.template.metadata.unknownSubMeta: field not declared in schema"
    assert code == 400 and told in status["message"]
    await api.patch(path, {"metadata": {"finalizers": []}})
    await api.delete(f"{DEFINITIONS}/widgets.{group}")


async def test_selectors_and_tables(api: Api, group: str, path: str) -> None:
    await api.ok("POST", path, widget(group, "red"))
    await api.ok("POST", path, widget(group, "blue", spec={"size": 1, "colour": "blue"}))
    found = await api.ok("GET", f"{path}?fieldSelector=spec.colour%3Dblue")
    assert [item["metadata"]["name"] for item in found["items"]] == ["blue"]
    assert (found["kind"], found["apiVersion"]) == ("WidgetList", f"{group}/v1")
    assert (await api.get(f"{path}?fieldSelector=spec.size%3D1"))[0] == 400
    accept = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    table = await api.ok("GET", path, headers=accept)
    assert [one["name"] for one in table["columnDefinitions"]] == ["Name", "Size", "Age"]
    assert sorted(row["cells"][:2] for row in table["rows"]) == [["blue", 1], ["red", 3]]


async def test_discovery_follows(api: Api, group: str) -> None:
    (found,) = [
        one
        for one in (await api.ok("GET", f"/apis/{group}/v1"))["resources"]
        if one["name"] == "widgets"
    ]
    assert (found["kind"], found["singularName"]) == ("Widget", "widget")
    assert (found["shortNames"], found["categories"]) == (["wd"], ["all"])
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    await api.get("/apis", headers={"Accept": accept})
    before = api.headers["Etag"]
    other = new_group()
    await define(api, other)
    found = await api.ok("GET", "/apis", headers={"Accept": accept})
    assert api.headers["Etag"] != before
    assert other in [one["metadata"]["name"] for one in found["items"]]
    await api.ok("DELETE", f"{DEFINITIONS}/widgets.{other}")


async def lines(api: Api, path: str, count: int) -> list[dict[str, Any]]:
    async with api.session.get(f"{api.url}{path}") as answer:
        found = []
        async with asyncio.timeout(DEADLINE):
            while len(found) < count and (line := await answer.content.readline()):
                found.append(json.loads(line))
        return found


async def test_a_watch_lives_through_other_changes(api: Api, group: str, path: str) -> None:
    name = f"{DEFINITIONS}/widgets.{group}"

    async def renamed() -> bool:
        found = await api.ok("GET", f"/apis/{group}/v1")
        return found["resources"][0]["shortNames"] == ["wd", "wdg"]

    async with api.session.get(f"{api.url}{path}?watch=true") as watching:
        await api.patch(name, {"metadata": {"labels": {"a": "b"}}})
        await api.patch(name, {"spec": {"names": {"shortNames": ["wd", "wdg"]}}})
        await eventually(renamed)
        await api.ok("POST", path, widget(group, "one"))
        event = json.loads(await watching.content.readline())
    assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", "one")


async def test_names_that_are_taken(api: Api, group: str) -> None:
    second = definition(group)
    second["metadata"]["name"] = f"gadgets.{group}"
    second["spec"]["names"] = {
        "plural": "gadgets",
        "singular": "gadget",
        "kind": "Widget",
        "listKind": "WidgetList",
    }
    await api.ok("POST", DEFINITIONS, second)

    async def told() -> Any:
        found = await api.ok("GET", f"{DEFINITIONS}/gadgets.{group}")
        return {
            one["type"]: (one["status"], one["reason"])
            for one in (found.get("status") or {}).get("conditions") or ()
        }

    conditions = await eventually(told)
    assert conditions["NamesAccepted"][0] == "False"
    assert conditions["Established"] == ("False", "NotAccepted")
    assert (await api.get(f"/apis/{group}/v1/gadgets"))[0] == 404
    await api.ok("DELETE", f"{DEFINITIONS}/gadgets.{group}")


async def test_versions_by_name_alone(api: Api, namespace: str) -> None:
    group = new_group()
    await define(api, group, version("v1", storage=False), version("v2"))
    first, second = (
        f"/apis/{group}/{name}/namespaces/{namespace}/widgets" for name in ("v1", "v2")
    )
    made = await api.ok("POST", first, widget(group, "one"))
    assert made["apiVersion"] == f"{group}/v1"
    found = await api.ok("GET", f"{second}/one")
    assert found["apiVersion"] == f"{group}/v2"
    assert found["metadata"] == made["metadata"]
    assert (await api.get(f"/apis/{group}"))[1]["preferredVersion"]["version"] == "v2"
    watched = await lines(api, f"{first}?watch=true&resourceVersion=0", 1)
    assert watched[0]["object"]["apiVersion"] == f"{group}/v1"
    _, patched = await api.patch(f"{first}/one", {"spec": {"size": 5}})
    assert (patched["apiVersion"], patched["spec"]["size"]) == (f"{group}/v1", 5)
    # The other version becomes the stored one: what was stored before reads as it.
    name = f"{DEFINITIONS}/widgets.{group}"
    turned = [version("v1"), version("v2", storage=False)]
    await api.patch(name, {"spec": {"versions": turned}})

    async def both() -> bool:
        found = await api.ok("GET", name)
        return bool(found["status"]["storedVersions"] == ["v2", "v1"])

    await eventually(both)
    assert (await api.ok("GET", f"{first}/one"))["spec"]["size"] == 5
    await api.ok("DELETE", name)


async def test_owners_speak_their_version(api: Api, namespace: str) -> None:
    """What one client applies in one version, another may not take in the next without force."""
    group = new_group()
    await define(api, group, version("v1", storage=False), version("v2"))
    for number, (name, size, code) in enumerate((("v1", 3, 201), ("v2", 3, 200), ("v2", 4, 409))):
        path = f"/apis/{group}/{name}/namespaces/{namespace}/widgets/one"
        body = {**widget(group, "one", api=name), "spec": {"size": size}}
        url = f"{path}?fieldManager=m{number}"
        got, said = await api.patch(url, body, "application/apply-patch+yaml")
        assert got == code, said
    causes = {(one["message"], one["field"]) for one in said["details"]["causes"]}
    assert causes == {(f'conflict with "{manager}"', ".spec.size") for manager in ("m0", "m1")}
    found = await api.ok("GET", path)
    owners = {entry["manager"]: entry["apiVersion"] for entry in found["metadata"]["managedFields"]}
    assert owners == {"m0": f"{group}/v1", "m1": f"{group}/v2"}
    await api.ok("DELETE", f"{DEFINITIONS}/widgets.{group}")


async def test_a_version_is_served_no_longer(api: Api, namespace: str) -> None:
    group = new_group()
    await define(api, group, version("v1"), version("v1beta1", storage=False))
    old = f"/apis/{group}/v1beta1/namespaces/{namespace}/widgets"
    assert (await api.get(old))[0] == 200
    versions = [version("v1"), version("v1beta1", storage=False, served=False)]
    await api.patch(f"{DEFINITIONS}/widgets.{group}", {"spec": {"versions": versions}})

    async def gone() -> bool:
        return (await api.get(old))[0] == 404

    await eventually(gone)
    await api.ok("DELETE", f"{DEFINITIONS}/widgets.{group}")


async def test_a_new_default_is_read_everywhere(api: Api, group: str, path: str) -> None:
    await api.ok("POST", path, widget(group, "one"))
    schema = json.loads(json.dumps(SPEC_SCHEMA))
    schema["properties"]["spec"]["properties"]["shape"] = {"type": "string", "default": "round"}
    versions = [version(schema={"openAPIV3Schema": schema})]
    await api.patch(f"{DEFINITIONS}/widgets.{group}", {"spec": {"versions": versions}})

    async def defaulted() -> bool:
        found = await api.ok("GET", f"{path}/one")
        return bool(found["spec"].get("shape") == "round")

    await eventually(defaulted)


async def test_objects_go_before_their_definition(api: Api, namespace: str) -> None:
    group = new_group()
    await define(api, group)
    path = f"/apis/{group}/v1/namespaces/{namespace}/widgets"
    held = widget(group, "held", metadata={"finalizers": ["example.com/hold"]})
    await api.ok("POST", path, held)
    await api.ok("POST", path, widget(group, "free"))
    watching = asyncio.create_task(lines(api, f"{path}?watch=true", 1000))
    await api.ok("DELETE", f"{DEFINITIONS}/widgets.{group}")

    async def one_left() -> bool:
        return len((await api.ok("GET", path))["items"]) == 1

    await eventually(one_left)
    code, status = await api.post(path, widget(group, "late"))
    assert code == 405
    assert status["message"] == (
        "create not allowed while custom resource definition is terminating"
    )

    async def told() -> bool:
        found = await api.ok("GET", f"{DEFINITIONS}/widgets.{group}")
        states = {one["type"]: one["status"] for one in found["status"]["conditions"]}
        return states.get("Terminating") == "True"

    await eventually(told)
    await api.patch(f"{path}/held", {"metadata": {"finalizers": None}})

    async def gone() -> bool:
        return (await api.get(f"{DEFINITIONS}/widgets.{group}"))[0] == 404

    await eventually(gone)
    events = await watching
    assert events[-1]["type"] == "DELETED"  # and then the watch ended


async def test_served_again_after_a_restart(
    server: Server, api: Api, group: str, path: str
) -> None:
    await api.ok("POST", path, widget(group, "one"))
    server.kill()
    server.start()
    assert (await api.ok("GET", f"{path}/one"))["spec"]["colour"] == "red"


def test_kubectl(server: Server, tmp_path: Any) -> None:
    group = new_group()
    (tmp_path / "crd.json").write_text(json.dumps(definition(group)))
    (tmp_path / "cr.json").write_text(json.dumps(widget(group, "one")))
    server.kubectl("create", "-f", str(tmp_path / "crd.json"))
    server.kubectl("wait", "--for=condition=Established", f"crd/widgets.{group}", "--timeout=60s")
    server.kubectl("apply", "-f", str(tmp_path / "cr.json"))
    shown = server.kubectl("get", f"widgets.{group}").stdout.splitlines()
    assert shown[0].split() == ["NAME", "SIZE", "AGE"]
    assert shown[1].split()[:2] == ["one", "3"]
    server.kubectl("scale", "--replicas=4", "widget/one")
    spec = server.kubectl("get", "widget", "one", "-o", "jsonpath={.spec.replicas}").stdout
    assert spec == "4"
    server.kubectl("wait", "--for=jsonpath={.spec.replicas}=4", "widget/one", "--timeout=60s")
    server.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(tmp_path / "cr.json"))
    assert "widget.example.com" in server.kubectl("get", "all", "-o", "name").stdout.replace(
        group, "example.com"
    )
    server.kubectl("delete", "crd", f"widgets.{group}", "--timeout=60s")
