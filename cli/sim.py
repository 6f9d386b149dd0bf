"""`podwright sim`: run a scenario on a simulated cluster, and report what came of it."""

from __future__ import annotations

import argparse
import contextlib
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from base.errors import PermanentError
from sim import report
from sim.driver import play
from sim.reading import read


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="podwright sim",
        description=__doc__,
        epilog="Ends with 1 if anything happened that must never happen.",
    )
    parser.add_argument(
        "scenario", type=Path, help="a YAML file; docs/simulation.md has its fields"
    )
    parser.add_argument("--seed", type=int, help="what all chance comes from (default: the file's)")
    parser.add_argument("--log", type=Path, metavar="FILE", help="write every change there")
    parser.add_argument(
        "--verbose", action="store_true", help="show what the control plane itself logs"
    )
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO if arguments.verbose else logging.CRITICAL)
    try:
        body = arguments.scenario.read_bytes()
    except OSError as error:
        raise PermanentError(f"cannot read {arguments.scenario}: {error.strerror}") from error
    scenario = read(body, str(arguments.scenario))
    begun = time.monotonic()
    with contextlib.ExitStack() as stack:
        log = stack.enter_context(arguments.log.open("w")) if arguments.log else None
        outcome = play(scenario, seed=arguments.seed, log=log)
    sys.stdout.write(report.text(outcome))
    sys.stdout.flush()
    print(f"(took {time.monotonic() - begun:.1f} s)", file=sys.stderr)
    return 1 if outcome.violations else 0
