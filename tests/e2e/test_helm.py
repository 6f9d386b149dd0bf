"""Helm itself (its own library, by server-side apply) installs, upgrades, rolls back and uninstalls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from local.cluster import Cluster
from tests.e2e.conftest import Kubectl

helm = pytest.importorskip("helm_python", reason="there is no Helm for this platform")

CHART = Path(__file__).parent / "chart"
TIMEOUT = 90  # seconds for one action of Helm's


@pytest.fixture
def releases(cluster: Cluster, namespace: str) -> Iterator[Any]:
    with helm.Config(kubeconfig_path=cluster.kubeconfig, namespace=namespace) as config:
        yield config


def greeting(kubectl: Kubectl, name: str) -> str:
    """What a ready pod of the release serves, once every pod says the same."""
    pods = kubectl.json("get", "pods", "-l", f"app={name}")["items"]
    living = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    page = ["wget", "-qO-", "http://127.0.0.1:8080/"]
    said = {kubectl("exec", pod["metadata"]["name"], "--", *page) for pod in living}
    return said.pop() if len(said) == 1 else f"not one answer: {said}"


def test_a_release_from_install_to_uninstall(
    releases: Any, kubectl: Kubectl, eventually: Callable[..., Any]
) -> None:
    made = releases.install(CHART, "web", wait="watcher", timeout=TIMEOUT)
    assert (made["revision"], made["status"]) == (1, "deployed")
    assert kubectl.json("get", "deployment", "web")["status"]["readyReplicas"] == 2
    assert greeting(kubectl, "web") == "hello"
    assert not kubectl.json("get", "pods", "-l", "app=web-before")["items"]

    changed = {"replicas": 1, "greeting": "good day"}
    made = releases.upgrade(CHART, "web", changed, wait="watcher", timeout=TIMEOUT)
    assert (made["revision"], made["status"]) == (2, "deployed")
    eventually(lambda: greeting(kubectl, "web") == "good day")
    assert releases.get_values("web") == changed

    made = releases.rollback("web", version=1, wait="watcher", timeout=TIMEOUT)
    eventually(lambda: greeting(kubectl, "web") == "hello")
    deployment = kubectl.json("get", "deployment", "web", "--show-managed-fields")
    assert deployment["spec"]["replicas"] == 2
    managers = {entry["manager"] for entry in deployment["metadata"]["managedFields"]}
    assert len(managers) >= 2  # Helm, and the controller that keeps the status

    history = releases.history("web")
    assert [entry["revision"] for entry in history] == [1, 2, 3]
    assert [entry["name"] for entry in releases.list()] == ["web"]

    releases.uninstall("web", wait="watcher", timeout=TIMEOUT)
    for kind in ("deployment", "service", "configmap"):
        assert not [
            item for item in kubectl.json("get", kind)["items"] if item["metadata"]["name"] == "web"
        ]


def test_an_upgrade_that_cannot_be_is_refused_and_nothing_changes(
    releases: Any, kubectl: Kubectl
) -> None:
    releases.install(CHART, "web", {"replicas": 1}, wait="watcher", timeout=TIMEOUT)
    before = kubectl.json("get", "deployment", "web")["spec"]
    with pytest.raises(helm.HelmError, match="replicas"):
        releases.upgrade(CHART, "web", {"replicas": -1}, timeout=TIMEOUT)
    assert kubectl.json("get", "deployment", "web")["spec"] == before
    releases.uninstall("web", wait="watcher", timeout=TIMEOUT)
