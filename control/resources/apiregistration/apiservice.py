"""APIService: which server answers for a group and version of the API. Step 1 of the pod's walk.

One without a Service says that this server answers, which it always can; Kubernetes marks it as
available the moment it is created, and so do we. One with a Service asks for requests to be passed
on, which is not done yet: it says so in its condition, in a 503 to whoever asks for its group
(`control/apiserver/http/aggregation.py`) and, after a change, through its controller.
"""

from collections.abc import Iterator

from api import conditions, validation
from api.apiregistration import (
    APIService,
    APIServiceCondition,
    APIServiceSpec,
    ConditionStatus,
    ServiceReference,
)
from api.fielderrors import FieldError, Path, invalid, required
from api.scheme import resource_of
from control.resources.checks import check_enum, check_port, check_text
from control.resources.strategy import WRITABLE_METADATA, Column, Strategy

AVAILABLE = "Available"
DEFAULT_PORT = 443
_MAX_GROUP_PRIORITY = 20000
_MAX_VERSION_PRIORITY = 1000
_SPEC = Path("spec")
_SERVICE = _SPEC.child("service")


class ApiServiceStrategy(Strategy[APIService]):
    """A group and version; its name is made of both."""

    kept_by_status = WRITABLE_METADATA

    columns = (
        Column("Service", "string", lambda one, now: _service(one.spec.service)),
        Column("Available", "string", lambda one, now: _available(one)),
    )

    def default(self, obj: APIService) -> None:
        service = obj.spec.service
        if service is not None and service.port is None:
            service.port = DEFAULT_PORT

    def prepare_create(self, obj: APIService) -> None:
        super().prepare_create(obj)
        born = obj.metadata.creation_timestamp or ""
        obj.status.conditions = conditions.put([], availability(obj.spec), now=born)

    def validate_name(self, name: str, *, generated: bool) -> list[str]:
        return validation.path_segment(name)

    def validate(self, obj: APIService) -> list[FieldError]:
        return [
            *_name_errors(obj),
            *_priority_errors(obj.spec),
            *_place_errors(obj.spec),
        ]

    def validate_subresource(
        self, subresource: str, new: APIService, old: APIService
    ) -> list[FieldError]:
        path = Path("status", "conditions")
        return [
            error
            for number, one in enumerate(new.status.conditions)
            for error in check_enum(
                path.index(number).child("status"), one.status, ConditionStatus, needed=True
            )
        ]


def availability(spec: APIServiceSpec) -> APIServiceCondition:
    """Whether requests for the group and version can be answered."""
    if spec.service is None:
        message = "Local APIServices are always available"
        return APIServiceCondition(type=AVAILABLE, status="True", reason="Local", message=message)
    return APIServiceCondition(
        type=AVAILABLE, status="False", reason="AggregationNotServed", message=refusal(spec)
    )


def refusal(spec: APIServiceSpec) -> str:
    """Why a request for the group and version is not answered."""
    assert spec.service is not None, "what is served here is not refused"
    return (
        f"requests for {spec.group}/{spec.version} belong to the service "
        f"{_service(spec.service)}, and are not passed on to other API servers yet"
    )


def _service(service: ServiceReference | None) -> str:
    return "Local" if service is None else f"{service.namespace}/{service.name}"


def _available(one: APIService) -> str:
    found = conditions.find(one.status.conditions, AVAILABLE)
    if found is None:
        return "Unknown"
    return found.status if found.status == "True" else f"{found.status} ({found.reason})"


def _name_errors(obj: APIService) -> Iterator[FieldError]:
    spec = obj.spec
    name = f"{spec.version}.{spec.group}"
    if obj.metadata.name != name:
        yield invalid(
            Path("metadata", "name"),
            obj.metadata.name,
            f'must be `spec.version+"."+spec.group`: "{name}"',
        )
    where = _SPEC.child("group")
    if not spec.group and spec.version != "v1":
        yield required(where, "only v1 may have an empty group and it better be legacy kube")
    yield from check_text(where, spec.group, validation.dns1123_subdomain, needed=False)
    for why in validation.dns1035_label(spec.version):
        yield invalid(_SPEC.child("version"), spec.version, why)


def _priority_errors(spec: APIServiceSpec) -> Iterator[FieldError]:
    for name, value, most in (
        ("groupPriorityMinimum", spec.group_priority_minimum, _MAX_GROUP_PRIORITY),
        ("versionPriority", spec.version_priority, _MAX_VERSION_PRIORITY),
    ):
        if not 0 < value <= most:
            yield invalid(_SPEC.child(name), value, f"must be positive and less than {most}")


def _place_errors(spec: APIServiceSpec) -> Iterator[FieldError]:
    insecure = _SPEC.child("insecureSkipTLSVerify")
    if spec.service is None:
        if spec.ca_bundle:
            size = f"{len(spec.ca_bundle)} bytes"
            why = "local APIServices may not have a caBundle"
            yield invalid(_SPEC.child("caBundle"), size, why)
        if spec.insecure_skip_tls_verify:
            yield invalid(insecure, True, "local APIServices may not have insecureSkipTLSVerify")
        return
    if not spec.service.namespace:
        yield required(_SERVICE.child("namespace"), "")
    if not spec.service.name:
        yield required(_SERVICE.child("name"), "")
    if spec.service.port is not None:
        yield from check_port(_SERVICE.child("port"), spec.service.port)
    if spec.insecure_skip_tls_verify and spec.ca_bundle:
        yield invalid(insecure, True, "may not be true if caBundle is present")


STRATEGY = ApiServiceStrategy(resource_of(APIService))
