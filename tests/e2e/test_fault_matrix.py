"""The fault matrix on real engines: each fault while nothing happens, while a Deployment is updated, and
while a pod is deleted (`docs/reliability.md` says which test is which cell).

A scene is three things on one node: an idle Deployment, one whose update begins as the fault comes,
and a pod whose deletion does. Short runs have all three at once, long ones each of them alone as well.
Afterwards everything is deleted, and the nodes have nothing that they did not have before.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest

from local.cluster import Cluster
from local.host import processes
from local.node import Node
from tests.e2e.conftest import Kubectl
from tests.e2e.leaks import docker, doubled, footprint
from tests.e2e.manifests import container, deployment, pod, service, web_container
from tests.engine import begin_dockerd, end_dockerd
from tests.thorough import LONG

COLUMNS = ("idle", "update", "delete")
AT = [("all-at-once", COLUMNS), *((each, (each,)) for each in COLUMNS if LONG)]
PARTITION = 30.0 if LONG else 20.0
NOTICED = 60.0
"""Seconds until an engine that is away must be told of."""
RESYNC = 60.0

Eventually = Callable[..., Any]
at_each = pytest.mark.parametrize("columns", [pytest.param(each, id=name) for name, each in AT])


@dataclass
class Scene:
    """What happens on one node while the fault is there."""

    kubectl: Kubectl
    eventually: Eventually
    node: Node
    columns: tuple[str, ...]
    before: dict[str, tuple[str, int]] = field(default_factory=dict)
    """(container id, restarts) by pod, of the idle ones."""
    restarted: bool = False
    """The fault takes containers along: each is restarted, once."""

    @property
    def idle(self) -> str:
        return f"idle-{self.node.name}"

    @property
    def rolling(self) -> str:
        return f"rolling-{self.node.name}"

    @property
    def leaving(self) -> str:
        return f"leaving-{self.node.name}"

    def apply(self) -> None:
        here = {"kubernetes.io/hostname": self.node.name}
        slow = container("trap 'sleep 2; exit 0' TERM; sleep 100000 & wait")
        web = web_container()
        if "idle" in self.columns:
            self.kubectl.apply(deployment(self.idle, 2, container(), nodeSelector=here))
        if "update" in self.columns:
            made = deployment(self.rolling, 2, web, nodeSelector=here)
            made["spec"]["strategy"] = {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
            self.kubectl.apply(made)
            self.kubectl.apply(service(self.rolling))
        if "delete" in self.columns:
            self.kubectl.apply(pod(self.leaving, slow, nodeSelector=here))

    def settle(self) -> None:
        """Until all of it runs."""
        for name in self.deployments():
            self.kubectl("rollout", "status", f"deployment/{name}", "--timeout=90s", timeout=100)
        if "delete" in self.columns:
            ready = ("--for=condition=Ready", f"pod/{self.leaving}", "--timeout=60s")
            self.kubectl("wait", *ready, timeout=70)
        if "idle" in self.columns:
            self.before = self.containers()

    def begin(self) -> None:
        """The update and the deletion, just before the fault."""
        if "update" in self.columns:
            self.kubectl("set", "env", f"deployment/{self.rolling}", "VERSION=2")
        if "delete" in self.columns:
            self.kubectl("delete", "pod", self.leaving, "--wait=false")

    def during(self) -> None:
        """Holds at every moment of the fault: nobody is evicted, no more than may be is gone."""
        found = self.kubectl.json("get", "pods")["items"]
        for each in found:
            assert each["status"].get("reason") != "Evicted"
            ended = each["status"]["phase"] == "Failed"
            assert not ended or "deletionTimestamp" in each["metadata"]
        if "idle" in self.columns:
            mine = [each for each in found if each["metadata"]["labels"]["app"] == self.idle]
            assert not [each for each in mine if "deletionTimestamp" in each["metadata"]]
        if "update" in self.columns:
            mine = [each for each in found if each["metadata"]["labels"]["app"] == self.rolling]
            staying = [each for each in mine if "deletionTimestamp" not in each["metadata"]]
            assert len(staying) >= 2, "maxUnavailable is 0"
            told = self.kubectl.json("get", "deployment", self.rolling)["status"]["conditions"]
            (progressing,) = (each for each in told if each["type"] == "Progressing")
            assert progressing["status"] == "True", "it waits, and has not failed"

    def check(self) -> None:
        """After the fault."""
        if "idle" in self.columns:
            self.eventually(self.as_before)
        if "update" in self.columns:
            self.eventually(self.updated, 240)
        if "delete" in self.columns:
            gone = lambda: self.leaving not in self.kubectl("get", "pods", check=False)  # noqa: E731
            self.eventually(gone, 180)
        self.eventually(lambda: not doubled(self.node, self.kubectl.namespace))

    def as_before(self) -> bool:
        now = self.containers()
        if self.restarted:
            assert {name: count for name, (_, count) in now.items()} == dict.fromkeys(
                self.before, 1
            )
        else:
            assert now == self.before
        ready = self.kubectl("get", "deployment", self.idle, "-o=jsonpath={.status.readyReplicas}")
        return ready == "2"

    def updated(self) -> bool:
        status = self.kubectl.json("get", "deployment", self.rolling)["status"]
        pods = self.kubectl.json("get", "pods", "-l", f"app={self.rolling}")["items"]
        new = [each for each in pods if _version(each) == "2"]
        return len(pods) == len(new) == 2 == status.get("availableReplicas")

    def deployments(self) -> list[str]:
        names = {"idle": self.idle, "update": self.rolling}
        return [name for column, name in names.items() if column in self.columns]

    def containers(self) -> dict[str, tuple[str, int]]:
        pods = self.kubectl.json("get", "pods", "-l", f"app={self.idle}")["items"]
        every = [
            (each["metadata"]["name"], each["status"]["containerStatuses"][0]) for each in pods
        ]
        return {name: (one["containerID"], one["restartCount"]) for name, one in every}


def _version(found: dict[str, Any]) -> str:
    env = found["spec"]["containers"][0].get("env", [])
    return next((each["value"] for each in env if each["name"] == "VERSION"), "")


class Stage:
    """Scenes on some nodes, and what was there before them."""

    def __init__(self, cluster: Cluster, kubectl: Kubectl, eventually: Eventually) -> None:
        self.cluster, self.kubectl, self.eventually = cluster, kubectl, eventually
        self.bare = footprint(cluster)
        self.scenes: dict[str, Scene] = {}

    def set(self, columns: tuple[str, ...], *nodes: str) -> None:
        for name in nodes:
            node = self.cluster.node(name)
            assert isinstance(node, Node)
            self.scenes[name] = Scene(self.kubectl, self.eventually, node, columns)
        for scene in self.scenes.values():
            scene.apply()
        for scene in self.scenes.values():
            scene.settle()

    def begin(self) -> None:
        for scene in self.scenes.values():
            scene.begin()

    def during(self) -> None:
        next(iter(self.scenes.values())).during()
        for scene in self.scenes.values():
            scene.during()

    def check(self) -> None:
        for scene in self.scenes.values():
            scene.check()

    def clear(self) -> None:
        """Delete everything: nothing of it stays on any node."""
        self.kubectl("delete", "deployments,services,pods", "--all", "--wait=false")
        self.eventually(lambda: self.kubectl("get", "pods", "-o", "name") == "", 120)

        def clean() -> bool:
            left = sorted(footprint(self.cluster) - self.bare)
            assert left == [], "\n".join(left)
            return True

        self.eventually(clean, 180, interval=1.0)


@pytest.fixture
def stage(cluster: Cluster, kubectl: Kubectl, eventually: Eventually) -> Iterator[Stage]:
    made = Stage(cluster, kubectl, eventually)
    yield made


def ready(kubectl: Kubectl, node: str) -> tuple[str, str]:
    """Status and reason of a node's Ready condition."""
    found = kubectl.json("get", "node", node)["status"]["conditions"]
    (one,) = (each for each in found if each["type"] == "Ready")
    return one["status"], one["reason"]


