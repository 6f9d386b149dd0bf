"""LimitRange: bounds and defaults of what pods and claims ask for. Walk step 1.

Rules: "Limit Ranges" in Kubernetes' documentation and "LimitRange" in the API reference. What becomes
of the bounds, admission decides (`control/admission/limits.py`).
"""

from collections.abc import Callable, Iterator

from api import quantity, validation
from api.core import LimitRange, LimitRangeItem, LimitType
from api.fielderrors import FieldError, Path, duplicate, forbidden, invalid, required
from api.scheme import resource_of
from control.resources.checks import enum_values
from control.resources.resourcenames import (
    any_resource_errors,
    container_resource_errors,
    overcommits,
)
from control.resources.strategy import Column, Strategy

_CONTAINER, _POD, _CLAIM = "Container", "Pod", "PersistentVolumeClaim"
_STORAGE = "storage"
_ONE = "1"


class LimitRangeStrategy(Strategy[LimitRange]):
    """It has no status, and nobody waits for its generation."""

    columns = (
        Column(
            "Created At",
            "string",
            lambda limits, now: limits.metadata.creation_timestamp,
            description="When the bounds were made.",
        ),
    )
    shows_age = False

    def default(self, obj: LimitRange) -> None:
        for item in obj.spec.limits:
            if item.type == _CONTAINER:
                item.default = {**item.max, **item.default}
                item.default_request = {**item.min, **item.default, **item.default_request}

    def validate(self, obj: LimitRange) -> list[FieldError]:
        return list(_errors(obj))

    def generation_changes(self, new: LimitRange, old: LimitRange) -> bool:
        return False


def _errors(limits: LimitRange) -> Iterator[FieldError]:
    path, seen = Path("spec").child("limits"), set()
    for number, item in enumerate(limits.spec.limits):
        where = path.index(number)
        yield from _type_errors(where.child("type"), item.type)
        if item.type in seen:
            yield duplicate(where.child("type"), item.type)
        seen.add(item.type)
        yield from _item_errors(where, item)


def _type_errors(path: Path, type_: str) -> Iterator[FieldError]:
    for why in validation.qualified_name(type_):
        yield invalid(path, type_, why)
    if "/" not in type_ and type_ not in enum_values(LimitType):
        yield invalid(path, type_, "must be a standard limit type or fully qualified")


def _item_errors(path: Path, item: LimitRangeItem) -> Iterator[FieldError]:
    check = container_resource_errors if item.type in (_POD, _CONTAINER) else any_resource_errors
    amounts = {
        "max": item.max,
        "min": item.min,
        "default": item.default,
        "defaultRequest": item.default_request,
        "maxLimitRequestRatio": item.max_limit_request_ratio,
    }
    for field in ("default", "defaultRequest"):
        if item.type == _POD and amounts[field]:
            yield forbidden(path.child(field), "may not be specified when `type` is 'Pod'")
            amounts[field] = {}
    for field, found in amounts.items():
        yield from _names_errors(path.child(field), found, check)
    if item.type == _CLAIM and _STORAGE not in {*item.min, *item.max}:
        yield required(
            path.child("limits"),
            "either minimum or maximum storage value is required, but neither was provided",
        )
    for name in sorted({name for found in amounts.values() for name in found}):
        yield from _order_errors(path, name, {f: a[name] for f, a in amounts.items() if name in a})


def _names_errors(
    path: Path, amounts: dict[str, str], check: Callable[[Path, str], Iterator[FieldError]]
) -> Iterator[FieldError]:
    for name in amounts:
        yield from check(path.key(name), name)


_ORDER = (
    ("min", "min value", "max", "max value", "min", "min"),
    ("min", "min value", "defaultRequest", "default request value", "defaultRequest", "defaultRequest"),
    ("defaultRequest", "default request value", "max", "max value", "defaultRequest", "defaultRequest"),
    ("defaultRequest", "default request value", "default", "default limit value", "defaultRequest",
     "defaultRequest"),
    ("min", "min value", "default", "default value", "default", "min"),
    ("default", "default value", "max", "max value", "default", "max"),
)  # fmt: skip
"""What must not exceed what, both with their words, and which field is blamed with whose value."""


def _order_errors(path: Path, name: str, amounts: dict[str, str]) -> Iterator[FieldError]:
    for low, low_words, high, high_words, blamed, shown in _ORDER:
        if low in amounts and high in amounts and quantity.compare(amounts[low], amounts[high]) > 0:
            why = f"{low_words} {amounts[low]} is greater than {high_words} {amounts[high]}"
            yield invalid(path.child(blamed).key(name), amounts[shown], why)
    if ratio := amounts.get("maxLimitRequestRatio"):
        where = path.child("maxLimitRequestRatio").key(name)
        yield from _ratio_errors(where, ratio, amounts.get("min"), amounts.get("max"))
    default, request = amounts.get("default"), amounts.get("defaultRequest")
    if default and request and not overcommits(name) and quantity.compare(default, request):
        why = f"default value {default} must equal to defaultRequest value {request} in {name}"
        yield invalid(path.child("defaultRequest").key(name), request, why)


def _ratio_errors(
    path: Path, ratio: str, least: str | None, most: str | None
) -> Iterator[FieldError]:
    if quantity.compare(ratio, _ONE) < 0:
        yield invalid(path, ratio, f"ratio {ratio} is less than 1")
    if least is None or most is None:
        return
    low, high = quantity.parse(least).decimal, quantity.parse(most).decimal
    if low and quantity.parse(ratio).decimal * low > high:
        yield invalid(path, ratio, f"ratio {ratio} is greater than max/min = {high / low:.6f}")


STRATEGY = LimitRangeStrategy(resource_of(LimitRange))
