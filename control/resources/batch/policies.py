"""The rules by which a Job judges its pods' failures and its own success. Walk step 1."""

from collections.abc import Iterator, Sequence
from typing import Any

from api import indexset, validation
from api.batch import (
    JobSpec,
    PodFailurePolicyAction,
    PodFailurePolicyOnExitCodesOperator,
    PodFailurePolicyOnExitCodesRequirement,
    PodFailurePolicyOnPodConditionsPattern,
    PodFailurePolicyRule,
    SuccessPolicyRule,
)
from api.core.pod import ConditionStatus
from api.fielderrors import (
    ErrorKind,
    FieldError,
    Path,
    duplicate,
    invalid,
    not_supported,
    required,
    too_long,
    too_many,
)
from control.resources.checks import check_non_negative, check_text, enum_values

MAX_RULES = 20
MAX_PATTERNS = 20
MAX_EXIT_CODES = 255
MAX_INDEXES_LENGTH = 64 * 1024


def failure_policy_errors(spec: JobSpec, path: Path) -> Iterator[FieldError]:
    """Every error of `podFailurePolicy.rules`."""
    assert spec.pod_failure_policy is not None
    rules, pod = spec.pod_failure_policy.rules, spec.template.spec
    if len(rules) > MAX_RULES:
        yield too_many(path, len(rules), MAX_RULES)
    names = {container.name for container in (*pod.containers, *pod.init_containers)}
    for number, rule in enumerate(rules):
        yield from _rule_errors(spec, rule, path.index(number), names)


def _rule_errors(
    spec: JobSpec, rule: PodFailurePolicyRule, path: Path, names: set[str]
) -> Iterator[FieldError]:
    where = path.child("action")
    yield from _choice_errors(where, rule.action, PodFailurePolicyAction)
    if rule.action == "FailIndex" and spec.backoff_limit_per_index is None:
        yield invalid(where, rule.action, "requires the backoffLimitPerIndex to be set")
    if rule.on_exit_codes is not None:
        yield from _exit_code_errors(rule.on_exit_codes, path.child("onExitCodes"), names)
    yield from _pattern_errors(rule.on_pod_conditions, path.child("onPodConditions"))
    if rule.on_exit_codes is not None and rule.on_pod_conditions:
        words = "specifying both OnExitCodes and OnPodConditions is not supported"
        yield _about_the_whole(path, words)
    elif rule.on_exit_codes is None and not rule.on_pod_conditions:
        words = "specifying one of OnExitCodes and OnPodConditions is required"
        yield _about_the_whole(path, words)


def _exit_code_errors(
    codes: PodFailurePolicyOnExitCodesRequirement, path: Path, names: set[str]
) -> Iterator[FieldError]:
    yield from _choice_errors(
        path.child("operator"), codes.operator, PodFailurePolicyOnExitCodesOperator
    )
    if codes.container_name is not None and codes.container_name not in names:
        words = "must be one of the container or initContainer names in the pod template"
        yield invalid(path.child("containerName"), codes.container_name, words)
    values, where = codes.values, path.child("values")
    if not values:
        yield invalid(where, values, "at least one value is required")
    elif len(values) > MAX_EXIT_CODES:
        yield too_many(where, len(values), MAX_EXIT_CODES)
    for number, value in enumerate(values):
        if codes.operator == "In" and value == 0:
            yield invalid(where.index(number), value, "must not be 0 for the In operator")
        if value in values[:number]:
            yield duplicate(where.index(number), value)
    if values != sorted(values):
        yield invalid(where, values, "must be ordered")


def _pattern_errors(
    patterns: Sequence[PodFailurePolicyOnPodConditionsPattern], path: Path
) -> Iterator[FieldError]:
    if len(patterns) > MAX_PATTERNS:
        yield too_many(path, len(patterns), MAX_PATTERNS)
    for number, pattern in enumerate(patterns):
        where = path.index(number)
        yield from check_text(where.child("type"), pattern.type, validation.qualified_name)
        yield from _choice_errors(where.child("status"), pattern.status, ConditionStatus)


def _choice_errors(path: Path, value: str, alias: Any) -> Iterator[FieldError]:
    values = sorted(enum_values(alias))
    if not value:
        listed = " ".join(f'"{item}"' for item in values)
        yield required(path, f"valid values: [{listed}]")
    elif value not in values:
        yield not_supported(path, value, values)


def success_policy_errors(spec: JobSpec, path: Path) -> Iterator[FieldError]:
    """Every error of `successPolicy.rules`, of an Indexed Job."""
    assert spec.success_policy is not None
    rules = spec.success_policy.rules
    if not rules:
        words = "at least one rules must be specified when the successPolicy is specified"
        yield required(path, words)
    if len(rules) > MAX_RULES:
        yield too_many(path, len(rules), MAX_RULES)
    for number, rule in enumerate(rules):
        yield from _success_errors(rule, spec.completions or 0, path.index(number))


def _success_errors(rule: SuccessPolicyRule, completions: int, path: Path) -> Iterator[FieldError]:
    if rule.succeeded_count is None and rule.succeeded_indexes is None:
        words = "at least one of succeededCount or succeededIndexes must be specified"
        yield required(path, words)
    named = None
    if rule.succeeded_indexes is not None:
        where = path.child("succeededIndexes")
        if len(rule.succeeded_indexes) > MAX_INDEXES_LENGTH:
            yield too_long(where, MAX_INDEXES_LENGTH)
        try:
            named = indexset.count(rule.succeeded_indexes, completions)
        except ValueError as error:
            words = f"error parsing succeededIndexes: {error}"
            yield invalid(where, rule.succeeded_indexes, words)
    if rule.succeeded_count is None:
        return
    where = path.child("succeededCount")
    yield from check_non_negative(where, rule.succeeded_count)
    if rule.succeeded_count > completions:
        yield invalid(
            where,
            rule.succeeded_count,
            f"must be less than or equal to {completions} (the number of specified completions)",
        )
    if named is not None and rule.succeeded_count > named:
        yield invalid(
            where,
            rule.succeeded_count,
            f"must be less than or equal to {named} (the number of indexes in the specified "
            "succeededIndexes field)",
        )


def _about_the_whole(path: Path, words: str) -> FieldError:
    """An invalid object whose value would say nothing that its path does not."""
    return FieldError(ErrorKind.INVALID, str(path), f"Invalid value: {words}")
