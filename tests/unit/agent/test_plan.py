"""The plan, case by case: what is there → what is done next."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent.containers.records import ContainerId, ContainerRecord, ContainerState
from agent.pod.actions import (
    AttachNetwork,
    CreateContainer,
    CreateSandbox,
    EnsureImage,
    Plan,
    PrepareVolumes,
    ReleaseSandbox,
    RemoveContainer,
    RunPostStart,
    StartContainer,
    StartSandbox,
    StopContainer,
    TearDown,
)
from agent.pod.observed import Hook, KilledFor, PodObserved, Probed, Refusal, Seen
from agent.pod.plan import due
from agent.spec.facts import DeadLimits
from api.core import Container, ExecAction, Lifecycle, LifecycleHandler, Pod
from tests.unit.agent.builders import (
    SANDBOX,
    container,
    failure,
    make_pod,
    observe,
    plan,
    post_start,
    probe,
    sandbox,
    seen,
    sidecar,
    with_images,
)


def kinds(result: Plan) -> list[str]:
    return [type(action).__name__ for action in result.actions]


def started(result: Plan) -> list[str]:
    """Names of the containers that the plan brings forward."""
    steps = (EnsureImage, CreateContainer, StartContainer)
    return [a.container for a in result.actions if isinstance(a, steps)]


def only(result: Plan, type_: type) -> object:
    found = [a for a in result.actions if isinstance(a, type_)]
    assert len(found) == 1, result.actions
    return found[0]


# The way up: every step as soon as what it needs is there.


def test_nothing_is_there_yet() -> None:
    result = plan(make_pod(), observe(up=False))
    assert set(kinds(result)) == {"CreateSandbox", "PrepareVolumes", "EnsureImage"}
    assert only(result, CreateSandbox) == CreateSandbox(attempt=0)
    assert only(result, EnsureImage) == EnsureImage(container="web", restarts=0)


def test_a_container_is_created_while_its_sandbox_starts() -> None:
    observed = observe(
        up=False,
        sandboxes=(sandbox(state=ContainerState.CREATED),),
        volumes_ready=True,
        images={"web": 0},
    )
    assert set(plan(make_pod(), observed).actions) == {
        StartSandbox(id=SANDBOX),
        CreateContainer(container="web", restarts=0, backoff_level=0, sandbox=SANDBOX),
    }


def test_a_container_that_needs_the_address_waits_for_it() -> None:
    observed = observe(
        up=False,
        sandboxes=(sandbox(state=ContainerState.CREATED),),
        volumes_ready=True,
        images={"web": 0},
        needs_ip=frozenset({"web"}),
    )
    assert kinds(plan(make_pod(), observed)) == ["StartSandbox"]
    ready = replace(observed, sandboxes=(sandbox(),), network_ready=True)
    assert kinds(plan(make_pod(), ready)) == ["CreateContainer"]


def test_the_network_is_attached_while_the_container_is_created() -> None:
    observed = observe(up=False, sandboxes=(sandbox(),), volumes_ready=True, images={"web": 0})
    assert kinds(plan(make_pod(), observed)) == ["AttachNetwork", "CreateContainer"]
    assert only(plan(make_pod(), observed), AttachNetwork) == AttachNetwork(id=SANDBOX)


@pytest.mark.parametrize(
    "missing",
    [
        {"network_ready": False},
        {"volumes_ready": False},
        {"sandboxes": (sandbox(state=ContainerState.CREATED),)},
    ],
)
def test_a_created_container_waits_for_what_it_needs(missing: dict[str, object]) -> None:
    observed = replace(observe({"web": [seen(unstarted=True)]}), **missing)
    assert "StartContainer" not in kinds(plan(make_pod(), observed))


def test_a_created_container_is_started() -> None:
    observed = observe({"web": [seen(unstarted=True)]})
    expected = StartContainer(container="web", id=ContainerId("web-0"))
    assert plan(make_pod(), observed).actions == (expected,)


def test_volumes_come_before_create() -> None:
    observed = replace(with_images(observe(), web=0), volumes_ready=False)
    assert kinds(plan(make_pod(), observed)) == ["PrepareVolumes"]


def test_a_running_pod_needs_nothing() -> None:
    assert plan(make_pod(), observe({"web": [seen(running=True)]})) == Plan()


def test_several_containers_go_side_by_side() -> None:
    pod = make_pod(container("a"), container("b"))
    assert started(plan(pod, observe())) == ["a", "b"]


@pytest.mark.parametrize("key", ["sandbox", "volumes", "image/web"])
def test_what_is_under_way_is_not_planned_again(key: str) -> None:
    observed = observe(up=False, busy=frozenset({key}))
    assert key not in [a.key for a in plan(make_pod(), observed).actions]
    assert len(plan(make_pod(), observed).actions) == 2


def test_a_failed_step_rests_and_the_others_go_on() -> None:
    observed = observe(up=False, failures={"volumes": failure("FailedMount", retry_in=7)})
    result = plan(make_pod(), observed)
    assert set(kinds(result)) == {"CreateSandbox", "EnsureImage"}
    assert result.wake_in == 7


def test_a_failed_step_is_tried_again_when_it_has_rested() -> None:
    observed = observe(up=False, failures={"volumes": failure("FailedMount", retry_in=0)})
    assert "PrepareVolumes" in kinds(plan(make_pod(), observed))


def test_a_refused_pod_is_left_alone() -> None:
    refusal = Refusal(reason="UnsupportedSecurityContext", field="spec.hostPID", message="no")
    assert plan(make_pod(), observe(up=False, refusal=refusal)) == Plan()


# Restarts.

RESTART_TABLE = [
    # policy, exit code, killed for, runs again
    ("Always", 0, None, True),
    ("Always", 1, None, True),
    ("OnFailure", 0, None, False),
    ("OnFailure", 1, None, True),
    ("OnFailure", 137, None, True),
    ("OnFailure", 0, KilledFor.LIVENESS, True),
    ("OnFailure", 0, KilledFor.POST_START, True),
    ("Never", 0, None, False),
    ("Never", 1, None, False),
    ("Never", 137, KilledFor.LIVENESS, False),
    ("Never", 137, KilledFor.CHANGED, True),
    ("Always", 0, KilledFor.CHANGED, True),
]


@pytest.mark.parametrize(("policy", "code", "killed_for", "again"), RESTART_TABLE)
def test_restart_policy(policy: str, code: int, killed_for: KilledFor | None, again: bool) -> None:
    ended = seen(exit_code=code, killed_for=killed_for)
    # Another container lives, so that the pod has not finished.
    pod = make_pod(container("web"), container("other"), policy=policy)
    observed = observe({"web": [ended], "other": [seen(container("other"), running=True)]})
    assert started(plan(pod, observed)) == (["web"] if again else [])


def test_the_first_restart_is_immediate_and_counted() -> None:
    result = plan(make_pod(), observe({"web": [seen(exit_code=1)]}))
    assert result.actions == (EnsureImage(container="web", restarts=1),)
    ready = with_images(observe({"web": [seen(exit_code=1)]}), web=1)
    made = only(plan(make_pod(), ready), CreateContainer)
    assert made == CreateContainer(container="web", restarts=1, backoff_level=1, sandbox=SANDBOX)


def test_an_image_made_sure_of_for_the_last_start_is_made_sure_of_again() -> None:
    observed = with_images(observe({"web": [seen(exit_code=1)]}), web=0)
    assert kinds(plan(make_pod(), observed)) == ["EnsureImage"]


@pytest.mark.parametrize(
    ("level", "ended_ago", "wake_in"),
    [(1, 0, 10), (1, 9.5, 0.5), (2, 5, 15), (6, 100, 200), (7, 0, 300), (20, 299, 1)],
)
def test_a_crash_loop_waits(level: int, ended_ago: float, wake_in: float) -> None:
    crashed = seen(exit_code=1, restarts=30, level=level, ended_ago=ended_ago)
    result = plan(make_pod(), observe({"web": [crashed]}))
    assert result.actions == ()
    assert result.wake_in == pytest.approx(wake_in)


@pytest.mark.parametrize("level", [1, 2, 6, 20])
def test_a_crash_loop_goes_on_when_it_has_waited(level: int) -> None:
    crashed = seen(exit_code=1, restarts=30, level=level, ended_ago=301)
    ready = with_images(observe({"web": [crashed]}), web=31)
    made = only(plan(make_pod(), ready), CreateContainer)
    assert isinstance(made, CreateContainer)
    assert (made.restarts, made.backoff_level) == (31, level + 1)


def test_a_healthy_run_restarts_at_once_and_resets_the_level() -> None:
    ran = seen(exit_code=1, restarts=30, level=9, ran_for=700)
    made = only(plan(make_pod(), with_images(observe({"web": [ran]}), web=31)), CreateContainer)
    assert isinstance(made, CreateContainer)
    assert (made.restarts, made.backoff_level) == (31, 1)


@pytest.mark.parametrize(("killed_for", "level"), [(None, 1), (KilledFor.CHANGED, 0)])
def test_another_image_does_not_wait_for_the_crashes_of_the_last_one(
    killed_for: KilledFor | None, level: int
) -> None:
    crashed = seen(exit_code=1, restarts=30, level=9, killed_for=killed_for)
    pod = make_pod(container(image="app:2"))
    assert only(plan(pod, observe({"web": [crashed]})), EnsureImage) is not None
    made = only(plan(pod, with_images(observe({"web": [crashed]}), web=31)), CreateContainer)
    assert isinstance(made, CreateContainer)
    assert (made.restarts, made.backoff_level) == (31, level)


def test_a_start_that_failed_counts_as_a_crash() -> None:
    broken = seen(error="exec: no such file", exit_code=127, restarts=2, ended_ago=1)
    assert plan(make_pod(), observe({"web": [broken]})).wake_in == 19


def test_one_crash_loop_does_not_hold_up_another_container() -> None:
    pod = make_pod(container("a"), container("b"))
    crashed = seen(container("a"), exit_code=1, restarts=3)
    assert started(plan(pod, observe({"a": [crashed]}))) == ["b"]


def test_old_containers_are_removed_but_the_last_dead_one() -> None:
    made = [seen(running=True, restarts=3)] + [seen(restarts=n) for n in (2, 1, 0)]
    result = plan(make_pod(), observe({"web": made}))
    assert {a.id for a in result.actions if isinstance(a, RemoveContainer)} == {"web-1", "web-0"}


def test_more_dead_containers_are_kept_where_the_node_is_set_so() -> None:
    made = [seen(running=True, restarts=4)]
    made += [seen(restarts=n, ended_ago=100 - 10 * n) for n in (3, 2, 1, 0)]

    def removed(limits: DeadLimits) -> tuple[set[str], float | None]:
        result = plan(make_pod(), replace(observe({"web": made}), dead_limits=limits))
        found = {str(a.id) for a in result.actions if isinstance(a, RemoveContainer)}
        return found, result.wake_in

    assert removed(DeadLimits(each=3)) == ({"web-0"}, None)
    assert removed(DeadLimits(each=9)) == (set(), None)
    assert removed(DeadLimits(each=1, least_age=90)) == ({"web-0", "web-1"}, 10)


def test_the_last_dead_container_stays_while_it_waits_to_run_again() -> None:
    made = [seen(exit_code=1, restarts=3), seen(exit_code=1, restarts=2)]
    result = plan(make_pod(), observe({"web": made}))
    assert result.actions == (RemoveContainer(id=ContainerId("web-2"), container="web"),)


# Ends that the agent brings about.

KILL_TABLE = [
    (Probed(alive=False), KilledFor.LIVENESS, "Container web failed liveness probe"),
    (Probed(startup_failed=True), KilledFor.STARTUP, "Container web failed startup probe"),
]


@pytest.mark.parametrize(("probed", "reason", "message"), KILL_TABLE)
@pytest.mark.parametrize(
    ("policy", "suffix"),
    [("Always", ", will be restarted"), ("OnFailure", ", will be restarted"), ("Never", "")],
)
def test_a_failed_probe_ends_the_container(
    probed: Probed, reason: KilledFor, message: str, policy: str, suffix: str
) -> None:
    pod = make_pod(policy=policy, termination_grace_period_seconds=12)
    stop = only(plan(pod, observe({"web": [seen(running=True, probed=probed)]})), StopContainer)
    assert stop == StopContainer(
        container="web",
        id=ContainerId("web-0"),
        grace=12,
        message=message + suffix,
        killed_for=reason,
    )


@pytest.mark.parametrize(
    ("spec", "probed"),
    [
        (
            container(liveness_probe=probe(termination_grace_period_seconds=3)),
            Probed(alive=False),
        ),
        (
            container(startup_probe=probe(termination_grace_period_seconds=3)),
            Probed(startup_failed=True),
        ),
    ],
)
def test_a_probe_may_have_its_own_grace(spec: Container, probed: Probed) -> None:
    pod = make_pod(spec)
    stop = only(
        plan(pod, observe({"web": [seen(spec, running=True, probed=probed)]})), StopContainer
    )
    assert isinstance(stop, StopContainer) and stop.grace == 3


@pytest.mark.parametrize("probed", [Probed(), Probed(ready=False), Probed(alive=True, ready=False)])
def test_unready_is_no_reason_to_end(probed: Probed) -> None:
    assert plan(make_pod(), observe({"web": [seen(running=True, probed=probed)]})) == Plan()


def test_a_new_image_makes_a_new_container() -> None:
    old = seen(running=True, made_from=container(image="app:0"))
    stop = only(plan(make_pod(), observe({"web": [old]})), StopContainer)
    assert isinstance(stop, StopContainer)
    assert stop.message == "Container web definition changed, will be restarted"


def test_an_init_container_at_work_is_left_to_it() -> None:
    """Another image counts from its next start ("Init Containers"); a sidecar's at once."""
    old = seen(I1, running=True, made_from=container("i1", image="app:0"))
    assert plan(make_pod(WEB, inits=[I1]), observe({"i1": [old]})) == Plan()
    old = seen(S1, running=True, made_from=sidecar("s1", image="app:0"))
    there = {"s1": [old], "web": [seen(running=True)]}
    stop = only(plan(make_pod(WEB, inits=[S1]), observe(there)), StopContainer)
    assert isinstance(stop, StopContainer) and stop.container == "s1"


