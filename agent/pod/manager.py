"""All pods of this node: who is wanted, who is there, and a worker for each (step 4 of the walk).

Start of an agent:
1. checkpoints tell what was wanted, Docker's labels what is there;
2. the API gets a moment to say what is wanted now; when it cannot be reached, the checkpoints stand
   in for it (`trust_checkpoints`), so the node works without the control plane;
3. once the API's list has been seen (`api_listed`), pods that it does not have are ended gracefully,
   and so are containers of pods that nobody knows; what they had on the node is freed.

After that: changes of pods, engine events and a slow relist only wake workers. The relist compares
and never overwrites: what differs is read anew by the worker, because a list may be older than what
an effect has just done.

Concurrency: one event loop; one task per worker, one for events, one for the relist. No queues.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Mapping

from agent.containers.errors import RuntimeFailure
from agent.containers.records import (
    ContainerId,
    ContainerRecord,
    EventKind,
    ImageId,
    RuntimeEvent,
)
from agent.effects.context import AgentContext
from agent.node import eviction
from agent.pod import names
from agent.pod.alarm import Alarm
from agent.pod.backoff import retry_delay
from agent.pod.imagenews import ImageNews
from agent.pod.mirrors import begun_anew, mirrors, name_of
from agent.pod.observed import Refusal
from agent.pod.room import Room
from agent.pod.strays import Strays
from agent.pod.worker import PodWorker
from agent.resources.classweight import ClassWeight
from api.core import Pod, PodSpec
from api.meta import ObjectMeta
from api.pods import is_terminal, qos_class
from base.errors import PodwrightError

log = logging.getLogger(__name__)

RELIST = 60.0
RETRY = 2.0
MAX_CRASH_DELAY = 300.0
"""Seconds between two workers of a pod that makes one after the other crash."""


class PodManager:
    """Gives every pod of this node its worker."""

    def __init__(self, agent: AgentContext) -> None:
        self.agent = agent
        self.workers: dict[str, PodWorker] = {}
        self._finished: set[str] = set()
        """Pods that are done here and wait only for their objects to go (finalizers)."""
        self._remembered: dict[str, Pod] = {}
        """Checkpoints that nobody has asked for yet."""
        self.room = Room(agent, self.workers, self._remembered)
        self._unclaimed: dict[str, list[ContainerRecord]] = {}
        """What an earlier agent left, until a pod is found that it belongs to."""
        self._strays = Strays(agent)
        self._relist_due = Alarm("relist", clock=agent.clock, guard=agent.guard)
        self._relists = 0
        self._mismatches = 0
        self._orphans = 0
        self._crashes = 0
        self._events = 0
        self._events_late = 0.0
        self._listening = asyncio.Event()
        """The engine tells what happens: a list made from now on misses nothing."""
        self._missed: dict[str, set[ContainerId]] = defaultdict(set)
        """By the uid of pods that have no worker yet, containers to which something has happened."""
        self._weight = ClassWeight(agent.cgroups, agent.guard)
        self._image_news = ImageNews(agent, self.workers)
        self._static: dict[str, Pod] = {}
        self._mirrors: dict[str, Pod] = {}
        """By the uid of the static pod, its mirror in the API."""
        self.on_mirror: Callable[[Pod | None, Pod | None], None] = lambda old, new: None
        """Called with changes of mirror pods, which are no pods of their own."""
        self.on_static: Callable[[], None] = lambda: None
        """Called when a static pod has come, or the last of one has gone."""
        self.closed: Refusal | None = None
        """Why no pod at all is taken: the machine shuts down."""
        self.pressures: frozenset[str] = frozenset()
        """What the node is short of: new pods are turned away."""
        self.on_engine: Callable[[bool], None] = lambda there: None
        """Called when the engine goes away or comes back."""

    def __repr__(self) -> str:
        return f"PodManager(workers={len(self.workers)}, listed={self.listed})"

    @property
    def listed(self) -> bool:
        """Whether the API has said which pods there are: who has no worker is not wanted."""
        return self.room.listed

    # Changes from outside.

    async def start(self) -> None:
        """Find out what an earlier agent left. Waits until the engine answers once."""
        self._remembered |= {pod.metadata.uid: pod for pod in self.agent.checkpoints.load()}
        # First listen, then look: what the list tells need not be asked again for each container.
        await self._listening.wait()
        self._unclaimed = await self._list_patiently()

    def trust_checkpoints(self) -> None:
        """The API does not answer: what was wanted last is wanted."""
        while self._remembered:
            _, pod = self._remembered.popitem()
            self._add(pod, remembered=True)
        self.room.known = True
        self.room.stir()

    def pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        """A handler for the informer of this node's pods."""
        shown = new or old
        if shown is not None and mirrors(shown):
            self._mirror_changed(shown, old, new)
            return
        if new is None:
            if old is not None:
                self._gone(old)
            return
        uid = new.metadata.uid
        if uid in self._finished:
            return
        known, decides = self._remembered.pop(uid, None), False
        if known is not None and is_terminal(known) and not is_terminal(new):
            self._add(known, remembered=True)  # the API has not heard of its end
        if (worker := self.workers.get(uid)) is None:
            self._add(new)
        else:
            before = _wish(worker.pod)
            worker.update(new)
            decides = _wish(worker.pod) != before
            self._weigh(worker.pod)
        self.agent.checkpoints.save(self.workers[uid].pod, at_once=decides)

    def set_static(self, pods: Mapping[str, Pod]) -> None:
        """These, by uid, and no other static pods are to run."""
        self._static = dict(pods)
        for uid, worker in self.workers.items():
            if worker.static and uid not in pods:
                worker.remove()
        self._start_static()
        self.on_static()

    def close(self, why: Refusal | None) -> None:
        """Take no more pods, or take them again."""
        self.closed = why
        if why is None:
            for worker in self.workers.values():
                if worker.static and worker.context.memory.eviction is not None:
                    worker.remove()  # nobody else would make another one; it begins anew
        self._start_static()

    def static_pods(self) -> list[Pod]:
        return list(self._static.values())

    def leaving_static(self) -> set[str]:
        """Static pods that are no more wanted, and still there."""
        return {
            uid for uid, worker in self.workers.items() if worker.static and uid not in self._static
        }

    async def api_listed(self, present: set[str]) -> None:
        """The API's whole list was seen: end the pods that are not in it, and all strays."""
        for uid, worker in self.workers.items():
            if uid not in present and not worker.static:
                log.info("pod %s is not in the API any more", worker.pod.metadata.name)
                worker.remove()
        for uid in [uid for uid in self._remembered if uid not in present]:
            self._add(self._remembered.pop(uid), orphan=True)
        self.room.listed = self.room.known = True
        # Before anybody new asks: pods that ended while there was no agent have nothing any more.
        self.agent.cpus.keep(self.workers.keys())
        self._missed.clear()
        self.room.stir()
        await self.relist()

    def wake_all(self, key: str) -> None:
        """Something that made `key` fail has changed for all pods."""
        for worker in self.workers.values():
            worker.retry(key)

    def images_wanted(self) -> set[ImageId]:
        """Images that were made sure of for containers, made or not yet, and for volumes; of pods that
        have finished none, since nothing of them runs again."""
        wanted: set[ImageId] = set()
        for worker in self.workers.values():
            if is_terminal(worker.pod):
                continue
            memory = worker.context.memory
            wanted.update(found.image.id for found in memory.images.values())
            wanted.update(memory.volume_images.values())
        return wanted

    def pods(self) -> list[Pod]:
        return [worker.pod for worker in self.workers.values()]

    # Loops.

    async def watch_engine(self) -> None:
        """Pass on engine events, until cancelled."""
        self.agent.guard.start(self._image_news.run(), name="image news")
        async for event in self.agent.runtime.events():
            if event.kind is EventKind.ENGINE_LOST:
                self.on_engine(False)
                for worker in self.workers.values():
                    worker.context.memory.changes.note("the container engine went away")
            elif event.kind is EventKind.ENGINE_BACK:
                self.on_engine(True)
                if self._listening.is_set():
                    # Not here: while a list takes its time, events would wait.
                    self._relist_due.ring()
                self._listening.set()  # the first time `start` makes the list
            elif event.kind is EventKind.IMAGE_CAME:
                self._image_news.heard()
            else:
                self._note(event)

    async def relist_forever(self) -> None:
        """The safety net under the events, until cancelled."""
        while True:
            await self._relist_due.wait(RELIST)
            await self.relist()
            self._weight.again()
            for worker in self.workers.values():
                worker.wake()

    async def relist(self) -> None:
        """Compare all containers with what the workers know; take care of those nobody knows."""
        self._relists += 1
        try:
            there = await self._list()
        except RuntimeFailure as error:
            log.warning("containers cannot be listed: %s", error)
            return
        for uid, worker in list(self.workers.items()):
            known = worker.context.memory.records
            now = {record.id: record for record in there.get(uid, [])}
            differs = [id for id in known if id not in now]
            differs += [
                id
                for id, record in now.items()
                if id not in known or known[id].state != record.state
            ]
            if differs and not worker.context.memory.leaving:
                self._mismatches += len(differs)
                worker.look_at(differs)
        if self.listed:
            await self.clean_up(there)

    async def clean_up(self, there: dict[str, list[ContainerRecord]] | None = None) -> None:
        """End containers of unknown pods; free addresses, cgroups and directories of no pod."""
        if there is None:
            there = await self._list()
        for uid, records in there.items():
            if uid not in self.workers and uid not in self._finished:
                self._orphans += 1
                log.info("containers of pod %s belong to nobody and are ended", uid)
                self._unclaimed[uid] = records
                self._missed[uid] = {record.id for record in records}
                self._add(_orphan(uid, records), orphan=True)
        live = [
            record.id
            for records in there.values()
            for record in records
            if record.labels.get(names.CONTAINER_TYPE) == names.SANDBOX
        ]
        for worker in self.workers.values():
            live += [record.id for record in worker.context.memory.sandboxes()]
        try:
            await self.agent.network.reconcile(set(live))
        except PodwrightError as error:
            log.warning("stray addresses are not freed: %s", error)
        await self._strays.remove(self.workers.keys())

    def statistics(self) -> dict[str, float]:
        return self.room.statistics() | {
            "pods": len(self.workers),
            "effects_running": sum(w.statistics()["busy"] for w in self.workers.values()),
            "relists": self._relists,
            "relist_mismatches": self._mismatches,
            "engine_events": self._events,
            "engine_events_late_seconds": self._events_late,
            "orphans": self._orphans,
            "worker_crashes": self._crashes,
        }

    # Parts.

    def _start_static(self) -> None:
        """Those that do not run yet. The successor of one that changed waits for its end."""
        if self.closed is not None:
            return
        taken = {name_of(worker.pod) for worker in self.workers.values()}
        for uid, pod in self._static.items():
            if uid not in self.workers and uid not in self._finished and name_of(pod) not in taken:
                self._add(pod, static=True)

    def _mirror_changed(self, shown: Pod, old: Pod | None, new: Pod | None) -> None:
        if new is None or (old is not None and old.metadata.uid != new.metadata.uid):
            self.agent.pusher.forget((old or shown).metadata.uid)
        uid = mirrors(shown)
        if new is not None and new.metadata.deletion_timestamp is None:
            self._mirrors[uid] = new
        else:
            self._mirrors.pop(uid, None)
        worker = self.workers.get(uid)
        if worker is not None:
            worker.reflect(self._mirrors.get(uid))
        self.on_mirror(old, new)

    def _add(
        self, pod: Pod, *, orphan: bool = False, static: bool = False, remembered: bool = False
    ) -> None:
        uid = pod.metadata.uid
        worker = PodWorker(
            pod,
            self.agent,
            places=self.room,
            orphan=orphan,
            static=static,
            remembered=remembered,
        )
        worker.mirror = self._mirrors.get(uid)
        records, missed = self._unclaimed.pop(uid, []), self._missed.pop(uid, set())
        if records or missed:
            worker.adopt(records, stale=missed)
        elif not (orphan or static or pod.status.start_time):
            worker.turned_away = self.closed or self._short_for(pod)
        self.workers[uid] = worker
        self._weigh(pod)
        name = f"pod {pod.metadata.namespace}/{pod.metadata.name}"
        self.agent.guard.start(self._run(uid, worker), name=name)

    def _short_for(self, pod: Pod) -> Refusal | None:
        words = eviction.refusal(pod, self.pressures)
        return Refusal(reason="Evicted", field="", message=words, rejected=True) if words else None

    async def _run(self, uid: str, worker: PodWorker) -> None:
        await self._strays.cleared(uid)
        crashes = 0
        while (error := await _end_of(worker)) is not None:
            crashes += 1
            worker.context.confess("its worker", error)
            await worker.abandon()
            await self.agent.clock.sleep(retry_delay(crashes, longest=MAX_CRASH_DELAY))
            worker = await self._replace(uid, worker)
        del self.workers[uid]
        self.agent.checkpoints.remove(uid)  # what was told of its end has saved it once more
        if not worker.context.memory.removed:
            self._finished.add(uid)
        if worker.static and uid in self._static:  # its file was taken away, and is back
            self._static[uid] = begun_anew(self._static[uid], worker.reported)
        self._start_static()  # one of this name or uid may have waited, whatever this was
        if worker.static:
            self.on_static()
        self._weigh(worker.pod, gone=True)

    async def _replace(self, uid: str, crashed: PodWorker) -> PodWorker:
        """A new worker for the pod of one that crashed; it finds what is there as after a restart."""
        there = await self._list_patiently()
        self._crashes += 1
        orphan = crashed.context.memory.removed
        worker = PodWorker(
            crashed.pod,
            self.agent,
            places=self.room,
            orphan=orphan,
            static=crashed.static,
        )
        worker.mirror, worker.admitted = crashed.mirror, crashed.admitted
        worker.unheard = crashed.unheard
        worker.context.memory.eviction = crashed.context.memory.eviction
        records = there.get(uid, [])
        # The one that crashed has heard of what happened since the list was made.
        worker.adopt(records, stale=[record.id for record in records])
        self.workers[uid] = worker
        return worker

    def _gone(self, pod: Pod) -> None:
        uid = pod.metadata.uid
        self._finished.discard(uid)
        self.agent.pusher.forget(uid)
        worker = self.workers.get(uid)
        if worker is not None:
            worker.update(pod)
            worker.remove()

    def _note(self, event: RuntimeEvent) -> None:
        if event.labels.get(names.NODE) != self.agent.node.name:
            return
        self._events += 1
        self._events_late += max(0.0, (self.agent.clock.now() - event.time).total_seconds())
        worker = self.workers.get(event.labels.get(names.POD_UID, ""))
        if worker is not None:
            worker.note_event(event)
        elif not self.listed:
            self._missed[event.labels.get(names.POD_UID, "")].add(event.id)

    def _weigh(self, pod: Pod, *, gone: bool = False) -> None:
        """Who waits for room looks again; the Burstable class weighs what its pods request together."""
        waiting = [w for w in self.workers.values() if w.context.memory.pending is not None]
        for worker in sorted(waiting, key=_rank):
            worker.wake()
        # Only this pod is weighed anew: each pod's status comes back from the API several times.
        if gone or is_terminal(pod):
            self._weight.drop(pod.metadata.uid)
        else:
            self._weight.add(pod)

    async def _list(self) -> dict[str, list[ContainerRecord]]:
        records = await self.agent.runtime.list_containers(
            labels={names.NODE: self.agent.node.name}
        )
        by_pod: dict[str, list[ContainerRecord]] = defaultdict(list)
        for record in records:
            identity = names.identify(record)
            if identity is not None:
                by_pod[identity.uid].append(record)
        return dict(by_pod)

    async def _list_patiently(self) -> dict[str, list[ContainerRecord]]:
        while True:
            try:
                return await self._list()
            except RuntimeFailure as error:
                log.warning("waiting for the container engine: %s", error)
                self.on_engine(False)
                await self.agent.clock.sleep(RETRY)


