"""Pods on a real engine: what the kernel, the engine and the programs themselves say of them."""

from __future__ import annotations

import asyncio
from pathlib import Path

from agent.containers.records import LogOptions
from agent.resources.cgroups import MOUNT
from api.core import (
    Capabilities,
    ConfigMap,
    ConfigMapVolumeSource,
    Container,
    EmptyDirVolumeSource,
    EnvVar,
    EnvVarSource,
    ExecAction,
    HostPathVolumeSource,
    Lifecycle,
    LifecycleHandler,
    ObjectFieldSelector,
    Probe,
    ResourceRequirements,
    Secret,
    SecretVolumeSource,
    SecurityContext,
    Volume,
    VolumeMount,
)
from api.meta import ObjectMeta
from tests.engine import BUSYBOX
from tests.integration.agent.conftest import RealNode
from tests.patience import eventually
from tests.unit.agent.builders import UID, make_pod

FOREVER = "trap 'exit 0' TERM; while :; do sleep 0.1; done"


def shell(script: str, name: str = "web", **fields: object) -> Container:
    return Container(name=name, image=BUSYBOX, command=["sh", "-c", script], **fields)  # type: ignore[arg-type]


async def delete(node: RealNode, grace: int = 10) -> None:
    node.api.delete_gracefully("pod", "ns", stamp="2026-01-01T00:00:00Z", grace=grace)
    await node.until(node.gone)


async def test_a_pod_from_its_start_to_its_end(node: RealNode) -> None:
    limits = {"cpu": "200m", "memory": "32Mi"}
    env = [
        EnvVar(name="A", value="1"),
        EnvVar(name="B", value="$(A)2"),
        EnvVar(
            name="IP",
            value_from=EnvVarSource(field_ref=ObjectFieldSelector(field_path="status.podIP")),
        ),
    ]
    node.api.put(
        make_pod(
            shell(
                f"echo hello $(B) from $HOSTNAME at $IP; {FOREVER}",
                env=env,
                resources=ResourceRequirements(requests=limits, limits=limits),
            ),
            shell(FOREVER, "other", resources=ResourceRequirements(requests=limits, limits=limits)),
            hostname="greeter",
        )
    )
    await node.until(node.ready)
    assert node.phase() == "Running"
    status = node.status()
    assert status is not None and status.restart_count == 0

    id = status.container_id.rpartition("/")[2]

    async def logged() -> bool:  # a program that has been started may have said nothing yet
        pieces = [piece async for _, piece in node.runtime.logs(id, LogOptions())]  # type: ignore[arg-type]
        assert b"".join(pieces) == b"hello 12 from greeter at 10.244.1.1\n", pieces
        return True

    await eventually(logged)

    # Containers of a pod share hostname, IPC and their own files.
    assert (await node.exec("hostname", "other")).strip() == "greeter"
    shared = [
        await node.exec("readlink /proc/1/ns/ipc /proc/1/ns/net", c) for c in ("web", "other")
    ]
    assert shared[0] == shared[1]
    assert "10.244.1.1\tgreeter" in await node.exec("cat /etc/hosts")
    assert "nameserver 10.96.0.10" in await node.exec("cat /etc/resolv.conf", "other")

    # Real values in real cgroups.
    pod = node.cgroups.directory(UID, "Guaranteed", "cpu")
    memory = node.cgroups.directory(UID, "Guaranteed", "memory")
    if (MOUNT / "cgroup.controllers").exists():
        assert (pod / "cpu.max").read_text() == "40000 100000\n"
        assert int((memory / id / "memory.max").read_text()) == 32 * 1024**2
    else:
        assert int((pod / "cpu.cfs_quota_us").read_text()) == 40000
        assert int((pod / "cpu.shares").read_text()) == 409
        assert int((pod / id / "cpu.cfs_quota_us").read_text()) == 20000
        assert int((memory / "memory.limit_in_bytes").read_text()) == 64 * 1024**2
        assert int((memory / id / "memory.limit_in_bytes").read_text()) == 32 * 1024**2

    await delete(node)
    assert await node.containers() == []
    assert not pod.exists() and not memory.exists()
    assert list((node.directory / "pods").iterdir()) == []
    assert node.network.attached == {}
    assert str(node.directory) not in Path("/proc/self/mountinfo").read_text()
    last = [body["status"] for body in node.api.bodies if "phase" in body["status"]][-1]
    assert last["phase"] == "Succeeded", "both programs ended well on TERM"


