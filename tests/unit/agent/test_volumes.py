"""Volumes on an ordinary directory: contents, modes, swaps and what is refused."""

from __future__ import annotations

import asyncio
import os
import stat
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.spec.fieldref import Place
from agent.volumes import atomic
from agent.volumes.atomic import File
from agent.volumes.base import IssuedToken, VolumeError
from agent.volumes.mounts import FakeMounter, KernelMounter, remove_tree
from agent.volumes.registry import TYPES, volume_type
from agent.volumes.subpath import _open_inside, bind_subpath
from api.core import (
    ClusterTrustBundleProjection,
    ConfigMap,
    ConfigMapProjection,
    ConfigMapVolumeSource,
    DownwardAPIVolumeFile,
    DownwardAPIVolumeSource,
    EmptyDirVolumeSource,
    GitRepoVolumeSource,
    HostPathVolumeSource,
    ISCSIVolumeSource,
    KeyToPath,
    ObjectFieldSelector,
    PersistentVolume,
    PersistentVolumeClaim,
    Pod,
    PodCertificateProjection,
    PodSecurityContext,
    ProjectedVolumeSource,
    ResourceFieldSelector,
    ResourceRequirements,
    Secret,
    SecretProjection,
    SecretVolumeSource,
    Volume,
    VolumeProjection,
)
from api.meta import ObjectMeta
from api.node import RuntimeClass
from base.errors import TemporaryError
from tests.unit.agent.builders import UID, container, make_pod, pod_volumes

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
PLACE = Place(node="n", host_ip="192.0.2.1", allocatable={"cpu": "2", "memory": "3Gi"})


@dataclass
class Objects:
    """ConfigMaps and Secrets that exist."""

    config_maps: dict[str, ConfigMap] = field(default_factory=dict)
    secrets: dict[str, Secret] = field(default_factory=dict)
    down: bool = False
    asked: int = 0

    async def config_map(self, namespace: str, name: str) -> ConfigMap | None:
        self.asked += 1
        if self.down:
            raise TemporaryError("away")
        return self.config_maps.get(name)

    async def secret(self, namespace: str, name: str) -> Secret | None:
        self.asked += 1
        if self.down:
            raise TemporaryError("away")
        return self.secrets.get(name)

    async def runtime_class(self, name: str) -> RuntimeClass | None:
        raise NotImplementedError

    async def claim(self, namespace: str, name: str) -> PersistentVolumeClaim | None:
        raise NotImplementedError

    async def persistent_volume(self, name: str) -> PersistentVolume | None:
        raise NotImplementedError

    async def token(self, pod: Pod, *, audience: str, seconds: int) -> IssuedToken:
        raise NotImplementedError


def config(**data: str) -> ConfigMap:
    return ConfigMap(metadata=ObjectMeta(name="c"), data=data, binary_data={"bin": b"\x00\xff"})


