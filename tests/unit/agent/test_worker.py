"""Pods from beginning to end, over a fake engine and a clock that the test moves."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.containers.errors import RegistryUnavailable
from agent.containers.records import (
    Channel,
    ContainerCreate,
    ContainerId,
    ContainerRecord,
    ExecResult,
)
from agent.containers.script import FAKE_ENGINE, Script
from agent.pod import names
from api import objects
from api.core import (
    ConfigMap,
    ConfigMapKeySelector,
    ConfigMapVolumeSource,
    EmptyDirVolumeSource,
    EnvVar,
    EnvVarSource,
    ExecAction,
    FileKeySelector,
    HostPathVolumeSource,
    ImageVolumeSource,
    ISCSIVolumeSource,
    Lifecycle,
    LifecycleHandler,
    LocalObjectReference,
    ObjectFieldSelector,
    Pod,
    PodCondition,
    PodDNSConfig,
    PodReadinessGate,
    PodSecurityContext,
    Probe,
    SeccompProfile,
    Secret,
    SecurityContext,
    SleepAction,
    Sysctl,
    Volume,
    VolumeMount,
)
from api.meta import ObjectMeta
from api.node import RuntimeClass
from tests.unit.agent.builders import UID, container, make_pod, sidecar
from tests.unit.agent.node import Node


def ready(node: Node) -> str:
    return next((c.status for c in node.api.pod().status.conditions if c.type == "Ready"), "")


def web(node: Node, name: str = "web"):  # type: ignore[no-untyped-def]
    status = node.api.pod().status
    every = [*status.init_container_statuses, *status.container_statuses]
    return next(s for s in every if s.name == name)


async def test_a_pod_starts(node: Node) -> None:
    node.api.put(make_pod())
    await node.run(0.01)
    status = node.api.pod().status
    assert (status.phase, ready(node)) == ("Running", "True")
    assert (status.pod_ip, status.host_ip) == ("10.244.1.1", "192.0.2.1")
    assert web(node).container_id.startswith("docker://")
    assert node.names() == ["POD", "web"]
    assert [call for call in node.runtime.calls if call[0] != "pull"] == [
        ("create", f"k8s_POD_pod_ns_{UID}_0"),
        ("start", f"k8s_POD_pod_ns_{UID}_0"),
        ("create", f"k8s_web_pod_ns_{UID}_0"),
        ("start", f"k8s_web_pod_ns_{UID}_0"),
    ]
    assert node.recorder.reasons() == ["Pulled", "Created", "Started"]


async def test_a_pod_that_starts_at_once_is_told_once(node: Node) -> None:
    node.api.put(make_pod())
    await node.run(5)
    assert [c for c in node.api.calls if c[0] == "patch"] == [("patch", "Pod", "pod")]


async def test_the_container_joins_its_sandbox(node: Node) -> None:
    node.api.put(make_pod())
    await node.run()
    box, app = node.containers("POD")[0], node.containers("web")[0]
    spec = node.runtime.specs[app.id]
    assert spec.network_mode == spec.ipc_mode == f"container:{box.id}"
    assert spec.cgroup_parent == f"/test/kubepods/besteffort/pod{UID}"
    assert node.runtime.specs[box.id].ipc_mode == "shareable"
    assert node.runtime.specs[box.id].hostname == "pod"
    assert app.labels[names.SANDBOX_ID] == box.id
    hosts = (node.directory / "pods" / UID / "etc-hosts").read_text()
    assert "10.244.1.1\tpod\n" in hosts


async def test_a_host_network_pod_has_the_nodes_address(node: Node) -> None:
    node.network.down = True
    node.api.put(make_pod(host_network=True))
    await node.run()
    assert node.api.pod().status.pod_ip == "192.0.2.1"
    assert node.runtime.specs[node.containers("POD")[0].id].network_mode == "host"


async def test_a_host_name_that_the_kernel_does_not_take(node: Node) -> None:
    node.api.put(make_pod(hostname="h" * 60, subdomain="sub", set_hostname_as_fqdn=True))
    await node.run()
    assert node.api.pod().status.phase == "Pending"
    assert web(node).state.waiting.reason == "ContainerCreating"
    (message, *_) = node.recorder.messages("FailedCreatePodSandBox")
    assert "Failed to construct FQDN from Pod hostname and cluster domain" in message


async def test_name_servers_that_are_left_out_are_told_of(node: Node) -> None:
    config = PodDNSConfig(nameservers=[f"192.0.2.{n}" for n in range(1, 5)])
    node.api.put(make_pod(dns_policy="None", dns_config=config))
    await node.run()
    assert ready(node) == "True"
    assert node.recorder.messages("DNSConfigForming") == [
        "Nameserver limits were exceeded, some nameservers have been omitted, "
        "the applied nameserver line is: 192.0.2.1 192.0.2.2 192.0.2.3"
    ]


async def test_pods_wait_for_the_network(node: Node) -> None:
    node.network.down = True
    node.api.put(make_pod())
    await node.run(30)
    assert node.names() == ["POD"]
    assert "FailedCreatePodSandBox" in node.recorder.reasons()
    node.network.down = False
    node.manager.wake_all("network")
    await node.run(0.1)
    assert node.names() == ["POD", "web"]


# Restarts.


async def test_a_crash_loop_over_an_hour(tmp_path: Path) -> None:
    node = Node(tmp_path, scripts={"web": Script(run_for=1, exit_code=1)})
    await node.boot()
    node.api.put(make_pod())
    created = node.runtime.create
    made_at: list[float] = []

    async def create(spec: ContainerCreate) -> ContainerId:
        made_at.append(node.clock.monotonic())
        return await created(spec)

    node.runtime.create = create  # type: ignore[method-assign]
    await node.run(900)
    # At once, then 10, 20, 40, 80, 160, 300 s after each end (each run takes one second).
    gaps = [round(b - a) for a, b in itertools.pairwise(made_at[1:])]
    assert gaps == [1, 11, 21, 41, 81, 161, 301]
    assert web(node).restart_count == len(gaps)
    waiting = web(node).state.waiting
    assert waiting is not None and waiting.reason == "CrashLoopBackOff"
    assert waiting.message.startswith("back-off 5m0s restarting failed container=web pod=pod_ns(")
    assert len(node.containers("web")) == 1, "old containers are removed"
    assert node.names() == ["POD"]
    backoffs = node.recorder.messages("BackOff")
    assert backoffs[0] == f"Back-off restarting failed container web in pod pod_ns({UID})"
    assert len(backoffs) == len(gaps)
    await node.kill()


async def test_a_restart_keeps_the_sandbox_and_the_address(node: Node) -> None:
    node.api.put(make_pod())
    await node.run()
    box = node.containers("POD")[0].id
    node.runtime.end(node.containers("web")[0].id, exit_code=2)
    await node.run()
    assert node.containers("POD")[0].id == box
    assert node.api.pod().status.pod_ip == "10.244.1.1"
    assert web(node).restart_count == 1
    assert web(node).last_state.terminated.exit_code == 2
    assert len(node.containers("web")) == 2, "the last one is kept for its log"


async def test_an_oom_kill_is_told(node: Node) -> None:
    node.api.put(make_pod())
    await node.run()
    node.runtime.end(node.containers("web")[0].id, exit_code=137, oom=True)
    await node.run()
    assert web(node).last_state.terminated.reason == "OOMKilled"


async def test_a_job_succeeds_and_gives_back_its_sandbox(tmp_path: Path) -> None:
    node = Node(tmp_path, scripts={"web": Script(run_for=3)})
    await node.boot()
    node.api.put(make_pod(policy="Never"))
    await node.run(5)
    assert node.api.pod().status.phase == "Succeeded"
    assert node.names() == []
    assert len(node.containers("web")) == 1, "its log can still be read"
    assert node.network.attached == {}
    assert node.api.pod().status.pod_ip == "10.244.1.1"
    await node.kill()


async def test_termination_messages(tmp_path: Path) -> None:
    log = ((Channel.STDERR, b"Traceback\n"), (Channel.STDERR, b"Boom\n"))
    node = Node(tmp_path, scripts={"web": Script(run_for=1, exit_code=1, log=log)})
    await node.boot()
    node.api.put(make_pod(container(termination_message_policy="FallbackToLogsOnError")))
    await node.run(1.5)
    assert web(node).last_state.terminated.message == "Traceback\nBoom\n"
    await node.run(1)
    (tmp_path / "pods" / UID / "containers" / "web" / "2").write_text("in the file")
    await node.run(11.5)
    assert web(node).last_state.terminated.message == "in the file"
    await node.kill()


async def test_last_words_of_a_container_that_is_removed_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pods = [container("a"), container("b")]
    node = Node(tmp_path, scripts={c.name: Script(run_for=5, exit_code=1) for c in pods})
    await node.boot()
    node.api.put(make_pod(*pods, policy="Never"))
    await node.run(1)
    (worker,) = node.manager.workers.values()
    memory = worker.context.memory

    async def read_slowly(context: object, record: ContainerRecord) -> str:
        for other in [id for id in memory.ended_at if id != record.id]:
            memory.forget(other)  # as an effect does
        return "bye"

    monkeypatch.setattr("agent.effects.looking.termination_message", read_slowly)
    await node.run(10)
    assert set(memory.messages) <= set(memory.records)
    await node.kill()


async def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    node = Node(tmp_path, scripts={"web": Script(start_error='exec: "nope": not found')})
    await node.boot()
    node.api.put(make_pod())
    await node.run(5)
    last = web(node).last_state.terminated
    assert (last.reason, last.exit_code) == ("ContainerCannotRun", 128)
    assert 'exec: "nope": not found' in last.message
    assert 'Error: failed to start container "web": exec: "nope": not found' in (
        node.recorder.messages("Failed")
    )
    await node.kill()


async def test_a_dead_sandbox_is_replaced_with_all_containers(node: Node) -> None:
    node.api.put(make_pod(container("a"), container("b")))
    await node.run()
    box = node.containers("POD")[0]
    node.runtime.end(box.id, exit_code=137)
    await node.run(35)
    assert node.names() == ["POD", "a", "b"]
    assert node.containers("POD")[0].name.endswith("_1")
    assert web(node, "a").restart_count == 1
    assert list(node.network.attached.values()) == [node.api.pod().status.pod_ip]
    assert node.api.pod().status.pod_ip == "10.244.1.2"
    assert ready(node) == "True"


# Images, configuration, volumes.


async def test_an_image_that_does_not_exist(node: Node) -> None:
    node.api.put(make_pod(container(image="nope:1")))
    await node.run(0.5)
    assert web(node).state.waiting.reason == "ErrImagePull"
    await node.run(2)
    assert web(node).state.waiting.reason == "ImagePullBackOff"
    assert web(node).state.waiting.message.startswith('Back-off pulling image "nope:1"')
    node.runtime.add_image("nope:1")
    await node.run(15)
    assert ready(node) == "True"


async def test_a_registry_that_is_away(node: Node) -> None:
    node.runtime.registry["away:1"] = RegistryUnavailable("no such host")
    node.api.put(make_pod(container(image="away:1")))
    await node.run(0.5)
    assert web(node).state.waiting.reason == "RegistryUnavailable"
    await node.run(2)
    assert web(node).state.waiting.reason == "ImagePullBackOff"


async def test_a_slow_pull_is_told_of(node: Node) -> None:
    node.runtime.registry["slow:1"] = None
    node.runtime.pull_seconds = 100
    node.api.put(make_pod(container(image="slow:1")))
    await node.run(99)
    text = 'Pulling image "slow:1"'
    news = f"{text}: the registry has not answered yet"
    assert node.recorder.messages("Pulling") == [text, news, news]
    await node.run(2)
    assert ready(node) == "True"


async def test_an_image_is_known_by_its_digest(node: Node) -> None:
    digest = "sha256:" + "1" * 64
    image = node.runtime.add_image("host.example/app:2", digests=(f"host.example/app@{digest}",))
    node.api.put(make_pod(container(image="host.example/app:2"), container("other")))
    await node.run()
    assert web(node).image_id == f"host.example/app@{digest}"
    assert web(node, "other").image_id.startswith("sha256:"), "it never was in a registry"
    record = node.containers("web")[0]
    assert record.image_id == image.id
    await node.kill()
    await node.boot()
    await node.run()
    assert web(node).image_id == f"host.example/app@{digest}"


async def test_pull_secrets_that_are_missing_are_told_of(node: Node) -> None:
    secret = Secret(metadata=ObjectMeta(name="there", namespace="ns"))
    node.api.put(secret)
    named = [LocalObjectReference(name=name) for name in ("there", "gone", "lost")]
    node.api.put(make_pod(image_pull_secrets=named))
    await node.run()
    assert ready(node) == "True"
    assert node.recorder.messages("FailedToRetrieveImagePullSecret") == [
        "Unable to retrieve some image pull secrets (gone, lost); "
        "attempting to pull the image may not succeed."
    ]


async def test_an_image_that_was_changed_before_its_first_start(node: Node) -> None:
    """What was made sure of for the one before is not run in its name."""
    image = node.runtime.add_image("app:2")
    variables = [from_config_map()]
    node.api.put(make_pod(container(env=variables)))
    await node.run()
    assert web(node).state.waiting.reason == "CreateContainerConfigError"
    node.api.put(make_pod(container(image="app:2", env=variables)))
    await node.run()
    node.api.put(ConfigMap(metadata=ObjectMeta(name="settings", namespace="ns"), data={"k": "v"}))
    await node.run(20)
    assert web(node).state.running is not None
    assert (web(node).image, web(node).restart_count) == ("app:2", 0)
    assert web(node).image_id == image.id


async def test_an_image_that_was_put_right_is_not_waited_for(node: Node) -> None:
    node.api.put(make_pod(container(image="nope:1")))
    await node.run(400)
    assert web(node).state.waiting.reason == "ImagePullBackOff"
    node.api.put(make_pod())
    await node.run(1)
    assert web(node).state.running is not None


async def test_another_image_ends_a_crash_loop(node: Node) -> None:
    node.runtime.add_image("app:2")
    node.runtime.scripts["web"] = Script(run_for=1, exit_code=1)
    node.api.put(make_pod())
    await node.run(120)
    assert web(node).state.waiting.reason == "CrashLoopBackOff"
    restarts = web(node).restart_count
    node.api.put(make_pod(container(image="app:2")))
    await node.run(0.5)
    assert web(node).restart_count == restarts + 1 and web(node).state.running is not None
    await node.run(2)
    assert "back-off 10s" in web(node).state.waiting.message


async def test_never_pull(node: Node) -> None:
    node.api.put(make_pod(container(image="nope:1", image_pull_policy="Never")))
    await node.run()
    assert web(node).state.waiting.reason == "ErrImageNeverPull"


@pytest.mark.parametrize("policy", ["Never", "IfNotPresent"])
async def test_an_image_that_somebody_loads_is_used_at_once(node: Node, policy: str) -> None:
    """Whatever the back-off says: it grows to minutes."""
    node.api.put(make_pod(container(image="nope:1", image_pull_policy=policy)))
    await node.run(400)
    assert "web" not in node.names()
    node.recorder.told.clear()
    node.runtime.add_image("other:1")
    await node.run(0.5)
    assert node.recorder.told == [], "that is not the one"
    node.runtime.add_image("nope:1")
    await node.run(0.5)
    assert node.names() == ["POD", "web"]
    assert 'Container image "nope:1" already present on machine' in node.recorder.messages("Pulled")


async def test_who_always_asks_the_registry_waits_for_it(node: Node) -> None:
    node.api.put(make_pod(container(image="nope:1", image_pull_policy="Always")))
    await node.run(400)
    node.recorder.told.clear()
    node.runtime.add_image("nope:1")
    await node.run(0.5)
    assert node.recorder.told == [] and "web" not in node.names()


async def test_a_volume_of_an_image_that_somebody_loads(node: Node) -> None:
    files = Volume(name="files", image=ImageVolumeSource(reference="data:1"))
    node.api.put(make_pod(volumes=[files]))
    await node.run(400)
    assert "web" not in node.names()
    node.runtime.add_image("data:1", layers=("/layers/only",))
    await node.run(1)
    assert "web" in node.names()


async def test_a_bad_image_name(node: Node) -> None:
    node.api.put(make_pod(container(image="Not An Image")))
    await node.run()
    assert web(node).state.waiting.reason == "InvalidImageName"


def from_config_map(key: str = "k", **options: bool) -> EnvVar:
    ref = ConfigMapKeySelector(name="settings", key=key, **options)
    return EnvVar(name="SETTING", value_from=EnvVarSource(config_map_key_ref=ref))


async def test_a_missing_config_map_holds_up_the_container_only(node: Node) -> None:
    node.api.put(make_pod(container(env=[from_config_map()])))
    await node.run(5)
    waiting = web(node).state.waiting
    assert waiting.reason == "CreateContainerConfigError"
    assert waiting.message == 'configmap "settings" not found'
    assert 'Error: configmap "settings" not found' in node.recorder.messages("Failed")
    assert node.names() == ["POD"]
    node.api.put(ConfigMap(metadata=ObjectMeta(name="settings", namespace="ns"), data={"k": "v"}))
    await node.run(10)
    assert ready(node) == "True"
    assert node.runtime.specs[node.containers("web")[0].id].env["SETTING"] == "v"
    assert web(node).restart_count == 0


async def test_the_pods_address_in_its_environment(node: Node) -> None:
    ref = EnvVarSource(field_ref=ObjectFieldSelector(field_path="status.podIP"))
    node.api.put(make_pod(container(env=[EnvVar(name="IP", value_from=ref)])))
    await node.run()
    assert node.runtime.specs[node.containers("web")[0].id].env["IP"] == "10.244.1.1"


async def test_a_config_map_volume_follows_its_object(node: Node) -> None:
    source = ConfigMapVolumeSource(name="settings")
    mount = VolumeMount(name="config", mount_path="/etc/settings")
    settings = ConfigMap(metadata=ObjectMeta(name="settings", namespace="ns"), data={"k": "v1"})
    node.api.put(settings)
    pod = make_pod(
        container(volume_mounts=[mount]), volumes=[Volume(name="config", config_map=source)]
    )
    node.api.put(pod)
    await node.run()
    assert ready(node) == "True"
    path = node.directory / "pods" / UID / "volumes" / "config" / "k"
    assert path.read_text() == "v1"
    spec = node.runtime.specs[node.containers("web")[0].id]
    assert next(m for m in spec.mounts if m.target == "/etc/settings").read_only is True
    node.api.put(ConfigMap(metadata=ObjectMeta(name="settings", namespace="ns"), data={"k": "v2"}))
    await node.run(65)
    assert path.read_text() == "v2"
    assert web(node).restart_count == 0


async def test_volumes_of_a_finished_pod_are_not_made_again(node: Node) -> None:
    node.api.put(ConfigMap(metadata=ObjectMeta(name="c", namespace="ns"), data={"k": "v"}))
    volume = Volume(name="config", config_map=ConfigMapVolumeSource(name="c"))
    node.api.put(make_pod(volumes=[volume], policy="Never"))
    await node.run()
    directory = node.directory / "pods" / UID / "volumes" / "config"
    assert directory.exists()
    node.runtime.end(node.containers("web")[0].id)
    await node.run()
    assert node.api.pod().status.phase == "Succeeded"
    assert not directory.exists()
    await node.run(120.0)
    assert not directory.exists()
    assert "AgentError" not in node.recorder.reasons()


async def test_a_volume_of_an_unknown_type_says_so(node: Node) -> None:
    iscsi = ISCSIVolumeSource(target_portal="192.0.2.9", iqn="x", lun=0)
    node.api.put(make_pod(volumes=[Volume(name="data", iscsi=iscsi)]))
    await node.run(5)
    assert (
        'volume "data": type iscsi is not supported by this agent yet'
        in (node.recorder.messages("FailedMount")[0])
    )
    assert web(node).state.waiting.reason == "ContainerCreating"


async def test_a_rejected_pod_fails(node: Node) -> None:
    sysctls = [Sysctl(name="kernel.msgmax", value="1")]
    node.api.put(make_pod(security_context=PodSecurityContext(sysctls=sysctls)))
    await node.run(5)
    status = node.api.pod().status
    words = 'forbidden sysctl: "kernel.msgmax" not allowlisted'
    assert (status.phase, status.reason) == ("Failed", "SysctlForbidden")
    assert status.message == f"Pod was rejected: {words}"
    assert node.recorder.messages("SysctlForbidden") == [words]
    assert node.names() == []


async def test_a_container_with_a_profile_of_the_node(node: Node) -> None:
    profile = SeccompProfile(type="Localhost", localhost_profile="a.json")
    node.api.put(make_pod(security_context=PodSecurityContext(seccomp_profile=profile)))
    await node.run(5)
    assert web(node).state.waiting.reason == "CreateContainerConfigError"
    assert 'seccomp profile "a.json" cannot be read' in web(node).state.waiting.message
    (node.directory / "seccomp").mkdir()
    (node.directory / "seccomp/a.json").write_text('{"defaultAction": "SCMP_ACT_ALLOW"}')
    await node.run(30)
    (made,) = node.containers("web")
    options = node.runtime.specs[made.id].security_options
    assert options == ('seccomp={"defaultAction":"SCMP_ACT_ALLOW"}',)


async def test_variables_of_a_file_that_an_init_container_wrote(node: Node) -> None:
    def variable(name: str, path: str, *, optional: bool = False) -> EnvVar:
        ref = FileKeySelector(volume_name="shared", path=path, key=name, optional=optional)
        return EnvVar(name=name, value_from=EnvVarSource(file_key_ref=ref))

    node.runtime.scripts["app:1"] = Script()
    env = [
        variable("A", "env"),
        variable("B", "gone", optional=True),
        EnvVar(name="C", value="$(A)"),
    ]
    volumes = [Volume(name="shared", empty_dir=EmptyDirVolumeSource())]
    node.api.put(make_pod(container(env=env), volumes=volumes))
    await node.run(5)
    assert web(node).state.waiting.reason == "CreateContainerConfigError"
    assert web(node).state.waiting.message == "file env of volume shared not found"
    path = node.directory / "pods" / UID / "volumes/shared/env"
    path.symlink_to("/etc/passwd")
    await node.run(20)
    assert node.names() == ["POD"], "a link out of the volume is not followed"
    path.unlink()
    path.write_text("# written before\nA='two\nlines'\n")
    await node.run(20)
    (made,) = node.containers("web")
    given = node.runtime.specs[made.id].env
    assert (given["A"], given["C"], "B" in given) == ("two\nlines", "two\nlines", False)


async def test_a_volume_of_an_image(node: Node) -> None:
    layers = ("/layers/top", "/layers/base")
    source = ImageVolumeSource(reference="files:1", pull_policy="IfNotPresent")
    mounts = [VolumeMount(name="files", mount_path="/files")]
    volumes = [Volume(name="files", image=source)]
    node.api.put(make_pod(container(volume_mounts=mounts), volumes=volumes))
    await node.run(0.9)
    assert web(node).state.waiting.reason == "ErrImagePull"
    await node.run(5)
    assert web(node).state.waiting.reason == "ImagePullBackOff"
    image = node.runtime.add_image("files:1", layers=layers)
    await node.run(60)
    assert ready(node) == "True"
    path = node.directory / "pods" / UID / "volumes/files"
    assert node.mounter.mounted[str(path)] == "layers:/layers/top:/layers/base"
    (made,) = node.containers("web")
    mount = next(m for m in node.runtime.specs[made.id].mounts if m.target == "/files")
    assert (mount.source, mount.read_only) == (str(path), False), "it is read-only by itself"
    assert image.id in node.manager.images_wanted()

    await node.kill()
    await node.boot()
    await node.run(5)
    assert image.id in node.manager.images_wanted()
    node.api.delete_gracefully("pod", "ns", stamp="2026-01-01T00:00:00Z", grace=1)
    await node.run(10)
    assert str(path) not in node.mounter.mounted


async def test_an_engine_without_layers(node: Node) -> None:
    node.runtime.add_image("files:1")
    source = ImageVolumeSource(reference="files:1")
    node.api.put(make_pod(volumes=[Volume(name="files", image=source)]))
    await node.run(5)
    (words,) = node.recorder.messages("FailedMount")[:1]
    assert "needs a container engine with the storage driver overlay2" in words


async def test_a_disk_that_does_not_answer_holds_up_its_pod_only(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What looks into volumes is done aside: a file server may be away."""
    aside: list[bool] = []
    seen: list[bool] = []

    async def run_aside(_: str, work: Callable[[], Any]) -> Any:
        aside.append(True)
        try:
            return work()
        finally:
            aside.pop()

    def bind(source: str, target: Path) -> None:
        seen.append(bool(aside))

    monkeypatch.setattr(node.mounter, "outside", run_aside)
    monkeypatch.setattr(node.mounter, "bind", bind)
    mount = VolumeMount(name="v", mount_path="/v", sub_path="part")
    volume = Volume(name="v", empty_dir=EmptyDirVolumeSource())
    node.api.put(make_pod(container(volume_mounts=[mount]), volumes=[volume]))
    await node.run(5)
    assert seen == [True]


