"""Every setting of the node agent in one table: flags, environment, file and docs come from it.

`SETTINGS` is read once at start by `load`, which also checks what only makes sense together; the
rest of the process sees the frozen `AgentSettings`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.containers.pause import DEFAULT_IMAGE
from api import quantity
from base import log, settings
from base.settings import Setting, SettingsError

PREFIX = "PODWRIGHT_AGENT_"
PROGRAM = "podwright agent"
DESCRIPTION = "The node agent: runs this machine's pods on its Docker Engine."
DEFAULT_CONFIG = Path("/etc/podwright/agent.toml")

_JOIN = "cluster"
_NODE = "node"
_ENGINE = "container engine"
_NETWORK = "network"
_LOGS = "logs"


def amount(text: str) -> str:
    """a resource and its amount such as cpu=2 or memory=4Gi"""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise ValueError(text)
    return f"{name}={quantity.canonical(value)}"


def label(text: str) -> str:
    """a label such as topology.kubernetes.io/zone=cellar"""
    name, equals, _ = text.partition("=")
    if not (name and equals):
        raise ValueError(text)
    return text


SETTINGS: tuple[Setting, ...] = (
    Setting(
        name="join",
        metavar="URL",
        group=_JOIN,
        help="API server of the cluster to join, like https://192.0.2.10:6443. Needed once: a "
        "machine that has joined remembers it.",
    ),
    Setting(
        name="token",
        secret=True,
        group=_JOIN,
        help="Bootstrap token to join with (`podwright token create` on the control machine).",
    ),
    Setting(
        name="ca-hash",
        metavar="sha256:HEX",
        group=_JOIN,
        help="Hash of the key of the cluster's CA: how a joining machine knows the right cluster.",
    ),
    Setting(
        name="kubeconfig",
        type=Path,
        group=_JOIN,
        help="Use the access of this file instead of joining. Unset: join, and write "
        "STATE-DIR/kubeconfig.",
    ),
    Setting(
        name="node-name",
        group=_NODE,
        help="Name of this node. Unset: the host name.",
    ),
    Setting(
        name="node-ip",
        type=settings.address,
        group=_NODE,
        help="Address by which others reach this node. Unset: that of the default route.",
    ),
    Setting(
        name="node-label",
        type=label,
        repeated=True,
        default=(),
        metavar="KEY=VALUE",
        group=_NODE,
        help="Further label of the Node, set when it registers.",
    ),
    Setting(
        name="state-dir",
        type=Path,
        default=Path("/var/lib/podwright/agent"),
        group=_NODE,
        help="Directory of checkpoints, certificates, volumes and network allocations.",
    ),
    Setting(
        name="run-dir",
        type=Path,
        default=Path("/run/podwright/agent"),
        group=_NODE,
        help="Directory of what need not outlive a reboot.",
    ),
    Setting(
        name="listen-address",
        type=settings.address,
        default="0.0.0.0",
        group=_NODE,
        help="Address on which logs, exec and metrics are served.",
    ),
    Setting(
        name="port",
        type=settings.port,
        default=10250,
        group=_NODE,
        help="Port on which logs, exec and metrics are served.",
    ),
    Setting(
        name="capacity",
        type=amount,
        repeated=True,
        default=(),
        metavar="RESOURCE=AMOUNT",
        group=_NODE,
        help="Declare this much of a resource instead of what the machine has: cpu=2, memory=4Gi.",
    ),
    Setting(
        name="system-reserved",
        type=amount,
        repeated=True,
        default=(),
        metavar="RESOURCE=AMOUNT",
        group=_NODE,
        help="Keep this much from pods, for the system and the agent.",
    ),
    Setting(
        name="max-pods",
        type=settings.count,
        default=110,
        metavar="N",
        group=_NODE,
        help="How many pods the scheduler may send here.",
    ),
    Setting(
        name="docker-host",
        default="unix:///var/run/docker.sock",
        metavar="URL",
        group=_ENGINE,
        help="Where the Docker Engine listens.",
    ),
    Setting(
        name="pause-image",
        default=DEFAULT_IMAGE,
        metavar="IMAGE",
        group=_ENGINE,
        help="Image of the pods' pause containers. The default is made on the node.",
    ),
    Setting(
        name="cgroup-root",
        default="/",
        metavar="CGROUP",
        group=_ENGINE,
        help="Cgroup below which the pods' cgroups are made.",
    ),
    Setting(
        name="cluster-cidr",
        type=settings.cidr,
        default="10.244.0.0/16",
        group=_NETWORK,
        help="Addresses of all pods, as the control plane has it.",
    ),
    Setting(
        name="service-cidr",
        type=settings.cidr,
        default="10.96.0.0/12",
        group=_NETWORK,
        help="Addresses of Services, as the control plane has it.",
    ),
    Setting(
        name="cluster-dns",
        type=settings.address,
        default="10.96.0.10",
        group=_NETWORK,
        help="Address of the cluster's DNS, which this agent answers on.",
    ),
    Setting(
        name="cluster-domain",
        default="cluster.local",
        group=_NETWORK,
        help="Domain of the cluster's names.",
    ),
    Setting(
        name="resolv-conf",
        type=Path,
        default=Path("/etc/resolv.conf"),
        group=_NETWORK,
        help="Resolvers for names outside the cluster, and for pods with dnsPolicy Default.",
    ),
    Setting(
        name="network-mode",
        choices=("auto", "host-gw", "vxlan"),
        default="auto",
        group=_NETWORK,
        help="How packets reach other nodes: direct routes, a tunnel, or for each the better.",
    ),
    Setting(
        name="bridge",
        default="pwbr0",
        metavar="LINK",
        group=_NETWORK,
        help="Name of the bridge that pods are attached to.",
    ),
    Setting(
        name="api-patience",
        type=settings.duration,
        default=5.0,
        group=_JOIN,
        help="How long a starting agent waits for the API before it trusts its checkpoints.",
    ),
    Setting(
        name="log-level", choices=log.LEVELS, default="info", group=_LOGS, help="What is logged."
    ),
    Setting(
        name="log-format",
        choices=("text", "json"),
        default="text",
        group=_LOGS,
        help="How it is logged.",
    ),
)


@dataclass(frozen=True, kw_only=True)
class AgentSettings:
    """The settings of one agent. Field by field as in `SETTINGS`; durations in seconds."""

    join: str | None = None
    token: str | None = None
    ca_hash: str | None = None
    kubeconfig: Path | None = None
    node_name: str | None = None
    node_ip: str | None = None
    node_label: tuple[str, ...] = ()
    state_dir: Path
    run_dir: Path
    listen_address: str = "0.0.0.0"
    port: int = 10250
    capacity: tuple[str, ...] = ()
    system_reserved: tuple[str, ...] = ()
    max_pods: int = 110
    docker_host: str = "unix:///var/run/docker.sock"
    pause_image: str = DEFAULT_IMAGE
    cgroup_root: str = "/"
    cluster_cidr: str = "10.244.0.0/16"
    service_cidr: str = "10.96.0.0/12"
    cluster_dns: str = "10.96.0.10"
    cluster_domain: str = "cluster.local"
    resolv_conf: Path = Path("/etc/resolv.conf")
    network_mode: str = "auto"
    bridge: str = "pwbr0"
    api_patience: float = 5.0
    log_level: str = "info"
    log_format: str = "text"

    @property
    def pki_dir(self) -> Path:
        return self.state_dir / "pki"

    def amounts(self, given: tuple[str, ...]) -> dict[str, str]:
        """`("cpu=2", …)` as a mapping."""
        return dict(one.split("=", 1) for one in given)

    def __repr__(self) -> str:
        return f"AgentSettings(node_name={self.node_name!r}, state_dir={str(self.state_dir)!r})"


def load(argv: Sequence[str], environ: Mapping[str, str]) -> AgentSettings:
    """Read and check all settings. Raises SettingsError, which names the source of the mistake."""
    values = settings.load(
        SETTINGS,
        argv,
        program=PROGRAM,
        description=DESCRIPTION,
        environ=environ,
        prefix=PREFIX,
        default_config=DEFAULT_CONFIG,
    )
    loaded = values.into(AgentSettings)
    if loaded.join and loaded.kubeconfig:
        raise SettingsError("--join and --kubeconfig exclude each other", hint="Give one of them.")
    dns = ipaddress.ip_address(loaded.cluster_dns)
    if dns not in ipaddress.ip_network(loaded.service_cidr):
        raise SettingsError(
            f"--cluster-dns {loaded.cluster_dns} is outside of --service-cidr {loaded.service_cidr}"
        )
    return loaded
