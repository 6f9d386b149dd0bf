"""FlowSchema: which requests belong to which priority level. Step 1 of the walk, before anything else.

The rules are those of the API documentation: `*` stands for everything and then stands alone.
"""

from collections.abc import Iterator, Sequence

from api import validation
from api.fielderrors import FieldError, Path, forbidden, invalid, not_supported, required
from api.flowcontrol import (
    FlowDistinguisherMethodType,
    FlowSchema,
    NonResourcePolicyRule,
    PolicyRulesWithSubjects,
    ResourcePolicyRule,
    Subject,
    SubjectKind,
)
from api.scheme import resource_of
from control.resources.checks import check_enum, check_text, enum_values
from control.resources.columns import AGE, NONE
from control.resources.flowcontrol.conditions import condition_errors, status_of
from control.resources.strategy import WRITABLE_METADATA, Column, Strategy

DEFAULT_PRECEDENCE = 1000
MAX_PRECEDENCE = 10000
EXEMPT = "exempt"
EVERY = "*"
_VERBS = (
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "proxy",
    "update",
    "watch",
)
_SPEC = Path("spec")


class FlowSchemaStrategy(Strategy[FlowSchema]):
    """Requests, by who makes them and what they ask, and their priority level."""

    kept_by_status = WRITABLE_METADATA

    columns = (
        Column(
            "PriorityLevel",
            "string",
            lambda one, now: one.spec.priority_level_configuration.name,
        ),
        Column("MatchingPrecedence", "string", lambda one, now: str(one.spec.matching_precedence)),
        Column("DistinguisherMethod", "string", lambda one, now: _method(one)),
        AGE,
        Column("MissingPL", "string", lambda one, now: status_of(one.status, "Dangling") or "?"),
    )

    def default(self, obj: FlowSchema) -> None:
        obj.spec.matching_precedence = obj.spec.matching_precedence or DEFAULT_PRECEDENCE

    def validate(self, obj: FlowSchema) -> list[FieldError]:
        return list(_spec_errors(obj))

    def validate_subresource(
        self, subresource: str, new: FlowSchema, old: FlowSchema
    ) -> list[FieldError]:
        return list(condition_errors(new.status.conditions))


def _method(schema: FlowSchema) -> str:
    method = schema.spec.distinguisher_method
    return method.type if method is not None else NONE


def _spec_errors(schema: FlowSchema) -> Iterator[FieldError]:
    spec = schema.spec
    yield from _precedence_errors(schema.metadata.name, spec.matching_precedence)
    if spec.distinguisher_method is not None:
        method = spec.distinguisher_method.type
        where = _SPEC.child("distinguisherMethod", "type")
        if method not in enum_values(FlowDistinguisherMethodType):
            yield not_supported(where, method, sorted(enum_values(FlowDistinguisherMethodType)))
    level = _SPEC.child("priorityLevelConfiguration", "name")
    name = spec.priority_level_configuration.name
    if not name:
        yield required(level, "must reference a priority level")
    yield from check_text(level, name, validation.dns1123_subdomain, needed=False)
    for number, rule in enumerate(spec.rules):
        yield from _rule_errors(_SPEC.child("rules").index(number), rule)


def _precedence_errors(name: str, precedence: int) -> Iterator[FieldError]:
    path = _SPEC.child("matchingPrecedence")
    if precedence <= 0:
        yield invalid(path, precedence, "must be a positive value")
    if precedence > MAX_PRECEDENCE:
        yield invalid(path, precedence, f"must not be greater than {MAX_PRECEDENCE}")
    if precedence == 1 and name != EXEMPT:
        why = "only the schema named 'exempt' may have matchingPrecedence 1"
        yield invalid(path, precedence, why)


def _rule_errors(path: Path, rule: PolicyRulesWithSubjects) -> Iterator[FieldError]:
    if not rule.subjects:
        yield required(path.child("subjects"), "subjects must contain at least one value")
    for number, subject in enumerate(rule.subjects):
        yield from _subject_errors(path.child("subjects").index(number), subject)
    if not rule.resource_rules and not rule.non_resource_rules:
        why = "at least one of resourceRules and nonResourceRules has to be non-empty"
        yield required(path, why)
    for number, resource in enumerate(rule.resource_rules):
        yield from _resource_errors(path.child("resourceRules").index(number), resource)
    for number, other in enumerate(rule.non_resource_rules):
        yield from _path_rule_errors(path.child("nonResourceRules").index(number), other)


