"""AlwaysPullImages: whoever starts a pod shows that he may read its images (step 1 of the walk).

Off unless `--enable-admission-plugins` names it. A node keeps the images that it has pulled once, so
that without this a pod may run what somebody else was allowed to fetch. Every image is pulled again at
each start then, with the pod's own credentials, whatever its pull policy was.
"""

from __future__ import annotations

from api import errors
from api.core import Container, EphemeralContainer, Pod, PodSpec
from api.scheme import Resource
from control.admission.chain import Attributes, Operation, Plugin

_ALWAYS = "Always"


class AlwaysPullImages(Plugin):
    name = "AlwaysPullImages"
    default = False

    def handles(self, resource: Resource, operation: Operation, subresource: str) -> bool:
        return (
            resource.type is Pod
            and operation in (Operation.CREATE, Operation.UPDATE)
            and subresource in ("", "ephemeralcontainers")
        )

    async def admit(self, request: Attributes) -> None:
        pod: Pod = request.object
        if not _new_images(request):
            return
        for container in _containers(pod.spec):
            container.image_pull_policy = _ALWAYS
        for volume in pod.spec.volumes:
            if volume.image is not None and volume.image.reference:
                volume.image.pull_policy = _ALWAYS

    async def validate(self, request: Attributes) -> None:
        """Once more after everybody else: a webhook may have changed the pod."""
        pod: Pod = request.object
        if not _new_images(request):
            return
        wrong = [one.name for one in _containers(pod.spec) if one.image_pull_policy != _ALWAYS]
        if wrong:
            why = f"imagePullPolicy must be {_ALWAYS}, which is not so in: {', '.join(wrong)}"
            raise errors.forbidden(request.resource, request.name, why)


def _containers(spec: PodSpec) -> list[Container | EphemeralContainer]:
    return [*spec.init_containers, *spec.containers, *spec.ephemeral_containers]


def _new_images(request: Attributes) -> bool:
    """Whether it names an image that it did not name before."""
    if request.old is None:
        return True
    before = {container.image for container in _containers(request.old.spec)}
    return any(one.image not in before for one in _containers(request.object.spec))
