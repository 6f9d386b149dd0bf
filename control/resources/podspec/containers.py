"""Validation of containers: names, images, ports, environment, mounts, probes, hooks, resources."""

from collections.abc import Iterable, Iterator

from api import validation
from api.core import (
    Container,
    ContainerPort,
    EnvFromSource,
    EnvVar,
    EphemeralContainer,
    LifecycleHandler,
    Probe,
    ProbeHandler,
    Protocol,
    PullPolicy,
    ResourceRequirements,
    SecurityContext,
    TerminationMessagePolicy,
    URIScheme,
    VolumeMount,
)
from api.core.volume import MountPropagationMode
from api.fielderrors import (
    FieldError,
    Path,
    duplicate,
    forbidden,
    invalid,
    not_found,
    not_supported,
    required,
)
from control.resources.checks import (
    amount,
    check_enum,
    check_exactly_one,
    check_non_negative,
    check_port,
    check_port_or_name,
    check_text,
    check_unique,
    is_negative,
)

AnyContainer = Container | EphemeralContainer

FIELD_PATHS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
RESOURCE_FIELDS = tuple(
    f"{kind}.{name}"
    for kind in ("limits", "requests")
    for name in ("cpu", "ephemeral-storage", "memory")
)


def container_errors(
    container: AnyContainer, path: Path, volumes: frozenset[str], *, host_network: bool
) -> Iterator[FieldError]:
    """Everything that is wrong with one container; `volumes` are the pod's volume names."""
    yield from check_text(path.child("name"), container.name, validation.dns1123_label)
    yield from _image_errors(container, path)
    yield from _port_errors(container.ports, path.child("ports"), host_network=host_network)
    for number, variable in enumerate(container.env):
        yield from _env_errors(variable, path.child("env").index(number))
    for number, source in enumerate(container.env_from):
        yield from _env_from_errors(source, path.child("envFrom").index(number))
    yield from _mount_errors(container.volume_mounts, path.child("volumeMounts"), volumes)
    yield from resource_errors(container.resources, path.child("resources"))
    yield from check_enum(
        path.child("terminationMessagePolicy"),
        container.termination_message_policy,
        TerminationMessagePolicy,
    )
    if container.security_context is not None:
        yield from security_errors(container.security_context, path.child("securityContext"))


def app_container_errors(container: Container, path: Path) -> Iterator[FieldError]:
    """Probes and hooks, which plain init containers may not have."""
    for name, probe in _probes(container):
        yield from _probe_errors(probe, path.child(name), readiness=name == "readinessProbe")
    if container.lifecycle is not None:
        where = path.child("lifecycle")
        hooks = (
            ("postStart", container.lifecycle.post_start),
            ("preStop", container.lifecycle.pre_stop),
        )
        for name, hook in hooks:
            if hook is not None:
                yield from _handler_errors(hook, where.child(name))


def init_container_errors(container: Container, path: Path) -> Iterator[FieldError]:
    """A plain init container has no probes and no hooks; a restartable one is an app container."""
    if container.restart_policy == "Always":
        yield from app_container_errors(container, path)
        return
    if container.restart_policy is not None:
        yield not_supported(path.child("restartPolicy"), container.restart_policy, ("Always",))
    for name, _ in _probes(container):
        yield forbidden(
            path.child(name), "may not be set for init containers without restartPolicy=Always"
        )
    if container.lifecycle is not None:
        yield forbidden(
            path.child("lifecycle"),
            "may not be set for init containers without restartPolicy=Always",
        )


def _probes(container: Container) -> list[tuple[str, Probe]]:
    found = (
        ("livenessProbe", container.liveness_probe),
        ("readinessProbe", container.readiness_probe),
        ("startupProbe", container.startup_probe),
    )
    return [(name, probe) for name, probe in found if probe is not None]


def _image_errors(container: AnyContainer, path: Path) -> Iterator[FieldError]:
    image = container.image
    if not image:
        yield required(path.child("image"), "")
    elif image != image.strip():
        yield invalid(path.child("image"), image, "must not have leading or trailing whitespace")
    yield from check_enum(path.child("imagePullPolicy"), container.image_pull_policy, PullPolicy)


def _port_errors(
    ports: Iterable[ContainerPort], path: Path, *, host_network: bool
) -> Iterator[FieldError]:
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
        if host_network and port.host_port != port.container_port:
            yield invalid(
                where.child("hostPort"),
                port.host_port,
                "must match `containerPort` when `hostNetwork` is true",
            )
        yield from check_enum(where.child("protocol"), port.protocol, Protocol, needed=True)
        if port.host_ip:
            yield from check_text(where.child("hostIP"), port.host_ip, validation.ip_address)


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


