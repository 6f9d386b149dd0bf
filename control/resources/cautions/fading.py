"""Labels, annotations and volume types that Kubernetes has given up, and what to use instead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from api.core import NodeSelectorTerm
from api.struct import ApiStruct

_LABELS = {
    "beta.kubernetes.io/arch": ("v1.14", "kubernetes.io/arch"),
    "beta.kubernetes.io/os": ("v1.14", "kubernetes.io/os"),
    "failure-domain.beta.kubernetes.io/region": ("v1.17", "topology.kubernetes.io/region"),
    "failure-domain.beta.kubernetes.io/zone": ("v1.17", "topology.kubernetes.io/zone"),
    "beta.kubernetes.io/instance-type": ("v1.17", "node.kubernetes.io/instance-type"),
}

_VOLUMES = {
    "photon_persistent_disk": ("photonPersistentDisk", "non-functional in v1.16+"),
    "git_repo": ("gitRepo", "deprecated in v1.11, and disabled by default in v1.33+"),
    "scale_io": ("scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    "flocker": ("flocker", "deprecated in v1.22, non-functional in v1.25+"),
    "storageos": ("storageos", "deprecated in v1.22, non-functional in v1.25+"),
    "quobyte": ("quobyte", "deprecated in v1.22, non-functional in v1.25+"),
    "glusterfs": ("glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    "rbd": ("rbd", "deprecated in v1.28, non-functional in v1.31+"),
    "cephfs": ("cephfs", "deprecated in v1.28, non-functional in v1.31+"),
}

_CLASS = "volume.beta.kubernetes.io/storage-class"


def label(key: str) -> str:
    """What to say of a node's label, or ""."""
    found = _LABELS.get(key)
    return f'deprecated since {found[0]}; use "{found[1]}" instead' if found else ""


def selector(wanted: Mapping[str, str], path: str) -> Iterator[str]:
    """Of a map of labels that a node must have."""
    for key in wanted:
        if told := label(key):
            yield f"{path}[{key}]: {told}"


def keys(wanted: Sequence[str], path: str, field: str) -> Iterator[str]:
    """Of a list whose elements each name a label in `field`."""
    for position, key in enumerate(wanted):
        if told := label(key):
            yield f"{path}[{position}].{field}: {key} is {told}"


def term(one: NodeSelectorTerm, path: str) -> Iterator[str]:
    """Of one term of a node selector."""
    yield from keys([row.key for row in one.match_expressions], f"{path}.matchExpressions", "key")


def volume(source: ApiStruct, path: str) -> Iterator[str]:
    """Of the type of a volume of a pod, or of a PersistentVolume."""
    for attribute, (name, told) in _VOLUMES.items():
        if getattr(source, attribute, None) is not None:
            yield f"{path}.{name}: {told}"


def storage_class(annotations: Mapping[str, str], path: str) -> Iterator[str]:
    """Of the annotation that came before `storageClassName`."""
    if _CLASS in annotations:
        yield f'{path}[{_CLASS}]: deprecated since v1.8; use "storageClassName" attribute instead'