async def test_read_only_with_all_that_is_mounted_below(node: Node, tmp_path: Path) -> None:
    modes = {"a": "Enabled", "b": "IfPossible", "c": "Disabled", "d": None}
    mounts = [
        VolumeMount(name="v", mount_path=f"/{name}", read_only=True, recursive_read_only=mode)
        for name, mode in modes.items()
    ]
    mounts.append(VolumeMount(name="v", mount_path="/e"))
    volumes = [Volume(name="v", host_path=HostPathVolumeSource(path=str(tmp_path)))]
    node.api.put(make_pod(container(volume_mounts=mounts), volumes=volumes))
    await node.run(5)
    (made,) = node.containers("web")
    sources = {mount.target: mount.source for mount in node.runtime.specs[made.id].mounts}
    place = node.directory / "pods" / UID / "volume-read-only/v/web"
    assert (sources["/a"], sources["/b"]) == (f"{place}/0", f"{place}/1")
    assert sources["/c"] == sources["/d"] == sources["/e"] == str(tmp_path)
    assert node.mounter.mounted[f"{place}/0"] == f"ro:{tmp_path}"
    said = {m.mount_path: (m.read_only, m.recursive_read_only) for m in web(node).volume_mounts}
    assert said == {
        "/a": (True, "Enabled"),
        "/b": (True, "Enabled"),
        "/c": (True, "Disabled"),
        "/d": (True, "Disabled"),
        "/e": (False, None),
    }


