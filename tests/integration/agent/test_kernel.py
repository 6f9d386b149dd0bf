"""Mounts and cgroups of the real kernel."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.resources.cgroups import MOUNT, CgroupError, Cgroups
from agent.resources.values import CpuMemory
from agent.volumes import atomic, mounts
from agent.volumes.atomic import File
from agent.volumes.base import VolumeError
from agent.volumes.mounts import KernelMounter, MountError, remove_tree
from agent.volumes.subpath import bind_subpath, release_subpaths

NOW = datetime(2026, 1, 1, tzinfo=UTC)


# Mounts.


def test_memory_is_bounded_and_gone_afterwards(workspace: Path) -> None:
    mounter, target = KernelMounter(), workspace / "with space"
    target.mkdir()
    for _ in range(2):
        mounter.tmpfs(target, size=64 * 1024)
    assert mounter.is_mounted(target)
    assert mounter.below(workspace) == [target]
    with pytest.raises(OSError, match="No space left"):
        (target / "x").write_bytes(b"x" * 200_000)
    for _ in range(2):
        mounter.unmount(target)
    assert not mounter.is_mounted(target)
    assert list(target.iterdir()) == []


@pytest.mark.skipif("hugetlbfs" not in Path("/proc/filesystems").read_text(), reason="none here")
def test_huge_pages_are_a_file_system_of_their_own(workspace: Path) -> None:
    mounter, target = KernelMounter(), workspace / "huge"
    target.mkdir()
    for _ in range(2):
        mounter.huge_pages(target, page=2 * 1024**2, size=4 * 1024**2)
    try:
        assert mounter.is_mounted(target)
        assert os.statvfs(target).f_bsize == 2 * 1024**2
    finally:
        mounter.unmount(target)


def test_what_is_mounted_is_not_looked_up_among_all_mounts(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once a minute for each pod, with five mounts for each pod: their number squared."""
    mounter, target = KernelMounter(), workspace / "memory"
    target.mkdir()
    mounter.tmpfs(target)
    with monkeypatch.context() as patch:
        patch.setattr(mounts, "_mounted_below", lambda directory: pytest.fail("looked up"))
        mounter.tmpfs(target)
    assert mounter.below(target) == [target]
    mounter.unmount(target)


@pytest.mark.parametrize("name", ["back\\slash", "tab\tand\nline", "\\040", "ünicode"])
def test_mounts_below_names_that_the_kernel_writes_otherwise(workspace: Path, name: str) -> None:
    mounter, outer = KernelMounter(), workspace / name
    inner, beside = outer / "in side", workspace / f"{name}-beside"
    for target in (outer, beside):
        target.mkdir()
        mounter.tmpfs(target)
    inner.mkdir()
    mounter.tmpfs(inner)
    assert mounter.below(outer) == [inner, outer]
    assert all(map(mounter.is_mounted, (outer, inner, beside)))
    assert not mounter.is_mounted(workspace / "back")
    remove_tree(outer, mounter)
    assert mounter.below(workspace) == [beside]
    mounter.unmount(beside)


def test_a_refused_mount_says_where(workspace: Path) -> None:
    with pytest.raises(MountError, match="cannot mount tmpfs at"):
        KernelMounter().tmpfs(workspace / "missing")


def test_read_only_goes_all_the_way_down(workspace: Path) -> None:
    mounter, source, target = KernelMounter(), workspace / "source", workspace / "target"
    (source / "below").mkdir(parents=True)
    target.mkdir()
    mounter.tmpfs(source / "below")
    mounter.bind_read_only(source, target)
    for place in (target, target / "below"):
        with pytest.raises(OSError, match="Read-only"):
            (place / "x").touch()
    (source / "below" / "y").write_text("still")
    assert (target / "below" / "y").read_text() == "still"
    remove_tree(target, mounter)
    assert (source / "below" / "y").exists()
    remove_tree(source, mounter)


@pytest.mark.parametrize("number", [1, 2, 60])
def test_layers_laid_over_each_other(workspace: Path, number: int) -> None:
    mounter, target = KernelMounter(), workspace / "target"
    target.mkdir()
    layers = [workspace / ("layer" * 20) / str(position) for position in range(number)]
    for layer in layers:
        layer.mkdir(parents=True)
        (layer / "top").write_text(layer.name)
        (layer / f"own-{layer.name}").touch()
    for _ in range(2):
        mounter.layers([str(layer) for layer in layers], target)
    assert (target / "top").read_text() == "0"
    assert len(list(target.iterdir())) == number + 1
    with pytest.raises(OSError, match="Read-only"):
        (target / "new").touch()
    remove_tree(target, mounter)
    assert (layers[-1] / "top").exists()


def test_layers_that_are_gone(workspace: Path) -> None:
    with pytest.raises(MountError, match="cannot open"):
        KernelMounter().layers([str(workspace / "a"), str(workspace / "b")], workspace)


async def test_a_file_system_without_its_program(workspace: Path) -> None:
    with pytest.raises(MountError, match=r"the node has no mount\.nosuchfs"):
        await KernelMounter().remote("nosuchfs", "server:/x", workspace)


