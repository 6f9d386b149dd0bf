"""RuntimeClass: a way to run containers, by name. Read when a pod is created, step 1 of its walk.

The handler never changes: running pods were given it (API documentation of RuntimeClass).
"""

from collections.abc import Iterator

from api import validation
from api.fielderrors import FieldError, Path, duplicate, invalid
from api.node import RuntimeClass, Scheduling
from api.scheme import resource_of
from control.resources.checks import check_immutable, check_labels, is_negative
from control.resources.podspec.placement import toleration_errors
from control.resources.resourcenames import container_resource_errors
from control.resources.strategy import Column, Strategy


class RuntimeClassStrategy(Strategy[RuntimeClass]):
    """A handler, what it costs, and where it is to be had."""

    columns = (Column("Handler", "string", lambda one, now: one.handler),)

    def validate(self, obj: RuntimeClass) -> list[FieldError]:
        errors = [
            invalid(Path("handler"), obj.handler, why)
            for why in validation.dns1123_label(obj.handler)
        ]
        if obj.overhead is not None:
            errors += _overhead_errors(Path("overhead", "podFixed"), obj.overhead.pod_fixed)
        if obj.scheduling is not None:
            errors += _scheduling_errors(Path("scheduling"), obj.scheduling)
        return errors

    def validate_update(self, new: RuntimeClass, old: RuntimeClass) -> list[FieldError]:
        changed = check_immutable(Path("handler"), new.handler, old.handler)
        return [*self.validate(new), *changed]

    def generation_changes(self, new: RuntimeClass, old: RuntimeClass) -> bool:
        return False


def _overhead_errors(path: Path, amounts: dict[str, str]) -> Iterator[FieldError]:
    for name, amount in amounts.items():
        where = path.key(name)
        yield from container_resource_errors(where, name)
        if is_negative(amount):
            yield invalid(where, amount, "must be greater than or equal to 0")


def _scheduling_errors(path: Path, scheduling: Scheduling) -> Iterator[FieldError]:
    yield from check_labels(path.child("nodeSelector"), scheduling.node_selector)
    for number, toleration in enumerate(scheduling.tolerations):
        where = path.child("tolerations").index(number)
        yield from toleration_errors(toleration, where)
        if toleration in scheduling.tolerations[:number]:
            yield duplicate(where, toleration)


STRATEGY = RuntimeClassStrategy(resource_of(RuntimeClass))
