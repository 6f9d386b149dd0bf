"""What a definition must say: structural schemas, sound defaults, paths of columns and selectors."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.resources.examples import assert_says, complete, said, strategy_of

CRD = "CustomResourceDefinition"
SCHEMA = "spec.versions[0].schema.openAPIV3Schema"
STRING = {"type": "string"}
INTEGER = {"type": "integer"}
EITHER = [{"type": "integer"}, {"type": "string"}]


def of(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def array(items: Any, **more: Any) -> dict[str, Any]:
    return {"type": "array", "items": items, **more}


def keyed(items: Any, **more: Any) -> dict[str, Any]:
    return array(
        items, **{"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"], **more}
    )


NAMED = {**of(name=STRING), "required": ["name"]}
SOUND = [
    of(),
    of(a=STRING, b=array(INTEGER), c={"type": "object", "additionalProperties": STRING}),
    of(a={"type": "object", "additionalProperties": True}),
    of(a={"x-kubernetes-preserve-unknown-fields": True}),
    of(a={"x-kubernetes-int-or-string": True}),
    of(a={"x-kubernetes-int-or-string": True, "anyOf": EITHER, "pattern": "^a"}),
    of(a={"x-kubernetes-int-or-string": True, "allOf": [{"anyOf": EITHER}, {"maxLength": 3}]}),
    of(a={**of(spec=of()), "x-kubernetes-embedded-resource": True}),
    of(
        a={
            "type": "object",
            "x-kubernetes-embedded-resource": True,
            "x-kubernetes-preserve-unknown-fields": True,
        }
    ),
    of(metadata={"type": "object"}, apiVersion=STRING, kind=STRING),
    of(metadata=of(name={**STRING, "maxLength": 5})),
    of(a=keyed(NAMED)),
    of(a=keyed(of(name={**STRING, "default": "x"}))),
    of(a=array(STRING, **{"x-kubernetes-list-type": "set"})),
    of(a=array({**of(), "x-kubernetes-map-type": "atomic"}, **{"x-kubernetes-list-type": "set"})),
    of(a={**STRING, "default": "x", "enum": ["x", "y"]}),
    of(a={**of(b=INTEGER), "default": {"b": 1}}),
    of(a={**STRING, "nullable": True, "default": None}),
    of(a={**STRING, "oneOf": [{"enum": ["x"]}, {"pattern": "^y"}], "not": {"maxLength": 0}}),
    {**of(a=STRING, b=STRING), "oneOf": [{"required": ["a"]}, {"required": ["b"]}]},
    {
        **of(a=of(b=STRING)),
        "anyOf": [{"properties": {"a": {"properties": {"b": {"minLength": 1}}}}}],
    },
    of(a={**STRING, "pattern": r"^[[:alpha:]]\pL*\z"}),
]


@pytest.mark.parametrize("schema", SOUND)
def test_sound(schema: Any) -> None:
    errors = strategy_of(CRD).validate(complete(CRD, {SCHEMA: schema}))
    assert not errors, said(errors)


LIST_TYPE = "x-kubernetes-list-type"
BROKEN: list[tuple[dict[str, Any], str, str]] = [
    ({"properties": {}}, "type", "Required value: must not be empty at the root"),
    ({"type": "string"}, "type", "must be object at the root"),
    (of(a={}), "properties[a].type", "must not be empty for specified object fields"),
    (of(a=array({})), "properties[a].items.type", "must not be empty for specified array items"),
    (of(a={"type": "text"}), "properties[a].type", "Unsupported value"),
    (of(a={"type": "null"}), "properties[a].type", "use nullable as an alternative"),
    (of(a={"type": "array"}), "properties[a].items", "must be specified"),
    (of(a=array([STRING])), "properties[a].items", "must be a schema object and not an array"),
    ({"type": "object", "additionalProperties": STRING}, "additionalProperties", "at the root"),
    (
        of(a={"type": "object", "additionalProperties": False}),
        "properties[a].additionalProperties",
        "cannot be set to false",
    ),
    (
        of(a={**of(b=STRING), "additionalProperties": STRING}),
        "properties[a].additionalProperties",
        "mutual exclusive",
    ),
    (
        of(a={**STRING, "pattern": "("}),
        "properties[a].pattern",
        "must be a valid regular expression",
    ),
    (
        of(a={**STRING, "anyOf": [{"pattern": "("}]}),
        "properties[a].anyOf[0].pattern",
        "valid regular",
    ),
    (of(a={**STRING, "$ref": "#/a"}), "properties[a].$ref", "$ref is not supported"),
    (of(a={**STRING, "id": "a"}), "properties[a].id", "id is not supported"),
    (of(a=array(STRING, uniqueItems=True)), "properties[a].uniqueItems", "cannot be set to true"),
    (
        of(a={**STRING, "x-kubernetes-validations": [{"rule": "self != ''"}]}),
        "properties[a].x-kubernetes-validations",
        "CEL rules are not served yet",
    ),
    (
        of(a={"x-kubernetes-preserve-unknown-fields": False, **STRING}),
        "properties[a].x-kubernetes-preserve-unknown-fields",
        "must be true or undefined",
    ),
    (
        of(a={**STRING, "x-kubernetes-int-or-string": True}),
        "properties[a].type",
        "must be empty if x-kubernetes-int-or-string is true",
    ),
    (
        of(a={"x-kubernetes-int-or-string": True, "x-kubernetes-preserve-unknown-fields": True}),
        "properties[a].x-kubernetes-preserve-unknown-fields",
        "must be false if x-kubernetes-int-or-string is true",
    ),
    (
        of(a={**STRING, "x-kubernetes-embedded-resource": True}),
        "properties[a].type",
        "must be object if x-kubernetes-embedded-resource is true",
    ),
    (
        of(a={"type": "object", "x-kubernetes-embedded-resource": True}),
        "properties[a].properties",
        "must not be empty if x-kubernetes-embedded-resource is true without",
    ),
    (of(kind=INTEGER), "properties[kind].type", "must be string"),
    (of(metadata=STRING), "properties[metadata].type", "must be object"),
    (of(metadata=of(labels=of())), "properties[metadata]", "anything other than name"),
    (
        of(a={**STRING, LIST_TYPE: "set"}),
        "properties[a].type",
        "must be array if x-kubernetes-list",
    ),
    (of(a=array(STRING, **{LIST_TYPE: "odd"})), f"properties[a].{LIST_TYPE}", "Unsupported value"),
    (
        of(a={**STRING, "x-kubernetes-map-type": "atomic"}),
        "properties[a].type",
        "must be object if",
    ),
    (
        of(a=array(NAMED, **{"x-kubernetes-list-map-keys": ["name"]})),
        f"properties[a].{LIST_TYPE}",
        "must be map if x-kubernetes-list-map-keys is non-empty",
    ),
    (
        of(a=array(NAMED, **{LIST_TYPE: "map"})),
        "properties[a].x-kubernetes-list-map-keys",
        "must not be empty if x-kubernetes-list-type is map",
    ),
    (of(a=keyed(STRING)), "properties[a].items.type", "must be object if parent array's"),
    (of(a=keyed(of(b=STRING))), "properties[a].x-kubernetes-list-map-keys", "names of item prop"),
    (
        of(a=keyed(of(name=STRING))),
        "properties[a].items.properties[name].default",
        "so it must have a default or be a required property",
    ),
    (
        of(a=keyed({**of(name={**STRING, "nullable": True}), "required": ["name"]})),
        "properties[a].items.properties[name].nullable",
        "so it cannot be nullable",
    ),
    (
        of(a=keyed({**of(name=of()), "required": ["name"]})),
        "properties[a].items.properties[name].type",
        "must be a scalar type if parent array's x-kubernetes-list-type is map",
    ),
    (
        of(a=keyed(NAMED, **{"x-kubernetes-list-map-keys": ["name", "name"]})),
        "properties[a].x-kubernetes-list-map-keys[1]",
        "Duplicate value",
    ),
    (
        of(a=array({**STRING, "nullable": True}, **{LIST_TYPE: "set"})),
        "properties[a].items.nullable",
        "cannot be nullable when x-kubernetes-list-type is set",
    ),
    (
        of(a=array(of(), **{LIST_TYPE: "set"})),
        "properties[a].items.x-kubernetes-map-type",
        "must be atomic as item of a list with x-kubernetes-list-type=set",
    ),
    (
        of(a=array({**array(STRING), LIST_TYPE: "set"}, **{LIST_TYPE: "set"})),
        f"properties[a].items.{LIST_TYPE}",
        "must be atomic as item",
    ),
    (of(a={**STRING, "default": 1}), "properties[a].default", "must be of type string"),
    (of(a={**STRING, "default": "x", "enum": ["y"]}), "properties[a].default", "Unsupported value"),
    (of(a={**of(b=STRING), "default": {"c": "x"}}), "properties[a].default", "have unknown fields"),
    (
        of(a=array(of(b={**INTEGER, "default": 0, "minimum": 1}))),
        "properties[a].items.properties[b].default",
        "should be greater than or equal to 1",
    ),
    (
        {**of(a=STRING), "anyOf": [{"type": "object"}]},
        "anyOf[0].type",
        "must be empty to be struct",
    ),
    (
        {**of(a=STRING), "allOf": [{"properties": {"b": {"minLength": 1}}}]},
        "properties[b]",
        f"because it is defined in {SCHEMA}.allOf[0].properties[b]",
    ),
    (
        {**of(a=STRING), "not": {"properties": {"metadata": {}}}},
        "not.properties[metadata]",
        "must not be specified in a nested context",
    ),
    (
        of(a={"x-kubernetes-int-or-string": True, "anyOf": [{"type": "string"}]}),
        "properties[a].anyOf[0].type",
        "must be empty to be structural",
    ),
]


@pytest.mark.parametrize(("schema", "field", "words"), BROKEN)
def test_broken(schema: dict[str, Any], field: str, words: str) -> None:
    errors = strategy_of(CRD).validate(complete(CRD, {SCHEMA: schema}))
    assert_says(errors, f"{SCHEMA}.{field}", words)


@pytest.mark.parametrize(
    ("group", "note", "words"),
    [
        ("example.com", "", ""),
        ("notk8s.io", "", ""),
        ("gateway.networking.k8s.io", "https://example.com/pull/1", ""),
        ("x.k8s.io", "unapproved, for a test", ""),
        ("x.k8s.io", "", "Required value: protected groups must have approval annotation"),
        ("x.kubernetes.io", "", "protected groups must have approval annotation"),
        ("x.k8s.io", "yes", 'with either a URL or a reason starting with "unapproved"'),
    ],
)
def test_groups_of_the_community_need_a_word_of_it(group: str, note: str, words: str) -> None:
    crd = complete("CustomResourceDefinition", {"spec.group": group})
    crd.metadata.name = f"{crd.spec.names.plural}.{group}"
    crd.metadata.annotations = {"api-approved.kubernetes.io": note} if note else {}
    found = strategy_of("CustomResourceDefinition").validate(crd)
    assert [error.field for error in found] == (
        ["metadata.annotations[api-approved.kubernetes.io]"] if words else []
    )
    assert all(words in error.message for error in found)


def test_what_is_stored_is_written_down_at_once() -> None:
    crd = complete("CustomResourceDefinition")
    crd.status.stored_versions = ["v77"]
    strategy_of("CustomResourceDefinition").prepare_create(crd)
    assert crd.status.stored_versions == [one.name for one in crd.spec.versions if one.storage]


def test_every_fault_is_told_at_once() -> None:
    schema = of(a={}, b={**STRING, "pattern": "("}, c=array({}))
    errors = strategy_of(CRD).validate(complete(CRD, {SCHEMA: schema}))
    assert len(errors) == 3, said(errors)


def test_an_update_may_leave_what_was_let_pass() -> None:
    old = complete(CRD, {SCHEMA: of(a={})})
    assert not strategy_of(CRD).validate_update(complete(CRD, {SCHEMA: of(a={})}), old)
    new = complete(CRD, {SCHEMA: of(a={}, b={})})
    assert_says(strategy_of(CRD).validate_update(new, old), f"{SCHEMA}.properties[b].type", "empty")


COLUMN = {"name": "Size", "type": "integer", "jsonPath": ".spec.size"}


@pytest.mark.parametrize(
    ("column", "field", "words"),
    [
        ({"name": ""}, "name", "Required value"),
        ({"type": ""}, "type", "Required value"),
        ({"type": "text"}, "type", "must be one of boolean,date,integer,number,string"),
        ({"format": "odd"}, "format", "must be one of byte,date,"),
        ({"jsonPath": ""}, "jsonPath", "Required value"),
        ({"jsonPath": "spec.size"}, "jsonPath", "is not understood"),
    ],
)
def test_columns(column: dict[str, str], field: str, words: str) -> None:
    where = "spec.versions[0].additionalPrinterColumns"
    good = complete(CRD, {where: [COLUMN]})
    assert not strategy_of(CRD).validate(good)
    errors = strategy_of(CRD).validate(complete(CRD, {where: [{**COLUMN, **column}]}))
    assert_says(errors, f"{where}[0].{field}", words)


FIELDS = "spec.versions[0].selectableFields"
SELECTABLE = of(
    spec=of(colour=STRING, size=INTEGER, on={"type": "boolean"}, parts=array(STRING), part=of())
)


def selecting(*paths: str) -> Any:
    schema = of(
        spec=of(
            **{f"f{n}": STRING for n in range(9)}, **SELECTABLE["properties"]["spec"]["properties"]
        )
    )
    return complete(CRD, {SCHEMA: schema, FIELDS: [{"jsonPath": path} for path in paths]})


def test_selectable_fields() -> None:
    errors = strategy_of(CRD).validate(selecting(".spec.colour", ".spec.size", ".spec.on"))
    assert not errors, said(errors)


@pytest.mark.parametrize(
    ("paths", "field", "words"),
    [
        ([""], f"{FIELDS}[0].jsonPath", "Required value"),
        (["spec.colour"], f"{FIELDS}[0].jsonPath", "is an invalid path"),
        ([".spec.parts[0]"], f"{FIELDS}[0].jsonPath", "is an invalid path"),
        ([".spec.missing"], f"{FIELDS}[0].jsonPath", "is an invalid path"),
        ([".metadata.name"], f"{FIELDS}[0]", "must not point to fields in metadata"),
        ([".spec.parts"], f"{FIELDS}[0]", "must point to type string, boolean or integer"),
        ([".spec.part"], f"{FIELDS}[0]", "must point to type string, boolean or integer"),
        ([".spec.size", ".spec.size"], f"{FIELDS}[1]", "Duplicate value"),
        ([f".spec.f{n}" for n in range(9)], FIELDS, "must have at most 8 items"),
    ],
)
def test_fields_that_cannot_be_selected(paths: list[str], field: str, words: str) -> None:
    assert_says(strategy_of(CRD).validate(selecting(*paths)), field, words)
