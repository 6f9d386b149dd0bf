"""DOC core/security."""

from typing import Annotated

from api.struct import LIST_ATOMIC, ApiStruct, Int64, enum, pb

SeccompProfileType = Annotated[str, enum("Unconfined", "RuntimeDefault", "Localhost")]
AppArmorProfileType = Annotated[str, enum("Unconfined", "RuntimeDefault", "Localhost")]
ProcMountType = Annotated[str, enum("Default", "Unmasked")]
SupplementalGroupsPolicy = Annotated[str, enum("Merge", "Strict")]
PodFSGroupChangePolicy = Annotated[str, enum("OnRootMismatch", "Always")]
PodSELinuxChangePolicy = Annotated[str, enum("Recursive", "MountOption")]


class Capabilities(ApiStruct, kw_only=True):
    """DOC Capabilities."""

    add: Annotated[list[str], pb(1), LIST_ATOMIC] = []
    drop: Annotated[list[str], pb(2), LIST_ATOMIC] = []


class SELinuxOptions(ApiStruct, kw_only=True):
    """DOC SELinuxOptions."""

    user: Annotated[str, pb(1)] = ""
    role: Annotated[str, pb(2)] = ""
    type: Annotated[str, pb(3)] = ""
    level: Annotated[str, pb(4)] = ""


class WindowsSecurityContextOptions(ApiStruct, kw_only=True):
    """DOC WindowsSecurityContextOptions."""

    gmsa_credential_spec_name: Annotated[str | None, pb(1)] = None
    gmsa_credential_spec: Annotated[str | None, pb(2)] = None
    run_as_user_name: Annotated[str | None, pb(3)] = None
    host_process: Annotated[bool | None, pb(4)] = None


class SeccompProfile(ApiStruct, kw_only=True):
    """DOC SeccompProfile."""

    type: Annotated[SeccompProfileType, pb(1)]
    localhost_profile: Annotated[str | None, pb(2)] = None


class AppArmorProfile(ApiStruct, kw_only=True):
    """DOC AppArmorProfile."""

    type: Annotated[AppArmorProfileType, pb(1)]
    localhost_profile: Annotated[str | None, pb(2)] = None


class SecurityContext(ApiStruct, kw_only=True):
    """DOC SecurityContext."""

    capabilities: Annotated[Capabilities | None, pb(1)] = None
    privileged: Annotated[bool | None, pb(2)] = None
    se_linux_options: Annotated[SELinuxOptions | None, pb(3)] = None
    windows_options: Annotated[WindowsSecurityContextOptions | None, pb(10)] = None
    run_as_user: Annotated[Int64 | None, pb(4)] = None
    run_as_group: Annotated[Int64 | None, pb(8)] = None
    run_as_non_root: Annotated[bool | None, pb(5)] = None
    read_only_root_filesystem: Annotated[bool | None, pb(6)] = None
    allow_privilege_escalation: Annotated[bool | None, pb(7)] = None
    proc_mount: Annotated[ProcMountType | None, pb(9)] = None
    seccomp_profile: Annotated[SeccompProfile | None, pb(11)] = None
    app_armor_profile: Annotated[AppArmorProfile | None, pb(12)] = None


class Sysctl(ApiStruct, kw_only=True):
    """DOC Sysctl."""

    name: Annotated[str, pb(1)]
    value: Annotated[str, pb(2)]


class PodSecurityContext(ApiStruct, kw_only=True):
    """DOC PodSecurityContext."""

    se_linux_options: Annotated[SELinuxOptions | None, pb(1)] = None
    windows_options: Annotated[WindowsSecurityContextOptions | None, pb(8)] = None
    run_as_user: Annotated[Int64 | None, pb(2)] = None
    run_as_group: Annotated[Int64 | None, pb(6)] = None
    run_as_non_root: Annotated[bool | None, pb(3)] = None
    supplemental_groups: Annotated[list[Int64], pb(4), LIST_ATOMIC] = []
    supplemental_groups_policy: Annotated[SupplementalGroupsPolicy | None, pb(12)] = None
    fs_group: Annotated[Int64 | None, pb(5)] = None
    sysctls: Annotated[list[Sysctl], pb(7), LIST_ATOMIC] = []
    fs_group_change_policy: Annotated[PodFSGroupChangePolicy | None, pb(9)] = None
    seccomp_profile: Annotated[SeccompProfile | None, pb(10)] = None
    app_armor_profile: Annotated[AppArmorProfile | None, pb(11)] = None
    se_linux_change_policy: Annotated[PodSELinuxChangePolicy | None, pb(13)] = None
