"""Storage that outlives pods, from the claim to the files, and what a node does by itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.e2e.conftest import Kubectl
from tests.e2e.manifests import container, pod

Eventually = Callable[..., Any]


def volume(name: str, path: Path, node: str) -> dict[str, Any]:
    term = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": "1Mi"},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": name,
            "local": {"path": str(path)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [term]}]}},
        },
    }


def claim(name: str, class_: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": class_,
            "resources": {"requests": {"storage": "1Mi"}},
        },
    }


def test_a_claim_outlives_its_pods(
    kubectl: Kubectl, namespace: str, tmp_path: Path, eventually: Eventually
) -> None:
    node = kubectl("get", "nodes", "-o", "jsonpath={.items[0].metadata.name}")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = container(volumeMounts=[{"name": "data", "mountPath": "/data"}])
    data = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
    security = {"runAsUser": 1000, "fsGroup": 2000}
    first = pod("first", mounted, volumes=[data], securityContext=security)
    kubectl.apply(first)
    kubectl.apply(claim("data", namespace))

    def unbound() -> bool:
        conditions = kubectl.json("get", "pod", "first")["status"].get("conditions", [])
        return any("unbound" in each.get("message", "") for each in conditions)

    eventually(unbound)
    kubectl.apply(volume(namespace, disk, node))
    try:
        kubectl("wait", "--for=condition=Ready", "pod/first", "--timeout=60s", timeout=70)
        kubectl("exec", "first", "--", "sh", "-c", "echo kept > /data/file")
        kubectl("delete", "pod", "first")
        second = json.loads(json.dumps(first).replace("first", "second"))
        kubectl.apply(second)
        kubectl("wait", "--for=condition=Ready", "pod/second", "--timeout=60s", timeout=70)
        assert kubectl("exec", "second", "--", "cat", "/data/file") == "kept\n"
        assert (disk / "file").stat().st_gid == 2000
        kubectl("delete", "pod", "second")
    finally:
        kubectl("delete", "pvc", "data", check=False)
        kubectl("delete", "pv", namespace, check=False)
    assert (disk / "file").read_text() == "kept\n"
