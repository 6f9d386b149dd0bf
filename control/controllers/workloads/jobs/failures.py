"""What a failed pod means for its Job: the rules of `podFailurePolicy`, and the delays after failures.

The first rule that matches decides (KEP-3329). Without a match, or with the action Count, the failure
counts against the limits.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from api.batch import (
    PodFailurePolicy,
    PodFailurePolicyOnExitCodesRequirement,
    PodFailurePolicyOnPodConditionsPattern,
)
from api.core import ContainerStatus, Pod

FIRST_DELAY_SECONDS = 10.0
LONGEST_DELAY_SECONDS = 360.0


@dataclass(frozen=True, slots=True)
class Judgement:
    """The action of the rule that matched (empty: none did); why, if it ends the Job."""

    action: str = ""
    message: str = ""


def judge(policy: PodFailurePolicy | None, pod: Pod) -> Judgement:
    """Which rule speaks of this failure."""
    for number, rule in enumerate(policy.rules if policy is not None else ()):
        name = f"{pod.metadata.namespace}/{pod.metadata.name}"
        reason = ""
        if rule.on_exit_codes is not None:
            status = _matching_container(pod, rule.on_exit_codes)
            if status is not None:
                code = _exit_code(status)
                reason = f"Container {status.name} for pod {name} failed with exit code {code}"
        else:
            type_ = _matching_condition(pod, rule.on_pod_conditions)
            reason = f"Pod {name} has condition {type_}" if type_ else ""
        if reason:
            message = f"{reason} matching {rule.action} rule at index {number}"
            return Judgement(rule.action, message if rule.action == "FailJob" else "")
    return Judgement()


def is_counted(policy: PodFailurePolicy | None, pod: Pod) -> bool:
    """Whether the failure counts against the limits."""
    return judge(policy, pod).action != "Ignore"


def delay_after(failures: int) -> float:
    """Seconds to wait after so many failures in a row: 10, 20, 40, …, at most six minutes."""
    if failures == 0:
        return 0.0
    return min(FIRST_DELAY_SECONDS * 2.0 ** min(failures - 1, 16), LONGEST_DELAY_SECONDS)


def _matching_container(
    pod: Pod, wanted: PodFailurePolicyOnExitCodesRequirement
) -> ContainerStatus | None:
    statuses = (*pod.status.container_statuses, *pod.status.init_container_statuses)
    for status in statuses:
        if wanted.container_name is not None and wanted.container_name != status.name:
            continue
        code = _exit_code(status)
        if code and (code in wanted.values) == (wanted.operator == "In"):
            return status
    return None


def _exit_code(status: ContainerStatus) -> int:
    """What a container that has ended said; 0 otherwise, which never matches."""
    ended = status.state.terminated if status.state is not None else None
    return ended.exit_code if ended is not None else 0


def _matching_condition(
    pod: Pod, patterns: Sequence[PodFailurePolicyOnPodConditionsPattern]
) -> str:
    wanted = {(pattern.type, pattern.status) for pattern in patterns}
    return _first(one.type for one in pod.status.conditions if (one.type, one.status) in wanted)


def _first(found: Iterable[str]) -> str:
    return next(iter(found), "")
