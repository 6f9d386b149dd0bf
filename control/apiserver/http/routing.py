"""From a method and a path to what is meant: resource, namespace, name, subresource, verb.

Serves step 1 of the pod's walk. Paths are regular, so this is two dictionary look-ups and a little
slicing, whatever the number of kinds; there is no table of patterns to try one by one. The tables
are those of the server's catalogue, and never grow with what clients ask for.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote

import msgspec

from api.scheme import Catalogue, Resource, Subresource

_VERBS_OF_ONE = {
    "GET": "get",
    "HEAD": "get",
    "POST": "create",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}
_VERBS_OF_MANY = {
    "GET": "list",
    "HEAD": "list",
    "POST": "create",
    "DELETE": "deletecollection",
}
_ACROSS_NAMESPACES = ("list", "watch")
"""Objects of all namespaces are looked at together; made and deleted they are in one."""


class Target(msgspec.Struct, frozen=True, gc=False):
    """What a path names. `rest` is what follows a subresource such as `proxy`."""

    resource: Resource
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    rest: str = ""
    watch: bool = False

    @property
    def described(self) -> Subresource | None:
        return self.resource.subresource(self.subresource) if self.subresource else None


def segments(path: str) -> list[str]:
    """The parts of a raw path, each decoded on its own: an encoded slash stays inside its part."""
    parts = path.strip("/").split("/")
    return [unquote(part) for part in parts] if "%" in path else parts


def resolve(parts: list[str], catalogue: Catalogue) -> Target | None:
    """The target of `/api/VERSION/...` or `/apis/GROUP/VERSION/...`; None if there is none."""
    if len(parts) > 2 and parts[0] == "api":
        group, version, rest = "", parts[1], parts[2:]
    elif len(parts) > 3 and parts[0] == "apis":
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    resources = catalogue.of_version(group, version)
    if not resources:
        return None
    watch = rest[0] == "watch" and len(rest) > 1  # the old spelling of ?watch=true
    return _resolve_in(resources, rest[1:] if watch else rest, watch)


def _resolve_in(resources: Mapping[str, Resource], rest: list[str], watch: bool) -> Target | None:
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] in resources:
        inner = resources[rest[2]]
        if inner.namespaced:
            namespace, rest = rest[1], rest[2:]
    elif rest[0] == "namespaces" and len(rest) > 1 and "namespaces" not in resources:
        return None
    resource = resources.get(rest[0])
    if resource is None or (resource.namespaced and not namespace and len(rest) > 1):
        return None
    if len(rest) < 3:
        return Target(resource, namespace, rest[1] if len(rest) == 2 else "", watch=watch)
    if not rest[1] or resource.subresource(rest[2]) is None:
        return None
    return Target(resource, namespace, rest[1], rest[2], "/".join(rest[3:]), watch=watch)


def verb(method: str, target: Target, *, watch: bool) -> str:
    """The API's verb, or "" when the resource has no such method."""
    if target.name:
        if method == "OPTIONS" and target.subresource == "proxy":
            return "options"  # for whoever is behind the proxy, like every other
        if watch and method == "GET" and not target.subresource:
            return "watch"
        found = _VERBS_OF_ONE.get(method, "")
        if method == "POST" and not target.subresource:
            return ""
        allowed = target.described.verbs if target.described else target.resource.verbs
    else:
        found = "watch" if watch and method == "GET" else _VERBS_OF_MANY.get(method, "")
        allowed = target.resource.verbs
        if target.resource.namespaced and not target.namespace and found not in _ACROSS_NAMESPACES:
            return ""
    return found if found in allowed else ""