def test_a_container_without_hash_is_left_alone() -> None:
    old = seen(running=True)
    labels = {k: v for k, v in old.record.labels.items() if not k.endswith("hash")}
    old = replace(old, record=replace(old.record, labels=labels))
    assert plan(make_pod(), observe({"web": [old]})) == Plan()


def test_a_container_that_the_spec_does_not_name_is_ended() -> None:
    stray = seen(container("ghost"), running=True)
    observed = observe({"web": [seen(running=True)], "ghost": [stray]})
    stop = only(plan(make_pod(), observed), StopContainer)
    assert isinstance(stop, StopContainer) and stop.id == "ghost-0"


# Hooks.


def test_post_start_runs_once_the_container_does() -> None:
    running = seen(running=True, hook=Hook.PENDING)
    expected = RunPostStart(container="web", id=ContainerId("web-0"))
    assert plan(make_pod(), observe({"web": [running]})).actions == (expected,)


@pytest.mark.parametrize("hook", [Hook.NONE, Hook.RUNNING, Hook.DONE])
def test_post_start_does_not_run_again(hook: Hook) -> None:
    assert plan(make_pod(), observe({"web": [seen(running=True, hook=hook)]})) == Plan()


def test_a_failed_post_start_ends_the_container() -> None:
    running = seen(running=True, hook=Hook.FAILED)
    stop = only(plan(make_pod(), observe({"web": [running]})), StopContainer)
    assert isinstance(stop, StopContainer)
    assert (stop.killed_for, stop.message) == (KilledFor.POST_START, "FailedPostStartHook")


