"""What a plan may ask for: one frozen value per effect (step 4 of the pod's walk).

Each has a `key`. Actions with different keys may run at the same time; while one is under way no
other of its key is planned, and after a failure its key rests for a while. Each effect may be done
twice: an agent that was killed does its last step again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from agent.containers.records import ContainerId
from agent.pod.observed import KilledFor


@dataclass(frozen=True, kw_only=True)
class CreateSandbox:
    """Make the pod's cgroup, files and pause container; first let go of sandboxes that died."""

    key: ClassVar[str] = "sandbox"
    attempt: int = 0
    replaces: tuple[ContainerId, ...] = ()


@dataclass(frozen=True, kw_only=True)
class StartSandbox:
    key: ClassVar[str] = "sandbox"
    id: ContainerId


@dataclass(frozen=True, kw_only=True)
class AttachNetwork:
    """Give the sandbox its address."""

    key: ClassVar[str] = "network"
    id: ContainerId


@dataclass(frozen=True, kw_only=True)
class PrepareVolumes:
    """Make every volume of the pod ready to be mounted."""

    key: ClassVar[str] = "volumes"


@dataclass(frozen=True, kw_only=True)
class EnsureImage:
    """Have the container's image on the node, as its pull policy demands, for one start."""

    container: str
    restarts: int

    @property
    def key(self) -> str:
        return f"image/{self.container}"


@dataclass(frozen=True, kw_only=True)
class CreateContainer:
    container: str
    restarts: int
    backoff_level: int
    sandbox: ContainerId

    @property
    def key(self) -> str:
        return f"container/{self.container}"


@dataclass(frozen=True, kw_only=True)
class StartContainer:
    container: str
    id: ContainerId

    @property
    def key(self) -> str:
        return f"container/{self.container}"


@dataclass(frozen=True, kw_only=True)
class StopContainer:
    """preStop, the stop signal, the grace period, KILL."""

    container: str
    id: ContainerId
    grace: float
    """Seconds for preStop and the program together."""
    message: str
    """What the Killing event says."""
    killed_for: KilledFor | None = None

    @property
    def key(self) -> str:
        return f"container/{self.container}"


@dataclass(frozen=True, kw_only=True)
class ResizeContainer:
    """Change the limits of a container that runs."""

    container: str
    id: ContainerId

    @property
    def key(self) -> str:
        return f"container/{self.container}"


@dataclass(frozen=True, kw_only=True)
class RunPostStart:
    container: str
    id: ContainerId

    @property
    def key(self) -> str:
        return f"hook/{self.container}"


@dataclass(frozen=True, kw_only=True)
class RunPreStop:
    """The hook alone: its container is asked to stop later."""

    container: str
    id: ContainerId
    grace: float

    @property
    def key(self) -> str:
        return f"hook/{self.container}"


@dataclass(frozen=True, kw_only=True)
class RemoveContainer:
    """Remove one that does not run, or a sandbox beside the present one."""

    id: ContainerId
    container: str
    pruned: bool = True
    """An old one, whose removal holds nothing up; else its name must be free before the next."""

    @property
    def key(self) -> str:
        return f"prune/{self.id}" if self.pruned else f"container/{self.container}"


@dataclass(frozen=True, kw_only=True)
class ReleaseSandbox:
    """The pod has finished: give back address, pause container and memory; keep its logs."""

    key: ClassVar[str] = "sandbox"


@dataclass(frozen=True, kw_only=True)
class TearDown:
    """Remove all that the pod has on this node."""

    key: ClassVar[str] = "teardown"


@dataclass(frozen=True, kw_only=True)
class DeletePod:
    """Remove the API object: the last step of a graceful deletion."""

    key: ClassVar[str] = "delete"


Action = (
    CreateSandbox
    | StartSandbox
    | AttachNetwork
    | PrepareVolumes
    | EnsureImage
    | CreateContainer
    | StartContainer
    | StopContainer
    | ResizeContainer
    | RunPostStart
    | RunPreStop
    | RemoveContainer
    | ReleaseSandbox
    | TearDown
    | DeletePod
)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to do now, and when to think again if nothing happens before."""

    actions: tuple[Action, ...] = ()
    wake_in: float | None = None
    """Seconds; None when only a change can bring something new."""
    done: bool = False
    """Nothing of the pod is left anywhere: forget it."""
