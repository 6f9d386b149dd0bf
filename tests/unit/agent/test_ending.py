"""The end of pods and containers, with hooks, sidecars and deadlines: on the whole agent over fakes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from agent.containers.records import ContainerCreate, ContainerId, ExecResult
from agent.containers.script import Script
from api import objects
from api.core import (
    Container,
    ExecAction,
    HTTPGetAction,
    Lifecycle,
    LifecycleHandler,
    Pod,
    Probe,
    SleepAction,
)
from tests.unit.agent.builders import container, make_pod, probe, sidecar
from tests.unit.agent.node import Node
from tests.unit.agent.test_probes import serving
from tests.unit.agent.test_probes import status as answer

STUBBORN = Script(ignores_term=True)


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    node = Node(tmp_path, scripts={})
    await node.boot()
    yield node
    await node.kill()


def pre_stop(*command: str) -> Lifecycle:
    return Lifecycle(pre_stop=LifecycleHandler(exec=ExecAction(command=list(command) or ["bye"])))


async def delete(node: Node, grace: int = 30) -> None:
    node.api.delete_gracefully("pod", "ns", stamp="2026-01-01T00:01:00Z", grace=grace)
    await node.run(0.1)


def gone(node: Node) -> bool:
    return (Pod, "ns", "pod") not in node.api.objects


def status(node: Node, name: str):  # type: ignore[no-untyped-def]
    told = node.api.pod().status
    every = [*told.init_container_statuses, *told.container_statuses]
    return next(one for one in every if one.name == name)


def done_to(node: Node, *what: str) -> list[tuple[str, str]]:
    """What the agent did, as (what, container), in order."""
    return [(did, name.split("_")[1]) for did, name in node.runtime.calls if did in what]


# Sidecars.


async def test_sidecars_hear_of_the_end_at_once_and_stop_last(node: Node) -> None:
    node.runtime.scripts |= {"web": Script(term_seconds=5)}
    sides = [sidecar("s1", lifecycle=pre_stop()), sidecar("s2", lifecycle=pre_stop())]
    node.api.put(make_pod(container(), inits=sides))
    await node.run()
    await delete(node)
    assert sorted(done_to(node, "exec")) == [("exec", "s1"), ("exec", "s2")]
    assert done_to(node, "kill") == [("kill", "web")]
    await node.run(6)
    assert gone(node)
    assert done_to(node, "kill") == [("kill", "web"), ("kill", "s2"), ("kill", "s1")]
    assert len(done_to(node, "exec")) == 2, "each hook ran once"


async def test_a_hook_of_a_sidecar_delays_its_signal(node: Node) -> None:
    node.runtime.scripts |= {"side": Script(exec_seconds=8)}
    node.api.put(make_pod(container(), inits=[sidecar("side", lifecycle=pre_stop())]))
    await node.run()
    await delete(node)
    await node.run(7)
    assert node.names() == ["POD", "side"]
    assert done_to(node, "kill") == [("kill", "web")]
    await node.run(2)
    assert gone(node)


async def test_a_hook_of_a_sidecar_ends_with_the_grace_period(node: Node) -> None:
    node.runtime.scripts |= {"side": Script(exec_seconds=1e9), "web": STUBBORN}
    node.api.put(make_pod(container(), inits=[sidecar("side", lifecycle=pre_stop())]))
    await node.run()
    await delete(node, grace=3600)
    await node.run(10)
    assert not gone(node)
    await delete(node, grace=5)
    await node.run(10)
    assert gone(node)
    assert len(node.recorder.messages("FailedPreStopHook")) == 1


async def test_a_sidecar_that_is_ended_already_hears_of_it_once(node: Node) -> None:
    """Its liveness probe has failed, and its hook runs, when the pod is deleted."""
    answers = {
        "check": ExecResult(exit_code=1, output=b""),
        "bye": ExecResult(exit_code=0, output=b""),
    }
    node.runtime.scripts |= {
        "side": Script(exec=lambda argv: answers[argv[0]], exec_seconds=2, ignores_term=True),
        "web": Script(term_seconds=20),
    }
    asks = Probe(
        exec=ExecAction(command=["check"]), period_seconds=1, failure_threshold=1, timeout_seconds=9
    )
    side = sidecar("side", lifecycle=pre_stop(), liveness_probe=asks)
    node.api.put(make_pod(container(), inits=[side]))
    await node.run(3)
    assert "Container side failed liveness probe, will be restarted" in (
        node.recorder.messages("Killing")
    )
    before = len(done_to(node, "exec"))
    await delete(node)
    await node.run(40)
    assert gone(node)
    assert len(done_to(node, "exec")) == before
    assert node.recorder.messages("AgentError") == []


async def test_readiness_is_still_asked_of_a_container_that_is_being_ended(node: Node) -> None:
    """Its liveness is not: that it has failed is why it ends."""
    asked: list[str] = []

    def answers(argv: Sequence[str]) -> ExecResult:
        asked.append(argv[0])
        return ExecResult(exit_code=1 if argv[0] == "alive" else 0, output=b"")

    alive, traffic = (
        Probe(exec=ExecAction(command=[name]), period_seconds=1, failure_threshold=1)
        for name in ("alive", "traffic")
    )
    node.runtime.scripts["web"] = Script(exec=answers, term_seconds=10)
    spec = container(liveness_probe=alive, readiness_probe=traffic)
    node.api.put(make_pod(spec, policy="Never"))
    await node.run(2)
    assert node.recorder.messages("Killing") == ["Container web failed liveness probe"]
    asked.clear()
    await node.run(5)
    assert set(asked) == {"traffic"}


async def test_the_grace_period_is_the_pods(node: Node) -> None:
    """What the main containers leave of it is the sidecars'; then each gets two seconds."""
    node.runtime.scripts |= {"web": STUBBORN, "s1": STUBBORN, "s2": STUBBORN}
    node.api.put(make_pod(container(), inits=[sidecar("s1"), sidecar("s2")]))
    await node.run()
    await delete(node, grace=20)
    await node.run(19.5)
    assert "web" in node.names()
    await node.run(1)
    assert node.names() == ["POD", "s1", "s2"]
    await node.run(4)
    assert gone(node)


