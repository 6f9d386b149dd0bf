"""A cluster of one namespace node for a benchmark, removed whatever ends it.

Nothing touches the machine's own network: control plane and node each have a namespace, the node an
engine of its own. Ctrl-C and TERM end a benchmark in order; what a KILL leaves behind is removed by
the next run.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from local.cluster import Cluster
from local.host import images

STATE = Path("/tmp/podwright-bench")
NODE = "node-1"


@contextmanager
def one_node(name: str) -> Iterator[Cluster]:
    """A cluster that is ready, with the images of the examples in its engine."""
    folder = STATE / name
    if leftover := Cluster.find(folder):
        leftover.destroy()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    cluster = Cluster.create(f"bench-{name}", 1, folder, report=_say)
    try:
        cluster.start()
        cluster.load_image(images.BUSYBOX_IMAGE)
        yield cluster
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    finally:
        # A second Ctrl-C must not leave half of it behind.
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        cluster.destroy()
        if STATE.is_dir() and not any(STATE.iterdir()):
            STATE.rmdir()


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that `share` of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, min(len(ordered) - 1, -int(-share * len(ordered) // 1) - 1))]


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _say(what: str) -> None:
    print(f"({what})", file=sys.stderr)
