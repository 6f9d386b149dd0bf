"""The ServiceAccount plugin: which account a pod has, and what is mounted for it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from api.core import (
    ConfigMapEnvSource,
    Container,
    EnvFromSource,
    EnvVar,
    EnvVarSource,
    EphemeralContainer,
    LocalObjectReference,
    ObjectReference,
    Pod,
    PodSpec,
    ProjectedVolumeSource,
    SecretEnvSource,
    SecretKeySelector,
    SecretVolumeSource,
    ServiceAccount,
    ServiceAccountTokenProjection,
    Volume,
    VolumeMount,
    VolumeProjection,
)
from api.errors import ApiError
from api.meta import ObjectMeta
from api.scheme import resource_of
from base.clock import FakeClock
from control.admission.chain import Attributes, Operation
from control.admission.serviceaccount import MOUNT_PATH, ServiceAccountPlugin
from control.auth.user import in_process
from control.resources import strategy_of

MIRROR = {"kubernetes.io/config.mirror": "x"}


class Accounts:
    """A reader of accounts."""

    def __init__(self, *accounts: ServiceAccount) -> None:
        self.found = {one.metadata.name: one for one in accounts}

    def get(self, type_: type[Any], name: str, namespace: str = "") -> Any:
        return self.found.get(name)

    def list(self, type_: type[Any], namespace: str = "") -> Any:
        return list(self.found.values())

    async def fresh(self, type_: type[Any]) -> None:
        return None


def account(name: str = "default", **more: Any) -> ServiceAccount:
    annotations = more.pop("annotations", {})
    return ServiceAccount(
        metadata=ObjectMeta(name=name, namespace="ns", annotations=annotations), **more
    )


def pod(*containers: Container, annotations: dict[str, str] | None = None, **spec: Any) -> Pod:
    return Pod(
        metadata=ObjectMeta(name="p", namespace="ns", annotations=annotations or {}),
        spec=PodSpec(containers=list(containers) or [Container(name="c", image="i")], **spec),
    )


def attributes(obj: Pod, operation: Operation = Operation.CREATE) -> Attributes:
    return Attributes(
        operation=operation,
        resource=resource_of(Pod),
        namespace="ns",
        name=obj.metadata.name,
        user=in_process("test"),
        object=obj,
    )


async def admit(obj: Pod, *accounts: ServiceAccount) -> Pod:
    plugin = ServiceAccountPlugin(
        Accounts(*(accounts or (account(),))), FakeClock(), lambda: "abcde"
    )
    await plugin.admit(attributes(obj))
    await plugin.validate(attributes(obj))
    return obj


async def test_the_default_account_and_its_token() -> None:
    made = await admit(
        pod(
            Container(name="a", image="i"),
            Container(name="b", image="i"),
            init_containers=[Container(name="i", image="i")],
            ephemeral_containers=[EphemeralContainer(name="e", image="i")],
        )
    )
    spec = made.spec
    assert spec.service_account_name == spec.service_account == "default"
    mount = VolumeMount(name="kube-api-access-abcde", read_only=True, mount_path=MOUNT_PATH)
    for container in (*spec.containers, *spec.init_containers):
        assert container.volume_mounts == [mount]
    assert not spec.ephemeral_containers[0].volume_mounts
    (volume,) = spec.volumes
    assert volume.name == mount.name and volume.projected is not None
    assert volume.projected.default_mode == 0o644
    token, ca, place = volume.projected.sources
    assert token.service_account_token is not None
    assert token.service_account_token.expiration_seconds == 3607
    assert token.service_account_token.path == "token"
    assert ca.config_map is not None and ca.config_map.name == "kube-root-ca.crt"
    assert place.downward_api is not None and place.downward_api.items[0].path == "namespace"


async def test_what_is_added_is_sound_and_defaulted() -> None:
    made = pod()
    strategy = strategy_of(resource_of(Pod))
    strategy.default(made)
    await admit(made)
    assert not strategy.validate(made)
    before = repr(made)
    strategy.default(made)
    assert repr(made) == before, "as if the client had written it"


@pytest.mark.parametrize("own", [None, True, False])
@pytest.mark.parametrize("accounts", [None, True, False])
async def test_who_decides_on_mounting(own: bool | None, accounts: bool | None) -> None:
    made = await admit(
        pod(automount_service_account_token=own),
        account(automount_service_account_token=accounts),
    )
    wanted = own if own is not None else accounts is not False
    assert bool(made.spec.volumes) is wanted


async def test_a_container_that_mounts_something_there_keeps_it() -> None:
    mine = VolumeMount(name="mine", mount_path=MOUNT_PATH)
    made = await admit(pod(Container(name="c", image="i", volume_mounts=[mine])))
    assert made.spec.containers[0].volume_mounts == [mine] and not made.spec.volumes
    both = await admit(
        pod(Container(name="c", image="i", volume_mounts=[mine]), Container(name="d", image="i"))
    )
    assert [len(one.volume_mounts) for one in both.spec.containers] == [1, 1]
    assert [one.name for one in both.spec.volumes] == ["kube-api-access-abcde"]


async def test_a_volume_of_that_name_is_used_again() -> None:
    made = await admit(pod(volumes=[Volume(name="kube-api-access-zzzzz")]))
    assert [one.name for one in made.spec.volumes] == ["kube-api-access-zzzzz"]
    assert made.spec.containers[0].volume_mounts[0].name == "kube-api-access-zzzzz"


async def test_pull_secrets_of_the_account() -> None:
    pulls = [LocalObjectReference(name="registry")]
    robot = account(image_pull_secrets=pulls)
    assert (await admit(pod(), robot)).spec.image_pull_secrets == pulls
    own = [LocalObjectReference(name="mine")]
    assert (await admit(pod(image_pull_secrets=own), robot)).spec.image_pull_secrets == own


async def test_the_old_name_of_the_field() -> None:
    made = await admit(pod(service_account="robot"), account("robot"))
    assert made.spec.service_account_name == "robot"


async def test_an_account_that_is_missing() -> None:
    with pytest.raises(ApiError) as caught:
        await admit(pod(service_account_name="robot"))
    assert caught.value.code == 403
    assert caught.value.message == (
        'pods "p" is forbidden: error looking up service account ns/robot: '
        'serviceaccount "robot" not found'
    )


async def test_the_default_account_is_waited_for() -> None:
    accounts, clock = Accounts(), FakeClock()
    plugin = ServiceAccountPlugin(accounts, clock, lambda: "abcde")
    made = pod()
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(plugin.admit(attributes(made)))
        await clock.run_for(0.2)
        assert not waiting.done()
        accounts.found["default"] = account()
        await clock.run_for(0.1)
        assert waiting.done()
    assert made.spec.volumes
    accounts.found.clear()
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(_fails(plugin))
        await clock.run_for(1.0)
        assert waiting.done()


async def _fails(plugin: ServiceAccountPlugin) -> None:
    with pytest.raises(ApiError, match='serviceaccount "default" not found'):
        await plugin.admit(attributes(pod()))


TOKEN = VolumeProjection(service_account_token=ServiceAccountTokenProjection(path="t"))


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({}, ""),
        ({"service_account_name": "default"}, "a mirror pod may not reference service accounts"),
        (
            {"volumes": [Volume(name="v", secret=SecretVolumeSource(secret_name="s"))]},
            "a mirror pod may not reference secrets",
        ),
        (
            {"volumes": [Volume(name="v", projected=ProjectedVolumeSource(sources=[TOKEN]))]},
            "a mirror pod may not use ServiceAccountToken volume projections",
        ),
    ],
)
async def test_mirror_pods_have_no_account(spec: dict[str, Any], why: str) -> None:
    made = pod(annotations=MIRROR, **spec)
    if why:
        with pytest.raises(ApiError, match=why):
            await admit(made)
        return
    await admit(made)
    assert not made.spec.volumes and not made.spec.service_account_name


def with_variable(kind: type[Any] = Container) -> Any:
    source = EnvVarSource(secret_key_ref=SecretKeySelector(name="s", key="k"))
    return kind(name="c", image="i", env=[EnvVar(name="E", value_from=source)])


async def test_mirror_pods_have_no_secrets_in_their_environment() -> None:
    for made in (
        pod(with_variable(), annotations=MIRROR),
        pod(annotations=MIRROR, ephemeral_containers=[with_variable(EphemeralContainer)]),
    ):
        with pytest.raises(ApiError, match="a mirror pod may not reference secrets"):
            await admit(made)


async def test_mirror_pods_have_no_pull_secrets() -> None:
    made = pod(annotations=MIRROR, image_pull_secrets=[LocalObjectReference(name="s")])
    with pytest.raises(ApiError, match="a mirror pod may not reference secrets"):
        await admit(made)


FROM = [
    EnvFromSource(config_map_ref=ConfigMapEnvSource(name="c")),
    EnvFromSource(secret_ref=SecretEnvSource(name="s")),
]
REFERENCING = 'referencing secret.secretName="s" is not allowed because service account default'
LIMITED: list[tuple[Pod, str]] = [
    (
        pod(volumes=[Volume(name="v", secret=SecretVolumeSource(secret_name="s"))]),
        'volume with secret.secretName="s" is not allowed because service account default does not '
        "reference that secret",
    ),
    (pod(with_variable()), f"container c with envVar E {REFERENCING}"),
    (pod(init_containers=[with_variable()]), f"init container c with envVar E {REFERENCING}"),
    (
        pod(ephemeral_containers=[with_variable(EphemeralContainer)]),
        f"ephemeral container c with envVar E {REFERENCING}",
    ),
    (pod(Container(name="c", image="i", env_from=FROM)), f"container c with envFrom {REFERENCING}"),
    (
        pod(image_pull_secrets=[LocalObjectReference(name="s")]),
        'imagePullSecret name="s" is not allowed because service account default does not reference '
        "that imagePullSecret",
    ),
]


@pytest.mark.parametrize(("made", "why"), LIMITED, ids=[why[:30] for _, why in LIMITED])
async def test_an_account_that_limits_its_pods_to_its_secrets(made: Pod, why: str) -> None:
    await admit(made)  # others do not
    limit = {"kubernetes.io/enforce-mountable-secrets": "true"}
    with pytest.raises(ApiError) as caught:
        await admit(made, account(annotations=limit))
    assert caught.value.code == 403 and why in caught.value.message
    listed = account(
        annotations=limit,
        secrets=[ObjectReference(name="s")],
        image_pull_secrets=[LocalObjectReference(name="s")],
    )
    await admit(made, listed)


def test_what_it_looks_at() -> None:
    plugin = ServiceAccountPlugin(Accounts(), FakeClock(), str)
    pods = resource_of(Pod)
    assert plugin.handles(pods, Operation.CREATE, "")
    assert plugin.handles(pods, Operation.UPDATE, "ephemeralcontainers")
    for operation, part in (
        (Operation.UPDATE, ""),
        (Operation.CREATE, "binding"),
        (Operation.DELETE, ""),
        (Operation.UPDATE, "status"),
    ):
        assert not plugin.handles(pods, operation, part)
    assert not plugin.handles(resource_of(ServiceAccount), Operation.CREATE, "")