def _env_errors(variable: EnvVar, path: Path) -> Iterator[FieldError]:
    yield from check_text(path.child("name"), variable.name, validation.env_var_name)
    source = variable.value_from
    if source is None:
        return
    where = path.child("valueFrom")
    if variable.value:
        yield invalid(where, "", "may not be specified when `value` is not empty")
    yield from check_exactly_one(
        where,
        {
            "fieldRef": source.field_ref,
            "resourceFieldRef": source.resource_field_ref,
            "configMapKeyRef": source.config_map_key_ref,
            "secretKeyRef": source.secret_key_ref,
            "fileKeyRef": source.file_key_ref,
        },
        "one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`",
    )
    if source.field_ref is not None:
        yield from field_path_errors(
            source.field_ref.field_path, where.child("fieldRef", "fieldPath"), FIELD_PATHS
        )
    if source.resource_field_ref is not None:
        yield from resource_field_errors(
            source.resource_field_ref.resource, where.child("resourceFieldRef", "resource")
        )
    for name, reference in (
        ("configMapKeyRef", source.config_map_key_ref),
        ("secretKeyRef", source.secret_key_ref),
    ):
        if reference is not None:
            if not reference.name:
                yield required(where.child(name, "name"), "")
            yield from check_text(
                where.child(name, "key"), reference.key, validation.config_map_key
            )


def field_path_errors(
    field_path: str, path: Path, allowed: tuple[str, ...]
) -> Iterator[FieldError]:
    """A downward-API path: one of `allowed`, or one label or annotation by key."""
    if not field_path:
        yield required(path, "")
        return
    base, bracket, rest = field_path.partition("['")
    if bracket and base in ("metadata.labels", "metadata.annotations") and rest.endswith("']"):
        for why in validation.qualified_name(rest.removesuffix("']").lower()):
            yield invalid(path, field_path, why)
    elif field_path not in allowed:
        yield not_supported(path, field_path, allowed)


def resource_field_errors(resource: str, path: Path) -> Iterator[FieldError]:
    """`limits.cpu`, `requests.memory`, …"""
    if not resource:
        yield required(path, "")
    elif resource not in RESOURCE_FIELDS and ".hugepages-" not in resource:
        yield not_supported(path, resource, RESOURCE_FIELDS)


def _env_from_errors(source: EnvFromSource, path: Path) -> Iterator[FieldError]:
    if source.prefix:
        yield from check_text(path.child("prefix"), source.prefix, validation.env_var_name)
    yield from check_exactly_one(
        path,
        {"configMapRef": source.config_map_ref, "secretRef": source.secret_ref},
        "one of: `configMapRef` or `secretRef`",
    )
    for name, reference in (
        ("configMapRef", source.config_map_ref),
        ("secretRef", source.secret_ref),
    ):
        if reference is not None:
            yield from check_text(
                path.child(name, "name"), reference.name, validation.dns1123_subdomain
            )


def _mount_errors(
    mounts: Iterable[VolumeMount], path: Path, volumes: frozenset[str]
) -> Iterator[FieldError]:
    mounts = list(mounts)
    for number, mount in enumerate(mounts):
        where = path.index(number)
        if not mount.name:
            yield required(where.child("name"), "")
        elif mount.name not in volumes:
            yield not_found(where.child("name"), mount.name)
        if not mount.mount_path:
            yield required(where.child("mountPath"), "")
        for name, value in (("subPath", mount.sub_path), ("subPathExpr", mount.sub_path_expr)):
            yield from relative_path_errors(value, where.child(name))
        if mount.sub_path and mount.sub_path_expr:
            yield invalid(
                where.child("subPathExpr"),
                mount.sub_path_expr,
                "subPathExpr and subPath are mutually exclusive",
            )
        yield from check_enum(
            where.child("mountPropagation"), mount.mount_propagation, MountPropagationMode
        )
    yield from check_unique(
        path,
        ((path.index(n).child("mountPath"), mount.mount_path) for n, mount in enumerate(mounts)),
    )


def relative_path_errors(value: str, path: Path) -> Iterator[FieldError]:
    """A path below a volume: relative, without `..`. Empty passes."""
    if value.startswith("/"):
        yield invalid(path, value, "must be a relative path")
    if ".." in value.split("/"):
        yield invalid(path, value, "must not contain '..'")


