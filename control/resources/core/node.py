"""Node: a machine with an agent. Walk steps 3 and 4."""

from collections.abc import Iterator

from api import validation
from api.core import Node, TaintEffect
from api.fielderrors import FieldError, Path, duplicate, forbidden, invalid, required
from api.scheme import resource_of
from control.resources.checks import check_enum, check_text, is_negative
from control.resources.columns import AGE, NONE, UNKNOWN, join_or_none
from control.resources.strategy import Column, Strategy

ROLE_PREFIX = "node-role.kubernetes.io/"
ROLE_LABEL = "kubernetes.io/role"


class NodeStrategy(Strategy[Node]):
    """An agent creates its Node with a status; later the status has its own path."""

    columns = (
        Column("Status", "string", lambda node, now: _status(node)),
        Column("Roles", "string", lambda node, now: _roles(node)),
        AGE,
        Column("Version", "string", lambda node, now: node.status.node_info.kubelet_version),
        Column("Internal-IP", "string", lambda node, now: _address(node, "InternalIP"), priority=1),
        Column("External-IP", "string", lambda node, now: _address(node, "ExternalIP"), priority=1),
        Column(
            "OS-Image",
            "string",
            lambda node, now: node.status.node_info.os_image or UNKNOWN,
            priority=1,
        ),
        Column(
            "Kernel-Version",
            "string",
            lambda node, now: node.status.node_info.kernel_version or UNKNOWN,
            priority=1,
        ),
        Column(
            "Container-Runtime",
            "string",
            lambda node, now: node.status.node_info.container_runtime_version or UNKNOWN,
            priority=1,
        ),
    )

    def default(self, obj: Node) -> None:
        if obj.spec.pod_cidr and not obj.spec.pod_cidrs:
            obj.spec.pod_cidrs = [obj.spec.pod_cidr]
        elif obj.spec.pod_cidrs and not obj.spec.pod_cidr:
            obj.spec.pod_cidr = obj.spec.pod_cidrs[0]
        if obj.status.capacity and not obj.status.allocatable:
            obj.status.allocatable = dict(obj.status.capacity)

    def prepare_create(self, obj: Node) -> None:
        """The status a registering agent sends along is kept (it saves a second write)."""

    def validate(self, obj: Node) -> list[FieldError]:
        return list(_node_errors(obj))

    def validate_update(self, new: Node, old: Node) -> list[FieldError]:
        errors = self.validate(new)
        if old.spec.pod_cidrs and new.spec.pod_cidrs != old.spec.pod_cidrs:
            errors.append(
                forbidden(
                    Path("spec").child("podCIDRs"),
                    'node updates may not change podCIDR except from "" to valid',
                )
            )
        if old.spec.provider_id and new.spec.provider_id != old.spec.provider_id:
            errors.append(
                forbidden(
                    Path("spec").child("providerID"),
                    'node updates may not change providerID except from "" to valid',
                )
            )
        return errors

    def validate_subresource(self, subresource: str, new: Node, old: Node) -> list[FieldError]:
        return list(_status_errors(new))

    def generation_changes(self, new: Node, old: Node) -> bool:
        return False

    def fields(self, obj: Node) -> dict[str, str]:
        return {"spec.unschedulable": "true" if obj.spec.unschedulable else "false"}

    def selectable_fields(self) -> frozenset[str]:
        return super().selectable_fields() | {"spec.unschedulable"}


def _node_errors(node: Node) -> Iterator[FieldError]:
    path = Path("spec").child("taints")
    seen: set[tuple[str, str]] = set()
    for number, taint in enumerate(node.spec.taints):
        where = path.index(number)
        yield from check_text(where.child("key"), taint.key, validation.qualified_name)
        for why in validation.label_value(taint.value):
            yield invalid(where.child("value"), taint.value, why)
        if not taint.effect:
            yield required(where.child("effect"), "")
        yield from check_enum(where.child("effect"), taint.effect, TaintEffect)
        if (taint.key, taint.effect) in seen:
            yield duplicate(where, f"{taint.key}:{taint.effect}")
        seen.add((taint.key, taint.effect))
    for number, cidr in enumerate(node.spec.pod_cidrs):
        for why in validation.cidr(cidr):
            yield invalid(Path("spec").child("podCIDRs").index(number), cidr, why)
    if node.spec.pod_cidrs and node.spec.pod_cidr != node.spec.pod_cidrs[0]:
        yield invalid(
            Path("spec").child("podCIDRs").index(0),
            node.spec.pod_cidrs[0],
            "must be the same as `podCIDR`",
        )
    yield from _status_errors(node)


def _status_errors(node: Node) -> Iterator[FieldError]:
    for kind, values in (
        ("capacity", node.status.capacity),
        ("allocatable", node.status.allocatable),
    ):
        for name, value in values.items():
            where = Path("status").child(kind).key(name)
            for why in validation.qualified_name(name):
                yield invalid(where, name, why)
            if is_negative(value):
                yield invalid(where, value, "must be greater than or equal to 0")


def _status(node: Node) -> str:
    words = [
        "Ready" if condition.status == "True" else "NotReady"
        for condition in node.status.conditions
        if condition.type == "Ready"
    ] or ["Unknown"]
    if node.spec.unschedulable:
        words.append("SchedulingDisabled")
    return ",".join(words)


def _roles(node: Node) -> str:
    labels = node.metadata.labels
    roles = {key.removeprefix(ROLE_PREFIX) for key in labels if key.startswith(ROLE_PREFIX)}
    if labels.get(ROLE_LABEL):
        roles.add(labels[ROLE_LABEL])
    return join_or_none(sorted(roles - {""}))


def _address(node: Node, kind: str) -> str:
    return next((a.address for a in node.status.addresses if a.type == kind), NONE)


STRATEGY = NodeStrategy(resource_of(Node))
