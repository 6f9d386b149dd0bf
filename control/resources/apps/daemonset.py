"""DaemonSet: one pod on each node that its template allows. Walk step 1."""

from collections.abc import Iterator

from api.apps import DaemonSet, DaemonSetUpdateStrategy, RollingUpdateDaemonSet
from api.fielderrors import FieldError, Path, invalid, not_supported, required
from api.poddefaults import default_pod_spec
from api.scheme import resource_of
from control.resources.apps.replicaset import container_images, container_names
from control.resources.checks import (
    check_amount,
    check_counts,
    check_immutable,
    check_non_negative,
    check_selector_matches_template,
    is_nothing,
)
from control.resources.columns import AGE, format_labels, format_selector
from control.resources.podspec.spec import template_errors
from control.resources.strategy import Column, Strategy

DEFAULT_HISTORY = 10
DEFAULT_UNAVAILABLE = 1


class DaemonSetStrategy(Strategy[DaemonSet]):
    """The selector never changes."""

    columns = (
        Column("Desired", "integer", lambda ds, now: ds.status.desired_number_scheduled),
        Column("Current", "integer", lambda ds, now: ds.status.current_number_scheduled),
        Column("Ready", "integer", lambda ds, now: ds.status.number_ready),
        Column("Up-to-date", "integer", lambda ds, now: ds.status.updated_number_scheduled),
        Column("Available", "integer", lambda ds, now: ds.status.number_available),
        Column(
            "Node Selector",
            "string",
            lambda ds, now: format_labels(ds.spec.template.spec.node_selector),
        ),
        AGE,
        Column(
            "Containers",
            "string",
            lambda ds, now: container_names(ds.spec.template.spec),
            priority=1,
        ),
        Column(
            "Images", "string", lambda ds, now: container_images(ds.spec.template.spec), priority=1
        ),
        Column("Selector", "string", lambda ds, now: format_selector(ds.spec.selector), priority=1),
    )

    def default(self, obj: DaemonSet) -> None:
        spec = obj.spec
        if spec.revision_history_limit is None:
            spec.revision_history_limit = DEFAULT_HISTORY
        strategy = spec.update_strategy
        strategy.type = strategy.type or "RollingUpdate"
        if strategy.type == "RollingUpdate":
            rolling = strategy.rolling_update or RollingUpdateDaemonSet()
            if rolling.max_unavailable is None:
                rolling.max_unavailable = DEFAULT_UNAVAILABLE
            if rolling.max_surge is None:
                rolling.max_surge = 0
            strategy.rolling_update = rolling
        default_pod_spec(spec.template.spec)

    def validate(self, obj: DaemonSet) -> list[FieldError]:
        path, spec = Path("spec"), obj.spec
        return [
            *check_selector_matches_template(
                path, spec.selector, spec.template.metadata.labels, workload="daemonset"
            ),
            *template_errors(spec.template, path.child("template"), "DaemonSet"),
            *_update_errors(spec.update_strategy, path.child("updateStrategy")),
            *check_non_negative(path.child("minReadySeconds"), spec.min_ready_seconds),
            *check_non_negative(path.child("revisionHistoryLimit"), spec.revision_history_limit),
        ]

    def validate_update(self, new: DaemonSet, old: DaemonSet) -> list[FieldError]:
        where = Path("spec").child("selector")
        return [*self.validate(new), *check_immutable(where, new.spec.selector, old.spec.selector)]

    def validate_subresource(
        self, subresource: str, new: DaemonSet, old: DaemonSet
    ) -> list[FieldError]:
        path, status = Path("status"), new.status
        collisions = status.collision_count
        counts = {
            "currentNumberScheduled": status.current_number_scheduled,
            "numberMisscheduled": status.number_misscheduled,
            "desiredNumberScheduled": status.desired_number_scheduled,
            "numberReady": status.number_ready,
            "observedGeneration": status.observed_generation,
            "updatedNumberScheduled": status.updated_number_scheduled,
            "numberAvailable": status.number_available,
            "numberUnavailable": status.number_unavailable,
            "collisionCount": collisions,
        }
        errors = list(check_counts(path, counts))
        if (collisions or 0) < (old.status.collision_count or 0):
            errors.append(
                invalid(path.child("collisionCount"), collisions, "cannot be decremented")
            )
        return errors


def _update_errors(strategy: DaemonSetUpdateStrategy, path: Path) -> Iterator[FieldError]:
    if strategy.type == "OnDelete":
        return
    if strategy.type != "RollingUpdate":
        yield not_supported(path, strategy, ("RollingUpdate", "OnDelete"))
        return
    where, rolling = path.child("rollingUpdate"), strategy.rolling_update
    if rolling is None:
        yield required(where, "")
        return
    errors = [
        *check_amount(where.child("maxUnavailable"), rolling.max_unavailable),
        *check_amount(where.child("maxSurge"), rolling.max_surge),
    ]
    yield from errors
    if errors:
        return
    none_missing, none_more = is_nothing(rolling.max_unavailable), is_nothing(rolling.max_surge)
    if not none_missing and not none_more:
        yield invalid(
            where.child("maxSurge"),
            rolling.max_surge,
            "may not be set when maxUnavailable is non-zero",
        )
    elif none_missing and none_more:
        yield required(where.child("maxUnavailable"), "cannot be 0 when maxSurge is 0")


STRATEGY = DaemonSetStrategy(resource_of(DaemonSet))
