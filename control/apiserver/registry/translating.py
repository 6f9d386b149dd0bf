"""Who owns which field, across the versions of a kind: a field of one is another's in the next.

Serves step 1 of the pod's walk. Each entry of managedFields is in the words of the version in which
its manager spoke. What a write changes is therefore told in each of those versions, by comparing
the object before and after as that version shows it. Where that cannot be done at once (a webhook
converts, or the version is gone) fields count as having the same names, as they mostly do.
"""

from __future__ import annotations

from typing import Any

from api.errors import ApiError
from api.patch import fieldset, serverside
from api.patch.fieldset import FieldSet
from api.patch.serverside import Difference
from control.apiserver.registry.call import Call
from control.apiserver.registry.kinds import Kind, View

Tree = dict[str, Any]


def spoken(kind: Kind[Any], call: Call) -> View:
    """The version in which a client speaks, as far as owners are told in it."""
    wanted = kind.resource.api_version if call.version is None else call.version.api_version
    return kind.views.get(wanted) or kind.views[kind.resource.api_version]


class Changes:
    """What one write changes, in any version. `old` and `new`: as they are stored."""

    def __init__(self, kind: Kind[Any], old: Any, new: Any) -> None:
        self._kind = kind
        self._old = old
        self._new = new
        self._known: dict[str, Difference] = {}

    def __call__(self, api_version: str) -> Difference | None:
        view = self._kind.views.get(api_version)
        if view is None:
            return None
        if api_version not in self._known:
            before, after = view.tree(self._old), view.tree(self._new)
            self._known[api_version] = serverside.compare(before, after, view.codec.schema)
        return self._known[api_version]


class Elsewhere:
    """Between the version that an apply speaks and the others. Trees are of that version."""

    def __init__(self, kind: Kind[Any], own: View) -> None:
        self._kind = kind
        self._own = own

    def difference(self, api_version: str, before: Tree, after: Tree) -> Difference | None:
        """What a change is in another version; None where that is not known."""
        view = self._other(api_version)
        if view is None:
            return None
        try:
            old, new = self._own.stored(before), self._own.stored(after)
            return serverside.compare(view.tree(old), view.tree(new), view.codec.schema)
        except ApiError:  # half an object that the other version does not take
            return None

    def translated(self, api_version: str, fields: FieldSet, tree: Tree) -> FieldSet:
        """The fields that go when these go in another version."""
        view = self._other(api_version)
        if view is None:
            return fields
        try:
            theirs = view.tree(self._own.stored(tree))
            left = serverside.prune(theirs, view.codec.schema, last=fields, kept={})
            without = self._own.tree(view.stored({**left, **_head(theirs)}))
        except ApiError:
            return fields
        gone = serverside.compare(tree, without, self._own.codec.schema)
        return fieldset.union(gone.removed, gone.changed)

    def _other(self, api_version: str) -> View | None:
        return None if api_version == self._own.api_version else self._kind.views.get(api_version)


def _head(tree: Tree) -> Tree:
    """What no manager owns, and no object lacks."""
    return {name: tree[name] for name in ("apiVersion", "kind", "metadata") if name in tree}