async def test_a_crash_loop(node: RealNode) -> None:
    node.api.put(
        make_pod(
            shell(
                "echo last words >&2; exit 3",
                termination_message_policy="FallbackToLogsOnError",
            )
        )
    )

    def waits() -> str:
        status = node.status()
        return status.state.waiting.reason if status and status.state.waiting else ""

    await node.until(lambda: waits() == "CrashLoopBackOff")
    status = node.status()
    assert status is not None and status.state.waiting is not None
    assert status.restart_count == 1
    assert status.state.waiting.message.startswith("back-off 10s restarting failed")
    ended = status.last_state.terminated
    assert ended is not None
    assert (ended.exit_code, ended.reason, ended.message) == (3, "Error", "last words\n")
    await node.until(lambda: (s := node.status()) is not None and s.restart_count == 2)


async def test_an_oom_kill(node: RealNode) -> None:
    limits = ResourceRequirements(limits={"memory": "8Mi"})
    node.api.put(make_pod(shell("tail /dev/zero", resources=limits), policy="Never"))
    await node.until(lambda: node.phase() == "Failed")
    status = node.status()
    assert status is not None and status.state.terminated is not None
    assert (status.state.terminated.reason, status.state.terminated.exit_code) == (
        "OOMKilled",
        137,
    )


async def test_a_program_that_is_not_there(node: RealNode) -> None:
    spec = Container(name="web", image=BUSYBOX, command=["/nope"])
    node.api.put(make_pod(spec, policy="Never"))
    await node.until(lambda: node.phase() == "Failed")
    status = node.status()
    assert status is not None and status.state.terminated is not None
    assert status.state.terminated.reason == "ContainerCannotRun"
    assert "/nope" in status.state.terminated.message


async def test_the_agent_is_killed_and_nobody_notices(node: RealNode) -> None:
    node.api.put(make_pod(shell(FOREVER), shell(FOREVER, "other")))
    await node.until(node.ready)
    await node.manager.agent.checkpoints.flush()
    before = {r.id: (r.pid, r.started_at) for r in await node.containers()}
    patches = len(node.api.bodies)
    for _ in range(3):
        await node.kill()
        await node.boot()
        await asyncio.sleep(0.3)
    assert {r.id: (r.pid, r.started_at) for r in await node.containers()} == before
    assert len(node.api.bodies) == patches
    await delete(node)
    assert await node.containers() == []


async def test_killed_in_the_middle_of_everything(node: RealNode) -> None:
    """At whatever moment: in the end there is one sandbox, one container, and no restart."""
    pod = make_pod(shell(FOREVER), shell(FOREVER, "other"))
    node.api.put(pod)
    for _ in range(12):
        await asyncio.sleep(0.04)
        await node.kill()
        await node.boot()
    await node.until(node.ready)
    assert len(await node.containers()) == 3
    assert [s.restart_count for s in node.api.pod().status.container_statuses] == [0, 0]
    node.api.delete_gracefully("pod", "ns", stamp="2026-01-01T00:00:00Z", grace=10)
    for _ in range(6):
        if node.gone():
            break
        await asyncio.sleep(0.03)
        await node.kill()
        await node.boot()
    await node.until(node.gone)
    await node.until(lambda: node.manager.workers == {})
    assert await node.containers() == []


async def test_a_dead_pause_container_takes_the_pod_along_and_back(node: RealNode) -> None:
    node.api.put(make_pod(shell(FOREVER)))
    await node.until(node.ready)
    box = node.manager.workers[UID].context.memory.sandboxes()[0]
    await node.runtime.kill(box.id)
    await node.until(lambda: (s := node.status()) is not None and s.restart_count == 1)
    await node.until(node.ready)
    assert len([r for r in await node.containers() if r.running]) == 2
    assert node.api.pod().status.pod_ip == "10.244.1.2"


