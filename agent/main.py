"""The agent's process: how it starts and how it ends.

    settings → engine → access (join) → assembly (agent/assembly.py) → READY=1

Everything runs on one event loop (uvloop) under one task guard: if any part fails, the process ends
loudly and is started again, and finds everything as it was. TERM and INT end it in order; containers
and the network keep running, because they belong to the engine and to the kernel; unless the whole
machine goes down, and its pods are to end in order, too.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import signal

import uvloop

from agent.assembly import Agent
from agent.containers.runtime import DockerRuntime
from agent.node import inhibitor, join
from agent.node.join import Access, Invitation
from agent.node.machine import default_address, default_node_name
from agent.parts import Parts
from agent.settings import AgentSettings
from base import systemd
from base.clock import Clock, SystemClock
from base.errors import PermanentError
from base.files import make_directory
from base.garbage import Garbage
from base.tasks import TaskGuard

log = logging.getLogger(__name__)


_libc = ctypes.CDLL(None)
_M_ARENA_MAX = -8
"""mallopt(3): without it each thread that talks to the engine keeps a heap of its own."""


MARGIN = 10.0
"""Seconds beside the pods' own that systemd is asked for when the machine goes down."""
WHOLE_SECONDS = 600.0
"""Between two collections that look at everything: some 50 ms, for what the pods of that time left."""


def run(settings: AgentSettings) -> int:
    """Run the agent until it is told to end; returns the exit code."""
    _libc.mallopt(_M_ARENA_MAX, 2)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(settings))
    return 0


async def serve(settings: AgentSettings, *, clock: Clock | None = None) -> None:
    """Start everything, wait for the signal to end or for a failure, stop everything."""
    clock = clock or SystemClock()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    if settings.kubeconfig is None and join.existing_access(settings.pki_dir) is None:
        invitation(settings)  # a mistake that is better told before anything is touched
    make_directory(settings.state_dir, 0o700)
    make_directory(settings.run_dir, 0o755)
    # Inside out: first the tasks end, then what they worked with is closed.
    async with contextlib.AsyncExitStack() as closing, TaskGuard("agent") as guard:
        work = guard.start(_work(settings, clock, guard, closing), name="start")
        await _until_stopped(stop, guard)
        systemd.notify("STOPPING=1")
        if work.done():
            await _shut_down(work.result(), stop)
        log.info("stopping; containers keep running")


async def _work(
    settings: AgentSettings,
    clock: Clock,
    guard: TaskGuard,
    closing: contextlib.AsyncExitStack,
) -> Agent:
    """The start, step by step. Joining may take long, and TERM ends it at any step."""
    garbage = Garbage()
    garbage.install()
    closing.callback(garbage.remove)
    name = settings.node_name or default_node_name()
    address = settings.node_ip or default_address()
    runtime = DockerRuntime(settings.docker_host, clock=clock)
    closing.push_async_callback(runtime.close)
    access = await find_access(settings, name, clock)
    client = access.client()
    closing.push_async_callback(client.close)
    agent = await Agent.make(
        Parts(
            settings=settings,
            name=name,
            address=address,
            runtime=runtime,
            access=access,
            client=client,
            clock=clock,
            guard=guard,
        )
    )
    closing.push_async_callback(agent.close)
    await agent.start()
    garbage.collect()
    _libc.malloc_trim(0)
    guard.start(garbage.run(clock, seconds=WHOLE_SECONDS), name="garbage")
    log.info("node %s at %s is up", name, address)
    systemd.notify("READY=1")
    return agent


async def _shut_down(agent: Agent, stop: asyncio.Event) -> None:
    """End the pods first, if it is the machine that ends and not just us; a second signal cuts it off."""
    shutdown, settings = agent.shutdown, agent.parts.settings
    if not shutdown.enabled or not (settings.shutdown_on_term or await inhibitor.stopping()):
        return
    systemd.notify(f"EXTEND_TIMEOUT_USEC={int((shutdown.seconds + MARGIN) * 1e6)}")
    stop.clear()
    ending = agent.parts.guard.start(shutdown.perform(), name="shutdown")
    again = agent.parts.guard.start(_wait(stop), name="second signal")
    await asyncio.wait((ending, again), return_when=asyncio.FIRST_COMPLETED)


async def find_access(settings: AgentSettings, name: str, clock: Clock) -> Access:
    """How the API is reached: a given kubeconfig, what an earlier join left, or a join now."""
    if settings.kubeconfig is not None:
        return join.given_access(settings.kubeconfig)
    known = join.existing_access(settings.pki_dir)
    if known is not None and settings.join in (None, known.server):
        return known
    return await join.join(
        invitation(settings),
        name,
        settings.pki_dir,
        kubeconfig_path=settings.state_dir / join.KUBECONFIG,
        clock=clock,
    )


def invitation(settings: AgentSettings) -> Invitation:
    """What the machine was told to join with. Raises PermanentError when that is not enough."""
    if not (settings.join and settings.token and settings.ca_hash):
        raise PermanentError(
            "this machine has not joined a cluster",
            hint="Give --join, --token and --ca-hash; `podwright token create` on the control "
            "machine prints them.",
        )
    return Invitation(server=settings.join, token=settings.token, ca_hash=settings.ca_hash)


async def _until_stopped(stop: asyncio.Event, guard: TaskGuard) -> None:
    """Wait for a signal, or for a part to fail: then its error."""
    stopped = guard.start(_wait(stop), name="signal")
    failed = guard.start(guard.failed(), name="failure")
    done, _ = await asyncio.wait((stopped, failed), return_when=asyncio.FIRST_COMPLETED)
    if failed in done:
        await failed


async def _wait(stop: asyncio.Event) -> None:
    await stop.wait()
