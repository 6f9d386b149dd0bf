"""Updates under load, and losing things: nodes, cables, agents, the control plane."""

import random
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from local.cluster import Cluster
from tests.e2e.conftest import Kubectl
from tests.e2e.leaks import docker
from tests.e2e.manifests import container, deployment, pod, service, tolerates_loss, web_container
from tests.e2e.test_network import addresses, rolled_out

Eventually = Callable[..., Any]


def containers_of(cluster: Cluster, kubectl: Kubectl, selector: str) -> dict[str, tuple[str, int]]:
    """(container id, restarts) by pod name."""
    pods = kubectl.json("get", "pods", "-l", selector)["items"]
    return {
        p["metadata"]["name"]: (
            p["status"]["containerStatuses"][0]["containerID"],
            p["status"]["containerStatuses"][0]["restartCount"],
        )
        for p in pods
    }


@contextmanager
def asking(cluster: Cluster, vip: str) -> Iterator[list[str]]:
    """Ask a VIP from a node, again and again. The list has all answers once this is over."""
    stop = threading.Event()
    answers: list[str] = []

    def ask() -> None:
        while not stop.is_set():
            try:
                answers.append(cluster.fetch("node-1", f"http://{vip}/cgi-bin/who"))
            except OSError as error:
                answers.append(repr(error))

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    try:
        yield answers
    finally:
        stop.set()
        thread.join(timeout=60)
        assert not thread.is_alive()


def test_a_rolling_update_fails_no_request(
    kubectl: Kubectl, eventually: Eventually, cluster: Cluster
) -> None:
    # Rules need a moment to leave every node: the usual preStop sleep covers it.
    web = web_container(lifecycle={"preStop": {"exec": {"command": ["sleep", "8"]}}})
    kubectl.apply(deployment("web", 3, web, terminationGracePeriodSeconds=20))
    kubectl.apply(service("web"))
    rolled_out(kubectl, "web")
    eventually(lambda: len(addresses(kubectl, "web")) == 3)
    vip = kubectl.json("get", "service", "web")["spec"]["clusterIP"]
    eventually(lambda: cluster.fetch("node-1", f"http://{vip}/cgi-bin/who").startswith("web-"))
    with asking(cluster, vip) as answers:
        for version in ("2", "3"):
            kubectl("set", "env", "deployment/web", f"VERSION={version}")
            rolled_out(kubectl, "web")
        # Their ends are the moments that matter.
        eventually(lambda: len(kubectl.json("get", "pods", "-l", "app=web")["items"]) == 3)
    assert answers
    assert [answer for answer in answers if not answer.startswith("web-")] == []


def test_a_killed_agent_changes_nothing(
    kubectl: Kubectl, eventually: Eventually, cluster: Cluster
) -> None:
    kubectl.apply(deployment("web", 3))
    kubectl.apply(service("web"))
    rolled_out(kubectl, "web")
    before = containers_of(cluster, kubectl, "app=web")
    vip = kubectl.json("get", "service", "web")["spec"]["clusterIP"]
    url = f"http://{vip}/cgi-bin/who"
    eventually(lambda: cluster.fetch("node-1", url).startswith("web-"))
    for node in cluster.nodes:
        cluster.kill_agent(node.name)
    assert cluster.fetch("node-1", url).startswith("web-")
    for node in cluster.nodes:
        cluster.start_agent(node.name)
    kubectl("scale", "deployment/web", "--replicas=4")
    rolled_out(kubectl, "web")
    after = containers_of(cluster, kubectl, "app=web")
    assert {name: after[name] for name in before} == before


def test_pods_outlive_the_control_plane(
    kubectl: Kubectl, eventually: Eventually, cluster: Cluster
) -> None:
    kubectl.apply(deployment("web", 2))
    kubectl.apply(service("web"))
    rolled_out(kubectl, "web")
    eventually(lambda: len(addresses(kubectl, "web")) == 2)
    before = containers_of(cluster, kubectl, "app=web")
    vip = kubectl.json("get", "service", "web")["spec"]["clusterIP"]
    url = f"http://{vip}/cgi-bin/who"
    eventually(lambda: cluster.fetch("node-1", url).startswith("web-"))
    cluster.kill_control()
    cluster.kill_agent("node-1")
    cluster.start_agent("node-1")  # it must manage from its checkpoints
    for _ in range(5):
        assert cluster.fetch("node-1", url).startswith("web-")
    cluster.start_control()
    eventually(lambda: kubectl("get", "--raw", "/readyz") == "ok")
    kubectl("scale", "deployment/web", "--replicas=3")
    rolled_out(kubectl, "web")
    after = containers_of(cluster, kubectl, "app=web")
    assert {name: after[name] for name in before} == before


def test_pods_of_a_lost_node_are_replaced(
    kubectl: Kubectl, eventually: Eventually, cluster: Cluster
) -> None:
    kubectl.apply(deployment("web", 3, tolerations=tolerates_loss(3)))
    kubectl.apply(service("web"))
    rolled_out(kubectl, "web")
    cluster.kill("node-3")

    def not_ready() -> bool:
        return "NotReady" in kubectl("get", "node", "node-3", "--no-headers")

    eventually(not_ready, 180)

    def replaced() -> bool:
        pods = kubectl.json("get", "pods", "-l", "app=web")["items"]
        alive = [p for p in pods if not p["metadata"].get("deletionTimestamp")]
        ready = [p for p in alive if p["spec"].get("nodeName") != "node-3"]
        return len(ready) == 3 and len(addresses(kubectl, "web")) == 3

    eventually(replaced, 120)
    cluster.start_node("node-3")
    eventually(lambda: not not_ready(), 120)
    eventually(lambda: len(kubectl.json("get", "pods", "-l", "app=web")["items"]) == 3, 120)


