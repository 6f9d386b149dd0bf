"""A container's security context as the engine understands it (step 4 of the pod's walk). Pure.

Only what `refusals.py` lets through arrives here. A field of the container wins over the same field
of the pod.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.containers.records import EngineInfo, ImageRecord
from agent.spec.errors import ConfigError
from api.core import Container, Pod, PodSecurityContext, SecurityContext


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


def security(pod: Pod, container: Container, image: ImageRecord, engine: EngineInfo) -> Security:
    """Translate. Raises ConfigError when runAsNonRoot cannot be vouched for."""
    own = container.security_context or SecurityContext()
    shared = pod.spec.security_context or PodSecurityContext()
    user = _first(own.run_as_user, shared.run_as_user)
    group = _first(own.run_as_group, shared.run_as_group)
    if _first(own.run_as_non_root, shared.run_as_non_root):
        _verify_non_root(pod, container, image, user)
    capabilities = own.capabilities
    return Security(
        user=_user(user, group, image),
        group_add=_groups(shared),
        read_only_rootfs=own.read_only_root_filesystem is True,
        privileged=own.privileged is True,
        cap_add=() if capabilities is None else tuple(_bare(c) for c in capabilities.add),
        cap_drop=() if capabilities is None else tuple(_bare(c) for c in capabilities.drop),
        options=_options(own, shared, engine),
    )


def sandbox_sysctls(pod: Pod) -> dict[str, str]:
    """Kernel parameters of the pod's namespaces, which its pause container owns."""
    context = pod.spec.security_context
    return {} if context is None else {s.name: s.value for s in context.sysctls}


def _groups(shared: PodSecurityContext) -> tuple[str, ...]:
    groups = [str(group) for group in shared.supplemental_groups]
    if shared.fs_group is not None:
        groups.append(str(shared.fs_group))
    return tuple(dict.fromkeys(groups))


def _user(user: int | None, group: int | None, image: ImageRecord) -> str | None:
    """`uid:gid`; None leaves it to the image."""
    if user is None and group is None:
        return None
    name = str(user) if user is not None else (image.user.partition(":")[0] or "0")
    return name if group is None else f"{name}:{group}"


def _verify_non_root(pod: Pod, container: Container, image: ImageRecord, user: int | None) -> None:
    where = f'(pod: "{pod.metadata.name}_{pod.metadata.namespace}({pod.metadata.uid})", '
    where += f"container: {container.name})"
    if user is not None:
        if user == 0:
            words = "container's runAsUser breaks non-root policy"
            raise ConfigError(f"{words} {where}")
        return
    name = image.user.partition(":")[0]
    if not name or name == "0":
        words = "container has runAsNonRoot and image will run as root"
        raise ConfigError(f"{words} {where}")
    if not name.isdigit():
        raise ConfigError(
            f"container has runAsNonRoot and image has non-numeric user ({name}), "
            f"cannot verify user is non-root {where}"
        )


def _options(
    own: SecurityContext, shared: PodSecurityContext, engine: EngineInfo
) -> tuple[str, ...]:
    options = []
    if own.allow_privilege_escalation is False:
        options.append("no-new-privileges")
    seccomp = own.seccomp_profile or shared.seccomp_profile
    # Unset means the engine's default profile: stricter than Kubernetes' default, never weaker.
    if seccomp is not None and seccomp.type == "Unconfined":
        options.append("seccomp=unconfined")
    apparmor = own.app_armor_profile or shared.app_armor_profile
    if apparmor is not None and engine.apparmor:
        if apparmor.type == "Unconfined":
            options.append("apparmor=unconfined")
        elif apparmor.type == "Localhost" and apparmor.localhost_profile:
            options.append(f"apparmor={apparmor.localhost_profile}")
    return tuple(options)


def _bare(capability: str) -> str:
    return capability.removeprefix("CAP_")


def _first(*values: int | bool | None) -> int | None:
    return next((value for value in values if value is not None), None)
