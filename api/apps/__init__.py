"""The workloads that keep pods running (group `apps`, v1): re-exports every type by its own name."""

from api.apps.controllerrevision import ControllerRevision as ControllerRevision
from api.apps.daemonset import DaemonSet as DaemonSet
from api.apps.daemonset import DaemonSetCondition as DaemonSetCondition
from api.apps.daemonset import DaemonSetSpec as DaemonSetSpec
from api.apps.daemonset import DaemonSetStatus as DaemonSetStatus
from api.apps.daemonset import DaemonSetUpdateStrategy as DaemonSetUpdateStrategy
from api.apps.daemonset import DaemonSetUpdateStrategyType as DaemonSetUpdateStrategyType
from api.apps.daemonset import RollingUpdateDaemonSet as RollingUpdateDaemonSet
from api.apps.deployment import Deployment as Deployment
from api.apps.deployment import DeploymentCondition as DeploymentCondition
from api.apps.deployment import DeploymentConditionType as DeploymentConditionType
from api.apps.deployment import DeploymentSpec as DeploymentSpec
from api.apps.deployment import DeploymentStatus as DeploymentStatus
from api.apps.deployment import DeploymentStrategy as DeploymentStrategy
from api.apps.deployment import DeploymentStrategyType as DeploymentStrategyType
from api.apps.deployment import RollingUpdateDeployment as RollingUpdateDeployment
from api.apps.replicaset import ReplicaSet as ReplicaSet
from api.apps.replicaset import ReplicaSetCondition as ReplicaSetCondition
from api.apps.replicaset import ReplicaSetConditionType as ReplicaSetConditionType
from api.apps.replicaset import ReplicaSetSpec as ReplicaSetSpec
from api.apps.replicaset import ReplicaSetStatus as ReplicaSetStatus
from api.apps.statefulset import (
    PersistentVolumeClaimRetentionPolicyType as PersistentVolumeClaimRetentionPolicyType,
)
from api.apps.statefulset import PodManagementPolicyType as PodManagementPolicyType
from api.apps.statefulset import (
    RollingUpdateStatefulSetStrategy as RollingUpdateStatefulSetStrategy,
)
from api.apps.statefulset import StatefulSet as StatefulSet
from api.apps.statefulset import StatefulSetCondition as StatefulSetCondition
from api.apps.statefulset import StatefulSetOrdinals as StatefulSetOrdinals
from api.apps.statefulset import (
    StatefulSetPersistentVolumeClaimRetentionPolicy as StatefulSetPersistentVolumeClaimRetentionPolicy,
)
from api.apps.statefulset import StatefulSetSpec as StatefulSetSpec
from api.apps.statefulset import StatefulSetStatus as StatefulSetStatus
from api.apps.statefulset import StatefulSetUpdateStrategy as StatefulSetUpdateStrategy
from api.apps.statefulset import StatefulSetUpdateStrategyType as StatefulSetUpdateStrategyType
