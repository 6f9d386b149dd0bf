"""The keys that sign the tokens of service accounts, and JSON Web Tokens on the wire.

Serves steps 1 and 4 of the pod's walk. The library (PyJWT) reads the envelope and checks the
signature; when a token is good is decided by `claims` and `accounts`, by our own clock.

A token is verified by what we know of our keys, never by what the token says of itself: a key's kind
chooses the algorithm (so neither `none` nor an HMAC with the public key as its secret gets through),
and `kid` only chooses which of our keys to try. A token has exactly one spelling: base64 that decodes
to the same bytes in another way is refused, so that every altered bit is one too many.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt import PyJWS
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from jwt.exceptions import PyJWTError

from base.errors import PermanentError
from base.files import atomic_write
from base.pki import write_private

KEY_FILE, PUBLIC_FILE = "sa.key", "sa.pub"
MAX_TOKEN = 16 * 1024
"""Characters of a token that are looked at."""
_BITS = 2048
_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


class BadToken(Exception):
    """Why a token is not good. For the log: whoever shows a token is told only that it is not."""


@dataclass(frozen=True)
class VerifyingKey:
    """A public key, and what follows from it."""

    public: PublicKey

    @cached_property
    def id(self) -> str:
        """`kid`: the hash of the key, so that everybody finds the same one."""
        der = self.public.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return _encode(hashlib.sha256(der).digest())

    @property
    def algorithm(self) -> str:
        if isinstance(self.public, rsa.RSAPublicKey):
            return "RS256"
        return _CURVES[self.public.curve.name]

    def jwk(self) -> dict[str, Any]:
        """The key as OpenID Connect publishes it."""
        if isinstance(self.public, rsa.RSAPublicKey):
            found = RSAAlgorithm.to_jwk(self.public, as_dict=True)
        else:
            found = ECAlgorithm.to_jwk(self.public, as_dict=True)
        found.pop("key_ops", None)
        return {"use": "sig", "kid": self.id, "alg": self.algorithm, **found}


class TokenKeys:
    """One key that signs, and all whose tokens are accepted."""

    def __init__(self, signing: PrivateKey, former: Sequence[PublicKey] = ()) -> None:
        self._signing = signing
        own = VerifyingKey(signing.public_key())
        others = [VerifyingKey(public) for public in former]
        self.keys = (own, *(key for key in others if key.id != own.id))
        self._jws = PyJWS()

    def __repr__(self) -> str:
        return f"TokenKeys({', '.join(key.id for key in self.keys)})"

    def sign(self, payload: bytes) -> str:
        """The token that says `payload`."""
        own = self.keys[0]
        headers = {"kid": own.id, "typ": None}
        return self._jws.encode(payload, self._signing, algorithm=own.algorithm, headers=headers)

    def verify(self, token: str) -> bytes:
        """What a token says that one of our keys has signed. Raises BadToken."""
        if len(token) > MAX_TOKEN or not _is_canonical(token):
            raise BadToken("it is no JSON Web Token in compact form")
        try:
            kid = self._jws.get_unverified_header(token).get("kid")
        except PyJWTError as error:
            raise BadToken(f"its header cannot be read: {error}") from None
        named = [key for key in self.keys if key.id == kid]
        if kid is not None and not named:
            raise BadToken(f"its key {str(kid)[:64]!r} is none of ours")
        why = ""
        for key in named or self.keys:
            try:
                found = self._jws.decode_complete(token, key.public, algorithms=[key.algorithm])
            except PyJWTError as error:
                why = str(error)
                continue
            payload: bytes = found["payload"]
            return payload
        raise BadToken(f"its signature is not good: {why}")

    def jwks(self) -> dict[str, Any]:
        """Every key whose tokens are accepted, for those who verify tokens themselves."""
        return {"keys": [key.jwk() for key in self.keys]}


def ensure(directory: Path, further: Sequence[Path] = ()) -> TokenKeys:
    """The keys of this control plane; made at its first start, and kept."""
    path = directory / KEY_FILE
    if not path.exists():
        write_private(path, private_pem(rsa.generate_private_key(65537, _BITS)))
    signing = _private(path)
    public = directory / PUBLIC_FILE
    pem = public_pem(signing.public_key())
    if not public.exists() or public.read_bytes() != pem:
        atomic_write(public, pem, mode=0o644)
    former = [key for path in further for key in _public_keys(path)]
    return TokenKeys(signing, former)


def private_pem(key: PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def public_pem(key: PublicKey) -> bytes:
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _private(path: Path) -> PrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise PermanentError(
            f"the key that signs service accounts' tokens cannot be read from {path}: {error}",
            hint="Restore it from a backup, or remove it: a new one is made, and every token that "
            "was given out ends.",
        ) from error
    if isinstance(key, rsa.RSAPrivateKey) or (
        isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in _CURVES
    ):
        return key
    raise PermanentError(
        f"{path} holds a key that cannot sign tokens",
        hint="RSA, and ECDSA on P-256, P-384 or P-521 can.",
    )


def _public_keys(path: Path) -> list[PublicKey]:
    """Every key of a PEM file, be it public or the public part of a private one."""
    try:
        found = [_public(block) for block in _blocks(path.read_bytes())]
    except (OSError, ValueError, TypeError) as error:
        raise _no_keys(path, str(error)) from error
    if not found:
        raise _no_keys(path, "no PEM block is in it")
    return found


def _no_keys(path: Path, why: str) -> PermanentError:
    return PermanentError(
        f"--service-account-key-file {path}: no key can be read: {why}",
        hint="It should hold the RSA or ECDSA keys, in PEM, whose tokens are still to be accepted.",
    )


def _blocks(pem: bytes) -> list[bytes]:
    end = b"-----END "
    parts = [part for part in pem.split(b"-----BEGIN ")[1:] if end in part]
    return [b"-----BEGIN " + part for part in parts]


def _public(block: bytes) -> PublicKey:
    key: Any
    if b"PRIVATE KEY-----" in block:
        key = serialization.load_pem_private_key(block, None).public_key()
    else:
        key = serialization.load_pem_public_key(block)
    if isinstance(key, rsa.RSAPublicKey):
        return key
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES:
        return key
    raise ValueError("a key is neither RSA nor ECDSA on P-256, P-384 or P-521")


def _is_canonical(token: str) -> bool:
    parts = token.split(".")
    try:
        return len(parts) == 3 and all(_encode(_decode(part)) == part for part in parts)
    except ValueError:
        return False


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
