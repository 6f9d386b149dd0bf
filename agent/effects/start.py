"""From an image to a running container (step 4 of the pod's walk): the effects.

Each may be done twice. What fails is told as an event and as the reason for which the container
waits: ErrImagePull, CreateContainerConfigError, CreateContainerError, RunContainerError.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from agent.containers.errors import (
    EngineError,
    EngineUnavailable,
    ImageNotFound,
    NameInUse,
    RuntimeFailure,
    StartError,
)
from agent.containers.images import ImageEvent, ImageProblem, PullPolicy, Reason, default_policy
from agent.containers.records import (
    ContainerId,
    ContainerRecord,
    Device,
    ImageRecord,
    Mount,
    RegistryAuth,
)
from agent.effects import loglinks, sandbox
from agent.effects.context import PodContext, StepFailed
from agent.pod import names
from agent.pod.actions import (
    CreateContainer,
    EnsureImage,
    PrepareVolumes,
    RunPostStart,
    StartContainer,
)
from agent.pod.alarm import Alarm
from agent.pod.containerstatus import RUNTIME
from agent.pod.memory import Ensured
from agent.pod.observed import Hook, KilledFor
from agent.probes.handlers import Target, Verdict
from agent.probes.hooks import run_hook
from agent.spec import apparmor
from agent.spec import environment as env
from agent.spec.container import (
    Made,
    container_create,
    hook_file,
    message_file,
    own_mounts,
    volume_mount,
)
from agent.spec.envfile import LARGEST
from agent.spec.environment import References
from agent.spec.errors import ConfigError
from agent.spec.expansion import expand, missing
from agent.spec.pullsecrets import read_files, registry_auths
from agent.spec.refusals import refusal_of_added
from agent.spec.seccomp import localhost_profile, read_profile
from agent.spec.security import Known, needs_accounts
from agent.volumes import readonly
from agent.volumes.base import VolumeError
from agent.volumes.subpath import SUBPATHS_DIRECTORY, bind_subpath, read_inside
from api.core import Container, ImageVolumeSource, LifecycleHandler, Secret
from api.imagereferences import InvalidReference, with_tag
from api.pods import all_containers, ephemeral_containers, qos_class
from base.errors import PodwrightError, TemporaryError

_WAITING = frozenset(reason.value for reason in Reason)
SECOND_LOOK = 1.0
"""Seconds until a failed pull is looked at again: only to say that it backs off from now on."""


async def ensure_image(ctx: PodContext, action: EnsureImage) -> None:
    """Have the image on the node."""
    container = ctx.container(action.container)

    def tell(event: ImageEvent) -> None:
        ctx.tell(
            event.type,
            event.reason,
            event.message,
            container=container.name,
            update=event.update,
        )

    try:
        image = await ctx.agent.images.ensure(
            container.image,
            _policy(container),
            owner=ctx.uid,
            tell=tell,
            auths=await _credentials(ctx, container.image),
        )
    except ImageProblem as problem:
        wait = problem.retry_after
        if problem.reason in (Reason.PULL_FAILED, Reason.UNAVAILABLE):
            wait = min(wait, SECOND_LOOK)
        ctx.warn("Failed", f"Error: {problem.reason.value}", container=container.name)
        raise StepFailed(problem.reason.value, problem.message, retry_in=wait) from problem
    except RuntimeFailure as error:
        raise StepFailed("ImageInspectError", error.message) from error
    ctx.memory.images[container.name] = Ensured(
        reference=container.image, image=image, restarts=action.restarts
    )


def missing_images(ctx: PodContext) -> Iterator[tuple[str, str]]:
    """By the key of the action that waits for it, each image that would do if it were there."""
    failures = ctx.memory.failures
    wanted = [
        (EnsureImage(container=one.name, restarts=0).key, one.image, _policy(one))
        for one in (*all_containers(ctx.pod.spec), *ephemeral_containers(ctx.pod.spec))
    ]
    for volume in ctx.pod.spec.volumes:
        if (source := volume.image) is not None:
            wanted.append((PrepareVolumes.key, source.reference, _volume_policy(source)))
    for key, image, policy in wanted:
        failed = failures.get(key)
        if failed is None or failed.reason not in _WAITING or policy is PullPolicy.ALWAYS:
            continue
        with suppress(InvalidReference):
            yield key, with_tag(image)


async def volume_image(ctx: PodContext, name: str, source: ImageVolumeSource) -> ImageRecord:
    """Have the image of a volume on the node."""
    try:
        image = await ctx.agent.images.ensure(
            source.reference,
            _volume_policy(source),
            owner=ctx.uid,
            tell=lambda event: ctx.tell(event.type, event.reason, event.message),
            auths=await _credentials(ctx, source.reference),
        )
    except ImageProblem as problem:
        wait = problem.retry_after
        if problem.reason in (Reason.PULL_FAILED, Reason.UNAVAILABLE):
            wait = min(wait, SECOND_LOOK)
        ctx.warn("Failed", f"Error: {problem.reason.value}")
        raise StepFailed(problem.reason.value, problem.message, retry_in=wait) from problem
    ctx.memory.volume_images[name] = image.id
    return image


async def create(ctx: PodContext, action: CreateContainer) -> None:
    """Configure and create the container."""
    container = ctx.container(action.container)
    _check_added(ctx, container)
    try:
        await _create(ctx, container, action)
    except (ConfigError, VolumeError) as error:
        ctx.warn("Failed", f"Error: {error.message}", container=container.name)
        raise StepFailed("CreateContainerConfigError", error.message) from error
    except EngineUnavailable as error:
        raise StepFailed("CreateContainerError", error.message) from error
    except ImageNotFound as error:
        ctx.memory.images.pop(container.name, None)  # it was removed since: get it again
        raise StepFailed("CreateContainerError", error.message) from error
    except TemporaryError as error:
        message = f"what the container refers to cannot be read now: {error.message}"
        ctx.warn("Failed", f"Error: {message}", container=container.name)
        raise StepFailed("CreateContainerConfigError", message) from error
    except RuntimeFailure as error:
        ctx.warn("Failed", f"Error: {error.message}", container=container.name)
        raise StepFailed("CreateContainerError", error.message) from error


async def start(ctx: PodContext, action: StartContainer) -> None:
    """Start the container."""
    container = ctx.container(action.container)
    await sandbox.fit_cgroup(ctx)
    hook = container.lifecycle is not None and container.lifecycle.post_start is not None
    ctx.memory.hooks[action.id] = Hook.PENDING if hook else Hook.NONE
    try:
        await ctx.agent.runtime.start(action.id)
        # At once: there is no cgroup before, and a program may be quick to run out of memory.
        ctx.agent.cgroups.kill_together(ctx.uid, str(qos_class(ctx.pod)), action.id)
    except StartError as error:
        message = f'failed to start container "{container.name}": {error.message}'
        ctx.warn("Failed", f"Error: {message}", container=container.name)
        # The container ended before it began: what follows is restart policy and back-off.
        raise StepFailed("RunContainerError", error.message, retry_in=0.0) from error
    except RuntimeFailure as error:
        raise StepFailed("RunContainerError", error.message) from error
    finally:
        await sandbox.look(ctx, action.id)
    if (record := ctx.memory.records.get(action.id)) is not None:
        loglinks.link(ctx.agent.node.log_root, ctx.pod, record)
    ctx.normal("Started", f"Started container {container.name}", container=container.name)


async def post_start(ctx: PodContext, action: RunPostStart) -> None:
    """Run the hook; a failure ends the container (the plan sees to that)."""
    container = ctx.container(action.container)
    lifecycle = container.lifecycle
    if lifecycle is None or lifecycle.post_start is None:
        ctx.memory.hooks[action.id] = Hook.DONE
        return
    ctx.memory.hooks[action.id] = Hook.RUNNING
    verdict = await _while_it_runs(ctx, action, lifecycle.post_start)
    if verdict is None:
        return
    ctx.memory.hooks[action.id] = Hook.DONE if verdict.passed else Hook.FAILED
    if verdict.passed:
        _remember_hook(ctx, action)
        if verdict.warning:
            message = f"PostStartHook was {verdict.message}"
            ctx.normal("PostStartHookAnswered", message, container=container.name)
    else:
        ctx.memory.complaints[action.id] = {KilledFor.POST_START: verdict.message}
        message = f"PostStartHook failed: {verdict.message}"
        ctx.warn("FailedPostStartHook", message, container=container.name)


def resume_hooks(ctx: PodContext) -> None:
    """Of containers that an agent before this one has started: a hook that is not known to have passed is
    run again, because it is promised at least once ("Container Lifecycle Hooks")."""
    told = {one.container_id for one in ctx.pod.status.container_statuses if one.state.running}
    told |= {
        one.container_id for one in ctx.pod.status.init_container_statuses if one.state.running
    }
    for record in ctx.memory.records.values():
        name = record.labels.get(names.CONTAINER_NAME, "")
        spec = next((c for c in all_containers(ctx.pod.spec) if c.name == name), None)
        if not record.running or spec is None or spec.lifecycle is None:
            continue
        passed = f"{RUNTIME}://{record.id}" in told or _hook_file(ctx, record).exists()
        if spec.lifecycle.post_start is not None and not passed:
            ctx.memory.hooks[record.id] = Hook.PENDING


def _hook_file(ctx: PodContext, record: ContainerRecord) -> Path:
    return hook_file(ctx.directory, *names.start_of(record))


def _remember_hook(ctx: PodContext, action: RunPostStart) -> None:
    record = ctx.memory.records.get(action.id)
    if record is not None:
        with suppress(OSError):  # on a full disk it may run once more
            _hook_file(ctx, record).touch()


async def _while_it_runs(
    ctx: PodContext, action: RunPostStart, handler: LifecycleHandler
) -> Verdict | None:
    """Run a hook for as long as its container runs; None when that has ended first: the next one of its
    name must not wait for a hook that nobody wants any more."""
    agent = ctx.agent
    target = Target(container=ctx.container(action.container), id=action.id, ip=ctx.ip)
    hook = run_hook(handler, target, agent.runtime, timeout=None, clock=agent.clock)
    bell = Alarm(f"postStart {action.container}", clock=agent.clock, guard=agent.guard)
    running = agent.guard.start(hook, name=f"postStart {action.container}")
    running.add_done_callback(lambda _: bell.ring())
    ctx.post_starts[action.id] = bell
    try:
        while not running.done() and ctx.alive(action.id):
            await bell.wait(None)
        return running.result() if running.done() else None
    finally:
        running.cancel()
        del ctx.post_starts[action.id]


async def _create(ctx: PodContext, container: Container, action: CreateContainer) -> None:
    agent, pod = ctx.agent, ctx.pod
    found = ctx.memory.images.get(container.name)
    if found is None or found.reference != container.image:
        raise ImageNotFound(f"No such image: {container.image}")
    variables = env.environment(
        pod,
        container,
        place=ctx.place(),
        references=await references(ctx, container),
        services=agent.services(),
    )
    # This looks into volumes, and a file server may be away. Who comes back with other variables looks anew:
    # they may name the paths.
    of = hash(frozenset(variables.items()))
    mounts = await agent.mounter.outside(
        f"{ctx.directory}/{container.name}/{action.restarts}/{of}",
        partial(_mounts, ctx, container, action.restarts, variables),
    )
    made = Made(
        image=found.image,
        environment=variables,
        mounts=mounts,
        devices=_devices(ctx, container),
        sandbox=action.sandbox,
        cgroup_parent=agent.cgroups.parent(ctx.uid, str(qos_class(pod))),
        restarts=action.restarts,
        backoff_level=action.backoff_level,
        target=_target(ctx, container),
        known=await _known(ctx, container, found.image),
        runtime=_runtime_of(ctx, action.sandbox),
        cpus=agent.cpus.of(ctx.uid, container.name),
        pinned=container.name in agent.cpus.pinned(ctx.uid),
    )
    own_profile = apparmor.localhost_profile(pod, container)
    if own_profile is not None and agent.node.engine.apparmor and apparmor.unloaded(own_profile):
        raise EngineError(f"apparmor profile not found {own_profile}")
    spec = container_create(pod, container, agent.node, made)
    _message_file(ctx, container, action.restarts)
    try:
        id = await agent.runtime.create(spec)
    except NameInUse as error:
        await sandbox.adopt(ctx, spec.name, error)
        return
    ctx.memory.note(sandbox.created(id, spec, found.image.id, now=agent.clock.now()))
    ctx.normal("Created", f"Created container: {container.name}", container=container.name)


def _runtime_of(ctx: PodContext, id: ContainerId) -> str:
    """Not what the RuntimeClass says by now: a container is run as its sandbox is."""
    sandbox = ctx.memory.records.get(id)
    return "" if sandbox is None else sandbox.labels.get(names.RUNTIME, "")


async def _known(ctx: PodContext, container: Container, image: ImageRecord) -> Known:
    """What its security context refers to, and groups of its volumes."""
    profile = localhost_profile(ctx.pod, container)
    accounts = None
    if needs_accounts(ctx.pod, container, image):
        accounts = await ctx.agent.images.accounts.of(image.id)
    return Known(
        accounts=accounts,
        seccomp=None if profile is None else read_profile(ctx.agent.node.seccomp_root, profile),
        groups=tuple(ctx.volumes.groups.values()),
    )


def _target(ctx: PodContext, container: Container) -> ContainerId | None:
    """The container that an ephemeral one is to look into, which has to run."""
    for added in ctx.pod.spec.ephemeral_containers:
        if added.name != container.name or not added.target_container_name:
            continue
        for record in ctx.memory.records.values():
            name = record.labels.get(names.CONTAINER_NAME)
            if name == added.target_container_name and record.running:
                return record.id
        raise ConfigError(
            f'container "{added.target_container_name}", whose processes {container.name} is to see,'
            " does not run"
        )
    return None


def _check_added(ctx: PodContext, container: Container) -> None:
    """Refuse an ephemeral container that asks for what this agent does not honour."""
    for position, added in enumerate(ctx.pod.spec.ephemeral_containers):
        if added.name == container.name:
            path = f"spec.ephemeralContainers[{position}]"
            refused = refusal_of_added(ctx.pod, container, path, ctx.agent.node.engine)
            if refused is not None:
                ctx.warn(refused.reason, refused.message, container=container.name)
                raise StepFailed(refused.reason, refused.message)


async def references(ctx: PodContext, container: Container) -> References:
    """The ConfigMaps and Secrets of one container's environment."""
    namespace, objects = ctx.pod.metadata.namespace, ctx.agent.objects
    maps, secrets = env.references_of(container)
    return References(
        config_maps={name: await objects.config_map(namespace, name) for name in maps},
        secrets={name: await objects.secret(namespace, name) for name in secrets},
        files=_files(ctx, container),
    )


