"""Everything that can be wrong with a request: its code, and the words that help. Nothing is stored.

Each case is a mistake that people or their tools make. The words are what a user needs to mend it:
the path of the field, what was found, what was expected.
"""

# ruff: noqa: E501 (one case per line is what makes it a table)

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.integration.apiserver.conftest import Api, Server

YAML = "application/yaml"
STRICT = "?fieldValidation=Strict"


@dataclass(frozen=True)
class Case:
    """One broken request. `path` is below the namespace, or absolute if it begins with a slash."""

    name: str
    code: int
    words: tuple[str, ...]
    body: Any
    path: str = "configmaps"
    content_type: str = "application/json"
    method: str = "POST"
    headers: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name


def config(**more: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "broken"}, **more}


def pod(**spec: Any) -> dict[str, Any]:
    containers = spec.pop("containers", [{"name": "c", "image": "i"}])
    metadata = {"name": "broken"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"containers": containers, **spec},
    }


def container(**more: Any) -> dict[str, Any]:
    return pod(containers=[{"name": "c", "image": "i", **more}])


def service(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "broken"}, "spec": {"ports": [{"port": 80}], **spec}}


def deployment(**spec: Any) -> dict[str, Any]:
    template = {
        "metadata": {"labels": {"a": "b"}},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }
    whole = {"selector": {"matchLabels": {"a": "b"}}, "template": template, **spec}
    return {"metadata": {"name": "broken"}, "spec": whole}


def nested(depth: int) -> bytes:
    return b'{"metadata":{"name":"broken"},"data":' + b'{"a":' * depth + b"1" + b"}" * (depth + 1)


BOMB = b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (c, c, b",".join([b"*%c" % (c - 1)] * 9)) for c in range(ord("b"), ord("j"))
)

SYNTAX = [
    Case("no body", 400, ("has no body", "ConfigMap"), b""),
    Case("only white space", 400, ("has no body",), b"  \n"),
    Case("half of an object", 400, ("unrecognized",), b'{"metadata": {"name": "broken"'),
    Case("not JSON", 400, ("unrecognized",), b"hello"),
    Case("a list", 400, ("ConfigMap",), b"[]"),
    Case("a number", 400, ("ConfigMap",), b"17"),
    Case("null", 400, ("ConfigMap",), b"null"),
    Case("two objects", 400, ("unrecognized",), b'{"metadata":{"name":"broken"}} {}'),
    Case("single quotes", 400, ("unrecognized",), b"{'metadata': {'name': 'broken'}}"),
    Case("not UTF-8", 400, ("UTF-8",), b'{"metadata":{"name":"broken"},"data":{"k":"\xff\xfe"}}'),
    Case("deep nesting", 400, (), nested(20_000)),
    Case("a number that is not one", 400, (), b'{"metadata":{"name":"broken","generation":NaN}}'),
    Case("malformed YAML", 400, ("line",), b"metadata:\n  name: broken\n bad: [", content_type=YAML),
    Case("tabs in YAML", 400, (), b"metadata:\n\tname: broken\n", content_type=YAML),
    Case("an alias bomb", 400, (), BOMB, content_type=YAML),
    Case("a YAML tag", 400, (), b"metadata: !!python/object:os.system {}\n", content_type=YAML),
    Case(
        "two YAML documents",
        400,
        ("document",),
        b"metadata: {name: broken}\n---\nmetadata: {name: broken2}\n",
        content_type=YAML,
    ),
    Case("a YAML key twice", 400, ('line 3: key "data" already set in map',), b"metadata: {name: broken}\ndata: {}\ndata: {}\n",
         path=f"configmaps{STRICT}", content_type=YAML),
    Case("YAML that is text", 400, ("ConfigMap",), b"just words\n", content_type=YAML),
    Case("another media type", 415, ("application/json",), b"<x/>", content_type="application/xml"),
    Case("CBOR", 415, ("application/json",), b"\xa0", content_type="application/cbor"),
    Case("not protobuf", 400, ("k8s",), b"hello", content_type="application/vnd.kubernetes.protobuf"),
    Case("broken protobuf", 400, (), b"k8s\x00\x0a\xff\xff\xff",
         content_type="application/vnd.kubernetes.protobuf"),
    Case("too large", 413, ("too large", "limit"), b'{"data":{"k":"' + b"x" * 3_200_000 + b'"}}'),
    Case("an unacceptable answer", 406, ("application/json",), config(),
         headers={"Accept": "application/vnd.kubernetes.protobuf"}),
]  # fmt: skip

