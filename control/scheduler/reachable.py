"""Filters about storage: where the volumes of a pod's claims can be reached. Pure.

Rules and words are those of Kubernetes' plugins VolumeRestrictions, NodeVolumeLimits, VolumeBinding and
VolumeZone.
"""

from collections import Counter
from collections.abc import Callable

import numpy as np

from control.scheduler.request import Request
from control.scheduler.snapshot import Mask, Snapshot
from control.scheduler.storage import Lack, in_zone, reaches
from control.scheduler.verdict import Refusal, Verdict, verdict

CONFLICT = "node(s) had volume node affinity conflict"
NONE_TO_BIND = "node(s) didn't find available persistent volumes to bind"
NO_ROOM = "node(s) did not have enough free storage"
OTHER_ZONE = "node(s) had no available volume zone"
IN_USE = (
    "node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already "
    "in-use by another pod"
)
DISK_TAKEN = "node(s) had no available disk"
TOO_MANY = "node(s) exceed max volume count"


def claims_in_order(request: Request, snapshot: Snapshot, candidates: Mask) -> Verdict:
    """A pod whose claims are not there, or not ready for it, runs nowhere."""
    why = snapshot.storage.trouble(request) if request.claims else ""
    if not why:
        return Verdict(candidates)
    rows = np.flatnonzero(candidates)
    return Verdict(np.zeros_like(candidates), (Refusal((why,), rows, of_pod=True),))


def volume_restrictions(request: Request, snapshot: Snapshot, candidates: Mask) -> Verdict:
    """What one pod has for itself, no other gets."""
    if in_use(request, snapshot):
        return verdict(candidates, np.zeros_like(candidates), IN_USE)
    if not request.disks:
        return Verdict(candidates)

    def free(row: int) -> bool:
        taken = snapshot.row(row).disks
        return not any(disk.conflicts(other) for disk in request.disks for other in taken)

    return verdict(candidates, _where(candidates, free), DISK_TAKEN)


def in_use(request: Request, snapshot: Snapshot) -> bool:
    """Whether a claim that only one pod may have is another's."""
    for name in request.claims:
        claim = snapshot.storage.claims.get((request.namespace, name))
        used = snapshot.claims_used.get((request.namespace, name), 0)
        if used and claim is not None and "ReadWriteOncePod" in claim.spec.access_modes:
            return True
    return False


def node_volume_limits(request: Request, snapshot: Snapshot, candidates: Mask) -> Verdict:
    """A node takes as many volumes of a driver as the driver says, each counted once.

    Those that are attached count, though their pods are gone: they are detached some time later.
    """
    storage = snapshot.storage
    wanted = storage.attached(request) if request.claims and storage.limits else set()
    if not wanted:
        return Verdict(candidates)

    def fits(row: int) -> bool:
        limits = storage.limits.get(snapshot.name(row), {})
        if not any(driver in limits for driver, _ in wanted):
            return True
        pods = [pod for pod in snapshot.row(row).pods.values() if pod.claims]
        there = storage.attached_to(snapshot.name(row)).union(*map(storage.attached, pods))
        used, more = (Counter(driver for driver, _ in some) for some in (there, wanted - there))
        return all(
            used[driver] + number <= limits[driver]
            for driver, number in more.items()
            if driver in limits
        )

    return verdict(candidates, _where(candidates, fits), TOO_MANY)


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
    found = {
        int(row): storage.choose(request, snapshot.node(int(row)))
        for row in np.flatnonzero(near.passes)
    }
    offered = verdict(
        near.passes,
        _where(near.passes, lambda row: found[row] is not Lack.VOLUMES),
        NONE_TO_BIND,
    )
    roomy = verdict(
        offered.passes, _where(offered.passes, lambda row: found[row] is not Lack.ROOM), NO_ROOM
    )
    return Verdict(roomy.passes, (*near.refusals, *offered.refusals, *roomy.refusals))


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
