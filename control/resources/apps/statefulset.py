"""StatefulSet: pods with names and storage of their own. Walk step 1."""

from collections.abc import Iterator, Sequence

import msgspec

from api import validation
from api.apps import (
    RollingUpdateStatefulSetStrategy,
    StatefulSet,
    StatefulSetPersistentVolumeClaimRetentionPolicy,
    StatefulSetSpec,
    StatefulSetStatus,
    StatefulSetUpdateStrategy,
)
from api.apps.statefulset import PersistentVolumeClaimRetentionPolicyType
from api.core import (
    PersistentVolumeClaim,
    PersistentVolumeClaimVolumeSource,
    PodTemplateSpec,
    Volume,
)
from api.fielderrors import FieldError, Path, forbidden, invalid, not_supported
from api.poddefaults import default_pod_spec
from api.scheme import resource_of
from control.resources.apps.replicaset import container_images, container_names
from control.resources.checks import (
    check_amount,
    check_counts,
    check_non_negative,
    check_parts,
    check_selector_matches_template,
    check_text,
    check_unique,
    enum_values,
    is_nothing,
)
from control.resources.columns import AGE
from control.resources.core.persistentvolumeclaim import claim_spec_errors
from control.resources.podspec.spec import template_errors
from control.resources.strategy import Column, Strategy

DEFAULT_HISTORY = 10

_MAY_CHANGE = (
    "replicas",
    "ordinals",
    "template",
    "update_strategy",
    "revision_history_limit",
    "persistent_volume_claim_retention_policy",
    "min_ready_seconds",
)
_FIXED = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
    "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and "
    "'minReadySeconds' are forbidden"
)


class StatefulSetStrategy(Strategy[StatefulSet]):
    """Names, storage and order are for life; size, template and the way of updates may change."""

    columns = (
        Column(
            "Ready",
            "string",
            lambda sts, now: f"{sts.status.ready_replicas}/{sts.spec.replicas or 0}",
        ),
        AGE,
        Column(
            "Containers",
            "string",
            lambda sts, now: container_names(sts.spec.template.spec),
            priority=1,
        ),
        Column(
            "Images",
            "string",
            lambda sts, now: container_images(sts.spec.template.spec),
            priority=1,
        ),
    )

    def default(self, obj: StatefulSet) -> None:
        spec = obj.spec
        if spec.replicas is None:
            spec.replicas = 1
        if spec.revision_history_limit is None:
            spec.revision_history_limit = DEFAULT_HISTORY
        spec.pod_management_policy = spec.pod_management_policy or "OrderedReady"
        _default_update(spec.update_strategy)
        policy = spec.persistent_volume_claim_retention_policy
        policy = policy or StatefulSetPersistentVolumeClaimRetentionPolicy()
        policy.when_deleted = policy.when_deleted or "Retain"
        policy.when_scaled = policy.when_scaled or "Retain"
        spec.persistent_volume_claim_retention_policy = policy
        for claim in spec.volume_claim_templates:
            claim.spec.volume_mode = claim.spec.volume_mode or "Filesystem"
            claim.status.phase = claim.status.phase or "Pending"
        default_pod_spec(spec.template.spec)

    def validate(self, obj: StatefulSet) -> list[FieldError]:
        path, spec = Path("spec"), obj.spec
        claims = path.child("volumeClaimTemplates")
        return [
            *_management_errors(spec, path),
            *_update_errors(spec.update_strategy, path.child("updateStrategy")),
            *_retention_errors(spec, path.child("persistentVolumeClaimRetentionPolicy")),
            *check_non_negative(path.child("replicas"), spec.replicas),
            *check_non_negative(path.child("minReadySeconds"), spec.min_ready_seconds),
            *check_non_negative(
                path.child("ordinals", "start"), spec.ordinals.start if spec.ordinals else None
            ),
            *check_text(
                path.child("serviceName"),
                spec.service_name,
                validation.dns1123_subdomain,
                needed=False,
            ),
            *check_selector_matches_template(
                path, spec.selector, spec.template.metadata.labels, workload="statefulset"
            ),
            *_claim_errors(spec.volume_claim_templates, claims),
            *template_errors(with_claims(spec), path.child("template"), "StatefulSet"),
        ]

    def validate_update(self, new: StatefulSet, old: StatefulSet) -> list[FieldError]:
        errors = self.validate(new)
        changed = {name: getattr(new.spec, name) for name in _MAY_CHANGE}
        if new.spec != msgspec.structs.replace(old.spec, **changed):
            errors.append(forbidden(Path("spec"), _FIXED))
        return errors

    def validate_subresource(
        self, subresource: str, new: StatefulSet, old: StatefulSet
    ) -> list[FieldError]:
        return list(_status_errors(new.status, old.status)) if subresource == "status" else []

    def warnings(self, obj: StatefulSet) -> list[str]:
        found = super().warnings(obj)
        for why in validation.dns1123_label(obj.metadata.name):
            found.append(
                "metadata.name: this is used in Pod names and hostnames, which can result in "
                f"surprising behavior; a DNS label is recommended: [{why}]"
            )
        if (obj.spec.revision_history_limit or 0) < 0:
            found.append(
                "spec.revisionHistoryLimit: a negative value retains all historical revisions; "
                "a value >= 0 is recommended"
            )
        return found


