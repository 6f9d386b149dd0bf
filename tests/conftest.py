"""What every test shares: the order of the suites, and the size setting of the long ones.

Cheap suites run first, so that a broken pure function is known before the first container starts.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SUITES = ("unit", "integration", "e2e", "chaos")


def _suite(item: pytest.Item) -> int:
    parts = item.path.relative_to(ROOT / "tests").parts
    return SUITES.index(parts[0]) if parts[0] in SUITES else len(SUITES)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_suite)


@pytest.fixture(scope="session")
def long_run() -> bool:
    """True in `./podwright test --long`: fuzz, fault and soak suites take their full size."""
    return os.environ.get("PODWRIGHT_TEST_LONG", "") == "1"
