"""ReplicationController: so many pods of one template, chosen by plain labels. Walk step 1."""

from collections.abc import Iterator

from api.core import PodTemplateSpec, ReplicationController, ReplicationControllerStatus
from api.fielderrors import FieldError, Path, invalid, required
from api.poddefaults import default_pod_spec
from api.scheme import resource_of
from control.resources.apps.replicaset import container_images, container_names
from control.resources.checks import check_counts, check_labels, check_non_negative, check_parts
from control.resources.columns import AGE, format_labels
from control.resources.podspec.spec import template_errors
from control.resources.strategy import Column, Scaled, Strategy


class ReplicationControllerStrategy(Strategy[ReplicationController]):
    """What is not said of selector and labels is taken from the template; both may change."""

    columns = (
        Column("Desired", "integer", lambda rc, now: rc.spec.replicas or 0),
        Column("Current", "integer", lambda rc, now: rc.status.replicas),
        Column("Ready", "integer", lambda rc, now: rc.status.ready_replicas),
        AGE,
        Column(
            "Containers",
            "string",
            lambda rc, now: container_names(_template(rc).spec),
            priority=1,
        ),
        Column(
            "Images", "string", lambda rc, now: container_images(_template(rc).spec), priority=1
        ),
        Column("Selector", "string", lambda rc, now: format_labels(rc.spec.selector), priority=1),
    )

    def default(self, obj: ReplicationController) -> None:
        spec, template = obj.spec, obj.spec.template
        if spec.replicas is None:
            spec.replicas = 1
        if template is None:
            return
        labels = template.metadata.labels
        spec.selector = spec.selector or dict(labels)
        obj.metadata.labels = obj.metadata.labels or dict(labels)
        default_pod_spec(template.spec)

    def validate(self, obj: ReplicationController) -> list[FieldError]:
        path, spec = Path("spec"), obj.spec
        errors = [
            *check_non_negative(path.child("minReadySeconds"), spec.min_ready_seconds),
            *check_labels(path.child("selector"), spec.selector),
            *check_non_negative(path.child("replicas"), spec.replicas),
        ]
        if not spec.selector:
            errors.append(required(path.child("selector"), ""))
        where = path.child("template")
        if spec.template is None:
            errors.append(required(where, ""))
            return errors
        labels = spec.template.metadata.labels
        if spec.selector and not spec.selector.items() <= labels.items():
            words = "`selector` does not match template `labels`"
            errors.append(invalid(where.child("metadata", "labels"), labels, words))
        errors += template_errors(spec.template, where, "ReplicationController")
        return errors

    def validate_subresource(
        self, subresource: str, new: ReplicationController, old: ReplicationController
    ) -> list[FieldError]:
        return list(_status_errors(new.status)) if subresource == "status" else []

    def fields(self, obj: ReplicationController) -> dict[str, str]:
        return {"status.replicas": str(obj.status.replicas)}

    def selectable_fields(self) -> frozenset[str]:
        return super().selectable_fields() | {"status.replicas"}

    def scale(self, obj: ReplicationController) -> Scaled:
        selector = ",".join(f"{key}={value}" for key, value in sorted(obj.spec.selector.items()))
        return Scaled(obj.spec.replicas or 0, obj.status.replicas, selector)


def _template(rc: ReplicationController) -> PodTemplateSpec:
    """Its template, which validation has demanded."""
    assert rc.spec.template is not None, "a stored ReplicationController has a template"
    return rc.spec.template


def _status_errors(status: ReplicationControllerStatus) -> Iterator[FieldError]:
    path = Path("status")
    parts = {
        "fullyLabeledReplicas": status.fully_labeled_replicas,
        "readyReplicas": status.ready_replicas,
        "availableReplicas": status.available_replicas,
    }
    others = {"replicas": status.replicas, "observedGeneration": status.observed_generation}
    yield from check_counts(path, others)
    yield from check_parts(path, status.replicas, parts)
    if status.available_replicas > status.ready_replicas:
        where = path.child("availableReplicas")
        yield invalid(where, status.available_replicas, "cannot be greater than readyReplicas")


STRATEGY = ReplicationControllerStrategy(resource_of(ReplicationController))