async def test_volumes(node: RealNode, workspace: Path) -> None:
    data = workspace / "data"
    data.mkdir()
    node.api.put(
        ConfigMap(metadata=ObjectMeta(name="c", namespace="ns"), data={"a": "1", "b": "2"})
    )
    node.api.put(Secret(metadata=ObjectMeta(name="s", namespace="ns"), data={"pw": b"hunter2"}))
    mounts = [
        VolumeMount(name="config", mount_path="/config"),
        VolumeMount(name="config", mount_path="/one", sub_path="a"),
        VolumeMount(name="config", mount_path="/none", sub_path="missing"),
        VolumeMount(name="secret", mount_path="/secret"),
        VolumeMount(name="memory", mount_path="/memory"),
        VolumeMount(name="host", mount_path="/host"),
        VolumeMount(name="host", mount_path="/part", sub_path="made/here"),
    ]
    node.api.put(
        make_pod(
            shell(FOREVER, volume_mounts=mounts),
            volumes=[
                Volume(name="config", config_map=ConfigMapVolumeSource(name="c")),
                Volume(
                    name="secret",
                    secret=SecretVolumeSource(secret_name="s", default_mode=0o400),
                ),
                Volume(
                    name="memory",
                    empty_dir=EmptyDirVolumeSource(medium="Memory", size_limit="1Mi"),
                ),
                Volume(name="host", host_path=HostPathVolumeSource(path=str(data))),
            ],
        )
    )
    await node.until(node.ready)
    assert await node.exec("cat /config/a /one /secret/pw") == "11hunter2"
    assert "Read-only" in await node.exec("echo x > /config/new 2>&1")
    assert await node.exec("ls -A /none; touch /none/x 2>/dev/null || echo sealed") == "sealed\n"
    assert (await node.exec("stat -Lc %a /secret/pw")).strip() == "400"
    assert "No space left" in await node.exec("dd if=/dev/zero of=/memory/x bs=1M count=2 2>&1")
    await node.exec("echo from-the-pod > /part/file")
    assert (data / "made" / "here" / "file").read_text() == "from-the-pod\n"

    node.api.put(ConfigMap(metadata=ObjectMeta(name="c", namespace="ns"), data={"a": "new"}))
    await asyncio.sleep(1.1)  # answers are good for a second
    node.manager.workers[UID].context.memory.volumes_due = node.clock.monotonic()
    node.manager.workers[UID].wake()
    await node.until(
        lambda: (node.directory / "pods" / UID / "volumes/config/a").read_text() == "new"
    )
    # What was made for the subPath shows in the volume, as a kubelet's does.
    assert await node.exec("cat /config/a; ls /config") == "newa\nmissing\n"
    assert await node.exec("cat /one") == "1", "a subPath does not follow"

    await delete(node)
    assert (data / "made" / "here" / "file").exists()
    assert str(node.directory) not in Path("/proc/self/mountinfo").read_text()


async def test_security_contexts(node: RealNode) -> None:
    context = SecurityContext(
        run_as_user=1000,
        run_as_group=3000,
        read_only_root_filesystem=True,
        allow_privilege_escalation=False,
        capabilities=Capabilities(drop=["ALL"]),
    )
    node.api.put(make_pod(shell(FOREVER, security_context=context)))
    await node.until(node.ready)
    assert "uid=1000 gid=3000" in await node.exec("id")
    assert "Read-only" in await node.exec("touch /x 2>&1")
    facts = await node.exec("grep -E 'NoNewPrivs|CapEff' /proc/1/status")
    assert "NoNewPrivs:\t1" in facts and "CapEff:\t0000000000000000" in facts


async def test_liveness_and_readiness(node: RealNode) -> None:
    def check(file: str) -> Probe:
        return Probe(
            exec=ExecAction(command=["test", "-e", file]), period_seconds=1, failure_threshold=1
        )

    node.api.put(
        make_pod(
            shell(
                f"touch /alive; {FOREVER}",
                liveness_probe=check("/alive"),
                readiness_probe=check("/ready"),
            ),
            termination_grace_period_seconds=2,
        )
    )
    await node.until(lambda: node.phase() == "Running")
    assert not node.ready()
    await node.exec("touch /ready")
    await node.until(node.ready)
    await node.exec("rm /ready")
    await node.until(lambda: not node.ready())
    await node.exec("rm /alive")
    await node.until(lambda: (s := node.status()) is not None and s.restart_count == 1)
    assert "Container web failed liveness probe, will be restarted" in (
        node.recorder.messages("Killing")
    )


