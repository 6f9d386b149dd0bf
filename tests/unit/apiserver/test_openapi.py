"""Schemas made from types: everything clients look for is there, for every kind."""

from __future__ import annotations

import ast
from typing import Any

import pytest

from api.core import Container, Pod, PodSpec
from api.meta import ObjectMeta
from api.scheme import RESOURCES, Resource
from control.apiserver.discovery.openapi import descriptions
from control.apiserver.discovery.openapi.generate import document
from control.apiserver.discovery.openapi.schemas import Components, component_name


@pytest.fixture(scope="module")
def core() -> dict[str, Any]:
    return document("", "v1")


def schema(core: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = core["components"]["schemas"][f"io.k8s.api.core.v1.{name}"]
    return found


def test_names_are_those_of_kubernetes() -> None:
    assert component_name(Pod) == "io.k8s.api.core.v1.Pod"
    assert component_name(ObjectMeta) == "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
    names = {component_name(resource.type) for resource in RESOURCES}
    assert {"io.k8s.api.apps.v1.Deployment", "io.k8s.api.coordination.v1.Lease"} <= names


def test_fields_carry_what_patches_need(core: dict[str, Any]) -> None:
    spec = schema(core, "PodSpec")["properties"]
    assert spec["containers"]["x-kubernetes-patch-strategy"] == "merge"
    assert spec["containers"]["x-kubernetes-list-map-keys"] == ["name"]
    assert spec["volumes"]["x-kubernetes-patch-strategy"] == "merge,retainKeys"
    ports = schema(core, "Container")["properties"]["ports"]
    assert ports["x-kubernetes-list-map-keys"] == ["containerPort", "protocol"]
    selector = schema(core, "ServiceSpec")["properties"]["selector"]
    assert selector["x-kubernetes-map-type"] == "atomic"


def test_types_of_leaves(core: dict[str, Any]) -> None:
    container = schema(core, "Container")["properties"]
    assert schema(core, "Container")["required"] == ["name"]
    assert container["imagePullPolicy"]["enum"] == ["Always", "Never", "IfNotPresent"]
    port = schema(core, "ContainerPort")["properties"]["containerPort"]
    assert (port["type"], port["format"]) == ("integer", "int32")
    target = schema(core, "ServicePort")["properties"]["targetPort"]
    assert target["allOf"][0]["$ref"].endswith("intstr.IntOrString")
    limits = schema(core, "ResourceRequirements")["properties"]["limits"]
    assert "Quantity" in str(limits["additionalProperties"])
    assert schema(core, "Secret")["properties"]["data"]["additionalProperties"] == {
        "type": "string",
        "format": "byte",
    }


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda one: one.kind)
def test_each_kind_is_found_by_its_operations(resource: Resource) -> None:
    found = document(resource.group, resource.version)
    kind = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    place = "{namespace}" if resource.namespaced else ""
    operations = found["paths"][resource.path(place, "{name}")]
    for method in ("get", "put", "patch", "delete"):
        assert operations[method]["x-kubernetes-group-version-kind"] == kind
    own = found["components"]["schemas"][component_name(resource.type)]
    assert own["x-kubernetes-group-version-kind"] == [kind]


def test_operation_names_are_unique(core: dict[str, Any]) -> None:
    names = [
        operation["operationId"]
        for path in core["paths"].values()
        for method, operation in path.items()
        if method != "parameters"
    ]
    assert len(names) == len(set(names))


def test_types_that_refer_to_each_other_end() -> None:
    components = Components()
    components.add(PodSpec)
    assert component_name(Container) in components.schemas


def test_descriptions_are_the_strings_below_the_fields() -> None:
    lines = [
        "class A:",
        "    'About A,' ' in one line.'",
        "    x: int = 0",
        "    'About x.'",
        "    y: int",
    ]
    node = ast.parse("\n".join(lines)).body[0]
    assert isinstance(node, ast.ClassDef)
    assert dict(descriptions._of_class(node)) == {"": "About A, in one line.", "x": "About x."}
