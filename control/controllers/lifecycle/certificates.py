"""Certificates of nodes: which requests are approved, and signing them.

Approved without a person: a client certificate of a node (`system:node:NAME` in `system:nodes`),
asked for with a bootstrap token or by that node itself; and the serving certificate of a node,
asked for by that node, for its own addresses. Everything else waits for `kubectl certificate
approve`. Rules: Kubernetes' "Certificate Signing Requests", signers `kube-apiserver-client-kubelet`
and `kubelet-serving`.

A node never gets a certificate of another. So a bootstrap token, which may name any node, gets none
for a node that lives: a machine that was made anew waits until its old self has fallen silent. And a
serving certificate names nothing that belongs to somebody else, though the node's own status, which
the node writes, says so: no other node, no Service, no name of the cluster's DNS.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

import msgspec

from api import conditions, timestamps
from api.certificates import CertificateSigningRequest, CertificateSigningRequestCondition
from api.core import Node, Service
from api.errors import is_conflict, is_not_found
from api.objects import Key
from base import pki
from base.errors import PodwrightError
from base.pki import Subject
from control.controllers.context import Context
from control.controllers.controller import Controller

CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client-kubelet"
SERVING_SIGNER = "kubernetes.io/kubelet-serving"
NODE_PREFIX = "system:node:"
NODES = "system:nodes"
BOOTSTRAPPERS = "system:bootstrappers"
AGAIN_SECONDS = 2.0
PATIENCE = timedelta(seconds=10)
LIFETIME = timedelta(days=365)
_CLIENT_USAGES = frozenset({"digital signature", "key encipherment", "client auth"})
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_SERVING_USAGES = frozenset({"digital signature", "key encipherment", "server auth"})


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a request is in order for its signer, and why not."""

    well_formed: bool
    approve: bool
    why: str


def judge(csr: CertificateSigningRequest, subject: Subject) -> Verdict:
    """Judge a request by its signer, subject, usages and who asked."""
    spec = csr.spec
    wrong = _malformed(spec.signer_name, subject, frozenset(spec.usages))
    if wrong:
        return Verdict(False, False, wrong)
    own = spec.username == subject.common_name and NODES in spec.groups
    if spec.signer_name == CLIENT_SIGNER:
        if own:
            return Verdict(True, True, "the node renews its own client certificate")
        if BOOTSTRAPPERS in spec.groups:
            return Verdict(True, True, "a machine joins with a bootstrap token")
        return Verdict(True, False, f"{spec.username} may not ask for {subject.common_name}")
    if own:
        return Verdict(True, True, "the node asks for its own serving certificate")
    return Verdict(True, False, f"{spec.username} may not ask for {subject.common_name}")


def _malformed(signer: str, subject: Subject, usages: frozenset[str]) -> str:
    """What the signer does not allow; empty when all is well."""
    if not subject.common_name.startswith(NODE_PREFIX) or subject.common_name == NODE_PREFIX:
        return f"subject common name must begin with {NODE_PREFIX}"
    if subject.organizations != (NODES,):
        return f"subject organization must be exactly {NODES}"
    if subject.other_names:
        return f"names of these kinds are not allowed: {', '.join(subject.other_names)}"
    if signer == CLIENT_SIGNER:
        if subject.dns_names or subject.ip_addresses:
            return "a client certificate has no DNS names or addresses"
        if not {"client auth", "digital signature"} <= usages or not usages <= _CLIENT_USAGES:
            return f"usages must be among {sorted(_CLIENT_USAGES)}, with client auth"
        return ""
    if not (subject.dns_names or subject.ip_addresses):
        return "a serving certificate needs a DNS name or an address"
    if not {"server auth", "digital signature"} <= usages or not usages <= _SERVING_USAGES:
        return f"usages must be among {sorted(_SERVING_USAGES)}, with server auth"
    return ""


def is_alive(node: Node | None) -> bool:
    """Whether an agent speaks for the node: its name is not to be given to another machine."""
    ready = conditions.find(node.status.conditions, "Ready") if node is not None else None
    return ready is not None and ready.status != "Unknown"


def foreign_names(
    subject: Subject, node: Node, nodes: Iterable[Node], services: Iterable[Service]
) -> set[str]:
    """The names of a serving certificate that are not the node's own."""
    asked = {*subject.dns_names, *subject.ip_addresses} - _LOOPBACK - {node.metadata.name}
    own = {address.address for address in node.status.addresses}
    foreign = {name for name in asked if name not in own or _is_of_the_cluster(name)}
    for other in nodes:
        if other.metadata.name != node.metadata.name:
            foreign |= asked & {other.metadata.name, *(a.address for a in other.status.addresses)}
    for service in services:
        foreign |= asked & {service.spec.cluster_ip, *service.spec.cluster_ips}
    return foreign


