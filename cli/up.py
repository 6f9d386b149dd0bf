"""`podwright up`: start a cluster on this machine, apply manifests, wait, and show the result.

The whole walk of a pod as a user meets it first. Each step looks before it acts, so that running the
command again repairs what is missing and reports the rest.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from api.client import HttpClient
from api.core import Service
from api.struct import ApiStruct
from base.errors import PermanentError
from base.files import atomic_write
from cli import clusters, manifests, overview, readiness
from cli.manifests import Document
from cli.reporting import Progress
from local import access, state
from local.cluster import Cluster
from local.host import images
from local.host.waiting import wait_for
from local.state import Shape

DEFAULT_TIMEOUT = 180.0


def main(argv: Sequence[str]) -> int:
    arguments = parser().parse_args(argv)
    documents = manifests.read(arguments.manifests)  # a typing error is told before any work
    clusters.need_root()
    with Progress() as progress:
        cluster = make(arguments, progress)
        cluster.start(timeout=arguments.timeout)
        kubeconfig = _place_kubeconfig(cluster, arguments.kubeconfig)
        if documents:
            _load_images(cluster, documents, progress)
            _apply(cluster, documents, progress)
            objects = _wait(cluster, documents, arguments.timeout, progress)
            answers = _ask_services(cluster, objects, progress)
    print()
    namespaces = {document.namespace for document in documents} - {""} or {"default"}
    print(overview.tables(access.call(cluster.kubeconfig, overview.observe), namespaces))
    if documents:
        for line in answers:
            print(line)
    print(how_to_go_on(cluster, kubeconfig))
    return 0


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="podwright up",
        description="Start a cluster on this machine, apply manifests, wait until all of it is ready, "
        "and show the result. Run again, it repairs or reports what is there.",
    )
    made.add_argument("manifests", nargs="*", type=Path, metavar="MANIFEST", help="YAML or JSON")
    made.add_argument(
        "--nodes",
        type=int,
        metavar="N",
        help="make N nodes, each a network namespace with a Docker Engine of its own "
        "(default: one node, which is this machine itself)",
    )
    made.add_argument(
        "--own-engine",
        action="store_true",
        help="without --nodes: run a Docker Engine for this cluster alone, even if the machine's "
        "own runs (default: use the machine's own, or start one if it has none)",
    )
    made.add_argument(
        "--kubeconfig",
        type=Path,
        metavar="PATH",
        help="write a copy of the administrator's kubeconfig there "
        "(it always is in the cluster's folder)",
    )
    made.add_argument(
        "--timeout",
        type=float,
        default=DEFAULT_TIMEOUT,
        metavar="SECONDS",
        help="how long to wait for nodes, and then for what the manifests ask for "
        "(default: %(default)g)",
    )
    clusters.add_arguments(made)
    return made


def make(arguments: argparse.Namespace, progress: Progress) -> Cluster:
    """The cluster that is meant: the one that is there, grown if asked, or a new one."""
    folder, name = clusters.folder_of(arguments), clusters.name_of(arguments)
    if arguments.nodes is not None and arguments.nodes < 1:
        raise PermanentError(f"--nodes: expected 1 or more, found {arguments.nodes}")
    if arguments.nodes is None:
        existing = Cluster.find(folder, report=progress)
        if existing is not None and existing.description.shape is Shape.NAMESPACES:
            return existing
        return Cluster.create_machine(
            name, folder, report=progress, own_engine=arguments.own_engine
        )
    return Cluster.create(name, arguments.nodes, folder, report=progress)


def how_to_go_on(cluster: Cluster, kubeconfig: Path) -> str:
    """The last lines of `up`."""
    program = "./podwright" if Path("podwright").is_file() else "podwright"
    which = "" if cluster.name == clusters.DEFAULT_NAME else f" --name {cluster.name}"
    if cluster.topology.state.parent != clusters.DEFAULT_STATE and which:
        which += f" --state-dir {cluster.topology.state.parent}"
    elif not which and cluster.topology.state != clusters.DEFAULT_STATE:
        which = f" --state-dir {cluster.topology.state}"
    return "\n".join(
        [
            "",
            "How to go on:",
            f"  export KUBECONFIG={kubeconfig}",
            "  kubectl get pods -A -o wide",
            f"  {program} status{which}     # what runs, and whether it is well",
            f"  {program} down{which}       # remove every trace",
        ]
    )


def _place_kubeconfig(cluster: Cluster, wanted: Path | None) -> Path:
    """The kubeconfig's copy, if one was asked for now or earlier."""
    copy = wanted.expanduser().resolve() if wanted is not None else None
    if copy is None and cluster.description.kubeconfig:
        copy = Path(cluster.description.kubeconfig)
    if copy is None or copy == cluster.kubeconfig:
        return cluster.kubeconfig
    if not cluster.description.kubeconfig or Path(cluster.description.kubeconfig) != copy:
        if copy.exists() and copy.stat().st_size:
            raise PermanentError(
                f"--kubeconfig: {copy} exists and is not this cluster's",
                hint="Name a new file: nothing is merged or overwritten.",
            )
        state.save(cluster.topology.state, cluster.with_kubeconfig(copy).description)
    atomic_write(copy, cluster.kubeconfig.read_bytes(), 0o600)
    return copy


