"""Keys: what is issued is what was meant, TLS accepts exactly the cluster's own, joining is safe."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import stat
import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID

from base import pki
from base.clock import FakeClock, SystemClock
from base.errors import TemporaryError
from base.pki import KeyPair, PkiError

NOW = datetime(2026, 11, 20, 12, 0, 0, 250_000, tzinfo=UTC)


@pytest.fixture(scope="module")
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture(scope="module")
def ca(clock: FakeClock) -> KeyPair:
    return pki.create_ca("podwright", clock=clock)


# -- issuing --------------------------------------------------------------------------------------


def test_the_ca_is_a_ca_for_ten_years(ca: KeyPair) -> None:
    facts = pki.read_certificate(ca.cert_pem)
    assert facts.is_ca
    assert facts.subject.common_name == facts.issuer == "podwright"
    assert facts.not_before == datetime(2026, 11, 19, 11, tzinfo=UTC)
    assert facts.not_after - NOW.replace(microsecond=0) == timedelta(days=3650)
    assert pki.is_issued_by(ca.cert_pem, ca.cert_pem)


def test_certificates_survive_clocks_that_are_a_day_early_or_an_hour_late() -> None:
    early = FakeClock(NOW + timedelta(days=1))
    ca = pki.create_ca("podwright", clock=early)
    pair = pki.issue(ca, common_name="n1", client=True, clock=early)
    for pem in (ca.cert_pem, pair.cert_pem):
        facts = pki.read_certificate(pem)
        assert facts.not_before <= NOW - timedelta(minutes=55)
        assert NOW + timedelta(days=300) < facts.not_after


def test_a_certificate_that_lives_shortly_has_most_of_its_life_before_it(ca: KeyPair) -> None:
    clock, life = FakeClock(NOW), timedelta(hours=1)
    pair = pki.issue(ca, common_name="n1", client=True, lifetime=life, clock=clock)
    facts = pki.read_certificate(pair.cert_pem)
    assert facts.not_before == NOW.replace(microsecond=0) - timedelta(minutes=5)


def test_a_leaf_holds_what_was_asked_for(ca: KeyPair, clock: FakeClock) -> None:
    pair = pki.issue(
        ca,
        common_name="system:node:n1",
        organizations=["system:nodes", "extra"],
        dns_names=["n1", "kubernetes.default.svc"],
        ip_addresses=["10.96.0.1", "fd00::1"],
        client=True,
        clock=clock,
    )
    facts = pki.read_certificate(pair.cert_pem)
    assert facts.subject == pki.Subject(
        common_name="system:node:n1",
        organizations=("system:nodes", "extra"),
        dns_names=("n1", "kubernetes.default.svc"),
        ip_addresses=("10.96.0.1", "fd00::1"),
    )
    assert (facts.is_ca, facts.server, facts.client) == (False, False, True)
    assert facts.issuer == "podwright"
    assert facts.not_after - facts.not_before == timedelta(days=365, hours=25)
    assert pki.is_issued_by(pair.cert_pem, ca.cert_pem)
    assert pki.matches_key(pair)


def test_no_leaf_outlives_its_ca(clock: FakeClock) -> None:
    short = pki.create_ca("short", clock=clock, days=1)
    pair = pki.issue(short, common_name="x", server=True, clock=clock)
    ends = pki.read_certificate(short.cert_pem).not_after
    assert pki.read_certificate(pair.cert_pem).not_after == ends


def test_an_expired_ca_signs_nothing(clock: FakeClock) -> None:
    old = pki.create_ca("old", clock=clock, days=1)
    with pytest.raises(PkiError, match="expired"):
        pki.issue(old, common_name="x", server=True, clock=FakeClock(NOW + timedelta(days=3)))


def test_a_leaf_without_a_use_is_refused(ca: KeyPair, clock: FakeClock) -> None:
    with pytest.raises(PkiError, match="for a server, a client"):
        pki.issue(ca, common_name="x", clock=clock)


def test_every_serial_is_its_own(ca: KeyPair, clock: FakeClock) -> None:
    pairs = [pki.issue(ca, common_name="x", client=True, clock=clock) for _ in range(5)]
    assert len({pki.read_certificate(pair.cert_pem).serial for pair in pairs}) == 5


def test_a_repr_shows_no_key(ca: KeyPair) -> None:
    request = pki.make_csr(common_name="x")
    assert "PRIVATE" not in repr(ca) + repr(request)


@pytest.mark.parametrize("name", ["", "x" * 65])
def test_a_name_that_no_certificate_can_hold(ca: KeyPair, clock: FakeClock, name: str) -> None:
    with pytest.raises(PkiError, match="cannot be named"):
        pki.issue(ca, common_name=name, client=True, clock=clock)


# -- requests -------------------------------------------------------------------------------------


def test_a_request_becomes_the_certificate_it_asks_for(ca: KeyPair, clock: FakeClock) -> None:
    request = pki.make_csr(
        common_name="system:node:n1",
        organizations=["system:nodes"],
        dns_names=["n1"],
        ip_addresses=["192.0.2.1"],
    )
    asked = pki.read_csr(request.csr_pem)
    cert_pem = pki.sign_csr(
        ca, request.csr_pem, server=True, lifetime=timedelta(hours=1), clock=clock
    )
    facts = pki.read_certificate(cert_pem)
    assert facts.subject == asked
    assert asked.ip_addresses == ("192.0.2.1",)
    assert (facts.server, facts.client) == (True, False)
    assert facts.not_after == NOW.replace(microsecond=0) + timedelta(hours=1)
    assert pki.matches_key(KeyPair(cert_pem, request.key_pem))


def test_a_renewal_may_keep_its_key() -> None:
    first = pki.make_csr(common_name="x")
    assert pki.make_csr(common_name="x", key_pem=first.key_pem).key_pem == first.key_pem


def test_a_request_cannot_ask_to_be_a_ca(ca: KeyPair, clock: FakeClock) -> None:
    request = _request(
        x509.BasicConstraints(ca=True, path_length=None),
        x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]),
    )
    facts = pki.read_certificate(pki.sign_csr(ca, request, client=True, clock=clock))
    assert (facts.is_ca, facts.server, facts.client) == (False, False, True)


def test_names_we_do_not_understand_are_reported() -> None:
    request = _request(
        x509.SubjectAlternativeName(
            [x509.RFC822Name("root@example.org"), x509.UniformResourceIdentifier("spiffe://x")]
        )
    )
    assert pki.read_csr(request).other_names == ("RFC822Name", "UniformResourceIdentifier")


def test_a_tampered_request_is_refused(ca: KeyPair, clock: FakeClock) -> None:
    good = x509.load_pem_x509_csr(pki.make_csr(common_name="system:node:n1").csr_pem)
    der = good.public_bytes(serialization.Encoding.DER)
    assert der.count(b"system:node:n1") == 1
    forged = x509.load_der_x509_csr(der.replace(b"system:node:n1", b"system:node:n2"))
    forged_pem = forged.public_bytes(serialization.Encoding.PEM)
    with pytest.raises(PkiError, match="signature"):
        pki.sign_csr(ca, forged_pem, client=True, clock=clock)


@pytest.mark.parametrize(
    "garbage", [b"", b"not pem", b"-----BEGIN CERTIFICATE REQUEST-----\nAA==\n"]
)
def test_garbage_is_refused_in_words(garbage: bytes) -> None:
    with pytest.raises(PkiError, match="certificate request cannot be read"):
        pki.read_csr(garbage)
    with pytest.raises(PkiError, match="certificate cannot be read"):
        pki.read_certificate(garbage)


def test_other_kinds_of_key_are_refused(ca: KeyPair, clock: FakeClock) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    request = x509.CertificateSigningRequestBuilder(name).sign(key, None)
    with pytest.raises(PkiError, match="expected an EC or RSA key"):
        pki.sign_csr(ca, request.public_bytes(serialization.Encoding.PEM), client=True, clock=clock)


# -- the hash and the files -----------------------------------------------------------------------


def test_the_hash_is_the_one_that_openssl_and_kubeadm_compute(ca: KeyPair) -> None:
    script = (
        "openssl x509 -pubkey -noout | openssl pkey -pubin -outform der | openssl dgst -sha256 -hex"
    )
    done = subprocess.run(
        ["sh", "-c", script], input=ca.cert_pem, capture_output=True, check=True, timeout=20
    )
    assert pki.ca_hash(ca.cert_pem) == f"sha256:{done.stdout.decode().split()[-1]}"


def test_a_pair_is_stored_for_root_only_and_read_back(ca: KeyPair, tmp_path: Path) -> None:
    assert pki.load(tmp_path, "ca") is None
    pki.store(ca, tmp_path, "ca")
    assert pki.load(tmp_path, "ca") == ca
    assert stat.S_IMODE((tmp_path / "ca.key").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "ca.crt").stat().st_mode) == 0o644


def test_a_certificate_with_the_key_of_another_is_not_a_pair(
    ca: KeyPair, clock: FakeClock, tmp_path: Path
) -> None:
    pki.store(ca, tmp_path, "ca")
    pki.write_private(tmp_path / "ca.key", pki.create_ca("other", clock=clock).key_pem)
    assert pki.load(tmp_path, "ca") is None


# -- TLS ------------------------------------------------------------------------------------------

# Handshakes are judged by OpenSSL at the machine's own time.
REAL = SystemClock()


@pytest.fixture(scope="module")
def real_ca() -> KeyPair:
    return pki.create_ca("podwright", clock=REAL)


@pytest.fixture(scope="module")
def server(real_ca: KeyPair) -> KeyPair:
    return pki.issue(
        real_ca,
        common_name="kube-apiserver",
        dns_names=["localhost"],
        ip_addresses=["127.0.0.1"],
        server=True,
        clock=REAL,
    )


@contextlib.contextmanager
def serving(context: ssl.SSLContext) -> Iterator[int]:
    """A server on loopback that answers every connection with the client's common name."""

    def serve() -> None:
        while True:
            try:
                raw, _ = listener.accept()
            except OSError:
                return
            with contextlib.suppress(OSError), context.wrap_socket(raw, server_side=True) as conn:
                cert = conn.getpeercert() or {}
                names = [value for part in cert.get("subject", ()) for _, value in part]  # type: ignore[misc, union-attr]
                conn.sendall(repr(names).encode())

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(20)


