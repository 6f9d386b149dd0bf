"""What `kubectl get pods` prints about a pod: READY, STATUS and RESTARTS. Walk step 5, for people.

One walk over the container statuses yields all three, because they must agree on which
containers count: while init containers run those, afterwards the app containers and sidecars.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from api import pods, timestamps
from api.core import ContainerStateTerminated, ContainerStatus, Pod
from control.resources.columns import NONE, human_duration

_LOST = "NodeLost"


@dataclass(frozen=True, slots=True)
class Restarts:
    """How often containers were restarted, and when the last of these runs ended."""

    count: int = 0
    last: str = ""

    def plus(self, status: ContainerStatus) -> "Restarts":
        """These and those of one more container."""
        ended = status.last_state.terminated
        finished = (ended.finished_at if ended is not None else None) or ""
        return Restarts(self.count + status.restart_count, max(self.last, finished))


@dataclass(frozen=True, slots=True)
class Summary:
    """The three cells before they are put into words."""

    word: str
    ready: int
    total: int
    restarts: Restarts


def ready(pod: Pod) -> str:
    """READY: `1/2`."""
    found = summary(pod)
    return f"{found.ready}/{found.total}"


def status_word(pod: Pod) -> str:
    """STATUS: the phase, unless a container's or the pod's own reason says more."""
    return summary(pod).word


def restarts(pod: Pod, now: datetime) -> str:
    """RESTARTS: `3 (5m ago)`."""
    found = summary(pod).restarts
    if not found.count or not found.last:
        return str(found.count)
    ago = human_duration((now - timestamps.parse(found.last)).total_seconds())
    return f"{found.count} ({ago} ago)"


def readiness_gates(pod: Pod) -> str:
    """READINESS GATES: how many of the pod's own conditions are true."""
    if not pod.spec.readiness_gates:
        return NONE
    true = {c.type for c in pod.status.conditions if c.status == "True"}
    met = sum(gate.condition_type in true for gate in pod.spec.readiness_gates)
    return f"{met}/{len(pod.spec.readiness_gates)}"


def summary(pod: Pod) -> Summary:
    """What the cells say, from the statuses that the agent reports."""
    sidecars = {c.name for c in pod.spec.init_containers if c.restart_policy == "Always"}
    total = len(pod.spec.containers) + len(sidecars)
    init = _initialisation(pod, sidecars)
    word = init.word or _own_word(pod)
    if init.word and not _initialised(pod):
        return Summary(_deleted(pod, word), init.ready, total, init.all_restarts)
    counted = init.sidecar_restarts
    for status in pod.status.container_statuses:
        counted = counted.plus(status)
    running = [s for s in pod.status.container_statuses if s.ready and s.state.running is not None]
    word = _container_word(pod.status.container_statuses, word)
    if word == "Completed" and running:
        word = "Running" if pods.is_ready(pod) else "NotReady"
    return Summary(_deleted(pod, word), init.ready + len(running), total, counted)


@dataclass(frozen=True, slots=True)
class _Initialisation:
    """The init containers up to the first that is not through; `word` is empty when all are."""

    word: str
    ready: int
    all_restarts: Restarts
    sidecar_restarts: Restarts


def _initialisation(pod: Pod, sidecars: set[str]) -> _Initialisation:
    ready, everything, of_sidecars = 0, Restarts(), Restarts()
    for number, status in enumerate(pod.status.init_container_statuses):
        everything = everything.plus(status)
        if status.name in sidecars:
            of_sidecars = of_sidecars.plus(status)
        terminated = status.state.terminated
        if terminated is not None and terminated.exit_code == 0:
            continue
        if status.name in sidecars and status.started:
            ready += status.ready
            continue
        word = _init_word(status, f"{number}/{len(pod.spec.init_containers)}")
        return _Initialisation(word, ready, everything, of_sidecars)
    return _Initialisation("", ready, everything, of_sidecars)


def _init_word(status: ContainerStatus, progress: str) -> str:
    terminated, waiting = status.state.terminated, status.state.waiting
    if terminated is not None:
        return f"Init:{_terminated_word(terminated)}"
    if waiting is not None and waiting.reason not in ("", "PodInitializing"):
        return f"Init:{waiting.reason}"
    return f"Init:{progress}"


def _own_word(pod: Pod) -> str:
    for condition in pod.status.conditions:
        if condition.type == "PodScheduled" and condition.reason == "SchedulingGated":
            return condition.reason
    return pod.status.reason or pod.status.phase


def _initialised(pod: Pod) -> bool:
    return any(c.type == "Initialized" and c.status == "True" for c in pod.status.conditions)


def _container_word(statuses: Iterable[ContainerStatus], word: str) -> str:
    """The first container in the list has the last word."""
    for status in reversed(list(statuses)):
        waiting, terminated = status.state.waiting, status.state.terminated
        if waiting is not None and waiting.reason:
            word = waiting.reason
        elif terminated is not None:
            word = _terminated_word(terminated)
    return word


def _terminated_word(state: ContainerStateTerminated) -> str:
    if state.reason:
        return state.reason
    return f"Signal:{state.signal}" if state.signal else f"ExitCode:{state.exit_code}"


def _deleted(pod: Pod, word: str) -> str:
    if not pod.metadata.deletion_timestamp:
        return word
    if pod.status.reason == _LOST:
        return "Unknown"
    return word if pods.is_terminal(pod) else "Terminating"
