"""Keys and certificates as far as Python's own ssl goes: pairs, their files, TLS contexts, their dates.

Apart from `base/pki.py`, which makes and judges certificates with the cryptography package: that is 9 MB
of a daemon's memory, and an agent needs it only when it joins and when a certificate is renewed.
"""

from __future__ import annotations

import ipaddress
import os
import re
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from base.errors import PermanentError
from base.files import atomic_write


class PkiError(PermanentError):
    """A certificate, key or request that cannot be used."""


@dataclass(frozen=True)
class KeyPair:
    """A certificate and its private key, both PEM."""

    cert_pem: bytes
    key_pem: bytes = field(repr=False)


@dataclass(frozen=True)
class CertificateRequest:
    """A PKCS #10 request and the private key it was made with, both PEM."""

    csr_pem: bytes
    key_pem: bytes = field(repr=False)


# -- files ----------------------------------------------------------------------------------------


def write_private(path: Path, data: bytes) -> None:
    """Write what only root may read, in one step."""
    atomic_write(path, data, mode=0o600)


def store(pair: KeyPair, directory: Path, name: str) -> None:
    """Write NAME.key and NAME.crt; the key first, so that a certificate never stands alone."""
    write_private(directory / f"{name}.key", pair.key_pem)
    atomic_write(directory / f"{name}.crt", pair.cert_pem, mode=0o644)


def load(directory: Path, name: str) -> KeyPair | None:
    """The pair stored as NAME.crt and NAME.key, or None when it is not there in full.

    None as well when key and certificate do not belong together: a crash between the two writes
    of a renewal leaves that behind, and the caller then issues a new pair as on the first start.
    """
    try:
        pair = KeyPair(
            (directory / f"{name}.crt").read_bytes(), (directory / f"{name}.key").read_bytes()
        )
    except FileNotFoundError:
        return None
    return pair if matches_key(pair) else None


# -- contexts -------------------------------------------------------------------------------------


def server_context(
    pair: KeyPair, *, ca_pem: bytes, require_client_certificate: bool = False
) -> ssl.SSLContext:
    """TLS for a server. A client certificate is verified if one is shown, or demanded.

    The CA is sent along with the certificate, for machines that know only its hash.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.load_verify_locations(cadata=ca_pem.decode())
    context.verify_mode = ssl.CERT_REQUIRED if require_client_certificate else ssl.CERT_OPTIONAL
    use_pair(context, pair, ca_pem=ca_pem)
    return context


def client_context(*, ca_pem: bytes, pair: KeyPair | None = None) -> ssl.SSLContext:
    """TLS for a client that trusts only this CA and checks the server's name or address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.load_verify_locations(cadata=ca_pem.decode())
    if pair is not None:
        use_pair(context, pair)
    return context


def use_pair(context: ssl.SSLContext, pair: KeyPair, *, ca_pem: bytes = b"") -> None:
    """Present `pair` on every connection made from now on: renewal needs no restart."""
    try:
        _take(context, pair, ca_pem)
    except ssl.SSLError as error:
        raise PkiError(f"certificate and key cannot be used: {error.reason}") from error


def matches_key(pair: KeyPair) -> bool:
    """True when the certificate of this pair is for its key. Raises PkiError for what is neither."""
    try:
        _take(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), pair)
    except ssl.SSLError as error:
        if error.reason in ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH"):
            return False
        raise PkiError(f"certificate or key cannot be read: {error.reason}") from error
    return True


def _take(context: ssl.SSLContext, pair: KeyPair, ca_pem: bytes = b"") -> None:
    # OpenSSL reads keys only from a path; a memory file keeps the key off every disk.
    handle = os.memfd_create("podwright-pair", os.MFD_CLOEXEC)
    try:
        os.write(handle, b"\n".join((pair.key_pem, pair.cert_pem, ca_pem)))
        context.load_cert_chain(f"/proc/self/fd/{handle}")
    finally:
        os.close(handle)


# -- what a certificate of our own says -----------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Life:
    """From when to when a certificate is good, and for which names and addresses."""

    not_before: datetime
    not_after: datetime
    names: frozenset[str]


def life(cert_pem: bytes) -> Life:
    """Read from a certificate that is trusted already, for who has to renew it in time (RFC 5280, 4.1).

    Nothing is verified here: whether to trust a certificate is for OpenSSL to say.
    """
    try:
        return _life(cert_pem)
    except (ValueError, IndexError, StopIteration) as error:
        raise PkiError(f"certificate cannot be read: {error}") from error


_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_INTEGER, _OID = 0x02, 0x06
_TIMES = {0x17: "%y%m%d%H%M%SZ", 0x18: "%Y%m%d%H%M%SZ"}
"""UTCTime, which ends with the year 2049, and GeneralizedTime."""
_EXTENSIONS = 0xA3
_ALTERNATIVE_NAMES = bytes.fromhex("551d11")
"""2.5.29.17"""
_DNS_NAME, _IP_ADDRESS = 0x82, 0x87


def _life(cert_pem: bytes) -> Life:
    found = _PEM.search(cert_pem)
    if found is None:
        raise ValueError("there is none")
    der = ssl.PEM_cert_to_DER_cert(found.group().decode("ascii"))
    (_, certificate), *_ = _parts(der)
    (_, signed), *_ = _parts(certificate)
    fields = list(_parts(signed))
    # Version (which may be missing), serial number, algorithm, issuer, validity.
    first = next(at for at, (tag, _) in enumerate(fields) if tag == _INTEGER)
    begin, end = (_time(tag, text) for tag, text in _parts(fields[first + 3][1]))
    names = [name for tag, text in fields if tag == _EXTENSIONS for name in _names(text)]
    return Life(not_before=begin, not_after=end, names=frozenset(names))


def _parts(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and contents of each element (X.690, definite lengths)."""
    at = 0
    while at < len(der):
        tag, length = der[at], der[at + 1]
        at += 2
        if length & 0x80:
            size = length & 0x7F
            length, at = int.from_bytes(der[at : at + size], "big"), at + size
        if at + length > len(der):
            raise ValueError("it ends too early")
        yield tag, der[at : at + length]
        at += length


def _time(tag: int, text: bytes) -> datetime:
    if tag not in _TIMES:
        raise ValueError(f"a date of type {tag}")
    return datetime.strptime(text.decode("ascii"), _TIMES[tag]).replace(tzinfo=UTC)


def _names(extensions: bytes) -> Iterator[str]:
    ((_, listed),) = _parts(extensions)
    for _, extension in _parts(listed):
        (tag, name), *_, (_, value) = _parts(extension)
        if tag == _OID and name == _ALTERNATIVE_NAMES:
            ((_, alternatives),) = _parts(value)
            for kind, text in _parts(alternatives):
                if kind == _DNS_NAME:
                    yield text.decode("ascii")
                elif kind == _IP_ADDRESS:
                    yield str(ipaddress.ip_address(text))
