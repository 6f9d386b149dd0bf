"""Termination messages: which words of a container are kept, and how much of them."""

from __future__ import annotations

from typing import Any

import pytest

from agent.containers.records import Channel
from agent.containers.script import Script
from tests.unit.agent.builders import UID, container, make_pod, post_start
from tests.unit.agent.node import Node

FALLBACK = "FallbackToLogsOnError"


def lines(count: int, width: int = 0) -> tuple[tuple[Channel, bytes], ...]:
    return tuple((Channel.STDOUT, f"{n:0{width}}\n".encode()) for n in range(count))


async def last_words(node: Node, script: Script, *, written: bytes = b"", **more: Any) -> str:
    node.runtime.scripts["web"] = script
    node.api.put(make_pod(container(**more), policy="Never"))
    await node.run(0.5)
    if written:
        (node.directory / "pods" / UID / "containers/web/0").write_bytes(written)
    await node.run(2)
    (status,) = node.api.pod().status.container_statuses
    assert status.state.terminated is not None
    message = status.state.terminated.message
    assert isinstance(message, str)
    return message


FAILS = Script(run_for=1, exit_code=1, log=lines(3))
DONE = Script(run_for=1, log=lines(3))
DIED = "its program ended with exit code 1"
WORDS = [
    # how it ends, the policy, what it wrote, what is told
    (DONE, "File", b"fine", "fine"),
    (DONE, "File", b"", ""),
    (DONE, FALLBACK, b"", ""),  # it did not fail
    (FAILS, "File", b"oops", "oops"),
    (FAILS, "File", b"", DIED),  # nothing of the log: there may be secrets in it
    (FAILS, FALLBACK, b"oops", "oops"),
    (FAILS, FALLBACK, b"", "0\n1\n2\n"),
]


@pytest.mark.parametrize(("script", "policy", "written", "told"), WORDS)
async def test_which_words(
    node: Node, script: Script, policy: str, written: bytes, told: str
) -> None:
    fields = {"termination_message_policy": policy}
    assert await last_words(node, script, written=written, **fields) == told


async def test_the_end_of_a_long_message_counts(node: Node) -> None:
    written = b"x" * 5000 + b"y" * 4096
    assert await last_words(node, DONE, written=written) == "y" * 4096


async def test_of_a_log_the_last_eighty_lines_count(node: Node) -> None:
    script = Script(run_for=1, exit_code=1, log=lines(200))
    message = await last_words(node, script, termination_message_policy=FALLBACK)
    assert message.split() == [str(n) for n in range(120, 200)]


async def test_of_long_lines_the_last_two_thousand_bytes_count(node: Node) -> None:
    script = Script(run_for=1, exit_code=1, log=lines(70, width=100))
    message = await last_words(node, script, termination_message_policy=FALLBACK)
    assert len(message) == 2048 and message.endswith("69\n")


async def test_a_path_of_its_own(node: Node) -> None:
    fields = {"termination_message_path": "/tmp/last"}
    assert await last_words(node, DONE, written=b"here", **fields) == "here"
    (spec,) = [spec for spec in node.runtime.specs.values() if "k8s_web_" in spec.name]
    (mount,) = [mount for mount in spec.mounts if mount.target == "/tmp/last"]
    assert mount.source == str(node.directory / "pods" / UID / "containers/web/0")
    assert not mount.read_only
    assert all(mount.target != "/dev/termination-log" for mount in spec.mounts)


async def test_what_is_kept_for_one_start_goes_with_its_container(node: Node) -> None:
    node.runtime.scripts["web"] = Script(run_for=1, exit_code=1)
    node.api.put(make_pod(container(lifecycle=post_start())))
    await node.run(3600)
    kept = sorted((node.directory / "pods" / UID / "containers" / "web").iterdir())
    last = max(int(path.stem) for path in kept)
    assert last > 10
    assert {int(path.stem) for path in kept} <= {last - 1, last}
