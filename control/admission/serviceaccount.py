"""ServiceAccount: every pod has an account, and its containers find its token (step 1 of the pod's walk).

As Kubernetes documents the plugin: a pod that names no account gets `default`; the account must exist;
unless account or pod decline it, a volume with a token, the cluster's CA and the namespace is mounted
where client libraries look for it; image pull secrets of the account become the pod's. An account with
the annotation `kubernetes.io/enforce-mountable-secrets` lets its pods use only the Secrets it lists.

The account `default` of a new namespace is made by a controller, so a pod that comes at once waits for
it, for a second at most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from api import errors
from api.core import (
    ConfigMapProjection,
    Container,
    DownwardAPIProjection,
    DownwardAPIVolumeFile,
    EphemeralContainer,
    KeyToPath,
    LocalObjectReference,
    ObjectFieldSelector,
    Pod,
    ProjectedVolumeSource,
    ServiceAccount,
    ServiceAccountTokenProjection,
    Volume,
    VolumeMount,
    VolumeProjection,
)
from api.scheme import Resource
from base.clock import Clock
from control.admission.chain import Attributes, Operation, Plugin, Reader
from control.auth.nodes import references

DEFAULT = "default"
MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
VOLUME_PREFIX = "kube-api-access-"
ROOT_CA = "kube-root-ca.crt"
TOKEN_SECONDS = 3607
"""An hour, and recognisable: who reads a token sees that nobody chose its length."""
ENFORCE = "kubernetes.io/enforce-mountable-secrets"

_MIRROR = "kubernetes.io/config.mirror"
_FILE_MODE = 0o644
_WAITS = 20
_WAIT_SECONDS = 0.05


class ServiceAccountPlugin(Plugin):
    """`suffix` gives five characters that make a volume's name unique."""

    name = "ServiceAccount"

    def __init__(self, reader: Reader, clock: Clock, suffix: Callable[[], str]) -> None:
        self._reader = reader
        self._clock = clock
        self._suffix = suffix

    def handles(self, resource: Resource, operation: Operation, subresource: str) -> bool:
        if resource.type is not Pod:
            return False
        if operation is Operation.CREATE:
            return not subresource
        return operation is Operation.UPDATE and subresource == "ephemeralcontainers"

    async def admit(self, request: Attributes) -> None:
        pod: Pod = request.object
        if request.operation is not Operation.CREATE or _MIRROR in pod.metadata.annotations:
            return  # a mirror pod runs on its node whatever we say, and has no account
        spec = pod.spec
        name = spec.service_account_name or spec.service_account or DEFAULT
        spec.service_account_name = name
        spec.service_account = name  # the old name of the field; clients read either
        account = await self._account(request, name)
        if automounts(account, pod):
            mount_token(pod, self._suffix)
        if not spec.image_pull_secrets:
            names = [one.name for one in account.image_pull_secrets]
            spec.image_pull_secrets = [LocalObjectReference(name=one) for one in names]

    async def validate(self, request: Attributes) -> None:
        pod: Pod = request.object
        if _MIRROR in pod.metadata.annotations:
            why = mirror_fault(pod) if request.operation is Operation.CREATE else ""
        else:
            account = await self._account(request, pod.spec.service_account_name or DEFAULT)
            why = secret_fault(account, pod) if enforces(account) else ""
        if why:
            raise errors.forbidden(request.resource, request.name, why)

    async def _account(self, request: Attributes, name: str) -> ServiceAccount:
        for attempt in range(_WAITS if name == DEFAULT else 1):
            if attempt:
                await self._clock.sleep(_WAIT_SECONDS)
            await self._reader.fresh(ServiceAccount)
            found = self._reader.get(ServiceAccount, name, request.namespace)
            if found is not None:
                return found
        raise errors.forbidden(
            request.resource,
            request.name,
            f"error looking up service account {request.namespace}/{name}: "
            f'serviceaccount "{name}" not found',
        )


def automounts(account: ServiceAccount, pod: Pod) -> bool:
    """The pod's word, else the account's, else yes."""
    for said in (pod.spec.automount_service_account_token, account.automount_service_account_token):
        if said is not None:
            return said
    return True


