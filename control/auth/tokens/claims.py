"""What is written in a service account's token (KEP-1205), and who is meant by it. Pure.

Serves step 1 of the pod's walk. Two forms: tokens that end and are bound to an object (`Bound`,
everything that is asked for), and those of Secrets of type `kubernetes.io/service-account-token`,
which end with their Secret (`Legacy`, whose claims have names of their own).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

import msgspec
from msgspec import Meta, Struct, field

from control.auth.tokens.keys import BadToken
from control.auth.user import AUTHENTICATED, SERVICE_ACCOUNTS, User

PREFIX = "system:serviceaccount:"
LEGACY_ISSUER = "kubernetes/serviceaccount"
BACKDATE = timedelta(minutes=1)
"""How far a token's beginning may lie ahead: our own clock may have been set back since."""

_EXTRA = "authentication.kubernetes.io/"
_Seconds = Annotated[int, Meta(ge=0, le=1 << 40)]


class Reference(Struct, frozen=True, omit_defaults=True):
    """An object that a token names."""

    name: str
    uid: str = ""


class Private(Struct, frozen=True, omit_defaults=True, rename={"account": "serviceaccount"}):
    """The claims of Kubernetes' own."""

    namespace: str
    account: Reference
    node: Reference | None = None
    pod: Reference | None = None
    secret: Reference | None = None
    warnafter: _Seconds | None = None


class Bound(
    Struct, frozen=True, kw_only=True, omit_defaults=True, rename={"kubernetes": "kubernetes.io"}
):
    """The claims of a token that ends."""

    aud: list[str]
    exp: _Seconds
    iat: _Seconds
    iss: str
    jti: str = ""
    kubernetes: Private
    nbf: _Seconds
    sub: str


class Legacy(Struct, frozen=True, kw_only=True):
    """The claims of a token that lies in a Secret."""

    iss: str
    sub: str
    namespace: str = field(name=f"{LEGACY_ISSUER}/namespace")
    secret: str = field(name=f"{LEGACY_ISSUER}/secret.name")
    account: str = field(name=f"{LEGACY_ISSUER}/service-account.name")
    uid: str = field(name=f"{LEGACY_ISSUER}/service-account.uid")


class _Issuer(Struct, frozen=True):
    iss: str


def subject(namespace: str, name: str) -> str:
    """The user name of a service account."""
    return f"{PREFIX}{namespace}:{name}"


def groups(namespace: str) -> tuple[str, ...]:
    """The groups every service account of a namespace is in."""
    return (SERVICE_ACCOUNTS, f"{SERVICE_ACCOUNTS}:{namespace}", AUTHENTICATED)


def bound(
    private: Private,
    *,
    issuer: str,
    audiences: list[str],
    now: datetime,
    lifetime: int,
    identifier: str,
) -> Bound:
    """The claims of a new token."""
    begins = int(now.timestamp())
    return Bound(
        aud=audiences,
        exp=begins + lifetime,
        iat=begins,
        iss=issuer,
        jti=identifier,
        kubernetes=private,
        nbf=begins,
        sub=subject(private.namespace, private.account.name),
    )


def legacy(*, namespace: str, secret: str, account: str, uid: str) -> Legacy:
    """The claims of a Secret's token."""
    return Legacy(
        iss=LEGACY_ISSUER,
        sub=subject(namespace, account),
        namespace=namespace,
        secret=secret,
        account=account,
        uid=uid,
    )


def encode(claims: Bound | Legacy) -> bytes:
    return msgspec.json.encode(claims)


def read(payload: bytes, issuers: tuple[str, ...]) -> Bound | Legacy:
    """The claims of a token that was signed by us. Raises BadToken."""
    try:
        issuer = msgspec.json.decode(payload, type=_Issuer).iss
        found: Bound | Legacy
        if issuer == LEGACY_ISSUER:
            found = msgspec.json.decode(payload, type=Legacy)
            meant = subject(found.namespace, found.account)
        elif issuer in issuers:
            found = msgspec.json.decode(payload, type=Bound)
            meant = subject(found.kubernetes.namespace, found.kubernetes.account.name)
        else:
            raise BadToken(f"its issuer {issuer[:200]!r} is none of ours")
    except msgspec.MsgspecError as error:
        raise BadToken(f"its claims cannot be read: {error}") from None
    if found.sub != meant:
        raise BadToken(f"its subject {found.sub[:200]!r} is not the account that it names")
    return found


def check_time(claims: Bound, now: datetime) -> None:
    """Raises BadToken before the token begins and from its end on."""
    seconds = now.timestamp()
    if seconds >= claims.exp:
        raise BadToken(f"it expired {seconds - claims.exp:.0f} s ago")
    if seconds + BACKDATE.total_seconds() < claims.nbf:
        raise BadToken(f"it begins in {claims.nbf - seconds:.0f} s; was the clock set back?")


def user(claims: Bound | Legacy) -> User:
    """Who shows this token."""
    if isinstance(claims, Legacy):
        return User(claims.sub, groups(claims.namespace), uid=claims.uid)
    private = claims.kubernetes
    extra: list[tuple[str, tuple[str, ...]]] = []
    if claims.jti:
        extra.append((f"{_EXTRA}credential-id", (f"JTI={claims.jti}",)))
    for kind, named in (("node", private.node), ("pod", private.pod)):
        if named is not None:
            extra.append((f"{_EXTRA}{kind}-name", (named.name,)))
            if named.uid:
                extra.append((f"{_EXTRA}{kind}-uid", (named.uid,)))
    return User(
        claims.sub, groups(private.namespace), uid=private.account.uid, extra=tuple(sorted(extra))
    )
