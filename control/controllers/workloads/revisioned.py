"""What DaemonSets and StatefulSets have in common: pods of one template, and a history of templates.

Serves steps 1 and 7 of the pod's walk. The order matters: a revision is there before a pod follows it,
is kept as long as one does, and the status names none that is gone.
"""

from abc import abstractmethod
from collections.abc import Awaitable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from api.apps import ControllerRevision, DaemonSet, StatefulSet
from api.core import Pod
from api.objects import Key
from api.pods import next_availability
from base.errors import PodwrightError
from control.controllers.context import Context
from control.controllers.workloads.history import Histories, Present
from control.controllers.workloads.podowner import PodOwner, is_passing, soonest

S = TypeVar("S", DaemonSet, StatefulSet)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of carrying out what there was to do."""

    now: datetime
    """Of what moment the status is: what is due later is looked at again."""
    status: Any
    in_use: Collection[str]
    """The revisions that somebody follows, beside the present one."""
    failure: str = ""
    """Why it failed; empty if it did not."""
    wait: float | None = None
    """In how many seconds there is more to do."""


class RevisionedOwner(PodOwner[S]):
    """Keeps the pods of one kind of workloads, and the revisions of their template."""

    label: str
    """Of revisions: carries the hash of their name."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._histories = Histories(context, label=self.label)
        self.watch_owned(ControllerRevision, self.kind.__name__)

    @abstractmethod
    async def follow(self, owner: S, key: Key, mine: list[Pod], present: Present) -> Outcome:
        """Take the next step with the pods of one owner."""

    async def sync(self, owner: S, key: Key) -> float | None:
        if owner.metadata.deletion_timestamp:
            return None  # its revisions may be gone before its pods: nothing could be told of it
        mine = await self.claimed(owner)
        present = await self._histories.present(owner, await self._histories.of(owner))
        outcome = await self.follow(owner, key, mine, present)
        await self._histories.clean(owner, present, outcome.in_use)
        await self.write_status(owner, outcome.status)
        if outcome.failure:
            raise PodwrightError(outcome.failure)
        seconds = owner.spec.min_ready_seconds
        soon = next_availability(mine, min_ready_seconds=seconds, now=outcome.now)
        return soonest(outcome.wait, soon)


async def told(work: Awaitable[float | None]) -> tuple[str, float | None]:
    """Why some work failed, or an empty string; and what it returns, where it did not.

    Work that is to be tried again without a word raises its error.
    """
    try:
        return "", await work
    except PodwrightError as error:
        if is_passing(error):
            raise
        return str(error), None
