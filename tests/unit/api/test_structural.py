"""Schemas of custom resources, and the paths of their columns: tables."""

from __future__ import annotations

from typing import Any

import pytest

from api import jsonpath
from api.structural import compile_schema

INTEGER = {"type": "integer"}
STRING = {"type": "string"}


HEAD = {"apiVersion": "v1", "kind": "X"}


def of(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


@pytest.mark.parametrize(
    ("schema", "tree", "kept", "dropped"),
    [
        (of(a=STRING), {"a": "x", "b": 1}, {"a": "x"}, ["b"]),
        (of(a=of(b=STRING)), {"a": {"b": "x", "c": 1}}, {"a": {"b": "x"}}, ["a.c"]),
        (
            of(a={"type": "array", "items": of(b=STRING)}),
            {"a": [{"b": "x"}, {"c": 1}]},
            {"a": [{"b": "x"}, {}]},
            ["a[1].c"],
        ),
        (
            of(a={"type": "object", "x-kubernetes-preserve-unknown-fields": True}),
            {"a": {"b": 1}},
            {"a": {"b": 1}},
            [],
        ),
        (
            of(a={"type": "object", "additionalProperties": of(b=STRING)}),
            {"a": {"any": {"b": "x", "c": 1}}},
            {"a": {"any": {"b": "x"}}},
            ["a.any.c"],
        ),
        (
            of(a={"type": "object", "x-kubernetes-embedded-resource": True}),
            {"a": {"kind": "X", "c": 1, "metadata": {"name": "x", "odd": 1}}},
            {"a": {"kind": "X", "metadata": {"name": "x"}}},
            ["a.metadata.odd", "a.c"],
        ),
        (of(), {"apiVersion": "v", "kind": "K", "metadata": {}}, None, []),
    ],
)
def test_pruning(schema: Any, tree: Any, kept: Any, dropped: list[str]) -> None:
    expected = dict(tree) if kept is None else kept
    assert compile_schema(schema).prune(tree) == dropped
    assert tree == expected


@pytest.mark.parametrize(
    ("schema", "tree", "expected"),
    [
        (of(a={**STRING, "default": "x"}), {}, {"a": "x"}),
        (of(a={**STRING, "default": "x"}), {"a": None}, {"a": "x"}),
        (of(a={**STRING, "default": "x", "nullable": True}), {"a": None}, {"a": None}),
        (of(a={**STRING, "default": "x"}, b=STRING), {"b": None}, {"a": "x"}),
        (of(a=of(b={**STRING, "default": "x"})), {}, {}),
        (of(a={**of(b={**STRING, "default": "x"}), "default": {}}), {}, {"a": {"b": "x"}}),
        (
            of(a={"type": "array", "items": of(b={**INTEGER, "default": 1})}),
            {"a": [{}, {"b": 2}]},
            {"a": [{"b": 1}, {"b": 2}]},
        ),
    ],
)
def test_defaults(schema: Any, tree: Any, expected: Any) -> None:
    compiled = compile_schema(schema)
    compiled.default(tree)
    assert tree == expected
    assert compiled.has_defaults


EMBEDDED = of(a={"type": "object", "x-kubernetes-embedded-resource": True})


def test_an_embedded_object_needs_no_name() -> None:
    assert not compile_schema(EMBEDDED).validate(
        {"a": {**HEAD, "metadata": {"labels": {"a": "b"}}}}
    )
    assert not compile_schema(EMBEDDED).validate({"a": HEAD})


@pytest.mark.parametrize(
    ("schema", "tree", "message"),
    [
        (of(a=INTEGER), {"a": "x"}, 'a in body must be of type integer: "string"'),
        ({**of(a=INTEGER), "required": ["a"]}, {}, "a: Required value"),
        (of(a={**INTEGER, "minimum": 1}), {"a": 0}, "should be greater than or equal to 1"),
        (of(a={**INTEGER, "maximum": 1}), {"a": 2}, "should be less than or equal to 1"),
        (of(a={**INTEGER, "multipleOf": 2}), {"a": 3}, "should be a multiple of 2"),
        (
            of(a={**STRING, "maxLength": 1}),
            {"a": "xy"},
            "a: Too long: may not be more than 1 bytes",
        ),
        (
            of(a={"type": "array", "maxItems": 1}),
            {"a": [1, 2]},
            "a: Too many: 2: must have at most 1",
        ),
        (of(a={**STRING, "format": "ipv4"}), {"a": "x"}, 'a in body must be of type ipv4: "x"'),
        (
            of(a={**INTEGER, "format": "int32"}),
            {"a": 2**31},
            "Checked value must be of type integer with format int32",
        ),
        (EMBEDDED, {"a": {"kind": "X"}}, "a.apiVersion: Required value: must not be empty"),
        (EMBEDDED, {"a": {"apiVersion": "v1", "kind": ""}}, "a.kind: Invalid value"),
        (EMBEDDED, {"a": {"apiVersion": "v1", "kind": "a_b"}}, "DNS-1035 label"),
        (EMBEDDED, {"a": {"apiVersion": "a/b/c", "kind": "X"}}, "unexpected GroupVersion string"),
        (
            EMBEDDED,
            {"a": {**HEAD, "metadata": 1}},
            "a.metadata: Invalid value: 1: must be an object",
        ),
        (EMBEDDED, {"a": {**HEAD, "metadata": {"labels": 1}}}, "a.metadata: Invalid value"),
        (EMBEDDED, {"a": {**HEAD, "metadata": {"name": "a/b"}}}, "a.metadata.name: Invalid value"),
        (EMBEDDED, {"a": {**HEAD, "metadata": {"labels": {"a b": "c"}}}}, "a.metadata.labels"),
        (EMBEDDED, {"a": {**HEAD, "metadata": {"labels": {"a": "b c"}}}}, "a.metadata.labels"),
        (EMBEDDED, {"a": {**HEAD, "metadata": {"annotations": {"a b": ""}}}}, "a.metadata.annot"),
        (of(a={**STRING, "pattern": "^a$"}), {"a": "b"}, "should match '^a$'"),
        (of(a={**STRING, "enum": ["x"]}), {"a": "y"}, 'supported values: "x"'),
        (of(a=STRING), {"a": None}, "must be of type string"),
        (of(a={"x-kubernetes-int-or-string": True}), {"a": 1.5}, "must be of type integer,string"),
        (
            of(a={"type": "array", "items": STRING, "x-kubernetes-list-type": "set"}),
            {"a": ["x", "x"]},
            'a[1]: Duplicate value: "x"',
        ),
        (of(a={"anyOf": [STRING, INTEGER]}), {"a": []}, "at least one schema (anyOf)"),
        (of(a={"oneOf": [INTEGER, {"type": "number"}]}), {"a": 1}, "only one schema (oneOf)"),
        (of(a={"not": STRING}), {"a": "x"}, "must not validate the schema (not)"),
    ],
)
def test_violations(schema: Any, tree: Any, message: str) -> None:
    (error,) = compile_schema(schema).validate(tree)
    assert message in str(error)
    assert not compile_schema(schema).validate(tree, tree)  # it was so before


OBJECT = {"a": {"b": 1, "c.d": 2}, "l": [{"t": "X", "s": 1}, {"t": "Y", "s": 2}]}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".a.b", [1]),
        (".a.missing.b", []),
        (".a['c.d']", [2]),
        (r".a.c\.d", [2]),
        (".l[0].s", [1]),
        (".l[-1].s", [2]),
        (".l[*].s", [1, 2]),
        ('.l[?(@.t=="Y")].s', [2]),
    ],
)
def test_paths(path: str, found: list[Any]) -> None:
    assert jsonpath.parse(path)(OBJECT) == found


@pytest.mark.parametrize("path", ["a.b", ".a[", ".a[?(x)]"])
def test_paths_that_are_none(path: str) -> None:
    with pytest.raises(ValueError, match="is not understood"):
        jsonpath.parse(path)
