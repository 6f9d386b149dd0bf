"""The pure part of a Deployment: which ReplicaSets it has, and the next step of its rollout.

Rules from the API reference and the Deployment concept page: a percentage of maxSurge rounds up,
of maxUnavailable down; new pods are added while the total stays within replicas + maxSurge; old
ones are taken only as long as replicas - maxUnavailable stay available, broken old pods first. The
total is of pods that exist, not of sizes that were written: "it does not create new Pods until a
sufficient number of old Pods have been killed".
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from api import intstr, objects, timestamps
from api.apps import Deployment, ReplicaSet
from api.core import PodTemplateSpec

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
"""The revisions that a ReplicaSet has been before, where a rollback has come back to it."""
DESIRED = "deployment.kubernetes.io/desired-replicas"
MAX_REPLICAS = "deployment.kubernetes.io/max-replicas"
UNLIMITED = 2**31 - 1
"""What clients write into `revisionHistoryLimit` and `progressDeadlineSeconds` for "none"."""
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_HISTORY_CHARACTERS = 2000
_HASH_LENGTH = 10


def template_hash(template: PodTemplateSpec, collisions: int | None) -> str:
    """A short name for a pod template; `collisions` makes another one where it is taken."""
    text = msgspec.json.encode(template, order="sorted") + str(collisions or "").encode()
    number = int.from_bytes(hashlib.sha256(text).digest()[:8], "big")
    letters = []
    for _ in range(_HASH_LENGTH):
        number, digit = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[digit])
    return "".join(letters)


def same_template(deployment: Deployment, rs: ReplicaSet) -> bool:
    """Whether a ReplicaSet runs the Deployment's present template, the hash label apart."""
    template = objects.copy(rs.spec.template)
    template.metadata.labels.pop(HASH_LABEL, None)
    wanted = deployment.spec.template
    if HASH_LABEL in wanted.metadata.labels:
        wanted = objects.copy(wanted)
        wanted.metadata.labels.pop(HASH_LABEL)
    return template == wanted


def find_new(deployment: Deployment, owned: Sequence[ReplicaSet]) -> ReplicaSet | None:
    """The ReplicaSet of the present template; of several, the oldest, as all must agree on one."""
    matching = [rs for rs in owned if same_template(deployment, rs)]
    return min(matching, key=_age, default=None)


def _age(rs: ReplicaSet) -> tuple[str, str]:
    return (rs.metadata.creation_timestamp or "", rs.metadata.name)


def revision(rs: ReplicaSet) -> int:
    """The revision annotation; 0 where there is none."""
    text = rs.metadata.annotations.get(REVISION, "0")
    return int(text) if text.isdigit() else 0


def history(rs: ReplicaSet, number: int) -> str:
    """The revisions that it has been before it becomes the revision `number`, separated by commas."""
    annotations = rs.metadata.annotations
    text, before = annotations.get(REVISION_HISTORY, ""), annotations.get(REVISION, "")
    if not before or revision(rs) >= number:
        return text
    known = [*filter(None, text.split(",")), before]
    while len(",".join(known)) > _HISTORY_CHARACTERS:
        del known[0]
    return ",".join(known)


def max_surge(deployment: Deployment) -> int:
    """How many pods above the wanted number may exist."""
    rolling = deployment.spec.strategy.rolling_update
    if deployment.spec.strategy.type != "RollingUpdate" or rolling is None:
        return 0
    return intstr.resolve(_or_zero(rolling.max_surge), deployment.spec.replicas or 0, round_up=True)


def max_unavailable(deployment: Deployment) -> int:
    """How many of the wanted pods may be unavailable; 1 where both limits round to nothing."""
    rolling = deployment.spec.strategy.rolling_update
    replicas = deployment.spec.replicas or 0
    if deployment.spec.strategy.type != "RollingUpdate" or rolling is None or replicas == 0:
        return 0
    resolved = intstr.resolve(_or_zero(rolling.max_unavailable), replicas, round_up=False)
    if resolved == 0 and max_surge(deployment) == 0:
        return 1
    return min(resolved, replicas)


def _or_zero(value: int | str | None) -> int | str:
    return 0 if value is None else value