HOLD_TABLE: list[tuple[list[Seen], bool]] = [
    ([], True),
    ([seen(container("a"), unstarted=True)], True),
    ([seen(container("a"), running=True, hook=Hook.PENDING)], True),
    ([seen(container("a"), running=True, hook=Hook.RUNNING)], True),
    ([seen(container("a"), running=True, hook=Hook.DONE)], False),
    ([seen(container("a"), running=True, hook=Hook.NONE)], False),
    ([seen(container("a"), exit_code=1, restarts=4)], False),
]


@pytest.mark.parametrize(("first", "held"), HOLD_TABLE)
def test_the_next_container_starts_after_the_post_start_hook(first: list[Seen], held: bool) -> None:
    pod = make_pod(container("a", lifecycle=post_start()), container("b"))
    observed = observe({"a": first, "b": [seen(container("b"), unstarted=True)]})
    starts = [a for a in plan(pod, observed).actions if isinstance(a, StartContainer)]
    assert ("b" in [a.container for a in starts]) is not held


def test_init_containers_wait_for_no_hook_of_a_main_container() -> None:
    pod = make_pod(container("a", lifecycle=post_start()), inits=[I1, S1])
    made = {"i1": [seen(I1, unstarted=True)]}
    assert kinds(plan(pod, observe(made))) == ["StartContainer"]
    made = {"i1": [seen(I1)], "s1": [seen(S1, unstarted=True)]}
    assert kinds(plan(pod, observe(made))) == ["StartContainer"]


