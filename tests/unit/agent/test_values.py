"""Requests and limits as cgroup values and OOM scores; what is left of a node."""

from __future__ import annotations

import pytest

from agent.resources.values import (
    CpuMemory,
    allocatable,
    container_values,
    cpu_quota,
    cpu_shares,
    oom_score,
    pod_values,
    sum_shares,
)
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


def test_a_class_weighs_its_pods() -> None:
    assert sum_shares([make_pod(limited("a", "500m", "1Mi")) for _ in range(4)]) == 2048
    assert sum_shares([]) == 2


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
    left = allocatable(capacity, {"cpu": "500m", "memory": "1Gi"}, 100 * MIB)
    assert left == {"cpu": "3500m", "memory": "7068Mi", "pods": "110"}
    assert allocatable(capacity, {"memory": "9Gi"}, 0)["memory"] == "0"
