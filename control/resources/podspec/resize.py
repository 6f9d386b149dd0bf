"""Other amounts of CPU and memory for a pod that exists: what `pods/resize` allows.

Walk step 5 (KEP-1287, API reference "resize"). A pod that has not started gets its new amounts when it
starts. For one that runs, its node must be able to change them in place, and says so by reporting
`containerStatuses[*].resources`; where it does not, the change is refused rather than stored in vain.
"""

from collections.abc import Iterator

import msgspec

from api import pods
from api.core import Container, Pod, ResourceRequirements
from api.fielderrors import FieldError, Path, forbidden, invalid
from control.resources.podspec.ephemeral import MIRROR

_CHANGEABLE = ("cpu", "memory")


def resized(new: Pod, old: Pod) -> tuple[list[Container], list[Container]]:
    """Containers and init containers of `old` with the resources that `new` wants."""
    return (
        _with_resources(new.spec.containers, old.spec.containers),
        _with_resources(new.spec.init_containers, old.spec.init_containers),
    )


def _with_resources(new: list[Container], old: list[Container]) -> list[Container]:
    if [one.name for one in new] != [one.name for one in old]:
        return new  # a container too many, or too few: validation says so
    return [
        msgspec.structs.replace(theirs, resources=mine.resources, resize_policy=mine.resize_policy)
        for mine, theirs in zip(new, old, strict=True)
    ]


def resize_errors(new: Pod, old: Pod, path: Path) -> Iterator[FieldError]:
    """Errors of resizing `old` into `new`; that the amounts make sense is checked with any pod's."""
    if MIRROR in old.metadata.annotations:
        yield forbidden("", "static pods cannot be resized")
    if old.spec.resources is not None:
        yield forbidden(path, "pods with pod-level resources cannot be resized")
    if not _node_can_resize(old):
        yield forbidden(path, "Pod running on node without support for resize")
    quality = pods.qos_class(new)
    if quality != old.status.qos_class:
        yield invalid(path, quality, "Pod QOS Class may not change as a result of resizing")
    for name, before, after in (
        ("containers", old.spec.containers, new.spec.containers),
        ("initContainers", old.spec.init_containers, new.spec.init_containers),
    ):
        yield from _list_errors(before, after, path, name)


def _list_errors(
    before: list[Container], after: list[Container], path: Path, name: str
) -> Iterator[FieldError]:
    if len(before) != len(after):
        yield forbidden(path, f"{name} may not be added or removed on resize")
        return
    moved = [place for place in range(len(after)) if before[place].name != after[place].name]
    for place in moved:
        where = path.child(name).index(place).child("name")
        yield forbidden(where, f"{name} may not be renamed or reordered on resize")
    if moved:
        return
    for number, (theirs, mine) in enumerate(zip(before, after, strict=True)):
        where = path.child(name).index(number)
        if mine.resize_policy != theirs.resize_policy:
            yield forbidden(
                where.child("resizePolicy"), "only cpu and memory resources are mutable"
            )
        if mine.resources == theirs.resources:
            continue
        if name == "initContainers" and not pods.is_restartable_init(theirs):
            yield forbidden(where, "resources for non-sidecar init containers are immutable")
        yield from _resource_errors(theirs.resources, mine.resources, where.child("resources"))


def _resource_errors(
    before: ResourceRequirements, after: ResourceRequirements, path: Path
) -> Iterator[FieldError]:
    for kind, old, new in (
        ("requests", before.requests, after.requests),
        ("limits", before.limits, after.limits),
    ):
        if any(name in old and name not in new for name in _CHANGEABLE):
            yield forbidden(path.child(kind), f"resource {kind} cannot be removed")
        if _others(old) != _others(new):
            yield forbidden(path.child(kind), "only cpu and memory resources are mutable")
    if before.claims != after.claims:
        yield forbidden(path.child("claims"), "only cpu and memory resources are mutable")


def _others(amounts: dict[str, str]) -> dict[str, str]:
    return {name: amount for name, amount in amounts.items() if name not in _CHANGEABLE}


def _node_can_resize(pod: Pod) -> bool:
    """Its running containers tell what is in force; an agent that cannot change it does not."""
    return all(
        status.resources is not None
        for status in pod.status.container_statuses
        if status.state.running is not None
    )
