"""ValidatingAdmissionPolicy and its binding: rules in CEL, and where they are in force. Walk step 1.

Rules: "ValidatingAdmissionPolicy" in the API reference. What the expressions say is not looked at:
`control/admission/policies.py` tells what becomes of a policy.
"""

import re
from collections.abc import Iterator

from api import validation
from api.admissionregistration import (
    AuditAnnotation,
    FailurePolicyType,
    MatchPolicyType,
    MatchResources,
    NamedRuleWithOperations,
    ParameterNotFoundActionType,
    ParamKind,
    ParamRef,
    ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding,
    ValidatingAdmissionPolicySpec,
    Validation,
    ValidationAction,
    Variable,
)
from api.fielderrors import (
    FieldError,
    Path,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
    too_many,
)
from api.meta import LabelSelector
from api.scheme import resource_of
from control.resources.admissionregistration import rules
from control.resources.checks import check_enum, check_selector, check_text, enum_values
from control.resources.strategy import WRITABLE_METADATA, Column, Strategy

MAX_AUDIT_ANNOTATIONS = 20
_REASONS = ("Forbidden", "Invalid", "RequestEntityTooLarge", "Unauthorized")
_IDENTIFIER = re.compile("[_a-zA-Z][_a-zA-Z0-9]*")
_RESERVED = re.compile(
    "true|false|null|in|as|break|const|continue|else|for|function|if|import|let|loop|package|"
    "namespace|return|var|void|while"
)
_UNSET = "<unset>"
_NEITHER = "validations or auditAnnotations must be non-empty"
_SPEC = Path("spec")


class PolicyStrategy(Strategy[ValidatingAdmissionPolicy]):
    """What a policy demands."""

    kept_by_status = WRITABLE_METADATA

    columns = (
        Column("Validations", "integer", lambda policy, now: len(policy.spec.validations)),
        Column("ParamKind", "string", lambda policy, now: _kind(policy.spec.param_kind)),
    )

    def default(self, obj: ValidatingAdmissionPolicy) -> None:
        spec = obj.spec
        spec.failure_policy = spec.failure_policy or "Fail"
        if spec.match_constraints is not None:
            _default_match(spec.match_constraints)

    def validate(self, obj: ValidatingAdmissionPolicy) -> list[FieldError]:
        return list(_policy_errors(obj.spec))


class BindingStrategy(Strategy[ValidatingAdmissionPolicyBinding]):
    """Where a policy is in force."""

    columns = (
        Column("PolicyName", "string", lambda binding, now: binding.spec.policy_name),
        Column("ParamRef", "string", lambda binding, now: _params(binding.spec.param_ref)),
    )

    def default(self, obj: ValidatingAdmissionPolicyBinding) -> None:
        spec = obj.spec
        if spec.match_resources is not None:
            _default_match(spec.match_resources)
        if spec.param_ref is not None:
            ref = spec.param_ref
            ref.parameter_not_found_action = ref.parameter_not_found_action or "Deny"

    def validate(self, obj: ValidatingAdmissionPolicyBinding) -> list[FieldError]:
        spec = obj.spec
        name = check_text(_SPEC.child("policyName"), spec.policy_name, validation.dns1123_subdomain)
        errors = list(name)
        if spec.param_ref is not None:
            errors += _param_errors(_SPEC.child("paramRef"), spec.param_ref)
        if spec.match_resources is not None:
            errors += _match_errors(_SPEC.child("matchResources"), spec.match_resources)
        errors += _action_errors(_SPEC.child("validationActions"), spec.validation_actions)
        return errors


def _default_match(match: MatchResources) -> None:
    match.match_policy = match.match_policy or "Equivalent"
    if match.namespace_selector is None:
        match.namespace_selector = LabelSelector()
    if match.object_selector is None:
        match.object_selector = LabelSelector()
    rules.default_rules(match.resource_rules)
    rules.default_rules(match.exclude_resource_rules)


def _policy_errors(spec: ValidatingAdmissionPolicySpec) -> Iterator[FieldError]:
    yield from check_enum(
        _SPEC.child("failurePolicy"), spec.failure_policy, FailurePolicyType, needed=True
    )
    if spec.param_kind is not None:
        yield from _kind_errors(_SPEC.child("paramKind"), spec.param_kind)
    match, where = spec.match_constraints, _SPEC.child("matchConstraints")
    if match is None:
        yield required(where, "")
    else:
        yield from _match_errors(where, match)
        if not match.resource_rules:
            yield required(where.child("resourceRules"), "")
    yield from rules.check_conditions(_SPEC.child("matchConditions"), spec.match_conditions)
    yield from _variable_errors(_SPEC.child("variables"), spec.variables)
    validations, annotations = _SPEC.child("validations"), _SPEC.child("auditAnnotations")
    if not spec.validations and not spec.audit_annotations:
        yield required(validations, _NEITHER)
        yield required(annotations, _NEITHER)
    for number, one in enumerate(spec.validations):
        yield from _validation_errors(validations.index(number), one)
    yield from _annotation_errors(annotations, spec.audit_annotations)


