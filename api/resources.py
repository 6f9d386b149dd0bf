"""Amounts of resources as whole numbers: CPU in thousandths of a core, all else in its unit.

Serves the scheduler's filters, the quality of service, and the agent's cgroups: they add and compare
amounts far more often than they print them. Rounded up, as Kubernetes does. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

from api import quantity

CPU = "cpu"
MEMORY = "memory"
EPHEMERAL_STORAGE = "ephemeral-storage"
PODS = "pods"

Amounts = dict[str, int]


def amount(name: str, text: str) -> int:
    """`cpu: 1500m` → 1500, `memory: 1Gi` → 1073741824."""
    parsed = quantity.parse(text)
    return parsed.milli if name == CPU else parsed.value


def amounts(quantities: Mapping[str, str]) -> Amounts:
    """A resource list as numbers."""
    return {name: amount(name, text) for name, text in quantities.items()}


def quantities(found: Mapping[str, int]) -> dict[str, str]:
    """Numbers as a resource list."""
    return {name: _spell(name, number) for name, number in found.items()}


def add(total: Amounts, more: Mapping[str, int]) -> None:
    """Add `more` to `total`, in place."""
    for name, number in more.items():
        total[name] = total.get(name, 0) + number


def raise_to(total: Amounts, least: Mapping[str, int]) -> None:
    """Raise each amount of `total` to at least that of `least`, in place."""
    for name, number in least.items():
        if number > total.get(name, -1):
            total[name] = number


def _spell(name: str, number: int) -> str:
    if name == CPU:
        return quantity.from_milli(number)
    if name in (MEMORY, EPHEMERAL_STORAGE) or name.startswith("hugepages-"):
        return quantity.from_bytes(number)
    return quantity.from_value(number)
