"""What this agent does not honour, and therefore refuses to run (step 4 of the pod's walk). Pure.

A pod that asks for isolation or a privilege which the agent would silently leave out is not
started: its containers wait with the reason, the condition PodReadyToStartContainers gives it too,
and an event names the field. Where Kubernetes documents that such a pod is rejected, it fails
(`Rule.rejects`), so that whoever owns it makes another one. Everything that is
checked is in the one table `REFUSALS`, from which docs/compatibility.md is generated; what the
agent honours only on some machines says so in `needs`.

`seLinuxOptions` are none of them: a label confines nothing where there is no SELinux, and
Kubernetes runs such a pod on such a node (container runtimes leave the label out).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from agent.containers.records import EngineInfo
from agent.pod.observed import Refusal
from agent.spec import sysctls
from api.core import Container, Pod, PodSecurityContext, SecurityContext

REASON = "UnsupportedSecurityContext"
REASON_POD = "UnsupportedPodField"


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What this node can do, and what its owner allows."""

    engine: EngineInfo
    unsafe_sysctls: Sequence[str] = ()


_PodRule = Callable[[Pod, Terms], bool]
_ContextRule = Callable[[SecurityContext, Terms], bool]
_Words = Callable[[Pod, Terms], str]


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
    rejects: _Words | None = None
    """The pod does not wait: it fails, as Kubernetes has it for this field, with these words."""


def _pod_context(pod: Pod) -> PodSecurityContext:
    return pod.spec.security_context or PodSecurityContext()


def _apparmor_missing(context: SecurityContext | PodSecurityContext, terms: Terms) -> bool:
    profile = context.app_armor_profile
    return profile is not None and profile.type != "Unconfined" and not terms.engine.apparmor


def _seccomp_missing(context: SecurityContext | PodSecurityContext, terms: Terms) -> bool:
    profile = context.seccomp_profile
    if profile is None or profile.type == "Unconfined":
        return False
    engine = terms.engine
    return not (engine.confines if profile.type == "RuntimeDefault" else engine.seccomp)


def _no_apparmor(pod: Pod, terms: Terms) -> str:
    return "Cannot enforce AppArmor: AppArmor is not enabled on the host"


def _forbidden_sysctl(pod: Pod, terms: Terms) -> str:
    return sysctls.forbidden(pod, terms.unsafe_sysctls)


def _another_os(pod: Pod, terms: Terms) -> str:
    return "Failed to admit pod as the OS field doesn't match node OS"


_CONTAINER = "spec.containers[*].securityContext"
_POD = "spec.securityContext"
_APPARMOR = "an engine with AppArmor"
_SECCOMP = "an engine with seccomp, for RuntimeDefault with a profile of its own"

