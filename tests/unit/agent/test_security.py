"""Security contexts: what is honoured, and what makes the agent refuse the pod."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.containers.records import EngineInfo, ImageId, ImageRecord
from agent.containers.script import FAKE_ENGINE
from agent.spec.errors import ConfigError
from agent.spec.refusals import REFUSALS, refusal
from agent.spec.security import Security, sandbox_sysctls, security
from api.core import (
    AppArmorProfile,
    Capabilities,
    PodOS,
    PodResourceClaim,
    PodSecurityContext,
    SeccompProfile,
    SecurityContext,
    SELinuxOptions,
    Sysctl,
    VolumeDevice,
    VolumeMount,
    WindowsSecurityContextOptions,
)
from tests.unit.agent.builders import container, make_pod

APPARMOR = replace(FAKE_ENGINE, security_options=("name=apparmor", "name=seccomp"))
POOR = replace(FAKE_ENGINE, can_run_privileged=False)


def image(user: str = "") -> ImageRecord:
    return ImageRecord(id=ImageId("sha256:1"), tags=(), digests=(), size=1, user=user)


def translate(
    own: dict[str, object] | None = None,
    shared: dict[str, object] | None = None,
    *,
    user: str = "",
    engine: EngineInfo = FAKE_ENGINE,
) -> Security:
    spec = container(security_context=SecurityContext(**own) if own else None)  # type: ignore[arg-type]
    context = PodSecurityContext(**shared) if shared else None  # type: ignore[arg-type]
    return security(make_pod(spec, security_context=context), spec, image(user), engine)


USERS = [
    # container, pod, user of the image, expected
    ({}, {}, "", None),
    ({}, {}, "www", None),
    ({"run_as_user": 1000}, {}, "", "1000"),
    ({"run_as_user": 0}, {}, "www", "0"),
    ({}, {"run_as_user": 1000}, "", "1000"),
    ({"run_as_user": 5}, {"run_as_user": 1000}, "", "5"),
    ({"run_as_user": 5, "run_as_group": 6}, {}, "", "5:6"),
    ({"run_as_group": 6}, {}, "", "0:6"),
    ({"run_as_group": 6}, {}, "www:data", "www:6"),
    ({"run_as_user": 5}, {"run_as_group": 7}, "", "5:7"),
]


@pytest.mark.parametrize(("own", "shared", "user", "expected"), USERS)
def test_users(
    own: dict[str, object], shared: dict[str, object], user: str, expected: str | None
) -> None:
    assert translate(own, shared, user=user).user == expected


NON_ROOT = [
    # container, pod, user of the image, words (empty: allowed)
    ({"run_as_non_root": True, "run_as_user": 1000}, {}, "", ""),
    ({"run_as_non_root": True}, {"run_as_user": 1000}, "", ""),
    ({}, {"run_as_non_root": True}, "1000", ""),
    ({}, {"run_as_non_root": True}, "1000:0", ""),
    ({"run_as_non_root": False}, {"run_as_non_root": True}, "", ""),
    ({"run_as_non_root": True}, {}, "", "container has runAsNonRoot and image will run as root"),
    ({"run_as_non_root": True}, {}, "0", "container has runAsNonRoot and image will run as root"),
    (
        {"run_as_non_root": True},
        {},
        "www",
        "container has runAsNonRoot and image has non-numeric user (www), "
        "cannot verify user is non-root",
    ),
    (
        {"run_as_non_root": True, "run_as_user": 0},
        {},
        "1000",
        "container's runAsUser breaks non-root policy",
    ),
]


@pytest.mark.parametrize(("own", "shared", "user", "words"), NON_ROOT)
def test_run_as_non_root(
    own: dict[str, object], shared: dict[str, object], user: str, words: str
) -> None:
    if not words:
        translate(own, shared, user=user)
        return
    with pytest.raises(ConfigError) as caught:
        translate(own, shared, user=user)
    assert caught.value.message.startswith(words)
    assert "container: web" in caught.value.message


def test_capabilities() -> None:
    made = translate({"capabilities": Capabilities(add=["CAP_NET_ADMIN", "CHOWN"], drop=["ALL"])})
    assert (made.cap_add, made.cap_drop) == (("NET_ADMIN", "CHOWN"), ("ALL",))


OPTIONS = [
    ({}, {}, FAKE_ENGINE, ()),
    ({"allow_privilege_escalation": False}, {}, FAKE_ENGINE, ("no-new-privileges",)),
    ({"allow_privilege_escalation": True}, {}, FAKE_ENGINE, ()),
    ({"seccomp_profile": SeccompProfile(type="RuntimeDefault")}, {}, FAKE_ENGINE, ()),
    (
        {"seccomp_profile": SeccompProfile(type="Unconfined")},
        {},
        FAKE_ENGINE,
        ("seccomp=unconfined",),
    ),
    (
        {"seccomp_profile": SeccompProfile(type="RuntimeDefault")},
        {"seccomp_profile": SeccompProfile(type="Unconfined")},
        FAKE_ENGINE,
        (),
    ),
    ({}, {"app_armor_profile": AppArmorProfile(type="Unconfined")}, FAKE_ENGINE, ()),
    (
        {},
        {"app_armor_profile": AppArmorProfile(type="Unconfined")},
        APPARMOR,
        ("apparmor=unconfined",),
    ),
    (
        {"app_armor_profile": AppArmorProfile(type="Localhost", localhost_profile="mine")},
        {},
        APPARMOR,
        ("apparmor=mine",),
    ),
]


@pytest.mark.parametrize(("own", "shared", "engine", "expected"), OPTIONS)
def test_options(
    own: dict[str, object],
    shared: dict[str, object],
    engine: EngineInfo,
    expected: tuple[str, ...],
) -> None:
    assert translate(own, shared, engine=engine).options == expected


def test_the_rest() -> None:
    made = translate(
        {"read_only_root_filesystem": True, "privileged": True},
        {"supplemental_groups": [1, 2], "fs_group": 2},
    )
    assert (made.read_only_rootfs, made.privileged, made.group_add) == (True, True, ("1", "2"))
    sysctls = [Sysctl(name="net.ipv4.tcp_syncookies", value="1")]
    pod = make_pod(security_context=PodSecurityContext(sysctls=sysctls))
    assert sandbox_sysctls(pod) == {"net.ipv4.tcp_syncookies": "1"}


REFUSED = [
    # container's context, pod's context, other fields of the spec, the field that is named
    ({"proc_mount": "Unmasked"}, {}, {}, "spec.containers[0].securityContext.procMount"),
    (
        {"seccomp_profile": SeccompProfile(type="Localhost", localhost_profile="x")},
        {},
        {},
        "spec.containers[0].securityContext.seccompProfile.localhostProfile",
    ),
    (
        {},
        {"seccomp_profile": SeccompProfile(type="Localhost", localhost_profile="x")},
        {},
        "spec.securityContext.seccompProfile.localhostProfile",
    ),
    (
        {"app_armor_profile": AppArmorProfile(type="RuntimeDefault")},
        {},
        {},
        "spec.containers[0].securityContext.appArmorProfile",
    ),
    (
        {},
        {"app_armor_profile": AppArmorProfile(type="Localhost", localhost_profile="x")},
        {},
        "spec.securityContext.appArmorProfile",
    ),
    (
        {"se_linux_options": SELinuxOptions(type="x")},
        {},
        {},
        "spec.containers[0].securityContext.seLinuxOptions",
    ),
    ({}, {"se_linux_options": SELinuxOptions()}, {}, "spec.securityContext.seLinuxOptions"),
    (
        {"windows_options": WindowsSecurityContextOptions()},
        {},
        {},
        "spec.containers[0].securityContext.windowsOptions",
    ),
    (
        {},
        {"supplemental_groups_policy": "Strict"},
        {},
        "spec.securityContext.supplementalGroupsPolicy",
    ),
    (
        {},
        {"sysctls": [Sysctl(name="kernel.msgmax", value="1")]},
        {},
        "spec.securityContext.sysctls",
    ),
    (
        {},
        {"sysctls": [Sysctl(name="net.ipv4.tcp_syncookies", value="1")]},
        {"host_network": True},
        "spec.securityContext.sysctls",
    ),
    ({}, {}, {"host_users": False}, "spec.hostUsers"),
    ({}, {}, {"runtime_class_name": "gvisor"}, "spec.runtimeClassName"),
    ({}, {}, {"os": PodOS(name="windows")}, "spec.os.name"),
    ({}, {}, {"resource_claims": [PodResourceClaim(name="gpu")]}, "spec.resourceClaims"),
]


@pytest.mark.parametrize(("own", "shared", "spec", "field"), REFUSED)
def test_refusals(
    own: dict[str, object], shared: dict[str, object], spec: dict[str, object], field: str
) -> None:
    context = SecurityContext(**own) if own else None  # type: ignore[arg-type]
    pod = make_pod(
        container(security_context=context),
        security_context=PodSecurityContext(**shared) if shared else None,  # type: ignore[arg-type]
        **spec,  # type: ignore[arg-type]
    )
    refused = refusal(pod, FAKE_ENGINE)
    assert refused is not None
    assert refused.field == field
    assert refused.message.startswith(f"{field}: this agent does not honour it yet")


def test_a_privileged_container_needs_a_privileged_machine() -> None:
    pod = make_pod(container(security_context=SecurityContext(privileged=True)))
    assert refusal(pod, FAKE_ENGINE) is None
    refused = refusal(pod, POOR)
    assert refused is not None
    assert "it needs a machine whose engine may use every capability" in refused.message


def test_the_container_is_named() -> None:
    context = SecurityContext(proc_mount="Unmasked")
    pod = make_pod(container("a"), container("b"), inits=[container("i", security_context=context)])
    refused = refusal(pod, FAKE_ENGINE)
    assert refused is not None
    assert refused.field == "spec.initContainers[0].securityContext.procMount"


def test_block_devices() -> None:
    devices = [VolumeDevice(name="x", device_path="/dev/x")]
    refused = refusal(make_pod(container(volume_devices=devices)), FAKE_ENGINE)
    assert refused is not None and refused.reason == "UnsupportedPodField"


def test_writable_mounts_below_a_read_only_one_are_refused() -> None:
    mount = VolumeMount(
        name="data", mount_path="/data", read_only=True, recursive_read_only="Enabled"
    )
    refused = refusal(make_pod(container(volume_mounts=[mount])), FAKE_ENGINE)
    assert refused is not None and refused.field.endswith("volumeMounts[*].recursiveReadOnly")


def test_recursively_read_only_mounts() -> None:
    for mode, expected in (("Enabled", True), ("IfPossible", False), ("Disabled", False)):
        mounts = [VolumeMount(name="v", mount_path="/v", recursive_read_only=mode)]
        assert (refusal(make_pod(container(volume_mounts=mounts)), FAKE_ENGINE) is not None) is (
            expected
        )


ALLOWED = [
    {},
    {"host_pid": True, "host_ipc": True, "host_network": True},
    {"share_process_namespace": True},
    {"host_users": True},
    {"os": PodOS(name="linux")},
    {
        "security_context": PodSecurityContext(
            run_as_user=1,
            fs_group=2,
            supplemental_groups=[3],
            seccomp_profile=SeccompProfile(type="RuntimeDefault"),
            sysctls=[Sysctl(name="kernel.shm_rmid_forced", value="1")],
        )
    },
]


@pytest.mark.parametrize("spec", ALLOWED)
def test_what_is_honoured_is_not_refused(spec: dict[str, object]) -> None:
    assert refusal(make_pod(**spec), FAKE_ENGINE) is None  # type: ignore[arg-type]


def test_every_rule_says_why_and_checks_something() -> None:
    for rule in REFUSALS:
        assert rule.field.startswith("spec.") and rule.why
        assert (rule.pod is None) is not (rule.context is None)
