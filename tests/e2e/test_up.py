"""`podwright up`, `status`, `node`, `token` and `down` as a person uses them, on clusters of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from local import topology
from local.cluster import Cluster
from local.host import processes
from netplugin import namespaces

ROOT = Path(__file__).resolve().parents[2]
STATE = Path("/tmp/podwright-e2e-up")


def podwright(*argv: str, code: int = 0, timeout: float = 240, entrance: Sequence[str] = ()) -> str:
    done = subprocess.run(
        [*entrance, sys.executable, "-P", "-m", "cli", *argv],
        capture_output=True,
        text=True,
        timeout=timeout,
        cwd=ROOT,
        env={**os.environ, "PODWRIGHT_STATE_DIR": str(STATE), "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == code, f"podwright {' '.join(argv)}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


@pytest.fixture
def state() -> Iterator[Path]:
    """A state folder without clusters, before and after."""
    podwright("down", "--all")
    try:
        yield STATE
    finally:
        podwright("down", "--all")
        assert not STATE.exists() or not list(STATE.iterdir())


def traces(slug: str) -> list[str]:
    """Whatever on this machine bears a cluster's name."""
    found = [str(each) for each in processes.marked(slug)]
    found += [str(path) for path in topology.NAMESPACE_ROOT.glob(f"*{slug}*")]
    found += [str(path) for path in topology.RUN_ROOT.glob(f"{slug}*")]
    for pattern in (f"*{slug}*", f"*/*{slug}*"):  # one tree, or one for each controller
        found += [str(path) for path in Path("/sys/fs/cgroup").glob(pattern)]
    found += [
        line for line in Path("/proc/self/mountinfo").read_text().splitlines() if slug in line
    ]
    return found


def test_from_nothing_to_an_answer_through_the_vip_and_back(state: Path) -> None:
    output = podwright("up", "examples/hello.yaml", "--nodes", "2", "--name", "walk")
    assert re.search(r"Hello from hello-\w+-\w+", output)
    assert len(re.findall(r"node-\d +Ready", output)) == 2
    assert f"export KUBECONFIG={state}/walk/kubeconfig" in output
    assert (state / "walk/kubeconfig").stat().st_mode & 0o777 == 0o600
    cluster = Cluster.find(state / "walk")
    assert cluster is not None
    slug = cluster.topology.slug

    again = podwright("up", "examples/hello.yaml", "--name", "walk")
    assert "deployment/hello unchanged" in again
    assert "All is well." in podwright("status", "--name", "walk")
    nodes = podwright("node", "list", "--name", "walk")
    assert len(re.findall(r"node-\d .* up +running +running", nodes)) == 2

    cluster.kill("node-2")
    assert "node-2: no power" in podwright("status", "--name", "walk", code=1)
    podwright("up", "--name", "walk")
    assert "All is well." in podwright("status", "--name", "walk")

    podwright("down", "--name", "walk")
    assert traces(slug) == []
    assert not (state / "walk").exists()


MACHINE = "podwright-e2e-machine"


@pytest.fixture
def machine() -> Iterator[list[str]]:
    """The entrance to a network that stands for a machine's own, so that nothing real is touched."""
    namespaces.delete_namespace(MACHINE)
    namespaces.create_namespace(MACHINE)
    namespaces.create_bridge(MACHINE, "uplink")
    namespaces.set_address(MACHINE, "uplink", "198.19.255.2/24")
    namespaces.add_route(MACHINE, "default", gateway="198.19.255.1")
    try:
        yield ["nsenter", f"--net={topology.NAMESPACE_ROOT / MACHINE}", "--"]
    finally:
        namespaces.delete_namespace(MACHINE)


def test_a_machine_as_its_own_node_is_left_as_it_was(state: Path, machine: list[str]) -> None:
    def network() -> list[str]:
        shown = [["ip", "-o", "link"], ["ip", "route"], ["iptables-save"], ["sysctl", "-a"]]
        texts = [
            subprocess.run([*machine, *argv], capture_output=True, text=True, check=True).stdout
            for argv in shown
        ]
        texts[3] = re.sub(r"(?m)^(?!net\.ipv4\.(ip_forward|conf\.all\.)).*\n", "", texts[3])
        return [re.sub(r"(?m)^#.*\n|\[\d+:\d+\]", "", text) for text in texts]

    before = network()
    up = ["up", "examples/hello.yaml", "--name", "alone", "--own-engine"]
    output = podwright(*up, entrance=machine)
    assert re.search(r"Hello from hello-\w+-\w+", output)
    assert "deployment/hello unchanged" in podwright(*up, entrance=machine)
    assert "All is well." in podwright("status", "--name", "alone", entrance=machine)
    cluster = Cluster.find(state / "alone")
    assert cluster is not None
    [node] = cluster.nodes
    refused = podwright("node", "kill", node.name, "--name", "alone", code=1, entrance=machine)
    assert "is this machine itself" in refused
    assert network() != before

    podwright("down", "--name", "alone", entrance=machine)
    assert network() == before
    assert traces(cluster.topology.slug) == []
    assert not (state / "alone").exists()


def test_a_manifest_that_never_gets_ready_is_explained(state: Path) -> None:
    state.mkdir(exist_ok=True)
    manifest = state / "stuck.yaml"
    manifest.write_text((ROOT / "examples/hello.yaml").read_text().replace("cpu: 50m", "cpu: 5000"))
    try:
        output = podwright(
            "up", str(manifest), "--nodes", "1", "--name", "stuck", "--timeout", "20", code=1
        )
    finally:
        manifest.unlink()
    assert "0 of 2 available" in output or "0 of 2 updated" in output
    assert "0/1 nodes are available: 1 Insufficient cpu" in output


def test_a_broken_manifest_is_told_before_any_work(state: Path) -> None:
    state.mkdir(exist_ok=True)
    manifest = state / "broken.yaml"
    manifest.write_text("apiVersion: v1\nkind: Pood\nmetadata: {name: x}\n")
    try:
        output = podwright("up", str(manifest), "--name", "broken", code=1)
    finally:
        manifest.unlink()
    assert "there is no kind 'Pood'" in output
    assert not (state / "broken").exists()


def test_tokens_come_and_go(cluster: Cluster, eventually: Callable[..., object]) -> None:
    kubeconfig = f"--kubeconfig={cluster.kubeconfig}"
    command = podwright("token", "create", "--ttl", "5m", kubeconfig).strip()
    match = re.fullmatch(
        r"podwright agent --join https://[\d.]+:6443 --token ([a-z0-9]{6})\.[a-z0-9]{16}"
        r" --ca-hash sha256:[0-9a-f]{64}",
        command,
    )
    assert match, command
    listed = podwright("token", "list", kubeconfig)
    assert re.search(rf"^{match[1]} +\d+[sm]", listed, re.MULTILINE)
    podwright("token", "delete", match[1], kubeconfig)
    assert match[1] not in podwright("token", "list", kubeconfig)
    assert "there is no token" in podwright("token", "delete", match[1], kubeconfig, code=1)


def test_a_command_runs_on_a_node(cluster: Cluster) -> None:
    folder = str(cluster.topology.state)
    inside = podwright("node", "exec", "--state-dir", folder, "node-2", "--", "ip", "-o", "addr")
    cable = cluster.topology.node("node-2").cable
    assert cable is not None
    assert str(cable.address.ip) in inside
    pods = ["kubectl", "get", "nodes", "--no-headers"]
    assert (
        podwright("node", "exec", "--state-dir", folder, "node-1", "--", *pods).count("Ready") == 3
    )
