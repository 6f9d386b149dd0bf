"""Asking one webhook, and what becomes of the request when it cannot be asked. Walk step 1.

Every question costs a connection; a webhook has as long as its configuration gives it. What goes wrong
on the way is Kubernetes' "failed calling webhook", and the failure policy decides: the request fails,
or goes on without this webhook.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from api import errors
from api.core import Namespace
from api.errors import ApiError
from api.scheme import resource_of
from base.errors import PodwrightError
from control.admission.chain import Attributes, Operation, Reader
from control.admission.webhooks import answers
from control.admission.webhooks.answers import AnswerError, Verdict
from control.admission.webhooks.hooks import Hook
from control.admission.webhooks.metrics import (
    ADMIT,
    DENIED,
    UNREACHABLE,
    VALIDATING,
    Labels,
    WebhookMetrics,
)
from control.admission.webhooks.questions import namespace_of, question
from control.admission.webhooks.subject import Shape, Subject

log = logging.getLogger(__name__)


class Caller(Protocol):
    """Who sends the questions; see `control.apiserver.agents.webhooks`."""

    async def post(
        self,
        config: Mapping[str, Any],
        body: bytes,
        *,
        timeout: float,
        query: Mapping[str, str] | None = None,
    ) -> bytes: ...


class Asker:
    """Puts questions to webhooks of either sort."""

    def __init__(self, caller: Caller, reader: Reader, identifier: Callable[[], str]) -> None:
        self._caller = caller
        self._reader = reader
        self._identifier = identifier
        self.metrics = WebhookMetrics()

    async def concerns(self, hook: Hook, request: Attributes, subject: Subject) -> bool:
        """Whether the labels of the namespace and of the object are those that the hook is for."""
        if not hook.namespaces.empty:
            labels = await self._namespace_labels(request)
            if labels is not None and not hook.namespaces.matches(labels):
                return False
        return subject.labelled(hook.objects)

    async def ask(
        self,
        hook: Hook,
        shape: Shape,
        request: Attributes,
        subject: Subject,
        *,
        mutating: bool,
    ) -> Verdict | None:
        """The verdict, or None when the request goes on without one. Raises ApiError otherwise."""
        labels: Labels = (hook.name, ADMIT if mutating else VALIDATING, request.operation.value)
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            verdict = await self._asked(hook, shape, request, subject, mutating)
        except (AnswerError, PodwrightError) as error:
            refusal = _refusal(hook, error)
            seconds = loop.time() - began
            if hook.ignored and not isinstance(error, ApiError):
                log.warning("passed over: %s", refusal.message)
                self.metrics.observe(labels, seconds, code=refusal.code)
                self.metrics.passed_over(labels)
                return None
            self.metrics.observe(labels, seconds, code=refusal.code, error=UNREACHABLE)
            raise refusal from None
        for text in verdict.warnings:
            if text not in request.warnings:
                request.warnings.append(text)
        code, why = (verdict.denial.code, DENIED) if verdict.denial else (200, "")
        self.metrics.observe(labels, loop.time() - began, code=code, error=why)
        if verdict.denial is not None:
            raise verdict.denial
        return verdict

    async def _asked(
        self, hook: Hook, shape: Shape, request: Attributes, subject: Subject, mutating: bool
    ) -> Verdict:
        if request.dry_run and not hook.pure:
            raise errors.bad_request(f'admission webhook "{hook.name}" does not support dry run')
        if not hook.version:
            raise AnswerError(
                "webhook does not accept known AdmissionReview versions (v1, v1beta1)"
            )
        new, old = await subject.new(shape), await subject.old(shape)
        uid = self._identifier()
        body = question(request, shape.resource, uid=uid, version=hook.version, new=new, old=old)
        try:
            answer = await self._caller.post(
                hook.config, body, timeout=hook.timeout, query={"timeout": f"{hook.timeout}s"}
            )
        except PodwrightError as error:
            raise AnswerError(f"failed to call webhook: {error.message}") from None
        return answers.read(hook.name, answer, uid=uid, mutating=mutating, version=hook.version)

    async def _namespace_labels(self, request: Attributes) -> Mapping[str, str] | None:
        """None where there is no namespace: what is the whole cluster's is never exempt."""
        name = namespace_of(request)
        if not name:
            return None
        if request.resource.type is Namespace and not request.subresource:
            if request.operation in (Operation.CREATE, Operation.UPDATE):
                labels: Mapping[str, str] = request.object.metadata.labels
                return labels
        found = self._reader.get(Namespace, name)
        if found is None:
            await self._reader.fresh(Namespace)
            found = self._reader.get(Namespace, name)
        if found is None:
            raise errors.not_found(resource_of(Namespace), name)
        return found.metadata.labels


def _refusal(hook: Hook, error: AnswerError | PodwrightError) -> ApiError:
    if isinstance(error, ApiError):
        return error
    return errors.internal(f'failed calling webhook "{hook.name}": {error}')