@at_each
def test_the_control_plane_is_killed(stage: Stage, columns: tuple[str, ...]) -> None:
    stage.set(columns, "node-2")
    stage.begin()
    stage.cluster.kill_control()
    stage.cluster.start_control()
    stage.eventually(lambda: stage.kubectl("get", "--raw", "/readyz") == "ok")
    stage.during()
    stage.check()
    stage.clear()


@at_each
def test_an_agent_is_killed(stage: Stage, columns: tuple[str, ...]) -> None:
    stage.set(columns, "node-2")
    stage.begin()
    for _ in range(3):
        stage.cluster.kill_agent("node-2")
        stage.cluster.start_agent("node-2")
        stage.during()
    stage.check()
    stage.clear()


@at_each
def test_engines_go_away_and_come_back(stage: Stage, columns: tuple[str, ...]) -> None:
    """One with live-restore, one without, and one that is frozen; on a node each."""
    kept, taken, frozen = (stage.cluster.node(f"node-{n}") for n in (1, 2, 3))
    live_restore(kept, on=True)
    try:
        stage.set(columns, kept.name, taken.name, frozen.name)
        stage.scenes[taken.name].restarted = True
        stage.begin()
        daemon = processes.daemon(f"{frozen.engine.marker}/dockerd")
        assert daemon is not None
        daemon.signal(signal.SIGSTOP)
        again: dict[Any, list[str]] = {}
        try:
            with ThreadPoolExecutor() as pool:  # one of them takes its time: it ends its containers
                ends = {
                    n: pool.submit(end_dockerd, n.engine, signal.SIGTERM) for n in (kept, taken)
                }
                again = {node: ended.result() for node, ended in ends.items()}
            told = {
                kept.name: "RuntimeDown",
                taken.name: "RuntimeDown",
                frozen.name: "RuntimeStuck",
            }
            for name, reason in told.items():
                wanted = ("False", reason)
                stage.eventually(lambda n=name, w=wanted: ready(stage.kubectl, n) == w, NOTICED)
            stage.during()
            agent_tells_the_rest(stage.kubectl, frozen.name)
        finally:
            daemon.signal(signal.SIGCONT)
            for node, argv in again.items():
                begin_dockerd(node.engine, argv)
        for name in told:
            stage.eventually(lambda n=name: ready(stage.kubectl, n)[0] == "True")
        stage.check()
        stage.clear()
    finally:
        live_restore(kept, on=False)


