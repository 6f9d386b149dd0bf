"""DOC certificates."""

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
    """DOC CertificateSigningRequestSpec."""

    request: Annotated[bytes, pb(1), LIST_ATOMIC]
    signer_name: Annotated[str, pb(7)]
    expiration_seconds: Annotated[Int32 | None, pb(8)] = None
    usages: Annotated[list[KeyUsage], pb(5), LIST_ATOMIC] = []
    username: Annotated[str, pb(2)] = ""
    uid: Annotated[str, pb(3)] = ""
    groups: Annotated[list[str], pb(4), LIST_ATOMIC] = []
    extra: Annotated[dict[str, StringList], pb(6)] = {}


class CertificateSigningRequestCondition(ApiStruct, kw_only=True):
    """DOC CertificateSigningRequestCondition."""

    type: Annotated[RequestConditionType, pb(1)]
    status: Annotated[ConditionStatus, pb(6)]
    reason: Annotated[str, pb(2)] = ""
    message: Annotated[str, pb(3)] = ""
    last_update_time: Annotated[Time | None, pb(4)] = None
    last_transition_time: Annotated[Time | None, pb(5)] = None


class CertificateSigningRequestStatus(ApiStruct, kw_only=True):
    """DOC CertificateSigningRequestStatus."""

    conditions: Annotated[list[CertificateSigningRequestCondition], pb(1), list_map("type")] = []
    certificate: Annotated[bytes, pb(2), LIST_ATOMIC] = b""


class CertificateSigningRequest(ApiStruct, kw_only=True):
    """DOC CertificateSigningRequest."""

    api_version: str = type_meta("certificates.k8s.io/v1")
    kind: str = type_meta("CertificateSigningRequest")
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    spec: Annotated[CertificateSigningRequestSpec, pb(2)]
    status: Annotated[CertificateSigningRequestStatus, pb(3)] = field(
        default_factory=CertificateSigningRequestStatus
    )
