"""CSIDriver: what the cluster has to know of a storage driver. Walk step 4: how volumes are mounted."""

from collections.abc import Iterator, Sequence

from api.fielderrors import FieldError, Path, invalid, not_supported
from api.scheme import resource_of
from api.storage import CSIDriver, FSGroupPolicy, TokenRequest, VolumeLifecycleMode
from control.resources.checks import check_enum, check_immutable, check_unique, enum_values
from control.resources.columns import AGE, NONE
from control.resources.strategy import Column, Strategy

MIN_TOKEN_SECONDS = 600
MAX_TOKEN_SECONDS = 1 << 32
MIN_UPDATE_SECONDS = 10


class CSIDriverStrategy(Strategy[CSIDriver]):
    """Everything has a default; what volumes were made by never changes."""

    columns = (
        Column("AttachRequired", "boolean", lambda one, now: bool(one.spec.attach_required)),
        Column("PodInfoOnMount", "boolean", lambda one, now: bool(one.spec.pod_info_on_mount)),
        Column("StorageCapacity", "boolean", lambda one, now: bool(one.spec.storage_capacity)),
        Column("TokenRequests", "string", lambda one, now: _audiences(one.spec.token_requests)),
        Column("RequiresRepublish", "boolean", lambda one, now: bool(one.spec.requires_republish)),
        Column(
            "Modes", "string", lambda one, now: ",".join(one.spec.volume_lifecycle_modes) or NONE
        ),
        AGE,
    )

    def default(self, obj: CSIDriver) -> None:
        spec = obj.spec
        if spec.attach_required is None:
            spec.attach_required = True
        spec.pod_info_on_mount = bool(spec.pod_info_on_mount)
        spec.storage_capacity = bool(spec.storage_capacity)
        spec.requires_republish = bool(spec.requires_republish)
        spec.se_linux_mount = bool(spec.se_linux_mount)
        spec.fs_group_policy = spec.fs_group_policy or "ReadWriteOnceWithFSType"
        spec.volume_lifecycle_modes = spec.volume_lifecycle_modes or ["Persistent"]

    def validate(self, obj: CSIDriver) -> list[FieldError]:
        path, spec = Path("spec"), obj.spec
        allowed = enum_values(VolumeLifecycleMode)
        modes = path.child("volumeLifecycleModes")
        errors = [
            not_supported(modes, mode, allowed)
            for mode in spec.volume_lifecycle_modes
            if mode not in allowed
        ]
        errors += check_enum(path.child("fsGroupPolicy"), spec.fs_group_policy, FSGroupPolicy)
        errors += _token_errors(path.child("tokenRequests"), spec.token_requests)
        period = spec.node_allocatable_update_period_seconds
        if period is not None and period < MIN_UPDATE_SECONDS:
            where = path.child("nodeAllocatableUpdatePeriodSeconds")
            why = f"must be greater than or equal to {MIN_UPDATE_SECONDS} seconds"
            errors.append(invalid(where, period, why))
        return errors

    def validate_update(self, new: CSIDriver, old: CSIDriver) -> list[FieldError]:
        path, mine, theirs = Path("spec"), new.spec, old.spec
        modes = path.child("volumeLifecycleModes")
        return [
            *self.validate(new),
            *check_immutable(
                path.child("attachRequired"), mine.attach_required, theirs.attach_required
            ),
            *check_immutable(modes, mine.volume_lifecycle_modes, theirs.volume_lifecycle_modes),
        ]


def _audiences(requests: Sequence[TokenRequest]) -> str:
    return ",".join(one.audience for one in requests) if requests else "<unset>"


def _token_errors(path: Path, requests: Sequence[TokenRequest]) -> Iterator[FieldError]:
    yield from check_unique(
        path,
        ((path.index(at).child("audience"), one.audience) for at, one in enumerate(requests)),
    )
    for at, one in enumerate(requests):
        where, seconds = path.index(at).child("expirationSeconds"), one.expiration_seconds
        if seconds is None:
            continue
        if seconds < MIN_TOKEN_SECONDS:
            yield invalid(where, seconds, "may not specify a duration less than 10 minutes")
        if seconds > MAX_TOKEN_SECONDS:
            yield invalid(where, seconds, "may not specify a duration larger than 2^32 seconds")


STRATEGY = CSIDriverStrategy(resource_of(CSIDriver))
