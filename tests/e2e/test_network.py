"""Pods, Services and names across three nodes."""

import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from local.cluster import Cluster
from tests.e2e.conftest import Kubectl
from tests.e2e.manifests import container, deployment, pod, service, web_container

Eventually = Callable[..., Any]


def rolled_out(kubectl: Kubectl, name: str) -> None:
    kubectl("rollout", "status", f"deployment/{name}", "--timeout=90s", timeout=100)


def addresses(kubectl: Kubectl, name: str) -> list[str]:
    """The ready addresses behind a Service."""
    slices = kubectl.json("get", "endpointslices", "-l", f"kubernetes.io/service-name={name}")
    return sorted(
        address
        for piece in slices["items"]
        for endpoint in piece.get("endpoints") or ()
        if endpoint["conditions"].get("ready")
        for address in endpoint["addresses"]
    )


def who(kubectl: Kubectl, client: str, target: str) -> tuple[str, str]:
    """(hostname of the server, address it was asked from), asked from a pod."""
    # Not `wget -T`: in Debian's static busybox it ends in a segmentation fault.
    command = ("timeout", "5", "wget", "-qO-", f"http://{target}/cgi-bin/who")
    host, source = kubectl("exec", client, "--", *command).split()
    return host, source.removeprefix("[::ffff:").removesuffix("]")


@pytest.fixture
def web(kubectl: Kubectl, eventually: Eventually) -> str:
    """Three web pods on three nodes behind a Service; returns the cluster IP."""
    kubectl.apply(deployment("web", 3))
    kubectl.apply(service("web"))
    rolled_out(kubectl, "web")
    eventually(lambda: len(addresses(kubectl, "web")) == 3)
    cluster_ip: str = kubectl.json("get", "service", "web")["spec"]["clusterIP"]
    return cluster_ip


@pytest.fixture
def client(kubectl: Kubectl) -> str:
    kubectl.apply(pod("client", container()))
    kubectl("wait", "--for=condition=Ready", "pod/client", "--timeout=60s", timeout=70)
    return "client"


def test_pod_to_pod_across_nodes_without_nat(
    kubectl: Kubectl, eventually: Eventually, web: str, client: str
) -> None:
    me = kubectl.json("get", "pod", client)
    pods = kubectl.json("get", "pods", "-l", "app=web")["items"]
    assert len({p["spec"]["nodeName"] for p in pods}) == 3
    for server in pods:
        target = f"{server['status']['podIP']}:8080"
        host, source = eventually(lambda target=target: who(kubectl, client, target))
        assert host == server["metadata"]["name"]
        assert source == me["status"]["podIP"], "the server sees the client's own address"


def test_the_vip_spreads_over_all_endpoints(
    kubectl: Kubectl, eventually: Eventually, cluster: Cluster, web: str, client: str
) -> None:
    def from_pod() -> bool:
        found = Counter(who(kubectl, client, web)[0] for _ in range(30))
        assert len(found) == 3, found
        return True

    def from_node() -> bool:
        url = f"http://{web}/cgi-bin/who"
        found = Counter(cluster.fetch("node-1", url).split()[0] for _ in range(30))
        assert len(found) == 3, found
        return True

    eventually(from_pod)
    eventually(from_node)


def test_readiness_takes_a_pod_out_and_puts_it_back(
    kubectl: Kubectl, eventually: Eventually, client: str
) -> None:
    probe = {
        "exec": {"command": ["test", "!", "-e", "/tmp/unready"]},
        "periodSeconds": 1,
        "failureThreshold": 1,
    }
    kubectl.apply(deployment("web", 2, web_container(readinessProbe=probe)))
    kubectl.apply(service("web"))
    rolled_out(kubectl, "web")
    eventually(lambda: len(addresses(kubectl, "web")) == 2)
    first, second = (
        p["metadata"]["name"] for p in kubectl.json("get", "pods", "-l", "app=web")["items"]
    )
    kubectl("exec", first, "--", "touch", "/tmp/unready")
    eventually(lambda: len(addresses(kubectl, "web")) == 1)

    def only_second() -> bool:
        return {who(kubectl, client, "web")[0] for _ in range(6)} == {second}

    eventually(only_second)
    kubectl("exec", first, "--", "rm", "/tmp/unready")
    eventually(lambda: len(addresses(kubectl, "web")) == 2)
    eventually(lambda: {who(kubectl, client, "web")[0] for _ in range(12)} == {first, second})


