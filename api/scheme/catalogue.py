"""What is served now: the tables of the scheme, and the kinds that came at run time. Walk step 1.

Routing, discovery and whoever asks about "every resource" look here, so that a
CustomResourceDefinition makes a kind appear without a restart. Every look-up is one of a dictionary,
whatever the number of kinds. Changed and read on one event loop; what was read before a change
stays as it was read (the rows are immutable).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from api.scheme.resource import Resource

_NONE: Mapping[str, Resource] = {}
_VERSION = re.compile(r"v([1-9]\d*)(?:(alpha|beta)([1-9]\d*))?")
_STAGES = {None: 0, "beta": 1, "alpha": 2}


class Catalogue:
    """The resources that have a path, by group, version and plural."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        self._served: dict[tuple[str, str], dict[str, Resource]] = {}
        self._by_kind: dict[tuple[str, str], Resource] = {}
        self._listeners: list[Callable[[], None]] = []
        for resource in resources:
            self._put(resource)

    def __repr__(self) -> str:
        return f"Catalogue({len(self._by_kind)} resources)"

    def __iter__(self) -> Iterator[Resource]:
        for resources in list(self._served.values()):
            yield from list(resources.values())

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        """The resource served at `/apis/GROUP/VERSION/PLURAL` (core group: empty string)."""
        return self._served.get((group, version), _NONE).get(plural)

    def by_kind(self, api_version: str, kind: str) -> Resource | None:
        """The resource of `apiVersion` and `kind`, as an object names itself."""
        return self._by_kind.get((api_version, kind))

    def stored_by_kind(self, api_version: str, kind: str) -> Resource | None:
        """As `by_kind`, but the row under which the objects are kept; None for what is not."""
        found = self.by_kind(api_version, kind)
        if found is not None and found.stored_as:
            found = self.by_kind(found.stored_as, kind)
        return found if found is not None and found.stored else None

    def stored(self) -> Iterator[Resource]:
        """Every resource whose objects are kept, under the row in which they are."""
        return (one for one in self if one.stored and not one.stored_as)

    def of_version(self, group: str, version: str) -> Mapping[str, Resource]:
        """The resources of one group and version, by plural."""
        return self._served.get((group, version), _NONE)

    def group_versions(self) -> tuple[tuple[str, str], ...]:
        """Each (group, version) once: the core group first, and of each the preferred version."""
        return tuple(sorted(self._served, key=lambda one: (one[0], version_order(one[1]))))

    def replace(self, gone: Iterable[Resource], come: Iterable[Resource]) -> None:
        """Serve other resources than before, in one step."""
        for resource in gone:
            resources = self._served.get((resource.group, resource.version), {})
            if resources.get(resource.plural) == resource:
                del resources[resource.plural]
                self._by_kind.pop((resource.api_version, resource.kind), None)
            if not resources:
                self._served.pop((resource.group, resource.version), None)
        for resource in come:
            self._put(resource)
        for listener in self._listeners:
            listener()

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call `listener` after every change from now on."""
        self._listeners.append(listener)

    def _put(self, resource: Resource) -> None:
        self._served.setdefault((resource.group, resource.version), {})[resource.plural] = resource
        self._by_kind[resource.api_version, resource.kind] = resource


def version_order(version: str) -> tuple[int, int, int, str]:
    """Sorts versions as Kubernetes prefers them: v2, v1, v1beta1, v1alpha1, then any other name."""
    found = _VERSION.fullmatch(version)
    if found is None:
        return 3, 0, 0, version
    major, stage, minor = found.groups()
    return _STAGES[stage], -int(major), -int(minor or 0), ""
