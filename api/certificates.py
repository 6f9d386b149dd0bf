"""Requests for certificates (group `certificates.k8s.io`).

A machine that joins asks for its certificates with one; the control plane approves and signs it.
No pod can be sent to a node before that.
"""

from typing import Annotated

from msgspec import field

from api.core.pod import ConditionStatus
from api.meta import ObjectMeta
from api.struct import (
    LIST_ATOMIC,
    ApiStruct,
    Int32,
    StringList,
    Time,
    enum,
    list_map,
    pb,
    type_meta,
)

KeyUsage = Annotated[
    str,
    enum(
        "signing",
        "digital signature",
        "content commitment",
        "key encipherment",
        "key agreement",
        "data encipherment",
        "cert sign",
        "crl sign",
        "encipher only",
        "decipher only",
        "any",
        "server auth",
        "client auth",
        "code signing",
        "email protection",
        "s/mime",
        "ipsec end system",
        "ipsec tunnel",
        "ipsec user",
        "timestamping",
        "ocsp signing",
        "microsoft sgc",
        "netscape sgc",
    ),
]
RequestConditionType = Annotated[str, enum("Approved", "Denied", "Failed")]


class CertificateSigningRequestSpec(ApiStruct, kw_only=True):
    """What is asked for, and by whom. Cannot be changed."""

    request: Annotated[bytes, pb(1), LIST_ATOMIC]
    """The request in PEM (PKCS #10), in base64."""
    signer_name: Annotated[str, pb(7)]
    """Who is to sign it, such as `kubernetes.io/kubelet-serving`."""
    expiration_seconds: Annotated[Int32 | None, pb(8)] = None
    """Wanted lifetime in seconds, at least 600. The signer may grant less."""
    usages: Annotated[list[KeyUsage], pb(5), LIST_ATOMIC] = []
    """What the certificate may be used for, such as `client auth`."""
    username: Annotated[str, pb(2)] = ""
    """Who asks. Set by the server."""
    uid: Annotated[str, pb(3)] = ""
    """UID of who asks. Set by the server."""
    groups: Annotated[list[str], pb(4), LIST_ATOMIC] = []
    """Groups of who asks. Set by the server."""
    extra: Annotated[dict[str, StringList], pb(6)] = {}
    """More about who asks. Set by the server."""


class CertificateSigningRequestCondition(ApiStruct, kw_only=True):
    """A decision about the request."""

    type: Annotated[RequestConditionType, pb(1)]
    """`Approved`, `Denied` or `Failed`; the first two exclude each other."""
    status: Annotated[ConditionStatus, pb(6)]
    """`True`."""
    reason: Annotated[str, pb(2)] = ""
    """Why, in one word."""
    message: Annotated[str, pb(3)] = ""
    """Why, in a sentence."""
    last_update_time: Annotated[Time | None, pb(4)] = None
    """When it was last written."""
    last_transition_time: Annotated[Time | None, pb(5)] = None
    """When `status` last changed."""


class CertificateSigningRequestStatus(ApiStruct, kw_only=True):
    """What has become of the request."""

    conditions: Annotated[list[CertificateSigningRequestCondition], pb(1), list_map("type")] = []
    """Decisions about it. They cannot be taken back."""
    certificate: Annotated[bytes, pb(2), LIST_ATOMIC] = b""
    """The certificate in PEM, in base64, once it is signed. Cannot be changed."""


class CertificateSigningRequest(ApiStruct, kw_only=True):
    """Asks for a certificate. Somebody approves or denies it, then the signer issues the
    certificate."""

    api_version: str = type_meta("certificates.k8s.io/v1")
    """Group and version of this schema: `certificates.k8s.io/v1`."""
    kind: str = type_meta("CertificateSigningRequest")
    """Name of this schema: `CertificateSigningRequest`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    spec: Annotated[CertificateSigningRequestSpec, pb(2)]
    """The request and who made it."""
    status: Annotated[CertificateSigningRequestStatus, pb(3)] = field(
        default_factory=CertificateSigningRequestStatus
    )
    """The decision and the certificate."""
