"""IngressClass: which controller looks after an Ingress. It stands beside the walk's step 6."""

import re
from collections.abc import Iterator

from api import validation
from api.core.references import TypedLocalObjectReference
from api.fielderrors import (
    FieldError,
    Path,
    forbidden,
    invalid,
    not_supported,
    required,
    too_long,
)
from api.networking import IngressClass, IngressClassParametersReference
from api.scheme import resource_of
from control.resources.checks import check_immutable
from control.resources.columns import NONE
from control.resources.networking.ingress import reference_errors
from control.resources.strategy import Column, Strategy

CLUSTER, NAMESPACE = "Cluster", "Namespace"
_MAX_CONTROLLER = 250
_PATH = r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+"
_PATH_RE = re.compile(_PATH)
_SPEC = Path("spec")


class IngressClassStrategy(Strategy[IngressClass]):
    """A controller, which never changes, and where its parameters are."""

    columns = (
        Column("Controller", "string", lambda one, now: one.spec.controller),
        Column("Parameters", "string", lambda one, now: _shown(one.spec.parameters)),
    )

    def default(self, obj: IngressClass) -> None:
        parameters = obj.spec.parameters
        if parameters is not None and parameters.scope is None:
            parameters.scope = CLUSTER

    def validate(self, obj: IngressClass) -> list[FieldError]:
        errors = list(_controller_errors(_SPEC.child("controller"), obj.spec.controller))
        if obj.spec.parameters is not None:
            errors += _parameters_errors(_SPEC.child("parameters"), obj.spec.parameters)
        return errors

    def validate_update(self, new: IngressClass, old: IngressClass) -> list[FieldError]:
        path = _SPEC.child("controller")
        return [
            *check_immutable(path, new.spec.controller, old.spec.controller),
            *self.validate(new),
        ]


def _shown(parameters: IngressClassParametersReference | None) -> str:
    if parameters is None:
        return NONE
    group = f".{parameters.api_group}" if parameters.api_group is not None else ""
    return f"{parameters.kind}{group}/{parameters.name}"


def _controller_errors(path: Path, controller: str) -> Iterator[FieldError]:
    """`example.com/path`: a domain first, so that names of different makers do not meet."""
    if len(controller) > _MAX_CONTROLLER:
        yield too_long(path, _MAX_CONTROLLER)
    if not controller:
        yield required(path, "")
        return
    host, _, rest = controller.partition("/")
    if not host or not rest:
        yield invalid(path, controller, 'must be a domain-prefixed path (such as "acme.io/foo")')
        return
    for why in validation.dns1123_subdomain(host):
        yield invalid(path, host, why)
    if not _PATH_RE.fullmatch(rest):
        yield invalid(path, rest, f"Invalid path (regex used for validation is '{_PATH}')")


def _parameters_errors(
    path: Path, parameters: IngressClassParametersReference
) -> Iterator[FieldError]:
    reference = TypedLocalObjectReference(
        api_group=parameters.api_group, kind=parameters.kind, name=parameters.name
    )
    yield from reference_errors(path, reference)
    namespace, where = parameters.namespace, path.child("namespace")
    match parameters.scope:
        case "Cluster":
            if namespace is not None:
                yield forbidden(where, "`parameters.scope` is set to 'Cluster'")
        case "Namespace":
            if namespace is None:
                yield required(where, "`parameters.scope` is set to 'Namespace'")
            for why in validation.dns1123_label(namespace) if namespace is not None else ():
                yield invalid(where, namespace, why)
        case other:
            yield not_supported(path.child("scope"), other, (CLUSTER, NAMESPACE))


STRATEGY = IngressClassStrategy(resource_of(IngressClass))
