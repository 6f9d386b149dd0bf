"""Role and ClusterRole: what may be done. They speak at the gate of step 1 of a pod's walk.

A rule is about resources or about paths that belong to none, never about both; the latter only
cluster-wide (API documentation of PolicyRule).
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Generic, TypeVar

from api import validation
from api.fielderrors import FieldError, Path, invalid, required
from api.rbac import ClusterRole, PolicyRule, Role
from api.scheme import resource_of
from control.resources.checks import check_selector
from control.resources.strategy import Column, Strategy

T = TypeVar("T", Role, ClusterRole)


class _RulesStrategy(Strategy[T], Generic[T]):
    """A list of rules. A PUT of a missing one makes it."""

    columns = (Column("Created At", "string", lambda role, now: _created_at(role, now)),)
    shows_age = False
    allow_create_on_update = True

    def validate_name(self, name: str, *, generated: bool) -> list[str]:
        return validation.path_segment(name)

    def validate(self, obj: T) -> list[FieldError]:
        return [
            error
            for number, rule in enumerate(obj.rules)
            for error in _rule_errors(
                Path("rules").index(number), rule, namespaced=self.resource.namespaced
            )
        ]


class RoleStrategy(_RulesStrategy[Role]):
    """Allows in one namespace."""


class ClusterRoleStrategy(_RulesStrategy[ClusterRole]):
    """Allows everywhere; its rules may come from other cluster roles."""

    def validate(self, obj: ClusterRole) -> list[FieldError]:
        errors = super().validate(obj)
        if obj.aggregation_rule is None:
            return errors
        path = Path("aggregationRule", "clusterRoleSelectors")
        selectors = obj.aggregation_rule.cluster_role_selectors
        if not selectors:
            errors.append(
                required(
                    path, "at least one clusterRoleSelector required if aggregationRule is non-nil"
                )
            )
        for number, selector in enumerate(selectors):
            errors += check_selector(path.index(number), selector)
        return errors


def _created_at(role: Role | ClusterRole, now: datetime) -> str:
    return role.metadata.creation_timestamp or ""


def _rule_errors(path: Path, rule: PolicyRule, *, namespaced: bool) -> Iterator[FieldError]:
    if not rule.verbs:
        yield required(path.child("verbs"), "verbs must contain at least one value")
    if rule.non_resource_urls:
        where = path.child("nonResourceURLs")
        if namespaced:
            why = "namespaced rules cannot apply to non-resource URLs"
            yield invalid(where, rule.non_resource_urls, why)
        if rule.api_groups or rule.resources or rule.resource_names:
            why = "rules cannot apply to both regular resources and non-resource URLs"
            yield invalid(where, rule.non_resource_urls, why)
        return
    if not rule.api_groups:
        why = "resource rules must supply at least one api group"
        yield required(path.child("apiGroups"), why)
    if not rule.resources:
        why = "resource rules must supply at least one resource"
        yield required(path.child("resources"), why)


ROLE = RoleStrategy(resource_of(Role))
CLUSTER_ROLE = ClusterRoleStrategy(resource_of(ClusterRole))
