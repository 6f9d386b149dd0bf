"""What a local cluster consists of: names, addresses, folders. Pure; nothing here touches the machine.

A cluster is a switch (a network namespace with a bridge), a control plane and nodes (a namespace
each), joined to the switch by veth pairs. Everything a cluster owns is derived from its name and its
state folder, so that a command killed at any point, or one started years later, finds every trace.

Invariants:
- Two clusters share no name: namespaces, links, cgroups and run folders carry the cluster's slug,
  which contains a hash of the state folder.
- Link names fit the kernel's 15 bytes, socket paths the 108 bytes of `sun_path`.
- Subnets come from 198.18.0.0/15, which RFC 2544 reserves for tests. Two clusters may draw the same
  one: no packet leaves a cluster's namespaces, so only a person reading addresses could mind.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Interface, IPv4Network
from pathlib import Path

from base.errors import PermanentError

TEST_NETWORK = IPv4Network("198.18.0.0/15")
RUN_ROOT = Path("/run/podwright")
NAMESPACE_ROOT = Path("/run/netns")
MAX_NODES = 50
FIRST_API_PORT, API_PORTS = 20000, 10000
"""Where the API's port on 127.0.0.1 is looked for: below the kernel's range for outgoing connections,
so that nothing takes it while the control plane is down and the kubeconfig still names it."""

SWITCH, CONTROL = "switch", "control"
_ROUTER_HOST, _CONTROL_HOST, _FIRST_NODE_HOST = 1, 2, 11
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?")


@dataclass(frozen=True, kw_only=True)
class Member:
    """A machine of the cluster: the control plane or a node. Its namespace stands for its hardware."""

    cluster: str
    name: str
    namespace: str
    link: str
    """The end of its cable at the switch; its own end is always called `eth0`."""
    address: IPv4Interface
    gateway: str
    data: Path
    """Its disk: survives a loss of power."""
    run: Path
    """Its memory: sockets and process files, gone after a loss of power."""
    logs: Path
    cgroup_root: str

    @property
    def marker(self) -> str:
        """What every process of this member carries in its environment; see `processes`."""
        return f"{self.cluster}/{self.name}"

    @property
    def namespace_path(self) -> Path:
        return NAMESPACE_ROOT / self.namespace

    @property
    def docker_socket(self) -> Path:
        return self.run / "docker.sock"


@dataclass(frozen=True, kw_only=True)
class Topology:
    name: str
    slug: str
    state: Path
    run: Path
    subnet: IPv4Network
    switch_namespace: str
    router: IPv4Interface
    """The bridge's own address and everybody's default gateway. It forwards nothing: its job is that
    packets to nowhere are refused at once, and that a node has a route over which service VIPs,
    rewritten only after routing, can leave."""
    control: Member
    nodes: tuple[Member, ...] = field(default=())

    @property
    def members(self) -> tuple[Member, ...]:
        return (self.control, *self.nodes)

    def node(self, name: str) -> Member:
        for node in self.nodes:
            if node.name == name:
                return node
        known = ", ".join(node.name for node in self.nodes) or "none"
        raise PermanentError(
            f"cluster {self.name!r} has no node {name!r}",
            hint=f"Its nodes are: {known}.",
        )


def plan(name: str, state: Path, node_names: Sequence[str]) -> Topology:
    """The one layout of a cluster with this name and state folder."""
    check_name(name)
    if len(node_names) > MAX_NODES:
        raise PermanentError(
            f"{len(node_names)} nodes are too many for one machine",
            hint=f"At most {MAX_NODES} fit the cluster's subnet.",
        )
    digest = _digest(name, state)
    slug = f"{name}-{digest[:6]}"
    subnets = list(TEST_NETWORK.subnets(new_prefix=24))
    subnet = subnets[int(digest, 16) % len(subnets)]

    def address(host: int) -> IPv4Interface:
        return IPv4Interface(f"{subnet.network_address + host}/{subnet.prefixlen}")

    def member(member_name: str, host: int, link: str) -> Member:
        return Member(
            cluster=slug,
            name=member_name,
            namespace=f"podwright-{slug}-{member_name}",
            link=f"pw{digest[:6]}-{link}",
            address=address(host),
            gateway=str(address(_ROUTER_HOST).ip),
            data=state / member_name,
            run=RUN_ROOT / slug / member_name,
            logs=state / "logs",
            cgroup_root=f"podwright-{slug}-{member_name}",
        )

    return Topology(
        name=name,
        slug=slug,
        state=state,
        run=RUN_ROOT / slug,
        subnet=subnet,
        switch_namespace=f"podwright-{slug}-{SWITCH}",
        router=address(_ROUTER_HOST),
        control=member(CONTROL, _CONTROL_HOST, "ctl"),
        nodes=tuple(
            member(node_name, _FIRST_NODE_HOST + index, f"n{index + 1}")
            for index, node_name in enumerate(node_names)
        ),
    )


def node_names(count: int) -> list[str]:
    return [f"node-{number}" for number in range(1, count + 1)]


def check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise PermanentError(
            f"{name!r} cannot be a cluster's name",
            hint="Use at most 20 lower-case letters, digits and dashes, "
            "with a letter or digit at both ends.",
        )


def api_ports(slug: str) -> list[int]:
    """Ports to try for the API on 127.0.0.1, best first: stable for a cluster, spread over clusters."""
    start = int(_hash(slug), 16)
    return [FIRST_API_PORT + (start + offset) % API_PORTS for offset in range(50)]


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """What a node claims to have, because all nodes of a local cluster see the whole machine."""

    cpu: int
    memory: int
    """Bytes."""

    def quantities(self) -> dict[str, str]:
        return {"cpu": str(self.cpu), "memory": f"{self.memory // 2**20}Mi"}


def share(*, cpus: int, memory: int, nodes: int) -> Capacity:
    """Each node's declared capacity: all the CPUs, which time-share well, and its part of the memory,
    which does not; a fifth stays with the engines, the control plane and the machine's user."""
    return Capacity(cpu=cpus, memory=memory * 4 // 5 // max(nodes, 1))


def _digest(name: str, state: Path) -> str:
    return _hash(f"{name}\0{state}")


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