class World:
    def __init__(self, directory: Path) -> None:
        self.objects = Objects(
            config_maps={"c": config(a="1", b="2")},
            secrets={"s": Secret(metadata=ObjectMeta(name="s"), data={"pw": b"hunter2"})},
        )
        self.mounter = FakeMounter()
        self.volumes = pod_volumes(directory, self.objects, self.mounter)

    async def set_up(self, **source: object) -> Path:
        pod = make_pod(volumes=[Volume(name="v", **source)])  # type: ignore[arg-type]
        await self.volumes.set_up(pod, PLACE)
        return self.volumes.paths["v"]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def contents(directory: Path) -> dict[str, bytes]:
    """The files that a program sees, without the machinery of the swap."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and not str(path.relative_to(directory)).startswith("..")
    } | {
        str(Path(link.name) / path.relative_to(link.resolve())): path.read_bytes()
        for link in directory.iterdir()
        if link.is_symlink() and link.is_dir() and not link.name.startswith("..")
        for path in link.resolve().rglob("*")
        if path.is_file()
    }


# The atomic writer.


def files(**content: str) -> dict[str, File]:
    return {name: File(content=text.encode(), mode=0o644) for name, text in content.items()}


def test_files_change_all_at_once(tmp_path: Path) -> None:
    assert atomic.write(tmp_path, files(a="1", b="1"), group=None, now=NOW)
    old = (tmp_path / "..data").readlink()
    seen_through_the_old_set = (tmp_path / old / "b").read_text()
    assert atomic.write(tmp_path, files(a="2", c="2"), group=None, now=NOW)
    assert contents(tmp_path) == {"a": b"2", "c": b"2"}
    assert seen_through_the_old_set == "1"
    assert not (tmp_path / old).exists()
    assert (tmp_path / "a").readlink() == Path("..data/a")


def test_nothing_changes_when_the_content_does_not(tmp_path: Path) -> None:
    atomic.write(tmp_path, files(a="1"), group=None, now=NOW)
    before = (tmp_path / "..data").readlink()
    assert not atomic.write(tmp_path, files(a="1"), group=None, now=NOW)
    assert (tmp_path / "..data").readlink() == before


def test_a_changed_mode_is_a_change(tmp_path: Path) -> None:
    atomic.write(tmp_path, files(a="1"), group=None, now=NOW)
    assert atomic.write(tmp_path, {"a": File(content=b"1", mode=0o400)}, group=None, now=NOW)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o400


def test_paths_with_folders(tmp_path: Path) -> None:
    nested = {"x/y/z": File(content=b"1", mode=0o644), "x/w": File(content=b"2", mode=0o644)}
    atomic.write(tmp_path, nested, group=None, now=NOW)
    assert (tmp_path / "x" / "y" / "z").read_text() == "1"
    assert (tmp_path / "x").readlink() == Path("..data/x")


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "a/../../x", "..data", ""])
def test_paths_that_lead_out(tmp_path: Path, name: str) -> None:
    with pytest.raises(VolumeError, match="invalid path"):
        atomic.write(tmp_path, {name: File(content=b"", mode=0o644)}, group=None, now=NOW)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_writer_left_is_cleaned_up(tmp_path: Path) -> None:
    atomic.write(tmp_path, files(a="1"), group=None, now=NOW)
    (tmp_path / "..2026_01_01_00_00_00.000000009").mkdir()
    (tmp_path / "..data_tmp").symlink_to("nowhere")
    (tmp_path / "a").unlink()
    atomic.write(tmp_path, files(a="1"), group=None, now=NOW)
    assert (tmp_path / "a").read_text() == "1"
    atomic.write(tmp_path, files(a="2"), group=None, now=NOW)
    assert len([p for p in tmp_path.iterdir() if p.is_dir() and not p.is_symlink()]) == 1


SETS = st.dictionaries(st.text("abc", min_size=1, max_size=3), st.binary(max_size=8), max_size=5)


@settings(deadline=None)  # a disk takes the time that it takes
@given(sets=st.lists(SETS, min_size=1, max_size=6))
def test_the_last_set_is_what_is_there(
    tmp_path_factory: pytest.TempPathFactory, sets: list[Mapping[str, bytes]]
) -> None:
    directory = tmp_path_factory.mktemp("atomic")
    for one in sets:
        wanted = {name: File(content=data, mode=0o644) for name, data in one.items()}
        atomic.write(directory, wanted, group=None, now=NOW)
        assert contents(directory) == dict(one)


# Types.


async def test_config_maps(world: World) -> None:
    path = await world.set_up(config_map=ConfigMapVolumeSource(name="c"))
    assert contents(path) == {"a": b"1", "b": b"2", "bin": b"\x00\xff"}
    assert world.mounter.mounted == {}
    assert world.volumes.read_only == {"v"}


async def test_chosen_keys_and_modes(world: World) -> None:
    items = [KeyToPath(key="a", path="x/one", mode=0o400), KeyToPath(key="b", path="two")]
    path = await world.set_up(
        config_map=ConfigMapVolumeSource(name="c", items=items, default_mode=0o600)
    )
    assert contents(path) == {"x/one": b"1", "two": b"2"}
    assert stat.S_IMODE((path / "x" / "one").stat().st_mode) == 0o400
    assert stat.S_IMODE((path / "two").stat().st_mode) == 0o600


async def test_secrets_lie_in_memory(world: World) -> None:
    path = await world.set_up(secret=SecretVolumeSource(secret_name="s", default_mode=0o400))
    assert contents(path) == {"pw": b"hunter2"}
    assert stat.S_IMODE((path / "pw").stat().st_mode) == 0o400
    assert world.mounter.mounted == {str(path): "tmpfs:0"}


async def test_the_downward_api(world: World) -> None:
    items = [
        DownwardAPIVolumeFile(
            path="labels", field_ref=ObjectFieldSelector(field_path="metadata.labels")
        ),
        DownwardAPIVolumeFile(
            path="cpu",
            resource_field_ref=ResourceFieldSelector(container_name="web", resource="limits.cpu"),
        ),
    ]
    path = await world.set_up(downward_api=DownwardAPIVolumeSource(items=items))
    assert contents(path) == {"labels": b"", "cpu": b"2"}


async def test_projected_sources_together(world: World) -> None:
    sources = [
        VolumeProjection(
            config_map=ConfigMapProjection(name="c", items=[KeyToPath(key="a", path="a")])
        ),
        VolumeProjection(secret=SecretProjection(name="s")),
    ]
    path = await world.set_up(projected=ProjectedVolumeSource(sources=sources))
    assert contents(path) == {"a": b"1", "pw": b"hunter2"}


async def test_of_projected_sources_with_one_path_the_later_counts(world: World) -> None:
    config = ConfigMapProjection(name="c", items=[KeyToPath(key="a", path="pw")])
    sources = [
        VolumeProjection(secret=SecretProjection(name="s")), VolumeProjection(config_map=config)
    ]  # fmt: skip
    path = await world.set_up(projected=ProjectedVolumeSource(sources=sources))
    assert contents(path) == {"pw": b"1"}
    path = await world.set_up(projected=ProjectedVolumeSource(sources=sources[::-1]))
    assert contents(path) == {"pw": b"hunter2"}


async def test_roots_of_trust_that_may_be_missing(world: World) -> None:
    bundle = ClusterTrustBundleProjection(path="ca.pem", signer_name="s", optional=True)
    sources = [VolumeProjection(cluster_trust_bundle=bundle)]
    path = await world.set_up(projected=ProjectedVolumeSource(sources=sources))
    assert contents(path) == {"ca.pem": b""}


REFUSED = [
    (
        {"config_map": ConfigMapVolumeSource(name="none")},
        'MountVolume.SetUp failed for volume "v" : configmap "none" not found',
    ),
    (
        {"secret": SecretVolumeSource(secret_name="none")},
        'MountVolume.SetUp failed for volume "v" : secret "none" not found',
    ),
    (
        {"config_map": ConfigMapVolumeSource(name="c", items=[KeyToPath(key="x", path="x")])},
        "configmap references non-existent config key: x",
    ),
    (
        {"secret": SecretVolumeSource(secret_name="s", items=[KeyToPath(key="x", path="x")])},
        'failed for volume "v" : references non-existent secret key: x',
    ),
    (
        {"iscsi": ISCSIVolumeSource(target_portal="s", iqn="i", lun=0)},
        'volume "v": type iscsi is not supported by this agent yet',
    ),
    (
        {"git_repo": GitRepoVolumeSource(repository="r")},
        'volume "v": type gitRepo is not supported any more: clone into an emptyDir, in an init',
    ),
    (
        {"empty_dir": EmptyDirVolumeSource(medium="HugePages")},
        'emptyDir medium "HugePages" does not fit the huge pages that the pod requests: none',
    ),
    ({"host_path": HostPathVolumeSource(path="relative")}, "must be absolute"),
    ({"host_path": HostPathVolumeSource(path="/x/../y")}, "must be absolute"),
    (
        {
            "projected": ProjectedVolumeSource(
                sources=[
                    VolumeProjection(
                        cluster_trust_bundle=ClusterTrustBundleProjection(path="bundle")
                    )
                ]
            )
        },
        "projected.sources[0].clusterTrustBundle is not supported by this agent yet",
    ),
    (
        {
            "projected": ProjectedVolumeSource(
                sources=[
                    VolumeProjection(config_map=ConfigMapProjection(name="c")),
                    VolumeProjection(
                        pod_certificate=PodCertificateProjection(signer_name="s", key_type="k")
                    ),
                ]
            )
        },
        "projected.sources[1].podCertificate is not supported by this agent yet",
    ),
]


@pytest.mark.parametrize(("source", "words"), REFUSED)
async def test_what_cannot_be_set_up(world: World, source: dict[str, object], words: str) -> None:
    with pytest.raises(VolumeError) as caught:
        await world.set_up(**source)
    assert words in caught.value.message


@pytest.mark.parametrize(
    "source",
    [
        {"config_map": ConfigMapVolumeSource(name="none", optional=True)},
        {"secret": SecretVolumeSource(secret_name="none", optional=True)},
        {
            "config_map": ConfigMapVolumeSource(
                name="c", items=[KeyToPath(key="x", path="x")], optional=True
            )
        },
    ],
)
async def test_what_is_optional_may_be_missing(world: World, source: dict[str, object]) -> None:
    assert contents(await world.set_up(**source)) == {}


async def test_an_api_that_is_away_leaves_what_was_written(world: World, tmp_path: Path) -> None:
    source = {"config_map": ConfigMapVolumeSource(name="c")}
    await world.set_up(**source)
    world.objects.down = True
    assert contents(await world.set_up(**source))["a"] == b"1"
    other = World(tmp_path / "other")
    other.objects.down = True
    with pytest.raises(TemporaryError):
        await other.set_up(secret=SecretVolumeSource(secret_name="s"))


@pytest.mark.parametrize(
    "source",
    [
        {"config_map": ConfigMapVolumeSource(name="c")},
        {"secret": SecretVolumeSource(secret_name="s")},
        {
            "projected": ProjectedVolumeSource(
                sources=[
                    VolumeProjection(config_map=ConfigMapProjection(name="c")),
                    VolumeProjection(secret=SecretProjection(name="s")),
                ]
            )
        },
    ],
)
async def test_what_is_immutable_is_not_followed(world: World, source: dict[str, object]) -> None:
    first, secret = config(a="1"), Secret(metadata=ObjectMeta(name="s"), data={"pw": b"1"})
    first.immutable = secret.immutable = True
    world.objects.config_maps["c"], world.objects.secrets["s"] = first, secret
    shown = contents(await world.set_up(**source))
    asked = world.objects.asked
    world.objects.config_maps["c"] = config(a="made anew")
    del world.objects.secrets["s"]
    assert contents(await world.set_up(**source)) == shown
    assert world.objects.asked == asked, "nobody is asked for what cannot change"


async def test_an_empty_directory_in_memory_is_bounded(world: World) -> None:
    path = await world.set_up(empty_dir=EmptyDirVolumeSource(medium="Memory", size_limit="1Mi"))
    assert world.mounter.mounted == {str(path): f"tmpfs:{1024**2}"}


async def test_without_a_limit_memory_has_the_room_of_the_node(world: World) -> None:
    path = await world.set_up(empty_dir=EmptyDirVolumeSource(medium="Memory"))
    assert world.mounter.mounted == {str(path): f"tmpfs:{3 * 1024**3}"}


def _memory(limit: str) -> ResourceRequirements:
    return ResourceRequirements(limits={"memory": limit})


@pytest.mark.parametrize(
    ("containers", "whole", "size"),
    [
        (["1Mi", "2Mi"], "", 3 * 1024**2),
        (["1Mi", ""], "", 3 * 1024**3),
        (["1Mi", ""], "4Mi", 4 * 1024**2),
        (["0"], "", 3 * 1024**3),
    ],
)
async def test_memory_has_the_room_of_its_pod(
    world: World, containers: list[str], whole: str, size: int
) -> None:
    specs = [
        container(f"c{n}", resources=_memory(limit) if limit else ResourceRequirements())
        for n, limit in enumerate(containers)
    ]
    source = EmptyDirVolumeSource(medium="Memory")
    pod = make_pod(
        *specs,
        volumes=[Volume(name="v", empty_dir=source)],
        resources=_memory(whole) if whole else None,
    )
    await world.volumes.set_up(pod, PLACE)
    assert world.mounter.mounted == {str(world.volumes.paths["v"]): f"tmpfs:{size}"}


HUGE = [
    # medium, what the pod asks for, what is mounted
    ("HugePages", ["2Mi"], f"hugetlbfs:{2 * 1024**2}:{1024**2}"),
    ("HugePages-2Mi", ["2Mi", "1Gi"], f"hugetlbfs:{2 * 1024**2}:{1024**2}"),
    ("HugePages-1Gi", ["2Mi", "1Gi"], f"hugetlbfs:{1024**3}:{1024**2}"),
    ("HugePages", ["2Mi", "1Gi"], ""),
    ("HugePages-1Gi", ["2Mi"], ""),
]


@pytest.mark.parametrize(("medium", "asked", "mounted"), HUGE)
async def test_an_empty_directory_of_huge_pages(
    world: World, medium: str, asked: list[str], mounted: str
) -> None:
    amounts = {f"hugepages-{size}": size for size in asked} | {"memory": "1Mi"}
    spec = container(resources=ResourceRequirements(requests=amounts, limits=amounts))
    source = EmptyDirVolumeSource(medium=medium, size_limit="1Mi")
    pod = make_pod(spec, volumes=[Volume(name="v", empty_dir=source)])
    if mounted:
        await world.volumes.set_up(pod, PLACE)
        assert world.mounter.mounted == {str(world.volumes.paths["v"]): mounted}
        return
    with pytest.raises(VolumeError, match="does not fit the huge pages that the pod requests"):
        await world.volumes.set_up(pod, PLACE)


@pytest.mark.parametrize("medium", ["", "Memory"])
async def test_an_agent_that_starts_anew_leaves_modes_alone(tmp_path: Path, medium: str) -> None:
    source = EmptyDirVolumeSource(medium=medium)
    world = World(tmp_path)
    path = await world.set_up(empty_dir=source)
    path.chmod(0o700)  # the pod's own doing
    again = World(tmp_path)
    again.mounter.mounted = dict(world.mounter.mounted)
    assert await again.set_up(empty_dir=source) == path
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    rebooted = World(tmp_path)  # what was in memory is gone
    await rebooted.set_up(empty_dir=source)
    assert stat.S_IMODE(path.stat().st_mode) == (0o777 if medium else 0o700)
    pod = make_pod(volumes=[Volume(name="v", empty_dir=source)])
    await rebooted.volumes.tear_down(pod, PLACE)
    assert [p for p in tmp_path.rglob("*") if p.name != "volumes"] == []


async def test_an_empty_directory_that_was_not_finished_is_made_whole(world: World) -> None:
    source = EmptyDirVolumeSource()
    path = world.volumes._directory / "v"
    path.mkdir(parents=True, mode=0o700)  # killed in between
    assert await world.set_up(empty_dir=source) == path
    assert stat.S_IMODE(path.stat().st_mode) == 0o777


async def test_an_empty_directory_is_everybodys(world: World) -> None:
    path = await world.set_up(empty_dir=EmptyDirVolumeSource())
    assert stat.S_IMODE(path.stat().st_mode) == 0o777
    assert await world.set_up() == path, "a volume without a source is an emptyDir"


HOST_PATHS = [
    # type, what is there, outcome ("": well)
    ("", "", ""),
    (None, "directory", ""),
    ("Directory", "directory", ""),
    ("Directory", "file", "is not a directory"),
    ("Directory", "", "x is not a directory: it does not exist"),
    ("File", "file", ""),
    ("File", "directory", "is not a file"),
    ("File", "", "x is not a file: it does not exist"),
    ("DirectoryOrCreate", "", ""),
    ("DirectoryOrCreate", "directory", ""),
    ("DirectoryOrCreate", "file", "is not a directory"),
    ("FileOrCreate", "", ""),
    ("FileOrCreate", "directory", "is not a file"),
    ("Socket", "file", "is not a socket file"),
    ("CharDevice", "file", "is not a character device"),
    ("BlockDevice", "file", "is not a block device"),
    ("Nonsense", "file", "is unknown"),
]


@pytest.mark.parametrize(("kind", "there", "words"), HOST_PATHS)
async def test_host_paths(
    world: World, tmp_path: Path, kind: str | None, there: str, words: str
) -> None:
    target = tmp_path / "host" / "x"
    target.parent.mkdir()
    if there == "directory":
        target.mkdir()
    elif there == "file":
        target.touch()
    source = HostPathVolumeSource(path=str(target), type=kind)
    if words:
        with pytest.raises(VolumeError, match=words):
            await world.set_up(host_path=source)
        return
    assert await world.set_up(host_path=source) == target
    assert target.exists()
    pod = make_pod(volumes=[Volume(name="v", host_path=source)])
    await world.volumes.tear_down(pod, PLACE)
    assert target.exists(), "what is the node's stays"


@pytest.mark.parametrize(
    ("type", "mode"), [("", 0o755), ("DirectoryOrCreate", 0o755), ("FileOrCreate", 0o644)]
)
async def test_what_is_made_on_the_node_has_its_mode_whatever_the_mask(
    world: World, tmp_path: Path, type: str, mode: int
) -> None:
    mask = os.umask(0o077)
    try:
        source = HostPathVolumeSource(path=str(tmp_path / "made"), type=type)
        path = await world.set_up(host_path=source)
    finally:
        os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == mode


async def test_a_device(world: World) -> None:
    source = HostPathVolumeSource(path="/dev/null", type="CharDevice")
    assert await world.set_up(host_path=source) == Path("/dev/null")


async def test_everything_is_taken_away(world: World, tmp_path: Path) -> None:
    pod = make_pod(
        volumes=[
            Volume(name="e", empty_dir=EmptyDirVolumeSource(medium="Memory")),
            Volume(name="c", config_map=ConfigMapVolumeSource(name="c")),
            Volume(name="s", secret=SecretVolumeSource(secret_name="s")),
        ]
    )
    await world.volumes.set_up(pod, PLACE)
    assert world.volumes.follows_api(pod)
    for _ in range(2):
        await world.volumes.tear_down(pod, PLACE)
    assert world.mounter.mounted == {}
    assert list((tmp_path / "volumes").iterdir()) == []


def test_every_type_names_a_field_of_the_api() -> None:
    for kind in TYPES:
        assert kind.field in Volume.__struct_fields__
    assert volume_type(Volume(name="x")).field == "empty_dir"


async def test_fs_group_owns_the_files(world: World, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root to give files away")
    pod = make_pod(
        volumes=[
            Volume(name="e", empty_dir=EmptyDirVolumeSource()),
            Volume(
                name="s",
                secret=SecretVolumeSource(
                    secret_name="s",
                    default_mode=0o400,
                    items=[
                        KeyToPath(key="pw", path="pw"),
                        KeyToPath(key="pw", path="deep/down/pw"),
                    ],
                ),
            ),
        ],
        security_context=PodSecurityContext(fs_group=4321),
    )
    await world.volumes.set_up(pod, PLACE)
    directory = world.volumes.paths["e"].stat()
    assert (directory.st_gid, stat.S_IMODE(directory.st_mode)) == (4321, 0o2777)
    secret = (world.volumes.paths["s"] / "pw").stat()
    assert (secret.st_gid, stat.S_IMODE(secret.st_mode)) == (4321, 0o440)
    for folder in (".", "..data/", "deep", "deep/down"):
        found = (world.volumes.paths["s"] / folder).stat()
        assert (found.st_gid, stat.S_IMODE(found.st_mode)) == (4321, 0o2775), folder


# subPath.


@pytest.mark.parametrize(
    ("sub_path", "words"),
    [
        ("/etc", "must be relative"),
        ("../etc", "must be relative"),
        ("a/../../etc", "must be relative"),
        ("way-out", "leads out of its volume"),
        ("way-out/passwd", "leads out of its volume"),
        ("missing", "does not exist"),
    ],
)
def test_no_way_out_of_a_volume(tmp_path: Path, sub_path: str, words: str) -> None:
    volume, mounter = tmp_path / "volume", FakeMounter()
    volume.mkdir()
    (volume / "way-out").symlink_to("/etc")
    with pytest.raises(VolumeError, match=words):
        bind_subpath(volume, sub_path, tmp_path / "t", mounter=mounter, make=False)
    assert mounter.mounted == {}


def test_a_subpath_that_is_missing_is_made(tmp_path: Path) -> None:
    volume, mounter = tmp_path / "volume", FakeMounter()
    volume.mkdir()
    target = tmp_path / "t" / UID
    bind_subpath(volume, "a/b", target, mounter=mounter, make=True)
    assert (volume / "a" / "b").is_dir() and target.is_dir()
    assert mounter.mounted[str(target)].startswith("/proc/")


def test_who_may_use_a_volume_may_use_its_parts(tmp_path: Path) -> None:
    """A program that is not root has to write to the part that was made for it."""
    volume = tmp_path / "volume"
    volume.mkdir()
    volume.chmod(0o2777)
    mask = os.umask(0o077)
    try:
        bind_subpath(volume, "a/b", tmp_path / "t", mounter=FakeMounter(), make=True)
    finally:
        os.umask(mask)
    for made in (volume / "a", volume / "a" / "b"):
        assert stat.S_IMODE(made.stat().st_mode) == 0o2777


def test_a_part_that_was_there_keeps_its_mode(tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    (volume / "a").mkdir(parents=True)
    volume.chmod(0o777)
    (volume / "a").chmod(0o700)
    bind_subpath(volume, "a/b", tmp_path / "t", mounter=FakeMounter(), make=True)
    assert stat.S_IMODE((volume / "a").stat().st_mode) == 0o700
    assert stat.S_IMODE((volume / "a" / "b").stat().st_mode) == 0o777


def test_two_containers_that_make_the_same_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume, make = tmp_path / "volume", os.mkdir
    volume.mkdir()

    def too_late(name: str, mode: int, *, dir_fd: int) -> None:
        make(name, mode, dir_fd=dir_fd)
        make(name, mode, dir_fd=dir_fd)

    with monkeypatch.context() as patch:
        patch.setattr(os, "mkdir", too_late)
        handle = _open_inside(volume, PurePosixPath("a"), create=1)
    os.close(handle)
    assert (volume / "a").is_dir()


@pytest.mark.parametrize(
    ("sub_path", "words"),
    [
        ("file/below", "Not a directory"),
        ("loop", "Too many levels of symbolic links"),
        ("x" * 300, "File name too long"),
    ],
)
def test_parts_that_cannot_be(tmp_path: Path, sub_path: str, words: str) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "file").touch()
    (volume / "loop").symlink_to("loop")
    with pytest.raises(VolumeError, match=f'subPath "{sub_path}.*": {words}'):
        bind_subpath(volume, sub_path, tmp_path / "t", mounter=FakeMounter(), make=True)
    with pytest.raises(VolumeError, match="Not a directory"):
        bind_subpath(volume / "file", "a", tmp_path / "t", mounter=FakeMounter(), make=False)


def test_links_inside_the_volume_are_fine(tmp_path: Path) -> None:
    volume, mounter = tmp_path / "volume", FakeMounter()
    volume.mkdir()
    atomic.write(volume, files(a="1"), group=None, now=NOW)
    target = bind_subpath(volume, "a", tmp_path / "t", mounter=mounter, make=False)
    assert target.is_file()


def part_of(volume: Path, sub_path: str, target: Path) -> Path:
    return bind_subpath(volume, sub_path, target, mounter=FakeMounter(), make=True)


@pytest.mark.parametrize("sub_path", ["b", "b/c"])
def test_a_key_that_comes_later_takes_the_place_of_the_directory(
    tmp_path: Path, sub_path: str
) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    atomic.write(volume, files(a="1"), group=None, now=NOW)
    assert part_of(volume, sub_path, tmp_path / "t").is_dir()
    assert (volume / sub_path).is_dir()
    assert not atomic.write(volume, files(a="1"), group=None, now=NOW), "nothing new is shown"
    assert atomic.write(volume, files(a="1", b="2"), group=None, now=NOW)
    assert contents(volume) == {"a": b"1", "b": b"2"}
    if sub_path == "b":
        assert part_of(volume, "b", tmp_path / "next").is_file()


def test_a_directory_that_is_made_within_a_set_goes_with_it(tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    atomic.write(volume, {"d/a": File(content=b"1", mode=0o644)}, group=None, now=NOW)
    part_of(volume, "d/b", tmp_path / "t")
    assert (volume / "d" / "b").is_dir()
    atomic.write(volume, {"d/b": File(content=b"2", mode=0o644)}, group=None, now=NOW)
    assert contents(volume) == {"d/b": b"2"}


def test_what_a_link_leads_to_is_not_made(tmp_path: Path) -> None:
    """The set of files is exchanged right then: a directory must not take the place of the key."""
    volume = tmp_path / "volume"
    volume.mkdir()
    atomic.write(volume, files(a="1"), group=None, now=NOW)
    former = (volume / "..data").readlink()
    (volume / "..data").unlink()
    (volume / "..data").symlink_to("..gone")
    (volume / "dangling").symlink_to("nowhere")
    for sub_path in ("a", "a/b", "..data/a", "dangling", "dangling/a"):
        with pytest.raises(VolumeError, match="does not exist"):
            part_of(volume, sub_path, tmp_path / "t")
    assert {path.name for path in volume.iterdir()} == {"..data", "a", "dangling", str(former)}


def test_nothing_is_removed_while_something_is_mounted(tmp_path: Path) -> None:
    class Stuck(FakeMounter):
        def unmount(self, target: Path) -> None:
            pass

    mounter = Stuck()
    precious = tmp_path / "pod" / "mounted" / "precious"
    precious.parent.mkdir(parents=True)
    precious.touch()
    mounter.bind("/somewhere", precious.parent)
    with pytest.raises(Exception, match="still mounted"):
        remove_tree(tmp_path / "pod", mounter)
    assert precious.exists()


async def test_what_takes_its_time_does_not_hold_up_the_loop() -> None:
    """A million files to remove, a hostPath on a file server that is away."""
    go_on = threading.Event()
    waiting = asyncio.ensure_future(KernelMounter().aside(lambda: go_on.wait(10)))
    await asyncio.sleep(0)
    go_on.set()
    assert await waiting


@pytest.mark.parametrize("bad", ["a\0b", "/a\0b"])
async def test_a_path_that_no_file_system_can_hold(tmp_path: Path, bad: str) -> None:
    mounter = FakeMounter()
    with pytest.raises(VolumeError, match="null byte"):
        bind_subpath(tmp_path, bad, tmp_path / "target", mounter=mounter, make=True)
    with pytest.raises(VolumeError, match="null byte"):
        atomic.write(tmp_path, {bad: File(content=b"", mode=0o644)}, group=None, now=NOW)
    world = World(tmp_path)
    with pytest.raises(VolumeError, match="null byte"):
        await world.set_up(host_path=HostPathVolumeSource(path=bad))


def test_a_file_must_have_a_name(tmp_path: Path) -> None:
    with pytest.raises(VolumeError, match="invalid path"):
        atomic.write(tmp_path, {".": File(content=b"", mode=0o644)}, group=None, now=NOW)
