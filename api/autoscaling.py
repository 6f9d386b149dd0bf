"""DOC autoscaling."""

from typing import Annotated

from msgspec import field

from api.meta import ObjectMeta
from api.struct import ApiStruct, Int32, pb, type_meta


class ScaleSpec(ApiStruct, kw_only=True):
    """DOC ScaleSpec."""

    replicas: Annotated[Int32, pb(1)] = 0


class ScaleStatus(ApiStruct, kw_only=True):
    """DOC ScaleStatus."""

    replicas: Annotated[Int32, pb(1)]
    selector: Annotated[str, pb(2)] = ""


class Scale(ApiStruct, kw_only=True):
    """DOC Scale."""

    api_version: str = type_meta("autoscaling/v1")
    kind: str = type_meta("Scale")
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    spec: Annotated[ScaleSpec, pb(2)] = field(default_factory=ScaleSpec)
    status: Annotated[ScaleStatus, pb(3)]
