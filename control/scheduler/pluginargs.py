"""Reads `pluginConfig` of the scheduler's file: what a profile wants of each plugin. Pure. Walk step 3.

Arguments, their defaults and the words of what is wrong with them are those of Kubernetes' scheduler
configuration, group `kubescheduler.config.k8s.io`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from api import validation
from api.codec import decode
from api.core import NodeAffinity, TopologySpreadConstraint
from api.errors import ApiError
from api.fielderrors import FieldError, Path, duplicate, forbidden, invalid, not_supported, required
from control.resources.checks import check_text
from control.resources.podspec.placement import node_affinity_errors, spread_errors
from control.scheduler.fileparts import Part, UnreadableError, check_range, into
from control.scheduler.fitting import (
    Point,
    Score,
    Weight,
    balanced_allocation,
    least_allocated,
    most_allocated,
    requested_to_capacity,
)
from control.scheduler.interpod import REQUIRED_WEIGHT, preferred_neighbours
from control.scheduler.profile import BIND_SECONDS, LEAST_TRIED, SHARE_TRIED

STRATEGIES = ("LeastAllocated", "MostAllocated", "RequestedToCapacityRatio")
DEFAULTINGS = ("System", "List")


class PluginConfig(Part):
    """The arguments of one plugin."""

    name: str
    args: dict[str, Any] = {}


class _Args(Part):
    api_version: str = ""
    kind: str = ""


class _Resource(Part):
    name: str
    weight: int = 1


class _Shape(Part):
    utilization: int
    score: int


class _Ratio(Part):
    shape: list[_Shape] = []


class _Strategy(Part):
    type: str = "LeastAllocated"
    resources: list[_Resource] = []
    requested_to_capacity_ratio: _Ratio | None = None


class _FitArgs(_Args):
    scoring_strategy: _Strategy | None = None
    ignored_resources: list[str] = []
    ignored_resource_groups: list[str] = []


class _BalancedArgs(_Args):
    resources: list[_Resource] = []


class _InterPodArgs(_Args):
    hard_pod_affinity_weight: int = REQUIRED_WEIGHT
    ignore_preferred_terms_of_existing_pods: bool = False


class _NodeAffinityArgs(_Args):
    added_affinity: dict[str, Any] | None = None


class _SpreadArgs(_Args):
    default_constraints: list[dict[str, Any]] = []
    defaulting_type: str = "System"


class _PreemptionArgs(_Args):
    min_candidate_nodes_percentage: int = SHARE_TRIED
    min_candidate_nodes_absolute: int = LEAST_TRIED


class _BindingArgs(_Args):
    bind_timeout_seconds: int = int(BIND_SECONDS)


@dataclass(slots=True)
class Arguments:
    """What the arguments of a profile's plugins come to.

    `functions`: the scores that work otherwise than by default. `spread`: constraints for pods without;
    None leaves that to the score SelectorSpread, which does what Kubernetes' own defaults do.
    """

    functions: dict[str, Score] = field(default_factory=dict)
    ignored: frozenset[str] = frozenset()
    ignored_groups: frozenset[str] = frozenset()
    affinity: NodeAffinity = field(default_factory=NodeAffinity)
    spread: tuple[TopologySpreadConstraint, ...] | None = None
    least_tried: int = LEAST_TRIED
    share_tried: int = SHARE_TRIED
    bind_seconds: float = BIND_SECONDS


def read_arguments(
    configured: Sequence[PluginConfig], path: Path, errors: list[FieldError]
) -> Arguments:
    """Everything under `pluginConfig`; what is wrong is added to the errors.

    Raises:
        UnreadableError: something is not of the form that the plugin's arguments have.
    """
    found, seen = Arguments(), set()
    for number, one in enumerate(configured):
        at = path.index(number)
        if one.name in seen:
            errors.append(duplicate(at, one.name))
        seen.add(one.name)
        reader = _READERS.get(one.name)
        if reader is None:
            errors.append(not_supported(at.child("name"), one.name, sorted(_READERS)))
        else:
            errors += reader(found, one.args, at.child("args"))
    return found


def _read_fit(found: Arguments, tree: dict[str, Any], path: Path) -> Iterator[FieldError]:
    args = into(_FitArgs, tree, str(path))
    found.ignored = frozenset(args.ignored_resources)
    found.ignored_groups = frozenset(args.ignored_resource_groups)
    for number, name in enumerate(args.ignored_resources):
        at = path.child("ignoredResources").index(number)
        yield from check_text(at, name, validation.qualified_name)
    for number, name in enumerate(args.ignored_resource_groups):
        at = path.child("ignoredResourceGroups").index(number)
        if "/" in name:
            yield invalid(at, name, "resource group name can't contain '/'")
        else:
            yield from check_text(at, name, validation.qualified_name)
    if args.scoring_strategy is not None:
        yield from _read_strategy(found, args.scoring_strategy, path.child("scoringStrategy"))


def _read_strategy(found: Arguments, strategy: _Strategy, path: Path) -> Iterator[FieldError]:
    yield from _weight_errors(strategy.resources, path)
    weights = _weights(strategy.resources)
    if strategy.type == "LeastAllocated":
        found.functions["NodeResourcesFit"] = least_allocated(*weights)
    elif strategy.type == "MostAllocated":
        found.functions["NodeResourcesFit"] = most_allocated(*weights)
    elif strategy.type not in STRATEGIES:
        yield not_supported(path.child("type"), strategy.type, STRATEGIES)
    else:
        ratio = strategy.requested_to_capacity_ratio or _Ratio()
        yield from _check_shape(path.child("requestedToCapacityRatio", "shape"), ratio.shape)
        shape = [Point(point.utilization, point.score) for point in ratio.shape]
        found.functions["NodeResourcesFit"] = requested_to_capacity(shape, *weights)


def _read_balanced(found: Arguments, tree: dict[str, Any], path: Path) -> Iterator[FieldError]:
    args = into(_BalancedArgs, tree, str(path))
    for number, one in enumerate(args.resources):
        if one.weight != 1:
            at = path.child("resources").index(number).child("weight")
            yield invalid(at, one.weight, f"resource weight of {one.name} must be 1")
    yield from _weight_errors(args.resources, path)
    function = balanced_allocation(*_weights(args.resources))
    found.functions["NodeResourcesBalancedAllocation"] = function


def _read_inter_pod(found: Arguments, tree: dict[str, Any], path: Path) -> Iterator[FieldError]:
    args = into(_InterPodArgs, tree, str(path))
    weight = args.hard_pod_affinity_weight
    yield from check_range(path.child("hardPodAffinityWeight"), weight, 100)
    found.functions["InterPodAffinity"] = partial(
        preferred_neighbours,
        required_weight=weight,
        only_own=args.ignore_preferred_terms_of_existing_pods,
    )


def _read_node_affinity(found: Arguments, tree: dict[str, Any], path: Path) -> Iterator[FieldError]:
    args, at = into(_NodeAffinityArgs, tree, str(path)), path.child("addedAffinity")
    if args.added_affinity is None:
        return
    found.affinity = _api(NodeAffinity, args.added_affinity, at)
    yield from node_affinity_errors(found.affinity, at)


def _read_spread(found: Arguments, tree: dict[str, Any], path: Path) -> Iterator[FieldError]:
    args, at = into(_SpreadArgs, tree, str(path)), path.child("defaultConstraints")
    which, kind = args.defaulting_type, path.child("defaultingType")
    if which not in DEFAULTINGS:
        yield not_supported(kind, which, DEFAULTINGS)
    elif which == "System":
        if args.default_constraints:
            yield invalid(kind, which, "when .defaultConstraints are not empty")
        return
    constraints = [
        _api(TopologySpreadConstraint, one, at.index(number))
        for number, one in enumerate(args.default_constraints)
    ]
    yield from spread_errors(constraints, at)
    for number, one in enumerate(constraints):
        if one.label_selector is not None:
            words = "constraint must not define a selector, as they deduced for each pod"
            yield forbidden(at.index(number).child("labelSelector"), words)
    found.spread = tuple(constraints)


def _read_preemption(found: Arguments, tree: dict[str, Any], path: Path) -> Iterator[FieldError]:
    args = into(_PreemptionArgs, tree, str(path))
    share, least = args.min_candidate_nodes_percentage, args.min_candidate_nodes_absolute
    yield from check_range(path.child("minCandidateNodesPercentage"), share, 100)
    at = path.child("minCandidateNodesAbsolute")
    if least < 0:
        yield invalid(at, least, "not in valid range [0, inf)")
    if not share and not least:
        words = "cannot be zero at the same time as minCandidateNodesPercentage"
        yield invalid(at, least, words)
    found.share_tried, found.least_tried = share, least


def _read_binding(found: Arguments, tree: dict[str, Any], path: Path) -> Iterator[FieldError]:
    seconds = into(_BindingArgs, tree, str(path)).bind_timeout_seconds
    if seconds < 0:
        words = "invalid BindTimeoutSeconds, should not be a negative value"
        yield invalid(path.child("bindTimeoutSeconds"), seconds, words)
    found.bind_seconds = float(seconds)


def _api(type_: Any, tree: dict[str, Any], path: Path) -> Any:
    """A part that is an object of the API, too."""
    try:
        return decode.convert(tree, type_, decode.STRICT).obj
    except ApiError as error:
        raise UnreadableError(f"{path}: {error.status.message}") from error


def _weights(resources: Sequence[_Resource]) -> tuple[Sequence[Weight], ...]:
    """The resources that count, as arguments: none, if the file says none."""
    weights = tuple(Weight(one.name, float(one.weight or 1)) for one in resources)
    return (weights,) if weights else ()


def _weight_errors(resources: Sequence[_Resource], path: Path) -> Iterator[FieldError]:
    for number, one in enumerate(resources):
        if not 0 <= one.weight <= 100:
            at = path.child("resources").index(number).child("weight")
            words = f"resource weight of {one.name} not in valid range [1, 100]"
            yield invalid(at, one.weight, words)


def _check_shape(path: Path, shape: Sequence[_Shape]) -> Iterator[FieldError]:
    if not shape:
        yield required(path, "at least one point must be specified")
    for number, point in enumerate(shape):
        at = path.index(number)
        yield from check_range(at.child("utilization"), point.utilization, 100)
        yield from check_range(at.child("score"), point.score, 10)
        if number and point.utilization <= shape[number - 1].utilization:
            words = "utilization values must be sorted in increasing order"
            yield invalid(at.child("utilization"), point.utilization, words)


_Reader = Callable[[Arguments, dict[str, Any], Path], Iterator[FieldError]]

_READERS: dict[str, _Reader] = {
    "DefaultPreemption": _read_preemption,
    "InterPodAffinity": _read_inter_pod,
    "NodeAffinity": _read_node_affinity,
    "NodeResourcesBalancedAllocation": _read_balanced,
    "NodeResourcesFit": _read_fit,
    "PodTopologySpread": _read_spread,
    "VolumeBinding": _read_binding,
}