async def test_a_runtime_class_chooses_a_runtime_of_the_engine(tmp_path: Path) -> None:
    info = replace(FAKE_ENGINE, runtimes=("runc", "runsc"))
    node = Node(tmp_path, info=info, handlers={"gvisor": "runsc"})
    node.api.put(RuntimeClass(metadata=ObjectMeta(name="safe"), handler="gvisor"))
    await node.boot()
    pod = make_pod(runtime_class_name="safe")
    pod.metadata.labels[names.RUNTIME] = "mine"
    node.api.put(pod)
    await node.run(5)
    assert ready(node) == "True"
    assert {node.runtime.specs[r.id].runtime for r in node.containers()} == {"runsc"}

    node.api.put(RuntimeClass(metadata=ObjectMeta(name="safe"), handler="runc"))
    (web_,) = node.containers("web")
    node.runtime.end(web_.id)
    await node.run(60)
    made = [node.runtime.specs[r.id].runtime for r in node.containers()]
    assert made == ["runsc", "runsc"], "a container is run as its sandbox is"
    await node.kill()


async def test_runtimes_that_are_not_there(node: Node) -> None:
    node.api.put(make_pod(runtime_class_name="safe"))
    await node.run(5)
    words = 'Failed to create pod sandbox: RuntimeClass "safe" not found'
    assert words in node.recorder.messages("FailedCreatePodSandBox")
    node.api.put(RuntimeClass(metadata=ObjectMeta(name="safe"), handler="gvisor"))
    await node.run(30)
    words = (
        'Failed to create pod sandbox: no runtime for "gvisor" is configured (the engine has: runc)'
    )
    assert words in node.recorder.messages("FailedCreatePodSandBox")
    assert node.names() == []
    node.api.put(RuntimeClass(metadata=ObjectMeta(name="safe"), handler="runc"))
    await node.run(60)
    assert ready(node) == "True"


