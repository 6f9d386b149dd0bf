"""MutatingAdmissionWebhook: webhooks that change what is being written, one after the other.

Serves step 1 of the pod's walk. Each is shown what those before it have made of the object. When one has
changed it, all plugins admit the object a second time, and webhooks that ask for it (`IfNeeded`) are
asked again if the object has changed since they saw it; there is no third time, so the order of webhooks
cannot make a request endless. A webhook that was not asked in the first round is not asked in the second.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from api import errors
from api.scheme import Resource
from control.admission.chain import Attributes, Operation, Plugin
from control.admission.webhooks import rules
from control.admission.webhooks.asking import Asker
from control.admission.webhooks.hooks import Hook, Hooks
from control.admission.webhooks.subject import Shape, Subject


@dataclass(slots=True)
class _Rounds:
    """What is known of the first round in the second one."""

    asked: set[str] = field(default_factory=set)
    """Hooks that want to see changes made after them, and have seen the object as it is."""
    due: set[str] = field(default_factory=set)
    """Those of them that have missed a change."""
    left: bytes | None = None
    """The object as the last webhook left it, in the version of the first one."""

    def changed(self) -> None:
        self.due |= self.asked
        self.asked.clear()


class MutatingWebhooks(Plugin):
    name = "MutatingAdmissionWebhook"

    def __init__(self, hooks: Hooks, asker: Asker) -> None:
        self._hooks = hooks
        self._asker = asker
        self.collector = asker.metrics  # of the validating ones, too: they share the asker

    def handles(self, resource: Resource, operation: Operation, subresource: str) -> bool:
        return not rules.exempt(resource)

    def idle(self) -> bool:
        return self._hooks.empty()

    async def admit(self, request: Attributes) -> None:
        matches = self._hooks.matching(request)
        if not matches:
            return
        if request.memory is None:
            request.memory = _Rounds()
        rounds: _Rounds = request.memory
        subject, (_, first) = Subject(request), matches[0]
        if request.again and await subject.new(first) != rounds.left:
            rounds.changed()  # by other plugins, since
        for hook, shape in matches:
            if request.again and hook.identity not in rounds.due:
                continue
            if await self._asker.concerns(hook, request, subject):
                await self._ask(hook, shape, request, subject, rounds)
        if request.unsettled and not request.again:
            rounds.left = await subject.new(first)

    async def _ask(
        self,
        hook: Hook,
        shape: Shape,
        request: Attributes,
        subject: Subject,
        rounds: _Rounds,
    ) -> None:
        verdict = await self._asker.ask(hook, shape, request, subject, mutating=True)
        if verdict is not None and verdict.patch:
            if request.object is None or request.operation is Operation.CONNECT:
                raise errors.internal(
                    f'admission webhook "{hook.name}" attempted to modify the object, '
                    "which is not supported for this operation"
                )
            if await subject.patch(shape, verdict.patch):
                rounds.changed()
                request.unsettled = True
        if hook.reinvoked:
            rounds.asked.add(hook.identity)
