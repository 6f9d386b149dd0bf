"""This node's pod range: given once by the control plane, then remembered (before step 4 of the walk)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from agent.node.network import range_problem
from api.core import Node
from api.informer import Informer
from base.files import atomic_write

log = logging.getLogger(__name__)

FILE = "pod-cidr"


class PodRange:
    """The range of one node, as CIDR."""

    def __init__(self, node: str, directory: Path, nodes: Informer[Node]) -> None:
        self._node = node
        self._file = directory / FILE
        self._nodes = nodes

    async def get(self) -> str:
        """The remembered range; without one, wait for the control plane's."""
        if self._file.exists():
            return self._file.read_text().strip()
        given: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def changed(old: Node | None, new: Node | None) -> None:
            if new is None or new.metadata.name != self._node or given.done():
                return
            if new.spec.pod_cidr:
                given.set_result(new.spec.pod_cidr)

        self._nodes.subscribe(changed)
        pod_cidr = await given
        self._remember(pod_cidr)
        return pod_cidr

    def mind(self, pod_cidr: str, tell: Callable[[str], None]) -> None:
        """From now on tell why the range that the node works with is not the one that it has been given;
        and, with an empty word, when it is again."""
        told = ""

        def changed(old: Node | None, new: Node | None) -> None:
            nonlocal told
            if new is None or new.metadata.name != self._node:
                return
            problem = range_problem(new, pod_cidr)
            if problem != told:
                told = problem
                log.error("%s", problem or f"the pod range is {pod_cidr} again")
                if new.spec.pod_cidr:  # the next start shall not believe in the old one
                    self._remember(new.spec.pod_cidr)
                tell(problem)

        self._nodes.subscribe(changed)

    def _remember(self, pod_cidr: str) -> None:
        try:
            atomic_write(self._file, f"{pod_cidr}\n")
        except OSError as error:  # a full disk: the next start asks the API again
            log.error("the pod range is not kept: %s", error)
