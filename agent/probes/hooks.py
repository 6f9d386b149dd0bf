"""postStart and preStop (steps 4 and 7 of the pod's walk).

A hook is asked once, has no threshold and, for postStart, no time limit but the container's own
life. It is delivered at least once: an agent whose predecessor was killed while it ran runs it again.
A request that was answered has been delivered, whatever the answer's status.
"""

from __future__ import annotations

import logging

from agent.containers.interface import Runtime
from agent.probes.handlers import Target, Verdict, ask_exec, ask_tcp, call_http
from api.core import LifecycleHandler
from base.clock import Clock

log = logging.getLogger(__name__)

HTTP_TIMEOUT = 3600.0
TCP_TIMEOUT = 60.0


async def run_hook(
    handler: LifecycleHandler,
    target: Target,
    runtime: Runtime,
    *,
    timeout: float | None,
    clock: Clock,
) -> Verdict:
    """Run a hook. `timeout` in seconds; None waits as long as it takes."""
    try:
        return await _run(handler, target, runtime, timeout=timeout, clock=clock)
    except Exception as error:  # one odd answer must not stop the agent
        log.exception("a hook of container %s failed unexpectedly", target.container.name)
        words = f"the agent failed unexpectedly: {type(error).__name__}: {error}"
        return Verdict(passed=False, message=words)


async def _run(
    handler: LifecycleHandler,
    target: Target,
    runtime: Runtime,
    *,
    timeout: float | None,
    clock: Clock,
) -> Verdict:
    if handler.exec is not None:
        verdict = await ask_exec(handler.exec.command, target.id, runtime, timeout=timeout)
        if verdict.passed:
            return verdict
        words = f"Exec lifecycle hook ({_go_list(handler.exec.command)}) failed"
        return Verdict(passed=False, message=f"{words}: {verdict.message}")
    if handler.http_get is not None:
        return await call_http(handler.http_get, target, timeout=_within(timeout, HTTP_TIMEOUT))
    if handler.tcp_socket is not None:  # the kubelet takes it, and cannot run it
        return await ask_tcp(handler.tcp_socket, target, timeout=_within(timeout, TCP_TIMEOUT))
    if handler.sleep is not None:
        seconds = float(handler.sleep.seconds)
        await clock.sleep(seconds if timeout is None else min(seconds, timeout))
        return Verdict(passed=True)
    return Verdict(passed=False, message="invalid handler: it names nothing to do")


def _within(timeout: float | None, longest: float) -> float:
    return longest if timeout is None else timeout


def _go_list(words: list[str]) -> str:
    return f"[{' '.join(words)}]"
