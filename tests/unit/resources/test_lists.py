"""The lists that name every kind agree, and every row of a table points at something real."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from typing import Any

import pytest

from api.meta import DeleteOptions
from api.scheme import RESOURCES, SERVED, by_kind, find, group_versions, resource_of
from api.struct import ApiStruct, fields
from control.apiserver.discovery.openapi import descriptions
from control.resources import STRATEGIES, strategy_of
from control.resources.compatibility import NOT_YET, NotYet
from tests.unit.resources.examples import SOUND, complete, make


def test_scheme_and_strategies_name_the_same_kinds() -> None:
    assert {strategy.resource for strategy in STRATEGIES} == set(RESOURCES)
    assert len(STRATEGIES) == len(RESOURCES)
    assert {resource.kind for resource in RESOURCES} == set(SOUND)
    for resource in RESOURCES:
        assert strategy_of(resource).resource is resource


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.kind)
def test_a_resource_is_found_by_each_of_its_names(resource: Any) -> None:
    assert resource_of(resource.type) is resource
    assert find(resource.group, resource.version, resource.plural) is resource
    obj = make(resource.kind)
    assert by_kind(obj.api_version, obj.kind) is resource
    assert (resource.group, resource.version) in group_versions()
    assert resource.singular == resource.kind.lower()
    assert tuple(sorted(resource.verbs)) == resource.verbs


def test_names_are_used_once() -> None:
    plurals = [resource.plural for resource in RESOURCES]
    shorts = [name for resource in RESOURCES for name in resource.short_names]
    assert len({*plurals, *shorts}) == len(plurals) + len(shorts)
    assert len({resource.prefix() for resource in RESOURCES}) == len(RESOURCES)


def test_paths_and_keys() -> None:
    pods, nodes = find("", "v1", "pods"), find("", "v1", "nodes")
    deployments = find("apps", "v1", "deployments")
    assert pods and nodes and deployments
    assert pods.path("n", "p", "log") == "/api/v1/namespaces/n/pods/p/log"
    assert deployments.path("n") == "/apis/apps/v1/namespaces/n/deployments"
    assert nodes.path("", "a") == "/api/v1/nodes/a"
    assert pods.key("n", "p") == "/registry/pods/n/p"
    assert nodes.key("ignored", "a") == "/registry/nodes/a"
    assert deployments.prefix("n") == "/registry/apps/deployments/n/"
    assert deployments.qualified_name == "deployments.apps"
    assert pods.subresource("log") and pods.subresource("scale") is None


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda strategy: strategy.resource.kind)
def test_selectable_fields_are_those_that_are_told(strategy: Any) -> None:
    obj = complete(strategy.resource.kind)
    told = {"metadata.name", "metadata.namespace", *strategy.fields(obj)}
    assert told == strategy.selectable_fields()
    assert all(isinstance(value, str) for value in strategy.fields(obj).values())


def test_only_pods_have_a_grace_period() -> None:
    graceful = [
        strategy.resource.kind
        for strategy in STRATEGIES
        if strategy.grace_period(complete(strategy.resource.kind), DeleteOptions()) is not None
    ]
    assert graceful == ["Pod"]


ROWS = [(type_, row) for type_, rows in NOT_YET.items() for row in rows]


@pytest.mark.parametrize(("type_", "row"), ROWS, ids=[f"{t.__name__}-{r.path}" for t, r in ROWS])
def test_a_row_of_the_compatibility_table_is_a_field(type_: type[ApiStruct], row: NotYet) -> None:
    at: Any = type_
    steps = row.steps
    for step in steps:
        name, _, bracket = step.removesuffix("]").partition("[")
        found = [field for field in fields(at) if field.wire == name]
        assert found, f"{at.__name__} has no field {name}"
        container = typing.get_origin(plain(found[0].type))
        wanted = {"": None, "*": list}.get(bracket, dict)
        assert container is wanted or step == steps[-1], f"{step} in {row.path}"
        at = element(found[0].type)


def plain(hint: Any) -> Any:
    """Without `Annotated` and `| None`."""
    while True:
        if typing.get_origin(hint) is typing.Annotated:
            hint = hint.__origin__
            continue
        arguments = typing.get_args(hint)
        if type(None) not in arguments:
            return hint
        hint = next(argument for argument in arguments if argument is not type(None))


def element(hint: Any) -> Any:
    inner = plain(hint)
    return plain(typing.get_args(inner)[0]) if typing.get_origin(inner) is list else inner


def reachable(type_: type[ApiStruct], seen: set[type[ApiStruct]]) -> Iterator[type[ApiStruct]]:
    if type_ in seen:
        return
    seen.add(type_)
    yield type_
    for field in fields(type_):
        inner = element(field.type)
        if isinstance(inner, type) and issubclass(inner, ApiStruct):
            yield from reachable(inner, seen)


def test_everything_that_kubectl_explains_is_described() -> None:
    """A type without a docstring, or a field without one below it, would show nothing."""
    seen: set[type[ApiStruct]] = set()
    missing = []
    for resource in SERVED:
        for type_ in reachable(resource.type, seen):
            said = {
                base: descriptions.of_type(base)
                for base in type_.__mro__
                if issubclass(base, ApiStruct) and base is not ApiStruct
            }
            if not said[type_].get(""):
                missing.append(type_.__name__)
            missing += [
                f"{type_.__name__}.{field.wire}"
                for field in fields(type_)
                if not said[field.owner].get(field.attribute)
            ]
    assert not missing