def _subject_errors(path: Path, subject: Subject) -> Iterator[FieldError]:
    if subject.kind not in enum_values(SubjectKind):
        yield from check_enum(path.child("kind"), subject.kind, SubjectKind, needed=True)
        return
    members = {
        "User": ("user", subject.user),
        "Group": ("group", subject.group),
        "ServiceAccount": ("serviceAccount", subject.service_account),
    }
    for kind, (name, value) in members.items():
        where = path.child(name)
        if kind != subject.kind:
            if value is not None:
                yield forbidden(where, f"{name} is forbidden when subject kind is not '{kind}'")
        elif value is None:
            yield required(where, f"{name} is required when subject kind is '{kind}'")
        elif not value.name:
            yield required(where.child("name"), "")
    if subject.kind == "ServiceAccount" and subject.service_account is not None:
        account, where = subject.service_account, path.child("serviceAccount")
        if account.name != EVERY:
            rule = validation.dns1123_subdomain
            yield from check_text(where.child("name"), account.name, rule, needed=False)
        if not account.namespace:
            yield required(where.child("namespace"), "must specify namespace for service account")
        label = validation.dns1123_label
        yield from check_text(where.child("namespace"), account.namespace, label, needed=False)


def _resource_errors(path: Path, rule: ResourcePolicyRule) -> Iterator[FieldError]:
    yield from _verb_errors(path.child("verbs"), rule.verbs)
    if not rule.api_groups:
        yield required(path.child("apiGroups"), "resource rules must supply at least one api group")
    yield from _alone(path.child("apiGroups"), rule.api_groups, "api groups")
    if not rule.resources:
        yield required(path.child("resources"), "resource rules must supply at least one resource")
    yield from _alone(path.child("resources"), rule.resources, "resources")
    where = path.child("namespaces")
    if not rule.namespaces and not rule.cluster_scope:
        why = "resource rules that are not cluster scoped must supply at least one namespace"
        yield required(where, why)
    yield from _alone(where, rule.namespaces, "namespaces")
    if EVERY in rule.namespaces:
        return
    for number, name in enumerate(rule.namespaces):
        for why in validation.dns1123_label(name):
            why = f"each member of this list must be '*' or a DNS-1123 label; {why}"
            yield invalid(where.index(number), name, why)


def _path_rule_errors(path: Path, rule: NonResourcePolicyRule) -> Iterator[FieldError]:
    yield from _verb_errors(path.child("verbs"), rule.verbs)
    where, urls = path.child("nonResourceURLs"), rule.non_resource_urls
    if not urls:
        yield required(where, "nonResourceURLs must contain at least one value")
    yield from _alone(where, urls, "non-resource URLs")
    if EVERY in urls:
        return
    for number, url in enumerate(urls):
        if why := _path_fault(url):
            yield invalid(where.index(number), url, why)


def _verb_errors(path: Path, verbs: Sequence[str]) -> Iterator[FieldError]:
    if not verbs:
        yield required(path, "verbs must contain at least one value")
    yield from _alone(path, verbs, "verbs")
    if EVERY not in verbs and not set(verbs) <= set(_VERBS):
        yield not_supported(path, verbs, _VERBS)


def _alone(path: Path, values: Sequence[str], what: str) -> Iterator[FieldError]:
    if len(values) > 1 and EVERY in values:
        yield invalid(path, values, f"if '*' is present, must not specify other {what}")


def _path_fault(path: str) -> str:
    """A path begins with a slash, and a `*` only ends it: there is no other matching."""
    if not path:
        return "must not be empty"
    if not path.startswith("/"):
        return "must start with slash"
    if " " in path:
        return "must not contain white-space"
    if "//" in path:
        return "must not contain double slash"
    if "*" in path.removesuffix("/*"):
        return "wildcard can only do suffix matching"
    return ""


STRATEGY = FlowSchemaStrategy(resource_of(FlowSchema))
