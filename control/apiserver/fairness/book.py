"""Which request belongs to which level, as FlowSchemas say, and what levels there are. Pure.

Before step 1 of the pod's walk. Schemas are asked in the order of their precedence (then of their
names); the first that matches decides. One whose level does not exist counts as if it were not there.
What no schema matches belongs to `catch-all`, which is there whatever becomes of the objects.

A `Book` is made anew when an object changes. What it has found for a user and a sort of request it
remembers: a look-up is one of a dictionary.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from api.flowcontrol import (
    FlowSchema,
    NonResourcePolicyRule,
    PolicyRulesWithSubjects,
    PriorityLevelConfiguration,
    ResourcePolicyRule,
    Subject,
)
from control.apiserver.fairness import defaults
from control.apiserver.fairness.defaults import CATCH_ALL
from control.apiserver.fairness.levels import Flow, LevelSpec
from control.auth.user import MASTERS, User

_ANY = "*"
_REMEMBERED = 4096
_ACCOUNT = "system:serviceaccount"


class Book:
    """The schemas and levels of one moment."""

    def __init__(
        self, schemas: Iterable[FlowSchema], levels: Iterable[PriorityLevelConfiguration]
    ) -> None:
        known = {level.metadata.name: level for level in (*_indispensable(), *levels)}
        self.levels: tuple[LevelSpec, ...] = tuple(
            _spec(level) for level in known.values() if level.spec.type != "Exempt"
        )
        self._exempt = {name for name, level in known.items() if level.spec.type == "Exempt"}
        self._schemas = sorted(
            (one for one in schemas if one.spec.priority_level_configuration.name in known),
            key=lambda one: (one.spec.matching_precedence, one.metadata.name),
        )
        self._uids = (
            {one.metadata.name: one.metadata.uid for one in self._schemas},
            {name: level.metadata.uid for name, level in known.items()},
        )
        self._find = lru_cache(maxsize=_REMEMBERED)(self._searched)

    def flow(
        self,
        user: User,
        *,
        verb: str,
        group: str = "",
        resource: str = "",
        namespace: str = "",
        path: str = "",
        peer: str = "",
    ) -> Flow:
        """The flow of a request: for a `resource` (with its subresource), or for a path."""
        name, level, method = self._find(
            user.name, user.groups, verb, group, resource, namespace, path
        )
        if level in self._exempt:
            return Flow(name, level, exempt=True)
        return Flow(name, level, _distinguisher(method, user, namespace, peer))

    def uids(self, flow: Flow) -> tuple[str, str]:
        """Of the objects that sorted a request: its schema and its level; "" where there is none."""
        schemas, levels = self._uids
        return schemas.get(flow.schema, ""), levels.get(flow.level, "")

    def _searched(
        self,
        user: str,
        groups: tuple[str, ...],
        verb: str,
        group: str,
        resource: str,
        namespace: str,
        path: str,
    ) -> tuple[str, str, str]:
        for schema in self._schemas:
            spec = schema.spec
            if any(
                _about(rule, verb, group, resource, namespace, path)
                for rule in spec.rules
                if any(_is(subject, user, groups) for subject in rule.subjects)
            ):
                method = spec.distinguisher_method
                return (
                    schema.metadata.name,
                    spec.priority_level_configuration.name,
                    method.type if method is not None else "",
                )
        return CATCH_ALL, CATCH_ALL, "ByUser"


def missing_level(schema: FlowSchema, levels: Iterable[PriorityLevelConfiguration]) -> bool:
    """Whether the schema's level does not exist."""
    wanted = schema.spec.priority_level_configuration.name
    return all(level.metadata.name != wanted for level in levels)


def _indispensable() -> Iterable[PriorityLevelConfiguration]:
    return (level for level in defaults.LEVELS if level.metadata.name == CATCH_ALL)


def _spec(level: PriorityLevelConfiguration) -> LevelSpec:
    limited = level.spec.limited
    assert limited is not None, "validation demands it"
    queuing = limited.limit_response.queuing
    shares = limited.nominal_concurrency_shares or 0
    lending = limited.lendable_percent or 0
    borrowing = limited.borrowing_limit_percent
    name = level.metadata.name
    if queuing is None:
        return LevelSpec(name, shares, 0, 0, 0, lending, borrowing)
    return LevelSpec(
        name,
        shares,
        queuing.queues,
        queuing.hand_size,
        queuing.queue_length_limit,
        lending,
        borrowing,
    )


def _distinguisher(method: str, user: User, namespace: str, peer: str) -> str:
    if method == "ByNamespace":
        return namespace
    if not method:
        return ""
    if MASTERS in user.groups:
        # Administrators often share one certificate: where they call from tells them apart.
        return f"{user.name} {peer} {namespace}"
    return user.name


def _is(subject: Subject, user: str, groups: Sequence[str]) -> bool:
    if subject.user is not None:
        return subject.user.name in (_ANY, user)
    if subject.group is not None:
        return subject.group.name == _ANY or subject.group.name in groups
    account = subject.service_account
    if account is None:
        return False
    whole = f"{_ACCOUNT}:{account.namespace}:"
    return user.startswith(whole) if account.name == _ANY else user == whole + account.name


def _about(
    rule: PolicyRulesWithSubjects,
    verb: str,
    group: str,
    resource: str,
    namespace: str,
    path: str,
) -> bool:
    if path:
        return any(_names_path(one, verb, path) for one in rule.non_resource_rules)
    return any(_names(one, verb, group, resource, namespace) for one in rule.resource_rules)


def _names(rule: ResourcePolicyRule, verb: str, group: str, resource: str, namespace: str) -> bool:
    return (
        _among(verb, rule.verbs)
        and _among(group, rule.api_groups)
        and _among(resource, rule.resources)
        and (_among(namespace, rule.namespaces) if namespace else rule.cluster_scope)
    )


def _names_path(rule: NonResourcePolicyRule, verb: str, path: str) -> bool:
    return _among(verb, rule.verbs) and any(
        path == url or (url.endswith(_ANY) and path.startswith(url.removesuffix(_ANY)))
        for url in rule.non_resource_urls
    )


def _among(value: str, allowed: Sequence[str]) -> bool:
    return _ANY in allowed or value in allowed
