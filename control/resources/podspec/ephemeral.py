"""Containers that are added to a running pod to look into it: what `pods/ephemeralcontainers` allows.

Walk step 5, for whoever debugs. They may be added and never changed or removed, and have only those
fields that make sense for a container without resources, ports or a life of its own (API reference,
"EphemeralContainer").
"""

from collections.abc import Iterator

from api.core import EphemeralContainer, Pod
from api.fielderrors import FieldError, Path, forbidden, not_found
from api.struct import fields

MIRROR = "kubernetes.io/config.mirror"

_ALLOWED = frozenset(
    {"name", "image", "command", "args", "workingDir", "envFrom", "env", "volumeMounts"}
    | {"volumeDevices", "terminationMessagePath", "terminationMessagePolicy", "imagePullPolicy"}
    | {"securityContext", "stdin", "stdinOnce", "tty", "targetContainerName"}
)
_NEVER = "cannot be set for an Ephemeral Container"
_FIELDS = tuple(field for field in fields(EphemeralContainer) if field.wire not in _ALLOWED)
_NOTHING = EphemeralContainer(name="")


def ephemeral_container_errors(pod: Pod, path: Path) -> Iterator[FieldError]:
    """What only ephemeral containers may not have; the rest is checked with all containers."""
    others = {one.name for one in (*pod.spec.containers, *pod.spec.init_containers)}
    for number, one in enumerate(pod.spec.ephemeral_containers):
        where = path.child("ephemeralContainers").index(number)
        for field in _FIELDS:
            if getattr(one, field.attribute) != getattr(_NOTHING, field.attribute):
                yield forbidden(where.child(field.wire), _NEVER)
        for position, mount in enumerate(one.volume_mounts):
            at = where.child("volumeMounts").index(position)
            if mount.sub_path:
                yield forbidden(at.child("subPath"), _NEVER)
            if mount.sub_path_expr:
                yield forbidden(at.child("subPathExpr"), _NEVER)
        target = one.target_container_name
        if target and target not in others:
            yield not_found(where.child("targetContainerName"), target)


def ephemeral_update_errors(new: Pod, old: Pod, path: Path) -> Iterator[FieldError]:
    """Existing ones stay as they are."""
    if MIRROR in old.metadata.annotations:
        yield forbidden("", "static pods do not support ephemeral containers")
    wanted = {one.name: one for one in new.spec.ephemeral_containers}
    where = path.child("ephemeralContainers")
    for one in old.spec.ephemeral_containers:
        found = wanted.get(one.name)
        if found is None:
            yield forbidden(
                where, f'existing ephemeral containers "{one.name}" may not be removed\n'
            )
        elif found != one:
            yield forbidden(
                where, f'existing ephemeral containers "{one.name}" may not be changed\n'
            )
