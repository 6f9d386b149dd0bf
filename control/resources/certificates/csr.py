"""CertificateSigningRequest: how a machine joins. The controller approves and signs."""

from collections.abc import Iterator

from cryptography import x509

from api.certificates import CertificateSigningRequest, KeyUsage
from api.fielderrors import FieldError, Path, duplicate, forbidden, invalid, required
from api.scheme import resource_of
from control.resources.checks import check_enum
from control.resources.columns import AGE, NONE, human_duration
from control.resources.strategy import Column, Strategy

MIN_EXPIRATION_SECONDS = 600
_DECISIONS = ("Approved", "Denied")


class CsrStrategy(Strategy[CertificateSigningRequest]):
    """The spec never changes; who asked is written by the server, not by the asker."""

    columns = (
        AGE,
        Column("SignerName", "string", lambda csr, now: csr.spec.signer_name),
        Column("Requestor", "string", lambda csr, now: csr.spec.username),
        Column("RequestedDuration", "string", lambda csr, now: _duration(csr)),
        Column("Condition", "string", lambda csr, now: _condition(csr)),
    )

    def prepare_update(
        self, new: CertificateSigningRequest, old: CertificateSigningRequest
    ) -> None:
        super().prepare_update(new, old)
        new.spec = old.spec

    def prepare_subresource(
        self, subresource: str, new: CertificateSigningRequest, old: CertificateSigningRequest
    ) -> None:
        """`approval` may add decisions, `status` everything but decisions."""
        new.spec = old.spec
        if subresource == "approval":
            new.status.certificate = old.status.certificate
            return
        decided = [c for c in old.status.conditions if c.type in _DECISIONS]
        others = [c for c in new.status.conditions if c.type not in _DECISIONS]
        new.status.conditions = [*decided, *others]

    def validate(self, obj: CertificateSigningRequest) -> list[FieldError]:
        return list(_errors(obj))

    def validate_subresource(
        self, subresource: str, new: CertificateSigningRequest, old: CertificateSigningRequest
    ) -> list[FieldError]:
        return list(_decision_errors(new, old))

    def fields(self, obj: CertificateSigningRequest) -> dict[str, str]:
        return {"spec.signerName": obj.spec.signer_name}

    def selectable_fields(self) -> frozenset[str]:
        return super().selectable_fields() | {"spec.signerName"}

    def generation_changes(
        self, new: CertificateSigningRequest, old: CertificateSigningRequest
    ) -> bool:
        return False


def _errors(csr: CertificateSigningRequest) -> Iterator[FieldError]:
    path, spec = Path("spec"), csr.spec
    try:
        if not x509.load_pem_x509_csr(spec.request).is_signature_valid:
            yield invalid(
                path.child("request"), "<request>", "its signature does not match its key"
            )
    except ValueError:
        yield invalid(
            path.child("request"), "<request>", "PEM block type must be CERTIFICATE REQUEST"
        )
    if not spec.signer_name:
        yield required(path.child("signerName"), "")
    elif "/" not in spec.signer_name:
        yield invalid(
            path.child("signerName"),
            spec.signer_name,
            "must be a fully qualified domain and path of the form 'example.com/signer-name'",
        )
    if not spec.usages:
        yield required(path.child("usages"), "usages must contain at least one value")
    for number, usage in enumerate(spec.usages):
        yield from check_enum(path.child("usages").index(number), usage, KeyUsage, needed=True)
        if usage in spec.usages[:number]:
            yield duplicate(path.child("usages").index(number), usage)
    seconds = spec.expiration_seconds
    if seconds is not None and seconds < MIN_EXPIRATION_SECONDS:
        yield invalid(
            path.child("expirationSeconds"),
            seconds,
            "may not specify a duration less than 600 seconds",
        )


def _decision_errors(
    new: CertificateSigningRequest, old: CertificateSigningRequest
) -> Iterator[FieldError]:
    path = Path("status").child("conditions")
    types = {condition.type for condition in new.status.conditions}
    if types >= set(_DECISIONS):
        yield invalid(path, sorted(types), "Approved and Denied conditions are mutually exclusive")
    for condition in old.status.conditions:
        if condition.type in _DECISIONS and condition.type not in types:
            yield forbidden(path, f"updates may not remove a condition of type {condition.type}")
    for number, condition in enumerate(new.status.conditions):
        if condition.type in _DECISIONS and condition.status != "True":
            yield invalid(
                path.index(number).child("status"),
                condition.status,
                f"must be True for a condition of type {condition.type}",
            )


def _duration(csr: CertificateSigningRequest) -> str:
    seconds = csr.spec.expiration_seconds
    return human_duration(seconds) if seconds is not None else NONE


def _condition(csr: CertificateSigningRequest) -> str:
    types = {condition.type for condition in csr.status.conditions}
    words = ["Denied" if "Denied" in types else "Approved" if "Approved" in types else "Pending"]
    if "Failed" in types:
        words.append("Failed")
    if csr.status.certificate:
        words.append("Issued")
    return ",".join(words)


STRATEGY = CsrStrategy(resource_of(CertificateSigningRequest))
