"""Which requests the rules of an admission webhook choose. Walk step 1.

Pure. As admissionregistration.k8s.io/v1 documents rules: `*` stands for anything, and a resource
without a subresource does not choose subresources (`*/*` does). With the match policy Equivalent a
rule that names another version of the same objects chooses the request, too, and the webhook is shown
that version.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from api.scheme import Resource
from control.admission.chain import Operation

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


def exempt(resource: Resource) -> bool:
    """Webhooks are never asked about what configures admission: a broken one must be removable."""
    return resource.group == _GROUP


def chosen(
    rules: Iterable[Rule], operation: Operation, rows: Sequence[Resource], subresource: str
) -> int | None:
    """The place of the row in which the request is chosen, or None.

    The first row is the one of the request; the others, where there are any, are equivalent to it.
    The request's own is preferred; then earlier rules are.
    """
    about = [rule for rule in rules if _among(operation.value, rule.operations)]
    if any(_names(rule, rows[0], subresource) for rule in about):
        return 0
    for rule in about:
        for place, row in enumerate(rows[1:], 1):
            if _names(rule, row, subresource):
                return place
    return None


def _names(rule: Rule, row: Resource, subresource: str) -> bool:
    return (
        _among(row.group, rule.api_groups)
        and _among(row.version, rule.api_versions)
        and any(_is(pattern, row.plural, subresource) for pattern in rule.resources)
        and (rule.scope or _ANY) in (_ANY, "Namespaced" if row.namespaced else "Cluster")
    )


def _among(value: str, allowed: Sequence[str]) -> bool:
    return _ANY in allowed or value in allowed


def _is(pattern: str, plural: str, subresource: str) -> bool:
    resource, _, sub = pattern.partition("/")
    return resource in (_ANY, plural) and sub in (_ANY, subresource)
