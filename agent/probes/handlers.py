"""Asking a container: exec, httpGet, tcpSocket and grpc (steps 4 and 5 of the pod's walk).

Every question ends within its timeout, with an answer that says what was asked and what came back:
first in Kubernetes' words, then what they leave out.
Concurrency: any number at a time, each in its caller's task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from agent.containers.errors import Paused, RuntimeFailure
from agent.containers.interface import Runtime
from agent.containers.records import ContainerId
from agent.probes import http
from api.core import Container, GRPCAction, HTTPGetAction, Probe, TCPSocketAction

MAX_OUTPUT = 1024
"""Characters of a command's or server's answer that are told on."""
MAX_BODY = 200
"""Characters of a web page that says why something failed."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The answer to one question; `unknown` when it could not even be asked."""

    passed: bool
    message: str = ""
    unknown: bool = False
    warning: bool = False
    """It passed, for a reason that somebody should look at."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """Which container is asked, and where it listens."""

    container: Container
    id: ContainerId
    ip: str


async def ask(probe: Probe, target: Target, runtime: Runtime, *, timeout: float) -> Verdict:
    """Put a probe's question once."""
    if probe.exec is not None:
        return await ask_exec(probe.exec.command, target.id, runtime, timeout=timeout)
    if probe.http_get is not None:
        return await ask_http(probe.http_get, target, timeout=timeout)
    if probe.tcp_socket is not None:
        return await ask_tcp(probe.tcp_socket, target, timeout=timeout)
    if probe.grpc is not None:
        return await ask_grpc(probe.grpc, target, timeout=timeout)
    return Verdict(passed=False, unknown=True, message="missing probe handler")


async def ask_exec(
    command: Sequence[str], id: ContainerId, runtime: Runtime, *, timeout: float | None
) -> Verdict:
    """Run a command in the container; exit code 0 passes."""
    asked = f'command "{" ".join(command)}"'
    try:
        result = await runtime.exec(id, command, timeout=timeout)
    except Paused:
        return Verdict(passed=False, message=f"{asked} cannot run: the container is paused")
    except RuntimeFailure as error:
        return Verdict(passed=False, message=error.message, unknown=True)
    output = result.output.decode("utf-8", "replace")[:MAX_OUTPUT]
    if result.timed_out:
        said = f", having said: {output.strip()}" if output.strip() else ""
        return Verdict(passed=False, message=f"{asked} timed out{said}")
    if result.exit_code == 0:
        return Verdict(passed=True, message=output)
    ended = f"{asked} exited with {result.exit_code}"
    return Verdict(
        passed=False, message=f"{output.rstrip()} ({ended})" if output.strip() else ended
    )


async def ask_http(action: HTTPGetAction, target: Target, *, timeout: float) -> Verdict:
    """GET; a status from 200 to 399 passes."""
    answer = await _get(action, target, timeout=timeout)
    if isinstance(answer, Verdict):
        return answer
    if 200 <= answer.status < 400:
        if answer.elsewhere:
            words = f"Probe terminated redirects, Response body: {answer.body[:MAX_OUTPUT]}"
            return Verdict(passed=True, message=words, warning=True)
        return Verdict(passed=True, message=answer.body[:MAX_OUTPUT])
    return Verdict(passed=False, message=f"HTTP probe failed with {_refused(answer)}")


async def call_http(action: HTTPGetAction, target: Target, *, timeout: float) -> Verdict:
    """GET; every answer passes, as Kubernetes promises nothing of a hook's. One from 400 is told of."""
    answer = await _get(action, target, timeout=timeout)
    if isinstance(answer, Verdict):
        return answer
    if answer.status < 400:
        return Verdict(passed=True)
    return Verdict(passed=True, message=f"answered with {_refused(answer)}", warning=True)


async def _get(action: HTTPGetAction, target: Target, *, timeout: float) -> http.Answer | Verdict:
    """The answer, or why there is none."""
    port = resolve_port(action.port, target.container)
    if port is None:
        return _no_port(action.port)
    path = action.path or "/"
    request = http.Get(
        scheme=action.scheme or "HTTP",
        host=action.host or target.ip,
        port=port,
        path=http.escaped(path if path.startswith("/") else f"/{path}"),
        headers=tuple((header.name, header.value) for header in action.http_headers),
    )
    try:
        async with asyncio.timeout(timeout):
            return await http.get(request)
    except TimeoutError:
        words = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        return Verdict(passed=False, message=f'Get "{request.url}": {words}')
    except http.HttpFailure as error:
        return Verdict(passed=False, message=str(error))


def _refused(answer: http.Answer) -> str:
    said = " ".join(answer.body[:MAX_BODY].split())
    words = f"statuscode: {answer.status} (GET {answer.url}"
    return f"{words} answered: {said})" if said else f"{words})"


async def ask_tcp(action: TCPSocketAction, target: Target, *, timeout: float) -> Verdict:
    """Connect; an open port passes."""
    port = resolve_port(action.port, target.container)
    if port is None:
        return _no_port(action.port)
    host = action.host or target.ip
    address = f"{http.bracketed(host)}:{port}"
    try:
        async with asyncio.timeout(timeout):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return Verdict(passed=False, message=f"dial tcp {address}: i/o timeout")
    except OSError as error:
        words = http.words(error)
        return Verdict(passed=False, message=f"dial tcp {address}: connect: {words}")
    except ValueError:  # not a host name at all
        return Verdict(passed=False, message=http.no_such_host(host))
    writer.transport.abort()
    return Verdict(passed=True)


async def ask_grpc(action: GRPCAction, target: Target, *, timeout: float) -> Verdict:
    """Ask for gRPC's own health; SERVING passes."""
    from agent.probes import grpc  # its HTTP/2 is a megabyte that most agents never need

    try:
        await grpc.check(target.ip, action.port, action.service or "", timeout=timeout)
    except grpc.GrpcFailure as error:
        message, asked = str(error)[:MAX_OUTPUT], f"{http.bracketed(target.ip)}:{action.port}"
        if asked not in message:
            service = f"service {action.service!r}" if action.service else "the server as a whole"
            message += f" (asked {asked} about {service})"
        return Verdict(passed=False, message=message)
    return Verdict(passed=True, message="service healthy")


def resolve_port(port: int | str, container: Container) -> int | None:
    """A port by number, or by the name that the container gives it."""
    if isinstance(port, int):
        return port if 0 < port < 65536 else None
    if port.isascii() and port.isdigit():
        return resolve_port(int(port), container)
    return next((p.container_port for p in container.ports if p.name == port), None)


def _no_port(port: int | str) -> Verdict:
    """Says nothing about the container, which must not be ended for a name that nobody gave a port."""
    return Verdict(passed=False, message=f'couldn\'t find port: "{port}" in pod', unknown=True)