def test_a_container_that_cannot_be_made_holds_up_nobody() -> None:
    pod = make_pod(container("a", lifecycle=post_start()), container("b"))
    observed = observe(
        {"b": [seen(container("b"), unstarted=True)]},
        failures={"container/a": failure("CreateContainerConfigError")},
        images={"a": 0},
    )
    assert kinds(plan(pod, observed)) == ["StartContainer"]


# Init containers and sidecars.

I1, I2, S1, S2, WEB = container("i1"), container("i2"), sidecar("s1"), sidecar("s2"), container()
DUE_TABLE = [
    # inits, what is there, what is due
    ([I1], {}, ["i1"]),
    ([I1, I2], {}, ["i1"]),
    ([I1, I2], {"i1": [seen(I1, running=True)]}, []),
    ([I1, I2], {"i1": [seen(I1)]}, ["i2"]),
    ([I1, I2], {"i1": [seen(I1, exit_code=1)]}, ["i1"]),
    ([I1, I2], {"i1": [seen(I1)], "i2": [seen(I2)]}, ["web"]),
    ([I1, I2], {"i1": [seen(I1)], "i2": [seen(I2, exit_code=2)]}, ["i2"]),
    # Once the main container exists, nobody asks for the init containers.
    ([I1], {"web": [seen(running=True)]}, []),
    ([I1], {"web": [seen(exit_code=1)]}, ["web"]),
    # Sidecars: the next starts when this one has started.
    ([S1], {}, ["s1"]),
    ([S1], {"s1": [seen(S1, running=True)]}, ["web"]),
    ([S1, I1], {"s1": [seen(S1, running=True)]}, ["i1"]),
    ([S1, I1], {"s1": [seen(S1)], "i1": [seen(I1, running=True)]}, ["s1"]),
    ([S1, S2], {"s1": [seen(S1, running=True)]}, ["s2"]),
    ([S1, S2], {"s1": [seen(S1, running=True)], "s2": [seen(S2, running=True)]}, ["web"]),
    # One that has started and ends later holds up nobody: it comes back beside what follows.
    ([S1, I1], {"s1": [seen(S1, exit_code=1)], "i1": [seen(I1)]}, ["s1", "web"]),
    ([S1, I1, I2], {"s1": [seen(S1, exit_code=1)], "i1": [seen(I1)]}, ["s1", "i2"]),
    ([S1, S2], {"s1": [seen(S1)], "s2": [seen(S2, running=True)]}, ["s1", "web"]),
    ([S1, S2], {"s1": [seen(S1, running=True)], "s2": [seen(S2)]}, ["s2"]),
    # Somebody has removed what an init container left: the one after it says that it was through.
    ([I1, I2], {"i2": [seen(I2, running=True)]}, []),
    ([I1, I2], {"i2": [seen(I2)]}, ["web"]),
    # A sidecar that ends restarts beside the running main container, even with exit code 0.
    ([S1], {"s1": [seen(S1)], "web": [seen(running=True)]}, ["s1"]),
    ([S1, S2], {"web": [seen(running=True)]}, ["s1", "s2"]),
]


