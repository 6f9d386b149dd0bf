"""The rules of every kind: defaults, validation, updates, printed columns. Walk step 1.

This is the one list that joins a kind's type to its rules. Adding a kind means a module beside
these and a row here; the registry, the router and discovery find it by itself.
"""

from typing import Any

from api.scheme import Resource
from control.resources.admissionregistration import policies, webhooks
from control.resources.apiextensions import crd
from control.resources.apiregistration import apiservice
from control.resources.apps import (
    controllerrevision,
    daemonset,
    deployment,
    replicaset,
    statefulset,
)
from control.resources.autoscaling import autoscaler
from control.resources.batch import cronjob, job
from control.resources.certificates import csr
from control.resources.coordination import lease
from control.resources.core import (
    config,
    endpoints,
    event,
    limitrange,
    namespace,
    node,
    persistentvolume,
    persistentvolumeclaim,
    pod,
    podtemplate,
    replication,
    resourcequota,
    service,
)
from control.resources.discovery import endpointslice
from control.resources.flowcontrol import flowschema, prioritylevel
from control.resources.networking import addresses, ingress, ingressclass
from control.resources.networking import policy as networkpolicy
from control.resources.policy import disruptionbudget
from control.resources.rbac import binding, role
from control.resources.runtime import runtimeclass
from control.resources.scheduling import priorityclass
from control.resources.storage import (
    csidriver,
    csinode,
    csistoragecapacity,
    storageclass,
    volumeattachment,
    volumeattributesclass,
)
from control.resources.strategy import Column as Column
from control.resources.strategy import Strategy as Strategy

STRATEGIES: tuple[Strategy[Any], ...] = (
    apiservice.STRATEGY,
    flowschema.STRATEGY,
    prioritylevel.STRATEGY,
    addresses.ADDRESS,
    addresses.CIDR,
    autoscaler.STRATEGY,
    binding.CLUSTER_ROLE_BINDING,
    binding.ROLE_BINDING,
    config.CONFIG_MAP,
    config.SECRET,
    config.SERVICE_ACCOUNT,
    controllerrevision.STRATEGY,
    crd.STRATEGY,
    cronjob.STRATEGY,
    csr.STRATEGY,
    daemonset.STRATEGY,
    csidriver.STRATEGY,
    csinode.STRATEGY,
    csistoragecapacity.STRATEGY,
    deployment.STRATEGY,
    disruptionbudget.STRATEGY,
    endpoints.STRATEGY,
    endpointslice.STRATEGY,
    event.STRATEGY,
    job.STRATEGY,
    ingress.STRATEGY,
    ingressclass.STRATEGY,
    lease.STRATEGY,
    limitrange.STRATEGY,
    namespace.STRATEGY,
    networkpolicy.STRATEGY,
    node.STRATEGY,
    persistentvolume.STRATEGY,
    persistentvolumeclaim.STRATEGY,
    pod.STRATEGY,
    policies.BINDING,
    policies.POLICY,
    priorityclass.STRATEGY,
    replicaset.STRATEGY,
    role.CLUSTER_ROLE,
    role.ROLE,
    resourcequota.STRATEGY,
    runtimeclass.STRATEGY,
    service.STRATEGY,
    webhooks.MUTATING,
    webhooks.VALIDATING,
    podtemplate.STRATEGY,
    replication.STRATEGY,
    statefulset.STRATEGY,
    storageclass.STRATEGY,
    volumeattachment.STRATEGY,
    volumeattributesclass.STRATEGY,
)

_BY_RESOURCE = {strategy.resource: strategy for strategy in STRATEGIES}


def strategy_of(resource: Resource) -> Strategy[Any]:
    """The rules of a resource.

    Raises:
        KeyError: the scheme names a resource that has no rules (a unit test compares the lists).
    """
    return _BY_RESOURCE[resource]
