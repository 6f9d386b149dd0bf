"""PriorityLevelConfiguration: how many requests of a level run at a time. Step 1 of the pod's walk."""

import math
from collections.abc import Iterator

from api.fielderrors import FieldError, Path, forbidden, invalid, required
from api.flowcontrol import (
    LimitedPriorityLevelConfiguration,
    LimitResponse,
    LimitResponseType,
    PriorityLevelConfiguration,
    PriorityLevelConfigurationSpec,
    PriorityLevelEnablement,
    QueuingConfiguration,
)
from api.scheme import resource_of
from control.resources.checks import check_enum
from control.resources.columns import NONE
from control.resources.flowcontrol.conditions import condition_errors
from control.resources.flowcontrol.flowschema import EXEMPT
from control.resources.strategy import WRITABLE_METADATA, Column, Strategy

_SHARES, _QUEUES, _HAND, _LENGTH = 30, 64, 8, 50
_MAX_QUEUES = 10_000_000
_HASH_BITS = 60
_SPEC = Path("spec")

Level = PriorityLevelConfiguration


class PriorityLevelStrategy(Strategy[Level]):
    """Limited, with or without queues; only the level `exempt` never waits."""

    kept_by_status = WRITABLE_METADATA

    columns = (
        Column("Type", "string", lambda level, now: level.spec.type),
        Column("NominalConcurrencyShares", "string", lambda level, now: _shares(level.spec)),
        Column("Queues", "string", lambda level, now: _queuing(level, "queues")),
        Column("HandSize", "string", lambda level, now: _queuing(level, "hand_size")),
        Column(
            "QueueLengthLimit", "string", lambda level, now: _queuing(level, "queue_length_limit")
        ),
    )

    def default(self, obj: Level) -> None:
        if obj.spec.limited is not None:
            _complete_limited(obj.spec.limited)
        if exempt := obj.spec.exempt:
            exempt.nominal_concurrency_shares = exempt.nominal_concurrency_shares or 0
            exempt.lendable_percent = exempt.lendable_percent or 0

    def validate(self, obj: Level) -> list[FieldError]:
        return list(_spec_errors(obj.metadata.name, obj.spec))

    def validate_subresource(self, subresource: str, new: Level, old: Level) -> list[FieldError]:
        return list(condition_errors(new.status.conditions))


def _complete_limited(limited: LimitedPriorityLevelConfiguration) -> None:
    if limited.nominal_concurrency_shares is None:
        limited.nominal_concurrency_shares = _SHARES
    limited.lendable_percent = limited.lendable_percent or 0
    if queuing := limited.limit_response.queuing:
        queuing.queues = queuing.queues or _QUEUES
        queuing.hand_size = queuing.hand_size or _HAND
        queuing.queue_length_limit = queuing.queue_length_limit or _LENGTH


def _shares(spec: PriorityLevelConfigurationSpec) -> str:
    chosen = spec.limited or spec.exempt
    return NONE if chosen is None else str(chosen.nominal_concurrency_shares)


def _queuing(level: Level, attribute: str) -> str:
    limited = level.spec.limited
    queuing = limited.limit_response.queuing if limited is not None else None
    return NONE if queuing is None else str(getattr(queuing, attribute))


def _spec_errors(name: str, spec: PriorityLevelConfigurationSpec) -> Iterator[FieldError]:
    where = _SPEC.child("type")
    if (name == EXEMPT) != (spec.type == "Exempt"):
        yield invalid(where, spec.type, "type must be 'Exempt' if and only if name is 'exempt'")
    yield from check_enum(where, spec.type, PriorityLevelEnablement, needed=True)
    if spec.type == "Exempt":
        if spec.limited is not None:
            yield forbidden(_SPEC.child("limited"), "must be nil if the type is not Limited")
        if spec.exempt is not None:
            path = _SPEC.child("exempt")
            yield from _shares_errors(path, spec.exempt.nominal_concurrency_shares)
            yield from _percent_errors(path, spec.exempt.lendable_percent)
    elif spec.type == "Limited":
        if spec.exempt is not None:
            yield forbidden(_SPEC.child("exempt"), "must be nil if the type is Limited")
        if spec.limited is None:
            yield required(_SPEC.child("limited"), "must not be empty when type is Limited")
        else:
            yield from _limited_errors(_SPEC.child("limited"), spec.limited)


def _limited_errors(path: Path, limited: LimitedPriorityLevelConfiguration) -> Iterator[FieldError]:
    yield from _shares_errors(path, limited.nominal_concurrency_shares)
    yield from _percent_errors(path, limited.lendable_percent)
    borrowed = limited.borrowing_limit_percent
    if borrowed is not None and borrowed < 0:
        why = "if specified, must be a non-negative integer"
        yield invalid(path.child("borrowingLimitPercent"), borrowed, why)
    yield from _response_errors(path.child("limitResponse"), limited.limit_response)


def _shares_errors(path: Path, shares: int | None) -> Iterator[FieldError]:
    if shares is not None and shares < 0:
        where = path.child("nominalConcurrencyShares")
        yield invalid(where, shares, "must be a non-negative integer")


def _percent_errors(path: Path, percent: int | None) -> Iterator[FieldError]:
    if percent is not None and not 0 <= percent <= 100:
        where = path.child("lendablePercent")
        yield invalid(where, percent, "must be between 0 and 100, inclusive")


def _response_errors(path: Path, response: LimitResponse) -> Iterator[FieldError]:
    where = path.child("queuing")
    yield from check_enum(path.child("type"), response.type, LimitResponseType, needed=True)
    if response.type == "Reject" and response.queuing is not None:
        yield forbidden(where, "must be nil if limited.limitResponse.type is not Limited")
    elif response.type == "Queue" and response.queuing is None:
        yield required(where, "must not be empty if limited.limitResponse.type is Limited")
    elif response.type == "Queue" and response.queuing is not None:
        yield from _queuing_errors(where, response.queuing)


def _queuing_errors(path: Path, queuing: QueuingConfiguration) -> Iterator[FieldError]:
    """Queues are dealt to flows by a hash of 60 bits, which has to do for the whole hand."""
    queues, hand = queuing.queues, queuing.hand_size
    if queuing.queue_length_limit <= 0:
        yield invalid(
            path.child("queueLengthLimit"), queuing.queue_length_limit, "must be positive"
        )
    if queues <= 0:
        yield invalid(path.child("queues"), queues, "must be positive")
    elif queues > _MAX_QUEUES:
        yield invalid(path.child("queues"), queues, f"must not be greater than {_MAX_QUEUES}")
    where = path.child("handSize")
    if hand <= 0:
        yield invalid(where, hand, "must be positive")
    elif hand > queues:
        yield invalid(where, hand, f"should not be greater than queues ({queues})")
    elif math.ceil(math.log2(queues) * hand) > _HASH_BITS:
        yield invalid(
            where,
            hand,
            f"required entropy bits of deckSize {queues} and handSize {hand} should not be "
            f"greater than {_HASH_BITS}",
        )


STRATEGY = PriorityLevelStrategy(resource_of(PriorityLevelConfiguration))
