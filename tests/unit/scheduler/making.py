"""Nodes and pods in the shape the scheduler reads, made in one line."""

from typing import Any

import msgspec
import numpy as np

from api.core import Node, NodeStatus, Pod
from control.scheduler.fitting import Scores
from control.scheduler.snapshot import Snapshot

READY = {"type": "Ready", "status": "True"}
_INFO = dict.fromkeys(
    (
        "machineID",
        "systemUUID",
        "bootID",
        "kernelVersion",
        "osImage",
        "containerRuntimeVersion",
        "kubeletVersion",
        "kubeProxyVersion",
        "operatingSystem",
        "architecture",
    ),
    "",
)


def node(name: str, *, cpu: str = "4", memory: str = "8Gi", pods: str = "110", **more: Any) -> Node:
    status = {
        "allocatable": {"cpu": cpu, "memory": memory, "pods": pods},
        "conditions": more.pop("conditions", [READY]),
        "nodeInfo": _INFO,
    }
    return msgspec.convert(
        {
            "metadata": {"name": name, "labels": more.pop("labels", {})},
            "spec": more,
            "status": status,
        },
        type=Node,
    )


def pod(name: str, *, cpu: str = "", memory: str = "", owner: str = "", **spec: Any) -> Pod:
    requests = {k: v for k, v in (("cpu", cpu), ("memory", memory)) if v}
    container = {"name": "c", "image": "i", "resources": {"requests": requests}}
    container["ports"] = [{"containerPort": p, "hostPort": p} for p in spec.pop("host_ports", ())]
    references = [
        {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "name": owner,
            "uid": owner,
            "controller": True,
        }
    ]
    return msgspec.convert(
        {
            "metadata": {
                "name": name,
                "namespace": spec.pop("namespace", "default"),
                "uid": name,
                "labels": spec.pop("labels", {}),
                "ownerReferences": references if owner else [],
            },
            "spec": {"containers": [container], "schedulerName": "default-scheduler", **spec},
        },
        type=Pod,
    )


def status(obj: Node) -> NodeStatus:
    return obj.status


def by_row(scores: Scores | float, snapshot: Snapshot) -> Scores:
    """A score of every row, though all get the same."""
    return np.broadcast_to(scores, snapshot.present.shape)