def _load_images(cluster: Cluster, documents: Sequence[Document], progress: Progress) -> None:
    for image in sorted(manifests.images(documents) & set(images.OURS)):
        progress(f"making sure of the image {image}")
        cluster.load_image(image)


def _apply(cluster: Cluster, documents: Sequence[Document], progress: Progress) -> None:
    progress(f"applying {len(documents)} objects" if len(documents) > 1 else "applying the object")
    for document in documents:

        async def send(client: HttpClient, document: Document = document) -> str:
            return await manifests.apply(client, document)

        progress.say(f"  {document} {access.call(cluster.kubeconfig, send)}")


def _wait(
    cluster: Cluster, documents: Sequence[Document], timeout: float, progress: Progress
) -> list[ApiStruct]:
    """Until everything is ready; else an error that says why it is not."""
    progress("waiting until all of it is ready")
    found: list[ApiStruct] = []

    async def look(client: HttpClient) -> list[ApiStruct]:
        return await manifests.current(client, documents)

    def ready() -> bool:
        found[:] = access.call(cluster.kubeconfig, look)
        return not any(readiness.waits_for(each) for each in found)

    if wait_for(ready, timeout=timeout, interval=access.POLL):
        return found
    lacking = [
        f"{document}: {text}"
        for document, each in zip(documents, found, strict=True)
        if (text := readiness.waits_for(each))
    ]
    namespaces = {document.namespace for document in documents} - {""}
    pods, events = access.call(
        cluster.kubeconfig, lambda client: manifests.pods_and_events(client, namespaces)
    )
    lines = [*lacking, *readiness.explain(pods, events)]
    raise PermanentError(
        f"not ready after {timeout:g} s:\n" + "\n".join(lines),
        hint="The cluster goes on trying; `podwright status` shows what runs.",
    )


def _ask_services(cluster: Cluster, objects: Sequence[ApiStruct], progress: Progress) -> list[str]:
    """The answer of each service to an HTTP request through its VIP, made on a node."""
    node = cluster.nodes[0]
    answers = []
    for service in objects:
        if not isinstance(service, Service) or not overview.speaks_http(service):
            continue
        url = overview.vip_url(service)
        progress(f"asking {url}, from {node.name}")
        answer: list[str] = []

        def ask(url: str = url, answer: list[str] = answer) -> bool:
            with suppress(OSError):
                answer[:] = cluster.fetch(node.name, url).splitlines()[:5]
                return True
            return False

        # The rules of a node follow the readiness of a pod within moments, not at once.
        if not wait_for(ask, timeout=15, interval=0.2):
            raise PermanentError(
                f"service {service.metadata.name} does not answer on {url}",
                hint="`kubectl get endpointslices` shows who should; `podwright status` who runs.",
            )
        answers += ["", f"{service.metadata.name} answers on {url}, asked from {node.name}:"]
        answers += [f"  {line}" for line in answer]
    return answers
