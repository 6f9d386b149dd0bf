"""What webhooks and policies have in common: rules that choose requests, and conditions in CEL. Walk step 1.

Rules: "MutatingWebhookConfiguration" and "ValidatingAdmissionPolicy" in the API reference.
"""

from collections.abc import Iterable, Iterator, Sequence

from api import validation
from api.admissionregistration import MatchCondition, OperationType, RuleWithOperations, ScopeType
from api.fielderrors import FieldError, Path, duplicate, invalid, not_supported, required, too_many
from api.meta import LabelSelector
from control.resources.checks import check_enum, check_selector, check_text, enum_values

MAX_CONDITIONS = 64
_ANY = "*"


def default_rules(rules: Iterable[RuleWithOperations]) -> None:
    """A rule is about resources of any scope."""
    for rule in rules:
        rule.scope = rule.scope or _ANY


def check_rules(path: Path, rules: Sequence[RuleWithOperations]) -> Iterator[FieldError]:
    """Each rule chooses something, and says it in one way only."""
    for number, rule in enumerate(rules):
        yield from check_rule(path.index(number), rule)


def check_rule(path: Path, rule: RuleWithOperations) -> Iterator[FieldError]:
    """Operations, groups, versions, resources, scope."""
    operations = path.child("operations")
    yield from _check_choice(operations, rule.operations, "operations")
    for number, operation in enumerate(rule.operations):
        if operation not in enum_values(OperationType):
            yield not_supported(operations.index(number), operation, enum_values(OperationType))
    yield from _check_choice(path.child("apiGroups"), rule.api_groups, "API groups")
    versions = path.child("apiVersions")
    yield from _check_choice(versions, rule.api_versions, "API versions")
    for number, version in enumerate(rule.api_versions):
        if not version:
            yield required(versions.index(number), "")
    yield from _check_resources(path.child("resources"), rule.resources)
    yield from check_enum(path.child("scope"), rule.scope, ScopeType)


def _check_choice(path: Path, values: Sequence[str], what: str) -> Iterator[FieldError]:
    if not values:
        yield required(path, "")
    elif len(values) > 1 and _ANY in values:
        yield invalid(path, values, f"if '*' is present, must not specify other {what}")


def _check_resources(path: Path, resources: Sequence[str]) -> Iterator[FieldError]:
    if not resources:
        yield required(path, "")
    whole: set[str] = set()  # resources with all their subresources
    shared: set[str] = set()  # subresources of all resources
    for number, pattern in enumerate(resources):
        where = path.index(number)
        if not pattern:
            yield required(where, "")
            continue
        resource, slash, subresource = pattern.partition("/")
        if not slash:
            continue
        for present, known in ((f"{resource}/*", whole), (f"*/{subresource}", shared)):
            if (resource if known is whole else subresource) in known:
                why = f"if '{present}' is present, must not specify {pattern}"
                yield invalid(where, pattern, why)
        if subresource == _ANY:
            whole.add(resource)
        if resource == _ANY:
            shared.add(subresource)
    if len(resources) > 1 and "*/*" in resources:
        why = "if '*/*' is present, must not specify other resources"
        yield invalid(path, resources, why)
    if _ANY in resources and any(one not in ("", _ANY) and "/" not in one for one in resources):
        why = "if '*' is present, must not specify other resources without subresources"
        yield invalid(path, resources, why)


def check_selectors(
    path: Path, namespaces: LabelSelector | None, objects: LabelSelector | None
) -> Iterator[FieldError]:
    """The two selectors that narrow rules."""
    if namespaces is not None:
        yield from check_selector(path.child("namespaceSelector"), namespaces)
    if objects is not None:
        yield from check_selector(path.child("objectSelector"), objects)


def check_conditions(path: Path, conditions: Sequence[MatchCondition]) -> Iterator[FieldError]:
    """Names and number of conditions; what the expressions say is not looked at here."""
    if len(conditions) > MAX_CONDITIONS:
        yield too_many(path, len(conditions), MAX_CONDITIONS)
    seen: set[str] = set()
    for number, condition in enumerate(conditions):
        where = path.index(number)
        yield from check_expression(where.child("expression"), condition.expression)
        yield from check_text(where.child("name"), condition.name, validation.qualified_name)
        if condition.name and condition.name in seen:
            yield duplicate(where.child("name"), condition.name)
        seen.add(condition.name)


def check_expression(path: Path, expression: str, words: str = "") -> Iterator[FieldError]:
    """An expression says something."""
    if not expression.strip():
        yield required(path, words)
