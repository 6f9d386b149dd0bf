"""A lab for each test; without root there is none."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.integration.netplugin.lab import Lab


@pytest.fixture
def lab() -> Iterator[Lab]:
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    lab = Lab()
    try:
        yield lab
    finally:
        lab.close()
