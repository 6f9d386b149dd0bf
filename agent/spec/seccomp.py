"""Seccomp profiles that lie on the node (step 4 of the pod's walk): `type: Localhost`.

The engine takes a profile's text, not its name, so the agent reads the file, below the directory of
the setting `seccomp-profile-root`, whenever a container is made: a file that was changed counts from
the next start on.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import msgspec

from agent.spec.errors import ConfigError
from api.core import Container, Pod, PodSecurityContext, SecurityContext

LARGEST = 1024 * 1024
"""Bytes; the engine's own profile has thirty thousand."""


def localhost_profile(pod: Pod, container: Container) -> str | None:
    """The file that the container's profile lies in, below the directory; None when it needs none."""
    own = container.security_context or SecurityContext()
    if own.privileged:
        return None  # it has no profile, whatever it asks for
    shared = pod.spec.security_context or PodSecurityContext()
    profile = own.seccomp_profile or shared.seccomp_profile
    if profile is None or profile.type != "Localhost":
        return None
    return profile.localhost_profile or ""


def read_profile(root: Path, name: str) -> str:
    """The profile's text. Raises ConfigError with what is wrong with it."""
    parts = PurePosixPath(name)
    if not parts.parts or parts.is_absolute() or ".." in parts.parts:
        raise ConfigError(f'seccomp profile "{name}" must be a relative path, without ".."')
    path = root / parts
    try:
        with path.open("rb") as opened:
            text = opened.read(LARGEST + 1)
    except OSError as error:
        raise ConfigError(
            f'seccomp profile "{name}" cannot be read: {path}: {error.strerror}'
        ) from error
    return check_profile(name, text)


def check_profile(name: str, text: bytes) -> str:
    """The text as the engine takes it, if it is a profile at all. Pure."""
    if len(text) > LARGEST:
        raise ConfigError(f'seccomp profile "{name}" is larger than {LARGEST} bytes')
    try:
        profile = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f'seccomp profile "{name}" is not JSON: {error}') from error
    if not isinstance(profile, dict) or not isinstance(profile.get("defaultAction"), str):
        raise ConfigError(f'seccomp profile "{name}" names no defaultAction')
    return msgspec.json.encode(profile).decode()
