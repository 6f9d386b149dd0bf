"""A pod's sandbox: cgroup, files, pause container, address (step 4 of the pod's walk).

Each effect may be done twice. What fails here is told as FailedCreatePodSandBox and tried again.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path

from agent.containers.errors import NameInUse, RuntimeFailure
from agent.containers.records import (
    ContainerCreate,
    ContainerId,
    ContainerRecord,
    ContainerState,
    ImageId,
    InForce,
)
from agent.effects.context import PodContext, StepFailed
from agent.pod import names
from agent.pod.actions import AttachNetwork, CreateSandbox, StartSandbox
from agent.pod.allocation import loosest
from agent.resources import hugepages
from agent.resources.cgroups import CgroupError
from agent.resources.systemd import SystemdError
from agent.resources.values import CpuMemory, pod_values
from agent.spec import dns
from agent.spec.container import HOSTS_FILE, RESOLV_FILE, sandbox_create
from agent.spec.runtimes import NoSuchRuntime, engine_runtime
from api.pods import pod_limits, qos_class
from base.errors import PodwrightError

NODE_HOSTS = Path("/etc/hosts")
FAILED = "FailedCreatePodSandBox"


async def create(ctx: PodContext, action: CreateSandbox) -> None:
    """The cgroup, the files and the pause container; sandboxes that died are let go first."""
    if action.replaces:
        ctx.normal("SandboxChanged", "Pod sandbox changed, it will be killed and re-created.")
    try:
        for old in action.replaces:
            await ctx.agent.network.detach(old)
            await ctx.agent.runtime.remove(old)
            ctx.memory.forget(old)
        parent = await ctx.agent.cgroups.aside(partial(_cgroup, ctx))
        ctx.directory.mkdir(parents=True, exist_ok=True)
        ctx.directory.chmod(0o750)
        write_files(ctx)
        _tell_compromises(ctx)
        spec = sandbox_create(
            ctx.pod,
            ctx.agent.node,
            attempt=action.attempt,
            cgroup_parent=parent,
            runtime=await _runtime(ctx),
        )
        try:
            id = await ctx.agent.runtime.create(spec)
        except NameInUse as error:
            await adopt(ctx, spec.name, error)
            return
        ctx.memory.note(created(id, spec, ImageId(""), now=ctx.agent.clock.now()))
    except PodwrightError as error:
        raise failed(ctx, error) from error


async def fit_cgroup(ctx: PodContext) -> None:
    """Have the pod's cgroup hold a container that is started with other amounts than the one before it.

    The kernel takes no quota above that of the pod. While other containers still have more than they were
    admitted with, there is room for that, too.
    """
    after = _allowed(ctx)
    if ctx.memory.cgroup == after:
        return
    now = [
        record.in_force
        for record in ctx.memory.records.values()
        if record.running
        and record.in_force is not None
        and record.labels.get(names.CONTAINER_TYPE) == names.CONTAINER
    ]
    values, quality = loosest(after, now), str(qos_class(ctx.pod))
    try:
        cgroups = ctx.agent.cgroups
        await cgroups.aside(partial(cgroups.ensure_pod, ctx.uid, quality, values))
    except (CgroupError, SystemdError) as error:
        raise StepFailed("RunContainerError", error.message) from error
    ctx.memory.cgroup = values


def _allowed(ctx: PodContext) -> CpuMemory:
    """What the pod as a whole was admitted with."""
    values = pod_values(ctx.allocated_pod)
    if ctx.agent.cpus.pinned(ctx.uid):
        values = replace(values, cpu_quota=0)  # it would throttle who has CPUs of its own
    return values


def _cgroup(ctx: PodContext) -> str:
    cgroups, quality = ctx.agent.cgroups, str(qos_class(ctx.pod))
    values = _allowed(ctx)
    parent = cgroups.ensure_pod(ctx.uid, quality, values)
    ctx.memory.cgroup = values
    pages = hugepages.limits(ctx.agent.node.allocatable, pod_limits(ctx.allocated_pod))
    cgroups.limit_huge_pages(ctx.uid, quality, pages)
    return parent


def created(
    id: ContainerId, spec: ContainerCreate, image: ImageId, *, now: datetime
) -> ContainerRecord:
    """The record of a container that was just created: asking the engine would say the same."""
    return ContainerRecord(
        id=id,
        name=spec.name,
        image=spec.image,
        image_id=image,
        labels=spec.labels,
        state=ContainerState.CREATED,
        created_at=now,
        cpus=spec.cpuset_cpus,
        in_force=InForce(cpu_shares=spec.cpu_shares, cpu_quota=spec.cpu_quota, memory=spec.memory),
    )


async def _runtime(ctx: PodContext) -> str:
    """The engine's runtime for the pod's RuntimeClass; empty for the usual one."""
    name = ctx.pod.spec.runtime_class_name
    if not name:
        return ""
    found = await ctx.agent.objects.runtime_class(name)
    if found is None:
        raise NoSuchRuntime(f'RuntimeClass "{name}" not found')
    return engine_runtime(found.handler, ctx.agent.node.runtime_handlers, ctx.agent.node.engine)


async def start(ctx: PodContext, action: StartSandbox) -> None:
    """Start the pause container."""
    try:
        await ctx.agent.runtime.start(action.id)
    except PodwrightError as error:
        raise failed(ctx, error) from error
    finally:
        await look(ctx, action.id)


async def attach(ctx: PodContext, action: AttachNetwork) -> None:
    """Give the sandbox its address, and tell the pod's own hosts file."""
    record = ctx.memory.records.get(action.id)
    if record is None or not record.running:
        raise StepFailed("NetworkNotReady", "the sandbox does not run", retry_in=0.0)
    try:
        address = await ctx.agent.network.attach(action.id, record.pid, ctx.pod)
    except PodwrightError as error:
        raise failed(ctx, error) from error
    ctx.memory.addresses[action.id] = address
    write_files(ctx)


