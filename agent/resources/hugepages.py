"""Huge pages: which there are, and how pods are kept to theirs (step 4 of the pod's walk).

A size is `2Mi` in resource names, `2MB` in cgroups and bytes in mount options. Pure, but for `read`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from api import quantity

SYSTEM = Path("/sys/kernel/mm/hugepages")
PREFIX = "hugepages-"
_CGROUP_UNITS = ((1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "KB"))


def read(root: Path = SYSTEM) -> dict[str, str]:
    """The machine's huge pages as resources: `hugepages-2Mi: 64Mi`. Sizes without pages are told, too."""
    found = {}
    for folder in sorted(root.glob("hugepages-*kB")):
        size = int(folder.name.removeprefix(PREFIX).removesuffix("kB")) * 1024
        try:
            count = int((folder / "nr_hugepages").read_text())
        except (OSError, ValueError):
            continue
        found[f"{PREFIX}{quantity.from_bytes(size)}"] = quantity.from_bytes(size * count)
    return found


def sizes(amounts: Mapping[str, object]) -> list[int]:
    """The page sizes, in bytes, that resource names speak of."""
    return sorted(
        quantity.value(name.removeprefix(PREFIX)) for name in amounts if name.startswith(PREFIX)
    )


def total(amounts: Mapping[str, str]) -> int:
    """Bytes of memory that are huge pages, and so nobody else's."""
    return sum(quantity.value(text) for name, text in amounts.items() if name.startswith(PREFIX))


def limits(node: Mapping[str, str], wanted: Mapping[str, int]) -> dict[str, int]:
    """By size as cgroups spell it, how many bytes a pod may use: none of those that it did not ask for."""
    return {
        cgroup_size(size): wanted.get(f"{PREFIX}{quantity.from_bytes(size)}", 0)
        for size in sizes(node)
    }


def cgroup_size(size: int) -> str:
    """`2MB`, `1GB`: as the files of the hugetlb controller are named."""
    unit, name = next((unit, name) for unit, name in _CGROUP_UNITS if size >= unit)
    return f"{size // unit}{name}"
