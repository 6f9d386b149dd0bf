"""Booting the test machine and listening to it.

The machine lives as long as `test`: qemu is ended with it, and what was written to the disks is forgotten
(`snapshot=on`). The kernel's and systemd's words are kept in a file, whose end is shown when the machine
ends without having told a status.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.vm.image import ROOT, VENV, Images, images

END = "podwright: exit status"
MEMORY = "3072"
PROCESSORS = "2"
PATIENCE = {"kvm": 1, "tcg": 10}
"""By how much deadlines are stretched."""
EMULATED = ("-accel", "tcg,thread=multi", "-cpu", "max")
KVM = Path("/dev/kvm")
HUGE_PAGES = 8
LAST_LINES = 40
TIMEOUT = 3600.0
"""Seconds after which a machine that has not ended is switched off."""
TOO_LATE = 124
"""The exit status of `timeout` (coreutils)."""


def accelerator() -> str:
    """`kvm` where the processor has it. Some machines have the device without: Debian's kernel does not
    start on what they offer instead."""
    flags = set(Path("/proc/cpuinfo").read_text().split())
    return "kvm" if os.access(KVM, os.R_OK | os.W_OK) and flags & {"vmx", "svm"} else "tcg"


def test(arguments: Sequence[str], *, long: bool) -> int:
    """Run pytest in a machine; returns its exit status."""
    by = accelerator()
    words = {
        "ROOT": str(ROOT),
        "VENV": str(VENV.resolve()),
        "LONG": "1" if long else "",
        "PATIENCE": str(PATIENCE[by]),
        "ARGUMENTS": shlex.join(arguments),
        "END": END,
    }
    script = (Path(__file__).parent / "guest.sh").read_text()
    for name, value in words.items():
        script = script.replace(f"@{name}@", value)
    with tempfile.TemporaryDirectory(prefix="podwright-vm-") as folder:
        return _run(images(Path(folder), script), Path(folder), by)


def command(made: Images, console: Path, by: str) -> list[str]:
    """How qemu is started: its output is the machine's second serial line."""
    append = f"root=/dev/vda rw console=ttyS0 panic=-1 systemd.show_status=1 hugepages={HUGE_PAGES}"
    disks = [made.root, made.tree, made.venv]
    return [
        "qemu-system-x86_64",
        *(("-accel", "kvm", "-cpu", "host") if by == "kvm" else EMULATED),
        *("-smp", PROCESSORS, "-m", MEMORY),
        *("-display", "none", "-monitor", "none", "-no-reboot", "-no-user-config"),
        *("-kernel", str(made.kernel), "-initrd", str(made.initrd), "-append", append),
        *(word for disk in disks for word in ("-drive", _drive(disk))),
        *("-nic", "user,restrict=on,model=virtio-net-pci"),
        *("-serial", f"file:{console}", "-serial", "stdio"),
    ]


def _drive(disk: Path) -> str:
    return f"file={disk},if=virtio,format=raw,snapshot=on,cache=unsafe"


def _run(made: Images, folder: Path, by: str) -> int:
    console = folder / "console.log"
    with subprocess.Popen(
        command(made, console, by),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(folder)},  # where qemu keeps what is written to disks
        text=True,
        errors="replace",
    ) as machine:
        limit = threading.Timer(TIMEOUT, machine.kill)
        limit.daemon = True
        limit.start()
        try:
            assert machine.stdout is not None
            status = _listen(machine.stdout)
        finally:
            limit.cancel()
            machine.kill()
    if status is None:
        told = console.read_text(errors="replace").splitlines()[-LAST_LINES:]
        print("\n".join(("the machine ended before its tests did; it said:", *told)))
        return TOO_LATE
    return status


def _listen(lines: Iterable[str]) -> int | None:
    """Pass on what the tests say, until they tell their exit status."""
    for line in lines:
        text = line.rstrip()
        if text.startswith(END):
            return int(text.removeprefix(END))
        print(text, flush=True)
    return None
