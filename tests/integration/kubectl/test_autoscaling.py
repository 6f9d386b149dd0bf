"""The books' load test: an autoscaler first knows nothing, then follows the numbers of a node's agent.

The agent only pretends: each pod of the workload uses its share of the load, which is there as long as
the load generator is. Looks and readings come faster than in earnest.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.integration.apiserver.conftest import Server
from tests.integration.kubectl import test_transcripts as transcripts
from tests.integration.kubectl.conftest import Kubectl
from tests.integration.kubectl.test_transcripts import Nodes, apply, events, eventually, workload

kubectl = transcripts.kubectl
_HASTY = """
import sys
from cli.main import main
from control.apiserver.agents import usage
from control.controllers.workloads.autoscaling import controller
usage.FRESH, controller.PERIOD = 1.0, 0.4
sys.exit(main(sys.argv[1:]))
"""
LOAD = 108_000_000
"""Billionths of a core: 108 % of what one pod requests, as in the book."""


class Measuring:
    """The agent of the only node, as far as its `/stats/summary` goes."""

    def __init__(self, server: Server, nodes: Nodes) -> None:
        self.silent = True
        self._nodes = nodes
        self._used: dict[str, float] = {}
        self._asked = time.monotonic()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(503 if outer.silent else 200)
                self.end_headers()
                self.wfile.write(json.dumps(outer.summary()).encode())

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        tls = server.agent_context("n1")
        self._http.socket = tls.wrap_socket(self._http.socket, server_side=True)
        self.port = self._http.server_port
        self._thread = threading.Thread(target=self._http.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def summary(self) -> dict[str, Any]:
        """Counters that have grown since somebody asked."""
        there = self._nodes.agents.pods.items()
        loaded = any(pod.metadata.name == "loadgenerator" for pod in there)
        mine = [pod for pod in there if "app" in pod.metadata.labels]
        now = time.monotonic()
        each = (now - self._asked) * LOAD / len(mine) if loaded and mine else 0.0
        self._asked = now
        for pod in mine:
            self._used[pod.metadata.uid] = self._used.get(pod.metadata.uid, 0.0) + each
        pods = [
            {
                "podRef": {"uid": pod.metadata.uid},
                "containers": [{"name": "kubia", **_counters(self._used[pod.metadata.uid])}],
            }
            for pod in mine
        ]
        return {"node": _counters(sum(self._used.values())), "pods": pods}


def _counters(cpu: float) -> dict[str, Any]:
    return {"cpu": {"usageCoreNanoSeconds": int(cpu)}, "memory": {"workingSetBytes": 2**20}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("autoscaling"))
    made.program = ("-c", _HASTY)
    made.start(whole=True)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def nodes(server: Server) -> Iterator[Nodes]:
    with Nodes(server) as made:
        made.add("n1")
        yield made


@pytest.fixture
def measuring(server: Server, nodes: Nodes) -> Iterator[Measuring]:
    made = Measuring(server, nodes)
    status = {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": made.port}},
    }
    patch = json.dumps({"status": status})
    server.kubectl("patch", "node", "n1", "--subresource=status", "--type=merge", "-p", patch)
    yield made
    made.close()


def targets(kubectl: Kubectl) -> tuple[str, str]:
    """The columns TARGETS and REPLICAS of `kubectl get hpa`."""
    row = kubectl.lines("get", "hpa", "--no-headers")[0]
    return " ".join(row[2:4]), row[6]


def test_a_workload_grows_under_load_and_shrinks_without(
    kubectl: Kubectl, measuring: Measuring
) -> None:
    made = workload("Deployment", "kubia", replicas=3)
    (container,) = made["spec"]["template"]["spec"]["containers"]
    container["resources"] = {"requests": {"cpu": "100m"}}
    apply(kubectl, made)
    kubectl("rollout", "status", "deployment/kubia")
    said = kubectl("autoscale", "deployment", "kubia", "--cpu-percent=30", "--min=1", "--max=5")
    assert said == "horizontalpodautoscaler.autoscaling/kubia autoscaled\n"
    eventually(lambda: targets(kubectl) == ("cpu: <unknown>/30%", "3"))
    eventually(lambda: any("failed to get cpu utilization" in line for line in told(kubectl)))
    assert _condition(kubectl, "ScalingActive") == "False FailedGetResourceMetric"

    measuring.silent = False
    eventually(lambda: targets(kubectl) == ("cpu: 0%/30%", "3"))
    assert _condition(kubectl, "ScalingActive") == "True ValidMetricFound"
    assert _condition(kubectl, "AbleToScale") == "True ScaleDownStabilized"
    behavior = {"scaleDown": {"stabilizationWindowSeconds": 0}}
    kubectl("patch", "hpa", "kubia", "-p", json.dumps({"spec": {"behavior": behavior}}))
    eventually(lambda: targets(kubectl)[1] == "1")
    eventually(lambda: "New size: 1; reason: All metrics below target" in told(kubectl))

    kubectl("expose", "deployment", "kubia", "--port=80", "--target-port=8080")
    endless = "while true; do wget -O - -q http://kubia.default; done"
    kubectl("run", "loadgenerator", "--image=busybox", "--restart=Never", "--", "sh", "-c", endless)
    # 108 % of the one pod's request: 108 / 30 = 3.6 pods; four of them use 27 %.
    why = "New size: 4; reason: cpu resource utilization (percentage of request) above target"
    eventually(lambda: why in told(kubectl))
    eventually(lambda: targets(kubectl) in {(f"cpu: {use}%/30%", "4") for use in (26, 27, 28)})
    addresses = "{.subsets[*].addresses[*].ip}"
    eventually(lambda: len(kubectl.path("endpoints/kubia", addresses).split()) == 4)

    kubectl("patch", "hpa", "kubia", "-p", json.dumps({"spec": {"metrics": [cpu(60)]}}))
    eventually(lambda: targets(kubectl)[1] == "2")
    kubectl("delete", "pod", "loadgenerator")
    eventually(lambda: targets(kubectl) == ("cpu: 0%/60%", "1"))


def cpu(percent: int) -> dict[str, Any]:
    target = {"type": "Utilization", "averageUtilization": percent}
    return {"type": "Resource", "resource": {"name": "cpu", "target": target}}


def told(kubectl: Kubectl) -> list[str]:
    return events(kubectl, "hpa/kubia")


def _condition(kubectl: Kubectl, type_: str) -> str:
    chosen = f'{{.status.conditions[?(@.type=="{type_}")]'
    return kubectl.path("hpa/kubia", f"{chosen}.status}} {chosen}.reason}}")


@pytest.mark.parametrize("kind", ["ReplicaSet", "ReplicationController", "StatefulSet"])
def test_whatever_has_a_scale_gets_its_smallest_size(kubectl: Kubectl, kind: str) -> None:
    made = workload(kind, "web", replicas=1)
    if kind == "ReplicationController":
        made |= {"apiVersion": "v1"}
        made["spec"]["selector"] = {"app": "web"}
    apply(kubectl, made)
    kubectl("autoscale", kind, "web", "--min=3", "--max=5")
    eventually(lambda: kubectl.path(f"{kind}/web", "{.status.readyReplicas}") == "3")
    why = "New size: 3; reason: Current number of replicas below Spec.MinReplicas"
    eventually(lambda: why in events(kubectl, "hpa/web"))
    assert kubectl.path("hpa/web", "{.spec.scaleTargetRef.kind}") == kind
    refused = kubectl("patch", "hpa", "web", "-p", '{"spec": {"minReplicas": 0}}', fails=True)
    assert "spec.minReplicas: Invalid value: 0: must be greater than or equal to 1" in refused
