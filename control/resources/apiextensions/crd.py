"""CustomResourceDefinition: what a definition must say, and what of it stays. Walk step 1.

Rules: "CustomResourceDefinition" in the API reference, and "Extend the Kubernetes API with
CustomResourceDefinitions". What becomes of a definition, the server's part that serves it decides
(`control/apiserver/custom/controller.py`).
"""

from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from api import conditions, jsonpath, validation
from api.apiextensions import (
    CustomResourceColumnDefinition,
    CustomResourceConversion,
    CustomResourceDefinition,
    CustomResourceDefinitionNames,
    CustomResourceDefinitionVersion,
    WebhookConversion,
)
from api.fielderrors import FieldError, Path, duplicate, forbidden, invalid, not_supported, required
from api.scheme import resource_of
from control.resources.apiextensions import schemas, selectable
from control.resources.apiextensions.shapes import mistyped
from control.resources.checks import check_text
from control.resources.strategy import WRITABLE_METADATA, Column, Strategy

FINALIZER = "customresourcecleanup.apiextensions.k8s.io"
_SCOPES = ("Cluster", "Namespaced")
_STRATEGIES = ("None", "Webhook")
_TYPES = ("boolean", "date", "integer", "number", "string")
_FORMATS = ("byte", "date", "date-time", "double", "float", "int32", "int64", "password")
_SPEC = Path("spec")
_APPROVED = "api-approved.kubernetes.io"
_PROTECTED = ("k8s.io", "kubernetes.io")
"""Groups of the Kubernetes community itself, and all below them."""
_APPROVAL_PAGE = "https://github.com/kubernetes/enhancements/pull/1111"


class DefinitionStrategy(Strategy[CustomResourceDefinition]):
    """A deleted definition stays until its objects are gone: a finalizer of the server's sees to it."""

    kept_by_status = WRITABLE_METADATA

    columns = (
        Column(
            "Created At",
            "date",
            lambda crd, now: crd.metadata.creation_timestamp,
            description="When the definition was made.",
        ),
    )
    shows_age = False

    def default(self, obj: CustomResourceDefinition) -> None:
        spec, names = obj.spec, obj.spec.names
        names.singular = names.singular or names.kind.lower()
        names.list_kind = names.list_kind or (names.kind and f"{names.kind}List")
        if spec.conversion is None:
            spec.conversion = CustomResourceConversion(strategy="None")
        webhook = spec.conversion.webhook
        service = webhook.client_config.service if webhook and webhook.client_config else None
        if service is not None and service.port is None:
            service.port = 443

    def prepare_create(self, obj: CustomResourceDefinition) -> None:
        super().prepare_create(obj)
        obj.status.stored_versions = [one.name for one in obj.spec.versions if one.storage][:1]

    def validate(self, obj: CustomResourceDefinition) -> list[FieldError]:
        return list(_validate(obj))

    def validate_update(
        self, new: CustomResourceDefinition, old: CustomResourceDefinition
    ) -> list[FieldError]:
        # What older servers let pass stands in nobody's way: an update may leave it as it is.
        known = {str(error) for error in _validate(old)}
        found = [error for error in _validate(new) if str(error) not in known]
        return [*found, *_immutable(new, old), *_stored(new)]

    def validate_subresource(
        self, subresource: str, new: CustomResourceDefinition, old: CustomResourceDefinition
    ) -> list[FieldError]:
        return list(_stored(new))

    def mark_deleted(self, obj: CustomResourceDefinition) -> None:
        if FINALIZER not in obj.metadata.finalizers:
            obj.metadata.finalizers = [*obj.metadata.finalizers, FINALIZER]


