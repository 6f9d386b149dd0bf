"""Debian's own kubectl (1.20): what a fresh Debian machine has must work for the main job.

get, apply, create and delete, exec, cp and port-forward; explain and diff, which need no pods, are tested
with the API server alone (`tests/integration/apiserver/test_debian_kubectl.py`).
"""

import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local.cluster import Cluster
from tests.debian import fetch_kubectl
from tests.e2e.conftest import Kubectl
from tests.e2e.manifests import container, deployment, pod, service, web_container

Eventually = Callable[..., Any]


@pytest.fixture(scope="session")
def debian_kubectl(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The program of Debian's package, unpacked beside whatever the machine has."""
    return fetch_kubectl(tmp_path_factory.mktemp("kubernetes-client"))


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
    old.logged("hello\n", "talker")
    eventually(lambda: "Successfully assigned" in old("describe", "pod", "talker"))
    assert old("delete", "pod", "talker", "--wait") == 'pod "talker" deleted\n'
    assert old("get", "pods", "--no-headers") == ""


def test_exec_and_cp(old: Kubectl, tmp_path: Path) -> None:
    old.apply(pod("shell", container("sleep 1000 & wait")))
    old("wait", "--for=condition=Ready", "pod/shell", "--timeout=60s", timeout=70)
    assert old("exec", "-i", "shell", "--", "cat", input="typed") == "typed"
    failed = old.command("exec", "shell", "--", "sh", "-c", "exit 7")
    assert subprocess.run(failed, capture_output=True, timeout=30, check=False).returncode == 7
    sent = tmp_path / "sent"
    sent.write_bytes(bytes(range(256)) * 4096)
    old("cp", str(sent), "shell:/tmp/there")
    old("cp", "shell:/tmp/there", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == sent.read_bytes()


def test_port_forward(old: Kubectl, eventually: Eventually) -> None:
    old.apply(pod("web", web_container()))
    old("wait", "--for=condition=Ready", "pod/web", "--timeout=60s", timeout=70)
    command = old.command("port-forward", "pod/web", ":8080")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as forwarding:
        try:
            assert forwarding.stdout is not None
            port = int(forwarding.stdout.readline().split(" -> ")[0].rpartition(":")[2])

            def answer() -> bytes:
                url = f"http://127.0.0.1:{port}/cgi-bin/who"
                with urllib.request.urlopen(url, timeout=20) as page:
                    return bytes(page.read())

            assert eventually(answer).startswith(b"web ")
        finally:
            forwarding.kill()
