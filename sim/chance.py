"""The only source of chance: one seed, and from it a stream of its own for each purpose.

Streams are independent, so that one more draw for the nodes does not change what befalls the pods.
`random.Random` seeds itself with a text by hashing all of it, the same in every process.
"""

from __future__ import annotations

import random

Span = tuple[float, float]
"""From and to, in seconds; whatever lies between is as likely as anything else."""


class Chance:
    """Streams of random numbers by name."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def __repr__(self) -> str:
        return f"Chance({self.seed})"

    def stream(self, *purpose: str) -> random.Random:
        """The stream for a purpose, from its beginning: ask once and keep it."""
        return random.Random("/".join((str(self.seed), *purpose)))


def within(source: random.Random, span: Span) -> float:
    """A moment of the span."""
    low, high = span
    return low if low == high else source.uniform(low, high)
