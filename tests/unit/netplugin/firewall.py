"""A small iptables: it keeps chains as `iptables-restore --noflush` would, and walks a packet through
them with exact probabilities. What it does not understand it refuses loudly.
"""

from __future__ import annotations

import re
import shlex
from collections import defaultdict
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network

from base.process import CommandError
from netplugin.rules.ruleset import ChainId, Rules, Ruleset

BUILTIN = {
    "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
}
_TARGET = re.compile(r"(?:^| )-([jg]) (\S+)(.*)$")


class FakeFirewall:
    """Our `Firewall` interface on dictionaries."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, list[str]]] = {
            table: {chain: [] for chain in chains} for table, chains in BUILTIN.items()
        }
        self.restores = 0
        self.broken = False

    def save(self) -> str:
        lines = []
        for table, chains in self.tables.items():
            lines.append(f"*{table}")
            for chain in chains:
                lines.append(f":{chain} {'ACCEPT' if chain in BUILTIN[table] else '-'} [0:0]")
            lines += [f"-A {chain} {rule}" for chain, rules in chains.items() for rule in rules]
            lines.append("COMMIT")
        return "\n".join(lines) + "\n"

    def restore(self, text: str) -> None:
        if self.broken:
            raise CommandError("command failed: iptables-restore")
        self.restores += 1
        table = ""
        draft: dict[str, list[str]] = {}
        for line in text.splitlines():
            if line.startswith("*"):
                table = line[1:]
                draft = {chain: list(rules) for chain, rules in self.tables[table].items()}
            elif line.startswith(":"):
                draft[line[1:].split()[0]] = []
            elif line == "COMMIT":
                _check_references(draft)
                self.tables[table] = draft
            else:
                _change(draft, line)


def _change(draft: dict[str, list[str]], line: str) -> None:
    verb, chain, rest = ([*line.split(" ", 2), ""])[:3]
    match verb:
        case "-A":
            draft[chain].append(rest)
        case "-I":
            place, rule = rest.split(" ", 1)
            draft[chain].insert(int(place) - 1, rule)
        case "-D":
            draft[chain].remove(rest)
        case "-X":
            if draft[chain] or any(_jumps_to(rules, chain) for rules in draft.values()):
                raise CommandError(f"chain {chain} is not empty or in use")
            del draft[chain]
        case _:
            raise AssertionError(f"not understood: {line}")


def _jumps_to(rules: list[str], chain: str) -> bool:
    return any((found := _TARGET.search(rule)) and found.group(2) == chain for rule in rules)


def _check_references(chains: dict[str, list[str]]) -> None:
    for rules in chains.values():
        for rule in rules:
            found = _TARGET.search(rule)
            if found and found.group(2).startswith("PW-") and found.group(2) not in chains:
                raise CommandError(f"no chain {found.group(2)}")


@dataclass(frozen=True)
class Packet:
    source: str
    destination: str
    port: int
    protocol: str = "tcp"
    local: frozenset[str] = frozenset({"192.0.2.11", "127.0.0.1", "10.244.1.1"})
    marked: bool = False


@dataclass(frozen=True)
class Fate:
    verdict: str
    """`DNAT 10.244.1.2:80`, `REJECT`, `DROP`, `ACCEPT`, `MASQUERADE`, or `` when no rule decided."""
    marked: bool = False


def walk(ruleset: Ruleset, start: ChainId, packet: Packet) -> tuple[dict[Fate, float], int]:
    """What becomes of the packet, with which probability, and how many rules it may meet at most."""
    fates: dict[Fate, float] = defaultdict(float)
    most = 0

    # A path: what is still to be tried, as a stack of (chain, position).
    paths = [(((start, 0),), packet, 1.0, 0)]
    while paths:
        stack, packet, chance, met = paths.pop()
        most = max(most, met)
        if not stack:
            fates[Fate("", packet.marked)] += chance
            continue
        chain, position = stack[-1]
        rules = ruleset.chains[chain]
        if position == len(rules):
            paths.append((stack[:-1], packet, chance, met))
            continue
        onward = (*stack[:-1], (chain, position + 1))
        probability = _matches(rules[position], packet)
        if probability < 1:
            paths.append((onward, packet, chance * (1 - probability), met + 1))
        if probability > 0:
            _take(
                ruleset,
                rules[position],
                onward,
                packet,
                chance * probability,
                met + 1,
                paths,
                fates,
            )
    return dict(fates), most


def _take(ruleset, rule, onward, packet, chance, met, paths, fates):  # type: ignore[no-untyped-def]
    found = _TARGET.search(rule)
    assert found, rule
    how, target, rest = found.groups()
    if target.startswith("PW-"):
        chain = ChainId(onward[-1][0].table, target)
        stack = onward if how == "j" else onward[:-1]
        paths.append(((*stack, (chain, 0)), packet, chance, met))
    elif target == "MARK":
        paths.append((onward, replace(packet, marked=True), chance, met))
    elif target == "RETURN":
        paths.append((onward[:-1], packet, chance, met))
    else:
        words = rest.split()
        verdict = f"DNAT {words[1]}" if target == "DNAT" else target
        fates[Fate(verdict, packet.marked)] += chance


def _matches(rule: str, packet: Packet) -> float:
    """The probability that the rule matches."""
    words = shlex.split(rule)
    position, negated = 0, False
    probability = 1.0
    while position < len(words) and words[position] not in ("-j", "-g"):
        word = words[position]
        argument = words[position + 1] if position + 1 < len(words) else ""
        position += 2
        match word:
            case "!":
                negated = True
                position -= 1
                continue
            case "-m" | "--mode" | "--comment":
                continue
            case "-s":
                holds = IPv4Address(packet.source) in IPv4Network(argument)
            case "-d":
                holds = IPv4Address(packet.destination) in IPv4Network(argument)
            case "-p":
                holds = packet.protocol == argument
            case "--dport":
                low, _, high = argument.partition(":")
                holds = int(low) <= packet.port <= int(high or low)
            case "--dst-type":
                holds = packet.destination in packet.local
            case "--src-type":
                holds = packet.source in packet.local
            case "--ctstate":
                holds = "NEW" in argument
            case "--mark":
                holds = packet.marked
            case "--probability":
                probability = float(argument)
                holds = True
            case _:
                raise AssertionError(f"match not understood: {word} in {rule}")
        if holds == negated:
            return 0.0
        negated = False
    return probability


def all_rules(ruleset: Ruleset) -> Rules:
    return tuple(rule for rules in ruleset.chains.values() for rule in rules)
