"""`podwright why` against a control plane with a scheduler, and nodes that only exist as objects."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from api.why import Death
from tests.integration.apiserver.conftest import ROOT, Server
from tests.integration.apiserver.nodeagent import NodeAgent
from tests.patience import DEADLINE

NODE = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {"name": "small"},
    "status": {
        "allocatable": {"cpu": "1", "memory": "1Gi", "pods": "10"},
        "conditions": [{"type": "Ready", "status": "True"}],
    },
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("why"))
    made.start("--node-monitor-grace-period=1h", whole=True)  # nobody speaks for the nodes
    made.kubectl("create", "-f", "-", input=json.dumps(NODE))
    yield made
    made.stop()


def until(holds: Callable[[], bool], what: str, seconds: float = DEADLINE) -> None:
    ends = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends, f"not within {seconds} s: {what}"
        time.sleep(0.05)


def why(server: Server, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli", "why", "--kubeconfig", str(server.kubeconfig), *arguments],
        cwd=ROOT,
        text=True,
        capture_output=True,
        timeout=60,
    )


def run(server: Server, name: str, **spec: Any) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": [{"name": "c", "image": "i"}], **spec},
    }
    until(
        lambda: (
            server.kubectl("create", "-f", "-", input=json.dumps(pod), check=False).returncode == 0
        ),
        "the default account is there",
    )


def test_why_a_pod_is_pending_and_then_where_it_went(server: Server) -> None:
    container = {"name": "c", "image": "i", "resources": {"requests": {"cpu": "1500m"}}}
    run(server, "large", containers=[container])
    until(lambda: "Insufficient cpu" in why(server, "pod/large").stdout, "it has been tried")

    said = why(server, "pod/large").stdout
    assert said.startswith(
        "pod default/large is Pending: 0/1 nodes are available: 1 Insufficient cpu."
    )
    assert "NodeResourcesFit: Insufficient cpu (needs 1500m, has 1 left)" in said
    assert "- if it asked for 500m less cpu, small could take it" in said

    larger = {"status": {"allocatable": {"cpu": "2", "memory": "1Gi", "pods": "10"}}}
    server.kubectl(
        "patch", "node", "small", "--subresource=status", "--type=merge", "-p", json.dumps(larger)
    )
    until(lambda: "it is on small" in why(server, "large").stdout, "it was placed")
    assert "fits; " in why(server, "large").stdout


def test_other_clients_ask_by_path(server: Server) -> None:
    run(server, "gated", schedulingGates=[{"name": "example.com/wait"}])
    path = "/apis/podwright.io/v1alpha1/namespaces/default/pods/gated/why"
    answer = json.loads(server.kubectl("get", "--raw", path).stdout)
    assert answer["kind"] == "Explanation"
    assert answer["metadata"]["name"] == "gated"
    assert "example.com/wait" in answer["summary"]

    listed = json.loads(server.kubectl("get", "--raw", "/apis/podwright.io/v1alpha1").stdout)
    assert [one["name"] for one in listed["resources"]] == ["pods/why"]
    assert server.kubectl("get", "pods", "gated", "-o", "name").stdout == "pod/gated\n"


def test_what_a_gated_pod_would_get(server: Server) -> None:
    run(server, "patient", schedulingGates=[{"name": "example.com/wait"}])
    said = why(server, "pod/patient").stdout
    assert "before these scheduling gates are removed: example.com/wait" in said
    assert "- without its scheduling gates, small could take it" in said


def test_a_claim_that_is_missing(server: Server) -> None:
    volume = {"name": "v", "persistentVolumeClaim": {"claimName": "data"}}
    run(server, "keeper", volumes=[volume])
    until(lambda: '"data" not found' in why(server, "pod/keeper").stdout, "it has been tried")
    said = why(server, "pod/keeper").stdout
    assert "- Volume: its claim data does not exist" in said
    assert "- if its claims were in order" in said and "small could take it" in said


def test_a_pod_that_a_quota_keeps_from_being_made(server: Server) -> None:
    quota = {"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}}
    labels = {"app": "db"}
    container = {"name": "c", "image": "i"}
    spec = {
        "serviceName": "db",
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
    }
    server.kubectl("create", "namespace", "tight")
    for made in (
        {"apiVersion": "v1", "kind": "ResourceQuota", **quota},
        {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db"}, "spec": spec},
    ):
        server.kubectl("create", "-n", "tight", "-f", "-", input=json.dumps(made))
    until(
        lambda: why(server, "-n", "tight", "db-0").returncode == 0, "its set has tried to make it"
    )
    said = why(server, "-n", "tight", "pod/db-0").stdout
    assert said.startswith("pod tight/db-0 does not exist: FailedCreate: create Pod db-0 in")
    assert "exceeded quota: none" in said


def test_a_pod_that_goes_on_a_node_that_is_lost(server: Server) -> None:
    silent = {"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown"}
    status = {**NODE["status"], "conditions": [silent]}  # type: ignore[dict-item]
    lost = {**NODE, "metadata": {"name": "lost"}, "status": status}
    server.kubectl("create", "-f", "-", input=json.dumps(lost))
    run(server, "stuck", nodeName="lost")
    server.kubectl("delete", "pod", "stuck", "--wait=false")
    said = why(server, "pod/stuck").stdout
    assert said.startswith("pod default/stuck is Terminating: it is being deleted")
    assert "- Node: its node lost is not ready: NodeStatusUnknown" in said
    assert "kubectl delete pod --force" in said
    server.kubectl("delete", "pod", "stuck", "--force")
    server.kubectl("delete", "node", "lost")


def test_a_pod_that_is_not_there(server: Server) -> None:
    done = why(server, "pod/nobody")
    assert done.returncode == 1
    assert done.stderr == 'podwright: error: pods "nobody" not found\n'
    done = why(server, "deployment/web")
    assert done.returncode == 1
    assert "expected pod/NAME, found 'deployment/web'" in done.stderr


def test_without_a_scheduler(tmp_path: Path) -> None:
    made = Server(tmp_path)
    made.start()
    try:
        done = why(made, "pod/any")
        assert done.returncode == 1
        assert "this control plane runs no controllers and no scheduler" in done.stderr
    finally:
        made.stop()


@pytest_asyncio.fixture
async def agent(server: Server) -> AsyncIterator[NodeAgent]:
    made = NodeAgent()
    try:
        await made.start(server)
        yield made
    finally:
        await made.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")
async def test_how_containers_died_is_asked_of_the_agent(server: Server, agent: NodeAgent) -> None:
    address = {"addresses": [{"type": "InternalIP", "address": "127.0.0.1"}]}
    endpoints = {"daemonEndpoints": {"kubeletEndpoint": {"Port": agent.port}}}
    node = {**NODE, "metadata": {"name": "told"}, "status": NODE["status"] | address | endpoints}
    kubectl = partial(asyncio.to_thread, server.kubectl)
    await kubectl("create", "-f", "-", input=json.dumps(node))
    await asyncio.to_thread(run, server, "died", nodeName="told")
    agent.deaths = [
        Death(
            container="c",
            container_id="abc",
            restart_count=count,
            exit_code=137,
            cause="the kernel killed it for want of memory: its limit is 64Mi",
            changes=["12 s before: image of c was changed from a to b"],
            last_lines=["reading everything", "Killed"],
            finished_at="2026-01-01T00:00:00Z",
        )
        for count in (4, 3, 2, 1)
    ]
    said = (await asyncio.to_thread(why, server, "pod/died")).stdout
    assert "- c (life 5, " in said and "want of memory: its limit is 64Mi" in said
    assert "    12 s before: image of c was changed from a to b" in said
    assert "    | Killed" in said
    assert "and 1 more (--output json has them)" in said
    found = json.loads((await asyncio.to_thread(why, server, "died", "-o", "json")).stdout)
    assert [one["restartCount"] for one in found["deaths"]] == [4, 3, 2, 1]
    # An agent that is away is no reason to say nothing.
    await agent.stop()
    done = await asyncio.to_thread(why, server, "died")
    assert done.returncode == 0 and "want of memory" not in done.stdout
