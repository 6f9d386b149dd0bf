"""Evictions: what budgets allow, what they refuse in which words, and what an eviction leaves."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import pytest_asyncio

from api.core import Container, Pod, PodCondition, PodSpec
from api.errors import ApiError
from api.meta import DeleteOptions, LabelSelector, ObjectMeta, Preconditions
from api.policy import (
    Eviction,
    PodDisruptionBudget,
    PodDisruptionBudgetSpec,
    PodDisruptionBudgetStatus,
)
from api.selectors import from_label_selector
from control.apiserver.local import LocalClient
from control.apiserver.registry import evicting

LABELS = {"app": "web"}
VIOLATES = "Cannot evict pod as it would violate the pod's disruption budget."


@pytest_asyncio.fixture
async def budget(client: LocalClient) -> PodDisruptionBudget:
    """Allows one disruption."""
    return await make_budget(client, "pdb", allowed=1)


async def make_budget(
    client: LocalClient, name: str, *, allowed: int, seen: bool = True, **spec: Any
) -> PodDisruptionBudget:
    selector = LabelSelector(match_labels=LABELS)
    made = await client.create(
        PodDisruptionBudget(
            metadata=ObjectMeta(name=name, namespace="ns"),
            spec=PodDisruptionBudgetSpec(min_available=1, selector=selector, **spec),
        )
    )
    if not seen:
        return made
    made.status = PodDisruptionBudgetStatus(
        observed_generation=made.metadata.generation,
        disruptions_allowed=allowed,
        current_healthy=2,
        desired_healthy=2 - allowed,
        expected_pods=2,
    )
    return await client.update(made, subresource="status")


async def make_pod(
    client: LocalClient, name: str = "p", *, phase: str = "Running", ready: bool = True
) -> Pod:
    made = await client.create(
        Pod(
            metadata=ObjectMeta(name=name, namespace="ns", labels=LABELS),
            spec=PodSpec(node_name="n", containers=[Container(name="c", image="i")]),
        )
    )
    made.status.phase = phase
    made.status.conditions = [PodCondition(type="Ready", status="True" if ready else "False")]
    return await client.update(made, subresource="status")


async def evict(client: LocalClient, name: str = "p", **options: Any) -> Any:
    body = Eviction(
        metadata=ObjectMeta(name=name, namespace="ns"),
        delete_options=DeleteOptions(**options) if options else None,
    )
    return await client.create_subresource(Pod, name, "ns", "eviction", body)


async def is_leaving(client: LocalClient, name: str = "p") -> bool:
    pod = await client.get(Pod, name, "ns")
    return pod.metadata.deletion_timestamp is not None


async def test_a_pod_without_a_budget_goes(client: LocalClient) -> None:
    await make_pod(client)
    status = await evict(client)
    assert (status.status, status.code) == ("Success", 201)
    pod = await client.get(Pod, "p", "ns")
    assert pod.metadata.deletion_timestamp is not None
    (condition,) = [one for one in pod.status.conditions if one.type == "DisruptionTarget"]
    assert (condition.status, condition.reason) == ("True", "EvictionByEvictionAPI")


async def test_a_budget_is_used_up(client: LocalClient, budget: PodDisruptionBudget) -> None:
    for name in ("p", "q"):
        await make_pod(client, name)
    await evict(client, "p")
    left = await client.get(PodDisruptionBudget, "pdb", "ns")
    assert left.status.disruptions_allowed == 0
    assert list(left.status.disrupted_pods) == ["p"]
    assert left.status.conditions[0].reason == "InsufficientPods"
    with pytest.raises(ApiError) as caught:
        await evict(client, "q")
    error = caught.value
    assert (error.code, error.reason, error.message) == (429, "TooManyRequests", VIOLATES)
    assert error.status.details is not None
    (cause,) = error.status.details.causes
    assert cause.reason == "DisruptionBudget"
    assert cause.message == ("The disruption budget pdb needs 1 healthy pods and has 2 currently")
    assert not await is_leaving(client, "q")


async def test_of_many_at_once_as_many_go_as_may(client: LocalClient) -> None:
    await make_budget(client, "pdb", allowed=2)
    names = [f"p{number}" for number in range(8)]
    for name in names:
        await make_pod(client, name)
    answers = await asyncio.gather(*(evict(client, name) for name in names), return_exceptions=True)
    refused = [one for one in answers if isinstance(one, ApiError)]
    assert len(refused) == 6
    assert {one.code for one in refused} == {429}
    assert sum([await is_leaving(client, name) for name in names]) == 2


async def test_a_budget_nobody_has_looked_at_yet(client: LocalClient) -> None:
    await make_budget(client, "pdb", allowed=0, seen=False)
    await make_pod(client)
    with pytest.raises(ApiError) as caught:
        await evict(client)
    assert (caught.value.code, caught.value.retry_after) == (429, 10)
    assert caught.value.status.details is not None
    assert caught.value.status.details.causes[0].message == (
        "The disruption budget pdb is still being processed by the server."
    )


async def test_two_budgets_are_one_too_many(client: LocalClient) -> None:
    await make_budget(client, "a", allowed=1)
    await make_budget(client, "b", allowed=1)
    await make_pod(client)
    with pytest.raises(ApiError, match="This pod has more than one PodDisruptionBudget") as caught:
        await evict(client)
    assert caught.value.code == 500


@pytest.mark.parametrize("phase", ["Pending", "Succeeded", "Failed"])
async def test_pods_that_serve_nobody_go(client: LocalClient, phase: str) -> None:
    await make_budget(client, "pdb", allowed=0)
    await make_pod(client, phase=phase)
    await evict(client)
    assert (await client.get(PodDisruptionBudget, "pdb", "ns")).status.disrupted_pods == {}


@pytest.mark.parametrize(
    ("policy", "healthy", "desired", "goes"),
    [
        (None, 1, 1, True),
        (None, 0, 1, False),
        (None, 0, 0, False),
        ("IfHealthyBudget", 2, 1, True),
        ("IfHealthyBudget", 0, 1, False),
        ("AlwaysAllow", 0, 1, True),
    ],
)
def test_pods_that_are_not_ready(
    policy: str | None, healthy: int, desired: int, goes: bool
) -> None:
    spec = PodDisruptionBudgetSpec(unhealthy_pod_eviction_policy=policy)
    status = PodDisruptionBudgetStatus(current_healthy=healthy, desired_healthy=desired)
    assert evicting.goes_unready(PodDisruptionBudget(spec=spec, status=status)) is goes


async def test_a_pod_that_is_not_ready_is_not_counted(client: LocalClient) -> None:
    await make_budget(client, "pdb", allowed=0)
    await make_pod(client, ready=False)
    await evict(client)
    assert await is_leaving(client)


async def test_a_dry_run_takes_nothing(client: LocalClient, budget: PodDisruptionBudget) -> None:
    await make_pod(client)
    await evict(client, dry_run=["All"])
    assert not await is_leaving(client)
    left = await client.get(PodDisruptionBudget, "pdb", "ns")
    assert left.status == budget.status
    pod = await client.get(Pod, "p", "ns")
    assert [one.type for one in pod.status.conditions if one.type == "DisruptionTarget"] == []


async def test_preconditions_hold(client: LocalClient, budget: PodDisruptionBudget) -> None:
    pod = await make_pod(client)
    with pytest.raises(ApiError) as caught:
        await evict(client, preconditions=Preconditions(uid="other"))
    assert caught.value.code == 409
    assert not await is_leaving(client)
    version = pod.metadata.resource_version
    await evict(client, preconditions=Preconditions(resource_version=version))
    assert await is_leaving(client)


async def test_the_options_of_the_delete_count(client: LocalClient) -> None:
    await make_pod(client)
    await evict(client, grace_period_seconds=7)
    assert (await client.get(Pod, "p", "ns")).metadata.deletion_grace_period_seconds == 7


async def test_what_does_not_fit_is_refused(client: LocalClient) -> None:
    await make_pod(client)
    body = Eviction(metadata=ObjectMeta(name="q", namespace="ns"))
    with pytest.raises(ApiError, match="name in URL does not match name in Eviction object"):
        await client.create_subresource(Pod, "p", "ns", "eviction", body)
    with pytest.raises(ApiError, match='pods "none" not found'):
        await evict(client, "none")


def test_an_empty_selector_is_everything_and_none_is_nothing() -> None:
    pod = Pod(metadata=ObjectMeta(labels=LABELS), spec=PodSpec(containers=[]))
    everything = PodDisruptionBudget(spec=PodDisruptionBudgetSpec(selector=LabelSelector()))
    nothing = PodDisruptionBudget()
    assert list(evicting.protecting([everything, nothing], pod)) == [everything]
    assert from_label_selector(None).nothing