async def test_sidecars_of_a_finished_pod_share_its_grace_period(node: Node) -> None:
    node.runtime.scripts |= {"web": Script(run_for=2), "s1": STUBBORN, "s2": STUBBORN}
    sides = [sidecar("s1"), sidecar("s2")]
    pod = make_pod(container(), inits=sides, policy="Never", termination_grace_period_seconds=10)
    node.api.put(pod)
    await node.run(3)
    assert node.names() == ["POD", "s1", "s2"]
    await node.run(13)
    assert node.names() == []
    assert node.api.pod().status.phase == "Succeeded", "how sidecars end does not matter"
    assert status(node, "s1").state.terminated.exit_code == 137
    assert node.recorder.messages("ContainerDied") == [], "the agent ended them itself"


async def test_a_crash_on_the_way_out_is_one(node: Node) -> None:
    node.runtime.scripts |= {
        "web": Script(run_for=2, exit_code=1),
        "side": Script(term_seconds=60),
        "other": Script(run_for=5, exit_code=9),
    }
    sides = [sidecar("other"), sidecar("side")]
    node.api.put(make_pod(container(), inits=sides, policy="Never"))
    await node.run(8)
    assert [words.partition(" died")[0] for words in node.recorder.messages("ContainerDied")] == [
        "Container web",
        "Container other",
    ]


async def test_a_sidecar_that_crashes_during_init_holds_up_nobody(node: Node) -> None:
    node.runtime.scripts |= {
        "side": [Script(run_for=2, exit_code=1), Script(run_for=1, exit_code=1), Script()],
        "init": Script(run_for=4),
    }
    node.api.put(make_pod(container(), inits=[sidecar("side"), container("init")]))
    await node.run(5)
    assert node.names() == ["POD", "web"], "the sidecar is in its back-off"
    assert status(node, "side").state.waiting.reason == "CrashLoopBackOff"
    await node.run(15)
    assert node.names() == ["POD", "side", "web"]
    assert status(node, "side").restart_count == 2


async def test_what_follows_waits_for_a_sidecars_startup_probe(node: Node) -> None:
    answers = iter([False] * 3 + [True] * 99)
    node.runtime.scripts |= {
        "side": Script(exec=lambda argv: ExecResult(exit_code=not next(answers), output=b"no"))
    }
    asks = probe(period_seconds=1, failure_threshold=3)
    node.api.put(make_pod(container(), inits=[sidecar("side", startup_probe=asks)]))
    await node.run(1)
    assert node.names() == ["POD", "side"]
    assert (status(node, "side").started, status(node, "side").ready) == (False, False)
    await node.run(3)
    assert node.recorder.messages("Killing") == [
        "Container side failed startup probe, will be restarted"
    ]
    await node.run(3)
    assert node.names() == ["POD", "side", "web"]
    assert status(node, "side").started and status(node, "side").restart_count == 1


