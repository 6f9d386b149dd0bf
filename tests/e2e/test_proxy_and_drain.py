"""What runs is reached through the API, and a node is emptied as its budgets allow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.e2e.conftest import Kubectl
from tests.e2e.manifests import deployment, service

Eventually = Callable[..., Any]

NODE = "node-2"


def _nodes(kubectl: Kubectl) -> list[str]:
    """Where the ready pods are that stay."""
    items = kubectl.json("get", "pods", "-l", "app=web")["items"]
    return sorted(
        pod["spec"]["nodeName"]
        for pod in items
        if "deletionTimestamp" not in pod["metadata"]
        and any(
            one["type"] == "Ready" and one["status"] == "True"
            for one in pod["status"].get("conditions", ())
        )
    )


def test_services_and_pods_answer_through_the_api(kubectl: Kubectl, eventually: Eventually) -> None:
    kubectl.apply(deployment("web", 2))
    kubectl.apply(service("web"))
    kubectl("rollout", "status", "deployment/web", "--timeout=90s", timeout=100)
    base = f"/api/v1/namespaces/{kubectl.namespace}"
    port = kubectl.json("get", "service", "web")["spec"]["ports"][0]["port"]

    def ask(path: str) -> str:
        return kubectl("get", "--raw", f"{base}/{path}/proxy/cgi-bin/who").split()[0]

    pods = {pod["metadata"]["name"] for pod in kubectl.json("get", "pods")["items"]}
    eventually(lambda: {ask(f"services/web:{port}") for _ in range(6)} == pods)
    for name in pods:
        assert ask(f"pods/{name}:8080") == name
    assert kubectl("get", "--raw", f"/api/v1/nodes/{NODE}/proxy/healthz") == "ok"


def test_a_drain_moves_what_runs(kubectl: Kubectl, eventually: Eventually) -> None:
    kubectl.apply(deployment("web", 3))
    kubectl("rollout", "status", "deployment/web", "--timeout=90s", timeout=100)
    eventually(lambda: NODE in _nodes(kubectl))
    try:
        selector = "--pod-selector=app=web"
        kubectl("drain", NODE, selector, "--ignore-daemonsets", "--timeout=60s", timeout=70)
        eventually(lambda: len(_nodes(kubectl)) == 3)
        assert NODE not in _nodes(kubectl)
    finally:
        kubectl("uncordon", NODE)
