from __future__ import annotations

import pytest

from api.apps import (
    DaemonSet,
    DaemonSetSpec,
    DaemonSetStatus,
    DaemonSetUpdateStrategy,
    Deployment,
    DeploymentSpec,
    DeploymentStatus,
    RollingUpdateStatefulSetStrategy,
    StatefulSet,
    StatefulSetSpec,
    StatefulSetStatus,
    StatefulSetUpdateStrategy,
)
from api.core import (
    Container,
    ContainerState,
    ContainerStateTerminated,
    ContainerStateWaiting,
    ContainerStatus,
    Event,
    ObjectReference,
    Pod,
    PodCondition,
    PodSpec,
    PodStatus,
    PodTemplateSpec,
    ReplicationController,
    ReplicationControllerSpec,
    ReplicationControllerStatus,
    Service,
)
from api.meta import LabelSelector, ObjectMeta
from api.struct import ApiStruct
from cli import readiness


def deployment(wanted: int | None = 2, generation: int = 3, **status: int) -> Deployment:
    return Deployment(
        metadata=ObjectMeta(name="web", generation=generation),
        spec=DeploymentSpec(
            replicas=wanted,
            selector=LabelSelector(),
            template=PodTemplateSpec(spec=PodSpec(containers=[])),
        ),
        status=DeploymentStatus(**status),
    )


def pod(
    phase: str = "Running",
    ready: bool = False,
    node: str = "n",
    state: ContainerState | None = None,
) -> Pod:
    statuses = []
    if state is not None:
        status = ContainerStatus(
            name="c", ready=False, restart_count=0, image="i", image_id="", state=state
        )
        statuses.append(status)
    return Pod(
        metadata=ObjectMeta(name="p", namespace="default", uid="1"),
        spec=PodSpec(containers=[Container(name="c")], node_name=node),
        status=PodStatus(
            phase=phase,
            conditions=[PodCondition(type="Ready", status="True" if ready else "False")],
            container_statuses=statuses,
        ),
    )


def stateful_set(
    *, partition: int = 0, update: str = "RollingUpdate", **status: int
) -> StatefulSet:
    bounds = RollingUpdateStatefulSetStrategy(partition=partition)
    return StatefulSet(
        metadata=ObjectMeta(generation=3),
        spec=StatefulSetSpec(
            replicas=2,
            selector=None,
            template=PodTemplateSpec(spec=PodSpec(containers=[])),
            service_name="",
            update_strategy=StatefulSetUpdateStrategy(
                type=update, rolling_update=bounds if update == "RollingUpdate" else None
            ),
        ),
        status=StatefulSetStatus(observed_generation=status.pop("seen", 3), **status),
    )


def daemon_set(update: str = "RollingUpdate", **status: int) -> DaemonSet:
    return DaemonSet(
        metadata=ObjectMeta(generation=3),
        spec=DaemonSetSpec(
            selector=None,
            template=PodTemplateSpec(spec=PodSpec(containers=[])),
            update_strategy=DaemonSetUpdateStrategy(type=update),
        ),
        status=DaemonSetStatus(observed_generation=3, desired_number_scheduled=2, **status),
    )


def replication_controller(**status: int) -> ReplicationController:
    return ReplicationController(
        spec=ReplicationControllerSpec(replicas=2), status=ReplicationControllerStatus(**status)
    )


@pytest.mark.parametrize(
    ("found", "lacks"),
    [
        (stateful_set(seen=2), "not seen it"),
        (stateful_set(updated_replicas=1), "1 of 2 updated"),
        (stateful_set(updated_replicas=2, available_replicas=1), "1 of 2 available"),
        (stateful_set(partition=1, updated_replicas=1, available_replicas=2), ""),
        (stateful_set(update="OnDelete", available_replicas=2), ""),
        (daemon_set(updated_number_scheduled=1), "1 of 2 updated"),
        (daemon_set(updated_number_scheduled=2, number_available=1), "1 of 2 available"),
        (daemon_set("OnDelete", number_available=2), ""),
        (replication_controller(ready_replicas=1), "1 of 2 ready"),
        (replication_controller(ready_replicas=2), ""),
        (deployment(observed_generation=2), "not seen it"),
        (deployment(observed_generation=3, updated_replicas=1), "1 of 2 updated"),
        (
            deployment(observed_generation=3, updated_replicas=2, available_replicas=1),
            "1 of 2 available",
        ),
        (
            deployment(observed_generation=3, updated_replicas=2, available_replicas=2, replicas=3),
            "old replicas",
        ),
        (
            deployment(observed_generation=3, updated_replicas=2, available_replicas=2, replicas=2),
            "",
        ),
        (deployment(None, observed_generation=3), "0 of 1 updated"),
        (deployment(0, observed_generation=3), ""),
        (pod("Pending", node=""), "on no node yet"),
        (pod("Pending"), "Pending"),
        (pod("Running"), "not ready"),
        (pod("Running", ready=True), ""),
        (pod("Succeeded"), ""),
        (pod("Failed"), "Failed"),
        (Service(), ""),
    ],
)
def test_what_an_object_lacks(found: ApiStruct, lacks: str) -> None:
    text = readiness.waits_for(found)
    assert lacks in text
    assert bool(lacks) == bool(text)


def event(reason: str, message: str, at: str, uid: str = "1") -> Event:
    return Event(
        involved_object=ObjectReference(uid=uid),
        type="Warning",
        reason=reason,
        message=message,
        last_timestamp=at,
        reporting_component="",
        reporting_instance="",
    )


def test_an_explanation_names_states_and_the_latest_events_in_order() -> None:
    stuck = pod(
        "Pending",
        state=ContainerState(
            waiting=ContainerStateWaiting(reason="ErrImagePull", message="no such image")
        ),
    )
    events = [
        event("Second", "b", "2026-01-01T00:00:02Z"),
        event("First", "a", "2026-01-01T00:00:01Z"),
        event("Stranger", "c", "2026-01-01T00:00:01Z", uid="2"),
    ]
    assert readiness.explain([stuck, pod(ready=True)], events) == [
        "pod default/p: Pending",
        "  container c: ErrImagePull: no such image",
        "  Warning First (x1): a",
        "  Warning Second (x1): b",
    ]


def test_a_container_that_ended_badly_is_explained_by_its_exit_code() -> None:
    ended = pod("Failed", state=ContainerState(terminated=ContainerStateTerminated(exit_code=3)))
    assert "  container c: Error, exit code 3" in readiness.explain([ended], [])