async def adopt(ctx: PodContext, name: str, taken: NameInUse) -> None:
    """Read anew what the engine has of this pod: something was there that was not remembered. Raises `taken`
    when whoever has the name is not the pod's."""
    records = await ctx.agent.runtime.list_containers(
        labels={names.POD_UID: ctx.uid, names.NODE: ctx.agent.node.name}
    )
    for record in records:
        ctx.memory.note(record)
    if all(record.name != name for record in records):
        raise taken


async def look(ctx: PodContext, id: str) -> None:
    """Read one container anew, if the engine answers."""
    for known in list(ctx.memory.records):
        if known == id:
            try:
                ctx.memory.note(await ctx.agent.runtime.inspect(known))
            except RuntimeFailure:
                return


def write_files(ctx: PodContext) -> None:
    """The pod's /etc/hosts and /etc/resolv.conf.

    Written in place, never replaced: containers have the file itself mounted, not its name.
    """
    node = ctx.agent.node
    if ctx.pod.spec.host_network:
        own = NODE_HOSTS.read_text() if NODE_HOSTS.exists() else ""
        hosts = dns.host_network_hosts(ctx.pod, node_hosts=own)
    else:
        hosts = dns.hosts(ctx.pod, ip=ctx.ip, cluster_domain=node.cluster_domain)
    resolv = dns.resolv_conf(
        ctx.pod,
        node=node.resolv_conf,
        cluster_dns=node.cluster_dns,
        cluster_domain=node.cluster_domain,
    )
    _write(ctx.directory / HOSTS_FILE, hosts)
    _write(ctx.directory / RESOLV_FILE, resolv.text())


def _tell_compromises(ctx: PodContext) -> None:
    node = ctx.agent.node
    for reason, words in dns.compromises(
        ctx.pod,
        node=node.resolv_conf,
        cluster_dns=node.cluster_dns,
        cluster_domain=node.cluster_domain,
    ):
        ctx.warn(reason, words)


def failed(ctx: PodContext, error: PodwrightError) -> StepFailed:
    """Tell why there is no sandbox."""
    if isinstance(error, StepFailed):
        return error
    message = f"Failed to create pod sandbox: {error.message}"
    ctx.warn(FAILED, message)
    return StepFailed(FAILED, message)


def _write(path: Path, text: str) -> None:
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
        path.chmod(0o644)
