"""Which addresses an endpoint may have (API reference, Endpoints and EndpointSlice)."""

from collections.abc import Iterator
from ipaddress import ip_address

from api.fielderrors import FieldError, Path, invalid


def endpoint_address_errors(path: Path, value: str, *, version: int = 0) -> Iterator[FieldError]:
    """An address that other machines can reach: not unspecified, loopback or link-local.

    `version` is 4 or 6 where the address must be of that family.
    """
    try:
        address = ip_address(value)
    except ValueError:
        yield invalid(path, value, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")
        return
    if version and address.version != version:
        yield invalid(path, value, f"must be an IPv{version} address")
    if address.is_unspecified:
        yield invalid(path, value, "may not be unspecified (0.0.0.0 or ::)")
    if address.is_loopback:
        yield invalid(path, value, "may not be in the loopback range (127.0.0.0/8, ::1/128)")
    if address.is_link_local:
        yield invalid(path, value, "may not be in the link-local range (169.254.0.0/16, fe80::/10)")
    if address.is_multicast:
        yield invalid(path, value, "may not be in the multicast range (224.0.0.0/4, ff00::/8)")
