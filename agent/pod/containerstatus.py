"""ContainerStatus of one container (step 5 of the pod's walk). Pure.

What a container waits for is told in the words that `kubectl get pods` users know:
PodInitializing, ContainerCreating, CrashLoopBackOff, ErrImagePull, ImagePullBackOff, ...
"""

from __future__ import annotations

import enum

import msgspec

from agent.pod import names, signals
from agent.pod.allocation import changes
from agent.pod.observed import (
    Hook,
    KilledFor,
    PodObserved,
    Seen,
    container_ready,
    container_started,
    is_sidecar,
    told,
    wanted_restart,
)
from agent.pod.plan import initialized, reached, restart_in
from agent.volumes import readonly
from api import timestamps
from api.core import (
    Container,
    ContainerState,
    ContainerStateRunning,
    ContainerStateTerminated,
    ContainerStateWaiting,
    ContainerStatus,
    ContainerUser,
    LinuxContainerUser,
    Pod,
    ResourceRequirements,
    VolumeMountStatus,
)

RUNTIME = "docker"

MESSAGES = 12 * 1024
"""Bytes that the termination messages of a pod may have together: each container's share is the same
("Determine the Reason for Pod Failure")."""

# An image or configuration failure explains more than the step that it holds up.
_FAILURE_KEYS = ("image/{}", "container/{}")
_TOLD_BY_EVENTS = ("FailedMount", "VolumeUnavailable")


class Sort(enum.Enum):
    """Which list of the spec a container stands in."""

    INIT = "initContainers"
    MAIN = "containers"
    EPHEMERAL = "ephemeralContainers"


def container_status(
    pod: Pod, observed: PodObserved, container: Container, sort: Sort, *, over: bool
) -> ContainerStatus:
    """The status of one container of the spec. `over`: the pod has finished."""
    newest = observed.newest(container.name)
    known = told(pod, container.name)
    if newest is None and known is not None and known.state.terminated is not None:
        if over or _was_passed(pod, container, observed, sort):
            return known  # what is left of it is what was told
    state, last = _states(pod, container, observed, sort, over=over)
    running = state.running is not None and newest is not None
    if known is not None and last.terminated is None and state.terminated is None:
        # Somebody removed the one before: how it ended, and how often, is not forgotten.
        gone = newest is None or newest.unstarted
        end = end_of_removed(known) if gone else known.last_state.terminated
        last = ContainerState(terminated=end)
    status = ContainerStatus(
        name=container.name,
        state=state,
        last_state=last,
        ready=_ready(container, newest, sort, running=running),
        restart_count=_restarts(newest, known),
        image=container.image if newest is None else (newest.image or container.image),
        image_id="" if newest is None else _image_id(newest),
        container_id="" if newest is None else container_id(newest),
        started=newest is not None and running and container_started(container, newest),
        volume_mounts=_mounts(container, observed),
        user=None if newest is None else _user(newest, known),
        stop_signal=_stop_signal(newest, known),
    )
    _shorten(status, pod)
    admitted = observed.allocated.get(container.name)
    if admitted is not None and sort is not Sort.EPHEMERAL:
        status.allocated_resources = dict(admitted.requests)
        status.resources = _in_force(pod, container, admitted, newest, known)
    return status


def _shorten(status: ContainerStatus, pod: Pod) -> None:
    """Cut the container's messages to its share."""
    spec = pod.spec
    several = len(spec.containers) + len(spec.init_containers) + len(spec.ephemeral_containers)
    share = MESSAGES // several
    for state in (status.state, status.last_state):
        end = state.terminated
        if end is not None and len(end.message.encode()) > share:
            message = end.message.encode()[:share].decode(errors="ignore")
            state.terminated = msgspec.structs.replace(end, message=message)


def _stop_signal(newest: Seen | None, known: ContainerStatus | None) -> str | None:
    """Which signal asks a container to stop (KEP-4960): its own, its image's or the engine's usual one."""
    if newest is None or newest.unstarted:
        return None
    if newest.record.in_force is None:  # the engine was not asked about this one yet
        return None if known is None else known.stop_signal
    return signals.name(newest.record.stop_signal)


