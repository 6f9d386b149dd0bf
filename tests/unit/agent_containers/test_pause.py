"""The pause program's bytes: a well-formed ELF file, the same each time."""

from __future__ import annotations

import io
import struct
import tarfile

import pytest

from agent.containers import pause
from agent.containers.errors import EngineError
from agent.containers.fake import FakeRuntime
from base.clock import FakeClock

ARCHITECTURES = sorted(pause.MACHINES)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_elf_layout(architecture: str) -> None:
    program = pause.elf(architecture)
    assert program[:7] == b"\x7fELF\x02\x01\x01"
    kind, machine, _, entry, segments, sections = struct.unpack_from("<HHIQQQ", program, 16)
    assert (kind, machine, segments, sections) == (2, pause.MACHINES[architecture][0], 64, 0)
    assert entry == pause.BASE + pause.HEADERS
    load = struct.unpack_from("<IIQQQQQQ", program, 64)
    assert load[0] == 1 and load[1] == 5  # readable and executable, never writable
    assert load[2:7] == (0, pause.BASE, pause.BASE, len(program), len(program))
    assert len(program) < 400


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_same_bytes_each_time(architecture: str) -> None:
    assert pause.layer(architecture) == pause.layer(architecture)
    with tarfile.open(fileobj=io.BytesIO(pause.layer(architecture))) as tar:
        (entry,) = tar.getmembers()
    assert (entry.name, entry.mode, entry.size) == (
        "pause",
        0o755,
        len(pause.elf(architecture)),
    )


def test_jumps_on_x86_land_on_instructions() -> None:
    """The targets, decoded from the bytes, are the three labels and nothing else."""
    code = pause.x86_64()
    wait, reap, leave = (code.index(start) for start in STARTS)
    targets = set()
    for opcode in (b"\x74", b"\x7f", b"\xeb"):
        at = code.find(opcode)
        while at >= 0:
            targets.add(at + 2 + int.from_bytes(code[at + 1 : at + 2], "little", signed=True))
            at = code.find(opcode, at + 1)
    assert targets == {wait, reap, leave}


STARTS = (b"\x48\x89\xe7", b"\x48\xc7\xc7", b"\xbf\0\0\0\0\xb8\x3c")
"""mov rdi, rsp · mov rdi, -1 · mov edi, 0; mov eax, 60"""


def test_an_unknown_architecture_is_said_so() -> None:
    with pytest.raises(EngineError, match="riscv64"):
        pause.elf("riscv64")


async def test_the_image_is_made_once() -> None:
    runtime = FakeRuntime(FakeClock())
    first = await pause.ensure_image(runtime)
    assert await pause.ensure_image(runtime) == first
    assert runtime.calls == [("import", pause.DEFAULT_IMAGE)]
