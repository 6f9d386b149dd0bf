"""What is being done for a pod: each action of its plan by its effect (step 4 of the pod's walk).

Effects are tasks, keyed by what they touch; each one that ends wakes the worker, which asks the plan
again. Their errors are failures with a back-off. What nobody expected is a bug: it is logged with its
trace and told as an event, and that effect has failed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from agent.effects import resize, sandbox, start, stop, volumes
from agent.effects.context import PodContext, StepFailed
from agent.pod import actions
from agent.pod.actions import Action
from base.errors import PodwrightError

log = logging.getLogger(__name__)

Effect = Callable[[PodContext, Any], Awaitable[None]]

_EFFECTS: dict[type[Any], Effect] = {
    actions.CreateSandbox: sandbox.create,
    actions.StartSandbox: sandbox.start,
    actions.AttachNetwork: sandbox.attach,
    actions.PrepareVolumes: volumes.prepare,
    actions.EnsureImage: start.ensure_image,
    actions.CreateContainer: start.create,
    actions.StartContainer: start.start,
    actions.RunPostStart: start.post_start,
    actions.ResizeContainer: resize.resize,
    actions.RunPreStop: stop.pre_stop,
    actions.StopContainer: stop.stop,
    actions.RemoveContainer: stop.remove,
    actions.ReleaseSandbox: stop.release,
    actions.TearDown: stop.tear_down,
    actions.DeletePod: stop.delete,
}


class Performing:
    """The actions of one pod that are under way: a collection of their keys."""

    def __init__(self, context: PodContext, name: str, *, wake: Callable[[], None]) -> None:
        """`name`: of the pod, for the log."""
        self._context = context
        self._name = name
        self._wake = wake
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def __len__(self) -> int:
        return len(self._tasks)

    def __iter__(self) -> Iterator[str]:
        return iter(self._tasks)

    def __contains__(self, key: object) -> bool:
        return key in self._tasks

    def begin(self, action: Action) -> None:
        """Do this now. No other of its key may be under way."""
        name = f"{self._name} {action.key}"
        task = self._context.agent.guard.start(self._perform(action), name=name)
        self._tasks[action.key] = task

    async def abandon(self) -> None:
        """Let go of all of it, wherever it stands."""
        effects = list(self._tasks.values())
        for effect in effects:
            effect.cancel()
        if effects:
            await asyncio.wait(effects)

    async def _perform(self, action: Action) -> None:
        memory, key = self._context.memory, action.key
        try:
            await _EFFECTS[type(action)](self._context, action)
        except StepFailed as error:
            log.info("%s: %s failed: %s", self._name, key, error)
            memory.fail(key, error.reason, error.message, error.retry_in)
        except (PodwrightError, OSError) as error:
            log.warning("%s: %s failed: %s", self._name, key, error)
            memory.fail(key, "CreateContainerError", str(error), None)
        except Exception as error:  # one pod that trips a bug must not stop all others
            log.exception("%s: %s failed unexpectedly", self._name, key)
            memory.fail(key, "AgentError", self._context.confess(key, error), None)
        else:
            memory.succeed(key)
        finally:
            del self._tasks[key]
            self._wake()
