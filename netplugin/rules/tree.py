"""Many entries, few comparisons: chains as a search tree over the bits of an address or port.

iptables tries the rules of a chain one after another, so a chain with a rule for each service makes
every new connection of the node pay for all services. An ipset would do, but needs a tool that hosts
lack. Instead entries are spread over a tree: a chain that would hold more than `LEAF` rules is split
by its next four bits into at most sixteen chains. A packet meets at most 16 rules per level and
`LEAF` in the last chain, and there are log16(entries) levels: 2 for a thousand services, at most 8
ever. Levels in which all entries agree are skipped.

The tree's shape is a function of the set of keys alone, and a chain's name says which part it
covers (`PW-VIP-10.96.16.0-20`), so adding an entry changes one chain, or two when a leaf splits.

Everything here is pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Protocol

from netplugin.rules.ruleset import PREFIX, ChainId, Rules

LEAF = 8
"""Rules that one chain may hold before it is split."""
FAN_BITS = 4


class Keys(Protocol):
    """What the entries are sorted by."""

    @property
    def bits(self) -> int: ...

    def match(self, start: int, length: int) -> str:
        """The match for all keys that agree with `start` in their first `length` bits."""
        ...

    def name(self, start: int, length: int) -> str:
        """The same as part of a chain's name."""
        ...


@dataclass(frozen=True)
class Addresses:
    """Entries sorted by destination address."""

    bits: int = 32

    def match(self, start: int, length: int) -> str:
        return f"-d {IPv4Address(start)}/{length}"

    def name(self, start: int, length: int) -> str:
        return f"{IPv4Address(start)}-{length}"


@dataclass(frozen=True)
class Ports:
    """Entries sorted by destination port."""

    protocol: str
    bits: int = 16

    def match(self, start: int, length: int) -> str:
        end = start + (1 << (16 - length)) - 1
        ports = str(start) if start == end else f"{start}:{end}"
        return f"-p {self.protocol} -m {self.protocol} --dport {ports}"

    def name(self, start: int, length: int) -> str:
        return f"{self.protocol}-{start}-{length}"


def arrange(
    root: ChainId,
    branch: str,
    entries: Mapping[int, Rules],
    keys: Keys,
    *,
    first: Rules = (),
    last: Rules = (),
    verb: str = "-g",
) -> dict[ChainId, Rules]:
    """Chains such that a packet entering `root` meets the rules of its key.

    `branch` begins the names of the other chains (`PW-<branch>-…`); `first` and `last` are put
    around the root's own rules. With the verb `-g` a packet that matches nothing returns to where
    `root` was called from; with `-j` it also meets `last`.
    """
    chains: dict[ChainId, Rules] = {}

    def grow(chain: ChainId, mine: Mapping[int, Rules], depth: int) -> Rules:
        if sum(len(rules) for rules in mine.values()) <= LEAF or len(mine) == 1:
            return tuple(rule for key in sorted(mine) for rule in mine[key])
        depth = min(_split_depth(mine, keys.bits, depth), keys.bits)
        groups: dict[int, dict[int, Rules]] = {}
        for key, rules in mine.items():
            groups.setdefault(key >> (keys.bits - depth), {})[key] = rules
        rules_here: list[str] = []
        for group in sorted(groups):
            members = groups[group]
            if sum(len(rules) for rules in members.values()) == 1:
                rules_here += next(iter(members.values()))
                continue
            start = group << (keys.bits - depth)
            child = ChainId(chain.table, f"{PREFIX}{branch}-{keys.name(start, depth)}")
            chains[child] = grow(child, members, depth)
            rules_here.append(f"{keys.match(start, depth)} {verb} {child.name}")
        return tuple(rules_here)

    chains[root] = (*first, *grow(root, entries, 0), *last)
    return chains


def _split_depth(entries: Mapping[int, Rules], bits: int, depth: int) -> int:
    """The first four-bit boundary beyond `depth` at which the keys differ."""
    agreed = bits - (min(entries) ^ max(entries)).bit_length()
    return max(agreed // FAN_BITS, depth // FAN_BITS) * FAN_BITS + FAN_BITS
