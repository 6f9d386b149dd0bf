"""What this agent does not honour, and therefore refuses to run (step 4 of the pod's walk). Pure.

A pod that asks for isolation or a privilege which the agent would silently leave out is not
started: its containers wait with the reason, and an event names the field. Everything that is
checked is in the one table `REFUSALS`, from which docs/compatibility.md is generated; what the
agent honours only on some machines says so in `needs`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from agent.containers.records import EngineInfo
from agent.pod.observed import Refusal
from api.core import Container, Pod, PodSecurityContext, SecurityContext

REASON = "UnsupportedSecurityContext"
REASON_POD = "UnsupportedPodField"

SAFE_SYSCTLS = frozenset(
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
"""Kernel parameters that belong to a pod's namespaces and cannot hurt its neighbours."""

_PodRule = Callable[[Pod, EngineInfo], bool]
_ContextRule = Callable[[SecurityContext, EngineInfo], bool]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One field that is refused, and when."""

    field: str
    """Path in the pod; `*` stands for each container."""
    why: str
    needs: str = ""
    """The machine on which it is honoured; empty: not yet on any."""
    pod: _PodRule | None = None
    context: _ContextRule | None = None
    reason: str = REASON


def _pod_context(pod: Pod) -> PodSecurityContext:
    return pod.spec.security_context or PodSecurityContext()


def _seccomp_localhost(context: SecurityContext | PodSecurityContext) -> bool:
    return context.seccomp_profile is not None and context.seccomp_profile.type == "Localhost"


def _apparmor_missing(context: SecurityContext | PodSecurityContext, engine: EngineInfo) -> bool:
    profile = context.app_armor_profile
    return profile is not None and profile.type != "Unconfined" and not engine.apparmor


def _unsafe_sysctl(pod: Pod) -> bool:
    return any(sysctl.name not in SAFE_SYSCTLS for sysctl in _pod_context(pod).sysctls)


def _net_sysctl_on_host(pod: Pod) -> bool:
    return pod.spec.host_network and any(
        sysctl.name.startswith("net.") for sysctl in _pod_context(pod).sysctls
    )


_CONTAINER = "spec.containers[*].securityContext"
_POD = "spec.securityContext"
_APPARMOR = "an engine with AppArmor"

REFUSALS: tuple[Rule, ...] = (
    Rule(
        field=f"{_CONTAINER}.privileged",
        why="this machine lacks capabilities of its own, so it cannot give all of them away",
        needs="a machine whose engine may use every capability",
        context=lambda c, e: c.privileged is True and not e.can_run_privileged,
    ),
    Rule(
        field=f"{_CONTAINER}.procMount",
        why="an unmasked /proc needs user namespaces",
        context=lambda c, e: c.proc_mount == "Unmasked",
    ),
    Rule(
        field=f"{_CONTAINER}.seccompProfile.localhostProfile",
        why="profiles from files are not loaded",
        context=lambda c, e: _seccomp_localhost(c),
    ),
    Rule(
        field=f"{_CONTAINER}.appArmorProfile",
        why="the container engine of this node has no AppArmor",
        needs=_APPARMOR,
        context=_apparmor_missing,
    ),
    Rule(
        field=f"{_CONTAINER}.seLinuxOptions",
        why="SELinux labels are not set",
        context=lambda c, e: c.se_linux_options is not None,
    ),
    Rule(
        field=f"{_CONTAINER}.windowsOptions",
        why="this is a Linux node",
        context=lambda c, e: c.windows_options is not None,
    ),
    Rule(
        field=f"{_POD}.seccompProfile.localhostProfile",
        why="profiles from files are not loaded",
        pod=lambda p, e: _seccomp_localhost(_pod_context(p)),
    ),
    Rule(
        field=f"{_POD}.appArmorProfile",
        why="the container engine of this node has no AppArmor",
        needs=_APPARMOR,
        pod=lambda p, e: _apparmor_missing(_pod_context(p), e),
    ),
    Rule(
        field=f"{_POD}.seLinuxOptions",
        why="SELinux labels are not set",
        pod=lambda p, e: _pod_context(p).se_linux_options is not None,
    ),
    Rule(
        field=f"{_POD}.windowsOptions",
        why="this is a Linux node",
        pod=lambda p, e: _pod_context(p).windows_options is not None,
    ),
    Rule(
        field=f"{_POD}.supplementalGroupsPolicy",
        why="the engine always adds the groups of the image's /etc/group",
        pod=lambda p, e: _pod_context(p).supplemental_groups_policy == "Strict",
    ),
    Rule(
        field=f"{_POD}.sysctls",
        why="only the safe sysctls of the pod's own namespaces are set",
        pod=lambda p, e: _unsafe_sysctl(p),
        reason="SysctlForbidden",
    ),
    Rule(
        field=f"{_POD}.sysctls",
        why="net.* sysctls of a hostNetwork pod would be the node's",
        pod=lambda p, e: _net_sysctl_on_host(p),
        reason="SysctlForbidden",
    ),
    Rule(
        field="spec.hostUsers",
        why="user namespaces are not made",
        pod=lambda p, e: p.spec.host_users is False,
    ),
    Rule(
        field="spec.runtimeClassName",
        why="there is one runtime, the engine's",
        pod=lambda p, e: bool(p.spec.runtime_class_name),
    ),
    Rule(
        field="spec.os.name",
        why="this is a Linux node",
        pod=lambda p, e: p.spec.os is not None and p.spec.os.name != "linux",
        reason="PodOSNotSupported",
    ),
    Rule(
        field="spec.resourceClaims",
        why="devices are not allocated",
        pod=lambda p, e: bool(p.spec.resource_claims),
        reason=REASON_POD,
    ),
    Rule(
        field="spec.containers[*].volumeMounts[*].recursiveReadOnly",
        why="mounts below the volume would stay writable",
        pod=lambda p, e: any(
            mount.recursive_read_only == "Enabled"
            for _, c in _containers(p)
            for mount in c.volume_mounts
        ),
        reason=REASON_POD,
    ),
    Rule(
        field="spec.containers[*].volumeMounts[*].recursiveReadOnly",
        why="mounts below a read-only mount stay as they are",
        pod=lambda p, e: any(
            mount.recursive_read_only == "Enabled"
            for _, c in _containers(p)
            for mount in c.volume_mounts
        ),
    ),
    Rule(
        field="spec.containers[*].volumeDevices",
        why="raw block volumes are not attached",
        pod=lambda p, e: any(c.volume_devices for _, c in _containers(p)),
        reason=REASON_POD,
    ),
)


def refusal(pod: Pod, engine: EngineInfo) -> Refusal | None:
    """The first reason to refuse the pod; None when it can be run as it asks."""
    for rule in REFUSALS:
        if rule.pod is not None and rule.pod(pod, engine):
            return _refusal(rule, rule.field)
        if rule.context is None:
            continue
        for path, container in _containers(pod):
            context = container.security_context
            if context is not None and rule.context(context, engine):
                return _refusal(rule, rule.field.replace("spec.containers[*]", path))
    return None


def refusal_of_added(container: Container, path: str, engine: EngineInfo) -> Refusal | None:
    """Why an ephemeral container is not started; the pod that it looks into goes on."""
    context = container.security_context
    for rule in REFUSALS:
        if rule.context is not None and context is not None and rule.context(context, engine):
            return _refusal(rule, rule.field.replace("spec.containers[*]", path))
    return None


def _refusal(rule: Rule, path: str) -> Refusal:
    on = f"; it needs {rule.needs}" if rule.needs else ""
    return Refusal(
        reason=rule.reason,
        field=path,
        message=f"{path}: this agent does not honour it yet, so the pod is not started ({rule.why}{on})",
    )


def _containers(pod: Pod) -> Iterator[tuple[str, Container]]:
    for kind, containers in (
        ("initContainers", pod.spec.init_containers),
        ("containers", pod.spec.containers),
    ):
        for position, container in enumerate(containers):
            yield f"spec.{kind}[{position}]", container
