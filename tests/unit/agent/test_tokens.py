"""Tokens of pods' accounts: asked for bound to the pod, renewed in time, readable by the pod alone."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.node.objects import ReferencedObjects
from agent.spec.fieldref import Place
from agent.volumes.base import VolumeError
from agent.volumes.mounts import FakeMounter
from agent.volumes.tokens import JITTER, LONGEST, PodTokens, renew_after
from api import errors
from api.authentication import TokenRequest
from api.core import (
    ConfigMap,
    ConfigMapProjection,
    KeyToPath,
    Pod,
    PodSecurityContext,
    ProjectedVolumeSource,
    SecurityContext,
    ServiceAccount,
    ServiceAccountTokenProjection,
    Volume,
    VolumeProjection,
)
from api.meta import ObjectMeta
from api.scheme import resource_of
from base.clock import FakeClock
from base.errors import TemporaryError
from tests.unit.agent.builders import UID, container, make_pod, pod_volumes
from tests.unit.agent.fakeapi import FakeApi

HOUR = 3607
PLACE = Place(node="n", host_ip="192.0.2.1", allocatable={})


class World:
    def __init__(self, directory: Path) -> None:
        self.clock = FakeClock()
        self.api = FakeApi()
        self.refusal: errors.ApiError | None = None
        self.objects = ReferencedObjects(self.api, clock=self.clock)  # type: ignore[arg-type]
        self.api.put(
            ConfigMap(
                metadata=ObjectMeta(name="kube-root-ca.crt", namespace="ns"), data={"ca.crt": "CA"}
            )
        )
        self.mounter = FakeMounter()
        self.volumes = pod_volumes(directory, self.objects, self.mounter, clock=self.clock)
        self._issue = self.api.create_subresource
        self.api.create_subresource = self._create  # type: ignore[method-assign]

    async def _create(self, *arguments: Any) -> Any:
        if self.refusal is not None:
            raise self.refusal
        return await self._issue(*arguments)

    async def set_up(self, pod: Pod | None = None) -> Path:
        await self.volumes.set_up(pod or a_pod(), PLACE)
        return self.volumes.paths["kube-api-access-x"]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def a_pod(*audiences: str, **spec: Any) -> Pod:
    tokens = [
        ServiceAccountTokenProjection(
            audience=audience, expiration_seconds=HOUR, path=f"token{number or ''}"
        )
        for number, audience in enumerate(audiences or ("",))
    ]
    ca = ConfigMapProjection(
        name="kube-root-ca.crt", items=[KeyToPath(key="ca.crt", path="ca.crt")]
    )
    sources = [VolumeProjection(service_account_token=token) for token in tokens]
    sources.append(VolumeProjection(config_map=ca))
    projected = ProjectedVolumeSource(sources=sources, default_mode=0o644)
    volume = Volume(name="kube-api-access-x", projected=projected)
    made = make_pod(*spec.pop("containers", ()), volumes=[volume], **spec)
    made.spec.service_account_name = "robot"
    return made


async def test_a_token_bound_to_the_pod_in_memory(world: World) -> None:
    path = await world.set_up()
    assert (path / "token").read_text() == "token-1" and (path / "ca.crt").read_text() == "CA"
    assert world.mounter.is_mounted(path)
    assert ("create", "ServiceAccount", "robot/token") in world.api.calls
    asked: TokenRequest = world.api.bodies[-1]
    bound_to = asked.spec.bound_object_ref
    assert bound_to is not None
    assert (bound_to.kind, bound_to.api_version) == ("Pod", "v1")
    assert (bound_to.name, bound_to.uid) == ("pod", UID)
    assert asked.spec.expiration_seconds == HOUR and asked.spec.audiences == []


async def test_each_audience_has_its_own(world: World) -> None:
    path = await world.set_up(a_pod("vault", "registry"))
    assert {(path / name).read_text() for name in ("token", "token1")} == {"token-1", "token-2"}
    assert {tuple(body.spec.audiences) for body in world.api.bodies} == {("vault",), ("registry",)}


async def test_it_is_renewed_when_a_fifth_of_its_life_is_left(world: World) -> None:
    path = await world.set_up()
    world.clock.advance(HOUR * 0.8 - JITTER - 1)
    await world.set_up()
    assert (path / "token").read_text() == "token-1"
    world.clock.advance(JITTER + 1)
    before = (path / "..data").readlink()
    await world.set_up()
    assert (path / "token").read_text() == "token-2"
    assert (path / "..data").readlink() != before, "all files change at once"


@given(seconds=st.integers(600, 1 << 32), jitter=st.floats(0, JITTER))
def test_a_token_is_renewed_before_it_ends_and_within_a_day(seconds: int, jitter: float) -> None:
    lifetime = timedelta(seconds=seconds)
    wait = renew_after(lifetime, jitter=jitter)
    assert timedelta() < wait <= min(lifetime * 0.8, LONGEST)


async def test_the_old_one_is_shown_while_there_is_no_new_one(world: World) -> None:
    path = await world.set_up()
    world.api.down = True
    world.clock.advance(HOUR * 0.9)
    await world.set_up()
    assert (path / "token").read_text() == "token-1"
    world.api.down = False
    world.clock.advance(30)
    await world.set_up()
    assert (path / "token").read_text() == "token-2"


async def test_an_agent_that_was_restarted_leaves_what_is_there(
    world: World, tmp_path: Path
) -> None:
    path = await world.set_up()
    world.api.down = True
    after = pod_volumes(tmp_path, world.objects, world.mounter, clock=world.clock)
    await after.set_up(a_pod(), PLACE)
    assert (path / "token").read_text() == "token-1"


async def test_no_token_no_start(world: World) -> None:
    world.refusal = errors.not_found(resource_of(ServiceAccount), "robot")
    with pytest.raises(VolumeError) as caught:
        await world.set_up()
    assert caught.value.message == (
        'MountVolume.SetUp failed for volume "kube-api-access-x" : failed to fetch token: '
        'serviceaccounts "robot" not found'
    )
    for refusal in (errors.too_many_requests("busy"), errors.internal("oops")):
        world.refusal = refusal
        with pytest.raises(TemporaryError, match="failed to fetch token: "):
            await world.set_up()
    world.refusal = None
    await world.set_up()


async def test_no_ca_no_start(world: World) -> None:
    world.api.remove(ConfigMap, "kube-root-ca.crt", "ns")
    with pytest.raises(VolumeError, match='configmap "kube-root-ca.crt" not found'):
        await world.set_up()


ROOT, JANE, JOE = (SecurityContext(run_as_user=number) for number in (0, 1000, 1001))


@pytest.mark.parametrize(
    ("spec", "mode", "owner", "group"),
    [
        ({}, 0o644, 0, 0),
        ({"security_context": PodSecurityContext(run_as_user=1000)}, 0o600, 1000, 0),
        ({"security_context": PodSecurityContext(fs_group=2000)}, 0o640, 0, 2000),
        (
            {"security_context": PodSecurityContext(run_as_user=7, fs_group=2000)},
            0o640,
            7,
            2000,
        ),
        ({"containers": [container(security_context=JANE)]}, 0o600, 1000, 0),
        ({"containers": [container(security_context=ROOT)]}, 0o600, 0, 0),
        (
            {
                "containers": [
                    container(security_context=JANE),
                    container("b", security_context=JOE),
                ]
            },
            0o644,
            0,
            0,
        ),
        ({"containers": [container(security_context=JANE), container("b")]}, 0o644, 0, 0),
        (
            {
                "containers": [container(security_context=JANE), container("b")],
                "security_context": PodSecurityContext(run_as_user=1000),
            },
            0o600,
            1000,
            0,
        ),
    ],
)
async def test_who_may_read_it(
    world: World, spec: dict[str, Any], mode: int, owner: int, group: int
) -> None:
    path = await world.set_up(a_pod(**spec))
    status = (path / "token").stat()
    assert (status.st_mode & 0o777, status.st_uid, status.st_gid) == (mode, owner, group)
    if not group:
        assert (path / "ca.crt").stat().st_mode & 0o777 == 0o644, "the token's rule, no other's"


async def test_tokens_are_forgotten_with_the_pod(world: World) -> None:
    pod = a_pod()
    tokens = PodTokens(world.objects, world.clock)
    assert await tokens.get(pod, "", HOUR) == await tokens.get(pod, "", HOUR) == "token-1"
    tokens.clear()
    assert await tokens.get(pod, "", HOUR) == "token-2"
    assert "token-" not in repr(await world.objects.token(pod, audience="", seconds=HOUR))
