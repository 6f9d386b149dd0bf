"""`/version`: which Kubernetes this server speaks like, and what it is."""

from __future__ import annotations

import platform

MAJOR, MINOR = "1", "34"
GIT_VERSION = f"v{MAJOR}.{MINOR}.0+podwright.0.1.0"


def version() -> dict[str, str]:
    """The answer of `/version`, in the form of Kubernetes' `version.Info`."""
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return {
        "major": MAJOR,
        "minor": MINOR,
        "gitVersion": GIT_VERSION,
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "2026-01-01T00:00:00Z",
        "goVersion": "none",
        "compiler": f"CPython {platform.python_version()}",
        "platform": f"linux/{machine}",
    }