def talk(port: int, context: ssl.SSLContext, name: str = "127.0.0.1") -> str:
    with (
        socket.create_connection(("127.0.0.1", port), timeout=20) as raw,
        context.wrap_socket(raw, server_hostname=name) as conn,
    ):
        return conn.recv(1000).decode()


def test_a_client_certificate_is_seen_by_the_server(real_ca: KeyPair, server: KeyPair) -> None:
    client = pki.issue(
        real_ca, common_name="admin", organizations=["system:masters"], client=True, clock=REAL
    )
    with serving(pki.server_context(server, ca_pem=real_ca.cert_pem)) as port:
        known = pki.client_context(ca_pem=real_ca.cert_pem, pair=client)
        assert talk(port, known) == "['system:masters', 'admin']"
        assert talk(port, known, "localhost") == "['system:masters', 'admin']"
        assert talk(port, pki.client_context(ca_pem=real_ca.cert_pem)) == "[]"


def test_a_certificate_may_be_demanded(real_ca: KeyPair, server: KeyPair) -> None:
    context = pki.server_context(server, ca_pem=real_ca.cert_pem, require_client_certificate=True)
    with serving(context) as port, pytest.raises(OSError, match="certificate required|reset"):
        talk(port, pki.client_context(ca_pem=real_ca.cert_pem))


