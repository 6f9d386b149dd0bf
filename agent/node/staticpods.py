"""Static pods: what lies as files in a directory of the node runs on it (step 4 of the pod's walk).

Nobody schedules them and no server has to be there: each file is one pod, which runs while the file is
there and is replaced when the file changes. The name gets the node's behind it, and the uid is made
from file, node and content, so that an agent that was restarted knows its pods again. The names and
annotations are those of kubelets ("Create static Pods" in Kubernetes' documentation).

A file that cannot be read, or holds no pod, is told in the log, and what it held before goes on: it may
be half written. A file that was removed and is back, however soon, is a pod that is started anew, as
kubelets have it: people restart static pods so. Concurrency: one task looks whenever the kernel tells of a
change, and every 20 s.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from api import timestamps
from api.codec.decode import WARN, decode_body
from api.core import Pod, PodSpec, PodStatus, Toleration, VolumeProjection
from api.errors import ApiError
from api.poddefaults import default_pod_only, default_pod_spec
from api.priorities import SYSTEM_PRIORITIES
from base.clock import Clock
from base.dirwatch import DirectoryWatch
from base.errors import PermanentError
from base.files import make_directory

log = logging.getLogger(__name__)

CONFIG_HASH = "kubernetes.io/config.hash"
CONFIG_SEEN = "kubernetes.io/config.seen"
CONFIG_SOURCE = "kubernetes.io/config.source"
FILE = "file"
LOOK_EVERY = 20.0

_OBJECTS = ("secret", "config_map", "persistent_volume_claim", "ephemeral")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", re.ASCII)
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", re.ASCII)
_encoder = msgspec.json.Encoder(order="sorted")


class StaticPodError(PermanentError):
    """A file that holds no pod which could run here."""


def static_pod(body: bytes, *, path: Path, node: str, now: datetime) -> Pod:
    """The pod of a file. Pure. Raises StaticPodError."""
    try:
        found = decode_body(body, "", Pod, WARN)
    except ApiError as error:
        raise StaticPodError(error.message) from error
    for warning in found.warnings:
        log.warning("%s: %s", path, warning)
    pod = found.obj
    for fault in _faults(pod):
        raise StaticPodError(fault)
    content = _encoder.encode(msgspec.structs.replace(pod, status=PodStatus()))
    uid = hashlib.sha256(f"{node}\n{path}\n".encode() + content).hexdigest()[:32]
    meta = pod.metadata
    meta.name = f"{meta.name}-{node.lower()}"
    meta.namespace = meta.namespace or "default"
    meta.uid = uid  # whatever the file says: it has to change with the content
    meta.annotations = {
        **meta.annotations,
        CONFIG_HASH: meta.uid,
        CONFIG_SOURCE: FILE,
        CONFIG_SEEN: timestamps.format(now),
    }
    pod.spec.node_name = node
    if pod.spec.priority is None:  # as the server will in its mirror; it alone knows other classes
        pod.spec.priority = SYSTEM_PRIORITIES.get(pod.spec.priority_class_name)
    default_pod_spec(pod.spec)
    default_pod_only(pod.spec)
    # It belongs to the node, whatever the node's state: no taint drives it away.
    everything = Toleration(operator="Exists", effect="NoExecute")
    if everything not in pod.spec.tolerations:
        pod.spec.tolerations.append(everything)
    pod.status = PodStatus(phase="Pending")
    return pod


def _faults(pod: Pod) -> Iterator[str]:
    spec = pod.spec
    if not _NAME.fullmatch(pod.metadata.name):
        yield f'metadata.name: Invalid value: "{pod.metadata.name}"'
    if (namespace := pod.metadata.namespace) and not _LABEL.fullmatch(namespace):
        yield f'metadata.namespace: Invalid value: "{namespace}"'
    if not spec.containers:
        yield "spec.containers: Required value"
    for container in (*spec.init_containers, *spec.containers):
        if not (container.name and container.image):
            yield "a container needs a name and an image"
    containers = [container.name for container in (*spec.init_containers, *spec.containers)]
    yield from _name_faults("spec.containers", containers)
    yield from _name_faults("spec.volumes", [volume.name for volume in spec.volumes])
    if spec.service_account_name or spec.service_account:
        yield "static pods may not reference service accounts"
    if spec.ephemeral_containers:
        yield "static pods may not have ephemeral containers"
    for what in _references(spec):
        yield f"static pods may not reference API objects ({what})"


def _references(spec: PodSpec) -> Iterator[str]:
    """What cannot be had without a server: the pod's mirror would not be let in either."""
    if spec.image_pull_secrets:
        yield "imagePullSecrets"
    if spec.resource_claims:
        yield "resourceClaims"
    for volume in spec.volumes:
        sources = () if volume.projected is None else volume.projected.sources
        alone = [msgspec.structs.replace(source, downward_api=None) for source in sources]
        named = any(getattr(volume, field) is not None for field in _OBJECTS)
        if named or any(source != VolumeProjection() for source in alone):
            yield f'volume "{volume.name}"'
    for container in (*spec.init_containers, *spec.containers):
        values = [variable.value_from for variable in container.env]
        keys = [s for s in values if s is not None and (s.secret_key_ref or s.config_map_key_ref)]
        if container.env_from or keys:
            yield f'container "{container.name}"'


