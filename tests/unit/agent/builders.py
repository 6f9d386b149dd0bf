"""Pods and observations in one line each, for the tables of the pod tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from agent.containers.records import (
    ContainerId,
    ContainerRecord,
    ContainerState,
    ImageId,
    ProcessUser,
)
from agent.pod import names
from agent.pod import plan as planning
from agent.pod.actions import Plan
from agent.pod.observed import Failure, Hook, KilledFor, PodObserved, Probed, Seen
from agent.pod.outcome import outcome
from agent.volumes.base import Objects
from agent.volumes.kinds import stages
from agent.volumes.mounts import Mounter
from agent.volumes.registry import PodVolumes
from api.core import (
    Container,
    ExecAction,
    Lifecycle,
    LifecycleHandler,
    Pod,
    PodSpec,
    PodStatus,
    Probe,
    ResourceRequirements,
)
from api.meta import ObjectMeta
from base.clock import Clock

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
UID = "11111111-2222-3333-4444-555555555555"
SANDBOX = ContainerId("sandbox-0")


def container(name: str = "web", **fields: Any) -> Container:
    return Container(name=name, **{"image": "app:1", **fields})


def sidecar(name: str = "side", **fields: Any) -> Container:
    return container(name, restart_policy="Always", **fields)


def probe(**fields: Any) -> Probe:
    return Probe(**{"exec": ExecAction(command=["true"]), **fields})


def post_start() -> Lifecycle:
    return Lifecycle(post_start=LifecycleHandler(exec=ExecAction(command=["true"])))


def make_pod(
    *containers: Container,
    inits: Sequence[Container] = (),
    policy: str = "Always",
    deleted: bool = False,
    deletion_grace: int | None = None,
    phase: str = "",
    status: PodStatus | None = None,
    **spec: Any,
) -> Pod:
    return Pod(
        metadata=ObjectMeta(
            name="pod",
            namespace="ns",
            uid=UID,
            generation=3,
            deletion_timestamp="2026-01-01T12:00:30Z" if deleted else None,
            deletion_grace_period_seconds=deletion_grace,
        ),
        spec=PodSpec(
            containers=list(containers) or [container()],
            init_containers=list(inits),
            restart_policy=policy,
            node_name="node",
            **spec,
        ),
        status=status or PodStatus(phase=phase),
    )


def named(name: str, *containers: Container, **more: Any) -> Pod:
    """One of several: it is called so, and that is its uid."""
    made = make_pod(*containers, **more)
    made.metadata.name = made.metadata.uid = name
    return made


def asks(**amounts: str) -> Container:
    """With requests: `asks(cpu="1", ephemeral_storage="1Gi", example__dongle="1")`."""
    spelled = {
        name.replace("__", ".com/").replace("_", "-"): text for name, text in amounts.items()
    }
    return container(resources=ResourceRequirements(requests=spelled))


def guaranteed(cpu: str, memory: str, name: str = "web", **fields: Any) -> Container:
    amounts = {"cpu": cpu, "memory": memory}
    resources = ResourceRequirements(requests=amounts, limits=amounts)
    return container(name, resources=resources, **fields)


def pod_volumes(
    directory: Path, objects: Objects, mounter: Mounter, *, clock: Clock | None = None
) -> PodVolumes:
    """Those of a pod whose directory this is."""
    shared = stages(directory / "of-the-node", mounter=mounter, objects=objects)
    return PodVolumes(directory, objects=objects, mounter=mounter, stages=shared, clock=clock)


def sandbox(
    attempt: int = 0, state: ContainerState = ContainerState.RUNNING, **facts: Any
) -> ContainerRecord:
    return ContainerRecord(
        id=ContainerId(f"sandbox-{attempt}"),
        name=f"k8s_POD_pod_ns_{UID}_{attempt}",
        image="pause",
        image_id=ImageId("sha256:pause"),
        labels={names.POD_UID: UID, names.CONTAINER_TYPE: names.SANDBOX},
        state=state,
        created_at=NOW - timedelta(hours=1),
        **facts,
    )


def seen(
    spec: Container | None = None,
    *,
    running: bool = False,
    unstarted: bool = False,
    exit_code: int = 0,
    error: str = "",
    oom: bool = False,
    restarts: int = 0,
    level: int | None = None,
    ran_for: float = 5.0,
    ended_ago: float = 0.0,
    sandbox: str = SANDBOX,
    message: str = "",
    killed_for: KilledFor | None = None,
    probed: Probed | None = None,
    hook: Hook = Hook.NONE,
    made_from: Container | None = None,
    user: ProcessUser | None = None,
) -> Seen:
    """A container; ended with `exit_code` unless told otherwise."""
    spec = spec or container()
    state = ContainerState.RUNNING if running else ContainerState.EXITED
    if unstarted or error:
        state = ContainerState.CREATED
    started = None if unstarted or error else NOW - timedelta(seconds=ended_ago + ran_for)
    finished = NOW - timedelta(seconds=ended_ago) if state is ContainerState.EXITED else None
    labels = {
        names.POD_UID: UID,
        names.CONTAINER_NAME: spec.name,
        names.CONTAINER_TYPE: names.CONTAINER,
        names.CONTAINER_HASH: names.container_hash(made_from or spec),
        names.RESTART_COUNT: str(restarts),
        names.SANDBOX_ID: sandbox,
        names.BACKOFF_LEVEL: str(restarts if level is None else level),
    }
    record = ContainerRecord(
        id=ContainerId(f"{spec.name}-{restarts}"),
        name=f"k8s_{spec.name}_pod_ns_{UID}_{restarts}",
        image=spec.image,
        image_id=ImageId("sha256:app"),
        labels=labels,
        state=state,
        created_at=NOW - timedelta(minutes=30),
        started_at=started,
        finished_at=finished,
        exit_code=exit_code,
        user=user,
        oom_killed=oom,
        error=error,
    )
    return Seen(
        record=record,
        ended_ago=ended_ago,
        message=message,
        killed_for=killed_for,
        probed=probed or Probed(),
        post_start=hook,
        image=spec.image,
    )


def observe(
    containers: Mapping[str, Sequence[Seen]] | None = None,
    *,
    up: bool = True,
    **facts: Any,
) -> PodObserved:
    """An observation; with `up` the sandbox, network and volumes are ready."""
    ready: dict[str, Any] = {}
    if up:
        ready = {
            "sandboxes": (sandbox(),),
            "network_ready": True,
            "volumes_ready": True,
            "ip": "10.244.1.7",
        }
    return PodObserved(containers=containers or {}, **{**ready, **facts})


def plan(pod: Pod, observed: PodObserved) -> Plan:
    """As the worker asks for it."""
    return planning.plan(pod, observed, end=outcome(pod, observed))


def with_images(observed: PodObserved, **images: int) -> PodObserved:
    return replace(observed, images=images)


def failure(reason: str = "ErrImagePull", message: str = "no", retry_in: float = 5.0) -> Failure:
    return Failure(reason=reason, message=message, retry_in=retry_in)