async def test_the_users_of_an_image_are_looked_up_once(tmp_path: Path) -> None:
    files = {"/etc/passwd": b"www:x:33:33::/:\n", "/etc/group": b"logs:x:40:www\n"}
    looker = f"podwright-accounts-{0:012d}"
    node = Node(tmp_path, images=["pause:1"], scripts={looker: Script(files=files)})
    node.runtime.add_image("app:1", user="www")
    await node.boot()
    own = SecurityContext(run_as_non_root=True)
    both = [container(security_context=own), container("other", security_context=own)]
    strict = PodSecurityContext(supplemental_groups_policy="Strict")
    node.api.put(make_pod(*both, security_context=strict))
    await node.run(5)
    made = [node.runtime.specs[record.id] for record in node.containers()]
    assert sorted(spec.user or "" for spec in made) == ["", "33:33", "33:33"]
    looks = [name for call, name in node.runtime.calls if "accounts" in name]
    assert len(looks) == 2, "one container is made, and removed"
    assert not [r for r in node.runtime._containers.values() if "accounts" in r.record.name]
    await node.kill()


async def test_a_refused_pod_is_not_started(node: Node) -> None:
    node.api.put(make_pod(host_users=False))
    await node.run(60)
    waiting = web(node).state.waiting
    assert waiting.reason == "UnsupportedSecurityContext"
    assert "spec.hostUsers: this agent does not honour it" in waiting.message
    told = {c.type: c for c in node.api.pod().status.conditions}["PodReadyToStartContainers"]
    assert (told.status, told.reason) == ("False", "UnsupportedSecurityContext")
    assert told.message == waiting.message
    assert node.runtime.specs == {}
    assert "spec.hostUsers" in node.recorder.told[0][2]
    node.api.delete_gracefully("pod", "ns", stamp="2026-01-01T00:02:00Z", grace=30)
    await node.run(1)
    assert (Pod, "ns", "pod") not in node.api.objects


