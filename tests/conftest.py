"""What every test shares: the order of the suites, their lanes, and the size of the long ones.

Cheap suites run first, so that a broken pure function is known before the first container starts.
When the whole suite runs in two lanes, all that works on the machine itself (engines, network
namespaces, rules) has the first one to itself, one test after another; the files of the rest follow
each other in the second, which the first joins when it is through.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.thorough import LONG

ROOT = Path(__file__).resolve().parent.parent
SUITES = ("unit", "integration", "e2e", "chaos")
MACHINE = (
    "integration/agent",
    "integration/agent_containers",
    "integration/local",
    "integration/netplugin",
    "e2e",
)
"""Folders of tests that would disturb each other."""

# No test fails because the day is slow: neither one example's time nor the making of examples counts.
hypothesis.settings.register_profile(
    "podwright",
    deadline=None,
    print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("podwright")


def _suite(item: pytest.Item) -> int:
    parts = item.path.relative_to(ROOT / "tests").parts
    return SUITES.index(parts[0]) if parts[0] in SUITES else len(SUITES)


def _lane(nodeid: str) -> str:
    """The tests that follow each other: all of the machine's, or those of a file."""
    file = nodeid.partition("::")[0].removeprefix("tests/")
    return "machine" if file.startswith(tuple(f"{folder}/" for folder in MACHINE)) else file


class Lanes(LoadScopeScheduling):
    """Deals out whole lanes; the machine's is the first."""

    def _split_scope(self, nodeid: str) -> str:
        return _lane(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Lanes:
    return Lanes(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_suite)
    if os.environ.get("PYTEST_XDIST_WORKER"):
        items.sort(key=lambda item: _lane(item.nodeid) != "machine")


@pytest.fixture(scope="session")
def long_run() -> bool:
    """True in `./podwright test --long`: fuzz, fault and soak suites take their full size."""
    return LONG
