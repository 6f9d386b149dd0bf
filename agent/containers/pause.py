"""The pause program and its image: process 1 of every sandbox (step 4 of the pod's walk).

The sandbox owns the pod's network and IPC namespaces for as long as the pod lives, so something
must run in it that does nothing, cheaply and for ever. With `shareProcessNamespace` it is also
process 1 of all of the pod's processes, and must collect the orphans that end.

Nodes have no compiler and perhaps no registry, and a binary in the repository could not be
reviewed. So the program is written here, instruction by instruction, as the bytes of an ELF file
for the node's architecture: a header, one segment, some 100 bytes of code. It uses no stack beyond
the kernel's, no libc, no heap.

What it does, in C:

    rt_sigprocmask(SIG_BLOCK, {INT, TERM, CHLD});
    for (;;) {
        signal = rt_sigtimedwait({INT, TERM, CHLD}, NULL, NULL);
        if (signal == INT || signal == TERM) exit(0);
        while (wait4(-1, NULL, WNOHANG, NULL) > 0) {}
    }

Blocked signals are waited for instead of handled: handlers need a restorer and a stack frame, and a
signal between `wait4` and `pause` would be lost, whereas a blocked one stays pending. Process 1
ignores signals of its own namespace that it has no handler for; blocked signals are kept for it all
the same, and those from the engine (TERM, and KILL if that were not enough) always arrive.
"""

from __future__ import annotations

import io
import struct
import tarfile
from dataclasses import dataclass, field

from agent.containers.errors import EngineError
from agent.containers.interface import Runtime
from agent.containers.records import ImageRecord

DEFAULT_IMAGE = "podwright/pause:1"
PROGRAM = "/pause"

BASE = 0x400000
HEADERS = 64 + 56
"""Bytes of the ELF header and the one program header; the code follows."""
SIGNALS = 1 << (2 - 1) | 1 << (15 - 1) | 1 << (17 - 1)
"""INT, TERM and CHLD as a kernel sigset: signal n is bit n - 1."""
SIGCHLD = 17
WNOHANG = 1
SIG_BLOCK = 0


@dataclass
class Assembler:
    """Collects code; jumps name labels, which `link` turns into distances."""

    code: bytearray = field(default_factory=bytearray)
    labels: dict[str, int] = field(default_factory=dict)
    jumps: list[tuple[int, str]] = field(default_factory=list)

    def label(self, name: str) -> None:
        self.labels[name] = len(self.code)

    def emit(self, *parts: bytes) -> None:
        for part in parts:
            self.code += part


def x86_64() -> bytes:
    """System call number in rax, arguments in rdi, rsi, rdx, r10; the call clobbers rcx and r11."""
    a = Assembler()

    def load(register: int, value: int) -> None:
        """mov r32, imm32, which clears the upper half; registers 8 and up need a REX prefix."""
        prefix = b"\x41" if register >= 8 else b""
        a.emit(prefix, bytes([0xB8 | register & 7]), struct.pack("<i", value))

    def call(number: int) -> None:
        load(rax, number)
        a.emit(b"\x0f\x05")  # syscall

    def jump(opcode: int, name: str) -> None:
        """A jump with a distance of one byte."""
        a.emit(bytes([opcode]))
        a.jumps.append((len(a.code), name))
        a.emit(b"\0")

    rax, rdx, rsi, rdi, r10 = 0, 2, 6, 7, 10
    jg, je, jmp = 0x7F, 0x74, 0xEB

    # The signal set lies on the stack: push rbx needs no address to be patched in.
    a.emit(b"\xbb", struct.pack("<I", SIGNALS))  # mov ebx, SIGNALS
    a.emit(b"\x53")  # push rbx
    load(rdi, SIG_BLOCK)
    a.emit(b"\x48\x89\xe6")  # mov rsi, rsp
    load(rdx, 0)
    load(r10, 8)  # bytes in a kernel sigset
    call(14)  # rt_sigprocmask
    a.label("wait")
    a.emit(b"\x48\x89\xe7")  # mov rdi, rsp
    load(rsi, 0)
    load(rdx, 0)
    load(r10, 8)
    call(128)  # rt_sigtimedwait
    a.emit(b"\x83\xf8", bytes([SIGCHLD]))  # cmp eax, SIGCHLD
    jump(je, "reap")
    a.emit(b"\x85\xc0")  # test eax, eax: an error (EINTR, after a debugger) means wait again
    jump(jg, "exit")
    jump(jmp, "wait")
    a.label("reap")
    a.emit(b"\x48\xc7\xc7", struct.pack("<i", -1))  # mov rdi, -1
    load(rsi, 0)
    load(rdx, WNOHANG)
    load(r10, 0)
    call(61)  # wait4
    a.emit(b"\x85\xc0")  # test eax, eax
    jump(jg, "reap")
    jump(jmp, "wait")
    a.label("exit")
    load(rdi, 0)
    call(60)  # exit

    for position, name in a.jumps:
        a.code[position : position + 1] = struct.pack("<b", a.labels[name] - position - 1)
    return bytes(a.code)


