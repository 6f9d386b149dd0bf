"""A scenario's YAML, read and checked: every mistake at once, each with the path of its field."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from api import quantity, scheme, selectors, validation
from api.codec import decode, yaml
from api.errors import ApiError
from api.fielderrors import FieldError, Path, forbidden, invalid, not_found, not_supported, required
from api.scheme import Resource
from base import settings
from base.errors import PermanentError
from control.resources import strategy_of
from sim.chance import Span
from sim.scenario import Fault, FaultKind, Network, NodeGroup, PodLife, Scenario, Workload

NUMBER = "{n}"
"""What stands for the number of an arrival in an object."""

_MUST_LAST = (
    FaultKind.DEADLY_WRITES,
    FaultKind.STALE_CACHES,
    FaultKind.SLOW_WATCHES,
    FaultKind.LOST_CALLS,
    FaultKind.API_OUTAGE,
)
_BELONGS = {
    "nodes": FaultKind.NODE_LOSS,
    "zone": FaultKind.NODE_LOSS,
    "probability": FaultKind.DEADLY_WRITES,
    "requests": FaultKind.LOST_CALLS,
    "answers": FaultKind.LOST_CALLS,
    "delay": FaultKind.SLOW_WATCHES,
}


class ScenarioError(PermanentError):
    """A scenario that cannot be run."""


def read(body: bytes, source: str) -> Scenario:
    """The scenario of a YAML text, without a mistake in it.

    Raises:
        ScenarioError: with one line per mistake.
    """
    try:
        tree = yaml.load(body)
    except ValueError as error:
        raise ScenarioError(f"{source}: {error}") from None
    if not isinstance(tree, dict):
        raise ScenarioError(f"{source}: expected a scenario, found {type(tree).__name__}")
    try:
        scenario: Scenario = decode.convert(tree, Scenario, decode.STRICT).obj
    except ApiError as error:
        raise ScenarioError(f"{source}: {error.message}") from None
    if found := list(check(scenario)):
        raise ScenarioError("\n  ".join([f"{source} cannot be run:", *map(str, found)]))
    return scenario


def span(text: str) -> Span:
    """A duration, or two with `..` between them, as seconds. Raises ValueError."""
    first, dots, last = text.partition("..")
    low = settings.duration(first)
    high = settings.duration(last) if dots else low
    if high < low:
        raise ValueError(text)
    return low, high


def numbered(tree: Any, number: int) -> Any:
    """An object in which every `{n}` is a number."""
    if isinstance(tree, str):
        return tree.replace(NUMBER, str(number))
    if isinstance(tree, dict):
        return {numbered(key, number): numbered(value, number) for key, value in tree.items()}
    if isinstance(tree, list):
        return [numbered(value, number) for value in tree]
    return tree


def resource_of(tree: Any) -> Resource | None:
    """The resource that an object says it is of."""
    return scheme.by_kind(str(tree.get("apiVersion", "")), str(tree.get("kind", "")))


def target(text: str) -> tuple[Resource, str, str]:
    """`deployment/web` or `deployment/prod/web` → resource, namespace and name.

    Raises ValueError.
    """
    kind, *rest = text.split("/")
    if not 1 <= len(rest) <= 2 or not all(rest):
        raise ValueError(text)
    for resource in scheme.RESOURCES:
        names = (resource.kind.lower(), resource.plural, *resource.short_names)
        if kind.lower() in names:
            namespace = rest[0] if len(rest) == 2 else "default"
            return resource, namespace if resource.namespaced else "", rest[-1]
    raise ValueError(text)


def check(scenario: Scenario) -> Iterator[FieldError]:
    """Everything that is wrong with a scenario."""
    yield from _duration(Path("duration"), scenario.duration)
    if not scenario.nodes:
        yield required(Path("nodes"), "a cluster needs a node")
    names: set[str] = set()
    for number, group in enumerate(scenario.nodes):
        path = Path("nodes").index(number)
        yield from _node_group(path, group)
        if group.name in names:
            yield invalid(path.child("name"), group.name, "another group has this name")
        names.add(group.name)
    for number, life in enumerate(scenario.pods):
        yield from _pod_life(Path("pods").index(number), life)
    for number, workload in enumerate(scenario.workloads):
        yield from _workload(Path("workloads").index(number), workload)
    yield from _first_objects(scenario.workloads)
    zones = {zone for group in scenario.nodes for zone in group.zones}
    for number, fault in enumerate(scenario.faults):
        yield from _fault(Path("faults").index(number), fault, zones)
    yield from _network(Path("network"), scenario.network)


def _duration(path: Path, text: str, *, zero: bool = False) -> Iterator[FieldError]:
    try:
        if settings.duration(text) > 0 or zero:
            return
    except ValueError:
        pass
    yield invalid(path, text, "must be a duration such as 30s or 1h30m")


def _span(path: Path, text: str) -> Iterator[FieldError]:
    try:
        span(text)
    except ValueError:
        yield invalid(path, text, "must be a duration such as 30s, or two such as 5s..1m")


def _probability(path: Path, value: float) -> Iterator[FieldError]:
    if not 0 <= value <= 1:
        yield invalid(path, value, "must be from 0 to 1")


def _at_least(path: Path, value: int, least: int) -> Iterator[FieldError]:
    if value < least:
        yield invalid(path, value, f"must be at least {least}")


def _node_group(path: Path, group: NodeGroup) -> Iterator[FieldError]:
    for why in validation.dns1123_subdomain(group.name):
        yield invalid(path.child("name"), group.name, why)
    yield from _at_least(path.child("count"), group.count, 1)
    yield from _duration(path.child("at"), group.at, zero=True)
    for name, amount in group.capacity.items():
        try:
            quantity.parse(amount)
        except ValueError as error:
            yield invalid(path.child("capacity").key(name), amount, str(error))
    for key, value in group.labels.items():
        for why in (*validation.qualified_name(key), *validation.label_value(value)):
            yield invalid(path.child("labels").key(key), value, why)
    for number, zone in enumerate(group.zones):
        for why in validation.label_value(zone):
            yield invalid(path.child("zones").index(number), zone, why)


def _pod_life(path: Path, life: PodLife) -> Iterator[FieldError]:
    try:
        selectors.parse_label_selector(life.selector)
    except ValueError as error:
        yield invalid(path.child("selector"), life.selector, str(error))
    yield from _span(path.child("start"), life.start)
    yield from _span(path.child("stop"), life.stop)
    if life.run:
        yield from _span(path.child("run"), life.run)
    elif life.fails:
        yield forbidden(path.child("fails"), "may not be set without `run`: the pods do not end")
    yield from _probability(path.child("fails"), life.fails)


def _workload(path: Path, workload: Workload) -> Iterator[FieldError]:
    yield from _duration(path.child("at"), workload.at, zero=True)
    yield from _at_least(path.child("count"), workload.count, 0)
    if workload.every:
        yield from _span(path.child("every"), workload.every)
    if workload.per_minute < 0:
        yield invalid(path.child("perMinute"), workload.per_minute, "must not be negative")
    if workload.every and workload.per_minute:
        yield forbidden(path.child("perMinute"), "may not be set together with `every`")
    if workload.count > 1 and not is_repeated(workload):
        yield required(path.child("every"), "or `perMinute`, because `count` is more than 1")
    if not workload.objects and not workload.delete:
        yield required(path.child("objects"), "or `delete`: what is to be done")
    for number, tree in enumerate(workload.objects):
        where = path.child("objects").index(number)
        yield from _object(where, tree, repeated=is_repeated(workload))
    for number, text in enumerate(workload.delete):
        try:
            target(text)
        except ValueError:
            where = path.child("delete").index(number)
            yield invalid(where, text, "must be KIND/NAME or KIND/NAMESPACE/NAME")


def is_repeated(workload: Workload) -> bool:
    """Whether the workload comes more than once."""
    return bool(workload.every or workload.per_minute) and workload.count != 1


def _object(path: Path, tree: Any, *, repeated: bool) -> Iterator[FieldError]:
    if not isinstance(tree, dict):
        yield invalid(path, tree, "must be an object")
        return
    resource = resource_of(tree)
    if resource is None:
        kinds = f"{tree.get('apiVersion', '')}/{tree.get('kind', '')}"
        yield not_supported(path.child("kind"), kinds, ())
        return
    try:
        decode.convert(numbered(tree, 0), resource.type, decode.STRICT)
    except ApiError as error:
        yield invalid(path, resource.kind, error.message)
        return
    name = (tree.get("metadata") or {}).get("name", "")
    if not name:
        yield required(path.child("metadata", "name"))
    elif repeated and NUMBER not in str(tree):
        detail = f"must contain {NUMBER}, because the object comes more than once"
        yield invalid(path.child("metadata", "name"), name, detail)


def _first_objects(workloads: Sequence[Workload]) -> Iterator[FieldError]:
    """What makes an object must be all of it; what comes under its name later may be a part."""
    made: set[tuple[Resource, str, str]] = set()
    paths = ((Path("workloads").index(number), one) for number, one in enumerate(workloads))
    for path, workload in sorted(paths, key=lambda one: _moment(one[1])):
        for number, tree in enumerate(workload.objects):
            where = path.child("objects").index(number)
            if any(_object(where, tree, repeated=is_repeated(workload))):
                continue
            resource = resource_of(tree)
            assert resource is not None, "it was checked"
            metadata = tree["metadata"]
            key = (resource, metadata.get("namespace") or "default", metadata["name"])
            if key not in made:
                made.add(key)
                yield from _whole_object(where, resource, numbered(tree, 0))


def _moment(workload: Workload) -> float:
    try:
        return settings.duration(workload.at)
    except ValueError:
        return 0.0


def _whole_object(path: Path, resource: Resource, tree: Any) -> Iterator[FieldError]:
    obj, strategy = decode.convert(tree, resource.type).obj, strategy_of(resource)
    strategy.default(obj)
    strategy.prepare_create(obj)
    strategy.complete_create(obj)
    for error in strategy.validate(obj):
        yield replace(error, field=f"{path}.{error.field}")


def _fault(path: Path, fault: Fault, zones: set[str]) -> Iterator[FieldError]:
    if fault.kind not in set(FaultKind):
        yield not_supported(path.child("kind"), fault.kind, FaultKind)
        return
    kind = FaultKind(fault.kind)
    yield from _duration(path.child("at"), fault.at, zero=True)
    yield from _at_least(path.child("count"), fault.count, 0)
    if fault.every:
        yield from _span(path.child("every"), fault.every)
    elif fault.count > 1:
        yield required(path.child("every"), "because `count` is more than 1")
    if fault.for_:
        yield from _span(path.child("for"), fault.for_)
    elif kind in _MUST_LAST:
        yield required(path.child("for"), "how long it lasts")
    for field, owner in _BELONGS.items():
        if getattr(fault, field) and kind is not owner:
            yield forbidden(path.child(field), f"may only be set for {owner}")
    yield from _fault_details(path, fault, kind, zones)


def _fault_details(
    path: Path, fault: Fault, kind: FaultKind, zones: set[str]
) -> Iterator[FieldError]:
    if kind is FaultKind.NODE_LOSS:
        yield from _at_least(path.child("nodes"), fault.nodes, 0)
        if not fault.nodes and not fault.zone:
            yield required(path.child("nodes"), "or `zone`: which nodes are lost")
        if fault.zone and fault.zone not in zones:
            yield not_found(path.child("zone"), fault.zone)
    for field in ("probability", "requests", "answers"):
        yield from _probability(path.child(field), getattr(fault, field))
    if fault.requests + fault.answers > 1:
        yield invalid(path.child("answers"), fault.answers, "more than all would be lost")
    if kind is FaultKind.DEADLY_WRITES and not fault.probability:
        yield required(path.child("probability"))
    if kind is FaultKind.LOST_CALLS and not fault.requests and not fault.answers:
        yield required(path.child("requests"), "or `answers`: what is lost")
    if kind is FaultKind.SLOW_WATCHES:
        yield from _span(path.child("delay"), fault.delay)


def _network(path: Path, network: Network) -> Iterator[FieldError]:
    yield from _span(path.child("request"), network.request)
    yield from _span(path.child("watch"), network.watch)
