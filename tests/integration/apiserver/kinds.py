"""A sound object of every kind that is served, for tests on real servers.

They are those of the unit tests (`tests/unit/resources/examples.py`): a new kind cannot come without.
"""

from __future__ import annotations

import base64
from typing import Any

from api.scheme import ALTERNATES, RESOURCES, Resource
from base import pki
from tests.unit.resources.examples import tree

STORED = tuple(
    resource
    for resource in (*RESOURCES, *ALTERNATES)
    if resource.kind != "ValidatingAdmissionPolicy"  # refused as long as nothing enforces them
)


def name_of(resource: Resource) -> str:
    return f"{resource.plural}.{resource.api_version}"


def sample(resource: Resource, name: str, namespace: str = "default") -> dict[str, Any]:
    """A sound object of this version, under another name where it is free to have one."""
    found: dict[str, Any] = tree(resource.kind)
    metadata = found["metadata"]
    metadata.pop("uid", "")
    if resource.kind not in ("APIService", "CustomResourceDefinition", "IPAddress"):
        metadata["name"] = f"every-{name}"
    if resource.namespaced:
        metadata["namespace"] = namespace
    if resource.kind == "CertificateSigningRequest":
        made = pki.make_csr(common_name="system:node:a", organizations=["system:nodes"])
        found["spec"]["request"] = base64.b64encode(made.csr_pem).decode()
    elif resource.kind == "Event":
        found["involvedObject"]["namespace"] = namespace
    if resource.api_version == "events.k8s.io/v1":
        regarding = found.pop("involvedObject")
        component = found.pop("reportingComponent")
        note = found.pop("message")
        found |= {"regarding": regarding, "reportingController": component, "note": note}
        found |= {"eventTime": "2026-01-02T03:04:05.000006Z", "action": "Starting"}
    elif resource.api_version == "autoscaling/v1":
        for later in ("metrics", "behavior"):
            found["spec"].pop(later, None)
    return {**found, "apiVersion": resource.api_version}