def test_removing_a_pod_never_removes_the_users_files(workspace: Path) -> None:
    """However a killed agent left the mounts: bound twice, nested, over each other."""
    mounter = KernelMounter()
    precious = workspace / "precious"
    (precious / "deep").mkdir(parents=True)
    (precious / "file").write_text("1")
    pod = workspace / "pod"
    for name in ("a", "b"):
        (pod / name).mkdir(parents=True)
        mounter.bind(str(precious), pod / name)
    mounter.bind(str(precious / "deep"), pod / "a" / "deep")
    mounter.bind(str(precious), pod / "b")
    remove_tree(pod, mounter)
    assert not pod.exists()
    assert (precious / "file").read_text() == "1"
    assert (precious / "deep").is_dir()
    remove_tree(pod, mounter)


def test_a_subpath_shows_what_was_opened(workspace: Path) -> None:
    mounter, volume, pod = KernelMounter(), workspace / "volume", workspace / "pod"
    volume.mkdir()
    atomic.write(volume, {"key": File(content=b"old", mode=0o644)}, group=None, now=NOW)
    target = pod / "volume-subpaths" / "v" / "web" / "0"
    bind_subpath(volume, "key", target, mounter=mounter, make=False)
    assert target.read_text() == "old"
    atomic.write(volume, {"key": File(content=b"new", mode=0o644)}, group=None, now=NOW)
    assert target.read_text() == "old"
    release_subpaths(pod, mounter)
    release_subpaths(pod, mounter)
    assert not target.exists()


def test_a_link_put_in_the_way_is_not_followed(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attack: the path is checked, then a container swaps a directory for a link."""
    volume = workspace / "volume"
    (volume / "a").mkdir(parents=True)
    opened = os.open

    def swap(path: str, flags: int, *args: int, dir_fd: int | None = None) -> int:
        if path == "a" and not (volume / "a").is_symlink():
            (volume / "a").rmdir()
            (volume / "a").symlink_to("/etc")
        return opened(path, flags, *args, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", swap)
    mounter = KernelMounter()
    with pytest.raises(VolumeError, match="changed while it was mounted"):
        bind_subpath(volume, "a", workspace / "t", mounter=mounter, make=False)
    assert mounter.below(workspace) == []


# Cgroups.


def values(cgroups: Cgroups, uid: str, qos: str) -> tuple[int, int, int]:
    """Shares (or weight), quota and memory limit as the kernel has them; -1: none."""
    cpu, memory = (cgroups.directory(uid, qos, c) for c in ("cpu", "memory"))
    if (MOUNT / "cgroup.controllers").exists():
        quota, limit = (cpu / "cpu.max").read_text().split()[0], (memory / "memory.max").read_text()
        return (
            int((cpu / "cpu.weight").read_text()),
            -1 if quota == "max" else int(quota),
            -1 if limit.strip() == "max" else int(limit),
        )
    limit_bytes = int((memory / "memory.limit_in_bytes").read_text())
    return (
        int((cpu / "cpu.shares").read_text()),
        int((cpu / "cpu.cfs_quota_us").read_text()),
        -1 if limit_bytes > 2**60 else limit_bytes,
    )


def test_a_pods_cgroup(cgroups: Cgroups) -> None:
    cgroups.ensure_root(CpuMemory(cpu_shares=2048, memory=2**30))
    limits = CpuMemory(cpu_shares=512, cpu_quota=50_000, memory=64 * 1024**2)
    for _ in range(2):
        parent = cgroups.ensure_pod("uid-1", "Burstable", limits)
    assert parent.endswith("/kubepods/burstable/poduid-1")
    unified = (MOUNT / "cgroup.controllers").exists()
    assert values(cgroups, "uid-1", "Burstable") == (
        limits.cpu_weight if unified else 512,
        50_000,
        64 * 1024**2,
    )
    cgroups.ensure_pod("uid-1", "Burstable", CpuMemory(cpu_shares=2))
    assert values(cgroups, "uid-1", "Burstable")[1:] == (-1, -1)
    assert cgroups.pod_uids() == {"uid-1"}


def test_a_pods_cgroup_is_removed_with_what_is_below(cgroups: Cgroups) -> None:
    cgroups.ensure_root(CpuMemory())
    cgroups.ensure_pod("uid-1", "BestEffort", CpuMemory())
    below = cgroups.directory("uid-1", "BestEffort", "memory") / "container"
    below.mkdir()
    for _ in range(2):
        cgroups.remove_pod("uid-1", "BestEffort")
    assert cgroups.pod_uids() == set()
    assert not below.exists()


def test_strays_are_found_in_every_class(cgroups: Cgroups) -> None:
    cgroups.ensure_root(CpuMemory())
    for number, qos in enumerate(("Guaranteed", "Burstable", "BestEffort")):
        cgroups.ensure_pod(f"uid-{number}", qos, CpuMemory())
    assert cgroups.pod_uids() == {"uid-0", "uid-1", "uid-2"}
    cgroups.remove_strays({"uid-0", "uid-2", "unheard-of"})
    assert cgroups.pod_uids() == {"uid-1"}


def test_a_value_that_the_kernel_refuses(cgroups: Cgroups) -> None:
    cgroups.ensure_root(CpuMemory())
    with pytest.raises(CgroupError, match="cannot write 1"):
        cgroups.ensure_pod("uid-1", "Guaranteed", CpuMemory(cpu_quota=1))