# Init containers and sidecars.


async def test_init_containers_one_after_another(tmp_path: Path) -> None:
    scripts = {"i1": Script(run_for=2), "i2": [Script(run_for=1, exit_code=1), Script(run_for=1)]}
    node = Node(tmp_path, scripts=scripts)
    await node.boot()
    node.api.put(make_pod(container(), inits=[container("i1"), container("i2")]))
    await node.run(1)
    assert node.names() == ["POD", "i1"]
    assert node.api.pod().status.phase == "Pending"
    await node.run(1.5)
    assert node.names() == ["POD", "i2"]
    await node.run(3)
    assert node.names() == ["POD", "web"]
    assert web(node, "i2").restart_count == 1
    assert ready(node) == "True"
    await node.kill()


async def test_a_sidecar_outlives_init_and_ends_last(tmp_path: Path) -> None:
    node = Node(tmp_path, scripts={"web": Script(run_for=5)})
    await node.boot()
    node.api.put(make_pod(container(), inits=[sidecar()], policy="Never"))
    await node.run(1)
    assert node.names() == ["POD", "side", "web"]
    await node.run(6)
    assert node.names() == []
    assert node.api.pod().status.phase == "Succeeded"
    await node.kill()


# Probes and hooks.


def exec_probe(**fields: int) -> Probe:
    return Probe(exec=ExecAction(command=["check"]), **fields)


