"""`podwright version`: which podwright this is, and on which Python."""

from __future__ import annotations

import argparse
import platform
from collections.abc import Sequence
from importlib import metadata


def main(argv: Sequence[str]) -> int:
    """Print the version."""
    parser = argparse.ArgumentParser(prog="podwright version", description="Print the version.")
    parser.parse_args(argv)
    print(f"podwright {version()} (Python {platform.python_version()})")
    return 0


def version() -> str:
    """The installed version, or "unknown" in a checkout that was never installed."""
    try:
        return metadata.version("podwright")
    except metadata.PackageNotFoundError:
        return "unknown"
