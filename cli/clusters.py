"""What all commands about local clusters share: which cluster is meant, and the right to touch it."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from base.errors import PermanentError
from local import topology
from local.cluster import Cluster, Report, silent
from local.state import FILE

DEFAULT_STATE = Path("/var/lib/podwright")
DEFAULT_NAME = "podwright"
INSTALLED = Path("/etc/podwright/admin.kubeconfig")
"""Where `podwright control` leaves the administrator's kubeconfig on a machine of its own."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that say which cluster is meant."""
    group = parser.add_argument_group("which cluster")
    group.add_argument(
        "--name",
        default="",
        help="the cluster's name; several live side by side, each in a folder of its name below "
        "the state folder (default: the one cluster without a name)",
    )
    group.add_argument(
        "--state-dir",
        type=Path,
        default=Path(os.environ.get("PODWRIGHT_STATE_DIR", DEFAULT_STATE)),
        metavar="DIR",
        help=f"where clusters are kept (default: $PODWRIGHT_STATE_DIR or {DEFAULT_STATE})",
    )


def name_of(arguments: argparse.Namespace) -> str:
    return str(arguments.name or DEFAULT_NAME)


def folder_of(arguments: argparse.Namespace) -> Path:
    """The folder of the cluster that is meant."""
    state: Path = arguments.state_dir
    if not arguments.name:
        return state
    topology.check_name(arguments.name)
    if arguments.name in RESERVED or arguments.name.startswith("node-"):
        raise PermanentError(
            f"a cluster cannot be called {arguments.name!r}",
            hint="That is the name of a folder of the cluster without a name.",
        )
    return state / str(arguments.name)


RESERVED = frozenset({"agent", "control", "logs", "machine", "pki"})


def existing(arguments: argparse.Namespace, *, report: Report = silent) -> Cluster:
    """The cluster that is meant, which must be there."""
    folder = folder_of(arguments)
    found = Cluster.find(folder, report=report)
    if found is None:
        others = named(arguments.state_dir)
        hint = "`podwright up` makes one."
        if others:
            hint += f" There are others: {', '.join(f'--name {name}' for name in others)}."
        raise PermanentError(f"there is no cluster in {folder}", hint=hint)
    return found


def named(state: Path) -> list[str]:
    """The names of the clusters in a state folder."""
    return sorted(path.parent.name for path in state.glob(f"*/{FILE}"))


def need_root() -> None:
    if os.geteuid() != 0:
        raise PermanentError(
            "this needs root: it makes network namespaces and runs a Docker Engine",
            hint="Run it with sudo, or through ./podwright, which asks for it.",
        )


def add_kubeconfig(parser: argparse.ArgumentParser) -> None:
    """Arguments of commands that work on any cluster, local or not."""
    parser.add_argument(
        "--kubeconfig",
        type=Path,
        metavar="PATH",
        default=os.environ.get("KUBECONFIG") or None,
        help="how to reach the cluster and as whom"
        f" (default: $KUBECONFIG, {INSTALLED} if there, else the local cluster's)",
    )
    add_arguments(parser)


def kubeconfig(arguments: argparse.Namespace) -> Path:
    """The kubeconfig that was named, this machine's own, or the local cluster's."""
    if arguments.name:
        return existing(arguments).kubeconfig
    if arguments.kubeconfig is not None:
        return Path(arguments.kubeconfig)
    if INSTALLED.exists():
        return INSTALLED
    return existing(arguments).kubeconfig
