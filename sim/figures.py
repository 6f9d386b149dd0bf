"""Figures of a simulated run, kept up with every change: pods, latencies, disruptions, utilisation.

Utilisation is what pods on nodes ask for, divided by what nodes have to give, weighted with time.
Pure bookkeeping: no I/O, and the clock comes with each step.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from api import nodes, pods
from api.core import Node, Pod
from api.nodes import ZONE
from api.resources import Amounts
from sim.history import Step

SHOWN = ("cpu", "memory", "pods")
"""Resources whose utilisation is told."""


@dataclass
class Course:
    """One pod's way so far: moments in seconds."""

    created: float
    scheduled: float | None = None
    ready: float | None = None
    end: str = ""
    disrupted: str = ""
    gone: bool = False
    waits: str = ""
    """Why it has no node, as it says itself."""


@dataclass
class Use:
    """One resource over time, as shares of what there is."""

    asked: int = 0
    there: int = 0
    peak: float = 0.0
    _sum: float = 0.0
    _since: float = 0.0

    @property
    def now(self) -> float:
        return self.asked / self.there if self.there else 0.0

    def pass_time(self, seconds: float) -> None:
        self._sum += self.now * seconds
        self._since += seconds
        self.peak = max(self.peak, self.now)

    @property
    def mean(self) -> float:
        return self._sum / self._since if self._since else self.now


@dataclass
class Latencies:
    """Durations in seconds."""

    placed: list[float] = field(default_factory=list)
    """From a pod's creation to its node."""
    started: list[float] = field(default_factory=list)
    """From its node to its being ready."""
    ready: list[float] = field(default_factory=list)
    """From its creation to its being ready, the first time."""


class Figures:
    """Listens to the history of a cluster."""

    def __init__(self) -> None:
        self.courses: dict[str, Course] = {}
        """Of every pod that there ever was, by UID."""
        self.latencies = Latencies()
        self.use = {name: Use() for name in SHOWN}
        self.nodes: dict[str, Node] = {}
        self.on_node: Counter[str] = Counter()
        """Pods that are placed and have not ended."""
        self.deleted = 0
        self.refused = 0
        """Objects of the scenario that the API did not take."""
        self._held: dict[str, tuple[str, Amounts]] = {}
        self._there: dict[str, Amounts] = {}
        self._now = 0.0

    def step(self, step: Step) -> None:
        """Take account of a change."""
        self.pass_time(step.at)
        if step.resource.type is Pod:
            self._pod(step)
        elif step.resource.type is Node:
            self._node(step)

    def pass_time(self, now: float) -> None:
        """Time has gone on to this moment without a change."""
        if now > self._now:
            for use in self.use.values():
                use.pass_time(now - self._now)
            self._now = now

    @property
    def ends(self) -> Counter[str]:
        """Pods by the phase in which they ended."""
        return Counter(course.end for course in self.courses.values() if course.end)

    @property
    def disruptions(self) -> Counter[str]:
        """Pods by the reason for which they had to go."""
        return Counter(c.disrupted for c in self.courses.values() if c.disrupted)

    @property
    def waiting(self) -> Counter[str]:
        """Pods that still have no node, by what they say of it."""
        left = (c for c in self.courses.values() if c.scheduled is None and not c.gone)
        return Counter(course.waits for course in left)

    @property
    def zones(self) -> Mapping[str, int]:
        """Pods that run, by the zones of their nodes."""
        found: Counter[str] = Counter()
        for name, node in self.nodes.items():
            if zone := node.metadata.labels.get(ZONE, ""):
                found[zone] += self.on_node[name]
        return found

    def _pod(self, step: Step) -> None:
        pod: Pod = step.object
        uid = pod.metadata.uid
        course = self.courses.get(uid)
        if course is None:
            course = self.courses[uid] = Course(step.at)
        if step.old is None or step.new is None or step.old.spec != step.new.spec:
            self._hold(uid, None)  # what it asks for may have changed
        self._hold(uid, step.new)
        if step.new is None:
            self.deleted += 1
            course.gone = True
            return
        if pod.spec.node_name and course.scheduled is None:
            course.scheduled = step.at
            self.latencies.placed.append(step.at - course.created)
        if pods.is_ready(pod) and course.ready is None:
            course.ready = step.at
            self.latencies.ready.append(step.at - course.created)
            if course.scheduled is not None:
                self.latencies.started.append(step.at - course.scheduled)
        if pods.is_terminal(pod):
            course.end = pod.status.phase
        scheduled = pods.condition(pod, "PodScheduled")
        course.waits = scheduled.message if scheduled and scheduled.status == "False" else ""
        disrupted = pods.condition(pod, "DisruptionTarget")
        if disrupted is not None and disrupted.status == "True":
            course.disrupted = disrupted.reason

    def _hold(self, uid: str, pod: Pod | None) -> None:
        """Count what a pod takes of its node."""
        holds = pod is not None and pod.spec.node_name and not pods.is_terminal(pod)
        if uid in self._held:
            if not holds:
                name, amounts = self._held.pop(uid)
                self._count(name, amounts, -1)
        elif pod is not None and holds:
            amounts = {**pods.pod_requests(pod), "pods": 1}
            self._held[uid] = (pod.spec.node_name, amounts)
            self._count(pod.spec.node_name, amounts, 1)

    def _count(self, name: str, amounts: Amounts, sign: int) -> None:
        self.on_node[name] += sign
        for resource, use in self.use.items():
            use.asked += sign * amounts.get(resource, 0)

    def _node(self, step: Step) -> None:
        name = step.object.metadata.name
        before = self._there.pop(name, {})
        after: Amounts = {}
        if step.new is None:
            self.nodes.pop(name, None)
        else:
            self.nodes[name] = step.new
            after = self._there[name] = nodes.allocatable(step.new)
        for resource, use in self.use.items():
            use.there += after.get(resource, 0) - before.get(resource, 0)
