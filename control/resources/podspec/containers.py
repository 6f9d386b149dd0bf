"""Validation of containers: names, images, ports, mounts, and whatever else all sorts share."""

from collections.abc import Iterable, Iterator

from api import validation
from api.core import (
    Container,
    ContainerPort,
    EphemeralContainer,
    Protocol,
    PullPolicy,
    TerminationMessagePolicy,
    VolumeMount,
)
from api.core.volume import MountPropagationMode, RecursiveReadOnlyMode
from api.fielderrors import (
    FieldError,
    Path,
    duplicate,
    forbidden,
    invalid,
    not_found,
    required,
)
from control.resources.checks import check_enum, check_port, check_text
from control.resources.podspec.environment import environment_errors
from control.resources.podspec.resources import resource_errors
from control.resources.podspec.security import container_security_errors

AnyContainer = Container | EphemeralContainer


def container_errors(
    container: AnyContainer, path: Path, volumes: frozenset[str]
) -> Iterator[FieldError]:
    """What may be wrong with a container of any sort; `volumes` are the pod's volume names."""
    yield from check_text(path.child("name"), container.name, validation.dns1123_label)
    yield from _image_errors(container, path)
    yield from _port_errors(container.ports, path.child("ports"))
    yield from environment_errors(container.env, container.env_from, path)
    yield from _mount_errors(container, path.child("volumeMounts"), volumes)
    yield from _device_errors(container, path.child("volumeDevices"), volumes)
    yield from resource_errors(container.resources, path.child("resources"))
    yield from check_enum(
        path.child("terminationMessagePolicy"),
        container.termination_message_policy,
        TerminationMessagePolicy,
        needed=True,
    )
    if container.security_context is not None:
        yield from container_security_errors(
            container.security_context, path.child("securityContext")
        )


def _image_errors(container: AnyContainer, path: Path) -> Iterator[FieldError]:
    image = container.image
    if not image:
        yield required(path.child("image"), "")
    elif image != image.strip():
        yield invalid(path.child("image"), image, "must not have leading or trailing whitespace")
    yield from check_enum(path.child("imagePullPolicy"), container.image_pull_policy, PullPolicy)


def _port_errors(ports: Iterable[ContainerPort], path: Path) -> Iterator[FieldError]:
    names: set[str] = set()
    for number, port in enumerate(ports):
        where = path.index(number)
        if port.name:
            for why in validation.port_name(port.name):
                yield invalid(where.child("name"), port.name, why)
            if port.name in names:
                yield duplicate(where.child("name"), port.name)
            names.add(port.name)
        if port.container_port == 0:
            yield required(where.child("containerPort"), "")
        else:
            yield from check_port(where.child("containerPort"), port.container_port)
        yield from check_port(where.child("hostPort"), port.host_port, needed=False)
        yield from check_enum(where.child("protocol"), port.protocol, Protocol, needed=True)
        if port.host_ip:
            yield from check_text(where.child("hostIP"), port.host_ip, validation.ip_address)


def host_network_errors(
    containers: Iterable[tuple[Path, Container]], *, in_template: bool
) -> Iterator[FieldError]:
    """In the node's network a port is what it is; a template may leave the host port out."""
    for path, container in containers:
        for number, port in enumerate(container.ports):
            if port.host_port == port.container_port or (in_template and port.host_port == 0):
                continue
            yield invalid(
                path.child("ports").index(number).child("hostPort"),
                port.host_port,
                "must match `containerPort` when `hostNetwork` is true",
            )


def host_port_conflicts(containers: Iterable[tuple[Path, Container]]) -> Iterator[FieldError]:
    """No two containers of a pod may claim the same host port on the same address."""
    claims = (
        (
            path.child("ports").index(number).child("hostPort"),
            (port.host_ip, port.host_port, port.protocol),
        )
        for path, container in containers
        for number, port in enumerate(container.ports)
        if port.host_port
    )
    seen = set()
    for where, claim in claims:
        if claim in seen:
            yield duplicate(where, f"{claim[2]}/{claim[0]}/{claim[1]}")
        seen.add(claim)


def _mount_errors(
    container: AnyContainer, path: Path, volumes: frozenset[str]
) -> Iterator[FieldError]:
    privileged = container.security_context is not None and container.security_context.privileged
    seen: set[str] = set()
    for number, mount in enumerate(container.volume_mounts):
        where = path.index(number)
        yield from _volume_name_errors(mount.name, where.child("name"), volumes)
        if not mount.mount_path:
            yield required(where.child("mountPath"), "")
        elif mount.mount_path in seen:
            yield invalid(where.child("mountPath"), mount.mount_path, "must be unique")
        seen.add(mount.mount_path)
        for name, value in (("subPath", mount.sub_path), ("subPathExpr", mount.sub_path_expr)):
            yield from relative_path_errors(value, where.child(name))
        if mount.sub_path and mount.sub_path_expr:
            yield invalid(
                where.child("subPathExpr"),
                mount.sub_path_expr,
                "subPathExpr and subPath are mutually exclusive",
            )
        at = where.child("mountPropagation")
        yield from check_enum(at, mount.mount_propagation, MountPropagationMode)
        if mount.mount_propagation == "Bidirectional" and not privileged:
            yield forbidden(
                at, "Bidirectional mount propagation is available only to privileged containers"
            )
        yield from _recursive_errors(mount, where.child("recursiveReadOnly"))


def _recursive_errors(mount: VolumeMount, path: Path) -> Iterator[FieldError]:
    mode = mount.recursive_read_only
    yield from check_enum(path, mode, RecursiveReadOnlyMode)
    if mode not in ("IfPossible", "Enabled"):
        return
    if not mount.read_only:
        yield forbidden(path, "may only be specified when readOnly is true")
    if mount.mount_propagation not in (None, "None"):
        yield forbidden(
            path, "may only be specified when mountPropagation is None or not specified"
        )


def _device_errors(
    container: AnyContainer, path: Path, volumes: frozenset[str]
) -> Iterator[FieldError]:
    mounted = {mount.mount_path for mount in container.volume_mounts}
    seen: set[str] = set()
    for number, device in enumerate(container.volume_devices):
        where = path.index(number)
        yield from _volume_name_errors(device.name, where.child("name"), volumes)
        at = where.child("devicePath")
        if not device.device_path:
            yield required(at, "")
        elif device.device_path in seen:
            yield invalid(at, device.device_path, "must be unique")
        elif device.device_path in mounted:
            yield invalid(
                at, device.device_path, "must not already exist as a path in volumeMounts"
            )
        seen.add(device.device_path)


def _volume_name_errors(name: str, path: Path, volumes: frozenset[str]) -> Iterator[FieldError]:
    if not name:
        yield required(path, "")
    elif name not in volumes:
        yield not_found(path, name)


def relative_path_errors(value: str, path: Path) -> Iterator[FieldError]:
    """A path below a volume: relative, without `..`. Empty passes."""
    if value.startswith("/"):
        yield invalid(path, value, "must be a relative path")
    if ".." in value.split("/"):
        yield invalid(path, value, "must not contain '..'")
