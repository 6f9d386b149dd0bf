"""The installed services on a machine of their own: systemd starts them, and its Docker Engine has the
systemd driver on a unified hierarchy. Only in the test machine, whose engine, units and shutdown are ours.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.containers.runtime import DockerRuntime
from base.clock import SystemClock
from local.host import images
from tests.patience import PATIENCE

if os.environ.get("PODWRIGHT_TEST_MACHINE") != "1":
    pytest.skip("only in the test machine: ./podwright test --vm", allow_module_level=True)

ROOT = Path(__file__).resolve().parents[2]
ADDRESS = "192.0.2.10"
CGROUPS = Path("/sys/fs/cgroup")
PROGRAM = Path("/opt/podwright/venv/bin/podwright")
SETTINGS = Path("/etc/podwright")
UNITS = Path("/etc/systemd/system")
DEADLINE = 30.0 * PATIENCE
KEPT_FREE = "1300Mi"
ENVIRONMENT = {**os.environ, "KUBECONFIG": str(SETTINGS / "admin.kubeconfig")}


def run(*argv: str, input: str = "", check: bool = True) -> str:
    done = subprocess.run(
        argv, input=input, capture_output=True, text=True, check=False, env=ENVIRONMENT
    )
    assert done.returncode == 0 or not check, f"{argv}: {done.stdout}{done.stderr}"
    return done.stdout if check else done.stdout + done.stderr


def eventually(condition: Callable[[], Any], what: str, *, seconds: float = DEADLINE) -> Any:
    deadline = time.monotonic() + seconds
    while True:
        try:
            if found := condition():
                return found
            said = ""
        except (AssertionError, LookupError, OSError, ValueError) as error:
            said = str(error)
        if time.monotonic() > deadline:
            journal = run("journalctl", "-u", "podwright-*", "-n", "60", "--no-pager", check=False)
            pytest.fail(f"not within {seconds:g} s: {what}; {said}\n{journal}")
        time.sleep(0.5)


def get(what: str, name: str) -> Any:
    return json.loads(run("kubectl", "get", what, name, "-o", "json"))


def apply(manifest: dict[str, Any]) -> None:
    run("kubectl", "apply", "-f", "-", input=json.dumps(manifest))


def pod(name: str, script: str, **container: Any) -> dict[str, Any]:
    spec = {
        "name": "main",
        "image": images.BUSYBOX_IMAGE,
        "command": ["sh", "-c", script],
        **container,
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"restartPolicy": "Never", "containers": [spec]},
    }


def running(name: str) -> dict[str, Any]:
    found: dict[str, Any] = eventually(
        lambda: (p := get("pod", name))["status"].get("phase") == "Running" and p,
        f"pod {name} runs",
    )
    return found


def ended(name: str) -> dict[str, Any]:
    found: dict[str, Any] = eventually(
        lambda: (p := get("pod", name))["status"].get("phase") in ("Failed", "Succeeded") and p,
        f"pod {name} ends",
    )
    return found


def service(role: str, **settings: str) -> None:
    SETTINGS.mkdir(exist_ok=True)
    lines = [f'{name.replace("_", "-")} = "{value}"' for name, value in settings.items()]
    (SETTINGS / f"{role}.toml").write_text("\n".join(lines) + "\n")
    unit = f"podwright-{role}.service"
    shutil.copy2(ROOT / "deploy" / unit, UNITS / unit)
    lines = ["[Service]", "TimeoutStartSec=infinity"]  # an emulated machine starts slowly
    if role == "control":
        # It sees nothing below /tmp and /home, where the checkout may lie. The agent sees all, and must not
        # get a view of its own: what it mounts, the engine has to find.
        lines.append(f"BindReadOnlyPaths={ROOT} {(ROOT / '.venv').resolve()}")
    drop_in = UNITS / f"{unit}.d" / "test.conf"
    drop_in.parent.mkdir(exist_ok=True)
    drop_in.write_text("\n".join(lines) + "\n")
    run("systemctl", "daemon-reload")
    run("systemctl", "restart", unit)


@pytest.fixture(scope="module", autouse=True)
def node() -> Iterator[None]:
    PROGRAM.parent.mkdir(parents=True, exist_ok=True)
    PROGRAM.write_text(
        f'#!/bin/sh\nexport PYTHONPATH={ROOT}\nexec {sys.executable} -P -m cli "$@"\n'
    )
    PROGRAM.chmod(0o755)
    run("ip", "link", "add", "uplink", "type", "dummy", check=False)
    run("ip", "address", "replace", f"{ADDRESS}/24", "dev", "uplink")
    run("ip", "link", "set", "uplink", "up")
    run("systemctl", "start", "docker.service")
    service("control", advertise_address=ADDRESS)
    join = eventually(lambda: run(str(PROGRAM), "token", "create"), "a token")
    token = re.search(r"[a-z0-9]{6}\.[a-z0-9]{16}", join)
    digest = re.search(r"sha256:[0-9a-f]{64}", join)
    assert token is not None and digest is not None, join
    service(
        "agent",
        join=f"https://{ADDRESS}:6443",
        token=token[0],
        ca_hash=digest[0],
        node_name="vm",
        node_ip=ADDRESS,
        shutdown_grace_period=f"{DEADLINE:g}s",
        eviction_hard=f"memory.available<{KEPT_FREE}",
        eviction_pressure_transition_period="10s",
    )
    asyncio.run(_images())
    eventually(lambda: "True" in _ready(), "the node is ready")
    eventually(lambda: get("serviceaccount", "default"), "the default service account")
    yield
    run("systemctl", "stop", "podwright-agent.service", "podwright-control.service")


def _ready() -> list[str]:
    conditions = get("node", "vm")["status"]["conditions"]
    return [c["status"] for c in conditions if c["type"] == "Ready"]


async def _images() -> None:
    runtime = DockerRuntime("unix:///run/docker.sock", clock=SystemClock())
    try:
        await images.build(runtime)
    finally:
        await runtime.close()


def slice_of(found: dict[str, Any]) -> Path:
    uid = found["metadata"]["uid"].replace("-", "_")
    (path,) = CGROUPS.glob(f"kubepods.slice/**/*pod{uid}.slice")
    return path


def test_a_deployment_answers_from_slices_of_systemd() -> None:
    info = run("docker", "info", "--format", "{{.CgroupDriver}} {{.CgroupVersion}}").split()
    assert info == ["systemd", "2"]
    run("kubectl", "apply", "-f", str(ROOT / "examples/hello.yaml"))
    run("kubectl", "rollout", "status", "deployment/hello", f"--timeout={DEADLINE:g}s")
    address = get("service", "hello")["spec"]["clusterIP"]
    asked = eventually(lambda: run("busybox", "wget", "-qO-", f"http://{address}"), "an answer")
    assert "Hello from hello-" in asked
    pods = json.loads(run("kubectl", "get", "pods", "-l", "app=hello", "-o", "json"))["items"]
    for found in pods:
        folder = slice_of(found)
        assert folder.parent.name == "kubepods-burstable.slice"
        assert (folder / "memory.max").read_text().strip() == str(32 * 1024**2)
        assert (folder / "cpu.weight").read_text().strip() == "2", "50m"
        assert len(list(folder.glob("docker-*.scope"))) == 2
        shown = run("systemctl", "show", "-P", "MemoryMax", folder.name)
        assert shown.strip() == str(32 * 1024**2)
    configuration = json.loads(run("kubectl", "get", "--raw", "/api/v1/nodes/vm/proxy/configz"))
    assert configuration["kubeletconfig"]["cgroupDriver"] == "systemd"
    raw = run("kubectl", "get", "--raw", "/api/v1/nodes/vm/proxy/stats/summary")
    measured = {p["podRef"]["name"]: p for p in json.loads(raw)["pods"]}
    for found in pods:
        told = measured[found["metadata"]["name"]]
        assert told["memory"]["workingSetBytes"] > 0 and told["cpu"]["usageCoreNanoSeconds"] > 0
        assert told["containers"][0]["memory"]["workingSetBytes"] > 0
    run("kubectl", "delete", "-f", str(ROOT / "examples/hello.yaml"))
    folders = CGROUPS.joinpath("kubepods.slice")
    eventually(lambda: not list(folders.glob("**/*-pod*.slice")), "the slices go")


def test_no_memory_left() -> None:
    limits = {"limits": {"memory": "16Mi"}}
    apply(pod("eater", f"sleep {PATIENCE:g}; tail /dev/zero & sleep 1000", resources=limits))
    state = ended("eater")["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (state["reason"], state["exitCode"]) == ("OOMKilled", 137)


PROFILE = """\
profile podwright-no-writes flags=(attach_disconnected) {
  file,
  signal,
  deny /tmp/** w,
}
"""


def test_apparmor_profiles(tmp_path: Path) -> None:
    (tmp_path / "profile").write_text(PROFILE)
    run("apparmor_parser", "--replace", str(tmp_path / "profile"))

    def confined(name: str, script: str, **profile: str) -> None:
        apply(pod(name, script, securityContext={"appArmorProfile": profile}))

    confined("usual", "cat /proc/self/attr/current", type="RuntimeDefault")
    script = "cat /proc/self/attr/current; echo x >/tmp/x || exit 3"
    confined("own", script, type="Localhost", localhostProfile="podwright-no-writes")
    confined("free", "cat /proc/self/attr/current", type="Unconfined")
    confined("unknown", "exit 0", type="Localhost", localhostProfile="podwright-late")
    exits = {}
    for name in ("usual", "own", "free"):
        exits[name] = ended(name)["status"]["containerStatuses"][0]["state"]["terminated"]
    assert "docker-default (enforce)" in run("kubectl", "logs", "usual")
    assert "podwright-no-writes (enforce)" in run("kubectl", "logs", "own")
    assert exits["own"]["exitCode"] == 3
    assert "unconfined" in run("kubectl", "logs", "free")

    def waits() -> dict[str, Any]:
        status = get("pod", "unknown")["status"]["containerStatuses"][0]
        return dict(status["state"]["waiting"])

    eventually(lambda: waits()["reason"] == "CreateContainerError", "the container is refused")
    assert waits()["message"] == "apparmor profile not found podwright-late"
    (tmp_path / "late").write_text(PROFILE.replace("podwright-no-writes", "podwright-late"))
    run("apparmor_parser", "--replace", str(tmp_path / "late"))
    assert ended("unknown")["status"]["phase"] == "Succeeded"
    run("kubectl", "delete", "pods", "usual", "own", "free", "unknown", "--wait=false")


def test_an_nfs_server_of_the_kernel() -> None:
    export = Path("/srv/export")
    export.mkdir(exist_ok=True)
    (export / "greeting").write_text("from the server\n")
    Path("/etc/exports").write_text(f"{export} *(rw,no_root_squash,insecure,no_subtree_check)\n")
    run("systemctl", "start", "nfs-server.service")
    mount = [{"name": "shared", "mountPath": "/shared"}]
    reader = pod("nfs", "cat /shared/greeting && echo back >/shared/answer", volumeMounts=mount)
    reader["spec"]["volumes"] = [
        {"name": "shared", "nfs": {"server": ADDRESS, "path": str(export)}}
    ]
    apply(reader)
    assert ended("nfs")["status"]["phase"] == "Succeeded"
    assert run("kubectl", "logs", "nfs") == "from the server\n"
    assert (export / "answer").read_text() == "back\n"
    run("kubectl", "delete", "pod", "nfs")
    eventually(lambda: "nfs4 " not in Path("/proc/mounts").read_text(), "it is unmounted")


def test_a_block_device(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.write_bytes(b"on the disk" + bytes(2**20))
    device = run("losetup", "--find", "--show", str(disk)).strip()
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": ["vm"]}
    common = {
        "accessModes": ["ReadWriteOnce"],
        "volumeMode": "Block",
        "storageClassName": "by-hand",
    }
    volume = {
        **common,
        "capacity": {"storage": "1Mi"},
        "local": {"path": device},
        "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
    }
    claim = {**common, "resources": {"requests": {"storage": "1Mi"}}}
    for kind, spec in (("PersistentVolume", volume), ("PersistentVolumeClaim", claim)):
        apply({"apiVersion": "v1", "kind": kind, "metadata": {"name": "raw"}, "spec": spec})
    script = "head -c 11 /dev/raw; printf changed >/dev/raw; sync"
    user = pod("raw", script, volumeDevices=[{"name": "raw", "devicePath": "/dev/raw"}])
    user["spec"]["volumes"] = [{"name": "raw", "persistentVolumeClaim": {"claimName": "raw"}}]
    apply(user)
    assert ended("raw")["status"]["phase"] == "Succeeded"
    assert run("kubectl", "logs", "raw") == "on the disk"
    assert disk.read_bytes().startswith(b"changed")
    run("kubectl", "delete", "pod/raw", "pvc/raw", "pv/raw")
    run("losetup", "--detach", device)


def test_a_pod_that_takes_the_nodes_memory_is_evicted() -> None:
    """Memory of a tmpfs is charged to the pod that fills it, and to nobody's limit."""
    greedy = pod(
        "greedy",
        "dd if=/dev/zero of=/memory/all bs=1M count=1400; sleep 10000",
        volumeMounts=[{"name": "memory", "mountPath": "/memory"}],
    )
    greedy["spec"]["volumes"] = [{"name": "memory", "emptyDir": {"medium": "Memory"}}]
    apply(greedy)
    status = ended("greedy")["status"]
    assert status["reason"] == "Evicted", status
    assert "low on resource: memory" in status["message"]
    run("kubectl", "delete", "pod", "greedy")

    def pressed() -> str:
        conditions = get("node", "vm")["status"]["conditions"]
        return str(next(c["status"] for c in conditions if c["type"] == "MemoryPressure"))

    eventually(lambda: pressed() == "False", "the pressure is over")


def test_a_shutdown_waits_for_the_pods() -> None:
    """logind is asked to switch off; when the pods have ended, its target turns out to be masked, so that
    the shutdown is called off and the node takes pods again."""
    held = eventually(
        lambda: (told := run("systemd-inhibit", "--list")) and "podwright-agent" in told and told,
        "the inhibitor lock",
    )
    assert "delay" in held
    script = "trap 'echo ending; sleep 3; echo ended; exit 0' TERM; while :; do sleep 0.2; done"
    apply(pod("worker", script))
    running("worker")
    login = ("org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager")
    try:
        run("busctl", "call", *login, "PowerOff", "b", "false")
        run("systemctl", "mask", "--runtime", "poweroff.target")
        status = ended("worker")["status"]
        assert status["reason"] == "Terminated"
        assert "shutdown" in status["message"]
        assert status["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 0
        assert run("systemctl", "is-system-running", check=False).strip() != "stopping"
        eventually(lambda: "True" in _ready(), "the node is back")
        eventually(
            lambda: "podwright-agent" in run("systemd-inhibit", "--list"), "the lock is held again"
        )
    finally:
        run("systemctl", "unmask", "--runtime", "poweroff.target", check=False)
