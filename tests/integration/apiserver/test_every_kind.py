"""Every kind that is served, through its whole life, in each form that clients write and read.

A new kind cannot come without a sound object (`tests/integration/apiserver/kinds.py`), and is then
covered here.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest
from kubernetes import client

from api.codec import decode
from api.meta import DeleteOptions
from api.scheme import ALTERNATES, RESOURCES, REVIEWS, Resource
from api.struct import fields
from tests.integration.apiserver.conftest import Api, Server
from tests.integration.apiserver.kinds import STORED, name_of, sample
from tests.protobuf import packed
from tests.unit.resources.test_documented import COLUMNS, NAMES, SELECTORS

KINDS = pytest.mark.parametrize("resource", STORED, ids=name_of)
JSON, YAML, PROTOBUF = FORMS = (
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
)
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
METADATA = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
STAYING = ("Namespace", "PersistentVolume", "PersistentVolumeClaim")
"""What only controllers let go of, which are not there."""
LEAVING_LATE = ("namespaces", "persistentvolumes", "persistentvolumeclaims")
AT_ONCE = {"gracePeriodSeconds": 0, "propagationPolicy": "Background"}


def written(resource: Resource, body: dict[str, Any], form: str) -> bytes:
    """The body in one of the forms. JSON is YAML, too; what it is decoded by says the header."""
    if form == PROTOBUF:
        return packed(decode.convert(body, resource.type, decode.STRICT).obj)
    return json.dumps(body).encode()


def path_of(resource: Resource, body: dict[str, Any]) -> tuple[str, str]:
    """Where it is created, and where it then is."""
    namespace, name = body["metadata"].get("namespace", ""), body["metadata"]["name"]
    return resource.path(namespace), resource.path(namespace, name)


async def gone(api: Api, path: str) -> None:
    """Wait until nothing is there, if it may go."""
    async with asyncio.timeout(60):  # a namespace is looked through twice, kind by kind
        while True:
            code, found = await api.get(path)
            if code == 404 or found["kind"] in STAYING:
                return
            await asyncio.sleep(0.05)


WRITTEN = [(resource, form) for resource in STORED for form in FORMS]


@pytest.mark.parametrize(
    ("resource", "form"), WRITTEN, ids=lambda one: one if isinstance(one, str) else name_of(one)
)
async def test_written_in_each_form(api: Api, resource: Resource, form: str) -> None:
    body = sample(resource, form.rpartition(".")[2].rpartition("/")[2])
    collection, path = path_of(resource, body)
    data = written(resource, body, form)
    code, made = await api.post(f"{collection}?fieldValidation=Strict", data, content_type=form)
    assert code == 201, made
    assert made["apiVersion"] == resource.api_version and made["kind"] == resource.kind
    found = await api.ok("GET", path)
    assert found["metadata"]["uid"] == made["metadata"]["uid"]
    assert found.get("spec") == made.get("spec")
    found["metadata"]["labels"] = {"written": "again"}
    for _ in range(5):  # whoever sets conditions may come between
        code, changed = await api.put(path, written(resource, found, form), content_type=form)
        if code != 409:
            break
        found["metadata"]["resourceVersion"] = (await api.ok("GET", path))["metadata"][
            "resourceVersion"
        ]
    assert code == 200, changed
    assert changed["metadata"]["labels"]["written"] == "again"
    assert changed.get("spec") == made.get("spec"), "a write of what was read changes nothing"
    await api.ok("DELETE", path, AT_ONCE)
    await gone(api, path)


@KINDS
async def test_patched_and_watched(api: Api, resource: Resource) -> None:
    body = sample(resource, "patched")
    collection, path = path_of(resource, body)
    made = await api.ok("POST", collection, body)
    for kind, patch in (
        ("merge", {"metadata": {"labels": {"patch": "merge"}}}),
        ("strategic", {"metadata": {"labels": {"patch": "strategic"}}}),
        ("json", [{"op": "replace", "path": "/metadata/labels/patch", "value": "json"}]),
    ):
        code, found = await api.patch(path, patch, kind)
        if kind == "strategic" and code == 415:
            continue
        assert code == 200, found
        assert found["metadata"]["labels"]["patch"] == kind
    body["metadata"]["labels"] = {"patch": "apply"}
    code, found = await api.patch(
        f"{path}?fieldManager=test&force=true", body, "application/apply-patch+yaml"
    )
    assert code == 200, found
    assert found["metadata"]["labels"]["patch"] == "apply"
    assert "Apply" in {one["operation"] for one in found["metadata"]["managedFields"]}
    await api.ok("DELETE", path, AT_ONCE)
    events = await watched(api, collection, made["metadata"])
    assert events[0] == "MODIFIED"
    assert resource.kind in STAYING or events[-1] == "DELETED"
    await gone(api, path)


async def watched(api: Api, collection: str, made: dict[str, Any]) -> list[str]:
    """What became of one object, from its creation to its end or to silence."""
    seconds = 1 if collection.rpartition("/")[2] in LEAVING_LATE else 60
    query = f"watch=true&timeoutSeconds={seconds}&resourceVersion={made['resourceVersion']}"
    query += f"&fieldSelector=metadata.name={made['name']}"
    found: list[str] = []
    async with api.session.get(f"{api.url}{collection}?{query}") as answer:
        assert answer.status == 200
        async for line in answer.content:
            event = json.loads(line)
            assert event["object"]["metadata"]["uid"] == made["uid"]
            found.append(event["type"])
            if found[-1] == "DELETED":
                break
    return found


@KINDS
async def test_read_in_each_form(api: Api, resource: Resource) -> None:
    body = sample(resource, "read")
    collection, path = path_of(resource, body)
    await api.ok("POST", collection, body)
    name = body["metadata"]["name"]
    query = f"{collection}?fieldSelector=metadata.name={name}"
    listed = await api.ok("GET", query)
    assert listed["kind"] == f"{resource.kind}List"
    assert [one["metadata"]["name"] for one in listed["items"]] == [name]
    for target in (path, query):
        table = await api.ok("GET", target, headers={"Accept": TABLE})
        columns = table["columnDefinitions"]
        shown = [one["name"] + ("*" if one["priority"] else "") for one in columns]
        assert ", ".join(shown) == COLUMNS[resource.kind]
        (row,) = table["rows"]
        assert len(row["cells"]) == len(columns)
    part = await api.ok("GET", path, headers={"Accept": METADATA})
    assert part["kind"] == "PartialObjectMetadata" and part["metadata"]["name"] == name
    code, text = await api.get(path, headers={"Accept": YAML})
    assert code == 200 and re.search(rf"^ +name: {re.escape(name)}$", text, re.MULTILINE)
    await api.ok("DELETE", path, AT_ONCE)
    await gone(api, path)


@KINDS
async def test_watched_in_each_form(api: Api, resource: Resource) -> None:
    """As Table and as metadata alone: every event is of that form, the last one included."""
    body = sample(resource, "watched")
    collection, path = path_of(resource, body)
    made = await api.ok("POST", collection, body)
    name, since = made["metadata"]["name"], int(made["metadata"]["resourceVersion"]) - 1
    query = f"watch=true&timeoutSeconds=1&resourceVersion={since}&allowWatchBookmarks=true"
    query += f"&fieldSelector=metadata.name={name}"

    async def watched_as(accept: str, kind: str) -> None:
        headers = {"Accept": f"{accept};stream=watch"}
        async with api.session.get(f"{api.url}{collection}?{query}", headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            events = [json.loads(line) async for line in answer.content]
        assert events[0]["type"] == "ADDED" and events[-1]["type"] == "BOOKMARK"
        assert {event["object"]["kind"] for event in events} == {kind}
        first = events[0]["object"]
        if kind == "Table":
            assert len(first["columnDefinitions"]) == len(first["rows"][0]["cells"])
            first = first["rows"][0]["object"]
        assert first["metadata"]["uid"] == made["metadata"]["uid"]

    await asyncio.gather(
        watched_as(TABLE, "Table"), watched_as(METADATA, "PartialObjectMetadata")
    )  # each lasts a second
    await api.ok("DELETE", path, AT_ONCE)
    await gone(api, path)


@KINDS
async def test_tried_and_not_done(api: Api, resource: Resource) -> None:
    """Every write as a dry run: it answers as if it were done, and nothing is."""
    body = sample(resource, "tried")
    collection, path = path_of(resource, body)
    tried = await api.ok("POST", f"{collection}?dryRun=All", body)
    assert tried["metadata"]["uid"]
    assert (await api.get(path))[0] == 404
    before = await api.ok("POST", collection, body)
    patch = {"metadata": {"labels": {"tried": "yes"}}}
    code, patched = await api.patch(f"{path}?dryRun=All", patch)
    assert code == 200 and patched["metadata"]["labels"]["tried"] == "yes"
    configuration = {**body, "metadata": {**body["metadata"], "labels": {"tried": "apply"}}}
    code, applied = await api.patch(
        f"{path}?dryRun=All&fieldManager=t&force=true",
        configuration,
        "application/apply-patch+yaml",
    )
    assert code == 200 and applied["metadata"]["labels"]["tried"] == "apply"
    patched["metadata"].pop("resourceVersion")
    code, _ = await api.put(f"{path}?dryRun=All", patched)
    assert code == 200
    await api.ok("DELETE", f"{path}?dryRun=All")
    after = await api.ok("GET", path)
    assert after["metadata"].get("labels") == before["metadata"].get("labels")
    assert "deletionTimestamp" not in after["metadata"]
    await api.ok("DELETE", path, AT_ONCE)
    await gone(api, path)


@KINDS
async def test_deleted_together(api: Api, resource: Resource) -> None:
    """What a list with the same selector shows, and nothing else; DeleteOptions as protobuf."""
    body = sample(resource, "together")
    collection, path = path_of(resource, body)
    body["metadata"]["labels"] = {"together": resource.plural}
    await api.ok("POST", collection, body)
    options = packed(DeleteOptions(grace_period_seconds=0, propagation_policy="Background"))
    if "deletecollection" not in resource.verbs:
        assert (await api.delete(collection, options, content_type=PROTOBUF))[0] == 405
        await api.ok("DELETE", path, AT_ONCE)
        return
    for chosen, there in (("together=other", 200), (None, 404)):
        selector = chosen or f"together={resource.plural}"
        code, listed = await api.delete(
            f"{collection}?labelSelector={selector}", options, content_type=PROTOBUF
        )
        assert code == 200, listed
        assert listed["kind"] == f"{resource.kind}List"
        assert len(listed["items"]) == (there == 404)
        if there == 200:
            assert (await api.get(path))[0] == 200
    await gone(api, path)


STATUSES = tuple(one for one in STORED if one.subresource("status"))


@pytest.mark.parametrize("resource", STATUSES, ids=name_of)
async def test_the_status_is_a_resource_of_its_own(api: Api, resource: Resource) -> None:
    """Read, patched and replaced by itself; metadata's labels and the spec stay as they are."""
    body = sample(resource, "status")
    collection, path = path_of(resource, body)
    await api.ok("POST", collection, body)
    for _ in range(5):  # whoever sets conditions may come between
        found = await api.ok("GET", f"{path}/status")
        code, answer = await api.put(f"{path}/status", found)
        if code != 409:
            break
    assert code == 200, answer
    code, answer = await api.patch(f"{path}/status", {"spec": None, "status": {}})
    assert code == 200, answer
    assert answer.get("spec") == found.get("spec")
    code, answer = await api.patch(f"{path}/status", {"nonsense": 1}, "application/cbor")
    assert code == 415
    await api.ok("DELETE", path, AT_ONCE)
    await gone(api, path)