def _user(seen: Seen, known: ContainerStatus | None) -> ContainerUser | None:
    """As whom it was started: what was told once stays, whatever its program has made of itself since."""
    if known is not None and known.container_id == container_id(seen) and known.user is not None:
        return known.user
    user = seen.record.user
    if user is None:
        return None
    linux = LinuxContainerUser(uid=user.uid, gid=user.gid, supplemental_groups=list(user.groups))
    return ContainerUser(linux=linux)


def _was_passed(pod: Pod, container: Container, observed: PodObserved, sort: Sort) -> bool:
    """Whether it is an init container that does not run again, and need not be there any more."""
    if sort is not Sort.INIT or is_sidecar(container):
        return False
    place = [init.name for init in pod.spec.init_containers].index(container.name)
    return place < reached(pod, observed) or initialized(pod, observed)


def _in_force(
    pod: Pod,
    container: Container,
    admitted: ResourceRequirements,
    seen: Seen | None,
    known: ContainerStatus | None,
) -> ResourceRequirements | None:
    """What a container that runs really has: what it was admitted with, or still what it had. What it will
    have, when it does not run: an agent that is started anew must know that, too."""
    adjusted = msgspec.structs.replace(container, resources=admitted)
    runs = seen is not None and seen.alive
    if not (runs and seen is not None and changes(pod, adjusted, seen.record)):
        return ResourceRequirements(requests=dict(admitted.requests), limits=dict(admitted.limits))
    return known.resources if known is not None else None


def _restarts(newest: Seen | None, known: ContainerStatus | None) -> int:
    if newest is not None:
        return newest.restarts
    return 0 if known is None else known.restart_count


def _image_id(seen: Seen) -> str:
    return seen.record.labels.get(names.IMAGE_ID) or str(seen.record.image_id)


def container_id(seen: Seen) -> str:
    return f"{RUNTIME}://{seen.id}"


def terminated(seen: Seen) -> ContainerStateTerminated:
    """How a container ended."""
    record = seen.record
    return ContainerStateTerminated(
        exit_code=record.exit_code,
        signal=signals.behind(record.exit_code),
        reason=_end_reason(seen),
        # What the program says of itself comes first, as in Kubernetes; where it says nothing there is room.
        message=seen.message or record.error or (seen.cause if record.exit_code else ""),
        started_at=None if record.started_at is None else timestamps.format(record.started_at),
        finished_at=None if record.finished_at is None else timestamps.format(record.finished_at),
        container_id=container_id(seen),
    )


def end_of_removed(known: ContainerStatus) -> ContainerStateTerminated | None:
    """How a container ended of which nothing is left but what was told."""
    if known.state.running is None:
        return known.state.terminated or known.last_state.terminated
    return ContainerStateTerminated(
        exit_code=137,
        reason="ContainerStatusUnknown",
        message="The container could not be located. The container used to be Running",
        started_at=known.state.running.started_at,
        container_id=known.container_id,
    )


def _end_reason(seen: Seen) -> str:
    record = seen.record
    if record.error:
        return "ContainerCannotRun"
    # The engine also marks a container whose child was killed and which then ended well.
    if record.oom_killed and record.exit_code != 0:
        return "OOMKilled"
    return "Completed" if record.exit_code == 0 else "Error"


def _states(
    pod: Pod, container: Container, observed: PodObserved, sort: Sort, *, over: bool
) -> tuple[ContainerState, ContainerState]:
    """The present state and the last one."""
    made = observed.containers.get(container.name, ())
    newest = made[0] if made else None
    before = next((seen for seen in made[1:] if seen.ended), None)
    last = ContainerState() if before is None else ContainerState(terminated=terminated(before))
    if newest is None or newest.unstarted:
        return ContainerState(waiting=_waiting(pod, container, observed)), last
    if newest.alive:
        if newest.post_start in (Hook.PENDING, Hook.RUNNING):
            return ContainerState(waiting=_not_yet(pod)), last
        return ContainerState(running=_running(newest, told(pod, container.name))), last
    ended = ContainerState(terminated=terminated(newest))
    waiting_again = None if over else _waiting_again(pod, container, newest, observed, sort)
    if waiting_again is None:
        return ended, last
    return ContainerState(waiting=waiting_again), ended


