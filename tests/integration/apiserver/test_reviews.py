"""`kubectl auth` against a running server: as administrator, as a node, as nobody in particular.

kubectl 1.32 and later ask with protobuf bodies, and fail without an answer to them.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from base import pki
from base.clock import SystemClock
from control.pki import kubeconfig
from tests.integration.apiserver.conftest import Api, Server

Run = Callable[..., subprocess.CompletedProcess[str]]

ACCESS = "/apis/authorization.k8s.io/v1"
IDENTITY = "/apis/authentication.k8s.io/v1"


@pytest.fixture
def kubectl_as(server: Server, tmp_path: Path) -> Callable[..., Run]:
    """kubectl with the certificate of somebody."""

    def make(name: str, *groups: str) -> Run:
        pair = pki.issue(
            server.ca, common_name=name, organizations=groups, client=True, clock=SystemClock()
        )
        file = tmp_path / "kubeconfig"
        file.write_text(kubeconfig(server.url, server.ca_pem, name, pair))

        def run(*arguments: str) -> subprocess.CompletedProcess[str]:
            return server.kubectl(*arguments, check=False, KUBECONFIG=str(file))

        return run

    return make


def test_the_administrator(server: Server) -> None:
    said = server.kubectl("auth", "whoami").stdout
    assert "kubernetes-admin" in said and "system:masters" in said
    assert server.kubectl("auth", "can-i", "create", "pods").stdout == "yes\n"
    assert server.kubectl("auth", "can-i", "get", "/metrics").stdout == "yes\n"
    rows = server.kubectl("auth", "can-i", "--list").stdout.splitlines()
    assert [row.split() for row in rows[1:]] == [
        ["*.*", "[]", "[]", "[*]"],
        ["[*]", "[]", "[*]"],
    ]


def test_a_node(kubectl_as: Callable[..., Run]) -> None:
    run = kubectl_as("system:node:n1", "system:nodes")
    assert "system:node:n1" in run("auth", "whoami").stdout
    for question, answer in (
        ("list services", "yes"),
        ("update nodes/n1 --subresource=status", "yes"),
        ("update nodes/n2 --subresource=status", "no"),
        ("get secrets", "no"),
        ("create deployments.apps", "no"),
        ("get /apis", "yes"),
        ("get /metrics", "no"),
    ):
        done = run("auth", "can-i", *question.split())
        assert done.stdout.partition(" ")[0].strip() == answer, (question, done)
        assert done.returncode == (answer == "no"), question
    listed = run("auth", "can-i", "--list")
    assert "endpointslices.discovery.k8s.io" in listed.stdout and "secrets" not in listed.stdout
    assert "incomplete" in listed.stderr
    # Asking about others is not for everybody.
    assert "forbidden" in run("auth", "can-i", "--list", "--as=jane").stderr.lower()


def test_somebody_without_rights(kubectl_as: Callable[..., Run]) -> None:
    run = kubectl_as("jane", "developers")
    assert "developers" in run("auth", "whoami").stdout
    done = run("auth", "can-i", "create", "pods")
    assert (done.stdout, done.returncode) == ("no\n", 1)
    assert "selfsubjectreviews" in run("auth", "can-i", "--list").stdout


async def test_questions_leave_nothing_behind(api: Api, namespace: str) -> None:
    spec = {"resourceAttributes": {"verb": "get", "resource": "pods"}, "user": "jane"}
    code, answer = await api.post(f"{ACCESS}/subjectaccessreviews", {"spec": spec})
    assert (code, answer["status"]["allowed"]) == (201, False)
    assert answer["spec"] == spec and answer["kind"] == "SubjectAccessReview"
    path = f"{ACCESS}/namespaces/{namespace}/localsubjectaccessreviews"
    spec["resourceAttributes"] = {"verb": "get", "resource": "pods", "namespace": namespace}
    assert (await api.post(path, {"spec": spec}))[0] == 201
    code, answer = await api.post(f"{IDENTITY}/tokenreviews", {"spec": {"token": "rubbish"}})
    assert code == 201 and "authenticated" not in answer["status"]
    assert answer["status"]["error"].startswith("invalid bearer token: nobody has given out")
    assert (await api.post(f"{IDENTITY}/tokenreviews", {"spec": {}}))[0] == 400
    assert (await api.post(f"{ACCESS}/selfsubjectaccessreviews", {"spec": {}}))[0] == 422
    for where in (
        f"{ACCESS}/subjectaccessreviews",
        f"{ACCESS}/localsubjectaccessreviews",
        path,
        f"{path}/x",
        f"{IDENTITY}/selfsubjectreviews/x",
    ):
        assert (await api.get(where))[0] == 405, where
        assert (await api.delete(where))[0] == 405, where
    assert (await api.post(f"{ACCESS}/localsubjectaccessreviews", {"spec": spec}))[0] == 405


async def test_they_have_no_rows_to_show(api: Api) -> None:
    table = {"Accept": "application/json;as=Table;g=meta.k8s.io;v=v1"}
    spec = {"resourceAttributes": {"verb": "get", "resource": "pods"}}
    review = {"spec": spec}
    where = f"{ACCESS}/selfsubjectaccessreviews"
    code, status = await api.post(where, review, headers=table)
    assert (code, status["reason"]) == (406, "NotAcceptable")
    table["Accept"] += ",application/json"
    assert (await api.post(where, review, headers=table))[0] == 406


async def test_they_are_discovered_and_described(api: Api) -> None:
    listed = await api.ok("GET", ACCESS)
    assert {one["name"]: one["verbs"] for one in listed["resources"]} == {
        "localsubjectaccessreviews": ["create"],
        "selfsubjectaccessreviews": ["create"],
        "selfsubjectrulesreviews": ["create"],
        "subjectaccessreviews": ["create"],
    }
    document = await api.ok("GET", f"/openapi/v3{IDENTITY}")
    assert set(document["paths"][f"{IDENTITY}/tokenreviews"]) == {"parameters", "post"}
