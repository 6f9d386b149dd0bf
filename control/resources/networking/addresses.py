"""IPAddress and ServiceCIDR: the books of the Services' addresses, step 6 of the walk (KEP-1880)."""

from collections.abc import Iterator
from ipaddress import ip_address, ip_network

from api import validation
from api.fielderrors import FieldError, Path, invalid, required
from api.networking import IPAddress, ParentReference, ServiceCIDR
from api.scheme import resource_of
from control.resources.checks import check_immutable, check_text
from control.resources.columns import NONE
from control.resources.strategy import Column, Strategy

_PARENT = Path("spec", "parentRef")
_CIDRS = Path("spec", "cidrs")
_MAX_CIDRS = 2


class IPAddressStrategy(Strategy[IPAddress]):
    """An address and whose it is, which never changes."""

    columns = (Column("ParentRef", "string", lambda one, now: _shown(one.spec.parent_ref)),)

    def validate_name(self, name: str, *, generated: bool) -> list[str]:
        if wrong := validation.ip_address(name):
            return wrong
        canonical = str(ip_address(name)) == name
        return [] if canonical else ["must be a canonical format IP address"]

    def validate(self, obj: IPAddress) -> list[FieldError]:
        return list(_parent_errors(obj.spec.parent_ref))

    def validate_update(self, new: IPAddress, old: IPAddress) -> list[FieldError]:
        changed = check_immutable(_PARENT, new.spec.parent_ref, old.spec.parent_ref)
        return [*self.validate(new), *changed]


class ServiceCIDRStrategy(Strategy[ServiceCIDR]):
    """One range, or one of each family; a second may be added, and nothing else ever changes."""

    columns = (Column("CIDRs", "string", lambda one, now: ",".join(one.spec.cidrs)),)

    def validate(self, obj: ServiceCIDR) -> list[FieldError]:
        return list(_ranges_errors(obj.spec.cidrs))

    def validate_update(self, new: ServiceCIDR, old: ServiceCIDR) -> list[FieldError]:
        now, then = new.spec.cidrs, old.spec.cidrs
        if not len(then) <= len(now) <= _MAX_CIDRS:
            return list(check_immutable(_CIDRS, now, then))
        errors = [
            error
            for number, (one, other) in enumerate(zip(now, then, strict=False))
            for error in check_immutable(_CIDRS.index(number), one, other)
        ]
        return errors if len(now) == len(then) else [*errors, *self.validate(new)]


def _shown(parent: ParentReference | None) -> str:
    if parent is None:
        return NONE
    resource = f"{parent.resource}.{parent.group}" if parent.group else parent.resource
    parts = (resource.lower(), parent.namespace, parent.name)
    return "/".join(part for part in parts if part)


def _parent_errors(parent: ParentReference | None) -> Iterator[FieldError]:
    if parent is None:
        yield required(_PARENT, "")
        return
    group, segment = validation.dns1123_subdomain, validation.path_segment
    yield from check_text(_PARENT.child("group"), parent.group, group, needed=False)
    yield from check_text(_PARENT.child("resource"), parent.resource, segment)
    yield from check_text(_PARENT.child("name"), parent.name, segment)
    yield from check_text(_PARENT.child("namespace"), parent.namespace, segment, needed=False)


def _ranges_errors(cidrs: list[str]) -> Iterator[FieldError]:
    if not cidrs:
        yield required(_CIDRS, "at least one CIDR required")
    if len(cidrs) > _MAX_CIDRS:
        yield invalid(_CIDRS, cidrs, "may only hold up to 2 values")
        return
    for number, cidr in enumerate(cidrs):
        for why in validation.cidr(cidr) or _host_bits(cidr):
            yield invalid(_CIDRS.index(number), cidr, why)
    families = [
        ip_network(cidr, strict=False).version for cidr in cidrs if not validation.cidr(cidr)
    ]
    if len(set(families)) < len(families):
        yield invalid(
            _CIDRS,
            cidrs,
            "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/96",
        )


def _host_bits(cidr: str) -> list[str]:
    """New fields take one spelling of a network alone."""
    network, given = ip_network(cidr, strict=False), ip_address(cidr.rpartition("/")[0])
    if network.network_address != given:
        return ["must not have bits set beyond the prefix length"]
    return []


ADDRESS = IPAddressStrategy(resource_of(IPAddress))
CIDR = ServiceCIDRStrategy(resource_of(ServiceCIDR))