def _name_faults(field: str, names: Sequence[str]) -> Iterator[str]:
    """Names become those of folders and of containers."""
    for position, name in enumerate(names):
        if not _LABEL.fullmatch(name):
            yield f'{field}: Invalid value: "{name}"'
        if name in names[:position]:
            yield f'{field}: Duplicate value: "{name}"'


class StaticPods:
    """Reads the directory, again and again."""

    def __init__(
        self,
        directory: Path,
        *,
        node: str,
        clock: Clock,
        changed: Callable[[Mapping[str, Pod]], None],
    ) -> None:
        self._directory = directory
        self._node = node
        self._clock = clock
        self._changed = changed
        self._read: dict[Path, tuple[bytes, Pod | None]] = {}
        """By file: its content, and the pod that it holds, or held before it broke."""

    def __repr__(self) -> str:
        return f"StaticPods({self._directory}, files={len(self._read)})"

    async def run(self) -> None:
        """Look until cancelled."""
        if not self._directory.is_file():
            make_directory(self._directory)
        watch = DirectoryWatch()
        try:
            while True:
                alone = self._directory.is_file()
                with watch.watching(
                    self._directory.parent if alone else self._directory
                ) as changes:
                    self.look()
                    while await changes.wait(LOOK_EVERY) is not None:
                        self.look(removed=changes.taken_away())
                await self._clock.sleep(1.0)  # it is not there, or is another one by now
        finally:
            watch.close()

    def look(self, *, removed: Collection[str] = ()) -> None:
        """Read what is new and tell of all pods, by uid. `removed`: names of files that went meanwhile."""
        present = set(self._files())
        back = {path for path in self._read if path in present and path.name in removed}
        for path in back:
            log.info("static pod file %s was removed, and is back", path)
            del self._read[path]
        if back:
            self._tell()
        for path in present:
            self._look_at(path)
        for path in self._read.keys() - present:
            log.info("static pod file %s is gone", path)
            del self._read[path]
        self._tell()

    def _tell(self) -> None:
        pods: dict[str, Pod] = {}
        names: dict[tuple[str, str], Path] = {}
        for path, (_, pod) in sorted(self._read.items()):
            if pod is None:
                continue
            name = (pod.metadata.namespace, pod.metadata.name)
            if name in names:
                log.error("%s holds the same static pod as %s; it is left out", path, names[name])
                continue
            names[name] = path
            pods[pod.metadata.uid] = pod
        self._changed(pods)

    def _files(self) -> Iterator[Path]:
        if self._directory.is_file():  # as kubelets have it, one file may stand for the directory
            yield self._directory
            return
        try:
            found = sorted(self._directory.iterdir())
        except FileNotFoundError:
            return
        except OSError as error:
            log.warning("static pods cannot be read: %s: %s", self._directory, error.strerror)
            yield from self._read  # a disk that fails for a moment ends no pods
            return
        for path in found:
            if not path.name.startswith(".") and path.is_file():
                yield path

    def _look_at(self, path: Path) -> None:
        before, pod = self._read.get(path, (None, None))
        try:
            body = path.read_bytes()
        except OSError as error:
            log.warning("%s cannot be read: %s", path, error.strerror)
            return
        if body == before:
            return
        try:
            pod = static_pod(body, path=path, node=self._node, now=self._clock.now())
            log.info("static pod %s of %s", pod.metadata.name, path)
        except StaticPodError as error:
            log.error("%s holds no static pod: %s", path, error)
        self._read[path] = (body, pod)
