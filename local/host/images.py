"""Images that need no registry: built from Debian's static busybox, and carried between engines.

Serves step 4 of a pod's walk on machines without a network: `examples/` and the tests name images
that are made here. `layer` is pure but for reading busybox; the engines are reached through the
agent's own runtime, which is the only code that knows the Docker SDK.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from agent.containers.interface import Runtime
from base.clock import SystemClock
from base.errors import PermanentError
from base.process import run
from local.host import blocking

T = TypeVar("T")

BUSYBOX_IMAGE = "podwright/busybox:1"
HELLO_IMAGE = "podwright/hello:1"
OURS = (BUSYBOX_IMAGE, HELLO_IMAGE)

_BUSYBOX_PLACES = (Path("/bin/busybox"), Path("/usr/bin/busybox"))

_HELLO = """\
#!/bin/sh
# Answers every request with the name of the pod. busybox httpd cannot be process 1 itself: without a
# handler of its own, process 1 never hears TERM, and a pod would take its whole grace period to end.
mkdir -p /www
echo "Hello from $(hostname)" > /www/index.html
httpd -f -p "${PORT:-8080}" -h /www &
trap "kill $!; exit 0" TERM INT
wait
"""

_ETC: Mapping[str, str] = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
}


def busybox() -> Path:
    for place in _BUSYBOX_PLACES:
        if place.is_file() and _is_static(place):
            return place
    raise PermanentError(
        "there is no static busybox on this machine, from which the local images are made",
        hint="On Debian: apt-get install busybox-static",
    )


def layer(program: bytes, applets: Iterable[str], files: Mapping[str, str]) -> bytes:
    """The one layer of an image: busybox, its applets as links, and files (scripts are executable).
    The same input gives the same bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for folder in ("bin", "etc", "root", "www"):
            _add(archive, folder, tarfile.DIRTYPE, mode=0o755)
        _add(archive, "tmp", tarfile.DIRTYPE, mode=0o1777)
        _add(archive, "bin/busybox", tarfile.REGTYPE, mode=0o755, content=program)
        for applet in sorted(set(applets) - {"busybox"}):
            _add(archive, f"bin/{applet}", tarfile.SYMTYPE, mode=0o777, target="busybox")
        for name, text in sorted({**_ETC, **files}.items()):
            mode = 0o755 if text.startswith("#!") else 0o644
            _add(archive, name, tarfile.REGTYPE, mode=mode, content=text.encode())
    return buffer.getvalue()


async def build(runtime: Runtime) -> None:
    """Make our images in an engine that does not have them. May be called twice."""
    wanted: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {
        BUSYBOX_IMAGE: ({}, ('CMD ["sh"]', "ENV PATH=/bin")),
        HELLO_IMAGE: (
            {"bin/hello": _HELLO},
            ('CMD ["/bin/hello"]', "ENV PATH=/bin", "EXPOSE 8080"),
        ),
    }
    missing = {name: it for name, it in wanted.items() if await runtime.image(name) is None}
    if not missing:
        return
    path = busybox()
    applets = run([path, "--list"]).text.split()
    for name, (files, changes) in missing.items():
        await runtime.import_image(layer(path.read_bytes(), applets, files), name, changes=changes)


async def copy(source: Runtime, targets: Iterable[Runtime], reference: str) -> None:
    if await source.image(reference) is None:
        raise PermanentError(
            f"the source engine has no image {reference!r}",
            hint="`docker images` lists what it has; build or pull the image there first.",
        )
    archive = await source.save_image(reference)
    for target in targets:
        await target.load_image(archive)


def with_engines(urls: Iterable[str], work: Callable[[list[Runtime]], Awaitable[T]]) -> T:
    """Wait for the coroutine, which gets a connection to each engine."""
    from agent.containers.runtime import DockerRuntime  # slow to import, and seldom needed

    async def session() -> T:
        runtimes: list[Runtime] = [DockerRuntime(url, clock=SystemClock()) for url in urls]
        try:
            return await work(runtimes)
        finally:
            for runtime in runtimes:
                await runtime.close()

    return blocking.wait(session)


def _is_static(program: Path) -> bool:
    """Whether it is an ELF file without an interpreter (program header type 3, PT_INTERP)."""
    data = program.read_bytes()[:4096]
    if data[:4] != b"\x7fELF" or data[4] != 2:
        return False
    offset = int.from_bytes(data[32:40], "little")
    size, count = (int.from_bytes(data[at : at + 2], "little") for at in (54, 56))
    kinds = [
        int.from_bytes(data[offset + i * size : offset + i * size + 4], "little")
        for i in range(count)
    ]
    return 3 not in kinds


def _add(
    archive: tarfile.TarFile,
    name: str,
    kind: bytes,
    *,
    mode: int,
    content: bytes = b"",
    target: str = "",
) -> None:
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.linkname, info.size = kind, mode, target, len(content)
    archive.addfile(info, io.BytesIO(content))
