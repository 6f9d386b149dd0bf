"""Credentials for registries, from the pod's imagePullSecrets (step 4 of the pod's walk). Pure.

Both forms of Secret: `kubernetes.io/dockerconfigjson` and the older `kubernetes.io/dockercfg`. A
Secret that cannot be read gives no credentials: the pull then says what is missing.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any

from agent.containers.records import RegistryAuth
from api import imagereferences
from api.core import Secret

_CONFIG_JSON, _CONFIG = ".dockerconfigjson", ".dockercfg"
_HUB = ("docker.io", "index.docker.io", "registry-1.docker.io")


def registry_auths(image: str, secrets: Iterable[Secret]) -> tuple[RegistryAuth, ...]:
    """Credentials that fit the image's registry, in the order of the Secrets."""
    try:
        wanted = imagereferences.parse(image)
    except imagereferences.InvalidReference:
        return ()
    found = []
    for secret in secrets:
        for server, entry in _entries(secret).items():
            if _fits(server, wanted.domain, wanted.path) and isinstance(entry, Mapping):
                found.append(_auth(server, entry))
    return tuple(auth for auth in found if auth is not None)


def _entries(secret: Secret) -> Mapping[str, Any]:
    try:
        if _CONFIG_JSON in secret.data:
            auths = json.loads(secret.data[_CONFIG_JSON]).get("auths", {})
        elif _CONFIG in secret.data:
            auths = json.loads(secret.data[_CONFIG])
        else:
            return {}
    except (ValueError, AttributeError, RecursionError):
        return {}
    return auths if isinstance(auths, Mapping) else {}


def _fits(server: str, domain: str, path: str) -> bool:
    address = server.removeprefix("https://").removeprefix("http://")
    host, _, prefix = address.partition("/")
    if host in _HUB:
        return domain in _HUB
    prefix = prefix.removeprefix("v1/").removeprefix("v2/").strip("/")
    return host == domain and (not prefix or path == prefix or path.startswith(prefix + "/"))


def _auth(server: str, entry: Mapping[str, Any]) -> RegistryAuth | None:
    username, password = str(entry.get("username", "")), str(entry.get("password", ""))
    if entry.get("auth"):
        try:
            decoded = base64.b64decode(str(entry["auth"])).decode()
        except ValueError:  # neither base64, nor text when decoded
            return None
        username, _, password = decoded.partition(":")
    return RegistryAuth(
        username=username,
        password=password,
        identity_token=str(entry.get("identitytoken", "")),
        server=server,
    )
