"""Joining a cluster, and keeping the node's certificates alive (before step 4 of the pod's walk).

Joining knows the server's address, a short-lived token and the hash of the CA's key. The CA is read
from the server itself and must have that hash; from then on every connection is verified. The node
makes its own key, which never leaves it, asks for a client certificate (`system:node:NAME`) with the
token, and for a serving certificate with that client certificate.

Every step can be repeated: key and request are made once and found again after a kill, so a joining
machine leaves one request behind, not one per attempt. Certificates are renewed in place at two
thirds of their life: the TLS contexts that use them take up the new pair, nothing restarts.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from agent.node import keys
from api import kubeconfig
from api.certificates import CertificateSigningRequest, CertificateSigningRequestSpec
from api.client import Client, HttpClient
from api.errors import ApiError, is_already_exists
from api.meta import ObjectMeta
from base import tls
from base.clock import Clock
from base.errors import PermanentError, PodwrightError, TemporaryError
from base.files import atomic_write, make_directory
from base.tls import CertificateRequest, KeyPair

log = logging.getLogger(__name__)

CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client-kubelet"
SERVING_SIGNER = "kubernetes.io/kubelet-serving"
CLIENT_USAGES = ["digital signature", "client auth"]
SERVING_USAGES = ["digital signature", "server auth"]
CLIENT, SERVING, CA_FILE = "client", "server", "ca.crt"
KUBECONFIG = "kubeconfig"

POLL = 1.0
PATIENT_LOOKS = 20
TOO_MANY_LOOKS = 30
"""About 20 s after it was asked: time to say what may be wrong."""
RETRY = 5.0
RENEW_AT = 2 / 3
LOOK_EVERY = 3600.0


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a certificate is asked for."""

    signer: str
    usages: Sequence[str]
    name: str
    """Of the files in the PKI directory."""
    node: str
    dns_names: tuple[str, ...] = ()
    ip_addresses: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Access:
    """How this node reaches the API, and whom it trusts."""

    server: str
    ca_pem: bytes
    context: ssl.SSLContext | None
    token: Callable[[], str] | None = field(default=None, repr=False)
    joined: bool = True
    """The certificate is this agent's own, and its to renew."""

    def client(self) -> HttpClient:
        return HttpClient(
            self.server,
            ssl_context=self.context,
            token=self.token,
            user_agent="podwright-agent",
        )


@dataclass(frozen=True, kw_only=True)
class Invitation:
    """What a machine is told to join with."""

    server: str
    token: str = field(repr=False)
    ca_hash: str


def existing_access(directory: Path) -> Access | None:
    """The access of a node that has joined; None before."""
    server_file, ca_file = directory / "server", directory / CA_FILE
    pair = tls.load(directory, CLIENT) if directory.is_dir() else None
    if pair is None or not (server_file.exists() and ca_file.exists()):
        return None
    return _access(server_file.read_text().strip(), ca_file.read_bytes(), pair)


def given_access(path: Path) -> Access:
    """The access that a kubeconfig file describes."""
    access = kubeconfig.load(path)
    return Access(
        server=access.server,
        ca_pem=_authority(path),
        context=access.ssl_context,
        token=access.token,
        joined=False,
    )


async def join(
    invitation: Invitation, node: str, directory: Path, *, kubeconfig_path: Path, clock: Clock
) -> Access:
    """Join; returns when the certificate is there. Waits for a server that is not up yet."""
    make_directory(directory, 0o700)
    ca_pem = await _fetch_ca(invitation, clock)
    atomic_write(directory / CA_FILE, ca_pem, 0o644)
    client = HttpClient(
        invitation.server,
        ssl_context=tls.client_context(ca_pem=ca_pem),
        token=invitation.token,
        user_agent="podwright-agent",
    )
    wanted = Wanted(signer=CLIENT_SIGNER, usages=CLIENT_USAGES, name=CLIENT, node=node)
    async with client:
        pair = await obtain(client, wanted, directory, clock=clock)
    tls.store(pair, directory, CLIENT)
    atomic_write(directory / "server", invitation.server, 0o644)
    write_kubeconfig(kubeconfig_path, invitation.server, directory)
    log.info("joined %s as node %s", invitation.server, node)
    return _access(invitation.server, ca_pem, pair)


async def obtain(client: Client, wanted: Wanted, directory: Path, *, clock: Clock) -> KeyPair:
    """Ask for a certificate and wait until it is given. Raises PermanentError when it is denied."""
    request = await _request(directory, wanted)
    key_pem = request.key_pem
    name = _request_name(wanted, key_pem)
    asked = 0
    while True:
        try:
            csr = await _asked(client, name, wanted, request.csr_pem)
        except ApiError as error:
            if error.code in (401, 403):
                raise PermanentError(
                    f"the cluster does not let this machine ask for a certificate: {error}",
                    hint="Tokens are short-lived; `podwright token create` makes a new one.",
                ) from error
            log.warning("cannot ask for a certificate yet: %s", error)
            await clock.sleep(RETRY)
            continue
        except PodwrightError as error:
            log.warning("cannot ask for a certificate yet: %s", error)
            await clock.sleep(RETRY)
            continue
        if csr.status.certificate:
            return KeyPair(csr.status.certificate, key_pem)
        for condition in csr.status.conditions:
            if condition.type in ("Denied", "Failed"):
                (directory / f"{wanted.name}.key.new").unlink(missing_ok=True)
                raise PermanentError(
                    f"certificate request {name} was {condition.type.lower()}: {condition.message}"
                )
        asked += 1
        if asked == PATIENT_LOOKS:
            log.info("waiting for certificate request %s to be approved", name)
        if asked == TOO_MANY_LOOKS:
            log.warning(
                "certificate request %s is still not approved. If a node named %s is alive, it keeps "
                "its name: choose another --node-name. Else `kubectl describe csr %s` says more, and "
                "`kubectl certificate approve %s` lets this machine in",
                *(name, wanted.node, name, name),
            )
        # Approval takes the control plane a moment, a person longer.
        await clock.sleep(min(POLL, 0.05 * asked))


