"""DOC coordination."""

from typing import Annotated

from msgspec import field

from api.meta import ObjectMeta
from api.struct import ApiStruct, Int32, MicroTime, enum, pb, type_meta

CoordinatedLeaseStrategy = Annotated[str, enum("OldestEmulationVersion")]


class LeaseSpec(ApiStruct, kw_only=True):
    """DOC LeaseSpec."""

    holder_identity: Annotated[str | None, pb(1)] = None
    lease_duration_seconds: Annotated[Int32 | None, pb(2)] = None
    acquire_time: Annotated[MicroTime | None, pb(3)] = None
    renew_time: Annotated[MicroTime | None, pb(4)] = None
    lease_transitions: Annotated[Int32 | None, pb(5)] = None
    strategy: Annotated[CoordinatedLeaseStrategy | None, pb(6)] = None
    preferred_holder: Annotated[str | None, pb(7)] = None


class Lease(ApiStruct, kw_only=True):
    """DOC Lease."""

    api_version: str = type_meta("coordination.k8s.io/v1")
    kind: str = type_meta("Lease")
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    spec: Annotated[LeaseSpec, pb(2)] = field(default_factory=LeaseSpec)
