"""CSIStorageCapacity: how much room a driver has where. Walk step 3: where a claim can be met."""

from collections.abc import Iterator

from api import quantity, validation
from api.fielderrors import FieldError, Path, invalid
from api.scheme import resource_of
from api.storage import CSIStorageCapacity
from control.resources.checks import check_immutable, check_selector, check_text, is_negative
from control.resources.strategy import Column, Strategy


class CSIStorageCapacityStrategy(Strategy[CSIStorageCapacity]):
    """The figures change; of which class and place they are does not."""

    columns = (
        Column("StorageClassName", "string", lambda one, now: one.storage_class_name),
        Column(
            "Capacity",
            "string",
            lambda one, now: quantity.canonical(one.capacity) if one.capacity else "",
        ),
    )
    shows_age = False

    def validate(self, obj: CSIStorageCapacity) -> list[FieldError]:
        name = Path("storageClassName")
        return [
            *check_text(name, obj.storage_class_name, validation.dns1123_subdomain),
            *_size_errors(Path("capacity"), obj.capacity),
            *_size_errors(Path("maximumVolumeSize"), obj.maximum_volume_size),
            *_selector_errors(obj),
        ]

    def validate_update(self, new: CSIStorageCapacity, old: CSIStorageCapacity) -> list[FieldError]:
        name = Path("storageClassName")
        return [
            *self.validate(new),
            *check_immutable(name, new.storage_class_name, old.storage_class_name),
            *check_immutable(Path("nodeTopology"), new.node_topology, old.node_topology),
        ]


def _size_errors(path: Path, size: str | None) -> Iterator[FieldError]:
    if size is not None and is_negative(size):
        yield invalid(path, size, "must be greater than or equal to 0")


def _selector_errors(obj: CSIStorageCapacity) -> Iterator[FieldError]:
    if obj.node_topology is not None:
        yield from check_selector(Path("nodeTopology"), obj.node_topology)


STRATEGY = CSIStorageCapacityStrategy(resource_of(CSIStorageCapacity))