@dataclass(frozen=True, slots=True)
class Step:
    """New sizes by ReplicaSet name, to be written one by one, in this order."""

    sizes: dict[str, int] = field(default_factory=dict)


def size(rs: ReplicaSet) -> int:
    """The number of pods a ReplicaSet is told to have."""
    return rs.spec.replicas or 0


def present(rs: ReplicaSet) -> int:
    """How many pods it may have: more than its size as long as some are still to be deleted."""
    return max(rs.status.replicas, size(rs))


def is_observed(rs: ReplicaSet) -> bool:
    """Whether its status tells of the size that it has now."""
    return rs.status.observed_generation >= rs.metadata.generation


def available(rs: ReplicaSet) -> int:
    """How many pods can be counted on: its status may still tell of some it is told not to have."""
    return min(rs.status.available_replicas, size(rs))


def is_still(rs: ReplicaSet) -> bool:
    """Whether none of its pods is on its way out because of a size that was written."""
    return is_observed(rs) and present(rs) == size(rs)


def next_step(deployment: Deployment, new: ReplicaSet, old: Sequence[ReplicaSet]) -> Step:
    """The sizes to write now; an empty step when there is nothing to do but wait."""
    if deployment.spec.strategy.type == "Recreate":
        return _recreate_step(deployment, new, old)
    grown = _grow_new(deployment, new, old)
    if grown != size(new):
        return Step({new.metadata.name: grown})
    return Step(_shrink_old(deployment, new, old))


def _recreate_step(deployment: Deployment, new: ReplicaSet, old: Sequence[ReplicaSet]) -> Step:
    """All old pods go before the first new one comes."""
    running = {rs.metadata.name: 0 for rs in old if size(rs) > 0}
    if running:
        return Step(running)
    if any(rs.status.replicas > 0 for rs in old) or size(new) == (deployment.spec.replicas or 0):
        return Step()
    return Step({new.metadata.name: deployment.spec.replicas or 0})


def _grow_new(deployment: Deployment, new: ReplicaSet, old: Sequence[ReplicaSet]) -> int:
    """The new ReplicaSet's size: as large as the surge allows, never above what is wanted."""
    wanted = deployment.spec.replicas or 0
    if size(new) >= wanted:
        return wanted
    room = wanted + max_surge(deployment) - sum(map(present, (new, *old)))
    return size(new) + max(0, min(room, wanted - size(new)))


def _shrink_old(
    deployment: Deployment, new: ReplicaSet, old: Sequence[ReplicaSet]
) -> dict[str, int]:
    """Old sizes: unhealthy pods go first and cost nothing, healthy ones as availability allows."""
    wanted = deployment.spec.replicas or 0
    floor = wanted - max_unavailable(deployment)
    total = sum(size(rs) for rs in (new, *old))
    new_unavailable = size(new) - available(new)
    budget = total - floor - new_unavailable
    if budget <= 0:
        return {}
    ordered = sorted(old, key=_age)
    sizes = {rs.metadata.name: size(rs) for rs in ordered}
    for rs in ordered:
        taken = min(size(rs) - available(rs), budget)
        sizes[rs.metadata.name] -= taken
        budget -= taken
    spare = min(budget, sum(map(available, (new, *old))) - floor)
    for rs in ordered:
        taken = max(0, min(sizes[rs.metadata.name], spare))
        sizes[rs.metadata.name] -= taken
        spare -= taken
    return _changes(old, sizes)


def scaled(deployment: Deployment, active: Sequence[ReplicaSet]) -> dict[str, int]:
    """Sizes after the Deployment itself was scaled amid a rollout: shared out in proportion.

    Each active ReplicaSet remembers for how many replicas it was sized (an annotation); only when
    that differs from what is wanted now is there anything to share. The largest come first, of equals
    the newer grows and the older shrinks; leftovers go to the first that can take them.
    """
    wanted = deployment.spec.replicas or 0
    allowed = wanted + max_surge(deployment) if wanted > 0 else 0
    total = sum(size(rs) for rs in active)
    difference = allowed - total
    if difference > 0:
        difference = max(0, allowed - sum(map(present, active)))
    if difference == 0 or total == 0:
        return {}
    by_age = sorted(active, key=_age, reverse=difference > 0)
    ordered = sorted(by_age, key=size, reverse=True)
    sizes = {}
    left = difference
    for rs in ordered:
        share = _rounded(size(rs) * allowed / _sized_for(rs, deployment, total)) - size(rs)
        share = max(min(share, left), 0) if difference > 0 else min(max(share, left), 0)
        sizes[rs.metadata.name] = max(0, size(rs) + share)
        left -= share
    for rs in ordered:
        rest = max(left, -sizes[rs.metadata.name])
        sizes[rs.metadata.name] += rest
        left -= rest
    return _changes(active, sizes)


