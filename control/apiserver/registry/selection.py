"""Which objects a list or a watch asks for: namespace, name, labels, fields, parsed once.

Serves steps 1 to 6 of the pod's walk: a scheduler asks for pods, an agent for those of its node. A
`Selection` answers for one object in well under a microsecond when nothing is selected.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from api import errors
from api.selectors import FieldSelector, Selector, parse_field_selector, parse_label_selector
from control.apiserver.registry.kinds import Kind
from control.store.cached import Cached, Facts


@dataclass(frozen=True, slots=True)
class Selection:
    """The objects of one kind that are wanted."""

    namespace: str
    prefix: str
    labels: Selector
    fields: FieldSelector
    everything: bool

    def holds(self, item: Cached) -> bool:
        return self.everything or (
            self.labels.matches(item.labels) and self.fields.matches(item.fields)
        )

    def holds_facts(self, facts: Facts) -> bool:
        return self.labels.matches(facts[0]) and self.fields.matches(facts[1])

    @property
    def name(self) -> str:
        """The one name that is wanted, or ""."""
        return self.fields.required("metadata.name") or ""

    def indexed(self, kind: Kind[Any]) -> tuple[str, str] | None:
        """An indexed field that must have one value: no other objects need be looked at."""
        for field in kind.indexed:
            value = self.fields.required(field)
            if value is not None:
                return field, value
        return None


@lru_cache(maxsize=512)
def _parse(label_selector: str, field_selector: str) -> tuple[Selector, FieldSelector]:
    return parse_label_selector(label_selector), parse_field_selector(field_selector)


def select(
    kind: Kind[Any], namespace: str, label_selector: str, field_selector: str, name: str = ""
) -> Selection:
    """The selection of one request; 400 for a selector that cannot be understood."""
    if name:
        field_selector = f"metadata.name={name}" + (field_selector and "," + field_selector)
    try:
        labels, fields = _parse(label_selector, field_selector)
    except ValueError as error:
        raise errors.bad_request(f"unable to parse requirement: {error}") from None
    for path in fields.paths:
        if path not in kind.selectable:
            known = ", ".join(sorted(kind.selectable))
            raise errors.bad_request(
                f"field label not supported: {path} (those of {kind.resource.plural}: {known})"
            )
    namespace = namespace or (fields.required("metadata.namespace") or "")
    if not kind.resource.namespaced:
        namespace = ""
    everything = labels.empty and fields.empty
    return Selection(namespace, kind.resource.prefix(namespace), labels, fields, everything)


def candidates(kind: Kind[Any], selection: Selection) -> Sequence[Cached]:
    """The objects among which the selected ones are, in order: as few as an index allows."""
    if selection.name and (selection.namespace or not kind.resource.namespaced):
        found = kind.cache.get(kind.key(selection.namespace, selection.name))
        return [found] if found else []
    where = selection.indexed(kind)
    if where is None:
        return kind.cache.items(selection.prefix)
    return [one for one in kind.cache.where(*where) if one.key.startswith(selection.prefix)]
