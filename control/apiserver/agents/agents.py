"""The way to the agents: TLS with the cluster's CA on both ends, one pool of connections for logs.

For whoever looks into a running pod. Connections are as many as there are readers; nothing is
queued. An agent that cannot be reached is a 502-like error that says which node, address and why.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping

import aiohttp

from api import errors
from api.core import Node, Pod
from api.errors import ApiError
from base import pki
from base.pki import KeyPair
from control.admission.chain import Reader
from control.apiserver.agents.location import Agent, agent_of

MAX_ANSWER = 16 * 1024 * 1024
CONNECT_TIMEOUT = 10.0


class Agents:
    """Finds agents and opens connections to them."""

    def __init__(self, reader: Reader, *, ca_pem: bytes, pair: KeyPair) -> None:
        self._reader = reader
        self._verified = pki.client_context(ca_pem=ca_pem, pair=pair)
        self._unverified = pki.client_context(ca_pem=ca_pem, pair=pair)
        self._unverified.check_hostname = False
        self._unverified.verify_mode = ssl.CERT_NONE
        self._session: aiohttp.ClientSession | None = None

    def renew(self, pair: KeyPair) -> None:
        """Show another certificate from now on."""
        for context in (self._verified, self._unverified):
            pki.use_pair(context, pair)

    def of(self, pod: Pod) -> Agent:
        """The agent of the pod's node."""
        if not pod.spec.node_name:
            raise errors.bad_request(f"pod {pod.metadata.name} does not have a host assigned")
        node = self._reader.get(Node, pod.spec.node_name)
        if node is None:
            raise errors.internal(
                f'pod {pod.metadata.name} is on node "{pod.spec.node_name}", which does not exist'
            )
        return agent_of(node)

    async def get(
        self, agent: Agent, path: str, query: Mapping[str, str], *, verify: bool = True
    ) -> aiohttp.ClientResponse:
        """Begin a GET; the caller reads and closes the response."""
        try:
            return await self._open().get(
                agent.url + path,
                params=query,
                ssl=self._verified if verify else self._unverified,
                allow_redirects=False,  # with our certificate, it would read what others may not
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT),
            )
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise unreachable(agent, error) from None

    async def connect(self, agent: Agent) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A bare TLS connection, for streams that are passed on byte by byte."""
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                return await asyncio.open_connection(
                    agent.host, agent.port, ssl=self._verified, server_hostname=agent.host
                )
        except (OSError, TimeoutError) as error:
            raise unreachable(agent, error) from None

    async def close(self) -> None:
        """Safe to call twice."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0), auto_decompress=False
            )
        return self._session


async def body_of(answer: aiohttp.ClientResponse) -> bytes:
    """All of a short answer. Raises 500 for one without end: agents may be anybody's."""
    body = bytearray()
    async for piece in answer.content.iter_any():
        body += piece
        if len(body) > MAX_ANSWER:
            raise errors.internal("the agent's answer is too large")
    return bytes(body)


def unreachable(agent: Agent, error: BaseException) -> ApiError:
    """The agent did not answer: whose fault it is cannot be known from here."""
    why = "no answer in time" if isinstance(error, TimeoutError) else str(error)
    failure = errors.internal(
        f'error dialing the agent of node "{agent.name}" at {agent.host}:{agent.port}: {why}'
    )
    failure.status.code = 502
    return failure
