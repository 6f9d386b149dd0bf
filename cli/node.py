"""`podwright node`: enter, break and mend the nodes of a local cluster."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from base.errors import PermanentError
from cli import clusters, reporting
from local.cluster import Cluster

EPILOG = """\
  cut    pull the node's network cable; everything on it goes on running
  heal   put the cable back
  kill   take its power: engine, agent and containers end in the same instant
  start  start what does not run on it
  exec   run a command on it, in its network, with its engine and the cluster's kubeconfig:
         podwright node exec node-1 -- kubectl get pods
"""


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="podwright node",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, summary in (
        ("list", "the nodes, and what runs of them"),
        ("cut", "pull a node's network cable"),
        ("heal", "put the cable back"),
        ("kill", "take a node's power"),
        ("start", "start a node that was killed"),
        ("freeze", "stop every process of a node where it is"),
        ("thaw", "let them go on"),
        ("exec", "run a command on a node"),
    ):
        command = commands.add_parser(name, help=summary, description=summary)
        if name != "list":
            command.add_argument("node", metavar="NAME")
        if name == "exec":
            command.add_argument("argv", nargs="+", metavar="COMMAND")
        clusters.add_arguments(command)
    arguments = parser.parse_args(argv)
    clusters.need_root()
    cluster = clusters.existing(arguments)
    if arguments.command == "list":
        print(
            reporting.table(HEADINGS, [row(cluster, node.name) for node in cluster.topology.nodes])
        )
        return 0
    if arguments.command == "exec":
        return enter(cluster, arguments.node, arguments.argv)
    faults(cluster)[arguments.command](arguments.node)
    print(f"node {arguments.node}: {DONE[arguments.command]}")
    return 0


def faults(cluster: Cluster) -> dict[str, Callable[[str], None]]:
    return {
        "cut": cluster.cut,
        "heal": cluster.heal,
        "kill": cluster.kill,
        "start": cluster.start_node,
        "freeze": cluster.freeze,
        "thaw": cluster.thaw,
    }


DONE = {
    "cut": "its cable is cut",
    "heal": "its cable is back",
    "kill": "its power is gone",
    "start": "it is running",
    "freeze": "it is frozen",
    "thaw": "it goes on",
}

HEADINGS = ("NAME", "ADDRESS", "CABLE", "ENGINE", "AGENT")


def row(cluster: Cluster, name: str) -> tuple[str, str, str, str, str]:
    """One line of `node list`."""
    node = cluster.node(name)
    cable = node.member.cable
    agent = node.agent.process()
    return (
        name,
        str(cable.address.ip) if cable else "this machine",
        "up" if node.connected() else "cut" if node.plugged() else "no power",
        "running" if node.engine.running() else "stopped",
        f"running ({agent.pid})" if agent else "stopped",
    )


def enter(cluster: Cluster, name: str, argv: Sequence[str]) -> int:
    """Become the command, so that its terminal, signals and exit code are its own."""
    node = cluster.node(name)
    node.check_running()
    environment = {
        **os.environ,
        "DOCKER_HOST": node.engine.url,
        "KUBECONFIG": str(cluster.node_kubeconfig),
    }
    command = [*node.entrance(), *argv]
    sys.stdout.flush()
    try:
        os.execvpe(command[0], command, environment)
    except OSError as error:
        raise PermanentError(f"cannot run {command[0]!r}: {error.strerror}") from error
