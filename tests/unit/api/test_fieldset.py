"""Sets of fields: their algebra, against sets of paths as the model."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.patch import fieldset
from api.patch.fieldset import FieldSet

entries = st.sampled_from(["f:a", "f:b", 'k:{"name":"x"}', "v:1"])
paths = st.lists(entries, min_size=1, max_size=3).map(tuple)
sets = st.frozensets(paths, max_size=6)


def made(paths: frozenset[tuple[str, ...]]) -> FieldSet:
    return fieldset.of_members(sorted(paths))


def held(fields: FieldSet) -> frozenset[tuple[str, ...]]:
    return frozenset(fieldset.members(fields))


@given(sets)
def test_a_set_is_what_was_put_into_it(one: frozenset[tuple[str, ...]]) -> None:
    assert held(made(one)) == one
    assert json.loads(json.dumps(made(one))) == made(one)
    assert not fieldset.problem(made(one))


@given(sets, sets)
def test_the_algebra_is_that_of_sets(
    one: frozenset[tuple[str, ...]], other: frozenset[tuple[str, ...]]
) -> None:
    assert held(fieldset.union(made(one), made(other))) == one | other
    assert held(fieldset.difference(made(one), made(other))) == one - other
    assert held(fieldset.intersection(made(one), made(other))) == one & other


def test_entries_are_written_as_kubernetes_writes_them() -> None:
    assert fieldset.item({"protocol": "TCP", "containerPort": 80}) == (
        'k:{"containerPort":80,"protocol":"TCP"}'
    )
    assert fieldset.element("a") == 'v:"a"'


def test_paths_are_shown_as_kubectl_prints_them() -> None:
    path = ("f:spec", "f:containers", 'k:{"name":"web"}', "f:args", 'v:"x"')
    assert fieldset.shown(path) == '.spec.containers[name="web"].args[="x"]'


@pytest.mark.parametrize(
    "fields", [1, {"spec": {}}, {"f:a": 3}, {"k:{": {}}, {"k:1": {}}, {"q:a": {}}]
)
def test_what_is_no_set_is_told(fields: object) -> None:
    assert fieldset.problem(fields)
