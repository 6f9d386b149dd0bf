"""Storage that outlives its pods: claims, what they are bound to, file servers, and fsGroup."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from agent.containers.records import Device
from agent.node.nodestatus import NodeObserved, node_status
from agent.volumes.base import IssuedToken, VolumeError
from agent.volumes.kinds import KINDS
from agent.volumes.mounts import FakeMounter
from agent.volumes.ownership import own_tree
from api.core import (
    ConfigMap,
    Container,
    EphemeralVolumeSource,
    HostPathVolumeSource,
    ISCSIPersistentVolumeSource,
    LocalVolumeSource,
    NFSVolumeSource,
    NodeSelector,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    ObjectReference,
    PersistentVolume,
    PersistentVolumeClaim,
    PersistentVolumeClaimSpec,
    PersistentVolumeClaimStatus,
    PersistentVolumeClaimTemplate,
    PersistentVolumeClaimVolumeSource,
    PersistentVolumeSpec,
    Pod,
    PodSecurityContext,
    Secret,
    Volume,
    VolumeDevice,
    VolumeMount,
    VolumeNodeAffinity,
)
from api.core import Node as NodeObject
from api.meta import ObjectMeta, OwnerReference
from api.names import wire_name
from api.node import RuntimeClass
from base.errors import TemporaryError
from control.resources.compatibility import PERSISTENT
from tests.unit.agent.builders import NOW, UID, container, make_pod, pod_volumes
from tests.unit.agent.node import Node
from tests.unit.agent.test_node import IDENTITY
from tests.unit.agent.test_volumes import PLACE


def bound(**fields: Any) -> PersistentVolumeClaim:
    metadata = {"name": "data", "namespace": "ns", "uid": "c-1"} | fields.pop("metadata", {})
    return PersistentVolumeClaim(
        metadata=ObjectMeta(**metadata),
        spec=PersistentVolumeClaimSpec(volume_name=fields.pop("volume_name", "pv")),
        status=PersistentVolumeClaimStatus(phase=fields.pop("phase", "Bound")),
    )


def volume(**spec: Any) -> PersistentVolume:
    reference = ObjectReference(uid=spec.pop("claim_uid", "c-1"))
    return PersistentVolume(
        metadata=ObjectMeta(name="pv"), spec=PersistentVolumeSpec(claim_ref=reference, **spec)
    )


@dataclass
class Objects:
    claims: dict[str, PersistentVolumeClaim] = field(default_factory=dict)
    volumes: dict[str, PersistentVolume] = field(default_factory=dict)
    down: bool = False

    async def claim(self, namespace: str, name: str) -> PersistentVolumeClaim | None:
        if self.down:
            raise TemporaryError("away")
        return self.claims.get(name)

    async def persistent_volume(self, name: str) -> PersistentVolume | None:
        return self.volumes.get(name)

    async def config_map(self, namespace: str, name: str) -> ConfigMap | None:
        raise NotImplementedError

    async def secret(self, namespace: str, name: str) -> Secret | None:
        raise NotImplementedError

    async def runtime_class(self, name: str) -> RuntimeClass | None:
        raise NotImplementedError

    async def token(self, pod: Pod, *, audience: str, seconds: int) -> IssuedToken:
        raise NotImplementedError


class World:
    def __init__(self, directory: Path) -> None:
        self.directory = directory / "pod"
        self.objects = Objects(claims={"data": bound()})
        self.mounter = FakeMounter()
        self.restart()

    def restart(self) -> None:
        self.volumes = pod_volumes(self.directory, self.objects, self.mounter)

    async def set_up(self, *, pod: dict[str, Any] | None = None, **source: Any) -> Path:
        if not source:
            claim = PersistentVolumeClaimVolumeSource(claim_name="data")
            source = {"persistent_volume_claim": claim}
        self.pod = make_pod(volumes=[Volume(name="v", **source)], **(pod or {}))
        await self.volumes.set_up(self.pod, PLACE)
        return self.volumes.paths["v"]

    async def tear_down(self) -> None:
        await self.volumes.tear_down(self.pod, PLACE)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_what_is_mounted_is_what_users_are_told() -> None:
    assert {wire_name(kind.field) for kind in KINDS} == set(PERSISTENT)


async def test_a_claim_of_a_folder_of_the_node(world: World, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    source = HostPathVolumeSource(path=str(tmp_path / "disk"), type="Directory")
    world.objects.volumes["pv"] = volume(host_path=source)
    assert await world.set_up() == tmp_path / "disk"
    assert world.volumes.read_only == set()
    (tmp_path / "disk/file").write_text("kept")
    await world.tear_down()
    await world.tear_down()
    assert (tmp_path / "disk/file").read_text() == "kept"


async def test_a_claim_that_is_only_read(world: World, tmp_path: Path) -> None:
    world.objects.volumes["pv"] = volume(local=LocalVolumeSource(path=str(tmp_path)))
    source = PersistentVolumeClaimVolumeSource(claim_name="data", read_only=True)
    mode = tmp_path.stat().st_mode
    context = PodSecurityContext(fs_group=os.getgid())
    await world.set_up(persistent_volume_claim=source, pod={"security_context": context})
    assert world.volumes.read_only == {"v"}
    assert tmp_path.stat().st_mode == mode, "what may not be written is not given away"


async def test_a_local_volume_belongs_to_the_group(world: World, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir(mode=0o700)
    (disk / "file").touch(mode=0o600)
    world.objects.volumes["pv"] = volume(local=LocalVolumeSource(path=str(disk)))
    context = PodSecurityContext(fs_group=os.getgid())
    assert await world.set_up(pod={"security_context": context}) == disk
    assert stat.S_IMODE(disk.stat().st_mode) == 0o2770
    assert stat.S_IMODE((disk / "file").stat().st_mode) == 0o660
    (disk / "file").chmod(0o600)
    await world.tear_down()
    context.fs_group_change_policy = "OnRootMismatch"
    await world.set_up(pod={"security_context": context})
    assert stat.S_IMODE((disk / "file").stat().st_mode) == 0o600


async def test_a_local_volume_may_be_a_link_to_its_folder(world: World, tmp_path: Path) -> None:
    disk, link = tmp_path / "disk", tmp_path / "link"
    disk.mkdir(mode=0o700)
    (disk / "file").touch(mode=0o600)
    link.symlink_to(disk)
    world.objects.volumes["pv"] = volume(local=LocalVolumeSource(path=str(link)))
    await world.set_up(pod={"security_context": PodSecurityContext(fs_group=os.getgid())})
    assert stat.S_IMODE(disk.stat().st_mode) == 0o2770
    assert stat.S_IMODE((disk / "file").stat().st_mode) == 0o660


async def test_a_program_keeps_the_modes_that_it_gave(world: World, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    world.objects.volumes["pv"] = volume(local=LocalVolumeSource(path=str(disk)))
    owned = {"security_context": PodSecurityContext(fs_group=os.getgid())}
    await world.set_up(pod=owned)
    key = disk / "key"
    key.touch(0o600)
    await world.set_up(pod=owned)  # as when volumes beside it are made current
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    world.restart()
    await world.set_up(pod=owned)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


async def test_a_claim_of_a_file_server(world: World) -> None:
    source = NFSVolumeSource(server="fd00::1", path="/exports/a", read_only=True)
    world.objects.volumes["pv"] = volume(nfs=source, mount_options=["nfsvers=4.2"])
    path = await world.set_up()
    assert path == world.directory / "volumes/v"
    assert world.mounter.mounted == {str(path): "nfs:[fd00::1]:/exports/a,ro,nfsvers=4.2"}
    await world.set_up()
    await world.tear_down()
    assert world.mounter.mounted == {} and not path.exists()


async def test_a_file_server_of_the_pod_itself(world: World) -> None:
    path = await world.set_up(nfs=NFSVolumeSource(server="files", path="/x"))
    assert world.mounter.mounted == {str(path): "nfs:files:/x"}
    await world.tear_down()
    world.mounter.missing.add("nfs")
    with pytest.raises(VolumeError) as caught:
        await world.set_up(nfs=NFSVolumeSource(server="files", path="/x"))
    assert caught.value.message == (
        'MountVolume.SetUp failed for volume "v" : the node has no mount.nfs: '
        "install nfs-common (Debian, Ubuntu) or nfs-utils on it"
    )


async def test_a_server_is_no_option(world: World) -> None:
    with pytest.raises(VolumeError, match="is not a name"):
        await world.set_up(nfs=NFSVolumeSource(server="-oevil", path="/x"))


WAITS = [
    # the claim, the volume, words
    (None, None, 'persistentvolumeclaims "data" not found'),
    (bound(phase="Pending"), None, "error processing PVC ns/data: PVC is not bound"),
    (bound(volume_name=""), None, "PVC is not bound"),
    (
        bound(metadata={"deletion_timestamp": "2026-01-01T00:00:00Z"}),
        None,
        "PVC is being deleted",
    ),
    (bound(), None, 'persistentvolume "pv" not found'),
    (bound(), volume(claim_uid="c-2"), "PV pv is bound to another claim"),
    (bound(), volume(), 'persistent volume "pv" does not say where it is'),
    (
        bound(),
        volume(volume_mode="Block", local=LocalVolumeSource(path="/nowhere")),
        'path "/nowhere" does not exist',
    ),
    (
        bound(),
        volume(volume_mode="Block", local=LocalVolumeSource(path="/")),
        'path "/" is not a block device',
    ),
    (
        bound(),
        volume(volume_mode="Block", nfs=NFSVolumeSource(server="a", path="/")),
        "type nfs has no block devices here, only local has",
    ),
    (
        bound(),
        volume(iscsi=ISCSIPersistentVolumeSource(target_portal="a", iqn="b", lun=1)),
        'persistent volume "pv": type iscsi is not supported by this agent yet',
    ),
    (bound(), volume(local=LocalVolumeSource(path="/nowhere")), 'path "/nowhere" does not exist'),
    (bound(), volume(local=LocalVolumeSource(path="a/../b")), "must be absolute"),
    (bound(), volume(local=LocalVolumeSource(path="/etc/passwd")), "is not a directory"),
]


@pytest.mark.parametrize(("claim", "found", "words"), WAITS)
async def test_what_is_waited_for(
    world: World,
    claim: PersistentVolumeClaim | None,
    found: PersistentVolume | None,
    words: str,
) -> None:
    world.objects.claims = {} if claim is None else {"data": claim}
    world.objects.volumes = {} if found is None else {"pv": found}
    with pytest.raises(VolumeError) as caught:
        await world.set_up()
    assert caught.value.message.startswith('MountVolume.SetUp failed for volume "v" : ')
    assert words in caught.value.message


DEVICE = VolumeDevice(name="v", device_path="/dev/xvda")
MODES = [
    ("Block", container(volume_mounts=[VolumeMount(name="v", mount_path="/v")]), "volumeMounts"),
    ("Filesystem", container(volume_devices=[DEVICE]), "volumeDevices"),
    (None, container(volume_devices=[DEVICE]), "volumeDevices"),
]


@pytest.mark.parametrize(("mode", "spec", "where"), MODES)
async def test_a_device_is_no_folder(
    world: World, mode: str | None, spec: Container, where: str
) -> None:
    world.objects.volumes["pv"] = volume(volume_mode=mode, local=LocalVolumeSource(path="/x"))
    claim = PersistentVolumeClaimVolumeSource(claim_name="data")
    pod = make_pod(spec, volumes=[Volume(name="v", persistent_volume_claim=claim)])
    words = f"volume v has volumeMode {mode or 'Filesystem'}, but is specified in {where}"
    with pytest.raises(VolumeError, match=words):
        await world.volumes.set_up(pod, PLACE)


@pytest.mark.parametrize(("read_only", "may"), [(False, "rwm"), (True, "rm")])
async def test_a_device_of_the_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read_only: bool, may: str
) -> None:
    monkeypatch.setattr(Path, "is_block_device", lambda self: str(self) == "/dev/disk")
    node = Node(tmp_path)
    await node.boot()
    node.api.put(bound())
    node.api.put(volume(volume_mode="Block", local=LocalVolumeSource(path="/dev/disk")))
    claim = PersistentVolumeClaimVolumeSource(claim_name="data", read_only=read_only)
    volumes = [Volume(name="v", persistent_volume_claim=claim)]
    node.api.put(make_pod(container(volume_devices=[DEVICE]), volumes=volumes))
    await node.run(5)
    (made,) = node.containers("web")
    given = Device(source="/dev/disk", target="/dev/xvda", permissions=may)
    assert node.runtime.specs[made.id].devices == (given,)
    await node.kill()


async def test_a_pod_that_runs_goes_on_while_its_claim_is_deleted(
    world: World, tmp_path: Path
) -> None:
    world.objects.claims["data"] = bound(metadata={"deletion_timestamp": "2026-01-01T00:00:00Z"})
    world.objects.volumes["pv"] = volume(local=LocalVolumeSource(path=str(tmp_path)))
    assert await world.set_up(pod={"phase": "Running"}) == tmp_path


async def test_a_volume_that_was_mounted_here_is_known_without_the_api(
    world: World, tmp_path: Path
) -> None:
    world.objects.volumes["pv"] = volume(local=LocalVolumeSource(path=str(tmp_path)))
    world.objects.down = True
    with pytest.raises(TemporaryError):
        await world.set_up()
    world.objects.down = False
    await world.set_up()
    world.objects.down = True
    world.restart()
    assert await world.set_up() == tmp_path
    await world.tear_down()
    with pytest.raises(TemporaryError):
        await world.set_up()


async def test_a_claim_that_was_made_for_the_pod(world: World, tmp_path: Path) -> None:
    source = EphemeralVolumeSource(volume_claim_template=PersistentVolumeClaimTemplate())
    world.objects.volumes["pv"] = volume(local=LocalVolumeSource(path=str(tmp_path)))
    world.objects.claims = {"pod-v": bound()}
    with pytest.raises(VolumeError, match=r"was not created for pod ns/pod \(pod is not owner\)"):
        await world.set_up(ephemeral=source)
    owner = OwnerReference(api_version="v1", kind="Pod", name="pod", uid=UID, controller=True)
    world.objects.claims["pod-v"] = bound(metadata={"owner_references": [owner]})
    assert await world.set_up(ephemeral=source) == tmp_path


# fsGroup.


def test_links_are_given_and_never_followed(tmp_path: Path) -> None:
    outside, top = tmp_path / "outside", tmp_path / "top"
    (outside / "folder").mkdir(parents=True)
    (outside / "file").touch(mode=0o600)
    (top / "deep").mkdir(parents=True)
    (top / "deep/file").touch(mode=0o640)
    (top / "link").symlink_to(outside / "file")
    (top / "folder").symlink_to(outside / "folder")
    (top / "nowhere").symlink_to("gone")
    before = (outside / "folder").stat().st_mode
    assert own_tree(top, os.getgid(), None)
    assert stat.S_IMODE((top / "deep/file").stat().st_mode) == 0o660
    assert stat.S_IMODE((top / "deep").stat().st_mode) & 0o2770 == 0o2770
    assert stat.S_IMODE((outside / "file").stat().st_mode) == 0o600
    assert (outside / "folder").stat().st_mode == before


def test_a_walk_is_left_out_when_the_top_looks_right(tmp_path: Path) -> None:
    assert own_tree(tmp_path, os.getgid(), "OnRootMismatch")
    assert not own_tree(tmp_path, os.getgid(), "OnRootMismatch")
    assert own_tree(tmp_path, os.getgid(), "Always")
    tmp_path.chmod(0o750)
    assert own_tree(tmp_path, os.getgid(), "OnRootMismatch")


def reachable_from(*zones: str) -> VolumeNodeAffinity:
    requirement = NodeSelectorRequirement(key="zone", operator="In", values=list(zones))
    term = NodeSelectorTerm(match_expressions=[requirement])
    return VolumeNodeAffinity(required=NodeSelector(node_selector_terms=[term]))


async def test_a_volume_of_other_nodes(world: World, tmp_path: Path) -> None:
    """A pod that names its node itself has come past the scheduler."""
    source = HostPathVolumeSource(path=str(tmp_path))
    pv = volume(host_path=source, node_affinity=reachable_from("a", "b"))
    world.objects.volumes["pv"] = pv
    claim = PersistentVolumeClaimVolumeSource(claim_name="data")
    pod = make_pod(volumes=[Volume(name="v", persistent_volume_claim=claim)])

    async def mount(zone: str | None) -> Path:
        labels = {} if zone is None else {"zone": zone}
        status = node_status(IDENTITY, NodeObserved(), previous=(), now=NOW)
        own = NodeObject(metadata=ObjectMeta(name="node", labels=labels), status=status)
        await world.volumes.set_up(pod, replace(PLACE, own=own))
        return world.volumes.paths["v"]

    for zone in ("c", None):
        with pytest.raises(VolumeError) as caught:
            await mount(zone)
        words = (
            'MountVolume.NodeAffinity check failed for volume "pv": no matching NodeSelectorTerms'
        )
        assert words in caught.value.message
    assert await mount("b") == tmp_path
    world.restart()
    assert await mount("c") == tmp_path, "a label that changed later takes nothing from a pod"
