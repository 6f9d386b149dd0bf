"""Bootstrap tokens: what lets a machine join (DESIGN section 8). Pure but for the random source.

A token is a Secret in kube-system in the form that Kubernetes itself documents, so that kubeadm's
tools understand it: https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from api import timestamps
from api.core import Secret
from api.meta import ObjectMeta

NAMESPACE = "kube-system"
PREFIX = "bootstrap-token-"
TYPE = "bootstrap.kubernetes.io/token"
_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"


@dataclass(frozen=True, kw_only=True)
class Token:
    id: str
    secret: str

    def __str__(self) -> str:
        return f"{self.id}.{self.secret}"

    def __repr__(self) -> str:
        return f"Token({self.id}.…)"


def generate(choose: Callable[[str], str] = secrets.choice) -> Token:
    def letters(count: int) -> str:
        return "".join(choose(_ALPHABET) for _ in range(count))

    return Token(id=letters(6), secret=letters(16))


def secret_of(
    token: Token, *, now: datetime, seconds: float | None, description: str = ""
) -> Secret:
    """The Secret that stands for the token; without `seconds` it never expires."""
    data = {
        "token-id": token.id,
        "token-secret": token.secret,
        "usage-bootstrap-authentication": "true",
    }
    if description:
        data["description"] = description
    if seconds is not None:
        data["expiration"] = timestamps.format(now + timedelta(seconds=seconds))
    return Secret(
        metadata=ObjectMeta(name=PREFIX + token.id, namespace=NAMESPACE),
        type=TYPE,
        data={name: value.encode() for name, value in data.items()},
    )


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A token as `token list` shows it: never with its secret."""

    id: str
    expires: datetime | None
    description: str

    def expired(self, now: datetime) -> bool:
        return self.expires is not None and self.expires <= now


def read(secret: Secret) -> Listed | None:
    """None for a Secret that is not a token."""
    if secret.type != TYPE or not secret.metadata.name.startswith(PREFIX):
        return None
    data = secret.data
    expiration = data.get("expiration", b"").decode(errors="replace")
    try:
        expires = timestamps.parse(expiration) if expiration else None
    except ValueError:
        return None
    return Listed(
        id=secret.metadata.name.removeprefix(PREFIX),
        expires=expires,
        description=data.get("description", b"").decode(errors="replace"),
    )
