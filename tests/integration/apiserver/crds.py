"""Definitions and waiting, for the tests of custom resources."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from api.scheme import find
from tests.integration.apiserver.conftest import Api
from tests.patience import eventually as eventually

served = pytest.mark.skipif(
    find("apiextensions.k8s.io", "v1", "customresourcedefinitions") is None,
    reason="CustomResourceDefinition is not a kind of this scheme",
)

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"

SPEC_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "required": ["size"],
            "properties": {
                "size": {"type": "integer", "minimum": 1},
                "colour": {"type": "string", "default": "red", "enum": ["red", "blue"]},
                "replicas": {"type": "integer"},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            },
        },
        "status": {
            "type": "object",
            "properties": {
                "phase": {"type": "string"},
                "replicas": {"type": "integer"},
                "selector": {"type": "string"},
            },
        },
    },
}


def version(name: str = "v1", **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": SPEC_SCHEMA},
        "subresources": {
            "status": {},
            "scale": {
                "specReplicasPath": ".spec.replicas",
                "statusReplicasPath": ".status.replicas",
                "labelSelectorPath": ".status.selector",
            },
        },
        "additionalPrinterColumns": [
            {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
            {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
        ],
        "selectableFields": [{"jsonPath": ".spec.colour"}],
        **more,
    }


def definition(group: str, *versions: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"widgets.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {
                "plural": "widgets",
                "singular": "widget",
                "kind": "Widget",
                "listKind": "WidgetList",
                "shortNames": ["wd"],
                "categories": ["all"],
            },
            "versions": list(versions) or [version()],
            **spec,
        },
    }


def widget(group: str, name: str, api: str = "v1", **more: Any) -> dict[str, Any]:
    return {
        "apiVersion": f"{group}/{api}",
        "kind": "Widget",
        "metadata": {"name": name, **more.pop("metadata", {})},
        "spec": {"size": 3},
        **more,
    }


def new_group() -> str:
    return f"g{uuid.uuid4().hex[:8]}.example.com"


async def define(api: Api, group: str, *versions: dict[str, Any], **spec: Any) -> None:
    """Create a definition, and wait until it is established."""
    await api.ok("POST", DEFINITIONS, definition(group, *versions, **spec))

    async def established() -> bool:
        found = await api.ok("GET", f"{DEFINITIONS}/widgets.{group}")
        conditions = (found.get("status") or {}).get("conditions") or ()
        return any(one["type"] == "Established" and one["status"] == "True" for one in conditions)

    await eventually(established)

    async def served() -> bool:
        code, _ = await api.get(f"/apis/{group}")
        return code == 200

    await eventually(served)
