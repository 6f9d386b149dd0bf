"""What the books promise of objects, requests, labels and namespaces, row by row (API-…, META-…)."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from api.scheme import RESOURCES
from tests.integration.apiserver.conftest import Api, Server, config_map

CONTAINERS = [{"name": "c", "image": "i", "imagePullPolicy": "Never"}]
TEMPLATE = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": CONTAINERS}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("promises"))
    made.start("--enable-admission-plugins=AlwaysPullImages")
    yield made
    made.stop()


async def test_objects_have_what_everybody_has(api: Api, maps: str) -> None:
    """API-03, API-09, API-10, API-11: the server names the time, the version and the UID."""
    code, made = await api.post(maps, config_map("a"))
    assert code == 201, "API-24"
    metadata = made["metadata"]
    assert uuid.UUID(metadata["uid"]) and metadata["namespace"] == maps.split("/")[4]
    assert metadata["creationTimestamp"].endswith("Z") and int(metadata["resourceVersion"])
    assert "selfLink" not in metadata
    assert (await api.post(maps, config_map("a")))[0] == 409
    secrets = maps.replace("configmaps", "secrets")
    assert (await api.post(secrets, {"metadata": {"name": "a"}}))[0] == 201, "unique by kind"
    await api.ok("DELETE", f"{maps}/a")
    again = await api.ok("POST", maps, config_map("a"))
    assert again["metadata"]["uid"] != metadata["uid"]


def test_what_lives_in_namespaces() -> None:
    """API-12."""
    scopes = {resource.kind: resource.namespaced for resource in RESOURCES}
    for kind in ("Pod", "Service", "Deployment", "ServiceAccount", "Role", "RoleBinding", "Secret",
                 "ConfigMap", "PersistentVolumeClaim"):  # fmt: skip
        assert scopes[kind], kind
    for kind in ("Namespace", "Node", "PersistentVolume", "StorageClass", "ClusterRole",
                 "ClusterRoleBinding"):  # fmt: skip
        assert not scopes[kind], kind


async def test_the_groups_of_the_books(api: Api) -> None:
    """API-14, API-15."""
    groups = {one["name"] for one in (await api.ok("GET", "/apis"))["groups"]}
    assert groups >= {
        "apps", "batch", "autoscaling", "policy", "networking.k8s.io", "rbac.authorization.k8s.io",
        "storage.k8s.io", "apiextensions.k8s.io", "apiregistration.k8s.io",
    }  # fmt: skip
    for path in ("/api", "/apis", "/healthz", "/version", "/"):
        assert (await api.get(path))[0] == 200


async def test_verbs(api: Api, maps: str) -> None:
    """API-13: GET, POST, PUT, PATCH and DELETE of a resource's URL, and a watch."""
    made = await api.ok("POST", maps, config_map("a"))
    changed = {**made, "data": {"k": "1"}}
    assert (await api.ok("PUT", f"{maps}/a", changed))["data"] == {"k": "1"}
    assert (await api.patch(f"{maps}/a", {"data": {"l": "2"}}))[1]["data"] == {"k": "1", "l": "2"}
    assert [one["metadata"]["name"] for one in (await api.ok("GET", maps))["items"]] == ["a"]
    await api.ok("DELETE", f"{maps}/a")
    since = made["metadata"]["resourceVersion"]
    events = await watched(api, f"{maps}?watch=true&timeoutSeconds=1&resourceVersion={since}")
    assert [event["type"] for event in events] == ["MODIFIED", "MODIFIED", "DELETED"], "API-25"
    assert events[1]["object"]["data"] == {"k": "1", "l": "2"}, "each event has the whole object"


async def watched(api: Api, path: str) -> list[dict[str, Any]]:
    async with api.session.get(api.url + path) as answer:
        return [json.loads(line) async for line in answer.content]


async def test_images_are_always_pulled_where_that_is_asked_for(api: Api, namespace: str) -> None:
    """API-19."""
    pods = f"/api/v1/namespaces/{namespace}/pods"
    made = await api.ok(
        "POST", pods, {"metadata": {"name": "p"}, "spec": {"containers": CONTAINERS}}
    )
    assert made["spec"]["containers"][0]["imagePullPolicy"] == "Always"
    other = {"spec": {"ephemeralContainers": [{"name": "e", "image": "j"}]}}
    code, made = await api.patch(f"{pods}/p/ephemeralcontainers", other, "strategic")
    assert (code, made["spec"]["ephemeralContainers"][0]["imagePullPolicy"]) == (200, "Always")


async def test_nothing_is_made_where_there_is_no_namespace(api: Api) -> None:
    """API-21."""
    code, status = await api.post("/api/v1/namespaces/none/pods", {"metadata": {"name": "p"}})
    assert (code, status["message"]) == (404, 'namespaces "none" not found')


async def test_finalizers_hold_up_the_end(api: Api, maps: str) -> None:
    """API-30, API-31."""
    held = config_map("a", metadata={"finalizers": ["example.com/mine"]})
    await api.ok("POST", maps, held)
    await api.ok("DELETE", f"{maps}/a")
    left = await api.ok("GET", f"{maps}/a")
    assert left["metadata"]["deletionTimestamp"]
    more = {"metadata": {"finalizers": ["example.com/mine", "example.com/yours"]}}
    assert (await api.patch(f"{maps}/a", more))[0] == 422, "none comes when it is on its way out"
    assert (await api.patch(f"{maps}/a", {"metadata": {"finalizers": None}}))[0] == 200
    assert (await api.get(f"{maps}/a"))[0] == 404


