"""Whatever a node is found with, and whatever happens in whatever order: the agent gets there.

Hypothesis makes up what containers an earlier agent left of a pod, and then a story: programs end,
somebody removes or kills containers, the engine and the API come and go, clocks jump, the agent is
killed at rest or before any effect. Watched all the time: no container is started beside a living
namesake, and none that is well is ended. In the end the pod runs, once, and nothing is done any more;
or it was deleted, and nothing of it is left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from agent.containers.records import ContainerId, ContainerRecord
from agent.pod import names
from api.core import Pod
from tests.crashpoints import Crashed, CrashPoints
from tests.leftovers import memory
from tests.thorough import examples
from tests.unit.agent.builders import container, make_pod, sidecar
from tests.unit.agent.node import Node

NAMES = ("POD", "side", "web")
STATES = ("created", "running", "exited", "failed")
FOUND = st.lists(
    st.tuples(st.sampled_from(NAMES), st.integers(0, 2), st.sampled_from(STATES)),
    unique_by=lambda one: one[:2],
    max_size=5,
)
"""(name, attempt, state) of what an earlier agent left."""
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.sampled_from([0, 0.3, 3, 30, 100])),
        st.tuples(st.sampled_from(["ends", "fails", "kill", "remove"]), st.sampled_from(NAMES)),
        st.tuples(st.just("crash before effect"), st.integers(0, 12)),
        st.tuples(st.just("clock jumps"), st.sampled_from([86400, -3600])),
        st.tuples(
            st.sampled_from(
                ["agent restarts", "engine goes", "engine comes", "API goes", "API comes", "delete"]
            ),
            st.just(0),
        ),
    ),
    max_size=14,
)


def the_pod() -> Pod:
    return make_pod(container("web"), inits=[sidecar("side")])


@dataclass
class Watch:
    """What must never happen, seen as the agent asks the engine for it."""

    node: Node
    deleted: bool = False
    lost_sandbox: bool = False
    """A sandbox went away by itself: what was in it has to go as well."""
    doubled: bool = False
    """There were namesakes, or several sandboxes, from the beginning."""
    wrong: list[str] = field(default_factory=list)

    def begin(self) -> None:
        runtime = self.node.runtime
        for method, seen in (("start", self.started), ("kill", self.ended), ("remove", self.ended)):
            setattr(runtime, method, self._seen(getattr(runtime, method), seen))

    def started(self, record: ContainerRecord) -> None:
        name = record.labels[names.CONTAINER_NAME]
        twins = [r for r in self.node.containers(name) if r.running and r.id != record.id]
        if twins:
            self.wrong.append(f"{record.name} is started beside {twins[0].name}")
        # Without the API a new agent knows what the last checkpoint says, which may be a second old.
        if self.deleted and not self.node.api.down:
            self.wrong.append(f"{record.name} is started although the pod is deleted")

    def ended(self, record: ContainerRecord) -> None:
        excused = self.deleted or self.lost_sandbox or self.doubled
        if record.running and not excused:
            self.wrong.append(f"{record.name} was well, and is ended")

    def _seen(self, method: Callable[..., Any], look: Callable[[Any], None]) -> Callable[..., Any]:
        async def call(id: ContainerId, **options: Any) -> Any:
            self.node.runtime._settle()
            kept = self.node.runtime._containers.get(id)
            if kept is not None and not self.node.runtime.unreachable:
                look(kept.record)
            return await method(id, **options)

        return call


class Story:
    """A node on which things happen."""

    def __init__(self, directory: Path) -> None:
        self.node = Node(directory)
        self.watch = Watch(self.node)
        self.api = True

    async def find(self, found: list[tuple[str, int, str]]) -> None:
        """Have an earlier agent leave this, in the order of the attempts."""
        node = self.node
        await node.boot()
        node.api.put(the_pod())
        await node.run(5)
        specs = {spec.labels[names.CONTAINER_NAME]: spec for spec in node.runtime.specs.values()}
        await node.kill()
        for kept in list(node.runtime._containers):
            await node.runtime.remove(kept)
        node.network.attached.clear()
        sandbox = ""
        for name, attempt, state in sorted(found, key=lambda one: (one[1], NAMES.index(one[0]))):
            spec = specs[name]
            labels = dict(spec.labels)
            joins = {}
            if name != "POD":
                labels |= {names.SANDBOX_ID: sandbox or "gone", names.RESTART_COUNT: str(attempt)}
                joins = {"network_mode": f"container:{sandbox}", "ipc_mode": "", "pid_mode": ""}
            full = f"{spec.name.rpartition('_')[0]}_{attempt}"
            id = await node.runtime.create(replace(spec, name=full, labels=labels, **joins))
            sandbox = id if name == "POD" else sandbox
            if state != "created":
                with suppress(Exception):  # its sandbox does not run
                    await node.runtime.start(id)
                if state in ("exited", "failed") and node.runtime._containers[id].record.running:
                    node.runtime.end(id, exit_code=int(state == "failed"))
        alive = [record.labels[names.CONTAINER_NAME] for record in node.containers()]
        boxes = [one for one in found if one[0] == "POD"]
        outlived = any(
            name == other and state == "running" and attempt < later
            for name, attempt, state in found
            for other, later, _ in found
        )  # what was replaced must not run on beside its successors
        self.watch.doubled = len(set(alive)) < len(alive) or len(boxes) > 1 or outlived
        self.watch.lost_sandbox = "POD" not in alive
        self.watch.begin()
        await node.boot()

    async def step(self, what: str, how: Any) -> None:
        node = self.node
        if what == "wait":
            await node.run(how)
        elif what in ("ends", "fails", "kill", "remove"):
            await self._meddle(what, how)
        elif what == "crash before effect":
            await self._crash(how)
        elif what == "clock jumps":
            node.clock.jump(how)
        elif what == "agent restarts":
            await node.kill()
            await self._boot()
        elif what == "engine goes" and not node.runtime.unreachable:
            node.runtime.lose_engine()
        elif what == "engine comes" and node.runtime.unreachable:
            node.runtime.recover_engine()
        elif what == "API goes":
            self.api, node.api.down = False, True
            node.api._watchers.clear()
        elif what == "API comes" and not self.api:
            self.api = True
            if not node.runtime.unreachable:
                await node.reach_api()
            node.api.down = False
        elif what == "delete" and self.api and not self.watch.deleted:
            self.watch.deleted = True
            node.api.delete_gracefully("pod", "ns", stamp="2026-01-01T00:01:00Z", grace=10)

    async def _meddle(self, what: str, name: str) -> None:
        """Somebody, or the program itself, does something to a container that runs."""
        running = [record for record in self.node.containers(name) if record.running]
        if not running or self.node.runtime.unreachable:
            return
        if name == "POD":
            self.watch.lost_sandbox = True
        id = running[-1].id
        if what == "remove":
            del self.node.runtime._containers[id]
        else:
            self.node.runtime.end(id, exit_code={"ends": 0, "fails": 1}.get(what, 137))

    async def _crash(self, at: int) -> None:
        node = self.node
        points = CrashPoints(node.directory, at=at)
        originals = {
            (thing, method): getattr(thing, method)
            for thing in (node.runtime, node.network, node.mounter, node.api)
            for method in dir(thing)
            if not method.startswith("_") and callable(getattr(thing, method))
        }
        points.watch_node(node)
        with points.watching_files():
            for _ in range(10):
                if not points.dead:
                    with suppress(Crashed):
                        await node.clock.run_for(0.5)
            await node.kill()
        for (thing, method), original in originals.items():
            setattr(thing, method, original)
        await self._boot()

    async def _boot(self) -> None:
        """The next agent; one waits for its engine before it does anything else."""
        node = self.node
        if node.runtime.unreachable:
            node.runtime.recover_engine()
        await node.boot(api=self.api)

    async def end(self) -> None:
        """Everything is well again: what comes of it?"""
        node = self.node
        await self.step("engine comes", 0)
        await self.step("API comes", 0)
        await node.run(900)
        if self.watch.deleted:
            assert node.runtime._containers == {}
            assert node.network.attached == {}
            assert (Pod, "ns", "pod") not in node.api.objects
        else:
            assert node.names() == sorted(NAMES)
            status = node.api.pod().status
            assert status.phase == "Running"
            assert [c.status for c in status.conditions if c.type == "Ready"] == ["True"]
            calls = len(node.runtime.calls)
            await node.run(300)
            assert len(node.runtime.calls) == calls, "it rests"
        assert self.watch.wrong == []
        await node.kill()


# Not made smaller when it fails: that would take longer than a test may.
@settings(
    max_examples=examples(25, long=1000),
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
@given(found=FOUND, steps=STEPS)
def test_the_agent_gets_there(found: list[tuple[str, int, str]], steps: list[Any]) -> None:
    async def told(directory: Path) -> None:
        story = Story(directory)
        await story.find(found)
        for step in steps:
            await story.step(*step)
        await story.end()

    with memory() as directory:
        asyncio.run(told(directory))
