"""Pod: the unit that runs. Walk steps 1 and 7: what may be written, and how a pod is deleted."""

from collections.abc import Iterator

import msgspec

from api import pods, validation
from api.core import Pod, PodStatus
from api.fielderrors import FieldError, Path, forbidden, invalid
from api.meta import DeleteOptions
from api.poddefaults import default_pod_only, default_pod_spec
from api.scheme import resource_of
from control.resources.columns import AGE, NONE
from control.resources.core import podcells
from control.resources.podspec.completing import complete_pod
from control.resources.podspec.ephemeral import (
    ephemeral_container_errors,
    ephemeral_update_errors,
)
from control.resources.podspec.resize import resize_errors, resized
from control.resources.podspec.spec import pod_spec_errors
from control.resources.podspec.updates import mirror_update_errors, pod_update_errors
from control.resources.strategy import Column, Strategy


class PodStrategy(Strategy[Pod]):
    """Pods are created Pending, keep their spec, and are deleted with a grace period."""

    kept_by_status = ("owner_references",)

    columns = (
        Column(
            "Ready", "string", lambda pod, now: podcells.ready(pod), description="Containers ready."
        ),
        Column(
            "Status",
            "string",
            lambda pod, now: podcells.status_word(pod),
            description="What the pod does.",
        ),
        Column(
            "Restarts",
            "string",
            lambda pod, now: podcells.restarts(pod, now),
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
        Column(
            "Readiness Gates", "string", lambda pod, now: podcells.readiness_gates(pod), priority=1
        ),
    )

    def default(self, obj: Pod) -> None:
        default_pod_spec(obj.spec)
        default_pod_only(obj.spec)

    def prepare_create(self, obj: Pod) -> None:
        super().prepare_create(obj)
        obj.status.phase = "Pending"

    def complete_create(self, obj: Pod) -> None:
        obj.status.qos_class = pods.qos_class(obj)
        complete_pod(obj)

    def prepare_subresource(self, subresource: str, new: Pod, old: Pod) -> None:
        super().prepare_subresource(subresource, new, old)
        if subresource == "status":
            new.status.qos_class = old.status.qos_class
            if not new.status.phase:
                new.status.phase = old.status.phase
        elif subresource in ("ephemeralcontainers", "resize"):
            wanted = new.spec
            containers, init_containers = resized(new, old)
            new.metadata, new.status = msgspec.structs.replace(old.metadata), old.status
            new.spec = msgspec.structs.replace(old.spec)
            if subresource == "resize":
                new.spec.containers, new.spec.init_containers = containers, init_containers
            else:
                new.spec.ephemeral_containers = wanted.ephemeral_containers

    def validate(self, obj: Pod) -> list[FieldError]:
        path = Path("spec")
        errors = list(pod_spec_errors(obj.spec, path))
        if obj.spec.node_name and obj.spec.scheduling_gates:
            errors.append(
                forbidden(
                    path.child("nodeName"),
                    "cannot be set until all schedulingGates have been cleared",
                )
            )
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
            *mirror_update_errors(new, old),
        ]

    def validate_subresource(self, subresource: str, new: Pod, old: Pod) -> list[FieldError]:
        spec = Path("spec")
        if subresource == "ephemeralcontainers":
            return [
                *pod_spec_errors(new.spec, spec),
                *ephemeral_container_errors(new, spec),
                *ephemeral_update_errors(new, old, spec),
            ]
        if subresource == "resize":
            return [*pod_spec_errors(new.spec, spec), *resize_errors(new, old, spec)]
        errors = []
        nominated = new.status.nominated_node_name
        where = Path("status").child("nominatedNodeName")
        for why in validation.dns1123_subdomain(nominated) if nominated else ():
            errors.append(invalid(where, nominated, why))
        errors += mirror_update_errors(new, old)
        return [*errors, *_address_errors(new.status), *_restarted_backwards(new, old)]

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
        return grace if grace >= 0 else 1


def _address_errors(status: PodStatus) -> Iterator[FieldError]:
    """One odd address would keep every other pod of a service out of its endpoints."""
    told = [one.ip for one in status.pod_ips] or [status.pod_ip or ""]
    for number, address in enumerate(told):
        where = Path("status").child("podIPs").index(number)
        for why in validation.ip_address(address) if address else ():
            yield invalid(where, address, why)


def _restarted_backwards(new: Pod, old: Pod) -> Iterator[FieldError]:
    """A container that must not restart cannot leave the terminated state."""
    specs = {c.name: c for c in (*old.spec.init_containers, *old.spec.containers)}
    for name, before, after in (
        ("containerStatuses", old.status.container_statuses, new.status.container_statuses),
        (
            "initContainerStatuses",
            old.status.init_container_statuses,
            new.status.init_container_statuses,
        ),
    ):
        finished = {
            status.name
            for status in before
            if status.state.terminated is not None
            and not pods.restarts(
                old, specs.get(status.name), exit_code=status.state.terminated.exit_code
            )
        }
        for number, status in enumerate(after):
            if status.name in finished and status.state.terminated is None:
                yield forbidden(
                    Path("status").child(name).index(number).child("state"),
                    "may not be transitioned to non-terminated state",
                )


STRATEGY = PodStrategy(resource_of(Pod))
