"""What to do next for a pod that is to run (step 4 of the pod's walk). Pure.

`plan` looks at the pod and at what is there and returns every action that can be done now, side by
side. The worker does them and asks again after each, so the order of things is nowhere written as a
sequence: a step becomes possible when what it needs is there. That is also what makes a pod start
fast (the container is created while its sandbox starts) and a killed agent harmless.

    pod cgroup, files, pause container created
      ├── pause started ── address attached ──┐
      ├── volumes prepared ──┐                ├── container started ── postStart
      └── image made sure of ┴── created ─────┘

Invariants: a container is created only when no other of its name lives; init containers run one
after another and before all others; nothing runs outside the present sandbox; an ephemeral container
is started once.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from agent.pod import names
from agent.pod.actions import (
    Action,
    AttachNetwork,
    CreateContainer,
    CreateSandbox,
    EnsureImage,
    Plan,
    PrepareVolumes,
    RemoveContainer,
    ResizeContainer,
    RunPostStart,
    StartContainer,
    StartSandbox,
    StopContainer,
)
from agent.pod.allocation import as_allocated, changes, is_resizable, needs_restart
from agent.pod.backoff import Backoff
from agent.pod.observed import (
    Hook,
    KilledFor,
    PodObserved,
    Seen,
    container_started,
    is_sidecar,
    may_restart,
    one_shot_inits,
    sidecars,
    told,
    wanted_restart,
)
from agent.pod.outcome import Outcome, deadline_in
from agent.pod.teardown import LEAST_GRACE, plan_deletion, plan_finished, pod_grace
from api.core import Container, Pod, Probe
from api.pods import all_containers, ephemeral_containers


def plan(pod: Pod, observed: PodObserved, *, end: Outcome | None) -> Plan:
    """Everything that can be done for the pod now. `end`: how it finished."""
    if pod.metadata.deletion_timestamp is not None or observed.removed:
        return _allowed(plan_deletion(pod, observed), observed)
    if end is not None:
        return _allowed(plan_finished(pod, observed), observed)
    if observed.refusal is not None:
        return Plan(wake_in=deadline_in(pod, observed))
    return _allowed(_plan_running(pod, observed), observed)


@dataclass
class _Draft:
    """Actions and waits collected on the way."""

    actions: list[Action] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    done: bool = False

    def plan(self) -> Plan:
        wake_in = min(self.waits, default=None)
        return Plan(actions=tuple(self.actions), wake_in=wake_in, done=self.done)


def _allowed(plan: Plan, observed: PodObserved) -> Plan:
    """Leave out what is under way, and what failed and has to rest; of one key take the first: two
    containers of a name may live when somebody started the older one again."""
    draft = _Draft(waits=[] if plan.wake_in is None else [plan.wake_in], done=plan.done)
    taken = set(observed.busy)
    for action in plan.actions:
        failure = observed.failures.get(action.key)
        if action.key in taken:
            continue
        taken.add(action.key)
        if failure is not None and failure.retry_in > 0:
            draft.waits.append(failure.retry_in)
            continue
        draft.actions.append(action)
    return draft.plan()


def _plan_running(pod: Pod, observed: PodObserved) -> Plan:
    draft = _Draft()
    if (deadline := deadline_in(pod, observed)) is not None:
        draft.waits.append(deadline)
    _prune(observed, draft)
    if not _sandbox(pod, observed, draft):
        return draft.plan()
    if not observed.volumes_ready:
        draft.actions.append(PrepareVolumes())
    _watch_running(pod, observed, draft)
    for container in (*_added(pod, observed), *due(pod, observed)):
        _advance(pod, container, observed, draft)
    return draft.plan()


def _sandbox(pod: Pod, observed: PodObserved, draft: _Draft) -> bool:
    """Bring the sandbox up. False while containers of a lost one have to go first."""
    sandbox = observed.sandbox
    lost = sandbox is None or not (sandbox.running or _unstarted(observed))
    strays = [
        seen
        for made in observed.containers.values()
        for seen in made
        if seen.alive and (lost or sandbox is None or seen.sandbox_id != sandbox.id)
    ]
    for seen in strays:
        name = seen.record.labels.get(names.CONTAINER_NAME, "")
        message = f"Stopping container {name}: its pod sandbox is gone"
        gone = KilledFor.SANDBOX
        draft.actions.append(_stop(pod, name, seen, message=message, killed_for=gone))
    if strays:
        return False
    if not lost:  # whatever it was that made another one beside them
        older = observed.sandboxes[1:]
        draft.actions.extend(RemoveContainer(id=s.id, container=names.SANDBOX_NAME) for s in older)
    if lost:
        dead = tuple(s.id for s in observed.sandboxes)
        attempt = 0 if sandbox is None else _attempt(sandbox.name) + 1
        draft.actions.append(CreateSandbox(attempt=attempt, replaces=dead))
    elif sandbox is not None and not sandbox.running:
        draft.actions.append(StartSandbox(id=sandbox.id))
    elif sandbox is not None and not observed.network_ready:
        draft.actions.append(AttachNetwork(id=sandbox.id))
    return True


def due(pod: Pod, observed: PodObserved) -> list[Container]:
    """The containers that should run now and do not, in the order of the spec."""
    wanted: list[Container] = []
    if not initialized(pod, observed):
        latest = reached(pod, observed)
        for position, init in enumerate(pod.spec.init_containers):
            seen = observed.current(init.name)
            passed = _passed(init, seen)
            again = is_sidecar(init) or (position >= latest and not passed)
            if again and (seen is None or not seen.alive):
                wanted.append(init)
            if position >= latest and not passed:
                return wanted
    else:
        wanted = [c for c in sidecars(pod) if not _lives(observed, c)]
    return wanted + [c for c in pod.spec.containers if _main_due(pod, c, observed)]


def _added(pod: Pod, observed: PodObserved) -> list[Container]:
    """Ephemeral containers to start: once, whatever the others do, since they may be the reason."""
    found = []
    for container in ephemeral_containers(pod.spec):
        newest = observed.newest(container.name)
        if newest.unstarted if newest is not None else told(pod, container.name) is None:
            found.append(container)
    return found


def initialized(pod: Pod, observed: PodObserved) -> bool:
    """All init containers are through in this sandbox.

    Once a main container exists the records of init containers may be gone (`docker prune`), and
    they must not run again for that.
    """
    if any(observed.current(c.name) is not None for c in pod.spec.containers):
        return True
    last = pod.spec.init_containers[reached(pod, observed) :]
    return all(_passed(init, observed.current(init.name)) for init in last)


def reached(pod: Pod, observed: PodObserved) -> int:
    """The place of the last init container that was made: those before it were passed, whatever has
    become of them. A sidecar among them that ended comes back beside what follows it."""
    there = (
        position
        for position, init in enumerate(pod.spec.init_containers)
        if observed.current(init.name) is not None
    )
    return max(there, default=0)


def _passed(init: Container, seen: Seen | None) -> bool:
    """Whether the next init container may follow."""
    if seen is None:
        return False
    return container_started(init, seen) if is_sidecar(init) else seen.succeeded


def _main_due(pod: Pod, container: Container, observed: PodObserved) -> bool:
    seen = observed.newest(container.name)
    if seen is None:
        return True
    if observed.current(container.name) is None:  # it was in a sandbox that is gone
        if seen.unstarted or not seen.succeeded:
            return seen.unstarted or may_restart(pod, container)
        return wanted_restart(pod, container, seen)
    return not seen.alive and (seen.unstarted or wanted_restart(pod, container, seen))


def _advance(pod: Pod, container: Container, observed: PodObserved, draft: _Draft) -> None:
    """The next step towards a running container."""
    newest, current = observed.newest(container.name), observed.current(container.name)
    if newest is not None and newest.unstarted:
        if current is None or not newest.matches(container):
            draft.actions.append(
                RemoveContainer(id=newest.id, container=container.name, pruned=False)
            )
        elif _may_start(pod, container, observed):
            draft.actions.append(StartContainer(container=container.name, id=newest.id))
        return
    restarts, level = 0, 0
    if newest is not None:
        restarts = newest.restarts + 1
        level = _next_level(container, newest, observed.backoff)
        wait = restart_in(container, newest, observed.backoff)
        if wait > 0:
            draft.waits.append(wait)
            return
    elif (known := told(pod, container.name)) is not None:
        restarts = level = known.restart_count + 1  # somebody removed the one before
    if observed.images.get(container.name) != restarts:
        draft.actions.append(EnsureImage(container=container.name, restarts=restarts))
    elif observed.sandbox is not None and _may_create(container, observed):
        draft.actions.append(
            CreateContainer(
                container=container.name,
                restarts=restarts,
                backoff_level=level,
                sandbox=observed.sandbox.id,
            )
        )


def _next_level(container: Container, seen: Seen, backoff: Backoff) -> int:
    """The level of the container that follows. Another image is another program: its curve begins anew."""
    if seen.matches(container):
        return backoff.next_level(seen.backoff_level, ran_for=seen.ran_for)
    return 0 if seen.killed_for is KilledFor.CHANGED else 1


def restart_in(container: Container, seen: Seen, backoff: Backoff) -> float:
    """Seconds until a container that ended may follow itself."""
    if seen.hurried or seen.killed_for in (KilledFor.CHANGED, KilledFor.RESIZED):
        return 0.0
    if not seen.matches(container):
        return 0.0
    return backoff.delay(seen.backoff_level, ran_for=seen.ran_for) - seen.ended_ago


def _may_create(container: Container, observed: PodObserved) -> bool:
    if not observed.volumes_ready or not (observed.sandbox_running or _unstarted(observed)):
        return False
    return observed.network_ready or container.name not in observed.needs_ip


def _may_start(pod: Pod, container: Container, observed: PodObserved) -> bool:
    """The sandbox has its address, and no earlier container's postStart hook is outstanding.

    Init and ephemeral containers wait for no hook: that of a main container, which may itself wait
    for them, would never come.
    """
    if not (observed.sandbox_running and observed.network_ready and observed.volumes_ready):
        return False
    if all(main.name != container.name for main in pod.spec.containers):
        return True
    for earlier in pod.spec.containers:
        if earlier.name == container.name:
            return True
        if earlier.lifecycle is None or earlier.lifecycle.post_start is None:
            continue
        seen = observed.current(earlier.name)
        if seen is None:
            if f"container/{earlier.name}" in observed.failures:
                continue
            return False
        if seen.unstarted or (seen.alive and seen.post_start in (Hook.PENDING, Hook.RUNNING)):
            return False
    return True


def _watch_running(pod: Pod, observed: PodObserved, draft: _Draft) -> None:
    """Hooks to run and containers to end among those that live."""
    specs = {c.name: c for c in (*all_containers(pod.spec), *ephemeral_containers(pod.spec))}
    for name, made in observed.containers.items():
        for older in made[1:]:
            if older.alive:  # somebody started it again
                message = f"Stopping container {name}: it was replaced by a newer one"
                draft.actions.append(_stop(pod, name, older, message=message))
        seen = observed.current(name)
        if seen is None or not seen.alive:
            continue
        if name not in specs:
            message = f"Container {name} is not part of the pod any more"
            draft.actions.append(_stop(pod, name, seen, message=message))
        elif (reason := _kill_reason(pod, specs[name], seen)) is not None:
            draft.actions.append(_kill(pod, specs[name], seen, reason))
        elif changed := _to_resize(pod, specs[name], seen, observed):
            if needs_restart(specs[name], changed):
                draft.actions.append(_kill(pod, specs[name], seen, KilledFor.RESIZED))
            else:
                draft.actions.append(ResizeContainer(container=name, id=seen.id))
        elif seen.post_start is Hook.PENDING:
            draft.actions.append(RunPostStart(container=name, id=seen.id))


def _to_resize(pod: Pod, container: Container, seen: Seen, observed: PodObserved) -> frozenset[str]:
    """Which amounts of a container that runs are not those that it was admitted with."""
    if container.name not in observed.allocated or not is_resizable(pod, container):
        return frozenset()
    return changes(pod, as_allocated(container, observed.allocated), seen.record)


def _kill_reason(pod: Pod, container: Container, seen: Seen) -> KilledFor | None:
    # An init container at work is left to it: another image counts from its next start ("Init Containers").
    if not seen.matches(container) and container not in one_shot_inits(pod):
        return KilledFor.CHANGED
    if seen.probed.startup_failed:
        return KilledFor.STARTUP
    if seen.probed.alive is False:
        return KilledFor.LIVENESS
    if seen.post_start is Hook.FAILED:
        return KilledFor.POST_START
    return None


_KILL_MESSAGES = {
    KilledFor.CHANGED: "Container {} definition changed",
    KilledFor.STARTUP: "Container {} failed startup probe",
    KilledFor.LIVENESS: "Container {} failed liveness probe",
    KilledFor.POST_START: "FailedPostStartHook",
    KilledFor.RESIZED: "Container {} resize requires restart",
}


def _kill(pod: Pod, container: Container, seen: Seen, reason: KilledFor) -> StopContainer:
    message = _KILL_MESSAGES[reason].format(container.name)
    always = reason in (KilledFor.CHANGED, KilledFor.RESIZED) or is_sidecar(container)
    if reason is not KilledFor.POST_START and (always or may_restart(pod, container)):
        message += ", will be restarted"
    probe: Probe | None = None
    if reason is KilledFor.LIVENESS:
        probe = container.liveness_probe
    elif reason is KilledFor.STARTUP:
        probe = container.startup_probe
    own_grace = None if probe is None else probe.termination_grace_period_seconds
    return _stop(pod, container.name, seen, message=message, killed_for=reason, own_grace=own_grace)


def _stop(
    pod: Pod,
    name: str,
    seen: Seen,
    *,
    message: str,
    killed_for: KilledFor | None = None,
    own_grace: int | None = None,
) -> StopContainer:
    grace = max(LEAST_GRACE, pod_grace(pod) if own_grace is None else float(own_grace))
    return StopContainer(
        container=name, id=seen.id, grace=grace, message=message, killed_for=killed_for
    )


def _prune(observed: PodObserved, draft: _Draft) -> None:
    """Of the containers that ended only the last of each name are kept, for logs and status."""
    limits = observed.dead_limits
    for name, made in observed.containers.items():
        old = [s for s in made if s.ended][limits.each :]
        draft.waits.extend(
            limits.least_age - s.ended_ago for s in old if s.ended_ago < limits.least_age
        )
        old = [s for s in old if s.ended_ago >= limits.least_age]
        old += [s for s in made[1:] if s.unstarted]
        draft.actions.extend(RemoveContainer(id=seen.id, container=name) for seen in old)


def _lives(observed: PodObserved, container: Container) -> bool:
    seen = observed.current(container.name)
    return seen is not None and seen.alive


def _unstarted(observed: PodObserved) -> bool:
    """The sandbox was created and not started yet."""
    sandbox = observed.sandbox
    return sandbox is not None and sandbox.state.value == "created" and not sandbox.error


def _attempt(name: str) -> int:
    """The number at the end of a sandbox's name, if nobody has renamed it."""
    number = name.rpartition("_")[2]
    return int(number) if number.isascii() and number.isdigit() else 0
