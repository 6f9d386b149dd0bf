"""Discovery: which groups, versions and resources are served, in the old form and the new.

Serves step 1 of the pod's walk: kubectl finds the path, the kind and the verbs of `deploy` here. The
old form is one document per group and version; the new one (aggregated, v2 and v2beta1) is one for
all. Both are served, because some commands read the old one even when the new one is there.
Everything is a pure function of the catalogue of what is served.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

from api.scheme import Catalogue, Resource, Subresource

AGGREGATED_GROUP = "apidiscovery.k8s.io"
AGGREGATED_VERSIONS = ("v2", "v2beta1")


def api_versions(catalogue: Catalogue, server_address: str) -> dict[str, Any]:
    """`/api`: the versions of the core group."""
    return {
        "kind": "APIVersions",
        "versions": [version for group, version in catalogue.group_versions() if not group],
        "serverAddressByClientCIDRs": [
            {"clientCIDR": "0.0.0.0/0", "serverAddress": server_address}
        ],
    }


def api_group_list(catalogue: Catalogue) -> dict[str, Any]:
    """`/apis`: every group but the core one."""
    return {
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": [_group(catalogue, group) for group in groups(catalogue) if group],
    }


def api_group(catalogue: Catalogue, group: str) -> dict[str, Any] | None:
    """`/apis/GROUP`."""
    if group not in groups(catalogue) or not group:
        return None
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(catalogue, group)}


def api_resource_list(catalogue: Catalogue, group: str, version: str) -> dict[str, Any] | None:
    """`/api/v1` and `/apis/GROUP/VERSION`: each resource, each subresource as its own entry."""
    found = _resources(catalogue, group, version)
    if not found:
        return None
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{group}/{version}" if group else version,
        "resources": [entry for resource in found for entry in _entries(resource)],
    }


def aggregated(catalogue: Catalogue, version: str, *, core: bool) -> dict[str, Any]:
    """`/api` (core) or `/apis` as an APIGroupDiscoveryList of `version`."""
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": f"{AGGREGATED_GROUP}/{version}",
        "metadata": {},
        "items": [
            _discovered(catalogue, group) for group in groups(catalogue) if bool(group) != core
        ],
    }


def groups(catalogue: Catalogue) -> tuple[str, ...]:
    """Each group once, the core group first."""
    return tuple(dict.fromkeys(group for group, _ in catalogue.group_versions()))


def _group(catalogue: Catalogue, group: str) -> dict[str, Any]:
    versions = [
        {"groupVersion": f"{group}/{version}", "version": version}
        for name, version in catalogue.group_versions()
        if name == group
    ]
    return {"name": group, "versions": versions, "preferredVersion": versions[0]}


def _resources(catalogue: Catalogue, group: str, version: str) -> list[Resource]:
    return list(catalogue.of_version(group, version).values())


def _entries(resource: Resource) -> Iterator[dict[str, Any]]:
    entry: dict[str, Any] = {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    if resource.stored:
        entry["storageVersionHash"] = storage_hash(resource)
    if resource.verbs:
        yield entry
    for part in resource.subresources:
        below: dict[str, Any] = {
            "name": f"{resource.plural}/{part.name}",
            "singularName": "",
            "namespaced": resource.namespaced,
            "kind": part.kind or resource.kind,
            "verbs": list(part.verbs),
        }
        if part.kind and (part.group, part.version or "v1") != (resource.group, resource.version):
            below["group"], below["version"] = part.group, part.version
        yield below


def _discovered(catalogue: Catalogue, group: str) -> dict[str, Any]:
    return {
        "metadata": {"name": group, "creationTimestamp": None},
        "versions": [
            {
                "version": version,
                "freshness": "Current",
                "resources": [
                    _discovered_resource(one) for one in _resources(catalogue, group, version)
                ],
            }
            for name, version in catalogue.group_versions()
            if name == group
        ],
    }


def _discovered_resource(resource: Resource) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "resource": resource.plural,
        "responseKind": _kind(resource.group, resource.version, resource.kind),
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    if resource.subresources:
        entry["subresources"] = [_discovered_part(resource, one) for one in resource.subresources]
    return entry


def _discovered_part(resource: Resource, part: Subresource) -> dict[str, Any]:
    kind = (
        _kind(part.group, part.version or "v1", part.kind)
        if part.kind
        else _kind(resource.group, resource.version, resource.kind)
    )
    return {"subresource": part.name, "responseKind": kind, "verbs": list(part.verbs)}


def _kind(group: str, version: str, kind: str) -> dict[str, str]:
    return {"group": group, "version": version, "kind": kind}


def storage_hash(resource: Resource) -> str:
    """As Kubernetes makes it: it tells whether objects of two servers are stored alike."""
    version = (resource.stored_as or resource.api_version).rpartition("/")[2]
    text = f"{resource.group}/{version}/{resource.kind}"
    return base64.b64encode(hashlib.sha256(text.encode()).digest()[:8]).decode()


def etag(parts: Iterable[bytes]) -> str:
    """A strong validator of a document."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return f'"{digest.hexdigest()[:32].upper()}"'
