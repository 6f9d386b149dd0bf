"""The interface for kinds of persistent volumes, held by a driver that checks every call it gets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from agent.volumes.base import VolumeContext, VolumeError
from agent.volumes.kinds import KINDS
from agent.volumes.mounts import FakeMounter
from agent.volumes.persistent import PersistentKind, Stage, Stages
from agent.volumes.registry import PodVolumes
from api.core import (
    CSIPersistentVolumeSource,
    HostPathVolumeSource,
    PersistentVolume,
    PersistentVolumeClaimVolumeSource,
    Pod,
    Volume,
    VolumeMount,
)
from base.errors import TemporaryError
from tests.unit.agent.builders import container, make_pod
from tests.unit.agent.node import Node
from tests.unit.agent.test_persistent import Objects, bound, volume
from tests.unit.agent.test_volumes import PLACE
from tests.unit.agent.test_worker import web

MESSAGE = 'MountVolume.MountDevice failed for volume "pv" : rpc error: no such device'


class Killed(BaseException):
    """The agent is, at this very moment."""


class Driver:
    """As one of the Container Storage Interface would be: its calls are repeated, and it says so if the
    order is wrong."""

    def __init__(self) -> None:
        self.staged: set[Path] = set()
        self.published: dict[Path, Path] = {}
        self.calls: list[str] = []
        self.fail: Callable[[str], None] = lambda moment: None

    @property
    def kind(self) -> PersistentKind:
        return PersistentKind(
            field="csi",
            stage=self._stage,
            publish=self._publish,
            unpublish=self._unpublish,
            unstage=self._unstage,
        )

    def _say(self, call: str) -> None:
        self.calls.append(call)
        self.fail(f"in {call}")

    async def _stage(self, stage: Stage) -> None:
        self.fail("before stage")
        stage.directory.mkdir(parents=True, exist_ok=True)
        self.staged.add(stage.directory)
        self._say("stage")

    async def _publish(self, context: VolumeContext, stage: Stage) -> Path:
        assert stage.directory in self.staged, "published without a stage"
        context.directory.mkdir(parents=True, exist_ok=True)
        self.published[context.directory] = stage.directory
        self._say("publish")
        return context.directory

    async def _unpublish(self, stage: Stage, target: Path) -> None:
        self.published.pop(target, None)
        self._say("unpublish")

    async def _unstage(self, stage: Stage) -> None:
        assert stage.directory not in self.published.values(), "unstaged while it is used"
        self.staged.discard(stage.directory)
        self._say("unstage")


class World:
    """A node's directory with one driver and any number of pods."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.driver, self.mounter = Driver(), FakeMounter()
        self.objects = Objects(claims={"data": bound()}, volumes={"pv": csi()})
        self.restart()

    def restart(self) -> None:
        self.driver.fail = lambda moment: None
        self.pods: dict[str, PodVolumes] = {}
        self.stages = Stages(
            self.directory / "volumes",
            kinds=[self.driver.kind, *KINDS],
            mounter=self.mounter,
            objects=self.objects,
        )

    async def set_up(self, uid: str) -> Path:
        pod = self.pod(uid)
        await self._volumes(uid).set_up(pod, PLACE)
        return self._volumes(uid).paths["v"]

    async def tear_down(self, uid: str) -> None:
        await self._volumes(uid).tear_down(self.pod(uid), PLACE)

    def pod(self, uid: str) -> Pod:
        source = PersistentVolumeClaimVolumeSource(claim_name="data")
        pod = make_pod(volumes=[Volume(name="v", persistent_volume_claim=source)])
        pod.metadata.uid = uid
        return pod

    def _volumes(self, uid: str) -> PodVolumes:
        return self.pods.setdefault(
            uid,
            PodVolumes(
                self.directory / "pods" / uid,
                objects=self.objects,
                mounter=self.mounter,
                stages=self.stages,
            ),
        )

    def assert_clean(self) -> None:
        assert (self.driver.staged, self.driver.published) == (set(), {})
        assert [path for path in self.directory.rglob("*") if path.is_file()] == []
        assert self.stages.users() == set()


def csi(**spec: object) -> PersistentVolume:
    found = volume(csi=CSIPersistentVolumeSource(driver="disks.example", volume_handle="1"), **spec)
    found.metadata.uid = "volume-1"
    return found


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.mark.parametrize("folder", [False, True])
async def test_a_volume_for_one_pod_at_a_time(world: World, folder: bool) -> None:
    modes = ["ReadWriteOncePod"]
    kept = volume(host_path=HostPathVolumeSource(path=str(world.directory)), access_modes=modes)
    world.objects.volumes["pv"] = kept if folder else csi(access_modes=modes)
    await world.set_up("a")
    world.restart()
    words = "volume uses the ReadWriteOncePod access mode and is already in use by another pod"
    with pytest.raises(VolumeError, match=f'MountVolume.SetUp failed for volume "v" : {words}'):
        await world.set_up("b")
    await world.set_up("a")
    await world.tear_down("b")
    await world.tear_down("a")
    await world.set_up("b")
    await world.tear_down("b")
    world.assert_clean()


