"""How a pod's spec can fail to become containers (step 4 of the pod's walk)."""

from __future__ import annotations

from base.errors import PermanentError


class ConfigError(PermanentError):
    """The container cannot be configured as its spec says: CreateContainerConfigError.

    It is tried again: what the spec refers to may come into being.
    """
