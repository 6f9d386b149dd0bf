"""The table itself: flags, environment, file and docs of the agent come from it."""

from __future__ import annotations

from pathlib import Path

from agent.containers.pause import DEFAULT_IMAGE
from agent.containers.pulls import PARALLEL
from agent.settings.values import (
    amount,
    any_number,
    cpu_list,
    cpu_option,
    hard_threshold,
    label,
    percent,
    port_if_any,
    priority_period,
    reclaim,
    reservation,
    several,
    size,
    soft_threshold,
    taint,
)
from agent.spec import runtimes, sysctls
from base import log, settings
from base.settings import Setting

_JOIN = "cluster"
_NODE = "node"
_ENGINE = "container engine"
_NETWORK = "network"
_LOGS = "logs"
_SHORT = "shortages"
_SHUTDOWN = "shutdown of the machine"

EVICTION_HARD = (
    "memory.available<100Mi",
    "nodefs.available<10%",
    "nodefs.inodesFree<5%",
    "imagefs.available<15%",
    "imagefs.inodesFree<5%",
    "pid.available<5%",
)
"""Kubernetes' own, and one for processes."""

REGISTRY_CONFIG = (Path("/var/lib/podwright/config.json"), Path("/root/.docker/config.json"))


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
        name="static-pod-path",
        type=Path,
        group=_NODE,
        help="Directory of static pods: each file in it is a pod that runs here while the file is there, "
        "with or without a control plane. Or one such file. Unset: none.",
    ),
    Setting(
        name="node-label",
        type=label,
        repeated=True,
        default=(),
        metavar="KEY=VALUE",
        group=_NODE,
        help="Further label of the Node, set when it registers. Of the domains kubernetes.io and k8s.io "
        "only those that a node may give itself, such as topology.kubernetes.io/zone.",
    ),
    Setting(
        name="register-node",
        type=settings.boolean,
        default=True,
        metavar="true|false",
        group=_NODE,
        help="Make the Node if there is none. Otherwise it is waited for until somebody has made it.",
    ),
    Setting(
        name="register-with-taints",
        type=taint,
        repeated=True,
        default=(),
        metavar="KEY=VALUE:EFFECT",
        group=_NODE,
        help="Taint of the Node when it is made: dedicated=storage:NoSchedule.",
    ),
    Setting(
        name="node-status-max-images",
        type=any_number,
        default=50,
        metavar="N",
        group=_NODE,
        help="How many images the Node's status names, the largest first; -1: all.",
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
        name="healthz-bind-address",
        type=settings.address,
        default="127.0.0.1",
        group=_NODE,
        help="Address on which /healthz is served without TLS, for the machine's own supervision.",
    ),
    Setting(
        name="healthz-port",
        type=port_if_any,
        metavar="PORT",
        default=10248,
        group=_NODE,
        help="Port of that /healthz; 0: none.",
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
        type=reservation,
        repeated=True,
        default=(),
        metavar="RESOURCE=AMOUNT",
        group=_NODE,
        help="Keep this much from pods, for the system and, where --kube-reserved says nothing, the agent.",
    ),
    Setting(
        name="kube-reserved",
        type=reservation,
        repeated=True,
        default=(),
        metavar="RESOURCE=AMOUNT",
        group=_NODE,
        help="Keep this much more from pods: what the agent and the container engine need.",
    ),
    Setting(
        name="cpu-manager-policy",
        choices=("none", "static"),
        default="none",
        group=_NODE,
        help="static: containers of Guaranteed pods that ask for whole CPUs get CPUs of their own. "
        "Needs CPUs reserved for the system.",
    ),
    Setting(
        name="cpu-manager-policy-options",
        type=cpu_option,
        repeated=True,
        default=(),
        metavar="OPTION=true|false",
        group=_NODE,
        help="full-pcpus-only=true: whole cores only, a pod that asks for a part of one is turned away; "
        "strict-cpu-reservation=true: no pod runs on the CPUs reserved for the system.",
    ),
    Setting(
        name="reserved-cpus",
        type=cpu_list,
        metavar="CPUS",
        group=_NODE,
        help="These CPUs, like 0-1, are kept for the system: no pod gets them for its own. Counts as "
        "the CPU part of --system-reserved and --kube-reserved.",
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
        name="pod-max-pids",
        type=int,
        default=-1,
        metavar="N",
        group=_NODE,
        help="How many processes and threads a pod may have; -1: as many as the node.",
    ),
    Setting(
        name="single-process-oom-kill",
        type=settings.boolean,
        default=False,
        metavar="true|false",
        group=_NODE,
        help="Of a container without memory left, end the largest process only. Otherwise all its "
        "processes end, where the kernel can (cgroup v2).",
    ),
    Setting(
        name="shutdown-grace-period",
        type=settings.duration,
        default=0.0,
        group=_SHUTDOWN,
        help="How long a shutdown of the machine waits for its pods to end; 0: it does not.",
    ),
    Setting(
        name="shutdown-grace-period-critical-pods",
        type=settings.duration,
        default=0.0,
        group=_SHUTDOWN,
        help="The last part of it, which is kept for critical pods (priority 2000000000 and more).",
    ),
    Setting(
        name="shutdown-grace-period-by-pod-priority",
        type=priority_period,
        repeated=True,
        default=(),
        metavar="PRIORITY=DURATION",
        group=_SHUTDOWN,
        help="Instead of the two: what pods of this priority and more get, lowest first, like 0=30s and "
        "10000=20s.",
    ),
    Setting(
        name="shutdown-on-term",
        type=bool,
        default=False,
        group=_SHUTDOWN,
        help="Take TERM for a shutdown of the machine, where no systemd says whether it is one. Else the "
        "agent's end leaves pods alone.",
    ),
    Setting(
        name="crash-loop-back-off",
        type=settings.duration,
        default=10.0,
        group=_NODE,
        help="How long a container that ends again and again waits the first time; doubled each time. A "
        "pod may have its own curve: annotation podwright.io/restart-back-off.",
    ),
    Setting(
        name="max-container-restart-period",
        type=settings.duration,
        default=300.0,
        group=_NODE,
        help="The longest wait of a container that ends again and again.",
    ),
    Setting(
        name="crash-loop-reset",
        type=settings.duration,
        default=600.0,
        group=_NODE,
        help="A container that ran for so long starts the waits from the beginning.",
    ),
    Setting(
        name="eviction-hard",
        type=hard_threshold,
        repeated=True,
        default=EVICTION_HARD,
        metavar="SIGNAL<AMOUNT",
        group=_SHORT,
        help="Below this amount or percentage the node is short, and a pod is evicted at once. Given "
        "once, the default no longer counts; 0% means never.",
    ),
    Setting(
        name="eviction-soft",
        type=soft_threshold,
        repeated=True,
        default=(),
        metavar="SIGNAL<AMOUNT=DURATION",
        group=_SHORT,
        help="Below this for so long the node is short, and a pod is evicted with its grace period: "
        "memory.available<200Mi=1m30s.",
    ),
    Setting(
        name="eviction-minimum-reclaim",
        type=reclaim,
        repeated=True,
        default=(),
        metavar="SIGNAL=AMOUNT",
        group=_SHORT,
        help="How much beyond a threshold is to be free before a shortage counts as over: "
        "memory.available=100Mi or nodefs.available=5%.",
    ),
    Setting(
        name="eviction-pressure-transition-period",
        type=settings.duration,
        default=300.0,
        group=_SHORT,
        help="How long a pressure is reported after it was seen last.",
    ),
    Setting(
        name="eviction-max-pod-grace-period",
        type=settings.duration,
        default=0.0,
        group=_SHORT,
        help="The longest grace period of a pod that goes for a soft threshold; 0: it goes at once.",
    ),
    Setting(
        name="maximum-dead-containers-per-container",
        type=settings.count,
        default=1,
        metavar="N",
        group=_SHORT,
        help="How many containers that ended are kept of each name in a pod, for their logs.",
    ),
    Setting(
        name="maximum-dead-containers",
        type=any_number,
        default=-1,
        metavar="N",
        group=_SHORT,
        help="How many are kept on the node; the oldest go, but none that its pod still needs. -1: any "
        "number.",
    ),
    Setting(
        name="minimum-container-ttl-duration",
        type=settings.duration,
        default=0.0,
        group=_SHORT,
        help="For how long a container that ended is kept in any case.",
    ),
    Setting(
        name="image-gc-high-threshold",
        type=percent,
        default=85,
        metavar="PERCENT",
        group=_SHORT,
        help="From this use of their disk on, images that no container uses are removed; 100: never.",
    ),
    Setting(
        name="image-gc-low-threshold",
        type=percent,
        default=80,
        metavar="PERCENT",
        group=_SHORT,
        help="They are removed until the use is down to this.",
    ),
    Setting(
        name="minimum-image-ttl",
        type=settings.duration,
        default=120.0,
        group=_SHORT,
        help="No image is removed before it has been here for this long.",
    ),
    Setting(
        name="image-maximum-gc-age",
        type=settings.duration,
        default=0.0,
        group=_SHORT,
        help="Images that nobody has used for this long are removed in any case; 0: never.",
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
        name="seccomp-profile-root",
        type=Path,
        default=Path("/var/lib/podwright/seccomp"),
        group=_ENGINE,
        help="Directory of the seccomp profiles that pods name as localhostProfile.",
    ),
    Setting(
        name="allowed-unsafe-sysctls",
        type=sysctls.allowed_pattern,
        repeated=True,
        default=(),
        metavar="SYSCTL",
        group=_ENGINE,
        help="Kernel parameter beyond the safe ones that pods may set in their own namespaces: a name, "
        "or the beginning of names with a *, like net.core.somaxconn or kernel.msg*.",
    ),
    Setting(
        name="runtime-handlers",
        type=runtimes.handler,
        repeated=True,
        default=(),
        metavar="HANDLER=RUNTIME",
        group=_ENGINE,
        help="What the handler of a RuntimeClass is called in the engine, where the names differ: "
        "gvisor=runsc.",
    ),
    Setting(
        name="registry-config",
        type=Path,
        repeated=True,
        default=REGISTRY_CONFIG,
        metavar="FILE",
        group=_ENGINE,
        help="File with credentials for registries, as `docker login` writes it. They are tried after "
        "those of a pod's imagePullSecrets.",
    ),
    Setting(
        name="serialize-image-pulls",
        type=settings.boolean,
        default=False,
        metavar="true|false",
        group=_ENGINE,
        help="Pull one image after the other, for slow disks and thin lines.",
    ),
    Setting(
        name="max-parallel-image-pulls",
        type=settings.count,
        default=PARALLEL,
        metavar="N",
        group=_ENGINE,
        help="How many images are pulled at a time; who comes later waits in turn.",
    ),
    Setting(
        name="container-log-max-size",
        type=size,
        default="10Mi",
        metavar="SIZE",
        group=_ENGINE,
        help="Size at which a container's log begins another file.",
    ),
    Setting(
        name="container-log-max-files",
        type=several,
        default=5,
        metavar="N",
        group=_ENGINE,
        help="How many files a container's log may have; the oldest goes when there are more.",
    ),
    Setting(
        name="container-log-root",
        type=Path,
        default=Path("/var/log"),
        group=_ENGINE,
        help="Directory in which log collectors find the containers' logs, as pods/ and containers/.",
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
