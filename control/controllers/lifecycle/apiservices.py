"""APIServices: one for each group and version that is served here, and the word on all others.

Step 1 of the pod's walk: `kubectl get apiservices` tells which server answers for what. Those of
this server are made, put right, and deleted again when a definition goes; they carry a label, as
Kubernetes' do, and what somebody registers without it stays as it is written. The condition says
whether requests are answered; a creation already has it
(`control/resources/apiregistration/apiservice.py`), a change gets it here.
"""

from collections.abc import Mapping

from api import conditions, objects, timestamps
from api.apiregistration import APIService, APIServiceSpec
from api.meta import ObjectMeta
from api.objects import Key
from api.scheme import Catalogue
from base.tasks import TaskGuard
from control.controllers.context import Context
from control.controllers.controller import Controller
from control.resources.apiregistration.apiservice import availability

LABEL = "kube-aggregator.kubernetes.io/automanaged"
OWN_GROUP = "apiregistration.k8s.io"
"""It registers the others and, as in Kubernetes, has no registration of its own."""
RESYNC_SECONDS = 300.0

_PRIORITIES: Mapping[str, int] = {
    "": 18000,
    "apps": 17800,
    "events.k8s.io": 17750,
    "authentication.k8s.io": 17700,
    "authorization.k8s.io": 17600,
    "autoscaling": 17500,
    "batch": 17400,
    "certificates.k8s.io": 17300,
    "networking.k8s.io": 17200,
    "policy": 17100,
    "rbac.authorization.k8s.io": 17000,
    "storage.k8s.io": 16800,
    "apiextensions.k8s.io": 16700,
    "admissionregistration.k8s.io": 16700,
    "scheduling.k8s.io": 16600,
    "coordination.k8s.io": 16500,
    "node.k8s.io": 16300,
    "discovery.k8s.io": 16200,
    "flowcontrol.apiserver.k8s.io": 16100,
}
"""As Kubernetes registers its own groups; those of definitions come after them."""
_OTHERS = 1000
_VERSIONS: Mapping[str, int] = {"v1": 15, "v2": 30}
_OTHER_VERSIONS = 100


class ApiServiceController(Controller):
    """Follows what is served, and every registration."""

    name = "apiservice-registration-controller"
    workers = 1

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._catalogue = context.catalogue
        self._known = context.informers.of(APIService)
        self.watch_own(APIService)
        self._catalogue.on_change(self._look)

    def start(self, guard: TaskGuard) -> None:
        super().start(guard)
        self.every(guard, RESYNC_SECONDS, self._look)

    def _look(self) -> None:
        known = (one.metadata.name for one in self._known.items())
        for name in dict.fromkeys((*wanted(self._catalogue), *known)):
            self.queue.add(Key("", name))

    async def reconcile(self, key: Key) -> float | None:
        spec, known = wanted(self._catalogue).get(key.name), self._known.get(key.name)
        ours = known is not None and LABEL in known.metadata.labels
        if known is None:
            if spec is not None:
                metadata = ObjectMeta(name=key.name, labels={LABEL: "true"})
                await self.client.create(APIService(metadata=metadata, spec=spec))
        elif ours and spec is None:
            await self.client.delete(APIService, key.name, uid=known.metadata.uid)
        elif ours and spec is not None and spec != known.spec:
            changed = objects.copy(known)
            changed.spec = spec
            await self.client.update(changed)
        else:
            await self._tell(known)
        return None

    async def _tell(self, known: APIService) -> None:
        now = timestamps.now_string(self.clock)
        told = conditions.put(known.status.conditions, availability(known.spec), now=now)
        if told != known.status.conditions:
            changed = objects.copy(known)
            changed.status.conditions = told
            await self.client.update(changed, subresource="status")


def wanted(catalogue: Catalogue) -> dict[str, APIServiceSpec]:
    """The registrations of what is served here, by name. Pure."""
    return {
        f"{version}.{group}": APIServiceSpec(
            group=group,
            version=version,
            group_priority_minimum=_PRIORITIES.get(group, _OTHERS),
            version_priority=_version_priority(group, version),
        )
        for group, version in catalogue.group_versions()
        if group != OWN_GROUP
    }


def _version_priority(group: str, version: str) -> int:
    if group not in _PRIORITIES:
        return _OTHER_VERSIONS
    return _VERSIONS.get(version, _OTHER_VERSIONS) if group else 1
