"""No pod of a Job is counted twice or missed, whatever happens when, and whoever is killed where."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api import conditions
from api.batch import Job, JobStatus
from api.core import Pod
from base.errors import PodwrightError
from control.controllers.workloads.jobs.verdict import is_finished
from control.controllers.workloads.jobs.view import index_of
from tests.thorough import examples
from tests.unit.controllers.jobworld import JOB, Killed, World

STEPS = st.sampled_from(
    [
        "reconcile",
        "reconcile",
        "reconcile",
        "kill",
        "succeed",
        "succeed",
        "fail",
        "delete",
        "remove",
        "suspend",
        "resume",
        "wait",
    ]
)
LATENESS = st.sampled_from([1000, 1000, 1000, 0, 1, 2])
"""How many of the changes that an informer has not shown yet it shows now."""


def job(**spec: Any) -> Job:
    pod = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}
    made = {
        "metadata": {"name": JOB.name, "namespace": JOB.namespace},
        "spec": {"template": {"spec": pod}, "backoffLimit": 1000, **spec},
    }
    return msgspec.convert(made, type=Job)


async def reconcile(world: World) -> None:
    try:
        await world.controller.reconcile(JOB)
    except PodwrightError:
        pass  # the queue tries again


async def step(world: World, data: st.DataObject) -> None:
    match data.draw(STEPS):
        case "reconcile":
            for type_ in (Job, Pod):
                world.informers[type_].deliver(data.draw(LATENESS))
            await reconcile(world)
        case "kill":
            world.writes_left = data.draw(st.integers(0, 6))
            try:
                await reconcile(world)
            except Killed:
                world.restart()
            world.writes_left = None
        case "suspend":
            world.change_job(suspend=True)
        case "resume":
            world.change_job(suspend=False)
        case "wait":
            world.clock.advance(30)
        case "remove":
            for pod in world.leaving()[:1]:
                world.remove_pod(pod)
        case what:
            candidates = world.active() or (world.leaving() if what == "succeed" else [])
            candidates = [
                pod for pod in candidates if pod.status.phase not in ("Succeeded", "Failed")
            ]
            if not candidates:
                return
            pod = data.draw(st.sampled_from(candidates))
            if what == "delete":
                world.mark_deleted(pod)
            else:
                world.end_pod(pod, "Succeeded" if what == "succeed" else "Failed")


async def finish(world: World) -> None:
    """From now on everything goes well."""
    world.change_job(suspend=False)
    for _ in range(400):
        world.deliver()
        await reconcile(world)
        if is_finished(world.job):
            break
        for pod in world.leaving():
            world.remove_pod(pod)
        for pod in world.active():
            world.end_pod(pod, "Succeeded")
        world.clock.advance(400)
    world.deliver()


def noted(statuses: list[JobStatus], which: str) -> list[str]:
    """The UIDs that were ever written down, each once for every time it came to the list."""
    found: list[str] = []
    before: set[str] = set()
    for status in statuses:
        uncounted = status.uncounted_terminated_pods
        now = set(getattr(uncounted, which)) if uncounted is not None else set()
        found += now - before
        before = now
    return found


def check_figures(world: World) -> None:
    """They only grow; a UID is written down once, and is in the end counted once."""
    statuses = world.statuses
    succeeded, failed = noted(statuses, "succeeded"), noted(statuses, "failed")
    assert len({*succeeded, *failed}) == len(succeeded) + len(failed), "counted twice"
    assert world.job.status.failed == len(failed)
    assert [s.failed for s in statuses] == sorted(s.failed for s in statuses)
    for uid, phase in world.ended_while_tracked.items():
        if phase == "Failed":
            assert uid in failed, "a failure was missed"
    if world.job.spec.completion_mode == "NonIndexed":
        assert world.job.status.succeeded == len(succeeded)
        for uid, phase in world.ended_while_tracked.items():
            assert uid in {*succeeded, *failed}, f"{phase} was missed"


@settings(max_examples=examples(70, long=1000), deadline=None)
@given(data=st.data(), completions=st.integers(1, 4) | st.none(), parallelism=st.integers(1, 3))
def test_every_outcome_is_counted_once(
    data: st.DataObject, completions: int | None, parallelism: int
) -> None:
    async def run() -> None:
        world = World()
        await world.create(job(completions=completions, parallelism=parallelism))
        world.deliver()
        for _ in range(data.draw(st.integers(0, 40))):
            await step(world, data)
        await finish(world)
        assert conditions.is_true(world.job.status.conditions, "Complete")
        check_figures(world)
        assert world.most_active <= parallelism
        assert world.job.status.succeeded >= (completions or 1)
        assert not any(pod.metadata.finalizers for pod in world.pods())

    asyncio.run(run())


@settings(max_examples=examples(70, long=1000), deadline=None)
@given(data=st.data(), completions=st.integers(1, 4), parallelism=st.integers(1, 3))
def test_every_index_is_done_once(data: st.DataObject, completions: int, parallelism: int) -> None:
    async def run() -> None:
        world = World()
        await world.create(
            job(completions=completions, parallelism=parallelism, completionMode="Indexed")
        )
        world.deliver()
        for _ in range(data.draw(st.integers(0, 40))):
            await step(world, data)
        await finish(world)
        assert conditions.is_true(world.job.status.conditions, "Complete")
        check_figures(world)
        assert world.most_active <= parallelism
        assert world.job.status.succeeded == completions
        failed = noted(world.statuses, "failed")
        done = [
            index_of(pod)
            for pod in world.pods()
            if pod.status.phase == "Succeeded" and pod.metadata.uid not in failed
        ]
        assert set(done) <= set(range(completions))

    asyncio.run(run())


@settings(max_examples=60, deadline=None)
@given(kills=st.lists(st.integers(0, 5) | st.none(), max_size=12), limit=st.integers(0, 3))
def test_a_job_fails_with_one_failure_too_many(kills: list[int | None], limit: int) -> None:
    async def run() -> None:
        world = World()
        await world.create(job(completions=3, parallelism=2, backoffLimit=limit))
        world.deliver()
        for kill in kills + [None] * 40:
            world.deliver()
            world.writes_left = kill
            try:
                await reconcile(world)
            except Killed:
                world.restart()
            world.writes_left = None
            if is_finished(world.job):
                break
            for pod in world.leaving():
                world.remove_pod(pod)
            for pod in world.active()[:1]:
                world.end_pod(pod, "Failed")
            world.clock.advance(400)
        assert conditions.is_true(world.job.status.conditions, "Failed")
        check_figures(world)
        assert limit + 1 <= world.job.status.failed <= limit + 2

    asyncio.run(run())


@pytest.mark.parametrize("writes", range(12))
async def test_killed_at_each_write_of_a_success(writes: int) -> None:
    world = World()
    await world.create(job(completions=1))
    world.deliver()
    await reconcile(world)
    (pod,) = world.active()
    world.end_pod(pod, "Succeeded")
    world.deliver()
    world.writes_left = writes
    try:
        await reconcile(world)
    except Killed:
        world.restart()
    await finish(world)
    assert (world.job.status.succeeded, len(world.pods())) == (1, 1)
    check_figures(world)
