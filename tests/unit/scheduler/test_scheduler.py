"""The loop around the decisions: bindings that fail, pods that cannot be, memory that stays bounded."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
import pytest

from api import errors, objects
from api.core import Namespace, Node, Pod
from api.events import EventRecorder
from api.informer import Informer
from api.interface import Listed, WatchEvent
from api.scheme import resource_of
from base.clock import FakeClock, SystemClock
from base.errors import TemporaryError
from base.tasks import TaskGuard
from control.scheduler.decide import Decision
from control.scheduler.hints import Hints
from control.scheduler.journal import Journal
from control.scheduler.nominations import Nominations
from control.scheduler.queue import SchedulingQueue
from control.scheduler.request import request_of
from control.scheduler.scheduler import Scheduler
from control.scheduler.snapshot import Snapshot
from control.scheduler.waking import Waker
from tests.unit.scheduler.making import node, pod


class FakeApi:
    """One node, some pods, and bindings that fail as often as told."""

    def __init__(self, *pods: Pod, failures: int = 0, error: Exception | None = None) -> None:
        self.objects: dict[type, list[Any]] = {Namespace: [], Node: [node("n1")], Pod: list(pods)}
        self.failures = failures
        self.error = error
        self.bound: list[str] = []
        self.said: list[str] = []

    async def list(self, type_: type, namespace: str = "", **_: Any) -> Listed[Any]:
        return Listed(self.objects[type_], "1")

    async def watch(self, type_: type, *_: Any, **__: Any) -> AsyncIterator[WatchEvent[Any]]:
        await SystemClock().sleep(3600)
        yield  # type: ignore[misc]

    async def create_subresource(self, type_: type, name: str, *_: Any) -> None:
        if self.failures:
            self.failures -= 1
            raise self.error or errors.conflict(resource_of(Pod), name)
        self.bound.append(name)

    async def patch(self, type_: type, name: str, namespace: str, body: Any, **_: Any) -> None:
        self.said.append(body["status"]["conditions"][0]["message"])


def _scheduler(api: Any, guard: TaskGuard, **more: Any) -> Scheduler:
    clock = SystemClock()
    pods, nodes = Informer[Pod](api, Pod, clock=clock), Informer[Node](api, Node, clock=clock)
    namespaces = Informer[Namespace](api, Namespace, clock=clock)

    def recorder(name: str) -> EventRecorder:
        return EventRecorder(api, name, clock=clock)

    made = Scheduler(api, pods, nodes, namespaces, recorder, clock=clock, **more)
    for runs in (pods, nodes, namespaces, made):
        guard.start(runs.run(), name=repr(runs))
    return made


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():
            await asyncio.sleep(0)


async def test_a_binding_that_lost_a_race_is_tried_again() -> None:
    """Nothing else would ever wake the pod: its spec does not change, and it is not parked."""
    api = FakeApi(pod("p"), failures=1)
    async with TaskGuard("test") as guard:
        _scheduler(api, guard)

        await _until(lambda: api.bound == ["p"])


async def test_a_binding_that_fails_as_nobody_foresaw_takes_only_its_pod_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    api = FakeApi(pod("p"), pod("q"), failures=1, error=RuntimeError("odd"))
    async with TaskGuard("test") as guard:
        scheduler = _scheduler(api, guard)

        await _until(lambda: sorted(api.bound) == ["p", "q"])
        assert scheduler.statistics()["placed"] == 2
    assert "binding default/p to n1 failed, will retry" in caplog.text
    assert "RuntimeError: odd" in caplog.text


async def test_an_eviction_that_fails_as_nobody_foresaw_is_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Odd(FakeApi):
        deleted = 0

        async def delete(self, *_: Any, **__: Any) -> None:
            self.deleted += 1
            if self.deleted == 1:
                raise RuntimeError("odd")

    api = Odd(pod("low", cpu="4", nodeName="n1"), pod("high", cpu="4", priority=10))
    async with TaskGuard("test") as guard:
        _scheduler(api, guard)

        await _until(lambda: api.deleted >= 2)
    assert "evicting for default/high failed, will retry" in caplog.text


async def test_when_it_cannot_be_told_whom_a_change_helps_everybody_is_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(*_: Any) -> bool:
        raise RuntimeError("odd")

    monkeypatch.setattr(Hints, "help", fails)
    clock = FakeClock()
    queue, snapshot = SchedulingQueue(clock, lambda key: 0), Snapshot()
    waker = Waker(queue, snapshot, Nominations(snapshot), clock)
    queue.add(("default", "p"))
    key = await queue.get()
    queue.park(key, request_of(pod("p")), frozenset())
    queue.done(key)
    async with TaskGuard("test") as guard:
        guard.start(waker.run(), name="waker")
        waker.namespaces()
        await clock.run_for(20.0)
        assert queue.statistics()["active"] == 1
        assert guard.statistics()["running"] == 1


@pytest.mark.parametrize("amount", ["9223372036854775807", "100E"])
async def test_a_request_beyond_every_machine_is_a_pod_that_does_not_fit(amount: str) -> None:
    api = FakeApi(pod("huge", cpu=amount, memory=amount), pod("small", cpu="1"))
    async with TaskGuard("test") as guard:
        _scheduler(api, guard)

        await _until(lambda: api.bound == ["small"] and bool(api.said))
    assert api.said == [
        "0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory. "
        "preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
    ]


def test_remembered_decisions_are_bounded_by_what_they_hold() -> None:
    """At 5,000 nodes ten thousand explanations would be gigabytes."""
    journal, at = Journal(verdicts=1000), SystemClock().now()
    rows = np.arange(300)
    for number in range(10):
        journal.record(f"uid-{number}", Decision("n1", "", rows=rows), at)
    assert [n for n in range(10) if journal.last(f"uid-{n}")] == [7, 8, 9]


def test_attempts_are_counted_and_the_last_decision_stays() -> None:
    journal, at = Journal(), SystemClock().now()
    for name in (None, None, "n1"):
        journal.record("uid", Decision(name, ""), at)
    entry = journal.last("uid")
    assert entry is not None
    assert (entry.attempts, entry.decision.node) == (3, "n1")
    journal.forget("uid")
    assert journal.last("uid") is None
    assert journal.statistics() == {"decisions": 0, "verdicts": 0}


async def test_a_victim_that_cannot_be_deleted_now_is_tried_again() -> None:
    class Refusing(FakeApi):
        refusals = 2

        async def patch(self, *arguments: Any, **more: Any) -> None:
            """Says nothing of the reasons."""

        async def delete(self, type_: type, name: str, *_: Any, **__: Any) -> None:
            if self.refusals:
                self.refusals -= 1
                raise errors.too_many_requests("later", retry_after=1)
            self.bound.append(f"deleted {name}")

    low = pod("low", cpu="4", priority=0, nodeName="n1")
    api = Refusing(pod("high", cpu="4", priority=10), low)
    async with TaskGuard("test") as guard:
        made = _scheduler(api, guard)

        await _until(lambda: api.bound == ["deleted low"])
        assert made.statistics()["nominated"] == 1


async def test_a_nomination_outlives_a_restart() -> None:
    """The node is kept for the pod that it was vacated for, while its last victim is leaving."""
    leaving = pod("leaving", cpu="2", priority=0, nodeName="n1")
    leaving.metadata.deletion_timestamp = "2026-01-01T00:00:00Z"
    waiting = pod("waiting", cpu="4", priority=10)
    waiting.status.nominated_node_name = "n1"
    api = FakeApi(pod("late", cpu="1", priority=5), leaving, waiting)
    async with TaskGuard("test") as guard:
        made = _scheduler(api, guard)

        await _until(lambda: len(api.said) == 2)
        assert made.statistics()["nominated"] == 1
    assert api.bound == []
    assert sum("a terminating pod on the nominated node" in words for words in api.said) == 1


async def test_nobody_is_put_near_a_pod_that_is_only_nominated() -> None:
    leaving = pod("leaving", cpu="4", priority=0, nodeName="n1")
    leaving.metadata.deletion_timestamp = "2026-01-01T00:00:00Z"
    waiting = pod("db", cpu="4", priority=10, labels={"app": "db"})
    waiting.status.nominated_node_name = "n1"
    term = {"labelSelector": {"matchLabels": {"app": "db"}}, "topologyKey": "host"}
    near = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    api = FakeApi(leaving, waiting, pod("web", affinity=near))
    api.objects[Node] = [node("n1", labels={"host": "n1"})]
    async with TaskGuard("test") as guard:
        _scheduler(api, guard)

        await _until(lambda: len(api.said) == 2)
    assert api.bound == []
    assert any("1 node(s) didn't match pod affinity rules" in words for words in api.said)


async def test_a_word_that_is_not_heard_stops_nobody() -> None:
    """That the API is out of reach for a moment must not end the control plane."""

    class Deaf(FakeApi):
        async def patch(self, *_: Any, **__: Any) -> None:
            raise TemporaryError("cannot reach the API: no answer in time")

    api = Deaf(pod("huge", cpu="100"), pod("small", cpu="1"))
    async with TaskGuard("test") as guard:
        _scheduler(api, guard)

        await _until(lambda: api.bound == ["small"])


async def test_a_pod_that_nobody_can_decide_about_stops_no_others() -> None:
    def choose(rows: Any) -> Any:
        if not api.bound:
            api.bound.append("")
            raise ValueError("an odd pod")
        return rows[0]

    api = FakeApi(pod("odd", cpu="1"), pod("small", cpu="1"))
    async with TaskGuard("test") as guard:
        _scheduler(api, guard, choose=choose)

        await _until(lambda: sorted(api.bound) == ["", "odd", "small"])


async def test_a_binding_that_failed_forgets_no_pod_that_is_on_a_node() -> None:
    """The answer was lost, or somebody else was faster: the pod takes its place all the same."""

    class Lossy(FakeApi):
        async def create_subresource(self, type_: type, name: str, *_: Any) -> None:
            bound = pod(name, cpu="3", nodeName="n1")
            bound.metadata.uid = self.objects[Pod][0].metadata.uid
            scheduler._pods._put(objects.key(bound), bound)
            self.bound.append(name)
            raise TemporaryError("no answer in time")

    api = Lossy(pod("p", cpu="3"))
    async with TaskGuard("test") as guard:
        scheduler = _scheduler(api, guard)
        await _until(lambda: api.bound == ["p"])
        await asyncio.sleep(0.1)
    assert scheduler.statistics()["snapshot_pods"] == 1


class ToldLater(FakeApi):
    """Tells what happens to pods when it is told so, and answers to a binding when it may."""

    def __init__(self, *pods: Pod) -> None:
        super().__init__(*pods)
        self.events: asyncio.Queue[WatchEvent[Any]] = asyncio.Queue()
        self.may_answer = asyncio.Event()

    async def watch(self, type_: type, *_: Any, **__: Any) -> AsyncIterator[WatchEvent[Any]]:
        if type_ is not Pod:
            await SystemClock().sleep(3600)
        while True:
            yield await self.events.get()

    async def create_subresource(self, type_: type, name: str, *_: Any) -> None:
        self.bound.append(name)
        await self.may_answer.wait()

    def tell(self, type_: Any, one: Pod) -> None:
        self.events.put_nowait(WatchEvent(type_, one, "2"))


async def test_a_late_answer_to_a_binding_forgets_no_namesake() -> None:
    """A StatefulSet's next pod has the same name; nothing would ever bring it back."""
    first, second = pod("p"), pod("p", cpu="100")
    second.metadata.uid = "another"
    api = ToldLater(first)
    async with TaskGuard("test") as guard:
        scheduler = _scheduler(api, guard)
        await _until(lambda: api.bound == ["p"])

        api.tell("DELETED", first)
        api.tell("ADDED", second)
        await _until(lambda: bool(api.said))
        api.may_answer.set()
        await _until(lambda: scheduler.statistics()["placed"] == 1)

        assert scheduler.statistics()["queue_parked"] == 1


async def test_pods_that_were_adopted_count_as_those_of_their_new_owner() -> None:
    """Orphans of a ReplicaSet that was made anew would be spread as if they were nobody's."""
    alone, owned = pod("p", nodeName="n1"), pod("p", nodeName="n1", owner="web")
    owned.metadata.resource_version = "2"
    api = ToldLater(alone)
    async with TaskGuard("test") as guard:
        scheduler = _scheduler(api, guard)
        await _until(lambda: scheduler.statistics()["snapshot_pods"] == 1)

        api.tell("MODIFIED", owned)
        await _until(lambda: _owner(scheduler, "p") == "web")


def _owner(scheduler: Scheduler, uid: str) -> str:
    recorded = scheduler._snapshot.recorded(uid)
    assert recorded is not None
    return recorded.owner
