"""The status, case by case: what is there → what the API is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from agent.containers.records import ContainerState as EngineState
from agent.containers.records import InForce, ProcessUser
from agent.pod.observed import Hook, KilledFor, PodObserved, Probed, Refusal, Seen
from agent.pod.outcome import outcome
from agent.pod.status import STANDING_CONDITIONS, status
from api import timestamps
from api.core import (
    Container,
    ContainerStatus,
    Pod,
    PodCondition,
    PodReadinessGate,
    PodStatus,
)
from tests.unit.agent.builders import (
    NOW,
    UID,
    container,
    failure,
    make_pod,
    observe,
    probe,
    sandbox,
    seen,
    sidecar,
)


def report(
    pod: Pod,
    observed: PodObserved,
    previous: PodStatus | None = None,
    now: datetime = NOW,
) -> PodStatus:
    return status(
        pod,
        observed,
        end=outcome(pod, observed),
        previous=previous or PodStatus(),
        host_ip="192.0.2.1",
        now=now,
    )


def one(result: PodStatus, name: str = "web") -> ContainerStatus:
    every = [*result.init_container_statuses, *result.container_statuses]
    return next(s for s in every if s.name == name)


def waiting(result: PodStatus, name: str = "web") -> str:
    state = one(result, name).state
    assert state.waiting is not None, state
    return state.waiting.reason


def condition(result: PodStatus, kind: str) -> PodCondition:
    return next(c for c in result.conditions if c.type == kind)


def said(result: PodStatus) -> dict[str, str]:
    return {c.type: c.status for c in result.conditions}


# States of one container.


def test_a_running_container() -> None:
    result = report(make_pod(), observe({"web": [seen(running=True)]}))
    state = one(result)
    assert state.state.running is not None
    assert state.state.running.started_at == "2026-01-01T11:59:55Z"
    assert (state.ready, state.started, state.restart_count) == (True, True, 0)
    assert (state.image, state.image_id) == ("app:1", "sha256:app")
    assert state.container_id == "docker://web-0"


def test_a_container_that_does_not_exist_yet() -> None:
    state = one(report(make_pod(), observe()))
    assert state.state.waiting is not None and state.state.waiting.reason == "ContainerCreating"
    assert (state.ready, state.started, state.restart_count) == (False, False, 0)
    assert (state.image, state.image_id, state.container_id) == ("app:1", "", "")


def test_created_is_still_creating() -> None:
    assert waiting(report(make_pod(), observe({"web": [seen(unstarted=True)]}))) == (
        "ContainerCreating"
    )


@pytest.mark.parametrize("hook", [Hook.PENDING, Hook.RUNNING])
def test_creating_until_the_post_start_hook_is_done(hook: Hook) -> None:
    result = report(make_pod(), observe({"web": [seen(running=True, hook=hook)]}))
    assert waiting(result) == "ContainerCreating"
    assert result.phase == "Pending"
    assert one(result).ready is False


END_TABLE = [
    # container, reason, exit code
    (seen(exit_code=0), "Completed", 0),
    (seen(exit_code=3), "Error", 3),
    (seen(exit_code=137), "Error", 137),
    (seen(exit_code=137, oom=True), "OOMKilled", 137),
    (seen(exit_code=1, oom=True), "OOMKilled", 1),
    # A child was killed, the program went on and ended well.
    (seen(exit_code=0, oom=True), "Completed", 0),
    (seen(error='exec: "nope": not found', exit_code=127), "ContainerCannotRun", 127),
]


@pytest.mark.parametrize(("ended", "reason", "code"), END_TABLE)
def test_how_a_container_ended(ended: Seen, reason: str, code: int) -> None:
    pod = make_pod(policy="Never")
    state = one(report(pod, observe({"web": [ended]}))).state.terminated
    assert state is not None
    assert (state.reason, state.exit_code) == (reason, code)
    assert state.container_id == "docker://web-0"


def test_times_of_an_end() -> None:
    ended = seen(exit_code=1, ran_for=60, ended_ago=10)
    state = one(report(make_pod(policy="Never"), observe({"web": [ended]}))).state.terminated
    assert state is not None
    assert (state.started_at, state.finished_at) == (
        "2026-01-01T11:58:50Z",
        "2026-01-01T11:59:50Z",
    )


def test_the_termination_message() -> None:
    ended = seen(exit_code=1, message="out of cheese")
    state = one(report(make_pod(policy="Never"), observe({"web": [ended]}))).state.terminated
    assert state is not None and state.message == "out of cheese"


def test_messages_share_their_room() -> None:
    mains = [container(name) for name in "abcdef"]
    there = {one.name: [seen(one, exit_code=1, message="ä" * 4000)] for one in mains}
    result = report(make_pod(*mains, policy="Never"), observe(there))
    for each in result.container_statuses:
        assert each.state.terminated is not None
        assert len(each.state.terminated.message.encode()) == 12 * 1024 // 6
    before = seen(exit_code=1, message="y" * 4096, restarts=0)
    there = {"web": [seen(running=True, restarts=1), before]}
    last = one(report(make_pod(), observe(there))).last_state.terminated
    assert last is not None and len(last.message) == 4096, "alone it may use all of its own"


@pytest.mark.parametrize(("code", "signal"), [(0, 0), (1, 0), (137, 9), (143, 15), (255, 0)])
def test_the_signal_that_ended_it(code: int, signal: int) -> None:
    result = report(make_pod(policy="Never"), observe({"web": [seen(exit_code=code)]}))
    end = one(result).state.terminated
    assert end is not None and (end.exit_code, end.signal) == (code, signal)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("SIGTERM", "SIGTERM"),
        ("quit", "SIGQUIT"),
        ("3", "SIGQUIT"),
        ("37", "SIGRTMIN+3"),
        ("SIGRTMIN+3", "SIGRTMIN+3"),
        ("0", None),
        ("what", None),
    ],
)
def test_the_signal_that_stops_it(text: str, name: str | None) -> None:
    made = seen(running=True)
    record = replace(made.record, stop_signal=text, in_force=InForce())
    there = observe({"web": [replace(made, record=record)]})
    assert one(report(make_pod(), there)).stop_signal == name
    vague = observe({"web": [replace(made, record=replace(record, in_force=None))]})
    known = report(make_pod(), there)
    one(known).stop_signal = "SIGINT"
    assert one(report(make_pod(status=known), vague)).stop_signal == "SIGINT"


def test_a_start_error_is_told_as_message() -> None:
    ended = seen(error="no such file", exit_code=127)
    state = one(report(make_pod(policy="Never"), observe({"web": [ended]}))).state.terminated
    assert state is not None and state.message == "no such file"
    assert state.started_at is None and state.finished_at is None


BACKOFF_TABLE = [
    (1, 0, "10s"),
    (2, 0, "20s"),
    (3, 30, "40s"),
    (4, 0, "1m20s"),
    (5, 0, "2m40s"),
    (6, 0, "5m0s"),
    (60, 299, "5m0s"),
]


@pytest.mark.parametrize(("level", "ended_ago", "shown"), BACKOFF_TABLE)
def test_crash_loop_back_off(level: int, ended_ago: float, shown: str) -> None:
    crashed = seen(exit_code=1, restarts=level, ended_ago=ended_ago)
    state = one(report(make_pod(), observe({"web": [crashed]})))
    assert state.state.waiting is not None and state.last_state.terminated is not None
    assert state.state.waiting.reason == "CrashLoopBackOff"
    assert state.state.waiting.message == (
        f"back-off {shown} restarting failed container=web pod=pod_ns({UID})"
    )
    assert state.last_state.terminated.exit_code == 1
    assert state.restart_count == level


def test_between_an_end_and_an_immediate_restart_the_end_is_shown() -> None:
    state = one(report(make_pod(), observe({"web": [seen(exit_code=1)]})))
    assert state.state.terminated is not None
    assert state.last_state.terminated is None


@pytest.mark.parametrize("killed_for", [KilledFor.CHANGED, KilledFor.RESIZED, KilledFor.LIVENESS])
def test_what_was_ended_to_be_started_anew_at_once_is_not_over(killed_for: KilledFor) -> None:
    """Where the end counts as final the API would take no news of the container any more."""
    ended = seen(exit_code=0, killed_for=killed_for)
    pod = report(make_pod(policy="OnFailure"), observe({"web": [ended]}))
    state = one(pod)
    assert state.state.waiting is not None and state.state.waiting.reason == "ContainerCreating"
    assert state.last_state.terminated is not None and state.last_state.terminated.exit_code == 0
    assert pod.phase == "Running"


def test_the_last_state_after_a_restart() -> None:
    made = [seen(running=True, restarts=1), seen(exit_code=7)]
    state = one(report(make_pod(), observe({"web": made})))
    assert state.last_state.terminated is not None
    assert state.last_state.terminated.exit_code == 7
    assert (state.restart_count, state.ready) == (1, True)


FAILURE_TABLE = [
    ("image/web", "ErrImagePull", "pull access denied"),
    ("image/web", "ImagePullBackOff", 'Back-off pulling image "nope:1"'),
    ("image/web", "ErrImageNeverPull", "not present"),
    ("image/web", "InvalidImageName", "invalid reference format"),
    ("container/web", "CreateContainerConfigError", 'configmap "x" not found'),
    ("container/web", "CreateContainerError", "no space left on device"),
    ("container/web", "RunContainerError", "no such file"),
]


@pytest.mark.parametrize(("key", "reason", "message"), FAILURE_TABLE)
@pytest.mark.parametrize("before", [[], [seen(exit_code=2, restarts=1, ended_ago=100)]])
def test_why_a_container_waits(key: str, reason: str, message: str, before: list[Seen]) -> None:
    observed = observe({"web": before} if before else {}, failures={key: failure(reason, message)})
    state = one(report(make_pod(), observed))
    assert state.state.waiting is not None
    assert (state.state.waiting.reason, state.state.waiting.message) == (reason, message)
    assert (state.last_state.terminated is not None) is bool(before)


def test_a_failure_of_another_container_is_not_mine() -> None:
    pod = make_pod(container("a"), container("b"))
    result = report(pod, observe(failures={"image/a": failure()}))
    assert (waiting(result, "a"), waiting(result, "b")) == ("ErrImagePull", "ContainerCreating")


def test_a_refused_pod_says_which_field() -> None:
    refusal = Refusal(reason="UnsupportedSecurityContext", field="spec.x", message="spec.x: no")
    result = report(make_pod(), observe(up=False, refusal=refusal))
    assert (result.phase, waiting(result)) == ("Pending", "UnsupportedSecurityContext")
    state = one(result).state.waiting
    assert state is not None and state.message == "spec.x: no"


def test_as_whom_a_container_was_started() -> None:
    """A program may give up what it was started with; then what was told before counts."""
    started = seen(running=True, user=ProcessUser(uid=0, gid=0, groups=(0, 4000)))
    first = report(make_pod(), observe({"web": [started]}))
    told = one(first).user
    assert told is not None and told.linux is not None
    assert (told.linux.uid, told.linux.gid, told.linux.supplemental_groups) == (0, 0, [0, 4000])
    later = seen(running=True, user=ProcessUser(uid=33, gid=33))
    pod = make_pod(status=first)
    assert one(report(pod, observe({"web": [later]}))).user == told
    assert one(report(pod, observe({"web": [seen(exit_code=1)]}))).user == told
    again = seen(running=True, restarts=1, user=ProcessUser(uid=33, gid=33))
    changed = one(report(pod, observe({"web": [again, seen(exit_code=1)]}))).user
    assert changed is not None and changed.linux is not None and changed.linux.uid == 33


# Readiness.

READY_TABLE = [
    # spec, probed, started, ready
    (container(), Probed(), True, True),
    (container(readiness_probe=probe()), Probed(), True, False),
    (container(readiness_probe=probe()), Probed(ready=False), True, False),
    (container(readiness_probe=probe()), Probed(ready=True), True, True),
    (container(startup_probe=probe()), Probed(), False, False),
    (container(startup_probe=probe()), Probed(started=True), True, True),
    (
        container(startup_probe=probe(), readiness_probe=probe()),
        Probed(started=False, ready=True),
        False,
        False,
    ),
    (container(liveness_probe=probe()), Probed(), True, True),
]


@pytest.mark.parametrize(("spec", "probed", "started", "ready"), READY_TABLE)
def test_readiness(spec: Container, probed: Probed, started: bool, ready: bool) -> None:
    result = report(make_pod(spec), observe({"web": [seen(spec, running=True, probed=probed)]}))
    assert (one(result).started, one(result).ready) == (started, ready)
    assert said(result)["ContainersReady"] == ("True" if ready else "False")
    assert said(result)["Ready"] == ("True" if ready else "False")
    if not ready:
        assert condition(result, "Ready").reason == "ContainersNotReady"
        assert condition(result, "Ready").message == "containers with unready status: [web]"


def test_all_containers_must_be_ready() -> None:
    pod = make_pod(container("a"), container("b"), container("c"))
    there = {name: [seen(container(name), running=True)] for name in ("a", "b")}
    result = report(pod, observe(there))
    assert condition(result, "ContainersReady").message == "containers with unready status: [c]"


GATE_TABLE = [
    ([], "False", 'corresponding condition of pod readiness gate "x/y" does not exist.'),
    (
        [PodCondition(type="x/y", status="False")],
        "False",
        'the status of pod readiness gate "x/y" is not "True", but False',
    ),
    ([PodCondition(type="x/y", status="True")], "True", ""),
]


@pytest.mark.parametrize(("conditions", "expected", "message"), GATE_TABLE)
def test_readiness_gates(conditions: list[PodCondition], expected: str, message: str) -> None:
    pod = make_pod(
        readiness_gates=[PodReadinessGate(condition_type="x/y")],
        status=PodStatus(conditions=conditions),
    )
    result = report(pod, observe({"web": [seen(running=True)]}))
    assert said(result)["ContainersReady"] == "True"
    assert said(result)["Ready"] == expected
    assert condition(result, "Ready").message == message


# Phase.

A, B = container("a"), container("b")
RUN_A, RUN_B = seen(A, running=True), seen(B, running=True)
PHASE_TABLE = [
    # policy, what is there, phase
    ("Always", {}, "Pending"),
    ("Always", {"a": [RUN_A]}, "Pending"),
    ("Always", {"a": [RUN_A], "b": [RUN_B]}, "Running"),
    ("Always", {"a": [RUN_A], "b": [seen(B, exit_code=1, restarts=4)]}, "Running"),
    ("Always", {"a": [RUN_A], "b": [seen(B)]}, "Running"),
    ("Always", {"a": [seen(A)], "b": [seen(B)]}, "Running"),
    ("OnFailure", {"a": [seen(A)], "b": [seen(B)]}, "Succeeded"),
    ("OnFailure", {"a": [seen(A)], "b": [seen(B, exit_code=1)]}, "Running"),
    ("OnFailure", {"a": [seen(A)], "b": [RUN_B]}, "Running"),
    ("Never", {"a": [seen(A)], "b": [seen(B)]}, "Succeeded"),
    ("Never", {"a": [seen(A)], "b": [seen(B, exit_code=1)]}, "Failed"),
    ("Never", {"a": [seen(A, exit_code=1)], "b": [RUN_B]}, "Running"),
    ("Never", {"a": [seen(A, exit_code=1)]}, "Pending"),
    ("Never", {"a": [seen(A, error="no", exit_code=127)], "b": [seen(B)]}, "Failed"),
]


@pytest.mark.parametrize(("policy", "there", "phase"), PHASE_TABLE)
def test_phase(policy: str, there: dict[str, list[Seen]], phase: str) -> None:
    assert report(make_pod(A, B, policy=policy), observe(there)).phase == phase


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_final_phase_stands(phase: str) -> None:
    pod = make_pod(status=PodStatus(phase=phase, reason="Evicted", message="low on memory"))
    result = report(pod, observe({}, up=False))
    assert (result.phase, result.reason, result.message) == (phase, "Evicted", "low on memory")


def test_a_final_phase_waits_until_nothing_runs() -> None:
    pod = make_pod(active_deadline_seconds=10)
    result = report(pod, observe({"web": [seen(running=True)]}, active_for=11))
    assert result.phase == "Running"
    result = report(pod, observe({"web": [seen(exit_code=143)]}, active_for=12))
    assert (result.phase, result.reason) == ("Failed", "DeadlineExceeded")
    assert result.message == "Pod was active on the node longer than the specified deadline"


def test_a_sidecar_that_still_runs_holds_the_phase() -> None:
    side = sidecar()
    pod = make_pod(inits=[side], policy="Never")
    result = report(pod, observe({"side": [seen(side, running=True)], "web": [seen()]}))
    assert result.phase == "Running"
    result = report(pod, observe({"side": [seen(side, exit_code=143)], "web": [seen()]}))
    assert result.phase == "Succeeded"


@pytest.mark.parametrize(("code", "phase"), [(0, "Succeeded"), (143, "Failed"), (137, "Failed")])
def test_a_deleted_pod_ends_as_its_containers_did(code: int, phase: str) -> None:
    pod = make_pod(deleted=True)
    result = report(pod, observe({"web": [seen(exit_code=code)]}))
    assert result.phase == phase
    assert one(result).state.terminated is not None


def test_a_deleted_pod_of_which_nothing_ran_has_failed() -> None:
    pod = make_pod(A, B, deleted=True)
    assert report(pod, observe()).phase == "Failed"
    assert report(pod, observe({"a": [seen(A)]})).phase == "Failed", "b never ran"
    assert report(pod, observe({"a": [seen(A)], "b": [seen(B)]})).phase == "Succeeded"
    assert report(make_pod(A, B), observe()).phase == "Pending"
    starting = observe({"a": [seen(A, unstarted=True)]}, busy=frozenset({"container/a"}))
    assert report(pod, starting).phase == "Pending", "it may run in a moment"


def test_a_container_that_never_ran_in_a_pod_that_ended_is_accounted_for() -> None:
    pod = make_pod(A, B, active_deadline_seconds=10)
    result = report(pod, observe({"a": [seen(A)]}, active_for=11))
    end = one(result, "b").state.terminated
    assert end is not None
    assert (end.reason, end.exit_code) == ("ContainerStatusUnknown", 137)
    assert end.message == "The container could not be located when the pod was terminated"
    done = one(result, "a").state.terminated
    assert done is not None and done.reason == "Completed"


def test_a_container_that_somebody_removed_before_the_end_is_accounted_for() -> None:
    ran = report(make_pod(), observe({"web": [seen(running=True)]}))
    pod = make_pod(active_deadline_seconds=10, status=ran)
    result = report(pod, observe(active_for=11))
    end, last = one(result).state.terminated, one(result).last_state.terminated
    assert result.phase == "Failed"
    assert end is not None and end.reason == "ContainerStatusUnknown"
    assert last is not None and last.started_at is not None


def test_main_containers_of_a_pod_that_failed_before_them_still_wait() -> None:
    pod = make_pod(inits=[INIT], policy="Never")
    result = report(pod, observe({"init": [seen(INIT, exit_code=1)]}))
    assert (result.phase, waiting(result)) == ("Failed", "PodInitializing")
    rejected = Refusal(reason="SysctlForbidden", field="x", message="no", rejected=True)
    result = report(make_pod(), observe(up=False, refusal=rejected))
    assert (result.phase, result.reason) == ("Failed", "SysctlForbidden")
    assert result.container_statuses == [], "as a kubelet, which never got to them"


def test_a_failed_pod_with_sidecars_stays_initialized() -> None:
    side = sidecar()
    pod = make_pod(inits=[side], policy="Never")
    there = {"side": [seen(side, exit_code=143)], "web": [seen(exit_code=1)]}
    result = report(pod, replace(observe(there), sandboxes=()))
    assert result.phase == "Failed"
    assert condition(result, "Initialized").status == "True"


def test_a_deleted_pod_runs_while_its_containers_do() -> None:
    pod = make_pod(A, B, deleted=True)
    there = {"a": [seen(A, exit_code=143)], "b": [RUN_B]}
    assert report(pod, observe(there)).phase == "Running"


def test_a_crash_during_deletion_is_no_crash_loop() -> None:
    pod = make_pod(A, B, deleted=True)
    there = {"a": [seen(A, exit_code=1, restarts=4)], "b": [RUN_B]}
    assert one(report(pod, observe(there)), "a").state.terminated is not None


def test_no_crash_loop_is_told_of_an_image_that_has_not_run_yet() -> None:
    crashed = seen(exit_code=1, restarts=4)
    pod = make_pod(container(image="app:2"))
    assert one(report(pod, observe({"web": [crashed]}))).state.terminated is not None
    assert waiting(report(make_pod(), observe({"web": [crashed]}))) == "CrashLoopBackOff"


# Init containers.

INIT = container("init")
INIT_TABLE = [
    # what is there, state of init, state of web, phase, Initialized
    ({}, "PodInitializing", "PodInitializing", "Pending", "False"),
    ({"init": [seen(INIT, running=True)]}, "running", "PodInitializing", "Pending", "False"),
    ({"init": [seen(INIT)]}, "Completed", "PodInitializing", "Pending", "True"),
    (
        {"init": [seen(INIT, exit_code=1, restarts=3)]},
        "CrashLoopBackOff",
        "PodInitializing",
        "Pending",
        "False",
    ),
    ({"init": [seen(INIT, exit_code=1)]}, "Error", "PodInitializing", "Pending", "False"),
    (
        {"init": [seen(INIT)], "web": [seen(running=True)]},
        "Completed",
        "running",
        "Running",
        "True",
    ),
]


def shown(result: PodStatus, name: str) -> str:
    state = one(result, name).state
    if state.running is not None:
        return "running"
    return (state.waiting or state.terminated).reason  # type: ignore[union-attr]


@pytest.mark.parametrize(("there", "init", "web", "phase", "done"), INIT_TABLE)
def test_init_containers(
    there: dict[str, list[Seen]], init: str, web: str, phase: str, done: str
) -> None:
    result = report(make_pod(inits=[INIT]), observe(there))
    assert (shown(result, "init"), shown(result, "web")) == (init, web)
    assert (result.phase, said(result)["Initialized"]) == (phase, done)
    if done == "False":
        told = condition(result, "Initialized")
        assert told.reason == "ContainersNotInitialized"
        assert told.message == "containers with incomplete status: [init]"


def test_an_init_container_that_is_through_is_ready() -> None:
    result = report(make_pod(inits=[INIT]), observe({"init": [seen(INIT)]}))
    assert one(result, "init").ready is True


def test_a_pod_that_never_restarts_fails_with_its_init_container() -> None:
    pod = make_pod(inits=[INIT], policy="Never")
    result = report(pod, observe({"init": [seen(INIT, exit_code=1)]}))
    assert (result.phase, shown(result, "init")) == ("Failed", "Error")
    assert said(result)["Initialized"] == "False"


def test_nothing_of_a_pod_with_init_containers_is_ever_said_to_be_creating() -> None:
    """Clients of such a pod take any other word for a failure."""
    pod = make_pod(inits=[INIT, container("second")])
    early = report(pod, observe(up=False))
    names = ("init", "second", "web")
    assert [waiting(early, name) for name in names] == ["PodInitializing"] * 3
    created = report(pod, observe({"init": [seen(INIT, unstarted=True)]}))
    assert waiting(created, "init") == "PodInitializing"
    made = {"init": [seen(INIT)], "web": [seen(running=True, hook=Hook.RUNNING)]}
    assert waiting(report(make_pod(inits=[INIT]), observe(made))) == "PodInitializing"


def test_the_second_init_container_waits() -> None:
    second = container("second")
    pod = make_pod(inits=[INIT, second])
    result = report(pod, observe({"init": [seen(INIT, running=True)]}))
    assert waiting(result, "second") == "PodInitializing"


def test_an_init_container_that_is_through_stays_so_when_it_is_removed() -> None:
    first, second = container("first"), container("second")
    pod = make_pod(container(), inits=[first, second])
    at_work = {"second": [seen(second, running=True)]}
    pod.status = report(pod, observe({"first": [seen(first)]} | at_work))
    found = report(pod, observe(at_work))
    assert found.init_container_statuses == pod.status.init_container_statuses
    assert found.init_container_statuses[0].ready
    (initialized,) = [c for c in found.conditions if c.type == "Initialized"]
    assert initialized.message == "containers with incomplete status: [second]"


def test_a_pod_that_begins_anew_in_another_sandbox_is_pending() -> None:
    first, second, side = container("first"), container("second"), sidecar("side")
    pod = make_pod(container(), inits=[first, side, second])
    lost = {"sandbox": "gone"}
    ended = {
        "web": [seen(exit_code=137, **lost)],
        "side": [seen(side, exit_code=137, **lost)],
        "second": [seen(second, **lost)],
    }
    stages = [
        {"first": [seen(first, **lost)]},
        {"first": [seen(first, running=True, restarts=1), seen(first, **lost)]},
        {"first": [seen(first, restarts=1), seen(first, **lost)]},
        {
            "first": [seen(first, restarts=1), seen(first, **lost)],
            "side": [seen(side, running=True, restarts=1)],
        },
    ]
    for stage in stages:
        found = report(pod, observe(ended | stage))
        (web,) = found.container_statuses
        assert found.phase == "Pending", stage
        assert web.state.waiting is not None and web.state.waiting.reason == "PodInitializing"
        assert web.last_state.terminated is not None
    through = stages[-1] | {"second": [seen(second, restarts=1)]}
    assert report(pod, observe(ended | through)).phase == "Running"


def test_a_sidecar_counts_for_readiness() -> None:
    side = sidecar(readiness_probe=probe())
    there = {"side": [seen(side, running=True)], "web": [seen(running=True)]}
    result = report(make_pod(inits=[side]), observe(there))
    assert condition(result, "Ready").message == "containers with unready status: [side]"
    assert result.phase == "Running"


# The pod as a whole.


def test_addresses_and_classes() -> None:
    result = report(make_pod(), observe({"web": [seen(running=True)]}))
    assert (result.host_ip, [ip.ip for ip in result.host_ips]) == ("192.0.2.1", ["192.0.2.1"])
    assert (result.pod_ip, [ip.ip for ip in result.pod_ips]) == ("10.244.1.7", ["10.244.1.7"])
    assert result.qos_class == "BestEffort"
    assert result.observed_generation == 3


@pytest.mark.parametrize("facts", [{"network_ready": False, "ip": ""}, {"sandboxes": ()}])
def test_no_address_before_the_network_is_there(facts: dict[str, object]) -> None:
    result = report(make_pod(), replace(observe(), **facts))  # type: ignore[arg-type]
    assert (result.pod_ip, result.pod_ips) == ("", [])
    assert said(result)["PodReadyToStartContainers"] == "False"


def test_an_adopted_sandbox_keeps_its_address() -> None:
    observed = replace(observe({"web": [seen(running=True)]}), network_ready=False)
    result = report(make_pod(), observed)
    assert result.pod_ip == "10.244.1.7"
    assert said(result)["PodReadyToStartContainers"] == "True"


def test_a_finished_pod_keeps_its_address() -> None:
    observed = replace(observe({"web": [seen()]}), sandboxes=(sandbox(state=EngineState.EXITED),))
    previous = PodStatus(pod_ip="10.244.1.7")
    assert report(make_pod(policy="Never"), observed, previous).pod_ip == "10.244.1.7"


def test_the_start_time_is_set_once() -> None:
    assert report(make_pod(), observe()).start_time == timestamps.format(NOW)
    earlier = PodStatus(start_time="2025-01-01T00:00:00Z")
    assert report(make_pod(), observe(), earlier).start_time == "2025-01-01T00:00:00Z"


def test_conditions_of_a_running_pod() -> None:
    result = report(make_pod(), observe({"web": [seen(running=True)]}))
    assert said(result) == dict.fromkeys(STANDING_CONDITIONS, "True")
    assert all(c.observed_generation == 3 for c in result.conditions)


@pytest.mark.parametrize(
    ("code", "phase", "ready_reason", "initialized"),
    [(0, "Succeeded", "PodCompleted", "PodCompleted"), (1, "Failed", "PodFailed", "")],
)
def test_conditions_of_a_finished_pod(
    code: int, phase: str, ready_reason: str, initialized: str
) -> None:
    result = report(make_pod(policy="Never"), observe({"web": [seen(exit_code=code)]}))
    assert result.phase == phase
    for kind in ("Ready", "ContainersReady"):
        assert condition(result, kind).status == "False"
        assert condition(result, kind).reason == ready_reason
    assert condition(result, "Initialized").reason == initialized


def test_a_transition_time_moves_only_with_its_condition() -> None:
    before = "2025-12-31T00:00:00Z"
    previous = PodStatus(
        conditions=[
            PodCondition(type="Ready", status="True", last_transition_time=before),
            PodCondition(type="Initialized", status="False", last_transition_time=before),
        ]
    )
    result = report(make_pod(), observe({"web": [seen(running=True)]}), previous)
    assert condition(result, "Ready").last_transition_time == before
    assert condition(result, "Initialized").last_transition_time == timestamps.format(NOW)


def test_telling_it_again_changes_nothing() -> None:
    observed = observe({"web": [seen(running=True)]})
    first = report(make_pod(), observed)
    later = report(make_pod(), observed, first, NOW + timedelta(minutes=5))
    assert later == first


@pytest.mark.parametrize("killed_for", [why for why in KilledFor if why is not KilledFor.SANDBOX])
def test_a_killed_container_of_a_restarting_pod_is_not_final(killed_for: KilledFor) -> None:
    ended = seen(exit_code=0, killed_for=killed_for)
    assert report(make_pod(policy="OnFailure"), observe({"web": [ended]})).phase == "Running"
