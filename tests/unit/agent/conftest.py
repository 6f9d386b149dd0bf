"""A node with an agent, for tests of the agent as a whole: a fake engine, a fake API, a clock of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.agent.node import Node


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    node = Node(tmp_path)
    await node.boot()
    yield node
    await node.kill()
