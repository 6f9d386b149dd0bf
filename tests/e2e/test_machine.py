"""The test machine with its own selection of tests, in the long run only: it takes half an hour where the
processor has no virtualization."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.vm import image

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.timeout(7200)
def test_resources_on_cgroup_v2_with_systemd(long_run: bool) -> None:
    if not long_run:
        pytest.skip("only with --long, or as ./podwright test --vm")
    if reason := image.missing():
        pytest.skip(reason)
    done = subprocess.run(
        [sys.executable, "-P", "-m", "tests.vm"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout
