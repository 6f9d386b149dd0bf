"""ReplicaSet: so many pods of one template. Behind every Deployment."""

from api.apps import ReplicaSet
from api.core import PodSpec
from api.fielderrors import FieldError, Path
from api.poddefaults import default_pod_spec
from api.scheme import resource_of
from control.resources.checks import (
    check_immutable,
    check_non_negative,
    check_selector_matches_template,
)
from control.resources.columns import AGE, format_selector
from control.resources.podspec.spec import template_errors
from control.resources.strategy import Column, Strategy


class ReplicaSetStrategy(Strategy[ReplicaSet]):
    """The selector never changes."""

    columns = (
        Column("Desired", "integer", lambda rs, now: rs.spec.replicas or 0),
        Column("Current", "integer", lambda rs, now: rs.status.replicas),
        Column("Ready", "integer", lambda rs, now: rs.status.ready_replicas),
        AGE,
        Column(
            "Containers",
            "string",
            lambda rs, now: container_names(rs.spec.template.spec),
            priority=1,
        ),
        Column(
            "Images", "string", lambda rs, now: container_images(rs.spec.template.spec), priority=1
        ),
        Column("Selector", "string", lambda rs, now: format_selector(rs.spec.selector), priority=1),
    )

    def default(self, obj: ReplicaSet) -> None:
        if obj.spec.replicas is None:
            obj.spec.replicas = 1
        default_pod_spec(obj.spec.template.spec)

    def validate(self, obj: ReplicaSet) -> list[FieldError]:
        path, spec = Path("spec"), obj.spec
        return [
            *check_non_negative(path.child("replicas"), spec.replicas),
            *check_non_negative(path.child("minReadySeconds"), spec.min_ready_seconds),
            *check_selector_matches_template(path, spec.selector, spec.template.metadata.labels),
            *template_errors(spec.template, path.child("template")),
        ]

    def validate_update(self, new: ReplicaSet, old: ReplicaSet) -> list[FieldError]:
        where = Path("spec").child("selector")
        return [
            *self.validate(new),
            *check_immutable(where, new.spec.selector, old.spec.selector),
        ]

    def fields(self, obj: ReplicaSet) -> dict[str, str]:
        return {"status.replicas": str(obj.status.replicas)}

    def selectable_fields(self) -> frozenset[str]:
        return super().selectable_fields() | {"status.replicas"}


def container_names(spec: PodSpec) -> str:
    """The containers of a template, comma-separated."""
    return ",".join(container.name for container in spec.containers)


def container_images(spec: PodSpec) -> str:
    """The images of a template, comma-separated."""
    return ",".join(container.image for container in spec.containers)


STRATEGY = ReplicaSetStrategy(resource_of(ReplicaSet))
