"""Pod: the unit that runs. Walk steps 1 and 7: what may be written, and how a pod is deleted."""

from collections.abc import Iterable
from datetime import datetime

from api import pods, timestamps, validation
from api.core import ContainerStatus, Pod
from api.fielderrors import FieldError, Path, forbidden, invalid
from api.meta import DeleteOptions
from api.scheme import resource_of
from control.resources.columns import AGE, NONE, human_duration
from control.resources.podspec.defaults import default_pod_spec
from control.resources.podspec.spec import pod_spec_errors
from control.resources.podspec.updates import pod_update_errors
from control.resources.strategy import Column, Strategy


class PodStrategy(Strategy[Pod]):
    """Pods are created Pending, keep their spec, and are deleted with a grace period."""

    columns = (
        Column("Ready", "string", lambda pod, now: _ready(pod), description="Containers ready."),
        Column(
            "Status", "string", lambda pod, now: status_word(pod), description="What the pod does."
        ),
        Column(
            "Restarts",
            "string",
            lambda pod, now: _restarts(pod, now),
            description="Container restarts.",
        ),
        AGE,
        Column("IP", "string", lambda pod, now: pod.status.pod_ip or NONE, priority=1),
        Column("Node", "string", lambda pod, now: pod.spec.node_name or NONE, priority=1),
        Column(
            "Nominated Node",
            "string",
            lambda pod, now: pod.status.nominated_node_name or NONE,
            priority=1,
        ),
        Column("Readiness Gates", "string", lambda pod, now: _gates(pod), priority=1),
    )

    def default(self, obj: Pod) -> None:
        default_pod_spec(obj.spec)

    def prepare_create(self, obj: Pod) -> None:
        super().prepare_create(obj)
        obj.status.phase = "Pending"
        obj.status.qos_class = pods.qos_class(obj)

    def prepare_subresource(self, subresource: str, new: Pod, old: Pod) -> None:
        super().prepare_subresource(subresource, new, old)
        if subresource == "status":
            new.status.qos_class = old.status.qos_class
            if not new.status.phase:
                new.status.phase = old.status.phase

    def validate(self, obj: Pod) -> list[FieldError]:
        path = Path("spec")
        errors = list(pod_spec_errors(obj.spec, path))
        if obj.spec.ephemeral_containers:
            errors.append(
                forbidden(
                    path.child("ephemeralContainers"),
                    "cannot be set on create: add them through the pod's ephemeralcontainers subresource",
                )
            )
        return errors

    def validate_update(self, new: Pod, old: Pod) -> list[FieldError]:
        path = Path("spec")
        return [
            *pod_spec_errors(new.spec, path),
            *pod_update_errors(new.spec, old.spec, path),
        ]

    def validate_subresource(self, subresource: str, new: Pod, old: Pod) -> list[FieldError]:
        errors = []
        nominated = new.status.nominated_node_name
        where = Path("status").child("nominatedNodeName")
        for why in validation.dns1123_subdomain(nominated) if nominated else ():
            errors.append(invalid(where, nominated, why))
        errors += _restarted_backwards(new, old)
        return errors

    def fields(self, obj: Pod) -> dict[str, str]:
        return {
            "spec.nodeName": obj.spec.node_name,
            "spec.restartPolicy": obj.spec.restart_policy,
            "spec.schedulerName": obj.spec.scheduler_name,
            "spec.serviceAccountName": obj.spec.service_account_name,
            "spec.hostNetwork": "true" if obj.spec.host_network else "false",
            "status.phase": obj.status.phase,
            "status.podIP": obj.status.pod_ip,
            "status.nominatedNodeName": obj.status.nominated_node_name,
        }

    def selectable_fields(self) -> frozenset[str]:
        return super().selectable_fields() | {
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        }

    def grace_period(self, obj: Pod, options: DeleteOptions) -> int | None:
        """The option's seconds, else the spec's; 0 where no agent has anything to stop.

        A pod that no node has yet, or that has finished, is deleted at once (API reference,
        "Pod termination").
        """
        grace = options.grace_period_seconds
        if grace is None:
            grace = obj.spec.termination_grace_period_seconds
        if grace is None:
            grace = 30
        if not obj.spec.node_name or pods.is_terminal(obj):
            return 0
        return max(grace, 0)


