"""Mirror pods: static pods as the API shows them (step 5 of the pod's walk).

For each static pod of its node the agent makes a Pod in the API, owned by the Node, so that users see
it, its status and its logs. It is an image in a mirror: whoever deletes it sees it come back, and whoever
changes the file changes both. Which mirror belongs to which pod is said by the annotation
`kubernetes.io/config.mirror`, whose value is the static pod's uid.

`decide` is pure and level-triggered; what fails (no control plane, no Node yet) is tried again.
Concurrency: one task; changes only wake it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import msgspec

from agent.pod.alarm import Alarm
from agent.pod.backoff import retry_delay
from agent.pod.containerstatus import end_of_removed
from agent.pod.observed import restart_policy
from api.client import Client
from api.core import ContainerState, Node, Pod, PodStatus
from api.errors import is_already_exists, is_conflict, is_not_found
from api.meta import ObjectMeta, OwnerReference
from base.clock import Clock
from base.errors import PodwrightError
from base.tasks import TaskGuard

log = logging.getLogger(__name__)

MIRROR = "kubernetes.io/config.mirror"
LONGEST_RETRY = 60.0

Name = tuple[str, str]
"""(namespace, name)"""


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What has to happen in the API."""

    delete: tuple[Pod, ...] = ()
    create: tuple[Pod, ...] = ()
    """The static pods that have no mirror."""


def name_of(pod: Pod) -> Name:
    return pod.metadata.namespace, pod.metadata.name


def mirrors(pod: Pod) -> str:
    """The uid of the static pod that this one is the mirror of; empty for any other pod."""
    return pod.metadata.annotations.get(MIRROR, "")


def decide(static: Collection[Pod], leaving: Collection[str], there: Mapping[Name, Pod]) -> Changes:
    """Compare. `leaving` are the uids of static pods whose containers still end."""
    wanted = {name_of(pod): pod for pod in static}
    delete, create = [], []
    for name, mirror in there.items():
        pod, uid = wanted.get(name), mirrors(mirror)
        right = (pod is not None and pod.metadata.uid == uid) or uid in leaving
        if mirror.metadata.deletion_timestamp is not None or not right:
            delete.append(mirror)
    for name, pod in wanted.items():
        if name not in there:
            create.append(pod)
    return Changes(delete=tuple(delete), create=tuple(create))


def mirror_of(pod: Pod, node: Node) -> Pod:
    """The mirror as it is created."""
    meta = pod.metadata
    owner = OwnerReference(
        api_version="v1",
        kind="Node",
        name=node.metadata.name,
        uid=node.metadata.uid,
        controller=True,
    )
    return Pod(
        metadata=ObjectMeta(
            name=meta.name,
            namespace=meta.namespace,
            labels=dict(meta.labels),
            annotations={**meta.annotations, MIRROR: meta.uid},
            owner_references=[owner],
        ),
        spec=msgspec.structs.replace(pod.spec),
        status=PodStatus(),
    )


def begun_anew(pod: Pod, before: PodStatus) -> Pod:
    """A static pod that comes back after its end: containers that always run go on counting their starts."""
    known = {status.name: status for status in before.container_statuses}
    counted = []
    for container in pod.spec.containers:
        one = known.get(container.name)
        end = None if one is None else end_of_removed(one)
        if one is not None and end is not None and restart_policy(pod, container) == "Always":
            last = ContainerState(terminated=end)
            counted.append(msgspec.structs.replace(one, state=ContainerState(), last_state=last))
    status = msgspec.structs.replace(pod.status, container_statuses=counted)
    return msgspec.structs.replace(pod, status=status)


class MirrorPods:
    """Keeps the mirrors as they should be."""

    def __init__(
        self,
        client: Client,
        *,
        node: Callable[[], Node | None],
        static: Callable[[], Collection[Pod]],
        leaving: Callable[[], Collection[str]],
        clock: Clock,
        guard: TaskGuard,
    ) -> None:
        self._client = client
        self._node = node
        self._static = static
        self._leaving = leaving
        self._there: dict[Name, Pod] = {}
        self._alarm = Alarm("mirror pods", clock=clock, guard=guard)
        self._made = 0
        self._failed = 0

    def wake(self) -> None:
        """Static pods have changed, or something of theirs has ended."""
        self._alarm.ring()

    def changed(self, old: Pod | None, new: Pod | None) -> None:
        """The API's word on one mirror pod."""
        if new is not None:
            self._there[name_of(new)] = new
        elif old is not None:
            self._there.pop(name_of(old), None)
        self.wake()

    def of(self, uid: str) -> Pod | None:
        """The mirror of a static pod, if it has one that stays."""
        for mirror in self._there.values():
            if mirrors(mirror) == uid and mirror.metadata.deletion_timestamp is None:
                return mirror
        return None

    async def run(self) -> None:
        """Work until cancelled. Started once the API's list of pods was seen."""
        failures = 0
        while True:
            sound = await self._pass()
            failures = 0 if sound else failures + 1
            wait = None if sound else retry_delay(failures, longest=LONGEST_RETRY)
            await self._alarm.wait(wait)

    def statistics(self) -> dict[str, float]:
        return {
            "mirrors": len(self._there),
            "mirrors_made": self._made,
            "mirrors_failed": self._failed,
        }

    async def _pass(self) -> bool:
        changes = decide(self._static(), self._leaving(), self._there)
        if not (changes.delete or changes.create):
            return True
        sound, node = True, self._node()
        for mirror in changes.delete:
            sound &= await self._delete(mirror)
        for pod in changes.create if node is not None else ():
            assert node is not None
            sound &= await self._create(pod, node)
        return sound and (node is not None or not changes.create)

    async def _delete(self, mirror: Pod) -> bool:
        meta = mirror.metadata
        try:
            await self._client.delete(
                Pod, meta.name, meta.namespace, grace_period_seconds=0, uid=meta.uid
            )
        except PodwrightError as error:
            if not (is_not_found(error) or is_conflict(error)):
                return self._fail("removed", mirror, error)
        return True

    async def _create(self, pod: Pod, node: Node) -> bool:
        try:
            await self._client.create(mirror_of(pod, node))
        except PodwrightError as error:
            # One that is there and was not told of yet: its change is on the way.
            return is_already_exists(error) or self._fail("made", pod, error)
        self._made += 1
        return True

    def _fail(self, what: str, pod: Pod, error: PodwrightError) -> bool:
        self._failed += 1
        log.warning("mirror of static pod %s is not %s yet: %s", pod.metadata.name, what, error)
        return False
