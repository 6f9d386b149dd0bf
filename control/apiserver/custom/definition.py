"""A CustomResourceDefinition as the server acts on it: read from its JSON once. Pure.

Serves step 1 of the pod's walk, before any object of the kind. Two definitions that are equal are
served alike: what differs only in metadata or status changes nothing. Field names follow the API
reference of apiextensions.k8s.io/v1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from api.scheme import Resource, Subresource
from api.scheme.resource import SCALE, STATUS

Tree = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Names:
    """What a kind is called."""

    plural: str
    singular: str
    kind: str
    list_kind: str
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()

    @classmethod
    def read(cls, tree: Tree) -> Names:
        return cls(
            tree.get("plural", ""),
            tree.get("singular", ""),
            tree.get("kind", ""),
            tree.get("listKind", ""),
            tuple(tree.get("shortNames") or ()),
            tuple(tree.get("categories") or ()),
        )

    def tree(self) -> dict[str, Any]:
        """As `status.acceptedNames` shows them."""
        shown: dict[str, Any] = {"plural": self.plural, "kind": self.kind}
        for name, value in (
            ("singular", self.singular),
            ("listKind", self.list_kind),
            ("shortNames", list(self.short_names)),
            ("categories", list(self.categories)),
        ):
            if value:
                shown[name] = value
        return shown


@dataclass(frozen=True, slots=True)
class ScalePaths:
    """Where an object of the kind keeps what `kubectl scale` reads and writes."""

    replicas: str
    status_replicas: str
    selector: str = ""


@dataclass(frozen=True)
class DefinedVersion:
    """One version of the kind."""

    name: str
    served: bool
    storage: bool
    schema: Tree
    status: bool
    scale: ScalePaths | None
    columns: tuple[Tree, ...]
    selectable: tuple[str, ...]
    warning: str

    @classmethod
    def read(cls, tree: Tree, group: str, kind: str, preserve: bool) -> DefinedVersion:
        name = tree["name"]
        schema = (tree.get("schema") or {}).get("openAPIV3Schema") or {}
        if preserve or not schema:
            schema = {**schema, "type": "object", "x-kubernetes-preserve-unknown-fields": True}
        parts = tree.get("subresources") or {}
        warning = ""
        if tree.get("deprecated"):
            warning = tree.get("deprecationWarning") or f"{group}/{name} {kind} is deprecated"
        return cls(
            name,
            bool(tree.get("served")),
            bool(tree.get("storage")),
            schema,
            parts.get("status") is not None,
            _scale(parts.get("scale")),
            tuple(tree.get("additionalPrinterColumns") or ()),
            tuple(one["jsonPath"] for one in tree.get("selectableFields") or ()),
            warning,
        )


@dataclass(frozen=True)
class Definition:
    """One CustomResourceDefinition. `names` are those that were accepted."""

    name: str
    group: str
    namespaced: bool
    names: Names
    versions: tuple[DefinedVersion, ...]
    conversion: Tree

    @classmethod
    def read(cls, tree: Tree) -> Definition:
        spec, status = tree["spec"], tree.get("status") or {}
        names = Names.read(status.get("acceptedNames") or {})
        group, preserve = spec["group"], bool(spec.get("preserveUnknownFields"))
        versions = (
            DefinedVersion.read(one, group, names.kind, preserve) for one in spec["versions"]
        )
        return cls(
            tree["metadata"]["name"],
            group,
            spec.get("scope") == "Namespaced",
            names,
            tuple(versions),
            spec.get("conversion") or {"strategy": "None"},
        )

    @property
    def storage(self) -> DefinedVersion:
        return next(one for one in self.versions if one.storage)

    @property
    def webhook(self) -> Tree | None:
        """The configuration of its conversion webhook, if that is how it converts."""
        if self.conversion.get("strategy") != "Webhook":
            return None
        found: Tree = self.conversion.get("webhook") or {}
        return found

    def api_version(self, version: str) -> str:
        return f"{self.group}/{version}"

    def resource(self, version: DefinedVersion, type_: type[Any]) -> Resource:
        """The row of one version in the catalogue."""
        names = self.names
        return Resource(
            self.group,
            version.name,
            names.kind,
            names.plural,
            type_,
            self.namespaced,
            names.singular or names.kind.lower(),
            names.short_names,
            names.categories,
            subresources=_subresources(version),
            stored_as="" if version.storage else self.api_version(self.storage.name),
            warning=version.warning,
        )

    def looks_alike(self, other: Definition) -> bool:
        """Whether what watch caches hold of this kind is what they would hold of the other."""
        return (
            self.group,
            self.namespaced,
            self.names.kind,
            self.names.plural,
            self.storage.name,
            self.storage.schema,
            self.storage.selectable,
            self.webhook is None,
        ) == (
            other.group,
            other.namespaced,
            other.names.kind,
            other.names.plural,
            other.storage.name,
            other.storage.schema,
            other.storage.selectable,
            other.webhook is None,
        )


def condition(tree: Tree, type_: str) -> Tree:
    """A condition of the definition's status; empty when there is none."""
    found = (tree.get("status") or {}).get("conditions") or ()
    return next((one for one in found if one["type"] == type_), {})


def holds(tree: Tree, type_: str) -> bool:
    return bool(condition(tree, type_).get("status") == "True")


def _scale(tree: Tree | None) -> ScalePaths | None:
    if tree is None:
        return None
    return ScalePaths(
        tree["specReplicasPath"], tree["statusReplicasPath"], tree.get("labelSelectorPath") or ""
    )


def _subresources(version: DefinedVersion) -> tuple[Subresource, ...]:
    found: list[Subresource] = []
    if version.scale is not None:
        found.append(SCALE)
    if version.status:
        found.append(STATUS)
    return tuple(found)
