"""The control plane of a local cluster: reached from the machine, killed, and back at the same address."""

from __future__ import annotations

import ssl
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from base.errors import PermanentError
from local import access, control
from local.cluster import Cluster
from local.host import processes

FOLDER = Path("/tmp/podwright-local-tests/control")


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    if found := Cluster.find(FOLDER):
        found.destroy()
    made = Cluster.create("t-control", 1, FOLDER)
    try:
        yield made
    finally:
        made.destroy()


def test_it_is_reached_killed_and_back_at_the_same_address(cluster: Cluster) -> None:
    cluster.start_control()
    cluster.start_control()
    assert cluster.control.ready()
    before = cluster.kubeconfig.read_bytes()
    assert cluster.kubeconfig.stat().st_mode & 0o777 == 0o600
    token = access.create_token(cluster.kubeconfig, seconds=600)

    cluster.kill_control()
    assert "no answer" in cluster.control.problem()
    cluster.start_control()
    assert cluster.kubeconfig.read_bytes() == before
    assert token.id in [each.id for each in access.list_tokens(cluster.kubeconfig)], "acknowledged"


def test_its_address_inside_is_in_the_join_command_and_in_its_certificate(
    cluster: Cluster,
) -> None:
    cluster.start_control()
    facts = access.join_facts(cluster.kubeconfig)
    assert facts.server == cluster.control.node_url
    assert facts.ca_hash == cluster.control.ca_hash()
    # Nothing on the machine leads to that address: only 127.0.0.1 does.
    with pytest.raises(OSError):
        urllib.request.urlopen(facts.server, timeout=0.5, context=ssl.create_default_context())


def test_a_port_that_is_taken_is_named(cluster: Cluster) -> None:
    with (
        control.listen(cluster.description.port),
        pytest.raises(PermanentError, match="cannot listen on 127.0.0.1"),
    ):
        cluster.start_control()
    cluster.start_control()


def test_a_control_plane_that_cannot_start_shows_its_last_words(cluster: Cluster) -> None:
    cluster.topology.control.data.parent.mkdir(parents=True, exist_ok=True)
    cluster.topology.control.data.mkdir()
    (cluster.topology.control.data / "store").write_text("in the way")
    with pytest.raises(PermanentError, match="it ended") as caught:
        cluster.start_control()
    assert "control.log" in caught.value.hint
    assert cluster.control.process() is None


def test_what_destroy_leaves_is_nothing(cluster: Cluster) -> None:
    cluster.start_control()
    cluster.destroy()
    assert processes.marked(cluster.topology.slug) == []
    assert not FOLDER.exists()
