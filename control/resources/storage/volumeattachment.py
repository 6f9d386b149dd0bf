"""VolumeAttachment: a volume that a node is to have. Walk step 4: what must come before a mount."""

from collections.abc import Iterator

from api import validation
from api.fielderrors import FieldError, Path, forbidden, invalid, required, too_long
from api.scheme import resource_of
from api.storage import (
    VolumeAttachment,
    VolumeAttachmentSource,
    VolumeAttachmentStatus,
    VolumeError,
)
from control.resources.checks import check_text
from control.resources.columns import AGE
from control.resources.core.persistentvolume import inline_errors
from control.resources.storage.rules import driver_name_errors, text_map_errors
from control.resources.strategy import WRITABLE_METADATA, Column, Strategy

MAX_MESSAGE = 1024
_EXACTLY_ONE = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"


class VolumeAttachmentStrategy(Strategy[VolumeAttachment]):
    """Asked for once; its driver tells how far it is, or takes back."""

    kept_by_status = WRITABLE_METADATA

    columns = (
        Column("Attacher", "string", lambda one, now: one.spec.attacher),
        Column("PV", "string", lambda one, now: one.spec.source.persistent_volume_name or ""),
        Column("Node", "string", lambda one, now: one.spec.node_name),
        Column("Attached", "boolean", lambda one, now: one.status.attached),
        AGE,
    )

    def prepare_create(self, obj: VolumeAttachment) -> None:
        obj.status = VolumeAttachmentStatus(attached=False)

    def validate(self, obj: VolumeAttachment) -> list[FieldError]:
        path, spec = Path("spec"), obj.spec
        node = path.child("nodeName")
        return [
            *driver_name_errors(path.child("attacher"), spec.attacher),
            *_source_errors(path.child("source"), spec.source),
            *check_text(node, spec.node_name, validation.dns1123_subdomain),
        ]

    def validate_update(self, new: VolumeAttachment, old: VolumeAttachment) -> list[FieldError]:
        errors = self.validate(new)
        if new.spec != old.spec:
            errors.append(invalid(Path("spec"), new.spec.attacher, "field is immutable"))
        return errors

    def validate_subresource(
        self, subresource: str, new: VolumeAttachment, old: VolumeAttachment
    ) -> list[FieldError]:
        path, status = Path("status"), new.status
        return [
            *text_map_errors(path.child("attachmentMetadata"), status.attachment_metadata),
            *_message_errors(path.child("attachError"), status.attach_error),
            *_message_errors(path.child("detachError"), status.detach_error),
        ]

    def generation_changes(self, new: VolumeAttachment, old: VolumeAttachment) -> bool:
        return False


def _source_errors(path: Path, source: VolumeAttachmentSource) -> Iterator[FieldError]:
    name, inline = source.persistent_volume_name, source.inline_volume_spec
    if name is None and inline is None:
        yield required(path, _EXACTLY_ONE)
    elif name is not None and inline is not None:
        yield forbidden(path, _EXACTLY_ONE)
    elif inline is not None:
        yield from inline_errors(inline, path.child("inlineVolumeSpec"))
    elif not name:
        where = path.child("persistentVolumeName")
        yield required(where, "must specify non empty persistentVolumeName")


def _message_errors(path: Path, error: VolumeError | None) -> Iterator[FieldError]:
    if error is not None and len(error.message) > MAX_MESSAGE:
        yield too_long(path.child("message"), MAX_MESSAGE)


STRATEGY = VolumeAttachmentStrategy(resource_of(VolumeAttachment))
