"""What Kubernetes warns of in a sound object: fields on their way out, and what is overlooked or ignored.

Serves step 1 of the pod's walk. Each text becomes a `Warning` header; places and words are those of
Kubernetes' API server, so that people find them. `pods` looks at whatever holds a pod's spec, `others`
at the rest. Pure, and cheap for an object in which nothing is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from api import apps, batch, core, networking, node, storage
from api.struct import ApiStruct
from control.resources.cautions import others, pods

_Of = Callable[[Any], Iterator[str]]


def _template(obj: Any) -> Iterator[str]:
    template = obj.spec.template
    if template is not None:
        yield from pods.cautions(template.metadata, template.spec, "spec.template.")


def _cron_job(obj: batch.CronJob) -> Iterator[str]:
    template = obj.spec.job_template.spec.template
    yield from pods.cautions(template.metadata, template.spec, "spec.jobTemplate.spec.template.")


_KINDS: dict[type[ApiStruct], _Of] = {
    core.Pod: lambda pod: pods.cautions(pod.metadata, pod.spec, ""),
    core.PodTemplate: lambda one: pods.cautions(
        one.template.metadata, one.template.spec, "template."
    ),
    core.ReplicationController: _template,
    apps.DaemonSet: _template,
    apps.Deployment: _template,
    apps.ReplicaSet: _template,
    apps.StatefulSet: _template,
    batch.Job: _template,
    batch.CronJob: _cron_job,
    core.PersistentVolume: others.of_volume,
    core.PersistentVolumeClaim: others.of_claim,
    core.Service: others.of_service,
    core.ServiceAccount: others.of_account,
    networking.Ingress: others.of_ingress,
    node.RuntimeClass: others.of_runtime_class,
    storage.StorageClass: others.of_storage_class,
}


def cautions(obj: ApiStruct) -> list[str]:
    """Every text about this object."""
    found = _KINDS.get(type(obj))
    return list(found(obj)) if found is not None else []
