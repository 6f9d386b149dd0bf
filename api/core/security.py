"""What a pod's processes may do: users, groups, capabilities, kernel profiles.

Read by the agent when it makes containers (step 4 of the pod's walk). A setting that it cannot
honour makes it refuse the pod rather than run it with less isolation than asked for.
"""

from typing import Annotated

from api.struct import LIST_ATOMIC, ApiStruct, Int64, enum, pb

SeccompProfileType = Annotated[str, enum("Unconfined", "RuntimeDefault", "Localhost")]
AppArmorProfileType = Annotated[str, enum("Unconfined", "RuntimeDefault", "Localhost")]
ProcMountType = Annotated[str, enum("Default", "Unmasked")]
SupplementalGroupsPolicy = Annotated[str, enum("Merge", "Strict")]
PodFSGroupChangePolicy = Annotated[str, enum("OnRootMismatch", "Always")]
PodSELinuxChangePolicy = Annotated[str, enum("Recursive", "MountOption")]


class Capabilities(ApiStruct, kw_only=True):
    """Linux capabilities to give or take, compared with what the container runtime gives by
    default."""

    add: Annotated[list[str], pb(1), LIST_ATOMIC] = []
    """Capabilities to give, such as `NET_ADMIN`; `ALL` means every one."""
    drop: Annotated[list[str], pb(2), LIST_ATOMIC] = []
    """Capabilities to take away; `ALL` means every one."""


class SELinuxOptions(ApiStruct, kw_only=True):
    """The SELinux label of the processes."""

    user: Annotated[str, pb(1)] = ""
    """User part of the label."""
    role: Annotated[str, pb(2)] = ""
    """Role part of the label."""
    type: Annotated[str, pb(3)] = ""
    """Type part of the label."""
    level: Annotated[str, pb(4)] = ""
    """Level part of the label."""


class WindowsSecurityContextOptions(ApiStruct, kw_only=True):
    """Settings for containers on Windows; without meaning on Linux nodes."""

    gmsa_credential_spec_name: Annotated[str | None, pb(1)] = None
    """Name of the group-managed service account."""
    gmsa_credential_spec: Annotated[str | None, pb(2)] = None
    """Contents of its credential specification."""
    run_as_user_name: Annotated[str | None, pb(3)] = None
    """Windows user that the process runs as."""
    host_process: Annotated[bool | None, pb(4)] = None
    """Run as a process of the host."""


class SeccompProfile(ApiStruct, kw_only=True):
    """Which system calls are allowed."""

    type: Annotated[SeccompProfileType, pb(1)]
    """`RuntimeDefault`, `Localhost` for a file on the node, or `Unconfined`."""
    localhost_profile: Annotated[str | None, pb(2)] = None
    """File below the agent's seccomp folder; only with type `Localhost`."""


class AppArmorProfile(ApiStruct, kw_only=True):
    """Which AppArmor profile applies."""

    type: Annotated[AppArmorProfileType, pb(1)]
    """`RuntimeDefault`, `Localhost` for one that is loaded on the node, or `Unconfined`."""
    localhost_profile: Annotated[str | None, pb(2)] = None
    """Name of the loaded profile; only with type `Localhost`."""


class SecurityContext(ApiStruct, kw_only=True):
    """Security settings of one container. What is set here goes before the pod's own settings."""

    capabilities: Annotated[Capabilities | None, pb(1)] = None
    """Linux capabilities to give or take."""
    privileged: Annotated[bool | None, pb(2)] = None
    """Give the container nearly all that root on the node has. Default: false."""
    se_linux_options: Annotated[SELinuxOptions | None, pb(3)] = None
    """SELinux label of the processes."""
    windows_options: Annotated[WindowsSecurityContextOptions | None, pb(10)] = None
    """Settings for Windows."""
    run_as_user: Annotated[Int64 | None, pb(4)] = None
    """User ID of the first process. Default: what the image says."""
    run_as_group: Annotated[Int64 | None, pb(8)] = None
    """Group ID of the first process. Default: what the image says."""
    run_as_non_root: Annotated[bool | None, pb(5)] = None
    """Refuse to start as user ID 0."""
    read_only_root_filesystem: Annotated[bool | None, pb(6)] = None
    """Mount the image's file system read-only. Default: false."""
    allow_privilege_escalation: Annotated[bool | None, pb(7)] = None
    """Whether a process may gain more privileges than its parent, as setuid programs do. Default:
    true."""
    proc_mount: Annotated[ProcMountType | None, pb(9)] = None
    """`Default` hides parts of /proc; `Unmasked` shows all of it."""
    seccomp_profile: Annotated[SeccompProfile | None, pb(11)] = None
    """Which system calls are allowed. Default: the pod's setting."""
    app_armor_profile: Annotated[AppArmorProfile | None, pb(12)] = None
    """Which AppArmor profile applies. Default: the pod's setting."""


class Sysctl(ApiStruct, kw_only=True):
    """A kernel parameter of the pod's own namespaces."""

    name: Annotated[str, pb(1)]
    """Name of the parameter, such as `net.ipv4.ip_local_port_range`."""
    value: Annotated[str, pb(2)]
    """Value to set."""


class PodSecurityContext(ApiStruct, kw_only=True):
    """Security settings for the pod and, where they say nothing else, for all its containers."""

    se_linux_options: Annotated[SELinuxOptions | None, pb(1)] = None
    """SELinux label of all containers."""
    windows_options: Annotated[WindowsSecurityContextOptions | None, pb(8)] = None
    """Settings for Windows."""
    run_as_user: Annotated[Int64 | None, pb(2)] = None
    """User ID of each container's first process. Default: what the image says."""
    run_as_group: Annotated[Int64 | None, pb(6)] = None
    """Group ID of each container's first process. Default: what the image says."""
    run_as_non_root: Annotated[bool | None, pb(3)] = None
    """Refuse to start a container as user ID 0."""
    supplemental_groups: Annotated[list[Int64], pb(4), LIST_ATOMIC] = []
    """Further groups of each container's first process."""
    supplemental_groups_policy: Annotated[SupplementalGroupsPolicy | None, pb(12)] = None
    """`Merge` also adds the groups that the image defines for the user; `Strict` does not. Default:
    Merge."""
    fs_group: Annotated[Int64 | None, pb(5)] = None
    """A further group of every process that also owns the volumes which support it."""
    sysctls: Annotated[list[Sysctl], pb(7), LIST_ATOMIC] = []
    """Kernel parameters to set in the pod's namespaces."""
    fs_group_change_policy: Annotated[PodFSGroupChangePolicy | None, pb(9)] = None
    """Whether ownership of a volume is changed `Always` or only `OnRootMismatch`. Default: Always.
    """
    seccomp_profile: Annotated[SeccompProfile | None, pb(10)] = None
    """Which system calls all containers are allowed."""
    app_armor_profile: Annotated[AppArmorProfile | None, pb(11)] = None
    """Which AppArmor profile all containers get."""
    se_linux_change_policy: Annotated[PodSELinuxChangePolicy | None, pb(13)] = None
    """How volumes get their SELinux label: `MountOption` or `Recursive`."""