def test_strangers_are_refused_on_both_sides(real_ca: KeyPair, server: KeyPair) -> None:
    stranger_ca = pki.create_ca("podwright", clock=REAL)
    stranger = pki.issue(stranger_ca, common_name="admin", client=True, clock=REAL)
    with serving(pki.server_context(server, ca_pem=real_ca.cert_pem)) as port:
        with pytest.raises(ssl.SSLCertVerificationError):
            talk(port, pki.client_context(ca_pem=stranger_ca.cert_pem))
        with pytest.raises(ssl.SSLCertVerificationError, match="[Hh]ostname"):
            talk(port, pki.client_context(ca_pem=real_ca.cert_pem), "other.example")
        with pytest.raises(OSError, match="unknown ca|unknown_ca|reset|decrypt error"):
            talk(port, pki.client_context(ca_pem=real_ca.cert_pem, pair=stranger))


def test_a_client_certificate_is_no_server(real_ca: KeyPair) -> None:
    client = pki.issue(
        real_ca, common_name="x", ip_addresses=["127.0.0.1"], client=True, clock=REAL
    )
    with (
        serving(pki.server_context(client, ca_pem=real_ca.cert_pem)) as port,
        pytest.raises(ssl.SSLCertVerificationError, match="purpose"),
    ):
        talk(port, pki.client_context(ca_pem=real_ca.cert_pem))


