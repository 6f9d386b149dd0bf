"""The core group, v1: re-exports every type by its own name."""

from api.core.componentstatus import ComponentCondition as ComponentCondition
from api.core.componentstatus import ComponentConditionType as ComponentConditionType
from api.core.componentstatus import ComponentStatus as ComponentStatus
from api.core.config import ConfigMap as ConfigMap
from api.core.config import Secret as Secret
from api.core.config import SecretType as SecretType
from api.core.config import ServiceAccount as ServiceAccount
from api.core.container import ConfigMapEnvSource as ConfigMapEnvSource
from api.core.container import ConfigMapKeySelector as ConfigMapKeySelector
from api.core.container import Container as Container
from api.core.container import ContainerPort as ContainerPort
from api.core.container import ContainerResizePolicy as ContainerResizePolicy
from api.core.container import ContainerRestartPolicy as ContainerRestartPolicy
from api.core.container import ContainerRestartRule as ContainerRestartRule
from api.core.container import ContainerRestartRuleAction as ContainerRestartRuleAction
from api.core.container import ContainerRestartRuleOnExitCodes as ContainerRestartRuleOnExitCodes
from api.core.container import (
    ContainerRestartRuleOnExitCodesOperator as ContainerRestartRuleOnExitCodesOperator,
)
from api.core.container import ContainerState as ContainerState
from api.core.container import ContainerStateRunning as ContainerStateRunning
from api.core.container import ContainerStateTerminated as ContainerStateTerminated
from api.core.container import ContainerStateWaiting as ContainerStateWaiting
from api.core.container import ContainerStatus as ContainerStatus
from api.core.container import ContainerUser as ContainerUser
from api.core.container import EnvFromSource as EnvFromSource
from api.core.container import EnvVar as EnvVar
from api.core.container import EnvVarSource as EnvVarSource
from api.core.container import EphemeralContainer as EphemeralContainer
from api.core.container import EphemeralContainerCommon as EphemeralContainerCommon
from api.core.container import FileKeySelector as FileKeySelector
from api.core.container import LinuxContainerUser as LinuxContainerUser
from api.core.container import Protocol as Protocol
from api.core.container import ResourceResizeRestartPolicy as ResourceResizeRestartPolicy
from api.core.container import SecretEnvSource as SecretEnvSource
from api.core.container import SecretKeySelector as SecretKeySelector
from api.core.container import TerminationMessagePolicy as TerminationMessagePolicy
from api.core.endpoints import EndpointAddress as EndpointAddress
from api.core.endpoints import EndpointPort as EndpointPort
from api.core.endpoints import Endpoints as Endpoints
from api.core.endpoints import EndpointSubset as EndpointSubset
from api.core.event import Event as Event
from api.core.event import EventSeries as EventSeries
from api.core.event import EventSource as EventSource
from api.core.limits import LimitRange as LimitRange
from api.core.limits import LimitRangeItem as LimitRangeItem
from api.core.limits import LimitRangeSpec as LimitRangeSpec
from api.core.limits import LimitType as LimitType
from api.core.namespace import FinalizerName as FinalizerName
from api.core.namespace import Namespace as Namespace
from api.core.namespace import NamespaceCondition as NamespaceCondition
from api.core.namespace import NamespaceConditionType as NamespaceConditionType
from api.core.namespace import NamespacePhase as NamespacePhase
from api.core.namespace import NamespaceSpec as NamespaceSpec
from api.core.namespace import NamespaceStatus as NamespaceStatus
from api.core.node import AttachedVolume as AttachedVolume
from api.core.node import ConfigMapNodeConfigSource as ConfigMapNodeConfigSource
from api.core.node import ContainerImage as ContainerImage
from api.core.node import DaemonEndpoint as DaemonEndpoint
from api.core.node import Node as Node
from api.core.node import NodeAddress as NodeAddress
from api.core.node import NodeAddressType as NodeAddressType
from api.core.node import NodeCondition as NodeCondition
from api.core.node import NodeConditionType as NodeConditionType
from api.core.node import NodeConfigSource as NodeConfigSource
from api.core.node import NodeConfigStatus as NodeConfigStatus
from api.core.node import NodeDaemonEndpoints as NodeDaemonEndpoints
from api.core.node import NodeFeatures as NodeFeatures
from api.core.node import NodePhase as NodePhase
from api.core.node import NodeProxyOptions as NodeProxyOptions
from api.core.node import NodeRuntimeHandler as NodeRuntimeHandler
from api.core.node import NodeRuntimeHandlerFeatures as NodeRuntimeHandlerFeatures
from api.core.node import NodeSpec as NodeSpec
from api.core.node import NodeStatus as NodeStatus
from api.core.node import NodeSwapStatus as NodeSwapStatus
from api.core.node import NodeSystemInfo as NodeSystemInfo
from api.core.persistence import ClaimResourceStatus as ClaimResourceStatus
from api.core.persistence import ModifyVolumeStatus as ModifyVolumeStatus
from api.core.persistence import PersistentVolume as PersistentVolume
from api.core.persistence import PersistentVolumeClaim as PersistentVolumeClaim
from api.core.persistence import PersistentVolumeClaimCondition as PersistentVolumeClaimCondition
from api.core.persistence import (
    PersistentVolumeClaimConditionType as PersistentVolumeClaimConditionType,
)
from api.core.persistence import (
    PersistentVolumeClaimModifyVolumeStatus as PersistentVolumeClaimModifyVolumeStatus,
)
from api.core.persistence import PersistentVolumeClaimPhase as PersistentVolumeClaimPhase
from api.core.persistence import PersistentVolumeClaimStatus as PersistentVolumeClaimStatus
from api.core.persistence import PersistentVolumePhase as PersistentVolumePhase
from api.core.persistence import PersistentVolumeReclaimPolicy as PersistentVolumeReclaimPolicy
from api.core.persistence import PersistentVolumeSpec as PersistentVolumeSpec
from api.core.persistence import PersistentVolumeStatus as PersistentVolumeStatus
from api.core.persistence import VolumeNodeAffinity as VolumeNodeAffinity
from api.core.persistentsource import (
    AzureFilePersistentVolumeSource as AzureFilePersistentVolumeSource,
)
from api.core.persistentsource import CephFSPersistentVolumeSource as CephFSPersistentVolumeSource
from api.core.persistentsource import CinderPersistentVolumeSource as CinderPersistentVolumeSource
from api.core.persistentsource import CSIPersistentVolumeSource as CSIPersistentVolumeSource
from api.core.persistentsource import FlexPersistentVolumeSource as FlexPersistentVolumeSource
from api.core.persistentsource import (
    GlusterfsPersistentVolumeSource as GlusterfsPersistentVolumeSource,
)
from api.core.persistentsource import ISCSIPersistentVolumeSource as ISCSIPersistentVolumeSource
from api.core.persistentsource import LocalVolumeSource as LocalVolumeSource
from api.core.persistentsource import PersistentVolumeSource as PersistentVolumeSource
from api.core.persistentsource import RBDPersistentVolumeSource as RBDPersistentVolumeSource
from api.core.persistentsource import ScaleIOPersistentVolumeSource as ScaleIOPersistentVolumeSource
from api.core.persistentsource import (
    StorageOSPersistentVolumeSource as StorageOSPersistentVolumeSource,
)
from api.core.pod import Binding as Binding
from api.core.pod import ConditionStatus as ConditionStatus
from api.core.pod import DNSPolicy as DNSPolicy
from api.core.pod import HostAlias as HostAlias
from api.core.pod import HostIP as HostIP
from api.core.pod import OSName as OSName
from api.core.pod import Pod as Pod
from api.core.pod import PodAttachOptions as PodAttachOptions
from api.core.pod import PodCondition as PodCondition
from api.core.pod import PodConditionType as PodConditionType
from api.core.pod import PodDNSConfig as PodDNSConfig
from api.core.pod import PodDNSConfigOption as PodDNSConfigOption
from api.core.pod import PodExecOptions as PodExecOptions
from api.core.pod import PodIP as PodIP
from api.core.pod import PodLogOptions as PodLogOptions
from api.core.pod import PodOS as PodOS
from api.core.pod import PodPhase as PodPhase
from api.core.pod import PodPortForwardOptions as PodPortForwardOptions
from api.core.pod import PodProxyOptions as PodProxyOptions
from api.core.pod import PodQOSClass as PodQOSClass
from api.core.pod import PodReadinessGate as PodReadinessGate
from api.core.pod import PodResizeStatus as PodResizeStatus
from api.core.pod import PodSpec as PodSpec
from api.core.pod import PodStatus as PodStatus
from api.core.pod import PodTemplateSpec as PodTemplateSpec
from api.core.pod import PreemptionPolicy as PreemptionPolicy
from api.core.pod import RestartPolicy as RestartPolicy
from api.core.podtemplate import PodTemplate as PodTemplate
from api.core.probe import ExecAction as ExecAction
from api.core.probe import GRPCAction as GRPCAction
from api.core.probe import HTTPGetAction as HTTPGetAction
from api.core.probe import HTTPHeader as HTTPHeader
from api.core.probe import Lifecycle as Lifecycle
from api.core.probe import LifecycleHandler as LifecycleHandler
from api.core.probe import Probe as Probe
from api.core.probe import ProbeHandler as ProbeHandler
from api.core.probe import Signal as Signal
from api.core.probe import SleepAction as SleepAction
from api.core.probe import TCPSocketAction as TCPSocketAction
from api.core.probe import URIScheme as URIScheme
from api.core.quota import ResourceQuota as ResourceQuota
from api.core.quota import ResourceQuotaScope as ResourceQuotaScope
from api.core.quota import ResourceQuotaSpec as ResourceQuotaSpec
from api.core.quota import ResourceQuotaStatus as ResourceQuotaStatus
from api.core.quota import ScopedResourceSelectorRequirement as ScopedResourceSelectorRequirement
from api.core.quota import ScopeSelector as ScopeSelector
from api.core.quota import ScopeSelectorOperator as ScopeSelectorOperator
from api.core.references import LocalObjectReference as LocalObjectReference
from api.core.references import ObjectReference as ObjectReference
from api.core.references import SecretReference as SecretReference
from api.core.references import TypedLocalObjectReference as TypedLocalObjectReference
from api.core.references import TypedObjectReference as TypedObjectReference
from api.core.remotevolume import (
    AWSElasticBlockStoreVolumeSource as AWSElasticBlockStoreVolumeSource,
)
from api.core.remotevolume import AzureDataDiskCachingMode as AzureDataDiskCachingMode
from api.core.remotevolume import AzureDataDiskKind as AzureDataDiskKind
from api.core.remotevolume import AzureDiskVolumeSource as AzureDiskVolumeSource
from api.core.remotevolume import AzureFileVolumeSource as AzureFileVolumeSource
from api.core.remotevolume import CephFSVolumeSource as CephFSVolumeSource
from api.core.remotevolume import CinderVolumeSource as CinderVolumeSource
from api.core.remotevolume import FCVolumeSource as FCVolumeSource
from api.core.remotevolume import FlexVolumeSource as FlexVolumeSource
from api.core.remotevolume import FlockerVolumeSource as FlockerVolumeSource
from api.core.remotevolume import GCEPersistentDiskVolumeSource as GCEPersistentDiskVolumeSource
from api.core.remotevolume import GitRepoVolumeSource as GitRepoVolumeSource
from api.core.remotevolume import GlusterfsVolumeSource as GlusterfsVolumeSource
from api.core.remotevolume import ISCSIVolumeSource as ISCSIVolumeSource
from api.core.remotevolume import NFSVolumeSource as NFSVolumeSource
from api.core.remotevolume import (
    PhotonPersistentDiskVolumeSource as PhotonPersistentDiskVolumeSource,
)
from api.core.remotevolume import PortworxVolumeSource as PortworxVolumeSource
from api.core.remotevolume import QuobyteVolumeSource as QuobyteVolumeSource
from api.core.remotevolume import RBDVolumeSource as RBDVolumeSource
from api.core.remotevolume import ScaleIOVolumeSource as ScaleIOVolumeSource
from api.core.remotevolume import StorageOSVolumeSource as StorageOSVolumeSource
from api.core.remotevolume import VsphereVirtualDiskVolumeSource as VsphereVirtualDiskVolumeSource
from api.core.replication import ReplicationController as ReplicationController
from api.core.replication import ReplicationControllerCondition as ReplicationControllerCondition
from api.core.replication import (
    ReplicationControllerConditionType as ReplicationControllerConditionType,
)
from api.core.replication import ReplicationControllerSpec as ReplicationControllerSpec
from api.core.replication import ReplicationControllerStatus as ReplicationControllerStatus
from api.core.resources import ContainerExtendedResourceRequest as ContainerExtendedResourceRequest
from api.core.resources import PodExtendedResourceClaimStatus as PodExtendedResourceClaimStatus
from api.core.resources import PodResourceClaim as PodResourceClaim
from api.core.resources import PodResourceClaimStatus as PodResourceClaimStatus
from api.core.resources import ResourceClaim as ResourceClaim
from api.core.resources import ResourceHealth as ResourceHealth
from api.core.resources import ResourceHealthStatus as ResourceHealthStatus
from api.core.resources import ResourceName as ResourceName
from api.core.resources import ResourceRequirements as ResourceRequirements
from api.core.resources import ResourceStatus as ResourceStatus
from api.core.resources import VolumeResourceRequirements as VolumeResourceRequirements
from api.core.scheduling import Affinity as Affinity
from api.core.scheduling import NodeAffinity as NodeAffinity
from api.core.scheduling import NodeInclusionPolicy as NodeInclusionPolicy
from api.core.scheduling import NodeSelector as NodeSelector
from api.core.scheduling import NodeSelectorOperator as NodeSelectorOperator
from api.core.scheduling import NodeSelectorRequirement as NodeSelectorRequirement
from api.core.scheduling import NodeSelectorTerm as NodeSelectorTerm
from api.core.scheduling import PodAffinity as PodAffinity
from api.core.scheduling import PodAffinityTerm as PodAffinityTerm
from api.core.scheduling import PodAntiAffinity as PodAntiAffinity
from api.core.scheduling import PodSchedulingGate as PodSchedulingGate
from api.core.scheduling import PreferredSchedulingTerm as PreferredSchedulingTerm
from api.core.scheduling import Taint as Taint
from api.core.scheduling import TaintEffect as TaintEffect
from api.core.scheduling import Toleration as Toleration
from api.core.scheduling import TolerationOperator as TolerationOperator
from api.core.scheduling import TopologySelectorLabelRequirement as TopologySelectorLabelRequirement
from api.core.scheduling import TopologySelectorTerm as TopologySelectorTerm
from api.core.scheduling import TopologySpreadConstraint as TopologySpreadConstraint
from api.core.scheduling import UnsatisfiableConstraintAction as UnsatisfiableConstraintAction
from api.core.scheduling import WeightedPodAffinityTerm as WeightedPodAffinityTerm
from api.core.security import AppArmorProfile as AppArmorProfile
from api.core.security import AppArmorProfileType as AppArmorProfileType
from api.core.security import Capabilities as Capabilities
from api.core.security import PodFSGroupChangePolicy as PodFSGroupChangePolicy
from api.core.security import PodSecurityContext as PodSecurityContext
from api.core.security import PodSELinuxChangePolicy as PodSELinuxChangePolicy
from api.core.security import ProcMountType as ProcMountType
from api.core.security import SeccompProfile as SeccompProfile
from api.core.security import SeccompProfileType as SeccompProfileType
from api.core.security import SecurityContext as SecurityContext
from api.core.security import SELinuxOptions as SELinuxOptions
from api.core.security import SupplementalGroupsPolicy as SupplementalGroupsPolicy
from api.core.security import Sysctl as Sysctl
from api.core.security import WindowsSecurityContextOptions as WindowsSecurityContextOptions
from api.core.service import ClientIPConfig as ClientIPConfig
from api.core.service import IPFamily as IPFamily
from api.core.service import IPFamilyPolicy as IPFamilyPolicy
from api.core.service import LoadBalancerIngress as LoadBalancerIngress
from api.core.service import LoadBalancerIPMode as LoadBalancerIPMode
from api.core.service import LoadBalancerStatus as LoadBalancerStatus
from api.core.service import PortStatus as PortStatus
from api.core.service import Service as Service
from api.core.service import ServiceAffinity as ServiceAffinity
from api.core.service import ServiceExternalTrafficPolicy as ServiceExternalTrafficPolicy
from api.core.service import ServiceInternalTrafficPolicy as ServiceInternalTrafficPolicy
from api.core.service import ServicePort as ServicePort
from api.core.service import ServiceProxyOptions as ServiceProxyOptions
from api.core.service import ServiceSpec as ServiceSpec
from api.core.service import ServiceStatus as ServiceStatus
from api.core.service import ServiceType as ServiceType
from api.core.service import SessionAffinityConfig as SessionAffinityConfig
from api.core.volume import ClusterTrustBundleProjection as ClusterTrustBundleProjection
from api.core.volume import ConfigMapProjection as ConfigMapProjection
from api.core.volume import ConfigMapVolumeSource as ConfigMapVolumeSource
from api.core.volume import CSIVolumeSource as CSIVolumeSource
from api.core.volume import DownwardAPIProjection as DownwardAPIProjection
from api.core.volume import DownwardAPIVolumeFile as DownwardAPIVolumeFile
from api.core.volume import DownwardAPIVolumeSource as DownwardAPIVolumeSource
from api.core.volume import EmptyDirVolumeSource as EmptyDirVolumeSource
from api.core.volume import EphemeralVolumeSource as EphemeralVolumeSource
from api.core.volume import HostPathType as HostPathType
from api.core.volume import HostPathVolumeSource as HostPathVolumeSource
from api.core.volume import ImageVolumeSource as ImageVolumeSource
from api.core.volume import KeyToPath as KeyToPath
from api.core.volume import MountPropagationMode as MountPropagationMode
from api.core.volume import ObjectFieldSelector as ObjectFieldSelector
from api.core.volume import PersistentVolumeAccessMode as PersistentVolumeAccessMode
from api.core.volume import PersistentVolumeClaimSpec as PersistentVolumeClaimSpec
from api.core.volume import PersistentVolumeClaimTemplate as PersistentVolumeClaimTemplate
from api.core.volume import PersistentVolumeClaimVolumeSource as PersistentVolumeClaimVolumeSource
from api.core.volume import PersistentVolumeMode as PersistentVolumeMode
from api.core.volume import PodCertificateProjection as PodCertificateProjection
from api.core.volume import ProjectedVolumeSource as ProjectedVolumeSource
from api.core.volume import PullPolicy as PullPolicy
from api.core.volume import RecursiveReadOnlyMode as RecursiveReadOnlyMode
from api.core.volume import ResourceFieldSelector as ResourceFieldSelector
from api.core.volume import SecretProjection as SecretProjection
from api.core.volume import SecretVolumeSource as SecretVolumeSource
from api.core.volume import ServiceAccountTokenProjection as ServiceAccountTokenProjection
from api.core.volume import StorageMedium as StorageMedium
from api.core.volume import Volume as Volume
from api.core.volume import VolumeDevice as VolumeDevice
from api.core.volume import VolumeMount as VolumeMount
from api.core.volume import VolumeMountStatus as VolumeMountStatus
from api.core.volume import VolumeProjection as VolumeProjection
from api.core.volume import VolumeSource as VolumeSource