REFUSALS: tuple[Rule, ...] = (
    Rule(
        field=f"{_CONTAINER}.privileged",
        why="this machine lacks capabilities of its own, so it cannot give all of them away",
        needs="a machine whose engine may use every capability",
        context=lambda c, t: c.privileged is True and not t.engine.can_run_privileged,
    ),
    Rule(
        field=f"{_CONTAINER}.procMount",
        why="an unmasked /proc needs a user namespace, or a privileged container",
        context=lambda c, t: c.proc_mount == "Unmasked" and not c.privileged,
    ),
    Rule(
        field=f"{_CONTAINER}.appArmorProfile",
        why="the container engine of this node has no AppArmor",
        needs=_APPARMOR,
        context=_apparmor_missing,
        reason="AppArmor",
        rejects=_no_apparmor,
    ),
    Rule(
        field=f"{_CONTAINER}.seccompProfile",
        why="the container engine of this node would not confine it",
        needs=_SECCOMP,
        context=lambda c, t: not c.privileged and _seccomp_missing(c, t),
    ),
    Rule(
        field=f"{_CONTAINER}.windowsOptions",
        why="this is a Linux node",
        context=lambda c, t: c.windows_options is not None,
    ),
    Rule(
        field=f"{_POD}.appArmorProfile",
        why="the container engine of this node has no AppArmor",
        needs=_APPARMOR,
        pod=lambda p, t: _apparmor_missing(_pod_context(p), t),
        reason="AppArmor",
        rejects=_no_apparmor,
    ),
    Rule(
        field=f"{_POD}.seccompProfile",
        why="the container engine of this node would not confine it",
        needs=_SECCOMP,
        pod=lambda p, t: _seccomp_missing(_pod_context(p), t),
    ),
    Rule(
        field=f"{_POD}.windowsOptions",
        why="this is a Linux node",
        pod=lambda p, t: _pod_context(p).windows_options is not None,
    ),
    Rule(
        field=f"{_POD}.sysctls",
        why="it is neither one of the safe ones nor allowed here, or it would be the node's own",
        needs="a node whose setting allowed-unsafe-sysctls names it",
        pod=lambda p, t: bool(_forbidden_sysctl(p, t)),
        reason="SysctlForbidden",
        rejects=_forbidden_sysctl,
    ),
    Rule(
        field="spec.hostUsers",
        why="the container engine makes no user namespace for a single pod",
        pod=lambda p, t: p.spec.host_users is False,
    ),
    Rule(
        field="spec.os.name",
        why="this is a Linux node",
        pod=lambda p, t: p.spec.os is not None and p.spec.os.name != "linux",
        reason="PodOSNotSupported",
        rejects=_another_os,
    ),
    Rule(
        field="spec.resourceClaims",
        why="devices are not allocated",
        pod=lambda p, t: bool(p.spec.resource_claims),
        reason=REASON_POD,
    ),
    Rule(
        field="spec.containers[*].volumeMounts[*].recursiveReadOnly",
        why="mounts below the volume would stay writable",
        needs="Linux 5.12 or newer",
        pod=lambda p, t: (
            not t.engine.recursive_read_only
            and any(
                mount.recursive_read_only == "Enabled"
                for _, c in _containers(p)
                for mount in c.volume_mounts
            )
        ),
        reason=REASON_POD,
    ),
)


def refusal(pod: Pod, engine: EngineInfo, *, unsafe_sysctls: Sequence[str] = ()) -> Refusal | None:
    """The first reason to refuse the pod; None when it can be run as it asks."""
    terms = Terms(engine=engine, unsafe_sysctls=unsafe_sysctls)
    for rule in REFUSALS:
        if rule.pod is not None and rule.pod(pod, terms):
            return _refusal(rule, rule.field, pod, terms)
        if rule.context is None:
            continue
        for path, container in _containers(pod):
            context = container.security_context
            if context is not None and rule.context(context, terms):
                where = rule.field.replace("spec.containers[*]", path)
                return _refusal(rule, where, pod, terms)
    return None


def refusal_of_added(
    pod: Pod, container: Container, path: str, engine: EngineInfo
) -> Refusal | None:
    """Why an ephemeral container is not started; the pod that it looks into goes on."""
    context, terms = container.security_context, Terms(engine=engine)
    for rule in REFUSALS:
        if rule.context is not None and context is not None and rule.context(context, terms):
            return _refusal(rule, rule.field.replace("spec.containers[*]", path), pod, terms)
    return None


def _refusal(rule: Rule, path: str, pod: Pod, terms: Terms) -> Refusal:
    if rule.rejects is not None:
        return Refusal(
            reason=rule.reason, field=path, message=rule.rejects(pod, terms), rejected=True
        )
    on = f"; it needs {rule.needs}" if rule.needs else ""
    return Refusal(
        reason=rule.reason,
        field=path,
        message=f"{path}: this agent does not honour it, so the pod is not started ({rule.why}{on})",
    )


def _containers(pod: Pod) -> Iterator[tuple[str, Container]]:
    for kind, containers in (
        ("initContainers", pod.spec.init_containers),
        ("containers", pod.spec.containers),
    ):
        for position, container in enumerate(containers):
            yield f"spec.{kind}[{position}]", container
