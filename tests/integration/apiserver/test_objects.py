"""Create, read, update, patch and delete over HTTP, as any client sees them."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from tests.integration.apiserver.conftest import Api, config_map


async def test_create_answers_with_what_the_server_owns(api: Api, maps: str) -> None:
    sent = config_map(
        "a",
        data={"k": "v"},
        metadata={
            "uid": "mine",
            "creationTimestamp": "2001-01-01T00:00:00Z",
            "managedFields": [{"manager": "me"}],
        },
    )
    code, made = await api.post(maps, sent)
    metadata = made["metadata"]
    assert code == 201
    assert made["data"] == {"k": "v"}
    assert metadata["uid"] != "mine" and metadata["creationTimestamp"] > "2020"
    assert metadata["resourceVersion"].isdecimal()
    assert metadata["managedFields"][0]["manager"] != "me" and "generation" not in metadata
    assert api.headers["Audit-Id"]


async def test_what_is_created_is_read_at_once(api: Api, maps: str) -> None:
    _, made = await api.post(maps, config_map("a"))
    assert await api.get(f"{maps}/a") == (200, made)
    code, listed = await api.get(maps)
    assert (code, listed["items"]) == (200, [made])
    assert listed["kind"] == "ConfigMapList"


async def test_yaml_from_curl_is_enough(api: Api, maps: str) -> None:
    body = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: curl\ndata: {a: 'yes'}\n"
    code, made = await api.post(maps, body, content_type="application/x-www-form-urlencoded")
    assert (code, made["data"]) == (201, {"a": "yes"})
    code, text = await api.get(f"{maps}/curl", headers={"Accept": "application/yaml"})
    assert code == 200 and "name: curl" in text


async def test_generated_names_are_distinct_and_harmless(api: Api, maps: str) -> None:
    body = {"metadata": {"generateName": "web-"}}
    names = {(await api.ok("POST", maps, body))["metadata"]["name"] for _ in range(20)}
    assert len(names) == 20
    assert all(re.fullmatch("web-[bcdfghjklmnpqrstvwxz2456789]{5}", name) for name in names)


async def test_create_twice(api: Api, maps: str) -> None:
    await api.post(maps, config_map("a"))
    code, status = await api.post(maps, config_map("a"))
    assert (code, status["reason"]) == (409, "AlreadyExists")
    assert status["message"] == 'configmaps "a" already exists'
    assert status["details"] == {"name": "a", "kind": "configmaps"}


async def test_missing_objects_are_said_to_be_missing(api: Api, maps: str) -> None:
    for method in ("GET", "DELETE"):
        code, status = await api.request(method, f"{maps}/none")
        assert (code, status["reason"]) == (404, "NotFound")
        assert status["message"] == 'configmaps "none" not found'
    code, status = await api.put(f"{maps}/none", config_map("none"))
    assert code == 404


async def test_a_namespace_must_exist(api: Api) -> None:
    code, status = await api.post("/api/v1/namespaces/none/configmaps", config_map("a"))
    assert (code, status["message"]) == (404, 'namespaces "none" not found')


async def test_an_update_needs_the_current_version(api: Api, maps: str) -> None:
    _, made = await api.post(maps, config_map("a"))
    made["data"] = {"n": "1"}
    code, updated = await api.put(f"{maps}/a", made)
    assert code == 200 and updated["data"] == {"n": "1"}
    code, status = await api.put(f"{maps}/a", {**made, "data": {"n": "2"}})
    assert (code, status["reason"]) == (409, "Conflict")
    assert status["message"] == (
        'Operation cannot be fulfilled on configmaps "a": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )


async def test_an_update_without_a_version_always_wins(api: Api, maps: str) -> None:
    await api.post(maps, config_map("a"))
    writes = [api.put(f"{maps}/a", config_map("a", data={"n": str(n)})) for n in range(20)]
    assert {code for code, _ in await asyncio.gather(*writes)} == {200}


async def test_of_concurrent_updates_of_one_version_one_wins(api: Api, maps: str) -> None:
    _, made = await api.post(maps, config_map("a"))
    writes = [api.put(f"{maps}/a", {**made, "data": {"n": str(n)}}) for n in range(20)]
    codes = sorted(code for code, _ in await asyncio.gather(*writes))
    assert codes == [200] + [409] * 19


async def test_an_update_that_changes_nothing_writes_nothing(api: Api, maps: str) -> None:
    _, made = await api.post(maps, config_map("a", data={"k": "v"}))
    _, again = await api.put(f"{maps}/a", config_map("a", data={"k": "v"}))
    assert again == made
    _, patched = await api.patch(f"{maps}/a", {"data": {"k": "v"}})
    assert patched == made


async def test_the_name_of_the_url_counts(api: Api, maps: str) -> None:
    await api.post(maps, config_map("a"))
    code, status = await api.put(f"{maps}/a", config_map("b"))
    assert code == 400
    assert "the name of the object (b) does not match the name on the URL (a)" in status["message"]
    code, status = await api.post(maps, config_map("c", metadata={"namespace": "default"}))
    assert code == 400 and "does not match the namespace" in status["message"]


async def test_patches_of_every_sort(api: Api, maps: str) -> None:
    await api.post(maps, config_map("a", data={"x": "1", "y": "2"}))
    code, one = await api.patch(f"{maps}/a", {"data": {"x": None, "z": "3"}})
    assert (code, one["data"]) == (200, {"y": "2", "z": "3"})
    operations = [
        {"op": "test", "path": "/data/y", "value": "2"},
        {"op": "remove", "path": "/data/y"},
    ]
    code, two = await api.patch(f"{maps}/a", operations, "json")
    assert (code, two["data"]) == (200, {"z": "3"})
    code, three = await api.patch(
        f"{maps}/a", {"data": {"$patch": "replace", "q": "4"}}, "strategic"
    )
    assert (code, three["data"]) == (200, {"q": "4"})


async def test_a_patch_of_a_stale_version_is_refused(api: Api, maps: str) -> None:
    _, made = await api.post(maps, config_map("a"))
    await api.patch(f"{maps}/a", {"data": {"x": "1"}})
    stale = {"metadata": {"resourceVersion": made["metadata"]["resourceVersion"]}, "data": {}}
    code, status = await api.patch(f"{maps}/a", stale)
    assert (code, status["reason"]) == (409, "Conflict")


async def test_concurrent_patches_all_count(api: Api, maps: str) -> None:
    await api.post(maps, config_map("a"))
    writes = [api.patch(f"{maps}/a", {"data": {f"k{n}": "v"}}) for n in range(12)]
    assert {code for code, _ in await asyncio.gather(*writes)} == {200}
    _, found = await api.get(f"{maps}/a")
    assert len(found["data"]) == 12


async def test_dry_run_stores_nothing(api: Api, maps: str) -> None:
    code, made = await api.post(f"{maps}?dryRun=All", config_map("a"))
    assert code == 201 and made["metadata"]["uid"]
    assert (await api.get(f"{maps}/a"))[0] == 404
    await api.post(maps, config_map("a", data={"k": "v"}))
    code, patched = await api.patch(f"{maps}/a?dryRun=All", {"data": {"k": "w"}})
    assert (code, patched["data"]) == (200, {"k": "w"})
    assert (await api.delete(f"{maps}/a?dryRun=All"))[0] == 200
    assert (await api.get(f"{maps}/a"))[1]["data"] == {"k": "v"}
    assert (await api.post(f"{maps}?dryRun=All", config_map("a")))[0] == 409
    assert (await api.post(f"{maps}?dryRun=some", config_map("b")))[0] == 422


async def test_delete_answers_with_a_status_that_names_the_object(api: Api, maps: str) -> None:
    _, made = await api.post(maps, config_map("a"))
    code, status = await api.delete(f"{maps}/a")
    assert (code, status["kind"], status["status"]) == (200, "Status", "Success")
    assert status["details"]["uid"] == made["metadata"]["uid"]
    assert (await api.get(f"{maps}/a"))[0] == 404


async def test_preconditions_of_a_delete(api: Api, maps: str) -> None:
    _, made = await api.post(maps, config_map("a"))
    code, status = await api.delete(f"{maps}/a", {"preconditions": {"uid": "other"}})
    assert code == 409 and "UID in precondition: other" in status["message"]
    code, _ = await api.delete(f"{maps}/a", {"preconditions": {"resourceVersion": "1"}})
    assert code == 409
    code, _ = await api.delete(f"{maps}/a", {"preconditions": {"uid": made["metadata"]["uid"]}})
    assert code == 200


async def test_an_object_waits_for_its_finalizers(api: Api, maps: str) -> None:
    await api.post(maps, config_map("a", metadata={"finalizers": ["example.com/wait"]}))
    code, going = await api.delete(f"{maps}/a")
    assert code == 200 and going["metadata"]["deletionTimestamp"]
    assert going["metadata"]["deletionGracePeriodSeconds"] == 0
    added = {"metadata": {"finalizers": ["example.com/wait", "example.com/more"]}}
    code, status = await api.patch(f"{maps}/a", added)
    assert code == 422 and "no new finalizers can be added" in status["message"]
    code, _gone = await api.patch(f"{maps}/a", {"metadata": {"finalizers": None}})
    assert code == 200
    assert (await api.get(f"{maps}/a"))[0] == 404


async def test_foreground_and_orphan_leave_a_finalizer(api: Api, namespace: str) -> None:
    path = f"/apis/apps/v1/namespaces/{namespace}/replicasets"
    template = {
        "metadata": {"labels": {"a": "b"}},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }
    spec = {"replicas": 0, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    body = {"metadata": {"name": "r", "finalizers": ["example.com/wait"]}, "spec": spec}
    for policy, finalizer in (("Foreground", "foregroundDeletion"), ("Orphan", "orphan")):
        await api.post(path, {**body, "metadata": {**body["metadata"], "name": policy.lower()}})
        _, going = await api.delete(f"{path}/{policy.lower()}", {"propagationPolicy": policy})
        assert finalizer in going["metadata"]["finalizers"]
    assert (await api.delete(f"{path}/orphan", {"propagationPolicy": "Sideways"}))[0] == 422


async def test_delete_collection_takes_what_is_selected(api: Api, maps: str) -> None:
    for name, colour in (("a", "red"), ("b", "blue"), ("c", "red")):
        await api.post(maps, config_map(name, metadata={"labels": {"colour": colour}}))
    code, answer = await api.delete(f"{maps}?labelSelector=colour%3Dred")
    assert code == 200 and len(answer["items"]) == 2
    _, left = await api.get(maps)
    assert [item["metadata"]["name"] for item in left["items"]] == ["b"]


async def test_status_is_written_only_through_its_subresource(api: Api, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/pods"
    spec = {"containers": [{"name": "c", "image": "i"}], "nodeName": "nowhere"}
    body = {"metadata": {"name": "p"}, "spec": spec, "status": {"phase": "Running"}}
    _, made = await api.post(path, body)
    assert made["status"]["phase"] == "Pending"
    assert made["metadata"]["generation"] == 1
    made["status"]["message"] = "hello"
    made["metadata"]["labels"] = {"a": "b"}
    code, updated = await api.put(f"{path}/p", made)
    assert code == 200 and "message" not in updated["status"]
    _, updated = await api.patch(f"{path}/p/status", {"status": {"message": "hello"}}, "strategic")
    assert updated["status"]["message"] == "hello"
    assert updated["metadata"]["generation"] == 1
    code, _ = await api.delete(f"{path}/p", {"gracePeriodSeconds": 0})
    assert code == 200


async def test_a_pod_on_a_node_is_deleted_with_grace(api: Api, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/pods"
    spec = {"containers": [{"name": "c", "image": "i"}], "nodeName": "nowhere"}
    await api.ok("POST", path, {"metadata": {"name": "p"}, "spec": spec})
    code, going = await api.delete(f"{path}/p")
    assert code == 200 and going["metadata"]["deletionGracePeriodSeconds"] == 30
    _, shorter = await api.delete(f"{path}/p", {"gracePeriodSeconds": 5})
    assert shorter["metadata"]["deletionGracePeriodSeconds"] == 5
    assert shorter["metadata"]["deletionTimestamp"] < going["metadata"]["deletionTimestamp"]
    _, longer = await api.delete(f"{path}/p", {"gracePeriodSeconds": 60})
    assert longer["metadata"]["deletionGracePeriodSeconds"] == 5
    code, gone = await api.delete(f"{path}/p?gracePeriodSeconds=0")
    assert code == 200 and gone["kind"] == "Pod"
    assert (await api.get(f"{path}/p"))[0] == 404


async def test_binding_assigns_once(api: Api, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/pods"
    body = {
        "metadata": {"name": "p"},
        "spec": {
            "containers": [{"name": "c", "image": "i"}],
            "schedulerName": "nobody",
            "schedulingGates": [{"name": "a/b"}],
        },
    }
    made = await api.ok("POST", path, body)
    assert [one["reason"] for one in made["status"]["conditions"]] == ["SchedulingGated"]
    binding = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n1"}}
    code, status = await api.post(f"{path}/p/binding", binding)
    assert code == 409 and "pod p has non-empty .spec.schedulingGates" in status["message"]
    await api.patch(f"{path}/p", {"spec": {"schedulingGates": []}})
    await api.patch(f"{path}/p/status", {"status": {"nominatedNodeName": "n2"}})
    code, status = await api.post(f"{path}/p/binding", binding)
    assert (code, status["status"]) == (201, "Success")
    pod = await api.ok("GET", f"{path}/p")
    assert pod["spec"]["nodeName"] == "n1" and "nominatedNodeName" not in pod["status"]
    assert {c["type"]: c["status"] for c in pod["status"]["conditions"]}["PodScheduled"] == "True"
    code, status = await api.post(f"{path}/p/binding", binding)
    assert code == 409 and 'pod p is already assigned to node "n1"' in status["message"]
    await api.delete(f"{path}/p?gracePeriodSeconds=0")


async def test_bindings_have_a_path_of_their_own(api: Api, namespace: str) -> None:
    """Where the body alone names the pod."""
    path = f"/api/v1/namespaces/{namespace}"
    spec = {"containers": [{"name": "c", "image": "i"}], "schedulerName": "nobody"}
    await api.ok("POST", f"{path}/pods", {"metadata": {"name": "p"}, "spec": spec})
    binding = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n1"}}
    code, status = await api.post(f"{path}/bindings", binding)
    assert (code, status["status"]) == (201, "Success")
    assert (await api.ok("GET", f"{path}/pods/p"))["spec"]["nodeName"] == "n1"
    binding["metadata"] = {"name": "other"}
    code, status = await api.post(f"{path}/bindings", binding)
    assert (code, status["message"]) == (404, 'pods "other" not found')
    core = {one["name"]: one for one in (await api.ok("GET", "/api/v1"))["resources"]}
    assert (core["bindings"]["kind"], core["bindings"]["verbs"]) == ("Binding", ["create"])
    await api.delete(f"{path}/pods/p?gracePeriodSeconds=0")


async def test_mistaken_options_are_told_together(api: Api, maps: str) -> None:
    query = f"dryRun=Some&fieldManager={'m' * 129}&fieldValidation=Maybe"
    code, status = await api.post(f"{maps}?{query}", config_map("a"))
    assert (code, status["reason"], status["details"]["kind"]) == (422, "Invalid", "CreateOptions")
    fields = [cause["field"] for cause in status["details"]["causes"]]
    assert fields == ["dryRun", "fieldManager", "fieldValidation"]
    assert "fieldManager: Too long: may not be more than 128 bytes" in status["message"]
    code, status = await api.delete(f"{maps}/a?dryRun=Some")
    assert (code, status["details"]["kind"]) == (422, "DeleteOptions")
    assert 'dryRun: Unsupported value: ["Some"]: supported values: "All"' in status["message"]


async def test_scale_reads_and_writes_replicas(api: Api, namespace: str) -> None:
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    template = {
        "metadata": {"labels": {"a": "b"}},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }
    spec = {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    made = await api.ok("POST", path, {"metadata": {"name": "d"}, "spec": spec})
    assert made["metadata"]["generation"] == 1
    scale = await api.ok("GET", f"{path}/d/scale")
    assert scale["kind"] == "Scale" and scale["status"]["selector"] == "a=b"
    code, scale = await api.patch(f"{path}/d/scale", {"spec": {"replicas": 0}})
    assert (code, scale["spec"]) == (200, {})
    scale["metadata"].pop("resourceVersion")
    scale["spec"] = {"replicas": 2}
    assert (await api.put(f"{path}/d/scale", scale))[0] == 200
    found = await api.ok("GET", f"{path}/d")
    assert found["spec"]["replicas"] == 2 and found["metadata"]["generation"] == 3
    code, status = await api.patch(f"{path}/d/scale", {"spec": {"replicas": -1}})
    assert code == 422 and "spec.replicas" in status["message"]
    await api.delete(f"{path}/d")


async def test_system_namespaces_stay(api: Api) -> None:
    code, status = await api.delete("/api/v1/namespaces/kube-system")
    assert code == 403 and "may not be deleted" in status["message"]


async def test_unknown_fields_are_warned_of_refused_or_ignored(api: Api, maps: str) -> None:
    body = {**config_map("a"), "dota": {}}
    code, made = await api.post(maps, body)
    assert code == 201 and "dota" not in made
    assert api.warnings == ['299 - "unknown field \\"dota\\""']
    code, _ = await api.put(f"{maps}/a?fieldValidation=Ignore", body)
    assert code == 200 and not api.warnings
    code, status = await api.put(f"{maps}/a?fieldValidation=Strict", body)
    assert (code, status["message"]) == (400, 'strict decoding error: unknown field "dota"')
    code, status = await api.request(
        "PATCH",
        f"{maps}/a?fieldValidation=Strict",
        {"dota": {}},
        content_type="application/merge-patch+json",
    )
    assert code == 400 and 'unknown field "dota"' in status["message"]


@pytest.mark.parametrize(
    ("form", "patch", "told"),
    [
        ("merge-patch", '{"data": {"k": "1", "k": "2"}}', 'duplicate field "data.k"'),
        ("strategic-merge-patch", '{"data": {}, "data": {"k": "2"}}', 'duplicate field "data"'),
        (
            "json-patch",
            '[{"op": "add", "path": "/data", "value": {"k": "2"}, "why": ""}]',
            'json patch unknown field "[0].why"',
        ),
    ],
)
async def test_patches_are_validated_themselves(
    api: Api, maps: str, form: str, patch: str, told: str
) -> None:
    await api.ok("POST", maps, config_map("a"))
    sent: dict[str, Any] = {"body": patch.encode(), "content_type": f"application/{form}+json"}
    code, status = await api.request("PATCH", f"{maps}/a?fieldValidation=Strict", **sent)
    assert (code, status["message"]) == (400, f"strict decoding error: {told}")
    code, made = await api.request("PATCH", f"{maps}/a", **sent)
    assert (code, made["data"]) == (200, {"k": "2"})
    assert [text.replace("\\", "") for text in api.warnings] == [f'299 - "{told}"']
    assert (await api.request("PATCH", f"{maps}/a?fieldValidation=Ignore", **sent))[0] == 200
    assert not api.warnings


async def test_fields_without_effect_are_named(api: Api, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/pods"
    volume = {"name": "v", "csi": {"driver": "d.example"}}
    spec = {"containers": [{"name": "c", "image": "i"}], "volumes": [volume]}
    await api.ok("POST", path, {"metadata": {"name": "p"}, "spec": spec})
    assert any("spec.volumes[0].csi" in warning for warning in api.warnings)