async def _end_of(worker: PodWorker) -> Exception | None:
    """Run a worker to its end: None when its pod is done, else what nobody expected."""
    try:
        await worker.run()
    except Exception as error:  # one pod that trips a bug must not stop all others
        log.exception("%r ended unexpectedly; another one takes over", worker)
        return error
    return None


def _rank(worker: PodWorker) -> tuple[int, bool, float]:
    """Who of those that wait for more is asked first: by priority, then class, then how long it has waited
    ("Resize CPU and Memory Resources assigned to Containers")."""
    guaranteed = qos_class(worker.pod) == "Guaranteed"
    return -(worker.pod.spec.priority or 0), not guaranteed, worker.context.memory.pending_since


def _wish(pod: Pod) -> tuple[object, ...]:
    """What decides whether containers end: the spec, a deletion, and that the pod is done for good."""
    meta = pod.metadata
    grace = meta.deletion_grace_period_seconds
    return pod.spec, meta.deletion_timestamp, grace, is_terminal(pod)


def _orphan(uid: str, records: list[ContainerRecord]) -> Pod:
    """What labels tell of a pod that nobody remembers: enough to end it."""
    labels = records[0].labels
    grace = labels.get(names.POD_GRACE, "")
    return Pod(
        metadata=ObjectMeta(
            name=labels.get(names.POD_NAME, ""),
            namespace=labels.get(names.POD_NAMESPACE, ""),
            uid=uid,
        ),
        spec=PodSpec(
            containers=[],
            termination_grace_period_seconds=int(grace) if grace.isdigit() else None,
        ),
    )
