"""Jobs: every pod that ended is counted, and none twice.

A Job's pods keep a finalizer until they are counted, so a count is right when it is the number of
ended pods that lost theirs. While the list of uncounted pods is not empty, the controller is between
two steps of counting, and only bounds can be told.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from api import objects
from api.batch import Job
from api.core import Pod
from sim.history import Step

TRACKING = "batch.kubernetes.io/job-tracking"
INDEX = "batch.kubernetes.io/job-completion-index"


class Jobs:
    """Judges the counts of Jobs."""

    def __init__(self) -> None:
        self._succeeded: dict[str, dict[str, str]] = defaultdict(dict)
        """Indexes of pods that ended well, by UID, by the Job's UID."""
        self._ended: dict[str, set[str]] = defaultdict(set)
        """Pods that ended otherwise, or had to go."""
        self._released: dict[str, set[str]] = defaultdict(set)
        """Pods that have lost their finalizer."""

    def step(self, step: Step) -> Iterator[str]:
        """What is wrong after a change."""
        if isinstance(step.object, Pod):
            self._follow(step.object, gone=step.new is None)
        elif isinstance(step.new, Job):
            before = step.old if isinstance(step.old, Job) else None
            name = f"Job {step.new.metadata.namespace}/{step.new.metadata.name}"
            for told in self._judge(before, step.new):
                yield f"{name}: {told}"

    def _follow(self, pod: Pod, *, gone: bool) -> None:
        owner = objects.controller_of(pod)
        if owner is None or owner.kind != "Job":
            return
        uid = pod.metadata.uid
        if pod.status.phase == "Succeeded":
            self._succeeded[owner.uid][uid] = pod.metadata.annotations.get(INDEX, "")
        elif pod.status.phase == "Failed" or pod.metadata.deletion_timestamp or gone:
            self._ended[owner.uid].add(uid)
        if gone or TRACKING not in pod.metadata.finalizers:
            self._released[owner.uid].add(uid)

    def _judge(self, before: Job | None, job: Job) -> Iterator[str]:
        uid, status = job.metadata.uid, job.status
        succeeded, failed = status.succeeded or 0, status.failed or 0
        if before is not None and succeeded < (before.status.succeeded or 0):
            yield f"{before.status.succeeded} pods had succeeded, and now {succeeded}"
        if before is not None and failed < (before.status.failed or 0):
            yield f"{before.status.failed} pods had failed, and now {failed}"
        true = self._succeeded[uid]
        if failed > len(self._ended[uid]):
            yield f"{failed} pods counted as failed, of {len(self._ended[uid])}"
        if job.spec.completion_mode == "Indexed":
            yield from self._judge_indexes(job, set(true.values()))
            return
        if succeeded > len(true):
            yield f"{succeeded} pods counted as succeeded, of {len(true)}"
        counted = len(self._released[uid] & true.keys())
        uncounted = status.uncounted_terminated_pods
        settled = uncounted is None or not (uncounted.succeeded or uncounted.failed)
        if settled and not status.completion_time and succeeded != counted:
            yield f"{succeeded} pods counted as succeeded, where {counted} were released"
        complete = any(c.type == "Complete" and c.status == "True" for c in status.conditions)
        if complete and job.spec.completions is not None and succeeded < job.spec.completions:
            yield f"complete with {succeeded} of {job.spec.completions} completions"

    def _judge_indexes(self, job: Job, true: set[str]) -> Iterator[str]:
        told = indexes(job.status.completed_indexes or "")
        if len(told) != (job.status.succeeded or 0):
            yield f"{job.status.succeeded} succeeded, with the indexes {sorted(told)}"
        if wrong := sorted(told - {int(one) for one in true if one}):
            yield f"the indexes {wrong} are said to be complete"


def indexes(text: str) -> set[int]:
    """`1,3-5` → 1, 3, 4, 5."""
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found
