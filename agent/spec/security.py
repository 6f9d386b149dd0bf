"""A container's security context as the engine understands it (step 4 of the pod's walk). Pure.

Only what `refusals.py` lets through arrives here. A field of the container wins over the same field
of the pod.

Groups: given `user`, the engine adds the groups that the image's /etc/group has the user in; given
`user:group`, it adds none. Kubernetes' `Merge` adds them in both cases and `Strict` in neither, so in
two of the four cases the agent looks into the image itself (`needs_accounts`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.containers.accounts import Accounts
from agent.containers.records import EngineInfo, ImageRecord
from agent.spec.errors import ConfigError
from agent.spec.sysctls import normal
from api.core import Container, Pod, PodSecurityContext, SecurityContext, SELinuxOptions


@dataclass(frozen=True, kw_only=True)
class Security:
    """What a container may and may not do, as fields of `ContainerCreate`."""

    user: str | None = None
    group_add: tuple[str, ...] = ()
    read_only_rootfs: bool = False
    privileged: bool = False
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    sysctls: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Known:
    """What was read for the container before it is made."""

    accounts: Accounts | None = None
    """Those of its image, where they are needed."""
    seccomp: str | None = None
    """Its profile of the type Localhost."""
    groups: tuple[int, ...] = ()
    """Those of the pod's volumes."""


def security(
    pod: Pod,
    container: Container,
    image: ImageRecord,
    engine: EngineInfo,
    known: Known | None = None,
) -> Security:
    """Translate. Raises ConfigError when runAsNonRoot cannot be vouched for."""
    own = container.security_context or SecurityContext()
    shared = pod.spec.security_context or PodSecurityContext()
    known = known or Known()
    user = _first(own.run_as_user, shared.run_as_user)
    group = _first(own.run_as_group, shared.run_as_group)
    if _first(own.run_as_non_root, shared.run_as_non_root):
        _verify_non_root(pod, container, image, user, known.accounts)
    capabilities = own.capabilities
    who, further = _user(user, group, image), (*_groups(shared), *map(str, known.groups))
    account = None if known.accounts is None else known.accounts.find(who or image.user)
    if account is not None:
        if shared.supplemental_groups_policy == "Strict":
            who = f"{account.uid}:{account.gid}"
        elif ":" in (who or image.user):
            further = (*further, *map(str, account.groups))
    return Security(
        user=who,
        group_add=tuple(dict.fromkeys(further)),
        read_only_rootfs=own.read_only_root_filesystem is True,
        privileged=own.privileged is True,
        cap_add=() if capabilities is None else tuple(_bare(c) for c in capabilities.add),
        cap_drop=() if capabilities is None else tuple(_bare(c) for c in capabilities.drop),
        options=_options(own, shared, engine, known.seccomp),
    )


def needs_accounts(pod: Pod, container: Container, image: ImageRecord) -> bool:
    """Whether users and groups of the image have to be looked up for this container."""
    own = container.security_context or SecurityContext()
    shared = pod.spec.security_context or PodSecurityContext()
    user = _first(own.run_as_user, shared.run_as_user)
    who = _user(user, _first(own.run_as_group, shared.run_as_group), image) or image.user
    named = not (who.partition(":")[0] or "0").isdigit()
    if named and user is None and _first(own.run_as_non_root, shared.run_as_non_root):
        return True
    strict = shared.supplemental_groups_policy == "Strict"
    return strict is not (":" in who)


def sandbox_sysctls(pod: Pod) -> dict[str, str]:
    """Kernel parameters of the pod's namespaces, which its pause container owns."""
    context = pod.spec.security_context
    return {} if context is None else {normal(s.name): s.value for s in context.sysctls}


def sandbox_options(pod: Pod) -> tuple[str, ...]:
    """The pause container gains nothing, and has the SELinux label that its pod shares."""
    context = pod.spec.security_context
    labels = () if context is None else _labels(context.se_linux_options)
    return ("no-new-privileges", *labels)


def _groups(shared: PodSecurityContext) -> tuple[str, ...]:
    groups = [str(group) for group in shared.supplemental_groups]
    return (*groups, str(shared.fs_group)) if shared.fs_group is not None else tuple(groups)


def _user(user: int | None, group: int | None, image: ImageRecord) -> str | None:
    """`uid:gid`; None leaves it to the image."""
    if user is None and group is None:
        return None
    name = str(user) if user is not None else (image.user.partition(":")[0] or "0")
    return name if group is None else f"{name}:{group}"


def _verify_non_root(
    pod: Pod,
    container: Container,
    image: ImageRecord,
    user: int | None,
    accounts: Accounts | None,
) -> None:
    where = f'(pod: "{pod.metadata.name}_{pod.metadata.namespace}({pod.metadata.uid})", '
    where += f"container: {container.name})"
    if user is not None:
        if user == 0:
            words = "container's runAsUser breaks non-root policy"
            raise ConfigError(f"{words} {where}")
        return
    name = image.user.partition(":")[0]
    account = None if accounts is None else accounts.find(name)
    if (
        not name
        or (name.isdigit() and int(name) == 0)
        or (account is not None and account.uid == 0)
    ):
        words = "container has runAsNonRoot and image will run as root"
        raise ConfigError(f"{words} {where}")
    if not name.isdigit() and account is None:
        raise ConfigError(
            f"container has runAsNonRoot and image has non-numeric user ({name}), "
            f"cannot verify user is non-root {where}"
        )


def _options(
    own: SecurityContext, shared: PodSecurityContext, engine: EngineInfo, profile: str | None
) -> tuple[str, ...]:
    options = []
    if own.allow_privilege_escalation is False:
        options.append("no-new-privileges")
    seccomp = own.seccomp_profile or shared.seccomp_profile
    # Unset means the engine's default profile: stricter than Kubernetes' default, never weaker.
    if profile is not None:
        options.append(f"seccomp={profile}")
    elif seccomp is not None and seccomp.type == "Unconfined":
        options.append("seccomp=unconfined")
    apparmor = own.app_armor_profile or shared.app_armor_profile
    if apparmor is not None and engine.apparmor:
        if apparmor.type == "Unconfined":
            options.append("apparmor=unconfined")
        elif apparmor.type == "Localhost" and apparmor.localhost_profile:
            options.append(f"apparmor={apparmor.localhost_profile}")
    if engine.selinux:
        options += _labels(own.se_linux_options or shared.se_linux_options)
    return tuple(options)


def _labels(selinux: SELinuxOptions | None) -> tuple[str, ...]:
    if selinux is None:
        return ()
    parts = ("user", selinux.user), ("role", selinux.role), ("type", selinux.type)
    said = (*parts, ("level", selinux.level))
    return tuple(f"label={part}:{value}" for part, value in said if value)


def _bare(capability: str) -> str:
    return capability.removeprefix("CAP_")


def _first(*values: int | bool | None) -> int | None:
    return next((value for value in values if value is not None), None)
