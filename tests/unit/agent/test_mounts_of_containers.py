"""What a container mounts, from its spec to what the engine is asked for."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.containers.fake import FAKE_ENGINE
from agent.containers.records import Mount
from api import objects
from api.core import (
    ConfigMap,
    ConfigMapVolumeSource,
    Container,
    DownwardAPIProjection,
    DownwardAPIVolumeFile,
    DownwardAPIVolumeSource,
    EmptyDirVolumeSource,
    EnvVar,
    HostPathVolumeSource,
    LocalVolumeSource,
    ObjectFieldSelector,
    PersistentVolumeClaimVolumeSource,
    PodSecurityContext,
    ProjectedVolumeSource,
    ResourceFieldSelector,
    ResourceRequirements,
    Secret,
    SecretVolumeSource,
    Volume,
    VolumeProjection,
)
from api.core import VolumeMount as Into
from api.meta import ObjectMeta
from tests.unit.agent.builders import UID, container, make_pod
from tests.unit.agent.node import Node
from tests.unit.agent.test_persistent import bound, volume
from tests.unit.agent.test_worker import web

EMPTY = Volume(name="v", empty_dir=EmptyDirVolumeSource())


async def run(tmp_path: Path, spec: Container, *volumes: Volume) -> Node:
    node = Node(tmp_path)
    await node.boot()
    node.api.put(make_pod(spec, volumes=list(volumes)))
    await node.run(2)
    return node


def mounted(node: Node, target: str) -> Mount:
    created = next(c for c in node.runtime.specs.values() if c.name.startswith("k8s_web_"))
    return next(mount for mount in created.mounts if mount.target == target)


async def test_a_part_that_an_expression_names(tmp_path: Path) -> None:
    mount = Into(name="v", mount_path="/v", sub_path_expr="$(POD)/x$$(POD)", read_only=True)
    spec = container(env=[EnvVar(name="POD", value="pod-0")], volume_mounts=[mount])
    node = await run(tmp_path, spec, EMPTY)
    volume = node.directory / "pods" / UID / "volumes" / "v"
    part = volume / "pod-0" / "x$(POD)"
    assert part.is_dir(), "also where the mount is read-only: the volume is not"
    assert stat.S_IMODE(part.stat().st_mode) == 0o777
    assert mounted(node, "/v").read_only
    await node.kill()


@pytest.mark.parametrize("alone", [True, False])
async def test_labels_and_amounts_are_shown_as_they_change(tmp_path: Path, alone: bool) -> None:
    items = [
        DownwardAPIVolumeFile(
            path="labels", field_ref=ObjectFieldSelector(field_path="metadata.labels")
        ),
        DownwardAPIVolumeFile(
            path="cpu",
            resource_field_ref=ResourceFieldSelector(
                container_name="web", resource="limits.cpu", divisor="1m"
            ),
        ),
    ]
    source = DownwardAPIVolumeSource(items=items)
    parts = [VolumeProjection(downward_api=DownwardAPIProjection(items=items))]
    itself = Volume(name="v", projected=ProjectedVolumeSource(sources=parts))
    if alone:
        itself = Volume(name="v", downward_api=source)
    spec = container(
        volume_mounts=[Into(name="v", mount_path="/v")],
        resources=ResourceRequirements(limits={"cpu": "100m"}, requests={"cpu": "100m"}),
    )
    node = await run(tmp_path, spec, itself)
    shown = node.directory / "pods" / UID / "volumes" / "v"
    assert ((shown / "labels").read_text(), (shown / "cpu").read_text()) == ("", "100")
    pod = objects.copy(node.api.pod())
    pod.metadata.labels = {"app": "web"}
    node.api.put(pod)
    await node.run(1)
    assert (shown / "labels").read_text() == 'app="web"'
    pod = objects.copy(node.api.pod())
    pod.spec.containers[0].resources = ResourceRequirements(
        limits={"cpu": "200m"}, requests={"cpu": "100m"}
    )
    node.api.put(pod)
    await node.run(1)
    assert (shown / "cpu").read_text() == "200"
    await node.kill()


LABELS = DownwardAPIVolumeSource(
    items=[
        DownwardAPIVolumeFile(
            path="labels", field_ref=ObjectFieldSelector(field_path="metadata.labels")
        )
    ]
)


def relabel(node: Node) -> None:
    pod = objects.copy(node.api.pod())
    pod.metadata.labels = {"app": "web"}
    node.api.put(pod)


async def test_labels_that_change_while_volumes_are_made_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = Node(tmp_path)
    await node.boot()
    node.api.put(ConfigMap(metadata=ObjectMeta(name="c", namespace="ns")))
    asked = node.manager.agent.objects
    read = asked.config_map

    async def slow(namespace: str, name: str) -> ConfigMap | None:
        await node.clock.sleep(2)
        return await read(namespace, name)

    monkeypatch.setattr(asked, "config_map", slow)
    other = Volume(name="other", config_map=ConfigMapVolumeSource(name="c"))
    node.api.put(make_pod(volumes=[Volume(name="v", downward_api=LABELS), other]))
    await node.run(1)
    relabel(node)
    await node.run(8)
    shown = node.directory / "pods" / UID / "volumes" / "v" / "labels"
    assert shown.read_text() == 'app="web"'
    await node.kill()


async def test_volumes_of_a_pod_that_has_just_ended_are_not_made_ready_again(
    tmp_path: Path,
) -> None:
    node = Node(tmp_path)
    await node.boot()
    node.api.put(make_pod(policy="Never", volumes=[Volume(name="v", downward_api=LABELS)]))
    await node.run(1)
    shown = node.directory / "pods" / UID / "volumes" / "v"
    assert shown.exists()
    node.runtime.end(node.containers("web")[0].id)
    relabel(node)
    await node.run(5)
    assert node.api.pod().status.phase == "Succeeded"
    assert not shown.exists()
    await node.kill()


SELINUX = replace(FAKE_ENGINE, security_options=("name=selinux",), kernel_version="6.1.0")
LABELLED = [
    ({"empty_dir": EmptyDirVolumeSource()}, True),
    ({"config_map": ConfigMapVolumeSource(name="c")}, True),
    ({"host_path": HostPathVolumeSource(path="/tmp")}, False),
    ({"persistent_volume_claim": PersistentVolumeClaimVolumeSource(claim_name="data")}, True),
]


@pytest.mark.parametrize(("source", "expected"), LABELLED)
@pytest.mark.parametrize("selinux", [True, False])
async def test_what_is_the_pods_alone_gets_its_label(
    tmp_path: Path, source: dict[str, Any], expected: bool, selinux: bool
) -> None:
    node = Node(tmp_path, info=SELINUX if selinux else FAKE_ENGINE)
    node.api.put(ConfigMap(metadata=ObjectMeta(name="c", namespace="ns"), data={"k": "v"}))
    node.api.put(bound())
    node.api.put(volume(local=LocalVolumeSource(path=str(tmp_path))))
    await node.boot()
    deep = Into(name="v", mount_path="/deep", read_only=True, recursive_read_only="Enabled")
    spec = container(volume_mounts=[Into(name="v", mount_path="/v"), deep])
    node.api.put(make_pod(spec, volumes=[Volume(name="v", **source)]))
    await node.run(2)
    assert mounted(node, "/v").relabel is (expected and selinux)
    assert mounted(node, "/etc/hosts").relabel is selinux
    assert not mounted(node, "/deep").relabel, "nobody can write labels there"
    await node.kill()


@pytest.mark.parametrize(("said", "groups"), [("777", ("5", "777")), ("staff", ("5",))])
async def test_the_group_of_a_persistent_volume_is_the_pods(
    tmp_path: Path, said: str, groups: tuple[str, ...]
) -> None:
    node = Node(tmp_path)
    made = volume(local=LocalVolumeSource(path=str(tmp_path)))
    made.metadata.annotations["pv.beta.kubernetes.io/gid"] = said
    node.api.put(bound())
    node.api.put(made)
    await node.boot()
    claimed = PersistentVolumeClaimVolumeSource(claim_name="data")
    spec = container(volume_mounts=[Into(name="v", mount_path="/v")])
    context = PodSecurityContext(supplemental_groups=[5])
    source = Volume(name="v", persistent_volume_claim=claimed)
    node.api.put(make_pod(spec, volumes=[source], security_context=context))
    await node.run(2)
    created = next(c for c in node.runtime.specs.values() if c.name.startswith("k8s_web_"))
    assert created.group_add == groups
    await node.kill()


@pytest.mark.parametrize(
    ("mount", "words"),
    [
        (
            Into(name="v", mount_path="/v", sub_path_expr="$(NOBODY)"),
            'missing value for "NOBODY" in subPathExpr',
        ),
        (
            Into(name="v", mount_path="/v", sub_path="file/below"),
            'failed to prepare subPath for volumeMount "v" of container "web": '
            'subPath "file/below": Not a directory',
        ),
        (
            Into(name="v", mount_path="/v", sub_path="out/passwd"),
            'failed to prepare subPath for volumeMount "v" of container "web": '
            'subPath "out/passwd" leads out of its volume',
        ),
    ],
)
async def test_parts_that_keep_a_container_waiting(tmp_path: Path, mount: Into, words: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "file").touch()
    (folder / "out").symlink_to("/etc")
    volume = Volume(name="v", host_path=HostPathVolumeSource(path=str(folder)))
    node = await run(tmp_path, container(volume_mounts=[mount]), volume)
    waiting = web(node).state.waiting
    assert waiting is not None
    assert (waiting.reason, waiting.message) == ("CreateContainerConfigError", words)
    assert node.recorder.messages("Failed")[0] == f"Error: {words}"
    await node.kill()


MISSING = [
    {"config_map": ConfigMapVolumeSource(name="c")},
    {"config_map": ConfigMapVolumeSource(name="nobody", optional=True)},
    {"secret": SecretVolumeSource(secret_name="s")},
    {"secret": SecretVolumeSource(secret_name="nobody", optional=True)},
    {"projected": ProjectedVolumeSource(sources=[])},
    {"downward_api": LABELS},
    {"empty_dir": EmptyDirVolumeSource()},
]


@pytest.mark.parametrize("source", MISSING)
async def test_a_part_that_is_missing_is_an_empty_directory(
    tmp_path: Path, source: dict[str, Any]
) -> None:
    node = Node(tmp_path)
    node.api.put(ConfigMap(metadata=ObjectMeta(name="c", namespace="ns"), data={"k": "v"}))
    node.api.put(Secret(metadata=ObjectMeta(name="s", namespace="ns"), data={"k": b"v"}))
    await node.boot()
    spec = container(volume_mounts=[Into(name="v", mount_path="/v", sub_path="missing/part")])
    node.api.put(make_pod(spec, volumes=[Volume(name="v", **source)]))
    await node.run(2)
    assert node.names() == ["POD", "web"]
    place = Path(mounted(node, "/v").source)
    assert place.is_dir() and not list(place.iterdir())
    made = node.directory / "pods" / UID / "volumes/v/missing/part"
    assert made.is_dir() and not list(made.iterdir())
    await node.kill()


async def test_nothing_is_made_in_a_volume_that_is_claimed_to_be_read(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    node = Node(tmp_path)
    node.api.put(bound())
    node.api.put(volume(local=LocalVolumeSource(path=str(folder))))
    await node.boot()
    spec = container(volume_mounts=[Into(name="v", mount_path="/v", sub_path="missing")])
    source = PersistentVolumeClaimVolumeSource(claim_name="data", read_only=True)
    node.api.put(make_pod(spec, volumes=[Volume(name="v", persistent_volume_claim=source)]))
    await node.run(2)
    waiting = web(node).state.waiting
    assert waiting is not None and waiting.message.endswith('subPath "missing" does not exist')
    assert not list(folder.iterdir())
    await node.kill()
