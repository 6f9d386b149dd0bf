"""Namespace: a scope for names, deleted by emptying it. Walk steps 1 and 7."""

from collections.abc import Iterator

from api import objects, validation
from api.core import Namespace
from api.fielderrors import FieldError, Path, invalid
from api.scheme import resource_of
from control.resources.checks import check_text
from control.resources.columns import AGE
from control.resources.strategy import Column, Strategy, mask_trailing_dash

NAME_LABEL = "kubernetes.io/metadata.name"
FINALIZER = "kubernetes"


class NamespaceStrategy(Strategy[Namespace]):
    """A deleted namespace stays, Terminating, until its spec's finalizers are gone."""

    columns = (Column("Status", "string", lambda ns, now: ns.status.phase), AGE)

    def default(self, obj: Namespace) -> None:
        if obj.metadata.name:
            obj.metadata.labels = {**obj.metadata.labels, NAME_LABEL: obj.metadata.name}

    def prepare_create(self, obj: Namespace) -> None:
        super().prepare_create(obj)
        obj.status.phase = "Active"
        if FINALIZER not in obj.spec.finalizers:
            obj.spec.finalizers = [*obj.spec.finalizers, FINALIZER]

    def prepare_update(self, new: Namespace, old: Namespace) -> None:
        super().prepare_update(new, old)
        new.spec = old.spec

    def prepare_subresource(self, subresource: str, new: Namespace, old: Namespace) -> None:
        super().prepare_subresource(subresource, new, old)
        if subresource == "finalize":
            new.metadata = objects.copy(old).metadata
            new.status = old.status

    def validate_name(self, name: str, *, generated: bool) -> list[str]:
        return validation.dns1123_label(mask_trailing_dash(name) if generated else name)

    def validate(self, obj: Namespace) -> list[FieldError]:
        return list(_finalizer_errors(obj.spec.finalizers))

    def validate_subresource(
        self, subresource: str, new: Namespace, old: Namespace
    ) -> list[FieldError]:
        return self.validate(new) if subresource == "finalize" else []

    def generation_changes(self, new: Namespace, old: Namespace) -> bool:
        return False

    def fields(self, obj: Namespace) -> dict[str, str]:
        return {"status.phase": obj.status.phase}

    def selectable_fields(self) -> frozenset[str]:
        return super().selectable_fields() | {"status.phase"}

    def keeps_on_delete(self, obj: Namespace) -> bool:
        return bool(obj.spec.finalizers)

    def mark_deleted(self, obj: Namespace) -> None:
        obj.status.phase = "Terminating"


def _finalizer_errors(finalizers: list[str]) -> Iterator[FieldError]:
    for number, name in enumerate(finalizers):
        where = Path("spec").child("finalizers").index(number)
        yield from check_text(where, name, validation.qualified_name)
        if "/" not in name and name != FINALIZER:
            yield invalid(
                where, name, "name is neither a standard finalizer name nor is it fully qualified"
            )


STRATEGY = NamespaceStrategy(resource_of(Namespace))