@pytest.mark.parametrize(("inits", "there", "expected"), DUE_TABLE)
def test_order_of_init_containers(
    inits: list[Container], there: dict[str, list[Seen]], expected: list[str]
) -> None:
    pod = make_pod(WEB, inits=inits)
    assert [c.name for c in due(pod, observe(there))] == expected


@pytest.mark.parametrize(
    ("probed", "expected"),
    [(Probed(), []), (Probed(started=False), []), (Probed(started=True), ["web"])],
)
def test_a_sidecar_has_started_when_its_startup_probe_says_so(
    probed: Probed, expected: list[str]
) -> None:
    side = sidecar(startup_probe=probe())
    observed = observe({"side": [seen(side, running=True, probed=probed)]})
    assert [c.name for c in due(make_pod(WEB, inits=[side]), observed)] == expected


def test_all_init_containers_run_again_in_a_new_sandbox() -> None:
    pod = make_pod(WEB, inits=[I1])
    there = {"i1": [seen(I1)], "web": [seen(exit_code=137)]}
    observed = replace(observe(there), sandboxes=(sandbox(1), sandbox(0, ContainerState.EXITED)))
    assert [c.name for c in due(pod, observed)] == ["i1"]


def test_a_failing_init_container_backs_off() -> None:
    pod = make_pod(WEB, inits=[I1])
    result = plan(pod, observe({"i1": [seen(I1, exit_code=1, restarts=2)]}))
    assert (result.actions, result.wake_in) == ((), 20)


