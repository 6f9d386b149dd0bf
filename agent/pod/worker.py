"""The worker of one pod: look, decide, act, tell (step 4 of the pod's walk, and 7 backwards).

One worker per pod uid, each in a task of its own: one pod is sequential, pods are parallel, and a
container that hangs holds up its own pod only. The worker's loop never waits for an effect: effects
are tasks, keyed by what they touch, and each one that ends wakes the loop, which asks the plan
again. It is level-triggered: whatever wakes it (the API, an engine event, a probe, an effect, the
time), it looks at everything it knows and does what is to be done now. A wake-up too many costs
microseconds, a wake-up too few is mended by the relist.

    wake ─ refresh what changed ─ observe ─ status → pusher
                                     └───── plan → effects (tasks) ─┐
      ^─────────────────────────────────────────────────────────────┘

Queues: none; wake-ups coalesce in the alarm, ids to be read anew in one set. Errors of effects are
failures with a back-off. What nobody expected is a bug: it is logged with its trace and told as an
event, and it is a failure of this one pod, because the agent must go on for all others. One in an
effect makes that effect fail; one in the loop ends the worker, and the manager makes a new one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Protocol

import msgspec

from agent.containers.records import ContainerId, ContainerRecord, EventKind, RuntimeEvent
from agent.effects import autopsy, eviction, start, stop
from agent.effects.context import AgentContext, PodContext
from agent.effects.looking import Looking
from agent.effects.performing import Performing
from agent.effects.probing import Probing
from agent.node.containergc import Dead
from agent.pod import actions, admission, backoff, names, preemption
from agent.pod.actions import Plan, PrepareVolumes
from agent.pod.alarm import Alarm
from agent.pod.allocation import Answer, judge, wants_more_or_less
from agent.pod.forensics import differences
from agent.pod.memory import PodMemory
from agent.pod.observed import Eviction, PodObserved, Refusal
from agent.pod.outcome import DEADLINE_EXCEEDED, Outcome, outcome
from agent.pod.plan import plan
from agent.pod.status import status
from agent.pod.teardown import pod_grace
from agent.probes.tally import Tally
from agent.spec.refusals import refusal
from agent.volumes.registry import PodVolumes, shown_differently
from api.core import Pod, PodStatus
from api.pods import all_containers, is_terminal

LOOK_AGAIN = 1.0
"""Seconds until a container is looked at again for which the engine did not answer, and CPUs that were not
free."""
SHORTEST_WAIT = 0.001
"""Less than a clock may be able to tell: who waits for the rest of a back-off must not turn in circles."""


class Places(Protocol):
    """What decides on the pod beside all others of the node (`room.Room`)."""

    async def admit(self, worker: PodWorker) -> Refusal | None: ...

    async def reserve_cpus(self, worker: PodWorker) -> Refusal | None: ...

    def stir(self) -> None: ...

    def decided(self, refusal: Refusal | None) -> None: ...

    def others(self, but: str) -> list[Pod]: ...


class PodWorker:
    """Keeps one pod as it should be."""

    def __init__(
        self,
        pod: Pod,
        agent: AgentContext,
        *,
        places: Places,
        orphan: bool = False,
        static: bool = False,
        remembered: bool = False,
    ) -> None:
        memory = PodMemory(agent.clock)
        memory.begin(pod)
        memory.removed = orphan
        memory.recursive_read_only = agent.node.engine.recursive_read_only
        memory.dead_limits = agent.node.dead_limits
        shown = PodVolumes(
            agent.node.pod_directory(pod.metadata.uid),
            objects=agent.objects,
            mounter=agent.mounter,
            stages=agent.stages,
            clock=agent.clock,
        )
        self.context = PodContext(agent=agent, pod=pod, memory=memory, volumes=shown)
        shown.fetch = partial(start.volume_image, self.context)
        self._places = places
        self.static = static
        """It comes from a file of the node: the API has only its mirror."""
        self.mirror: Pod | None = None
        self.turned_away: Refusal | None = None
        """Why the node takes no such pod now; set before it runs."""
        self.admitted = bool(pod.status.start_time)
        """It has a place on the node: now, or since an agent before this one."""
        self.asking = True
        """Whether the node takes it is not decided yet."""
        self.reported: PodStatus = pod.status
        """The status last computed."""
        self.unheard = remembered and is_terminal(pod)
        """The pod has ended by its checkpoint, and what the API knows of that is not known: it is told by
        its next version."""
        name = f"pod {pod.metadata.namespace}/{pod.metadata.name}"
        self._name = name
        self._alarm = Alarm(name, clock=agent.clock, guard=agent.guard)
        self._performing = Performing(self.context, name, wake=self.wake)
        self._looking = Looking(self.context, name)
        self._probing = Probing(self.context, wake=self.wake)
        self._steps = 0

    def __repr__(self) -> str:
        return f"PodWorker({self._name}, busy={sorted(self._performing)})"

    @property
    def pod(self) -> Pod:
        return self.context.pod

    @property
    def tally(self) -> Tally:
        """What came of the pod's probes."""
        return self._probing.tally

    @property
    def critical(self) -> bool:
        """Whether the node cannot do without the pod."""
        return preemption.is_critical(self.pod, static=self.static)

    @property
    def ends(self) -> bool:
        """Whether nothing of the pod is to be made any more."""
        evicted = self.context.memory.eviction is not None
        return self._stopping() or evicted or is_terminal(self.pod)

    @property
    def has_ended(self) -> bool:
        """Whether the pod has finished, and nothing of it runs any more."""
        return self.reported.phase in ("Succeeded", "Failed")

    # What wakes it.

    def wake(self) -> None:
        self._alarm.ring()

    def update(self, pod: Pod) -> None:
        """The API has a new version of the pod."""
        before, self.context.pod = self.pod, self._with_end(pod)
        for change in differences(before, pod):
            self.context.memory.changes.note(change)
        if pod.metadata.deletion_timestamp is not None:
            grace = pod_grace(pod)
            if grace < pod_grace(before) or before.metadata.deletion_timestamp is None:
                stop.shorten(self.context, grace)
        self._mind_backoff(before)
        self._mind_images(before)
        if shown_differently(before, pod):
            self.context.memory.volumes_due = self.context.agent.clock.monotonic()
        self._mind_end(pod)
        self.wake()

    def _mind_end(self, pod: Pod) -> None:
        """Have the API told again what it does not say."""
        pusher, unheard = self.context.agent.pusher, self.unheard
        self.unheard = False
        if unheard and is_terminal(pod):
            self.reported = pod.status
        elif unheard:
            pusher.submit(pod, self.reported)
        elif self.has_ended or not is_terminal(pod):  # else somebody has ended it, and that stands
            pusher.heard(pod)

    def _with_end(self, pod: Pod) -> Pod:
        """An end that was told once stands, also while the API has not heard of it yet."""
        if not self.has_ended or is_terminal(pod):
            return pod
        return msgspec.structs.replace(pod, status=self.reported)

    def _mind_backoff(self, before: Pod | None) -> None:
        """The pod's own curve, and a wish to try again at once."""
        memory, agent = self.context.memory, self.context.agent
        said = self.pod.metadata.annotations
        old = {} if before is None else before.metadata.annotations
        if before is None or said.get(backoff.ANNOTATION) != old.get(backoff.ANNOTATION):
            memory.backoff = agent.node.backoff
            if text := said.get(backoff.ANNOTATION):
                try:
                    memory.backoff = backoff.curve(text, agent.node.backoff)
                except ValueError as error:
                    words = f"annotation {backoff.ANNOTATION}: {error}; the node's curve counts"
                    self.context.warn("InvalidRestartBackOff", words)
        wish = said.get(backoff.RETRY_ANNOTATION)
        if before is not None and wish and wish != old.get(backoff.RETRY_ANNOTATION):
            agent.images.forget(self.pod.metadata.uid)
            memory.hurry()
            self.context.normal("Retrying", f"Trying again at once, as asked for ({wish})")

    def _mind_images(self, before: Pod) -> None:
        """That an image could not be had says nothing about the one that is wanted instead."""
        old = {container.name: container.image for container in all_containers(before.spec)}
        for container in all_containers(self.pod.spec):
            if old.get(container.name) != container.image:
                self.context.memory.succeed(f"image/{container.name}")
                self.context.memory.succeed(f"container/{container.name}")

    def reflect(self, mirror: Pod | None) -> None:
        """The API has this mirror of a static pod: what is told of the pod is told there."""
        before, self.mirror = self.mirror, mirror
        if mirror is None:
            return
        pusher = self.context.agent.pusher
        if before is None or before.metadata.uid != mirror.metadata.uid:
            if self._steps:
                pusher.submit(mirror, self.reported)
        else:
            pusher.heard(mirror)

    def remove(self) -> None:
        """The API has no such pod any more."""
        self.context.memory.removed = True
        self._places.stir()
        self.wake()

    def evict(
        self, message: str, grace: float, annotations: Mapping[str, str] | None = None
    ) -> None:
        """End the pod for good; whoever owns it makes another one, elsewhere. `annotations`: of its event."""
        if self.has_ended:
            return
        self._end_for(Eviction(message=message, grace=grace))
        recorder = self.context.agent.recorder
        recorder.event(self.pod, "Warning", "Evicted", message, annotations=annotations)
        self.wake()

    def terminate(self, reason: str, message: str, within: float) -> None:
        """As `evict`, but for the machine's sake: within its own grace period and `within` seconds."""
        grace = min(pod_grace(self.pod), within)
        if self._stopping() or self.context.memory.eviction is not None:
            stop.shorten(self.context, grace)
        elif not self.has_ended:
            self._end_for(Eviction(message=message, grace=grace, reason=reason))
        self.wake()

    def preempt(self) -> None:
        """As `evict`, to make room for a critical pod: within its own grace period."""
        if self.context.memory.eviction is None and not self.has_ended:
            self._end_for(
                Eviction(
                    message=preemption.MESSAGE,
                    reason=preemption.REASON,
                    condition=preemption.CONDITION,
                    grace=pod_grace(self.pod),
                )
            )
            self.context.warn(preemption.REASON, preemption.MESSAGE)
        self.wake()

    def _end_for(self, why: Eviction) -> None:
        eviction.decide(self.context, why, kept=not (self.static or self._stopping()))

    def adopt(self, records: Sequence[ContainerRecord], *, stale: Iterable[ContainerId]) -> None:
        """Containers that were there before this agent; something has happened to some of them since."""
        memory = self.context.memory
        self.admitted = self.admitted or bool(records)
        memory.changes.note("the agent was started anew")
        self._looking.adopt(records)
        self._probing.remember(self.pod)
        start.resume_hooks(self.context)
        self.look_at(stale)

    def note_event(self, event: RuntimeEvent) -> None:
        """Something happened to one of the pod's containers."""
        known = self.context.memory.records.get(event.id)
        if event.kind in (EventKind.CREATED, EventKind.STARTED):
            # Our own doing, most of the time: the effect reads the record itself.
            name = event.labels.get(names.CONTAINER_NAME, "")
            ours = "sandbox" if name == names.SANDBOX_NAME else f"container/{name}"
            if ours in self._performing:
                return
            if known is not None and (known.running or event.kind is EventKind.CREATED):
                return
        self.look_at([event.id])

    def look_at(self, ids: Iterable[ContainerId]) -> None:
        """Read these containers anew."""
        self._looking.note(ids)
        self.wake()

    def dead(self) -> list[Dead]:
        """The containers that ended and are still there."""
        observed = self._observe()
        finished = outcome(self.pod, observed) is not None
        return [
            Dead(
                uid=self.context.uid,
                container=name,
                id=seen.id,
                ended_ago=seen.ended_ago,
                followed=place > 0,
                finished=finished,
            )
            for name, made in observed.containers.items()
            for place, seen in enumerate(made)
            if seen.ended
        ]

    def discard(self, dead: Dead) -> None:
        """Remove one of them."""
        action = actions.RemoveContainer(id=dead.id, container=dead.container)
        if action.key not in self._performing:
            self._performing.begin(action)

    def retry(self, key: str) -> None:
        """What made this action fail has changed: do not wait."""
        self.context.memory.succeed(key)
        self.wake()

    # The loop.

    async def run(self) -> None:
        """Work until nothing of the pod is left."""
        agent, memory = self.context.agent, self.context.memory
        autopsy.recall(self.context)
        eviction.recall(self.context)
        self._mind_backoff(None)
        memory.refusal = (
            self.turned_away
            or refusal(self.pod, agent.node.engine, unsafe_sysctls=agent.node.unsafe_sysctls)
            or await self._places.admit(self)
            or await self._places.reserve_cpus(self)
        )
        if memory.refusal is not None:
            # Who waits for better times keeps its place, as its scheduler has it; so does who runs.
            self.admitted = bool(memory.records) or not memory.refusal.rejected
        self.asking = False
        self._places.decided(memory.refusal)
        if memory.refusal is not None and not memory.removed:
            self.context.warn(memory.refusal.reason, memory.refusal.message)
        try:
            while True:
                await self._looking.look()
                self._tell_stops()
                wait = self._step()
                if wait < 0:
                    return
                await self._alarm.wait(None if wait == float("inf") else wait)
        finally:
            self._probing.stop()

    async def rest(self, seconds: float) -> None:
        """For who decides on the pod: wait for news of it, or of others."""
        await self._alarm.wait(seconds)

    def statistics(self) -> dict[str, float]:
        return {"busy": len(self._performing), "steps": self._steps, "probes": len(self._probing)}

    def _step(self) -> float:
        """Tell and act once; returns the seconds until it should happen again, -1 for never."""
        self._steps += 1
        memory = self.context.memory
        if self._looking.unknown_ends() and not self._stopping():
            # What was told last stands: an end, once told, is for good. A kubelet's workers wait, too, until
            # the runtime has answered.
            return LOOK_AGAIN
        self._allocate()
        observed = self._observe()
        end = outcome(self.pod, observed)
        if memory.stopping_since is None and (self._stopping() or end is not None):
            self._begin_to_stop(end)
        decision = plan(self.pod, observed, end=end)
        self._tell(observed, end)
        self._probing.sync(observed)
        if decision.done:
            return -1.0
        for action in decision.actions:
            self._performing.begin(action)
        return self._next_wake(decision)

    def _allocate(self) -> None:
        """Admit the amounts of the spec, if they are new and the node has room for them."""
        memory, pod = self.context.memory, self.pod
        if self._stopping() or not wants_more_or_less(pod, memory.allocated):
            memory.pending = None
            return
        node = self.context.agent.node
        used = admission.Taken.by(self._places.others(pod.metadata.uid)).amounts
        policy = self.context.agent.cpus.policy
        verdict = judge(pod, used=used, allocatable=node.allocatable, cpu_policy=policy)
        if verdict.answer is Answer.ADMITTED:
            memory.allocated, memory.pending = (
                {container.name: container.resources for container in all_containers(pod.spec)},
                None,
            )
            return
        if memory.pending is None or memory.pending.answer is not verdict.answer:
            self.context.warn(f"Resize{verdict.answer.value}", verdict.message)
        if memory.pending is None:
            memory.pending_since = self.context.agent.clock.monotonic()
        memory.pending = verdict

    def _observe(self) -> PodObserved:
        host_ip = self.context.agent.node.host_ip
        return self.context.memory.observe(self.pod, host_ip=host_ip, busy=self._performing)

    def _stopping(self) -> bool:
        return self.pod.metadata.deletion_timestamp is not None or self.context.memory.removed

    def _tell_stops(self) -> None:
        """Who waits for an end, or for what a hook works on, looks at it with us."""
        for order in self.context.stops.values():
            order.alarm.ring()
        for bell in self.context.post_starts.values():
            bell.ring()

    def _begin_to_stop(self, end: Outcome | None) -> None:
        """The last of the pod begins: its containers share one grace period from here."""
        self.context.memory.stopping_since = self.context.agent.clock.monotonic()
        if end is not None and end.reason == DEADLINE_EXCEEDED and not self.ends:
            self.context.normal(end.reason, end.message)
            grace = pod_grace(self.pod)
            why = Eviction(message=end.message, reason=end.reason, disrupts=False, grace=grace)
            self._end_for(why)

    def _tell(self, observed: PodObserved, end: Outcome | None) -> None:
        """Derive the status and pass it on. Frozen while the last of the pod is taken away."""
        if observed.removed or self.context.memory.leaving:
            return
        agent = self.context.agent
        now = status(
            self.pod,
            observed,
            end=end,
            previous=self.reported,
            host_ip=agent.node.host_ip,
            now=agent.clock.now(),
        )
        if now != self.reported:
            self._tell_back_off(self.reported, now)
            ended, self.reported = self.has_ended, now
            if self.has_ended and not ended:
                self._places.stir()
            shown = self.mirror if self.static else self.pod
            if shown is not None and not self.unheard:
                agent.pusher.submit(shown, now)
            self.context.pod = self._with_end(self.pod)
            if self.has_ended and not (ended or self.static or self._stopping()):
                agent.checkpoints.save(self.pod, at_once=True)

    def _tell_back_off(self, before: PodStatus, now: PodStatus) -> None:
        known = _backing_off(before)
        meta = self.pod.metadata
        for name in sorted(_backing_off(now) - known):
            message = f"Back-off restarting failed container {name} in pod "
            message += f"{meta.name}_{meta.namespace}({meta.uid})"
            self.context.warn("BackOff", message, container=name)

    def _next_wake(self, decision: Plan) -> float:
        waits = [float("inf") if decision.wake_in is None else decision.wake_in]
        if len(self._looking):
            waits.append(LOOK_AGAIN)
        memory = self.context.memory
        shown = memory.volumes_ready and memory.stopping_since is None
        if memory.volumes_due is not None and shown and PrepareVolumes.key not in self._performing:
            left = memory.volumes_due - self.context.agent.clock.monotonic()
            if left <= 0:
                self._performing.begin(PrepareVolumes())
            else:
                waits.append(left)
        return max(SHORTEST_WAIT, min(waits))

    async def abandon(self) -> None:
        """Let go of the pod as it is: another worker takes over, as after a restart of the agent."""
        self.asking = False
        self._probing.stop()
        await self._performing.abandon()


def _backing_off(status: PodStatus) -> set[str]:
    """Containers in a crash loop."""
    return {
        each.name
        for each in (*status.init_container_statuses, *status.container_statuses)
        if each.state.waiting is not None and each.state.waiting.reason == "CrashLoopBackOff"
    }
