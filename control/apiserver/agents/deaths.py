"""How a pod's containers died, asked of the agent of its node (for `podwright why`).

Nothing is kept here. An agent that does not answer at once is left out: what the API knows of the pod
explains most, and whoever asks why is waiting.
"""

from __future__ import annotations

import asyncio
import logging

import aiohttp
import msgspec

from api.core import Pod
from api.errors import ApiError
from api.struct import ApiStruct
from api.why import Death
from control.apiserver.agents.agents import Agents, body_of

log = logging.getLogger(__name__)

PATIENCE = 3.0


class _Answer(ApiStruct):
    deaths: list[Death]


_decoder = msgspec.json.Decoder(_Answer)


async def deaths_of(agents: Agents, pod: Pod) -> list[Death]:
    """The newest first; none where the agent cannot tell."""
    if not pod.spec.node_name:
        return []
    path = f"/deaths/{pod.metadata.namespace}/{pod.metadata.name}"
    try:
        async with asyncio.timeout(PATIENCE):
            response = await agents.get(agents.of(pod), path, {})
            async with response:
                if response.status != 200:
                    return []
                return _decoder.decode(await body_of(response)).deaths
    except (ApiError, aiohttp.ClientError, OSError, TimeoutError, msgspec.DecodeError) as error:
        log.info("how containers of %s died is not known: %s", pod.metadata.name, error)
        return []
