"""What may change in the spec of a pod that exists (API reference, "Pod update and replacement").

Only: a container's or init container's image, `activeDeadlineSeconds` (shorter, or set for the
first time), additional tolerations, `terminationGracePeriodSeconds` from negative to 1, and the
removal of scheduling gates, which also opens the node selector and node affinity to tightening.
"""

from collections.abc import Iterator

import msgspec

from api.core import Affinity, NodeSelectorTerm, Pod, PodSpec, Toleration
from api.fielderrors import FieldError, Path, forbidden, invalid
from control.resources.podspec.ephemeral import MIRROR

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_ALLOWED = (
    "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,"
    "`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def pod_update_errors(new: PodSpec, old: PodSpec, path: Path) -> Iterator[FieldError]:
    """Errors of changing a running pod's spec from `old` to `new`."""
    for name in ("containers", "init_containers"):
        if len(getattr(new, name)) != len(getattr(old, name)):
            wire = "containers" if name == "containers" else "initContainers"
            yield forbidden(path.child(wire), "pod updates may not add or remove containers")
            return
    yield from _deadline_errors(new, old, path)
    yield from _toleration_errors(new.tolerations, old.tolerations, path.child("tolerations"))
    yield from _gate_errors(new, old, path)
    if old.scheduling_gates:
        yield from _tightening_errors(new, old, path)
    if _comparable(new, old) != old:
        yield forbidden(path, f"pod updates may not change fields other than {_ALLOWED}")


def mirror_update_errors(new: Pod, old: Pod) -> Iterator[FieldError]:
    """Whether a pod is the mirror of a static one is said once, by the node that makes it."""
    before, now = (pod.metadata.annotations.get(MIRROR) for pod in (old, new))
    if before != now:
        may_not = "add" if before is None else "remove or update"
        where = Path("metadata", "annotations").key(MIRROR)
        yield forbidden(where, f"may not {may_not} mirror pod annotation")


def _comparable(new: PodSpec, old: PodSpec) -> PodSpec:
    """`new` with everything that may change set back to what `old` says."""
    copy = msgspec.structs.replace(
        new,
        active_deadline_seconds=old.active_deadline_seconds,
        tolerations=old.tolerations,
        containers=[
            msgspec.structs.replace(mine, image=theirs.image)
            for mine, theirs in zip(new.containers, old.containers, strict=True)
        ],
        init_containers=[
            msgspec.structs.replace(mine, image=theirs.image)
            for mine, theirs in zip(new.init_containers, old.init_containers, strict=True)
        ],
        scheduling_gates=old.scheduling_gates,
    )
    grace = old.termination_grace_period_seconds
    if grace is not None and grace < 0 and new.termination_grace_period_seconds == 1:
        copy.termination_grace_period_seconds = grace
    if old.scheduling_gates:
        copy.node_selector = old.node_selector
        copy.affinity = _with_node_affinity_of(new.affinity, old.affinity)
    return copy


def _with_node_affinity_of(new: Affinity | None, old: Affinity | None) -> Affinity | None:
    node = old.node_affinity if old is not None else None
    if new is None:
        return Affinity(node_affinity=node) if node is not None else None
    copy = msgspec.structs.replace(new, node_affinity=node)
    return None if old is None and copy == Affinity() else copy


def _tightening_errors(new: PodSpec, old: PodSpec, path: Path) -> Iterator[FieldError]:
    """A pod that is held back may be narrowed to fewer nodes, so that quotas can place it."""
    kept = all(new.node_selector.get(key) == value for key, value in old.node_selector.items())
    if not kept:
        yield invalid(
            path.child("nodeSelector"),
            new.node_selector,
            "only additions to spec.nodeSelector are allowed (no mutations or deletions)",
        )
    before, after = _required_terms(old), _required_terms(new)
    where = path.child("affinity", "nodeAffinity", _REQUIRED, "nodeSelectorTerms")
    if not before:
        return
    if len(after) != len(before):
        words = "no additions/deletions to non-empty NodeSelectorTerms list are allowed"
        yield invalid(where, after, words)
        return
    for number, (theirs, mine) in enumerate(zip(before, after, strict=True)):
        expressions = mine.match_expressions[: len(theirs.match_expressions)]
        fields = mine.match_fields[: len(theirs.match_fields)]
        if expressions != theirs.match_expressions or fields != theirs.match_fields:
            words = "only additions are allowed (no mutations or deletions)"
            yield invalid(where.index(number), mine, words)


def _required_terms(spec: PodSpec) -> list[NodeSelectorTerm]:
    node = spec.affinity.node_affinity if spec.affinity is not None else None
    selector = node.required_during_scheduling_ignored_during_execution if node else None
    return selector.node_selector_terms if selector is not None else []


def _deadline_errors(new: PodSpec, old: PodSpec, path: Path) -> Iterator[FieldError]:
    where = path.child("activeDeadlineSeconds")
    if old.active_deadline_seconds is None:
        return
    if new.active_deadline_seconds is None:
        yield invalid(where, None, "must not update from a positive integer to nil value")
    elif new.active_deadline_seconds > old.active_deadline_seconds:
        yield invalid(
            where,
            new.active_deadline_seconds,
            f"must be less than or equal to previous value ({old.active_deadline_seconds})",
        )


def _toleration_errors(
    new: list[Toleration], old: list[Toleration], path: Path
) -> Iterator[FieldError]:
    """Existing tolerations stay; only the seconds of a NoExecute one may change."""
    kept = [_without_seconds(toleration) for toleration in new]
    for toleration in old:
        if _without_seconds(toleration) not in kept:
            yield forbidden(
                path, "existing toleration can not be modified except its tolerationSeconds"
            )
            return


def _without_seconds(toleration: Toleration) -> Toleration:
    return msgspec.structs.replace(toleration, toleration_seconds=None)


def _gate_errors(new: PodSpec, old: PodSpec, path: Path) -> Iterator[FieldError]:
    known = {gate.name for gate in old.scheduling_gates}
    for number, gate in enumerate(new.scheduling_gates):
        if gate.name not in known:
            yield forbidden(
                path.child("schedulingGates").index(number),
                "only deletion is allowed, but found new scheduling gate",
            )