def agent_tells_the_rest(kubectl: Kubectl, node: str) -> None:
    """A frozen engine is told apart from a dead agent."""
    found = kubectl.json("get", "node", node)["status"]["conditions"]
    by_type = {each["type"]: each for each in found}
    assert by_type["Ready"]["message"].endswith(
        "it takes connections, but has not answered within 10 s. The agent itself works"
    )
    assert by_type["RuntimeReady"]["reason"] == "RuntimeStuck"
    assert by_type["DiskPressure"]["status"] == "False"


def live_restore(node: Any, *, on: bool) -> None:
    """Whether the node's containers outlive its dockerd; it heeds that without a restart."""
    (node.engine.run / "daemon.json").write_text(json.dumps({"live-restore": on}))
    daemon = processes.daemon(f"{node.engine.marker}/dockerd")
    assert daemon is not None
    daemon.signal(signal.SIGHUP)
    end = time.monotonic() + 60
    while docker(node, "info", "--format={{.LiveRestoreEnabled}}") != [str(on).lower()]:
        assert time.monotonic() < end
        time.sleep(0.1)


@at_each
def test_a_short_partition(stage: Stage, columns: tuple[str, ...]) -> None:
    """Shorter than the grace of the node monitor: nobody notices, and what was begun is finished."""
    stage.set(columns, "node-2")
    stage.begin()
    stage.cluster.cut("node-2")
    try:
        end = time.monotonic() + PARTITION
        while time.monotonic() < end:
            stage.during()
            assert ready(stage.kubectl, "node-2")[0] == "True"
            time.sleep(3)
    finally:
        stage.cluster.heal("node-2")
    stage.check()
    stage.clear()


@at_each
def test_the_power_of_a_node_fails(stage: Stage, columns: tuple[str, ...]) -> None:
    """Everything on it ends in one instant; it comes back before anybody gave it up."""
    stage.set(columns, "node-3")
    stage.scenes["node-3"].restarted = True
    stage.begin()
    stage.cluster.kill("node-3")
    stage.cluster.start_node("node-3")
    stage.during()
    stage.check()
    stage.clear()


FOREIGN = ("-p", "tcp", "-m", "tcp", "--dport", "9999", "-j", "DROP")


def test_a_firewall_is_flushed_and_a_foreign_chain_put_first(
    stage: Stage, cluster: Cluster, kubectl: Kubectl, eventually: Eventually
) -> None:
    """What a reload of another firewall does: the VIP is back, and the other's rules are as they were."""
    kubectl.apply(deployment("web", 2))
    kubectl.apply(service("web"))
    kubectl("rollout", "status", "deployment/web", "--timeout=90s", timeout=100)
    url = f"http://{kubectl.json('get', 'service', 'web')['spec']['clusterIP']}/cgi-bin/who"

    def answers() -> bool:
        return cluster.fetch("node-1", url).startswith("web-")

    def iptables(*argv: str) -> str:
        done = cluster.exec("node-1", ["iptables", *argv])
        assert done.returncode == 0, done.text
        return done.text

    eventually(answers)
    try:
        for table in ("nat", "mangle", "filter"):
            iptables("-t", table, "-F")
        iptables("-N", "FOREIGN")
        iptables("-A", "FOREIGN", *FOREIGN)
        iptables("-I", "INPUT", "1", "-j", "FOREIGN")
        iptables("-I", "FORWARD", "1", "-j", "FOREIGN")
        eventually(answers, RESYNC)
        time.sleep(1)  # whoever repairs has looked again
        assert iptables("-S", "FOREIGN").splitlines()[1:] == [f"-A FOREIGN {' '.join(FOREIGN)}"]
        for chain in ("INPUT", "FORWARD"):
            assert iptables("-S", chain).count("-j FOREIGN") == 1
    finally:
        for chain in ("INPUT", "FORWARD"):
            iptables("-D", chain, "-j", "FOREIGN")
        iptables("-F", "FOREIGN")
        iptables("-X", "FOREIGN")
    stage.clear()
