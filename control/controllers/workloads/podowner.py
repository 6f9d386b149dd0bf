"""What the controllers that make pods have in common: finding, adopting, making and deleting them.

Serves steps 1 and 7 of the pod's walk. A workload's pods are those it controls and selects; what it
wrote and does not see yet is kept in `Expectations` (and in `Sight` if it does not know whether it was
done), so that nothing is counted twice. Subclasses
say in `sync` what is to happen; they are called when the informer shows everything they wrote.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

import msgspec

from api import objects
from api.apps import DaemonSet, ReplicaSet, StatefulSet
from api.batch import Job
from api.core import Pod, ReplicationController
from api.errors import (
    is_already_exists,
    is_conflict,
    is_namespace_terminating,
    is_not_found,
)
from api.objects import Key
from api.selectors import Selector, from_label_selector, from_labels
from base.errors import PodwrightError
from control.controllers import indexes
from control.controllers.claims import adopt, claim, release
from control.controllers.context import Context
from control.controllers.controller import Controller
from control.controllers.expectations import LAPSE_SECONDS, Expectations
from control.controllers.sight import Sight
from control.controllers.workloads.failedpods import FailedPods

Workload = DaemonSet | Job | ReplicaSet | ReplicationController | StatefulSet
W = TypeVar("W", bound=Workload)


@dataclass(frozen=True, slots=True)
class Words:
    """Texts of the events about pods, with the places `pod`, `owner` and `error`."""

    created: str = "Created pod: {pod}"
    not_created: str = "Error creating: {error}"
    deleted: str = "Deleted pod: {pod}"
    not_deleted: str = "Error deleting: {error}"


def selector_of(owner: Workload) -> Selector:
    """What chooses the pods."""
    selector = owner.spec.selector
    return from_labels(selector) if isinstance(selector, dict) else from_label_selector(selector)


def pairs_of(owner: Workload) -> Mapping[str, str]:
    """The labels that every pod of the selector has, for the indexes."""
    selector = owner.spec.selector
    if selector is None or isinstance(selector, dict):
        return selector or {}
    return selector.match_labels


class PodOwner(Controller, Generic[W]):
    """Keeps the pods of one kind of workloads."""

    kind: type[W]
    words = Words()
    workers = 4

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._owners = context.informers.of(self.kind)
        self._pods = context.informers.of(Pod)
        indexes.index_pods(self._pods)
        indexes.index_selecting(self._owners, pairs_of)
        self._recorder = context.recorder(self.name)
        self._expected: Expectations[Key] = Expectations(context.clock)
        self._sight = Sight(Pod, self._pods)
        self._failed: FailedPods[tuple[str, str]] = FailedPods()
        self.watch_own(self.kind)
        self._pods.subscribe(self._on_pod)

    def statistics(self) -> dict[str, float]:
        return {**super().statistics(), **self._failed.statistics()}

    @abstractmethod
    async def sync(self, owner: W, key: Key) -> float | None:
        """Make the pods of one owner right, as `reconcile` does."""

    def belongs(self, owner: W, pod: Pod) -> bool:
        """What a pod must be to belong to the owner, beside being selected."""
        return True

    def wake(self, key: Key) -> None:
        """A pod of this owner has changed."""
        self.queue.add(key)

    def forget(self, key: Key) -> None:
        """The owner is gone."""
        self._expected.forget(key)
        self._sight.forget(key)

    async def reconcile(self, key: Key) -> float | None:
        owner = self._owners.get(key.name, key.namespace)
        if owner is None:
            self.forget(key)
            return None
        if not self._expected.met(key):
            return LAPSE_SECONDS
        await self._sight.check(self.client, key)
        return await self.sync(owner, key)

    def _on_pod(self, old: Pod | None, new: Pod | None) -> None:
        for pod in (old, new):
            owner = objects.controller_of(pod) if pod is not None else None
            if pod is None or owner is None or owner.kind != self.kind.__name__:
                continue
            key = Key(pod.metadata.namespace, owner.name)
            leaving = new is None or bool(new.metadata.deletion_timestamp)
            self._expected.seen(key, pod.metadata.uid, leaving=leaving)
            self.wake(key)
        if new is not None and new.metadata.labels and is_newly_free(old, new):
            self._enqueue_possible_owners(new)

    def _enqueue_possible_owners(self, pod: Pod) -> None:
        """A pod that nobody controls may be adopted by an owner that selects it."""
        for owner in indexes.perhaps_selecting(self._owners, pod):
            if selector_of(owner).matches(pod.metadata.labels):
                self.enqueue(owner)

    async def claimed(self, owner: W) -> list[Pod]:
        """The owner's pods: adopts those that it selects and nobody has, lets others go."""
        metadata = owner.metadata
        free = indexes.free_pods(self._pods, metadata.namespace, pairs_of(owner))
        found = claim(
            metadata.uid,
            selector_of(owner),
            [*indexes.pods_of(self._pods, metadata.uid), *free],
            lives=not metadata.deletion_timestamp,
            wanted=lambda pod: self.belongs(owner, pod),
        )
        await release(self.client, owner, found.release)
        return [*found.mine, *await adopt(self.client, owner, found.adopt)]

    async def create_pod(self, owner: W, key: Key, pod: Pod) -> Pod:
        """Make one pod, and say so. Returns it as it was made."""
        try:
            made = await self._sight.perhaps(key, self.client.create(pod))
        except PodwrightError as error:
            self.tell_not_created(owner, pod.metadata.name, error)
            raise
        if not self._pods.shows(made.metadata.resource_version):
            self._expected.created(key, made.metadata.uid)
        self._tell(
            owner, "Normal", "SuccessfulCreate", self.words.created, made.metadata.name, None
        )
        return made

    def tell_not_created(self, owner: W, pod: str, error: PodwrightError) -> None:
        """Say why a pod could not be made, if that is more than a moment's trouble."""
        if not is_namespace_terminating(error) and not is_already_exists(error):
            self._tell(owner, "Warning", "FailedCreate", self.words.not_created, pod, error)

    async def delete_pod(self, owner: W, key: Key, pod: Pod) -> None:
        """Delete this very pod, and say so; one that is gone already is left alone."""
        name, uid = pod.metadata.name, pod.metadata.uid
        self._expected.deleted(key, uid)
        try:
            namespace = pod.metadata.namespace
            await self._sight.perhaps(key, self.client.delete(Pod, name, namespace, uid=uid))
        except PodwrightError as error:
            self._expected.seen(key, uid, leaving=True)
            if not is_not_found(error):
                self._tell(owner, "Warning", "FailedDelete", self.words.not_deleted, name, error)
                raise
            return
        self._tell(owner, "Normal", "SuccessfulDelete", self.words.deleted, name, None)

    def place_of(self, pod: Pod) -> str:
        """Where a pod would be replaced, as far as the pause after its end goes."""
        return pod.metadata.name

    def told_of_ended(self, owner: W, pod: Pod) -> tuple[str, str]:
        """Reason and message of the event about a pod that has ended and is to be replaced."""
        return "RecreatingPod", f"Pod {pod.metadata.name} has ended and is made anew"

    async def replace_ended(
        self, owner: W, key: Key, ended: Sequence[Pod], now: datetime
    ) -> tuple[float | None, bool]:
        """Delete pods that have ended, so that others can be made in their place.

        Where one was replaced just now it waits (`FailedPods`). Returns the seconds until there is
        more to do, or None, and whether any pod was deleted.
        """
        waits, busy = [], False
        for pod in ended:
            place = (owner.metadata.uid, self.place_of(pod))
            if (wait := self._failed.wait(place, now)) > 0:
                waits.append(wait)
                continue
            self._failed.replaced(place, now)
            reason, message = self.told_of_ended(owner, pod)
            type_ = "Warning" if pod.status.phase == "Failed" else "Normal"
            self._recorder.event(owner, type_, reason, message)
            await self.delete_pod(owner, key, pod)
            busy = True
        return min(waits, default=None), busy

    def _tell(
        self,
        owner: W,
        type_: str,
        reason: str,
        words: str,
        pod: str,
        error: PodwrightError | None,
    ) -> None:
        message = words.format(pod=pod, owner=owner.metadata.name, error=error)
        self._recorder.event(owner, type_, reason, message)

    async def write_status(self, owner: W, status: Any) -> None:
        """Tell what there is, where that has changed."""
        if status == owner.status:
            return
        copy = msgspec.structs.replace(owner, status=status)
        try:
            await self.client.update(copy, subresource="status")
        except PodwrightError as error:
            if not is_not_found(error):
                raise


def is_passing(error: PodwrightError) -> bool:
    """Whether to try again, or to give up, without a word to anybody: the world has moved on."""
    return is_namespace_terminating(error) or is_conflict(error)


def soonest(*waits: float | None) -> float | None:
    """The shortest of some delays, where there is any."""
    return min((wait for wait in waits if wait is not None), default=None)


def is_newly_free(old: Pod | None, new: Pod) -> bool:
    """Whether the pod can be adopted by somebody who could not have it before."""
    return objects.controller_of(new) is None and (
        old is None
        or old.metadata.labels != new.metadata.labels
        or objects.controller_of(old) is not None
    )
