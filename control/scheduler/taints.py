"""Which taints keep a pod away; asked once per class of equally tainted nodes. Pure."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from api import pods
from api.core import Taint, Toleration
from control.scheduler.request import Request
from control.scheduler.snapshot import Mask, Snapshot, TaintKey


def blocking(request: Request, snapshot: Snapshot) -> list[TaintKey | None]:
    """By class of taints, the first one that keeps the pod away."""
    return [
        first_untolerated(request.spec.tolerations, taints) for taints in snapshot.taint_classes
    ]


def tolerated(request: Request, snapshot: Snapshot) -> Mask:
    """The nodes without a taint that keeps the pod away."""
    open_classes = np.array([taint is None for taint in blocking(request, snapshot)])
    mask: Mask = open_classes[snapshot.taint_class]
    return mask


def first_untolerated(
    tolerations: Sequence[Toleration], taints: tuple[TaintKey, ...]
) -> TaintKey | None:
    """The first taint that keeps the pod away; PreferNoSchedule never does."""
    for taint in taints:
        if taint[2] in ("NoSchedule", "NoExecute") and not tolerates(tolerations, taint):
            return taint
    return None


def tolerates(tolerations: Sequence[Toleration], taint: TaintKey) -> bool:
    """Whether one of the tolerations covers the taint."""
    return pods.tolerates(tolerations, _taint(taint))


@lru_cache(maxsize=1024)
def _taint(taint: TaintKey) -> Taint:
    return Taint(key=taint[0], value=taint[1], effect=taint[2])