def paused_sizes(deployment: Deployment, owned: Sequence[ReplicaSet]) -> dict[str, int]:
    """Sizes while no step of a rollout may be taken: only what scaling the Deployment asks for.

    The one active set, or the latest where none is, follows what is wanted. Beside a new one that
    serves all that is wanted, old ones go. Otherwise those of a rolling update share.
    """
    wanted = deployment.spec.replicas or 0
    active = [rs for rs in owned if size(rs) > 0]
    if len(active) <= 1:
        latest = active or sorted(owned, key=lambda rs: (revision(rs), _age(rs)))[-1:]
        return _changes(latest, {rs.metadata.name: wanted for rs in latest})
    new = find_new(deployment, active)
    if new is not None and _is_saturated(deployment, new):
        return _changes(active, {rs.metadata.name: 0 for rs in active if rs is not new})
    return scaled(deployment, active) if deployment.spec.strategy.type == "RollingUpdate" else {}


def _is_saturated(deployment: Deployment, new: ReplicaSet) -> bool:
    """Whether the new set is all that is wanted, was told so, and serves."""
    wanted = deployment.spec.replicas or 0
    told = new.metadata.annotations.get(DESIRED) == str(wanted)
    return told and size(new) == wanted == new.status.available_replicas


def _changes(sets: Sequence[ReplicaSet], sizes: Mapping[str, int]) -> dict[str, int]:
    """What of these sizes is to be written."""
    return {
        rs.metadata.name: sizes[rs.metadata.name]
        for rs in sets
        if sizes.get(rs.metadata.name, size(rs)) != size(rs)
    }


def _rounded(number: float) -> int:
    """Halves go up (Python's own rounding prefers even numbers)."""
    return math.floor(number + 0.5)


def _sized_for(rs: ReplicaSet, deployment: Deployment, total: int) -> int:
    text = rs.metadata.annotations.get(MAX_REPLICAS, "")
    return int(text) if text.isdigit() and int(text) > 0 else deployment.status.replicas or total


def was_scaled(deployment: Deployment, active: Sequence[ReplicaSet]) -> bool:
    """Whether the wanted number changed since the active ReplicaSets were last sized."""
    wanted = str(deployment.spec.replicas or 0)
    return any(rs.metadata.annotations.get(DESIRED, wanted) != wanted for rs in active)


def surplus_history(deployment: Deployment, old: Sequence[ReplicaSet]) -> list[ReplicaSet]:
    """Old, empty ReplicaSets beyond `revisionHistoryLimit`, the oldest revisions first."""
    limit = deployment.spec.revision_history_limit
    if limit in (None, UNLIMITED):
        return []
    empty = [
        rs
        for rs in old
        if size(rs) == 0
        and rs.status.replicas == 0
        and is_observed(rs)
        and not rs.metadata.deletion_timestamp
    ]
    surplus = len(empty) - limit
    return sorted(empty, key=lambda rs: (revision(rs), _age(rs)))[: max(0, surplus)]


def has_deadline(deployment: Deployment) -> bool:
    """Whether rollouts are watched for progress at all."""
    return deployment.spec.progress_deadline_seconds not in (None, UNLIMITED)


def progress_deadline_passed(since: str | None, seconds: int | None, now_text: str) -> bool:
    """Whether nothing has moved for `progressDeadlineSeconds`."""
    if seconds is None or not since:
        return False
    elapsed = timestamps.parse(now_text) - timestamps.parse(since)
    return elapsed.total_seconds() > seconds
