"""The tokens of one pod's service account: asked for when they are needed, renewed before they end.

Step 4 of the pod's walk. As Kubernetes documents it: a token is renewed when a fifth of its life is
left, and after a day in any case; up to ten seconds earlier, so that pods which started together do
not ask together. While the API cannot be asked, a token that has not ended yet goes on being shown.

Concurrency: the pod's worker alone asks; several volumes at a time, each for a token of its own kind.
Tokens are kept in memory only, as long as the pod's worker lives.
"""

from __future__ import annotations

import logging
import random
from dataclasses import dataclass
from datetime import datetime, timedelta

from agent.volumes.base import Objects
from api.core import Pod
from base.clock import Clock
from base.errors import PodwrightError

log = logging.getLogger(__name__)

LEFT = 0.2
"""The share of its life that is left when a token is renewed."""
LONGEST = timedelta(hours=24)
JITTER = 10.0
RETRY = timedelta(seconds=30)
"""How long a refusal rests while the old token is still good."""


@dataclass(kw_only=True)
class _Held:
    text: str
    renew: datetime
    ends: datetime


class PodTokens:
    """The tokens of one pod, by audience and lifetime."""

    def __init__(self, objects: Objects, clock: Clock) -> None:
        self._objects = objects
        self._clock = clock
        self._held: dict[tuple[str, int], _Held] = {}

    async def get(self, pod: Pod, audience: str, seconds: int) -> str:
        """A token that is good for a while yet. Raises as `Objects.token` does."""
        held, now = self._held.get((audience, seconds)), self._clock.now()
        if held is not None and now < held.renew:
            return held.text
        try:
            token = await self._objects.token(pod, audience=audience, seconds=seconds)
        except PodwrightError as error:
            if held is None or held.ends <= now:
                raise
            name = f"{pod.metadata.namespace}/{pod.metadata.name}"
            log.warning("pod %s: its token is not renewed yet: %s", name, error.message)
            held.renew = min(now + RETRY, held.ends)
            return held.text
        wait = renew_after(token.lifetime, jitter=random.uniform(0.0, JITTER))
        now = self._clock.now()
        self._held[audience, seconds] = _Held(
            text=token.text, renew=now + wait, ends=now + token.lifetime
        )
        return token.text

    def clear(self) -> None:
        """Forget them: the pod is gone."""
        self._held.clear()


def renew_after(lifetime: timedelta, *, jitter: float) -> timedelta:
    """How long a new token is used before the next one is asked for."""
    return min(lifetime * (1 - LEFT), LONGEST) - timedelta(seconds=jitter)