async def test_pods_share_a_stage_and_the_last_takes_it_away(world: World) -> None:
    first, second = await world.set_up("a"), await world.set_up("b")
    assert first != second and len(world.driver.staged) == 1
    await world.tear_down("a")
    assert world.driver.calls == ["stage", "publish", "stage", "publish", "unpublish"]
    await world.tear_down("b")
    assert world.driver.calls[5:] == ["unpublish", "unstage"]
    world.assert_clean()
    await world.tear_down("b")
    assert len(world.driver.calls) == 7, "twice is fine, and asks nobody"


async def test_an_agent_that_was_restarted_goes_on_where_it_was(world: World) -> None:
    path = await world.set_up("a")
    world.restart()
    world.objects.down = True
    assert await world.set_up("a") == path, "also while the control plane is away"
    assert world.stages.users() == {"a"}
    await world.tear_down("a")
    world.assert_clean()


async def test_a_pod_whose_spec_nobody_knows_lets_go(world: World) -> None:
    await world.set_up("a")
    await world.set_up("b")
    world.restart()
    await world.stages.release("a")
    assert world.stages.users() == {"b"} and len(world.driver.staged) == 1
    world.objects.volumes.clear()
    await world.stages.release("b")
    assert (world.driver.staged, world.driver.published) == (set(), {})


MOMENTS = ["before stage", "in stage", "in publish", "in unpublish", "in unstage"]


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("goes_on", [True, False])
async def test_an_agent_killed_at_any_moment_leaves_nothing(
    world: World, moment: str, goes_on: bool
) -> None:
    def kill(now: str) -> None:
        if now == moment:
            raise Killed

    world.driver.fail = kill
    with pytest.raises(Killed):
        await world.set_up("a")
        await world.tear_down("a")
    world.restart()
    if goes_on:
        assert (await world.set_up("a")).is_dir()
    await world.tear_down("a")
    world.assert_clean()


FAILURES = [
    ("in stage", VolumeError, MESSAGE),
    ("in stage", TemporaryError, "rpc error: no such device"),
    (
        "in publish",
        VolumeError,
        'MountVolume.SetUp failed for volume "v" : rpc error: no such device',
    ),
    (
        "in unpublish",
        VolumeError,
        'UnmountVolume.TearDown failed for volume "pv" : rpc error: no such device',
    ),
    ("in unstage", VolumeError, 'UnmountDevice failed for volume "pv" : rpc error: no such device'),
]


@pytest.mark.parametrize(("moment", "error", "words"), FAILURES)
async def test_what_a_driver_says_is_told_and_tried_again(
    world: World, moment: str, error: type[VolumeError | TemporaryError], words: str
) -> None:
    def fail(now: str) -> None:
        if now == moment:
            raise error("rpc error: no such device")

    world.driver.fail = fail
    with pytest.raises(error) as caught:
        await world.set_up("a")
        await world.tear_down("a")
    assert caught.value.message == words
    world.driver.fail = lambda now: None
    await world.set_up("a")
    await world.tear_down("a")
    world.assert_clean()


async def test_a_kind_that_is_not_there_any_more(world: World) -> None:
    await world.set_up("a")
    without = Stages(
        world.directory / "volumes", kinds=[], mounter=world.mounter, objects=world.objects
    )
    with pytest.raises(VolumeError, match='persistent volume "pv": type csi is not supported'):
        await without.release("a")
    assert without.users() == {"a"}, "it is not forgotten"


async def test_a_kind_without_devices(world: World) -> None:
    world.objects.volumes["pv"] = csi(volume_mode="Block")
    with pytest.raises(VolumeError, match="type csi has no block devices here"):
        await world.set_up("a")
    world.assert_clean()


# On a node.


async def a_node(tmp_path: Path, driver: Driver) -> Node:
    node = Node(tmp_path)
    node.kinds = (driver.kind,)
    node.api.put(bound())
    node.api.put(csi())
    await node.boot()
    source = PersistentVolumeClaimVolumeSource(claim_name="data")
    node.api.put(
        make_pod(
            container(volume_mounts=[VolumeMount(name="v", mount_path="/v")]),
            volumes=[Volume(name="v", persistent_volume_claim=source)],
        )
    )
    await node.run(2)
    return node


async def test_a_pod_gets_its_volume_and_gives_it_back(tmp_path: Path) -> None:
    driver = Driver()
    node = await a_node(tmp_path, driver)
    assert web(node).state.running is not None
    assert driver.calls == ["stage", "publish"]
    node.api.remove(Pod, "pod", "ns")
    await node.run(60)
    assert driver.calls == ["stage", "publish", "unpublish", "unstage"]
    await node.kill()


async def test_what_pods_left_that_went_while_the_agent_was_away(tmp_path: Path) -> None:
    driver = Driver()
    node = await a_node(tmp_path, driver)
    await node.kill()
    pod = node.api.pod()
    node.api.remove(Pod, "pod", "ns")
    for record in node.containers():
        await node.runtime.remove(record.id)
    (node.directory / "checkpoints" / f"{pod.metadata.uid}.json").unlink(missing_ok=True)
    await node.boot()
    await node.run(120)
    assert (driver.staged, driver.published) == (set(), {})
    assert driver.calls[-2:] == ["unpublish", "unstage"]
    await node.kill()
