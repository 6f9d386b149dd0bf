"""A machine that shuts down: who ends when, what is told, and how logind says that it is time."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent.containers.script import Script
from agent.node import inhibitor as inhibiting
from agent.node.inhibitor import Inhibitor, announced, delay_seconds, stopping
from agent.node.nodestatus import NodeObserved, node_status
from agent.node.shutdown import EVENT, MESSAGE, NodeShutdown
from agent.node.shutdownorder import Group, Period, groups, periods
from agent.settings import load
from api.core import Pod
from base.clock import SystemClock
from base.settings import SettingsError
from base.tasks import TaskGuard
from tests.unit.agent.builders import NOW, container, make_pod, sidecar
from tests.unit.agent.node import Node
from tests.unit.agent.test_node import IDENTITY

CRITICAL = 2_000_000_000

# The order.


def test_two_settings_are_two_periods() -> None:
    assert periods(total=30, critical=10) == (Period(0, 20), Period(CRITICAL, 10))
    assert periods(total=0, critical=0) == ()
    given = [Period(1000, 5), Period(0, 20)]
    assert periods(total=0, critical=0, by_priority=given) == (Period(0, 20), Period(1000, 5))


ORDER = (Period(0, 60), Period(1000, 30), Period(CRITICAL, 10))
GROUPS: list[tuple[dict[str, int], list[Group]]] = [
    ({}, []),
    ({"a": 0}, [Group(60, ("a",))]),
    ({"a": 999, "b": 1000, "c": 1001}, [Group(60, ("a",)), Group(30, ("b", "c"))]),
    ({"low": -5}, [Group(60, ("low",))]),
    ({"node": CRITICAL + 1000, "a": 1}, [Group(60, ("a",)), Group(10, ("node",))]),
]


@pytest.mark.parametrize(("pods", "expected"), GROUPS)
def test_pods_end_with_those_of_their_priority(pods: dict[str, int], expected: list[Group]) -> None:
    assert groups(pods, ORDER) == expected


def test_the_least_priority_may_be_above_some_pods() -> None:
    assert groups({"a": 5}, [Period(100, 7)]) == [Group(7, ("a",))]


def test_settings() -> None:
    def loaded(*argv: str) -> tuple[Period, ...]:
        return load([*argv, "--config=/dev/null"], {}).shutdown_periods()

    assert loaded() == ()
    assert loaded("--shutdown-grace-period=30s", "--shutdown-grace-period-critical-pods=10s") == (
        Period(0, 20),
        Period(CRITICAL, 10),
    )
    name = "--shutdown-grace-period-by-pod-priority"
    assert loaded(f"{name}=1000=20s", f"{name}=-1=1m") == (Period(-1, 60), Period(1000, 20))


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--shutdown-grace-period-critical-pods=1s"], "of which it is a part"),
        (["--shutdown-grace-period-by-pod-priority=10s"], "a priority and a duration"),
        (
            ["--shutdown-grace-period=1s", "--shutdown-grace-period-by-pod-priority=0=1s"],
            "exclude each other",
        ),
    ],
)
def test_settings_that_make_no_sense(argv: list[str], words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load([*argv, "--config=/dev/null"], {})
    assert words in caught.value.message


def test_a_node_that_shuts_down_is_not_ready() -> None:
    status = node_status(IDENTITY, NodeObserved(shutting_down=True), previous=(), now=NOW)
    ready = next(c for c in status.conditions if c.type == "Ready")
    assert (ready.status, ready.reason) == ("False", "KubeletNotReady")
    assert ready.message == "node is shutting down"


# A node with pods.


class Machine(Node):
    async def start(self, **priorities: int) -> None:
        await self.boot()
        self.told: list[Any] = []
        self.shutdown = NodeShutdown(
            self.manager,
            (Period(0, 20), Period(CRITICAL, 10)),
            clock=self.clock,
            changed=lambda: self.told.append(self.shutdown.active),
            tell=lambda *event: self.told.append(event),
        )
        for name, priority in priorities.items():
            self.put(name, priority)
        await self.run(5)

    def put(self, name: str, priority: int = 0, grace: int = 30) -> None:
        pod = make_pod(container(name), priority=priority, termination_grace_period_seconds=grace)
        pod.metadata.name, pod.metadata.uid = name, f"uid-{name}"
        self.api.put(pod)

    def phase(self, name: str) -> tuple[str, str]:
        status = self.api.objects[Pod, "ns", name].status
        return status.phase, status.reason


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    machine = Machine(tmp_path)
    yield machine
    await machine.kill()


async def test_pods_end_in_order_and_are_told(machine: Machine) -> None:
    machine.runtime.scripts = {
        "k8s_app": Script(),
        "app": Script(term_seconds=5),
        "vital": Script(term_seconds=2),
    }
    await machine.start(app=0, vital=CRITICAL)
    ending = machine.guard.start(machine.shutdown.perform(), name="shutdown")
    await machine.run(2)
    assert machine.told == [True, ("NodeShutdown", EVENT)]
    assert "vital" in machine.names(), "the critical ones come last"
    await machine.run(5)
    assert machine.phase("app") == ("Failed", "Terminated")
    await machine.run(5)
    assert ending.done()
    assert machine.phase("vital") == ("Failed", "Terminated")
    status = machine.api.objects[Pod, "ns", "app"].status
    assert status.message == MESSAGE
    (disruption,) = [c for c in status.conditions if c.type == "DisruptionTarget"]
    assert (disruption.status, disruption.reason) == ("True", "TerminationByKubelet")
    assert machine.recorder.messages("Evicted") == []


async def test_who_comes_second_waits_for_the_end(machine: Machine) -> None:
    """logind has told, and then systemd ends the agent before the pods have ended."""
    machine.runtime.scripts = {"slow": Script(ignores_term=True)}
    await machine.start(slow=0)
    machine.guard.start(machine.shutdown.perform(), name="shutdown")
    await machine.run(1)
    second = machine.guard.start(machine.shutdown.perform(), name="shutdown")
    await machine.run(5)
    assert not second.done()
    await machine.run(25)
    assert second.done()


async def test_nobody_gets_more_than_the_period_of_the_group(machine: Machine) -> None:
    stubborn = Script(ignores_term=True)
    machine.runtime.scripts = {"app": stubborn, "vital": stubborn, "quick": Script()}
    await machine.start(app=0, vital=CRITICAL)
    machine.put("quick", grace=1)
    await machine.run(2)
    ending = machine.guard.start(machine.shutdown.perform(), name="shutdown")
    await machine.run(19)
    assert {"app", "vital"} <= set(machine.names()) and "quick" not in machine.names()
    await machine.run(2)
    assert "app" not in machine.names() and "vital" in machine.names()
    await machine.run(11)
    assert "vital" not in machine.names() and ending.done()


async def test_a_pod_that_is_being_deleted_is_not_waited_for_longer(machine: Machine) -> None:
    machine.runtime.scripts = {"app": Script(ignores_term=True)}
    await machine.start()
    machine.put("app", grace=600)
    await machine.run(5)
    machine.api.delete_gracefully("app", "ns", stamp="2026-01-01T00:00:00Z", grace=600)
    await machine.run(2)
    ending = machine.guard.start(machine.shutdown.perform(), name="shutdown")
    await machine.run(25)
    assert machine.names() == [] and ending.done()


@pytest.mark.parametrize("evicted", [False, True])
async def test_nor_are_its_sidecars_or_a_pod_that_was_evicted_gently(
    machine: Machine, evicted: bool
) -> None:
    machine.runtime.scripts = {"app": Script(term_seconds=12), "side": Script(ignores_term=True)}
    await machine.start()
    pod = make_pod(container("app"), inits=[sidecar()], termination_grace_period_seconds=600)
    machine.api.put(pod)
    await machine.run(5)
    if evicted:
        machine.manager.workers[pod.metadata.uid].evict("short of memory", 600)
    else:
        machine.api.delete_gracefully("pod", "ns", stamp="2026-01-01T00:00:00Z", grace=600)
    await machine.run(2)
    ending = machine.guard.start(machine.shutdown.perform(), name="shutdown")
    await machine.run(19)
    assert "side" in machine.names()
    await machine.run(6)
    assert machine.names() == [] and ending.done()


async def test_new_pods_are_turned_away_until_it_is_called_off(machine: Machine) -> None:
    await machine.start()
    await machine.shutdown.perform()
    machine.put("late")
    await machine.run(5)
    assert machine.phase("late") == ("Failed", "NodeShutdown")
    status = machine.api.objects[Pod, "ns", "late"].status
    assert status.message == "Pod was rejected as the node is shutting down."
    machine.shutdown.call_off()
    assert machine.told[-1] is False
    machine.put("later")
    await machine.run(5)
    assert machine.phase("later") == ("Running", "")
    assert machine.phase("late")[0] == "Failed"


async def test_called_off_in_the_middle(machine: Machine) -> None:
    machine.runtime.scripts = {"app": Script(ignores_term=True)}
    await machine.start(app=0, vital=CRITICAL)
    ending = machine.guard.start(machine.shutdown.perform(), name="shutdown")
    await machine.run(2)
    machine.shutdown.call_off()
    await machine.run(30)
    assert ending.done()
    assert machine.phase("vital") == ("Running", ""), "its turn had not come"


async def test_without_settings_nothing_happens(machine: Machine) -> None:
    await machine.start(app=0)
    idle = NodeShutdown(
        machine.manager, (), clock=machine.clock, changed=lambda: None, tell=lambda *_: None
    )
    await idle.perform()
    assert not idle.enabled and machine.names() == ["POD", "app"]


# logind.

SIGNAL = {
    "type": "signal",
    "member": "PrepareForShutdown",
    "payload": {"type": "b", "data": [True]},
}
LINES = [
    (msgspec.json.encode(SIGNAL), True),
    (msgspec.json.encode(SIGNAL | {"payload": {"type": "b", "data": [False]}}), False),
    (msgspec.json.encode(SIGNAL | {"member": "PrepareForSleep"}), None),
    (msgspec.json.encode(SIGNAL | {"payload": {}}), None),
    (msgspec.json.encode(SIGNAL | {"payload": [True]}), None),
    (b"[]", None),
    (b"Monitoring bus message stream.", None),
]


@pytest.mark.parametrize(("line", "says"), LINES)
def test_announcements(line: bytes, says: bool | None) -> None:
    assert announced(line) is says


@pytest.mark.parametrize(
    ("text", "seconds"), [("t 5000000\n", 5), ("t 0", 0), ("", 0), ("s x", 0), ("t x", 0)]
)
def test_the_delay_that_logind_allows(text: str, seconds: float) -> None:
    assert delay_seconds(text) == seconds


class Logind:
    """systemd's programs, as scripts that write down what they are asked."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.tools = directory / "bin"
        self.tools.mkdir()
        self.running = directory / "running"
        self.running.mkdir()
        self.drop_in = directory / "logind.conf.d" / "own.conf"
        self.events: list[str] = []
        self.pipe = directory / "announcements"
        self.pipe.touch()
        self.preparing = directory / "preparing"
        self.preparing.write_text("b false\n")
        tools = {
            # The lock is held for as long as its program runs.
            "systemd-inhibit": f'echo "$*" >> {directory}/inhibit; for last; do :; done; exec "$last"',
            "busctl": (
                f'case "$*" in *PreparingForShutdown) cat {self.preparing};;'
                ' get-property*) echo "t 5000000";;'
                f" *) echo $$ > {directory}/monitor; exec tail -n +1 -f {self.pipe};; esac"
            ),
            "systemctl": f'echo "$*" >> {directory}/systemctl; cat {directory}/state 2>/dev/null',
        }
        for name, text in tools.items():
            tool = self.tools / name
            tool.write_text(f"#!/bin/sh\n{text}\n")
            tool.chmod(0o755)

    def inhibitor(self, guard: TaskGuard, seconds: float = 30) -> Inhibitor:
        return Inhibitor(
            seconds,
            shut_down=self._shut_down,
            call_off=lambda: self.events.append("off"),
            clock=SystemClock(),
            guard=guard,
            path=f"{self.tools}:/usr/bin:/bin",
            running=self.running,
            drop_in=self.drop_in,
        )

    async def _shut_down(self) -> None:
        self.events.append("down")

    def announce(self, going_down: bool) -> None:
        self.preparing.write_text(f"b {str(going_down).lower()}\n")
        message = SIGNAL | {"payload": {"type": "b", "data": [going_down]}}
        with self.pipe.open("ab") as opened:
            opened.write(msgspec.json.encode(message) + b"\n")

    async def deafen(self) -> None:
        """The program that listens dies; what was announced before is not repeated to the next one."""
        process = self.directory / "monitor"
        async with asyncio.timeout(60):
            while not (process.exists() and process.read_text()):
                await asyncio.sleep(0.01)
        self.pipe.write_bytes(b"")
        pid = int(process.read_text())
        process.unlink()
        os.kill(pid, signal.SIGKILL)

    async def until(self, *events: str) -> None:
        async with asyncio.timeout(60):
            while self.events != list(events):
                await asyncio.sleep(0.01)


