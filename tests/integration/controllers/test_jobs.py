"""Jobs end to end, down to pods that fake agents run and end."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
import pytest

from api import conditions, errors
from api.batch import Job
from api.core import Event, Pod, Toleration
from control.controllers.nodes.health import UNREACHABLE
from tests.integration.controllers.conftest import DEADLINE, GRACE, Plane, eventually

TRACKING = "batch.kubernetes.io/job-tracking"
INDEX = "batch.kubernetes.io/job-completion-index"


def job(name: str = "sums", *, restart: str = "Never", **spec: Any) -> Job:
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"restartPolicy": restart, "containers": [{"name": "c", "image": "i"}]},
    }
    made = {
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"template": template} | spec,
    }
    return msgspec.convert(made, type=Job)


def succeeds(pod: Pod) -> dict[str, Any]:
    return {"phase": "Succeeded"}


def fails(pod: Pod, code: int = 1) -> dict[str, Any]:
    ended = {"exitCode": code, "finishedAt": pod.metadata.creation_timestamp}
    state = {"name": "c", "image": "i", "imageID": "", "ready": False, "restartCount": 0}
    return {"phase": "Failed", "containerStatuses": [{**state, "state": {"terminated": ended}}]}


def holds(found: Job, type_: str) -> bool:
    return conditions.is_true(found.status.conditions, type_)


async def get(plane: Plane, name: str = "sums") -> Job:
    return await plane.client.get(Job, name, "default")


async def over(
    plane: Plane, type_: str = "Complete", name: str = "sums", seconds: float = DEADLINE
) -> Job:
    async def ended() -> Job | None:
        found = await get(plane, name)
        return found if holds(found, type_) else None

    found = await eventually(ended, seconds)
    assert found is not None
    return found


async def reasons(plane: Plane) -> Counter[str]:
    events = (await plane.client.list(Event, "default")).items
    found: Counter[str] = Counter()
    for event in events:
        if event.involved_object.kind == "Job":
            found[event.reason] += max(1, event.count)
    return found


@pytest.fixture
async def working(plane: Plane) -> Plane:
    await plane.agents.add_node("n1")
    plane.agents.ends = succeeds
    return plane


async def test_completions_are_reached_and_counted(working: Plane) -> None:
    await working.client.create(job(completions=5, parallelism=2))
    done = await over(working)
    status = done.status
    assert (status.succeeded, status.failed, status.active, status.terminating) == (5, 0, 0, 0)
    assert status.uncounted_terminated_pods is not None
    assert not status.uncounted_terminated_pods.succeeded
    assert status.start_time and status.completion_time
    assert {c.type: c.reason for c in status.conditions} == {
        "SuccessCriteriaMet": "CompletionsReached",
        "Complete": "CompletionsReached",
    }
    pods = await working.pods()
    assert len(pods) == 5
    for pod in pods:
        assert TRACKING not in pod.metadata.finalizers
        assert pod.metadata.name.startswith("sums-")
        assert pod.metadata.labels["job-name"] == "sums"
        (owner,) = pod.metadata.owner_references
        assert (owner.kind, owner.block_owner_deletion) == ("Job", True)

    async def told() -> bool:
        found = await reasons(working)
        return (found["SuccessfulCreate"], found["Completed"]) == (5, 1)

    assert await eventually(told)


async def test_a_work_queue_ends_with_its_pods_after_the_first_success(working: Plane) -> None:
    enough = False
    working.agents.ends = lambda pod: {"phase": "Succeeded"} if enough else None
    await working.client.create(job(parallelism=3))

    async def running() -> bool:
        return (await get(working)).status.ready == 3

    await eventually(running)
    enough = True
    done = await over(working)
    assert done.status.succeeded == 3
    assert len(await working.pods()) == 3


async def test_each_index_succeeds_once(working: Plane) -> None:
    await working.client.create(job(completions=4, parallelism=2, completionMode="Indexed"))
    done = await over(working)
    assert (done.status.completed_indexes, done.status.succeeded) == ("0-3", 4)
    pods = sorted(await working.pods(), key=lambda pod: pod.metadata.annotations[INDEX])
    assert [pod.metadata.labels[INDEX] for pod in pods] == ["0", "1", "2", "3"]
    assert [pod.spec.hostname for pod in pods] == [f"sums-{number}" for number in range(4)]
    assert pods[2].metadata.name.startswith("sums-2-")
    (variable,) = pods[2].spec.containers[0].env
    assert variable.name == "JOB_COMPLETION_INDEX"
    assert variable.value_from is not None and variable.value_from.field_ref is not None
    assert variable.value_from.field_ref.field_path == f"metadata.labels['{INDEX}']"


async def test_too_many_failures_end_the_job(working: Plane) -> None:
    working.agents.ends = fails
    await working.client.create(job(backoffLimit=1, parallelism=2, completions=2))
    done = await over(working, "Failed")
    assert done.status.failed == 2
    assert conditions.find(done.status.conditions, "Failed") is not None
    assert holds(done, "FailureTarget") and not done.status.completion_time
    assert {c.reason for c in done.status.conditions} == {"BackoffLimitExceeded"}

    async def told() -> bool:
        return (await reasons(working))["BackoffLimitExceeded"] == 1

    assert await eventually(told)


async def test_the_rest_is_ended_with_a_failed_job(working: Plane) -> None:
    """The pods that still run count as failed, and the Job is over only when they are gone."""
    working.agents.ends = lambda pod: fails(pod) if pod.metadata.annotations[INDEX] == "0" else None
    await working.client.create(
        job(backoffLimit=0, parallelism=3, completions=3, completionMode="Indexed")
    )
    done = await over(working, "Failed")
    assert (done.status.failed, done.status.active, done.status.terminating) == (3, 0, 0)
    assert len(await working.pods()) == 1


async def test_the_deadline(working: Plane) -> None:
    working.agents.ends = lambda pod: None
    await working.client.create(job(activeDeadlineSeconds=1, backoffLimit=0))
    done = await over(working, "Failed")
    assert {c.reason for c in done.status.conditions} == {"DeadlineExceeded"}
    assert not await working.pods()


async def test_exit_codes_that_end_the_job_or_do_not_count(working: Plane) -> None:
    rules = [
        {"action": "Ignore", "onExitCodes": {"operator": "In", "values": [3]}},
        {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}},
    ]
    working.agents.ends = lambda pod: fails(pod, 42)
    await working.client.create(job(backoffLimit=6, podFailurePolicy={"rules": rules}))
    done = await over(working, "Failed")
    failed = conditions.find(done.status.conditions, "Failed")
    assert failed is not None and failed.reason == "PodFailurePolicy"
    (pod,) = await working.pods()
    assert failed.message == (
        f"Container c for pod default/{pod.metadata.name} failed with exit code 42 "
        "matching FailJob rule at index 1"
    )
    working.agents.ends = lambda pod: fails(pod, 3)
    await working.client.create(job("other", backoffLimit=0, podFailurePolicy={"rules": rules}))

    async def ended() -> bool:
        pods = [p for p in await working.pods() if p.metadata.labels["app"] == "other"]
        return all(TRACKING not in p.metadata.finalizers for p in pods) and bool(pods)

    assert await eventually(ended)
    found = await get(working, "other")
    assert found.status.failed == 0 and not holds(found, "FailureTarget")


async def test_indexes_fail_on_their_own(working: Plane) -> None:
    odd = ("1", "3")
    working.agents.ends = lambda pod: (
        fails(pod) if pod.metadata.annotations[INDEX] in odd else succeeds(pod)
    )
    await working.client.create(
        job(completions=4, parallelism=4, completionMode="Indexed", backoffLimitPerIndex=0)
    )
    done = await over(working, "Failed")
    assert (done.status.completed_indexes, done.status.failed_indexes) == ("0,2", "1,3")
    assert (done.status.succeeded, done.status.failed) == (2, 2)
    assert {c.reason for c in done.status.conditions} == {"FailedIndexes"}


async def test_a_success_policy(working: Plane) -> None:
    working.agents.ends = lambda pod: (
        succeeds(pod) if pod.metadata.annotations[INDEX] == "2" else None
    )
    policy = {"rules": [{"succeededIndexes": "0", "succeededCount": 1}, {"succeededIndexes": "2"}]}
    await working.client.create(
        job(completions=3, parallelism=3, completionMode="Indexed", successPolicy=policy)
    )
    done = await over(working)
    complete = conditions.find(done.status.conditions, "Complete")
    assert complete is not None
    assert (complete.reason, complete.message) == ("SuccessPolicy", "Matched rules at index 1")
    assert (done.status.completed_indexes, done.status.failed) == ("2", 0)


async def test_suspended_and_resumed(working: Plane) -> None:
    free = False
    working.agents.ends = lambda pod: succeeds(pod) if free else None
    await working.client.create(job(completions=2, parallelism=2, suspend=True))

    async def suspended() -> bool:
        return holds(await get(working), "Suspended")

    await eventually(suspended)
    assert not await working.pods() and not (await get(working)).status.start_time
    await working.client.patch(Job, "sums", "default", {"spec": {"suspend": False}})

    async def running() -> bool:
        return (await get(working)).status.ready == 2

    await eventually(running)
    await working.client.patch(Job, "sums", "default", {"spec": {"suspend": True}})
    await eventually(suspended)

    async def gone() -> bool:
        return not await working.pods()

    await eventually(gone)
    free = True
    await working.client.patch(Job, "sums", "default", {"spec": {"suspend": False}})
    done = await over(working)
    assert (done.status.succeeded, done.status.failed) == (2, 0)

    async def told() -> bool:
        return {"Suspended", "Resumed"} <= (await reasons(working)).keys()

    await eventually(told)


async def test_a_deleted_pod_is_replaced_and_counts_as_failed(working: Plane) -> None:
    free = False
    working.agents.ends = lambda pod: succeeds(pod) if free else None
    await working.client.create(job(completions=1))

    async def running() -> list[Pod]:
        return [pod for pod in await working.pods() if pod.status.phase == "Running"]

    (pod,) = await eventually(running)
    await working.client.delete(Pod, pod.metadata.name, "default")

    async def counted() -> bool:
        return (await get(working)).status.failed == 1

    await eventually(counted)
    free = True
    done = await over(working)
    assert (done.status.succeeded, done.status.failed) == (1, 1)


@pytest.mark.parametrize("grace", [GRACE])
async def test_a_pod_of_a_lost_node_is_replaced_on_another(working: Plane, grace: float) -> None:
    free = False
    working.agents.ends = lambda pod: succeeds(pod) if free else None
    await working.agents.add_node("n2")
    made = job()
    made.spec.template.spec.tolerations = [
        Toleration(key=UNREACHABLE, operator="Exists", effect="NoExecute", toleration_seconds=0)
    ]
    await working.client.create(made)

    async def running() -> list[Pod]:
        pods = [pod for pod in await working.pods() if not pod.metadata.deletion_timestamp]
        return [pod for pod in pods if pod.status.phase == "Running"]

    (first,) = await eventually(running)
    working.agents.silent.add(first.spec.node_name)

    async def replaced() -> bool:
        there = {pod.spec.node_name for pod in await running()}
        return there == {"n1", "n2"} - {first.spec.node_name}

    await eventually(replaced)
    free = True
    enough = await over(working, "SuccessCriteriaMet")
    assert not holds(enough, "Complete") and enough.status.terminating == 1
    working.agents.silent.clear()
    done = await over(working)
    assert (done.status.succeeded, done.status.terminating) == (1, 0)


async def test_a_finished_job_expires(working: Plane) -> None:
    await working.client.create(job())
    await over(working)
    expires = {"spec": {"ttlSecondsAfterFinished": 1}}
    await working.client.patch(Job, "sums", "default", expires)

    async def gone() -> bool:
        try:
            await get(working)
        except errors.ApiError as error:
            return errors.is_not_found(error) and not await working.pods()
        return False

    assert await eventually(gone)


@pytest.mark.parametrize("policy", ["Background", "Foreground", "Orphan", None])
async def test_a_deleted_job_takes_its_pods_along_or_leaves_them(
    working: Plane, policy: str | None
) -> None:
    working.agents.ends = lambda pod: None
    await working.client.create(job(completions=2, parallelism=2))

    async def running() -> bool:
        return (await get(working)).status.ready == 2

    await eventually(running)
    await working.client.delete(Job, "sums", "default", propagation_policy=policy)
    orphaned = policy in ("Orphan", None)

    async def settled() -> bool:
        pods = await working.pods()
        free = [p for p in pods if not p.metadata.owner_references and not p.metadata.finalizers]
        jobs = (await working.client.list(Job, "default")).items
        return not jobs and (len(free) == 2 if orphaned else not pods)

    assert await eventually(settled)


async def test_jobs_of_others_are_left_alone(working: Plane) -> None:
    await working.client.create(job("theirs", managedBy="acme.io/jobs"))
    await working.client.create(job("ours", managedBy="kubernetes.io/job-controller"))
    await over(working, name="ours")
    assert not (await get(working, "theirs")).status.start_time


async def test_more_and_less_parallelism(working: Plane) -> None:
    working.agents.ends = lambda pod: None
    await working.client.create(job(completions=6, parallelism=1))

    def active(wanted: int) -> Any:
        async def reached() -> bool:
            status = (await get(working)).status
            return (status.active, status.ready) == (wanted, wanted)

        return reached

    await eventually(active(1))
    for size in (4, 2):
        await working.client.patch(Job, "sums", "default", {"spec": {"parallelism": size}})
        await eventually(active(size))
    assert (await get(working)).status.failed == 0


async def test_an_indexed_job_grows_and_shrinks(working: Plane) -> None:
    """What an index achieved that is not wanted any more does not count, even if it is again."""
    done = {"0", "3"}
    working.agents.ends = lambda pod: (
        succeeds(pod) if pod.metadata.annotations[INDEX] in done else None
    )
    await working.client.create(job(completions=4, parallelism=4, completionMode="Indexed"))

    def reached(active: int, indexes: str) -> Any:
        async def check() -> bool:
            status = (await get(working)).status
            found = (status.ready, status.completed_indexes)
            return found == (active, indexes) and status.succeeded == len(indexes.split(","))

        return check

    await eventually(reached(2, "0,3"))
    size = {"completions": 2, "parallelism": 2}
    await working.client.patch(Job, "sums", "default", {"spec": size})
    await eventually(reached(1, "0"))
    done.clear()
    size = {"completions": 5, "parallelism": 5}
    await working.client.patch(Job, "sums", "default", {"spec": size})
    await eventually(reached(4, "0"))
    done.update("01234")
    found = await over(working)
    assert (found.status.completed_indexes, found.status.succeeded) == ("0-4", 5)


async def test_a_replacement_waits_for_the_end_where_it_is_asked_to(working: Plane) -> None:
    free = False
    working.agents.ends = lambda pod: succeeds(pod) if free else None
    await working.client.create(job(podReplacementPolicy="Failed"))

    async def running() -> list[Pod]:
        return [pod for pod in await working.pods() if pod.status.phase == "Running"]

    (first,) = await eventually(running)
    working.agents.silent.add("n1")
    await working.client.delete(Pod, first.metadata.name, "default")

    async def terminating() -> bool:
        status = (await get(working)).status
        return (status.terminating, status.active, status.failed) == (1, 0, 0)

    await eventually(terminating)
    assert len(await working.pods()) == 1
    free = True
    working.agents.silent.clear()
    done = await over(working)
    assert (done.status.succeeded, done.status.failed, done.status.terminating) == (1, 1, 0)


async def test_a_finished_job_is_not_written_again(working: Plane) -> None:
    await working.client.create(job(completions=2))
    done = await over(working)
    controller = next(c for c in working.manager.controllers if c.name == "job-controller")
    controller.enqueue(done)

    async def idle() -> bool:
        return controller.queue.statistics()["queued"] == 0

    await eventually(idle)
    assert (await get(working)).metadata.resource_version == done.metadata.resource_version


async def test_a_large_job_is_looked_at_now_and_then(working: Plane) -> None:
    await working.client.create(job(completions=260, parallelism=260))
    done = await over(working, seconds=3 * DEADLINE)
    assert (done.status.succeeded, done.status.failed) == (260, 0)
    assert len(await working.pods()) == 260
