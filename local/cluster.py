"""A local cluster as one thing: made, started, broken, mended, and removed to the last trace.

Serves the whole walk of a pod by giving it a cluster to happen in; `podwright up` and the end-to-end
tests are its two users. What a cluster is comes from `topology`, what runs is looked up each time:
a Cluster object holds no state of its own, any number of commands may work on one cluster, one after
the other, and each finds what the last one left, however it ended.

`start` and `destroy` hold the state folder's lock. Faults do not: they may come at any time.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import msgspec
import psutil

from agent.containers.interface import Runtime
from base.clock import SystemClock
from base.errors import PermanentError
from base.files import atomic_write
from base.process import Completed
from local import access, control, machine, state, topology
from local.control import ControlPlane
from local.daemons import CONTROL_PORT, Join
from local.host import http, images, processes, traces, wiring
from local.machine import MachineEngine, MachineNode
from local.node import EXEC_TIMEOUT, Node
from local.state import Description, EngineOrigin, Shape
from local.topology import Topology

Report = Callable[[str], None]

KUBECONFIG, NODE_KUBECONFIG, PKI = "kubeconfig", "kubeconfig.node", "pki"
START_TIMEOUT = 120.0
TOKEN_SECONDS = 600


def silent(_: str) -> None:
    """Report nothing."""


@dataclass(frozen=True, kw_only=True)
class Cluster:
    description: Description
    topology: Topology
    report: Report = silent

    # -- making and finding ----------------------------------------------------------------------

    @classmethod
    def create(
        cls,
        name: str,
        nodes: int,
        state_dir: Path,
        *,
        report: Report = silent,
        control_options: Sequence[str] = (),
        agent_options: Sequence[str] = (),
    ) -> Cluster:
        """A cluster of namespace nodes in this folder; an existing one there may be given more
        nodes. Nothing runs before `start`."""
        names = topology.node_names(nodes)
        plan = topology.plan(name, _resolved(state_dir), names)
        existing = state.load(plan.state)
        if existing is not None:
            _check_same(existing, plan, Shape.NAMESPACES)
            names = names if len(names) > len(existing.nodes) else existing.nodes
        description = Description(
            name=name,
            shape=Shape.NAMESPACES,
            nodes=names,
            port=existing.port if existing else control.free_port(plan.slug),
            kubeconfig=existing.kubeconfig if existing else "",
            control_options=[*control_options] or (existing.control_options if existing else []),
            agent_options=[*agent_options] or (existing.agent_options if existing else []),
        )
        state.save(plan.state, description)
        return cls._of(description, plan.state, report)

    @classmethod
    def create_machine(
        cls,
        name: str,
        state_dir: Path,
        *,
        report: Report = silent,
        node_name: str = "",
        own_engine: bool = False,
    ) -> Cluster:
        """A cluster whose one node is this machine."""
        plan = topology.plan_machine(name, _resolved(state_dir), node_name or _host_name())
        existing = state.load(plan.state)
        if existing is not None:
            _check_same(existing, plan, Shape.MACHINE)
            return cls._of(existing, plan.state, report)
        description = Description(
            name=name,
            shape=Shape.MACHINE,
            nodes=[node.name for node in plan.nodes],
            port=CONTROL_PORT,
            engine=EngineOrigin.OWN if own_engine else machine.choose_engine(),
        )
        state.save(plan.state, description)
        return cls._of(description, plan.state, report)

    @classmethod
    def find(cls, state_dir: Path, *, report: Report = silent) -> Cluster | None:
        """The cluster in this folder, in whatever condition."""
        folder = _resolved(state_dir)
        description = state.load(folder)
        return cls._of(description, folder, report) if description is not None else None

    @classmethod
    def _of(cls, description: Description, folder: Path, report: Report) -> Cluster:
        if description.shape is Shape.MACHINE:
            plan = topology.plan_machine(description.name, folder, description.nodes[0])
        else:
            plan = topology.plan(description.name, folder, description.nodes)
        return cls(description=description, topology=plan, report=report)

    def with_kubeconfig(self, copy: Path) -> Cluster:
        """The same cluster, whose kubeconfig also stands somewhere else."""
        return replace(
            self, description=msgspec.structs.replace(self.description, kubeconfig=str(copy))
        )

    # -- parts -----------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        return self.description.name

    @property
    def kubeconfig(self) -> Path:
        return self.topology.state / KUBECONFIG

    @property
    def node_kubeconfig(self) -> Path:
        """The same, for commands that run on a node."""
        if self.topology.switch is None:
            return self.kubeconfig
        return self.topology.state / NODE_KUBECONFIG

    @property
    def control(self) -> ControlPlane:
        return ControlPlane(
            member=self.topology.control,
            switch=self.topology.switch,
            port=self.description.port,
            pki=self.topology.state / PKI,
            kubeconfig=self.kubeconfig,
            options=tuple(self.description.control_options),
        )

    @property
    def nodes(self) -> list[Node | MachineNode]:
        return [self.node(member.name) for member in self.topology.nodes]

    def node(self, name: str) -> Node | MachineNode:
        member = self.topology.node(name)
        server = self.control.node_url
        options = tuple(self.description.agent_options)
        if self.topology.switch is None or member.cable is None:
            return MachineNode(
                member=member,
                origin=self.description.engine,
                server=server,
                agent_options=options,
            )
        return Node(
            member=member,
            switch=self.topology.switch,
            cable=member.cable,
            capacity=topology.share(
                cpus=os.cpu_count() or 1,
                memory=psutil.virtual_memory().total,
                nodes=len(self.topology.nodes),
            ),
            server=server,
            agent_options=options,
        )

    # -- life ------------------------------------------------------------------------------------

    def start(self, *, timeout: float = START_TIMEOUT) -> None:
        """Start what does not run; returns when every node is Ready."""
        started: dict[str, datetime] = {}
        with state.locked(self.topology.state):
            self.start_control()
            self._on_all_nodes("starting", lambda node: node.start(), unless=_is_up)
            for node in self.nodes:
                if node.agent.process() is None:
                    self.report(f"starting the agent of {node.name}")
                    started[node.name] = SystemClock().now()
                    node.agent.start(self._join)
        self.report("waiting for the nodes to be ready")
        access.wait_nodes_ready(
            self.kubeconfig,
            [node.name for node in self.nodes],
            timeout=timeout,
            unwell=self._ended_agents,
            started=started,
        )

    def _ended_agents(self) -> str:
        for node in self.nodes:
            if node.agent.process() is None:
                lines = processes.last_lines(node.agent.log)
                return f"the agent of {node.name} ended; its last words:\n{lines}"
        return ""

    def start_control(self) -> None:
        if self.control.process() is None:
            self.report("starting the control plane")
        if self.topology.switch is not None:
            wiring.make_switch(self.topology.switch)
        self.control.start()
        if self.node_kubeconfig != self.kubeconfig:
            text = self.kubeconfig.read_text().replace(self.control.url, self.control.node_url)
            atomic_write(self.node_kubeconfig, text, 0o600)

    def destroy(self) -> None:
        """End everything and remove every trace. May be called on what a killed command left."""
        with state.locked(self.topology.state):
            self._on_all_nodes("removing", lambda node: node.erase())
            self.report("removing the control plane")
            self._erase_control()
            traces.remove_folder(self.topology.run)
            traces.remove_if_empty(topology.RUN_ROOT)
            if self.description.kubeconfig:
                Path(self.description.kubeconfig).unlink(missing_ok=True)
            for name in (PKI, "logs"):
                traces.remove_folder(self.topology.state / name)
            for name in (KUBECONFIG, NODE_KUBECONFIG, state.FILE, state.LOCK):
                (self.topology.state / name).unlink(missing_ok=True)
            traces.remove_if_empty(self.topology.state)

    def _erase_control(self) -> None:
        member = self.topology.control
        self.control.stop()
        marked = f"{member.marker}"
        processes.annihilate(lambda: [each.process for each in processes.marked(marked)], of=marked)
        if member.cable is not None:
            wiring.unplug(member.cable)
        if self.topology.switch is not None:
            wiring.remove_switch(self.topology.switch)
        traces.remove_folder(member.run)
        traces.remove_folder(member.data)

    # -- faults ----------------------------------------------------------------------------------

    def cut(self, node: str) -> None:
        self.node(node).cut()

    def heal(self, node: str) -> None:
        self.node(node).heal()

    def kill(self, node: str) -> None:
        self.node(node).kill()

    def start_node(self, node: str) -> None:
        self.node(node).start()
        self.start_agent(node)

    def freeze(self, node: str) -> None:
        self.node(node).freeze()

    def thaw(self, node: str) -> None:
        self.node(node).thaw()

    def kill_agent(self, node: str) -> None:
        self.node(node).agent.kill()

    def start_agent(self, node: str) -> None:
        self.node(node).agent.start(self._join)

    def kill_control(self) -> None:
        self.control.kill()

    def repair(self) -> None:
        """Undo every fault."""
        for node in self.nodes:
            if isinstance(node, Node):
                node.thaw()
        self.control.thaw()
        self.start()

    # -- use -------------------------------------------------------------------------------------

    def exec(self, node: str, argv: Sequence[str], *, timeout: float = EXEC_TIMEOUT) -> Completed:
        return self.node(node).exec(argv, timeout=timeout)

    def fetch(self, node: str, url: str, *, timeout: float = 3.0) -> str:
        """What a plain HTTP request is answered that a node makes. Raises OSError if by nobody."""
        return self.node(node).inside(lambda: http.fetch(url, timeout=timeout))

    def load_image(self, reference: str, *, nodes: Sequence[str] = (), source: str = "") -> None:
        """Make an image of ours, or copy one from the machine's own engine (or from `source`), into
        the engines of all nodes, or of some."""
        targets = [self.node(name).engine.url for name in nodes or self.description.nodes]
        if reference in images.OURS:

            async def build(runtimes: list[Runtime]) -> None:
                for runtime in runtimes:
                    await images.build(runtime)

            images.with_engines(targets, build)
            return
        source = source or MachineEngine(origin=EngineOrigin.FOUND).url

        async def copy(runtimes: list[Runtime]) -> None:
            await images.copy(runtimes[0], runtimes[1:], reference)

        images.with_engines([source, *targets], copy)

    # -- inside ----------------------------------------------------------------------------------

    def _join(self) -> Join:
        token = access.create_token(self.kubeconfig, seconds=TOKEN_SECONDS)
        return Join(token=str(token), ca_hash=self.control.ca_hash())

    def _on_all_nodes(
        self,
        what: str,
        act: Callable[[Node | MachineNode], None],
        *,
        unless: Callable[[Node | MachineNode], bool] = lambda node: False,
    ) -> None:
        """At once: most of the time goes into waiting for engines."""

        def step(node: Node | MachineNode) -> None:
            if not unless(node):
                self.report(f"{what} {node.name}")
                act(node)

        with ThreadPoolExecutor(max_workers=8, thread_name_prefix="node") as pool:
            for result in [pool.submit(step, node) for node in self.nodes]:
                result.result()


def _is_up(node: Node | MachineNode) -> bool:
    return node.plugged() and node.connected() and node.engine.running()


def _resolved(folder: Path) -> Path:
    return folder.expanduser().resolve()


def _host_name() -> str:
    """As Kubernetes wants a node's name: lower case, a DNS name."""
    name = socket.gethostname().lower().replace("_", "-").strip("-.")
    return name or "localhost"


def _check_same(existing: Description, plan: Topology, shape: Shape) -> None:
    wanted = {Shape.MACHINE: "this machine as its node", Shape.NAMESPACES: "namespace nodes"}
    if existing.name != plan.name:
        what = f"is called {existing.name!r}, not {plan.name!r}"
    elif existing.shape is not shape:
        what = f"has {wanted[existing.shape]}, not {wanted[shape]}"
    elif shape is Shape.NAMESPACES and len(existing.nodes) > len(plan.nodes):
        what = f"has {len(existing.nodes)} nodes, not {len(plan.nodes)}"
    else:
        return
    raise PermanentError(
        f"the cluster in {plan.state} {what}",
        hint="Remove it first (`podwright down`), or give another --name or --state-dir.",
    )
