"""The cables of a local cluster: the switch, and a veth pair from it to each machine's namespace.

Serves the link between hosts that step 4 of a pod's walk takes for granted. All netlink goes through
netplugin. Every function may be called twice, and repairs what a killed command left half made.
"""

from __future__ import annotations

from local.topology import Cable, Switch
from netplugin import namespaces

MACHINE_LINK = "eth0"
"""What a machine of its own calls its end of the cable."""


def make_switch(switch: Switch) -> None:
    namespaces.create_namespace(switch.namespace)
    namespaces.create_bridge(switch.namespace, switch.bridge)
    namespaces.set_address(switch.namespace, switch.bridge, switch.router)


def plug(cable: Cable, switch: Switch) -> None:
    """A machine with a network: namespace, cable, address, default route."""
    namespaces.create_namespace(cable.namespace)
    namespaces.connect(
        cable.namespace, MACHINE_LINK, switch.namespace, cable.port, bridge=switch.bridge
    )
    namespaces.set_address(cable.namespace, MACHINE_LINK, cable.address)
    namespaces.add_route(cable.namespace, "default", gateway=cable.gateway)


def unplug(cable: Cable) -> None:
    """The machine's network is no more: its namespace, and with it every link in it. The kernel ends
    a namespace some time after its last user; the cable goes at once, by its other end."""
    if namespaces.namespace_exists(cable.switch_namespace):
        namespaces.delete_link(cable.switch_namespace, cable.port)
    namespaces.delete_namespace(cable.namespace)


def remove_switch(switch: Switch) -> None:
    namespaces.delete_namespace(switch.namespace)


def cut(cable: Cable) -> None:
    """Pull the cable: both ends lose their carrier."""
    namespaces.set_down(cable.switch_namespace, cable.port)


def heal(cable: Cable) -> None:
    namespaces.set_up(cable.switch_namespace, cable.port)


def connected(cable: Cable) -> bool:
    return namespaces.namespace_exists(cable.switch_namespace) and namespaces.link_is_up(
        cable.switch_namespace, cable.port
    )