UNMARKED = (
    "APIService", "CustomResourceDefinition", "FlowSchema", "PriorityLevelConfiguration",
    "VolumeAttachment",
)  # fmt: skip
"""Kinds whose status is written without anything else."""


@pytest.mark.parametrize("resource", STATUSES, ids=name_of)
async def test_a_status_is_written_with_a_mark(api: Api, resource: Resource) -> None:
    """As Kubernetes' own conformance tests do it: annotations may come along, the spec may not."""
    body = sample(resource, "marked")
    collection, path = path_of(resource, body)
    made = await api.ok("POST", collection, body)
    mark = {"metadata": {"annotations": {"patchedstatus": "true"}}}
    code, patched = await api.patch(f"{path}/status", mark)
    assert code == 200, patched
    for _ in range(5):  # whoever sets conditions may come between
        found = await api.ok("GET", f"{path}/status")
        found["metadata"].setdefault("annotations", {})["updatedstatus"] = "true"
        found["metadata"]["generation"] = 77
        code, updated = await api.put(f"{path}/status", found)
        if code != 409:
            break
    assert code == 200, updated
    wanted = (
        {}
        if resource.kind in UNMARKED
        else dict.fromkeys(("patchedstatus", "updatedstatus"), "true")
    )
    held = updated["metadata"].get("annotations", {})
    assert {name: held[name] for name in held if name.endswith("status")} == wanted
    assert updated.get("spec") == made.get("spec")
    assert updated["metadata"].get("generation") == made["metadata"].get("generation")
    await api.ok("DELETE", path, AT_ONCE)
    await gone(api, path)


