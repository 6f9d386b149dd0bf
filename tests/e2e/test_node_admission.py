"""Pods that name their node themselves, so that no scheduler has asked whether they fit there."""

import json
from collections.abc import Callable
from typing import Any

from tests.e2e.conftest import Kubectl
from tests.e2e.manifests import container, pod

Eventually = Callable[..., Any]
SLOT = "example.com/slot"


def test_pods_that_do_not_fit_and_one_that_has_to(kubectl: Kubectl, eventually: Eventually) -> None:
    node = kubectl.json("get", "nodes")["items"][0]["metadata"]["name"]
    declared = json.dumps({"status": {"capacity": {SLOT: "1"}}})
    kubectl("patch", "node", node, "--subresource=status", "--type=merge", "-p", declared)

    def allocatable() -> Any:
        return kubectl.json("get", "node", node)["status"]["allocatable"].get(SLOT)

    eventually(lambda: allocatable() == "1")

    def make(name: str, resource: str, amount: str, **spec: Any) -> None:
        wanted = {"limits": {resource: amount}, "requests": {resource: amount}}
        kubectl.apply(pod(name, container(resources=wanted), nodeName=node, **spec))

    def shown(name: str) -> str:
        """What `kubectl get` says in its column STATUS."""
        return kubectl("get", "pod", name, "--no-headers").split()[2]

    make("first", SLOT, "1")
    kubectl("wait", "--for=condition=Ready", "pod/first", "--timeout=60s", timeout=70)

    # A node that is too small, and one that is full.
    make("large", "cpu", "1000", initContainers=[container("true", name="init")])
    make("second", SLOT, "1")
    eventually(lambda: shown("large") == "OutOfcpu")
    eventually(lambda: shown("second") == f"OutOf{SLOT}")
    told = kubectl.json("get", "pod", "large")["status"]
    assert told["phase"] == "Failed"
    assert told["message"].startswith(
        "Pod was rejected: Node didn't have enough resource: cpu, requested: 1000000, used: "
    )
    assert "containerStatuses" not in told

    def described(name: str, *words: str) -> bool:
        text = " ".join(kubectl("describe", "pod", name).split())
        return all(word in text for word in words)

    full = f"Node didn't have enough resource: {SLOT}, requested: 1, used: 1, capacity: 1"
    eventually(
        lambda: described(
            "second",
            "Status: Failed",
            f"Reason: OutOf{SLOT}",
            f"Message: Pod was rejected: {full}",
            f"Warning OutOf{SLOT}",
        )
    )

    # For one that the node cannot do without, another one goes.
    make("urgent", SLOT, "1", priorityClassName="system-node-critical")
    kubectl("wait", "--for=condition=Ready", "pod/urgent", "--timeout=60s", timeout=70)
    gone = kubectl.json("get", "pod", "first")["status"]
    assert (gone["phase"], gone["reason"]) == ("Failed", "Preempting")
    assert gone["message"] == "Preempted in order to admit critical pod"
    (target,) = (one for one in gone["conditions"] if one["type"] == "DisruptionTarget")
    assert (target["status"], target["reason"]) == ("True", "TerminationByKubelet")
    assert "running" not in gone["containerStatuses"][0]["state"]
    eventually(lambda: described("first", "Warning Preempting"))

    withdrawn = json.dumps({"status": {"capacity": {SLOT: None}}})
    kubectl("patch", "node", node, "--subresource=status", "--type=merge", "-p", withdrawn)
    eventually(lambda: allocatable() is None)
    assert shown("urgent") == "Running", "what was let in stays"
