"""What Python's own ssl can do without the cryptography package, and what a certificate says of itself."""

from __future__ import annotations

import contextlib
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base import pki, tls
from base.clock import FakeClock
from base.tls import KeyPair, PkiError

NOW = datetime(2026, 11, 20, 12, 0, 0, 250_000, tzinfo=UTC)


@pytest.fixture(scope="module")
def ca() -> KeyPair:
    return pki.create_ca("podwright", clock=FakeClock(NOW))


@pytest.mark.parametrize("years", [1, 20, 24, 40])  # dates are written another way from 2050 on
@pytest.mark.parametrize("names", [(), ("node-1",), ("n1", "n1.example")])
@pytest.mark.parametrize("addresses", [(), ("192.0.2.1", "fd00::1")])
def test_life_says_what_the_certificate_says(
    years: int, names: tuple[str, ...], addresses: tuple[str, ...]
) -> None:
    clock = FakeClock(NOW)
    long_lived = pki.create_ca("podwright", clock=clock, days=365 * 50)
    request = pki.make_csr(
        common_name="x" * 60, organizations=["a", "b"], dns_names=names, ip_addresses=addresses
    )
    lifetime = timedelta(days=365 * years)
    cert = pki.sign_csr(long_lived, request.csr_pem, server=True, lifetime=lifetime, clock=clock)
    facts, life = pki.read_certificate(cert), tls.life(cert + long_lived.cert_pem)
    assert (life.not_before, life.not_after) == (facts.not_before, facts.not_after)
    assert life.names == {*names, *addresses}


def test_life_of_a_certificate_without_extensions_for_names(ca: KeyPair) -> None:
    assert tls.life(ca.cert_pem).names == frozenset()


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"not pem",
        b"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\n%%\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\nMAMwAQI=\n-----END CERTIFICATE-----\n",
    ],
)
def test_garbage_is_refused_in_words(garbage: bytes) -> None:
    with pytest.raises(PkiError, match="certificate cannot be read"):
        tls.life(garbage)


@given(
    st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=3), st.integers(0, 9)
)
def test_a_damaged_certificate_is_read_or_refused(
    ca: KeyPair, damage: list[tuple[int, int]], missing: int
) -> None:
    der = bytearray(ssl.PEM_cert_to_DER_cert(ca.cert_pem.decode()))
    for place, byte in damage:
        der[place % len(der)] = byte
    damaged = ssl.DER_cert_to_PEM_cert(bytes(der[: len(der) - missing])).encode()
    with contextlib.suppress(PkiError):
        tls.life(damaged)


def test_key_and_certificate_that_do_not_belong_together(ca: KeyPair, tmp_path: Path) -> None:
    other = pki.create_ca("other", clock=FakeClock(NOW))
    assert tls.matches_key(ca)
    assert not tls.matches_key(KeyPair(ca.cert_pem, other.key_pem))
    with pytest.raises(PkiError, match="cannot be read") as refused:
        tls.matches_key(KeyPair(ca.cert_pem, b"no key"))
    assert "no key" not in str(refused.value)
