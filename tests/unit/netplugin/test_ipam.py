"""Addresses: never twice, never lost, never at once again, at whichever instruction the process dies."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.errors import PermanentError
from netplugin.ipam import Ipam, RangeFullError
from netplugin.records import HostPort

NETWORK = IPv4Network("10.244.1.0/28")
GATEWAY = IPv4Address("10.244.1.1")
USABLE = 13  # 16, less network, broadcast and gateway


@contextmanager
def opened(folder: Path, network: IPv4Network = NETWORK) -> Iterator[Ipam]:
    ipam = Ipam(folder, network, reserved=[GATEWAY])
    try:
        yield ipam
    finally:
        ipam.close()


class Killed(BaseException):
    """The process ends here."""


CALLS = ("open", "write", "link", "unlink", "replace", "rename")


@contextmanager
def killed_at(call: int) -> Iterator[None]:
    """Die just before system call number `call` that changes the folder."""
    left = call

    def counted(original: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed
            return original(*arguments, **options)

        return wrapper

    with mock.patch.multiple(os, **{name: counted(getattr(os, name)) for name in CALLS}):
        yield


def test_an_address_is_kept_over_restarts(tmp_path: Path) -> None:
    ports = (HostPort(host_port=8080, container_port=80),)
    with opened(tmp_path) as ipam:
        given_out = ipam.allocate("a", pod="default/web", host_ports=ports)
    with opened(tmp_path) as ipam:
        assert ipam.find("a") == given_out
        assert ipam.allocate("a") == given_out
        assert ipam.allocations()[0].host_ports == ports


def test_the_reserved_are_never_given_out(tmp_path: Path) -> None:
    with opened(tmp_path) as ipam:
        addresses = {ipam.allocate(f"s{number}").ip for number in range(USABLE)}
    assert len(addresses) == USABLE
    assert not addresses & {GATEWAY, NETWORK.network_address, NETWORK.broadcast_address}


def test_a_full_range_is_named_with_its_counts(tmp_path: Path) -> None:
    with opened(tmp_path) as ipam:
        for number in range(USABLE):
            ipam.allocate(f"s{number}")
        with pytest.raises(RangeFullError, match=r"10\.244\.1\.0/28: 13 of 13 usable"):
            ipam.allocate("one too many")
        ipam.release("s4")
        assert ipam.allocate("one too many").address == "10.244.1.6"


def test_a_freed_address_rests_until_all_others_were_used(tmp_path: Path) -> None:
    seen: list[str] = []
    for number in range(USABLE):
        with opened(tmp_path) as ipam:  # also over restarts
            seen.append(ipam.allocate(f"s{number}").address)
            assert ipam.release(f"s{number}")
            assert not ipam.release(f"s{number}")
    assert len(set(seen)) == USABLE


def test_two_processes_do_not_share_a_folder(tmp_path: Path) -> None:
    with opened(tmp_path), pytest.raises(PermanentError, match="another process"):
        Ipam(tmp_path, NETWORK)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("10.244.1.5", ""),
        ("10.244.1.5", '{"address":"10.244.1.5"'),
        ("10.244.1.5", '{"address":"10.244.1.6","sandbox":"a"}'),
        ("10.9.9.9", '{"address":"10.9.9.9","sandbox":"a"}'),
        ("README", "hello"),
    ],
)
def test_what_a_power_cut_left_is_dropped(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    (tmp_path / "last").write_text("")
    with opened(tmp_path) as ipam:
        assert ipam.allocations() == []
        assert ipam.allocate("b").address == "10.244.1.2"


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["allocate", "release"]),
            st.integers(min_value=0, max_value=16),
            st.one_of(st.none(), st.integers(min_value=0, max_value=12)),
        ),
        max_size=40,
    )
)
def test_no_address_twice_and_none_lost_whenever_killed(
    steps: list[tuple[str, int, int | None]],
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ipam = Ipam(folder, NETWORK, reserved=[GATEWAY])
        promised: dict[str, str] = {}
        for action, number, killed in steps:
            sandbox = f"s{number}"
            try:
                if killed is None:
                    _do(ipam, action, sandbox, promised)
                else:
                    with killed_at(killed):
                        _do(ipam, action, sandbox, promised)
            except Killed:
                ipam.close()
                ipam = Ipam(folder, NETWORK, reserved=[GATEWAY])
                _interrupted(ipam, action, sandbox, promised)
            _check(ipam, promised)
        ipam.close()
        with opened(folder) as again:
            assert {a.sandbox: a.address for a in again.allocations()} == promised


def _do(ipam: Ipam, action: str, sandbox: str, promised: dict[str, str]) -> None:
    if action == "release":
        ipam.release(sandbox)
        promised.pop(sandbox, None)
        return
    try:
        promised[sandbox] = ipam.allocate(sandbox).address
    except RangeFullError:
        assert len(promised) == USABLE


def _interrupted(ipam: Ipam, action: str, sandbox: str, promised: dict[str, str]) -> None:
    """What was being done either happened or not; everything else must be as it was."""
    found = ipam.find(sandbox)
    if found is not None:
        assert promised.get(sandbox, found.address) == found.address
        promised[sandbox] = found.address
    else:
        assert action == "release" or sandbox not in promised
        promised.pop(sandbox, None)


def _check(ipam: Ipam, promised: dict[str, str]) -> None:
    found = {a.sandbox: a.address for a in ipam.allocations()}
    assert found == promised
    assert len(set(found.values())) == len(found)
    assert ipam.statistics()["addresses_used"] == len(found)
