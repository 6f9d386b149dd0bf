"""The admission plugins in the order in which they run: the one list that names them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from api.admissionregistration import (
    MutatingWebhookConfiguration,
    ValidatingWebhookConfiguration,
)
from base.clock import Clock
from base.settings import SettingsError
from control.admission.certificates import CertificateRequester
from control.admission.chain import Chain, Reader
from control.admission.imagepulling import AlwaysPullImages
from control.admission.ingressclass import DefaultIngressClass
from control.admission.limitranger import LimitRanger
from control.admission.namespacelifecycle import NamespaceLifecycle
from control.admission.noderestriction import NodeRestriction
from control.admission.policies import PolicyRefusal
from control.admission.priority import Priority
from control.admission.resourcequota import Ledger, ResourceQuotaPlugin
from control.admission.runtimeclass import RuntimeClassPlugin
from control.admission.serviceaccount import ServiceAccountPlugin
from control.admission.storage import (
    DefaultStorageClass,
    PersistentVolumeClaimResize,
    StorageObjectInUseProtection,
)
from control.admission.tolerations import DefaultTolerationSeconds
from control.admission.webhooks.asking import Asker
from control.admission.webhooks.hooks import Configuration, Hooks
from control.admission.webhooks.mutating import MutatingWebhooks
from control.admission.webhooks.validating import ValidatingWebhooks


def default_chain(
    reader: Reader,
    ledger: Ledger,
    *,
    clock: Clock,
    audiences: Sequence[str],
    suffix: Callable[[], str],
    toleration_seconds: int,
    asker: Asker,
    hooks: Callable[[type[Configuration]], Hooks],
    enabled: Collection[str] = (),
    disabled: Collection[str] = (),
) -> Chain:
    """What every request passes through.

    `audiences`: who this server is to tokens. `hooks`: the webhooks of a kind of configurations.
    """
    plugins = (
        NamespaceLifecycle(reader),
        LimitRanger(reader),
        NodeRestriction(reader, audiences),
        ServiceAccountPlugin(reader, clock, suffix),
        AlwaysPullImages(),
        Priority(reader),
        DefaultTolerationSeconds(toleration_seconds),
        RuntimeClassPlugin(reader),
        DefaultStorageClass(reader),
        StorageObjectInUseProtection(),
        PersistentVolumeClaimResize(reader),
        CertificateRequester(),
        DefaultIngressClass(reader),
        MutatingWebhooks(hooks(MutatingWebhookConfiguration), asker),
        PolicyRefusal(),
        ValidatingWebhooks(hooks(ValidatingWebhookConfiguration), asker),
        ResourceQuotaPlugin(ledger, clock),  # last: what others refuse is not charged
    )
    names = [plugin.name for plugin in plugins]
    for setting, named in (("enable", enabled), ("disable", disabled)):
        if unknown := sorted(set(named) - set(names)):
            raise SettingsError(
                f"--{setting}-admission-plugins: there is no plugin {', '.join(unknown)}",
                hint=f"There are {', '.join(names)}.",
            )
    return Chain(
        plugin
        for plugin in plugins
        if plugin.name not in disabled and (plugin.default or plugin.name in enabled)
    )
