"""Which pod has which address: step 4 of the pod's walk, before any link is made.

One file per address in a folder, named after the address and holding the sandbox it was given to:
`ls` shows the state, and taking an address is one link(2), which either happened or did not, at
whichever instruction the process is killed. The file `last` remembers where the search goes on, so
that a freed address is not given out again before all others were: peers may still hold connections
or names of the pod that had it.

Nothing is flushed to the disk: a killed process loses nothing that the kernel has, and after a power
cut no sandbox is left that could own an address. What a power cut mangles is dropped on reading.

Concurrency: one `Ipam` per folder, enforced by a lock on it; its methods run in one thread.
Invariants: an address has at most one sandbox and a sandbox at most one address; an address is in
use from before `allocate` returns until `release` is called; the table in memory equals the folder.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
from collections.abc import Collection
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import msgspec

from base.errors import PermanentError, TemporaryError
from netplugin.records import HostPort

log = logging.getLogger(__name__)

_LAST = "last"
_TEMPORARY = ".new"
_LOCK = ".lock"


class Allocation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An address in use."""

    address: str
    sandbox: str
    pod: str = ""
    """`namespace/name`, for the person who reads the folder."""
    host_ports: tuple[HostPort, ...] = ()
    """Kept here because they must be published again after a restart of the agent."""

    @property
    def ip(self) -> IPv4Address:
        return IPv4Address(self.address)


class RangeFullError(TemporaryError):
    """No address is free; one may become so when a pod ends."""


class Ipam:
    """The addresses of one node's pod range."""

    def __init__(
        self, folder: Path, network: IPv4Network, *, reserved: Collection[IPv4Address] = ()
    ) -> None:
        """Takes the folder's lock and reads what is there. `reserved` addresses are never given out,
        beside the range's first and last."""
        self._folder = folder
        self._network = network
        self._reserved = {network.network_address, network.broadcast_address, *reserved}
        self._usable = network.num_addresses - sum(1 for ip in self._reserved if ip in network)
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(folder)
        self._by_address: dict[IPv4Address, Allocation] = {}
        self._by_sandbox: dict[str, Allocation] = {}
        self._load()
        self._last = self._read_last()

    def close(self) -> None:
        os.close(self._lock)

    def find(self, sandbox: str) -> Allocation | None:
        return self._by_sandbox.get(sandbox)

    def allocations(self) -> list[Allocation]:
        return list(self._by_sandbox.values())

    def allocate(
        self, sandbox: str, *, pod: str = "", host_ports: tuple[HostPort, ...] = ()
    ) -> Allocation:
        """The sandbox's address: the one it has already, or the next free one."""
        known = self._by_sandbox.get(sandbox)
        if known is not None:
            return known
        allocation = Allocation(
            address=str(self._next_free()), sandbox=sandbox, pod=pod, host_ports=host_ports
        )
        self._write(allocation)
        self._remember(allocation)
        self._last = allocation.ip
        self._replace(_LAST, allocation.address.encode())
        return allocation

    def release(self, sandbox: str) -> bool:
        """Free the sandbox's address; False when it has none."""
        known = self._by_sandbox.get(sandbox)
        if known is None:
            return False
        (self._folder / known.address).unlink(missing_ok=True)
        del self._by_sandbox[sandbox]
        del self._by_address[known.ip]
        return True

    def statistics(self) -> dict[str, float]:
        return {"addresses_used": len(self._by_address), "addresses_usable": self._usable}

    def _next_free(self) -> IPv4Address:
        first = int(self._network.network_address)
        size = self._network.num_addresses
        start = int(self._last) - first
        for step in range(1, size + 1):
            candidate = IPv4Address(first + (start + step) % size)
            if candidate not in self._reserved and candidate not in self._by_address:
                return candidate
        raise RangeFullError(
            f"no free address in pod range {self._network}: "
            f"{len(self._by_address)} of {self._usable} usable addresses are in use",
            hint="Delete pods of this node, or give its nodes larger pod ranges.",
        )

    def _write(self, allocation: Allocation) -> None:
        """Whole and exclusive: written beside, then linked to its name, which must be free."""
        temporary = self._folder / _TEMPORARY
        _write_file(temporary, msgspec.json.encode(allocation))
        (self._folder / allocation.address).hardlink_to(temporary)
        temporary.unlink()

    def _replace(self, name: str, content: bytes) -> None:
        temporary = self._folder / _TEMPORARY
        _write_file(temporary, content)
        temporary.replace(self._folder / name)

    def _load(self) -> None:
        for file in sorted(self._folder.iterdir()):
            if file.name in (_LAST, _LOCK):
                continue
            allocation = self._read(file)
            if allocation is None or allocation.sandbox in self._by_sandbox:
                file.unlink()
            else:
                self._remember(allocation)

    def _read(self, file: Path) -> Allocation | None:
        if file.name == _TEMPORARY:
            return None
        try:
            allocation = msgspec.json.decode(file.read_bytes(), type=Allocation)
            usable = allocation.ip in self._network and allocation.address == file.name
        except (msgspec.DecodeError, ValueError):
            usable = False
        if not usable:
            log.warning("dropping %s: not an allocation in %s", file, self._network)
            return None
        return allocation

    def _remember(self, allocation: Allocation) -> None:
        self._by_address[allocation.ip] = allocation
        self._by_sandbox[allocation.sandbox] = allocation

    def _read_last(self) -> IPv4Address:
        try:
            last = IPv4Address((self._folder / _LAST).read_text())
        except (FileNotFoundError, ValueError):
            return self._network.network_address
        return last if last in self._network else self._network.network_address


def _write_file(path: Path, content: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(handle, content)
    finally:
        os.close(handle)


def _lock(folder: Path) -> int:
    handle = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            raise PermanentError(
                f"another process gives out addresses from {folder}",
                hint="Two agents must not share a state folder: stop one of them.",
            ) from error
        raise
    return handle