def test_nobody_behind_a_service_is_told_at_once(
    kubectl: Kubectl, eventually: Eventually, client: str
) -> None:
    kubectl.apply(service("empty"))
    target = kubectl.json("get", "service", "empty")["spec"]["clusterIP"]

    def refused() -> bool:
        script = f"timeout 10 wget -qO- http://{target}/ 2>&1; true"
        began = time.monotonic()
        told = kubectl("exec", client, "--", "sh", "-c", script)
        return "refused" in told and time.monotonic() - began < 5

    eventually(refused)


def test_a_pod_reaches_itself_through_its_service(kubectl: Kubectl, eventually: Eventually) -> None:
    kubectl.apply(deployment("web", 1))
    kubectl.apply(service("web"))
    rolled_out(kubectl, "web")
    eventually(lambda: len(addresses(kubectl, "web")) == 1)
    (only,) = kubectl.json("get", "pods", "-l", "app=web")["items"]
    name = only["metadata"]["name"]
    eventually(lambda: who(kubectl, name, "web")[0] == name)


def test_names(
    kubectl: Kubectl, eventually: Eventually, web: str, client: str, namespace: str
) -> None:
    kubectl.apply(service("each", "web", clusterIP="None"))

    def lookup(name: str) -> set[str]:
        told = kubectl("exec", client, "--", "nslookup", name)
        answers = told.split("Name:", 1)[1] if "Name:" in told else ""
        return set(re.findall(r"\d+\.\d+\.\d+\.\d+", answers))

    for name in ("web", f"web.{namespace}", f"web.{namespace}.svc.cluster.local"):
        eventually(lambda name=name: who(kubectl, client, name)[0].startswith("web-"))
    eventually(lambda: lookup(f"web.{namespace}.svc.cluster.local") == {web})
    eventually(lambda: lookup("kubernetes.default.svc.cluster.local") == {"10.96.0.1"})
    everybody = set(addresses(kubectl, "web"))
    eventually(lambda: lookup(f"each.{namespace}.svc.cluster.local") == everybody)


def test_the_api_is_reached_from_a_pod(
    kubectl: Kubectl, eventually: Eventually, client: str
) -> None:
    script = "nc -w 3 $KUBERNETES_SERVICE_HOST $KUBERNETES_SERVICE_PORT </dev/null && echo open"
    eventually(lambda: kubectl("exec", client, "--", "sh", "-c", script) == "open\n")


def test_node_port_on_every_node(
    kubectl: Kubectl, eventually: Eventually, cluster: Cluster, web: str
) -> None:
    kubectl.apply(service("outside", "web", type="NodePort"))
    port = kubectl.json("get", "service", "outside")["spec"]["ports"][0]["nodePort"]
    assert 30000 <= port <= 32767
    nodes = kubectl.json("get", "nodes")["items"]
    for node in nodes:
        address = next(
            a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP"
        )
        url = f"http://{address}:{port}/cgi-bin/who"
        eventually(lambda url=url: cluster.fetch("node-2", url).startswith("web-"))


def test_udp_through_a_service(
    kubectl: Kubectl, eventually: Eventually, cluster: Cluster, namespace: str
) -> None:
    """The server is a socket on a node, behind a slice written by hand: busybox speaks no UDP."""
    cable = cluster.topology.node("node-2").cable
    assert cable is not None
    kubectl.apply(udp_service("echo", port=7))
    kubectl.apply(udp_slice("echo", namespace, address=str(cable.address.ip), port=9000))
    vip = kubectl.json("get", "service", "echo")["spec"]["clusterIP"]

    def asked() -> bool:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(1)
            client.sendto(b"ping", (vip, 7))
            return client.recvfrom(100) == (b"gnip", (vip, 7))

    with echoing(cluster, "node-2", 9000):
        eventually(lambda: cluster.node("node-1").inside(asked))


def udp_service(name: str, *, port: int) -> dict[str, Any]:
    ports = [{"name": "echo", "port": port, "protocol": "UDP"}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"ports": ports},
    }


def udp_slice(name: str, namespace: str, *, address: str, port: int) -> dict[str, Any]:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{name}-by-hand",
            "namespace": namespace,
            "labels": {"kubernetes.io/service-name": name},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address]}],
        "ports": [{"name": "echo", "port": port, "protocol": "UDP"}],
    }


@contextmanager
def echoing(cluster: Cluster, node: str, port: int) -> Iterator[None]:
    """A server on the node that answers each datagram with its bytes turned around."""

    def bound() -> socket.socket:
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind(("0.0.0.0", port))
        server.settimeout(0.2)
        return server

    def serve() -> None:
        while not stop.is_set():
            try:
                data, sender = server.recvfrom(100)
            except TimeoutError:
                continue
            server.sendto(data[::-1], sender)

    stop = threading.Event()
    server = cluster.node(node).inside(bound)  # where it was opened is where it stays
    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        server.close()