def _running(seen: Seen, known: ContainerStatus | None) -> ContainerStateRunning:
    started = seen.record.started_at
    if started is None and known is not None and known.container_id == container_id(seen):
        # The engine's list of all does not say when a container has started; it was told before.
        return known.state.running or ContainerStateRunning()
    return ContainerStateRunning(started_at=None if started is None else timestamps.format(started))


def _waiting(pod: Pod, container: Container, observed: PodObserved) -> ContainerStateWaiting:
    """Why a container has not started yet."""
    if observed.refusal is not None:
        return ContainerStateWaiting(
            reason=observed.refusal.reason, message=observed.refusal.message
        )
    return _failure(container, observed) or _not_yet(pod)


def _not_yet(pod: Pod) -> ContainerStateWaiting:
    """What a container waits for when nothing is wrong: Kubernetes decides by the pod alone, and so the
    first init container and those after the last one say PodInitializing, too."""
    reason = "PodInitializing" if pod.spec.init_containers else "ContainerCreating"
    return ContainerStateWaiting(reason=reason)


def _waiting_again(
    pod: Pod, container: Container, seen: Seen, observed: PodObserved, sort: Sort
) -> ContainerStateWaiting | None:
    """Why a container that ended waits to run again; None when it shows how it ended."""
    if sort is Sort.EPHEMERAL or pod.metadata.deletion_timestamp is not None:
        return None
    if sort is Sort.INIT and not is_sidecar(container) and seen.succeeded:
        return None
    if not wanted_restart(pod, container, seen):
        return None
    if sort is Sort.MAIN and pod.spec.init_containers and not initialized(pod, observed):
        # Its sandbox was lost: the pod begins anew, and is Pending until that is done ("Init Containers").
        return ContainerStateWaiting(reason="PodInitializing")
    if restart_in(container, seen, observed.backoff) <= 0:
        return _failure(container, observed) or _being_replaced(pod, seen)
    delay = observed.backoff.delay(seen.backoff_level, ran_for=seen.ran_for)
    meta = pod.metadata
    return ContainerStateWaiting(
        reason="CrashLoopBackOff",
        message=(
            f"back-off {go_duration(delay)} restarting failed container={container.name} "
            f"pod={meta.name}_{meta.namespace}({meta.uid})"
        ),
    )


def _being_replaced(pod: Pod, seen: Seen) -> ContainerStateWaiting | None:
    """Of a container that was ended to be started anew at once. Its end is not the present state: by the
    restart policy it might be final, and then the API lets nothing come after it."""
    if seen.killed_for in (None, KilledFor.SANDBOX):
        return None
    return _not_yet(pod)


def _failure(container: Container, observed: PodObserved) -> ContainerStateWaiting | None:
    for key in _FAILURE_KEYS:
        failure = observed.failures.get(key.format(container.name))
        if failure is not None:
            return ContainerStateWaiting(reason=failure.reason, message=failure.message)
    volumes = observed.failures.get("volumes")
    if volumes is not None and volumes.reason not in _TOLD_BY_EVENTS:  # the image of a volume
        return ContainerStateWaiting(reason=volumes.reason, message=volumes.message)
    return None


def _mounts(container: Container, observed: PodObserved) -> list[VolumeMountStatus]:
    """How the volumes are mounted: a read-only mount says whether those below it are, too."""
    told = []
    for mount in container.volume_mounts:
        mode = None
        if mount.read_only:
            deep = readonly.wanted(mount, possible=observed.recursive_read_only)
            mode = "Enabled" if deep else "Disabled"
        told.append(
            VolumeMountStatus(
                name=mount.name,
                mount_path=mount.mount_path,
                read_only=mount.read_only,
                recursive_read_only=mode,
            )
        )
    return told


def _ready(container: Container, seen: Seen | None, sort: Sort, *, running: bool) -> bool:
    if seen is None or sort is Sort.EPHEMERAL:
        return False
    if sort is Sort.INIT and not is_sidecar(container):
        return seen.succeeded
    return running and container_ready(container, seen)


def go_duration(seconds: float) -> str:
    """`10s`, `2m40s`, `5m0s`: as Go prints a duration, because people search for these words."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
