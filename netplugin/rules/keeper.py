"""Getting rules into the kernel and keeping them there: never trust, always ensure.

The keeper knows what it applied last and gives the kernel only the difference, as one atomic
`iptables-restore --noflush`. What it knows may become wrong: a firewall is reloaded, Docker is
restarted, somebody flushes. `verify` reads everything back and repairs our part, and only that.

Kernels and iptables versions may spell a rule in another way than we do. When a chain that was just
written reads back with as many rules in other words, those words are remembered as its right
spelling; without that we would rewrite it for ever.

Concurrency: runs in the node's network thread. Invariant: after an error nothing is assumed; the
next call begins by reading what is there.
"""

from __future__ import annotations

import logging
from typing import Protocol

from base.errors import TemporaryError
from base.process import CommandError, run
from netplugin.rules import ruleset
from netplugin.rules.ruleset import ChainId, Observed, Rules, Ruleset

log = logging.getLogger(__name__)

_REMOVALS = 3


class Firewall(Protocol):
    """The two verbs of iptables that we use."""

    def save(self) -> str:
        """All tables as text."""
        ...

    def restore(self, text: str) -> None:
        """Apply the text without flushing what it does not name."""
        ...


class Iptables:
    """The system's iptables, whichever of its two backends (nft or legacy) it stands for: mixing
    the two on one machine hides each one's rules from the other."""

    def save(self) -> str:
        return run(["iptables-save"]).text

    def restore(self, text: str) -> None:
        run(["iptables-restore", "--noflush", "--wait"], input=text.encode())


class RuleKeeper:
    """Our part of the firewall."""

    def __init__(self, firewall: Firewall) -> None:
        self._firewall = firewall
        self._applied: Ruleset | None = None
        self._unread: set[ChainId] = set()
        self._spelling: dict[ChainId, tuple[Rules, Rules]] = {}
        self._applies = 0
        self._repairs = 0
        self._failures = 0
        self.transactions = 0
        """How many the kernel has seen from us; its generation number counts the same."""

    def observe(self) -> Observed:
        """What of ours is in the kernel."""
        return ruleset.observe(self._firewall.save())

    def apply(self, desired: Ruleset) -> bool:
        """Make the kernel hold `desired` and nothing else of ours; False when it did already."""
        if self._applied is None:
            changes = ruleset.difference(self.observe(), desired)
        else:
            changes = ruleset.between(self._applied, desired)
        if changes:
            self._restore(changes)
        self._applied = desired
        return bool(changes)

    def verify(self) -> list[str]:
        """Repair what is no longer as it was applied; names what was wrong."""
        if self._applied is None:
            return []
        observed = self._as_spelled(self.observe(), self._applied)
        changes = ruleset.difference(observed, self._applied)
        if not changes:
            return []
        wrong = [chain.name for chain in (*changes.replaced, *changes.deleted)]
        wrong += [f"{jump.chain} -> {jump.target}" for jump in changes.inserted]
        wrong += [f"{chain}: {rule}" for _, chain, rule in changes.removed]
        log.warning("repairing %d places in the firewall: %s", len(wrong), ", ".join(wrong[:10]))
        desired = self._applied
        self._restore(changes)
        self._applied = desired
        self._repairs += 1
        return wrong

    def supports(self, match: str) -> bool:
        """Whether this kernel and this iptables know the match: asked by using it once."""
        probe = ChainId("nat", f"{ruleset.PREFIX}PROBE")
        try:
            self._firewall.restore(
                ruleset.render(ruleset.Changes(replaced={probe: (f"{match} -j RETURN",)}))
            )
        except CommandError as error:
            log.debug("no match %r: %s", match, error)
            return False
        self._firewall.restore(ruleset.render(ruleset.Changes(replaced={}, deleted=(probe,))))
        self.transactions += 2
        return True

    def remove(self) -> None:
        """Take everything of ours out of the kernel."""
        for attempt in range(_REMOVALS):
            self._applied = None
            try:
                self.apply(Ruleset())
                break
            except TemporaryError:  # somebody changed the firewall between our look and our change
                if attempt == _REMOVALS - 1:
                    raise
        self._applied = None

    def forget(self) -> None:
        """Read the kernel before the next change instead of trusting what was applied."""
        self._applied = None

    def statistics(self) -> dict[str, float]:
        applied = self._applied.statistics() if self._applied else {"chains": 0, "rules": 0}
        return {
            **applied,
            "applies": self._applies,
            "repairs": self._repairs,
            "failures": self._failures,
        }

    def _restore(self, changes: ruleset.Changes) -> None:
        self._applied = None
        try:
            self._firewall.restore(ruleset.render(changes))
        except CommandError as error:
            self._failures += 1
            raise TemporaryError(
                f"the firewall refused our rules: {error.message}", hint=error.hint
            ) from error
        self._applies += 1
        self.transactions += len(ruleset.tables(changes))
        self._unread |= changes.replaced.keys()

    def _as_spelled(self, observed: Observed, desired: Ruleset) -> Observed:
        """`observed` with every chain that is right, but spelled differently, in our spelling."""
        chains = dict(observed.chains)
        for chain, rules in desired.chains.items():
            found = observed.chains.get(chain)
            if found is None or found == rules:
                continue
            if chain in self._unread and len(found) == len(rules):
                log.debug("%s is spelled by the kernel as %s", chain.name, found)
                self._spelling[chain] = (rules, found)
            if self._spelling.get(chain) == (rules, found):
                chains[chain] = rules
        self._unread.clear()
        return Observed(chains, observed.jumps, observed.pinned)