def _validate(crd: CustomResourceDefinition) -> Iterator[FieldError]:
    spec = crd.spec
    if crd.metadata.name != f"{spec.names.plural}.{spec.group}":
        yield invalid(
            Path("metadata").child("name"),
            crd.metadata.name,
            'must be spec.names.plural+"."+spec.group',
        )
    group = _SPEC.child("group")
    if not spec.group:
        yield required(group, "")
    else:
        yield from check_text(group, spec.group, validation.dns1123_subdomain)
        if "." not in spec.group:
            yield invalid(group, spec.group, "should be a domain with at least one dot")
    yield from _validate_approval(crd)
    if spec.scope not in _SCOPES:
        yield not_supported(_SPEC.child("scope"), spec.scope, _SCOPES)
    if spec.preserve_unknown_fields:
        yield invalid(
            _SPEC.child("preserveUnknownFields"), True,
            "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in "
            "spec.versions[*].schema instead",
        )  # fmt: skip
    yield from _validate_names(spec.names, _SPEC.child("names"))
    yield from _validate_versions(spec.versions)
    yield from _validate_conversion(spec.conversion, _SPEC.child("conversion"))


def _validate_approval(crd: CustomResourceDefinition) -> Iterator[FieldError]:
    """Who defines kinds in the community's groups says where that was agreed, or that it was not."""
    group = crd.spec.group
    if not any(group == one or group.endswith(f".{one}") for one in _PROTECTED):
        return
    where, more = Path("metadata").child("annotations").key(_APPROVED), _APPROVAL_PAGE
    text = f'protected groups must have approval annotation "{_APPROVED}"'
    given = crd.metadata.annotations.get(_APPROVED, "")
    if not given:
        yield required(where, f"{text}, see {more}")
    elif not given.startswith("unapproved") and not _is_url(given):
        either = 'with either a URL or a reason starting with "unapproved"'
        yield invalid(where, given, f"{text} {either}, see {more}")


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return bool(parts.scheme and parts.netloc)


def _validate_names(names: CustomResourceDefinitionNames, path: Path) -> Iterator[FieldError]:
    for field, value in (
        ("plural", names.plural),
        ("singular", names.singular),
        ("kind", names.kind.lower()),
        ("listKind", names.list_kind.lower()),
    ):
        if not value:
            yield required(path.child(field), "")
        else:
            yield from check_text(path.child(field), value, validation.dns1035_label)
    if names.kind and names.kind == names.list_kind:
        yield invalid(
            path.child("listKind"), names.list_kind, "kind and listKind may not be the same"
        )
    for field, several in (("shortNames", names.short_names), ("categories", names.categories)):
        for number, value in enumerate(several):
            yield from check_text(path.child(field).index(number), value, validation.dns1035_label)


def _validate_versions(versions: list[CustomResourceDefinitionVersion]) -> Iterator[FieldError]:
    path = _SPEC.child("versions")
    if sum(one.storage for one in versions) != 1:
        yield invalid(
            path,
            [one.name for one in versions],
            "must have exactly one version marked as storage version",
        )
    seen: set[str] = set()
    for number, one in enumerate(versions):
        where = path.index(number)
        yield from check_text(where.child("name"), one.name, validation.dns1035_label)
        if one.name in seen:
            yield duplicate(where.child("name"), one.name)
        seen.add(one.name)
        yield from _validate_version(one, where)


def _validate_version(one: CustomResourceDefinitionVersion, where: Path) -> Iterator[FieldError]:
    schema = one.schema.open_api_v3_schema if one.schema is not None else None
    place = where.child("schema").child("openAPIV3Schema")
    if not isinstance(schema, Mapping):
        yield required(place, "schemas are required")
    elif wrong := list(mistyped(schema, place)):
        yield from wrong
        return  # nothing else can be said of what is no schema
    else:
        yield from schemas.problems(schema, place)
    if one.deprecation_warning is not None and not one.deprecated:
        yield invalid(
            where.child("deprecationWarning"),
            one.deprecation_warning,
            "can only be set for deprecated versions",
        )
    for number, column in enumerate(one.additional_printer_columns):
        yield from _validate_column(column, where.child("additionalPrinterColumns").index(number))
    if isinstance(schema, Mapping):
        paths = [field.json_path for field in one.selectable_fields]
        yield from selectable.problems(paths, schema, where.child("selectableFields"))
    scale = one.subresources.scale if one.subresources is not None else None
    if scale is not None:
        at = where.child("subresources").child("scale")
        for field, value, roots in (
            ("specReplicasPath", scale.spec_replicas_path, (".spec.",)),
            ("statusReplicasPath", scale.status_replicas_path, (".status.",)),
            ("labelSelectorPath", scale.label_selector_path, (".spec.", ".status.")),
        ):
            if value is not None and not value.startswith(roots):
                yield invalid(
                    at.child(field), value, f"should be a json path under {' or '.join(roots)}"
                )