def test_a_cut_cable_heals(kubectl: Kubectl, eventually: Eventually, cluster: Cluster) -> None:
    """Who tolerates it stays, who does not is replaced, who was deleted waits; then all is put right."""
    web = web_container()
    kubectl.apply(deployment("web", 3))
    kubectl.apply(deployment("moving", 3, web, tolerations=tolerates_loss(2)))
    kubectl.apply(pod("leaving", container(), nodeName="node-2"))
    rolled_out(kubectl, "web")
    rolled_out(kubectl, "moving")
    kubectl("wait", "--for=condition=Ready", "pod/leaving", "--timeout=60s", timeout=70)
    before = containers_of(cluster, kubectl, "app=web")
    cluster.cut("node-2")
    kubectl("delete", "pod", "leaving", "--wait=false")
    kubectl("set", "env", "deployment/moving", "VERSION=2")
    eventually(lambda: "NotReady" in kubectl("get", "node", "node-2", "--no-headers"), 180)

    def moved() -> bool:
        pods = kubectl.json("get", "pods", "-l", "app=moving")["items"]
        alive = [p for p in pods if not p["metadata"].get("deletionTimestamp")]
        return len(alive) == 3 and all(
            p["spec"].get("nodeName") != "node-2" and p["status"]["phase"] == "Running"
            for p in alive
        )

    eventually(moved, 120)
    assert "Terminating" in kubectl("get", "pod", "leaving"), "nobody knows whether it has ended"
    there = "\n".join(docker(cluster.node("node-2"), "ps", "--format={{.Names}}"))
    assert "_moving-" in there and "_leaving_" in there, "cut off, it went on"
    cluster.heal("node-2")
    eventually(lambda: "NotReady" not in kubectl("get", "node", "node-2", "--no-headers"), 120)

    def put_right() -> bool:
        assert len(kubectl.json("get", "pods", "-l", "app=moving")["items"]) == 3
        assert "leaving" not in kubectl("get", "pods", "--no-headers")
        rolled_out(kubectl, "moving")
        there = "\n".join(docker(cluster.node("node-2"), "ps", "-a", "--format={{.Names}}"))
        return "_moving-" not in there and "_leaving_" not in there

    eventually(put_right, 120)
    rolled_out(kubectl, "web")
    assert containers_of(cluster, kubectl, "app=web") == before, "tolerated for 300 s: nobody moved"


def test_kills_at_random_points_and_everything_converges(
    kubectl: Kubectl, eventually: Eventually, cluster: Cluster, long_run: bool
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    kubectl.apply(deployment("web", 4))
    kubectl.apply(service("web"))
    rolled_out(kubectl, "web")
    nodes = [node.name for node in cluster.nodes]
    for number in range(30 if long_run else 4):
        retry = ["set", "env", "deployment/web", f"ROUND={number}"]
        eventually(lambda retry=retry: kubectl(*retry), 120)
        time.sleep(chance.uniform(0, 3))
        victim = chance.choice(["control", *nodes])
        if victim == "control":
            cluster.kill_control()
            cluster.start_control()
        else:
            cluster.kill_agent(victim)
            cluster.start_agent(victim)

    def settled() -> bool:
        kubectl("rollout", "status", "deployment/web", "--timeout=5s", timeout=20)
        pods = kubectl.json("get", "pods", "-l", "app=web")["items"]
        mine = {p["status"]["podIP"] for p in pods if not p["metadata"].get("deletionTimestamp")}
        return len(pods) == 4 and len(mine) == 4 and sorted(mine) == addresses(kubectl, "web")

    eventually(settled, 240)

    def nothing_left_over() -> bool:
        pods = kubectl.json("get", "pods", "-A")["items"]
        wanted = sum(len(p["spec"]["containers"]) + 1 for p in pods)
        running = sum(len(running_containers(cluster, name)) for name in nodes)
        return running == wanted

    eventually(nothing_left_over, 120)


def running_containers(cluster: Cluster, node: str) -> list[str]:
    """Ids of the containers that a node's own engine runs."""
    socket = cluster.node(node).engine.socket
    command = ["docker", "-H", f"unix://{socket}", "ps", "-q"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    return done.stdout.split()


def test_a_pod_deleted_while_its_agent_was_down_goes(
    kubectl: Kubectl, eventually: Eventually, cluster: Cluster
) -> None:
    kubectl.apply(pod("gone", container(), nodeName="node-2"))
    kubectl("wait", "--for=condition=Ready", "pod/gone", "--timeout=60s", timeout=70)
    cluster.kill_agent("node-2")
    kubectl("delete", "pod", "gone", "--wait=false")
    assert "Terminating" in kubectl("get", "pod", "gone")
    cluster.start_agent("node-2")
    eventually(lambda: "gone" not in kubectl("get", "pods", "--no-headers", check=False))
