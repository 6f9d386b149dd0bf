"""IntOrString: a number or a percentage of some total, as in `maxSurge: 25%`.

Serves the controllers that scale (rollouts, disruption budgets) and validation. Pure.
"""

from __future__ import annotations

import re

_PERCENT = re.compile(r"[+-]?[0-9]{1,18}%", re.ASCII)


def resolve(value: int | str, total: int, *, round_up: bool) -> int:
    """The number that `value` means of `total`; a percentage is rounded as asked.

    Raises:
        ValueError: a string that is not a percentage.
    """
    if isinstance(value, int):
        return value
    if _PERCENT.fullmatch(value) is None:
        raise ValueError(
            "invalid value for IntOrString: invalid type: string is not a percentage "
            f'(got "{value}", expected a number or a percentage such as "25%")'
        )
    share = int(value[:-1]) * total
    return -(-share // 100) if round_up else share // 100


def is_percent(value: int | str) -> bool:
    """Whether `value` is written as a percentage."""
    return isinstance(value, str) and _PERCENT.fullmatch(value) is not None
