"""Who is asking: a client certificate of the cluster's CA, a bearer token, or nobody in particular.

Serves step 1 of the pod's walk. The TLS handshake has already verified the certificate; here it is
only read: common name = user, organizations = groups. A bearer token is a bootstrap token, a Secret
in kube-system in Kubernetes' own format, or a service account's (`control/auth/tokens`).
A token that is shown and not known is a 401, never anonymous: a client with a stale token must
learn so. Why it is not good stands in the log, once per token; the client is not told.
Reading a certificate costs more than a small request, so the last ones are remembered.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from cryptography import x509
from cryptography.x509.oid import NameOID

from api import errors, timestamps
from api.core import Secret
from base.clock import Clock
from control.admission.chain import Reader
from control.auth.tokens.keys import BadToken
from control.auth.user import ANONYMOUS, AUTHENTICATED, BOOTSTRAPPERS, User

TOKEN_NAMESPACE = "kube-system"
TOKEN_TYPE = "bootstrap.kubernetes.io/token"
_TOKEN = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})")
_GROUP = re.compile(r"system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]")


log = logging.getLogger(__name__)

_TOLD = 512
"""Refused tokens that are not logged again."""


@dataclass(frozen=True, slots=True)
class Bearer:
    """Who shows a token, and for whom it is meant, of those that were asked for."""

    user: User
    audiences: tuple[str, ...]


class TokenSource(Protocol):
    """One kind of bearer token."""

    async def find(self, token: str, audiences: Sequence[str]) -> Bearer | None:
        """Whose token it is, meant for one of these at least.

        None when it is not one of this kind. Raises BadToken when it is, and not good.
        """
        ...


class Authenticator:
    """Tries what the client showed, in order. `audiences`: who this server is."""

    def __init__(self, tokens: Sequence[TokenSource], audiences: Sequence[str]) -> None:
        self._tokens = tuple(tokens)
        self._audiences = tuple(audiences)
        self._told: OrderedDict[bytes, str] = OrderedDict()

    async def authenticate(self, certificate: bytes | None, authorization: str) -> User:
        """The user behind a verified certificate (DER) or an Authorization header. Raises 401."""
        if certificate is not None:
            return user_of_certificate(certificate)
        if not authorization:
            return ANONYMOUS
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() == "bearer" and token:
            try:
                return (await self.review(token.strip())).user
            except BadToken as error:
                self._tell(token, str(error))
        raise errors.unauthorized()

    async def review(self, token: str, audiences: Sequence[str] = ()) -> Bearer:
        """Whose token it is; meant for this server where no audiences are named. Raises BadToken."""
        for source in self._tokens:
            found = await source.find(token, audiences or self._audiences)
            if found is not None:
                return found
        raise BadToken("nobody has given out this token")

    def _tell(self, token: str, why: str) -> None:
        key = hashlib.sha256(token.encode(errors="replace")).digest()
        if key not in self._told:
            log.info("a bearer token was refused: %s", why)
        self._told[key] = why
        self._told.move_to_end(key)
        if len(self._told) > _TOLD:
            self._told.popitem(last=False)


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

    def __init__(self, reader: Reader, clock: Clock, audiences: Sequence[str]) -> None:
        self._reader = reader
        self._clock = clock
        self._audiences = tuple(audiences)

    async def find(self, token: str, audiences: Sequence[str]) -> Bearer | None:
        match = _TOKEN.fullmatch(token)
        if match is None:
            return None
        # A token made a moment ago must work, and one deleted a moment ago must not.
        await self._reader.fresh(Secret)
        identifier, secret = match.groups()
        stored = self._reader.get(Secret, f"bootstrap-token-{identifier}", TOKEN_NAMESPACE)
        if stored is None or not self._usable(stored, identifier, secret):
            raise BadToken(f"bootstrap token {identifier} is unknown, expired or not its secret")
        meant_for = tuple(one for one in audiences if one in self._audiences)
        if not meant_for:
            raise BadToken("bootstrap tokens are meant for the API server only")
        extra = _text(stored, "auth-extra-groups")
        groups = [name for name in extra.split(",") if _GROUP.fullmatch(name)]
        user = User(f"system:bootstrap:{identifier}", (BOOTSTRAPPERS, *groups, AUTHENTICATED))
        return Bearer(user, meant_for)

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
