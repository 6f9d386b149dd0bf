"""Defaults of a pod spec, as the API reference documents them field by field.

The API server fills them in at step 1 of the pod's walk, an agent in the static pods of its node, which
no server has seen.
"""

from collections.abc import Iterable

from api import pods, resources
from api.core import (
    Container,
    EphemeralContainer,
    LifecycleHandler,
    PodSecurityContext,
    PodSpec,
    Probe,
    Volume,
)
from api.core.persistentsource import PersistentVolumeSource
from api.core.volume import EmptyDirVolumeSource, VolumeSource

DEFAULT_GRACE_PERIOD_SECONDS = 30
DEFAULT_FILE_MODE = 0o644
DEFAULT_TOKEN_SECONDS = 3600


def default_pod_spec(spec: PodSpec) -> None:
    """Fill a pod spec in place, of a pod or of a template."""
    spec.restart_policy = spec.restart_policy or "Always"
    spec.dns_policy = spec.dns_policy or "ClusterFirst"
    spec.scheduler_name = spec.scheduler_name or "default-scheduler"
    if spec.termination_grace_period_seconds is None:
        spec.termination_grace_period_seconds = DEFAULT_GRACE_PERIOD_SECONDS
    if spec.security_context is None:
        spec.security_context = PodSecurityContext()
    if spec.service_account and not spec.service_account_name:
        spec.service_account_name = spec.service_account
    spec.service_account = spec.service_account_name
    for volume in spec.volumes:
        _default_volume(volume)
    for container in (*spec.init_containers, *spec.containers):
        _default_container(container)
    for debugger in spec.ephemeral_containers:
        _default_container(debugger)


def default_pod_only(spec: PodSpec) -> None:
    """What is filled in on pods but not in templates, so that a template stays as it was written.

    Runs after `default_pod_spec`.
    """
    if spec.enable_service_links is None:
        spec.enable_service_links = True
    if (spec.termination_grace_period_seconds or 0) < 0:
        spec.termination_grace_period_seconds = 1  # a warning tells it
    for container in (*spec.init_containers, *spec.containers):
        own = container.resources
        if own.limits:
            own.requests = {**own.limits, **own.requests}
        for port in container.ports if spec.host_network else ():
            port.host_port = port.host_port or port.container_port
    if spec.resources is not None and spec.resources.limits:
        whole = spec.resources
        together = resources.quantities(pods.container_requests(spec))
        asked = {name: text for name, text in together.items() if pods.is_of_whole_pods(name)}
        # What the containers request counts, and only where they request nothing the limit.
        whole.requests = {**whole.limits, **asked, **whole.requests}


def default_pull_policy(image: str) -> str:
    """`Always` for `:latest` or no tag, `IfNotPresent` otherwise (a digest counts as a tag)."""
    if "@" in image:
        return "IfNotPresent"
    last = image.rsplit("/", 1)[-1]
    _, _, tag = last.partition(":")
    return "Always" if tag in ("", "latest") else "IfNotPresent"


def _default_container(container: Container | EphemeralContainer) -> None:
    container.termination_message_path = (
        container.termination_message_path or "/dev/termination-log"
    )
    container.termination_message_policy = container.termination_message_policy or "File"
    container.image_pull_policy = container.image_pull_policy or default_pull_policy(
        container.image
    )
    for port in container.ports:
        port.protocol = port.protocol or "TCP"
    for variable in container.env:
        source = variable.value_from
        if source is not None and source.field_ref is not None:
            source.field_ref.api_version = source.field_ref.api_version or "v1"
    for probe in _probes(container):
        _default_probe(probe)
    if container.lifecycle is not None:
        for handler in (container.lifecycle.post_start, container.lifecycle.pre_stop):
            if handler is not None:
                _default_http_get(handler)


def _probes(container: Container | EphemeralContainer) -> Iterable[Probe]:
    probes = (container.liveness_probe, container.readiness_probe, container.startup_probe)
    return [probe for probe in probes if probe is not None]


def _default_probe(probe: Probe) -> None:
    probe.timeout_seconds = probe.timeout_seconds or 1
    probe.period_seconds = probe.period_seconds or 10
    probe.success_threshold = probe.success_threshold or 1
    probe.failure_threshold = probe.failure_threshold or 3
    _default_http_get(probe)
    if probe.grpc is not None and probe.grpc.service is None:
        probe.grpc.service = ""


def _default_http_get(handler: Probe | LifecycleHandler) -> None:
    if handler.http_get is not None:
        handler.http_get.path = handler.http_get.path or "/"
        handler.http_get.scheme = handler.http_get.scheme or "HTTP"


def _default_volume(volume: Volume) -> None:
    if not any(getattr(volume, name) is not None for name in VolumeSource.__struct_fields__):
        volume.empty_dir = EmptyDirVolumeSource()
    for source in (volume.secret, volume.config_map, volume.downward_api, volume.projected):
        if source is not None and source.default_mode is None:
            source.default_mode = DEFAULT_FILE_MODE
    if volume.host_path is not None and volume.host_path.type is None:
        volume.host_path.type = ""
    if volume.image is not None:
        volume.image.pull_policy = volume.image.pull_policy or default_pull_policy(
            volume.image.reference
        )
    if volume.ephemeral is not None and volume.ephemeral.volume_claim_template is not None:
        claim = volume.ephemeral.volume_claim_template.spec
        claim.volume_mode = claim.volume_mode or "Filesystem"
    default_remote_source(volume)
    if volume.downward_api is not None:
        for item in volume.downward_api.items:
            if item.field_ref is not None:
                item.field_ref.api_version = item.field_ref.api_version or "v1"
    for projection in volume.projected.sources if volume.projected is not None else ():
        token = projection.service_account_token
        if token is not None and token.expiration_seconds is None:
            token.expiration_seconds = DEFAULT_TOKEN_SECONDS
        for item in projection.downward_api.items if projection.downward_api is not None else ():
            if item.field_ref is not None:
                item.field_ref.api_version = item.field_ref.api_version or "v1"


def default_remote_source(holder: VolumeSource | PersistentVolumeSource) -> None:
    """Fill what the API documents as the default of a source."""
    if holder.iscsi is not None:
        holder.iscsi.iscsi_interface = holder.iscsi.iscsi_interface or "default"
    if holder.rbd is not None:
        holder.rbd.pool = holder.rbd.pool or "rbd"
        holder.rbd.user = holder.rbd.user or "admin"
        holder.rbd.keyring = holder.rbd.keyring or "/etc/ceph/keyring"
    if holder.scale_io is not None:
        holder.scale_io.storage_mode = holder.scale_io.storage_mode or "ThinProvisioned"
        holder.scale_io.fs_type = holder.scale_io.fs_type or "xfs"
    disk = holder.azure_disk
    if disk is not None:
        disk.caching_mode = disk.caching_mode or "ReadWrite"
        disk.kind = disk.kind or "Shared"
        disk.fs_type = disk.fs_type or "ext4"
        disk.read_only = bool(disk.read_only)
