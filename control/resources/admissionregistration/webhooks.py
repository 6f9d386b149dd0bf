"""Webhooks of admission: whom the server asks about which requests. Walk step 1.

Rules: "MutatingWebhookConfiguration" and "ValidatingWebhookConfiguration" in the API reference.
Conditions in CEL are refused: a webhook that is asked more often than it was made for may stop what
its conditions were to spare, itself included.
"""

from collections.abc import Iterator, Sequence
from typing import TypeVar
from urllib.parse import urlsplit

from api import validation
from api.admissionregistration import (
    FailurePolicyType,
    MatchPolicyType,
    MutatingWebhook,
    MutatingWebhookConfiguration,
    ReinvocationPolicyType,
    ServiceReference,
    ValidatingWebhook,
    ValidatingWebhookConfiguration,
    WebhookClientConfig,
)
from api.fielderrors import FieldError, Path, duplicate, forbidden, invalid, not_supported, required
from api.meta import LabelSelector
from api.scheme import resource_of
from control.resources.admissionregistration import rules
from control.resources.checks import check_enum
from control.resources.strategy import Column, Strategy

REVIEW_VERSIONS = ("v1", "v1beta1")
"""Versions of AdmissionReview that the server can send."""
_SIDE_EFFECTS = ("None", "NoneOnDryRun")
_TIMEOUT, _MIN_TIMEOUT, _MAX_TIMEOUT = 10, 1, 30
_PORT = 443
_FORM = "; desired format: https://host[/path]"

Webhook = MutatingWebhook | ValidatingWebhook
T = TypeVar("T", MutatingWebhookConfiguration, ValidatingWebhookConfiguration)


class WebhooksStrategy(Strategy[T]):
    """A configuration of either kind; its generation counts changes of the webhooks."""

    columns = (Column("Webhooks", "integer", lambda config, now: len(config.webhooks)),)

    def default(self, obj: T) -> None:
        for webhook in obj.webhooks:
            _default(webhook)

    def validate(self, obj: T) -> list[FieldError]:
        return list(_errors(obj.webhooks))

    @property
    def has_generation(self) -> bool:
        return True

    def generation_changes(self, new: T, old: T) -> bool:
        return new.webhooks != old.webhooks


def _default(webhook: Webhook) -> None:
    webhook.failure_policy = webhook.failure_policy or "Fail"
    webhook.match_policy = webhook.match_policy or "Equivalent"
    if webhook.namespace_selector is None:
        webhook.namespace_selector = LabelSelector()
    if webhook.object_selector is None:
        webhook.object_selector = LabelSelector()
    if webhook.timeout_seconds is None:
        webhook.timeout_seconds = _TIMEOUT
    if isinstance(webhook, MutatingWebhook):
        webhook.reinvocation_policy = webhook.reinvocation_policy or "Never"
    service = webhook.client_config.service
    if service is not None and service.port is None:
        service.port = _PORT
    rules.default_rules(webhook.rules)


def _errors(webhooks: Sequence[Webhook]) -> Iterator[FieldError]:
    names: set[str] = set()
    for number, webhook in enumerate(webhooks):
        path = Path("webhooks").index(number)
        yield from _webhook_errors(path, webhook)
        yield from _version_errors(
            path.child("admissionReviewVersions"), webhook.admission_review_versions
        )
        if webhook.name in names:
            yield duplicate(path.child("name"), webhook.name)
        names.add(webhook.name)


def _webhook_errors(path: Path, webhook: Webhook) -> Iterator[FieldError]:
    yield from _name_errors(path.child("name"), webhook.name)
    yield from rules.check_rules(path.child("rules"), webhook.rules)
    yield from check_enum(path.child("failurePolicy"), webhook.failure_policy, FailurePolicyType)
    yield from check_enum(path.child("matchPolicy"), webhook.match_policy, MatchPolicyType)
    effects = path.child("sideEffects")
    if webhook.side_effects is None:
        yield required(effects, f"must specify one of {', '.join(_SIDE_EFFECTS)}")
    elif webhook.side_effects not in _SIDE_EFFECTS:
        yield not_supported(effects, webhook.side_effects, _SIDE_EFFECTS)
    timeout = webhook.timeout_seconds
    if timeout is not None and not _MIN_TIMEOUT <= timeout <= _MAX_TIMEOUT:
        why = f"the timeout value must be between {_MIN_TIMEOUT} and {_MAX_TIMEOUT} seconds"
        yield invalid(path.child("timeoutSeconds"), timeout, why)
    yield from rules.check_selectors(path, webhook.namespace_selector, webhook.object_selector)
    if isinstance(webhook, MutatingWebhook):
        where = path.child("reinvocationPolicy")
        yield from check_enum(where, webhook.reinvocation_policy, ReinvocationPolicyType)
    yield from _client_errors(path.child("clientConfig"), webhook.client_config)
    conditions = path.child("matchConditions")
    yield from rules.check_conditions(conditions, webhook.match_conditions)
    if webhook.match_conditions:
        yield forbidden(
            conditions,
            "expressions in CEL are not evaluated yet, and must not be ignored; "
            "narrow the webhook by rules, namespaceSelector or objectSelector",
        )