def test_a_failed_init_container_ends_a_pod_that_never_restarts() -> None:
    pod = make_pod(WEB, inits=[I1], policy="Never")
    result = plan(pod, observe({"i1": [seen(I1, exit_code=1)]}))
    assert kinds(result) == ["ReleaseSandbox"]


def test_a_sidecar_restarts_even_in_a_pod_that_never_does() -> None:
    pod = make_pod(WEB, inits=[S1], policy="Never")
    observed = observe({"s1": [seen(S1, exit_code=1)], "web": [seen(running=True)]})
    assert started(plan(pod, observed)) == ["s1"]


# The sandbox dies.


def test_a_dead_sandbox_takes_its_containers_along_first() -> None:
    observed = replace(
        observe({"web": [seen(running=True)]}),
        sandboxes=(sandbox(state=ContainerState.EXITED),),
    )
    assert kinds(plan(make_pod(), observed)) == ["StopContainer"]


@pytest.mark.parametrize("policy", ["Always", "OnFailure"])
def test_then_a_new_sandbox_is_made(policy: str) -> None:
    observed = replace(
        observe({"web": [seen(exit_code=137)]}),
        sandboxes=(sandbox(state=ContainerState.EXITED),),
    )
    made = only(plan(make_pod(policy=policy), observed), CreateSandbox)
    assert made == CreateSandbox(attempt=1, replaces=(SANDBOX,))


def test_containers_of_a_removed_sandbox_are_ended_too() -> None:
    observed = replace(observe({"web": [seen(running=True)]}), sandboxes=())
    assert kinds(plan(make_pod(), observed)) == ["StopContainer"]


def test_a_container_of_an_older_sandbox_does_not_live_on() -> None:
    observed = replace(observe({"web": [seen(running=True)]}), sandboxes=(sandbox(1), sandbox(0)))
    assert kinds(plan(make_pod(), observed)) == ["StopContainer"]


def test_the_container_is_made_anew_in_the_new_sandbox() -> None:
    observed = with_images(
        replace(observe({"web": [seen(exit_code=137)]}), sandboxes=(sandbox(1),)), web=1
    )
    made = only(plan(make_pod(), observed), CreateContainer)
    assert isinstance(made, CreateContainer)
    assert (made.restarts, made.sandbox) == (1, "sandbox-1")


def test_what_was_done_is_not_done_again_in_the_new_sandbox() -> None:
    pod = make_pod(container("a"), container("b"), policy="OnFailure")
    there = {
        "a": [seen(container("a"), exit_code=0)],
        "b": [seen(container("b"), exit_code=137)],
    }
    observed = replace(observe(there), sandboxes=(sandbox(1),))
    assert started(plan(pod, observed)) == ["b"]


def test_a_pod_that_never_restarts_has_failed_with_its_sandbox() -> None:
    observed = replace(
        observe({"web": [seen(exit_code=137)]}),
        sandboxes=(sandbox(state=ContainerState.EXITED),),
    )
    assert kinds(plan(make_pod(policy="Never"), observed)) == ["ReleaseSandbox"]


def test_an_unstarted_container_of_an_older_sandbox_is_removed_first() -> None:
    observed = replace(observe({"web": [seen(unstarted=True)]}), sandboxes=(sandbox(1),))
    removal = only(plan(make_pod(), observed), RemoveContainer)
    assert isinstance(removal, RemoveContainer) and removal.key == "container/web"


def test_of_two_sandboxes_the_older_one_goes() -> None:
    boxes = (sandbox(1), sandbox(0))
    running = seen(running=True, sandbox="sandbox-1")
    found = replace(observe({"web": [running]}), sandboxes=boxes)
    (gone,) = plan(make_pod(), found).actions
    assert gone == RemoveContainer(id=ContainerId("sandbox-0"), container="POD")


def test_a_sandbox_that_could_not_start_is_replaced() -> None:
    broken = sandbox(state=ContainerState.CREATED, error="no")
    observed = observe(up=False, sandboxes=(broken,))
    made = only(plan(make_pod(), observed), CreateSandbox)
    assert made == CreateSandbox(attempt=1, replaces=(SANDBOX,))


# The pod finishes.

FINISHED_TABLE = [
    ("Never", [0], True),
    ("Never", [1], True),
    ("OnFailure", [0], True),
    ("OnFailure", [0, 0], True),
    ("OnFailure", [0, 1], False),
    ("Never", [0, 1], True),
    ("Always", [0], False),
]