COUNTED = {
    "APIService", "CSIDriver", "CronJob", "CustomResourceDefinition", "DaemonSet", "Deployment",
    "EndpointSlice", "FlowSchema", "HorizontalPodAutoscaler", "IPAddress", "Ingress",
    "IngressClass", "Job", "MutatingWebhookConfiguration", "NetworkPolicy", "Pod",
    "PodDisruptionBudget", "PodTemplate", "PriorityClass", "PriorityLevelConfiguration",
    "ReplicaSet", "ReplicationController", "ServiceCIDR", "StatefulSet",
    "ValidatingAdmissionPolicyBinding", "ValidatingWebhookConfiguration",
}  # fmt: skip


@KINDS
async def test_generation(api: Api, resource: Resource) -> None:
    body = sample(resource, "generation")
    collection, _ = path_of(resource, body)
    made = await api.ok("POST", f"{collection}?dryRun=All", body)
    expected = 1 if resource.kind in COUNTED else None
    assert made["metadata"].get("generation") == expected


MODELS = {
    "v1 Event": "CoreV1Event",
    "events.k8s.io/v1 Event": "EventsV1Event",
    "autoscaling/v2 HorizontalPodAutoscaler": "V2HorizontalPodAutoscaler",
}
"""Models of the official client that are not `V1` and the kind."""


