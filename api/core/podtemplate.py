"""PodTemplate: a pattern of pods, kept for whoever wants to make pods of it (core group)."""

from typing import Annotated

from msgspec import field

from api.core.pod import PodTemplateSpec
from api.meta import ObjectMeta
from api.struct import ApiStruct, pb, type_meta


class PodTemplate(ApiStruct, kw_only=True):
    """A pattern of pods, kept on its own."""

    api_version: str = type_meta("v1")
    """Group and version of this schema: `v1`."""
    kind: str = type_meta("PodTemplate")
    """Name of this schema: `PodTemplate`."""
    metadata: Annotated[ObjectMeta, pb(1)] = field(default_factory=ObjectMeta)
    """Name, namespace, labels and the other facts that every object has."""
    template: Annotated[PodTemplateSpec, pb(2)]
    """The pattern."""
