"""Reads how schedulers score from a file of Kubernetes' kind KubeSchedulerConfiguration. Walk step 3.

The file is read once, at the start; everything that is wrong with it is told at once, each with its
field. What the file could ask of Kubernetes' scheduler and this one does not do is refused, not
ignored: filters that are left out, plugins and extenders of one's own, arguments of other plugins than
those below. Only what has no meaning here (`leaderElection`, `parallelism` and the like: this scheduler
is a part of the control plane) is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path as File
from typing import Any, TypeVar

import msgspec

from api.codec import yaml
from api.fielderrors import FieldError, Path, duplicate, forbidden, invalid, not_supported, required
from base.settings import SettingsError
from control.scheduler.filters import Filter
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
from control.scheduler.profile import DEFAULT_NAME, Configuration, Profile
from control.scheduler.queue import FIRST_BACKOFF, MAX_BACKOFF
from control.scheduler.scores import SCORES

T = TypeVar("T")

API_VERSION = "kubescheduler.config.k8s.io/v1"
KIND = "KubeSchedulerConfiguration"
EVERY = "*"
PREEMPTION = "DefaultPreemption"
STRATEGIES = ("LeastAllocated", "MostAllocated", "RequestedToCapacityRatio")
FIXED: Mapping[str, Mapping[str, Any]] = {
    PREEMPTION: {"minCandidateNodesPercentage": 10, "minCandidateNodesAbsolute": 100},
    "NodeAffinity": {},
    "PodTopologySpread": {"defaultingType": "System"},
    "VolumeBinding": {"bindTimeoutSeconds": 600},
}
"""Plugins whose arguments cannot be chosen here, with what stands."""

_WEIGHTS = {name: weight for name, weight, _ in SCORES}
_FUNCTIONS = {name: function for name, _, function in SCORES}
_FILTERS = frozenset(filter_.value for filter_ in Filter)
_ALWAYS = ("DefaultBinder", "PrioritySort", "SchedulingGates")
_POINTS = ("multiPoint", "score", "postFilter")


class _Part(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """As the reference of Kubernetes' scheduler configuration has it."""


class _Plugin(_Part):
    name: str
    weight: int = 0


class _PluginSet(_Part):
    enabled: list[_Plugin] = []
    disabled: list[_Plugin] = []


class _PluginConfig(_Part):
    name: str
    args: dict[str, Any] = {}


class _Profile(_Part):
    scheduler_name: str = ""
    percentage_of_nodes_to_score: int | None = None
    plugins: dict[str, _PluginSet] = {}
    plugin_config: list[_PluginConfig] = []


class _File(_Part):
    api_version: str = ""
    kind: str = ""
    percentage_of_nodes_to_score: int | None = None
    pod_initial_backoff_seconds: int = int(FIRST_BACKOFF)
    pod_max_backoff_seconds: int = int(MAX_BACKOFF)
    profiles: list[_Profile] = []
    extenders: list[Any] = []
    client_connection: Any = None
    delay_cache_until_active: Any = None
    enable_contention_profiling: Any = None
    enable_profiling: Any = None
    leader_election: Any = None
    parallelism: Any = None


class _Args(_Part):
    api_version: str = ""
    kind: str = ""


class _Resource(_Part):
    name: str
    weight: int = 1


class _Shape(_Part):
    utilization: int
    score: int


class _Ratio(_Part):
    shape: list[_Shape] = []


class _Strategy(_Part):
    type: str = "LeastAllocated"
    resources: list[_Resource] = []
    requested_to_capacity_ratio: _Ratio | None = None


class _FitArgs(_Args):
    scoring_strategy: _Strategy = msgspec.field(default_factory=_Strategy)
    ignored_resources: list[str] = []
    ignored_resource_groups: list[str] = []


class _BalancedArgs(_Args):
    resources: list[_Resource] = []


class _InterPodArgs(_Args):
    hard_pod_affinity_weight: int = REQUIRED_WEIGHT
    ignore_preferred_terms_of_existing_pods: bool = False


class _Unreadable(ValueError):
    """What is not of the file's form."""


def read(file: File) -> Configuration:
    """The configuration in a file.

    Raises:
        SettingsError: it cannot be read, or something in it cannot be done.
    """
    try:
        return parse(file.read_bytes())
    except OSError as error:
        raise SettingsError(f"{file}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise SettingsError(
            f"{file}: {error}", hint="docs/scheduling.md says what can be chosen, with an example."
        ) from error