@KINDS
async def test_the_official_client_reads_it(api: Api, resource: Resource) -> None:
    """Its models refuse an answer without what the API demands."""
    body = sample(resource, "official")
    collection, path = path_of(resource, body)
    await api.ok("POST", collection, body)
    model = MODELS.get(f"{resource.api_version} {resource.kind}", f"V1{resource.kind}")
    official = client.ApiClient()
    # Its public reader takes other arguments in each of its releases.
    read = getattr(official, "_ApiClient__deserialize")  # noqa: B009
    for target, name in ((path, model), (collection, f"{model}List")):
        answer = await api.ok("GET", target)
        again = official.sanitize_for_serialization(read(answer, name))
        assert again["kind"] == answer["kind"]
        assert again["metadata"].keys() == answer["metadata"].keys()
    await api.ok("DELETE", path, AT_ONCE)
    await gone(api, path)


@pytest.mark.parametrize("resource", RESOURCES, ids=name_of)
async def test_field_selectors(api: Api, resource: Resource) -> None:
    for field in (*NAMES, *SELECTORS.get(resource.kind, "").split()):
        code, answer = await api.get(f"{resource.path()}?fieldSelector={field}=x")
        assert code == 200 and answer["items"] == [], field
    code, answer = await api.get(f"{resource.path()}?fieldSelector=spec.nonsense=x")
    assert code == 400 and "field label not supported: spec.nonsense" in answer["message"]


@pytest.mark.parametrize("resource", (*RESOURCES, *ALTERNATES, *REVIEWS), ids=name_of)
def test_explain(server: Server, resource: Resource) -> None:
    target = f"--api-version={resource.api_version}"
    printed = server.kubectl("explain", resource.plural, "--recursive", target).stdout
    assert re.search(rf"^KIND: +{resource.kind}$", printed, re.MULTILINE)
    told = re.search(r"^DESCRIPTION:\n((?: +\S.*\n)+)", printed, re.MULTILINE)
    assert told and "<empty>" not in told[1]
    top = re.findall(r"^ {2}(\w+)\t<", printed, re.MULTILINE)
    assert top == sorted(info.wire for info in fields(resource.type))


async def test_every_field_is_described(api: Api) -> None:
    """What `kubectl explain` prints below each field, wherever it is."""
    paths = (await api.ok("GET", "/openapi/v3"))["paths"]
    nothing = set()
    for one in paths.values():
        document = await api.ok("GET", one["serverRelativeURL"])
        for name, schema in document.get("components", {}).get("schemas", {}).items():
            nothing |= {
                f"{name}.{field}"
                for field, about in schema.get("properties", {}).items()
                if not about.get("description") and not name.endswith("List")
            }
    assert not nothing