class Health:
    """What `check` answers inside the container."""

    def __init__(self, healthy: bool = True) -> None:
        self.healthy = healthy
        self.asked = 0

    def __call__(self, argv: object) -> ExecResult:
        self.asked += 1
        return ExecResult(exit_code=0 if self.healthy else 1, output=b"no good")


async def probed(tmp_path: Path, health: Health, **probes: Probe) -> Node:
    node = Node(tmp_path, scripts={"web": Script(exec=health)})
    await node.boot()
    node.api.put(make_pod(container(**probes)))
    return node


async def test_readiness_comes_and_goes(tmp_path: Path) -> None:
    health = Health(False)
    node = await probed(tmp_path, health, readiness_probe=exec_probe(period_seconds=5))
    await node.run(1)
    assert (ready(node), node.api.pod().status.phase) == ("False", "Running")
    assert (
        'Readiness probe failed: no good (command "check" exited with 1)'
    ) in node.recorder.messages("Unhealthy")
    health.healthy = True
    await node.run(5)
    assert ready(node) == "True"
    health.healthy = False
    await node.run(10)
    assert ready(node) == "True", "two failures are not three"
    await node.run(5)
    assert ready(node) == "False"
    assert web(node).restart_count == 0
    await node.kill()


async def test_somebody_else_opens_a_readiness_gate(node: Node) -> None:
    node.api.put(make_pod(readiness_gates=[PodReadinessGate(condition_type="example.com/lb")]))
    await node.run(1)
    assert (ready(node), web(node).ready) == ("False", True)
    for value in ("True", "False"):
        pod = objects.copy(node.api.pod())
        others = [c for c in pod.status.conditions if c.type != "example.com/lb"]
        gate = PodCondition(type="example.com/lb", status=value)
        pod.status.conditions = [*others, gate]
        node.api.put(pod)
        await node.run(1)
        assert ready(node) == value
        assert gate in node.api.pod().status.conditions, "what others say is left alone"