def _files(ctx: PodContext, container: Container) -> dict[tuple[str, str], bytes | None]:
    """Files of variables that init containers have written; None for those that are not there."""
    own = {volume.name for volume in ctx.pod.spec.volumes if volume.empty_dir is not None}
    found: dict[tuple[str, str], bytes | None] = {}
    for variable in container.env:
        ref = None if variable.value_from is None else variable.value_from.file_key_ref
        if ref is None:
            continue
        if ref.volume_name not in own:
            raise ConfigError(f'volume "{ref.volume_name}" of fileKeyRef is not an emptyDir')
        volume = ctx.volumes.paths[ref.volume_name]
        found[ref.volume_name, ref.path] = read_inside(volume, ref.path, limit=LARGEST)
    return found


def _mounts(
    ctx: PodContext, container: Container, restarts: int, variables: dict[str, str]
) -> tuple[Mount, ...]:
    selinux, volumes = ctx.agent.node.engine.selinux, ctx.volumes
    own = own_mounts(ctx.directory, container, restarts)
    mounts = [replace(mount, relabel=selinux) for mount in own]
    for position, mount in enumerate(container.volume_mounts):
        source = volumes.paths.get(mount.name)
        if source is None:
            raise ConfigError(f'volume "{mount.name}" of the mount {mount.mount_path} is not there')
        sub_path = mount.sub_path
        if mount.sub_path_expr:
            if unknown := missing(mount.sub_path_expr, variables):
                raise ConfigError(f'missing value for "{unknown}" in subPathExpr')
            sub_path = expand(mount.sub_path_expr, variables)
        fixed = mount.name in volumes.read_only | volumes.sealed
        if sub_path:
            make = not fixed or mount.name in volumes.live
            source = _subpath(ctx, container, source, sub_path, position, make=make)
        deep = readonly.wanted(mount, possible=ctx.agent.node.engine.recursive_read_only)
        if deep:
            place = readonly.place(ctx.directory, mount, container.name, position)
            source = readonly.bind(source, place, ctx.agent.mounter)
        made = volume_mount(mount, source, container, fixed=fixed)
        if mount.name in volumes.sealed:
            made = replace(made, read_only=False)
        # Labels cannot be written through a view that is read-only to the bottom.
        relabel = selinux and not deep and mount.name in volumes.labelled
        mounts.append(replace(made, relabel=relabel))
    return tuple(mounts)


