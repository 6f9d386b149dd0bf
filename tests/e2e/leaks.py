"""What a cluster's nodes have, thing by thing: what a test leaves behind is what is new afterwards."""

from __future__ import annotations

import os
import re
import subprocess
from collections import Counter
from pathlib import Path

from local.cluster import Cluster
from local.host import traces
from local.node import Node

STANDING = {"kubepods", "besteffort", "burstable", "pods", "log", "containers", "last"}
COUNTERS = re.compile(r"\[\d+:\d+\]")


def docker(node: Node, *arguments: str) -> list[str]:
    """Lines that the docker command says of a node's engine."""
    command = ["docker", "-H", node.engine.url, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.split("\n")[:-1]


def footprint(cluster: Cluster) -> set[str]:
    """Containers, volumes, links, mounts, cgroups, rules and files of all nodes.

    Network namespaces are among the mounts: the engine keeps each by one, and removes the empty file
    that it was mounted on as much as a minute later.
    """
    found = set()
    for node in cluster.nodes:
        assert isinstance(node, Node)
        found |= {f"{node.name}: {thing}" for thing in _of(node)}
    return found


def _of(node: Node) -> set[str]:
    member = node.member
    found = {f"container {name}" for name in docker(node, "ps", "-a", "--format={{.Names}}")}
    found |= {f"volume {name}" for name in docker(node, "volume", "ls", "-q")}
    # Not what follows the @: the number of the other end is another one after a loss of power.
    links = (line.split()[1].partition("@")[0] for line in _said(node, "ip", "-o", "link"))
    found |= {f"link {name}" for name in links}
    for folder in (member.data, member.run):
        found |= {f"mount {path}" for path in traces.mounts_below(folder)}
        found |= {f"file {path}" for path in _below(folder / "agent", files=True)}
    for top in traces.cgroup_folders(member.cgroup_root):
        found |= {f"cgroup {path}" for path in _below(top, files=False)}
    rules = (COUNTERS.sub("", line).strip() for line in _said(node, "iptables-save"))
    return found | {f"rule {line}" for line in rules if line and not line.startswith("#")}


def _below(top: Path, *, files: bool) -> list[Path]:
    """Folders below, and files; not those that the first pod brings and that stay for the next."""
    found = []
    for folder, folders, names in os.walk(top):
        wanted = {*folders, *(names if files else ())} - STANDING
        found += [Path(folder, name) for name in wanted]
    return found


def _said(node: Node, *argv: str) -> list[str]:
    return node.exec(argv).stdout.decode().splitlines()


def doubled(node: Node, namespace: str) -> list[str]:
    """Containers of a namespace's pods that run more than once on a node (`k8s_NAME_POD_NS_UID_N`)."""
    names = [name for name in docker(node, "ps", "--format={{.Names}}") if f"_{namespace}_" in name]
    counted = Counter(name.rpartition("_")[0] for name in names)
    return [name for name, count in counted.items() if count > 1]
