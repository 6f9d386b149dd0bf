"""Eviction: a delete that asks the pod's disruption budget first.

Serves step 7 of the pod's walk, for `kubectl drain` and whoever else empties nodes. The budget's status
says how many pods may go; an eviction takes one of them under the version it read, so that of two at
the same moment each counts. The pod is noted in `disruptedPods` until the budget's controller has
seen that it is gone. Pods that serve nobody are not protected: those that have ended or not begun,
those on their way out, and, as the budget says, those that are not ready.

Admission sees the eviction, and not what it comes to: the deletion, the notes on pod and budget.

Words and codes are Kubernetes' ("API-initiated Eviction"): clients wait and try again on a 429 whose
cause is DisruptionBudget.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from api import conditions, errors, pods
from api.core import Pod, PodCondition
from api.errors import ApiError
from api.meta import Condition, DeleteOptions, Preconditions, Status, StatusCause
from api.policy import Eviction, PodDisruptionBudget
from api.selectors import from_label_selector
from api.struct import ApiStruct
from api.timestamps import now_string
from control.admission.chain import Operation
from control.apiserver.registry import deleting, updating
from control.apiserver.registry.admitting import attributes
from control.apiserver.registry.call import Call
from control.apiserver.registry.kinds import Kind
from control.apiserver.registry.registry import Registry

CAUSE = "DisruptionBudget"
MAX_DISRUPTED = 2000
"""Granted evictions that the budget's controller has not confirmed."""

_ATTEMPTS = 20  # each failed one means that the pod or its budget was changed by others
_PROCESSING_SECONDS = 10
_VIOLATES = "Cannot evict pod as it would violate the pod's disruption budget."
_UNPROTECTED = ("Succeeded", "Failed", "Pending")


async def evict(
    registry: Registry, kind: Kind[Any], call: Call, body: Eviction, namespace: str, name: str
) -> Status:
    """Delete the pod, or raise why not now."""
    if body.metadata.name not in ("", name):
        raise errors.bad_request("name in URL does not match name in Eviction object")
    if body.metadata.namespace not in ("", namespace):
        raise errors.bad_request("namespace in URL does not match namespace in Eviction object")
    options = body.delete_options or DeleteOptions()
    if call.dry_run and options.dry_run not in ([], ["All"]):
        raise errors.bad_request("Non-equal values for dryRun in the Eviction and the request")
    call.dry_run = call.dry_run or bool(options.dry_run)
    deleting.validate_options(options)
    request = attributes(
        kind, call, Operation.CREATE, namespace, name, subresource="eviction", new=body
    )
    await registry.admission.admit(request)
    await registry.admission.validate(request)
    uid = ""
    for _ in range(_ATTEMPTS):
        pod, version = await _read(registry, kind, namespace, name)
        if uid and pod.metadata.uid != uid:
            raise errors.not_found(kind.resource, name)  # another pod of the same name
        uid = pod.metadata.uid
        deleting.check_preconditions(kind, options, pod)
        try:
            if await _ask(registry, call, pod):
                # It is unprotected as it was read: if it became ready meanwhile, ask again.
                await _delete(registry, kind, call, pod, options, version)
            else:
                await _delete(registry, kind, call, pod, options, "")
        except ApiError as error:
            if not errors.is_conflict(error):
                raise
            continue
        return Status(status="Success", code=201)
    raise _too_many(
        f"The disruption budget of pod {name} is still being processed by the server.",
        _PROCESSING_SECONDS,
    )


async def _read(registry: Registry, kind: Kind[Any], namespace: str, name: str) -> tuple[Pod, str]:
    stored = await registry.store.get(kind.key(namespace, name))
    if stored is None:
        raise errors.not_found(kind.resource, name)
    pod: Pod = kind.load(stored)
    return pod, str(stored.mod_revision)


def is_unprotected(pod: Pod) -> bool:
    """Whether budgets have nothing to say about it: it serves nobody, and never will or not yet."""
    return pod.status.phase in _UNPROTECTED or pod.metadata.deletion_timestamp is not None


async def _ask(registry: Registry, call: Call, pod: Pod) -> bool:
    """True for a pod that is unprotected; raises when its budget has nothing to give."""
    if is_unprotected(pod):
        return not pods.is_terminal(pod)
    budgets = registry.kind_of(PodDisruptionBudget)
    await registry.fresh(budgets)
    found = list(protecting(_budgets(budgets, pod.metadata.namespace), pod))
    if not found:
        return False
    if len(found) > 1:
        raise ApiError(
            Status(
                status="Failure",
                code=500,
                message="This pod has more than one PodDisruptionBudget, which the eviction "
                "subresource does not support.",
            )
        )
    budget = found[0]
    if not pods.is_ready(pod) and goes_unready(budget):
        return True
    await _take(registry, budgets, call, budget, pod.metadata.name)
    return False


def _budgets(kind: Kind[PodDisruptionBudget], namespace: str) -> Iterable[PodDisruptionBudget]:
    return map(kind.decode, (one.body for one in kind.cache.items(kind.resource.prefix(namespace))))


def protecting(budgets: Iterable[PodDisruptionBudget], pod: Pod) -> Iterable[PodDisruptionBudget]:
    """The budgets that count the pod. Pure."""
    labels = pod.metadata.labels
    return (one for one in budgets if from_label_selector(one.spec.selector).matches(labels))


