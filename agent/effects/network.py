"""What a pod needs of the node's network: an address (step 4 of the pod's walk).

The agent's side of the seam to `netplugin`, narrow enough to be faked in a line.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from agent.containers.records import ContainerId
from api.core import Pod
from base.errors import TemporaryError


class NetworkNotReady(TemporaryError):
    """The node has no pod range yet."""


class PodNetwork(Protocol):
    """Attaches sandboxes. All methods may be called twice."""

    async def attach(self, sandbox: ContainerId, pid: int, pod: Pod) -> str:
        """Give the sandbox its address and its host ports; returns the address."""
        ...

    async def detach(self, sandbox: ContainerId) -> None:
        """Free all that the sandbox has; nothing if it has nothing."""
        ...

    async def reconcile(self, live: Iterable[ContainerId]) -> None:
        """Free what belongs to no sandbox in `live`."""
        ...


class NoNetwork:
    """Stands in until the node has its pod range: host-network pods run, others wait."""

    async def attach(self, sandbox: ContainerId, pid: int, pod: Pod) -> str:
        raise NetworkNotReady(
            "network is not ready: the node has no pod range yet (spec.podCIDR of the Node)"
        )

    async def detach(self, sandbox: ContainerId) -> None:
        """Nothing was attached by this agent; `reconcile` frees what an earlier one left."""

    async def reconcile(self, live: Iterable[ContainerId]) -> None: ...
