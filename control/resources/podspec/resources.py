"""Validation of requests and limits: which resources there are, and how the two relate."""

from collections.abc import Callable, Iterator

from api import pods, quantity
from api.core import PodSpec, ResourceRequirements
from api.fielderrors import FieldError, Path, forbidden, invalid, not_supported, required
from api.resources import amount, quantities
from control.resources.checks import is_negative
from control.resources.resourcenames import (
    HUGE_PAGES,
    any_resource_errors,
    container_resource_errors,
    overcommits,
)


def resource_errors(resources: ResourceRequirements, path: Path) -> Iterator[FieldError]:
    """Names are known, amounts are not negative, and no request exceeds its limit."""
    yield from _requirement_errors(resources, path, container_resource_errors)


def pod_resource_errors(spec: PodSpec, path: Path) -> Iterator[FieldError]:
    """Of the pod as a whole: what its containers request fits in, and none may have more than it
    (KEP-2837)."""
    whole, where = spec.resources, path.child("resources")
    if whole is None:
        return
    if spec.os is not None and spec.os.name == "windows":
        yield forbidden(where, "may not be set for a windows pod")
        return
    if whole.claims:
        yield forbidden(where.child("claims"), "claims cannot be set for Resources at pod-level")
    yield from _requirement_errors(whole, where, _pod_resource_name_errors)
    together = pods.container_requests(spec)
    for name, text in quantities(together).items():
        if name in whole.requests and together[name] > amount(name, whole.requests[name]):
            why = f"must be greater than or equal to aggregate container requests of {text}"
            yield invalid(where.child("requests").key(name), whole.requests[name], why)
    for number, container in enumerate(spec.containers):
        for name, limit in container.resources.limits.items():
            if name in whole.limits and quantity.compare(limit, whole.limits[name]) > 0:
                # The API's own path, though it is no field's.
                odd = where.child("containers").index(number).key(name).child("limits")
                why = f"must be less than or equal to pod limits of {whole.limits[name]}"
                yield invalid(odd, limit, why)


def _pod_resource_name_errors(path: Path, name: str) -> Iterator[FieldError]:
    found = list(any_resource_errors(path, name))
    yield from found
    if not found and not pods.is_of_whole_pods(name):
        yield not_supported(path, name, ("cpu", HUGE_PAGES, "memory"))


def _requirement_errors(
    resources: ResourceRequirements,
    path: Path,
    name_errors: Callable[[Path, str], Iterator[FieldError]],
) -> Iterator[FieldError]:
    for kind, values in (("limits", resources.limits), ("requests", resources.requests)):
        for name, text in values.items():
            where = path.child(kind).key(name)
            yield from name_errors(where, name)
            yield from _amount_errors(name, text, where)
    for name, request in resources.requests.items():
        yield from _relation_errors(name, request, resources.limits.get(name), path)
    named = {*resources.limits, *resources.requests}
    if any(name.startswith(HUGE_PAGES) for name in named) and not named & {"cpu", "memory"}:
        yield forbidden(path, "HugePages require cpu or memory")


def _amount_errors(name: str, text: str, path: Path) -> Iterator[FieldError]:
    if is_negative(text):
        yield invalid(path, text, "must be greater than or equal to 0")
    if "/" in name and quantity.parse(text).nano % 10**9:
        yield invalid(path, text, "must be an integer")
    if name.startswith(HUGE_PAGES) and not _divides(name.removeprefix(HUGE_PAGES), text):
        yield invalid(path, text, f"{text} is not positive integer multiple of {name}")


def _divides(page: str, text: str) -> bool:
    try:
        size = quantity.parse(page)
    except ValueError:
        return False
    whole = size.nano > 0 and size.nano % 10**9 == 0
    return whole and quantity.value(text) % size.value == 0


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
