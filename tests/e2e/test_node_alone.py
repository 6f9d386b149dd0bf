"""What a node does by itself: static pods, and the end of its pods when the machine goes down."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from local.agents import Agent
from local.cluster import Cluster
from local.daemons import Join
from tests.e2e.conftest import Kubectl
from tests.e2e.manifests import pod

Eventually = Callable[..., Any]
NODE = "node-3"


@dataclass(frozen=True)
class Alone:
    """A node whose agent has static pods, and takes its own end for that of the machine."""

    directory: Path
    agent: Agent


@pytest.fixture
def alone(cluster: Cluster, tmp_path: Path) -> Iterator[Alone]:
    usual = cluster.node(NODE).agent
    directory = tmp_path / "static"
    options = (
        f"--static-pod-path={directory}",
        "--shutdown-grace-period=10s",
        "--shutdown-on-term=true",
    )
    agent = replace(usual, options=(*usual.options, *options))
    usual.kill()
    try:
        agent.start(_joined)
        yield Alone(directory, agent)
    finally:
        agent.kill()
        cluster.start_agent(NODE)


def _joined() -> Join:
    raise AssertionError(f"{NODE} has joined before")


def test_static_pods_and_a_shutdown(
    cluster: Cluster, kubectl: Kubectl, namespace: str, alone: Alone, eventually: Eventually
) -> None:
    def found(name: str) -> dict[str, Any]:
        text = kubectl("get", "pod", name, "-o", "json", "--ignore-not-found")
        told: dict[str, Any] = json.loads(text) if text else {"metadata": {}, "status": {}}
        return told

    def container(name: str) -> str:
        statuses = found(name)["status"].get("containerStatuses", [])
        return str(statuses[0]["containerID"]) if statuses and statuses[0]["ready"] else ""

    manifest = pod("standing")
    manifest["metadata"]["namespace"] = namespace
    eventually(alone.directory.is_dir)
    (alone.directory / "standing.json").write_text(json.dumps(manifest))
    name = f"standing-{NODE}"
    eventually(lambda: container(name))
    first, uid = container(name), found(name)["metadata"]["uid"]
    kubectl("delete", "pod", name, "--wait=false")
    eventually(lambda: found(name)["metadata"].get("uid") not in (None, uid) and container(name))
    assert container(name) == first, "the mirror came back, and the pod had never gone"
    assert kubectl("exec", name, "--", "hostname").strip() == name

    kubectl.apply(pod("guest", nodeName=NODE))
    kubectl("wait", "--for=condition=Ready", "pod/guest", "--timeout=60s", timeout=70)
    alone.agent.stop()
    status = found("guest")["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "Terminated")
    assert status["message"] == "Pod was terminated in response to imminent node shutdown."
    conditions = kubectl.json("get", "node", NODE)["status"]["conditions"]
    ready = next(each for each in conditions if each["type"] == "Ready")
    assert (ready["status"], ready["message"]) == ("False", "node is shutting down")

    (alone.directory / "standing.json").unlink()
    cluster.start_agent(NODE)
    eventually(lambda: not found(name)["metadata"])
    kubectl("wait", "--for=condition=Ready", f"node/{NODE}", "--timeout=60s", timeout=70)

    def told() -> set[str]:
        about = f"involvedObject.kind=Node,involvedObject.name={NODE}"
        events = kubectl.json("get", "events", "-n", "default", "--field-selector", about)
        return {each["reason"] for each in events["items"]}

    eventually(lambda: {"Starting", "NodeAllocatableEnforced", "NodeReady"} <= told())