async def test_an_init_container_that_fails_for_good_ends_the_sidecars(node: Node) -> None:
    node.runtime.scripts |= {
        "init": Script(run_for=2, exit_code=3),
        "side": Script(term_exit_code=143),
    }
    inits = [sidecar("side"), container("init")]
    node.api.put(make_pod(container(), inits=inits, policy="Never"))
    await node.run(4)
    assert node.api.pod().status.phase == "Failed"
    assert node.names() == []
    assert status(node, "side").state.terminated.signal == 15
    assert status(node, "web").state.waiting.reason == "PodInitializing"
    assert node.recorder.messages("ContainerDied") == [
        "Container init died: its program ended with exit code 3"
    ]


async def test_an_agent_that_is_killed_meanwhile_starts_over(node: Node) -> None:
    """With the whole grace period: the program hears its signal, and preStop runs, again."""
    node.runtime.scripts |= {"web": STUBBORN}
    node.api.put(make_pod(container(lifecycle=pre_stop())))
    await node.run()
    await delete(node, grace=20)
    await node.run(10)
    await node.kill()
    await node.boot()
    await node.run(19)
    assert node.names() == ["POD", "web"]
    assert len(done_to(node, "exec")) == 2
    await node.run(3)
    assert gone(node)


# Deadlines.


async def test_a_deadline_is_told_of(node: Node) -> None:
    node.runtime.scripts |= {"web": Script(term_seconds=3)}
    node.api.put(make_pod(container(), active_deadline_seconds=30))
    await node.run(29)
    assert node.api.pod().status.phase == "Running"
    await node.run(6)
    told = node.api.pod().status
    assert (told.phase, told.reason) == ("Failed", "DeadlineExceeded")
    message = "Pod was active on the node longer than the specified deadline"
    assert node.recorder.messages("DeadlineExceeded") == [message]
    await node.kill()
    await node.boot()
    await node.run(5)
    assert len(node.recorder.messages("DeadlineExceeded")) == 1, "and once"


async def test_a_deadline_ends_also_what_has_not_begun(tmp_path: Path) -> None:
    node = Node(tmp_path, registry={"slow:1": None})
    node.runtime.pull_seconds = 1000
    await node.boot()
    slow = container("slow", image="slow:1")
    node.api.put(make_pod(container(), slow, active_deadline_seconds=30))
    await node.run(29)
    assert node.api.pod().status.phase == "Pending"
    await node.run(3)
    told = node.api.pod().status
    assert (told.phase, told.reason) == ("Failed", "DeadlineExceeded")
    assert status(node, "slow").state.terminated.reason == "ContainerStatusUnknown"
    assert node.names() == []
    await node.kill()


async def test_a_deadline_ends_also_what_is_refused(node: Node) -> None:
    node.api.put(make_pod(container(), host_users=False, active_deadline_seconds=30))
    await node.run(29)
    assert status(node, "web").state.waiting.reason == "UnsupportedSecurityContext"
    await node.run(2)
    assert node.api.pod().status.reason == "DeadlineExceeded"


async def test_a_deadline_may_come_nearer(node: Node) -> None:
    node.api.put(make_pod(container(), active_deadline_seconds=3600))
    await node.run(20)
    pod = node.api.pod()
    pod.spec.active_deadline_seconds = 25
    node.api.put(pod)
    await node.run(3)
    assert node.api.pod().status.phase == "Running"
    await node.run(5)
    assert node.api.pod().status.reason == "DeadlineExceeded"


# Hooks.


def hooked(handler: LifecycleHandler) -> Container:
    return container(lifecycle=Lifecycle(post_start=handler))


async def test_a_post_start_hook_ends_with_its_container(node: Node) -> None:
    """The hook of the next one of its name does not wait for it."""
    node.runtime.scripts |= {"web": [Script(run_for=3, exit_code=1), Script()]}
    node.api.put(make_pod(hooked(LifecycleHandler(sleep=SleepAction(seconds=20)))))
    await node.run(5)
    assert status(node, "web").state.waiting.reason == "ContainerCreating"
    await node.run(19)
    assert status(node, "web").restart_count == 1
    assert status(node, "web").state.running is not None
    assert node.recorder.messages("FailedPostStartHook") == []


