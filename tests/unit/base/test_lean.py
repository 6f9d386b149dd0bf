"""Lean daemons: what is left out stays out, and nothing notices."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def fresh(script: str) -> str:
    """What a process of its own prints: imports cannot be undone in this one."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_aiohttp_has_not_read_the_systems_cas() -> None:
    script = """
import os
os.environ["SSL_CERT_DIR"] = "/etc/ssl/certs"
os.environ.pop("SSL_CERT_FILE", None)
from base import lean
lean.prepare()
import aiohttp.connector
print(aiohttp.connector._SSL_CONTEXT_VERIFIED.cert_store_stats()["x509"])
print(os.environ["SSL_CERT_DIR"], os.environ.get("SSL_CERT_FILE"))
"""
    assert fresh(script).splitlines() == ["0", "/etc/ssl/certs None"]


def test_pyroute2_imports_only_what_is_named() -> None:
    script = """
import netplugin.node, sys
print([name for name in ("pyroute2.ndb", "pyroute2.ipdb", "sqlite3") if name in sys.modules])
"""
    assert fresh(script) == "[]"


def test_nobody_loads_the_library_for_tests() -> None:
    script = """
from base import lean
lean.prepare()
import sys
import netplugin.node
from pyroute2.netlink.rtnl.iprsocket import IPRSocket, NotLocal
NotLocal.msg_queue.put_nowait(0, b"").anything()
IPRSocket().close()
print("unittest.case" in sys.modules)
"""
    assert fresh(script) == "False"
