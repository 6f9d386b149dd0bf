"""The control plane's process: what starts in which order, and how it ends.

    settings → keys → store → caches → first objects → API server → controllers and scheduler
                                                       READY=1

Everything runs on one event loop (uvloop) under one task guard: if any part fails, the process ends
loudly and is started again. TERM and INT end it in order: no new connections, requests get a moment,
then the parts stop from the last to the first, and the store finishes what it has accepted.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import signal
import socket
from collections.abc import Sequence
from functools import partial

import uvloop

from api.why import Explanation
from base import systemd
from base.clock import Clock, SystemClock
from base.errors import PermanentError
from base.garbage import Garbage
from base.tasks import TaskGuard
from control import initial, pki
from control.apiserver import build
from control.apiserver.agents.deaths import deaths_of
from control.apiserver.build import ApiParts
from control.controllers.context import Context, Informers, NodeSettings
from control.controllers.manager import Manager
from control.controllers.metrics import WorkQueues
from control.looplag import LoopLag
from control.pki import ControlKeys
from control.scheduler import configuration
from control.scheduler.profile import Configuration
from control.settings import ControlSettings
from control.store.compaction import KeepByAge, run_compaction
from control.store.interface import Store
from control.store.sqlite import SqliteStore
from control.why.explainer import Explainer

log = logging.getLogger(__name__)

STORE_DIRECTORY = "store"
WHOLE_SECONDS = 3600.0
"""Between two collections that look at everything: half a second with 50,000 pods."""


def run(settings: ControlSettings) -> int:
    """Run the control plane until it is told to end; returns the exit code."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(settings))
    return 0


async def serve(settings: ControlSettings, *, clock: Clock | None = None) -> None:
    """Start everything, wait for the signal to end or for a failure, stop everything."""
    clock = clock or SystemClock()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    file = settings.scheduler_config
    scheduling = configuration.read(file) if file is not None else Configuration()
    advertised = settings.advertise_address or own_address()
    keys = pki.ensure(settings, advertised, clock)
    sockets = open_sockets(settings)
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    store = await SqliteStore.open(settings.state_dir / STORE_DIRECTORY, clock=clock)
    garbage = Garbage()
    garbage.install()
    try:
        async with TaskGuard("control") as guard:
            parts = build.build(
                settings=settings, store=store, keys=keys, advertised=advertised, clock=clock
            )
            await _start(parts, guard, store, settings, advertised, clock)
            renewal = pki.keep(settings, advertised, clock, keys, parts.renew)
            guard.start(renewal, name="certificates")
            await parts.server.listen(sockets)
            if settings.controllers:
                start_controllers(parts, guard, settings, scheduling, keys, clock)
            garbage.collect()
            guard.start(garbage.run(clock, seconds=WHOLE_SECONDS), name="garbage")
            log.info("serving on port %d, advertised as %s", settings.port, advertised)
            systemd.notify("READY=1")
            await _until_stopped(stop, guard)
            systemd.notify("STOPPING=1")
            log.info("stopping")
            await parts.close(settings.shutdown_grace)
    finally:
        garbage.remove()
        await store.close()


async def _start(
    parts: ApiParts,
    guard: TaskGuard,
    store: Store,
    settings: ControlSettings,
    advertised: str,
    clock: Clock,
) -> None:
    lag = LoopLag(clock)
    parts.metrics.register(lag)
    guard.start(lag.run(), name="loop lag")
    await parts.start(guard)
    policy = KeepByAge(settings.compaction_interval)
    guard.start(run_compaction(store, clock=clock, policy=policy), name="compaction")
    client = parts.client("system:apiserver")
    made = await initial.begin(client, settings, advertised)
    keeping = initial.keep(client, settings, advertised, clock, made=made)
    guard.start(keeping, name="initial objects")


def start_controllers(
    parts: ApiParts,
    guard: TaskGuard,
    settings: ControlSettings,
    scheduling: Configuration,
    keys: ControlKeys,
    clock: Clock,
) -> None:
    """Start the scheduler and the controllers. The one place where they are called."""
    client = parts.client("system:kube-controller-manager")
    context = Context(
        client=client,
        informers=Informers(client, clock),
        clock=clock,
        ca=keys.ca,
        tokens=keys.tokens,
        guard=guard,
        catalogue=parts.registry.catalogue,
        nodes=NodeSettings(
            cluster_cidr=ipaddress.IPv4Network(settings.cluster_cidr),
            node_cidr_mask_size=settings.node_cidr_mask_size,
            monitor_grace=settings.node_monitor_grace_period,
            eviction_rate=settings.node_eviction_rate,
            secondary_eviction_rate=settings.secondary_node_eviction_rate,
            unhealthy_share=settings.unhealthy_zone_threshold,
            large_zone=settings.large_cluster_size_threshold,
        ),
        event_ttl=settings.event_ttl,
        scheduling=scheduling,
        pod_usage=parts.pod_metrics.every,
    )
    manager = Manager(context)
    reader = parts.client("system:kube-scheduler")
    deaths = partial(deaths_of, parts.agents)
    explainer = Explainer(reader, manager.scheduler, scheduling.profiles, deaths, clock)
    parts.reports.attach(Explanation, explainer.explain)
    parts.components.attach("controller-manager", manager.check)
    parts.components.attach("scheduler", manager.check_scheduler)
    parts.metrics.register(WorkQueues(manager.statistics))
    guard.start(manager.run(), name="controllers")


async def _until_stopped(stop: asyncio.Event, guard: TaskGuard) -> None:
    stopped = guard.start(_wait(stop), name="signal")
    failed = guard.start(_failed(guard), name="failure")
    done, _ = await asyncio.wait((stopped, failed), return_when=asyncio.FIRST_COMPLETED)
    if failed in done:
        await failed


async def _wait(stop: asyncio.Event) -> None:
    await stop.wait()


async def _failed(guard: TaskGuard) -> None:
    await guard.failed()


def open_sockets(settings: ControlSettings) -> Sequence[socket.socket]:
    """The sockets to listen on: our own, and those we were started with."""
    opened = [_listen(settings.listen_address, settings.port)]
    for number in settings.listen_fd:
        try:
            inherited = socket.socket(fileno=number)
        except OSError as error:
            raise PermanentError(
                f"--listen-fd {number} is not a socket: {error.strerror}",
                hint="It is for whoever starts the control plane with a socket already open.",
            ) from error
        inherited.setblocking(False)
        opened.append(inherited)
    return opened


def _listen(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, port))
    except OSError as error:
        sock.close()
        raise PermanentError(
            f"cannot listen on {address}:{port}: {error.strerror}",
            hint=f"`ss -ltnp sport = :{port}` shows who does. Choose another --port, or end it.",
        ) from error
    sock.setblocking(False)
    return sock


def own_address() -> str:
    """The address this machine uses towards the world; loopback when it has no route."""
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # a documentation address: UDP sends nothing here
            address: str = probe.getsockname()[0]
        except OSError:
            return "127.0.0.1"
        return address
