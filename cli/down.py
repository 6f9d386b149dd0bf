"""`podwright down`: stop a local cluster and remove every trace of it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from cli import clusters
from cli.reporting import Progress
from local.cluster import Cluster


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="podwright down",
        description="Stop a cluster and remove every trace of it: containers, networks, engines that "
        "were started for it, and its state. There is no way back.",
    )
    clusters.add_arguments(parser)
    parser.add_argument("--all", action="store_true", help="every cluster in the state folder")
    arguments = parser.parse_args(argv)
    clusters.need_root()
    folders = [clusters.folder_of(arguments)]
    if arguments.all:
        state: Path = arguments.state_dir
        folders = [state / name for name in clusters.named(state)] + [state]
    with Progress() as progress:
        for folder in folders:
            cluster = Cluster.find(folder, report=progress)
            if cluster is None:
                if not arguments.all:
                    progress.say(f"There is no cluster in {folder}: nothing to do.")
                continue
            cluster.destroy()
    return 0
