"""`podwright image`: get images into the engines of a local cluster's nodes without a registry."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from cli import clusters
from cli.reporting import Progress


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="podwright image", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    load = commands.add_parser(
        "load",
        help="copy an image into the nodes",
        description="Copy an image from the machine's own Docker Engine into the nodes' engines. "
        "The images of the examples (podwright/...) are made on the spot.",
    )
    load.add_argument("images", nargs="+", metavar="IMAGE")
    load.add_argument(
        "--node",
        action="append",
        default=[],
        metavar="NAME",
        help="only into this node; may be repeated (default: into all)",
    )
    load.add_argument(
        "--from-host",
        default="",
        metavar="URL",
        help="take it from another engine (default: unix:///var/run/docker.sock)",
    )
    clusters.add_arguments(load)
    arguments = parser.parse_args(argv)
    clusters.need_root()
    with Progress() as progress:
        cluster = clusters.existing(arguments, report=progress)
        for image in arguments.images:
            progress(f"loading {image} into {', '.join(arguments.node) or 'every node'}")
            cluster.load_image(image, nodes=arguments.node, source=arguments.from_host)
    return 0
