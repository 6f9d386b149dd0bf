"""Patches: the RFCs' examples, properties, directives, and the words of refusals."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api import patch as patches
from api.core import ConfigMap, Pod
from api.errors import ApiError
from api.patch import JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, jsonpatch, merge, strategic
from api.patch.faults import MalformedPatchError, PatchError

RFC_7386 = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


@pytest.mark.parametrize(("tree", "patch", "expected"), RFC_7386)
def test_merge_patch(tree: Any, patch: Any, expected: Any) -> None:
    before = copy.deepcopy(tree), copy.deepcopy(patch)
    assert merge.apply(tree, patch) == expected
    assert (tree, patch) == before


RFC_6902 = [
    ({"foo": "bar"}, [{"op": "add", "path": "/baz", "value": "qux"}], {"baz": "qux", "foo": "bar"}),
    ({"foo": ["a", "c"]}, [{"op": "add", "path": "/foo/1", "value": "b"}], {"foo": ["a", "b", "c"]}),
    ({"baz": "q", "foo": "b"}, [{"op": "remove", "path": "/baz"}], {"foo": "b"}),
    ({"foo": ["a", "b", "c"]}, [{"op": "remove", "path": "/foo/1"}], {"foo": ["a", "c"]}),
    ({"baz": "q"}, [{"op": "replace", "path": "/baz", "value": "boo"}], {"baz": "boo"}),
    ({"a": [1, 2]}, [{"op": "replace", "path": "/a/1", "value": 3}], {"a": [1, 3]}),
    (
        {"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}},
        [{"op": "move", "from": "/foo/waldo", "path": "/qux/thud"}],
        {"foo": {"bar": "baz"}, "qux": {"corge": "grault", "thud": "fred"}},
    ),
    (
        {"foo": ["all", "grass", "cows", "eat"]},
        [{"op": "move", "from": "/foo/1", "path": "/foo/3"}],
        {"foo": ["all", "cows", "eat", "grass"]},
    ),
    ({"baz": "q", "a": [1.0]}, [{"op": "test", "path": "/a", "value": [1]}], {"baz": "q", "a": [1.0]}),
    ({"foo": "bar"}, [{"op": "add", "path": "/c", "value": {"g": {}}}], {"foo": "bar", "c": {"g": {}}}),
    ({"a": 1}, [{"op": "add", "path": "/b", "value": 2, "xyz": 3}], {"a": 1, "b": 2}),
    ({"/": 9, "~1": 10}, [{"op": "test", "path": "/~01", "value": 10}], {"/": 9, "~1": 10}),
    ({"/": 9, "~1": 10}, [{"op": "remove", "path": "/~1"}], {"~1": 10}),
    ({"foo": ["bar"]}, [{"op": "add", "path": "/foo/-", "value": ["x"]}], {"foo": ["bar", ["x"]]}),
    ({"a": {"b": 1}}, [{"op": "copy", "from": "/a", "path": "/c"}], {"a": {"b": 1}, "c": {"b": 1}}),
    ({"a": 1}, [{"op": "replace", "path": "", "value": {"b": 2}}], {"b": 2}),
    ({"a": 1}, [{"op": "test", "path": "/none", "value": None}], {"a": 1}),
    ({"a": None}, [{"op": "replace", "path": "/a", "value": 1}], {"a": 1}),
    ({"a": 1}, [], {"a": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("tree", "patch", "expected"), RFC_6902)
def test_json_patch(tree: Any, patch: Any, expected: Any) -> None:
    before = copy.deepcopy(tree), copy.deepcopy(patch)
    assert jsonpatch.apply(tree, patch) == expected
    assert (tree, patch) == before


@pytest.mark.parametrize(
    ("tree", "operation", "message"),
    [
        ({"foo": "bar"}, {"op": "add", "path": "/baz/bat", "value": 1},
         'add operation does not apply: doc is missing path: "/baz/bat": missing value'),
        ({}, {"op": "remove", "path": "/a"},
         "error in remove for path: '/a': Unable to remove nonexistent key: a: missing value"),
        ({}, {"op": "remove", "path": "/a/b"}, "remove operation does not apply: doc is missing path"),
        ({}, {"op": "replace", "path": "/a", "value": 1},
         "replace operation does not apply: doc is missing key: /a: missing value"),
        ({"a": 1}, {"op": "test", "path": "/a", "value": 2}, "testing value /a failed: test failed"),
        ({"a": 1}, {"op": "test", "path": "/a", "value": True}, "testing value /a failed"),
        ({"a": 1}, {"op": "test", "path": "/b", "value": 1}, "testing value /b failed"),
        ({"a": [1]}, {"op": "add", "path": "/a/5", "value": 1}, "Unable to access invalid index: 5"),
        ({"a": [1]}, {"op": "remove", "path": "/a/-1"}, "Unable to access invalid index: -1"),
        ({"a": [1]}, {"op": "remove", "path": "/a/01"}, "Unable to access invalid index: 01"),
        ({"a": {}}, {"op": "move", "from": "/a", "path": "/a/b"}, "cannot be moved into itself"),
        ({"a": 1}, {"op": "remove", "path": ""}, "the document itself stays"),
        ({"a": 1}, {"op": "copy", "from": "/b", "path": "/c"}, "doc is missing path"),
    ],
)  # fmt: skip
def test_json_patch_that_does_not_fit(tree: Any, operation: Any, message: str) -> None:
    with pytest.raises(PatchError) as caught:
        jsonpatch.apply(tree, [operation])
    assert message in str(caught.value)
    assert not isinstance(caught.value, MalformedPatchError)


@pytest.mark.parametrize(
    "patch",
    [
        {}, "x", None, [1], [{}], [{"op": "frob", "path": "/a"}], [{"op": ["add"], "path": "/a"}],
        [{"op": "add", "path": "/a"}], [{"op": "add", "value": 1}], [{"op": "add", "path": 5, "value": 1}],
        [{"op": "add", "path": "a", "value": 1}], [{"op": "move", "path": "/a"}],
        [{"op": "test", "path": "/a"}] * 10_001,
    ],
)  # fmt: skip
def test_json_patch_that_is_none(patch: Any) -> None:
    with pytest.raises(MalformedPatchError):
        jsonpatch.apply({"a": 1}, patch)


def test_copies_cannot_explode() -> None:
    long = [{"op": "copy", "from": "/x", "path": f"/{number}"} for number in range(1000)]
    with pytest.raises(PatchError, match="too large"):
        jsonpatch.apply({"x": "y" * 500_000}, long)
    bomb = [{"op": "copy", "from": "", "path": f"/{number}"} for number in range(60)]
    with pytest.raises(PatchError, match="too large"):
        jsonpatch.apply({"x": 1}, bomb)
    with pytest.raises(PatchError, match="nested deeper"):
        jsonpatch.apply({"x": 1}, [{"op": "copy", "from": "", "path": "/a"}] * 9999)
    deep: Any = {}
    for _ in range(150):
        deep = {"a": deep}
    into = {"op": "add", "path": "/a" * 100, "value": deep}
    with pytest.raises(PatchError, match="nested deeper"):
        jsonpatch.apply(deep, [into])


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=10,
)  # fmt: skip
OBJECTS = st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3)


def without_nulls(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: without_nulls(value) for key, value in tree.items() if value is not None}
    return tree


def merge_diff(old: Any, new: Any) -> Any:
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    changed = {
        key: merge_diff(old.get(key), value) for key, value in new.items() if old.get(key) != value
    }
    return {**changed, **{key: None for key in old if key not in new}}


@given(OBJECTS, OBJECTS)
def test_a_merge_patch_can_make_anything_of_anything(old: Any, new: Any) -> None:
    new = without_nulls(new)
    assert without_nulls(merge.apply(old, merge_diff(old, new))) == new


@given(OBJECTS, OBJECTS)
def test_a_merge_patch_twice_is_once(tree: Any, patch: Any) -> None:
    once = merge.apply(tree, patch)
    assert merge.apply(once, patch) == once


OPERATIONS = st.lists(
    st.fixed_dictionaries(
        {"op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test"]),
         "path": st.text("/ab01-~", max_size=5), "from": st.text("/ab01", max_size=4),
         "value": VALUES}
    ),
    max_size=4,
)  # fmt: skip


@given(VALUES, OPERATIONS)
def test_json_patches_work_or_are_refused(tree: Any, patch: Any) -> None:
    before = json.dumps(tree)
    try:
        json.dumps(jsonpatch.apply(tree, patch))
    except PatchError:
        pass
    assert json.dumps(tree) == before


MAPS = st.recursive(
    st.none() | st.text("ab", max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


@given(MAPS, MAPS)
def test_strategic_of_untyped_maps_is_a_merge_patch(tree: Any, patch: Any) -> None:
    labels, change = {"data": tree}, {"data": patch}
    merged = strategic.apply(labels, change, ConfigMap)
    assert without_nulls(merged) == without_nulls(merge.apply(labels, change))


STRATEGIC_KEYS = st.sampled_from(
    ["spec", "containers", "name", "env", "value", "finalizers", "metadata", "$patch", "$retainKeys",
     "$setElementOrder/containers", "$setElementOrder/env", "$deleteFromPrimitiveList/finalizers",
     "tolerations", "labels"]
)  # fmt: skip
STRATEGIC_TREES = st.recursive(
    st.none() | st.sampled_from(["a", "b", "replace", "delete", "merge", "name", 1, True]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(STRATEGIC_KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(STRATEGIC_TREES, STRATEGIC_TREES)
def test_strategic_patches_work_or_are_refused(tree: Any, patch: Any) -> None:
    before = json.dumps([tree, patch])
    try:
        json.dumps(strategic.apply(tree, patch, Pod))
    except PatchError:
        pass
    assert json.dumps([tree, patch]) == before


# --- strategic merge; test_patch_oracle.py compares more with kubectl itself ---------------------

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "p",
        "labels": {"a": "1", "b": "2"},
        "finalizers": ["x/a", "x/b", "x/c"],
    },
    "spec": {
        "containers": [
            {"name": "a", "image": "i", "env": [{"name": "E", "value": "1"}, {"name": "F", "value": "2"}]},
            {"name": "b", "image": "j", "ports": [{"containerPort": 80}, {"containerPort": 81}]},
        ],
        "tolerations": [{"key": "k", "operator": "Exists"}],
        "volumes": [{"name": "v", "emptyDir": {}}, {"name": "w", "hostPath": {"path": "/x"}}],
        "nodeSelector": {"zone": "a"},
    },
}  # fmt: skip


def names(tree: Any) -> list[str]:
    return [item["name"] for item in tree["spec"]["containers"]]


def test_strategic_in_short() -> None:
    """The cases that matter most, for machines without kubectl."""
    merged = strategic.apply(POD, {"spec": {"containers": [{"name": "b", "image": "k"}]}}, Pod)
    assert names(merged) == ["a", "b"] and merged["spec"]["containers"][1]["image"] == "k"
    assert "ports" in merged["spec"]["containers"][1]
    deleted = strategic.apply(
        POD, {"spec": {"containers": [{"name": "a", "$patch": "delete"}]}}, Pod
    )
    assert names(deleted) == ["b"]
    ordered = {"spec": {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}}
    assert names(strategic.apply(POD, ordered, Pod)) == ["b", "a"]
    replaced = strategic.apply(POD, {"spec": {"tolerations": []}}, Pod)
    assert replaced["spec"]["tolerations"] == []
    marked = {"spec": {"containers": [{"name": "a", "$patch": "merge", "image": "m"}]}}
    assert strategic.apply(POD, marked, Pod)["spec"]["containers"][0]["image"] == "m"


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        ([], "must be a JSON object"),
        ({"spec": {"containers": [{"image": "x"}]}}, "does not contain declared merge key: name"),
        ({"spec": {"nodeSelector": {"$patch": "mangle"}}}, "unknown patch type: mangle in map"),
        ({"spec": {"containers": [{"name": "a", "$patch": 1}]}}, "unknown patch type: 1 in map"),
        ({"spec": {"$setElementOrder/containers": {}}}, "invalid patch format of setElementOrder list"),
        ({"spec": {"$setElementOrder/containers": [{"name": "b"}], "containers": [{"name": "a"}]}},
         "doesn't match $setElementOrder list"),
        ({"spec": {"volumes": [{"name": "v", "$retainKeys": ["name"], "nfs": {}}]}}, "retainKeys"),
        ({"metadata": {"$deleteFromPrimitiveList/finalizers": "x"}}, "invalid patch format of primitive"),
        ({"spec": {"containers": ["a"]}}, "must be of one type"),
    ],
)  # fmt: skip
def test_strategic_refused(patch: Any, message: str) -> None:
    with pytest.raises(PatchError) as caught:
        strategic.apply(POD, patch, Pod)
    assert message in str(caught.value)


def test_repeated_keys() -> None:
    body = b'{"data":{"a":"1","a":"2"}}'
    assert patches.apply({}, body, MERGE_PATCH, ConfigMap) == {"data": {"a": "2"}}
    assert patches.parse(body, MERGE_PATCH)[1] == ['duplicate field "data.a"']
    body = b'[{"op":"test","op":"add","path":"/a","value":1,"why":2}]'
    found = ['duplicate field "[0].op"', 'json patch unknown field "[0].why"']
    assert patches.parse(body, JSON_PATCH)[1] == found


def test_answers() -> None:
    tree = {"data": {"a": "1"}}
    body = b'{"data":{"b":"2"}}'
    for media_type in (MERGE_PATCH, STRATEGIC_PATCH + "; charset=utf-8"):
        assert patches.apply(tree, body, media_type, ConfigMap) == {"data": {"a": "1", "b": "2"}}
    answers = [
        (body, "application/json", 415),
        (b"{", MERGE_PATCH, 400),
        (b"[]", MERGE_PATCH, 400),
        (b"{}", JSON_PATCH, 400),
        (b'[{"op":"remove","path":"/x"}]', JSON_PATCH, 422),
    ]
    for text, media_type, code in answers:
        with pytest.raises(ApiError) as caught:
            patches.apply(tree, text, media_type, ConfigMap)
        assert caught.value.code == code


def test_copies_are_apart() -> None:
    """What was copied and what it was copied from change each on its own."""
    patch = [
        {"op": "add", "path": "/a/x", "value": 1},
        {"op": "copy", "from": "/a", "path": "/b"},
        {"op": "add", "path": "/b/y", "value": 2},
        {"op": "replace", "path": "/a/x", "value": 3},
        {"op": "move", "from": "/b", "path": "/c"},
        {"op": "remove", "path": "/c/x"},
    ]
    given = {"a": {"l": [1]}}
    assert jsonpatch.apply(given, patch) == {"a": {"l": [1], "x": 3}, "c": {"l": [1], "y": 2}}
    assert given == {"a": {"l": [1]}}


def test_moving_much_again_and_again_is_refused() -> None:
    there = {"op": "move", "from": "/a", "path": "/b"}
    back = {"op": "move", "from": "/b", "path": "/a"}
    tree = {"a": list(range(1000))}
    assert jsonpatch.apply(tree, [there, back] * 40) == tree
    with pytest.raises(PatchError, match="too large"):
        jsonpatch.apply(tree, [there, back] * 60)