def _is_of_the_cluster(name: str) -> bool:
    return name == "kubernetes" or "svc" in name.split(".") or "*" in name


class CertificateController(Controller):
    """Approves and signs."""

    name = "csr-controller"
    workers = 1

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._requests = context.informers.of(CertificateSigningRequest)
        self._nodes = context.informers.of(Node)
        self._services = context.informers.of(Service)
        self._recorder = context.recorder(self.name)
        self.watch_own(CertificateSigningRequest)

    async def reconcile(self, key: Key) -> float | None:
        csr = self._requests.get(key.name)
        if csr is None or csr.spec.signer_name not in (CLIENT_SIGNER, SERVING_SIGNER):
            return None
        if csr.status.certificate or any(
            c.type in ("Denied", "Failed") for c in csr.status.conditions
        ):
            return None
        try:
            subject = pki.read_csr(csr.spec.request)
        except PodwrightError as error:
            await self._set(csr, "Failed", "SignerValidationFailure", str(error))
            return None
        verdict = judge(csr, subject)
        approved = conditions.is_true(csr.status.conditions, "Approved")
        try:
            if not verdict.well_formed:
                if approved:
                    await self._set(csr, "Failed", "SignerValidationFailure", verdict.why)
            elif approved:
                await self._sign(csr, subject)
            elif verdict.approve and not (doubt := self._doubt(csr, subject)):
                await self._set(csr, "Approved", "AutoApproved", verdict.why)
            elif verdict.approve:
                if self._has_waited(csr):
                    self._recorder.event(csr, "Warning", "NotApprovedYet", doubt)
                return AGAIN_SECONDS
        except PodwrightError as error:
            if not (is_not_found(error) or is_conflict(error)):
                raise
        return None

    def _has_waited(self, csr: CertificateSigningRequest) -> bool:
        """A node that asks a moment before it tells its addresses is nobody's news."""
        created = csr.metadata.creation_timestamp
        return not created or self.clock.now() - timestamps.parse(created) > PATIENCE

    def _doubt(self, csr: CertificateSigningRequest, subject: Subject) -> str:
        """Why a request that is in order is not approved by itself for now; "" if it is."""
        name = subject.common_name.removeprefix(NODE_PREFIX)
        node = self._nodes.get(name)
        if csr.spec.signer_name == CLIENT_SIGNER:
            if csr.spec.username == subject.common_name or not is_alive(node):
                return ""
            return (
                f"node {name} is alive: another machine gets its name only when it has fallen"
                f" silent (or by `kubectl certificate approve {csr.metadata.name}`)"
            )
        if node is None:
            return f"there is no node {name} yet"
        foreign = foreign_names(subject, node, self._nodes.items(), self._services.items())
        listed = ", ".join(sorted(foreign))
        return f"these are not (yet) told to be of node {name} alone: {listed}" if foreign else ""

    async def _set(self, csr: CertificateSigningRequest, type_: str, reason: str, why: str) -> None:
        now = timestamps.now_string(self.clock)
        condition = CertificateSigningRequestCondition(
            type=type_, status="True", reason=reason, message=why, last_update_time=now
        )
        status = msgspec.structs.replace(
            csr.status, conditions=conditions.put(csr.status.conditions, condition, now=now)
        )
        await self.client.update(
            msgspec.structs.replace(csr, status=status),
            subresource="approval" if type_ == "Approved" else "status",
        )

    async def _sign(self, csr: CertificateSigningRequest, subject: Subject) -> None:
        asked = csr.spec.expiration_seconds
        lifetime = LIFETIME if asked is None else min(LIFETIME, timedelta(seconds=asked))
        serving = csr.spec.signer_name == SERVING_SIGNER
        certificate = pki.sign_csr(
            self.context.ca,
            csr.spec.request,
            server=serving,
            client=not serving,
            lifetime=lifetime,
            clock=self.clock,
        )
        status = msgspec.structs.replace(csr.status, certificate=certificate)
        await self.client.update(msgspec.structs.replace(csr, status=status), subresource="status")
        self.log.info("signed a certificate of %s for %s", subject.common_name, csr.spec.username)
