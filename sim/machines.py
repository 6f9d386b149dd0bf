"""Node objects of a simulated cluster, as agents would register them."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from api.core import Node
from api.nodes import ZONE
from sim.scenario import NodeGroup

HOSTNAME = "kubernetes.io/hostname"
_CAPACITY = {"cpu": "4", "memory": "16Gi", "pods": "110"}
_INFO = {
    "machineID": "",
    "systemUUID": "",
    "bootID": "",
    "kernelVersion": "simulated",
    "osImage": "simulated",
    "containerRuntimeVersion": "simulated://1",
    "kubeletVersion": "v1.34.0",
    "kubeProxyVersion": "v1.34.0",
    "operatingSystem": "linux",
    "architecture": "amd64",
}


def nodes_of(group: NodeGroup) -> Iterator[Node]:
    """Every node of a group."""
    return (_node(group, number) for number in range(group.count))


def _node(group: NodeGroup, number: int) -> Node:
    name = f"{group.name}-{number}"
    capacity = {**_CAPACITY, **group.capacity}
    labels = {HOSTNAME: name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
    if group.zones:
        labels[ZONE] = group.zones[number % len(group.zones)]
    return msgspec.convert(
        {
            "metadata": {"name": name, "labels": {**labels, **group.labels}},
            "spec": {"taints": msgspec.to_builtins(group.taints)},
            "status": {
                "capacity": capacity,
                "allocatable": capacity,
                "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
                "addresses": [{"type": "Hostname", "address": name}],
                "nodeInfo": _INFO,
            },
        },
        type=Node,
    )
