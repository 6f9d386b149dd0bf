"""Validation of requests and limits: which resources there are, and how the two relate."""

from collections.abc import Iterator

from api import quantity
from api.core import ResourceRequirements
from api.fielderrors import FieldError, Path, forbidden, invalid, required
from control.resources.checks import is_negative
from control.resources.resourcenames import HUGE_PAGES, container_resource_errors, overcommits


def resource_errors(resources: ResourceRequirements, path: Path) -> Iterator[FieldError]:
    """Names are known, amounts are not negative, and no request exceeds its limit."""
    for kind, values in (("limits", resources.limits), ("requests", resources.requests)):
        for name, amount in values.items():
            where = path.child(kind).key(name)
            yield from container_resource_errors(where, name)
            yield from _amount_errors(name, amount, where)
    for name, request in resources.requests.items():
        yield from _relation_errors(name, request, resources.limits.get(name), path)
    named = {*resources.limits, *resources.requests}
    if any(name.startswith(HUGE_PAGES) for name in named) and not named & {"cpu", "memory"}:
        yield forbidden(path, "HugePages require cpu or memory")


def _amount_errors(name: str, amount: str, path: Path) -> Iterator[FieldError]:
    if is_negative(amount):
        yield invalid(path, amount, "must be greater than or equal to 0")
    if "/" in name and quantity.parse(amount).nano % 10**9:
        yield invalid(path, amount, "must be an integer")


def _relation_errors(
    name: str, request: str, limit: str | None, path: Path
) -> Iterator[FieldError]:
    where = path.child("requests")
    if limit is None:
        if not overcommits(name):
            yield required(
                path.child("limits"), f"Limit must be set for non overcommitable resources ({name})"
            )
        return
    order = quantity.compare(request, limit)
    if order != 0 and not overcommits(name):
        yield invalid(where, request, f"must be equal to {name} limit of {limit}")
    elif order > 0:
        yield invalid(where, request, f"must be less than or equal to {name} limit of {limit}")
