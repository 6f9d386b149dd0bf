"""Filters about storage: where the volumes of a pod's claims can be reached. Pure.

Rules and words are those of Kubernetes' plugins VolumeRestrictions, VolumeBinding and VolumeZone.
"""

from collections.abc import Callable

import numpy as np

from control.scheduler.request import Request
from control.scheduler.snapshot import Mask, Snapshot
from control.scheduler.storage import in_zone, reaches
from control.scheduler.verdict import Refusal, Verdict, verdict

CONFLICT = "node(s) had volume node affinity conflict"
NONE_TO_BIND = "node(s) didn't find available persistent volumes to bind"
OTHER_ZONE = "node(s) had no available volume zone"
IN_USE = (
    "node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already "
    "in-use by another pod"
)


def claims_in_order(request: Request, snapshot: Snapshot, candidates: Mask) -> Verdict:
    """A pod whose claims are not there, or not ready for it, runs nowhere."""
    why = snapshot.storage.trouble(request) if request.claims else ""
    if not why:
        return Verdict(candidates)
    rows = np.flatnonzero(candidates)
    return Verdict(np.zeros_like(candidates), (Refusal((why,), rows, of_pod=True),))


def volume_restrictions(request: Request, snapshot: Snapshot, candidates: Mask) -> Verdict:
    """What one pod has for itself, no other gets."""
    for name in request.claims:
        claim = snapshot.storage.claims.get((request.namespace, name))
        used = snapshot.claims_used.get((request.namespace, name), 0)
        if used and claim is not None and "ReadWriteOncePod" in claim.spec.access_modes:
            return verdict(candidates, np.zeros_like(candidates), IN_USE)
    return Verdict(candidates)


def volume_binding(request: Request, snapshot: Snapshot, candidates: Mask) -> Verdict:
    """Volumes that are bound can be reached, and for claims that wait there is one to be had."""
    if not request.claims:
        return Verdict(candidates)
    storage = snapshot.storage
    held = [one for one in storage.bound(request) if one.spec.node_affinity is not None]
    near = verdict(
        candidates,
        _where(candidates, lambda row: all(reaches(one, snapshot.node(row)) for one in held)),
        CONFLICT,
    )
    if not storage.waiting(request):
        return near
    offered = verdict(
        near.passes,
        _where(near.passes, lambda row: storage.choose(request, snapshot.node(row)) is not None),
        NONE_TO_BIND,
    )
    return Verdict(offered.passes, (*near.refusals, *offered.refusals))


def volume_zone(request: Request, snapshot: Snapshot, candidates: Mask) -> Verdict:
    """Volumes of a zone are reached from its nodes."""
    held = snapshot.storage.bound(request) if request.claims else []
    if not held:
        return Verdict(candidates)
    passes = _where(candidates, lambda row: all(in_zone(one, snapshot.node(row)) for one in held))
    return verdict(candidates, passes, OTHER_ZONE)


def _where(candidates: Mask, holds: Callable[[int], bool]) -> Mask:
    passes = candidates.copy()
    for row in np.flatnonzero(candidates):
        passes[row] = holds(int(row))
    return passes