@pytest.fixture
def logind(tmp_path: Path) -> Logind:
    return Logind(tmp_path)


async def test_the_lock_is_held_until_the_pods_have_ended(logind: Logind) -> None:
    async with TaskGuard("test") as guard:
        inhibitor = logind.inhibitor(guard)
        running = guard.start(inhibitor.run(), name="inhibitor")
        async with asyncio.timeout(60):
            while inhibitor._lock is None:
                await asyncio.sleep(0.01)
        lock = inhibitor._lock
        assert lock.returncode is None
        logind.announce(True)
        await logind.until("down")
        async with asyncio.timeout(60):
            await lock.wait()
        logind.announce(False)
        await logind.until("down", "off")
        async with asyncio.timeout(60):
            while inhibitor._lock is None:
                await asyncio.sleep(0.01)
        again = inhibitor._lock
        assert again.returncode is None, "the next shutdown is waited for, too"
        running.cancel()
        async with asyncio.timeout(60):
            await again.wait()
    asked = (logind.directory / "inhibit").read_text().splitlines()[0]
    assert asked.startswith("--what=shutdown --mode=delay --who=podwright-agent")
    assert logind.drop_in.read_text() == "[Login]\nInhibitDelayMaxSec=30\n"
    assert (logind.directory / "systemctl").read_text() == "kill -s HUP systemd-logind\n"