def parse(text: bytes) -> Configuration:
    """The configuration that a text says. Raises ValueError, with a line for each wrong field."""
    file = _into(_File, yaml.load(text), "")
    errors = [*_check_file(file)]
    profiles: dict[str, Profile] = {}
    for number, one in enumerate(file.profiles or [_Profile()]):
        path = Path("profiles").index(number)
        name = one.scheduler_name or ("" if len(file.profiles) > 1 else DEFAULT_NAME)
        if not name:
            errors.append(required(path.child("schedulerName")))
        elif name in profiles:
            errors.append(duplicate(path.child("schedulerName"), name))
        profiles[name] = _profile(path, name, one, file, errors)
    if errors:
        raise _Unreadable("\n".join(map(str, errors)))
    return Configuration(
        profiles=profiles,
        first_backoff=file.pod_initial_backoff_seconds,
        longest_backoff=file.pod_max_backoff_seconds,
    )


def _into(type_: type[T], tree: Any, at: str) -> T:
    """A tree as one of the parts; the error names the field, not the type."""
    try:
        return msgspec.convert(tree, type=type_)
    except msgspec.ValidationError as error:
        words, _, where = str(error).partition(" - at ")
        path = f"{at}{where.strip('`').removeprefix('$')}".removeprefix(".")
        if found := re.fullmatch(r"Object contains unknown field `(.*)`", words):
            unknown = f"{path}.{found[1]}".removeprefix(".")
            raise _Unreadable(f'unknown field "{unknown}"') from error
        raise _Unreadable(f"{path}: {words}" if path else words) from error


def _check_file(file: _File) -> Iterator[FieldError]:
    if file.api_version != API_VERSION:
        yield not_supported("apiVersion", file.api_version, [API_VERSION])
    if file.kind != KIND:
        yield not_supported("kind", file.kind, [KIND])
    first, longest = file.pod_initial_backoff_seconds, file.pod_max_backoff_seconds
    if first <= 0:
        yield invalid("podInitialBackoffSeconds", first, "must be greater than 0")
    if longest < first:
        words = "must be greater than or equal to PodInitialBackoffSeconds"
        yield invalid("podMaxBackoffSeconds", longest, words)
    yield from _check_range(
        Path("percentageOfNodesToScore"), file.percentage_of_nodes_to_score or 0, 100
    )
    if file.extenders:
        yield forbidden("extenders", "this scheduler calls none")


def _profile(
    path: Path, name: str, one: _Profile, file: _File, errors: list[FieldError]
) -> Profile:
    percentage = one.percentage_of_nodes_to_score
    errors += _check_range(path.child("percentageOfNodesToScore"), percentage or 0, 100)
    errors += _check_plugins(path.child("plugins"), one.plugins)
    functions: dict[str, Score] = dict(_FUNCTIONS)
    seen: set[str] = set()
    for number, configured in enumerate(one.plugin_config):
        at = path.child("pluginConfig").index(number)
        if configured.name in seen:
            errors.append(duplicate(at, configured.name))
        seen.add(configured.name)
        function = _function(at, configured, errors)
        if function is not None:
            functions[configured.name] = function
    weights = _weights(one.plugins)
    return Profile(
        name=name,
        scores=tuple((plugin, weight, functions[plugin]) for plugin, weight in weights.items()),
        percentage=(file.percentage_of_nodes_to_score if percentage is None else percentage) or 0,
        preempts=not any(
            plugin.name in (EVERY, PREEMPTION)
            for point in ("multiPoint", "postFilter")
            for plugin in one.plugins.get(point, _PluginSet()).disabled
        ),
    )


def _check_plugins(path: Path, points: Mapping[str, _PluginSet]) -> Iterator[FieldError]:
    for point, plugins in points.items():
        if point not in _POINTS:
            if plugins.enabled or plugins.disabled:
                words = f"plugins can be chosen at {', '.join(_POINTS)} only"
                yield forbidden(path.child(point), words)
            continue
        known = {"score": [*_WEIGHTS], "postFilter": [PREEMPTION]}.get(
            point, sorted({*_WEIGHTS, *_FILTERS, *_ALWAYS, PREEMPTION})
        )
        for number, plugin in enumerate(plugins.enabled):
            at = path.child(point, "enabled").index(number)
            if plugin.name not in known:
                yield not_supported(at.child("name"), plugin.name, known)
            if plugin.weight < 0:
                yield invalid(at.child("weight"), plugin.weight, "must not be negative")
        for number, plugin in enumerate(plugins.disabled):
            at = path.child(point, "disabled").index(number).child("name")
            if plugin.name not in (*known, EVERY):
                yield not_supported(at, plugin.name, known)
            if point == "multiPoint" and plugin.name in (EVERY, *_FILTERS, *_ALWAYS):
                yield forbidden(
                    at, "only what scores alone can be left out here, the rest at plugins.score"
                )


