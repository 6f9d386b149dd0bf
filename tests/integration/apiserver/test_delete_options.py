"""How a delete is to be done, said in every notation and in the URL."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.apiserver.conftest import Api, config_map

# Unknown{TypeMeta{v1, DeleteOptions}, raw}; raw: gracePeriodSeconds 0 | propagationPolicy | dryRun
ENVELOPE = b"k8s\0\n\x13\n\x02v1\x12\x0dDeleteOptions\x12"


def protobuf(raw: bytes) -> bytes:
    return ENVELOPE + bytes([len(raw)]) + raw


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", {"kind": "DeleteOptions", "apiVersion": "v1", "dryRun": ["All"]}),
        ("application/json", {"kind": "DeleteOptions", "apiVersion": "apps/v1", "dryRun": ["All"]}),
        ("application/json", {"dryRun": ["All"]}),
        ("application/yaml", b"kind: DeleteOptions\napiVersion: v1\ndryRun: [All]\n"),
        ("application/vnd.kubernetes.protobuf", protobuf(b"\x2a\x03All")),
    ],
)
async def test_a_dry_run_in_every_notation(
    api: Api, maps: str, content_type: str, body: Any
) -> None:
    await api.ok("POST", maps, config_map("a"))
    code, _ = await api.delete(f"{maps}/a", body, content_type=content_type)
    assert code == 200
    assert (await api.get(f"{maps}/a"))[0] == 200
    code, _ = await api.delete(maps, body, content_type=content_type)
    assert code == 200
    assert (await api.get(f"{maps}/a"))[0] == 200


@pytest.mark.parametrize("policy", ["Foreground", "Orphan"])
@pytest.mark.parametrize("where", ["json", "protobuf", "url"])
async def test_dependents(api: Api, namespace: str, policy: str, where: str) -> None:
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    labels = {"app": "d"}
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }
    spec = {"selector": {"matchLabels": labels}, "template": template}
    await api.ok("POST", path, {"metadata": {"name": "d"}, "spec": spec})
    if where == "url":
        code, _ = await api.delete(f"{path}/d?propagationPolicy={policy}")
    elif where == "json":
        code, _ = await api.delete(f"{path}/d", {"propagationPolicy": policy})
    else:
        raw = b"\x22" + bytes([len(policy)]) + policy.encode()
        code, _ = await api.delete(
            f"{path}/d", protobuf(raw), content_type="application/vnd.kubernetes.protobuf"
        )
    assert code == 200
    _, left = await api.get(f"{path}/d")
    finalizer = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}[policy]
    assert left["metadata"]["finalizers"] == [finalizer]


async def test_what_contradicts_itself_is_refused(api: Api, maps: str) -> None:
    await api.ok("POST", maps, config_map("a"))
    body = {"propagationPolicy": "Orphan", "orphanDependents": True}
    code, status = await api.delete(f"{maps}/a", body)
    assert (code, status["reason"]) == (422, "Invalid")
    code, status = await api.delete(f"{maps}/a", b"gibberish", content_type="text/css")
    assert (code, status["reason"]) == (415, "UnsupportedMediaType")


@pytest.mark.parametrize(
    ("options", "finalizers", "warned"),
    [
        ({}, ["orphan"], True),
        ({"propagationPolicy": "Orphan"}, ["orphan"], False),
        ({"orphanDependents": True}, ["orphan"], False),
        ({"propagationPolicy": "Foreground"}, ["foregroundDeletion"], False),
    ],
)
async def test_jobs_leave_their_pods_unless_the_caller_says_otherwise(
    api: Api, namespace: str, options: dict[str, Any], finalizers: list[str], warned: bool
) -> None:
    path = f"/apis/batch/v1/namespaces/{namespace}/jobs"
    pod = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}
    body = {"metadata": {"name": "j"}, "spec": {"suspend": True, "template": {"spec": pod}}}
    await api.ok("POST", path, body)
    code, left = await api.delete(f"{path}/j", options)
    assert (code, left["metadata"]["finalizers"]) == (200, finalizers)
    assert any("child pods are preserved by default" in text for text in api.warnings) == warned


@pytest.mark.parametrize("wanted", [{"uid": "another"}, {"resourceVersion": "1"}])
async def test_preconditions_hold_for_each_of_a_collection(
    api: Api, maps: str, wanted: dict[str, str]
) -> None:
    await api.ok("POST", maps, config_map("kept"))
    code, body = await api.delete(maps, {"preconditions": wanted})
    assert (code, body["reason"]) == (409, "Conflict")
    assert (await api.get(f"{maps}/kept"))[0] == 200
