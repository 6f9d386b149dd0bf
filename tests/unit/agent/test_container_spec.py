"""What the engine is asked for, for a sandbox and for a container."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from agent.containers.records import (
    ContainerCreate,
    ContainerId,
    ImageId,
    ImageRecord,
    Mount,
    Propagation,
    RegistryAuth,
)
from agent.containers.script import FAKE_ENGINE
from agent.pod import names
from agent.resources.cgroups import Cgroups, Layout, pod_uid
from agent.resources.values import CpuMemory
from agent.spec.container import (
    Made,
    container_create,
    own_mounts,
    sandbox_create,
    volume_mount,
)
from agent.spec.facts import NodeFacts
from agent.spec.pullsecrets import read_files, registry_auths
from api.core import (
    Container,
    Lifecycle,
    PodSecurityContext,
    ResourceRequirements,
    Secret,
    Sysctl,
    VolumeMount,
)
from api.meta import ObjectMeta
from tests.unit.agent.builders import UID, container, make_pod

NODE = NodeFacts(
    name="node-1",
    host_ip="192.0.2.1",
    engine=FAKE_ENGINE,
    pods_directory=Path("/pods"),
    pause_image="pause:1",
    memory=4 * 1024**3,
)
POOR = replace(NODE, engine=replace(FAKE_ENGINE, can_lower_oom_score=False))
MADE = Made(
    image=ImageRecord(id=ImageId("sha256:app"), tags=(), digests=(), size=1),
    environment={"A": "1"},
    mounts=(),
    sandbox=ContainerId("box"),
    cgroup_parent="/kubepods/podx",
    restarts=3,
    backoff_level=2,
)


def made(spec: Container, node: NodeFacts = NODE, **fields: object) -> ContainerCreate:
    return container_create(make_pod(spec, **fields), spec, node, MADE)  # type: ignore[arg-type]


def box(node: NodeFacts = NODE, **fields: object) -> ContainerCreate:
    return sandbox_create(make_pod(**fields), node, attempt=2, cgroup_parent="/c")  # type: ignore[arg-type]


def test_names_and_labels() -> None:
    spec = made(container())
    assert spec.name == f"k8s_web_pod_ns_{UID}_3"
    assert spec.labels[names.POD_NAME] == "pod"
    assert spec.labels[names.POD_NAMESPACE] == "ns"
    assert spec.labels[names.POD_UID] == UID
    assert spec.labels[names.CONTAINER_NAME] == "web"
    assert spec.labels[names.CONTAINER_TYPE] == "container"
    assert spec.labels[names.RESTART_COUNT] == "3"
    assert spec.labels[names.BACKOFF_LEVEL] == "2"
    assert spec.labels[names.SANDBOX_ID] == "box"
    assert spec.labels[names.NODE] == "node-1"
    sandbox = box()
    assert sandbox.name == f"k8s_POD_pod_ns_{UID}_2"
    assert sandbox.labels[names.CONTAINER_TYPE] == "podsandbox"


NAMESPACES = [
    # fields of the pod, sandbox (network, ipc, pid), container (network, ipc, pid)
    ({}, ("none", "shareable", ""), ("container:box", "container:box", "")),
    (
        {"host_network": True},
        ("host", "shareable", ""),
        ("container:box", "container:box", ""),
    ),
    ({"host_ipc": True}, ("none", "host", ""), ("container:box", "host", "")),
    ({"host_pid": True}, ("none", "shareable", "host"), ("container:box", "container:box", "host")),
    (
        {"share_process_namespace": True},
        ("none", "shareable", ""),
        ("container:box", "container:box", "container:box"),
    ),
]


@pytest.mark.parametrize(("fields", "sandbox", "joined"), NAMESPACES)
def test_namespaces(
    fields: dict[str, object], sandbox: tuple[str, str, str], joined: tuple[str, str, str]
) -> None:
    first, second = box(**fields), made(container(), **fields)
    assert (first.network_mode, first.ipc_mode, first.pid_mode) == sandbox
    assert (second.network_mode, second.ipc_mode, second.pid_mode) == joined
    assert second.hostname == "", "the engine refuses it beside a joined network"


def test_resources() -> None:
    limits = {"cpu": "500m", "memory": "64Mi"}
    spec = made(container(resources=ResourceRequirements(requests=limits, limits=limits)))
    assert (spec.cpu_shares, spec.cpu_quota, spec.cpu_period) == (512, 50000, 100000)
    assert spec.memory == 64 * 1024**2
    assert (spec.cgroup_parent, spec.oom_score_adj) == ("/kubepods/podx", -997)
    assert made(container()).oom_score_adj == 1000
    assert made(container()).cpu_period == 0
    whole = made(container(), resources=ResourceRequirements(limits={"memory": "32Mi"}))
    assert whole.memory == 32 * 1024**2, "what its pod as a whole may have"
    critical = made(container(), priority_class_name="system-node-critical")
    assert critical.oom_score_adj == -997


def test_scores_are_clamped_where_the_machine_demands_it() -> None:
    limits = {"cpu": "1", "memory": "64Mi"}
    guaranteed = container(resources=ResourceRequirements(requests=limits, limits=limits))
    assert made(guaranteed, POOR).oom_score_adj == 0
    assert (box().oom_score_adj, box(POOR).oom_score_adj) == (-998, 0)


def test_the_program() -> None:
    spec = made(
        container(
            command=["run", "$(A)"],
            args=["$(A)"],
            working_dir="/w",
            stdin=True,
            stdin_once=True,
            tty=True,
            lifecycle=Lifecycle(stop_signal="SIGUSR1"),
        )
    )
    assert (spec.command, spec.args, spec.working_dir) == (("run", "1"), ("1",), "/w")
    assert (spec.stdin, spec.stdin_once, spec.tty) == (True, True, True)
    assert (spec.stop_signal, spec.image) == ("SIGUSR1", "sha256:app")
    plain = made(container())
    assert (plain.command, plain.args, plain.working_dir, plain.user) == (None, None, None, None)


def test_sysctls_are_the_sandboxs() -> None:
    context = PodSecurityContext(sysctls=[Sysctl(name="net.ipv4.tcp_syncookies", value="1")])
    assert box(security_context=context).sysctls == {"net.ipv4.tcp_syncookies": "1"}
    assert made(container(), security_context=context).sysctls == {}


def test_own_files() -> None:
    mounts = own_mounts(Path("/pods/x"), container(), 4)
    assert {m.target: m.source for m in mounts} == {
        "/etc/hosts": "/pods/x/etc-hosts",
        "/etc/resolv.conf": "/pods/x/resolv.conf",
        "/dev/termination-log": "/pods/x/containers/web/4",
    }


def test_a_mount_of_the_user_wins() -> None:
    spec = container(
        volume_mounts=[VolumeMount(name="v", mount_path="/etc/hosts/")],
        termination_message_path="/tmp/last",
    )
    targets = [m.target for m in own_mounts(Path("/pods/x"), spec, 0)]
    assert targets == ["/etc/resolv.conf", "/tmp/last"]


MOUNTS = [
    (VolumeMount(name="v", mount_path="/x"), False, Mount(source="/s", target="/x")),
    (
        VolumeMount(name="v", mount_path="/x", read_only=True),
        False,
        Mount(source="/s", target="/x", read_only=True),
    ),
    (VolumeMount(name="v", mount_path="/x"), True, Mount(source="/s", target="/x", read_only=True)),
    (VolumeMount(name="v", mount_path="rel"), False, Mount(source="/s", target="/w/rel")),
    (
        VolumeMount(name="v", mount_path="/x", mount_propagation="HostToContainer"),
        False,
        Mount(source="/s", target="/x", propagation=Propagation.HOST_TO_CONTAINER),
    ),
    (
        VolumeMount(name="v", mount_path="/x", mount_propagation="Bidirectional"),
        False,
        Mount(source="/s", target="/x", propagation=Propagation.BIDIRECTIONAL),
    ),
]


@pytest.mark.parametrize(("mount", "fixed", "expected"), MOUNTS)
def test_volume_mounts(mount: VolumeMount, fixed: bool, expected: Mount) -> None:
    assert volume_mount(mount, Path("/s"), container(working_dir="/w"), fixed=fixed) == expected


def test_the_hash_depends_on_the_image_alone() -> None:
    """These values never change: a release that changes them restarts every container there is."""
    assert names.container_hash(container()) == names.container_hash(
        container(command=["x"], resources=ResourceRequirements(limits={"cpu": "1"}))
    )
    assert names.container_hash(container()) != names.container_hash(container(image="app:2"))
    assert names.container_hash(Container(name="web", image="nginx:1.27")) == "3f234ba61fc11c13"


# Credentials.


def pull_secret(**auths: object) -> Secret:
    body = json.dumps({"auths": auths}).encode()
    return Secret(metadata=ObjectMeta(name="s"), data={".dockerconfigjson": body})


AUTHS = [
    ("registry.example/app:1", {"registry.example": {"username": "u", "password": "p"}}, ["u"]),
    ("registry.example/app:1", {"other.example": {"username": "u", "password": "p"}}, []),
    ("registry.example/a/b", {"registry.example/a": {"auth": "dTpw"}}, ["u"]),
    ("registry.example/ab", {"registry.example/a": {"auth": "dTpw"}}, []),
    ("nginx", {"https://index.docker.io/v1/": {"auth": "dTpw"}}, ["u"]),
    ("nginx", {"docker.io": {"auth": "not base64!"}}, []),
    ("nginx", {"docker.io": {"auth": "é"}}, []),
    ("Not An Image", {"docker.io": {"auth": "dTpw"}}, []),
    ("a.example/b", {"*.example": {"auth": "dTpw"}}, ["u"]),
    ("x.a.example/b", {"*.example": {"auth": "dTpw"}}, []),
    ("a.example/b", {"a.*": {"auth": "dTpw"}}, ["u"]),
    ("a1.example/b", {"https://a?.example/v2/": {"auth": "dTpw"}}, ["u"]),
    ("a.example:5000/b", {"a.example": {"auth": "dTpw"}}, []),
    ("a.example:5000/b", {"*.example:5000": {"auth": "dTpw"}}, ["u"]),
    (
        "a.example/b/c",
        {
            "*.example": {"username": "any", "password": "p"},
            "a.example/b": {"username": "path", "password": "p"},
            "a.example": {"username": "host", "password": "p"},
        },
        ["path", "any", "host"],
    ),
]


@pytest.mark.parametrize(("image", "auths", "users"), AUTHS)
def test_pull_secrets(image: str, auths: dict[str, object], users: list[str]) -> None:
    found = registry_auths(image, [pull_secret(**auths)])
    assert [auth.username for auth in found] == users
    assert all(isinstance(auth, RegistryAuth) and auth.password == "p" for auth in found)


def test_the_pods_own_credentials_come_before_the_nodes(tmp_path: Path) -> None:
    def entry(user: str) -> dict[str, str]:
        return {"username": user, "password": "p"}

    (tmp_path / "config.json").write_text(json.dumps({"auths": {"a.example/b": entry("node")}}))
    (tmp_path / ".dockercfg").write_text(json.dumps({"a.example": entry("older")}))
    (tmp_path / "broken").write_text("{")
    (tmp_path / "folder").mkdir()
    names = ("absent", "broken", "folder", "config.json", ".dockercfg")
    files = read_files([tmp_path / name for name in names])
    found = registry_auths("a.example/b", [pull_secret(**{"a.example": entry("pod")})], files)
    assert [auth.username for auth in found] == ["pod", "node", "older"]
    assert registry_auths("b.example/b", [], files) == ()


def test_the_same_credentials_are_tried_once() -> None:
    secret = pull_secret(**{"a.example": {"auth": "dTpw"}})
    assert len(registry_auths("a.example/b", [secret, secret])) == 1


def test_a_broken_pull_secret_gives_nothing() -> None:
    for data in (b"", b"[]", b'{"auths": 3}', b"\xff", b"[" * 200_000):
        secret = Secret(metadata=ObjectMeta(name="s"), data={".dockerconfigjson": data})
        assert registry_auths("nginx", [secret]) == ()


# Cgroup names.

LAYOUTS = [
    (Layout(version=1), "Burstable", "/kubepods/burstable/podu-1"),
    (Layout(version=1), "Guaranteed", "/kubepods/podu-1"),
    (Layout(version=2, root="/a/b"), "BestEffort", "/a/b/kubepods/besteffort/podu-1"),
    (Layout(version=2, systemd=True), "Burstable", "kubepods-burstable-podu_1.slice"),
    (Layout(version=2, systemd=True), "Guaranteed", "kubepods-podu_1.slice"),
    (Layout(version=2, systemd=True, root="/x-y"), "Guaranteed", "x_y-kubepods-podu_1.slice"),
]


@pytest.mark.parametrize(("layout", "qos", "parent"), LAYOUTS)
def test_cgroup_parents(layout: Layout, qos: str, parent: str) -> None:
    assert Cgroups(layout).parent("u-1", qos) == parent


def test_cgroups_of_version_2(tmp_path: Path) -> None:
    """On ordinary files: which values are written where."""
    cgroups = Cgroups(Layout(version=2, root="/x", mount=tmp_path), pod_pids=77)
    for path in ("", "x", "x/kubepods", "x/kubepods/burstable", "x/kubepods/besteffort"):
        (tmp_path / path).mkdir(exist_ok=True)
        (tmp_path / path / "cgroup.controllers").write_text("cpu memory pids")
        (tmp_path / path / "cgroup.subtree_control").write_text("cpu")
    cgroups.ensure_root(CpuMemory(cpu_shares=2048, memory=10**9), pids=5000)
    assert (tmp_path / "x/kubepods/pids.max").read_text() == "5000"
    assert (tmp_path / "x/kubepods/memory.max").read_text() == str(10**9)
    pod = tmp_path / "x/kubepods/burstable/podu-12"
    cgroups.ensure_pod("u-12", "Burstable", CpuMemory(cpu_shares=1024))
    (pod / "memory.swap.max").write_text("max")
    cgroups.ensure_pod("u-12", "Burstable", CpuMemory(cpu_shares=1024, cpu_quota=50000))
    assert (pod / "memory.swap.max").read_text() == "0"
    assert not (tmp_path / "x/kubepods/memory.swap.max").exists(), "this kernel counts no swap"
    assert (pod / "cpu.weight").read_text() == "39"
    assert (pod / "cpu.max").read_text() == "50000 100000"
    assert (pod / "memory.max").read_text() == "max"
    assert (pod / "pids.max").read_text() == "77"
    assert not (tmp_path / "x/kubepods/burstable/pids.max").exists()
    (pod / "abc").mkdir()
    one_by_one = Cgroups(Layout(version=2, root="/x", mount=tmp_path), oom_groups=False)
    one_by_one.kill_together("u-12", "Burstable", "abc")
    assert not (pod / "abc" / "memory.oom.group").exists(), "--single-process-oom-kill"
    cgroups.kill_together("u-12", "Burstable", "gone")
    cgroups.kill_together("u-12", "Burstable", "abc")
    assert (pod / "abc" / "memory.oom.group").read_text() == "1"
    assert (tmp_path / "x/kubepods/burstable/cgroup.subtree_control").read_text() == "+pids"
    assert cgroups.pod_uids() == {"u-12"}


@pytest.mark.parametrize(
    ("cgroup", "uid"),
    [
        ("/podwright/n1/kubepods/podu-1", "u-1"),
        (
            "/kubepods/besteffort/pod0123456789abcdef0123456789abcdef/docker-id",
            "0123456789abcdef" * 2,
        ),
        ("/kubepods.slice/kubepods-podu_1.slice/docker-id.scope", "u-1"),
        ("/a.slice/a-kubepods.slice/a-kubepods-burstable-podu_1.slice", "u-1"),
        ("/kubepods/burstable", ""),
        ("/kubepods.slice/kubepods-besteffort.slice", ""),
        ("/podwright/n1/agent", ""),
        ("/podwright_1.slice/podwright_1-kubepods.slice/podwright_1-kubepods-burstable.slice", ""),
        (
            "/podwright_1.slice/podwright_1-kubepods.slice/podwright_1-kubepods-burstable.slice/"
            "podwright_1-kubepods-burstable-podu_1.slice/docker-id.scope",
            "u-1",
        ),
        ("/machine.slice/podman-7.scope", ""),
        ("", ""),
    ],
)
def test_whose_cgroup_it_is(cgroup: str, uid: str) -> None:
    assert pod_uid(cgroup) == uid
