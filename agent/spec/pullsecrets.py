"""Credentials for registries, from the pod's imagePullSecrets and the node's own files (step 4 of the
pod's walk).

Both forms of Secret: `kubernetes.io/dockerconfigjson` and the older `kubernetes.io/dockercfg`; the files
are those that `docker login` writes. What cannot be read gives no credentials: the pull then says what
is missing. Which of them fit an image is Kubernetes' rule ("Images", docs): the host part by part,
each of which may be a pattern such as `*.example.com`, the same port, and the beginning of the path. The
pod's come before the node's, and among either's the longer ones first.
"""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from agent.containers.records import RegistryAuth
from api import imagereferences
from api.core import Secret

log = logging.getLogger(__name__)

_CONFIG_JSON, _CONFIG = ".dockerconfigjson", ".dockercfg"
_HUB = ("docker.io", "index.docker.io", "registry-1.docker.io")


Entries = Mapping[str, Any]


def registry_auths(
    image: str, secrets: Iterable[Secret], files: Iterable[Entries] = ()
) -> tuple[RegistryAuth, ...]:
    """Credentials that fit the image's registry, in the order in which they are to be tried."""
    try:
        wanted = imagereferences.parse(image)
    except imagereferences.InvalidReference:
        return ()
    found: list[RegistryAuth] = []
    for several in (map(_entries, secrets), files):
        fitting = [
            (server, entry)
            for entries in several
            for server, entry in entries.items()
            if _fits(server, wanted.domain, wanted.path) and isinstance(entry, Mapping)
        ]
        fitting.sort(key=lambda one: len(_address(one[0])), reverse=True)
        auths = [_auth(server, entry) for server, entry in fitting]
        found += [auth for auth in auths if auth is not None]
    return tuple(dict.fromkeys(found))


def read_files(paths: Iterable[Path]) -> list[Entries]:
    """What is in the node's files, of those that are there."""
    found = []
    for path in paths:
        try:
            text = path.read_bytes()
        except FileNotFoundError:
            continue
        except OSError as error:
            log.warning("credentials in %s are not used: %s", path, error.strerror)
            continue
        found.append(_parsed(text, nested=path.name != _CONFIG))
    return found


def _entries(secret: Secret) -> Entries:
    if _CONFIG_JSON in secret.data:
        return _parsed(secret.data[_CONFIG_JSON], nested=True)
    return _parsed(secret.data.get(_CONFIG, b"{}"), nested=False)


def _parsed(text: bytes, *, nested: bool) -> Entries:
    """By server; the older form has no `auths` around them."""
    try:
        found = json.loads(text)
        auths = found.get("auths", {}) if nested else found
    except (ValueError, AttributeError, RecursionError):
        return {}
    return auths if isinstance(auths, Mapping) else {}


def _address(server: str) -> str:
    """Host and path, without what registries' own addresses have around them."""
    address = server.removeprefix("https://").removeprefix("http://")
    host, _, path = address.partition("/")
    path = f"{path}/".removeprefix("v1/").removeprefix("v2/").strip("/")
    return f"{host}/{path}" if path else host


def _fits(server: str, domain: str, path: str) -> bool:
    host, _, prefix = _address(server).partition("/")
    if host in _HUB:
        return domain in _HUB
    name, _, port = host.partition(":")
    wanted, _, wanted_port = domain.partition(":")
    patterns, labels = name.split("."), wanted.split(".")
    return (
        port == wanted_port
        and len(patterns) == len(labels)
        and all(map(fnmatchcase, labels, patterns))
        and (not prefix or path == prefix or path.startswith(prefix + "/"))
    )


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
