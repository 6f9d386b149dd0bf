"""Every setting of the control plane in one table: flags, environment, file and docs come from it.

`SETTINGS` is read once at start by `load`, which also checks what only makes sense together; the
rest of the process sees the frozen `ControlSettings`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from base import log, settings
from base.settings import Setting, SettingsError

PREFIX = "PODWRIGHT_CONTROL_"
PROGRAM = "podwright control"
DESCRIPTION = "The control plane: API server, store, scheduler and controllers in one process."
DEFAULT_CONFIG = Path("/etc/podwright/control.toml")

_API = "API server"
_NETWORK = "cluster network"
_NODES = "nodes"
_LOGS = "logs"

SETTINGS: tuple[Setting, ...] = (
    Setting(
        name="listen-address",
        type=settings.address,
        default="0.0.0.0",
        group=_API,
        help="Address the API server listens on.",
    ),
    Setting(
        name="port", type=settings.port, default=6443, group=_API, help="Port of the API server."
    ),
    Setting(
        name="advertise-address",
        type=settings.address,
        group=_API,
        help="Address under which nodes and pods reach this machine; it becomes the endpoint of "
        "the Service default/kubernetes. Unset: the address of the default route.",
    ),
    Setting(
        name="san",
        repeated=True,
        metavar="NAME|IP",
        group=_API,
        help="Further name or address in the API server's certificate.",
    ),
    Setting(
        name="listen-fd",
        type=int,
        repeated=True,
        metavar="FD",
        group=_API,
        help="Inherited listening socket to serve as well (local clusters use it).",
    ),
    Setting(
        name="state-dir",
        type=Path,
        default=Path("/var/lib/podwright/control"),
        group=_API,
        help="Directory of the database and of caches.",
    ),
    Setting(
        name="pki-dir",
        type=Path,
        default=Path("/etc/podwright/pki"),
        group=_API,
        help="Directory of the cluster's CA and certificates; made on the first start.",
    ),
    Setting(
        name="kubeconfig-out",
        type=Path,
        default=Path("/etc/podwright/admin.kubeconfig"),
        group=_API,
        help="Where to write the administrator's kubeconfig.",
    ),
    Setting(
        name="kubeconfig-server",
        default="",
        metavar="URL",
        group=_API,
        help="Server named in the administrator's kubeconfig. Unset: https://127.0.0.1:PORT.",
    ),
    Setting(
        name="max-body-size",
        type=settings.count,
        default=3 * 1024 * 1024,
        metavar="BYTES",
        group=_API,
        help="Largest request body accepted.",
    ),
    Setting(
        name="slow-request",
        type=settings.duration,
        default=1.0,
        group=_API,
        help="Requests that take longer than this are logged (watches and streams excepted).",
    ),
    Setting(
        name="shutdown-grace",
        type=settings.duration,
        default=10.0,
        group=_API,
        help="How long requests that are running may go on after TERM.",
    ),
    Setting(
        name="service-account-issuer",
        repeated=True,
        metavar="URL",
        group=_API,
        help="Who gives out the tokens of service accounts; the first one signs, further ones are "
        "accepted too. Unset: https://kubernetes.default.svc.CLUSTER-DOMAIN.",
    ),
    Setting(
        name="service-account-key-file",
        type=Path,
        repeated=True,
        metavar="PATH",
        group=_API,
        help="Former keys (PEM) whose tokens are still accepted, besides those of sa.key in "
        "--pki-dir, which signs.",
    ),
    Setting(
        name="service-account-jwks-uri",
        default="",
        metavar="URL",
        group=_API,
        help="Where those who verify tokens themselves are told to read the keys. Unset: "
        "/openid/v1/jwks of this server.",
    ),
    Setting(
        name="api-audiences",
        repeated=True,
        metavar="AUDIENCE",
        group=_API,
        help="For whom a token must be meant to be accepted here, one of these at least. Unset: the "
        "issuers.",
    ),
    Setting(
        name="enable-admission-plugins",
        repeated=True,
        metavar="PLUGIN",
        group=_API,
        help="Admission plugin to take in that is not by itself: AlwaysPullImages.",
    ),
    Setting(
        name="disable-admission-plugins",
        repeated=True,
        metavar="PLUGIN",
        group=_API,
        help="Admission plugin to leave out, such as ServiceAccount.",
    ),
    Setting(
        name="cluster-cidr",
        type=settings.cidr,
        default="10.244.0.0/16",
        group=_NETWORK,
        help="Addresses of pods; each node gets a part of it.",
    ),
    Setting(
        name="node-cidr-mask-size",
        type=int,
        default=24,
        metavar="BITS",
        group=_NETWORK,
        help="Prefix length of each node's part of --cluster-cidr.",
    ),
    Setting(
        name="service-cidr",
        type=settings.cidr,
        default="10.96.0.0/12",
        group=_NETWORK,
        help="Addresses of Services. The first one is the API server's own.",
    ),
    Setting(
        name="service-node-port-range",
        default="30000-32767",
        metavar="FIRST-LAST",
        group=_NETWORK,
        help="Ports of Services of type NodePort.",
    ),
    Setting(
        name="cluster-dns",
        type=settings.address,
        default="10.96.0.10",
        group=_NETWORK,
        help="Address of the cluster's DNS, within --service-cidr.",
    ),
    Setting(
        name="cluster-domain",
        default="cluster.local",
        group=_NETWORK,
        help="Domain of the cluster's names.",
    ),
    Setting(
        name="controllers",
        type=bool,
        default=True,
        group=_NODES,
        help="Run the scheduler and the controllers; without them it is an API server and no more.",
    ),
    Setting(
        name="scheduler-config",
        type=Path,
        metavar="FILE",
        group=_NODES,
        help="How schedulers choose nodes, under which names: a KubeSchedulerConfiguration (YAML), as "
        "docs/scheduling.md describes it. Unset: one scheduler, default-scheduler, as Kubernetes' own.",
    ),
    Setting(
        name="node-monitor-grace-period",
        type=settings.duration,
        default=40.0,
        group=_NODES,
        help="A node that has sent no heartbeat for this long is not ready.",
    ),
    Setting(
        name="node-eviction-rate",
        type=float,
        default=0.1,
        group=_NODES,
        help="So many nodes that are not ready lose their pods per second in each zone.",
    ),
    Setting(
        name="secondary-node-eviction-rate",
        type=float,
        default=0.01,
        group=_NODES,
        help="The same while much of the zone is not ready; nothing in a zone that is not large.",
    ),
    Setting(
        name="unhealthy-zone-threshold",
        type=float,
        default=0.55,
        group=_NODES,
        help="Much of a zone is not ready from this share of its nodes on (and from three nodes on).",
    ),
    Setting(
        name="large-cluster-size-threshold",
        type=int,
        default=50,
        group=_NODES,
        help="A zone with more nodes than this is large.",
    ),
    Setting(
        name="default-toleration",
        type=settings.duration,
        default=300.0,
        group=_NODES,
        help="How long pods stay bound to a node that is not ready, unless they say otherwise.",
    ),
    Setting(
        name="compaction-interval",
        type=settings.duration,
        default=300.0,
        group=_API,
        help="How often history older than this is dropped; watches resume at most this far back.",
    ),
    Setting(
        name="event-ttl",
        type=settings.duration,
        default=3600.0,
        group=_API,
        help="How long an event is kept after it was told last; 0: for ever.",
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
class ControlSettings:
    """The settings of one control plane. Field by field as in `SETTINGS`; durations in seconds."""

    listen_address: str = "0.0.0.0"
    port: int = 6443
    advertise_address: str | None = None
    san: tuple[str, ...] = ()
    listen_fd: tuple[int, ...] = ()
    state_dir: Path
    pki_dir: Path
    kubeconfig_out: Path
    kubeconfig_server: str = ""
    max_body_size: int = 3 * 1024 * 1024
    slow_request: float = 1.0
    shutdown_grace: float = 10.0
    service_account_issuer: tuple[str, ...] = ()
    service_account_key_file: tuple[Path, ...] = ()
    service_account_jwks_uri: str = ""
    api_audiences: tuple[str, ...] = ()
    enable_admission_plugins: tuple[str, ...] = ()
    disable_admission_plugins: tuple[str, ...] = ()
    cluster_cidr: str = "10.244.0.0/16"
    node_cidr_mask_size: int = 24
    service_cidr: str = "10.96.0.0/12"
    service_node_port_range: str = "30000-32767"
    cluster_dns: str = "10.96.0.10"
    cluster_domain: str = "cluster.local"
    controllers: bool = True
    scheduler_config: Path | None = None
    node_monitor_grace_period: float = 40.0
    node_eviction_rate: float = 0.1
    secondary_node_eviction_rate: float = 0.01
    unhealthy_zone_threshold: float = 0.55
    large_cluster_size_threshold: int = 50
    default_toleration: float = 300.0
    compaction_interval: float = 300.0
    event_ttl: float = 3600.0
    log_level: str = "info"
    log_format: str = "text"

    @property
    def node_ports(self) -> range:
        first, _, last = self.service_node_port_range.partition("-")
        return range(int(first), int(last) + 1)

    @property
    def issuers(self) -> tuple[str, ...]:
        """Who may have given out a service account's token; the first one gives them out now."""
        own = f"https://kubernetes.default.svc.{self.cluster_domain}"
        return self.service_account_issuer or (own,)

    @property
    def audiences(self) -> tuple[str, ...]:
        """Who this server is to those who show a token."""
        return self.api_audiences or self.issuers

    @property
    def kubernetes_service_ip(self) -> str:
        """The first address of the Services, which is the API server's inside the cluster."""
        return str(next(ipaddress.ip_network(self.service_cidr).hosts()))


