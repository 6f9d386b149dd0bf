"""Rules of metadata, and what a delete does to finalizers: tables."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api import validation
from api.core import ConfigMap, Node
from api.meta import DeleteOptions, ObjectMeta, OwnerReference
from api.scheme import resource_of
from control.apiserver.registry.deleting import deletion_finalizers
from control.apiserver.registry.metadata import (
    cautions,
    clear_server_owned,
    generated_name,
    keep_server_owned,
    random_suffix,
    validate_change,
    validate_metadata,
)

CONFIG_MAP, NODE = resource_of(ConfigMap), resource_of(Node)
OWNER = OwnerReference(api_version="v1", kind="Pod", name="p", uid="u")


def errors(resource: Any = CONFIG_MAP, **more: Any) -> list[str]:
    metadata = ObjectMeta(**{"name": "a", "namespace": "ns", **more})
    return [
        str(error) for error in validate_metadata(metadata, resource, validation.dns1123_subdomain)
    ]


def test_good_metadata_has_no_errors() -> None:
    assert not errors(
        labels={"example.com/a": "b", "empty": ""},
        annotations={"Example.com/A": "anything at all: {}"},
        finalizers=["example.com/f", "foregroundDeletion"],
        owner_references=[OWNER],
    )


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"name": ""}, "metadata.name: Required value: name or generateName is required"),
        ({"name": "A"}, "metadata.name: Invalid value"),
        ({"namespace": ""}, "metadata.namespace: Required value"),
        ({"namespace": "a.b"}, "metadata.namespace: Invalid value"),
        ({"labels": {"a b": ""}}, 'metadata.labels: Invalid value: "a b"'),
        ({"labels": {"a": "-"}}, 'metadata.labels: Invalid value: "-"'),
        ({"annotations": {"a": "x" * 262_145}}, "metadata.annotations: Too long"),
        ({"finalizers": ["mine"]}, "neither a standard finalizer name nor is it fully qualified"),
        ({"finalizers": ["orphan", "foregroundDeletion"]}, "cannot be both set"),
        (
            {"owner_references": [OwnerReference(api_version="", kind="P", name="p", uid="u")]},
            "metadata.ownerReferences[0].apiVersion: Invalid value",
        ),
        (
            {
                "owner_references": [
                    OwnerReference(api_version="v1", kind="P", name=n, uid=n, controller=True)
                    for n in "ab"
                ]
            },
            "Only one reference can have Controller set to true",
        ),
        (
            {
                "owner_references": [
                    OwnerReference(api_version="v1", kind="Event", name="e", uid="u")
                ]
            },
            "Kind=Event is disallowed from being an owner",
        ),
    ],
)
def test_each_mistake_is_named(more: dict[str, Any], words: str) -> None:
    assert any(words in error for error in errors(**more))


def test_cluster_scoped_objects_have_no_namespace() -> None:
    assert errors(NODE) == ["metadata.namespace: Forbidden: not allowed on this type"]
    assert not errors(NODE, namespace="")


def test_all_mistakes_are_found_at_once() -> None:
    assert len(errors(name="A", labels={"a b": "c"}, finalizers=["mine"])) == 3


def test_name_and_namespace_never_change() -> None:
    old = ObjectMeta(name="a", namespace="ns")
    new = ObjectMeta(name="b", namespace="other")
    assert [str(error) for error in validate_change(new, old, CONFIG_MAP)] == [
        'metadata.name: Invalid value: "b": field is immutable',
        'metadata.namespace: Invalid value: "other": field is immutable',
    ]


def test_finalizers_may_only_go_from_an_object_on_its_way_out() -> None:
    old = ObjectMeta(name="a", finalizers=["x.y/a"], deletion_timestamp="2026-01-01T00:00:00Z")
    more = ObjectMeta(name="a", finalizers=["x.y/a", "x.y/b"])
    assert 'found new finalizers []string{"x.y/b"}' in str(
        validate_change(more, old, CONFIG_MAP)[0]
    )
    assert not validate_change(ObjectMeta(name="a"), old, CONFIG_MAP)


def test_the_server_keeps_what_is_its_own() -> None:
    old = ObjectMeta(name="a", uid="u", generation=3, creation_timestamp="2026-01-01T00:00:00Z")
    new = ObjectMeta(name="a", uid="mine", generation=99, deletion_timestamp="x")
    keep_server_owned(new, old)
    assert new == old
    clear_server_owned(new)
    assert new == ObjectMeta(name="a")


@given(st.text(alphabet="abc-", min_size=1, max_size=80), st.integers())
def test_generated_names_fit_into_a_label(base: str, seed: int) -> None:
    name = generated_name(base, random_suffix(random.Random(seed)))
    assert len(name) <= 63 and name[-5:].isalnum() and name.startswith(base[:58])


@pytest.mark.parametrize(
    ("before", "options", "after"),
    [
        (["a"], DeleteOptions(), ["a"]),
        (["a"], DeleteOptions(propagation_policy="Background"), ["a"]),
        (["a"], DeleteOptions(propagation_policy="Foreground"), ["a", "foregroundDeletion"]),
        (["a"], DeleteOptions(propagation_policy="Orphan"), ["a", "orphan"]),
        (["orphan"], DeleteOptions(propagation_policy="Background"), []),
        (["orphan"], DeleteOptions(propagation_policy="Foreground"), ["foregroundDeletion"]),
        (["orphan"], DeleteOptions(), ["orphan"]),
        ([], DeleteOptions(orphan_dependents=True), ["orphan"]),
        (["orphan"], DeleteOptions(orphan_dependents=False), []),
    ],
)
def test_what_becomes_of_dependents(
    before: list[str], options: DeleteOptions, after: list[str]
) -> None:
    assert deletion_finalizers(before, options) == after


def test_finalizers_that_another_may_use_are_told_once() -> None:
    old = ObjectMeta(finalizers=["before", "example.com/mine"])
    new = ObjectMeta(finalizers=["before", "mine", "example.com/other", "orphan", "kubernetes"])
    assert [text.split(":")[1].strip() for text in cautions(new, old)] == ['"mine"']
    assert len(list(cautions(new))) == 2
    assert not list(cautions(ObjectMeta(finalizers=["customresourcecleanup.apiextensions.k8s.io"])))
