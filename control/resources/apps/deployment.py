"""Deployment: declarative updates of pods through ReplicaSets."""

from collections.abc import Iterator

from api.apps import Deployment, DeploymentStrategy, DeploymentStrategyType, RollingUpdateDeployment
from api.fielderrors import FieldError, Path, forbidden, invalid
from api.poddefaults import default_pod_spec
from api.scheme import resource_of
from control.resources.apps.replicaset import container_images, container_names
from control.resources.checks import (
    check_amount,
    check_enum,
    check_immutable,
    check_non_negative,
    check_selector_matches_template,
    is_nothing,
)
from control.resources.columns import AGE, format_selector
from control.resources.podspec.spec import template_errors
from control.resources.strategy import Column, Strategy

DEFAULT_SURGE = "25%"
DEFAULT_HISTORY = 10
DEFAULT_PROGRESS_SECONDS = 600


class DeploymentStrategyRules(Strategy[Deployment]):
    """Named apart from the API's own DeploymentStrategy type. The selector never changes."""

    kept_by_status = ("labels",)

    columns = (
        Column(
            "Ready",
            "string",
            lambda d, now: f"{d.status.ready_replicas}/{d.spec.replicas or 0}",
        ),
        Column("Up-to-date", "integer", lambda d, now: d.status.updated_replicas),
        Column("Available", "integer", lambda d, now: d.status.available_replicas),
        AGE,
        Column(
            "Containers", "string", lambda d, now: container_names(d.spec.template.spec), priority=1
        ),
        Column(
            "Images", "string", lambda d, now: container_images(d.spec.template.spec), priority=1
        ),
        Column("Selector", "string", lambda d, now: format_selector(d.spec.selector), priority=1),
    )

    def default(self, obj: Deployment) -> None:
        spec = obj.spec
        if spec.replicas is None:
            spec.replicas = 1
        if spec.revision_history_limit is None:
            spec.revision_history_limit = DEFAULT_HISTORY
        if spec.progress_deadline_seconds is None:
            spec.progress_deadline_seconds = DEFAULT_PROGRESS_SECONDS
        spec.strategy.type = spec.strategy.type or "RollingUpdate"
        if spec.strategy.type == "RollingUpdate":
            rolling = spec.strategy.rolling_update or RollingUpdateDeployment()
            if rolling.max_surge is None:
                rolling.max_surge = DEFAULT_SURGE
            if rolling.max_unavailable is None:
                rolling.max_unavailable = DEFAULT_SURGE
            spec.strategy.rolling_update = rolling
        default_pod_spec(spec.template.spec)

    def validate(self, obj: Deployment) -> list[FieldError]:
        path, spec = Path("spec"), obj.spec
        errors = [
            *check_non_negative(path.child("replicas"), spec.replicas),
            *check_non_negative(path.child("minReadySeconds"), spec.min_ready_seconds),
            *check_non_negative(path.child("revisionHistoryLimit"), spec.revision_history_limit),
            *check_non_negative(
                path.child("progressDeadlineSeconds"), spec.progress_deadline_seconds
            ),
            *check_selector_matches_template(path, spec.selector, spec.template.metadata.labels),
            *template_errors(spec.template, path.child("template")),
            *_strategy_errors(spec.strategy, path.child("strategy")),
        ]
        deadline = spec.progress_deadline_seconds
        if deadline is not None and 0 <= deadline <= spec.min_ready_seconds:
            errors.append(
                invalid(
                    path.child("progressDeadlineSeconds"),
                    deadline,
                    "must be greater than minReadySeconds",
                )
            )
        return errors

    def validate_update(self, new: Deployment, old: Deployment) -> list[FieldError]:
        where = Path("spec").child("selector")
        return [
            *self.validate(new),
            *check_immutable(where, new.spec.selector, old.spec.selector),
        ]


def _strategy_errors(strategy: DeploymentStrategy, path: Path) -> Iterator[FieldError]:
    yield from check_enum(path.child("type"), strategy.type, DeploymentStrategyType, needed=True)
    where = path.child("rollingUpdate")
    rolling = strategy.rolling_update
    if strategy.type == "Recreate":
        if rolling is not None:
            yield forbidden(where, "may not be specified when strategy `type` is 'Recreate'")
        return
    if rolling is None:
        return
    errors = [
        *check_amount(where.child("maxSurge"), rolling.max_surge, at_most_all=False),
        *check_amount(where.child("maxUnavailable"), rolling.max_unavailable),
    ]
    yield from errors
    if not errors and is_nothing(rolling.max_surge) and is_nothing(rolling.max_unavailable):
        yield invalid(
            where.child("maxUnavailable"),
            rolling.max_unavailable,
            "may not be 0 when `maxSurge` is 0",
        )


STRATEGY = DeploymentStrategyRules(resource_of(Deployment))
