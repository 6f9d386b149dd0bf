"""The ruleset value: what counts as ours, differences, and the text that carries them out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.errors import TemporaryError
from netplugin.rules import ruleset
from netplugin.rules.keeper import RuleKeeper
from netplugin.rules.ruleset import ChainId, Jump, Ruleset, chain_name, comment
from tests.unit.netplugin.firewall import FakeFirewall

A, B, C = (ChainId("nat", f"PW-{letter}") for letter in "ABC")
JUMP = Jump("nat", "PREROUTING", "PW-A")
SMALL = Ruleset({A: ("-p tcp -g PW-B",), B: ("-j RETURN",)}, frozenset({JUMP}))

names = st.sampled_from(["PW-A", "PW-B", "PW-C", "PW-D", "PW-E"])


@st.composite
def rulesets(draw: st.DrawFn) -> Ruleset:
    """Any ruleset whose jumps go to chains that exist, without loops."""
    chains: dict[ChainId, tuple[str, ...]] = {}
    for table in ("nat", "filter"):
        present = sorted(draw(st.sets(names)))
        for position, name in enumerate(present):
            later = present[position + 1 :]
            targets = st.sampled_from(
                ["-j RETURN", "-p tcp -j ACCEPT", *(f"-g {t}" for t in later)]
            )
            chains[ChainId(table, name)] = tuple(draw(st.lists(targets, max_size=4)))
    jumps = {Jump(chain.table, "OUTPUT", chain.name) for chain in chains if draw(st.booleans())}
    return Ruleset(chains, frozenset(jumps))


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("web", "web"),
        ("default/web:http", '"default/web:http"'),
        ('say "hi"', '"say \\"hi\\""'),
        ("it's", '"it\\\'s"'),
    ],
)
def test_comments_are_quoted_as_the_kernel_prints_them(text: str, quoted: str) -> None:
    assert comment(text) == f"-m comment --comment {quoted}"


def test_chain_names_fit_and_show_what_they_are() -> None:
    name = chain_name("SVC", "a-very-long-name-of-a-service.http", "1A2B3C4D")
    assert len(name) <= ruleset.MAX_NAME
    assert name.startswith("PW-SVC-a-very-long")
    assert name.endswith("-1A2B3C4D")


def test_only_what_is_ours_is_seen() -> None:
    seen = ruleset.observe(
        "*nat\n:PREROUTING ACCEPT [1:2]\n:DOCKER - [0:0]\n:PW-A - [0:0]\n"
        "-A PREROUTING -m comment --comment podwright -j PW-A\n"
        "-A PREROUTING -j DOCKER\n-A DOCKER -j PW-A\n-A PW-A -j RETURN\nCOMMIT\n"
    )
    assert seen.chains == {A: ("-j RETURN",)}
    assert seen.jumps == (("nat", "PREROUTING", "-m comment --comment podwright -j PW-A"),)
    assert seen.pinned == {A}


@given(st.lists(rulesets(), min_size=1, max_size=5))
def test_applying_any_sequence_ends_at_the_last_and_spares_the_foreign(
    sequence: list[Ruleset],
) -> None:
    firewall = FakeFirewall()
    firewall.tables["nat"] |= {"DOCKER": ["-j RETURN"]}
    firewall.tables["nat"]["PREROUTING"] = ["-j DOCKER"]
    keeper = RuleKeeper(firewall)
    for desired in sequence:
        keeper.apply(desired)
        seen = ruleset.observe(firewall.save())
        assert seen.chains == desired.chains
        assert sorted(seen.jumps) == sorted((j.table, j.chain, j.rule) for j in desired.jumps)
        before = firewall.restores
        assert not keeper.apply(desired)
        assert keeper.verify() == []
        assert firewall.restores == before
    keeper.remove()
    fresh = FakeFirewall()
    fresh.tables["nat"] |= {"DOCKER": ["-j RETURN"]}
    fresh.tables["nat"]["PREROUTING"] = ["-j DOCKER"]
    assert firewall.save() == fresh.save()


@given(rulesets(), rulesets(), st.data())
def test_any_damage_is_repaired(before: Ruleset, desired: Ruleset, data: st.DataObject) -> None:
    firewall = FakeFirewall()
    keeper = RuleKeeper(firewall)
    keeper.apply(before)
    keeper.apply(desired)
    keeper.verify()
    for table in ("nat", "filter"):
        for chain in sorted(firewall.tables[table]):
            match data.draw(st.sampled_from(["keep", "flush", "add", "twice"])):
                case "twice":  # what a reload by somebody else does while we repair
                    firewall.tables[table][chain] *= 2
                case "flush":
                    firewall.tables[table][chain] = []
                case "add" if chain.startswith("PW-"):
                    firewall.tables[table][chain].append("-p udp -j DROP")
    keeper.verify()
    seen = ruleset.observe(firewall.save())
    assert seen.chains == desired.chains
    assert sorted(seen.jumps) == sorted((j.table, j.chain, j.rule) for j in desired.jumps)


def test_a_new_process_changes_nothing_that_is_right() -> None:
    firewall = FakeFirewall()
    RuleKeeper(firewall).apply(SMALL)
    again = RuleKeeper(firewall)
    assert not again.apply(SMALL)
    assert firewall.restores == 1


def test_another_spelling_is_learnt_and_not_fought() -> None:
    firewall = FakeFirewall()
    keeper = RuleKeeper(firewall)
    keeper.apply(SMALL)
    firewall.tables["nat"]["PW-B"] = ["-m all -j RETURN"]  # how this kernel prints our rule
    assert keeper.verify() == []
    assert keeper.verify() == []
    firewall.tables["nat"]["PW-B"] = ["-j ACCEPT"]  # and this is somebody's doing
    assert keeper.verify() == ["PW-B"]


def test_a_chain_that_a_foreign_rule_uses_is_emptied_and_stays() -> None:
    firewall = FakeFirewall()
    keeper = RuleKeeper(firewall)
    keeper.apply(SMALL)
    firewall.tables["nat"]["OUTPUT"] = ["-j PW-B"]
    keeper.remove()
    assert firewall.tables["nat"]["PW-B"] == []
    assert firewall.tables["nat"]["OUTPUT"] == ["-j PW-B"]
    assert "PW-A" not in firewall.tables["nat"]


def test_a_refused_change_is_tried_again_from_what_is_there() -> None:
    firewall = FakeFirewall()
    keeper = RuleKeeper(firewall)
    keeper.apply(SMALL)
    firewall.broken = True
    with pytest.raises(TemporaryError):
        keeper.apply(Ruleset({C: ()}))
    firewall.broken = False
    keeper.apply(Ruleset({C: ()}))
    assert ruleset.observe(firewall.save()).chains == {C: ()}


def test_parts_do_not_overlap() -> None:
    with pytest.raises(AssertionError, match="PW-A"):
        SMALL | Ruleset({A: ()})
