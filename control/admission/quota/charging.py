"""Charging a quota: what it counts of an object, and whether what is asked for fits. Walk step 1.

Pure. Only what rises is checked, so a namespace that is over its quota already, for the quota came
later, can always shrink. Invariants: `charge` returns no usage in which a name that rises is above its
hard amount; adding up `counted` over all objects of a namespace is what charging each of them came to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from api import quantity
from api.core import ResourceQuota
from api.scheme import Resource
from control.admission.quota.scopes import counts
from control.admission.quota.usage import Usage, usage

Amounts = Mapping[str, str]


class ExceededError(Exception):
    """There is no room; the text is what the client reads."""


def counted(quota: ResourceQuota, resource: Resource, obj: object, now: datetime) -> Usage:
    """What of the object's usage this quota counts; nothing of no object."""
    if obj is None or not counts(quota.spec, obj):
        return {}
    hard = quota.spec.hard
    return {n: amount for n, amount in usage(resource, obj, now).items() if n in hard}


def difference(new: Amounts, old: Amounts) -> Usage:
    """By how much a change raises or lowers each name; what stays is left out."""
    found = {}
    for name in sorted({*new, *old}):
        delta = quantity.parse(new.get(name, "0")) - quantity.parse(old.get(name, "0"))
        if delta:
            found[name] = str(delta)
    return found


def add(used: Amounts, deltas: Iterable[Amounts]) -> Usage:
    """The usage with changes in it; never below zero."""
    total = {name: quantity.parse(amount) for name, amount in used.items()}
    for delta in deltas:
        for name, amount in delta.items():
            total[name] = total.get(name, quantity.ZERO) + quantity.parse(amount)
    return {name: str(max(amount, quantity.ZERO)) for name, amount in total.items()}


def charge(name: str, hard: Amounts, used: Amounts, delta: Amounts) -> Usage:
    """The usage with `delta` in it.

    Raises:
        ExceededError: it would be too much. `name` is the quota's.
    """
    after = add(used, [delta])
    exceeded = [
        one
        for one in sorted(hard.keys() & delta.keys())
        if quantity.parse(delta[one]) > quantity.ZERO
        and quantity.compare(after[one], hard[one]) > 0
    ]
    if exceeded:
        asked, taken, most = (_shown(exceeded, amounts) for amounts in (delta, used, hard))
        raise ExceededError(
            f"exceeded quota: {name}, requested: {asked}, used: {taken}, limited: {most}"
        )
    return after


def _shown(names: list[str], amounts: Amounts) -> str:
    return ",".join(f"{name}={quantity.canonical(amounts.get(name, '0'))}" for name in names)
