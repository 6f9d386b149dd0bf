"""Lease: a heartbeat, or who leads. Walk step 4: the agent says that it lives."""

from collections.abc import Iterator

from api.coordination import Lease
from api.fielderrors import FieldError, Path, invalid, required
from api.scheme import resource_of
from control.resources.columns import AGE
from control.resources.strategy import Column, Strategy


class LeaseStrategy(Strategy[Lease]):
    """A PUT of a missing Lease creates it."""

    columns = (
        Column("Holder", "string", lambda lease, now: lease.spec.holder_identity or ""),
        AGE,
    )
    allow_create_on_update = True

    def validate(self, obj: Lease) -> list[FieldError]:
        return list(_errors(obj))

    def generation_changes(self, new: Lease, old: Lease) -> bool:
        return False


def _errors(lease: Lease) -> Iterator[FieldError]:
    path, spec = Path("spec"), lease.spec
    if spec.lease_duration_seconds is not None and spec.lease_duration_seconds <= 0:
        yield invalid(
            path.child("leaseDurationSeconds"),
            spec.lease_duration_seconds,
            "must be greater than 0",
        )
    if spec.lease_transitions is not None and spec.lease_transitions < 0:
        yield invalid(
            path.child("leaseTransitions"),
            spec.lease_transitions,
            "must be greater than or equal to 0",
        )
    if spec.preferred_holder and not spec.strategy:
        yield required(path.child("strategy"), "must be specified when `preferredHolder` is set")


STRATEGY = LeaseStrategy(resource_of(Lease))
