"""Manifests from the books, sent by real kubectl: the answer is the manifest's modern form."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import debian
from tests.integration.apiserver.conftest import Server

DEPLOYMENT = """
apiVersion: extensions/v1beta1
kind: Deployment
metadata: {name: web}
spec:
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: nginx}]}
"""


@pytest.fixture(scope="module", params=["kubectl", "debian"])
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    if request.param == "kubectl":
        return "kubectl"
    return debian.fetch_kubectl(tmp_path_factory.mktemp("kubectl"))


@pytest.mark.parametrize(
    "command", [("apply",), ("create",), ("apply", "--server-side"), ("replace",)], ids=" ".join
)
def test_the_lines_to_change_are_printed(
    server: Server, program: str, command: tuple[str, ...], tmp_path: Path
) -> None:
    done = server.kubectl(
        *command, "-f", "-", input=DEPLOYMENT, check=False, program=program, HOME=str(tmp_path)
    )
    assert done.returncode != 0
    assert "Deployment in extensions/v1beta1 is not served since Kubernetes 1.16" in done.stderr
    assert "  apiVersion: apps/v1\n" in done.stderr
    assert "    selector:\n      matchLabels:\n        app: web\n" in done.stderr


def test_names_mean_what_they_meant(server: Server, program: str, tmp_path: Path) -> None:
    def run(*words: str) -> str:
        return server.kubectl(*words, program=program, HOME=str(tmp_path)).stdout

    server.kubectl(
        "apply", "-f", "-", input=DEPLOYMENT, check=False, program=program, HOME=str(tmp_path)
    )
    assert run("get", "deploy,rs", "--ignore-not-found") == ""
    made = run("create", "deployment", "d", "--image=nginx", "--dry-run=server", "-o", "yaml")
    assert "apiVersion: apps/v1\n" in made
    if program == "kubectl":
        assert "extensions/v1beta1" not in run("api-versions")
