"""Requests and limits as cgroup values and OOM scores; what is left of a node."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.containers.script import FAKE_ENGINE
from agent.node.identity import _kept, identity
from agent.resources import hugepages
from agent.resources.cgroups import Cgroups, Layout
from agent.resources.values import (
    CpuMemory,
    allocatable,
    container_values,
    cpu_quota,
    cpu_shares,
    node_values,
    oom_score,
    pod_values,
)
from agent.settings import load
from api.core import Container, ResourceRequirements
from base.settings import SettingsError
from tests.unit.agent.builders import container, make_pod, sidecar

MIB = 1024**2


def sized(name: str = "web", cpu: str = "", memory: str = "", **limits: str) -> Container:
    requests = {k: v for k, v in (("cpu", cpu), ("memory", memory)) if v}
    return container(name, resources=ResourceRequirements(requests=requests, limits=limits))


@pytest.mark.parametrize(
    ("millicores", "shares"), [(0, 2), (1, 2), (2, 2), (100, 102), (1000, 1024), (10**9, 262144)]
)
def test_cpu_shares(millicores: int, shares: int) -> None:
    assert cpu_shares(millicores) == shares


@pytest.mark.parametrize(
    ("millicores", "quota"), [(0, 0), (1, 1000), (10, 1000), (100, 10000), (2500, 250000)]
)
def test_cpu_quota(millicores: int, quota: int) -> None:
    assert cpu_quota(millicores) == quota


@pytest.mark.parametrize(("shares", "weight"), [(2, 1), (1024, 39), (262144, 10000)])
def test_weights_of_version_2(shares: int, weight: int) -> None:
    assert CpuMemory(cpu_shares=shares).cpu_weight == weight


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (sized(), CpuMemory(cpu_shares=2)),
        (sized(cpu="250m"), CpuMemory(cpu_shares=256)),
        (
            container(
                resources=ResourceRequirements(
                    requests={"cpu": "250m"}, limits={"cpu": "500m", "memory": "64Mi"}
                )
            ),
            CpuMemory(cpu_shares=256, cpu_quota=50000, memory=64 * MIB),
        ),
        (
            container(resources=ResourceRequirements(limits={"cpu": "1"})),
            CpuMemory(cpu_shares=1024, cpu_quota=100000),
        ),
    ],
)
def test_containers(spec: Container, expected: CpuMemory) -> None:
    assert container_values(spec) == expected


def limited(name: str, cpu: str, memory: str) -> Container:
    both = {"cpu": cpu, "memory": memory}
    return container(name, resources=ResourceRequirements(requests=both, limits=both))


def test_a_pod_is_the_sum_of_its_containers() -> None:
    pod = make_pod(limited("a", "100m", "10Mi"), limited("b", "300m", "30Mi"))
    assert pod_values(pod) == CpuMemory(cpu_shares=409, cpu_quota=40000, memory=40 * MIB)


def test_one_container_without_limit_unlimits_the_pod() -> None:
    pod = make_pod(limited("a", "100m", "10Mi"), container("b"))
    assert pod_values(pod) == CpuMemory(cpu_shares=102)


def test_the_overhead_of_a_runtime_is_the_pods() -> None:
    pod = make_pod(limited("a", "100m", "10Mi"), overhead={"cpu": "300m", "memory": "30Mi"})
    assert pod_values(pod) == CpuMemory(cpu_shares=409, cpu_quota=40000, memory=40 * MIB)
    assert pod_values(make_pod(overhead={"memory": "30Mi"})).memory == 0, "it makes no limit"


def test_a_large_init_container_counts() -> None:
    pod = make_pod(limited("a", "100m", "10Mi"), inits=[limited("i", "500m", "90Mi")])
    assert pod_values(pod).memory == 90 * MIB


OOM = [
    # request and limit of memory, node memory, lowest, score
    ("1Gi", "1Gi", 4096 * MIB, -999, -997),
    ("", "", 4096 * MIB, -999, 1000),
    ("0", "64Mi", 4096 * MIB, -999, 999),
    ("2Gi", "", 4096 * MIB, -999, 500),
    ("4Gi", "", 4096 * MIB, -999, 3),
    ("1", "", 4096 * MIB, -999, 999),
    ("1Gi", "1Gi", 4096 * MIB, 0, 0),
    ("2Gi", "", 4096 * MIB, 0, 500),
]


@pytest.mark.parametrize(("memory", "limit", "node", "lowest", "score"), OOM)
def test_oom_scores(memory: str, limit: str, node: int, lowest: int, score: int) -> None:
    cpu = "1" if memory and memory == limit else ""
    amounts = [{k: v for k, v in (("cpu", cpu), ("memory", size)) if v} for size in (memory, limit)]
    spec = container(resources=ResourceRequirements(requests=amounts[0], limits=amounts[1]))
    assert oom_score(make_pod(spec), spec, node_memory=node, lowest=lowest) == score


def test_a_node_critical_pod_goes_as_late_as_the_guaranteed() -> None:
    spec = sized()
    pod = make_pod(spec, priority_class_name="system-node-critical", priority=2_000_001_000)
    assert oom_score(pod, spec, node_memory=4096 * MIB, lowest=-999) == -997
    pod = make_pod(spec, priority_class_name="system-cluster-critical", priority=2_000_000_000)
    assert oom_score(pod, spec, node_memory=4096 * MIB, lowest=-999) == 1000


def test_a_sidecar_goes_no_sooner_than_what_it_serves() -> None:
    side = sidecar(resources=ResourceRequirements(requests={"memory": "1Gi"}))
    mains = [sized("a", memory="2Gi"), sized("b", memory="3Gi")]
    pod = make_pod(*mains, inits=[side])
    assert [oom_score(pod, one, node_memory=4096 * MIB, lowest=-999) for one in (side, *mains)] == [
        500,
        500,
        250,
    ]
    large = sidecar(resources=ResourceRequirements(requests={"memory": "3Gi"}))
    pod = make_pod(*mains, inits=[large])
    assert oom_score(pod, large, node_memory=4096 * MIB, lowest=-999) == 250


def test_what_a_pod_requests_beyond_its_containers_protects_them_all() -> None:
    whole = ResourceRequirements(requests={"memory": "3Gi"}, limits={"memory": "4Gi"})
    one, other = sized("a", memory="1Gi"), sized("b")
    pod = make_pod(one, other, resources=whole)
    assert [oom_score(pod, c, node_memory=4096 * MIB, lowest=-999) for c in (one, other)] == [
        500,
        750,
    ]


def test_a_container_without_a_limit_has_that_of_its_pod() -> None:
    whole = ResourceRequirements(
        requests={"cpu": "1", "memory": "64Mi"}, limits={"cpu": "2", "memory": "128Mi"}
    )
    assert container_values(sized(), whole) == CpuMemory(
        cpu_shares=2048, cpu_quota=200_000, memory=128 * MIB
    )
    own = container(
        resources=ResourceRequirements(requests={"cpu": "500m"}, limits={"memory": "32Mi"})
    )
    assert container_values(own, whole) == CpuMemory(
        cpu_shares=512, cpu_quota=200_000, memory=32 * MIB
    )
    pod = make_pod(own, resources=whole)
    assert pod_values(pod) == CpuMemory(cpu_shares=1024, cpu_quota=200_000, memory=128 * MIB)


def test_a_limit_of_zero_is_none() -> None:
    none = container("a", resources=ResourceRequirements(limits={"cpu": "0", "memory": "0"}))
    assert container_values(none) == CpuMemory(cpu_shares=2)
    assert pod_values(make_pod(none, limited("b", "100m", "10Mi"))) == CpuMemory(cpu_shares=102)


def test_allocatable() -> None:
    capacity = {"cpu": "4", "memory": "8Gi", "pods": "110"}
    left = allocatable(capacity, {"cpu": "500m", "memory": "1Gi"}, {"memory": 100 * MIB})
    assert left == {"cpu": "3500m", "memory": "7068Mi", "pods": "110"}
    assert allocatable(capacity, {"memory": "9Gi"}, {})["memory"] == "0"
    disk = {"ephemeral-storage": "100Gi", "memory": "8Gi"}
    left = allocatable(disk, {"ephemeral-storage": "1Gi"}, {"ephemeral-storage": 10 * 1024 * MIB})
    assert left["ephemeral-storage"] == "89Gi"
    huge = {"memory": "8Gi", "hugepages-2Mi": "1Gi", "hugepages-1Gi": "2Gi"}
    assert allocatable(huge, {}, {}) == huge | {"memory": "5Gi"}


def test_what_a_machine_is_declared_to_have() -> None:
    words = ["--capacity=example.com/gpu=2", "--capacity=memory=4096Mi", "--max-pods=7"]
    words += ["--capacity=hugepages-2Mi=1Gi", "--system-reserved=memory=1Gi"]
    made = identity(load(words, {}), FAKE_ENGINE, name="n", address="192.0.2.1")
    assert made.capacity.items() >= {
        ("example.com/gpu", "2"),
        ("memory", "4Gi"),
        ("hugepages-2Mi", "1Gi"),
        ("pods", "7"),
    }
    left = made.allocatable
    assert (left["example.com/gpu"], left["pods"]) == ("2", "7")
    # Without huge pages, what is reserved, and what eviction keeps free.
    assert left["memory"] == f"{4096 - 1024 - 1024 - 100}Mi"


def test_all_pods_together_have_what_is_not_reserved() -> None:
    words = ["--system-reserved=cpu=500m", "--kube-reserved=cpu=500m", "--kube-reserved=memory=1Gi"]
    reserved = load(words, {}).reserved()
    assert reserved == {"cpu": "1", "memory": "1Gi"}
    for wrong in ("--kube-reserved=disk=1Gi", "--system-reserved=cpu"):
        with pytest.raises(SettingsError):
            load([wrong], {})
    capacity = {"cpu": "4", "memory": "8Gi", "hugepages-2Mi": "1Gi"}
    assert node_values(capacity, reserved) == CpuMemory(cpu_shares=3072, memory=7168 * MIB)
    assert node_values(capacity, {}) == CpuMemory(cpu_shares=4096, memory=8192 * MIB)


def test_no_swap_in_version_1(tmp_path: Path) -> None:
    for tree in ("cpu", "memory", "pids"):
        (tmp_path / tree / "kubepods" / "podu").mkdir(parents=True)
    file = tmp_path / "memory" / "kubepods" / "podu" / "memory.swappiness"
    file.write_text("60")
    Cgroups(Layout(version=1, mount=tmp_path)).ensure_pod("u", "Guaranteed", CpuMemory())
    assert file.read_text() == "0"


def test_what_the_hard_thresholds_keep() -> None:
    settings = load(
        ["--eviction-hard=memory.available<1Gi", "--eviction-hard=nodefs.available<10%"], {}
    )
    kept = _kept(settings, {"memory": "8Gi", "ephemeral-storage": "100Gi"})
    assert kept == {"memory": 1024 * MIB, "ephemeral-storage": 10 * 1024 * MIB}
    assert _kept(load(["--eviction-hard=pid.available<5%"], {}), {"memory": "8Gi"}) == {"memory": 0}


# Huge pages.


def test_huge_pages_of_the_machine(tmp_path: Path) -> None:
    for size, count in (("2048", "16"), ("1048576", "0")):
        folder = tmp_path / f"hugepages-{size}kB"
        folder.mkdir()
        (folder / "nr_hugepages").write_text(f"{count}\n")
    found = hugepages.read(tmp_path)
    assert found == {"hugepages-2Mi": "32Mi", "hugepages-1Gi": "0"}
    assert hugepages.total(found | {"memory": "9Gi"}) == 32 * MIB
    limits = hugepages.limits(found, {"hugepages-2Mi": 4 * MIB, "memory": 1})
    assert limits == {"2MB": 4 * MIB, "1GB": 0}, "what was not asked for may not be used"
    assert hugepages.read(tmp_path / "none") == {}
    assert hugepages.cgroup_size(64 * 1024) == "64KB"


@pytest.mark.parametrize(("version", "file"), [(1, "limit_in_bytes"), (2, "max")])
def test_a_pod_is_kept_to_its_huge_pages(tmp_path: Path, version: int, file: str) -> None:
    cgroups = Cgroups(Layout(version=version, mount=tmp_path))
    cgroups.limit_huge_pages("u", "Burstable", {"2MB": 4})  # without the controller: nothing
    tree = tmp_path / "hugetlb" if version == 1 else tmp_path
    path = tree / "kubepods" / "burstable" / "podu"
    assert version == 2 or not path.exists()
    path.mkdir(parents=True, exist_ok=True)
    for size in ("2MB", "1GB"):
        (path / f"hugetlb.{size}.{file}").write_text("max")
    cgroups.limit_huge_pages("u", "Burstable", {"2MB": 4 * MIB, "1GB": 0, "64KB": 1})
    assert (path / f"hugetlb.2MB.{file}").read_text() == str(4 * MIB)
    assert (path / f"hugetlb.1GB.{file}").read_text() == "0"