def load(argv: Sequence[str], environ: Mapping[str, str]) -> ControlSettings:
    """The settings of this process. Raises SettingsError, worded for whoever set them."""
    values = settings.load(
        SETTINGS,
        argv,
        program=PROGRAM,
        description=DESCRIPTION,
        environ=environ,
        prefix=PREFIX,
        default_config=DEFAULT_CONFIG,
    )
    loaded = values.into(ControlSettings)
    check(loaded)
    return loaded


def check(loaded: ControlSettings) -> None:
    """What a single setting cannot know: whether they fit together."""
    services = ipaddress.ip_network(loaded.service_cidr)
    pods = ipaddress.ip_network(loaded.cluster_cidr)
    if services.overlaps(pods):
        raise SettingsError(
            f"--service-cidr {services} and --cluster-cidr {pods} overlap",
            hint="Services and pods need addresses of their own.",
        )
    if ipaddress.ip_address(loaded.cluster_dns) not in services:
        raise SettingsError(
            f"--cluster-dns {loaded.cluster_dns} is not within --service-cidr {services}",
            hint="The cluster's DNS is a Service; choose one of the Services' addresses.",
        )
    if not pods.prefixlen <= loaded.node_cidr_mask_size <= pods.max_prefixlen - 2:
        raise SettingsError(
            f"--node-cidr-mask-size {loaded.node_cidr_mask_size} does not divide "
            f"--cluster-cidr {pods}",
            hint=f"Choose a number from {pods.prefixlen} to {pods.max_prefixlen - 2}.",
        )
    _check_node_ports(loaded)


def _check_node_ports(loaded: ControlSettings) -> None:
    try:
        ports = loaded.node_ports
        usable = 1 <= ports.start < ports.stop <= 65536
    except ValueError:
        usable = False
    if not usable:
        raise SettingsError(
            "--service-node-port-range: expected two ports such as 30000-32767, found "
            f"{loaded.service_node_port_range!r}"
        )
