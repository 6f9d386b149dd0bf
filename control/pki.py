"""The control plane's keys: the cluster's CA, its own certificates, the administrator's kubeconfig.

Made on the first start, before anything listens. On every start, and twice a day while it runs,
certificates that are close to their end, lack a name they should have, or are of another CA are
issued anew; nothing needs to be restarted for it. The CA is never replaced.

    ca.crt, ca.key                          the cluster's CA; whoever has the key is the cluster
    apiserver.crt/.key                      what the API server presents
    apiserver-kubelet-client.crt/.key       how it shows itself to agents
    admin.crt/.key                          the administrator, also inside the kubeconfig
    sa.key, sa.pub                          signs the tokens of service accounts; kept as the CA is
"""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import logging
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from base import pki
from base.clock import Clock
from base.errors import PermanentError
from base.files import make_directory
from base.pki import KeyPair
from base.tasks import persist
from control.auth.tokens import keys as tokens
from control.auth.tokens.keys import TokenKeys
from control.auth.user import MASTERS
from control.settings import ControlSettings

log = logging.getLogger(__name__)

CLUSTER = "podwright"
ADMIN = "kubernetes-admin"
KUBELET_CLIENT = "kube-apiserver-kubelet-client"
_CHECK_SECONDS = 12 * 3600.0
_RENEW_SHARE = 3
"""A leaf is issued anew when less than a third of its life is left."""


@dataclass(frozen=True, kw_only=True)
class ControlKeys:
    """Every key the control plane needs, in memory."""

    ca: KeyPair
    server: KeyPair
    kubelet_client: KeyPair
    admin: KeyPair
    tokens: TokenKeys = field(compare=False)


@dataclass(frozen=True, kw_only=True)
class _Leaf:
    """A certificate that should be there."""

    name: str
    common_name: str
    organizations: tuple[str, ...] = ()
    dns_names: tuple[str, ...] = ()
    ip_addresses: tuple[str, ...] = ()
    server: bool = False


def ensure(settings: ControlSettings, advertised: str, clock: Clock) -> ControlKeys:
    """Load the keys, making and renewing what is needed, and write the kubeconfig."""
    directory = make_directory(settings.pki_dir, 0o700)
    ca = _ensure_ca(directory, clock)
    dns_names, addresses = server_names(settings, advertised)
    leaves = [
        _Leaf(
            name="apiserver",
            common_name="kube-apiserver",
            dns_names=dns_names,
            ip_addresses=addresses,
            server=True,
        ),
        _Leaf(
            name="apiserver-kubelet-client",
            common_name=KUBELET_CLIENT,
            organizations=(MASTERS,),
        ),
        _Leaf(name="admin", common_name=ADMIN, organizations=(MASTERS,)),
    ]
    server, kubelet_client, admin = (_ensure(directory, ca, leaf, clock) for leaf in leaves)
    keys = ControlKeys(
        ca=ca,
        server=server,
        kubelet_client=kubelet_client,
        admin=admin,
        tokens=tokens.ensure(directory, settings.service_account_key_file),
    )
    _write_kubeconfig(settings, keys)
    return keys


async def keep(
    settings: ControlSettings,
    advertised: str,
    clock: Clock,
    current: ControlKeys,
    renewed: Callable[[ControlKeys], None],
) -> None:
    """Renew certificates in time, for ever; `renewed` is told of new ones."""

    async def step() -> None:
        nonlocal current
        await clock.sleep(_CHECK_SECONDS)
        found = await asyncio.to_thread(ensure, settings, advertised, clock)
        if found != current:
            renewed(found)
            current = found

    await persist(step, what="renewing certificates", clock=clock)


def server_names(
    settings: ControlSettings, advertised: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names and addresses under which clients may call the API server."""
    domain = settings.cluster_domain
    names = [
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        f"kubernetes.default.svc.{domain}",
        _host_name(),
    ]
    addresses = ["127.0.0.1", settings.kubernetes_service_ip, advertised]
    if not ipaddress.ip_address(settings.listen_address).is_unspecified:
        addresses.append(settings.listen_address)
    for given in settings.san:
        (addresses if _is_address(given) else names).append(given)
    return _distinct(names), _distinct(addresses)


def _host_name() -> str:
    name = socket.gethostname().lower()
    # The kernel allows names that a certificate does not; such a name is of no use to clients.
    return name if all(part.isalnum() or part in "-." for part in name) else ""


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _distinct(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value for value in values if value))


def _ensure_ca(directory: Path, clock: Clock) -> KeyPair:
    ca = pki.load(directory, "ca")
    if ca is not None:
        return ca
    if (directory / "ca.crt").exists():
        raise PermanentError(
            f"{directory} has a ca.crt but no ca.key that belongs to it",
            hint="Restore ca.key from a backup. A new CA would lock out every node; to start over, "
            "remove the whole directory and join the nodes again.",
        )
    log.info("making a new cluster CA in %s", directory)
    ca = pki.create_ca(CLUSTER, clock=clock)
    pki.store(ca, directory, "ca")
    return ca


def _ensure(directory: Path, ca: KeyPair, leaf: _Leaf, clock: Clock) -> KeyPair:
    known = pki.load(directory, leaf.name)
    if known is not None and _is_good(known, ca, leaf, clock):
        return known
    log.info("issuing a certificate for %s", leaf.name)
    pair = pki.issue(
        ca,
        common_name=leaf.common_name,
        organizations=leaf.organizations,
        dns_names=leaf.dns_names,
        ip_addresses=leaf.ip_addresses,
        server=leaf.server,
        client=not leaf.server,
        clock=clock,
    )
    pki.store(pair, directory, leaf.name)
    return pair


def _is_good(pair: KeyPair, ca: KeyPair, leaf: _Leaf, clock: Clock) -> bool:
    facts = pki.read_certificate(pair.cert_pem)
    life: timedelta = facts.not_after - facts.not_before
    return (
        pki.is_issued_by(pair.cert_pem, ca.cert_pem)
        and facts.not_before <= clock.now() < facts.not_after - life / _RENEW_SHARE
        and facts.subject.common_name == leaf.common_name
        and set(leaf.dns_names) <= set(facts.subject.dns_names)
        and set(leaf.ip_addresses) <= set(facts.subject.ip_addresses)
    )


def _write_kubeconfig(settings: ControlSettings, keys: ControlKeys) -> None:
    server = settings.kubeconfig_server or f"https://127.0.0.1:{settings.port}"
    path = settings.kubeconfig_out
    path.parent.mkdir(parents=True, exist_ok=True)
    pki.write_private(path, kubeconfig(server, keys.ca.cert_pem, ADMIN, keys.admin).encode())


def kubeconfig(server: str, ca_pem: bytes, user: str, pair: KeyPair) -> str:
    """A kubeconfig with everything inside, as kubectl and our own client read it."""

    def encoded(data: bytes) -> str:
        return base64.b64encode(data).decode()

    return f"""\
apiVersion: v1
kind: Config
clusters:
- name: {CLUSTER}
  cluster:
    server: {server}
    certificate-authority-data: {encoded(ca_pem)}
users:
- name: {user}
  user:
    client-certificate-data: {encoded(pair.cert_pem)}
    client-key-data: {encoded(pair.key_pem)}
contexts:
- name: {user}@{CLUSTER}
  context:
    cluster: {CLUSTER}
    user: {user}
current-context: {user}@{CLUSTER}
"""
