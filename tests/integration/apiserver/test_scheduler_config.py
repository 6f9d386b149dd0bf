"""The scheduler's file at the edge: what the process says of a bad one, and does with a good one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.apiserver.conftest import ROOT, Server
from tests.patience import wait_until

HEAD = "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n"
POD = """
apiVersion: v1
kind: Pod
metadata: {name: NAME}
spec:
  schedulerName: NAME
  automountServiceAccountToken: false
  containers: [{name: c, image: i}]
"""
BINDING = """
{"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "theirs"},
 "target": {"apiVersion": "v1", "kind": "Node", "name": "n1"}}
"""


def test_a_bad_file_ends_the_start_by_its_fields(tmp_path: Path) -> None:
    file = tmp_path / "scheduler.yaml"
    file.write_text(f"{HEAD}percentageOfNodesToScore: 200\nprofiles: [{{}}, {{schedulerName: b}}]")
    server = Server(tmp_path)
    with pytest.raises(AssertionError, match="not ready"):
        server.start(f"--scheduler-config={file}")
    server.stop()
    log = server.log()
    assert f"{file}: percentageOfNodesToScore: Invalid value: 200: not in valid range" in log
    assert "profiles[0].schedulerName: Required value" in log
    assert "Traceback" not in log
    assert not (tmp_path / "state").exists(), "nothing is begun before the settings are known"


def why(server: Server, name: str) -> str:
    command = [sys.executable, "-m", "cli", "why", f"pod/{name}"]
    done = subprocess.run(
        [*command, f"--kubeconfig={server.kubeconfig}"],
        cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_names_of_ours_and_of_others(tmp_path: Path) -> None:
    file = tmp_path / "scheduler.yaml"
    file.write_text(f"{HEAD}profiles: [{{schedulerName: ours}}]")
    server = Server(tmp_path)
    server.start(f"--scheduler-config={file}", whole=True)
    try:
        for name in ("ours", "theirs"):
            server.kubectl("apply", "-f", "-", input=POD.replace("NAME", name))
        server.kubectl("wait", "--for=condition=PodScheduled=false", "pod/ours", "--timeout=60s")

        def described() -> bool:
            said = server.kubectl("describe", "pod", "ours").stdout
            return "FailedScheduling" in said and "no nodes available" in said

        wait_until(described)
        words = 'it waits for the scheduler "theirs", which is not this one'
        assert words in why(server, "theirs")
        assert words not in why(server, "ours")

        path = "/api/v1/namespaces/default/pods/theirs/binding"
        server.kubectl("create", "--raw", path, "-f", "-", input=BINDING)
        found = server.kubectl("get", "pods", "-o", "wide", "--no-headers").stdout
        nodes = {line.split()[0]: line.split()[6] for line in found.splitlines()}
        assert nodes == {"ours": "<none>", "theirs": "n1"}
        assert "it is on n1" in why(server, "theirs")
    finally:
        server.stop()
