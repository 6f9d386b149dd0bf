"""Discovery for commands of kubectl that read manifests: removed versions stand at its end.

kubectl looks up a manifest's kind in discovery before it sends anything, and says only `no matches for
kind "Deployment" in version "extensions/v1beta1"` when it finds none; our words would never be read.
So those commands (and kubectl before 1.22, which does not tell its command) see the removed versions,
creatable and nothing else, after all others, so that no name means another kind than before.
Everybody else gets discovery as it is: Helm charts choose the versions they write by it, and
controllers look at everything that can be listed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import msgspec

from control.apiserver.discovery.documents import Document
from control.apiserver.removed.table import REMOVED, Removed

_COMMANDS = frozenset({"apply", "create", "replace", "diff", "delete"})
_OLD_KUBECTL = re.compile(r"kubectl\S*/v1\.(1\d|20|21)\.")
_VERBS = ["create"]

Tree = dict[str, Any]


def wanted(headers: Mapping[str, str]) -> bool:
    """Whether the client is about to send a manifest."""
    command = headers.get("Kubectl-Command", "").split()
    if command:
        return len(command) > 1 and command[1] in _COMMANDS
    return _OLD_KUBECTL.match(headers.get("User-Agent", "")) is not None


def groups(document: Document) -> Document:
    """`/apis` in the old form."""
    return _extended(document, _add_groups)


def aggregated(document: Document) -> Document:
    """`/apis` in the new form."""
    return _extended(document, _add_aggregated)


def group(name: str, document: Tree | None) -> Tree | None:
    """`/apis/GROUP`."""
    gone = _versions(name)
    if not gone:
        return document
    made = document or {"kind": "APIGroup", "apiVersion": "v1", **_empty_group(name, gone)}
    _add_versions(made, gone)
    return made


def resources(name: str, version: str) -> Tree | None:
    """`/apis/GROUP/VERSION` of a removed version."""
    found = _of(name, version)
    if not found:
        return None
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{name}/{version}",
        "resources": [
            {
                "name": one.plural,
                "singularName": one.kind.lower(),
                "namespaced": one.namespaced,
                "kind": one.kind,
                "verbs": _VERBS,
            }
            for one in found
        ],
    }


def _extended(document: Document, add: Callable[[Tree], None]) -> Document:
    return _remember(document.body, document.content_type, add)


@lru_cache(maxsize=8)
def _remember(body: bytes, content_type: str, add: Callable[[Tree], None]) -> Document:
    tree = msgspec.json.decode(body)
    add(tree)
    return Document.of(tree, content_type)


def _add_groups(tree: Tree) -> None:
    there = {one["name"]: one for one in tree["groups"]}
    for name, gone in _GONE.items():
        if name not in there:
            there[name] = _empty_group(name, gone)
            tree["groups"].append(there[name])
        _add_versions(there[name], gone)


def _empty_group(name: str, gone: tuple[str, ...]) -> Tree:
    preferred = {"groupVersion": f"{name}/{gone[0]}", "version": gone[0]}
    return {"name": name, "versions": [], "preferredVersion": preferred}


def _add_versions(tree: Tree, gone: tuple[str, ...]) -> None:
    served = {one["version"] for one in tree["versions"]}
    tree["versions"] += [
        {"groupVersion": f"{tree['name']}/{version}", "version": version}
        for version in gone
        if version not in served
    ]


def _add_aggregated(tree: Tree) -> None:
    there = {one["metadata"]["name"]: one for one in tree["items"]}
    for name, gone in _GONE.items():
        if name not in there:
            there[name] = {"metadata": {"name": name, "creationTimestamp": None}, "versions": []}
            tree["items"].append(there[name])
        served = {one["version"] for one in there[name]["versions"]}
        there[name]["versions"] += [
            {
                "version": version,
                "freshness": "Current",
                "resources": [_discovered(one) for one in _of(name, version)],
            }
            for version in gone
            if version not in served
        ]


def _discovered(one: Removed) -> Tree:
    return {
        "resource": one.plural,
        "responseKind": {"group": one.group, "version": one.version, "kind": one.kind},
        "scope": "Namespaced" if one.namespaced else "Cluster",
        "singularResource": one.kind.lower(),
        "verbs": _VERBS,
    }


def _of(name: str, version: str) -> list[Removed]:
    return [one for one in REMOVED if (one.group, one.version) == (name, version)]


def _versions(name: str) -> tuple[str, ...]:
    return _GONE.get(name, ())


_GONE: dict[str, tuple[str, ...]] = {}
for _one in REMOVED:
    _known = _GONE.get(_one.group, ())
    if _one.version not in _known:
        _GONE[_one.group] = (*_known, _one.version)
