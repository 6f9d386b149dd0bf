"""Clusters before their daemons: made, grown, half made by a killed command, and gone without a trace."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.containers.interface import Runtime
from base.errors import PermanentError
from local import state, topology
from local.cluster import Cluster
from local.host import images, traces, wiring
from local.machine import MachineNode
from local.state import EngineOrigin

FOLDER = Path("/tmp/podwright-local-tests/cluster")


@pytest.fixture
def folder() -> Iterator[Path]:
    yield from _clean(FOLDER)


def _clean(folder: Path) -> Iterator[Path]:
    for _ in range(2):
        if found := Cluster.find(folder):
            found.destroy()
    try:
        yield folder
    finally:
        if found := Cluster.find(folder):
            found.destroy()
        traces.remove_folder(folder)


def power_on(cluster: Cluster) -> None:
    assert cluster.topology.switch is not None
    wiring.make_switch(cluster.topology.switch)
    for node in cluster.nodes:
        node.start()


def test_a_killed_up_leaves_nothing_that_down_does_not_find(
    folder: Path, snapshot_of: Callable[..., object]
) -> None:
    cluster = Cluster.create("t-killed", 2, folder)
    slug = cluster.topology.slug
    before = snapshot_of(slug)
    power_on(cluster)
    # As after a SIGKILL in the middle of the second node: its namespace is there and nothing else.
    assert cluster.topology.switch is not None
    cluster.node("node-2").kill()
    cable = cluster.node("node-2").member.cable
    assert cable is not None
    wiring.plug(cable, cluster.topology.switch)

    found = Cluster.find(folder)
    assert found == cluster
    found.destroy()
    assert snapshot_of(slug).added(before) == {}  # type: ignore[attr-defined]
    assert not folder.exists()
    assert Cluster.find(folder) is None


def test_a_cluster_grows_but_does_not_shrink_or_change_its_name(folder: Path) -> None:
    small = Cluster.create("t-grows", 1, folder)
    grown = Cluster.create("t-grows", 3, folder)
    assert grown.description.nodes == ["node-1", "node-2", "node-3"]
    assert grown.description.port == small.description.port
    assert grown.node("node-1").member == small.node("node-1").member
    with pytest.raises(PermanentError, match="has 3 nodes, not 2"):
        Cluster.create("t-grows", 2, folder)
    with pytest.raises(PermanentError, match="is called 't-grows'"):
        Cluster.create("t-other", 3, folder)
    with pytest.raises(PermanentError, match="has namespace nodes"):
        Cluster.create_machine("t-grows", folder)


def test_while_one_command_changes_a_cluster_another_is_refused(folder: Path) -> None:
    cluster = Cluster.create("t-locked", 1, folder)
    with state.locked(folder), pytest.raises(PermanentError, match="another command"):
        cluster.destroy()


def test_images_are_made_in_nodes_and_carried_between_engines(folder: Path) -> None:
    cluster = Cluster.create("t-images", 2, folder)
    power_on(cluster)
    one, two = cluster.nodes
    cluster.load_image(images.HELLO_IMAGE, nodes=["node-1"])
    cluster.load_image(images.HELLO_IMAGE, nodes=["node-1"])
    subprocess.run(
        ["docker", "-H", one.engine.url, "tag", images.HELLO_IMAGE, "mine:7"], check=True
    )
    cluster.load_image("mine:7", nodes=["node-2"], source=one.engine.url)
    listed = subprocess.run(
        ["docker", "-H", two.engine.url, "images", "--format", "{{.Repository}}:{{.Tag}}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert listed.stdout.split() == ["mine:7"]
    with pytest.raises(PermanentError, match="no image 'nobodys:1'"):
        cluster.load_image("nobodys:1", source=one.engine.url)
    subprocess.run(
        ["docker", "-H", two.engine.url, "run", "-d", "--name=hello", "--net=none", "mine:7"],
        check=True,
    )
    hello = ["wget", "-qO-", "http://127.0.0.1:8080/"]
    answer = subprocess.run(
        [
            "docker",
            "-H",
            two.engine.url,
            "exec",
            "hello",
            "sh",
            "-c",
            f"for n in $(seq 100); do {' '.join(hello)} && break; sleep 0.2; done",
        ],
        capture_output=True,
        text=True,
    )
    assert answer.stdout.startswith("Hello from "), answer.stderr
    # Its process 1 heeds TERM, which busybox httpd alone would not.
    subprocess.run(
        ["docker", "-H", two.engine.url, "stop", "-t", "30", "hello"], check=True, timeout=25
    )


def test_an_engine_of_our_own_leaves_the_machines_network_alone(
    folder: Path, snapshot_of: Callable[..., object]
) -> None:
    plan = topology.plan_machine("t-machine", folder, "here")
    node = MachineNode(
        member=plan.nodes[0], origin=EngineOrigin.OWN, server="https://127.0.0.1:6443"
    )
    node.erase()
    before, picture = snapshot_of(plan.slug), network()
    try:
        node.start()
        node.start()
        assert node.engine.running()
        assert network() == picture
        images.with_engines([node.engine.url], build)
        node.agent.stop()  # there is none
        with pytest.raises(PermanentError, match="is this machine itself"):
            node.kill()
    finally:
        node.erase()
    assert network() == picture
    assert snapshot_of(plan.slug).added(before) == {}  # type: ignore[attr-defined]


async def build(runtimes: list[Runtime]) -> None:
    await images.build(runtimes[0])


def network() -> tuple[str, ...]:
    """The machine's own network, as an engine would change it."""
    links = {path.name for path in Path("/sys/class/net").iterdir()}
    rules = subprocess.run(["iptables-save"], capture_output=True, text=True, check=True).stdout
    chains = {line for line in rules.splitlines() if "DOCKER" in line}
    forwarding = Path("/proc/sys/net/ipv4/ip_forward").read_text()
    return (*sorted(links & {"docker0"}), *sorted(chains), forwarding)