async def test_a_post_start_hook_ends_with_its_pod(node: Node) -> None:
    node.api.put(make_pod(hooked(LifecycleHandler(sleep=SleepAction(seconds=3600)))))
    await node.run(1)
    await delete(node)
    await node.run(1)
    assert gone(node)
    left = {task.get_name() for task in node.guard._tasks}
    assert not [name for name in left if "postStart" in name]


async def test_a_hook_that_an_agent_left_undone_is_run_again(node: Node) -> None:
    """It is promised at least once; and once it has passed, it is over."""
    node.runtime.scripts |= {"web": Script(exec_seconds=5)}
    node.api.put(make_pod(hooked(LifecycleHandler(exec=ExecAction(command=["hook"])))))
    await node.run(2)
    await node.kill()
    await node.boot()
    await node.run(4)
    assert status(node, "web").state.waiting.reason == "ContainerCreating"
    await node.run(2)
    assert status(node, "web").ready and status(node, "web").restart_count == 0
    assert len(done_to(node, "exec")) == 2
    for api in (True, False):
        pod = node.api.pod()
        pod.status.container_statuses = []
        node.api.put(pod)
        await node.kill()
        await node.boot(api=api)
        await node.run(7)
    assert len(done_to(node, "exec")) == 2, "the node itself remembers, whatever the API has heard"


async def test_a_hook_that_trips_a_bug_is_its_containers_matter(node: Node) -> None:
    def odd(argv: object) -> ExecResult:
        raise ValueError("odd")

    node.runtime.scripts |= {"web": [Script(exec=odd), Script()]}
    both = LifecycleHandler(exec=ExecAction(command=["hook"]))
    node.api.put(make_pod(container(lifecycle=Lifecycle(post_start=both, pre_stop=both))))
    await node.run(2)
    assert status(node, "web").restart_count == 1 and status(node, "web").ready
    words = "the agent failed unexpectedly: ValueError: odd"
    assert node.recorder.messages("FailedPostStartHook") == [f"PostStartHook failed: {words}"]
    assert node.recorder.messages("FailedPreStopHook") == [f"PreStopHook failed: {words}"]


async def test_a_pause_of_no_length_is_none(node: Node) -> None:
    sleep = LifecycleHandler(sleep=SleepAction(seconds=0))
    node.api.put(make_pod(container(lifecycle=Lifecycle(post_start=sleep, pre_stop=sleep))))
    await node.run(1)
    assert status(node, "web").ready
    await delete(node)
    await node.run(0.5)
    assert gone(node)
    assert node.recorder.messages("FailedPreStopHook") == []


async def test_what_a_hook_was_answered_is_told_and_ends_nothing(node: Node) -> None:
    async with serving(answer(404, body="")) as (port, _):
        ask = HTTPGetAction(host="127.0.0.1", path="/hook", port=port)
        hook = LifecycleHandler(http_get=ask)
        node.api.put(make_pod(container(lifecycle=Lifecycle(post_start=hook, pre_stop=hook))))
        async with asyncio.timeout(60):
            while not node.recorder.messages("PostStartHookAnswered"):
                await asyncio.sleep(0.01)
                await node.run(1)
        assert status(node, "web").restart_count == 0 and status(node, "web").ready
        await delete(node, grace=3600)
        async with asyncio.timeout(60):
            while not gone(node):
                await asyncio.sleep(0.01)
                await node.run(1)
    words = f"answered with statuscode: 404 (GET http://127.0.0.1:{port}/hook)"
    assert node.recorder.messages("PostStartHookAnswered") == [f"PostStartHook was {words}"]
    assert node.recorder.messages("PreStopHookAnswered") == [f"PreStopHook was {words}"]
    assert not any(reason.startswith("Failed") for reason in node.recorder.reasons())


async def test_a_failed_pre_stop_hook_is_told_of_and_stops_nothing(node: Node) -> None:
    node.runtime.scripts |= {"web": Script(exec=lambda argv: ExecResult(exit_code=3, output=b"no"))}
    node.api.put(make_pod(container(lifecycle=pre_stop("save", "all"))))
    await node.run(1)
    await delete(node)
    await node.run(1)
    assert gone(node)
    words = 'no (command "save all" exited with 3)'
    assert node.recorder.messages("FailedPreStopHook") == [
        f"PreStopHook failed: Exec lifecycle hook ([save all]) failed: {words}"
    ]