def _kind_errors(path: Path, kind: ParamKind) -> Iterator[FieldError]:
    where = path.child("apiVersion")
    if not kind.api_version:
        yield required(where, "")
    elif kind.api_version.count("/") > 1:
        why = f"unexpected GroupVersion string: {kind.api_version}"
        yield invalid(where, kind.api_version, why)
    if not kind.kind:
        yield required(path.child("kind"), "")
    elif wrong := validation.dns1035_label(kind.kind.lower()):
        why = f"may have mixed case, but should otherwise match: {','.join(wrong)}"
        yield invalid(path.child("kind"), kind.kind, why)


def _match_errors(path: Path, match: MatchResources) -> Iterator[FieldError]:
    yield from rules.check_selectors(path, match.namespace_selector, match.object_selector)
    for name, choice in (
        ("resourceRules", match.resource_rules),
        ("excludeResourceRules", match.exclude_resource_rules),
    ):
        for number, rule in enumerate(choice):
            yield from _rule_errors(path.child(name).index(number), rule)
    yield from check_enum(path.child("matchPolicy"), match.match_policy, MatchPolicyType)


def _rule_errors(path: Path, rule: NamedRuleWithOperations) -> Iterator[FieldError]:
    where = path.child("resourceNames")
    for number, name in enumerate(rule.resource_names):
        for why in validation.path_segment(name):
            yield invalid(where.index(number), name, why)
        if name in rule.resource_names[:number]:
            yield duplicate(where.index(number), name)
    yield from rules.check_rule(path, rule)


def _variable_errors(path: Path, variables: list[Variable]) -> Iterator[FieldError]:
    seen: set[str] = set()
    for number, variable in enumerate(variables):
        where, name = path.index(number), variable.name
        if not name:
            yield required(where.child("name"), "name is not specified")
        elif not _IDENTIFIER.fullmatch(name) or _RESERVED.fullmatch(name):
            yield invalid(where.child("name"), name, "name is not a valid CEL identifier")
        elif name in seen:
            yield duplicate(where.child("name"), name)
        seen.add(name)
        yield from rules.check_expression(
            where.child("expression"), variable.expression, "expression is not specified"
        )


def _validation_errors(path: Path, one: Validation) -> Iterator[FieldError]:
    expression, message = one.expression.strip(), one.message.strip()
    yield from rules.check_expression(
        path.child("expression"), expression, "expression is not specified"
    )
    where = path.child("message")
    if one.message and not message:
        yield invalid(where, one.message, "message must be non-empty if specified")
    elif "\n" in message:
        yield invalid(where, one.message, "message must not contain line breaks")
    elif "\n" in expression and not message:
        yield required(where, "message must be specified if expression contains line breaks")
    if one.message_expression and not one.message_expression.strip():
        yield required(path.child("messageExpression"), "must be non-empty if specified")
    if one.reason is not None and one.reason not in _REASONS:
        yield not_supported(path.child("reason"), one.reason, _REASONS)


def _annotation_errors(path: Path, annotations: list[AuditAnnotation]) -> Iterator[FieldError]:
    if len(annotations) > MAX_AUDIT_ANNOTATIONS:
        yield too_many(path, len(annotations), MAX_AUDIT_ANNOTATIONS)
    seen: set[str] = set()
    for number, one in enumerate(annotations):
        where = path.index(number)
        yield from check_text(where.child("key"), one.key, validation.qualified_name)
        if one.key and one.key in seen:
            yield duplicate(where.child("key"), one.key)
        seen.add(one.key)
        yield from rules.check_expression(
            where.child("valueExpression"), one.value_expression, "valueExpression is not specified"
        )


def _param_errors(path: Path, ref: ParamRef) -> Iterator[FieldError]:
    if ref.name and ref.selector is not None:
        yield forbidden(path.child("name"), "name and selector are mutually exclusive")
    elif ref.name:
        for why in validation.path_segment(ref.name):
            yield invalid(path.child("name"), ref.name, why)
    elif ref.selector is not None:
        yield from check_selector(path.child("selector"), ref.selector)
    else:
        yield required(path, "one of name or selector must be specified")
    yield from check_enum(
        path.child("parameterNotFoundAction"),
        ref.parameter_not_found_action,
        ParameterNotFoundActionType,
        needed=True,
    )


def _action_errors(path: Path, actions: list[str]) -> Iterator[FieldError]:
    if not actions:
        yield required(path, "")
    for number, action in enumerate(actions):
        if action in actions[:number]:
            yield duplicate(path.index(number), action)
        elif action not in enum_values(ValidationAction):
            yield not_supported(path.index(number), action, enum_values(ValidationAction))
    if {"Deny", "Warn"} <= set(actions):
        yield invalid(
            path,
            actions,
            "must not contain both Deny and Warn (repeating the same validation failure "
            "information in the API response and headers serves no purpose)",
        )


def _kind(kind: ParamKind | None) -> str:
    return _UNSET if kind is None else f"{kind.api_version}/{kind.kind}"


def _params(ref: ParamRef | None) -> str:
    if ref is None:
        return _UNSET
    return f"{ref.namespace or '*'}/{ref.name or '*'}"


POLICY = PolicyStrategy(resource_of(ValidatingAdmissionPolicy))
BINDING = BindingStrategy(resource_of(ValidatingAdmissionPolicyBinding))