def test_old_tls_is_refused(real_ca: KeyPair, server: KeyPair) -> None:
    for context in (
        pki.server_context(server, ca_pem=real_ca.cert_pem),
        pki.client_context(ca_pem=real_ca.cert_pem),
    ):
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_a_renewed_pair_is_presented_without_a_restart(real_ca: KeyPair, server: KeyPair) -> None:
    context = pki.server_context(server, ca_pem=real_ca.cert_pem)
    with serving(context) as port:
        renewed = pki.issue(
            real_ca, common_name="new", dns_names=["new.example"], server=True, clock=REAL
        )
        pki.use_pair(context, renewed, ca_pem=real_ca.cert_pem)
        assert talk(port, pki.client_context(ca_pem=real_ca.cert_pem), "new.example") == "[]"


def test_a_pair_that_does_not_match_is_refused(real_ca: KeyPair, server: KeyPair) -> None:
    mixed = KeyPair(server.cert_pem, real_ca.key_pem)
    with pytest.raises(PkiError, match="cannot be used"):
        pki.server_context(mixed, ca_pem=real_ca.cert_pem)


# -- joining --------------------------------------------------------------------------------------


def test_the_ca_is_fetched_by_its_hash(real_ca: KeyPair, server: KeyPair) -> None:
    with serving(pki.server_context(server, ca_pem=real_ca.cert_pem)) as port:
        fetched = pki.fetch_ca("127.0.0.1", port, pki.ca_hash(real_ca.cert_pem))
        assert fetched == real_ca.cert_pem
        assert talk(port, pki.client_context(ca_pem=fetched)) == "[]"


async def test_an_event_loop_serves_the_ca_as_well(real_ca: KeyPair, server: KeyPair) -> None:
    async def close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    context = pki.server_context(server, ca_pem=real_ca.cert_pem)
    listener = await asyncio.start_server(close, "127.0.0.1", 0, ssl=context)
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        expected = pki.ca_hash(real_ca.cert_pem)
        fetched = await asyncio.to_thread(pki.fetch_ca, "127.0.0.1", port, expected)
    assert fetched == real_ca.cert_pem


def test_another_cluster_is_noticed(real_ca: KeyPair, server: KeyPair) -> None:
    other = pki.ca_hash(pki.create_ca("other", clock=REAL).cert_pem)
    with (
        serving(pki.server_context(server, ca_pem=real_ca.cert_pem)) as port,
        pytest.raises(PkiError, match="presents no CA with the hash") as caught,
    ):
        pki.fetch_ca("127.0.0.1", port, other)
    assert pki.ca_hash(real_ca.cert_pem) in str(caught.value)


def test_the_hash_of_the_leaf_is_not_enough(real_ca: KeyPair, server: KeyPair) -> None:
    with (
        serving(pki.server_context(server, ca_pem=real_ca.cert_pem)) as port,
        pytest.raises(PkiError, match="presents no CA"),
    ):
        pki.fetch_ca("127.0.0.1", port, pki.ca_hash(server.cert_pem))


@pytest.mark.parametrize("text", ["", "sha256:abc", "md5:" + "0" * 32, "sha256:" + "G" * 64])
def test_a_malformed_hash_is_refused_before_anything_is_sent(text: str) -> None:
    with pytest.raises(PkiError, match="expected a CA hash"):
        pki.fetch_ca("127.0.0.1", 1, text)


def test_a_server_that_is_away_is_worth_another_try() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(TemporaryError, match=r"cannot read the certificates of 127\.0\.0\.1"):
        pki.fetch_ca("127.0.0.1", port, "sha256:" + "0" * 64, timeout=60)


def _request(*extensions: x509.ExtensionType) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateSigningRequestBuilder(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
