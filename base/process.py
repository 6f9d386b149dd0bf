"""Running the programs of the host: iptables, busybox, the engines of a local cluster.

Every call has a timeout. A failure is a PermanentError whose message holds the command as it can be
pasted and run again, and what it said on stderr. `run` waits and is for the command line and for
tests; daemons use `run_async`, which does not hold the event loop. Never a shell.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from base.errors import PermanentError

DEFAULT_TIMEOUT = 60.0
_SHOWN_STDERR = 4000  # characters; enough for a compiler's worth of complaint, not for a log file

MARKER = "PODWRIGHT_LOCAL"
"""In the environment of each daemon of a local cluster: which one it is."""

Argument = str | Path


@dataclass(frozen=True, kw_only=True)
class Completed:
    """A program that has ended."""

    argv: tuple[str, ...]
    returncode: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        return self.stdout.decode(errors="replace")


class CommandError(PermanentError):
    """A program that failed, did not end in time, or is not there."""

    def __init__(self, message: str, *, hint: str = "", completed: Completed | None = None) -> None:
        super().__init__(message, hint=hint)
        self.completed = completed


def command_line(argv: Sequence[Argument]) -> str:
    """The command as a person can paste it into a shell."""
    return shlex.join(str(argument) for argument in argv)


def run(
    argv: Sequence[Argument],
    *,
    input: bytes | None = None,
    timeout: float = DEFAULT_TIMEOUT,
    check: bool = True,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Completed:
    """Run a program to its end. `env` replaces the environment; `check=False` allows any exit code.

    On timeout the program's whole process group is killed.
    """
    words = tuple(str(argument) for argument in argv)
    try:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL if input is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(env),
            cwd=cwd,
            start_new_session=True,
        )
    except OSError as error:
        raise _not_started(words, error) from error
    with process:
        try:
            stdout, stderr = process.communicate(input, timeout=timeout)
        except subprocess.TimeoutExpired:
            _kill_group(process.pid)
            raise _timed_out(words, timeout) from None
        except BaseException:  # Ctrl-C: leave nothing running behind
            _kill_group(process.pid)
            raise
    return _finish(words, process.returncode, stdout, stderr, check=check)


async def run_async(
    argv: Sequence[Argument],
    *,
    input: bytes | None = None,
    timeout: float = DEFAULT_TIMEOUT,
    check: bool = True,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Completed:
    """`run` for the event loop. A cancelled call kills the program."""
    words = tuple(str(argument) for argument in argv)
    try:
        process = await asyncio.create_subprocess_exec(
            *words,
            stdin=asyncio.subprocess.DEVNULL if input is None else asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=_environment(env),
            cwd=cwd,
            start_new_session=True,
        )
    except OSError as error:
        raise _not_started(words, error) from error
    try:
        async with asyncio.timeout(timeout):
            stdout, stderr = await process.communicate(input)
    except TimeoutError:
        _kill_group(process.pid)
        await process.wait()
        raise _timed_out(words, timeout) from None
    except BaseException:
        _kill_group(process.pid)
        await process.wait()
        raise
    assert process.returncode is not None
    return _finish(words, process.returncode, stdout, stderr, check=check)


def _environment(env: Mapping[str, str] | None) -> dict[str, str]:
    """What a daemon of a local cluster runs is marked below it: it may outlive a daemon that is killed, and
    must not be taken for it."""
    found = dict(os.environ if env is None else env)
    if marker := found.get(MARKER):
        found[MARKER] = f"{marker}/run"
    return found


def _finish(
    words: tuple[str, ...], returncode: int, stdout: bytes, stderr: bytes, *, check: bool
) -> Completed:
    completed = Completed(argv=words, returncode=returncode, stdout=stdout, stderr=stderr)
    if check and returncode != 0:
        said = (stderr or stdout).decode(errors="replace").strip()[-_SHOWN_STDERR:]
        raise CommandError(
            f"{_ended_how(returncode)}: {command_line(words)}" + (f"\n{said}" if said else ""),
            completed=completed,
        )
    return completed


def _ended_how(returncode: int) -> str:
    if returncode >= 0:
        return f"command failed with exit code {returncode}"
    try:
        return f"command was killed by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"command was killed by signal {-returncode}"


def _not_started(words: tuple[str, ...], error: OSError) -> CommandError:
    hint = f"Install {words[0]!r}." if isinstance(error, FileNotFoundError) else ""
    return CommandError(
        f"command cannot be started ({error.strerror}): {command_line(words)}", hint=hint
    )


def _timed_out(words: tuple[str, ...], timeout: float) -> CommandError:
    return CommandError(f"command did not end within {timeout:g} s: {command_line(words)}")


def _kill_group(pid: int) -> None:
    # The program leads a session of its own, so the group id is its pid.
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