def _restarted_backwards(new: Pod, old: Pod) -> list[FieldError]:
    """A container of a pod that must not restart cannot leave the terminated state."""
    if old.spec.restart_policy == "Always":
        return []
    errors = []
    finished = {
        status.name
        for status in old.status.container_statuses
        if status.state.terminated is not None
        and (old.spec.restart_policy == "Never" or status.state.terminated.exit_code == 0)
    }
    where = Path("status").child("containerStatuses")
    for number, status in enumerate(new.status.container_statuses):
        if status.name in finished and status.state.terminated is None:
            errors.append(
                forbidden(
                    where.index(number).child("state"),
                    "may not be transitioned to non-terminated state",
                )
            )
    return errors


def _ready(pod: Pod) -> str:
    sidecars = {c.name for c in pod.spec.init_containers if c.restart_policy == "Always"}
    ready = sum(status.ready for status in pod.status.container_statuses)
    ready += sum(s.ready for s in pod.status.init_container_statuses if s.name in sidecars)
    return f"{ready}/{len(pod.spec.containers) + len(sidecars)}"


def _restarts(pod: Pod, now: datetime) -> str:
    statuses = _counted(pod)
    restarts = sum(status.restart_count for status in statuses)
    finished = [
        status.last_state.terminated.finished_at
        for status in statuses
        if status.last_state.terminated is not None and status.last_state.terminated.finished_at
    ]
    if not restarts or not finished:
        return str(restarts)
    ago = human_duration((now - timestamps.parse(max(finished))).total_seconds())
    return f"{restarts} ({ago} ago)"


def _counted(pod: Pod) -> list[ContainerStatus]:
    """While init containers run, their restarts count; afterwards the app containers' do."""
    if any(_init_pending(status) for status in pod.status.init_container_statuses):
        return pod.status.init_container_statuses
    return pod.status.container_statuses


def _init_pending(status: ContainerStatus) -> bool:
    terminated = status.state.terminated
    return not (terminated is not None and terminated.exit_code == 0) and not status.started


def status_word(pod: Pod) -> str:
    """The STATUS column: phase, unless a container's or the pod's own reason says more."""
    word = pod.status.reason or pod.status.phase
    if any(
        c.type == "PodScheduled" and c.reason == "SchedulingGated" for c in pod.status.conditions
    ):
        word = "SchedulingGated"
    initialising = _init_word(pod)
    if initialising is not None:
        word = initialising
    else:
        word = _container_word(pod.status.container_statuses, word)
        if word == "Completed" and any(
            status.ready and status.state.running is not None
            for status in pod.status.container_statuses
        ):
            word = "Running" if pods.is_ready(pod) else "NotReady"
    if pod.metadata.deletion_timestamp:
        if pod.status.reason == "NodeLost":
            return "Unknown"
        if not pods.is_terminal(pod):
            return "Terminating"
    return word


def _init_word(pod: Pod) -> str | None:
    total = len(pod.spec.init_containers)
    for number, status in enumerate(pod.status.init_container_statuses):
        if not _init_pending(status):
            continue
        terminated, waiting = status.state.terminated, status.state.waiting
        if terminated is not None:
            return "Init:" + _terminated_word(
                terminated.reason, terminated.signal, terminated.exit_code
            )
        if waiting is not None and waiting.reason not in ("", "PodInitializing"):
            return f"Init:{waiting.reason}"
        return f"Init:{number}/{total}"
    return None


def _container_word(statuses: Iterable[ContainerStatus], word: str) -> str:
    for status in reversed(list(statuses)):
        waiting, terminated = status.state.waiting, status.state.terminated
        if waiting is not None and waiting.reason:
            word = waiting.reason
        elif terminated is not None:
            word = _terminated_word(terminated.reason, terminated.signal, terminated.exit_code)
    return word


def _terminated_word(reason: str, signal: int, exit_code: int) -> str:
    if reason:
        return reason
    return f"Signal:{signal}" if signal else f"ExitCode:{exit_code}"


def _gates(pod: Pod) -> str:
    if not pod.spec.readiness_gates:
        return NONE
    wanted = {gate.condition_type for gate in pod.spec.readiness_gates}
    true = sum(c.type in wanted and c.status == "True" for c in pod.status.conditions)
    return f"{true}/{len(wanted)}"


STRATEGY = PodStrategy(resource_of(Pod))
