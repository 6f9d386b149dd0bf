"""Pods, Services and names across three nodes."""

import re
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from local.cluster import Cluster
from tests.e2e.conftest import Kubectl
from tests.e2e.manifests import BUSYBOX, container, deployment, pod, service, web_container

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
    command = ("wget", "-T", "3", "-qO-", f"http://{target}/cgi-bin/who")
    host, source = kubectl("exec", client, "--", *command).split()
    return host, source


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


def test_pod_to_pod_across_nodes_without_nat(kubectl: Kubectl, web: str, client: str) -> None:
    me = kubectl.json("get", "pod", client)
    pods = kubectl.json("get", "pods", "-l", "app=web")["items"]
    assert len({p["spec"]["nodeName"] for p in pods}) == 3
    for server in pods:
        host, source = who(kubectl, client, f"{server['status']['podIP']}:8080")
        assert host == server["metadata"]["name"]
        assert source == me["status"]["podIP"], "the server sees the client's own address"


def test_the_vip_spreads_over_all_endpoints(
    kubectl: Kubectl, cluster: Cluster, web: str, client: str
) -> None:
    from_pod = Counter(who(kubectl, client, web)[0] for _ in range(30))
    assert len(from_pod) == 3, from_pod
    loop = f"for i in $(seq 30); do wget -T 3 -qO- http://{web}/cgi-bin/who; done"
    told = cluster.exec("node-1", ["sh", "-c", loop]).stdout
    from_node = Counter(line.split()[0] for line in told.splitlines())
    assert len(from_node) == 3, from_node


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
        script = f"wget -T 10 -qO- http://{target}/ 2>&1; true"
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
        host, _ = who(kubectl, client, name)
        assert host.startswith("web-"), name
    assert lookup(f"web.{namespace}.svc.cluster.local") == {web}
    assert lookup("kubernetes.default.svc.cluster.local") == {"10.96.0.1"}
    everybody = set(addresses(kubectl, "web"))
    eventually(lambda: lookup(f"each.{namespace}.svc.cluster.local") == everybody)


def test_the_api_is_reached_from_a_pod(kubectl: Kubectl, client: str) -> None:
    script = "nc -w 3 -z $KUBERNETES_SERVICE_HOST $KUBERNETES_SERVICE_PORT && echo open"
    assert kubectl("exec", client, "--", "sh", "-c", script) == "open\n"


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
        fetch = ["wget", "-T", "3", "-qO-", f"http://{address}:{port}/cgi-bin/who"]
        eventually(lambda fetch=fetch: cluster.exec("node-2", fetch).stdout.startswith("web-"))


def test_udp_through_a_service(kubectl: Kubectl, eventually: Eventually, client: str) -> None:
    echo = container(
        "nc -u -l -k -p 9000 -e cat & wait || true; sleep 1000 & wait",
        ports=[{"name": "echo", "containerPort": 9000, "protocol": "UDP"}],
        image=BUSYBOX,
    )
    kubectl.apply(pod("echo", echo))
    ports = [{"name": "echo", "port": 7, "targetPort": 9000, "protocol": "UDP"}]
    kubectl.apply(service("echo", ports=ports))
    kubectl("wait", "--for=condition=Ready", "pod/echo", "--timeout=60s", timeout=70)

    def echoed() -> bool:
        script = "echo ping | nc -u -w 2 echo 7"
        return "ping" in kubectl("exec", client, "--", "sh", "-c", script)

    eventually(echoed)
