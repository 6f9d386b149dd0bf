"""Whatever happens to a node: its pods become what they should be, and nothing runs twice or again.

Each example is a pod, what its programs do, and a history: time passes, programs end, somebody removes
containers or starts dead ones again, events get lost, the engine goes away, the agent is killed between
two of its calls and started anew, the pod is deleted. `Watchman` looks at every call that the agent makes
on the way; at the end the node is left alone, and has to be as the pod says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from agent.containers.errors import StartError
from agent.containers.records import ContainerCreate, ContainerId, ContainerRecord
from agent.containers.script import Script
from agent.pod import names
from api.core import ContainerStatus, Pod
from base.clock import FakeClock
from tests.leftovers import memory
from tests.thorough import examples
from tests.unit.agent.builders import container, make_pod, sidecar
from tests.unit.agent.node import Node

PROGRAMS = {
    "runs": Script(),
    "slow to end": Script(term_seconds=3),
    "ignores TERM": Script(ignores_term=True),
    "done": Script(run_for=2),
    "done at once": Script(run_for=0),
    "fails": Script(run_for=2, exit_code=1),
    "OOM": Script(run_for=5, oom=True),
    "does not start": Script(start_error="exec: no such file"),
}
FOREVER = {"runs", "slow to end", "ignores TERM"}
SETTLING = 700.0
"""Seconds in which every back-off has passed."""


@dataclass(frozen=True)
class Life:
    """A pod, and what its programs do."""

    policy: str
    mains: dict[str, str]
    inits: dict[str, str] = field(default_factory=dict)
    sidecars: dict[str, str] = field(default_factory=dict)
    pull: float = 0.0

    def pod(self) -> Pod:
        mains = [container(name) for name in self.mains]
        inits = [container(name) for name in self.inits]
        return make_pod(*mains, inits=[*map(sidecar, self.sidecars), *inits], policy=self.policy)

    @property
    def programs(self) -> dict[str, str]:
        return {**self.mains, **self.inits, **self.sidecars}


lives = st.builds(
    Life,
    policy=st.sampled_from(["Always", "OnFailure", "Never"]),
    mains=st.dictionaries(
        st.sampled_from("ab"), st.sampled_from(sorted(PROGRAMS)), min_size=1, max_size=2
    ),
    inits=st.dictionaries(st.just("i"), st.sampled_from(["done", "done at once", "fails"])),
    sidecars=st.dictionaries(st.just("s"), st.sampled_from(sorted(FOREVER))),
    pull=st.sampled_from([0.0, 0.0, 8.0]),
)
which = st.integers(0, 9)
happenings = st.one_of(
    st.tuples(st.just("time"), st.sampled_from([0.05, 1.0, 12.0, 70.0])),
    st.tuples(st.sampled_from(["end well", "end badly", "remove", "start"]), which),
    st.tuples(st.just("kill agent"), st.integers(0, 12)),
    st.tuples(st.just("engine away"), st.sampled_from([1.0, 20.0])),
    st.tuples(st.just("deaf"), st.sampled_from([1.0, 5.0])),
    st.tuples(st.just("delete"), st.just(0)),
)


class Watchman:
    """Looks at what the agent does to the engine, and says what must never be."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.left = -1
        """Changes of the engine until the agent dies; below 0: it lives."""
        self.restarts: dict[str, int] = {}
        self.wrong: list[str] = []
        """The agent would take an exception for its own failure, and go on."""
        runtime: Any = node.runtime
        self._create, self._start = runtime.create, runtime.start
        runtime.create, runtime.start = self.create, self.start
        for name in ("kill", "remove"):
            setattr(runtime, name, self._counted(getattr(runtime, name)))

    async def create(self, spec: ContainerCreate) -> ContainerId:
        await self._count()
        if spec.labels.get(names.CONTAINER_TYPE) == names.CONTAINER:
            self._may_run(spec.labels[names.CONTAINER_NAME])
        else:
            self._must(not self._running(names.SANDBOX_NAME), "a second sandbox")
        return await self._create(spec)

    async def start(self, id: ContainerId) -> None:
        await self._count()
        record = await self.node.runtime.inspect(id)
        if record.labels.get(names.CONTAINER_TYPE) == names.CONTAINER:
            self._may_run(record.labels[names.CONTAINER_NAME])
        await self._start(id)

    def look(self) -> None:
        """At what was done, and at the status that was told last: restarts are never forgotten."""
        assert not self.wrong
        for status in self._told():
            known = self.restarts.get(status.name, 0)
            assert status.restart_count >= known, f"{status.name}: {known} restarts are forgotten"
            self.restarts[status.name] = status.restart_count

    def _must(self, right: bool, words: str) -> None:
        if not right:
            self.wrong.append(words)

    def _may_run(self, name: str) -> None:
        self._must(not self._running(name), f"{name} runs already")
        pod = self.node.api.objects.get((Pod, "ns", "pod"))
        if pod is None or pod.metadata.deletion_timestamp is not None:
            self._must(False, f"{name}: the pod is deleted")
            return
        self._must(pod.status.phase not in ("Succeeded", "Failed"), f"{name}: the pod has ended")
        if all(name != main.name for main in pod.spec.containers):
            return
        for status in self._told():
            end = status.state.terminated
            if status.name != name or end is None:
                continue
            policy = pod.spec.restart_policy
            again = policy == "Always" or (policy == "OnFailure" and end.exit_code != 0)
            self._must(again, f"{name} is not to run again")

    def _told(self) -> list[ContainerStatus]:
        pod = self.node.api.objects.get((Pod, "ns", "pod"))
        if pod is None:
            return []
        return [*pod.status.init_container_statuses, *pod.status.container_statuses]

    def _running(self, name: str) -> list[ContainerRecord]:
        return [
            record
            for record in self.node.containers()
            if record.labels.get(names.CONTAINER_NAME) == name
        ]

    async def _count(self) -> None:
        if self.left == 0:
            await FakeClock().sleep(1)  # the agent is dead: it never comes back from here
        self.left -= 1

    def _counted(self, method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def call(*args: Any, **kwargs: Any) -> Any:
            await self._count()
            return await method(*args, **kwargs)

        return call


async def happen(node: Node, watchman: Watchman, what: str, how: Any) -> None:
    runtime = node.runtime
    there = [c.record for c in runtime._containers.values()]
    chosen = there[how % len(there)] if there and isinstance(how, int) else None
    match what:
        case "time":
            await node.run(how)
        case "end well" | "end badly" if chosen is not None and chosen.running:
            runtime.end(chosen.id, exit_code=0 if what == "end well" else 3)
        case "remove" if chosen is not None:
            await type(runtime).remove(runtime, chosen.id)
        case "start" if chosen is not None and chosen.finished_at is not None:
            with suppress(StartError):
                await type(runtime).start(runtime, chosen.id)
        case "kill agent":
            watchman.left = how
            await node.run(1)
            await node.kill()
            watchman.left = -1
            await node.boot()
        case "engine away":
            runtime.lose_engine()
            await node.run(how)
            runtime.recover_engine()
        case "deaf":
            tell, runtime._tell = runtime._tell, lambda event: None  # type: ignore[method-assign]
            await node.run(how)
            runtime._tell = tell  # type: ignore[method-assign]
        case "delete":
            pod = node.api.objects.get((Pod, "ns", "pod"))
            if pod is not None and pod.metadata.deletion_timestamp is None:
                stamp = "2026-01-01T00:01:00Z"
                node.api.delete_gracefully("pod", "ns", stamp=stamp, grace=5)
    watchman.look()


def judge(node: Node, life: Life) -> None:
    """The node was left alone: it is as the pod says."""
    running = [r.labels[names.CONTAINER_NAME] for r in node.containers()]
    assert len(running) == len(set(running)), running
    pod = node.api.objects.get((Pod, "ns", "pod"))
    if pod is None:
        assert not node.runtime._containers and not node.network.attached
        assert not node.manager.workers and not list(node.directory.glob("pods/*"))
        return
    assert pod.metadata.deletion_timestamp is None, "it is to be gone"
    told = {status.name: status for status in pod.status.container_statuses}
    if pod.status.phase in ("Succeeded", "Failed"):
        assert life.policy != "Always" and running == []
        ends = [status.state.terminated for status in told.values()]
        failed = any(end is None or end.exit_code for end in ends)
        assert (pod.status.phase == "Failed") is failed
        return
    assert running.count(names.SANDBOX_NAME) == 1
    assert set(life.sidecars) <= set(running)
    held_up = life.inits and life.inits["i"] == "fails"
    for name, program in life.mains.items():
        state = told[name].state
        assert (state.running is not None) is (name in running), name
        if state.terminated is not None:
            good = state.terminated.exit_code == 0
            assert life.policy == "Never" or (life.policy == "OnFailure" and good), name
        elif program in FOREVER and not held_up:
            assert name in running, name
    dead = [c.record for c in node.runtime._containers.values() if not c.record.running]
    ended = [record.labels[names.CONTAINER_NAME] for record in dead]
    assert len(ended) == len(set(ended)), f"more than the last of each is kept: {ended}"


async def unfold(life: Life, history: list[tuple[str, Any]], directory: Path) -> None:
    scripts = {name: PROGRAMS[program] for name, program in life.programs.items()}
    images = {"pause:1"} if life.pull else {"pause:1", "app:1"}
    registry = {"app:1": None} if life.pull else {}
    node = Node(directory, scripts=scripts, images=images, registry=registry)
    node.runtime.pull_seconds = life.pull
    watchman = Watchman(node)
    await node.boot()
    node.api.put(life.pod())
    try:
        for what, how in history:
            await happen(node, watchman, what, how)
        await node.run(SETTLING)
        watchman.look()
        judge(node, life)
        if set(life.programs.values()) <= FOREVER and not life.inits:
            before = list(node.runtime.calls)
            await node.run(130)
            assert node.runtime.calls == before, "what is as it should be is left alone"
    finally:
        await node.kill()


@settings(
    max_examples=examples(15, long=500),
    phases=(Phase.explicit, Phase.generate),  # shrinking runs a thousand histories
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(life=lives, history=st.lists(happenings, max_size=8))
def test_a_node_becomes_what_it_should_be(life: Life, history: list[tuple[str, Any]]) -> None:
    with memory() as directory:
        asyncio.run(unfold(life, history, directory))