@pytest.mark.parametrize(("policy", "codes", "finished"), FINISHED_TABLE)
def test_a_finished_pod_gives_back_its_sandbox(
    policy: str, codes: list[int], finished: bool
) -> None:
    specs = [container(f"c{n}") for n in range(len(codes))]
    there = {c.name: [seen(c, exit_code=n)] for c, n in zip(specs, codes, strict=True)}
    result = plan(make_pod(*specs, policy=policy), observe(there))
    assert (result.actions == (ReleaseSandbox(),)) is finished


def test_a_finished_pod_without_sandbox_gives_back_the_rest_once() -> None:
    observed = replace(observe({"web": [seen()]}), sandboxes=())
    assert plan(make_pod(policy="Never"), observed) == Plan(actions=(ReleaseSandbox(),))
    assert plan(make_pod(policy="Never"), replace(observed, released=True)) == Plan()


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_an_end_that_was_reported_stands(phase: str) -> None:
    assert plan(make_pod(phase=phase), observe(up=False, released=True)) == Plan()


def test_sidecars_end_after_the_main_containers_last_one_first() -> None:
    pod = make_pod(WEB, inits=[S1, S2], policy="Never")
    there = {
        "s1": [seen(S1, running=True)],
        "s2": [seen(S2, running=True)],
        "web": [seen()],
    }
    stop = only(plan(pod, observe(there)), StopContainer)
    assert isinstance(stop, StopContainer) and stop.container == "s2"
    there["s2"] = [seen(S2, exit_code=143)]
    stop = only(plan(pod, observe(there)), StopContainer)
    assert isinstance(stop, StopContainer) and stop.container == "s1"


STOPPING = Lifecycle(pre_stop=LifecycleHandler(exec=ExecAction(command=["bye"])))


def test_sidecars_learn_of_the_end_with_all_others() -> None:
    first, second = sidecar("s1", lifecycle=STOPPING), sidecar("s2", lifecycle=STOPPING)
    pod = make_pod(WEB, inits=[first, second], deleted=True, deletion_grace=30)

    def keys(web: Seen, one: Seen, two: Seen, **facts: Any) -> list[str]:
        there = {"web": [web], "s1": [one], "s2": [two]}
        return [action.key for action in plan(pod, observe(there, **facts)).actions]

    runs, one, two = seen(running=True), seen(first, running=True), seen(second, running=True)
    assert keys(runs, one, two) == ["container/web", "hook/s1", "hook/s2"]
    one, two = replace(one, pre_stop=Hook.RUNNING), replace(two, pre_stop=Hook.RUNNING)
    assert keys(seen(), one, two) == [], "its signal waits for its hook"
    two = replace(two, pre_stop=Hook.DONE)
    assert keys(runs, one, two) == ["container/web"], "it waits for the main containers"
    assert keys(seen(), one, two) == ["container/s2"]
    assert keys(seen(), seen(first, running=True), two) == ["container/s2", "hook/s1"]
    assert keys(seen(), seen(first, running=True), seen(second)) == ["container/s1"]


@pytest.mark.parametrize(
    ("grace", "stopping_for", "left"),
    [(30, 0, 30), (30, 12, 18), (30, 40, 2), (1, 0, 2), (0, 0, 2)],
)
def test_all_containers_share_one_grace_period(grace: int, stopping_for: int, left: int) -> None:
    """And each gets two seconds of its own, also when the deletion is forced."""
    for pod in (
        make_pod(WEB, inits=[S1], deleted=True, deletion_grace=grace),
        make_pod(WEB, inits=[S1], phase="Failed", termination_grace_period_seconds=grace),
    ):
        there = {"s1": [seen(S1, running=True)]}
        result = plan(pod, observe(there, stopping_for=float(stopping_for)))
        stop = only(result, StopContainer)
        assert isinstance(stop, StopContainer) and stop.grace == left


@pytest.mark.parametrize(("active_for", "kind"), [(99, []), (100, ["StopContainer"])])
def test_the_active_deadline(active_for: float, kind: list[str]) -> None:
    pod = make_pod(active_deadline_seconds=100)
    result = plan(pod, observe({"web": [seen(running=True)]}, active_for=active_for))
    assert kinds(result) == kind
    assert result.wake_in == (1 if not kind else None)


def test_after_the_deadline_the_sandbox_goes_too() -> None:
    pod = make_pod(active_deadline_seconds=100)
    result = plan(pod, observe({"web": [seen(exit_code=143)]}, active_for=101))
    assert result.actions == (ReleaseSandbox(),)


