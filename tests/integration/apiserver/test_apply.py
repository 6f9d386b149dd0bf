"""Server-side apply over HTTP: what a client sends, and what it is told, as Kubernetes documents it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.integration.apiserver.conftest import Api, config_map

APPLY = "application/apply-patch+yaml"


async def apply(api: Api, path: str, body: Any, query: str = "") -> tuple[int, Any]:
    return await api.request("PATCH", f"{path}?{query}", body, content_type=APPLY)


def managers(obj: Any) -> list[tuple[str, str, str]]:
    return [
        (entry["manager"], entry["operation"], entry.get("subresource", ""))
        for entry in obj["metadata"].get("managedFields", [])
    ]


def owned(obj: Any, manager: str) -> Any:
    return next(
        entry["fieldsV1"]
        for entry in obj["metadata"]["managedFields"]
        if entry["manager"] == manager
    )


def deployment(name: str, **spec: Any) -> dict[str, Any]:
    labels = {"app": name}
    container = {"name": "web", "image": "web:1"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": labels}, "template": template, **spec},
    }


async def test_applying_makes_and_changes_an_object(api: Api, maps: str) -> None:
    path = f"{maps}/a"
    code, made = await apply(api, path, config_map("a", data={"x": "1"}), "fieldManager=me")
    assert code == 201 and managers(made) == [("me", "Apply", "")]
    assert owned(made, "me") == {"f:data": {"f:x": {}}}
    code, same = await apply(api, path, config_map("a", data={"x": "1"}), "fieldManager=me")
    assert (code, same) == (200, made), "an apply that changes nothing writes nothing"
    body = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, labels: {l: v}}\n"
    code, changed = await apply(api, path, body, "fieldManager=me")
    assert code == 200 and "data" not in changed and changed["metadata"]["labels"] == {"l": "v"}


async def test_a_conflict_names_field_and_owner(api: Api, maps: str) -> None:
    path = f"{maps}/a"
    await apply(api, path, config_map("a", data={"x": "1", "y": "1"}), "fieldManager=one")
    wanted = config_map("a", data={"x": "2", "y": "2"})
    code, status = await apply(api, path, wanted, "fieldManager=two")
    assert (code, status["reason"]) == (409, "Conflict")
    assert status["message"] == (
        'Apply failed with 2 conflicts: conflicts with "one":\n- .data.x\n- .data.y'
    )
    assert {cause["field"] for cause in status["details"]["causes"]} == {".data.x", ".data.y"}
    assert {cause["reason"] for cause in status["details"]["causes"]} == {"FieldManagerConflict"}
    await api.patch(f"{path}?fieldManager=other", {"data": {"x": "3", "y": "1"}})
    code, status = await apply(api, path, config_map("a", data={"x": "4"}), "fieldManager=one")
    assert status["message"] == (
        'Apply failed with 1 conflict: conflict with "other" using v1: .data.x'
    )
    code, forced = await apply(api, path, wanted, "fieldManager=two&force=true")
    assert code == 200 and forced["data"] == {"x": "2", "y": "2"}


async def test_every_write_says_whose_it_was(api: Api, namespace: str, maps: str) -> None:
    made = await api.ok("POST", f"{maps}?fieldManager=maker", config_map("a", data={"x": "1"}))
    assert managers(made) == [("maker", "Update", "")]
    assert owned(made, "maker") == {"f:data": {".": {}, "f:x": {}}}
    agent = {"User-Agent": "robot/v1.2 (linux)"}
    changed = await api.ok(
        "PUT", f"{maps}/a", config_map("a", data={"x": "1", "y": "2"}), headers=agent
    )
    assert owned(changed, "robot") == {"f:data": {"f:y": {}}}
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    made = await api.ok("POST", path, deployment("d"), headers=agent)
    spec = owned(made, "robot")["f:spec"]
    assert spec["f:selector"] == {} and spec["f:replicas"] == {}
    container = spec["f:template"]["f:spec"]["f:containers"]['k:{"name":"web"}']
    assert container["."] == {} and container["f:image"] == {}
    code, patched = await api.patch(f"{path}/d/status?fieldManager=s", {"status": {"replicas": 2}})
    assert code == 200 and ("s", "Update", "status") in managers(patched)
    assert owned(patched, "s") == {"f:status": {"f:replicas": {}}}


async def test_an_apply_leaves_the_rest_to_others(api: Api, namespace: str) -> None:
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/d"
    code, made = await apply(api, path, deployment("d"), "fieldManager=me")
    assert code == 201 and made["spec"]["replicas"] == 1  # a default, which nobody owns
    await api.patch(f"{path}/scale?fieldManager=scaler", {"spec": {"replicas": 5}})
    code, again = await apply(api, path, deployment("d"), "fieldManager=me")
    assert code == 200 and again["spec"]["replicas"] == 5
    assert ("scaler", "Update", "scale") in managers(again)
    code, status = await apply(api, path, deployment("d", replicas=1), "fieldManager=me")
    assert code == 409 and '"scaler" with subresource "scale" using apps/v1' in status["message"]


async def test_the_status_is_applied_on_its_own(api: Api, namespace: str) -> None:
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/d"
    await apply(api, path, deployment("d"), "fieldManager=me")
    body = {**deployment("d", replicas=9), "status": {"replicas": 3}}
    code, changed = await apply(api, f"{path}/status", body, "fieldManager=controller")
    assert code == 200 and changed["status"]["replicas"] == 3 and changed["spec"]["replicas"] == 1
    assert owned(changed, "controller") == {"f:status": {"f:replicas": {}}}


async def test_what_cannot_be_applied_is_told(api: Api, maps: str) -> None:
    path = f"{maps}/a"
    code, status = await apply(api, path, config_map("a"))
    assert (
        code == 422 and "fieldManager: Required value: is required for apply" in status["message"]
    )
    refused = [
        ({"metadata": {"name": "a"}}, "apiVersion"),
        ({**config_map("a"), "kind": "Secret"}, "kind"),
        (config_map("b"), "does not match the name on the URL"),
        (config_map("a", metadata={"managedFields": [{}]}), "managedFields must be nil"),
        ({**config_map("a"), "nonsense": 1}, ".nonsense: field not declared in schema"),
        (b"[1]", "must be an object"),
        (b"{", "error decoding"),
    ]
    for body, why in refused:
        code, status = await apply(api, path, body, "fieldManager=me&fieldValidation=Strict")
        assert code == 400 and why in status["message"], status
    code, status = await api.patch(f"{path}?force=true", {})
    assert code == 422 and "may not be specified for non-apply patch" in status["message"]
    wanted = config_map("a", metadata={"resourceVersion": "1"})
    assert (await apply(api, path, wanted, "fieldManager=me"))[0] == 409
    assert (await api.get(path))[0] == 404


async def test_a_dry_run_applies_nothing(api: Api, maps: str) -> None:
    body = config_map("a", data={"x": "1"})
    code, made = await apply(api, f"{maps}/a", body, "fieldManager=me&dryRun=All")
    assert code == 201 and made["data"] == {"x": "1"}
    assert (await api.get(f"{maps}/a"))[0] == 404


async def test_owners_can_be_cleared(api: Api, maps: str) -> None:
    await api.post(maps, config_map("a", data={"x": "1"}))
    _, cleared = await api.patch(f"{maps}/a", {"metadata": {"managedFields": [{}]}})
    assert "managedFields" not in cleared["metadata"]
    _, changed = await api.patch(f"{maps}/a", {"data": {"x": "2"}})
    assert "managedFields" not in changed["metadata"]
    body = config_map("a", data={"y": "1"})
    _, applied = await apply(api, f"{maps}/a", body, "fieldManager=me")
    assert applied["data"] == {"x": "2", "y": "1"}
    assert managers(applied) == [("me", "Apply", ""), ("before-first-apply", "Update", "")]


async def test_many_may_apply_at_once(api: Api, maps: str) -> None:
    await api.post(maps, config_map("a"))
    writes = [
        apply(api, f"{maps}/a", config_map("a", data={f"k{n}": "v"}), f"fieldManager=m{n}")
        for n in range(12)
    ]
    assert {code for code, _ in await asyncio.gather(*writes)} == {200}
    _, found = await api.get(f"{maps}/a")
    assert len(found["data"]) == 12 and len(managers(found)) == 12


def scale(name: str, **spec: int) -> dict[str, Any]:
    return {
        "apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": name}, "spec": spec,
    }  # fmt: skip


async def test_a_scale_is_applied_to_its_workload(api: Api, namespace: str) -> None:
    """Who owns `spec.replicas` is told of the Deployment, with the subresource by which it came."""
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    await apply(api, f"{path}/d", deployment("d", replicas=1), "fieldManager=me")
    code, status = await apply(api, f"{path}/d/scale", scale("d", replicas=3), "fieldManager=hpa")
    assert code == 409 and 'conflict with "me": .spec.replicas' in status["message"]
    query = "fieldManager=hpa&force=true"
    code, scaled = await apply(api, f"{path}/d/scale", scale("d", replicas=3), query)
    assert (code, scaled["kind"], scaled["spec"]["replicas"]) == (200, "Scale", 3)
    changed = await api.ok("GET", f"{path}/d")
    assert (changed["spec"]["replicas"], changed["metadata"]["generation"]) == (3, 2)
    assert owned(changed, "hpa") == {"f:spec": {"f:replicas": {}}}
    [entry] = [one for one in changed["metadata"]["managedFields"] if one["manager"] == "hpa"]
    assert (entry["operation"], entry["subresource"], entry["apiVersion"]) == (
        "Apply", "scale", "apps/v1",
    )  # fmt: skip
    assert "f:replicas" not in owned(changed, "me")["f:spec"]
    code, status = await apply(api, f"{path}/d", deployment("d", replicas=1), "fieldManager=me")
    assert code == 409 and 'conflict with "hpa" with subresource "scale"' in status["message"]
    code, status = await apply(api, f"{path}/d/scale", scale("d", replicas=-1), query)
    assert code == 422 and "spec.replicas" in status["message"]
    for bad, why in (
        ({**scale("d", replicas=1), "kind": "Deployment"}, "kind"),
        (scale("other", replicas=1), "does not match the name on the URL"),
        (scale("d", size=1), ".spec.size: field not declared in schema"),
    ):
        code, status = await apply(api, f"{path}/d/scale", bad, query)
        assert code == 400 and why in status["message"], status
    assert (await apply(api, f"{path}/d/scale", scale("d", replicas=1)))[0] == 422
    assert (await apply(api, f"{path}/none/scale", scale("none", replicas=1), query))[0] == 404
    await apply(api, f"{path}/d/scale", scale("d"), query)
    changed = await api.ok("GET", f"{path}/d")
    assert "hpa" not in {one["manager"] for one in changed["metadata"]["managedFields"]}
    await api.delete(f"{path}/d")


@pytest.mark.parametrize("validation", ["Strict", "Warn", "Ignore"])
async def test_what_nobody_could_own_is_refused(api: Api, maps: str, validation: str) -> None:
    body = {**config_map("a", metadata={"labelz": {}}), "nonsense": 1}
    query = f"fieldManager=me&fieldValidation={validation}"
    code, status = await apply(api, f"{maps}/a", body, query)
    assert code == 400
    assert status["message"].startswith("failed to create typed patch object (t-")
    for path in (".metadata.labelz", ".nonsense"):
        assert f"\n  {path}: field not declared in schema" in status["message"]


async def test_a_key_twice(api: Api, maps: str) -> None:
    body = b"""