TYPES = [
    Case("another kind", 400, ("Secret", "ConfigMap"), {**config(), "kind": "Secret"}),
    Case("another version", 400, ("v2", "v1"), {**config(), "apiVersion": "v2"}),
    Case("another group", 400, ("apps/v1",), {**config(), "apiVersion": "apps/v1"}),
    Case("a number for a string", 400, ("data.k", "string"), config(data={"k": 1})),
    Case("a string for an object", 400, ("metadata",), {**config(), "metadata": "broken"}),
    Case("a list for an object", 400, ("data",), config(data=["a"])),
    Case("a string for a list", 400, ("spec.containers",), pod(containers="c"), path="pods"),
    Case("a string for a number", 400, ("containerPort",), container(ports=[{"containerPort": "80"}]), path="pods"),
    Case("a fraction for a number", 400, ("containerPort",), container(ports=[{"containerPort": 80.5}]), path="pods"),
    Case("a number too large", 400, ("containerPort",), container(ports=[{"containerPort": 2**40}]), path="pods"),
    Case("a number for a boolean", 400, ("hostNetwork",), pod(hostNetwork=1), path="pods"),
    Case("not base64", 400, ("data.k", "base64"), {"metadata": {"name": "broken"}, "data": {"k": "%%%"}}, path="secrets"),
    Case("an unknown field", 400, ('unknown field "spec.foo"',), pod(foo=1), path=f"pods{STRICT}"),
    Case("a misspelt field", 400, ("spec.containers[0].imagePullpolicy",), container(imagePullpolicy="Always"), path=f"pods{STRICT}"),
    Case("a field twice", 400, ("duplicate field",), b'{"metadata":{"name":"broken"},"data":{"a":"1"},"data":{}}', path=f"configmaps{STRICT}"),
    Case("a bad fieldValidation", 422, ("Strict",), config(), path="configmaps?fieldValidation=Maybe"),
]  # fmt: skip

