"""The cluster's keys and certificates: one CA, short-lived leaves, TLS contexts made from them.

Everyone who speaks to the API server or to an agent's port proves who they are with a certificate
of the cluster's CA (common name = user, organizations = groups, as in Kubernetes). Keys are ECDSA
P-256. Certificates begin five minutes in the past, for machines whose clocks disagree, and no leaf
outlives its CA. Private keys stay in memory or in 0600 files, and are never shown by a repr.

A machine that joins knows only a hash of the CA's public key. It reads the certificates the server
presents without trusting them, picks the one with that hash (`fetch_ca`), and from then on verifies
everything against it; a server in the middle cannot present a key with the same hash.

What needs no more than Python's own ssl is in `base/tls.py`, and to be had from here as well.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
import socket
import ssl
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from base.clock import Clock
from base.errors import TemporaryError
from base.tls import (
    CertificateRequest,
    KeyPair,
    PkiError,
    client_context,
    load,
    matches_key,
    server_context,
    store,
    use_pair,
    write_private,
)

__all__ = [
    "CertificateFacts",
    "CertificateRequest",
    "KeyPair",
    "PkiError",
    "Subject",
    "ca_hash",
    "client_context",
    "create_ca",
    "fetch_ca",
    "is_issued_by",
    "issue",
    "load",
    "make_csr",
    "matches_key",
    "read_certificate",
    "read_csr",
    "server_context",
    "sign_csr",
    "store",
    "use_pair",
    "write_private",
]

CA_DAYS = 3650
LEAF_DAYS = 365
BACKDATE = timedelta(minutes=5)
"""How long before it is issued a certificate begins: clocks of different machines differ a little."""
CLOCK_ERROR = timedelta(hours=25)
"""The same for one that lives long: a clock may be an hour late when it sees the certificate, or a day
early when it issues it, and be put right afterwards."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """Whom a certificate or a request names."""

    common_name: str
    organizations: tuple[str, ...] = ()
    dns_names: tuple[str, ...] = ()
    ip_addresses: tuple[str, ...] = ()
    # Kinds of alternative name we neither issue nor understand (mail, URI); empty when all is well.
    other_names: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CertificateFacts:
    """What a certificate says."""

    subject: Subject
    issuer: str
    serial: int
    not_before: datetime
    not_after: datetime
    is_ca: bool
    server: bool
    client: bool


# -- issuing --------------------------------------------------------------------------------------


def create_ca(common_name: str, *, clock: Clock, days: int = CA_DAYS) -> KeyPair:
    """A new self-signed CA that may sign leaves, but no further CAs."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(common_name, ())
    start, end = _validity(clock, timedelta(days=days))
    builder = (
        _builder(name, name, key.public_key(), start, end)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(ca=True), critical=True)
    )
    return KeyPair(_cert_pem(builder.sign(key, hashes.SHA256())), _key_pem(key))


