"""The paths of a group and version, with what clients look for in their operations.

Pure. kubectl finds a kind by the `x-kubernetes-group-version-kind` of a path's operations, and
checks whether they take `fieldValidation` and `dryRun`: if so, the server validates and kubectl
need not.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from api.meta import DeleteOptions, Status
from api.scheme import SERVED, Resource, Subresource
from api.struct import ApiStruct
from control.apiserver.discovery.openapi.schemas import Components, Schema

_JSON, _YAML = "application/json", "application/yaml"
_STRATEGIC = "application/strategic-merge-patch+json"
_PATCHES = (
    "application/json-patch+json",
    "application/merge-patch+json",
    _STRATEGIC,
    "application/apply-patch+yaml",
)

_PRETTY = ("pretty", "string", "Accepted; answers are compact JSON in any case.")
_WRITE = (
    ("dryRun", "string", "`All` runs admission and validation, and stores nothing."),
    ("fieldManager", "string", "Who makes this change."),
    (
        "fieldValidation",
        "string",
        "What happens to unknown and duplicate fields: Ignore, Warn (default) or Strict.",
    ),
)
_LIST = (
    ("allowWatchBookmarks", "boolean", "Send BOOKMARK events to a watch."),
    ("continue", "string", "The token of the previous page."),
    ("fieldSelector", "string", "Only objects whose fields match."),
    ("labelSelector", "string", "Only objects whose labels match."),
    ("limit", "integer", "At most so many objects, and a token for the rest."),
    ("resourceVersion", "string", "How fresh the answer must be."),
    ("resourceVersionMatch", "string", "How resourceVersion is meant: Exact or NotOlderThan."),
    ("sendInitialEvents", "boolean", "Begin a watch with what is there."),
    ("timeoutSeconds", "integer", "End the watch after so long."),
    ("watch", "boolean", "Stream changes instead of a list."),
)
_DELETE = (
    ("dryRun", "string", "`All` deletes nothing."),
    ("gracePeriodSeconds", "integer", "How long the object may take to end; 0 is at once."),
    ("propagationPolicy", "string", "What happens to dependents: Orphan, Background, Foreground."),
)


class References(Protocol):
    """References to the schemas of a document, which are made if need be."""

    def add(self, type_: type[ApiStruct]) -> Schema: ...

    def add_kind(self, resource: Resource) -> Schema: ...

    def add_list(self, resource: Resource) -> Schema: ...


def paths(components: Components, group: str, version: str) -> dict[str, Any]:
    """Every path below `/api/v1` or `/apis/GROUP/VERSION`."""
    found: dict[str, Any] = {}
    for resource in SERVED:
        if (resource.group, resource.version) == (group, version):
            found.update(paths_of(components, resource))
    return found


def paths_of(components: References, resource: Resource) -> Iterator[tuple[str, Any]]:
    """The paths of one resource."""
    schema = components.add_kind(resource)
    if "create" in resource.verbs and not resource.stored:
        yield from _posted(components, resource, schema)
        return
    collection = resource.path("{namespace}" if resource.namespaced else "")
    maker = _Operations(components, resource)
    for part in resource.subresources:
        yield f"{collection}/{{name}}/{part.name}", maker.subresource(part, schema)
    if not resource.verbs:
        return
    many = components.add_list(resource)
    if not resource.stored:
        yield collection, {**maker.place(name=False), "get": maker.read("list", "", many, _LIST)}
        yield f"{collection}/{{name}}", {**maker.place(), "get": maker.read("read", "", schema, ())}
        return
    if resource.namespaced:
        everywhere = maker.read("list", "", many, _LIST)
        everywhere["operationId"] += "ForAllNamespaces"
        yield resource.path(), {"get": everywhere}
    yield (
        collection,
        {
            **maker.place(name=False),
            "get": maker.read("list", "", many, _LIST),
            "post": maker.write("create", "", schema, schema),
            "delete": maker.delete("deletecollection", (*_LIST, *_DELETE)),
        },
    )
    yield (
        f"{collection}/{{name}}",
        {
            **maker.place(),
            "get": maker.read("read", "", schema, ()),
            "put": maker.write("replace", "", schema, schema),
            "patch": maker.patch("", schema),
            "delete": maker.delete("delete", _DELETE),
        },
    )


def _posted(
    components: References, resource: Resource, schema: Schema
) -> Iterator[tuple[str, Any]]:
    maker = _Operations(components, resource)
    path = resource.path("{namespace}" if resource.namespaced else "")
    yield path, {**maker.place(name=False), "post": maker.write("create", "", schema, schema)}


class _Operations:
    """Operations of one resource."""

    def __init__(self, components: References, resource: Resource) -> None:
        self._components = components
        self._resource = resource

    def place(self, *, name: bool = True) -> dict[str, Any]:
        """Parameters of the path itself."""
        found = [_parameter(*_PRETTY)]
        if self._resource.namespaced:
            found.append(_in_path("namespace", "The namespace."))
        if name:
            found.append(_in_path("name", f"The name of the {self._resource.kind}."))
        return {"parameters": found}

    def subresource(self, part: Subresource, own: Schema) -> dict[str, Any]:
        schema = own if not part.kind else {"type": "object"}
        made: dict[str, Any] = self.place()
        for verb in part.verbs:
            if verb == "get":
                made["get"] = self.read("read", part.name, schema, (), part)
            elif verb == "create":
                made["post"] = self.write("create", part.name, schema, schema, part)
            elif verb == "update":
                made["put"] = self.write("replace", part.name, schema, schema, part)
            elif verb == "patch":
                made["patch"] = self.patch(part.name, schema, part)
        return made

    def read(
        self,
        action: str,
        part: str,
        schema: Schema,
        parameters: tuple[tuple[str, str, str], ...],
        described: Subresource | None = None,
    ) -> dict[str, Any]:
        verb = "list" if action == "list" else "get"
        return {
            **self._head(action, part, verb, described),
            "parameters": [_parameter(*one) for one in parameters],
            "responses": _responses(schema, "200"),
        }

    def write(
        self,
        action: str,
        part: str,
        body: Schema,
        answer: Schema,
        described: Subresource | None = None,
    ) -> dict[str, Any]:
        verb = "post" if action == "create" else "put"
        codes = ("200", "201", "202") if action == "create" else ("200", "201")
        return {
            **self._head(action, part, verb, described),
            "parameters": [_parameter(*one) for one in _WRITE],
            "requestBody": {"required": True, "content": _content(body, (_JSON, _YAML))},
            "responses": _responses(answer, *codes),
        }

    def patch(
        self, part: str, answer: Schema, described: Subresource | None = None
    ) -> dict[str, Any]:
        force = ("force", "boolean", "Take fields that other managers own (server-side apply).")
        typed = issubclass(self._resource.type, ApiStruct)
        accepted = tuple(one for one in _PATCHES if typed or one != _STRATEGIC)
        return {
            **self._head("patch", part, "patch", described),
            "parameters": [_parameter(*one) for one in (*_WRITE, force)],
            "requestBody": {"required": True, "content": _content({"type": "object"}, accepted)},
            "responses": _responses(answer, "200", "201"),
        }

    def delete(self, action: str, parameters: tuple[tuple[str, str, str], ...]) -> dict[str, Any]:
        options = self._components.add(DeleteOptions)
        return {
            **self._head(action, "", action, None),
            "parameters": [_parameter(*one) for one in parameters],
            "requestBody": {"content": _content(options, (_JSON, _YAML))},
            "responses": _responses(self._components.add(Status), "200", "202"),
        }

    def _head(
        self, action: str, part: str, verb: str, described: Subresource | None
    ) -> dict[str, Any]:
        resource = self._resource
        where = "Namespaced" if resource.namespaced else ""
        camel = "".join(word.capitalize() for word in resource.group.split(".")[0].split("-"))
        group = camel or "Core"
        kind = {"group": resource.group, "version": resource.version, "kind": resource.kind}
        if described is not None and described.kind:
            kind = {
                "group": described.group,
                "version": described.version or "v1",
                "kind": described.kind,
            }
        return {
            "description": f"{action} {part + ' of ' if part else ''}{resource.kind}",
            "operationId": (
                f"{action}{group}{resource.version.upper()}{where}{resource.kind}"
                f"{part.capitalize()}"
            ),
            "tags": [f"{group.lower()}_{resource.version}"],
            "x-kubernetes-action": verb,
            "x-kubernetes-group-version-kind": kind,
        }


def _parameter(name: str, type_: str, description: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "query",
        "description": description,
        "schema": {"type": type_, "uniqueItems": True},
    }


def _in_path(name: str, description: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": {"type": "string", "uniqueItems": True},
    }


def _content(schema: Schema, media_types: tuple[str, ...]) -> dict[str, Any]:
    return {media_type: {"schema": schema} for media_type in media_types}


def _responses(schema: Schema, *codes: str) -> dict[str, Any]:
    answer = {"description": "OK", "content": _content(schema, (_JSON, _YAML))}
    return {**dict.fromkeys(codes, answer), "401": {"description": "Unauthorized"}}
