from __future__ import annotations

from pathlib import Path

from local.host import traces

MOUNTINFO = r"""
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:26 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
31 22 0:27 / /sys/fs/cgroup/unified rw,relatime shared:2 master:1 - cgroup2 cgroup2 rw
40 22 0:40 / /state/a\040b rw - overlay overlay rw
""".strip()


def test_mountinfo_with_and_without_optional_fields() -> None:
    assert [(str(m.point), m.kind) for m in traces.parse_mountinfo(MOUNTINFO)] == [
        ("/", "ext4"),
        ("/sys/fs/cgroup/cpu", "cgroup"),
        ("/sys/fs/cgroup/unified", "cgroup2"),
        ("/state/a b", "overlay"),
    ]


def test_removing_what_is_not_there(tmp_path: Path) -> None:
    traces.remove_folder(tmp_path / "none")
    traces.remove_shim_sockets(tmp_path / "none")
    traces.remove_cgroups("podwright-unit-test-none")
    assert traces.cgroup_processes("podwright-unit-test-none") == []


def test_a_shim_socket_is_removed_only_from_containerds_own_folder(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.touch()
    bundle = tmp_path / "io.containerd.runtime.v2.task/moby/1"
    bundle.mkdir(parents=True)
    (bundle / "address").write_text(f"unix://{precious}")
    traces.remove_shim_sockets(tmp_path)
    assert precious.exists()
