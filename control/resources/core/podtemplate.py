"""PodTemplate: a pattern of pods on its own. Walk step 1."""

from api.core import PodTemplate
from api.fielderrors import FieldError, Path
from api.poddefaults import default_pod_spec
from api.scheme import resource_of
from control.resources.apps.replicaset import container_images, container_names
from control.resources.columns import format_labels
from control.resources.podspec.spec import any_template_errors
from control.resources.strategy import Column, Strategy


class PodTemplateStrategy(Strategy[PodTemplate]):
    """Any pod's template, and nobody acts on it."""

    shows_age = False
    columns = (
        Column("Containers", "string", lambda one, now: container_names(one.template.spec)),
        Column("Images", "string", lambda one, now: container_images(one.template.spec)),
        Column(
            "Pod Labels", "string", lambda one, now: format_labels(one.template.metadata.labels)
        ),
    )

    def default(self, obj: PodTemplate) -> None:
        default_pod_spec(obj.template.spec)

    def prepare_create(self, obj: PodTemplate) -> None:
        obj.metadata.generation = 1

    def validate(self, obj: PodTemplate) -> list[FieldError]:
        return list(any_template_errors(obj.template, Path("template")))

    def generation_changes(self, new: PodTemplate, old: PodTemplate) -> bool:
        return new.template != old.template


STRATEGY = PodTemplateStrategy(resource_of(PodTemplate))