async def test_liveness_restarts_the_container(tmp_path: Path) -> None:
    health = Health()
    node = await probed(tmp_path, health, liveness_probe=exec_probe(period_seconds=10))
    await node.run(60)
    assert web(node).restart_count == 0
    health.healthy = False
    await node.run(25)
    assert web(node).restart_count == 0
    health_was_asked = health.asked
    await node.run(10)
    assert web(node).restart_count == 1
    assert health.asked > health_was_asked
    assert node.recorder.messages("Killing") == [
        "Container web failed liveness probe, will be restarted"
    ]
    await node.kill()


async def test_a_startup_probe_holds_back_the_others(tmp_path: Path) -> None:
    health = Health(False)
    node = await probed(
        tmp_path,
        health,
        startup_probe=exec_probe(period_seconds=1, failure_threshold=30),
        liveness_probe=exec_probe(period_seconds=1, failure_threshold=1),
    )
    await node.run(20)
    assert (web(node).started, web(node).restart_count) == (False, 0)
    health.healthy = True
    await node.run(2)
    assert (web(node).started, ready(node)) == (True, "True")
    health.healthy = False
    await node.run(3)
    assert web(node).restart_count == 1
    await node.kill()


async def test_a_startup_that_takes_too_long(tmp_path: Path) -> None:
    node = await probed(
        tmp_path, Health(False), startup_probe=exec_probe(period_seconds=1, failure_threshold=5)
    )
    await node.run(7)
    assert web(node).restart_count == 1
    assert "Container web failed startup probe, will be restarted" in (
        node.recorder.messages("Killing")
    )
    await node.kill()


async def test_initial_delay(tmp_path: Path) -> None:
    health = Health()
    node = await probed(tmp_path, health, readiness_probe=exec_probe(initial_delay_seconds=30))
    await node.run(29)
    assert (health.asked, ready(node)) == (0, "False")
    await node.run(2)
    assert (health.asked, ready(node)) == (1, "True")
    await node.kill()


def hook(command: str = "hook", **fields: object) -> LifecycleHandler:
    return LifecycleHandler(exec=ExecAction(command=[command]), **fields)  # type: ignore[arg-type]


async def test_post_start_failure_restarts(tmp_path: Path) -> None:
    node = Node(tmp_path, scripts={"web": [Script(exec=Health(False)), Script(exec=Health())]})
    await node.boot()
    node.api.put(make_pod(container(lifecycle=Lifecycle(post_start=hook()))))
    await node.run(1)
    assert web(node).restart_count == 1
    assert ready(node) == "True"
    assert node.recorder.messages("FailedPostStartHook") == [
        "PostStartHook failed: Exec lifecycle hook ([hook]) failed: "
        'no good (command "hook" exited with 1)'
    ]
    await node.kill()


# Deletion.


async def delete(node: Node, grace: int = 30) -> None:
    node.api.delete_gracefully("pod", "ns", stamp="2026-01-01T00:01:00Z", grace=grace)
    await node.run(0.1)


def gone(node: Node) -> bool:
    return (Pod, "ns", "pod") not in node.api.objects


async def test_a_deleted_pod_leaves_nothing(node: Node) -> None:
    node.api.put(make_pod(container("a"), container("b")))
    await node.run()
    await delete(node)
    assert gone(node)
    assert (node.containers(), node.runtime._containers) == ([], {})
    assert node.network.attached == {}
    assert list((node.directory / "pods").iterdir()) == []
    assert not list((node.directory / "cgroup").glob("**/pod*"))
    assert node.manager.workers == {}
    stops = [c for c in node.runtime.calls if c[0] == "kill"]
    assert sorted(stops) == [
        ("kill", f"k8s_a_pod_ns_{UID}_0"),
        ("kill", f"k8s_b_pod_ns_{UID}_0"),
    ]
    await node.run(5)
    assert list((node.directory / "checkpoints").glob("*.json")) == []


async def test_its_last_status_is_how_it_ended(node: Node) -> None:
    node.api.put(make_pod())
    await node.run()
    await delete(node)
    last = [body for body in node.api.bodies if "status" in body][-1]["status"]
    assert last["phase"] == "Succeeded"
    assert last["containerStatuses"][0]["state"]["terminated"]["reason"] == "Completed"


async def test_a_program_that_ignores_term_is_killed_after_its_grace(tmp_path: Path) -> None:
    node = Node(tmp_path, scripts={"web": Script(ignores_term=True)})
    await node.boot()
    node.api.put(make_pod())
    await node.run()
    await delete(node)
    await node.run(29)
    assert node.names() == ["POD", "web"]
    await node.run(2)
    assert gone(node)
    await node.kill()


