"""Starts the controllers and the scheduler, in one process with the API server."""

from api.apps import ReplicaSet, StatefulSet
from api.core import (
    Namespace,
    Node,
    PersistentVolume,
    PersistentVolumeClaim,
    Pod,
    ReplicationController,
    Service,
)
from api.policy import PodDisruptionBudget
from api.storage import CSIDriver, CSINode, CSIStorageCapacity, StorageClass, VolumeAttachment
from base.tasks import TaskGuard
from control.controllers.context import Context
from control.controllers.controller import Controller
from control.controllers.lifecycle.apiservices import ApiServiceController
from control.controllers.lifecycle.certificates import CertificateController
from control.controllers.lifecycle.expiry import ExpiryController
from control.controllers.lifecycle.furniture import NamespaceFurnitureController
from control.controllers.lifecycle.garbage import GarbageCollector
from control.controllers.lifecycle.namespace import NamespaceController
from control.controllers.lifecycle.quotas import QuotaController
from control.controllers.lifecycle.tokensecrets import TokenSecretController
from control.controllers.network.endpoints import EndpointsController
from control.controllers.network.endpointslices import EndpointSliceController
from control.controllers.network.mirroring import EndpointSliceMirroringController
from control.controllers.nodes.ipam import NodeIpamController
from control.controllers.nodes.lifecycle import NodeLifecycleController
from control.controllers.nodes.podgc import PodGcController
from control.controllers.volumes.binding import PersistentVolumeController
from control.controllers.volumes.ephemeral import EphemeralVolumeController
from control.controllers.volumes.protection import ClaimProtection, VolumeProtection
from control.controllers.workloads.autoscaling.controller import AutoscalerController
from control.controllers.workloads.daemonset import DaemonSetController
from control.controllers.workloads.deployment import DeploymentController
from control.controllers.workloads.disruption import DisruptionController
from control.controllers.workloads.jobs.controller import JobController
from control.controllers.workloads.jobs.cronjob import CronJobController
from control.controllers.workloads.jobs.strays import StrayJobPodController
from control.controllers.workloads.replicaset import ReplicaSetController, ReplicationManager
from control.controllers.workloads.statefulset import StatefulSetController
from control.scheduler.profile import DEFAULT_NAME as SCHEDULER
from control.scheduler.scheduler import Scheduler

CONTROLLERS: tuple[type[Controller], ...] = (
    ApiServiceController,
    AutoscalerController,
    CertificateController,
    CronJobController,
    DaemonSetController,
    DeploymentController,
    DisruptionController,
    EndpointSliceController,
    EndpointSliceMirroringController,
    EndpointsController,
    ExpiryController,
    GarbageCollector,
    JobController,
    NamespaceController,
    NamespaceFurnitureController,
    NodeIpamController,
    NodeLifecycleController,
    ClaimProtection,
    EphemeralVolumeController,
    PersistentVolumeController,
    VolumeProtection,
    PodGcController,
    QuotaController,
    ReplicaSetController,
    ReplicationManager,
    StatefulSetController,
    StrayJobPodController,
    TokenSecretController,
)


class Manager:
    """Every controller and the scheduler, over one set of informers."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.controllers = tuple(controller(context) for controller in CONTROLLERS)
        self.scheduler = Scheduler(
            context.client,
            context.informers.of(Pod),
            context.informers.of(Node),
            context.informers.of(Namespace),
            context.recorder,
            clock=context.clock,
            choose=context.chance.choice,
            configuration=context.scheduling,
            budgets=context.informers.of(PodDisruptionBudget).items,
        )
        self.scheduler.follow_storage(
            context.informers.of(PersistentVolumeClaim),
            context.informers.of(PersistentVolume),
            context.informers.of(StorageClass),
            context.informers.of(CSINode),
            context.informers.of(CSIDriver),
            context.informers.of(CSIStorageCapacity),
            context.informers.of(VolumeAttachment),
        )
        self.scheduler.follow_selectors(
            context.informers.of(Service),
            context.informers.of(ReplicaSet),
            context.informers.of(StatefulSet),
            context.informers.of(ReplicationController),
        )

    def statistics(self) -> dict[str, dict[str, float]]:
        """What each part says of itself, by name."""
        told = {controller.name: controller.statistics() for controller in self.controllers}
        told[SCHEDULER] = self.scheduler.statistics()
        told["informers"] = self._context.informers.statistics()
        return told

    async def check(self) -> str:
        """Whether the controllers see the world: "" if so. One that fails ends the process."""
        return self._context.informers.behind()

    async def check_scheduler(self) -> str:
        """The same of what the scheduler looks at."""
        return self._context.informers.behind(Pod, Node, Namespace)

    async def run(self) -> None:
        """Run everything until cancelled; ends with an error if any part ends."""
        async with TaskGuard("controllers") as guard:
            self._context.informers.start(guard)
            await self._context.informers.synced()
            for controller in self.controllers:
                controller.start(guard)
            guard.start(self.scheduler.run(), name="scheduler")
            await guard.failed()
