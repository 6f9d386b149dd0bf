"""`/configz`: with what settings this node works, in the shape of a KubeletConfiguration. Pure.

Fields that this agent has no counterpart for are left out. Durations are written as Go writes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from agent.node import heartbeat, lease, pinning
from agent.server import gate, spdyserver
from agent.settings import AgentSettings
from base.settings import duration

CONTENT_TYPE = "application/json"


def render(settings: AgentSettings, *, cgroup_driver: str) -> bytes:
    """The page."""
    return msgspec.json.encode({"kubeletconfig": configuration(settings, cgroup_driver)})


def configuration(settings: AgentSettings, cgroup_driver: str) -> dict[str, Any]:
    return {
        "kind": "KubeletConfiguration",
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "address": settings.listen_address,
        "port": settings.port,
        "healthzBindAddress": settings.healthz_bind_address,
        "healthzPort": settings.healthz_port,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True, "cacheTTL": go_duration(gate.KNOWN_SECONDS)},
        },
        "authorization": {
            "mode": "Webhook",
            "webhook": {
                "cacheAuthorizedTTL": go_duration(gate.ALLOWED_SECONDS),
                "cacheUnauthorizedTTL": go_duration(gate.REFUSED_SECONDS),
            },
        },
        "streamingConnectionIdleTimeout": go_duration(spdyserver.IDLE_SECONDS),
        "enableServer": True,
        "enableDebuggingHandlers": True,
        "enableSystemLogHandler": True,
        "clusterDomain": settings.cluster_domain,
        "clusterDNS": [settings.cluster_dns],
        "resolvConf": str(settings.resolv_conf),
        "nodeStatusUpdateFrequency": go_duration(heartbeat.LOOK),
        "nodeStatusReportFrequency": go_duration(heartbeat.TELL_AT_LEAST),
        "nodeLeaseDurationSeconds": lease.SECONDS,
        "nodeStatusMaxImages": settings.node_status_max_images,
        "registerNode": settings.register_node,
        "registerWithTaints": msgspec.to_builtins(settings.taints()),
        "imageMinimumGCAge": go_duration(settings.minimum_image_ttl),
        "imageMaximumGCAge": go_duration(settings.image_maximum_gc_age),
        "imageGCHighThresholdPercent": settings.image_gc_high_threshold,
        "imageGCLowThresholdPercent": settings.image_gc_low_threshold,
        "cgroupRoot": settings.cgroup_root,
        "cgroupsPerQOS": True,
        "cgroupDriver": cgroup_driver,
        "maxPods": settings.max_pods,
        "podPidsLimit": settings.pod_max_pids,
        "singleProcessOOMKill": settings.single_process_oom_kill,
        "serializeImagePulls": settings.serialize_image_pulls,
        "maxParallelImagePulls": settings.parallel_pulls,
        "staticPodPath": str(settings.static_pod_path or ""),
        "allowedUnsafeSysctls": list(settings.allowed_unsafe_sysctls),
        "crashLoopBackOff": {
            "maxContainerRestartPeriod": go_duration(settings.max_container_restart_period)
        },
        "shutdownGracePeriod": go_duration(settings.shutdown_grace_period),
        "shutdownGracePeriodCriticalPods": go_duration(
            settings.shutdown_grace_period_critical_pods
        ),
        "shutdownGracePeriodByPodPriority": [
            {"priority": int(priority), "shutdownGracePeriodSeconds": int(duration(seconds))}
            for priority, seconds in settings.amounts(
                settings.shutdown_grace_period_by_pod_priority
            ).items()
        ],
        "evictionHard": _thresholds(settings.eviction_hard),
        "evictionSoft": _thresholds([one.rpartition("=")[0] for one in settings.eviction_soft]),
        "evictionSoftGracePeriod": _graces(settings.eviction_soft),
        "evictionMinimumReclaim": settings.amounts(settings.eviction_minimum_reclaim),
        "evictionPressureTransitionPeriod": go_duration(
            settings.eviction_pressure_transition_period
        ),
        "evictionMaxPodGracePeriod": int(settings.eviction_max_pod_grace_period),
        "systemReserved": settings.amounts(settings.system_reserved),
        "kubeReserved": settings.amounts(settings.kube_reserved),
        "reservedSystemCPUs": settings.reserved_cpus or "",
        "cpuManagerPolicy": settings.cpu_manager_policy,
        "cpuManagerPolicyOptions": settings.amounts(settings.cpu_manager_policy_options),
        "cpuManagerReconcilePeriod": go_duration(pinning.LOOK),
        "enforceNodeAllocatable": ["pods"],
        "failSwapOn": False,
        "containerLogMaxSize": settings.container_log_max_size,
        "containerLogMaxFiles": settings.container_log_max_files,
        "containerRuntimeEndpoint": settings.docker_host,
        "rotateCertificates": True,
        "serverTLSBootstrap": True,
        "logging": {"format": settings.log_format},
    }


def _thresholds(given: Sequence[str]) -> Mapping[str, str]:
    """`memory.available<100Mi` → `memory.available: 100Mi`."""
    return dict(one.split("<", 1) for one in given)


def _graces(given: Sequence[str]) -> Mapping[str, str]:
    """`memory.available<200Mi=1m30s` → `memory.available: 1m30s`."""
    return {one.split("<", 1)[0]: one.rpartition("=")[2] for one in given}


def go_duration(seconds: float) -> str:
    """`1h0m0s`, `5m0s`, `10s`."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    shown = f"{rest:g}s"
    if hours:
        return f"{hours}h{minutes}m{shown}"
    return f"{minutes}m{shown}" if minutes else shown
