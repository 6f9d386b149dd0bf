"""What pods ask of isolation and of storage, as programs in real containers find it."""

from __future__ import annotations

import json
from pathlib import Path

from api.core import (
    Capabilities,
    Container,
    HostPathVolumeSource,
    ImageVolumeSource,
    LocalVolumeSource,
    ObjectReference,
    PersistentVolume,
    PersistentVolumeClaim,
    PersistentVolumeClaimSpec,
    PersistentVolumeClaimStatus,
    PersistentVolumeClaimVolumeSource,
    PersistentVolumeSpec,
    PodSecurityContext,
    SeccompProfile,
    SecurityContext,
    Sysctl,
    Volume,
    VolumeMount,
)
from api.meta import ObjectMeta
from base.process import run
from tests.engine import BUSYBOX
from tests.integration.agent.conftest import RealNode
from tests.integration.agent.test_pods import FOREVER, delete, shell
from tests.unit.agent.builders import make_pod

NO_FOLDERS = {
    "defaultAction": "SCMP_ACT_ALLOW",
    "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}],
}


async def test_profiles_sysctls_and_groups(node: RealNode) -> None:
    root = node.directory / "seccomp"
    root.mkdir()
    (root / "no-folders.json").write_text(json.dumps(NO_FOLDERS))
    context = PodSecurityContext(
        run_as_user=1000,
        supplemental_groups=[4000],
        supplemental_groups_policy="Strict",
        seccomp_profile=SeccompProfile(type="Localhost", localhost_profile="no-folders.json"),
        sysctls=[Sysctl(name="net/ipv4/ip_unprivileged_port_start", value="80")],
    )
    free = SecurityContext(seccomp_profile=SeccompProfile(type="Unconfined"))
    both = [shell(FOREVER), shell(FOREVER, "free", security_context=free)]
    node.api.put(make_pod(*both, security_context=context))
    await node.until(node.ready)
    assert "not permitted" in await node.exec("mkdir /tmp/x 2>&1")
    assert await node.exec("mkdir /x 2>&1 | grep -c 'not permitted'", "free") == "0\n"
    assert await node.exec("id -u; id -g; id -G") == "1000\n0\n0 4000\n"
    status = node.status()
    assert status is not None and status.user is not None and status.user.linux is not None
    seen = status.user.linux
    assert (seen.uid, seen.gid, set(seen.supplemental_groups)) == (1000, 0, {0, 4000})
    assert await node.exec("cat /proc/sys/net/ipv4/ip_unprivileged_port_start") == "80\n"


async def test_volumes_of_images_and_claims(node: RealNode, workspace: Path) -> None:
    disk = workspace / "disk"
    disk.mkdir()
    (disk / "kept").touch(mode=0o600)
    reference = ObjectReference(uid="c-1")
    node.api.put(
        PersistentVolumeClaim(
            metadata=ObjectMeta(name="data", namespace="ns", uid="c-1"),
            spec=PersistentVolumeClaimSpec(volume_name="pv"),
            status=PersistentVolumeClaimStatus(phase="Bound"),
        )
    )
    local = LocalVolumeSource(path=str(disk))
    node.api.put(
        PersistentVolume(
            metadata=ObjectMeta(name="pv"),
            spec=PersistentVolumeSpec(claim_ref=reference, local=local),
        )
    )
    claim = PersistentVolumeClaimVolumeSource(claim_name="data")
    image = ImageVolumeSource(reference=BUSYBOX, pull_policy="Never")
    host = HostPathVolumeSource(path=str(node.directory))
    mounts = [
        VolumeMount(name="data", mount_path="/data"),
        VolumeMount(name="image", mount_path="/image"),
        VolumeMount(name="image", mount_path="/part", sub_path="bin"),
        VolumeMount(name="host", mount_path="/host", read_only=True, recursive_read_only="Enabled"),
    ]
    node.api.put(
        make_pod(
            shell(FOREVER, volume_mounts=mounts),
            security_context=PodSecurityContext(run_as_user=1000, fs_group=2000),
            volumes=[
                Volume(name="data", persistent_volume_claim=claim),
                Volume(name="image", image=image),
                Volume(name="host", host_path=host),
            ],
        )
    )
    await node.until(node.ready)
    await node.exec("echo 1 > /data/new; echo 2 > /data/kept")
    assert (disk / "kept").read_text() == "2\n"
    assert (disk / "new").stat().st_gid == 2000
    assert await node.exec("test -e /image/bin/sh && test -e /part/sh && echo there") == "there\n"
    assert "Permission denied" in await node.exec("/image/bin/busybox true 2>&1")
    assert "Read-only" in await node.exec("touch /image/x 2>&1")
    pod = make_pod().metadata.uid
    below = f"/host/pods/{pod}/volumes/image"
    assert "Read-only" in await node.exec(f"touch {below}/x 2>&1")
    status = node.status()
    assert status is not None
    assert {m.mount_path: m.recursive_read_only for m in status.volume_mounts}["/host"] == "Enabled"
    await delete(node)
    assert (disk / "new").exists()
    assert str(node.directory) not in Path("/proc/self/mountinfo").read_text()


async def test_mounts_that_travel(node: RealNode, workspace: Path) -> None:
    folder = workspace / "travelling"
    folder.mkdir()
    for argv in (["--bind", folder, folder], ["--make-rshared", folder]):
        run(["mount", *argv])
    (folder / "both").mkdir()
    (folder / "late").mkdir()
    volume = Volume(name="v", host_path=HostPathVolumeSource(path=str(folder)))

    def sees(name: str, mode: str, **context: object) -> Container:
        mount = VolumeMount(name="v", mount_path="/v", mount_propagation=mode)
        security = SecurityContext(**context)  # type: ignore[arg-type]
        return shell(FOREVER, name, volume_mounts=[mount], security_context=security)

    admin = Capabilities(add=["SYS_ADMIN"])
    unconfined = SeccompProfile(type="Unconfined")
    containers = [
        sees("web", "HostToContainer"),
        sees("apart", "None"),
        sees("gives", "Bidirectional", capabilities=admin, seccomp_profile=unconfined),
    ]
    node.api.put(make_pod(*containers, volumes=[volume]))
    await node.until(node.ready)
    run(["mount", "-t", "tmpfs", "late", folder / "late"])
    (folder / "late" / "file").touch()
    look = "ls /v/late"
    assert [await node.exec(look, c.name) for c in containers] == ["file\n", "", "file\n"]
    assert await node.exec("mount -t tmpfs made /v/both 2>&1 && touch /v/both/file", "gives") == ""
    assert (folder / "both" / "file").exists()
    assert await node.exec("ls /v/both") == "file\n"
    await delete(node)
    run(["umount", folder / "both"])
    assert (folder / "late" / "file").exists(), "what the node mounted is the node's"