async def test_what_was_announced_while_nobody_listened(
    logind: Logind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program that listens dies while the machine shuts down, and that is called off meanwhile."""
    monkeypatch.setattr(inhibiting, "AGAIN", 0.5)
    async with TaskGuard("test") as guard:
        guard.start(logind.inhibitor(guard).run(), name="inhibitor")
        logind.announce(True)
        await logind.until("down")
        await logind.deafen()
        logind.preparing.write_text("b false\n")
        await logind.until("down", "off")
        logind.preparing.write_text("b true\n")
        await logind.deafen()
        await logind.until("down", "off", "down")
        await guard.close()


async def test_a_shutdown_that_is_called_off_unheard(
    logind: Logind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program may be there and hear nothing: the bus was restarted."""
    monkeypatch.setattr(inhibiting, "AGAIN", 0.5)
    async with TaskGuard("test") as guard:
        logind.preparing.write_text("b true\n")
        guard.start(logind.inhibitor(guard).run(), name="inhibitor")
        await logind.until("down")
        logind.preparing.write_text("b false\n")
        await logind.until("down", "off")
        await guard.close()


async def test_a_delay_that_is_long_enough_stays(logind: Logind) -> None:
    async with TaskGuard("test") as guard:
        guard.start(logind.inhibitor(guard, seconds=5).run(), name="inhibitor")
        logind.announce(True)
        await logind.until("down")
        await guard.close()
    assert not logind.drop_in.exists()


async def test_programs_that_cannot_be_started_for_now(logind: Logind) -> None:
    (logind.tools / "systemd-inhibit").write_text("#!/nowhere\n")
    async with TaskGuard("test") as guard:
        running = guard.start(logind.inhibitor(guard).run(), name="inhibitor")
        await asyncio.wait((running,), timeout=0.5)
        assert not running.done()
        running.cancel()


async def test_a_machine_without_systemd(logind: Logind) -> None:
    async with TaskGuard("test") as guard:
        logind.running.rmdir()
        inhibitor = logind.inhibitor(guard)
        assert inhibitor.missing() == "systemd does not run this machine"
        await inhibitor.run()
        assert not await stopping(str(logind.tools), logind.running)


async def test_whether_the_machine_is_going_down(logind: Logind) -> None:
    path = f"{logind.tools}:/bin"
    for state, going in (("running", False), ("stopping", True), ("degraded", False)):
        (logind.directory / "state").write_text(f"{state}\n")
        assert await stopping(path, logind.running) is going
