"""What pods that are no more have left on the node: cgroups, directories, links to logs (step 7 of the walk).

A pod's own end removes all of it. This is for what an agent that was killed, or a file system that did not
let go, has left behind; what cannot go now may the next time.

Concurrency: one event loop. A static pod may come back with its uid while its leftovers are being removed:
its worker waits for that (`cleared`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Set
from functools import partial
from pathlib import Path

from agent.effects import loglinks
from agent.effects.context import AgentContext
from agent.volumes.mounts import remove_tree
from agent.volumes.subpath import release_subpaths
from base.errors import PodwrightError

log = logging.getLogger(__name__)


class Strays:
    """Removes leftovers."""

    def __init__(self, agent: AgentContext) -> None:
        self._agent = agent
        self._clearing: dict[str, asyncio.Event] = {}
        """By the uids whose leftovers are being removed."""

    async def cleared(self, uid: str) -> None:
        """Wait until nothing of the pod is being removed."""
        if (cleared := self._clearing.get(uid)) is not None:
            await cleared.wait()

    async def remove(self, live: Set[str]) -> None:
        """Remove what belongs to none of these uids."""
        cgroups, directory = self._agent.cgroups, self._agent.node.pods_directory
        try:
            there = cgroups.pod_uids() | _folders(directory) | self._agent.stages.users()
            strays = there - live - self._clearing.keys()
            loglinks.sweep(self._agent.node.log_root, set(live))
        except OSError as error:
            log.warning("what pods that are no more have left stays for now: %s", error)
            return
        self._clearing |= {uid: asyncio.Event() for uid in strays}
        left = set(strays)
        try:
            await cgroups.aside(partial(cgroups.remove_strays, strays))
            for uid in strays:
                await self._remove_directory(directory / uid, uid)
                self._clearing.pop(uid).set()
                left.discard(uid)
        except OSError as error:
            log.warning("cgroups of pods that are no more stay for now: %s", error)
        finally:
            for uid in left:
                self._clearing.pop(uid).set()

    async def _remove_directory(self, path: Path, uid: str) -> None:
        mounter = self._agent.mounter
        try:
            release_subpaths(path, mounter)
            await self._agent.stages.release(uid)
            if path.is_dir():
                await mounter.aside(partial(remove_tree, path, mounter))
        except (PodwrightError, OSError) as error:
            log.warning("directory of a pod that is no more stays for now: %s", error)


def _folders(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()} if directory.is_dir() else set()
