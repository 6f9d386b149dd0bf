"""Requests and limits as cgroup values and OOM scores; what is left of a node."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.node.identity import _kept
from agent.resources import hugepages
from agent.resources.cgroups import Cgroups, Layout
from agent.resources.values import (
    CpuMemory,
    allocatable,
    container_values,
    cpu_quota,
    cpu_shares,
    oom_score,
    pod_values,
)
from agent.settings import load
from api.core import Container, ResourceRequirements
from tests.unit.agent.builders import container, make_pod

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


def test_a_large_init_container_counts() -> None:
    pod = make_pod(limited("a", "100m", "10Mi"), inits=[limited("i", "500m", "90Mi")])
    assert pod_values(pod).memory == 90 * MIB


OOM = [
    # qos, requested memory, node memory, lowest, score
    ("Guaranteed", "1Gi", 4096 * MIB, -999, -997),
    ("BestEffort", "", 4096 * MIB, -999, 1000),
    ("Burstable", "", 4096 * MIB, -999, 999),
    ("Burstable", "2Gi", 4096 * MIB, -999, 500),
    ("Burstable", "4Gi", 4096 * MIB, -999, 3),
    ("Burstable", "1", 4096 * MIB, -999, 999),
    ("Guaranteed", "1Gi", 4096 * MIB, 0, 0),
    ("Burstable", "2Gi", 4096 * MIB, 0, 500),
]


@pytest.mark.parametrize(("qos", "memory", "node", "lowest", "score"), OOM)
def test_oom_scores(qos: str, memory: str, node: int, lowest: int, score: int) -> None:
    spec = sized(memory=memory)
    assert oom_score(spec, qos=qos, node_memory=node, lowest=lowest) == score


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
