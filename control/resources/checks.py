"""Small checks that several kinds share; each yields the errors it finds, with their paths."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from api import intstr, quantity, validation
from api.fielderrors import FieldError, Path, duplicate, forbidden, invalid, not_supported, required
from api.meta import LabelSelector
from api.quantity import Quantity
from api.selectors import from_label_selector
from api.struct import StringEnum

MAX_PORT = 65535
MAX_ID = 2**31 - 1


def enum_values(alias: Any) -> tuple[str, ...]:
    """The values of a string enumeration such as `api.core.RestartPolicy`."""
    for extra in alias.__metadata__:
        if isinstance(extra, StringEnum):
            return extra.values
    raise TypeError(f"{alias} is not an enumeration")


def check_enum(
    path: Path, value: str | None, alias: Any, *, needed: bool = False
) -> Iterator[FieldError]:
    """The value must be one of the enumeration's; empty is an error only where `needed`."""
    if not value:
        if needed:
            yield required(path, "")
        return
    if value not in enum_values(alias):
        yield not_supported(path, value, enum_values(alias))


def check_text(
    path: Path, value: str, rule: Callable[[str], list[str]], *, needed: bool = True
) -> Iterator[FieldError]:
    """A string under a naming rule of `api.validation`."""
    if not value:
        if needed:
            yield required(path, "")
        return
    for why in rule(value):
        yield invalid(path, value, why)


def check_unique(path: Path, values: Iterable[tuple[Path, Any]]) -> Iterator[FieldError]:
    """Each value at most once; `values` pairs the path to blame with the value."""
    seen = set()
    for where, value in values:
        if value in seen:
            yield duplicate(where, value)
        seen.add(value)


def check_port(path: Path, port: int, *, needed: bool = True) -> Iterator[FieldError]:
    """A port number from 1 to 65535; 0 means "none" where it is not needed."""
    if port == 0 and not needed:
        return
    if not 1 <= port <= MAX_PORT:
        yield invalid(path, port, f"must be between 1 and {MAX_PORT}, inclusive")


def check_port_or_name(path: Path, port: int | str) -> Iterator[FieldError]:
    """A port number, or the name of a container's port."""
    if isinstance(port, int):
        yield from check_port(path, port)
        return
    for why in validation.port_name(port):
        yield invalid(path, port, why)


def check_one_source(
    path: Path, choices: dict[str, Any], *, value: str = ""
) -> Iterator[FieldError]:
    """Exactly one source of a variable, and none beside a literal `value`; blames the whole."""
    chosen = sum(source is not None for source in choices.values())
    if not chosen:
        *names, last = (f"`{name}`" for name in choices)
        yield invalid(path, "", f"must specify one of: {', '.join(names)} or {last}")
    elif value:
        yield invalid(path, "", "may not be specified when `value` is not empty")
    elif chosen > 1:
        yield invalid(path, "", "may not have more than one field specified at a time")


def check_id(path: Path, value: int | None) -> Iterator[FieldError]:
    """A user or group ID; None passes."""
    if value is not None:
        for why in validation.in_range(value, 0, MAX_ID):
            yield invalid(path, value, why)


def check_non_negative(path: Path, value: int | None) -> Iterator[FieldError]:
    """Zero or more; None passes."""
    if value is not None and value < 0:
        yield invalid(path, value, "must be greater than or equal to 0")


def check_amount(
    path: Path, value: int | str | None, *, at_most_all: bool = True
) -> Iterator[FieldError]:
    """A number of pods or a percentage of them, such as `maxUnavailable`; None passes."""
    if isinstance(value, int):
        yield from check_non_negative(path, value)
    elif value is not None:
        if not intstr.is_percent(value) or value.startswith(("-", "+")):
            yield invalid(
                path,
                value,
                "a valid percent string must be a numeric string followed by an ending '%'"
                " (e.g. '1%', or '93%')",
            )
        elif at_most_all and int(value[:-1]) > 100:
            yield invalid(path, value, "must not be greater than 100%")


