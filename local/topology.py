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

CONTROL, BRIDGE = "control", "switch"
_ROUTER_HOST, _CONTROL_HOST, _FIRST_NODE_HOST = 1, 2, 11
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?")


@dataclass(frozen=True, kw_only=True)
class Cable:
    """How a machine of its own is reached: its network namespace, and the veth pair to the switch."""

    namespace: str
    port: str
    """The end at the switch; the machine's own end is always called `eth0`."""
    switch_namespace: str
    address: IPv4Interface
    gateway: str


@dataclass(frozen=True, kw_only=True)
class Member:
    """A machine of the cluster: the control plane's, or a node."""

    cluster: str
    name: str
    cable: Cable | None
    """None: it is this machine itself."""
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
    def namespace_path(self) -> Path | None:
        return NAMESPACE_ROOT / self.cable.namespace if self.cable is not None else None


@dataclass(frozen=True, kw_only=True)
class Switch:
    namespace: str
    bridge: str
    router: IPv4Interface
    """The bridge's own address and everybody's default gateway. It leads nowhere: its job is that a
    node has a route over which service VIPs, rewritten only after routing, can leave."""


@dataclass(frozen=True, kw_only=True)
class Topology:
    name: str
    slug: str
    state: Path
    run: Path
    switch: Switch | None
    """None: the cluster is this machine itself."""
    control: Member
    nodes: tuple[Member, ...] = field(default=())

    @property
    def members(self) -> tuple[Member, ...]:
        return (self.control, *self.nodes)

    @property
    def logs(self) -> Path:
        return self.state / "logs"

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
    """A cluster of namespaces: the one layout for this name and state folder."""
    check_name(name)
    if len(node_names) > MAX_NODES:
        raise PermanentError(
            f"{len(node_names)} nodes are too many for one machine",
            hint=f"At most {MAX_NODES} fit the cluster's subnet.",
        )
    digest = _hash(f"{name}\0{state}")
    slug = f"{name}-{digest[:6]}"
    subnets = 2 ** (24 - TEST_NETWORK.prefixlen)
    first = TEST_NETWORK.network_address + 256 * (int(digest, 16) % subnets)

    def address(host: int) -> IPv4Interface:
        return IPv4Interface(f"{first + host}/24")

    switch = Switch(
        namespace=f"podwright-{slug}-switch", bridge=BRIDGE, router=address(_ROUTER_HOST)
    )

    def member(member_name: str, host: int, port: str) -> Member:
        cable = Cable(
            namespace=f"podwright-{slug}-{member_name}",
            port=f"pw{digest[:6]}-{port}",
            switch_namespace=switch.namespace,
            address=address(host),
            gateway=str(switch.router.ip),
        )
        return _member(slug, state, member_name, cable)

    return Topology(
        name=name,
        slug=slug,
        state=state,
        run=RUN_ROOT / slug,
        switch=switch,
        control=member(CONTROL, _CONTROL_HOST, "ctl"),
        nodes=tuple(
            member(node_name, _FIRST_NODE_HOST + index, f"n{index + 1}")
            for index, node_name in enumerate(node_names)
        ),
    )


def plan_machine(name: str, state: Path, node_name: str) -> Topology:
    """A cluster of one node that is this machine itself, with its own network."""
    check_name(name)
    slug = f"{name}-{_hash(f'{name}{chr(0)}{state}')[:6]}"
    return Topology(
        name=name,
        slug=slug,
        state=state,
        run=RUN_ROOT / slug,
        switch=None,
        control=_member(slug, state, CONTROL, None),
        nodes=(_member(slug, state, node_name, None, folder="machine"),),
    )


def _member(slug: str, state: Path, name: str, cable: Cable | None, *, folder: str = "") -> Member:
    folder = folder or name  # a machine's own name may be too long for the path of a socket
    return Member(
        cluster=slug,
        name=name,
        cable=cable,
        data=state / folder,
        run=RUN_ROOT / slug / folder,
        logs=state / "logs",
        cgroup_root=f"podwright-{slug}-{folder}",
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


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
