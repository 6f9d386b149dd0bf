"""Reads `plugins` of the scheduler's file: which filters and scores a profile has. Pure. Walk step 3.

Every plugin of Kubernetes' default set is on at `multiPoint`; what is left out there is off wherever it
works, what is left out at one point is off at that point. Filters and scores can be chosen, and
whether pods are preempted. The order of the queue, scheduling gates and the binding itself always stay;
points where a plugin merely prepares (`preFilter`, `preScore`, `reserve`, `preBind`) follow its filter or
its score, and may only say the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from api.fielderrors import FieldError, Path, forbidden, invalid, not_supported
from control.scheduler.fileparts import Part
from control.scheduler.rules import Filter
from control.scheduler.scores import SCORES

EVERY = "*"
PREEMPTION = "DefaultPreemption"
SERVICE_SPREAD = "SelectorSpread"

_WEIGHTS = {name: weight for name, weight, _ in SCORES}
_FILTERS = {filter_.value: filter_ for filter_ in Filter}
_ALWAYS = ("DefaultBinder", "PrioritySort", "SchedulingGates")
_EVERYWHERE = sorted({*_WEIGHTS, *_FILTERS, *_ALWAYS, PREEMPTION})
_CHOSEN: Mapping[str, list[str]] = {
    "multiPoint": _EVERYWHERE,
    "filter": [*_FILTERS],
    "score": [*_WEIGHTS],
    "postFilter": [PREEMPTION],
}
_FOLLOWING: Mapping[str, str] = {
    "preFilter": "filter",
    "preScore": "score",
    "reserve": "filter",
    "preBind": "filter",
}
"""Points that prepare, and the one that decides."""
_FIXED = ("preEnqueue", "queueSort", "permit", "bind", "postBind")


class Plugin(Part):
    """One plugin by its name; a weight only where it scores."""

    name: str
    weight: int = 0


class PluginSet(Part):
    """What is on and off at one point."""

    enabled: list[Plugin] = []
    disabled: list[Plugin] = []

    def leaves_out(self, name: str) -> bool:
        """Whether a plugin is named here, or all are."""
        return any(one.name in (EVERY, name) for one in self.disabled)


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a profile has: weights of scores, filters that are left out, and whether it preempts."""

    weights: Mapping[str, float]
    skips: frozenset[Filter]
    preempts: bool


def read_plugins(
    points: Mapping[str, PluginSet], path: Path, errors: list[FieldError], *, defaults: bool
) -> Chosen:
    """What is chosen; what is wrong is added to the errors.

    `defaults`: whether pods without spread constraints are spread as by default.
    """
    for point, plugins in points.items():
        errors += _check(point, plugins, points, path.child(point))
    weights = _weights(points, defaults)
    left_out = {name for name in _FILTERS if not _is_on(name, "filter", points)}
    return Chosen(
        weights,
        frozenset(_FILTERS[name] for name in left_out),
        _is_on(PREEMPTION, "postFilter", points),
    )


def _is_on(name: str, point: str, points: Mapping[str, PluginSet]) -> bool:
    """Whether a plugin works at a point: as by default, unless multiPoint and then the point say else."""
    on = True
    for where in ("multiPoint", point):
        plugins = points.get(where, PluginSet())
        on = on and not plugins.leaves_out(name)
        on = on or any(one.name == name for one in plugins.enabled)
    return on


def _weights(points: Mapping[str, PluginSet], defaults: bool) -> dict[str, float]:
    """What each score counts: the defaults, as `multiPoint` changes them, and then `score`."""
    weights = dict(_WEIGHTS)
    if not defaults:
        del weights[SERVICE_SPREAD]
    for point in ("multiPoint", "score"):
        plugins = points.get(point, PluginSet())
        weights = {name: one for name, one in weights.items() if not plugins.leaves_out(name)}
        for plugin in plugins.enabled:
            if plugin.name in _WEIGHTS:
                weights[plugin.name] = float(plugin.weight or 1)
    return weights


def _check(
    point: str, plugins: PluginSet, points: Mapping[str, PluginSet], path: Path
) -> Iterator[FieldError]:
    known = _CHOSEN.get(point, _EVERYWHERE)
    if point not in (*_CHOSEN, *_FOLLOWING, *_FIXED):
        yield forbidden(path, f"there is no such point; there are {', '.join(_all_points())}")
        return
    for number, plugin in enumerate(plugins.enabled):
        at = path.child("enabled").index(number)
        if plugin.name not in known:
            yield not_supported(at.child("name"), plugin.name, known)
        if plugin.weight < 0:
            yield invalid(at.child("weight"), plugin.weight, "must not be negative")
    for number, plugin in enumerate(plugins.disabled):
        at = path.child("disabled").index(number).child("name")
        if plugin.name not in (*known, EVERY):
            yield not_supported(at, plugin.name, known)
        elif plugin.name in _ALWAYS or (point in _FIXED and plugin.name != EVERY):
            yield forbidden(at, "it cannot be left out here")
        elif (deciding := _FOLLOWING.get(point)) and _stays(plugin.name, deciding, points):
            yield forbidden(at, f"it can be left out at {deciding} or multiPoint only")


def _stays(name: str, point: str, points: Mapping[str, PluginSet]) -> bool:
    """Whether a plugin, or with `*` any of them, is on at the point that decides about it."""
    those = _CHOSEN[point] if name == EVERY else [name]
    return any(_is_on(one, point, points) for one in those)


def _all_points() -> list[str]:
    return [*_CHOSEN, *_FOLLOWING, *_FIXED]
