"""Debian's own kubectl (1.20): what a fresh Debian machine has must work for the main job.

get, apply, create and delete; exec, port-forward and explain of that version speak SPDY and OpenAPI
v2, which come later.
"""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local.cluster import Cluster
from tests.e2e.conftest import Kubectl
from tests.e2e.manifests import container, deployment, pod, service

Eventually = Callable[..., Any]


@pytest.fixture(scope="session")
def debian_kubectl(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The program of Debian's package, unpacked beside whatever the machine has."""
    folder = tmp_path_factory.mktemp("kubernetes-client")
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        pytest.skip("this is no Debian machine")
    fetched = subprocess.run(
        ["apt-get", "download", "-q", "kubernetes-client"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    packages = list(folder.glob("kubernetes-client_*.deb"))
    if not packages:
        pytest.skip(f"Debian's kubernetes-client cannot be fetched: {fetched.stderr.strip()}")
    subprocess.run(["dpkg", "-x", packages[0], folder / "root"], check=True, timeout=60)
    return str(folder / "root/usr/bin/kubectl")


@pytest.fixture
def old(
    cluster: Cluster,
    debian_kubectl: str,
    namespace: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Kubectl:
    monkeypatch.setenv("HOME", str(tmp_path))  # its cache of another version's answers
    return Kubectl(cluster.kubeconfig, namespace, debian_kubectl)


def test_the_main_job(old: Kubectl, eventually: Eventually) -> None:
    assert old.apply(deployment("web", 2)) == "deployment.apps/web created\n"
    assert old.apply(service("web")) == "service/web created\n"
    old("rollout", "status", "deployment/web", "--timeout=90s", timeout=100)
    rows = old("get", "pods").splitlines()
    assert rows[0].split() == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert [row.split()[1:3] for row in rows[1:]] == [["1/1", "Running"]] * 2
    assert old.apply(deployment("web", 1)) == "deployment.apps/web configured\n"
    eventually(lambda: len(old("get", "pods", "--no-headers").splitlines()) == 1)
    assert "ClusterIP" in old("get", "service", "web", "-o", "wide")
    assert old("delete", "service/web", "deployment/web").count("deleted") == 2


def test_create_logs_and_delete(old: Kubectl, eventually: Eventually) -> None:
    old("create", "configmap", "config", "--from-literal=a=b")
    assert old.json("get", "configmap", "config")["data"] == {"a": "b"}
    old.apply(pod("talker", container("echo hello; sleep 1000 & wait")))
    old("wait", "--for=condition=Ready", "pod/talker", "--timeout=60s", timeout=70)
    assert old("logs", "talker") == "hello\n"
    assert "Successfully assigned" in old("describe", "pod", "talker")
    assert old("delete", "pod", "talker", "--wait") == 'pod "talker" deleted\n'
    assert old("get", "pods", "--no-headers") == ""
