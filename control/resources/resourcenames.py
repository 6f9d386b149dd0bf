"""Which names of resources there are: what containers, bounds and quotas may speak of. Walk step 1.

As the API documents resource names: without a domain they are Kubernetes' own and known by name; with
one they are somebody's extended resource.
"""

from collections.abc import Iterator

from api import validation
from api.fielderrors import FieldError, Path, invalid

HUGE_PAGES = "hugepages-"
REQUESTS = "requests."
COUNTED = frozenset(
    {
        "configmaps",
        "persistentvolumeclaims",
        "pods",
        "replicationcontrollers",
        "resourcequotas",
        "secrets",
        "services",
    }
)
"""Kinds of the core group whose objects are counted under their plain plural."""

_COMPUTED = frozenset({"cpu", "memory", "ephemeral-storage"})
_NATIVE_DOMAIN = "kubernetes.io/"
_QUOTA = frozenset(
    {
        *COUNTED,
        *_COMPUTED,
        *(f"requests.{name}" for name in (*_COMPUTED, "storage")),
        *(f"limits.{name}" for name in _COMPUTED),
        "services.loadbalancers",
        "services.nodeports",
    }
)


def any_resource_errors(path: Path, name: str) -> Iterator[FieldError]:
    """Any name of a resource."""
    yield from _malformed(path, name)
    if "/" not in name and name not in {*_QUOTA, "storage"} and not name.startswith(HUGE_PAGES):
        yield invalid(path, name, "must be a standard resource type or fully qualified")


def container_resource_errors(path: Path, name: str) -> Iterator[FieldError]:
    """A resource that containers can have."""
    malformed = list(_malformed(path, name))
    yield from malformed
    if malformed:
        return
    if "/" not in name:
        if name not in _COMPUTED and not name.startswith(HUGE_PAGES):
            yield invalid(path, name, "must be a standard resource type or fully qualified")
            yield invalid(path, name, "must be a standard resource for containers")
    elif _NATIVE_DOMAIN not in name and name.startswith(REQUESTS):
        yield invalid(path, name, "doesn't follow extended resource name standard")


def quota_resource_errors(path: Path, name: str) -> Iterator[FieldError]:
    """A resource of which a namespace can have a quota."""
    yield from _malformed(path, name)
    if "/" not in name and not is_standard_for_quota(name):
        yield invalid(path, name, "must be a standard resource for quota")


def is_standard_for_quota(name: str) -> bool:
    """Whether quotas know the resource by name."""
    return name in _QUOTA or is_huge_pages(name)


def is_huge_pages(name: str) -> bool:
    """Pages of some size, as quotas name them."""
    return name.removeprefix(REQUESTS).startswith(HUGE_PAGES)


def overcommits(name: str) -> bool:
    """Whether requests may be below limits: native resources except huge pages."""
    native = "/" not in name or _NATIVE_DOMAIN in name
    return native and not name.startswith(HUGE_PAGES)


def is_whole(name: str) -> bool:
    """Whether the resource comes in whole units only: numbers of objects and of devices."""
    if name in COUNTED or name in ("services.loadbalancers", "services.nodeports"):
        return True
    return "/" in name and _NATIVE_DOMAIN not in name and not name.startswith(REQUESTS)


def _malformed(path: Path, name: str) -> Iterator[FieldError]:
    for why in validation.qualified_name(name):
        yield invalid(path, name, why)