@pytest.mark.parametrize("operator", ["=", "==", "!="])
async def test_field_selectors(api: Api, maps: str, operator: str) -> None:
    """API-32."""
    for name in ("a", "b"):
        await api.ok("POST", maps, config_map(name))
    found = await api.ok("GET", f"{maps}?fieldSelector=metadata.name{operator}a")
    names = [one["metadata"]["name"] for one in found["items"]]
    assert names == (["b"] if operator == "!=" else ["a"])


@pytest.mark.parametrize(
    ("kind", "group"),
    [
        ("deployments", "/apis/apps/v1"), ("replicasets", "/apis/apps/v1"),
        ("statefulsets", "/apis/apps/v1"), ("replicationcontrollers", "/api/v1"),
    ],
)  # fmt: skip
async def test_every_workload_scales_alike(api: Api, namespace: str, kind: str, group: str) -> None:
    """API-34, API-42."""
    path = f"{group}/namespaces/{namespace}/{kind}"
    selector: Any = {"matchLabels": {"app": "web"}} if group != "/api/v1" else {"app": "web"}
    spec = {"replicas": 1, "selector": selector, "template": TEMPLATE}
    await api.ok("POST", path, {"metadata": {"name": "w"}, "spec": spec})
    scale = await api.ok("GET", f"{path}/w/scale")
    assert (scale["kind"], scale["status"]["selector"]) == ("Scale", "app=web")
    code, scale = await api.patch(f"{path}/w/scale", {"spec": {"replicas": 4}})
    assert (code, scale["spec"]["replicas"]) == (200, 4)
    assert (await api.ok("GET", f"{path}/w"))["spec"]["replicas"] == 4


async def test_the_service_of_the_api(api: Api) -> None:
    """API-38."""
    service = await api.ok("GET", "/api/v1/namespaces/default/services/kubernetes")
    (port,) = service["spec"]["ports"]
    assert (port["name"], port["port"], service["spec"]["clusterIP"]) == ("https", 443, "10.96.0.1")


BAD_KEYS = ["", "-a", "a/b/c", "/a", "A_/a", f"{'a' * 64}", f"{'a' * 254}/b", "a b"]
GOOD_KEYS = ["a", "A.b_c-9", "example.com/a", f"{'a' * 63}", "a/B"]


@pytest.mark.parametrize("field", ["labels", "annotations"])
async def test_the_syntax_of_keys(api: Api, maps: str, field: str) -> None:
    """META-01, META-02, META-06."""
    await api.ok("POST", maps, config_map("a"))
    for key in GOOD_KEYS:
        code, _ = await api.patch(f"{maps}/a", {"metadata": {field: {key: "v"}}})
        assert code == 200, key
    for key in BAD_KEYS:
        code, status = await api.patch(f"{maps}/a", {"metadata": {field: {key: "v"}}})
        assert code == 422 and f"metadata.{field}" in status["message"], key
    value = {"metadata": {field: {"a": "anything, at any length: " + "x" * 100}}}
    assert (await api.patch(f"{maps}/a", value))[0] == (422 if field == "labels" else 200)


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("environment=production", "a"), ("environment==production,tier=frontend", "a"),
        ("environment!=production", "b c"), ("environment in (production,qa)", "a b"),
        ("tier notin (frontend),environment", "b"), ("tier", "a"), ("!tier", "b c"),
        ("environment in (qa),!tier", "b"), ("", "a b c"),
    ],
)  # fmt: skip
async def test_selectors(api: Api, maps: str, selector: str, expected: str) -> None:
    """META-03, META-04."""
    labels: dict[str, dict[str, str]] = {
        "a": {"environment": "production", "tier": "frontend"}, "b": {"environment": "qa"}, "c": {},
    }  # fmt: skip
    for name, held in labels.items():
        await api.ok("POST", maps, config_map(name, metadata={"labels": held}))
    found = await api.ok("GET", f"{maps}?labelSelector={selector.replace(' ', '%20')}")
    assert " ".join(one["metadata"]["name"] for one in found["items"]) == expected


async def test_the_selectors_of_objects(api: Api, namespace: str) -> None:
    """META-05."""
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments?dryRun=All"

    async def asked(*expressions: dict[str, Any]) -> tuple[int, Any]:
        selector = {"matchLabels": {"app": "web"}, "matchExpressions": list(expressions)}
        body = {"metadata": {"name": "d"}, "spec": {"selector": selector, "template": TEMPLATE}}
        return await api.post(path, body)

    app = {"key": "app"}
    assert (await asked({**app, "operator": "In", "values": ["web", "api"]}))[0] == 201
    assert (await asked({**app, "operator": "Exists"}))[0] == 201
    for bad in (
        {**app, "operator": "Exists", "values": ["web"]}, {**app, "operator": "In"},
        {**app, "operator": "Like", "values": ["w"]},
        {**app, "operator": "DoesNotExist"},  # which the template's labels do not match
    ):  # fmt: skip
        assert (await asked(bad))[0] == 422, bad


async def test_the_namespaces_of_a_new_cluster(api: Api) -> None:
    """META-10, META-11."""
    found = await api.ok("GET", "/api/v1/namespaces")
    names = {one["metadata"]["name"] for one in found["items"]}
    assert {"default", "kube-system", "kube-public", "kube-node-lease"} <= names
    for namespace in ("one-of", "two-of"):
        await api.ok("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
        await api.ok("POST", f"/api/v1/namespaces/{namespace}/configmaps", config_map("same"))
