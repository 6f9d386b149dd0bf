"""Manifests of versions that are gone: what their authors are told to write."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock

import msgspec
import pytest
from aiohttp import web
from multidict import CIMultiDict

from api.errors import ApiError
from api.scheme import SERVED, Catalogue
from control.apiserver.discovery import groups
from control.apiserver.discovery.documents import Document
from control.apiserver.http import pipeline
from control.apiserver.removed import changes, discovering, refusing, table
from control.auth.user import AUTHENTICATED, User

COMMAND = {"Kubectl-Command": "kubectl apply"}


def path(text: str) -> list[str]:
    return text.strip("/").split("/")


@pytest.mark.parametrize(
    ("where", "kind", "modern"),
    [
        ("/apis/extensions/v1beta1/namespaces/ns/deployments", "Deployment", "apps/v1"),
        ("/apis/extensions/v1beta1/namespaces/ns/deployments/d/scale", "Deployment", "apps/v1"),
        ("/apis/extensions/v1beta1/daemonsets", "DaemonSet", "apps/v1"),
        ("/apis/extensions/v1beta1/watch/ingresses", "Ingress", "networking.k8s.io/v1"),
        ("/apis/apps/v1beta1/namespaces/ns/statefulsets/s", "StatefulSet", "apps/v1"),
        ("/apis/policy/v1beta1/podsecuritypolicies/p", "PodSecurityPolicy", ""),
        ("/apis/batch/v2alpha1/namespaces/ns/cronjobs", "CronJob", "batch/v1"),
        ("/apis/discovery.k8s.io/v1beta1/endpointslices", "EndpointSlice", "discovery.k8s.io/v1"),
    ],
)  # fmt: skip
def test_paths_of_removed_versions_are_known(where: str, kind: str, modern: str) -> None:
    found = table.find(path(where))
    assert found is not None
    assert (found.kind, found.modern) == (kind, modern)


@pytest.mark.parametrize(
    "where",
    ["/api/v1/pods", "/apis/apps/v1/deployments", "/apis/extensions/v1beta1", "/apis/x/v1/y"],
)
def test_other_paths_are_not(where: str) -> None:
    assert table.find(path(where)) is None


def lines(kind: str, version: str, tree: dict[str, Any]) -> dict[str, Any]:
    return changes.of("", version, kind, tree)[0]


def test_a_deployment_gets_the_selector_of_its_own_labels() -> None:
    tree = {"spec": {"template": {"metadata": {"labels": {"app": "web"}}}}}
    assert lines("Deployment", "v1beta1", tree) == {
        "spec": {"selector": {"matchLabels": {"app": "web"}}}
    }
    assert lines("Deployment", "v1beta1", {"spec": {"selector": {"matchLabels": {"a": "b"}}}}) == {}


def test_backends_of_an_ingress_are_written_anew() -> None:
    paths = [{"path": "/", "backend": {"serviceName": "web", "servicePort": "http"}}]
    tree = {
        "spec": {
            "backend": {"serviceName": "rest", "servicePort": 80},
            "rules": [{"host": "a.example", "http": {"paths": paths}}],
        }
    }
    web = {"service": {"name": "web", "port": {"name": "http"}}}
    assert lines("Ingress", "v1beta1", tree) == {
        "spec": {
            "defaultBackend": {"service": {"name": "rest", "port": {"number": 80}}},
            "rules": [
                {
                    "host": "a.example",
                    "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": web}]},
                }
            ],
        }
    }


def test_targets_of_metrics_are_written_anew() -> None:
    metric = {"type": "Resource", "resource": {"name": "cpu", "targetAverageUtilization": 50}}
    target = {"type": "Utilization", "averageUtilization": 50}
    assert lines("HorizontalPodAutoscaler", "v2beta1", {"spec": {"metrics": [metric]}}) == {
        "spec": {"metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]}
    }
    assert lines("HorizontalPodAutoscaler", "v2beta2", {}) == {}


def test_a_definition_says_everything_per_version() -> None:
    spec = {
        "version": "v1",
        "scope": "Cluster",
        "additionalPrinterColumns": [{"name": "Age", "type": "date", "JSONPath": ".x"}],
        "validation": {"openAPIV3Schema": {"type": "object"}},
    }
    found = lines("CustomResourceDefinition", "v1beta1", {"spec": spec})["spec"]
    assert found["scope"] == "Cluster"
    assert found["versions"] == [
        {
            "name": "v1",
            "served": True,
            "storage": True,
            "schema": {"openAPIV3Schema": {"type": "object"}},
            "additionalPrinterColumns": [{"name": "Age", "type": "date", "jsonPath": ".x"}],
        }
    ]


@pytest.mark.parametrize("removed", table.REMOVED, ids=lambda one: f"{one.api_version}-{one.kind}")
def test_every_message_names_both_versions_and_reads_as_yaml(removed: table.Removed) -> None:
    sent = json.dumps({"apiVersion": removed.api_version, "spec": "nonsense"}).encode()
    error = refusing.refuse(removed, sent)
    assert error.code == 404
    head, *rest = error.message.splitlines()
    assert removed.api_version in head
    assert removed.until in head
    tree = msgspec.yaml.decode("\n".join(rest))
    assert tree["apiVersion"] == (removed.modern or "v1")
    assert removed.modern in refusing.refuse(removed, b"").message


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"spec":[1]}', b'{"webhooks":{"a":1}}', b"\xff"])
def test_whatever_was_sent_there_is_an_answer(body: bytes) -> None:
    for removed in table.REMOVED:
        assert removed.kind in refusing.refuse(removed, body).message


@pytest.mark.parametrize(
    ("headers", "shown"),
    [
        ({"Kubectl-Command": "kubectl apply"}, True),
        ({"Kubectl-Command": "kubectl create deployment"}, True),
        ({"Kubectl-Command": "kubectl api-versions"}, False),
        ({"Kubectl-Command": "kubectl get"}, False),
        ({"User-Agent": "kubectl/v1.20.2 (linux/amd64) kubernetes/faecb19"}, True),
        ({"User-Agent": "kubectl/v1.32.0 (linux/amd64) kubernetes/70d3cc9"}, False),
        ({"User-Agent": "Helm/3.12"}, False),
    ],
)
def test_only_those_who_send_manifests_see_them(headers: dict[str, str], shown: bool) -> None:
    assert discovering.wanted(CIMultiDict(headers)) is shown


def test_they_come_last_and_nothing_else_changes() -> None:
    plain = Document.of(groups.api_group_list(Catalogue(SERVED)))
    before = msgspec.json.decode(plain.body)["groups"]
    after = msgspec.json.decode(discovering.groups(plain).body)["groups"]
    for old, new in zip(before, after, strict=False):
        assert new["name"] == old["name"]
        assert new["preferredVersion"] == old["preferredVersion"]
        assert new["versions"][: len(old["versions"])] == old["versions"]
    assert any(one["name"] == "extensions" for one in after[len(before) :])
    form = Document.of(groups.aggregated(Catalogue(SERVED), "v2", core=False))
    items = msgspec.json.decode(discovering.aggregated(form).body)["items"]
    assert [one["metadata"]["name"] for one in items] == [one["name"] for one in after]


@pytest.mark.parametrize(
    "failing",
    [
        asyncio.Event().wait,  # the client says that there is a body, and sends none
        AsyncMock(side_effect=web.HTTPRequestEntityTooLarge(max_size=1, actual_size=2)),
        AsyncMock(side_effect=web.RequestPayloadError("not gzip")),
    ],
)
async def test_a_body_that_cannot_be_read_keeps_nobody_from_the_answer(
    failing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "_MANIFEST_SECONDS", 0.01)
    http: Any = SimpleNamespace(can_read_body=True, content_length=10, read=failing)
    user = User("jane", (AUTHENTICATED,))
    where = path("/apis/extensions/v1beta1/namespaces/ns/ingresses")
    async with asyncio.timeout(60):
        with pytest.raises(ApiError, match="is not served since"):
            await pipeline._refuse_removed(http, where, user)


async def test_a_body_of_unknown_length_is_not_read() -> None:
    http: Any = SimpleNamespace(can_read_body=True, content_length=None, read=None)
    where = path("/apis/extensions/v1beta1/namespaces/ns/ingresses")
    with pytest.raises(ApiError, match="is not served since"):
        await pipeline._refuse_removed(http, where, User("jane", (AUTHENTICATED,)))
