"""The judge of simulated runs: one wrong step each, and what is no fault of anybody."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import msgspec
import pytest

from api import objects
from api.apps import Deployment, ReplicaSet
from api.batch import Job, JobCondition
from api.core import Pod, PodCondition, ResourceQuota, ResourceQuotaSpec
from api.meta import ObjectMeta
from api.objects import Key
from api.scheme import resource_of
from sim.history import Step
from sim.invariants.jobs import INDEX, TRACKING, indexes
from sim.invariants.judge import Judge
from tests.unit.controllers.making import (
    daemon_set,
    deployment,
    replica_set,
    rolling,
    stateful_set,
)
from tests.unit.scheduler.making import node as make_node
from tests.unit.scheduler.making import pod as make_pod


def job(name: str, **spec: Any) -> Job:
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}
    made = {
        "metadata": {"name": name, "namespace": "default", "uid": f"uid-{name}"},
        "spec": {"template": template, **spec},
    }
    return msgspec.convert(made, type=Job)


class Court:
    """A judge who hears of objects one by one."""

    def __init__(self) -> None:
        self.judge = Judge()
        self._known: dict[tuple[type, str], Any] = {}
        self._at = 0.0

    def see(self, *changed: Any, gone: bool = False) -> list[str]:
        """What is wrong after these objects have changed."""
        before = len(self.judge.violations)
        for one in changed:
            self._at += 1
            key = (type(one), one.metadata.name)
            old = self._known.get(key)
            self._known[key] = None if gone else objects.copy(one)
            resource = resource_of(type(one))  # type: ignore[arg-type]
            step = Step(self._at, int(self._at), resource, old, self._known[key])
            self.judge.step(step)
        return [one.what for one in self.judge.violations[before:]]


def owned(pod: Pod, owner: Any) -> Pod:
    pod.metadata.owner_references = [objects.controller_reference(owner)]
    return pod


def running(name: str, owner: Any = None, *, node: str = "n1", ready: bool = True) -> Pod:
    pod = make_pod(name, cpu="1")
    pod.spec.node_name = node
    pod.status.phase = "Running"
    pod.status.conditions = [PodCondition(type="Ready", status="True" if ready else "False")]
    return pod if owner is None else owned(pod, owner)


@pytest.fixture
def court() -> Court:
    return Court()


def rolled(court: Court, *, pods: int) -> tuple[Deployment, ReplicaSet]:
    """Three replicas, one more and one less allowed, and its ReplicaSet with pods."""
    one = deployment(replicas=3, strategy=rolling(1, 1))
    one.status.observed_generation = 1
    rs = replica_set("web-1", size=3)
    rs.metadata.owner_references = [objects.controller_reference(one)]
    rs.status.observed_generation = rs.metadata.generation = 1
    assert court.see(one, rs, *(running(f"p{n}", rs) for n in range(pods))) == []
    return one, rs


def test_too_many_pods(court: Court) -> None:
    _, rs = rolled(court, pods=4)
    assert court.see(running("more", rs)) == [
        "Deployment default/web: 5 pods, where there may be 4"
    ]


def test_too_few_available_pods(court: Court) -> None:
    _, rs = rolled(court, pods=3)
    leaving = [running(f"p{n}", rs) for n in range(2)]
    for pod in leaving:
        pod.metadata.deletion_timestamp = "2026-01-01T00:01:00Z"
    assert court.see(leaving[0]) == []
    assert court.see(leaving[1]) == [
        "Deployment default/web: 1 pods available, where there must be 2"
    ]


def test_pods_that_fail_by_themselves_are_nobodys_fault(court: Court) -> None:
    _, rs = rolled(court, pods=3)
    assert court.see(*(running(f"p{n}", rs, ready=False) for n in range(2))) == []
    taken = running("p2", rs)
    taken.metadata.deletion_timestamp = "2026-01-01T00:01:00Z"
    taken.status.conditions.append(PodCondition(type="DisruptionTarget", status="True"))
    assert court.see(taken) == []


def test_a_smaller_deployment_may_have_more_until_it_is_seen_to(court: Court) -> None:
    one, rs = rolled(court, pods=4)
    one.spec.replicas, one.metadata.generation = 1, 2
    assert court.see(one, running("p4", rs), gone=False) == [
        "Deployment default/web: 5 pods, where there may be 4"
    ], "the old bound holds on"
    one.status.observed_generation = 2
    assert court.see(one, *(running(f"p{n}", rs) for n in range(5)), gone=True) == []


def test_a_rollout_made_smaller_may_take_available_pods(court: Court) -> None:
    """The sets shrink in proportion, whichever of their pods serve; once enough do, the bound holds."""
    one = deployment(replicas=6, strategy=rolling(2, 1))
    one.status.observed_generation = 1
    old, new = replica_set("web-1", size=4), replica_set("web-2", size=4)
    for rs in (old, new):
        rs.metadata.owner_references = [objects.controller_reference(one)]
        rs.status.observed_generation = rs.metadata.generation = 1
    serving = [running(f"p{n}", old) for n in range(4)]
    assert court.see(one, old, new, *serving, running("p4", new), running("p5", new)) == []

    one.spec.replicas, one.metadata.generation = 5, 2
    taken = serving[:3]
    for pod in taken:
        pod.metadata.deletion_timestamp = "2026-01-01T00:01:00Z"
    assert court.see(one, *taken) == [], "three serve, where one set alone would have to keep four"

    one.status.observed_generation = 2
    more = [running(f"p{n}", new) for n in (6, 7)]
    assert court.see(one, *more, old, new) == []
    for pod in more:
        pod.metadata.deletion_timestamp = "2026-01-01T00:01:00Z"
    assert court.see(more[0]) == []
    assert court.see(more[1]) == [
        "Deployment default/web: 3 pods available, where there must be 4"
    ], "five serve again, and so the bound holds again"


def test_two_daemons_on_a_node(court: Court) -> None:
    one = daemon_set()
    assert court.see(one, running("a", one), running("b", one, node="n2")) == []
    assert court.see(running("c", one)) == [
        "DaemonSet default/log: 2 pods on n1, where there may be 1"
    ]


def test_two_pods_of_one_ordinal(court: Court) -> None:
    pod = owned(running("web-0"), stateful_set())
    agents = Mock(running={Key("default", "web-0"): {pod.metadata.uid: "n1"}})
    court.judge.started(agents, pod, 1.0)
    assert court.judge.violations == []
    agents.running[Key("default", "web-0")]["another"] = "n2"
    court.judge.started(agents, pod, 2.0)
    assert [one.what for one in court.judge.violations] == [
        "StatefulSet pod default/web-0 starts, and still runs on ['n2']"
    ]


def ended(name: str, owner: Job, phase: str, *, counted: bool) -> Pod:
    pod = running(name, owner, ready=False)
    pod.status.phase = phase
    pod.metadata.finalizers = [] if counted else [TRACKING]
    return pod


def counts(one: Job, succeeded: int, failed: int = 0, indexes: str = "") -> Job:
    changed = objects.copy(one)
    changed.status.succeeded, changed.status.failed = succeeded, failed
    changed.status.completed_indexes = indexes
    return changed


def test_completions_are_counted_exactly(court: Court) -> None:
    one = job("sum", completions=3)
    assert court.see(one, ended("a", one, "Succeeded", counted=True)) == []
    assert court.see(counts(one, 1)) == []
    assert court.see(counts(one, 2)) == [
        "Job default/sum: 2 pods counted as succeeded, of 1",
        "Job default/sum: 2 pods counted as succeeded, where 1 were released",
    ]
    assert court.see(ended("b", one, "Succeeded", counted=True), counts(one, 1))[0] == (
        "Job default/sum: 2 pods had succeeded, and now 1"
    )
    assert court.see(counts(one, 2, failed=1)) == [
        "Job default/sum: 1 pods counted as failed, of 0"
    ]
    done = counts(one, 2)
    done.status.conditions = [JobCondition(type="Complete", status="True")]
    assert "complete with 2 of 3 completions" in court.see(done)[-1]


def test_completed_indexes_are_true(court: Court) -> None:
    one = job("each", completions=3, completionMode="Indexed")
    pod = ended("a", one, "Succeeded", counted=True)
    pod.metadata.annotations = {INDEX: "1"}
    assert court.see(one, pod, counts(one, 1, indexes="1")) == []
    assert court.see(counts(one, 2, indexes="1")) == [
        "Job default/each: 2 succeeded, with the indexes [1]"
    ]
    assert court.see(counts(one, 3, indexes="0-2")) == [
        "Job default/each: the indexes [0, 2] are said to be complete"
    ]


def test_more_than_a_node_has(court: Court) -> None:
    pods = [make_pod(f"p{n}", cpu="1500m") for n in range(3)]
    assert court.see(make_node("n1"), *pods) == []
    for pod in pods:
        pod.spec.node_name = "n1"
    assert court.see(*pods[:2]) == []
    assert court.see(pods[2]) == ["Node n1: 4500 of cpu given, of 4000"]


def test_more_than_a_quota_allows(court: Court) -> None:
    quota = ResourceQuota(
        metadata=ObjectMeta(name="bounds", namespace="default"),
        spec=ResourceQuotaSpec(hard={"pods": "2", "requests.cpu": "1500m"}),
    )
    assert court.see(quota, make_pod("a", cpu="1")) == []
    assert court.see(make_pod("b", cpu="1")) == [
        "ResourceQuota default/bounds: 2000 of requests.cpu, where there may be 1500m"
    ]
    over = court.see(make_pod("c"))
    assert over[0] == "ResourceQuota default/bounds: 3 of pods, where there may be 2"


def test_indexes() -> None:
    assert indexes("") == set()
    assert indexes("1,3-5,9") == {1, 3, 4, 5, 9}