def _weights(points: Mapping[str, _PluginSet]) -> dict[str, float]:
    """What each score counts: the defaults, as `multiPoint` changes them, and then `score`."""
    weights = dict(_WEIGHTS)
    for point in ("multiPoint", "score"):
        plugins = points.get(point, _PluginSet())
        left_out = {plugin.name for plugin in plugins.disabled}
        for name in [*weights] if EVERY in left_out else left_out:
            weights.pop(name, None)
        for plugin in plugins.enabled:
            if plugin.name in _WEIGHTS:
                weights[plugin.name] = float(plugin.weight or 1)
    return weights


def _function(path: Path, configured: _PluginConfig, errors: list[FieldError]) -> Score | None:
    """The score of a plugin as its arguments want it; None: as ever."""
    name, args = configured.name, path.child("args")
    if name == "NodeResourcesFit":
        return _fit(args, _into(_FitArgs, configured.args, str(args)), errors)
    if name == "NodeResourcesBalancedAllocation":
        balanced = _into(_BalancedArgs, configured.args, str(args))
        for number, one in enumerate(balanced.resources):
            if one.weight != 1:
                at = args.child("resources").index(number).child("weight")
                errors.append(invalid(at, one.weight, f"resource weight of {one.name} must be 1"))
        return balanced_allocation(*_resources(args, balanced.resources, errors))
    if name == "InterPodAffinity":
        near = _into(_InterPodArgs, configured.args, str(args))
        weight = near.hard_pod_affinity_weight
        errors += _check_range(args.child("hardPodAffinityWeight"), weight, 100)
        return partial(
            preferred_neighbours,
            required_weight=weight,
            only_own=near.ignore_preferred_terms_of_existing_pods,
        )
    if name not in FIXED:
        known = sorted({*FIXED, "NodeResourcesFit", "InterPodAffinity"})
        errors.append(not_supported(path.child("name"), name, known))
        return None
    for key, value in configured.args.items():
        if key not in ("apiVersion", "kind") and FIXED[name].get(key) != value:
            errors.append(forbidden(args.child(key), "it cannot be chosen here"))
    return None


def _fit(path: Path, args: _FitArgs, errors: list[FieldError]) -> Score | None:
    if args.ignored_resources:
        errors.append(forbidden(path.child("ignoredResources"), "every resource counts here"))
    if args.ignored_resource_groups:
        errors.append(forbidden(path.child("ignoredResourceGroups"), "every resource counts here"))
    strategy, at = args.scoring_strategy, path.child("scoringStrategy")
    weights = _resources(at, strategy.resources, errors)
    if strategy.type == "LeastAllocated":
        return least_allocated(*weights)
    if strategy.type == "MostAllocated":
        return most_allocated(*weights)
    if strategy.type not in STRATEGIES:
        errors.append(not_supported(at.child("type"), strategy.type, STRATEGIES))
        return None
    ratio = strategy.requested_to_capacity_ratio or _Ratio()
    errors += _check_shape(at.child("requestedToCapacityRatio", "shape"), ratio.shape)
    shape = [Point(point.utilization, point.score) for point in ratio.shape]
    return requested_to_capacity(shape, *weights)


def _resources(
    path: Path, resources: Sequence[_Resource], errors: list[FieldError]
) -> tuple[Sequence[Weight], ...]:
    """The resources that count, as arguments: none, if the file says none."""
    for number, one in enumerate(resources):
        if not 0 <= one.weight <= 100:
            at = path.child("resources").index(number).child("weight")
            words = f"resource weight of {one.name} not in valid range [1, 100]"
            errors.append(invalid(at, one.weight, words))
    weights = tuple(Weight(one.name, float(one.weight or 1)) for one in resources)
    return (weights,) if weights else ()


def _check_shape(path: Path, shape: Sequence[_Shape]) -> Iterator[FieldError]:
    if not shape:
        yield required(path, "at least one point must be specified")
    for number, point in enumerate(shape):
        at = path.index(number)
        yield from _check_range(at.child("utilization"), point.utilization, 100)
        yield from _check_range(at.child("score"), point.score, 10)
        if number and point.utilization <= shape[number - 1].utilization:
            words = "utilization values must be sorted in increasing order"
            yield invalid(at.child("utilization"), point.utilization, words)


def _check_range(path: Path, value: int, most: int) -> Iterator[FieldError]:
    if not 0 <= value <= most:
        yield invalid(path, value, f"not in valid range [0-{most}]")
