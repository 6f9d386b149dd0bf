"""Whether to pull an image, when, and what to say of it (step 4 of the pod's walk).

`decide` is pure: pull policy, presence and back-off in, a decision out. `Images` carries it out, by
`pulls`. After a failure the image backs off per pod, 10 s doubling to 300 s, and starts afresh once it was
left in peace for twice the longest delay.

Reasons and messages are the kubelet's, because people and their alerts look for them.
"""

from __future__ import annotations

import asyncio
import enum
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from agent.containers.accounts import AccountsOfImages
from agent.containers.errors import (
    EngineUnavailable,
    PullDenied,
    RegistryUnavailable,
    RuntimeFailure,
)
from agent.containers.interface import Runtime
from agent.containers.pulls import PARALLEL, Pulled, Pulls, Report
from agent.containers.records import ImageId, ImageRecord, RegistryAuth
from api import imagereferences
from api.imagereferences import InvalidReference
from base.clock import Clock
from base.errors import PodwrightError
from base.tasks import TaskGuard

log = logging.getLogger(__name__)

FIRST_DELAY = 10.0
LONGEST_DELAY = 300.0
INSPECT_AGAIN = 10.0
NEVER_PULL_AGAIN = 10.0
"""Seconds until an image that is never pulled is looked for again: somebody may have loaded it."""


class PullPolicy(enum.Enum):
    ALWAYS = "Always"
    IF_NOT_PRESENT = "IfNotPresent"
    NEVER = "Never"


class Reason(enum.Enum):
    """Why a container waits for its image, as in `state.waiting.reason`."""

    INVALID_NAME = "InvalidImageName"
    PULL_FAILED = "ErrImagePull"
    UNAVAILABLE = "RegistryUnavailable"
    BACK_OFF = "ImagePullBackOff"
    NEVER_PULL = "ErrImageNeverPull"
    INSPECT_FAILED = "ImageInspectError"


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
    update: bool = False
    """It takes the place of the one before with its reason and this mark."""


Teller = Callable[[ImageEvent], None]


@dataclass(frozen=True, kw_only=True)
class BackOff:
    """What is remembered of failed pulls; moments are those of the monotonic clock."""

    delay: float
    since: float
    last_error: str
    """Reason and message, as they were told."""

    def left(self, now: float) -> float:
        """Seconds until the next try; 0 when it is due."""
        return max(0.0, self.since + self.delay - now)

    def expired(self, now: float) -> bool:
        return now - self.since >= 2 * LONGEST_DELAY


def default_policy(image: str) -> PullPolicy:
    """What the API fills in: Always for `:latest` (also when unsaid), otherwise IfNotPresent."""
    latest = imagereferences.parse(image).tag == imagereferences.DEFAULT_TAG and "@" not in image
    return PullPolicy.ALWAYS if latest else PullPolicy.IF_NOT_PRESENT


def repository_digest(image: ImageRecord, reference: str) -> str:
    """What a container's status calls its image: `repository@digest`, whatever its tag means later.

    An image that never was in a registry has its id only.
    """
    names = [_parsed(digest) for digest in image.digests]
    wanted = _parsed(reference)
    found = [name for name in names if name is not None]
    # Of an image with several names its own counts; an id says none, so any will do.
    found.sort(key=lambda name: wanted is None or name.repository != wanted.repository)
    return str(found[0]) if found else str(image.id)


def full_name(reference: str) -> str:
    """One name for what can be written in several ways. Of tag and digest the digest counts."""
    parsed = _parsed(reference)
    if parsed is None:
        return reference
    return str(replace(parsed, tag="") if parsed.digest else parsed)


def full_names(image: ImageRecord) -> set[str]:
    return {full_name(name) for name in (str(image.id), *image.tags, *image.digests)}


def _parsed(reference: str) -> imagereferences.Reference | None:
    try:
        return imagereferences.parse(reference)
    except InvalidReference:
        return None


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


