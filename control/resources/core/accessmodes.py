"""How volumes may be mounted: what volumes and claims say of it, and how it is printed. Walk step 4."""

from collections.abc import Iterator, Sequence

from api.core import PersistentVolumeAccessMode
from api.fielderrors import FieldError, Path, forbidden, not_supported
from control.resources.checks import enum_values

_SHORT = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}
_ALONE = "ReadWriteOncePod"


def access_mode_errors(path: Path, modes: Sequence[str]) -> Iterator[FieldError]:
    """Known ones; what one pod has for itself, nobody else may have in another way."""
    allowed = enum_values(PersistentVolumeAccessMode)
    for mode in modes:
        if mode not in allowed:
            yield not_supported(path, mode, allowed)
    if _ALONE in modes and any(mode != _ALONE for mode in modes):
        yield forbidden(path, "may not use ReadWriteOncePod with other access modes")


def shown(modes: Sequence[str]) -> str:
    """`RWO,ROX`: each once, in one order."""
    return ",".join(short for mode, short in _SHORT.items() if mode in modes)
