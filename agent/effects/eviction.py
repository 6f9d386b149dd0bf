"""A pod that this node ends for good: decided once, whatever becomes of the agent (step 7 of the pod's walk).

The API hears of it when the last container has ended. An agent that is killed before then, or has no API,
would find a pod that is wanted, and start it again. So the decision stands in a file of the pod's directory
before anything is done about it; no power cut is waited for, since after one nothing runs.

Not that of a static pod: nobody would make another one, and its uid comes back with the next start of the
node.
"""

from __future__ import annotations

import logging

import msgspec

from agent.effects.context import PodContext
from agent.pod.observed import Eviction
from base.files import atomic_write, make_directory

log = logging.getLogger(__name__)

FILE = "eviction.json"
_decoder = msgspec.json.Decoder(Eviction)


def decide(ctx: PodContext, eviction: Eviction, *, kept: bool = True) -> None:
    """From now on the pod ends, for this reason; `kept`: also for the agents after this one."""
    if kept:
        try:
            make_directory(ctx.directory, 0o750)
            content = msgspec.json.encode(eviction)
            atomic_write(ctx.directory / FILE, content, 0o600, durable=False)
        except OSError as error:  # a full disk must not keep what fills it
            log.warning("why pod %s ends is not written: %s", ctx.pod.metadata.name, error)
    ctx.memory.eviction = eviction


def recall(ctx: PodContext) -> None:
    """Read what an earlier agent decided."""
    try:
        ctx.memory.eviction = _decoder.decode((ctx.directory / FILE).read_bytes())
    except FileNotFoundError:
        return
    except (OSError, msgspec.DecodeError) as error:
        log.warning("why pod %s was to end is not known: %s", ctx.pod.metadata.name, error)
