"""A ruleset as a value, the difference between two, and both as iptables text (step 6 of the walk).

Rules are strings in exactly the spelling of `iptables-save`, without the leading `-A CHAIN`: then
what the kernel holds can be compared with what it should hold by comparing strings.

Only chains whose name begins with `PW-` are ours, and only rules elsewhere that jump to such a chain
and carry our comment. `observe` sees nothing else, so nothing else can be changed.

Everything here is pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

PREFIX = "PW-"
OWNER = "podwright"
MAX_NAME = 28  # bytes of a chain's name
_MAX_COMMENT = 240

_PLAIN = re.compile(r"[A-Za-z0-9_-]+")
_TARGET = re.compile(r"(?:^| )-[jg] (\S+)")


class ChainId(NamedTuple):
    table: str
    name: str


class Jump(NamedTuple):
    """A rule of ours in a chain that is not: put first, so that no foreign verdict comes before."""

    table: str
    chain: str
    target: str
    match: str = ""

    @property
    def rule(self) -> str:
        match = f"{self.match} " if self.match else ""
        return f"{match}{comment(OWNER)} -j {self.target}"


Rules = tuple[str, ...]


@dataclass(frozen=True)
class Ruleset:
    """Chains with their rules, and the jumps that lead into them."""

    chains: Mapping[ChainId, Rules] = field(default_factory=dict)
    jumps: frozenset[Jump] = frozenset()

    def __or__(self, other: Ruleset) -> Ruleset:
        """Both together; no chain may be in both."""
        clash = self.chains.keys() & other.chains.keys()
        assert not clash, f"chains made twice: {sorted(clash)}"
        return Ruleset({**self.chains, **other.chains}, self.jumps | other.jumps)

    def statistics(self) -> dict[str, float]:
        return {
            "chains": len(self.chains),
            "rules": sum(len(rules) for rules in self.chains.values()),
        }


@dataclass(frozen=True)
class Observed:
    """Our part of what the kernel holds."""

    chains: Mapping[ChainId, Rules]
    jumps: tuple[tuple[str, str, str], ...]
    """(table, chain, rule), spelled as the kernel does; each as often as it is there: a reload by
    somebody else may bring one back while we do the same."""
    pinned: frozenset[ChainId]
    """Chains of ours that a foreign rule jumps to: they can be emptied, not deleted."""


@dataclass(frozen=True)
class Changes:
    """What turns one ruleset into another."""

    replaced: Mapping[ChainId, Rules]
    deleted: tuple[ChainId, ...] = ()
    emptied: tuple[ChainId, ...] = ()
    inserted: tuple[Jump, ...] = ()
    removed: tuple[tuple[str, str, str], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.replaced or self.deleted or self.emptied or self.inserted or self.removed)


def comment(text: str) -> str:
    """The comment match, quoted as iptables-save quotes it."""
    text = text[:_MAX_COMMENT]
    if _PLAIN.fullmatch(text):
        return f"-m comment --comment {text}"
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("'", "\\'")
    return f'-m comment --comment "{escaped}"'


def observe(save: str) -> Observed:
    """Read our part out of the text of `iptables-save`."""
    chains: dict[ChainId, list[str]] = {}
    jumps: list[tuple[str, str, str]] = []
    pinned: set[ChainId] = set()
    table = ""
    for line in save.splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith(":" + PREFIX):
            chains[ChainId(table, line[1:].split(" ", 1)[0])] = []
        elif line.startswith("-A "):
            name, _, rule = line[3:].partition(" ")
            if name.startswith(PREFIX):
                chains.setdefault(ChainId(table, name), []).append(rule)
            elif (target := _our_target(rule)) is not None:
                if f"--comment {OWNER} " in rule:
                    jumps.append((table, name, rule))
                else:
                    pinned.add(ChainId(table, target))
    return Observed(
        {chain: tuple(rules) for chain, rules in chains.items()},
        tuple(jumps),
        frozenset(pinned),
    )


def difference(observed: Observed, desired: Ruleset) -> Changes:
    """What must be done so that the kernel holds exactly `desired`, and nothing else of ours."""
    replaced = {
        chain: rules
        for chain, rules in desired.chains.items()
        if observed.chains.get(chain) != rules
    }
    surplus = sorted(observed.chains.keys() - desired.chains.keys())
    wanted = {(jump.table, jump.chain, jump.target): jump for jump in desired.jumps}
    present, removed = set(), []
    for table, chain, rule in sorted(observed.jumps):
        place = (table, chain, _our_target(rule) or "")
        # Compared by place and target, not by spelling: a kernel that spells a match differently
        # must not make us insert the same jump for ever.
        if place in wanted and place not in present:
            present.add(place)
        else:
            removed.append((table, chain, rule))
    return Changes(
        replaced=replaced,
        deleted=tuple(chain for chain in surplus if chain not in observed.pinned),
        emptied=tuple(
            chain for chain in surplus if chain in observed.pinned and observed.chains[chain]
        ),
        inserted=tuple(sorted(jump for place, jump in wanted.items() if place not in present)),
        removed=tuple(removed),
    )


def between(old: Ruleset, new: Ruleset) -> Changes:
    """The difference when the kernel is known to hold `old`."""
    jumps = tuple((jump.table, jump.chain, jump.rule) for jump in old.jumps)
    return difference(Observed(old.chains, jumps, frozenset()), new)


def render(changes: Changes) -> str:
    """Text for `iptables-restore --noflush`: one transaction per table.

    A `:CHAIN` line makes the chain, or empties it. Chains to be deleted are emptied first, together
    with everything that jumped to them, and deleted last.
    """
    return "".join(_render_table(table, changes) for table in tables(changes))


def chain_name(kind: str, readable: str, digest: str) -> str:
    """`PW-SVC-web-1A2B3C4D`: what a person looks for, and what makes it unique."""
    room = MAX_NAME - len(PREFIX) - len(kind) - len(digest) - 2
    return f"{PREFIX}{kind}-{readable[:room].rstrip('-.')}-{digest}"


def _render_table(table: str, changes: Changes) -> str:
    replaced = {chain: rules for chain, rules in changes.replaced.items() if chain.table == table}
    deleted = [chain for chain in changes.deleted if chain.table == table]
    emptied = [chain for chain in changes.emptied if chain.table == table]
    lines = [f"*{table}"]
    lines += [f":{chain.name} - [0:0]" for chain in (*replaced, *deleted, *emptied)]
    lines += [f"-D {chain} {rule}" for where, chain, rule in changes.removed if where == table]
    for chain, rules in replaced.items():
        lines += [f"-A {chain.name} {rule}" for rule in rules]
    lines += [f"-I {j.chain} 1 {j.rule}" for j in changes.inserted if j.table == table]
    lines += [f"-X {chain.name}" for chain in deleted]
    return "\n".join([*lines, "COMMIT", ""])


def tables(changes: Changes) -> list[str]:
    """The tables that must be touched, each in a transaction of its own."""
    chains: Iterable[ChainId] = (*changes.replaced, *changes.deleted, *changes.emptied)
    found = {chain.table for chain in chains}
    found |= {jump.table for jump in changes.inserted}
    found |= {table for table, _, _ in changes.removed}
    return sorted(found)


def _our_target(rule: str) -> str | None:
    found = _TARGET.search(rule)
    target = found.group(1) if found else ""
    return target if target.startswith(PREFIX) else None
