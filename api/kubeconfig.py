"""Kubeconfig files: where the API is, whom to trust, and who we are.

Serves the agent, the command line and the tests, which are clients like any other and read the
same file as kubectl. Keys that are given as data never touch the disk.
"""

from __future__ import annotations

import base64
import binascii
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from base import tls
from base.errors import PermanentError


@dataclass(frozen=True, slots=True)
class Access:
    """Everything a client needs to talk to one cluster as one user."""

    server: str
    ssl_context: ssl.SSLContext | None = None
    token: Callable[[], str] | None = None
    namespace: str = "default"
    tls_server_name: str = ""


def load(path: Path | str, *, context: str = "") -> Access:
    """Read a kubeconfig file and pick a context (the current one by default).

    Raises:
        PermanentError: the file is missing or does not say what is needed.
    """
    path = Path(path)
    document = _read(path)
    name = context or str(document.get("current-context") or "")
    chosen = _named(document, "contexts", "context", name, path)
    cluster = _named(document, "clusters", "cluster", str(chosen.get("cluster", "")), path)
    user: Mapping[str, Any] = {}
    if chosen.get("user"):
        user = _named(document, "users", "user", str(chosen["user"]), path)
    server = str(cluster.get("server", "")).rstrip("/")
    if not server:
        raise PermanentError(f"{path}: cluster {chosen.get('cluster')!r} names no server")
    try:
        tls = _context(cluster, user, path.parent) if server.startswith("https:") else None
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise PermanentError(f"{path}: cannot load the certificates: {error}") from error
    return Access(
        server=server,
        ssl_context=tls,
        token=_token(user, path.parent),
        namespace=str(chosen.get("namespace") or "default"),
        tls_server_name=str(cluster.get("tls-server-name") or ""),
    )


def _read(path: Path) -> Mapping[str, Any]:
    try:
        document = yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader)
    except OSError as error:
        raise PermanentError(
            f"cannot read the kubeconfig {path}: {error.strerror}",
            hint="`podwright up` and the control plane's first start write one",
        ) from error
    except yaml.YAMLError as error:
        raise PermanentError(f"{path} is not YAML: {error}") from error
    if not isinstance(document, dict):
        raise PermanentError(f"{path} is not a kubeconfig")
    return document


def _named(
    document: Mapping[str, Any], section: str, item: str, name: str, path: Path
) -> Mapping[str, Any]:
    entries = document.get(section) or []
    for entry in entries:
        if isinstance(entry, dict) and entry.get("name") == name:
            found = entry.get(item)
            if isinstance(found, dict):
                return found
    raise PermanentError(f"{path}: there is no {item} named {name!r}")


def _token(user: Mapping[str, Any], folder: Path) -> Callable[[], str] | None:
    if token := user.get("token"):
        return lambda: str(token)
    if file := user.get("tokenFile"):
        # Read for each request: service account tokens are renewed in place.
        return lambda: (folder / str(file)).read_text().strip()
    return None


def _context(cluster: Mapping[str, Any], user: Mapping[str, Any], folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    authority = _data(cluster, "certificate-authority", folder)
    if cluster.get("insecure-skip-tls-verify"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif authority is not None:
        context.load_verify_locations(cadata=authority.decode("ascii"))
    else:
        context.load_default_certs()
    certificate = _data(user, "client-certificate", folder)
    key = _data(user, "client-key", folder)
    if certificate is not None and key is not None:
        tls.use_pair(context, tls.KeyPair(cert_pem=certificate, key_pem=key))
    return context


def _data(section: Mapping[str, Any], name: str, folder: Path) -> bytes | None:
    if encoded := section.get(f"{name}-data"):
        try:
            return base64.b64decode(str(encoded), validate=True)
        except binascii.Error as error:
            raise ValueError(f"{name}-data is not base64: {error}") from None
    if file := section.get(name):
        return (folder / str(file)).read_bytes()
    return None
