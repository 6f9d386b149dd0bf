"""Validation of security contexts: ranges, enumerations, and settings that contradict each other."""

from collections.abc import Iterator

from api.core import PodSecurityContext, PodSpec, SecurityContext
from api.core.security import (
    AppArmorProfile,
    AppArmorProfileType,
    PodFSGroupChangePolicy,
    PodSELinuxChangePolicy,
    ProcMountType,
    SeccompProfile,
    SeccompProfileType,
    SupplementalGroupsPolicy,
)
from api.fielderrors import FieldError, Path, duplicate, forbidden, invalid, required
from control.resources.checks import check_enum, check_id, check_text

_SYSCTL_WORDS = (
    "must have at most 253 characters and consist of lower case letters, digits, '-' and '_',"
    " with '.' or '/' between its parts"
)
_SYSCTL_LENGTH = 253


def container_security_errors(context: SecurityContext, path: Path) -> Iterator[FieldError]:
    """Errors of one container's security context."""
    yield from check_id(path.child("runAsUser"), context.run_as_user)
    yield from check_id(path.child("runAsGroup"), context.run_as_group)
    yield from check_enum(path.child("procMount"), context.proc_mount, ProcMountType)
    yield from _profile_errors(context, path)
    if context.allow_privilege_escalation is not False:
        return
    where = path.child("allowPrivilegeEscalation")
    if context.privileged:
        yield invalid(
            where, False, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
        )
    added = context.capabilities.add if context.capabilities is not None else []
    if "CAP_SYS_ADMIN" in added or "SYS_ADMIN" in added:
        yield invalid(
            where,
            False,
            "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN",
        )


def pod_security_errors(spec: PodSpec, path: Path) -> Iterator[FieldError]:
    """The pod's own security context, and which of the node's namespaces it may share."""
    if spec.security_context is not None:
        yield from _context_errors(spec.security_context, path.child("securityContext"))
    if spec.host_pid and spec.share_process_namespace:
        yield invalid(
            path.child("shareProcessNamespace"),
            True,
            "ShareProcessNamespace and HostPID cannot both be enabled",
        )
    if spec.host_users is False:
        for name, shared in (
            ("hostNetwork", spec.host_network),
            ("hostPID", spec.host_pid),
            ("hostIPC", spec.host_ipc),
        ):
            if shared:
                yield forbidden(path.child(name), "when `spec.hostUsers` is false")


def _context_errors(context: PodSecurityContext, path: Path) -> Iterator[FieldError]:
    for name, value in (
        ("runAsUser", context.run_as_user),
        ("runAsGroup", context.run_as_group),
        ("fsGroup", context.fs_group),
    ):
        yield from check_id(path.child(name), value)
    for number, group in enumerate(context.supplemental_groups):
        yield from check_id(path.child("supplementalGroups").index(number), group)
    seen: set[str] = set()
    for number, sysctl in enumerate(context.sysctls):
        where = path.child("sysctls").index(number).child("name")
        yield from check_text(where, sysctl.name, _sysctl_name)
        if sysctl.name in seen:
            yield duplicate(where, sysctl.name)
        seen.add(sysctl.name)
    for name, policy, alias in (
        ("fsGroupChangePolicy", context.fs_group_change_policy, PodFSGroupChangePolicy),
        ("supplementalGroupsPolicy", context.supplemental_groups_policy, SupplementalGroupsPolicy),
        ("seLinuxChangePolicy", context.se_linux_change_policy, PodSELinuxChangePolicy),
    ):
        yield from check_enum(path.child(name), policy, alias)
    yield from _profile_errors(context, path)


def _profile_errors(
    context: SecurityContext | PodSecurityContext, path: Path
) -> Iterator[FieldError]:
    if context.seccomp_profile is not None:
        where = path.child("seccompProfile")
        yield from check_enum(
            where.child("type"), context.seccomp_profile.type, SeccompProfileType, needed=True
        )
        yield from _localhost_errors(context.seccomp_profile, where, "seccomp")
    if context.app_armor_profile is not None:
        where = path.child("appArmorProfile")
        yield from check_enum(
            where.child("type"), context.app_armor_profile.type, AppArmorProfileType, needed=True
        )
        yield from _localhost_errors(context.app_armor_profile, where, "AppArmor")


def _localhost_errors(
    profile: SeccompProfile | AppArmorProfile, path: Path, what: str
) -> Iterator[FieldError]:
    where = path.child("localhostProfile")
    if profile.type == "Localhost":
        if not profile.localhost_profile:
            yield required(where, f"must be set when {what} type is Localhost")
    elif profile.localhost_profile is not None:
        words = f"can only be set when {what} type is Localhost"
        yield invalid(where, profile.localhost_profile, words)


def _sysctl_name(name: str) -> list[str]:
    parts = name.replace("/", ".").split(".")
    sound = all(
        part
        and part[0].isalnum()
        and part[-1].isalnum()
        and all(c in "-_" or (c.isascii() and (c.isdigit() or c.islower())) for c in part)
        for part in parts
    )
    return [] if sound and len(name) <= _SYSCTL_LENGTH else [_SYSCTL_WORDS]
