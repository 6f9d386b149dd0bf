"""Quotas as tables: what objects use, which scopes count them, what fits; and what always holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api import quantity
from api.apps import Deployment
from api.core import (
    Affinity,
    ConfigMap,
    Container,
    Pod,
    PodAffinity,
    PodAffinityTerm,
    PodSpec,
    PodStatus,
    ResourceRequirements,
    Service,
    ServicePort,
    ServiceSpec,
)
from api.meta import LabelSelector, ObjectMeta
from api.scheme import resource_of
from control.admission.quota.charging import ExceededError, charge
from control.admission.quota.scopes import counts
from control.admission.quota.usage import difference, missing, usage


def container(name: str = "c", **amounts: dict[str, str]) -> Container:
    return Container(name=name, image="i", resources=ResourceRequirements(**amounts))


def pod(*containers: Container, phase: str = "", **spec: Any) -> Pod:
    return Pod(
        metadata=ObjectMeta(name="p", namespace="ns"),
        spec=PodSpec(containers=list(containers) or [container()], **spec),
        status=PodStatus(phase=phase),
    )


def service(type_: str, ports: int, **more: Any) -> Service:
    listed = [ServicePort(port=80 + number) for number in range(ports)]
    return Service(spec=ServiceSpec(type=type_, ports=listed, **more))


def used_by(obj: Any) -> dict[str, str]:
    return usage(resource_of(type(obj)), obj)


def test_a_pod_counts_under_every_name() -> None:
    one = pod(
        container(
            requests={"cpu": "500m", "memory": "1Gi", "example.com/gpu": "2"},
            limits={"cpu": "1", "memory": "2Gi", "example.com/gpu": "2"},
        )
    )
    assert used_by(one) == {
        "count/pods": "1",
        "pods": "1",
        "cpu": "500m",
        "requests.cpu": "500m",
        "limits.cpu": "1",
        "memory": "1Gi",
        "requests.memory": "1Gi",
        "limits.memory": "2Gi",
        "requests.example.com/gpu": "2",
    }


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_pod_that_has_ended_is_only_an_object(phase: str) -> None:
    assert used_by(pod(container(requests={"cpu": "1"}), phase=phase)) == {"count/pods": "1"}


@pytest.mark.parametrize(
    ("made", "used"),
    [
        (service("ClusterIP", 2), {"services": "1"}),
        (service("NodePort", 2), {"services": "1", "services.nodeports": "2"}),
        (
            service("LoadBalancer", 1),
            {"services": "1", "services.loadbalancers": "1", "services.nodeports": "1"},
        ),
        (
            service("LoadBalancer", 1, allocate_load_balancer_node_ports=False),
            {"services": "1", "services.loadbalancers": "1", "services.nodeports": "0"},
        ),
    ],
)
def test_services(made: Service, used: dict[str, str]) -> None:
    assert used_by(made) == {"count/services": "1", **used}


def test_other_kinds_count_as_objects() -> None:
    assert used_by(ConfigMap()) == {"count/configmaps": "1", "configmaps": "1"}
    deployment = resource_of(Deployment)
    assert usage(deployment, object()) == {"count/deployments.apps": "1"}


@pytest.mark.parametrize(
    ("one", "hard", "said"),
    [
        (pod(), ["pods", "count/pods", "requests.ephemeral-storage"], ""),
        (pod(), ["limits.cpu"], "must specify limits.cpu for: c"),
        (pod(container(requests={"cpu": "1"})), ["cpu", "requests.cpu"], ""),
        (
            pod(container("b"), container("a"), container("d", limits={"cpu": "1"})),
            ["limits.cpu", "memory"],
            "must specify limits.cpu for: a,b; memory for: a,b,d",
        ),
        (pod(init_containers=[container("i")]), ["requests.cpu"],
         "must specify requests.cpu for: c,i"),
        (pod(resources=ResourceRequirements(limits={"cpu": "1"})), ["limits.cpu"], ""),
    ],
)  # fmt: skip
def test_what_containers_must_say(one: Pod, hard: list[str], said: str) -> None:
    assert missing(one, dict.fromkeys(hard, "10")) == said


@dataclass(frozen=True)
class Requirement:
    scope_name: str
    operator: str
    values: tuple[str, ...] = ()


@pytest.mark.parametrize(
    ("one", "scope", "counted"),
    [
        (pod(active_deadline_seconds=5), "Terminating", True),
        (pod(), "Terminating", False),
        (pod(), "NotTerminating", True),
        (pod(), "BestEffort", True),
        (pod(container(requests={"cpu": "1"})), "BestEffort", False),
        (pod(container(requests={"cpu": "1"})), "NotBestEffort", True),
        (pod(priority_class_name="high"), "PriorityClass", True),
        (pod(), "PriorityClass", False),
        (pod(), "CrossNamespacePodAffinity", False),
        (pod(), "VolumeAttributesClass", False),
    ],
)
def test_scopes(one: Pod, scope: str, counted: bool) -> None:
    assert counts(one, [scope]) is counted
    assert counts(one, [], [Requirement(scope, "Exists")]) is counted


@pytest.mark.parametrize(
    ("class_name", "operator", "counted"),
    [
        ("high", "In", True),
        ("low", "In", False),
        ("", "In", False),
        ("high", "NotIn", False),
        ("low", "NotIn", True),
        ("", "NotIn", True),
        ("high", "DoesNotExist", False),
        ("", "DoesNotExist", True),
    ],
)
def test_priority_classes(class_name: str, operator: str, counted: bool) -> None:
    requirement = Requirement("PriorityClass", operator, ("high",))
    assert counts(pod(priority_class_name=class_name), [], [requirement]) is counted


@pytest.mark.parametrize(
    ("term", "counted"),
    [
        ({}, False),
        ({"namespaces": ["other"]}, True),
        ({"namespace_selector": LabelSelector()}, True),
    ],
)
def test_affinity_to_other_namespaces(term: dict[str, Any], counted: bool) -> None:
    near = PodAffinity(
        required_during_scheduling_ignored_during_execution=[
            PodAffinityTerm(topology_key="zone", **term)
        ]
    )
    one = pod(affinity=Affinity(pod_affinity=near))
    assert counts(one, ["CrossNamespacePodAffinity"]) is counted


def test_what_fits_is_added() -> None:
    hard = {"pods": "3", "requests.cpu": "1"}
    after = charge("q", hard, {"pods": "2", "requests.cpu": "500m"},
                   {"pods": "1", "requests.cpu": "500m", "secrets": "1"})  # fmt: skip
    assert after == {"pods": "3", "requests.cpu": "1"}


def test_what_does_not_fit_is_told_as_kubernetes_does() -> None:
    with pytest.raises(ExceededError) as caught:
        charge("q", {"pods": "2", "cpu": "1", "memory": "1Gi"},
               {"pods": "2", "cpu": "900m", "memory": "0"},
               {"pods": "1", "cpu": "200m", "memory": "1Mi"})  # fmt: skip
    assert str(caught.value) == (
        "exceeded quota: q, requested: cpu=200m,pods=1, used: cpu=900m,pods=2, "
        "limited: cpu=1,pods=2"
    )


def test_what_is_over_already_may_shrink() -> None:
    assert charge("q", {"pods": "1"}, {"pods": "5"}, {"pods": "-1"}) == {"pods": "4"}


def test_only_what_changes_is_charged() -> None:
    assert difference({"pods": "1", "cpu": "2"}, {"pods": "1", "cpu": "500m", "memory": "1Gi"}) == {
        "cpu": "1500m",
        "memory": "-1Gi",
    }


@given(
    hard=st.integers(0, 20),
    changes=st.lists(st.integers(-5, 5), max_size=60),
)
def test_a_quota_is_never_exceeded(hard: int, changes: list[int]) -> None:
    """Whatever comes and goes, and in whatever order: used is what was let in, and within bounds."""
    used, total = {"pods": "0"}, 0
    for change in changes:
        change = max(change, -total)  # nobody deletes what is not there
        try:
            used = charge("q", {"pods": str(hard)}, used, {"pods": str(change)})
        except ExceededError:
            assert total + change > hard
            continue
        total += change
        assert quantity.value(used["pods"]) == total <= hard
