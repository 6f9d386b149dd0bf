"""What may change in the spec of a pod that exists (API reference, "Pod update and replacement").

Only: a container's or init container's image, `activeDeadlineSeconds` (shorter, or set for the
first time), additional tolerations, `terminationGracePeriodSeconds` from negative to 1, and the
removal of scheduling gates, which also opens the node selector and node affinity to tightening.
"""

from collections.abc import Iterator

import msgspec

from api.core import PodSpec, Toleration
from api.fielderrors import FieldError, Path, forbidden, invalid

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
    if _comparable(new, old) != old:
        yield forbidden(path, f"pod updates may not change fields other than {_ALLOWED}")


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
    if old.scheduling_gates and not old.node_name:
        copy.node_selector = old.node_selector if _tightens(new, old) else new.node_selector
        copy.affinity = old.affinity if old.affinity is None else new.affinity
    return copy


def _tightens(new: PodSpec, old: PodSpec) -> bool:
    return all(new.node_selector.get(key) == value for key, value in old.node_selector.items())


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
