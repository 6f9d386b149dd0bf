"""Quotas as tables: what objects use, which scopes count them, what fits; and what always holds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api import quantity, timestamps
from api.apps import Deployment
from api.core import (
    Affinity,
    ConfigMap,
    Container,
    PersistentVolumeClaim,
    PersistentVolumeClaimSpec,
    PersistentVolumeClaimStatus,
    Pod,
    PodAffinity,
    PodAffinityTerm,
    PodSpec,
    PodStatus,
    ResourceQuota,
    ResourceQuotaSpec,
    ResourceRequirements,
    ScopedResourceSelectorRequirement,
    ScopeSelector,
    Service,
    ServicePort,
    ServiceSpec,
    VolumeResourceRequirements,
)
from api.meta import LabelSelector, ObjectMeta
from api.scheme import Resource, resource_of
from control.admission.quota.charging import ExceededError, add, charge, counted, difference
from control.admission.quota.scopes import counts
from control.admission.quota.usage import may_use, missing, usage

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


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
    return usage(resource_of(type(obj)), obj, NOW)


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


@pytest.mark.parametrize(("seconds", "used"), [(60, True), (61, False)])
def test_a_pod_that_ought_to_be_gone_is_only_an_object(seconds: int, used: bool) -> None:
    """Its node does not tell; deleted 30 seconds before the moment in its deletionTimestamp."""
    one = pod()
    one.metadata.deletion_timestamp = timestamps.format(NOW - timedelta(seconds=seconds - 30))
    one.metadata.deletion_grace_period_seconds = 30
    assert ("pods" in used_by(one)) is used


def claim(class_name: str | None = None, **more: Any) -> PersistentVolumeClaim:
    resources = VolumeResourceRequirements(requests={"storage": "10Gi"})
    return PersistentVolumeClaim(
        spec=PersistentVolumeClaimSpec(resources=resources, storage_class_name=class_name), **more
    )


CLAIMS = Resource(
    "",
    "v1",
    "PersistentVolumeClaim",
    "persistentvolumeclaims",
    PersistentVolumeClaim,
    True,
    "claim",
)


def test_claims_count_by_class_as_well() -> None:
    plain = {
        "count/persistentvolumeclaims": "1",
        "persistentvolumeclaims": "1",
        "requests.storage": "10Gi",
    }
    assert usage(CLAIMS, claim(), NOW) == plain
    assert usage(CLAIMS, claim("gold"), NOW) == {
        **plain,
        "gold.storageclass.storage.k8s.io/persistentvolumeclaims": "1",
        "gold.storageclass.storage.k8s.io/requests.storage": "10Gi",
    }


def test_a_claim_counts_with_what_is_reserved_for_it() -> None:
    status = PersistentVolumeClaimStatus(allocated_resources={"storage": "1Ti"})
    assert usage(CLAIMS, claim(status=status), NOW)["requests.storage"] == "1Ti"


@pytest.mark.parametrize(
    ("resource", "obj"),
    [
        (resource_of(Pod), pod(container(
            requests={"cpu": "1", "memory": "1", "hugepages-2Mi": "2Mi", "a.b/c": "1"},
            limits={"cpu": "1", "ephemeral-storage": "1", "hugepages-2Mi": "2Mi", "a.b/c": "1"},
        ))),
        (resource_of(Service), service("LoadBalancer", 1)),
        (resource_of(ConfigMap), ConfigMap()),
        (CLAIMS, claim("gold")),
        (resource_of(Deployment), object()),
    ],
)  # fmt: skip
def test_what_an_object_uses_its_kind_may_use(resource: Resource, obj: Any) -> None:
    others = {resource_of(Pod), resource_of(Service), resource_of(ConfigMap), CLAIMS,
              resource_of(Deployment)} - {resource}  # fmt: skip
    for name in usage(resource, obj, NOW):
        assert may_use(resource, name), name
        assert not any(may_use(other, name) for other in others), name


def test_attribute_classes_of_claims() -> None:
    one = claim()
    assert not counts(scoped("VolumeAttributesClass"), one)
    assert counts(selecting("VolumeAttributesClass", "NotIn", ("fast",)), one)
    one.spec.volume_attributes_class_name = "fast"
    assert counts(scoped("VolumeAttributesClass"), one)
    assert counts(selecting("VolumeAttributesClass", "In", ("fast",)), one)
    assert not counts(selecting("VolumeAttributesClass", "NotIn", ("fast",)), one)
    assert not counts(scoped("NotTerminating"), one)


def test_a_quota_with_scopes_counts_nothing_else() -> None:
    assert counts(ResourceQuotaSpec(), service("ClusterIP", 1))
    assert not counts(scoped("NotTerminating"), service("ClusterIP", 1))


def test_a_quota_counts_what_it_names() -> None:
    quota = ResourceQuota(spec=ResourceQuotaSpec(hard={"pods": "1", "limits.cpu": "1"}))
    one = pod(container(requests={"cpu": "1"}))
    assert counted(quota, resource_of(Pod), one, NOW) == {"pods": "1"}
    assert counted(quota, resource_of(Pod), None, NOW) == {}
    quota.spec.scopes = ["BestEffort"]
    assert counted(quota, resource_of(Pod), one, NOW) == {}


def test_other_kinds_count_as_objects() -> None:
    assert used_by(ConfigMap()) == {"count/configmaps": "1", "configmaps": "1"}
    deployment = resource_of(Deployment)
    assert usage(deployment, object(), NOW) == {"count/deployments.apps": "1"}


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


def scoped(*scopes: str) -> ResourceQuotaSpec:
    return ResourceQuotaSpec(scopes=list(scopes))


def selecting(
    scope: str, operator: str = "Exists", values: tuple[str, ...] = ()
) -> ResourceQuotaSpec:
    term = ScopedResourceSelectorRequirement(
        scope_name=scope, operator=operator, values=list(values)
    )
    return ResourceQuotaSpec(scope_selector=ScopeSelector(match_expressions=[term]))


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
    assert counts(scoped(scope), one) is counted
    assert counts(selecting(scope), one) is counted


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
    one = pod(priority_class_name=class_name)
    assert counts(selecting("PriorityClass", operator, ("high",)), one) is counted


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
    assert counts(scoped("CrossNamespacePodAffinity"), one) is counted


def test_what_fits_is_added() -> None:
    hard = {"pods": "3", "requests.cpu": "1"}
    used = {"pods": "2", "requests.cpu": "500m"}
    after = charge("q", hard, used, {"pods": "1", "requests.cpu": "500m"})
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


def test_what_is_given_back_never_makes_less_than_nothing() -> None:
    assert add({"pods": "1", "cpu": "1"}, [{"pods": "-2"}, {"cpu": "500m"}]) == {
        "pods": "0",
        "cpu": "1500m",
    }


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