def _validate_column(column: CustomResourceColumnDefinition, at: Path) -> Iterator[FieldError]:
    for field, value, known in (
        ("type", column.type, _TYPES),
        ("format", column.format, _FORMATS),
    ):
        if value and value not in known:
            yield invalid(at.child(field), value, f"must be one of {','.join(known)}")
    for field, value in (
        ("name", column.name),
        ("type", column.type),
        ("jsonPath", column.json_path),
    ):
        if not value:
            yield required(at.child(field), "")
    try:
        jsonpath.parse(column.json_path)
    except ValueError as error:
        yield invalid(at.child("jsonPath"), column.json_path, str(error))


def _validate_conversion(
    conversion: CustomResourceConversion | None, path: Path
) -> Iterator[FieldError]:
    if conversion is None:
        return
    if conversion.strategy not in _STRATEGIES:
        yield not_supported(path.child("strategy"), conversion.strategy, _STRATEGIES)
    if conversion.strategy != "Webhook":
        if conversion.webhook is not None:
            yield forbidden(
                path.child("webhook"), "should not be set when strategy is not set to Webhook"
            )
        return
    if conversion.webhook is None:
        yield required(path.child("webhook"), "required when strategy is set to Webhook")
        return
    yield from _validate_webhook(conversion.webhook, path.child("webhook"))


def _validate_webhook(webhook: WebhookConversion, path: Path) -> Iterator[FieldError]:
    config, where = webhook.client_config, path.child("clientConfig")
    if config is None:
        yield required(where, "required when strategy is set to Webhook")
    elif (config.url is None) == (config.service is None):
        yield required(where, "exactly one of url or service is required")
    elif config.url is not None and not config.url.startswith("https://"):
        yield invalid(where.child("url"), config.url, "'https' is the only allowed URL scheme")
    if not webhook.conversion_review_versions:
        yield required(path.child("conversionReviewVersions"), "")
    elif "v1" not in webhook.conversion_review_versions:
        yield invalid(
            path.child("conversionReviewVersions"),
            webhook.conversion_review_versions,
            "must include v1",
        )


def _immutable(
    new: CustomResourceDefinition, old: CustomResourceDefinition
) -> Iterator[FieldError]:
    kept = [
        ("group", new.spec.group, old.spec.group),
        ("names.plural", new.spec.names.plural, old.spec.names.plural),
    ]
    if conditions.is_true(old.status.conditions, "Established"):
        kept += [
            ("scope", new.spec.scope, old.spec.scope),
            ("names.kind", new.spec.names.kind, old.spec.names.kind),
        ]
    for field, after, before in kept:
        if after != before:
            yield invalid(Path(f"spec.{field}"), after, "field is immutable")


def _stored(crd: CustomResourceDefinition) -> Iterator[FieldError]:
    versions = {one.name for one in crd.spec.versions}
    for number, name in enumerate(crd.status.stored_versions):
        if name not in versions:
            where = Path("status").child("storedVersions").index(number)
            yield invalid(where, name, "must appear in spec.versions")


STRATEGY = DefinitionStrategy(resource_of(CustomResourceDefinition))
