"""Whether to pull an image, when, and what to say of it (step 4 of the pod's walk).

`decide` is pure: pull policy, presence and back-off in, a decision out. `Images` carries it out:
- one pull at a time per image and credentials; others who want the same wait for it, and it goes on
  when they no longer do (a pull that has begun is worth its end);
- after a failure the image backs off per pod, 10 s doubling to 300 s, and starts afresh once it was left
  in peace for twice the longest delay.

Reasons and messages are the kubelet's, because people and their alerts look for them.
"""

from __future__ import annotations

import asyncio
import enum
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agent.containers.accounts import AccountsOfImages
from agent.containers.errors import EngineUnavailable, RuntimeFailure
from agent.containers.interface import Runtime
from agent.containers.records import ImageRecord, PullProgress, RegistryAuth
from api import imagereferences
from api.imagereferences import InvalidReference
from base.clock import Clock
from base.errors import PodwrightError
from base.tasks import TaskGuard

log = logging.getLogger(__name__)

FIRST_DELAY = 10.0
LONGEST_DELAY = 300.0


class PullPolicy(enum.Enum):
    ALWAYS = "Always"
    IF_NOT_PRESENT = "IfNotPresent"
    NEVER = "Never"


class Reason(enum.Enum):
    """Why a container waits for its image, as in `state.waiting.reason`."""

    INVALID_NAME = "InvalidImageName"
    PULL_FAILED = "ErrImagePull"
    BACK_OFF = "ImagePullBackOff"
    NEVER_PULL = "ErrImageNeverPull"


class Decision(enum.Enum):
    USE = enum.auto()
    PULL = enum.auto()
    REFUSE = enum.auto()
    WAIT = enum.auto()


