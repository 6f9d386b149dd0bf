"""A machine with cgroup v2 and systemd, for what the machine at hand may not have.

`./podwright test --vm [PYTEST ARGUMENTS]`; without arguments it runs what such a machine shows differently.

    __main__.py ──► image.py    Debian's packages and this checkout become file systems
                    machine.py  qemu boots them: systemd, one unified hierarchy of cgroups
                    guest.sh    in the machine: runs pytest, tells the exit status, switches off
    first serial line   the kernel's and systemd's words, kept in a file
    second serial line  pytest's words, passed on as they come

Nothing of the host is used but its processor: the machine has a kernel, a Docker Engine and a Python of
its own, no way out to a network, and forgets when it is switched off what was written to its disks. It is of
the same release of Debian as the host, so that the host's Python environment works in it. Without hardware
virtualization all of it is emulated, some twenty times slower; `tests/patience.py` stretches deadlines.
"""

from __future__ import annotations

import os
import sys

from base.errors import PermanentError
from tests.vm.image import TOOLS
from tests.vm.machine import test

SLICE = (
    "-q",
    "tests/integration/agent/test_resources.py",
    "tests/integration/agent/test_cpus.py",
    "tests/integration/agent/test_kernel.py",
    "tests/vm/test_installed.py",
)


def main() -> int:
    try:
        return test(sys.argv[1:] or SLICE, long=os.environ.get("PODWRIGHT_TEST_LONG") == "1")
    except PermanentError as error:
        print(f"podwright: error: {error.message}", file=sys.stderr)
        print(
            f"hint: apt-get install --no-install-recommends {' '.join(TOOLS.values())}",
            file=sys.stderr,
        )
        return 1


if __name__ == "__main__":
    sys.exit(main())
