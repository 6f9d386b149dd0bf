"""Machines of a local cluster: engines in namespaces, cables, and what can befall them."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from base.errors import PermanentError
from local import topology
from local.host import engines, images, processes, traces, wiring
from local.host.engines import Engine
from local.host.processes import Process
from local.host.waiting import wait_for
from local.node import Node
from local.topology import Topology


def docker(engine: Engine, *argv: str, data: bytes | None = None) -> str:
    completed = subprocess.run(
        ["docker", "-H", engine.url, *argv], input=data, capture_output=True, timeout=60
    )
    assert completed.returncode == 0, completed.stderr.decode()
    return completed.stdout.decode().strip()


def run_container(engine: Engine, name: str) -> Process:
    """A container that ignores TERM, as process 1 does; its process on the machine."""
    layer = images.layer(images.busybox().read_bytes(), ["sleep"], {})
    docker(engine, "import", "-", "test:1", data=layer)
    docker(engine, "run", "-d", "--name", name, "--network", "none", "test:1", "/bin/sleep", "600")
    found = processes.process(int(docker(engine, "inspect", "-f", "{{.State.Pid}}", name)))
    assert found is not None and found.alive()
    return found


def reaches(node: Node, address: str) -> bool:
    return node.exec([str(images.busybox()), "ping", "-c1", "-W1", address]).returncode == 0


def test_an_engine_starts_runs_a_container_and_stops(nodes: list[Node]) -> None:
    node = nodes[0]
    node.start()
    container = run_container(node.engine, "one")
    assert container in node.engine.processes()
    node.start()  # again changes nothing
    assert docker(node.engine, "ps", "-q", "--filter", "name=one")

    docker(node.engine, "kill", "one")
    node.engine.stop()
    assert not node.engine.running()
    assert node.engine.processes() == []
    assert traces.mounts_below(node.member.data) == []

    node.start()
    assert docker(node.engine, "ps", "-aq", "--filter", "name=one"), "the disk kept it"


def test_the_engine_stays_off_the_machines_own_network(nodes: list[Node]) -> None:
    node = nodes[0]
    node.start()
    links = {line.split(":")[1].strip().split("@")[0] for line in _lines(node, "ip", "-o", "link")}
    assert {"lo", wiring.MACHINE_LINK} <= links
    assert not [link for link in links if link.startswith(("docker", "br-"))]
    assert "DOCKER" not in node.exec(["iptables-save"]).text


@pytest.mark.parametrize("victim", ["dockerd", "containerd"])
def test_start_repairs_what_a_crash_left(nodes: list[Node], victim: str) -> None:
    node = nodes[0]
    node.start()
    container = run_container(node.engine, "one")
    crashed = processes.daemon(f"{node.member.marker}/{victim}")
    assert crashed is not None and crashed.signal(signal.SIGKILL)
    assert processes.gone([crashed], timeout=60)
    node.start()
    assert node.engine.running()
    assert processes.gone([container], timeout=60), "left behind"
    assert docker(node.engine, "ps", "-q") == ""
    docker(node.engine, "start", "one")


def test_leftover_pid_files_and_sockets_harm_nobody(nodes: list[Node]) -> None:
    engine = nodes[0].engine
    nodes[0].start()
    engine.kill()
    engine.run.mkdir(parents=True)
    with subprocess.Popen(["sleep", "600"]) as stranger:
        try:
            (engine.run / "docker.pid").write_text(str(stranger.pid))
            (engine.run / "containerd.sock").touch()
            (engine.run / "docker.sock").touch()
            nodes[0].start()
            assert engine.running()
            engine.kill()
            assert stranger.poll() is None
        finally:
            stranger.kill()


def test_an_engine_that_cannot_start_says_why(nodes: list[Node]) -> None:
    node = nodes[0]
    wiring.plug(node.cable, node.switch)
    node.engine.data.mkdir(parents=True)
    (node.engine.data / "docker").write_text("in the way")
    with pytest.raises(
        PermanentError, match=r"(?s)dockerd of .* ended.*points to a file"
    ) as caught:
        node.engine.start()
    assert "node-1-dockerd.log" in caught.value.hint
    assert node.engine.processes() == []


def test_nodes_reach_each_other_until_the_cable_is_cut(plan: Topology, nodes: list[Node]) -> None:
    for node in nodes:
        wiring.plug(node.cable, node.switch)
    one, two = nodes
    address = str(two.cable.address.ip)
    assert reaches(one, address)
    two.cut()
    two.cut()
    assert not two.connected()
    assert not reaches(one, address)
    two.heal()
    assert two.connected()
    assert wait_for(lambda: reaches(one, address), timeout=60)
    assert not list(Path("/sys/class/net").glob("pw*"))


def test_what_leads_nowhere_is_refused_and_not_silently_lost(nodes: list[Node]) -> None:
    """Or a pod that calls an address outside would wait for a timeout on a machine without a net."""
    wiring.plug(nodes[0].cable, nodes[0].switch)
    assert "via" in nodes[0].exec(["ip", "route", "get", "10.96.0.1"]).text


def test_power_is_lost_and_comes_back(nodes: list[Node], snapshot: Callable[..., object]) -> None:
    one, two = nodes
    before = snapshot()
    for node in nodes:
        node.start()
    container = run_container(one.engine, "one")
    other = run_container(two.engine, "two")
    docker(one.engine, "pause", "one")
    one.kill()
    assert not container.alive()
    assert one.processes() == []
    assert not one.member.run.exists()
    assert other.alive(), "its neighbour has other power"
    with pytest.raises(PermanentError, match="not running"):
        one.heal()

    one.start()
    assert wait_for(lambda: reaches(two, str(one.cable.address.ip)), timeout=60)
    docker(one.engine, "start", "one")
    for node in nodes:
        node.erase()
        node.erase()
    assert snapshot().added(before) == {}  # type: ignore[attr-defined]


def test_a_frozen_node_does_nothing_until_it_thaws(nodes: list[Node]) -> None:
    node = nodes[0]
    node.start()
    container = run_container(node.engine, "one")
    node.freeze()
    frozen = [container.pid, *(each.pid for each in node.processes())]
    assert wait_for(lambda: all(_state(pid) == "T" for pid in frozen), timeout=60)
    node.thaw()
    assert wait_for(lambda: _state(container.pid) != "T", timeout=60)
    assert wait_for(lambda: engines.answers(node.engine.socket), timeout=60)


def test_clusters_live_side_by_side(
    plan: Topology,
    machines: Callable[[Topology], list[Node]],
    removal: Callable[[Topology], None],
) -> None:
    same_name = topology.plan(plan.name, plan.state.with_name("other"), ["node-1"])
    removal(same_name)
    assert same_name.switch is not None
    try:
        wiring.make_switch(same_name.switch)
        mine, other = machines(plan)[0], machines(same_name)[0]
        mine.start()
        other.start()
        run_container(mine.engine, "one")
        assert docker(other.engine, "images", "-q") == ""
        container = run_container(other.engine, "one")
        mine.erase()
        assert container.alive()
        assert other.engine.running()
    finally:
        removal(same_name)


def _lines(node: Node, *argv: str) -> list[str]:
    return node.exec(argv).text.splitlines()


def _state(pid: int) -> str:
    return processes.parse_stat(Path(f"/proc/{pid}/stat").read_text()).state
