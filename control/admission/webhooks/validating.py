"""ValidatingAdmissionWebhook: webhooks that may refuse what is being written, all asked at once.

Serves step 1 of the pod's walk. They see the object as it would be stored. The first refusal, in the
order of the configurations, is the client's answer.
"""

from __future__ import annotations

import asyncio

from api.scheme import Resource
from control.admission.chain import Attributes, Operation, Plugin
from control.admission.webhooks import rules
from control.admission.webhooks.asking import Asker
from control.admission.webhooks.hooks import Hooks
from control.admission.webhooks.subject import Subject


class ValidatingWebhooks(Plugin):
    name = "ValidatingAdmissionWebhook"

    def __init__(self, hooks: Hooks, asker: Asker) -> None:
        self._hooks = hooks
        self._asker = asker

    def handles(self, resource: Resource, operation: Operation, subresource: str) -> bool:
        return not rules.exempt(resource)

    def idle(self) -> bool:
        return self._hooks.empty()

    async def validate(self, request: Attributes) -> None:
        matches = self._hooks.matching(request)
        if not matches:
            return
        subject = Subject(request)
        concerned = [
            match for match in matches if await self._asker.concerns(match[0], request, subject)
        ]
        for _, shape in concerned:  # converted once, before all of them ask for it at once
            await subject.new(shape)
            await subject.old(shape)
        found = await asyncio.gather(
            *(
                self._asker.ask(hook, shape, request, subject, mutating=False)
                for hook, shape in concerned
            ),
            return_exceptions=True,
        )
        for outcome in found:
            if isinstance(outcome, BaseException):
                raise outcome
