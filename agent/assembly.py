"""Putting the agent together, in the order in which its parts need each other (step 4 of the walk).

    engine facts → cgroups, pause image → pod manager (what is there) → informers (what is wanted)
                 → node registered → pod range → network → Services; serving certificate → server

Pods start as soon as the API's list is there; those that need an address wait for the network. When
the API is away, checkpoints stand in for it after `api-patience`, and the rest goes on in the
background whenever it can.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial

from agent.containers import pause
from agent.containers.images import Images
from agent.containers.records import EngineInfo
from agent.effects.context import AgentContext
from agent.node import join, machine, oomwatch
from agent.node.daemons import Daemons
from agent.node.diskfigures import DiskFigures
from agent.node.engine import EngineHealth
from agent.node.engineless import wait_for_engine
from agent.node.heartbeat import Heartbeat
from agent.node.housekeeping import Housekeeper, Limits
from agent.node.identity import identity
from agent.node.inhibitor import Inhibitor
from agent.node.network import LateNetwork, NetworkFeed, PluginNetwork
from agent.node.nodeevents import NodeEvents
from agent.node.objects import ReferencedObjects
from agent.node.observer import NodeObserver
from agent.node.oomwatch import OomWatch
from agent.node.pages import Pages
from agent.node.pinning import Pinning
from agent.node.podrange import PodRange
from agent.node.shutdown import NodeShutdown
from agent.parts import Parts, informers, network_config, resolvers
from agent.pod.checkpoint import Checkpoints
from agent.pod.lookup import Pods
from agent.pod.manager import PodManager
from agent.pod.mirrors import MirrorPods
from agent.pod.podusage import PodsUsage
from agent.pod.pusher import StatusPusher
from agent.probes.turns import ExecTurns
from agent.resources import cpumanager, cpusets
from agent.resources.cgroups import Cgroups, Layout
from agent.resources.values import node_values
from agent.server import healthz
from agent.server.gate import Gate
from agent.server.nodelogs import NodeLogs
from agent.server.server import AgentServer
from agent.spec.facts import NodeFacts
from agent.volumes.kinds import stages
from agent.volumes.mounts import KernelMounter
from api import quantity
from api.core import Node
from api.events import EventRecorder
from base import tls
from base.errors import PermanentError, PodwrightError
from base.tls import KeyPair
from netplugin.node import NodeNetwork

log = logging.getLogger(__name__)

RETRY = 2.0


class Agent:
    """A whole agent."""

    def __init__(self, parts: Parts, engine: EngineInfo) -> None:
        self.parts = parts
        self.engine = engine
        settings, clock, guard = parts.settings, parts.clock, parts.guard
        self.identity = identity(settings, engine, name=parts.name, address=parts.address)
        self.layout = Layout(
            version=engine.cgroup_version,
            systemd=engine.cgroup_driver == "systemd",
            root=settings.cgroup_root,
        )
        self.informers = informers(parts)
        self.recorder = EventRecorder(parts.client, "kubelet", parts.name, clock=clock)
        self.events = NodeEvents(self.recorder, parts.name)
        self.late_network = LateNetwork()
        self.network: NodeNetwork | None = None
        self.network_feed: NetworkFeed | None = None
        self.server: AgentServer | None = None
        self._registered = asyncio.Event()
        self.manager = PodManager(self._context(engine))
        self.health = EngineHealth(parts.runtime, settings.pause_image, clock=clock)
        self.manager.on_engine = self.health.heard
        self.mirrors = MirrorPods(
            parts.client,
            node=lambda: self.informers.nodes.get(parts.name),
            static=self.manager.static_pods,
            leaving=self.manager.leaving_static,
            clock=clock,
            guard=guard,
        )
        self.manager.on_mirror = self.mirrors.changed
        self.manager.on_static = self.mirrors.wake
        self.observer = NodeObserver(
            self.identity,
            engine,
            health=self.health,
            network=self.late_network,
            usage=self._usage(),
            alone=self._alone,
            runtime=parts.runtime,
            state_dir=settings.state_dir,
            clock=clock,
        )
        self.heartbeat = Heartbeat(
            parts.client,
            self.identity,
            observe=self.observer.observe,
            events=self.events,
            clock=clock,
            guard=guard,
        )
        self.health.on_change = self.heartbeat.wake
        self.shutdown = NodeShutdown(
            self.manager,
            settings.shutdown_periods(),
            clock=clock,
            changed=self._shutdown_changed,
            tell=self.events.tell,
        )
        self.housekeeper = Housekeeper(
            self.manager,
            self.observer,
            self._usage(),
            parts.runtime,
            Limits(
                thresholds=settings.thresholds(),
                transition=settings.eviction_pressure_transition_period,
                longest_grace=settings.eviction_max_pod_grace_period,
                images=settings.image_policy(),
            ),
            events=self.events,
            clock=clock,
            changed=self.heartbeat.wake,
        )

    @classmethod
    async def make(cls, parts: Parts) -> Agent:
        """Wait for the engine, and prepare the machine for pods."""
        engine = await wait_for_engine(
            parts.runtime, parts.client, parts.name, clock=parts.clock, guard=parts.guard
        )
        agent = cls(parts, engine)
        capacity = agent.identity.capacity
        reserved = parts.settings.reserved()
        limits, pids = node_values(capacity, reserved), quantity.value(reserved.get("pid", "0"))
        most = max(1, machine.processes()[1] - pids) if pids else 0
        agent.manager.agent.cgroups.ensure_root(limits, pids=most)
        agent.events.tell("NodeAllocatableEnforced", "Updated Node Allocatable limit across pods")
        await pause.ensure_image(parts.runtime, parts.settings.pause_image)
        return agent

    async def start(self) -> None:
        """Start everything; returns once the node works, with the API or without it."""
        parts, guard, manager = self.parts, self.parts.guard, self.manager
        settings = parts.settings
        guard.start(self.recorder.run(), name="events")
        self.events.tell("Starting", "Starting kubelet.")
        guard.start(manager.agent.checkpoints.run(), name="checkpoints")
        guard.start(self.health.watch(), name="engine health")
        guard.start(self._oom_watch().run(), name="kernel log")
        # First listen, then look: what happens in between is heard.
        guard.start(manager.watch_engine(), name="engine events")
        await manager.start()
        self._start_static()
        guard.start(manager.relist_forever(), name="relist")
        if settings.cpu_manager_policy != "none":
            pinning = Pinning(manager, manager.agent.cpus)
            guard.start(pinning.run(), name="CPU sets")
        for informer in (
            self.informers.services,
            self.informers.pods,
            self.informers.nodes,
            self.informers.slices,
        ):
            guard.start(informer.run(), name=repr(informer))
        listed = guard.start(self._take_list(), name="pods of this node")
        registered = guard.start(self._report(), name="node")
        if self.shutdown.enabled:
            guard.start(self._inhibitor().run(), name="inhibitor lock")
        guard.start(self._bring_up_network(), name="network")
        guard.start(self._serve(), name="server")
        if port := settings.healthz_port:
            host = settings.healthz_bind_address
            guard.start(healthz.serve(host=host, port=port, clock=parts.clock), name="healthz")
        patience = parts.settings.api_patience
        await asyncio.wait((listed, registered), timeout=patience)
        if not listed.done():
            log.warning("the API does not answer; working from checkpoints")
            manager.trust_checkpoints()

    async def close(self) -> None:
        """Let go of everything; containers and the network stay. May be called twice."""
        if self.server is not None:
            await self.server.close()
        if self.network is not None:
            await self.network.close()

    # Pods.

    def _context(self, engine: EngineInfo) -> AgentContext:
        parts, settings = self.parts, self.parts.settings
        facts = NodeFacts(
            name=parts.name,
            host_ip=parts.address,
            engine=engine,
            pods_directory=settings.state_dir / "pods",
            pause_image=settings.pause_image,
            memory=quantity.value(self.identity.capacity["memory"]),
            allocatable=self.identity.allocatable,
            cluster_domain=settings.cluster_domain,
            cluster_dns=(settings.cluster_dns,),
            resolv_conf=resolvers(settings),
            seccomp_root=settings.seccomp_profile_root,
            backoff=settings.backoff(),
            runtime_handlers=settings.amounts(settings.runtime_handlers),
            unsafe_sysctls=settings.allowed_unsafe_sysctls,
            dead_limits=settings.dead_limits(),
            registry_files=settings.registry_config,
            log_limits=settings.log_limits(),
            log_root=settings.container_log_root,
        )
        mounter, objects = KernelMounter(), ReferencedObjects(parts.client, clock=parts.clock)
        return AgentContext(
            runtime=parts.runtime,
            images=Images(
                parts.runtime,
                clock=parts.clock,
                guard=parts.guard,
                parallel=settings.parallel_pulls,
            ),
            network=self.late_network,
            objects=objects,
            services=self.informers.services.items,
            cgroups=Cgroups(
                self.layout,
                pod_pids=max(0, settings.pod_max_pids),
                oom_groups=not settings.single_process_oom_kill,
            ),
            mounter=mounter,
            stages=stages(settings.state_dir / "volumes", mounter=mounter, objects=objects),
            recorder=self.recorder,
            client=parts.client,
            pusher=StatusPusher(parts.client, parts.clock, parts.guard),
            checkpoints=Checkpoints(settings.state_dir / "checkpoints", clock=parts.clock),
            clock=parts.clock,
            guard=parts.guard,
            exec_turns=ExecTurns(clock=parts.clock, guard=parts.guard),
            cpus=cpumanager.make(
                settings.cpu_manager_policy,
                settings.state_dir,
                reserved=settings.reserved_cpus or "",
                reserved_milli=quantity.milli(settings.reserved().get("cpu", "0")),
                options=settings.cpu_options(),
                topology=cpusets.read(),
            ),
            node=facts,
            own=lambda: self.informers.nodes.get(parts.name),
        )

    async def _take_list(self) -> None:
        # A container's environment names the services there are when it starts.
        await self.informers.services.synced()
        self.informers.pods.subscribe(self.manager.pod_changed)
        await self.informers.pods.synced()
        present = {pod.metadata.uid for pod in self.informers.pods.items()}
        await self.manager.api_listed(present)
        self.parts.guard.start(self.mirrors.run(), name="mirror pods")

    def _start_static(self) -> None:
        """Before strays are ended: containers of static pods belong to nobody the API knows."""
        directory = self.parts.settings.static_pod_path
        if directory is None:
            return
        # Reading manifests takes more of the API's machinery than an agent needs otherwise.
        from agent.node.staticpods import StaticPods

        static = StaticPods(
            directory,
            node=self.parts.name,
            clock=self.parts.clock,
            changed=self.manager.set_static,
        )
        static.look()
        self.parts.guard.start(static.run(), name="static pods")

    # Node.

    async def _report(self) -> None:
        await self.observer.refresh()
        self.housekeeper.look()
        await self.heartbeat.register_patiently()
        self._registered.set()
        guard = self.parts.guard
        self.informers.nodes.subscribe(self._node_changed)
        guard.start(self.heartbeat.renew_forever(), name="lease")
        guard.start(self.heartbeat.report_forever(), name="node status")
        guard.start(self.observer.refresh_forever(), name="images")
        guard.start(self.housekeeper.run(), name="housekeeping")

    def _oom_watch(self) -> OomWatch:
        return OomWatch(partial(oomwatch.tell, manager=self.manager, events=self.events))

    def _inhibitor(self) -> Inhibitor:
        return Inhibitor(
            self.shutdown.seconds,
            shut_down=self.shutdown.perform,
            call_off=self.shutdown.call_off,
            clock=self.parts.clock,
            guard=self.parts.guard,
        )

    def _shutdown_changed(self) -> None:
        self.observer.shutting_down = self.shutdown.active
        self.heartbeat.wake()

    def _node_changed(self, old: Node | None, new: Node | None) -> None:
        if new is not None:
            self.heartbeat.seen(new)

    # Network.

    async def _bring_up_network(self) -> None:
        settings, nodes = self.parts.settings, self.informers.nodes
        pod_range = PodRange(self.parts.name, settings.state_dir, nodes)
        pod_cidr = await pod_range.get()
        config = network_config(self.parts, pod_cidr)
        while True:
            self.network = network = NodeNetwork(config, self.parts.clock)
            try:
                await network.setup()
                break
            except PodwrightError as error:
                log.error("the pod network does not come up: %s", error)
                self.observer.network_error = error.message
                self.heartbeat.wake()
                await network.close()
                await self.parts.clock.sleep(RETRY * 5)
        self.parts.guard.start(network.failed(), name="network")
        self.late_network.use(PluginNetwork(network))
        self.network_feed = NetworkFeed(
            network,
            own=self.parts.name,
            nodes=nodes,
            services=self.informers.services,
            slices=self.informers.slices,
            clock=self.parts.clock,
            guard=self.parts.guard,
        )
        self.network_feed.start()
        pod_range.mind(pod_cidr, self._range_told)
        self.manager.wake_all("network")
        self.heartbeat.wake()

    def _range_told(self, problem: str) -> None:
        self.observer.range_error = problem
        self.heartbeat.wake()

    # Server.

    async def _serve(self) -> None:
        """Serve as soon as there is a certificate; renew it and the client's for ever."""
        parts, settings = self.parts, self.parts.settings
        access, own = parts.access, parts.access.context
        if access.joined and own is not None:
            client = join.Wanted(
                signer=join.CLIENT_SIGNER,
                usages=join.CLIENT_USAGES,
                name=join.CLIENT,
                node=parts.name,
            )
            renewal = join.keep_fresh(
                parts.client,
                client,
                settings.pki_dir,
                clock=parts.clock,
                use=lambda pair: tls.use_pair(own, pair),
            )
            parts.guard.start(renewal, name="client certificate")
        settings.pki_dir.mkdir(parents=True, exist_ok=True)
        # The certificate is given for the addresses that the Node object tells.
        await self._registered.wait()
        first: asyncio.Queue[KeyPair] = asyncio.Queue()
        renewal = join.keep_fresh(
            parts.client,
            join.serving(parts.name, parts.address),
            settings.pki_dir,
            clock=parts.clock,
            use=first.put_nowait,
        )
        parts.guard.start(renewal, name="serving certificate")
        context = tls.server_context(await first.get(), ca_pem=access.ca_pem)
        self.server = self._server()
        try:
            await self.server.start(host=settings.listen_address, port=settings.port, tls=context)
        except OSError as error:
            raise PermanentError(
                f"cannot listen on {settings.listen_address}:{settings.port}: {error.strerror}",
                hint=f"`ss -ltnp sport = :{settings.port}` shows who does. Choose another --port.",
            ) from error
        while True:
            tls.use_pair(context, await first.get(), ca_pem=access.ca_pem)

    def _server(self) -> AgentServer:
        manager, disks = self.manager, DiskFigures(self.manager)
        pages = self._pages(disks)
        pods = Pods(manager)
        return AgentServer(
            node_name=self.parts.name,
            runtime=self.parts.runtime,
            pods=pods,
            usage_source=self._usage(),
            statistics={
                "pods": manager.statistics,
                "status": manager.agent.pusher.statistics,
                "images": manager.agent.images.statistics,
                "engine": self.parts.runtime.statistics,
                "events": self.recorder.statistics,
                "node": self.heartbeat.statistics,
                "engine_health": self.health.statistics,
                "housekeeping": self.housekeeper.statistics,
                "cgroups": manager.agent.cgroups.statistics,
                "cpus": manager.agent.cpus.statistics,
                "probes": manager.agent.exec_turns.statistics,
                "checkpoints": manager.agent.checkpoints.statistics,
                "client": self.parts.client.statistics,
            },
            clock=self.parts.clock,
            machine=pages.machine,
            disks=disks.ask,
            pages=pages.all(),
            deaths=pods.deaths,
            gate=Gate(self.parts.name, self.parts.client, self.parts.clock),
            node_logs=NodeLogs(
                root=self.parts.settings.container_log_root, container_logs=pods.log_files
            ),
        )

    def _pages(self, disks: DiskFigures) -> Pages:
        settings = self.parts.settings
        return Pages(
            settings=settings,
            identity=self.identity,
            engine=self.engine,
            manager=self.manager,
            usage=self._usage(),
            observer=self.observer,
            housekeeper=self.housekeeper,
            mirrors=self.mirrors,
            shutdown=self.shutdown,
            daemons=Daemons(settings.docker_host),
            disks=disks,
            clock=self.parts.clock,
        )

    @property
    def _alone(self) -> bool:
        """Whether the machine is this node, and not one of several that share it."""
        settings = self.parts.settings
        declared = settings.amounts(settings.capacity).keys() & {"cpu", "memory"}
        return settings.cgroup_root == "/" and not declared

    def _usage(self) -> PodsUsage:
        return PodsUsage(self.manager, version=self.layout.version, alone=self._alone)