def _probe_errors(probe: Probe, path: Path, *, readiness: bool) -> Iterator[FieldError]:
    yield from _handler_errors(probe, path)
    for name, value in (
        ("initialDelaySeconds", probe.initial_delay_seconds),
        ("timeoutSeconds", probe.timeout_seconds),
        ("periodSeconds", probe.period_seconds),
        ("successThreshold", probe.success_threshold),
        ("failureThreshold", probe.failure_threshold),
    ):
        yield from check_non_negative(path.child(name), value)
    if not readiness and probe.success_threshold > 1:
        yield invalid(path.child("successThreshold"), probe.success_threshold, "must be 1")
    grace = probe.termination_grace_period_seconds
    if grace is not None:
        where = path.child("terminationGracePeriodSeconds")
        if readiness:
            yield invalid(where, grace, "must not be set for readinessProbes")
        elif grace <= 0:
            yield invalid(where, grace, "must be greater than 0")


def _handler_errors(handler: ProbeHandler | LifecycleHandler, path: Path) -> Iterator[FieldError]:
    choices: dict[str, object] = {
        "exec": handler.exec,
        "httpGet": handler.http_get,
        "tcpSocket": handler.tcp_socket,
    }
    if isinstance(handler, LifecycleHandler):
        choices["sleep"] = handler.sleep
    else:
        choices["grpc"] = handler.grpc
    yield from check_exactly_one(path, choices, "a handler type")
    if handler.exec is not None and not handler.exec.command:
        yield required(path.child("exec", "command"), "")
    if handler.http_get is not None:
        where = path.child("httpGet")
        if not handler.http_get.path:
            yield required(where.child("path"), "")
        yield from check_port_or_name(where.child("port"), handler.http_get.port)
        yield from check_enum(where.child("scheme"), handler.http_get.scheme, URIScheme)
    if handler.tcp_socket is not None:
        yield from check_port_or_name(path.child("tcpSocket", "port"), handler.tcp_socket.port)
    if isinstance(handler, LifecycleHandler):
        if handler.sleep is not None and handler.sleep.seconds < 0:
            yield invalid(
                path.child("sleep", "seconds"), handler.sleep.seconds, "must not be negative"
            )
    elif handler.grpc is not None:
        yield from check_port(path.child("grpc", "port"), handler.grpc.port)


def resource_errors(resources: ResourceRequirements, path: Path) -> Iterator[FieldError]:
    """Quantities are not negative and no request exceeds its limit."""
    for kind, values in (("limits", resources.limits), ("requests", resources.requests)):
        for name, value in values.items():
            where = path.child(kind).key(name)
            for why in validation.qualified_name(name):
                yield invalid(where, name, why)
            if is_negative(value):
                yield invalid(where, value, "must be greater than or equal to 0")
    for name, value in resources.requests.items():
        limit = resources.limits.get(name)
        where = path.child("requests").key(name)
        if limit is not None and amount(value) > amount(limit):
            yield invalid(where, value, f"must be less than or equal to {name} limit of {limit}")
        elif limit is None and not _overcommits(name):
            yield required(
                path.child("limits"), f"Limit must be set for non overcommitable resources ({name})"
            )


def _overcommits(resource: str) -> bool:
    """Whether requests may be below limits: native resources except huge pages."""
    return "/" not in resource and not resource.startswith("hugepages-")


def security_errors(security: SecurityContext, path: Path) -> Iterator[FieldError]:
    """Ranges and contradictions within one container's security context."""
    yield from check_non_negative(path.child("runAsUser"), security.run_as_user)
    yield from check_non_negative(path.child("runAsGroup"), security.run_as_group)
    if security.run_as_non_root and security.run_as_user == 0:
        yield invalid(
            path.child("runAsUser"),
            0,
            "must not be 0 when `runAsNonRoot` is true: the container could never start",
        )
    if security.allow_privilege_escalation is False:
        where = path.child("allowPrivilegeEscalation")
        if security.privileged:
            yield invalid(
                where,
                security.privileged,
                "cannot set `allowPrivilegeEscalation` to false and `privileged` to true",
            )
        added = security.capabilities.add if security.capabilities is not None else []
        if any(capability in ("CAP_SYS_ADMIN", "SYS_ADMIN") for capability in added):
            yield invalid(
                where,
                False,
                "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN",
            )
