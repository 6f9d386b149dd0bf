"""CSINode: which storage drivers a node has. Walk step 3: what the scheduler may place there."""

from collections.abc import Iterator

import msgspec

from api import validation
from api.fielderrors import FieldError, Path, invalid, required
from api.scheme import resource_of
from api.storage import CSINode, CSINodeDriver
from control.resources.checks import check_non_negative, check_unique
from control.resources.columns import AGE
from control.resources.storage.rules import driver_name_errors
from control.resources.strategy import Column, Strategy

MAX_NODE_ID = 192


class CSINodeStrategy(Strategy[CSINode]):
    """Drivers come and go; while one is there, only what the node can take of it changes."""

    columns = (Column("Drivers", "integer", lambda one, now: len(one.spec.drivers)), AGE)

    def validate(self, obj: CSINode) -> list[FieldError]:
        path = Path("spec", "drivers")
        errors = list(
            check_unique(
                path,
                (
                    (path.index(at).child("name"), one.name)
                    for at, one in enumerate(obj.spec.drivers)
                ),
            )
        )
        for at, one in enumerate(obj.spec.drivers):
            errors += _driver_errors(path.index(at), one)
        return errors

    def validate_update(self, new: CSINode, old: CSINode) -> list[FieldError]:
        errors = self.validate(new)
        before = {one.name: one for one in old.spec.drivers}
        for at, one in enumerate(new.spec.drivers):
            known = before.get(one.name)
            if known is None:
                continue
            if msgspec.structs.replace(one, allocatable=known.allocatable) != known:
                where = Path("spec", "drivers").index(at)
                errors.append(invalid(where, one.name, "field is immutable"))
        return errors

    def generation_changes(self, new: CSINode, old: CSINode) -> bool:
        return False


def _driver_errors(path: Path, driver: CSINodeDriver) -> Iterator[FieldError]:
    yield from driver_name_errors(path.child("name"), driver.name)
    if not driver.node_id:
        yield required(path.child("nodeID"), "")
    elif len(driver.node_id) > MAX_NODE_ID:
        why = f"must be {MAX_NODE_ID} characters or less"
        yield invalid(path.child("nodeID"), driver.node_id, why)
    keys = path.child("topologyKeys")
    yield from check_unique(
        keys, ((keys.index(at), key) for at, key in enumerate(driver.topology_keys))
    )
    for at, key in enumerate(driver.topology_keys):
        if not key:
            yield required(keys.index(at), "")
        for why in validation.qualified_name(key) if key else ():
            yield invalid(keys.index(at), key, why)
    if driver.allocatable is not None:
        yield from check_non_negative(path.child("allocatable", "count"), driver.allocatable.count)


STRATEGY = CSINodeStrategy(resource_of(CSINode))