def check_counts(path: Path, counts: Mapping[str, int | None]) -> Iterator[FieldError]:
    """Counts of a status, by wire name: none is negative."""
    for name, value in counts.items():
        yield from check_non_negative(path.child(name), value)


def check_parts(path: Path, replicas: int, parts: Mapping[str, int]) -> Iterator[FieldError]:
    """Counts of some of a workload's pods, by wire name: none counts more than there are."""
    yield from check_counts(path, parts)
    for name, value in parts.items():
        if value > replicas:
            yield invalid(path.child(name), value, "cannot be greater than status.replicas")


def is_nothing(value: int | str | None) -> bool:
    """Whether an amount of pods is none of them."""
    return value is None or value == 0 or (isinstance(value, str) and value.strip("0") == "%")


def check_exactly_one(path: Path, choices: dict[str, Any], what: str) -> Iterator[FieldError]:
    """Exactly one member of a union may be set (an explicit empty object counts as set)."""
    chosen = [name for name, value in choices.items() if value is not None]
    if not chosen:
        yield required(path, f"must specify a {what}")
    for name in chosen[1:]:
        from_field = path.child(name)
        yield forbidden(from_field, f"may not specify more than 1 {what}")


def check_labels(path: Path, labels: dict[str, str]) -> Iterator[FieldError]:
    """Label keys are qualified names, values at most 63 characters of the label alphabet."""
    for key, value in labels.items():
        for why in validation.qualified_name(key):
            yield invalid(path, key, why)
        for why in validation.label_value(value):
            yield invalid(path, value, why)


def check_selector(path: Path, selector: LabelSelector) -> Iterator[FieldError]:
    """matchLabels and matchExpressions of a label selector."""
    yield from check_labels(path.child("matchLabels"), selector.match_labels)
    for number, term in enumerate(selector.match_expressions):
        where = path.child("matchExpressions").index(number)
        for why in validation.qualified_name(term.key):
            yield invalid(where.child("key"), term.key, why)
        if term.operator in ("In", "NotIn"):
            if not term.values:
                yield required(
                    where.child("values"), "must be specified when `operator` is 'In' or 'NotIn'"
                )
        elif term.operator in ("Exists", "DoesNotExist"):
            if term.values:
                yield forbidden(
                    where.child("values"),
                    "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
                )
        else:
            yield invalid(where.child("operator"), term.operator, "not a valid selector operator")
        for at, value in enumerate(term.values):
            for why in validation.label_value(value):
                yield invalid(where.child("values").index(at), value, why)


def check_selector_matches_template(
    path: Path,
    selector: LabelSelector | None,
    labels: dict[str, str],
    *,
    workload: str = "deployment",
) -> Iterator[FieldError]:
    """A workload's selector: given, not empty, and matching its own template's labels.

    Of a ReplicaSet, too, Kubernetes says that it is invalid for a deployment.
    """
    where = path.child("selector")
    if selector is None:
        yield required(where, "")
        return
    errors = list(check_selector(where, selector))
    yield from errors
    if not selector.match_labels and not selector.match_expressions:
        yield invalid(where, {}, f"empty selector is invalid for {workload}")
    elif not errors and not from_label_selector(selector).matches(labels):
        yield invalid(
            path.child("template", "metadata", "labels"),
            labels,
            "`selector` does not match template `labels`",
        )


def check_immutable(path: Path, new: Any, old: Any) -> Iterator[FieldError]:
    """The field keeps its value for the object's whole life."""
    if new != old:
        yield invalid(path, new, "field is immutable")


def amount(text: str) -> Quantity:
    """A quantity's exact value; the decoder has already refused what is not a quantity."""
    return quantity.parse(text)


def is_negative(text: str) -> bool:
    """Whether a quantity is below zero."""
    return quantity.parse(text).nano < 0