async def keep_fresh(
    client: Client,
    wanted: Wanted,
    directory: Path,
    *,
    clock: Clock,
    use: Callable[[KeyPair], None],
) -> None:
    """Renew the certificate in time, for as long as the agent lives; the first one at once.

    Looks at the wall clock every hour instead of sleeping until the date: a machine that slept, or
    whose clock was put right, must not miss it.
    """
    while True:
        pair = tls.load(directory, wanted.name)
        if pair is None or due(pair, wanted, clock):
            try:
                pair = await obtain(client, wanted, directory, clock=clock)
            except PodwrightError as error:
                log.error("no %s certificate: %s", wanted.name, error)
                await clock.sleep(RETRY * 12)
                continue
            try:
                tls.store(pair, directory, wanted.name)
            except OSError as error:  # a full disk must not end a node: it is good for this life
                log.error("the new %s certificate is not kept: %s", wanted.name, error)
            log.info("new %s certificate", wanted.name)
        use(pair)
        await clock.sleep(LOOK_EVERY)


def due(pair: KeyPair, wanted: Wanted, clock: Clock) -> bool:
    """Whether two thirds of its life are over, or it names other addresses than the node has."""
    life = tls.life(pair.cert_pem)
    if clock.now() >= life.not_before + (life.not_after - life.not_before) * RENEW_AT:
        return True
    return not {*wanted.dns_names, *wanted.ip_addresses} <= life.names


def write_kubeconfig(path: Path, server: str, directory: Path) -> None:
    """A kubeconfig of the node's own access, for people who look into a node's affairs."""
    text = f"""apiVersion: v1
kind: Config
clusters:
- name: podwright
  cluster:
    server: {server}
    certificate-authority: {directory / CA_FILE}
users:
- name: node
  user:
    client-certificate: {directory / CLIENT}.crt
    client-key: {directory / CLIENT}.key
contexts:
- name: podwright
  context: {{cluster: podwright, user: node}}
current-context: podwright
"""
    atomic_write(path, text, 0o600)


def serving(node: str, address: str) -> Wanted:
    """The node's serving certificate: for its name and its address."""
    return Wanted(
        signer=SERVING_SIGNER,
        usages=SERVING_USAGES,
        name=SERVING,
        node=node,
        dns_names=(node,),
        ip_addresses=(address,),
    )


def _access(server: str, ca_pem: bytes, pair: KeyPair) -> Access:
    context = tls.client_context(ca_pem=ca_pem, pair=pair)
    return Access(server=server, ca_pem=ca_pem, context=context)


def _authority(path: Path) -> bytes:
    """The CA that a kubeconfig names: also the one whose clients the agent lets in."""
    document = yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader)
    for entry in document.get("clusters", ()):
        cluster = entry.get("cluster", {})
        if cluster.get("certificate-authority-data"):
            return base64.b64decode(str(cluster["certificate-authority-data"]))
        if cluster.get("certificate-authority"):
            return (path.parent / str(cluster["certificate-authority"])).read_bytes()
    raise PermanentError(f"{path} names no certificate authority")


async def _fetch_ca(invitation: Invitation, clock: Clock) -> bytes:
    parts = urlsplit(invitation.server)
    if parts.scheme != "https" or not parts.hostname:
        raise PermanentError(
            f"--join must be like https://192.0.2.10:6443, found {invitation.server!r}"
        )
    while True:
        try:
            return await keys.fetch_ca(parts.hostname, parts.port or 443, invitation.ca_hash)
        except TemporaryError as error:
            log.warning("%s does not answer yet: %s", invitation.server, error)
            await clock.sleep(RETRY)


async def _asked(
    client: Client, name: str, wanted: Wanted, csr_pem: bytes
) -> CertificateSigningRequest:
    """The request as the API has it; made if it is not there."""
    request = CertificateSigningRequest(
        metadata=ObjectMeta(name=name),
        spec=CertificateSigningRequestSpec(
            request=csr_pem, signer_name=wanted.signer, usages=list(wanted.usages)
        ),
    )
    try:
        return await client.create(request)
    except ApiError as error:
        if not is_already_exists(error):
            raise
        return await client.get(CertificateSigningRequest, name)


async def _request(directory: Path, wanted: Wanted) -> CertificateRequest:
    """What is asked for. Its key is kept until its certificate is stored, so that a kill loses neither.
    What a stored certificate has taken is no request's any more."""
    path = directory / f"{wanted.name}.key.new"
    stored = tls.load(directory, wanted.name)
    kept = path.read_bytes() if path.exists() else None
    request = await keys.make_request(
        common_name=f"system:node:{wanted.node}",
        organizations=("system:nodes",),
        dns_names=wanted.dns_names,
        ip_addresses=wanted.ip_addresses,
        key_pem=None if stored is not None and stored.key_pem == kept else kept,
    )
    if request.key_pem != kept:
        tls.write_private(path, request.key_pem)
    return request


def _request_name(wanted: Wanted, key_pem: bytes) -> str:
    """The same request always has the same name; other addresses make it another request."""
    text = "|".join((wanted.node, wanted.signer, *wanted.dns_names, *wanted.ip_addresses))
    digest = hashlib.sha256(key_pem + text.encode()).hexdigest()[:16]
    return f"node-{wanted.name}-{digest}"
