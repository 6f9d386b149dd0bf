"""What every controller has in common: a queue of keys, workers, retries with back-off.

Concurrency: several workers per controller, but never two on one key. Informers' handlers only add
keys. A reconcile that fails because the world moved on (conflict, gone) is tried again soon; one
that fails otherwise is tried again with a doubling delay, and logged. Queue size: at most one entry
per object.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, TypeVar

from api import objects
from api.errors import is_conflict, is_namespace_terminating
from api.objects import Key
from api.struct import ApiStruct
from base.errors import PodwrightError, TemporaryError
from base.tasks import TaskGuard
from base.workqueue import WorkQueue
from control.controllers.context import Context

T = TypeVar("T", bound=ApiStruct)

MOMENT = 0.05
"""Seconds until the next look when a cache was late. Mostly the change that was missing comes first, and
queues the key itself."""


class Behind(TemporaryError):
    """The informer does not show our own last write yet: look again in a moment, say nothing."""


class Controller(ABC):
    """Reconciles keys. Subclasses subscribe to informers in `__init__` and write `reconcile`."""

    name: str
    workers = 2

    def __init__(self, context: Context) -> None:
        self.context = context
        self.client = context.client
        self.clock = context.clock
        self.log = logging.getLogger(f"control.controllers.{self.name}")
        self.queue: WorkQueue[Key] = WorkQueue(self.name, clock=context.clock)
        self._failures = 0

    @abstractmethod
    async def reconcile(self, key: Key) -> float | None:
        """Make one object right.

        Level-triggered: looks at the present, never at what changed, and may be called at any
        time and repeatedly.

        Returns:
            Seconds after which to look again even if nothing changes, or None.
        """

    def start(self, guard: TaskGuard) -> None:
        """Start the workers; subclasses add their timers."""
        for number in range(self.workers):
            guard.start(self._work(), name=f"{self.name} worker {number}")

    def statistics(self) -> dict[str, float]:
        """The queue's figures, and how many reconciles failed."""
        return {**self.queue.statistics(), "reconcile_failures": self._failures}

    def enqueue(self, obj: ApiStruct) -> None:
        """Reconcile this object."""
        self.queue.add(objects.key(obj))

    def watch_own(self, type_: type[T]) -> None:
        """Reconcile each object of this kind when it changes."""
        self.context.informers.of(type_).subscribe(lambda old, new: self.enqueue(_either(old, new)))

    def watch_owned(self, type_: type[T], owner_kind: str) -> None:
        """Reconcile the controlling owner of each object of this kind when that changes."""

        def told(old: T | None, new: T | None) -> None:
            for obj in (old, new):
                owner = objects.controller_of(obj) if obj is not None else None
                if obj is not None and owner is not None and owner.kind == owner_kind:
                    self.queue.add(Key(objects.meta(obj).namespace, owner.name))

        self.context.informers.of(type_).subscribe(told)

    def every(self, guard: TaskGuard, seconds: float, act: Callable[[], Any]) -> None:
        """Call `act` (which may be a coroutine function) at start and then periodically."""
        guard.start(self._periodically(seconds, act), name=f"{self.name} timer")

    async def _periodically(self, seconds: float, act: Callable[[], Any]) -> None:
        while True:
            try:
                result = act()
                if result is not None:
                    await result
            except PodwrightError as error:
                self._failures += 1
                self.log.warning("periodic work failed, next try in %.0f s: %s", seconds, error)
            except Exception:
                self._failures += 1
                self.log.exception("periodic work failed, next try in %.0f s", seconds)
            await self.clock.sleep(seconds)

    async def _work(self) -> None:
        while True:
            key = await self.queue.get()
            try:
                await self._reconcile(key)
            finally:
                self.queue.done(key)

    async def _reconcile(self, key: Key) -> None:
        try:
            again = await self.reconcile(key)
        except PodwrightError as error:
            if is_namespace_terminating(error):
                self.queue.forget(key)  # whatever is missing there is missing for good
                return
            if is_conflict(error) or isinstance(error, Behind):
                # No failure: an object about which much happens would get ever longer back-offs.
                self.log.debug("%s: %s; will try again", key, error)
                self.queue.add_after(key, MOMENT)
                return
            self._failures += 1
            self.log.warning("%s: %s; will try again", key, error)
            self.queue.add_rate_limited(key)
        except Exception:
            self._failures += 1
            self.log.exception("%s: reconcile failed; will try again", key)
            self.queue.add_rate_limited(key)
        else:
            self.queue.forget(key)
            if again is not None:
                self.queue.add_after(key, again)


def _either(old: T | None, new: T | None) -> T:
    obj = new if new is not None else old
    assert obj is not None, "an informer told of nothing"
    return obj
