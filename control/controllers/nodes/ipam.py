"""A range of pod addresses for every node: `spec.podCIDR`, given once and never changed."""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Network

from api.core import Node
from api.errors import is_not_found
from api.objects import Key
from base.errors import PodwrightError
from control.controllers.context import Context, NodeSettings
from control.controllers.controller import Controller


def free_range(settings: NodeSettings, taken: Iterable[str]) -> str | None:
    """The first subnet of the cluster's range that no node has, or None when all are taken."""
    first, last = _ends(str(settings.cluster_cidr)) or (0, -1)
    size = 1 << (32 - settings.node_cidr_mask_size)
    used: set[int] = set()
    for ends in map(_ends, taken):
        if ends is not None and ends[0] <= last and ends[1] >= first:
            low, high = max(ends[0], first), min(ends[1], last)
            used.update(range((low - first) // size, (high - first) // size + 1))
    for number in range((last - first + 1) // size):
        if number not in used:
            return str(IPv4Network((first + number * size, settings.node_cidr_mask_size)))
    return None


@lru_cache(maxsize=16384)
def _ends(cidr: str) -> tuple[int, int] | None:
    """The first and last address; None for what is no range of IPv4, whoever wrote it."""
    try:
        network = IPv4Network(cidr, strict=False)
    except ValueError:
        return None
    return int(network.network_address), int(network.broadcast_address)


class NodeIpamController(Controller):
    """One worker, so that two nodes never get the same range."""

    name = "node-ipam-controller"
    workers = 1

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._nodes = context.informers.of(Node)
        self._recorder = context.recorder(self.name)
        self._given: dict[str, str] = {}
        self.watch_own(Node)

    async def reconcile(self, key: Key) -> float | None:
        node = self._nodes.get(key.name)
        if node is None:
            self._given.pop(key.name, None)
            return None
        if node.spec.pod_cidr:
            self._given.pop(key.name, None)
            return None
        taken = [*(other.spec.pod_cidr for other in self._nodes.items()), *self._given.values()]
        cidr = self._given.get(key.name) or free_range(self.context.nodes, taken)
        if cidr is None:
            settings = self.context.nodes
            message = (
                f"no free /{settings.node_cidr_mask_size} is left in {settings.cluster_cidr}"
                " (--cluster-cidr): this node's pods cannot get addresses"
            )
            self._recorder.event(node, "Warning", "CIDRNotAvailable", message)
            raise PodwrightError(message)
        self._given[key.name] = cidr
        body = {
            "metadata": {"uid": node.metadata.uid},
            "spec": {"podCIDR": cidr, "podCIDRs": [cidr]},
        }
        try:
            await self.client.patch(Node, key.name, "", body)
        except PodwrightError as error:
            if not is_not_found(error):
                raise
        return None
