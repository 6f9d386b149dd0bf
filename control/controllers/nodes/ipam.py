"""A range of pod addresses for every node: `spec.podCIDR`, given once and never changed."""

from collections import Counter
from ipaddress import IPv4Network

from api.core import Node
from api.errors import is_not_found
from api.objects import Key
from base.errors import PodwrightError
from control.controllers.context import Context, NodeSettings
from control.controllers.controller import Controller


class Ranges:
    """Which subnets of the cluster's range are taken, and the first that is not.

    Counted as they come and go: looking at all nodes for each one that joins is too much for many.
    """

    def __init__(self, settings: NodeSettings) -> None:
        self._first, self._last = _ends(str(settings.cluster_cidr)) or (0, -1)
        self._bits = settings.node_cidr_mask_size
        self._size = 1 << (32 - self._bits)
        self._used: Counter[int] = Counter()
        self._next = 0
        """All before this one are taken."""

    def take(self, cidr: str) -> None:
        """Somebody has this range; as often as somebody has."""
        self._used.update(self._numbers(cidr))

    def give_back(self, cidr: str) -> None:
        """Somebody who had it has it no longer."""
        for number in self._numbers(cidr):
            self._used[number] -= 1
            if self._used[number] <= 0:
                del self._used[number]
                self._next = min(self._next, number)

    def free(self) -> str | None:
        """The first subnet that no node has, or None when all are taken."""
        while self._next in self._used:
            self._next += 1
        if self._next >= (self._last - self._first + 1) // self._size:
            return None
        return str(IPv4Network((self._first + self._next * self._size, self._bits)))

    def _numbers(self, cidr: str) -> range:
        ends = _ends(cidr)
        if ends is None or ends[0] > self._last or ends[1] < self._first:
            return range(0)
        low, high = max(ends[0], self._first), min(ends[1], self._last)
        return range((low - self._first) // self._size, (high - self._first) // self._size + 1)


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
        self._ranges = Ranges(context.nodes)
        self._given: dict[str, str] = {}
        """By node, what it was given and does not show yet; counted as taken once more."""
        self._nodes.subscribe(self._on_node)
        self.watch_own(Node)

    def _on_node(self, old: Node | None, new: Node | None) -> None:
        before = old.spec.pod_cidr if old is not None else ""
        after = new.spec.pod_cidr if new is not None else ""
        if before != after:
            self._ranges.take(after)
            self._ranges.give_back(before)

    async def reconcile(self, key: Key) -> float | None:
        node = self._nodes.get(key.name)
        if node is None or node.spec.pod_cidr:
            self._ranges.give_back(self._given.pop(key.name, ""))
            return None
        cidr = self._given.get(key.name) or self._ranges.free()
        if cidr is None:
            settings = self.context.nodes
            message = (
                f"no free /{settings.node_cidr_mask_size} is left in {settings.cluster_cidr}"
                " (--cluster-cidr): this node's pods cannot get addresses"
            )
            self._recorder.event(node, "Warning", "CIDRNotAvailable", message)
            raise PodwrightError(message)
        if key.name not in self._given:
            self._given[key.name] = cidr
            self._ranges.take(cidr)
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
