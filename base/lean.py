"""What libraries load without being asked for it, kept out of the daemons (`bench/idle.py` counts it).

Serves no step of the walk but the promise that control plane and agent are small. Called once, by
whoever starts a daemon, before the first import of the libraries in question; a library that is
imported already stays as it is, so nothing depends on this but the number of megabytes.
"""

from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType


def prepare() -> None:
    """Import aiohttp without the system's CAs, and leave the mocks of pyroute2 out."""
    _aiohttp()
    _mocks()


def _aiohttp() -> None:
    """2 MB: on import it makes a TLS context with every CA of the system, as a default for whoever
    names no context. Everything of ours names one: it trusts the cluster's CA and nothing else."""
    names = ("SSL_CERT_FILE", "SSL_CERT_DIR")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, os.devnull))
    try:
        importlib.import_module("aiohttp")
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


class Nothing:
    """Takes every call and answers with nothing more: all that pyroute2 wants of a mock."""

    def __call__(self, *positional: object, **named: object) -> Nothing:
        return self

    def __getattr__(self, name: str) -> Nothing:
        return Nothing()


def _mocks() -> None:
    """1.5 MB: pyroute2 makes one object that does nothing, with Python's library for tests."""
    if "unittest" in sys.modules:
        return
    mock, unittest = ModuleType("unittest.mock"), ModuleType("unittest")
    unittest.mock = mock  # type: ignore[attr-defined]
    mock.Mock = Nothing  # type: ignore[attr-defined]
    sys.modules.update({"unittest": unittest, "unittest.mock": mock})
