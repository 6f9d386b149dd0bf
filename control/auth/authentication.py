"""Who is asking: a client certificate of the cluster's CA, a bearer token, or nobody in particular.

Serves step 1 of the pod's walk. The TLS handshake has already verified the certificate; here it is
only read: common name = user, organizations = groups. A bearer token is a bootstrap token, a Secret
in kube-system in Kubernetes' own format; service-account tokens will be a second `TokenSource`.
A token that is shown and not known is a 401, never anonymous: a client with a stale token must
learn so. Reading a certificate costs more than a small request, so the last ones are remembered.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol

from cryptography import x509
from cryptography.x509.oid import NameOID

from api import errors, timestamps
from api.core import Secret
from base.clock import Clock
from control.admission.chain import Reader
from control.auth.user import ANONYMOUS, AUTHENTICATED, BOOTSTRAPPERS, User

TOKEN_NAMESPACE = "kube-system"
TOKEN_TYPE = "bootstrap.kubernetes.io/token"
_TOKEN = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})")
_GROUP = re.compile(r"system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]")


class TokenSource(Protocol):
    """One kind of bearer token."""

    async def user(self, token: str) -> User | None:
        """Whose token it is; None when it is not one of these, or no longer good."""
        ...


class Authenticator:
    """Tries what the client showed, in order."""

    def __init__(self, tokens: Sequence[TokenSource]) -> None:
        self._tokens = tuple(tokens)

    async def authenticate(self, certificate: bytes | None, authorization: str) -> User:
        """The user behind a verified certificate (DER) or an Authorization header. Raises 401."""
        if certificate is not None:
            return user_of_certificate(certificate)
        if not authorization:
            return ANONYMOUS
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() == "bearer" and token:
            for source in self._tokens:
                user = await source.user(token.strip())
                if user is not None:
                    return user
        raise errors.unauthorized()


@lru_cache(maxsize=1024)
def user_of_certificate(der: bytes) -> User:
    """The user that a verified client certificate names."""
    subject = x509.load_der_x509_certificate(der).subject
    names = [str(one.value) for one in subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if not names or not names[-1]:
        raise errors.unauthorized("the client certificate has no common name")
    groups = [str(one.value) for one in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    return User(names[-1], (*groups, AUTHENTICATED))


class BootstrapTokens:
    """Short-lived tokens with which machines join."""

    def __init__(self, reader: Reader, clock: Clock) -> None:
        self._reader = reader
        self._clock = clock

    async def user(self, token: str) -> User | None:
        match = _TOKEN.fullmatch(token)
        if match is None:
            return None
        # A token made a moment ago must work, and one deleted a moment ago must not.
        await self._reader.fresh(Secret)
        identifier, secret = match.groups()
        stored = self._reader.get(Secret, f"bootstrap-token-{identifier}", TOKEN_NAMESPACE)
        if stored is None or not self._usable(stored, identifier, secret):
            return None
        extra = _text(stored, "auth-extra-groups")
        groups = [name for name in extra.split(",") if _GROUP.fullmatch(name)]
        return User(f"system:bootstrap:{identifier}", (BOOTSTRAPPERS, *groups, AUTHENTICATED))

    def _usable(self, stored: Secret, identifier: str, secret: str) -> bool:
        if stored.metadata.deletion_timestamp is not None or stored.type != TOKEN_TYPE:
            return False
        if _text(stored, "usage-bootstrap-authentication") != "true":
            return False
        same = hmac.compare_digest(stored.data.get("token-secret", b""), secret.encode())
        if not same or _text(stored, "token-id") != identifier:
            return False
        return not self._expired(_text(stored, "expiration"))

    def _expired(self, expiration: str) -> bool:
        if not expiration:
            return False
        try:
            return timestamps.parse(expiration) <= self._clock.now()
        except ValueError:
            return True  # nobody can say when it ends: it has ended


def _text(secret: Secret, key: str) -> str:
    return secret.data.get(key, b"").decode(errors="replace")
