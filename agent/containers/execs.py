"""Commands inside containers of the Docker Engine (steps 4, 5 and 7 of the pod's walk).

The engine has no call that ends a command: one that hangs would stay in its container, beside the next
one of the same probe, until the container is full of them. But the engine says which process of the node
it is, so whoever does not wait any longer ends it there, with the children that are of its process group.

Concurrency: one event loop; any number at a time.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from agent.containers import engine_json
from agent.containers.engine_calls import EngineCalls
from agent.containers.errors import NotFound, RuntimeFailure
from agent.containers.interface import Stream
from agent.containers.records import ContainerId, ExecResult
from agent.containers.streams import HijackedStream
from base.clock import Clock

EXIT_POLL_SECONDS = 0.01
EXIT_POLL_LIMIT = 1.0
END_PATIENCE = 2.0
"""Seconds to ask which process a command is that has had its time."""


class Execs:
    """The commands of one engine."""

    def __init__(self, engine: EngineCalls, *, clock: Clock, proc: Path) -> None:
        self._engine = engine
        self._clock = clock
        self._proc = proc

    async def run(
        self, id: ContainerId, argv: Sequence[str], *, timeout: float | None, output_limit: int
    ) -> ExecResult:
        """Run a command and wait for it; one that takes longer than `timeout` is ended."""
        output = bytearray()
        exec_id, stream = "", None
        try:
            async with asyncio.timeout(timeout):
                exec_id = await self._make(
                    id, argv, stdin=False, stdout=True, stderr=True, tty=False
                )
                stream = await self._start(exec_id, tty=False)
                while piece := await stream.read():
                    output += piece[1][: output_limit - len(output)]
                code = await stream.exit_code()
                return ExecResult(exit_code=-1 if code is None else code, output=bytes(output))
        except TimeoutError:
            if exec_id:
                await self._end(id, exec_id)
            return ExecResult(exit_code=-1, output=bytes(output), timed_out=True)
        finally:
            if stream is not None:
                await stream.close()

    async def open(
        self,
        id: ContainerId,
        argv: Sequence[str],
        *,
        stdin: bool,
        stdout: bool,
        stderr: bool,
        tty: bool,
    ) -> Stream:
        """Run a command, connected to us."""
        exec_id = await self._make(id, argv, stdin=stdin, stdout=stdout, stderr=stderr, tty=tty)
        return await self._start(exec_id, tty=tty)

    async def _make(self, id: ContainerId, argv: Sequence[str], **wanted: bool) -> str:
        created = await self._engine.look(
            f"exec in {id}",
            "POST",
            f"/containers/{id}/exec",
            body=engine_json.exec_config(argv, **wanted),
        )
        return str(created["Id"])

    async def _start(self, exec_id: str, *, tty: bool) -> Stream:
        async def resize(width: int, height: int) -> None:
            size = {"h": height, "w": width}
            await self._engine.call("POST", f"/exec/{exec_id}/resize", query=size)

        connection = await self._engine.socket.open(
            "POST",
            f"/exec/{exec_id}/start",
            body=json.dumps({"Detach": False, "Tty": tty}).encode(),
            headers={"Content-Type": "application/json"},
            upgrade=True,
        )
        return HijackedStream(
            connection, tty=tty, resize=resize, exit_code=lambda: self._exit_code(exec_id)
        )

    async def _exit_code(self, exec_id: str) -> int | None:
        """A process may close its output before it ends, and the engine notices its end a bit later."""
        delay = EXIT_POLL_SECONDS
        while True:
            try:
                state = await self._engine.look(exec_id, "GET", f"/exec/{exec_id}/json")
            except NotFound:
                return None
            if not state["Running"] and state["ExitCode"] is not None:
                return int(state["ExitCode"])
            await self._clock.sleep(delay)
            delay = min(delay * 2, EXIT_POLL_LIMIT)

    async def _end(self, id: ContainerId, exec_id: str) -> None:
        with suppress(TimeoutError, RuntimeFailure):
            async with asyncio.timeout(END_PATIENCE):
                state = await self._engine.look(exec_id, "GET", f"/exec/{exec_id}/json")
            if state.get("Running") and (pid := state.get("Pid")):
                end_group(pid, marked=id, proc=self._proc)


def end_group(pid: int, *, marked: str, proc: Path) -> bool:
    """Kill a process and its group, if its cgroup is `marked` so; False where nothing was done.

    By its number alone it could be another process by now, or one of another namespace than ours.
    """
    try:
        if marked not in (proc / str(pid) / "cgroup").read_text():
            return False
        if os.getpgid(pid) == pid:
            os.killpg(pid, signal.SIGKILL)
        else:
            os.kill(pid, signal.SIGKILL)
    except OSError:  # it has ended meanwhile
        return False
    return True
