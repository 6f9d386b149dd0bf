"""Subresources that are more than a part of the object: binding and scale.

Serves step 3 of the pod's walk (the scheduler binds) and those who scale workloads. Both are changes
of the object itself, with the same loop and validation as any other (`updating.change`); admission sees
what was sent, the Binding or the Scale, and not the object.
`status`, `approval` and `finalize` need nothing here: their rules are in the kinds' strategies.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from api import errors
from api.autoscaling import Scale, ScaleSpec, ScaleStatus
from api.core import Binding, Pod, PodCondition
from api.fielderrors import Path, invalid, not_supported, required
from api.meta import ObjectMeta, Status
from api.struct import ApiStruct
from api.timestamps import now_string
from control.admission.chain import Operation
from control.apiserver.registry import evicting, updating
from control.apiserver.registry.admitting import attributes
from control.apiserver.registry.call import Call, Stored
from control.apiserver.registry.kinds import Kind
from control.apiserver.registry.registry import Registry

Create = Callable[[Registry, Kind[Any], Call, Any, str, str], Awaitable[ApiStruct]]


async def bind(
    registry: Registry, kind: Kind[Any], call: Call, binding: Binding, namespace: str, name: str
) -> Status:
    """Assign a pod to a node, once and for all."""
    _check_binding(binding, namespace, name)
    request = attributes(
        kind,
        call,
        Operation.CREATE,
        namespace,
        name,
        subresource="binding",
        new=binding,
        settle=lambda changed: _check_binding(changed, namespace, name),
    )
    await registry.admission.admit(request)
    await registry.admission.validate(request)
    binding = request.object

    async def assign(current: ApiStruct) -> Any:
        assert isinstance(current, Pod)
        if binding.metadata.uid and binding.metadata.uid != current.metadata.uid:
            raise errors.conflict(
                kind.resource,
                name,
                f"Precondition failed: UID in precondition: {binding.metadata.uid}, "
                f"UID in object meta: {current.metadata.uid}",
            )
        if current.metadata.deletion_timestamp is not None:
            raise _not_bound(
                kind, name, f"pod {name} is being deleted, cannot be assigned to a host"
            )
        if current.spec.node_name:
            raise _not_bound(
                kind,
                name,
                f'pod {name} is already assigned to node "{current.spec.node_name}"',
            )
        if current.spec.scheduling_gates:
            raise _not_bound(kind, name, f"pod {name} has non-empty .spec.schedulingGates")
        _assign(registry, current, binding)
        return current

    await updating.change(
        registry, kind, call, namespace, name, assign, subresource="binding", admitted=True
    )
    return Status(status="Success", code=201)


def _assign(registry: Registry, pod: Pod, binding: Binding) -> None:
    pod.spec.node_name = binding.target.name
    pod.metadata.annotations = {**pod.metadata.annotations, **binding.metadata.annotations}
    others = [one for one in pod.status.conditions if one.type != "PodScheduled"]
    scheduled = PodCondition(
        type="PodScheduled", status="True", last_transition_time=now_string(registry.clock)
    )
    pod.status.conditions = [*others, scheduled]
    pod.status.nominated_node_name = ""  # what it has waited for, it has


def _check_binding(binding: Binding, namespace: str, name: str) -> None:
    found = []
    target = Path("target")
    if binding.target.kind not in ("", "Node"):
        found.append(not_supported(target.child("kind"), binding.target.kind, ["Node", "<empty>"]))
    if not binding.target.name:
        found.append(required(target.child("name"), ""))
    for field, given, expected in (
        ("name", binding.metadata.name, name),
        ("namespace", binding.metadata.namespace, namespace),
    ):
        if given and given != expected:
            where = Path("metadata").child(field)
            found.append(invalid(where, given, f"must be {expected!r}, as in the URL"))
    if found:
        raise errors.invalid_kind("", "Binding", "Binding", name, found)


def _not_bound(kind: Kind[Any], name: str, why: str) -> errors.ApiError:
    error = errors.conflict(kind.resource, name, why)
    text = f'Operation cannot be fulfilled on pods/binding "{name}": {why}'
    error.status.message = error.message = text
    return error


def scale_of(kind: Kind[Any], stored: Stored, *, wanted: bool = False) -> Scale:
    """The Scale of a workload. `wanted`: 500 when it does not say how many it wants."""
    obj = kind.decode(stored.body)
    metadata: ObjectMeta = obj.metadata
    scaled = kind.strategy.scale(obj)
    if wanted and scaled.replicas is None:
        raise errors.internal("the spec replicas field does not exist")
    return Scale(
        metadata=ObjectMeta(
            name=metadata.name,
            namespace=metadata.namespace,
            uid=metadata.uid,
            resource_version=metadata.resource_version,
            creation_timestamp=metadata.creation_timestamp,
        ),
        spec=ScaleSpec(replicas=scaled.replicas or 0),
        status=ScaleStatus(replicas=scaled.current, selector=scaled.selector),
    )


async def scale(
    registry: Registry,
    kind: Kind[Any],
    call: Call,
    namespace: str,
    name: str,
    make: Callable[[Scale], Awaitable[Scale]],
) -> Stored:
    """Change how many replicas a workload wants. `make` gets the current Scale."""

    async def change(current: ApiStruct) -> Any:
        old = scale_of(kind, Stored(kind.body(current), 0))
        wanted = await admitted_scale(registry, kind, call, old, await make(old))
        kind.strategy.set_scale(current, wanted.spec.replicas)
        return current

    return await updating.change(
        registry, kind, call, namespace, name, change, subresource="scale", admitted=True
    )


async def admitted_scale(
    registry: Registry, kind: Kind[Any], call: Call, old: Scale, new: Scale
) -> Scale:
    """The Scale as admission leaves it, once all that may refuse it was asked."""
    name = old.metadata.name
    request = attributes(
        kind,
        call,
        Operation.UPDATE,
        old.metadata.namespace,
        name,
        subresource="scale",
        new=new,
        old=old,
    )
    await registry.admission.admit(request)
    wanted: Scale = request.object
    replicas = wanted.spec.replicas
    if replicas < 0:
        where = Path("spec").child("replicas")
        raise errors.invalid_kind(
            "autoscaling",
            "Scale",
            "Scale.autoscaling",
            name,
            [invalid(where, replicas, "must be greater than or equal to 0")],
        )
    version = wanted.metadata.resource_version
    if version and version != old.metadata.resource_version:
        raise errors.conflict(kind.resource, name)
    await registry.admission.validate(request)
    return wanted


CREATE: dict[tuple[str, str], Create] = {
    ("pods", "binding"): bind,
    ("pods", "eviction"): evicting.evict,
}
"""Subresources to which one POSTs: (resource, subresource) → what it does."""
