"""How much room drivers have for volumes that are to be made. Walk step 3.

A driver that tells it (`CSIDriver.spec.storageCapacity`) has a CSIStorageCapacity for each class and place;
one of them must be in reach of the node and large enough. One that does not tell has room everywhere
(concept "Storage Capacity"). What is told may be late: then the driver refuses, and the pod is tried again.

Single-threaded, part of the snapshot; kept from the informers.
"""

from api import quantity
from api.core import Node, PersistentVolumeClaim
from api.objects import Key
from api.selectors import from_label_selector
from api.storage import CSIDriver, CSIStorageCapacity, StorageClass
from control.resources.core.persistentvolume import STORAGE


class Room:
    """What the drivers tell."""

    def __init__(self) -> None:
        self._telling: set[str] = set()
        self._of_class: dict[str, dict[Key, CSIStorageCapacity]] = {}

    def set_driver(self, name: str, driver: CSIDriver | None) -> None:
        """A driver as it is now; None: it is gone."""
        if driver is not None and driver.spec.storage_capacity:
            self._telling.add(name)
        else:
            self._telling.discard(name)

    def set_capacity(
        self, key: Key, old: CSIStorageCapacity | None, new: CSIStorageCapacity | None
    ) -> None:
        """The room in one place as it was, and as it is now."""
        if old is not None:
            left = self._of_class.get(old.storage_class_name, {})
            left.pop(key, None)
            if not left:
                self._of_class.pop(old.storage_class_name, None)
        if new is not None:
            self._of_class.setdefault(new.storage_class_name, {})[key] = new

    def suffices(self, claim: PersistentVolumeClaim, class_: StorageClass, node: Node) -> bool:
        """Whether a volume for the claim can be made in reach of the node."""
        wanted = claim.spec.resources.requests.get(STORAGE, "0")
        if class_.provisioner not in self._telling or quantity.compare(wanted, "0") <= 0:
            return True
        there = self._of_class.get(class_.metadata.name, {}).values()
        return any(_is_in_reach(one, node) and _is_enough(one, wanted) for one in there)


def _is_in_reach(capacity: CSIStorageCapacity, node: Node) -> bool:
    where = capacity.node_topology
    return where is not None and from_label_selector(where).matches(node.metadata.labels)


def _is_enough(capacity: CSIStorageCapacity, wanted: str) -> bool:
    """The largest volume that can be made is more to the point than the room in total."""
    most = capacity.maximum_volume_size or capacity.capacity
    return most is not None and quantity.compare(most, wanted) >= 0