def _devices(ctx: PodContext, container: Container) -> tuple[Device, ...]:
    """Block devices that volumes are."""
    devices = []
    for wanted in container.volume_devices:
        source = ctx.volumes.paths.get(wanted.name)
        if source is None:
            raise ConfigError(f'volume "{wanted.name}" of {wanted.device_path} is not there')
        may = "rm" if wanted.name in ctx.volumes.read_only else "rwm"
        devices.append(Device(source=str(source), target=wanted.device_path, permissions=may))
    return tuple(devices)


def _subpath(
    ctx: PodContext,
    container: Container,
    source: Path,
    sub_path: str,
    position: int,
    *,
    make: bool,
) -> Path:
    mount = container.volume_mounts[position]
    target = ctx.directory / SUBPATHS_DIRECTORY / mount.name / container.name / str(position)
    # A container that starts again sees the present content, as the mount of a name would.
    ctx.agent.mounter.unmount(target)
    try:
        return bind_subpath(source, sub_path, target, mounter=ctx.agent.mounter, make=make)
    except VolumeError as error:
        words = f'volumeMount "{mount.name}" of container "{container.name}"'
        raise ConfigError(f"failed to prepare subPath for {words}: {error.message}") from error


def _message_file(ctx: PodContext, container: Container, restarts: int) -> None:
    path = message_file(ctx.directory, container.name, restarts)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    path.chmod(0o666)  # whoever the program runs as may write its last words