def _name_errors(path: Path, name: str) -> Iterator[FieldError]:
    if not name:
        yield required(path, "")
        return
    if wrong := validation.dns1123_subdomain(name):
        yield invalid(path, name, ",".join(wrong))
    elif name.count(".") < 2:
        why = "should be a domain with at least three segments separated by dots"
        yield invalid(path, name, why)


def _version_errors(path: Path, versions: Sequence[str]) -> Iterator[FieldError]:
    known = ", ".join(REVIEW_VERSIONS)
    if not versions:
        yield required(path, f"must specify one of {known}")
        return
    for number, version in enumerate(versions):
        if version in versions[:number]:
            yield duplicate(path.index(number), version)
        for why in validation.dns1035_label(version):
            yield invalid(path.index(number), version, why)
    if not set(versions) & set(REVIEW_VERSIONS):
        yield invalid(path, versions, f"must include at least one of {known}")


def _client_errors(path: Path, config: WebhookClientConfig) -> Iterator[FieldError]:
    if (config.url is None) == (config.service is None):
        yield required(path, "exactly one of url or service is required")
    elif config.url is not None:
        yield from _url_errors(path.child("url"), config.url)
    elif config.service is not None:
        yield from _service_errors(path.child("service"), config.service)


def _url_errors(path: Path, url: str) -> Iterator[FieldError]:
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port  # refuses what is no number
    except ValueError as error:
        yield required(path, f"url must be a valid URL: {error}{_FORM}")
        return
    if parts.scheme != "https":
        yield invalid(path, parts.scheme, f"'https' is the only allowed URL scheme{_FORM}")
    if not host:
        yield invalid(path, "", f"host must be specified{_FORM}")
    if "@" in parts.netloc:
        user = parts.netloc.rpartition("@")[0]
        yield invalid(path, user, "user information is not permitted in the URL")
    if parts.fragment:
        yield invalid(path, parts.fragment, "fragments are not permitted in the URL")
    if parts.query:
        yield invalid(path, parts.query, "query parameters are not permitted in the URL")


def _service_errors(path: Path, service: ServiceReference) -> Iterator[FieldError]:
    if not service.name:
        yield required(path.child("name"), "service name is required")
    if not service.namespace:
        yield required(path.child("namespace"), "service namespace is required")
    port = service.port if service.port is not None else _PORT
    if wrong := validation.port_number(port):
        yield invalid(path.child("port"), port, f"port is not valid: {','.join(wrong)}")
    yield from _path_errors(path.child("path"), service.path or "")


def _path_errors(where: Path, path: str) -> Iterator[FieldError]:
    if path in ("", "/"):
        return
    if path == "//":
        yield invalid(where, path, "segment[0] may not be empty")
        return
    if not path.startswith("/"):
        yield invalid(where, path, "must start with a '/'")
    for number, segment in enumerate(path[1:].removesuffix("/").split("/")):
        if not segment:
            yield invalid(where, path, f"segment[{number}] may not be empty")
            continue
        for why in validation.dns1123_subdomain(segment):
            yield invalid(where, path, f"segment[{number}]: {why}")


MUTATING: WebhooksStrategy[MutatingWebhookConfiguration] = WebhooksStrategy(
    resource_of(MutatingWebhookConfiguration)
)
VALIDATING: WebhooksStrategy[ValidatingWebhookConfiguration] = WebhooksStrategy(
    resource_of(ValidatingWebhookConfiguration)
)
