"""The tree of chains: every key finds its rules, nobody meets many others."""

from __future__ import annotations

import math
import random
from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st

from netplugin.rules.ruleset import MAX_NAME, ChainId, Ruleset
from netplugin.rules.tree import LEAF, Addresses, Ports, arrange
from tests.unit.netplugin.firewall import Packet, walk

ROOT = ChainId("nat", "PW-ROOT")
clustered = st.builds(
    lambda base, offset: (base << 16 | offset) % 2**32,
    st.sampled_from([0x0A600000 >> 16, 0x0A61, 0xC0A8, 0]),
    st.integers(0, 2**16 - 1),
)
addresses = st.sets(st.one_of(clustered, st.integers(0, 2**32 - 1)), max_size=60)


def tree_of(keys: set[int], verb: str = "-g") -> Ruleset:
    entries = {
        key: (f"-d {IPv4Address(key)}/32 -j DNAT --to-destination {IPv4Address(key)}:1",)
        for key in keys
    }
    return Ruleset(arrange(ROOT, "VIP", entries, Addresses(), verb=verb))


@given(addresses, st.integers(0, 2**32 - 1), st.sampled_from(["-g", "-j"]))
def test_each_key_finds_its_rule_and_others_none(keys: set[int], other: int, verb: str) -> None:
    ruleset = tree_of(keys, verb)
    for key in {*keys, other}:
        address = str(IPv4Address(key))
        fates, _ = walk(ruleset, ROOT, Packet("10.0.0.1", address, 80))
        (fate,) = fates
        assert fate.verdict == (f"DNAT {address}:1" if key in keys else "")
    assert all(len(chain.name) <= MAX_NAME for chain in ruleset.chains)


@given(st.dictionaries(st.integers(0, 65535), st.integers(1, 3), max_size=80))
def test_ports_alike(counts: dict[int, int]) -> None:
    entries = {
        port: tuple(f"-p udp -m udp --dport {port} -j ACCEPT" for _ in range(count))
        for port, count in counts.items()
    }
    ruleset = Ruleset(arrange(ROOT, "NODEPORTS", entries, Ports("udp")))
    for port in {*counts, 4711}:
        fates, _ = walk(ruleset, ROOT, Packet("10.0.0.1", "10.0.0.2", port, "udp"))
        assert [fate.verdict for fate in fates] == ["ACCEPT" if port in counts else ""]
    assert all(len(chain.name) <= MAX_NAME for chain in ruleset.chains)


def most_met(count: int) -> int:
    chosen = set(random.Random(1).sample(range(0x0A600000, 0x0A700000), count))
    ruleset = tree_of(chosen)
    some = sorted(chosen)[:: max(1, count // 50)]
    return max(
        walk(ruleset, ROOT, Packet("10.0.0.1", str(IPv4Address(key)), 80))[1] for key in some
    )


def test_a_packet_meets_few_rules_however_many_there_are() -> None:
    for count in (10, 1_000, 20_000):
        levels = math.ceil(math.log(count / LEAF, 16)) + 1
        assert most_met(count) <= 16 * levels + 2 * LEAF
    assert most_met(20_000) <= 5 * most_met(10)


@given(addresses, st.integers(0, 2**32 - 1))
def test_one_more_key_changes_few_chains(keys: set[int], more: int) -> None:
    before, after = tree_of(keys).chains, tree_of(keys | {more}).chains
    changed = [chain for chain, rules in after.items() if before.get(chain) != rules]
    # the chain it falls into, and those that a split of that chain makes
    assert len(changed) <= 1 + 16 + 1
