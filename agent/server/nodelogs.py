"""`/logs/`: the machine's own log files, as a kubelet shows `/var/log` (any step of the pod's walk).

`kubectl get --raw /api/v1/nodes/NAME/proxy/logs/` lists, and with a name after it a file is shown. Links
are followed only to where they may lead: below the folder, or to the log of a container. Else a pod that
may write there could show every file of the machine to whoever may read logs. Where an open file really
lies the kernel is asked after it was opened, so it does not help to exchange a link meanwhile.

Concurrency: whatever blocks on the disk is done in a thread, one chunk at a time.
"""

from __future__ import annotations

import asyncio
import html
import os
import stat
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from aiohttp import web

from api.errors import ApiError
from api.meta import Status

CHUNK = 256 * 1024
_HEAD = '<!doctype html>\n<meta name="viewport" content="width=device-width">\n<pre>\n'


@dataclass(frozen=True, kw_only=True)
class NodeLogs:
    """The log files of one machine."""

    root: Path
    container_logs: Callable[[], Collection[str]] = tuple
    """Files outside of it that links may lead to."""

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer for the path behind `/logs/`."""
        path = request.match_info.get("path", "")
        opened = await asyncio.to_thread(self.open, path)
        if isinstance(opened, str):
            if not request.path.endswith("/"):  # else its links would lead elsewhere
                name = request.path.rpartition("/")[2]
                return web.Response(status=301, headers={"Location": f"{quote(name)}/"})
            return web.Response(text=opened, content_type="text/html")
        try:
            return await _send(request, opened)
        finally:
            os.close(opened)

    def open(self, path: str) -> int | str:
        """A file, open, or the page of a folder. Raises ApiError."""
        wanted = self.root / path.lstrip("/")
        try:
            file = os.open(wanted, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except PermissionError:
            raise _failure(403, "Forbidden", "403 Forbidden") from None
        except (OSError, ValueError):
            raise _missing() from None
        try:
            return self._look(file)
        except BaseException:
            os.close(file)
            raise

    def _look(self, file: int) -> int | str:
        mode, lies = os.fstat(file).st_mode, Path(f"/proc/self/fd/{file}").readlink()
        inside = lies.is_relative_to(self.root.resolve())
        if stat.S_ISDIR(mode) and inside:
            page = _listing(file)
            os.close(file)
            return page
        if stat.S_ISREG(mode) and (inside or str(lies) in self.container_logs()):
            return file
        raise _missing()


async def _send(request: web.Request, file: int) -> web.StreamResponse:
    """As much as there is now: a log may grow while it is sent."""
    size = left = os.fstat(file).st_size
    response = web.StreamResponse(headers={"Content-Type": "text/plain; charset=utf-8"})
    response.content_length = size
    await response.prepare(request)
    while left and request.method != "HEAD":
        data = await asyncio.to_thread(os.read, file, min(CHUNK, left))
        if not data:
            break
        left -= len(data)
        await response.write(data)
    await response.write_eof()
    return response


def _listing(folder: int) -> str:
    names = []
    with os.scandir(folder) as entries:
        for entry in entries:
            names.append(f"{entry.name}/" if entry.is_dir() else entry.name)
    lines = (f'<a href="{quote(name)}">{html.escape(name)}</a>\n' for name in sorted(names))
    return f"{_HEAD}{''.join(lines)}</pre>\n"


def _missing() -> ApiError:
    return _failure(404, "NotFound", "404 page not found")


def _failure(code: int, reason: str, message: str) -> ApiError:
    return ApiError(Status(status="Failure", message=message, reason=reason, code=code))
