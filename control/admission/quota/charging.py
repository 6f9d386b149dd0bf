"""Charging a quota: whether what is asked for fits beside what is used. Walk step 1.

Pure. Only what rises is checked, so a namespace that is over its quota already, for the quota came
later, can always shrink. Invariant: `charge` returns no usage in which a name that rises is above its
hard amount.
"""

from __future__ import annotations

from collections.abc import Mapping

from api import quantity

Amounts = Mapping[str, str]


class ExceededError(Exception):
    """There is no room; the text is what the client reads."""


def charge(name: str, hard: Amounts, used: Amounts, delta: Amounts) -> dict[str, str]:
    """The usage with `delta` in it, of the names that the quota limits.

    Raises:
        ExceededError: it would be too much. `name` is the quota's.
    """
    after = dict(used)
    exceeded = []
    for resource in sorted(hard.keys() & delta.keys()):
        change = quantity.parse(delta[resource])
        total = quantity.parse(used.get(resource, "0")) + change
        if change > quantity.ZERO and total > quantity.parse(hard[resource]):
            exceeded.append(resource)
        after[resource] = str(max(total, quantity.ZERO))
    if exceeded:
        asked, taken, most = (_shown(exceeded, amounts) for amounts in (delta, used, hard))
        raise ExceededError(
            f"exceeded quota: {name}, requested: {asked}, used: {taken}, limited: {most}"
        )
    return after


def _shown(names: list[str], amounts: Amounts) -> str:
    return ",".join(f"{name}={quantity.canonical(amounts.get(name, '0'))}" for name in names)
