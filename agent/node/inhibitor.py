"""Being told by systemd that the machine goes down, in time to end the pods (`shutdown.py`).

The agent holds an inhibitor lock of systemd-logind of the sort `delay`: a shutdown waits until the lock is
let go, up to InhibitDelayMaxSec, which is raised when it is too short. Both the lock and logind's
announcement are had through systemd's own programs (systemd-inhibit, busctl), so no D-Bus library is
needed; the lock's program reads from a pipe and so ends with the agent, however that ends. See
"Inhibitor Locks" in systemd's documentation.

An announcement that nobody heard (the program that listens died, or the agent came later) is read from
logind's property PreparingForShutdown: when listening begins, once more when it surely has begun, and from
time to time until a shutdown has ended or was called off.

Concurrency: one task for the lock, one for announcements; programs that end are started again.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from base.clock import Clock
from base.errors import PodwrightError
from base.process import run_async
from base.tasks import TaskGuard

log = logging.getLogger(__name__)

RUNNING = Path("/run/systemd/system")
"""There when systemd has started the machine (sd_booted(3))."""
DROP_IN = Path("/etc/systemd/logind.conf.d/99-podwright.conf")
AGAIN = 5.0
PATIENCE = 5.0
WHY = "Pods of this node end first"
_MANAGER = "org.freedesktop.login1.Manager"
_PROPERTY = ("get-property", "org.freedesktop.login1", "/org/freedesktop/login1", _MANAGER)
_MATCH = f"type='signal',interface='{_MANAGER}',member='PrepareForShutdown'"
_TOOLS = ("systemd-inhibit", "busctl", "systemctl", "cat")


def announced(line: bytes) -> bool | None:
    """What a message of `busctl monitor` announces: a shutdown, its being called off, or nothing."""
    try:
        message = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return None
    if not isinstance(message, dict) or message.get("member") != "PrepareForShutdown":
        return None
    payload = message.get("payload") or {}
    data = payload.get("data") if isinstance(payload, dict) else None
    return data[0] if isinstance(data, list) and data and isinstance(data[0], bool) else None


def delay_seconds(text: str) -> float:
    """InhibitDelayMaxUSec as `busctl get-property` prints it: `t 5000000`."""
    kind, _, number = text.strip().partition(" ")
    return int(number) / 1e6 if kind == "t" and number.isdigit() else 0.0


class Inhibitor:
    """Holds the lock, and passes on what logind announces."""

    def __init__(
        self,
        seconds: float,
        *,
        shut_down: Callable[[], Awaitable[None]],
        call_off: Callable[[], None],
        clock: Clock,
        guard: TaskGuard,
        path: str | None = None,
        running: Path = RUNNING,
        drop_in: Path = DROP_IN,
    ) -> None:
        self._seconds = seconds
        self._shut_down = shut_down
        self._call_off = call_off
        self._clock = clock
        self._guard = guard
        self._path = path or os.environ.get("PATH", os.defpath)
        self._running = running
        self._drop_in = drop_in
        self._lock: asyncio.subprocess.Process | None = None
        self._shutdown: asyncio.Task[None] | None = None

    def missing(self) -> str:
        """Why logind cannot tell; empty when it can."""
        if not self._running.is_dir():
            return "systemd does not run this machine"
        lacking = [tool for tool in _TOOLS if shutil.which(tool, path=self._path) is None]
        return f"no {', '.join(lacking)} on this machine" if lacking else ""

    async def run(self) -> None:
        """Until cancelled. Returns at once where there is no logind."""
        if why := self.missing():
            log.info("no inhibitor lock: %s", why)
            return
        try:
            await self._allow_time()
        except (PodwrightError, OSError) as error:
            log.warning("InhibitDelayMaxSec of logind is not raised: %s", error)
        try:
            while True:
                try:
                    await self._hold()
                    await self._listen()
                except OSError as error:  # systemd is being upgraded, or there is no memory to fork
                    log.warning("logind cannot be asked now: %s", error)
                await self._clock.sleep(AGAIN)
        finally:
            await self._let_go()

    async def _allow_time(self) -> None:
        """Have logind wait for as long as the pods may take."""
        found = await run_async([self._tool("busctl"), *_PROPERTY, "InhibitDelayMaxUSec"])
        if delay_seconds(found.text) >= self._seconds:
            return
        self._drop_in.parent.mkdir(parents=True, exist_ok=True)
        self._drop_in.write_text(f"[Login]\nInhibitDelayMaxSec={self._seconds:.0f}\n")
        await run_async([self._tool("systemctl"), "kill", "-s", "HUP", "systemd-logind"])
        log.info("%s lets a shutdown wait for %g s", self._drop_in, self._seconds)

    async def _hold(self) -> None:
        if self._lock is not None and self._lock.returncode is None:
            return
        self._lock = await asyncio.create_subprocess_exec(
            self._tool("systemd-inhibit"),
            "--what=shutdown",
            "--mode=delay",
            "--who=podwright-agent",
            f"--why={WHY}",
            self._tool("cat"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )

    async def _listen(self) -> None:
        """Pass on announcements until the program that hears them ends."""
        monitor = await asyncio.create_subprocess_exec(
            self._tool("busctl"),
            "--system",
            "--json=short",
            f"--match={_MATCH}",
            "monitor",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert monitor.stdout is not None
        try:
            await self._catch_up()
            looked = False
            while True:
                try:
                    async with asyncio.timeout(AGAIN):
                        line = await monitor.stdout.readline()
                except TimeoutError:
                    if self._shutdown is not None or not looked:
                        await self._catch_up()
                    looked = True
                    continue
                if not line:
                    break
                await self._heard(announced(line))
        finally:
            if monitor.returncode is None:
                monitor.kill()
            await monitor.wait()
        log.warning("logind's announcements are not heard for %g s", AGAIN)

    async def _catch_up(self) -> None:
        """What was announced while nobody listened."""
        try:
            found = await run_async(
                [self._tool("busctl"), *_PROPERTY, "PreparingForShutdown"], timeout=PATIENCE
            )
        except PodwrightError as error:
            log.warning("logind does not say whether the machine shuts down: %s", error)
            return
        going = found.text.strip() == "b true"
        if going is (self._shutdown is None):
            await self._heard(going)

    async def _heard(self, going: bool | None) -> None:
        if going:
            self._begin()
        elif going is False:
            await self._resume()

    def _begin(self) -> None:
        if self._shutdown is None:
            self._shutdown = self._guard.start(self._end_pods(), name="shutdown")

    async def _end_pods(self) -> None:
        try:
            await self._shut_down()
        finally:
            await self._let_go()

    async def _resume(self) -> None:
        self._call_off()
        if self._shutdown is not None:
            await self._shutdown
            self._shutdown = None
        await self._hold()

    async def _let_go(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None and lock.returncode is None:
            assert lock.stdin is not None
            lock.stdin.close()
            await lock.wait()

    def _tool(self, name: str) -> str:
        return shutil.which(name, path=self._path) or name


async def stopping(path: str | None = None, running: Path = RUNNING) -> bool:
    """Whether systemd is shutting the machine down: then whoever ends us means the machine."""
    tool = shutil.which("systemctl", path=path)
    if tool is None or not running.is_dir():
        return False
    try:
        found = await run_async([tool, "is-system-running"], check=False, timeout=5.0)
    except PodwrightError:
        return False
    return found.text.strip() == "stopping"