def with_claims(spec: StatefulSetSpec) -> PodTemplateSpec:
    """The template as its pods have it: a claim takes the place of the volume of its name."""
    claims = {
        claim.metadata.name: Volume(
            name=claim.metadata.name,
            persistent_volume_claim=PersistentVolumeClaimVolumeSource(
                claim_name=claim.metadata.name
            ),
        )
        for claim in spec.volume_claim_templates
    }
    template = spec.template
    volumes = [claims.pop(volume.name, volume) for volume in template.spec.volumes]
    volumes += claims.values()
    return msgspec.structs.replace(
        template, spec=msgspec.structs.replace(template.spec, volumes=volumes)
    )


def _default_update(strategy: StatefulSetUpdateStrategy) -> None:
    strategy.type = strategy.type or "RollingUpdate"
    if strategy.type != "RollingUpdate":
        return
    rolling = strategy.rolling_update or RollingUpdateStatefulSetStrategy()
    if rolling.partition is None:
        rolling.partition = 0
    strategy.rolling_update = rolling


def _management_errors(spec: StatefulSetSpec, path: Path) -> Iterator[FieldError]:
    where, policy = path.child("podManagementPolicy"), spec.pod_management_policy
    if policy not in ("OrderedReady", "Parallel"):
        yield invalid(where, policy, "must be 'OrderedReady' or 'Parallel'")


def _update_errors(strategy: StatefulSetUpdateStrategy, path: Path) -> Iterator[FieldError]:
    where, rolling = path.child("rollingUpdate"), strategy.rolling_update
    if strategy.type == "OnDelete":
        if rolling is not None:
            yield invalid(where, rolling, "only allowed for updateStrategy 'RollingUpdate'")
    elif strategy.type != "RollingUpdate":
        yield invalid(path, strategy, "must be 'RollingUpdate' or 'OnDelete'")
    elif rolling is not None:
        yield from check_non_negative(where.child("partition"), rolling.partition)
        most = rolling.max_unavailable
        errors = list(check_amount(where.child("maxUnavailable"), most))
        yield from errors
        if most is not None and not errors and is_nothing(most):
            yield invalid(where.child("maxUnavailable"), most, "cannot be 0")


def _retention_errors(spec: StatefulSetSpec, path: Path) -> Iterator[FieldError]:
    policy = spec.persistent_volume_claim_retention_policy
    if policy is None:
        return
    allowed = enum_values(PersistentVolumeClaimRetentionPolicyType)
    for name, value in (("whenScaled", policy.when_scaled), ("whenDeleted", policy.when_deleted)):
        if value not in allowed:
            yield not_supported(path.child(name), value, allowed)


def _claim_errors(claims: Sequence[PersistentVolumeClaim], path: Path) -> Iterator[FieldError]:
    """What would keep a claim from being made, and its pod with it."""
    named = [
        (path.index(number).child("metadata", "name"), claim.metadata.name)
        for number, claim in enumerate(claims)
    ]
    for where, name in named:
        yield from check_text(where, name, validation.dns1123_label)
    yield from check_unique(path, named)
    for number, claim in enumerate(claims):
        yield from claim_spec_errors(claim.spec, path.index(number).child("spec"))


def _status_errors(new: StatefulSetStatus, old: StatefulSetStatus) -> Iterator[FieldError]:
    path, collisions = Path("status"), new.collision_count
    parts = {
        "readyReplicas": new.ready_replicas,
        "currentReplicas": new.current_replicas,
        "updatedReplicas": new.updated_replicas,
        "availableReplicas": new.available_replicas,
    }
    others = {
        "replicas": new.replicas,
        "observedGeneration": new.observed_generation,
        "collisionCount": collisions,
    }
    yield from check_counts(path, others)
    yield from check_parts(path, new.replicas, parts)
    if new.available_replicas > new.ready_replicas:
        where = path.child("availableReplicas")
        yield invalid(where, new.available_replicas, "cannot be greater than status.readyReplicas")
    if (collisions or 0) < (old.collision_count or 0):
        yield invalid(path.child("collisionCount"), collisions, "cannot be decremented")


STRATEGY = StatefulSetStrategy(resource_of(StatefulSet))
