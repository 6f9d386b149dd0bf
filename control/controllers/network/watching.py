"""What both endpoint controllers watch: Services, and the pods that they select."""

from api.core import Pod, Service
from control.controllers import indexes
from control.controllers.context import Context
from control.controllers.controller import Controller


class BackendController(Controller):
    """Reconciles a Service when it changes, or a pod that it selects (or selected) does."""

    workers = 4

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.services = context.informers.of(Service)
        self.pods = context.informers.of(Pod)
        indexes.index_services(self.services)
        indexes.index_pods(self.pods)
        self.watch_own(Service)
        self.pods.subscribe(self._on_pod)

    def selected(self, service: Service) -> list[Pod]:
        """The pods of the Service's namespace that it selects."""
        return indexes.selected(self.pods, service.metadata.namespace, service.spec.selector)

    def _on_pod(self, old: Pod | None, new: Pod | None) -> None:
        if old is not None and new is not None and _seen_alike(old, new):
            return
        for pod in (old, new):
            if pod is None:
                continue
            for service in indexes.services_selecting(self.services, pod):
                self.enqueue(service)


def has_backends(service: Service) -> bool:
    """Whether pods stand behind the Service: it selects some, and is not a name of elsewhere."""
    return bool(service.spec.selector) and service.spec.type != "ExternalName"


def _seen_alike(old: Pod, new: Pod) -> bool:
    """Whether a change of a pod matters to no endpoint (most status updates do not)."""
    return (
        old.metadata.labels == new.metadata.labels
        and old.metadata.deletion_timestamp == new.metadata.deletion_timestamp
        and old.spec.node_name == new.spec.node_name
        and old.status.phase == new.status.phase
        and old.status.pod_ip == new.status.pod_ip
        and old.status.conditions == new.status.conditions
    )
