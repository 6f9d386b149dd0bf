"""Security contexts: what is honoured, and what makes the agent refuse the pod."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from agent.containers.accounts import Accounts
from agent.containers.records import EngineInfo, ImageId, ImageRecord
from agent.containers.script import FAKE_ENGINE
from agent.spec import apparmor
from agent.spec.errors import ConfigError
from agent.spec.refusals import REFUSALS, refusal
from agent.spec.seccomp import LARGEST, localhost_profile, read_profile
from agent.spec.security import (
    Known,
    Security,
    needs_accounts,
    sandbox_options,
    sandbox_sysctls,
    security,
)
from agent.spec.sysctls import allowed_pattern
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
    VolumeMount,
    WindowsSecurityContextOptions,
)
from tests.unit.agent.builders import container, make_pod
from tests.unit.agent.node import Node

APPARMOR = replace(FAKE_ENGINE, security_options=("name=apparmor", "name=seccomp"))
OLD = replace(FAKE_ENGINE, kernel_version="5.10.0-28-amd64")
POOR = replace(FAKE_ENGINE, can_run_privileged=False)


def image(user: str = "") -> ImageRecord:
    return ImageRecord(id=ImageId("sha256:1"), tags=(), digests=(), size=1, user=user)


def translate(
    own: dict[str, object] | None = None,
    shared: dict[str, object] | None = None,
    *,
    user: str = "",
    engine: EngineInfo = FAKE_ENGINE,
    known: Known | None = None,
) -> Security:
    spec = container(security_context=SecurityContext(**own) if own else None)  # type: ignore[arg-type]
    context = PodSecurityContext(**shared) if shared else None  # type: ignore[arg-type]
    return security(make_pod(spec, security_context=context), spec, image(user), engine, known)


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


ACCOUNTS = Accounts(
    passwd="root:x:0:0::/root:/bin/sh\ntoor:x:0:0::/:\n#no\nwww:x:33:34::/:\nodd:x:a:b::/:\n",
    group="root:x:0:\nwww:x:34:\nlogs:x:40:www,other\nmore:x:41:nobody\nmail:x:8:www\n",
)

NAMED = [
    # user of the image, whether it is root (None: unknown)
    ("www", False),
    ("www:root", False),
    ("root", True),
    ("toor", True),
    ("odd", None),
    ("ghost", None),
]


@pytest.mark.parametrize(("user", "root"), NAMED)
def test_run_as_non_root_knows_the_users_of_the_image(user: str, root: bool | None) -> None:
    own: dict[str, object] = {"run_as_non_root": True}
    known = Known(accounts=ACCOUNTS)
    if root is False:
        assert translate(own, user=user, known=known).user is None
        return
    words = "image will run as root" if root else f"non-numeric user \\({user}\\)"
    with pytest.raises(ConfigError, match=words):
        translate(own, user=user, known=known)


GROUPS = [
    # container, pod, user of the image, whether the image is looked into, user, groups
    ({}, {}, "www", False, None, ()),
    ({"run_as_user": 33}, {"fs_group": 5}, "", False, "33", ("5",)),
    ({"run_as_user": 33, "run_as_group": 7}, {}, "", True, "33:7", ("40", "8")),
    ({}, {"supplemental_groups": [8]}, "www:root", True, None, ("8", "40")),
    ({"run_as_user": 33}, {"supplemental_groups_policy": "Strict"}, "", True, "33:34", ()),
    ({}, {"supplemental_groups_policy": "Strict"}, "www", True, "33:34", ()),
    ({}, {"supplemental_groups_policy": "Strict"}, "", True, "0:0", ()),
    ({"run_as_user": 77}, {"supplemental_groups_policy": "Strict"}, "", True, "77:0", ()),
    (
        {"run_as_user": 33, "run_as_group": 7},
        {"supplemental_groups_policy": "Strict", "supplemental_groups": [9]},
        "",
        False,
        "33:7",
        ("9",),
    ),
    ({"run_as_non_root": True}, {}, "www", True, None, ()),
    ({"run_as_non_root": True, "run_as_user": 5}, {}, "www", False, "5", ()),
]


@pytest.mark.parametrize(("own", "shared", "user", "looks", "who", "groups"), GROUPS)
def test_groups_of_the_image(
    own: dict[str, object],
    shared: dict[str, object],
    user: str,
    looks: bool,
    who: str | None,
    groups: tuple[str, ...],
) -> None:
    spec = container(security_context=SecurityContext(**own) if own else None)  # type: ignore[arg-type]
    context = PodSecurityContext(**shared) if shared else None  # type: ignore[arg-type]
    pod = make_pod(spec, security_context=context)
    assert needs_accounts(pod, spec, image(user)) is looks
    known = Known(accounts=ACCOUNTS if looks else None)
    made = security(pod, spec, image(user), FAKE_ENGINE, known)
    assert (made.user, made.group_add) == (who, groups)


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


SELINUX = replace(FAKE_ENGINE, security_options=("name=selinux",))


def test_selinux_labels_where_the_host_has_it() -> None:
    shared = {"se_linux_options": SELinuxOptions(type="svirt_t", level="s0:c1,c2")}
    assert translate({}, shared, engine=SELINUX).options == (
        "label=type:svirt_t",
        "label=level:s0:c1,c2",
    )
    own = {"se_linux_options": SELinuxOptions(user="u", role="r")}
    assert translate(own, shared, engine=SELINUX).options == ("label=user:u", "label=role:r")
    pod = make_pod(security_context=PodSecurityContext(**shared))  # type: ignore[arg-type]
    assert refusal(pod, SELINUX) is None
    assert "label=type:svirt_t" in sandbox_options(pod)


def test_selinux_labels_mean_nothing_elsewhere() -> None:
    own = {"se_linux_options": SELinuxOptions(type="svirt_t")}
    assert translate(own, own, engine=FAKE_ENGINE).options == ()
    context = SecurityContext(**own)  # type: ignore[arg-type]
    pod = make_pod(
        container(security_context=context),
        security_context=PodSecurityContext(**own),  # type: ignore[arg-type]
    )
    assert refusal(pod, FAKE_ENGINE) is None


def test_seccomp_profiles_of_the_node(tmp_path: Path) -> None:
    profile = SeccompProfile(type="Localhost", localhost_profile="profiles/a.json")
    own, shared = container(), PodSecurityContext(seccomp_profile=profile)
    assert localhost_profile(make_pod(own, security_context=shared), own) == "profiles/a.json"
    privileged = container(security_context=SecurityContext(privileged=True))
    assert localhost_profile(make_pod(privileged, security_context=shared), privileged) is None
    unconfined = SecurityContext(seccomp_profile=SeccompProfile(type="Unconfined"))
    other = container(security_context=unconfined)
    assert localhost_profile(make_pod(other, security_context=shared), other) is None

    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles/a.json").write_text('{"defaultAction": "SCMP_ACT_LOG"}\n')
    text = read_profile(tmp_path, "profiles/a.json")
    assert text == '{"defaultAction":"SCMP_ACT_LOG"}'
    made = translate(shared={"seccomp_profile": profile}, known=Known(seccomp=text))
    assert made.options == (f"seccomp={text}",)


BAD_PROFILES = [
    ("../a.json", b"{}", "must be a relative path"),
    ("/a.json", b"{}", "must be a relative path"),
    ("", b"{}", "must be a relative path"),
    ("b.json", b"{}", "b.json: No such file"),
    ("a.json", b"{", "is not JSON"),
    ("a.json", b"\xff", "is not JSON"),
    ("a.json", b"[]", "names no defaultAction"),
    ("a.json", b'{"defaultAction": 1}', "names no defaultAction"),
    ("a.json", b" " * (LARGEST + 1), "is larger than"),
]


@pytest.mark.parametrize(("name", "content", "words"), BAD_PROFILES)
def test_seccomp_profiles_that_are_none(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(ConfigError, match=words):
        read_profile(tmp_path, name)


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
        {"windows_options": WindowsSecurityContextOptions()},
        {},
        {},
        "spec.containers[0].securityContext.windowsOptions",
    ),
    ({}, {}, {"host_users": False}, "spec.hostUsers"),
    (
        {},
        {"windows_options": WindowsSecurityContextOptions()},
        {},
        "spec.securityContext.windowsOptions",
    ),
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
    assert refused.message.startswith(f"{field}: this agent does not honour it, so")
    assert not refused.rejected


@pytest.mark.parametrize(
    ("option", "profile", "refused"),
    [
        ("name=seccomp,profile=default", "RuntimeDefault", False),
        ("name=seccomp,profile=builtin", "RuntimeDefault", False),
        ("name=seccomp,profile=/etc/mine.json", "RuntimeDefault", False),
        ("name=seccomp,profile=unconfined", "RuntimeDefault", True),
        ("name=apparmor", "RuntimeDefault", True),
        ("name=seccomp,profile=unconfined", "Localhost", False),
        ("name=apparmor", "Localhost", True),
        ("name=apparmor", "Unconfined", False),
    ],
)
def test_profiles_that_the_engine_would_leave_out(option: str, profile: str, refused: bool) -> None:
    engine = replace(FAKE_ENGINE, security_options=(option,))
    wanted = SeccompProfile(type=profile)
    own = container(security_context=SecurityContext(seccomp_profile=wanted))
    free = container(security_context=SecurityContext(seccomp_profile=wanted, privileged=True))
    shared = PodSecurityContext(seccomp_profile=wanted)
    found = [refusal(make_pod(own), engine), refusal(make_pod(security_context=shared), engine)]
    assert [one is not None for one in found] == [refused, refused]
    if found[0] is not None:
        assert found[0].field == "spec.containers[0].securityContext.seccompProfile"
    assert refusal(make_pod(free), engine) is None, "what is privileged is confined by nothing"


NET = [Sysctl(name="net.ipv4.tcp_syncookies", value="1")]
REJECTED = [
    # container's context, pod's context, other fields of the spec, reason, words
    (
        {"app_armor_profile": AppArmorProfile(type="RuntimeDefault")},
        {},
        {},
        "AppArmor",
        "Cannot enforce AppArmor: AppArmor is not enabled on the host",
    ),
    (
        {},
        {"app_armor_profile": AppArmorProfile(type="Localhost", localhost_profile="x")},
        {},
        "AppArmor",
        "Cannot enforce AppArmor: AppArmor is not enabled on the host",
    ),
    (
        {},
        {"sysctls": [Sysctl(name="kernel.msgmax", value="1")]},
        {},
        "SysctlForbidden",
        'forbidden sysctl: "kernel.msgmax" not allowlisted',
    ),
    (
        {},
        {"sysctls": NET},
        {"host_network": True},
        "SysctlForbidden",
        'forbidden sysctl: "net.ipv4.tcp_syncookies" not allowed with host net enabled',
    ),
    (
        {},
        {"sysctls": [Sysctl(name="kernel.shm_rmid_forced", value="1")]},
        {"host_ipc": True},
        "SysctlForbidden",
        'forbidden sysctl: "kernel.shm_rmid_forced" not allowed with host ipc enabled',
    ),
    (
        {},
        {},
        {"os": PodOS(name="windows")},
        "PodOSNotSupported",
        "Failed to admit pod as the OS field doesn't match node OS",
    ),
]


@pytest.mark.parametrize(("own", "shared", "spec", "reason", "words"), REJECTED)
def test_some_pods_fail_for_it(
    own: dict[str, object],
    shared: dict[str, object],
    spec: dict[str, object],
    reason: str,
    words: str,
) -> None:
    pod = make_pod(
        container(security_context=SecurityContext(**own) if own else None),  # type: ignore[arg-type]
        security_context=PodSecurityContext(**shared) if shared else None,  # type: ignore[arg-type]
        **spec,  # type: ignore[arg-type]
    )
    refused = refusal(pod, FAKE_ENGINE)
    assert refused is not None and refused.rejected
    assert (refused.reason, refused.message) == (reason, words)


UNSAFE = [
    # what is allowed, what is asked for, whether it may be
    ((), "net.core.somaxconn", False),
    (("net.core.somaxconn",), "net.core.somaxconn", True),
    (("net.core.somaxconn",), "net.core.somaxconn2", False),
    (("net.core.*",), "net.core.somaxconn", True),
    (("net.core.*",), "net/core/somaxconn", True),
    (("kernel.msg*",), "kernel.msgmax", True),
    (("kernel.msg*",), "kernel.sem", False),
    ((), "net/ipv4/tcp_syncookies", True),
    (("net.*",), "net/ipv4/conf/eth0.1/rp_filter", True),
]


@pytest.mark.parametrize(("allowed", "name", "may"), UNSAFE)
def test_unsafe_sysctls(allowed: tuple[str, ...], name: str, may: bool) -> None:
    context = PodSecurityContext(sysctls=[Sysctl(name=name, value="1")])
    refused = refusal(make_pod(security_context=context), FAKE_ENGINE, unsafe_sysctls=allowed)
    assert (refused is None) is may


@pytest.mark.parametrize("text", ["kernel.msg*", "net.core.*", "kernel.sem", "fs.mqueue.msg_max"])
def test_sysctls_that_an_owner_may_allow(text: str) -> None:
    assert allowed_pattern(text) == text


@pytest.mark.parametrize("text", ["vm.swappiness", "kernel.*", "*", "net.*.x", "kernel.hostname"])
def test_sysctls_of_the_whole_node_nobody_may_allow(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(text)):
        allowed_pattern(text)


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


def test_writable_mounts_below_a_read_only_one_are_refused() -> None:
    mount = VolumeMount(
        name="data", mount_path="/data", read_only=True, recursive_read_only="Enabled"
    )
    refused = refusal(make_pod(container(volume_mounts=[mount])), OLD)
    assert refused is not None and refused.field.endswith("volumeMounts[*].recursiveReadOnly")


def test_recursively_read_only_mounts() -> None:
    for mode, expected in (("Enabled", True), ("IfPossible", False), ("Disabled", False)):
        mounts = [VolumeMount(name="v", mount_path="/v", recursive_read_only=mode)]
        assert (refusal(make_pod(container(volume_mounts=mounts)), OLD) is not None) is (expected)


KERNELS = {"5.12.0": True, "6.1.0-18-amd64": True, "5.4.0": False, "4.19": False, "": False}


@pytest.mark.parametrize("version", KERNELS)
def test_kernels_that_make_trees_read_only(version: str) -> None:
    engine = replace(FAKE_ENGINE, kernel_version=version)
    assert engine.recursive_read_only is KERNELS[version]


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


def test_a_profile_that_nobody_loaded(tmp_path: Path) -> None:
    loaded = tmp_path / "profiles"
    loaded.write_text("docker-default (enforce)\n/usr/bin/man (with) (complain)\nmine (enforce)\n")
    assert not apparmor.unloaded("mine", loaded)
    assert not apparmor.unloaded("/usr/bin/man (with)", loaded)
    assert apparmor.unloaded("min", loaded)
    assert not apparmor.unloaded("mine", tmp_path / "no-such-kernel")

    def asked(own: AppArmorProfile | None, shared: AppArmorProfile | None) -> str | None:
        one = container(security_context=SecurityContext(app_armor_profile=own))
        pod = make_pod(one, security_context=PodSecurityContext(app_armor_profile=shared))
        return apparmor.localhost_profile(pod, one)

    mine = AppArmorProfile(type="Localhost", localhost_profile="mine")
    assert (asked(None, mine), asked(mine, None)) == ("mine", "mine")
    assert asked(AppArmorProfile(type="RuntimeDefault"), mine) is None
    assert asked(None, None) is None


async def test_it_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = tmp_path / "profiles"
    loaded.write_text("other (enforce)\n")
    monkeypatch.setattr(apparmor, "PROFILES", loaded)
    node = Node(tmp_path)
    node.runtime._info = APPARMOR
    await node.boot()
    mine = AppArmorProfile(type="Localhost", localhost_profile="mine")
    node.api.put(make_pod(container(security_context=SecurityContext(app_armor_profile=mine))))
    await node.run(5)
    (status,) = node.api.pod().status.container_statuses
    assert status.state.waiting is not None
    assert status.state.waiting.reason == "CreateContainerError"
    assert status.state.waiting.message == "apparmor profile not found mine"
    loaded.write_text("mine (enforce)\n")
    await node.run(120)
    assert node.api.pod().status.phase == "Running"
    await node.kill()
