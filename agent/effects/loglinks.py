"""The names under which log collectors look for containers' logs (after step 4 of the pod's walk).

    ROOT/pods/NAMESPACE_NAME_UID/CONTAINER/RESTARTS.log → the engine's file
    ROOT/containers/NAME_NAMESPACE_CONTAINER-ID.log     → that link

Links, as Docker-based kubelets made them: the content is the engine's, one JSON object per piece of
output. They come when a container has started and go with it, so a container that ended keeps its own
for as long as it can be read by `kubectl logs`.

Nothing depends on them: what cannot be written is logged, and no pod waits for it. ROOT may be shared
with others who write there (another agent, a kubelet before us): only links are ever removed, and of
others' only those that lead nowhere.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from agent.containers.records import ContainerRecord
from agent.pod import names
from api.core import Pod

log = logging.getLogger(__name__)

PODS, CONTAINERS = "pods", "containers"
_NAME_LIMIT = 255
_SUFFIX = ".log"


def link(root: Path | None, pod: Pod, record: ContainerRecord) -> None:
    """Make the links of a container that has a log. May be called twice."""
    if root is None or not record.log_path or not _is_ours(record):
        return
    file = _file(root, pod, record)
    try:
        _directory(file.parent)
        _directory(root / CONTAINERS)
        _point(file, record.log_path)
        _point(_alias(root, pod, record), str(file))
    except OSError as error:
        log.warning("%s is not linked to %s: %s", file, record.log_path, error.strerror)


def unlink(root: Path | None, pod: Pod, record: ContainerRecord) -> None:
    """Remove the links of a container that is gone. May be called twice."""
    if root is None or not _is_ours(record):
        return
    file = _file(root, pod, record)
    with suppress(OSError):
        _alias(root, pod, record).unlink(missing_ok=True)
        file.unlink(missing_ok=True)
        file.parent.rmdir()


def remove(root: Path | None, pod: Pod) -> None:
    """Remove all links of a pod that is gone. May be called twice."""
    if root is not None:
        directory = _pod_directory(root, pod)
        meta = pod.metadata
        with suppress(OSError):
            for alias in (root / CONTAINERS).glob(f"{meta.name}_{meta.namespace}_*{_SUFFIX}"):
                if alias.is_symlink() and alias.readlink().is_relative_to(directory):
                    alias.unlink(missing_ok=True)
        _clear(directory)


def sweep(root: Path | None, uids: Collection[str]) -> None:
    """Remove what leads nowhere, of pods other than these; then of pods that it was all of."""
    if root is None:
        return
    with suppress(OSError):
        for directory in list((root / PODS).iterdir()):
            if _uid(root, directory / "_") not in uids and _leads_nowhere(directory):
                _clear(directory)
        for alias in list((root / CONTAINERS).iterdir()):
            # A log is missing for a moment, too, when the engine turns to another file.
            if alias.is_symlink() and not alias.exists() and _uid(root, alias) not in uids:
                alias.unlink(missing_ok=True)


def _is_ours(record: ContainerRecord) -> bool:
    """A container of a pod, whose labels nobody has tampered with."""
    container = record.labels.get(names.CONTAINER_NAME, "")
    return record.labels.get(names.CONTAINER_TYPE) == names.CONTAINER and "/" not in container


def _pod_directory(root: Path, pod: Pod) -> Path:
    meta = pod.metadata
    return root / PODS / f"{meta.namespace}_{meta.name}_{meta.uid}"


def _uid(root: Path, link: Path) -> str:
    """Of which pod a link is; empty when that cannot be told."""
    target = link.readlink() if link.is_symlink() else link
    if not target.is_relative_to(root / PODS):
        return ""
    return target.relative_to(root / PODS).parts[0].rpartition("_")[2]


def _file(root: Path, pod: Pod, record: ContainerRecord) -> Path:
    container, restarts = names.start_of(record)
    return _pod_directory(root, pod) / container / f"{restarts}{_SUFFIX}"


def _alias(root: Path, pod: Pod, record: ContainerRecord) -> Path:
    meta, container = pod.metadata, record.labels[names.CONTAINER_NAME]
    name = f"{meta.name}_{meta.namespace}_{container}-{record.id}"
    return root / CONTAINERS / f"{name[: _NAME_LIMIT - len(_SUFFIX)]}{_SUFFIX}"


def _directory(path: Path) -> None:
    """Everybody may read here, whatever the agent's own umask: collectors need not be root."""
    if not path.is_dir():
        _directory(path.parent)
        path.mkdir(exist_ok=True)
        path.chmod(0o755)


def _point(link: Path, target: str) -> None:
    if link.is_symlink() and os.fspath(link.readlink()) == target:
        return
    beside = link.with_name(f".{link.name[:200]}")
    beside.unlink(missing_ok=True)
    beside.symlink_to(target)
    beside.replace(link)


def _leads_nowhere(directory: Path) -> bool:
    """Whether it holds links to files that are gone, and nothing else."""
    links = [path for path in directory.rglob("*") if path.is_symlink() or not path.is_dir()]
    return bool(links) and all(path.is_symlink() and not path.exists() for path in links)


def _clear(directory: Path) -> None:
    """Remove links, and directories that are empty then."""
    for path in (*sorted(directory.rglob("*"), reverse=True), directory):
        with suppress(OSError):
            if path.is_symlink():
                path.unlink(missing_ok=True)
            else:
                path.rmdir()