async def test_a_graceful_end(node: RealNode, workspace: Path) -> None:
    """The hooks run side by side: the first waits for the other's. Then the signals, one after another."""
    notes = workspace / "notes"
    notes.mkdir()

    def hook(script: str) -> LifecycleHandler:
        return LifecycleHandler(exec=ExecAction(command=["sh", "-c", script]))

    wait = "until [ -e /notes/heard ]; do sleep 0.05; done"
    own = Lifecycle(pre_stop=hook(f"{wait}; echo preStop >> /notes/log"), stop_signal="SIGUSR1")
    mounts = [VolumeMount(name="notes", mount_path="/notes")]
    script = "trap 'echo NAME >> /notes/log; exit 0' NAME; while :; do sleep 0.1; done"
    node.api.put(
        make_pod(
            shell(script.replace("NAME", "USR1"), lifecycle=own, volume_mounts=mounts),
            inits=[
                shell(
                    script.replace("NAME", "TERM"),
                    "side",
                    restart_policy="Always",
                    lifecycle=Lifecycle(pre_stop=hook("touch /notes/heard")),
                    volume_mounts=mounts,
                )
            ],
            volumes=[Volume(name="notes", host_path=HostPathVolumeSource(path=str(notes)))],
        )
    )
    await node.until(node.ready)
    status = node.status()
    assert status is not None and status.stop_signal == "SIGUSR1"
    await delete(node, grace=30)
    assert (notes / "log").read_text().split() == ["preStop", "USR1", "TERM"]


async def test_a_program_that_ignores_term(node: RealNode) -> None:
    node.api.put(make_pod(shell("trap '' TERM; while :; do sleep 0.1; done")))
    await node.until(node.ready)
    begun = node.clock.monotonic()
    await delete(node, grace=2)
    assert node.clock.monotonic() - begun > 1.9


async def test_init_containers_and_a_job(node: RealNode) -> None:
    mounts = [VolumeMount(name="data", mount_path="/data")]
    node.api.put(
        make_pod(
            shell("cat /data/* > /dev/termination-log", volume_mounts=mounts),
            inits=[
                shell("echo one > /data/1", "i1", volume_mounts=mounts),
                shell("echo two > /data/2", "i2", volume_mounts=mounts),
            ],
            policy="Never",
            volumes=[Volume(name="data", empty_dir=EmptyDirVolumeSource())],
        )
    )
    await node.until(lambda: node.phase() == "Succeeded")
    status = node.status()
    assert status is not None and status.state.terminated is not None
    assert status.state.terminated.message == "one\ntwo\n"
    await node.until(lambda: node.network.attached == {})


def _text(log: Path) -> str:
    """Nothing while the engine exchanges the file for a new one."""
    try:
        return log.read_text()
    except FileNotFoundError:
        return ""


async def test_logs_on_the_disk(node: RealNode) -> None:
    """A collector's names lead to the engine's file; it is bounded as the agent is set, and goes with
    the pod."""
    node.api.put(make_pod(shell(f"seq 100000; {FOREVER}")))
    await node.until(node.ready)
    status = node.status()
    assert status is not None
    id = status.container_id.rpartition("/")[2]
    by_pod = node.directory / "log" / "pods" / f"ns_pod_{UID}" / "web" / "0.log"
    by_id = node.directory / "log" / "containers" / f"pod_ns_web-{id}.log"
    await node.until(lambda: '"100000\\n"' in _text(by_pod))
    assert by_id.samefile(by_pod)
    files = list(by_pod.resolve().parent.glob("*-json.log*"))
    assert len(files) == 3
    assert all(path.stat().st_size < 50_000 + 1000 for path in files), (
        "up to the piece that is one too many"
    )
    found = [piece async for _, piece in node.runtime.logs(id, LogOptions(tail_lines=2))]  # type: ignore[arg-type]
    assert b"".join(found) == b"99999\n100000\n"
    await delete(node)
    assert not by_pod.parent.exists() and not by_id.is_symlink()
