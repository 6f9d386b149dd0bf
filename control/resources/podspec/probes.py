"""Validation of probes and hooks, and of who may have them."""

from collections.abc import Iterator

from api import validation
from api.core import Container, HTTPGetAction, LifecycleHandler, Probe, ProbeHandler, URIScheme
from api.core.probe import Signal
from api.fielderrors import FieldError, Path, forbidden, invalid, required
from control.resources.checks import (
    check_enum,
    check_exactly_one,
    check_non_negative,
    check_port,
    check_port_or_name,
)

_NOT_FOR_INIT = "may not be set for init containers without restartPolicy=Always"


def app_container_errors(container: Container, path: Path, grace: int) -> Iterator[FieldError]:
    """Probes and hooks, which plain init containers may not have; `grace` is the pod's."""
    for name, probe in _probes(container):
        yield from _probe_errors(probe, path.child(name), readiness=name == "readinessProbe")
    for name, hook in _hooks(container):
        where = path.child("lifecycle", name)
        yield from _handler_errors(hook, where)
        if hook.sleep is not None and not 0 <= hook.sleep.seconds <= grace:
            yield invalid(
                where.child("sleep"),
                hook.sleep.seconds,
                f"must be non-negative and less than terminationGracePeriodSeconds ({grace})",
            )


def init_container_errors(container: Container, path: Path, grace: int) -> Iterator[FieldError]:
    """A plain init container has no probes and no hooks; a restartable one is an app container."""
    if container.restart_policy == "Always":
        yield from app_container_errors(container, path, grace)
        return
    for name, _ in _probes(container):
        yield forbidden(path.child(name), _NOT_FOR_INIT)
    if container.lifecycle is not None:
        yield forbidden(path.child("lifecycle"), _NOT_FOR_INIT)


def stop_signal_errors(container: Container, path: Path, *, os: str) -> Iterator[FieldError]:
    """A stop signal is a number of one system, which the pod must therefore name."""
    signal = container.lifecycle.stop_signal if container.lifecycle is not None else None
    if signal is None:
        return
    where = path.child("lifecycle", "stopSignal")
    if not os:
        yield forbidden(where, "may not be set for containers with empty `spec.os.name`")
    yield from check_enum(where, signal, Signal, needed=True)


def _probes(container: Container) -> list[tuple[str, Probe]]:
    found = (
        ("livenessProbe", container.liveness_probe),
        ("readinessProbe", container.readiness_probe),
        ("startupProbe", container.startup_probe),
    )
    return [(name, probe) for name, probe in found if probe is not None]


def _hooks(container: Container) -> list[tuple[str, LifecycleHandler]]:
    if container.lifecycle is None:
        return []
    found = (
        ("postStart", container.lifecycle.post_start),
        ("preStop", container.lifecycle.pre_stop),
    )
    return [(name, hook) for name, hook in found if hook is not None]


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
    yield from check_exactly_one(path, choices, "handler type")
    if handler.exec is not None and not handler.exec.command:
        yield required(path.child("exec", "command"), "")
    if handler.http_get is not None:
        yield from _http_get_errors(handler.http_get, path.child("httpGet"))
    if handler.tcp_socket is not None:
        yield from check_port_or_name(path.child("tcpSocket", "port"), handler.tcp_socket.port)
    if isinstance(handler, ProbeHandler) and handler.grpc is not None:
        yield from check_port(path.child("grpc", "port"), handler.grpc.port)


def _http_get_errors(action: HTTPGetAction, path: Path) -> Iterator[FieldError]:
    if not action.path:
        yield required(path.child("path"), "")
    yield from check_port_or_name(path.child("port"), action.port)
    yield from check_enum(path.child("scheme"), action.scheme, URIScheme)
    for header in action.http_headers:
        for why in validation.http_header_name(header.name):
            yield invalid(path.child("httpHeaders"), header.name, why)
