"""ResourceQuota: what a namespace may have, and how much of it is taken. Walk step 1.

Rules: "Resource Quotas" in Kubernetes' documentation and "ResourceQuota" in the API reference. What is
charged to a quota, and when, admission decides (`control/admission/quota/`).
"""

from collections.abc import Iterator, Mapping, Sequence

from api.core import (
    ResourceQuota,
    ResourceQuotaScope,
    ResourceQuotaSpec,
    ScopedResourceSelectorRequirement,
    ScopeSelector,
)
from api.fielderrors import FieldError, Path, invalid, required
from api.quantity import parse
from api.scheme import resource_of
from control.resources.checks import enum_values, is_negative
from control.resources.columns import AGE
from control.resources.resourcenames import is_standard_for_quota, is_whole, quota_resource_errors
from control.resources.strategy import Column, Strategy

_BEST_EFFORT, _CLAIM_ATTRIBUTES = "BestEffort", "VolumeAttributesClass"
_WITH_VALUES = ("PriorityClass", _CLAIM_ATTRIBUTES)
_CONTRARY = ({_BEST_EFFORT, "NotBestEffort"}, {"Terminating", "NotTerminating"})
_OF_PODS = frozenset(
    f"{prefix}{name}" for prefix in ("", "requests.", "limits.") for name in ("cpu", "memory")
)
_OF_CLAIMS = frozenset({"persistentvolumeclaims", "requests.storage"})


class ResourceQuotaStrategy(Strategy[ResourceQuota]):
    """Its status tells what is used; nobody waits for its generation."""

    columns = (
        Column(
            "Request",
            "string",
            lambda quota, now: _shown(quota, limits=False),
            description="What is used and what may be, of numbers and requests.",
        ),
        Column(
            "Limit",
            "string",
            lambda quota, now: _shown(quota, limits=True),
            description="What is used and what may be, of limits.",
        ),
        AGE,
    )

    def validate(self, obj: ResourceQuota) -> list[FieldError]:
        path, spec = Path("spec"), obj.spec
        return [
            *_amounts_errors(path.child("hard"), spec.hard),
            *_scopes_errors(path.child("scopes"), spec),
            *_selector_errors(path.child("scopeSelector", "matchExpressions"), spec),
        ]

    def validate_update(self, new: ResourceQuota, old: ResourceQuota) -> list[FieldError]:
        errors = self.validate(new)
        if set(new.spec.scopes) != set(old.spec.scopes):
            errors.append(
                invalid(Path("spec").child("scopes"), new.spec.scopes, "field is immutable")
            )
        return errors

    def validate_subresource(
        self, subresource: str, new: ResourceQuota, old: ResourceQuota
    ) -> list[FieldError]:
        path = Path("status")
        return [
            *_amounts_errors(path.child("hard"), new.status.hard),
            *_amounts_errors(path.child("used"), new.status.used),
        ]

    def generation_changes(self, new: ResourceQuota, old: ResourceQuota) -> bool:
        return False


def _shown(quota: ResourceQuota, *, limits: bool) -> str:
    status = quota.status
    return ", ".join(
        f"{name}: {status.used.get(name, '0')}/{hard}"
        for name, hard in sorted(status.hard.items())
        if name.startswith("limits.") is limits
    )


def _amounts_errors(path: Path, amounts: Mapping[str, str]) -> Iterator[FieldError]:
    for name, amount in amounts.items():
        where = path.key(name)
        yield from quota_resource_errors(where, name)
        if is_negative(amount):
            yield invalid(where, amount, "must be greater than or equal to 0")
        if is_whole(name) and parse(amount).nano % 10**9:
            yield invalid(where, amount, "must be an integer")


def _scopes_errors(path: Path, spec: ResourceQuotaSpec) -> Iterator[FieldError]:
    for scope in spec.scopes:
        yield from _scope_errors(path, path, scope, spec.scopes, spec.hard)
    yield from _contrary_errors(path, spec.scopes, spec.scopes)


def _selector_errors(path: Path, spec: ResourceQuotaSpec) -> Iterator[FieldError]:
    selector = spec.scope_selector
    if selector is None:
        return
    for term in selector.match_expressions:
        name = path.child("scopeName")
        yield from _scope_errors(name, path, term.scope_name, selector, spec.hard)
        yield from _operator_errors(path, term)
    names = [term.scope_name for term in selector.match_expressions]
    yield from _contrary_errors(path, names, spec.scopes)


def _scope_errors(
    name_path: Path,
    path: Path,
    scope: str,
    shown: Sequence[str] | ScopeSelector,
    hard: Mapping[str, str],
) -> Iterator[FieldError]:
    """A scope is one that there is, and can be had by what the quota counts."""
    if scope not in enum_values(ResourceQuotaScope):
        yield invalid(name_path, scope if name_path is not path else shown, "unsupported scope")
        return
    for name in sorted(hard):
        if is_standard_for_quota(name) and not _fits(scope, name):
            yield invalid(path, shown, "unsupported scope applied to resource")


def _fits(scope: str, name: str) -> bool:
    if scope == _CLAIM_ATTRIBUTES:
        return name in _OF_CLAIMS
    return name == "pods" or (name in _OF_PODS and scope != _BEST_EFFORT)


def _operator_errors(path: Path, term: ScopedResourceSelectorRequirement) -> Iterator[FieldError]:
    operator = path.child("operator")
    if term.scope_name not in _WITH_VALUES and term.operator != "Exists":
        yield invalid(
            operator,
            term.operator,
            "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, "
            "ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, "
            "ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity",
        )
    if term.operator in ("In", "NotIn"):
        if not term.values:
            why = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
            yield required(path.child("values"), why)
    elif term.operator in ("Exists", "DoesNotExist"):
        if term.values:
            why = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
            yield invalid(path.child("values"), term.values, why)
    else:
        yield invalid(operator, term.operator, "not a valid selector operator")


def _contrary_errors(
    path: Path, scopes: Sequence[str], shown: Sequence[str]
) -> Iterator[FieldError]:
    for pair in _CONTRARY:
        if pair <= set(scopes):
            yield invalid(path, shown, "conflicting scopes")


STRATEGY = ResourceQuotaStrategy(resource_of(ResourceQuota))