METADATA = [
    Case("no name", 422, ("name or generateName is required",), {"metadata": {}}),
    Case("capitals in a name", 422, ("metadata.name", "lower case"), {"metadata": {"name": "Broken"}}),
    Case("a slash in a name", 422, ("metadata.name",), {"metadata": {"name": "a/b"}}),
    Case("a path as a name", 422, ("metadata.name",), {"metadata": {"name": ".."}}),
    Case("too long a name", 422, ("metadata.name", "253"), {"metadata": {"name": "x" * 254}}),
    Case("a service name with a dot", 422, ("metadata.name",), {**service(), "metadata": {"name": "a.b"}}, path="services"),
    Case("a bad prefix", 422, ("metadata.",), {"metadata": {"generateName": "A_"}}),
    Case("a bad label key", 422, ("metadata.labels", "a b"), {"metadata": {"name": "broken", "labels": {"a b": "c"}}}),
    Case("a bad label value", 422, ("metadata.labels", "63"), {"metadata": {"name": "broken", "labels": {"a": "x" * 64}}}),
    Case("a bad annotation key", 422, ("metadata.annotations",), {"metadata": {"name": "broken", "annotations": {"/": "c"}}}),
    Case("too many annotations", 422, ("metadata.annotations", "Too long"), {"metadata": {"name": "broken", "annotations": {"a": "x" * 300_000}}}),
    Case("another namespace", 400, ("does not match",), {"metadata": {"name": "broken", "namespace": "default"}}),
    Case("a bad finalizer", 422, ("metadata.finalizers",), {"metadata": {"name": "broken", "finalizers": ["mine"]}}),
    Case("half an owner", 422, ("ownerReferences[0]", "uid"), {"metadata": {"name": "broken", "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "p"}]}}),
    Case("a version on create", 400, ("resourceVersion should not be set",), {"metadata": {"name": "broken", "resourceVersion": "1"}}),
]  # fmt: skip

RULES = [
    Case("no containers", 422, ("spec.containers: Required value",), pod(containers=[]), path="pods"),
    Case("no spec", 422, ("spec.containers",), {"metadata": {"name": "broken"}}, path="pods"),
    Case("a container without a name", 422, ("spec.containers[0].name: Required value",), pod(containers=[{"image": "i"}]), path="pods"),
    Case("a container without an image", 422, ("spec.containers[0].image: Required value",), pod(containers=[{"name": "c"}]), path="pods"),
    Case("one name for two containers", 422, ("spec.containers[1].name: Duplicate value",), pod(containers=[{"name": "c", "image": "i"}] * 2), path="pods"),
    Case("all mistakes at once", 422, ("spec.containers[0].image", "spec.restartPolicy"), pod(containers=[{"name": "c"}], restartPolicy="Sometimes"), path="pods"),
    Case("a bad quantity", 400, ("memory", "quantit"), container(resources={"limits": {"memory": "12 apples"}}), path="pods"),
    Case("a negative quantity", 422, ("spec.containers[0].resources",), container(resources={"requests": {"cpu": "-1"}}), path="pods"),
    Case("more requested than allowed", 422, ("must be less than or equal to cpu limit",), container(resources={"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}), path="pods"),
    Case("a port out of range", 422, ("containerPort", "65535"), container(ports=[{"containerPort": 70000}]), path="pods"),
    Case("a bad pull policy", 422, ("imagePullPolicy", "Unsupported value"), container(imagePullPolicy="Now"), path="pods"),
    Case("a bad environment name", 422, ("spec.containers[0].env[0].name",), container(env=[{"name": "a=b"}]), path="pods"),
    Case("a mount of no volume", 422, ("volumeMounts[0].name", "Not found"), container(volumeMounts=[{"name": "v", "mountPath": "/x"}]), path="pods"),
    Case("a probe that does nothing", 422, ("livenessProbe",), container(livenessProbe={"periodSeconds": 1}), path="pods"),
    Case("a service without ports", 422, ("spec.ports: Required value",), {"metadata": {"name": "broken"}, "spec": {}}, path="services"),
    Case("two nameless service ports", 422, ("spec.ports[0].name: Required value",), service(ports=[{"port": 80}, {"port": 81}]), path="services"),
    Case("a bad service type", 422, ("spec.type", "Unsupported value"), service(type="Magic"), path="services"),
    Case("a service address elsewhere", 422, ("spec.clusterIPs[0]", "10.96.0.0/12"), service(clusterIP="192.0.2.1"), path="services"),
    Case("a service address in use", 422, ("provided IP is already allocated",), service(clusterIP="10.96.0.1"), path="services"),
    Case("a node port out of range", 422, ("spec.ports[0].nodePort", "30000-32767"), service(type="NodePort", ports=[{"port": 80, "nodePort": 99}]), path="services"),
    Case("a selector that does not match", 422, ("`selector` does not match template `labels`",), deployment(selector={"matchLabels": {"x": "y"}}), path="/apis/apps/v1/namespaces/{namespace}/deployments"),
    Case("no selector", 422, ("spec.selector: Required value",), deployment(selector=None), path="/apis/apps/v1/namespaces/{namespace}/deployments"),
    Case("fewer than none", 422, ("spec.replicas",), deployment(replicas=-1), path="/apis/apps/v1/namespaces/{namespace}/deployments"),
    Case("a bad key of a config map", 422, ("data[a/b]",), config(data={"a/b": "c"})),
    Case("too much in a config map", 422, ("Too long",), config(data={"k": "x" * 1_100_000})),
    Case("a namespace that is none", 404, ('namespaces "none" not found',), config(), path="/api/v1/namespaces/none/configmaps"),
    Case("a namespace's bad name", 422, ("metadata.name",), {"metadata": {"name": "a.b"}}, path="/api/v1/namespaces"),
]  # fmt: skip

PATHS = [
    Case("a path that is nothing", 404, ("404 page not found",), None, path="/nonsense", method="GET"),
    Case("a group that is nothing", 404, ("404 page not found",), None, path="/apis/nothing/v1/things", method="GET"),
    Case("a method that is not served", 405, ("not supported",), config(), path="configmaps/x"),
    Case("a subresource that is nothing", 404, ("404 page not found",), None, path="configmaps/x/nothing", method="GET"),
    Case("an encoded slash in a name", 404, (), None, path="configmaps/a%2Fb", method="GET"),
    Case("a query that is not UTF-8", 400, ("query",), None, path="configmaps?labelSelector=%FF", method="GET"),
    Case("a patch that is no patch", 400, ("JSON",), b"[", path="configmaps/kept", method="PATCH", content_type="application/merge-patch+json"),
    Case("a patch of another sort", 415, ("merge-patch",), b"{}", path="configmaps/kept", method="PATCH"),
    Case("a patch that does not fit", 422, ("/data/none",), [{"op": "remove", "path": "/data/none"}], path="configmaps/kept", method="PATCH", content_type="application/json-patch+json"),
    Case("a patch to a wrong type", 400, ("data.k",), {"data": {"k": 1}}, path="configmaps/kept", method="PATCH", content_type="application/merge-patch+json"),
    Case("a patch of the name", 400, ("name",), {"metadata": {"name": "other"}}, path="configmaps/kept", method="PATCH", content_type="application/merge-patch+json"),
    Case("a patch of something immutable", 422, ("field is immutable",), {"type": "other"}, path="secrets/kept", method="PATCH", content_type="application/merge-patch+json"),
    Case("delete options of a wrong type", 400, ("gracePeriodSeconds",), {"gracePeriodSeconds": "x"}, path="configmaps/kept", method="DELETE"),
]  # fmt: skip

CASES = SYNTAX + TYPES + METADATA + RULES + PATHS


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_broken_input(api: Api, server: Server, namespace: str, case: Case) -> None:
    for plural in ("configmaps", "secrets"):
        kept = {"metadata": {"name": "kept"}}
        await api.ok("POST", f"/api/v1/namespaces/{namespace}/{plural}", kept)
    path = case.path.replace("{namespace}", namespace)
    if not path.startswith("/"):
        path = f"/api/v1/namespaces/{namespace}/{path}"
    before = await stored(api, namespace)
    code, answer = await api.request(
        case.method, path, case.body, content_type=case.content_type, headers=case.headers
    )
    text = answer if isinstance(answer, str) else answer["message"]
    assert code == case.code, answer
    for word in case.words:
        assert word in text
    if not isinstance(answer, str):
        assert (answer["kind"], answer["status"], answer["code"]) == ("Status", "Failure", code)
        assert answer["reason"] and "Internal error" not in text
    assert len(text) < 5000, "an error must not throw the whole input back"
    assert await stored(api, namespace) == before
    assert "Traceback" not in server.log()


async def stored(api: Api, namespace: str) -> list[str]:
    """What is there, with versions: a broken request changes none of it."""
    found = []
    for path in ("api/v1/configmaps", "api/v1/secrets", "api/v1/pods", "api/v1/services",
                 "apis/apps/v1/deployments", "api/v1/namespaces"):  # fmt: skip
        answer = await api.ok("GET", f"/{path}")
        found += [json.dumps(item["metadata"], sort_keys=True) for item in answer["items"]]
    return found


def test_there_are_enough_of_them() -> None:
    assert len(CASES) >= 60
