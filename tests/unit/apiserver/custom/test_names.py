"""Which names a definition gets, and what its status says: pure."""

from __future__ import annotations

from typing import Any

from api.scheme import SERVED
from control.apiserver.custom import names
from control.apiserver.custom.definition import Definition, Names, condition

NOW, LATER = "2026-01-02T03:04:05Z", "2026-01-02T03:09:05Z"
NOBODY = names.taken((), ())


def definition(**more: Any) -> dict[str, Any]:
    spec = {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {
            "plural": "widgets",
            "singular": "widget",
            "kind": "Widget",
            "listKind": "WidgetList",
            "shortNames": ["wd"],
            "categories": ["all"],
        },
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object"}},
                "subresources": {
                    "status": {},
                    "scale": {
                        "specReplicasPath": ".spec.replicas",
                        "statusReplicasPath": ".status.replicas",
                    },
                },
            },
            {"name": "v1beta1", "served": True, "storage": False, "deprecated": True},
        ],
    }
    return {"metadata": {"name": "widgets.example.com"}, "spec": spec, **more}


def test_all_names_are_accepted() -> None:
    status = names.status(definition(), NOBODY, NOW)
    assert status["acceptedNames"] == definition()["spec"]["names"]
    assert status["storedVersions"] == ["v1"]
    told = {one["type"]: (one["status"], one["reason"]) for one in status["conditions"]}
    assert told == {
        "NamesAccepted": ("True", "NoConflicts"),
        "Established": ("True", "InitialNamesAccepted"),
    }


def test_a_status_that_is_right_stays_as_it_is() -> None:
    status = names.status(definition(), NOBODY, NOW)
    assert names.status(definition(status=status), NOBODY, LATER) == status


def test_names_of_others_are_refused_one_by_one() -> None:
    others = names.taken((), [Names("gadgets", "gadget", "Gadget", "GadgetList", ("wd",))])
    status = names.status(definition(), others, NOW)
    assert status["acceptedNames"] == {
        "plural": "widgets",
        "singular": "widget",
        "kind": "Widget",
        "listKind": "WidgetList",
        "categories": ["all"],
    }
    accepted = condition({"status": status}, "NamesAccepted")
    assert (accepted["status"], accepted["reason"]) == ("False", "ShortNamesConflict")
    assert accepted["message"] == '"wd" is already in use'
    assert condition({"status": status}, "Established")["reason"] == "NotAccepted"


def test_once_established_always_established() -> None:
    established = names.status(definition(), NOBODY, NOW)
    others = names.taken((), [Names("gadgets", "gadget", "Widget", "GadgetList")])
    status = names.status(definition(status=established), others, LATER)
    assert condition({"status": status}, "Established")["status"] == "True"
    assert condition({"status": status}, "NamesAccepted")["reason"] == "KindConflict"
    assert status["acceptedNames"]["kind"] == "Widget"  # it has it already


def test_built_in_kinds_were_there_first() -> None:
    tree = definition()
    tree["spec"]["names"] = {"plural": "deployments", "kind": "Deployment"}
    apps = names.taken((row for row in SERVED if row.group == "apps"), ())
    status = names.status(tree, apps, NOW)
    assert condition({"status": status}, "NamesAccepted")["message"] == (
        '"deployments" is already in use, "Deployment" is already in use'
    )


def test_stored_versions_are_remembered() -> None:
    status = {"storedVersions": ["v1alpha1"]}
    assert names.status(definition(status=status), NOBODY, NOW)["storedVersions"] == [
        "v1alpha1",
        "v1",
    ]


def read(**more: Any) -> Definition:
    return Definition.read(definition(status=names.status(definition(), NOBODY, NOW), **more))


def test_rows_of_a_definition() -> None:
    found = read()
    first, second = (found.resource(one, object) for one in found.versions)
    assert (first.plural, first.singular, first.namespaced) == ("widgets", "widget", True)
    assert [part.name for part in first.subresources] == ["scale", "status"]
    assert (first.stored_as, second.stored_as) == ("", "example.com/v1")
    assert found.versions[1].warning == "example.com/v1beta1 Widget is deprecated"


def test_what_differs_in_metadata_alone_is_the_same_definition() -> None:
    assert read() == read(metadata={"name": "widgets.example.com", "labels": {"a": "b"}})
