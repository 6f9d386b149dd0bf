"""Programs of Debian's packages, unpacked beside whatever the machine has."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

_fetched: list[str] = []


def fetch_kubectl(folder: Path) -> str:
    """Debian's own kubectl (1.20), the oldest that people still have, fetched into a folder of the first
    who asks. Skips where it cannot be had.
    """
    if not _fetched:
        _fetched.append(_fetch(folder))
    return _fetched[0]


def _fetch(folder: Path) -> str:
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        pytest.skip("this is no Debian machine")
    fetched = subprocess.run(
        ["apt-get", "download", "-q", "kubernetes-client"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    packages = list(folder.glob("kubernetes-client_*.deb"))
    if not packages:
        pytest.skip(f"Debian's kubernetes-client cannot be fetched: {fetched.stderr.strip()}")
    subprocess.run(["dpkg", "-x", packages[0], folder / "root"], check=True, timeout=60)
    return str(folder / "root/usr/bin/kubectl")
