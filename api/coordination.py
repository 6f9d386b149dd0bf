"""Leases: who holds something, and until when (group `coordination.k8s.io`).

A node renews one as its heartbeat; a node whose lease is old is lost, and its pods are replaced.
"""

from typing import Annotated

from msgspec import field

from api.meta import ObjectMeta
from api.struct import ApiStruct, Int32, MicroTime, enum, pb, type_meta

CoordinatedLeaseStrategy = Annotated[str, enum("OldestEmulationVersion")]


class LeaseSpec(ApiStruct, kw_only=True):
    """Who holds it and since when."""

    holder_identity: Annotated[str | None, pb(1)] = None
    """Who holds it; empty means nobody."""
    lease_duration_seconds: Annotated[Int32 | None, pb(2)] = None
    """Seconds after the last renewal at which others may take it."""
    acquire_time: Annotated[MicroTime | None, pb(3)] = None
    """When the holder took it."""
    renew_time: Annotated[MicroTime | None, pb(4)] = None
    """When the holder renewed it last."""
    lease_transitions: Annotated[Int32 | None, pb(5)] = None
    """How often it has changed hands."""
    strategy: Annotated[CoordinatedLeaseStrategy | None, pb(6)] = None
    """How the holder is elected, for coordinated elections."""
    preferred_holder: Annotated[str | None, pb(7)] = None
    """Who should take it next, for coordinated elections."""


class Lease(ApiStruct, kw_only=True):
    """A claim that must be renewed to stay valid."""

    api_version: str = type_meta("coordination.k8s.io/v1")
    """Group and version of this schema: `coordination.k8s.io/v1`."""
    kind: str = type_meta("Lease")
    """Name of this schema: `Lease`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    spec: Annotated[LeaseSpec, pb(2)] = field(default_factory=LeaseSpec)
    """The holder and its times."""
