"""`podwright status`: what runs of a local cluster, and whether it is well. Exit code 1 if it is not."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from base.errors import PodwrightError
from cli import clusters, node, overview
from cli.overview import Overview
from cli.reporting import table
from local import access
from local.cluster import Cluster


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="podwright status",
        description="What runs of a cluster, and whether it is well. The exit code is 0 if so.",
    )
    clusters.add_arguments(parser)
    arguments = parser.parse_args(argv)
    cluster = Cluster.find(clusters.folder_of(arguments))
    if cluster is None:
        return _none(arguments)
    clusters.need_root()
    print(f"cluster {cluster.name} in {cluster.topology.state}")
    print(f"kubeconfig {cluster.description.kubeconfig or cluster.kubeconfig}")
    print(f"logs {cluster.topology.logs}\n")
    problems = _processes(cluster)
    if cluster.control.process() is not None:
        problems += _objects(cluster)
    print("\n" + ("All is well." if not problems else "Not well:"))
    for problem in problems:
        print(f"  {problem}")
    if problems:
        print("`podwright up` repairs what does not run.")
    return 1 if problems else 0


def _none(arguments: argparse.Namespace) -> int:
    state: Path = arguments.state_dir
    print(f"There is no cluster in {clusters.folder_of(arguments)}.")
    for name in clusters.named(state):
        print(f"There is one called {name}: podwright status --name {name}")
    return 1


def _processes(cluster: Cluster) -> list[str]:
    control = cluster.control
    process = control.process()
    problem = control.problem() if process is not None else "it does not run"
    rows = [
        (
            "control",
            control.url,
            "-",
            "-",
            f"running ({process.pid})" if process is not None else "stopped",
        )
    ]
    rows += [node.row(cluster, each.name) for each in cluster.topology.nodes]
    print(table(("NAME", "ADDRESS", "CABLE", "ENGINE", "PROCESS"), rows))
    problems = [f"control plane: {problem}"] if problem else []
    for name, _, cable, engine, agent in rows[1:]:
        if cable not in ("up",):
            problems.append(
                f"{name}: its cable is {cable}" if cable == "cut" else f"{name}: {cable}"
            )
        if engine == "stopped":
            problems.append(f"{name}: its engine does not run")
        if agent == "stopped":
            problems.append(f"{name}: its agent does not run")
    return problems


def _objects(cluster: Cluster) -> list[str]:
    try:
        seen = access.call(cluster.kubeconfig, overview.observe)
    except PodwrightError as error:
        return [f"API: {error.message}"]
    print("\n" + overview.tables(seen))
    return unwell(seen, [each.name for each in cluster.topology.nodes])


def unwell(seen: Overview, names: Sequence[str]) -> list[str]:
    """What is wrong with nodes and pods. Pure."""
    problems = access.not_ready(seen.nodes, names)
    for pod in seen.pods:
        word = overview.pod_status(pod)
        if word not in ("Running", "Succeeded", "Completed", "Terminating"):
            problems.append(f"pod {pod.metadata.namespace}/{pod.metadata.name}: {word}")
    return problems