def goes_unready(budget: PodDisruptionBudget) -> bool:
    """Whether a pod that is not ready may go without being counted. Pure."""
    if budget.spec.unhealthy_pod_eviction_policy == "AlwaysAllow":
        return True
    status = budget.status
    return 0 < status.desired_healthy <= status.current_healthy


async def _take(
    registry: Registry,
    kind: Kind[PodDisruptionBudget],
    call: Call,
    budget: PodDisruptionBudget,
    pod: str,
) -> None:
    """One disruption less; 409 when the budget changed since it was read."""
    metadata, now = budget.metadata, now_string(registry.clock)

    async def change(current: ApiStruct) -> Any:
        assert isinstance(current, PodDisruptionBudget)
        return take(current, pod, now)

    if call.dry_run:
        take(budget, pod, now)
        return
    await updating.change(
        registry,
        kind,
        call,
        metadata.namespace,
        metadata.name,
        change,
        subresource="status",
        admitted=True,
    )


def take(budget: PodDisruptionBudget, pod: str, now: str) -> PodDisruptionBudget:
    """The budget after one more disruption, or why there cannot be one. Changes `budget`."""
    status, name = budget.status, budget.metadata.name
    if status.observed_generation < budget.metadata.generation:
        raise _too_many(
            f"The disruption budget {name} is still being processed by the server.",
            _PROCESSING_SECONDS,
        )
    if status.disruptions_allowed < 0:
        raise _forbidden(name, "pdb disruptions allowed is negative")
    if len(status.disrupted_pods) > MAX_DISRUPTED:
        raise _forbidden(
            name,
            "DisruptedPods map too big - too many evictions not confirmed by PDB controller",
        )
    if status.disruptions_allowed == 0:
        raise _too_many(_why_not(budget), 0)
    status.disruptions_allowed -= 1
    status.disrupted_pods = {**status.disrupted_pods, pod: now}
    if status.disruptions_allowed == 0:
        insufficient = Condition(
            type="DisruptionAllowed",
            status="False",
            reason="InsufficientPods",
            message="",
            last_transition_time=None,
            observed_generation=status.observed_generation,
        )
        status.conditions = conditions.put(status.conditions, insufficient, now=now)
    return budget


def _why_not(budget: PodDisruptionBudget) -> str:
    status, name = budget.status, budget.metadata.name
    failed = conditions.find(status.conditions, "DisruptionAllowed")
    if failed is not None and failed.status == "False" and failed.reason == "SyncFailed":
        return (
            f"The disruption budget {name} does not allow evicting pods currently because it "
            f"failed sync: {failed.message}"
        )
    return (
        f"The disruption budget {name} needs {status.desired_healthy} healthy pods and has "
        f"{status.current_healthy} currently"
    )


def _too_many(why: str, retry_after: int) -> ApiError:
    error = errors.too_many_requests(_VIOLATES, retry_after=retry_after)
    assert error.status.details is not None
    error.status.details.causes = [StatusCause(reason=CAUSE, message=why)]
    return error


def _forbidden(name: str, why: str) -> ApiError:
    error = errors.forbidden(None, "", why)
    text = f'poddisruptionbudget.policy "{name}" is forbidden: {why}'
    error.status.message = error.message = text
    return error


async def _delete(
    registry: Registry,
    kind: Kind[Any],
    call: Call,
    pod: Pod,
    options: DeleteOptions,
    version: str,
) -> None:
    """Say on the pod why it goes, and let it go. `version`: the one that must still be there."""
    wanted = options.preconditions or Preconditions()
    required = Preconditions(
        uid=wanted.uid or pod.metadata.uid,
        resource_version=wanted.resource_version or version or None,
    )
    if not is_unprotected(pod) and not call.dry_run:
        marked = await _mark(registry, kind, call, pod, required)
        if required.resource_version:
            required.resource_version = marked
    await deleting.delete(
        registry,
        kind,
        call,
        DeleteOptions(
            grace_period_seconds=options.grace_period_seconds,
            propagation_policy=options.propagation_policy,
            orphan_dependents=options.orphan_dependents,
            dry_run=options.dry_run,
            preconditions=required,
        ),
        namespace=pod.metadata.namespace,
        name=pod.metadata.name,
        admitted=True,
    )


async def _mark(
    registry: Registry, kind: Kind[Any], call: Call, pod: Pod, required: Preconditions
) -> str:
    """The condition that tells an evicted pod from a failed one; the version that has it."""
    now = now_string(registry.clock)
    condition = PodCondition(
        type="DisruptionTarget",
        status="True",
        reason="EvictionByEvictionAPI",
        message="Eviction API: evicting",
    )
    wanted = DeleteOptions(preconditions=required)

    async def change(current: ApiStruct) -> Any:
        assert isinstance(current, Pod)
        deleting.check_preconditions(kind, wanted, current)
        current.status.conditions = conditions.put(current.status.conditions, condition, now=now)
        return current

    stored = await updating.change(
        registry,
        kind,
        call,
        pod.metadata.namespace,
        pod.metadata.name,
        change,
        subresource="status",
        admitted=True,
    )
    return str(stored.revision)
