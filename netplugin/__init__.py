"""The network of one node: every pod gets an address, every service answers (steps 4 and 6 of the walk).

Usable on its own: `NodeNetwork(NetworkConfig(...), clock)`, `await setup()`, then attach sandboxes,
tell it of peers and services, and `teardown()` leaves the machine as it was. `namespaces` builds
networks of machines for local clusters and tests; `dns.resolvconf` writes a pod's resolv.conf.

The names below are imported when first used: whoever only wants `netplugin.namespaces` does not wait
for the DNS server.

pyroute2 is one package of many parts (databases, Wi-Fi, WireGuard, …), all of which it imports as
soon as any is asked for: 5 MB in every agent for links and routes alone. So it is made known here as
a package that imports nothing by itself; each module below names the parts that it needs.
"""

import sys
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from netplugin.node import NodeNetwork
    from netplugin.records import Attachment, HostPort, Mode, NetworkConfig, Peer

if "pyroute2" not in sys.modules and (_found := PathFinder.find_spec("pyroute2")) is not None:
    sys.modules["pyroute2"] = module_from_spec(_found)  # made, never executed

__all__ = ["Attachment", "HostPort", "Mode", "NetworkConfig", "NodeNetwork", "Peer"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "node" if name == "NodeNetwork" else "records"
    return getattr(import_module(f"{__name__}.{module}"), name)
