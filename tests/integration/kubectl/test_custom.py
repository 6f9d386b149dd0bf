"""Custom resources with every kubectl: explained, checked by the client, applied, compared, patched."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.apiserver.conftest import Server
from tests.integration.apiserver.crds import definition, new_group, version
from tests.integration.kubectl.conftest import Kubectl

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "required": ["cron"],
            "properties": {
                "cron": {"type": "string", "description": "When it runs.", "minLength": 2},
                "replicas": {"type": "integer", "default": 1},
                "port": {"x-kubernetes-int-or-string": True},
                "maybe": {"type": "string", "nullable": True},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            },
        }
    },
}


@pytest.fixture(scope="module")
def group(server: Server) -> Iterator[str]:
    """Widgets that every kubectl of this module knows from the start."""
    name = new_group()
    made = definition(name, version(schema={"openAPIV3Schema": SCHEMA}, selectableFields=[]))
    server.kubectl("create", "-f", "-", input=json.dumps(made))
    server.kubectl("wait", "crd", f"widgets.{name}", "--for=condition=Established")
    yield name
    server.kubectl("delete", "crd", f"widgets.{name}")


def widget(group: str, **spec: Any) -> str:
    spec = {"cron": "* *", "port": "http", "free": {"any": 1}, **spec}
    head = {"apiVersion": f"{group}/v1", "kind": "Widget", "metadata": {"name": "x"}}
    return json.dumps({**head, "spec": spec})


def test_explain(kubectl: Kubectl, group: str) -> None:
    said = kubectl("explain", "widgets.spec", "--recursive", f"--api-version={group}/v1")
    assert re.search(r"cron\s+<string>", said) and re.search(r"replicas\s+<integer>", said)
    said = kubectl("explain", "widgets", f"--api-version={group}/v1")
    assert re.search(r"(?s)FIELDS:.*apiVersion\s<string>.*APIVersion defines.*spec\s<Object>", said)
    said = kubectl("explain", "widgets.metadata", f"--api-version={group}/v1")
    assert re.search(
        r"(?s)Standard object's metadata.*creationTimestamp\s<string>.*CreationTimestamp is a", said
    )
    assert "When it runs." in kubectl("explain", "widgets.spec.cron", f"--api-version={group}/v1")


def test_apply_diff_patch(kubectl: Kubectl, group: str) -> None:
    kubectl.apply(widget(group))
    done = kubectl.run("diff", "-f", "-", input=widget(group, port=80))
    assert done.returncode == 1 and "+  port: 80" in done.stdout, done
    kubectl.apply(widget(group, port=80))
    kubectl("patch", f"widget.v1.{group}", "x", "--type=merge", "-p", '{"spec":{"replicas":3}}')
    assert kubectl.path(f"widgets.v1.{group}/x", "{.spec.replicas}-{.spec.port}") == "3-80"


def test_what_is_unknown_is_told_before_it_is_sent(kubectl: Kubectl, group: str) -> None:
    said = kubectl("create", "-f", "-", input=widget(group, odd=1), fails=True)
    assert re.search(r'unknown field "(spec\.)?odd"', said)
    said = kubectl("create", "-f", "-", input=widget(group, cron="a"), fails=True)
    assert "spec.cron" in said