async def test_its_own_signal(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []

    async def kill(id: ContainerId, *, signal: str = "SIGKILL") -> None:
        sent.append(signal)
        await real(id, signal=signal)

    real = node.runtime.kill
    monkeypatch.setattr(node.runtime, "kill", kill)
    node.api.put(make_pod(container(lifecycle=Lifecycle(stop_signal="SIGUSR1"))))
    await node.run(1)
    assert status(node, "web").stop_signal == "SIGUSR1"
    await delete(node)
    await node.run(1)
    assert gone(node)
    assert sent == ["SIGUSR1"]


@pytest.mark.parametrize("grace", [0, 1])
async def test_the_shortest_grace_period(node: Node, grace: int) -> None:
    """Whatever is asked for, a program has two seconds after its signal."""
    node.runtime.scripts |= {"web": STUBBORN}
    node.api.put(make_pod(container()))
    await node.run(1)
    await delete(node, grace=grace)
    await node.run(1.5)
    assert node.names() == ["POD", "web"]
    assert done_to(node, "kill") == [("kill", "web")]
    await node.run(1)
    assert gone(node)


@pytest.mark.parametrize(
    "later", ["nothing", "deadline", "eviction", "preemption", "shutdown", "prune"]
)
async def test_an_end_stands_also_before_the_api_has_heard_of_it(node: Node, later: str) -> None:
    node.runtime.scripts |= {"web": Script(run_for=5)}
    node.api.put(make_pod(policy="Never", active_deadline_seconds=60))
    await node.run(2)
    node.api.down = True
    await node.run(10)
    (worker,) = node.manager.workers.values()
    if later == "eviction":
        worker.evict("the node is short of memory", 2)
    elif later == "preemption":
        worker.preempt()
    elif later == "shutdown":
        worker.terminate("Terminated", "the machine shuts down", 5)
    elif later == "prune":
        for record in node.containers("web"):
            await node.runtime.remove(record.id)
    if later != "nothing":
        await node.run(100 if later == "deadline" else 20)
    node.api.down = False
    await node.run(20)
    told = node.api.pod().status
    assert (told.phase, told.reason) == ("Succeeded", "")
    assert [c.type for c in told.conditions if c.type == "DisruptionTarget"] == []
    ended = status(node, "web").state.terminated
    assert ended is not None
    assert ended.exit_code == 0
    assert [did for did, name in node.runtime.calls if did == "start" and "_web_" in name] == [
        "start"
    ]


@pytest.mark.parametrize("slow", ["start", "create"])
async def test_a_pod_that_is_ended_while_it_begins_is_not_told_to_have_ended_too_early(
    node: Node, monkeypatch: pytest.MonkeyPatch, slow: str
) -> None:
    act = getattr(node.runtime, slow)

    async def answers_late(of: ContainerId | ContainerCreate) -> object:
        found = await act(of)
        if any(record.name.startswith("k8s_web_") for record in node.containers("web")):
            await node.clock.sleep(5)
        return found

    monkeypatch.setattr(node.runtime, slow, answers_late)
    node.api.put(make_pod())
    await node.run(2)
    (worker,) = node.manager.workers.values()
    worker.preempt()
    await node.run(2)
    assert "POD" in node.names()
    assert node.api.pod().status.phase in ("", "Pending")
    await node.run(10)
    assert node.names() == []
    assert node.api.pod().status.reason == "Preempting"
    assert done_to(node, "kill") == ([("kill", "web")] if slow == "start" else [])


@pytest.mark.parametrize("restarted", [False, True])
async def test_who_was_ended_by_another_ends(node: Node, restarted: bool) -> None:
    node.runtime.scripts |= {"web": Script(term_seconds=5)}
    node.api.put(make_pod())
    await node.run(2)
    if restarted:
        await node.kill()
    pod = objects.copy(node.api.pod())
    pod.status.phase, pod.status.reason = "Failed", "Lost"
    node.api.put(pod)
    if restarted:
        await node.boot()
    for _ in range(20):
        await node.run(1)
        told = node.api.pod().status
        assert (told.phase, told.reason) == ("Failed", "Lost")
    assert node.names() == []
    assert done_to(node, "start", "kill") == [("start", "POD"), ("start", "web"), ("kill", "web")]
