"""ControllerRevision: a state of a StatefulSet or DaemonSet, written once. Walk step 1."""

from api import objects
from api.apps import ControllerRevision
from api.fielderrors import FieldError, Path, required
from api.scheme import resource_of
from control.resources.checks import check_immutable, check_non_negative
from control.resources.columns import AGE, NONE
from control.resources.strategy import Column, Strategy


class ControllerRevisionStrategy(Strategy[ControllerRevision]):
    """The data never changes; its place in the history may, when a former state is the wish again."""

    columns = (
        Column("Controller", "string", lambda revision, now: _controller(revision)),
        Column("Revision", "string", lambda revision, now: str(revision.revision)),
        AGE,
    )

    def validate(self, obj: ControllerRevision) -> list[FieldError]:
        errors = list(check_non_negative(Path("revision"), obj.revision))
        if obj.data is None:
            errors.append(required(Path("data"), "data is mandatory"))
        return errors

    def validate_update(self, new: ControllerRevision, old: ControllerRevision) -> list[FieldError]:
        return [*self.validate(new), *check_immutable(Path("data"), new.data, old.data)]


def _controller(revision: ControllerRevision) -> str:
    """`statefulset.apps/web`: whose state it is."""
    owner = objects.controller_of(revision)
    if owner is None:
        return NONE
    group = owner.api_version.rpartition("/")[0]
    kind = f"{owner.kind}.{group}" if group else owner.kind
    return f"{kind.lower()}/{owner.name}"


STRATEGY = ControllerRevisionStrategy(resource_of(ControllerRevision))
