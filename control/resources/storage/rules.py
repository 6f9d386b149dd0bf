"""Rules that several kinds of storage share: names of drivers, and parameters."""

from collections.abc import Iterator

from api import validation
from api.fielderrors import FieldError, Path, invalid, required, too_long, too_many

MAX_DRIVER_NAME = 63
MAX_PARAMETERS = 512
MAX_PARAMETER_BYTES = 256 * 1024


def driver_name_errors(path: Path, name: str) -> Iterator[FieldError]:
    """A CSI driver's name: a domain name of at most 63 characters, in whatever case."""
    if not name:
        yield required(path, "")
        return
    if len(name) > MAX_DRIVER_NAME:
        yield too_long(path, MAX_DRIVER_NAME)
    for why in validation.dns1123_subdomain(name.lower()):
        yield invalid(path, name, why)


def provisioner_errors(path: Path, name: str) -> Iterator[FieldError]:
    """A qualified name, such as `example.com/nfs`, in whatever case."""
    if not name:
        yield required(path, "")
        return
    for why in validation.qualified_name(name.lower()):
        yield invalid(path, name, why)


def parameter_errors(path: Path, parameters: dict[str, str]) -> Iterator[FieldError]:
    """At most 512 of them, none without a name, and 256 KiB in all."""
    if len(parameters) > MAX_PARAMETERS:
        yield too_many(path, len(parameters), MAX_PARAMETERS)
        return
    yield from text_map_errors(path, parameters)


def text_map_errors(path: Path, texts: dict[str, str]) -> Iterator[FieldError]:
    """None without a name, and 256 KiB in all."""
    if "" in texts:
        yield invalid(path, "", "field can not be empty.")
    if sum(len(name.encode()) + len(text.encode()) for name, text in texts.items()) > (
        MAX_PARAMETER_BYTES
    ):
        yield too_long(path, MAX_PARAMETER_BYTES)