def aarch64() -> bytes:
    """System call number in x8, arguments in x0 to x3. Every instruction is a word."""
    a = Assembler()

    def word(instruction: int) -> None:
        a.emit(struct.pack("<I", instruction))

    def load(register: int, value: int) -> None:
        """movz, then movk for the second 16 bits; movn for -1."""
        if value == -1:
            word(0x92800000 | register)
            return
        word(0xD2800000 | (value & 0xFFFF) << 5 | register)
        if value >> 16:
            word(0xF2A00000 | (value >> 16) << 5 | register)

    def call(number: int) -> None:
        load(8, number)
        word(0xD4000001)  # svc #0

    def jump(instruction: int, name: str) -> None:
        a.jumps.append((len(a.code), name))
        word(instruction)

    b, b_eq, b_gt = 0x14000000, 0x54000000, 0x5400000C

    load(4, SIGNALS)
    word(0xD10043FF)  # sub sp, sp, #16: the stack pointer stays aligned
    word(0xF90003E4)  # str x4, [sp]
    load(0, SIG_BLOCK)
    word(0x910003E1)  # mov x1, sp
    load(2, 0)
    load(3, 8)
    call(135)  # rt_sigprocmask
    a.label("wait")
    word(0x910003E0)  # mov x0, sp
    load(1, 0)
    load(2, 0)
    load(3, 8)
    call(137)  # rt_sigtimedwait
    word(0xF100001F | SIGCHLD << 10)  # cmp x0, #SIGCHLD
    jump(b_eq, "reap")
    word(0xF100001F)  # cmp x0, #0
    jump(b_gt, "exit")
    jump(b, "wait")
    a.label("reap")
    load(0, -1)
    load(1, 0)
    load(2, WNOHANG)
    load(3, 0)
    call(260)  # wait4
    word(0xF100001F)  # cmp x0, #0
    jump(b_gt, "reap")
    jump(b, "wait")
    a.label("exit")
    load(0, 0)
    call(93)  # exit

    for position, name in a.jumps:
        (instruction,) = struct.unpack_from("<I", a.code, position)
        words = (a.labels[name] - position) // 4
        conditional = instruction >> 24 == 0x54
        distance = (words & 0x7FFFF) << 5 if conditional else words & 0x3FFFFFF
        struct.pack_into("<I", a.code, position, instruction | distance)
    return bytes(a.code)


MACHINES = {"x86_64": (62, x86_64), "aarch64": (183, aarch64)}
"""Per architecture, as `uname -m` names it: e_machine of its ELF files, and the code."""


def elf(architecture: str) -> bytes:
    """The pause program as an executable file, see elf(5)."""
    if architecture not in MACHINES:
        raise EngineError(
            f"there is no pause program for {architecture}",
            hint="Name an image that has one with the setting pause-image.",
        )
    machine, assemble = MACHINES[architecture]
    code = assemble()
    size = HEADERS + len(code)
    identity = b"\x7fELF" + bytes([2, 1, 1, 0]) + bytes(8)  # 64 bit, little endian, version 1, SysV
    header = struct.pack(
        "<16sHHIQQQIHHHHHH",
        identity,
        2,  # ET_EXEC: at a fixed address
        machine,
        1,
        BASE + HEADERS,  # entry
        64,  # program headers follow this one
        0,  # no sections
        0,
        64,
        56,
        1,  # program headers
        0,
        0,
        0,
    )
    readable_executable = 4 | 1
    segment = struct.pack(
        "<IIQQQQQQ", 1, readable_executable, 0, BASE, BASE, size, size, 0x1000
    )  # PT_LOAD of the whole file
    return header + segment + code


def layer(architecture: str) -> bytes:
    """The image's only layer: a tar that holds the program, the same bytes each time."""
    program = elf(architecture)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        entry = tarfile.TarInfo(PROGRAM.lstrip("/"))
        entry.size, entry.mode = len(program), 0o755
        tar.addfile(entry, io.BytesIO(program))
    return buffer.getvalue()


async def ensure_image(runtime: Runtime, reference: str = DEFAULT_IMAGE) -> ImageRecord:
    """Have the pause image on the node; made only where it is missing. May be called twice.

    Another image named by the setting is left alone: it must be on the node, or be pulled as any
    other.
    """
    image = await runtime.image(reference)
    if image is not None:
        return image
    info = await runtime.info()
    return await runtime.import_image(
        layer(info.architecture), reference, changes=(f'ENTRYPOINT ["{PROGRAM}"]',)
    )
