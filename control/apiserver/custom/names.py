"""Which names a definition may use, and what its status says about that. Pure.

Serves step 1 of the pod's walk, before any object of the kind. Within a group no two resources share
a plural, singular or short name, and no two share a kind; the built-in kinds were there first, then
whoever was accepted first. What conflicts is not accepted, the rest is; a definition is Established
when all was accepted once, and stays so, because objects may exist. Reasons and messages are
Kubernetes' own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from api.scheme import Resource
from control.apiserver.custom.definition import Names, Tree, condition

ACCEPTED = "NamesAccepted"
ESTABLISHED = "Established"
TERMINATING = "Terminating"


@dataclass(frozen=True, slots=True)
class Taken:
    """The names that others in the group use."""

    resources: frozenset[str]
    kinds: frozenset[str]


def taken(built_in: Iterable[Resource], others: Iterable[Names]) -> Taken:
    """The names of a group: those of the kinds in the code, and of other definitions."""
    resources: set[str] = set()
    kinds: set[str] = set()
    for row in built_in:
        resources |= {row.plural, row.singular, *row.short_names}
        kinds |= {row.kind, f"{row.kind}List"}
    for names in others:
        resources |= {names.plural, names.singular, *names.short_names}
        kinds |= {names.kind, names.list_kind}
    return Taken(frozenset(resources - {""}), frozenset(kinds - {""}))


def accept(wanted: Names, before: Names, others: Taken) -> tuple[Names, str, str]:
    """The names that are accepted now, and reason and message of a conflict ("" if there is none)."""
    accepted, reason, messages = before, "", []
    for field, word in (
        ("plural", "PluralConflict"),
        ("singular", "SingularConflict"),
        ("short_names", "ShortNamesConflict"),
        ("kind", "KindConflict"),
        ("list_kind", "ListKindConflict"),
    ):
        asked = getattr(wanted, field)
        used = others.kinds if "Kind" in word else others.resources
        several = (asked,) if isinstance(asked, str) else asked
        clash = [one for one in several if one in used]
        if clash:
            reason = word
            messages += [f'"{one}" is already in use' for one in clash]
        else:
            accepted = replace(accepted, **{field: asked})
    return replace(accepted, categories=wanted.categories), reason, ", ".join(messages)


def status(tree: Tree, others: Taken, now: str) -> dict[str, Any]:
    """The status that a definition should have."""
    old = tree.get("status") or {}
    wanted = Names.read(tree["spec"]["names"])
    names, reason, message = accept(wanted, Names.read(old.get("acceptedNames") or {}), others)
    conditions = list(old.get("conditions") or ())
    _put(
        conditions,
        ACCEPTED,
        not reason,
        reason or "NoConflicts",
        message or "no conflicts found",
        now,
    )
    if not reason:
        text = "the initial names have been accepted"
        if condition(tree, ESTABLISHED).get("status") != "True":
            _put(conditions, ESTABLISHED, True, "InitialNamesAccepted", text, now)
    elif not condition(tree, ESTABLISHED):
        _put(conditions, ESTABLISHED, False, "NotAccepted", "not all names are accepted", now)
    storage = next(one["name"] for one in tree["spec"]["versions"] if one.get("storage"))
    stored = list(old.get("storedVersions") or ())
    if storage not in stored:
        stored.append(storage)
    return {"conditions": conditions, "acceptedNames": names.tree(), "storedVersions": stored}


def terminating(tree: Tree, holds: bool, reason: str, message: str, now: str) -> dict[str, Any]:
    """The status of a definition on its way out."""
    old = dict(tree.get("status") or {})
    conditions = list(old.get("conditions") or ())
    _put(conditions, TERMINATING, holds, reason, message, now)
    return {**old, "conditions": conditions}


def _put(
    conditions: list[Mapping[str, Any]],
    type_: str,
    holds: bool,
    reason: str,
    message: str,
    now: str,
) -> None:
    state = "True" if holds else "False"
    made = {"type": type_, "status": state, "reason": reason, "message": message}
    for at, known in enumerate(conditions):
        if known["type"] == type_:
            same = known.get("status") == state
            moment = known.get("lastTransitionTime") or now if same else now
            conditions[at] = {**made, "lastTransitionTime": moment}
            return
    conditions.append({**made, "lastTransitionTime": now})