async def test_a_shorter_grace_period_takes_over(tmp_path: Path) -> None:
    node = Node(tmp_path, scripts={"web": Script(ignores_term=True)})
    await node.boot()
    node.api.put(make_pod())
    await node.run()
    await delete(node, grace=3600)
    await node.run(10)
    assert not gone(node)
    await delete(node, grace=2)
    await node.run(3)
    assert gone(node)
    await node.kill()


@pytest.mark.parametrize(
    "pre_stop", [hook(), LifecycleHandler(sleep=SleepAction(seconds=3000))], ids=["exec", "sleep"]
)
async def test_a_shorter_grace_period_ends_a_pre_stop_hook(
    tmp_path: Path, pre_stop: LifecycleHandler
) -> None:
    node = Node(tmp_path, scripts={"web": Script(exec_seconds=3000)})
    await node.boot()
    node.api.put(make_pod(container(lifecycle=Lifecycle(pre_stop=pre_stop))))
    await node.run()
    await delete(node, grace=3600)
    await node.run(10)
    assert not gone(node)
    await delete(node, grace=2)
    await node.run(6)
    assert gone(node)
    await node.kill()


async def test_pre_stop_counts_inside_the_grace_period(tmp_path: Path) -> None:
    slow = Script(exec_seconds=10, ignores_term=True)
    node = Node(tmp_path, scripts={"web": slow})
    await node.boot()
    node.api.put(make_pod(container(lifecycle=Lifecycle(pre_stop=hook()))))
    await node.run()
    await delete(node, grace=30)
    await node.run(29)
    assert not gone(node)
    await node.run(2)
    assert gone(node)
    await node.kill()


async def test_a_hanging_pre_stop_ends_with_the_grace_period(tmp_path: Path) -> None:
    node = Node(tmp_path, scripts={"web": Script(exec_seconds=1e9)})
    await node.boot()
    node.api.put(make_pod(container(lifecycle=Lifecycle(pre_stop=hook()))))
    await node.run()
    await delete(node, grace=5)
    await node.run(4)
    assert not gone(node)
    await node.run(4)
    assert gone(node)
    assert "FailedPreStopHook" in node.recorder.reasons()
    await node.kill()


async def test_a_sleeping_pre_stop_delays_term(tmp_path: Path) -> None:
    node = Node(tmp_path)
    await node.boot()
    sleep = Lifecycle(pre_stop=LifecycleHandler(sleep=SleepAction(seconds=5)))
    node.api.put(make_pod(container(lifecycle=sleep)))
    await node.run()
    await delete(node)
    await node.run(4)
    assert node.names() == ["POD", "web"]
    await node.run(2)
    assert gone(node)
    await node.kill()


async def test_deleting_while_the_image_is_pulled(tmp_path: Path) -> None:
    node = Node(tmp_path, registry={"slow:1": None})
    node.runtime.pull_seconds = 1000
    await node.boot()
    node.api.put(make_pod(container(image="slow:1")))
    await node.run(5)
    await delete(node)
    await node.run(1)
    assert gone(node)
    assert node.runtime._containers == {}
    last = [body for body in node.api.bodies if "status" in body][-1]["status"]
    assert last["phase"] == "Failed", "also a pod that never ran has an end before it goes"
    await node.kill()


async def test_a_forced_deletion_still_lets_the_program_see_term(tmp_path: Path) -> None:
    node = Node(tmp_path, scripts={"web": Script(term_seconds=0.5)})
    await node.boot()
    node.api.put(make_pod())
    await node.run()
    node.api.remove(Pod, "pod", "ns")
    await node.run(0.3)
    assert node.names() == ["POD", "web"]
    await node.run(1)
    assert node.names() == []
    assert node.manager.workers == {}
    await node.kill()


async def test_a_namesake_is_another_pod(node: Node) -> None:
    node.api.put(make_pod())
    await node.run()
    node.api.remove(Pod, "pod", "ns")
    twin = make_pod()
    twin.metadata.uid = "another-uid"
    node.api.put(twin)
    await node.run(2)
    assert node.names() == ["POD", "web"]
    assert {c.labels[names.POD_UID] for c in node.containers()} == {"another-uid"}
    assert ready(node) == "True"


async def test_a_host_path_survives_its_pod(node: Node, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "precious").write_text("1")
    volume = Volume(name="data", host_path=HostPathVolumeSource(path=str(data)))
    mounts = [VolumeMount(name="data", mount_path="/data")]
    node.api.put(make_pod(container(volume_mounts=mounts), volumes=[volume]))
    await node.run()
    assert ready(node) == "True"
    await delete(node)
    assert gone(node)
    assert (data / "precious").read_text() == "1"


@pytest.mark.parametrize("name", ["POD", "web"])
async def test_a_stranger_that_has_the_name_is_told_of_and_not_asked_in_circles(
    tmp_path: Path, name: str
) -> None:
    node = Node(tmp_path)
    await node.boot()
    taken = f"k8s_{name}_pod_ns_{UID}_0"
    stranger = await node.runtime.create(ContainerCreate(name=taken, image="app:1"))
    node.api.put(make_pod())
    await node.run(60)
    tries = [did for did in node.runtime.calls if did == ("create", taken)]
    assert 3 < len(tries) < 20
    told = node.recorder.messages("FailedCreatePodSandBox" if name == "POD" else "Failed")
    assert f'The container name "{taken}" is already in use' in told[0]
    await node.runtime.remove(stranger)
    await node.run(20)
    assert node.names() == ["POD", "web"]
    await node.kill()
