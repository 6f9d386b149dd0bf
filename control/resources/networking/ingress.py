"""Ingress: which requests from outside lead to which Service. It stands beside the walk's step 6.

The rules are those of the API documentation of Ingress v1: a path is compared as its type says, a
backend is a Service or another object, and a Service's port goes by its name or by its number.
"""

from collections.abc import Iterator
from ipaddress import ip_address

from api import validation
from api.core.references import TypedLocalObjectReference
from api.fielderrors import FieldError, Path, invalid, not_supported, required
from api.networking import (
    HTTPIngressPath,
    HTTPIngressRuleValue,
    Ingress,
    IngressBackend,
    IngressLoadBalancerIngress,
    IngressRule,
    IngressServiceBackend,
    IngressTLS,
)
from api.scheme import resource_of
from control.resources.checks import check_port, check_text
from control.resources.columns import NONE
from control.resources.strategy import Column, Strategy

CLASS_ANNOTATION = "kubernetes.io/ingress.class"
"""How the class was said before there was a field for it; old controllers still read it."""

EXACT, PREFIX, FREE = "Exact", "Prefix", "ImplementationSpecific"
_NO_PARTS = ("//", "/./", "/../", "%2f", "%2F")
_NO_ENDS = ("/..", "/.")
_HOSTS_SHOWN = 3


class IngressStrategy(Strategy[Ingress]):
    """Rules by host and path; where it is reached, its controller writes."""

    columns = (
        Column("Class", "string", lambda ingress, now: ingress.spec.ingress_class_name or NONE),
        Column("Hosts", "string", lambda ingress, now: _hosts(ingress.spec.rules)),
        Column("Address", "string", lambda ingress, now: _addresses(ingress)),
        Column("Ports", "string", lambda ingress, now: "80, 443" if ingress.spec.tls else "80"),
    )

    def validate(self, obj: Ingress) -> list[FieldError]:
        """The old annotation beside the class is refused to new objects only."""
        errors = list(_spec_errors(obj))
        said = obj.metadata.annotations.get(CLASS_ANNOTATION)
        if said is not None and obj.spec.ingress_class_name is not None:
            where = Path("metadata", "annotations").key(CLASS_ANNOTATION)
            errors.append(invalid(where, said, "can not be set when the class field is also set"))
        return errors

    def validate_update(self, new: Ingress, old: Ingress) -> list[FieldError]:
        return list(_spec_errors(new))

    def validate_subresource(
        self, subresource: str, new: Ingress, old: Ingress
    ) -> list[FieldError]:
        path = Path("status", "loadBalancer", "ingress")
        return [
            error
            for number, one in enumerate(new.status.load_balancer.ingress)
            for error in _address_errors(path.index(number), one)
        ]


def _hosts(rules: list[IngressRule]) -> str:
    hosts = [rule.host for rule in rules if rule.host]
    shown = ",".join(hosts[:_HOSTS_SHOWN])
    if shown and len(rules) > _HOSTS_SHOWN:
        return f"{shown} + {len(rules) - _HOSTS_SHOWN} more..."
    return shown or "*"


def _addresses(ingress: Ingress) -> str:
    found = {one.ip or one.hostname for one in ingress.status.load_balancer.ingress}
    return ",".join(sorted(found - {""}))


def _spec_errors(ingress: Ingress) -> Iterator[FieldError]:
    path, spec = Path("spec"), ingress.spec
    if not spec.rules and spec.default_backend is None:
        yield invalid(path, [], "either `defaultBackend` or `rules` must be specified")
    if spec.default_backend is not None:
        yield from _backend_errors(path.child("defaultBackend"), spec.default_backend)
    for number, rule in enumerate(spec.rules):
        yield from _rule_errors(path.child("rules").index(number), rule)
    if spec.ingress_class_name is not None:
        where = path.child("ingressClassName")
        for why in validation.dns1123_subdomain(spec.ingress_class_name):
            yield invalid(where, spec.ingress_class_name, why)
    for number, tls in enumerate(spec.tls):
        yield from _tls_errors(path.child("tls").index(number), tls)


