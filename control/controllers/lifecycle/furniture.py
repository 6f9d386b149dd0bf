"""What every namespace has: the `default` ServiceAccount and the ConfigMap with the cluster's CA."""

from api.core import ConfigMap, Namespace, ServiceAccount
from api.errors import is_already_exists, is_forbidden, is_not_found
from api.meta import ObjectMeta
from api.objects import Key
from base.errors import PodwrightError
from control.controllers.context import Context
from control.controllers.controller import Controller

ACCOUNT = "default"
ROOT_CA = "kube-root-ca.crt"
_DESCRIPTION = {
    "kubernetes.io/description": "Contains a CA bundle that can be used to verify the"
    " kube-apiserver when using internal endpoints such as the internal service IP or"
    " kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes"
    " clusters."
}


class NamespaceFurnitureController(Controller):
    """Puts both into each live namespace, and back when they are changed or deleted."""

    name = "namespace-furniture-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._namespaces = context.informers.of(Namespace)
        self._accounts = context.informers.of(ServiceAccount)
        self._config_maps = context.informers.some(ConfigMap, f"metadata.name={ROOT_CA}")
        self.watch_own(Namespace)
        self._accounts.subscribe(lambda old, new: self._on_thing(old or new, ACCOUNT))
        self._config_maps.subscribe(lambda old, new: self._on_thing(old or new, ROOT_CA))

    def _on_thing(self, obj: ServiceAccount | ConfigMap | None, name: str) -> None:
        if obj is not None and obj.metadata.name == name:
            self.queue.add(Key("", obj.metadata.namespace))

    async def reconcile(self, key: Key) -> float | None:
        namespace = self._namespaces.get(key.name)
        if namespace is None or namespace.metadata.deletion_timestamp:
            return None
        try:
            await self._ensure_account(key.name)
            await self._ensure_root_ca(key.name)
        except PodwrightError as error:
            if is_forbidden(error) or is_not_found(error):
                return None  # the namespace began to go away this very moment
            if not is_already_exists(error):
                raise
        return None

    async def _ensure_account(self, namespace: str) -> None:
        if self._accounts.get(ACCOUNT, namespace) is None:
            await self.client.create(
                ServiceAccount(metadata=ObjectMeta(name=ACCOUNT, namespace=namespace))
            )

    async def _ensure_root_ca(self, namespace: str) -> None:
        data = {"ca.crt": self.context.ca.cert_pem.decode()}
        known = self._config_maps.get(ROOT_CA, namespace)
        if known is None:
            metadata = ObjectMeta(name=ROOT_CA, namespace=namespace, annotations=_DESCRIPTION)
            await self.client.create(ConfigMap(metadata=metadata, data=data))
        elif known.data != data:
            await self.client.patch(ConfigMap, ROOT_CA, namespace, {"data": data})
