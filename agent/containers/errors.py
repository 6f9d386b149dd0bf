"""How a container runtime fails (step 4 of the pod's walk).

    RuntimeFailure
    ├── NotFound            the container is not there
    ├── NotRunning          it is there and does not run
    │   └── Paused          it was stopped in its tracks, by somebody else
    ├── ImageNotFound       no such image on this node, or none in the registry
    ├── NameInUse           create: another container has the name
    ├── StartError          the engine made the container but could not run its program
    ├── PullError           a registry or the network refused (try later)
    │   ├── RegistryUnavailable   it cannot be reached, or is not able to answer
    │   └── PullDenied            it wants (other) credentials, or says so of what does not exist
    ├── EngineUnavailable   nobody answers on the engine's socket, or not in time (try later)
    └── EngineError         any other refusal, in the engine's words

What the engine says is translated into these in `engine_json.py`: nobody else needs to know its words.
"""

from __future__ import annotations

from base.errors import PermanentError, PodwrightError, TemporaryError


class RuntimeFailure(PodwrightError):
    """Any failure of a container runtime."""


class NotFound(RuntimeFailure, PermanentError):
    """The container does not exist (any more)."""


class NotRunning(RuntimeFailure, PermanentError):
    """The container exists but has no running process."""


class Paused(NotRunning):
    """Somebody paused the container: its processes are there and do nothing."""


class ImageNotFound(RuntimeFailure, PermanentError):
    """The engine, or the registry, has no such image."""


class NameInUse(RuntimeFailure, PermanentError):
    """A container of this name exists already: an agent was killed after `create`."""


class StartError(RuntimeFailure, PermanentError):
    """The program could not be started; the message is the OCI runtime's, made readable."""

    exit_code: int = 128
    """What the container's status reports: 127 no such program, 126 not executable, else 128."""


class PullError(RuntimeFailure, TemporaryError):
    """The image could not be fetched for now."""


class RegistryUnavailable(PullError):
    """The registry cannot be reached, or is not able to answer."""


class PullDenied(PullError):
    """The registry wants credentials, or others. Some say the same of what does not exist."""


class EngineUnavailable(RuntimeFailure, TemporaryError):
    """The engine cannot be reached, or did not answer in time."""


class EngineError(RuntimeFailure, PermanentError):
    """The engine refused for a reason that has no type of its own."""
