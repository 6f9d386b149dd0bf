"""Where images are, and how much that counts: a pod starts sooner where its images lie. Walk step 3.

Kubernetes' plugin ImageLocality: the sizes of the pod's images that a node has, each by the share of all
nodes that have it (or the first node with an image would draw every pod that uses it), between 23 MB and
1,000 MB per container. Names are compared as what they stand for, `docker.io/library/nginx:latest` for
`nginx`.

Single-threaded, part of the snapshot; size: the images that nodes report (their 50 largest).
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from api import imagereferences
from api.core import ContainerImage, PodSpec
from api.imagereferences import InvalidReference


class Images:
    """By image, which rows have it, and how large it is there."""

    def __init__(self) -> None:
        self._listed: dict[int, Sequence[ContainerImage]] = {}
        self._sizes: dict[str, dict[int, int]] = {}
        self._columns: dict[str, NDArray[np.float64]] = {}

    def statistics(self) -> dict[str, float]:
        """How many images are known by name."""
        return {"images": len(self._sizes)}

    def set(self, row: int, listed: Sequence[ContainerImage]) -> None:
        """The images of a row are these now."""
        before = self._listed.get(row, ())
        if before == listed:
            return
        for image in before:
            for name in _names(image):
                self._sizes[name].pop(row, None)
                self._columns.pop(name, None)
        self._listed[row] = listed
        for image in listed:
            for name in _names(image):
                self._sizes.setdefault(name, {})[row] = image.size_bytes
                self._columns.pop(name, None)
        for name in [name for image in before for name in _names(image)]:
            if not self._sizes.get(name, True):
                del self._sizes[name]
        if not listed:
            del self._listed[row]

    def nodes(self, name: str) -> int:
        """How many nodes have an image."""
        return len(self._sizes.get(name, ()))

    def sizes(self, name: str, rows: int) -> NDArray[np.float64]:
        """By row, the size of an image where it is; not to be changed."""
        known = self._columns.get(name)
        if known is None or len(known) != rows:
            known = self._columns[name] = np.zeros(rows)
            for row, size in self._sizes[name].items():
                known[row] = size
        return known


def wanted(spec: PodSpec) -> tuple[str, ...]:
    """The images of a pod's containers in full, each as often as it is named."""
    named = [one.image for one in (*spec.init_containers, *spec.containers)]
    return tuple(full for name in named if (full := in_full(name)))


def _names(image: ContainerImage) -> list[str]:
    return [full for name in image.names if (full := in_full(name))]


@lru_cache(maxsize=8192)
def in_full(name: str) -> str:
    """What a name stands for, by its digest if it has one; empty if it is none (`<none>:<none>`)."""
    try:
        parsed = imagereferences.parse(name)
    except InvalidReference:
        return ""
    return f"{parsed.repository}{f'@{parsed.digest}' if parsed.digest else f':{parsed.tag}'}"
