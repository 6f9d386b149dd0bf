"""Settings that must fit together, and the keys that come from them."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from base import pki as keys
from base.clock import FakeClock
from base.errors import PermanentError
from base.settings import SettingsError
from control import pki, settings
from control.settings import SETTINGS, ControlSettings


@pytest.fixture
def loaded(tmp_path: Path) -> ControlSettings:
    return load(tmp_path)


def load(tmp_path: Path, *arguments: str) -> ControlSettings:
    paths = [
        f"--state-dir={tmp_path}/state",
        f"--pki-dir={tmp_path}/pki",
        f"--kubeconfig-out={tmp_path}/kubeconfig",
    ]
    return settings.load([*paths, *arguments], {})


def test_defaults_of_table_and_dataclass_agree(tmp_path: Path, loaded: ControlSettings) -> None:
    for setting in SETTINGS:
        if setting.type is not Path:
            expected = () if setting.repeated else setting.default
            assert getattr(loaded, setting.field) == expected, setting.name
    assert loaded.kubernetes_service_ip == "10.96.0.1"
    assert loaded.node_ports == range(30000, 32768)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--service-cidr=10.244.0.0/20"], "overlap"),
        (["--cluster-dns=192.0.2.1"], "not within --service-cidr"),
        (["--node-cidr-mask-size=8"], "does not divide"),
        (["--node-cidr-mask-size=31"], "does not divide"),
        (["--service-node-port-range=many"], "two ports"),
        (["--service-node-port-range=5-4"], "two ports"),
        (["--service-node-port-range=1-70000"], "two ports"),
        (["--port=0"], "port number"),
        (["--advertise-address=here"], "IP address"),
        (["--nonsense"], "nonsense"),
    ],
)
def test_mistakes_are_told_before_anything_starts(
    tmp_path: Path, arguments: list[str], words: str
) -> None:
    with pytest.raises(SettingsError, match=words):
        load(tmp_path, *arguments)


def test_the_first_start_makes_the_keys_and_the_second_keeps_them(loaded: ControlSettings) -> None:
    clock = FakeClock()
    first = pki.ensure(loaded, "192.0.2.7", clock)
    assert pki.ensure(loaded, "192.0.2.7", clock) == first
    facts = keys.read_certificate(first.server.cert_pem)
    assert {"10.96.0.1", "127.0.0.1", "192.0.2.7"} <= set(facts.subject.ip_addresses)
    assert "kubernetes.default.svc.cluster.local" in facts.subject.dns_names
    assert facts.server and not facts.client
    admin = keys.read_certificate(first.admin.cert_pem).subject
    assert admin.organizations == ("system:masters",)
    for path in loaded.pki_dir.glob("*.key"):
        assert path.stat().st_mode & 0o777 == 0o600


def test_leaves_are_renewed_before_their_end_and_the_ca_never(loaded: ControlSettings) -> None:
    clock = FakeClock()
    first = pki.ensure(loaded, "192.0.2.7", clock)
    clock.advance(timedelta(days=200).total_seconds())
    assert pki.ensure(loaded, "192.0.2.7", clock) == first
    clock.advance(timedelta(days=60).total_seconds())
    later = pki.ensure(loaded, "192.0.2.7", clock)
    assert later.ca == first.ca and later.server != first.server and later.admin != first.admin


async def test_certificates_are_renewed_while_it_runs(loaded: ControlSettings) -> None:
    clock = FakeClock()
    first = pki.ensure(loaded, "192.0.2.7", clock)
    told: list[pki.ControlKeys] = []
    keeping = asyncio.ensure_future(pki.keep(loaded, "192.0.2.7", clock, first, told.append))
    async with asyncio.timeout(60):
        while not told:
            if clock.sleepers:  # else it is at work, in a thread that knows nothing of this clock
                clock.advance(timedelta(days=30).total_seconds())
            await asyncio.sleep(0.001)
    keeping.cancel()
    assert told[0].ca == first.ca and told[0].server != first.server
    end = keys.read_certificate(first.server.cert_pem).not_after
    assert clock.now() < end


def test_a_new_name_means_a_new_certificate(tmp_path: Path, loaded: ControlSettings) -> None:
    clock = FakeClock()
    first = pki.ensure(loaded, "192.0.2.7", clock)
    named = load(tmp_path, "--san=api.example.com", "--san=192.0.2.9")
    later = pki.ensure(named, "192.0.2.7", clock)
    assert later.admin == first.admin
    facts = keys.read_certificate(later.server.cert_pem).subject
    assert "api.example.com" in facts.dns_names and "192.0.2.9" in facts.ip_addresses


def test_half_a_ca_is_not_replaced(loaded: ControlSettings) -> None:
    pki.ensure(loaded, "192.0.2.7", FakeClock())
    (loaded.pki_dir / "ca.key").unlink()
    with pytest.raises(PermanentError, match=r"ca\.key"):
        pki.ensure(loaded, "192.0.2.7", FakeClock())


def test_the_kubeconfig_holds_everything(loaded: ControlSettings) -> None:
    pki.ensure(loaded, "192.0.2.7", FakeClock())
    document = yaml.safe_load(loaded.kubeconfig_out.read_text())
    assert document["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:6443"
    assert set(document["users"][0]["user"]) == {"client-certificate-data", "client-key-data"}
    assert loaded.kubeconfig_out.stat().st_mode & 0o777 == 0o600