def issue(
    ca: KeyPair,
    *,
    common_name: str,
    organizations: Sequence[str] = (),
    dns_names: Sequence[str] = (),
    ip_addresses: Sequence[str] = (),
    server: bool = False,
    client: bool = False,
    lifetime: timedelta = timedelta(days=LEAF_DAYS),
    clock: Clock,
) -> KeyPair:
    """A new key with a certificate of `ca`, for use as a server, a client, or both."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = Subject(
        common_name=common_name,
        organizations=tuple(organizations),
        dns_names=tuple(dns_names),
        ip_addresses=tuple(ip_addresses),
    )
    cert_pem = _sign_leaf(
        ca, subject, key.public_key(), server=server, client=client, lifetime=lifetime, clock=clock
    )
    return KeyPair(cert_pem, _key_pem(key))


def make_csr(
    *,
    common_name: str,
    organizations: Sequence[str] = (),
    dns_names: Sequence[str] = (),
    ip_addresses: Sequence[str] = (),
    key_pem: bytes | None = None,
) -> CertificateRequest:
    """A request for a certificate, with a new key unless one is given."""
    key = ec.generate_private_key(ec.SECP256R1()) if key_pem is None else _private_key(key_pem)
    builder = x509.CertificateSigningRequestBuilder(_name(common_name, organizations))
    if names := _alternative_names(dns_names, ip_addresses):
        builder = builder.add_extension(names, critical=False)
    request = builder.sign(key, hashes.SHA256())
    return CertificateRequest(
        request.public_bytes(serialization.Encoding.PEM), key_pem or _key_pem(key)
    )


def sign_csr(
    ca: KeyPair,
    csr_pem: bytes,
    *,
    server: bool = False,
    client: bool = False,
    lifetime: timedelta = timedelta(days=LEAF_DAYS),
    clock: Clock,
) -> bytes:
    """The certificate that was asked for. Whether it should be given is decided by the caller.

    Only the names and the public key are taken from the request; usages are ours to give.
    """
    subject = read_csr(csr_pem)
    key = x509.load_pem_x509_csr(csr_pem).public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
        raise PkiError("certificate request: expected an EC or RSA key")
    return _sign_leaf(
        ca, subject, key, server=server, client=client, lifetime=lifetime, clock=clock
    )


# -- reading --------------------------------------------------------------------------------------


def read_csr(csr_pem: bytes) -> Subject:
    """Whom a request names. Fails unless the request is signed by the key it holds."""
    try:
        request = x509.load_pem_x509_csr(csr_pem)
        if not request.is_signature_valid:
            raise PkiError("certificate request: its signature does not match its key")
        return _subject(request.subject, request.extensions)
    except (ValueError, InvalidSignature, x509.DuplicateExtension) as error:
        raise PkiError(f"certificate request cannot be read: {error}") from error


def read_certificate(cert_pem: bytes) -> CertificateFacts:
    """What the first certificate of `cert_pem` says."""
    cert = _certificate(cert_pem)
    try:
        usages = tuple(cert.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        usages = ()
    try:
        is_ca = cert.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        is_ca = False
    return CertificateFacts(
        subject=_subject(cert.subject, cert.extensions),
        issuer=_first(cert.issuer, NameOID.COMMON_NAME),
        serial=cert.serial_number,
        not_before=cert.not_valid_before_utc,
        not_after=cert.not_valid_after_utc,
        is_ca=is_ca,
        server=ExtendedKeyUsageOID.SERVER_AUTH in usages,
        client=ExtendedKeyUsageOID.CLIENT_AUTH in usages,
    )


def is_issued_by(cert_pem: bytes, ca_pem: bytes) -> bool:
    """True when the CA's key signed this certificate. Says nothing about its dates."""
    try:
        _certificate(cert_pem).verify_directly_issued_by(_certificate(ca_pem))
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def ca_hash(cert_pem: bytes) -> str:
    """`sha256:` and the hex hash of the certificate's public key, as kubeadm writes it."""
    return f"sha256:{hashlib.sha256(_spki(_certificate(cert_pem).public_key())).hexdigest()}"


# -- joining ---------------------------------------------------------------------------------------


def fetch_ca(host: str, port: int, expected_hash: str, *, timeout: float = 10.0) -> bytes:
    """The CA certificate that the server presents and that has the expected hash. Blocks."""
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", expected_hash):
        raise PkiError(
            f"expected a CA hash of the form sha256:<64 hex digits>, found {expected_hash!r}",
            hint="`podwright token create` on the control machine prints the whole join command.",
        )
    found = [_cert_pem(cert) for cert in _presented_chain(host, port, timeout)]
    for cert_pem in found:
        if ca_hash(cert_pem) == expected_hash and read_certificate(cert_pem).is_ca:
            return cert_pem
    raise PkiError(
        f"the server at {host}:{port} presents no CA with the hash {expected_hash} "
        f"(it presents {', '.join(ca_hash(cert) for cert in found) or 'nothing'})",
        hint="Either the hash is of another cluster, or something stands between here and there.",
    )


def _presented_chain(host: str, port: int, timeout: float) -> list[x509.Certificate]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Nothing is trusted and nothing is sent over this connection: only its certificates are read.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((host, port), timeout=timeout) as raw,
            context.wrap_socket(raw, server_hostname=host) as secured,
        ):
            return [x509.load_der_x509_certificate(der) for der in _unverified_chain(secured)]
    except OSError as error:
        raise TemporaryError(
            f"cannot read the certificates of {host}:{port}: {error}",
            hint="Is the control plane running, and is its port reachable from this machine?",
        ) from error


