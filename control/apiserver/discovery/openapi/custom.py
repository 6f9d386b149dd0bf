"""What definitions add to the OpenAPI documents: their schemas and paths, in v3 and in v2.

Serves clients that explain, check and apply custom resources. A definition's schema is published
as it is, but for metadata, which is everybody's, and for what v2 cannot say: "Publish Validation
Schema in OpenAPI" of Kubernetes' documentation tells what is left out there, so that older kubectls
do not refuse sound objects. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from api.custom import Custom
from api.meta import ListMeta, ObjectMeta
from api.scheme import Resource
from api.struct import ApiStruct
from control.apiserver.custom.definition import DefinedVersion, Definition
from control.apiserver.discovery.openapi import swagger
from control.apiserver.discovery.openapi.operations import paths_of
from control.apiserver.discovery.openapi.schemas import (
    Schema,
    component_name,
    gvk,
    list_schema,
    reference,
)

Part = tuple[Definition, DefinedVersion]

_PRESERVE = "x-kubernetes-preserve-unknown-fields"
_EMBEDDED = "x-kubernetes-embedded-resource"
_VALUES = frozenset(
    {
        "default", "description", "enum", "exclusiveMaximum", "exclusiveMinimum", "format",
        "maxItems", "maxLength", "maxProperties", "maximum", "minItems", "minLength",
        "minProperties", "minimum", "multipleOf", "nullable", "pattern", "required", "title", "type",
        "uniqueItems",
    }
)  # fmt: skip
"""What is copied as it stands; beside it only what is below, and extensions."""
_BELOW = frozenset({"items", "additionalProperties"})
_COMBINED = frozenset({"allOf", "anyOf", "oneOf"})
_NOT_WITH_NULL = frozenset({"nullable", "type", "items", "properties", "additionalProperties"})
_NOT_WITH_UNKNOWN = frozenset({"items", "properties"})


def parts(definitions: Iterable[Definition]) -> list[Part]:
    """Every version that is served, of every definition."""
    return [(one, version) for one in definitions for version in one.versions if version.served]


def schemas(several: Sequence[Part]) -> dict[str, Schema]:
    """The v3 schemas of these kinds and their lists, without what they refer to."""
    return _sorted(_newer_schemas(several))


def paths(several: Sequence[Part]) -> dict[str, Any]:
    """The v3 paths of these kinds."""
    return _sorted(
        (path, item)
        for definition, version in several
        for path, item in paths_of(_References(), definition.resource(version, Custom))
    )


def older_schemas(several: Sequence[Part]) -> dict[str, Schema]:
    """The v2 schemas of these kinds and their lists."""
    return _sorted(_older_schemas(several))


def older_paths(several: Sequence[Part]) -> dict[str, Any]:
    """The v2 paths of these kinds."""
    return {path: swagger.path_item(item) for path, item in paths(several).items()}


def schema_name(group: str, version: str, kind: str) -> str:
    """`com.example.stable.v1.CronTab`: the group from its end."""
    return ".".join([*reversed(group.split(".")), version, kind])


class _References:
    """References to what stands in the document beside: `operations.References`."""

    def add(self, type_: type[ApiStruct]) -> Schema:
        return reference(component_name(type_))

    def add_kind(self, resource: Resource) -> Schema:
        return reference(schema_name(resource.group, resource.version, resource.kind))

    def add_list(self, resource: Resource) -> Schema:
        return reference(_list_name(resource))


def _newer_schemas(several: Sequence[Part]) -> Iterable[tuple[str, Schema]]:
    references = _References()
    metadata = {"allOf": [references.add(ObjectMeta)]}
    lists = {"allOf": [references.add(ListMeta)]}
    for definition, version in several:
        resource = definition.resource(version, Custom)
        made = _cleaned(version.schema, older=False, metadata=metadata)
        _with_head(made, resource, metadata)
        yield schema_name(resource.group, resource.version, resource.kind), made
        yield _list_name(resource), list_schema(resource, references.add_kind(resource), lists)


def _older_schemas(several: Sequence[Part]) -> Iterable[tuple[str, Schema]]:
    references = _References()
    metadata = swagger.older(references.add(ObjectMeta))
    for definition, version in several:
        resource = definition.resource(version, Custom)
        if version.schema.get(_PRESERVE):  # or kubectl would refuse what is not among properties
            made: Schema = {"type": "object"}
            made["x-kubernetes-group-version-kind"] = [_own(resource)]
        else:
            made = _cleaned(version.schema, older=True, metadata=metadata)
            _with_head(made, resource, metadata)
        yield schema_name(resource.group, resource.version, resource.kind), made
        items, lists = references.add_kind(resource), references.add(ListMeta)
        yield _list_name(resource), swagger.older(list_schema(resource, items, lists))


def _own(resource: Resource) -> dict[str, str]:
    return gvk(resource.group, resource.version, resource.kind)


def _list_name(resource: Resource) -> str:
    return schema_name(resource.group, resource.version, f"{resource.kind}List")


def _with_head(made: Schema, resource: Resource, metadata: Schema) -> None:
    made["properties"] = {**(made.get("properties") or {}), **_head(metadata)}
    made["x-kubernetes-group-version-kind"] = [_own(resource)]


def _head(metadata: Schema) -> dict[str, Schema]:
    version = "APIVersion defines the group and the version of this schema."
    shared = (
        "Standard object's metadata: its name, namespace, labels and what else every object has."
    )
    return {
        "apiVersion": {"type": "string", "description": version},
        "kind": {"type": "string", "description": "Kind is the name of this schema."},
        "metadata": {**metadata, "description": shared},
    }


def _cleaned(tree: Mapping[str, Any], *, older: bool, metadata: Schema) -> Schema:
    left_out = _left_out(tree) if older else frozenset()
    made: Schema = {}
    for key, value in tree.items():
        if key in left_out:
            continue
        if key == "properties":
            made[key] = {
                name: _cleaned(below, older=older, metadata=metadata)
                for name, below in value.items()
            }
        elif key in _BELOW and isinstance(value, Mapping):
            made[key] = _cleaned(value, older=older, metadata=metadata)
        elif key == "required" and older:
            made[key] = [name for name in value if not _may_be_null(tree, name)]
        elif key in _VALUES or key.startswith("x-") or (key in _BELOW and not older):
            made[key] = value
        elif key in _COMBINED and not older:
            made[key] = [_cleaned(one, older=older, metadata=metadata) for one in value]
        elif key == "not" and not older:
            made[key] = _cleaned(value, older=older, metadata=metadata)
    if tree.get(_EMBEDDED) and not (older and tree.get(_PRESERVE)):
        made["properties"] = {**(made.get("properties") or {}), **_head(metadata)}
        made["required"] = sorted({*(made.get("required") or ()), "apiVersion", "kind"})
    return made


def _left_out(tree: Mapping[str, Any]) -> frozenset[str]:
    found: frozenset[str] = frozenset()
    if tree.get("nullable"):
        found |= _NOT_WITH_NULL
    if tree.get(_PRESERVE):
        found |= _NOT_WITH_UNKNOWN
    return found


def _may_be_null(tree: Mapping[str, Any], name: str) -> bool:
    found = (tree.get("properties") or {}).get(name)
    return isinstance(found, Mapping) and bool(found.get("nullable"))


def _sorted(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    return dict(sorted(pairs, key=lambda pair: pair[0]))
