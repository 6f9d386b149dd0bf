"""The network of one node: every pod gets an address, every service answers (steps 4 and 6 of the walk).

Usable on its own: `NodeNetwork(NetworkConfig(...), clock)`, `await setup()`, then attach sandboxes,
tell it of peers and services, and `teardown()` leaves the machine as it was. `namespaces` builds
networks of machines for local clusters and tests; `dns.resolvconf` writes a pod's resolv.conf.

The names below are imported when first used: whoever only wants `netplugin.namespaces` does not wait
for the DNS server.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from netplugin.node import NodeNetwork
    from netplugin.records import Attachment, HostPort, Mode, NetworkConfig, Peer

__all__ = ["Attachment", "HostPort", "Mode", "NetworkConfig", "NodeNetwork", "Peer"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "node" if name == "NodeNetwork" else "records"
    return getattr(import_module(f"{__name__}.{module}"), name)