def _tls_errors(path: Path, tls: IngressTLS) -> Iterator[FieldError]:
    for number, host in enumerate(tls.hosts):
        yield from _name_errors(path.child("hosts").index(number), host)
    yield from check_text(
        path.child("secretName"), tls.secret_name, validation.dns1123_subdomain, needed=False
    )


def _rule_errors(path: Path, rule: IngressRule) -> Iterator[FieldError]:
    if rule.host:
        where = path.child("host")
        if is_address(rule.host):
            yield invalid(where, rule.host, "must be a DNS name, not an IP address")
        yield from _name_errors(where, rule.host)
    if rule.http is not None:
        yield from _paths_errors(path.child("http", "paths"), rule.http)


def _name_errors(path: Path, host: str) -> Iterator[FieldError]:
    wild = "*" in host
    rule = validation.wildcard_subdomain if wild else validation.dns1123_subdomain
    for why in rule(host):
        yield invalid(path, host, why)


def _paths_errors(path: Path, http: HTTPIngressRuleValue) -> Iterator[FieldError]:
    if not http.paths:
        yield required(path, "")
    for number, one in enumerate(http.paths):
        where = path.index(number)
        yield from _path_errors(where, one)
        yield from _backend_errors(where.child("backend"), one.backend)


def _path_errors(path: Path, one: HTTPIngressPath) -> Iterator[FieldError]:
    if one.path_type is None:
        yield required(path.child("pathType"), "pathType must be specified")
    elif one.path_type in (EXACT, PREFIX):
        yield from _plain_path_errors(path.child("path"), one.path)
    elif one.path_type != FREE:
        yield not_supported(path.child("pathType"), one.path_type, (EXACT, FREE, PREFIX))
    elif one.path and not one.path.startswith("/"):
        yield invalid(path.child("path"), one.path, "must be an absolute path")


def _plain_path_errors(path: Path, value: str) -> Iterator[FieldError]:
    """Segment by segment a path means one thing only; these spellings would hide another."""
    if not value.startswith("/"):
        yield invalid(path, value, "must be an absolute path")
    for part in _NO_PARTS:
        if part in value:
            yield invalid(path, value, f"must not contain '{part}'")
    for end in _NO_ENDS:
        if value.endswith(end):
            yield invalid(path, value, f"cannot end with '{end}'")


def _backend_errors(path: Path, backend: IngressBackend) -> Iterator[FieldError]:
    service, resource = backend.service, backend.resource
    if service is not None and resource is not None:
        yield invalid(path, "", "cannot set both resource and service backends")
    elif resource is not None:
        yield from reference_errors(path.child("resource"), resource)
    elif service is not None:
        yield from _service_errors(path, service)
    else:
        yield invalid(path, "", "resource or service backend is required")


def _service_errors(path: Path, service: IngressServiceBackend) -> Iterator[FieldError]:
    below, port = path.child("service"), service.port
    yield from check_text(below.child("name"), service.name, validation.dns1035_label)
    if port.name and port.number:
        yield invalid(path, "", "cannot set both port name & port number")
    elif port.name:
        yield from check_text(below.child("port", "name"), port.name, validation.port_name)
    elif port.number:
        yield from check_port(below.child("port", "number"), port.number)
    else:
        yield required(path, "port name or number is required")


def reference_errors(path: Path, reference: TypedLocalObjectReference) -> Iterator[FieldError]:
    """Another object, by group, kind and name."""
    if reference.api_group is not None:
        for why in validation.dns1123_subdomain(reference.api_group):
            yield invalid(path.child("apiGroup"), reference.api_group, why)
    for name, value in (("kind", reference.kind), ("name", reference.name)):
        if not value:
            yield required(path.child(name), f"{name} is required")
        yield from check_text(path.child(name), value, validation.path_segment, needed=False)


def _address_errors(path: Path, one: IngressLoadBalancerIngress) -> Iterator[FieldError]:
    yield from check_text(path.child("ip"), one.ip, validation.ip_address, needed=False)
    if one.hostname:
        where = path.child("hostname")
        yield from check_text(where, one.hostname, validation.dns1123_subdomain)
        if is_address(one.hostname):
            yield invalid(where, one.hostname, "must be a DNS name, not an IP address")


def is_address(text: str) -> bool:
    """Whether a name is an IP address."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


STRATEGY = IngressStrategy(resource_of(Ingress))