class ImageProblem(PodwrightError):
    """The container cannot have its image for now; `retry_after` seconds may change that."""

    def __init__(self, reason: Reason, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.reason = reason
        self.retry_after = retry_after


@dataclass(frozen=True, kw_only=True)
class ImageEvent:
    """Something to be told as an event of the pod."""

    type: str
    """`Normal` or `Warning`."""
    reason: str
    message: str


Teller = Callable[[ImageEvent], None]


@dataclass(frozen=True, kw_only=True)
class BackOff:
    """What is remembered of failed pulls; moments are those of the monotonic clock."""

    delay: float
    since: float
    last_error: str

    def left(self, now: float) -> float:
        """Seconds until the next try; 0 when it is due."""
        return max(0.0, self.since + self.delay - now)

    def expired(self, now: float) -> bool:
        return now - self.since >= 2 * LONGEST_DELAY


def default_policy(image: str) -> PullPolicy:
    """What the API fills in: Always for `:latest` (also when unsaid), otherwise IfNotPresent."""
    latest = imagereferences.parse(image).tag == imagereferences.DEFAULT_TAG and "@" not in image
    return PullPolicy.ALWAYS if latest else PullPolicy.IF_NOT_PRESENT


def decide(policy: PullPolicy, *, present: bool, back_off: BackOff | None, now: float) -> Decision:
    """What to do about a container's image."""
    if present and policy is not PullPolicy.ALWAYS:
        return Decision.USE
    if policy is PullPolicy.NEVER:
        return Decision.REFUSE
    if back_off is not None and not back_off.expired(now) and back_off.left(now) > 0:
        return Decision.WAIT
    return Decision.PULL


def after_failure(previous: BackOff | None, *, error: str, now: float) -> BackOff:
    """The back-off after one more failed pull."""
    if previous is None or previous.expired(now):
        return BackOff(delay=FIRST_DELAY, since=now, last_error=error)
    return BackOff(delay=min(previous.delay * 2, LONGEST_DELAY), since=now, last_error=error)


@dataclass(eq=False)
class _Pull:
    """One running pull and how it ended."""

    done: asyncio.Event
    image: ImageRecord | None = None
    error: RuntimeFailure | None = None


class Images:
    """Gets images for pods."""

    def __init__(self, runtime: Runtime, *, clock: Clock, guard: TaskGuard) -> None:
        self._runtime = runtime
        self._clock = clock
        self._guard = guard
        self._pulls: dict[tuple[str, RegistryAuth | None], _Pull] = {}
        self._back_offs: dict[tuple[str, str], BackOff] = {}
        self._succeeded = 0
        self._failed = 0
        self.accounts = AccountsOfImages(runtime)

    async def ensure(
        self,
        image: str,
        policy: PullPolicy,
        *,
        owner: str,
        tell: Teller,
        auths: Sequence[RegistryAuth] = (),
    ) -> ImageRecord:
        """Have `image` on the node for the pod with the uid `owner`, or raise ImageProblem.

        `auths` are tried in turn. May be called twice: a present image is answered at once, a pull
        that runs is joined, a back-off is respected.
        """
        reference = self._reference(image, tell)
        present = await self._runtime.image(reference)
        key, now = (owner, reference), self._clock.monotonic()
        back_off = self._back_offs.get(key)
        match decide(policy, present=present is not None, back_off=back_off, now=now):
            case Decision.REFUSE:
                text = f'Container image "{image}" is not present with pull policy of Never'
                tell(_warning("ErrImageNeverPull", text))
                raise ImageProblem(Reason.NEVER_PULL, text, retry_after=LONGEST_DELAY)
            case Decision.WAIT if back_off is not None:
                text = f'Back-off pulling image "{reference}"'
                tell(_normal("BackOff", text))
                raise ImageProblem(
                    Reason.BACK_OFF,
                    f"{text}: {Reason.PULL_FAILED.value}: {back_off.last_error}",
                    retry_after=back_off.left(now),
                )
            case Decision.USE if present is not None:
                tell(_normal("Pulled", f'Container image "{image}" already present on machine'))
                return present
        return await self._pull(reference, key, auths, tell)

    def forget(self, owner: str) -> None:
        """Drop what is remembered of a pod that is gone. May be called twice."""
        for key in [key for key in self._back_offs if key[0] == owner]:
            del self._back_offs[key]

    def statistics(self) -> dict[str, float]:
        return {
            "pulls_running": float(len(self._pulls)),
            "pulls_succeeded": float(self._succeeded),
            "pulls_failed": float(self._failed),
            "back_offs": float(len(self._back_offs)),
        }

    def _reference(self, image: str, tell: Teller) -> str:
        try:
            return imagereferences.with_tag(image)
        except InvalidReference as error:
            text = (
                f'Failed to apply default image tag "{image}": '
                f'couldn\'t parse image name "{image}": {error.message}'
            )
            tell(_warning("InspectFailed", text))
            raise ImageProblem(Reason.INVALID_NAME, text, retry_after=LONGEST_DELAY) from error

    async def _pull(
        self, reference: str, key: tuple[str, str], auths: Sequence[RegistryAuth], tell: Teller
    ) -> ImageRecord:
        tell(_normal("Pulling", f'Pulling image "{reference}"'))
        started = self._clock.monotonic()
        try:
            image = await self._pull_with_any(reference, auths)
        except EngineUnavailable:
            raise
        except RuntimeFailure as error:
            now = self._clock.monotonic()
            back_off = after_failure(self._back_offs.get(key), error=error.message, now=now)
            self._back_offs[key] = back_off
            tell(_warning("Failed", f'Failed to pull image "{reference}": {error.message}'))
            raise ImageProblem(
                Reason.PULL_FAILED, error.message, retry_after=back_off.left(now)
            ) from error
        self._back_offs.pop(key, None)
        took = _duration(self._clock.monotonic() - started)
        tell(
            _normal(
                "Pulled",
                f'Successfully pulled image "{reference}" in {took} ({took} including waiting). '
                f"Image size: {image.size} bytes.",
            )
        )
        return image

    async def _pull_with_any(self, reference: str, auths: Sequence[RegistryAuth]) -> ImageRecord:
        choices: list[RegistryAuth | None] = list(auths) or [None]
        for auth in choices[:-1]:
            try:
                return await self._shared_pull(reference, auth)
            except EngineUnavailable:
                raise
            except RuntimeFailure as error:
                log.info("pull of %s failed with credentials of %r: %s", reference, auth, error)
        return await self._shared_pull(reference, choices[-1])

    async def _shared_pull(self, reference: str, auth: RegistryAuth | None) -> ImageRecord:
        # The credentials are part of the key: who waits must be allowed to have what it waits for.
        key = (reference, auth)
        pull = self._pulls.get(key)
        if pull is None:
            pull = self._pulls[key] = _Pull(asyncio.Event())
            self._guard.start(self._run(pull, reference, auth), name=f"pull {reference}")
        await pull.done.wait()
        if pull.image is None:
            raise pull.error or EngineUnavailable(f"the pull of {reference} was cut off")
        return pull.image

    async def _run(self, pull: _Pull, reference: str, auth: RegistryAuth | None) -> None:
        def progress(step: PullProgress) -> None:
            log.debug("pull %s: %s %s %s/%s", reference, *_facts(step))

        try:
            pull.image = await self._runtime.pull(reference, auth=auth, progress=progress)
            self._succeeded += 1
        except RuntimeFailure as error:
            pull.error = error
            self._failed += 1
        finally:
            del self._pulls[reference, auth]
            pull.done.set()


def _facts(step: PullProgress) -> tuple[str, str, int, int]:
    return step.layer, step.status, step.current, step.total


def _normal(reason: str, message: str) -> ImageEvent:
    return ImageEvent(type="Normal", reason=reason, message=message)


def _warning(reason: str, message: str) -> ImageEvent:
    return ImageEvent(type="Warning", reason=reason, message=message)


def _duration(seconds: float) -> str:
    """As Go prints a duration of whole milliseconds: `250ms`, `1.5s`, `2m3.4s`."""
    if seconds < 1:
        return f"{int(seconds * 1000)}ms" if seconds >= 0.001 else "0s"
    minutes, rest = divmod(int(seconds * 1000) / 1000, 60)
    text = f"{rest:.3f}".rstrip("0").rstrip(".")
    return f"{int(minutes)}m{text}s" if minutes else f"{text}s"
