"""The webhooks that are configured, ready to be compared with requests. Walk step 1.

`Hooks` reads the configurations of one kind from their cache, in the order of their names, and keeps
what it has made of them until one changes; which hooks a sort of request may concern (its resource,
operation and subresource) is found once and remembered, too. With no configuration, which is the rule,
a request costs one look at an empty cache. A change counts as soon as the cache shows it: a moment after
it was acknowledged, as in Kubernetes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from api import errors
from api.admissionregistration import (
    MutatingWebhook,
    MutatingWebhookConfiguration,
    RuleWithOperations,
    ValidatingWebhook,
    ValidatingWebhookConfiguration,
)
from api.scheme import Resource
from api.selectors import Selector, from_label_selector
from control.admission.chain import Attributes
from control.admission.webhooks import answers
from control.admission.webhooks.rules import chosen
from control.admission.webhooks.subject import Shape

Configuration = MutatingWebhookConfiguration | ValidatingWebhookConfiguration
Webhook = MutatingWebhook | ValidatingWebhook

_TIMEOUT = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """One webhook of a configuration."""

    identity: str
    """Tells it from all others: names need be unique in one configuration only."""
    name: str
    config: Mapping[str, Any]
    """Its `clientConfig`, as JSON has it."""
    rules: tuple[RuleWithOperations, ...]
    exact: bool
    namespaces: Selector
    objects: Selector
    ignored: bool
    """Whether requests pass when it cannot be asked."""
    pure: bool
    """Whether it may be asked about what will not be stored."""
    timeout: int
    version: str
    """In which version of the review it is asked; "" when it knows none of ours."""
    reinvoked: bool


def make(configuration: Configuration) -> list[Hook]:
    """The hooks of a configuration, in its order."""
    webhooks: Sequence[Webhook] = configuration.webhooks
    return [
        _hook(f"{configuration.metadata.name}/{webhook.name}/{place}", webhook)
        for place, webhook in enumerate(webhooks)
    ]


def _hook(identity: str, webhook: Webhook) -> Hook:
    known = [one for one in webhook.admission_review_versions if one in answers.VERSIONS]
    reinvocation = getattr(webhook, "reinvocation_policy", None)
    return Hook(
        identity=identity,
        name=webhook.name,
        config=msgspec.to_builtins(webhook.client_config),
        rules=tuple(webhook.rules),
        exact=webhook.match_policy == "Exact",
        namespaces=from_label_selector(webhook.namespace_selector),
        objects=from_label_selector(webhook.object_selector),
        ignored=webhook.failure_policy == "Ignore",
        pure=webhook.side_effects in ("None", "NoneOnDryRun"),
        timeout=webhook.timeout_seconds or _TIMEOUT,
        version=known[0] if known else "",
        reinvoked=reinvocation == "IfNeeded",
    )


class Entry(Protocol):
    """A configuration as a watch cache holds it."""

    @property
    def body(self) -> bytes: ...
    @property
    def revision(self) -> int: ...


class Configured(Protocol):
    """Where the configurations of one kind are kept: a watch cache."""

    @property
    def size(self) -> int: ...
    def items(self) -> Sequence[Entry]: ...


Shapes = Callable[[Resource], Sequence[Shape]]
"""The served versions of a stored resource."""

_Case = tuple[str, str, str, str, str]
Match = tuple[Hook, Shape]
"""A hook that a request may concern, and the version in which it is asked."""


class Hooks:
    """The hooks of one kind of configurations."""

    def __init__(self, type_: type[Configuration], configured: Configured, shapes: Shapes) -> None:
        self._decoder = msgspec.json.Decoder(type_)
        self._configured = configured
        self._shapes = shapes
        self._seen: list[int] = []
        self._hooks: list[Hook] = []
        self._matches: dict[_Case, Sequence[Match]] = {}

    def __len__(self) -> int:
        return len(self._current())

    def empty(self) -> bool:
        """Whether nothing is configured. Cheap."""
        return not self._configured.size

    def forget(self) -> None:
        """Other versions are served now: find anew what concerns whom."""
        self._matches.clear()

    def matching(self, request: Attributes) -> Sequence[Match]:
        """The hooks whose rules choose the request, in the order in which they are asked."""
        hooks = self._current()
        row = request.requested or request.resource
        case = (row.group, row.version, row.plural, request.operation, request.subresource)
        found = self._matches.get(case)
        if found is None:
            found = self._matches[case] = self._match(hooks, request, row)
        return found

    def _current(self) -> Sequence[Hook]:
        entries = self._configured.items()
        revisions = [entry.revision for entry in entries]
        if revisions != self._seen:
            self._hooks = [
                hook for entry in entries for hook in make(self._decoder.decode(entry.body))
            ]
            self._seen = revisions
            self._matches.clear()
        return self._hooks

    def _match(
        self, hooks: Sequence[Hook], request: Attributes, asked: Resource
    ) -> Sequence[Match]:
        served = self._shapes(request.resource)
        if not served:
            raise errors.path_not_found()  # its definition has just gone
        shapes = sorted(served, key=lambda one: one.resource != asked)
        rows = [shape.resource for shape in shapes]
        matches = []
        for hook in hooks:
            known = rows[:1] if hook.exact else rows
            place = chosen(hook.rules, request.operation, known, request.subresource)
            if place is not None:
                matches.append((hook, shapes[place]))
        return matches