apiVersion: v1
kind: ConfigMap
metadata:
  name: a
data:
  foo: a
  foo: b
"""
    code, status = await apply(api, f"{maps}/a", body, "fieldManager=me&fieldValidation=Strict")
    assert code == 400 and 'line 8: key "foo" already set in map' in status["message"]
    code, made = await apply(api, f"{maps}/a", body, "fieldManager=me&fieldValidation=Warn")
    assert code == 201 and made["data"] == {"foo": "b"}
    assert api.warnings == ['299 - "yaml: line 8: key \\"foo\\" already set in map"']
    await apply(api, f"{maps}/a", body, "fieldManager=me&fieldValidation=Ignore")
    assert not api.warnings


async def test_marks_are_applied_with_a_status(api: Api, namespace: str) -> None:
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/d"
    await apply(api, path, deployment("d"), "fieldManager=me")
    body = {**deployment("d"), "status": {"replicas": 3}}
    body["metadata"] = {"name": "d", "labels": {"l": "v"}, "annotations": {"a": "v"}}
    code, changed = await apply(api, f"{path}/status", body, "fieldManager=controller")
    assert code == 200 and changed["status"]["replicas"] == 3
    assert changed["metadata"]["annotations"] == {"a": "v"} and "labels" not in changed["metadata"]
    marks = {"f:annotations": {"f:a": {}}}
    assert owned(changed, "controller") == {"f:metadata": marks, "f:status": {"f:replicas": {}}}
    await api.delete(path)


async def test_the_status_that_an_object_begins_with_is_nobodys(api: Api, namespace: str) -> None:
    spec = {"containers": [{"name": "c", "image": "i"}]}
    body = {"metadata": {"name": "p"}, "spec": spec, "status": {"message": "sent along"}}
    made = await api.ok("POST", f"/api/v1/namespaces/{namespace}/pods", body)
    assert made["status"]["phase"] == "Pending"
    (entry,) = made["metadata"]["managedFields"]
    assert entry["fieldsV1"].keys() == {"f:spec"}
