"""The tables that iptables makes by itself, taken away again when they were not there before.

With the nft backend the first rule makes the whole table with its built-in chains, and no iptables
command removes them: a node would keep empty tables for ever. Which tables were there is recorded
before our first rule; at teardown one of ours that is empty is deleted over netlink. A table with a
foreign rule or policy in it stays.

Concurrency: runs in the node's network thread.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from pyroute2.netlink.exceptions import NetlinkError as KernelError
from pyroute2.nftables.main import NFTables

from base.files import atomic_write

log = logging.getLogger(__name__)

_AF_INET = 2


def present(save: str) -> set[str]:
    """The tables in the text of `iptables-save`."""
    return {line[1:] for line in save.splitlines() if line.startswith("*")}


def empty(save: str) -> set[str]:
    """The tables without any rule, chain of a user, or policy other than ACCEPT."""
    found: set[str] = set()
    table = ""
    for line in save.splitlines():
        if line.startswith("*"):
            table = line[1:]
            found.add(table)
        elif line.startswith("-A ") or (line.startswith(":") and line.split(" ")[1] != "ACCEPT"):
            found.discard(table)
    return found


def record(file: Path, save: str) -> None:
    """Remember what was there, once: a later start finds our own tables."""
    if not file.exists():
        atomic_write(file, json.dumps(sorted(present(save))), mode=0o600)


def remove_ours(file: Path, save: str) -> None:
    """Delete the empty tables that were not there before us."""
    try:
        before = set(json.loads(file.read_text()))
    except FileNotFoundError:
        return
    for table in sorted(empty(save) - before):
        _delete(table)
    file.unlink()


def _delete(table: str) -> None:
    nft: Any = NFTables(nfgen_family=_AF_INET)
    try:
        nft.table("del", name=table)
    except KernelError as error:  # the legacy backend: its tables are not nft's
        log.debug("table %s stays: %s", table, error)
    finally:
        nft.close()
