"""Which requests the rules of an admission webhook choose. Walk step 1.

Pure. As admissionregistration.k8s.io/v1 documents rules: `*` stands for anything, a resource without a
subresource does not choose subresources (`*/*` does), and webhooks are never asked about the objects
that configure admission, for a broken one could not be removed otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from control.admission.chain import Attributes

_ANY = "*"
_GROUP = "admissionregistration.k8s.io"


class Rule(Protocol):
    """Some operations on some resources: a `RuleWithOperations`."""

    @property
    def operations(self) -> Sequence[str]: ...
    @property
    def api_groups(self) -> Sequence[str]: ...
    @property
    def api_versions(self) -> Sequence[str]: ...
    @property
    def resources(self) -> Sequence[str]: ...
    @property
    def scope(self) -> str | None: ...


def chosen(rules: Iterable[Rule], request: Attributes) -> bool:
    """Whether one of the rules chooses the request, in the version in which it was made."""
    if request.resource.group == _GROUP:
        return False
    return any(_chooses(rule, request) for rule in rules)


def _chooses(rule: Rule, request: Attributes) -> bool:
    resource = request.resource
    return (
        _among(request.operation.value, rule.operations)
        and _among(resource.group, rule.api_groups)
        and _among(resource.version, rule.api_versions)
        and any(_names(one, resource.plural, request.subresource) for one in rule.resources)
        and (rule.scope or _ANY) in (_ANY, "Namespaced" if resource.namespaced else "Cluster")
    )


def _among(value: str, allowed: Sequence[str]) -> bool:
    return _ANY in allowed or value in allowed


def _names(pattern: str, plural: str, subresource: str) -> bool:
    resource, _, sub = pattern.partition("/")
    return resource in (_ANY, plural) and sub in (_ANY, subresource)
