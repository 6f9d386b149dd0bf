"""What the node's network is told and what it answers: its configuration and the values of its interface.

Concurrency: all values are frozen.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import msgspec

from base.errors import PermanentError
from netplugin.namespaces import Namespace


class Mode(Enum):
    """How packets reach the pods of other nodes."""

    AUTO = "auto"
    """Peer by peer: a direct route where the peer is on a link of ours, the tunnel otherwise."""
    HOST_GW = "host-gw"
    VXLAN = "vxlan"


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """What a node must know of the cluster's network. Ranges are checked once, here."""

    node_name: str
    node_ip: IPv4Address
    """The address by which other nodes reach this one."""
    pod_cidr: IPv4Network
    """This node's part of the cluster's range: pods get their addresses from it."""
    cluster_cidr: IPv4Network
    """All pods of all nodes: inside it nothing is translated."""
    service_cidr: IPv4Network
    """Service VIPs. A packet into it that no service claims is refused at once."""
    cluster_dns: IPv4Address
    """Where pods ask for names: an address of every node's bridge."""
    state_dir: Path
    """Allocations and undo records; must survive restarts, need not survive a reboot."""
    domain: str = "cluster.local"
    bridge: str = "pwbr0"
    mode: Mode = Mode.AUTO
    mtu: int = 0
    """Of pod links; 0: the uplink's, less the tunnel's header unless the mode is host-gw."""
    upstream_dns: tuple[str, ...] = ()
    """Resolvers for other names; empty: those of `resolv_conf`."""
    resolv_conf: Path = Path("/etc/resolv.conf")
    serve_dns: bool = True
    namespace: Namespace = None
    """The node's network namespace; None: the one the process is in. Tests run three nodes at once."""

    def __post_init__(self) -> None:
        if self.pod_cidr.num_addresses < 8:
            raise PermanentError(
                f"pod range {self.pod_cidr} is too small", hint="Give each node a /29 or larger."
            )
        if not self.pod_cidr.subnet_of(self.cluster_cidr):
            raise PermanentError(
                f"pod range {self.pod_cidr} is outside of the cluster's range {self.cluster_cidr}"
            )
        if self.cluster_cidr.overlaps(self.service_cidr):
            raise PermanentError(
                f"cluster range {self.cluster_cidr} and service range {self.service_cidr} overlap"
            )

    @property
    def gateway(self) -> IPv4Address:
        """The bridge's address and every pod's default gateway: the first of the pod range."""
        return self.pod_cidr.network_address + 1


class HostPort(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A port of the node that leads to a pod."""

    host_port: int
    container_port: int
    protocol: str = "TCP"
    host_ip: str = ""
    """Only for packets to this address; empty: any address of the node but loopback."""

    @property
    def on_loopback(self) -> bool:
        return self.host_ip.startswith("127.")


@dataclass(frozen=True, kw_only=True)
class Attachment:
    """A pod's place in the network."""

    ip: IPv4Address
    gateway: IPv4Address
    mac: str
    prefix_len: int = 32


@dataclass(frozen=True, kw_only=True)
class Peer:
    """Another node."""

    node: str
    pod_cidr: IPv4Network
    address: IPv4Address