def _policy(container: Container) -> PullPolicy:
    if container.image_pull_policy:
        return PullPolicy(container.image_pull_policy)
    return _usual(container.image)


def _volume_policy(source: ImageVolumeSource) -> PullPolicy:
    return PullPolicy(source.pull_policy) if source.pull_policy else _usual(source.reference)


def _usual(reference: str) -> PullPolicy:
    try:
        return default_policy(reference)
    except InvalidReference:
        return PullPolicy.IF_NOT_PRESENT


async def _credentials(ctx: PodContext, reference: str) -> tuple[RegistryAuth, ...]:
    """From imagePullSecrets and the node's files. A Secret that cannot be read is told of and left out:
    the image may be there, or be everybody's."""
    secrets: list[Secret] = []
    missing: list[str] = []
    for named in ctx.pod.spec.image_pull_secrets:
        try:
            secret = await ctx.agent.objects.secret(ctx.pod.metadata.namespace, named.name)
        except PodwrightError:
            secret = None
        if secret is None:
            missing.append(named.name)
        else:
            secrets.append(secret)
    if missing:
        ctx.warn(
            "FailedToRetrieveImagePullSecret",
            f"Unable to retrieve some image pull secrets ({', '.join(missing)}); "
            "attempting to pull the image may not succeed.",
        )
    return registry_auths(reference, secrets, read_files(ctx.agent.node.registry_files))