def _unverified_chain(secured: ssl.SSLSocket) -> list[bytes]:
    if sys.version_info >= (3, 13):
        return list(secured.get_unverified_chain())
    # Until Python 3.13 made it public, the same method existed only on the private C object, where
    # it returns wrappers instead of DER; 2 is _ssl.ENCODING_DER.
    chain = secured._sslobj.get_unverified_chain()  # type: ignore[attr-defined]
    return [cert.public_bytes(2) for cert in chain or ()]


# -- parts ----------------------------------------------------------------------------------------

_PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey


def _sign_leaf(
    ca: KeyPair,
    subject: Subject,
    key: _PublicKey,
    *,
    server: bool,
    client: bool,
    lifetime: timedelta,
    clock: Clock,
) -> bytes:
    issuer, issuer_key = _certificate(ca.cert_pem), _private_key(ca.key_pem)
    start, end = _validity(clock, lifetime)
    end = min(end, issuer.not_valid_after_utc)
    if end <= start:
        raise PkiError("the cluster's CA has expired", hint="Make a new CA; see the docs on keys.")
    usages = [ExtendedKeyUsageOID.SERVER_AUTH] * server + [ExtendedKeyUsageOID.CLIENT_AUTH] * client
    if not usages:
        raise PkiError("a certificate must be for a server, a client, or both")
    issuer_id = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    builder = (
        _builder(_name(subject.common_name, subject.organizations), issuer.subject, key, start, end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(ca=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_id),
            critical=False,
        )
    )
    if names := _alternative_names(subject.dns_names, subject.ip_addresses):
        builder = builder.add_extension(names, critical=False)
    return _cert_pem(builder.sign(issuer_key, hashes.SHA256()))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: _PublicKey, start: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _validity(clock: Clock, lifetime: timedelta) -> tuple[datetime, datetime]:
    now = clock.now().replace(microsecond=0)
    # A small part of its life, because renewal is a matter of what part has passed.
    return now - max(BACKDATE, min(CLOCK_ERROR, lifetime / 100)), now + lifetime


def _name(common_name: str, organizations: Iterable[str]) -> x509.Name:
    try:
        return x509.Name(
            [
                *(x509.NameAttribute(NameOID.ORGANIZATION_NAME, one) for one in organizations),
                x509.NameAttribute(NameOID.COMMON_NAME, common_name),
            ]
        )
    except ValueError as error:
        raise PkiError(f"{common_name!r} cannot be named in a certificate: {error}") from error


def _alternative_names(
    dns_names: Sequence[str], ip_addresses: Sequence[str]
) -> x509.SubjectAlternativeName | None:
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in dns_names]
    names += [x509.IPAddress(ipaddress.ip_address(text)) for text in ip_addresses]
    return x509.SubjectAlternativeName(names) if names else None


def _subject(name: x509.Name, extensions: x509.Extensions) -> Subject:
    try:
        names = list(extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        names = []
    return Subject(
        common_name=_first(name, NameOID.COMMON_NAME),
        organizations=tuple(
            str(attribute.value)
            for attribute in name.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
        ),
        dns_names=tuple(one.value for one in names if isinstance(one, x509.DNSName)),
        ip_addresses=tuple(str(one.value) for one in names if isinstance(one, x509.IPAddress)),
        other_names=tuple(
            type(one).__name__
            for one in names
            if not isinstance(one, x509.DNSName | x509.IPAddress)
        ),
    )


def _first(name: x509.Name, oid: x509.ObjectIdentifier) -> str:
    return next((str(attribute.value) for attribute in name.get_attributes_for_oid(oid)), "")


def _key_usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=ca,
        crl_sign=ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _spki(key: object) -> bytes:
    assert isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey)
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _certificate(cert_pem: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(cert_pem)
    except ValueError as error:
        raise PkiError(f"certificate cannot be read: {error}") from error


def _private_key(key_pem: bytes) -> ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey:
    try:
        key = serialization.load_pem_private_key(key_pem, password=None)
    except (ValueError, TypeError):
        # Without the library's words: they may quote what they could not read.
        raise PkiError("private key cannot be read") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise PkiError("private key: expected an EC or RSA key")
    return key


def _cert_pem(cert: x509.Certificate) -> bytes:
    return cert.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