class Images:
    """Gets images for pods."""

    def __init__(
        self, runtime: Runtime, *, clock: Clock, guard: TaskGuard, parallel: int = PARALLEL
    ) -> None:
        self._runtime = runtime
        self._clock = clock
        self._pulls = Pulls(runtime, clock=clock, guard=guard, parallel=parallel)
        self._back_offs: dict[tuple[str, str], BackOff] = {}
        self._asked: Counter[str] = Counter()
        """References that are being made sure of: whose image it is may not be known yet."""
        self._removing: dict[ImageId, asyncio.Event] = {}
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
        name = full_name(reference)
        self._asked[name] += 1
        try:
            return await self._ensure(image, reference, policy, owner, tell, auths)
        finally:
            self._asked -= Counter({name: 1})

    async def _ensure(
        self,
        image: str,
        reference: str,
        policy: PullPolicy,
        owner: str,
        tell: Teller,
        auths: Sequence[RegistryAuth],
    ) -> ImageRecord:
        present = await self._inspect(image, reference, tell)
        while present is not None and (gone := self._removing.get(present.id)) is not None:
            await gone.wait()
            present = await self._inspect(image, reference, tell)
        key, now = (owner, reference), self._clock.monotonic()
        back_off = self._back_offs.get(key)
        match decide(policy, present=present is not None, back_off=back_off, now=now):
            case Decision.REFUSE:
                text = f'Container image "{image}" is not present with pull policy of Never'
                tell(_warning("ErrImageNeverPull", text))
                raise ImageProblem(Reason.NEVER_PULL, text, retry_after=NEVER_PULL_AGAIN)
            case Decision.WAIT if back_off is not None:
                text = f'Back-off pulling image "{image}"'
                tell(_normal("BackOff", text))
                raise ImageProblem(
                    Reason.BACK_OFF,
                    f"{text}: {back_off.last_error}",
                    retry_after=back_off.left(now),
                )
            case Decision.USE if present is not None:
                tell(_normal("Pulled", f'Container image "{image}" already present on machine'))
                return present
        return await self._pull(image, reference, key, auths, tell)

    async def remove(self, image: ImageRecord) -> bool:
        """Remove it, unless somebody asks for it just now. Who asks from now on sees it gone."""
        if self._asked.keys() & full_names(image):
            return False
        gone = self._removing[image.id] = asyncio.Event()
        try:
            await self._runtime.remove_image(str(image.id))
        finally:
            del self._removing[image.id]
            gone.set()
        return True

    def forget(self, owner: str) -> None:
        """Drop what is remembered of a pod that is gone. May be called twice."""
        for key in [key for key in self._back_offs if key[0] == owner]:
            del self._back_offs[key]

    def statistics(self) -> dict[str, float]:
        return {**self._pulls.statistics(), "back_offs": float(len(self._back_offs))}

    async def _inspect(self, image: str, reference: str, tell: Teller) -> ImageRecord | None:
        try:
            return await self._runtime.image(reference)
        except EngineUnavailable:
            raise
        except RuntimeFailure as error:
            text = f'Failed to inspect image "{image}": {error.message}'
            tell(_warning("InspectFailed", text))
            raise ImageProblem(Reason.INSPECT_FAILED, text, retry_after=INSPECT_AGAIN) from error

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
        self,
        image: str,
        reference: str,
        key: tuple[str, str],
        auths: Sequence[RegistryAuth],
        tell: Teller,
    ) -> ImageRecord:
        text = f'Pulling image "{image}"'
        tell(_normal("Pulling", text))

        def report(progress: str) -> None:
            event = _normal("Pulling", f"{text}: {progress}")
            tell(replace(event, update=True))

        started = self._clock.monotonic()
        try:
            pulled = await self._pull_with_any(reference, auths, report)
        except EngineUnavailable:
            raise
        except RuntimeFailure as error:
            reason, message = explain(image, error, tried=len(auths))
            now = self._clock.monotonic()
            back_off = after_failure(
                self._back_offs.get(key), error=f"{reason.value}: {message}", now=now
            )
            self._back_offs[key] = back_off
            tell(_warning("Failed", f'Failed to pull image "{image}": {error.message}'))
            raise ImageProblem(reason, message, retry_after=back_off.left(now)) from error
        self._back_offs.pop(key, None)
        took, in_all = _duration(pulled.took), _duration(self._clock.monotonic() - started)
        tell(
            _normal(
                "Pulled",
                f'Successfully pulled image "{image}" in {took} ({in_all} including waiting). '
                f"Image size: {pulled.image.size} bytes.",
            )
        )
        return pulled.image

    async def _pull_with_any(
        self, reference: str, auths: Sequence[RegistryAuth], report: Report
    ) -> Pulled:
        choices: list[RegistryAuth | None] = list(auths) or [None]
        for auth in choices[:-1]:
            try:
                return await self._pulls.get(reference, auth, report)
            except (EngineUnavailable, RegistryUnavailable):
                raise
            except RuntimeFailure as error:
                log.info("pull of %s failed with credentials of %r: %s", reference, auth, error)
        return await self._pulls.get(reference, choices[-1], report)


def explain(image: str, error: RuntimeFailure, *, tried: int) -> tuple[Reason, str]:
    """Why there is no image, and what a person should know of it. `tried` counts credentials."""
    if isinstance(error, RegistryUnavailable):
        text = f"image pull failed for {image} because the registry is unavailable"
        return Reason.UNAVAILABLE, f"{text}: {error.message}"
    if not isinstance(error, PullDenied):
        return Reason.PULL_FAILED, error.message
    registry = imagereferences.parse(image).domain
    if tried:
        how = f"with the credentials for {registry} that the pod and the node have"
    else:
        how = f"without credentials: neither the pod's imagePullSecrets nor the node has any for {registry}"
    return Reason.PULL_FAILED, f"{error.message} (tried {how})"


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
