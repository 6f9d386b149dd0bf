"""Kernel switches that the node's network needs, and the way back.

The value found is written to the state folder before the switch is turned, and put back by
`restore`, also after a crash and by another process. A switch that already stands right is left
alone and not recorded, so teardown never undoes somebody else's setting.

Concurrency: runs in the node's network thread; `/proc/sys/net` shows the namespace of the thread.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path

from base.files import atomic_write

log = logging.getLogger(__name__)

_ROOT = Path("/proc/sys")


class Sysctls:
    """Switches changed by us, with what they were before."""

    def __init__(self, record: Path) -> None:
        self._record = record

    def ensure(self, name: str, value: str) -> None:
        """Set for example `net/ipv4/ip_forward`; the original is recorded once."""
        path = _ROOT / name
        found = path.read_text().strip()
        if found == value:
            return
        originals = self._read()
        if name not in originals:
            atomic_write(self._record, json.dumps({**originals, name: found}), mode=0o600)
        path.write_text(value)

    def restore(self) -> None:
        """Put everything back and forget it. Safe to call twice."""
        for name, value in self._read().items():
            try:
                (_ROOT / name).write_text(value)
            except FileNotFoundError:  # went with its link
                log.debug("%s is gone, nothing to restore", name)
        self._record.unlink(missing_ok=True)

    def _read(self) -> dict[str, str]:
        try:
            originals = json.loads(self._record.read_text())
        except FileNotFoundError:
            return {}
        return {str(name): str(value) for name, value in originals.items()}
