"""StatefulSets and DaemonSets with real pods on three nodes."""

from collections.abc import Callable
from typing import Any

import pytest

from local.cluster import Cluster
from tests.e2e.conftest import NODES, Kubectl, KubectlError
from tests.e2e.manifests import container, pod, service, web_container

Eventually = Callable[..., Any]


def stateful_set(name: str, replicas: int) -> dict[str, Any]:
    spec = {"containers": [web_container()], "terminationGracePeriodSeconds": 5}
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "serviceName": name,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": spec},
        },
    }


def daemon_set(name: str, said: str) -> dict[str, Any]:
    spec = {
        "containers": [container(f"echo {said} from $HOSTNAME; sleep 100000 & wait")],
        "terminationGracePeriodSeconds": 2,
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "updateStrategy": {"rollingUpdate": {"maxUnavailable": 2}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": spec},
        },
    }


def rolled_out(kubectl: Kubectl, target: str) -> None:
    kubectl("rollout", "status", target, "--timeout=120s", timeout=130)


def pods_of(kubectl: Kubectl, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = kubectl.json("get", "pods", "-l", f"app={name}")["items"]
    return [one for one in found if "deletionTimestamp" not in one["metadata"]]


def test_pods_of_a_stateful_set_keep_their_names(kubectl: Kubectl, eventually: Eventually) -> None:
    kubectl.apply(service("db", clusterIP="None", publishNotReadyAddresses=True))
    kubectl.apply(stateful_set("db", 3))
    kubectl.apply(pod("client", container()))
    rolled_out(kubectl, "statefulset/db")
    kubectl("wait", "--for=condition=Ready", "pod/client", "--timeout=60s", timeout=70)
    found = {one["metadata"]["name"]: one for one in pods_of(kubectl, "db")}
    assert sorted(found) == ["db-0", "db-1", "db-2"]
    starts = [found[f"db-{number}"]["status"]["startTime"] for number in range(3)]
    assert starts == sorted(starts)
    assert kubectl("exec", "db-1", "--", "hostname").strip() == "db-1"

    def asked(name: str) -> str:
        url = f"http://{name}.db:8080/cgi-bin/who"
        return kubectl("exec", "client", "--", "timeout", "5", "wget", "-qO-", url).split()[0]

    for name in found:
        eventually(lambda name=name: asked(name) == name)

    uid = found["db-1"]["metadata"]["uid"]
    kubectl("delete", "pod", "db-1")
    eventually(
        lambda: kubectl.json("get", "pod", "db-1")["metadata"]["uid"] != uid,
    )
    rolled_out(kubectl, "statefulset/db")
    eventually(lambda: asked("db-1") == "db-1")

    kubectl("set", "env", "statefulset/db", "GENERATION=2")
    rolled_out(kubectl, "statefulset/db")
    ages = {one["metadata"]["name"]: one["status"]["startTime"] for one in pods_of(kubectl, "db")}
    assert ages["db-2"] <= ages["db-1"] <= ages["db-0"], "an update goes from the highest down"
    kubectl("scale", "statefulset/db", "--replicas=1")
    eventually(lambda: [one["metadata"]["name"] for one in pods_of(kubectl, "db")] == ["db-0"])


def test_no_second_pod_while_the_first_may_still_run(
    kubectl: Kubectl, eventually: Eventually, cluster: Cluster
) -> None:
    """A pod of a node that cannot be reached is told to go, and keeps its name until it is gone."""
    wanted = stateful_set("one", 1)
    gone = ("node.kubernetes.io/unreachable", "node.kubernetes.io/not-ready")
    wanted["spec"]["template"]["spec"]["tolerations"] = [
        {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 1}
        for key in gone
    ]
    kubectl.apply(wanted)
    rolled_out(kubectl, "statefulset/one")
    before = kubectl.json("get", "pod", "one-0")
    node = before["spec"]["nodeName"]
    cluster.cut(node)
    try:

        def told_to_go() -> bool:
            found = kubectl.json("get", "pod", "one-0")["metadata"]
            return "deletionTimestamp" in found

        eventually(told_to_go, 180)
        found = kubectl.json("get", "pods", "-l", "app=one")["items"]
        assert [one["metadata"]["uid"] for one in found] == [before["metadata"]["uid"]]
    finally:
        cluster.heal(node)
    kubectl("wait", "--for=condition=Ready", f"node/{node}", "--timeout=90s", timeout=100)
    eventually(
        lambda: kubectl.json("get", "pod", "one-0")["metadata"]["uid"] != before["metadata"]["uid"],
        180,
    )
    rolled_out(kubectl, "statefulset/one")


def test_a_daemon_set_runs_on_every_node(kubectl: Kubectl, eventually: Eventually) -> None:
    kubectl("cordon", NODES[0])
    try:
        kubectl.apply(daemon_set("log", "one"))
        rolled_out(kubectl, "daemonset/log")
    finally:
        kubectl("uncordon", NODES[0])
    found = pods_of(kubectl, "log")
    assert sorted(one["spec"]["nodeName"] for one in found) == sorted(NODES)
    with pytest.raises(KubectlError, match="cannot delete DaemonSet-managed Pods"):
        kubectl("drain", NODES[2])
    try:
        kubectl("drain", NODES[2], "--ignore-daemonsets", "--force", "--timeout=60s", timeout=70)
        assert len(pods_of(kubectl, "log")) == len(NODES)
    finally:
        kubectl("uncordon", NODES[2])

    kubectl.apply(daemon_set("log", "two"))
    rolled_out(kubectl, "daemonset/log")
    eventually(lambda: _said(kubectl) == ["two"] * 3)
    kubectl("rollout", "undo", "daemonset/log")
    rolled_out(kubectl, "daemonset/log")
    eventually(lambda: _said(kubectl) == ["one"] * 3)

    lost = next(one for one in pods_of(kubectl, "log") if one["spec"]["nodeName"] == NODES[1])
    kubectl("delete", "pod", lost["metadata"]["name"])

    def back() -> bool:
        nodes = [
            one["spec"]["nodeName"]
            for one in pods_of(kubectl, "log")
            if one["status"]["phase"] == "Running"
        ]
        return sorted(nodes) == sorted(NODES)

    eventually(back)


def _said(kubectl: Kubectl) -> list[str]:
    names = [one["metadata"]["name"] for one in pods_of(kubectl, "log")]
    return [kubectl("logs", name).split()[0] for name in names]
