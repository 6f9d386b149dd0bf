"""Which kernel parameters a pod may set (step 4 of the pod's walk). Pure.

The safe ones belong to the pod's own namespaces and cannot hurt its neighbours. Others of a namespace
the node's owner may allow, by name or by the beginning of names (`allowed-unsafe-sysctls`); what
belongs to the whole node nobody may. The list and the words are those of Kubernetes' documentation
("Using sysctls in a Kubernetes Cluster").
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from api.core import Pod

SAFE = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.tcp_wmem",
    }
)

_IPC = ("kernel.shm", "kernel.msg", "fs.mqueue.")
_IPC_NAMES = ("kernel.sem",)
_NET = "net."


def normal(name: str) -> str:
    """With dots between the parts; sysctl(8) takes slashes too, and then dots are part of a name."""
    dot, slash = name.find("."), name.find("/")
    if slash < 0 or (0 <= dot < slash):
        return name
    return name.translate(str.maketrans("./", "/."))


def namespaced(pattern: str) -> bool:
    """Whether what is meant belongs to the pod's IPC or network namespace."""
    return _is_ipc(pattern) or pattern.startswith(_NET)


def allowed_pattern(text: str) -> str:
    """a kernel parameter of a namespace, or the beginning of such with a * like net.core.*"""
    name = normal(text)
    if not namespaced(name.removesuffix("*")) or "*" in name[:-1]:
        raise ValueError(text)
    return name


def forbidden(pod: Pod, allowed: Sequence[str]) -> str:
    """Why the pod may not have its kernel parameters here; empty when it may."""
    context = pod.spec.security_context
    for sysctl in () if context is None else context.sysctls:
        name = normal(sysctl.name)
        if not (name in SAFE or _matches(name, allowed)):
            return f'forbidden sysctl: "{name}" not allowlisted'
        if pod.spec.host_network and name.startswith(_NET):
            return f'forbidden sysctl: "{name}" not allowed with host net enabled'
        if pod.spec.host_ipc and _is_ipc(name):
            return f'forbidden sysctl: "{name}" not allowed with host ipc enabled'
    return ""


def _is_ipc(name: str) -> bool:
    return name in _IPC_NAMES or name.startswith(_IPC)


def _matches(name: str, allowed: Iterable[str]) -> bool:
    return any(
        name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern
        for pattern in allowed
    )
