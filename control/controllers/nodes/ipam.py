"""A range of pod addresses for every node: `spec.podCIDR`, given once and never changed."""

from collections.abc import Iterable
from ipaddress import IPv4Network

from api.core import Node
from api.errors import is_not_found
from api.objects import Key
from base.errors import PodwrightError
from control.controllers.context import Context, NodeSettings
from control.controllers.controller import Controller


def free_range(settings: NodeSettings, taken: Iterable[str]) -> str | None:
    """The first subnet of the cluster's range that no node has, or None when all are taken."""
    used = {IPv4Network(cidr) for cidr in taken if cidr}
    for subnet in settings.cluster_cidr.subnets(new_prefix=settings.node_cidr_mask_size):
        if not any(subnet.overlaps(other) for other in used):
            return str(subnet)
    return None


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