def mount_token(pod: Pod, suffix: Callable[[], str]) -> None:
    """Mount the token wherever the pod itself mounts nothing in its place."""
    spec = pod.spec
    lacking = [
        container
        for container in (*spec.init_containers, *spec.containers)
        if all(mount.mount_path != MOUNT_PATH for mount in container.volume_mounts)
    ]
    if not lacking:
        return
    names = [volume.name for volume in spec.volumes]
    known = next((name for name in names if name.startswith(VOLUME_PREFIX)), "")
    name = known or VOLUME_PREFIX + suffix()
    for container in lacking:
        mount = VolumeMount(name=name, read_only=True, mount_path=MOUNT_PATH)
        container.volume_mounts = [*container.volume_mounts, mount]
    if not known:
        spec.volumes = [*spec.volumes, token_volume(name)]


def token_volume(name: str) -> Volume:
    """What a client needs to reach the API: who it is, whom to trust, where it lives."""
    token = ServiceAccountTokenProjection(expiration_seconds=TOKEN_SECONDS, path="token")
    ca = ConfigMapProjection(name=ROOT_CA, items=[KeyToPath(key="ca.crt", path="ca.crt")])
    field = ObjectFieldSelector(api_version="v1", field_path="metadata.namespace")
    place = DownwardAPIProjection(items=[DownwardAPIVolumeFile(path="namespace", field_ref=field)])
    return Volume(
        name=name,
        projected=ProjectedVolumeSource(
            sources=[
                VolumeProjection(service_account_token=token),
                VolumeProjection(config_map=ca),
                VolumeProjection(downward_api=place),
            ],
            default_mode=_FILE_MODE,
        ),
    )


def mirror_fault(pod: Pod) -> str:
    """What the mirror of a static pod may not have: nobody could give it that."""
    if pod.spec.service_account_name:
        return "a mirror pod may not reference service accounts"
    if any(resource == "secrets" for resource, _ in references(pod)):
        return "a mirror pod may not reference secrets"
    for volume in pod.spec.volumes:
        sources = volume.projected.sources if volume.projected is not None else []
        if any(source.service_account_token is not None for source in sources):
            return "a mirror pod may not use ServiceAccountToken volume projections"
    return ""


def enforces(account: ServiceAccount) -> bool:
    """Whether pods of the account may use only the Secrets that it lists."""
    return account.metadata.annotations.get(ENFORCE, "").lower() in ("1", "t", "true")


def secret_fault(account: ServiceAccount, pod: Pod) -> str:
    """The first Secret of the pod that its account does not list."""
    listed = {one.name for one in account.secrets}
    refuse = f"is not allowed because service account {account.metadata.name} does not reference"
    for volume in pod.spec.volumes:
        if volume.secret is not None and volume.secret.secret_name not in listed:
            what = f'volume with secret.secretName="{volume.secret.secret_name}"'
            return f"{what} {refuse} that secret"
    for what, secret in _in_environments(pod):
        if secret not in listed:
            return f'{what} referencing secret.secretName="{secret}" {refuse} that secret'
    pulls = {one.name for one in account.image_pull_secrets}
    for pull in pod.spec.image_pull_secrets:
        if pull.name not in pulls:
            return f'imagePullSecret name="{pull.name}" {refuse} that imagePullSecret'
    return ""


def _in_environments(pod: Pod) -> Iterator[tuple[str, str]]:
    spec = pod.spec
    for container in spec.init_containers:
        yield from _in_environment("init container", container)
    for container in spec.containers:
        yield from _in_environment("container", container)
    for debugging in spec.ephemeral_containers:
        yield from _in_environment("ephemeral container", debugging)


def _in_environment(
    kind: str, container: Container | EphemeralContainer
) -> Iterator[tuple[str, str]]:
    what = f"{kind} {container.name} with"
    for variable in container.env:
        source = variable.value_from
        if source is not None and source.secret_key_ref is not None:
            yield f"{what} envVar {variable.name}", source.secret_key_ref.name
    for all_of in container.env_from:
        if all_of.secret_ref is not None:
            yield f"{what} envFrom", all_of.secret_ref.name
