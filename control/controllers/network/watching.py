"""What both endpoint controllers watch: Services, and the pods that they select."""

from api.core import Pod, Service
from control.controllers.context import Context
from control.controllers.controller import Controller
from control.controllers.network.backends import selects


class BackendController(Controller):
    """Reconciles a Service when it changes, or a pod that it selects (or selected) does."""

    workers = 4

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.services = context.informers.of(Service)
        self.pods = context.informers.of(Pod)
        self.watch_own(Service)
        self.pods.subscribe(self._on_pod)

    def selected(self, service: Service) -> list[Pod]:
        """The pods of the Service's namespace that it selects."""
        candidates = self.pods.items(service.metadata.namespace)
        return [pod for pod in candidates if selects(service, pod)]

    def _on_pod(self, old: Pod | None, new: Pod | None) -> None:
        if old is not None and new is not None and _seen_alike(old, new):
            return
        for pod in (old, new):
            if pod is None:
                continue
            for service in self.services.items(pod.metadata.namespace):
                if selects(service, pod):
                    self.enqueue(service)


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
