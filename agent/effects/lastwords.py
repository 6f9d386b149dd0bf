"""Termination messages (step 5 of the pod's walk): what a container left for people to read.

The file at terminationMessagePath, or with FallbackToLogsOnError the end of its log when it failed
and left no file content. Sizes are the kubelet's.
"""

from __future__ import annotations

import os
from pathlib import Path

from agent.containers.errors import RuntimeFailure
from agent.containers.records import ContainerRecord, LogOptions
from agent.effects.context import PodContext
from agent.pod import names
from agent.spec.container import message_file

MAX_FILE = 4096
MAX_LOG = 2048
MAX_LINES = 80


async def termination_message(ctx: PodContext, record: ContainerRecord) -> str:
    """The message of a container that ended; empty when it left none."""
    text = _read(message_file(ctx.directory, *names.start_of(record)))
    policy = record.labels.get(names.MESSAGE_POLICY, "")
    if text or policy != "FallbackToLogsOnError" or record.exit_code == 0:
        return text
    return await tail(ctx, record, MAX_LINES, MAX_LOG)


async def tail(ctx: PodContext, record: ContainerRecord, lines: int, size: int) -> str:
    """The end of a container's log: so many lines, and so many bytes at most. Empty when there is none."""
    log = b""
    try:
        async for _, piece in ctx.agent.runtime.logs(record.id, LogOptions(tail_lines=lines)):
            log = (log + piece)[-size:]  # a line may be longer than our memory
    except RuntimeFailure:
        return ""
    return log.decode("utf-8", "replace")


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            # The end of it counts, as in Kubernetes.
            file.seek(max(0, file.seek(0, os.SEEK_END) - MAX_FILE))
            return file.read(MAX_FILE).decode("utf-8", "replace")
    except OSError:
        return ""