def twice_alive() -> list[Seen]:
    """The dead predecessor of a container was started again, by hand."""
    return [seen(running=True, restarts=1), seen(running=True)]


@pytest.mark.parametrize(
    ("pod", "boxes"),
    [
        (make_pod(deleted=True), (sandbox(),)),
        (make_pod(phase="Failed"), (sandbox(),)),
        (make_pod(), (sandbox(state=ContainerState.EXITED),)),
        (make_pod(), ()),
    ],
)
def test_two_of_a_name_end_one_after_the_other(
    pod: Pod, boxes: tuple[ContainerRecord, ...]
) -> None:
    result = plan(pod, observe({"web": twice_alive()}, sandboxes=boxes))
    assert [action.key for action in result.actions] == ["container/web"]


def test_a_sandbox_that_somebody_renamed_is_replaced_like_any_other() -> None:
    odd = replace(sandbox(state=ContainerState.EXITED), name="mine")
    assert plan(make_pod(), observe(sandboxes=(odd,))).actions[0].key == "sandbox"


# Whatever is observed, a plan holds to these.


def every_observation() -> list[tuple[Pod, PodObserved]]:
    """All combinations of a few states of a pod with an init container and two main ones."""
    init, a, b = container("init"), container("a"), container("b")
    cases = []
    for policy in ("Always", "OnFailure", "Never"):
        for deleted in (False, True):
            pod = make_pod(a, b, inits=[init], policy=policy, deleted=deleted)
            for boxes in ((), (sandbox(),), (sandbox(state=ContainerState.EXITED),)):
                for i in ([], [seen(init)], [seen(init, exit_code=1)], [seen(init, running=True)]):
                    for x in ([], [seen(a, running=True)], [seen(a, exit_code=1, restarts=2)]):
                        for y in ([], [seen(b, unstarted=True)], [seen(b)]):
                            there = {k: v for k, v in (("init", i), ("a", x), ("b", y)) if v}
                            cases.append((pod, replace(observe(there), sandboxes=boxes)))
    return cases


@pytest.mark.parametrize("images", [{}, {"init": 0, "a": 0, "b": 0}, {"a": 3, "b": 1}])
def test_invariants(images: dict[str, int]) -> None:
    for pod, observed in every_observation():
        observed = replace(observed, images=images)
        result = plan(pod, observed)
        keys = [action.key for action in result.actions]
        assert len(keys) == len(set(keys)), "one key, one action"
        for action in result.actions:
            if isinstance(action, CreateContainer):
                assert observed.alive(action.container) is None
                assert observed.sandbox is not None and action.sandbox == observed.sandbox.id
                assert not pod.metadata.deletion_timestamp
            if isinstance(action, StartContainer):
                assert observed.sandbox_running
            if isinstance(action, StopContainer):
                assert any(
                    s.id == action.id and s.alive for s in observed.containers[action.container]
                )
        names = started(result)
        if "init" in names:
            assert names == ["init"], "nothing runs beside an init container"
        everything_rests = replace(observed, busy=frozenset(keys))
        assert not set(plan(pod, everything_rests).actions) & set(result.actions)


def test_prepare_volumes_happens_even_for_adopted_containers() -> None:
    observed = replace(observe({"web": [seen(running=True)]}), volumes_ready=False)
    assert plan(make_pod(), observed).actions == (PrepareVolumes(),)


@pytest.mark.parametrize("key", ["container/web", "sandbox", "network", "volumes"])
def test_what_is_being_made_is_taken_down_when_it_is_there(key: str) -> None:
    """Else what comes to be after the teardown would stay on the node."""
    pod = make_pod(deleted=True)
    assert plan(pod, observe(busy=frozenset({key}))).actions == ()
    kinds = [type(action) for action in plan(pod, observe()).actions]
    assert kinds == [TearDown]
    assert plan(pod, observe(busy=frozenset({"image/web"}))).actions != (), (
        "a pull makes nothing here"
    )


@pytest.mark.parametrize("newest", [{"running": True}, {"exit_code": 1}, {"unstarted": True}])
def test_an_older_one_that_somebody_started_again_is_ended(newest: dict[str, Any]) -> None:
    """Two of a name would run side by side."""
    there = [seen(restarts=2, **newest), seen(restarts=1, running=True)]
    result = plan(make_pod(), observe({"web": there}))
    stop = only(result, StopContainer)
    assert stop.id == there[1].id and started(result) == []
