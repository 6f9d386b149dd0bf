"""Clusters for the tests of local/, and a picture of the machine to hold against what they leave."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import pytest

from local import topology
from local.host import processes, traces, wiring
from local.node import Node
from local.topology import Topology

FOLDER = Path("/tmp/podwright-local-tests")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    missing = [
        name for name in ("dockerd", "containerd", "nsenter", "ip") if not shutil.which(name)
    ]
    reason = "needs root" if os.geteuid() else f"missing: {', '.join(missing)}" if missing else ""
    for item in items:
        if reason and Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.skip(reason=reason))


@dataclass(frozen=True)
class Snapshot:
    """What a cluster could leave behind. Other suites may run meanwhile, so everything is narrowed
    to what bears podwright's name or lies in the test's folder."""

    links: frozenset[str]
    namespaces: frozenset[str]
    rules: frozenset[str]
    mounts: frozenset[str]
    cgroups: frozenset[str]
    processes: frozenset[str]
    folders: frozenset[str]

    @classmethod
    def take(cls, *slugs: str) -> Snapshot:
        def ours(lines: str) -> frozenset[str]:
            return frozenset(
                line for line in lines.splitlines() if any(slug in line for slug in slugs)
            )

        marked = [each for slug in slugs for each in processes.marked(slug)]
        links = _output("ip", "-o", "link").splitlines()
        return cls(
            links=frozenset(line.split(":")[1].split("@")[0] for line in links if "pw" in line),
            namespaces=ours(_output("ip", "netns", "list")),
            rules=ours(_output("iptables-save")),
            mounts=ours(Path("/proc/self/mountinfo").read_text()),
            cgroups=ours("\n".join(str(path) for path in Path("/sys/fs/cgroup").glob("*/*"))),
            processes=frozenset(str(each) for each in marked),
            folders=ours("\n".join(map(str, topology.RUN_ROOT.glob("*")))),
        )

    def added(self, before: Snapshot) -> dict[str, frozenset[str]]:
        added = {
            field.name: getattr(self, field.name) - getattr(before, field.name)
            for field in fields(self)
        }
        return {name: lines for name, lines in added.items() if lines}


def _output(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def make_nodes(plan: Topology) -> list[Node]:
    assert plan.switch is not None
    capacity = topology.Capacity(cpu=1, memory=2**30)
    return [
        Node(
            member=member,
            switch=plan.switch,
            cable=member.cable,
            capacity=capacity,
            server="https://192.0.2.1:6443",
        )
        for member in plan.nodes
        if member.cable is not None
    ]


def remove(plan: Topology) -> None:
    for node in make_nodes(plan):
        node.erase()
    if plan.switch is not None:
        wiring.remove_switch(plan.switch)
    traces.remove_folder(plan.run)
    traces.remove_folder(plan.state)


@pytest.fixture
def plan(request: pytest.FixtureRequest) -> Iterator[Topology]:
    """Two nodes that share a switch. What a killed earlier run left is removed first."""
    name = f"t-{request.node.name.removeprefix('test_')[:16].strip('_-').replace('_', '-')}"
    plan = topology.plan(name, FOLDER / name, topology.node_names(2))
    remove(plan)
    assert plan.switch is not None
    wiring.make_switch(plan.switch)
    try:
        yield plan
    finally:
        remove(plan)


@pytest.fixture
def nodes(plan: Topology) -> list[Node]:
    return make_nodes(plan)


@pytest.fixture
def machines() -> Callable[[Topology], list[Node]]:
    return make_nodes


@pytest.fixture
def removal() -> Callable[[Topology], None]:
    return remove


@pytest.fixture
def snapshot(plan: Topology) -> Callable[..., Snapshot]:
    """Of what bears the name of the test's cluster, or of others."""
    return lambda *slugs: Snapshot.take(*(slugs or (plan.slug,)))


@pytest.fixture
def snapshot_of() -> Callable[..., Snapshot]:
    return Snapshot.take
