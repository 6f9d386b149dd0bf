"""PodDisruptionBudget: how many of an application's pods may be ended at a time. Walk step 7."""

from api.fielderrors import FieldError, Path, invalid
from api.policy import PodDisruptionBudget, UnhealthyPodEvictionPolicyType
from api.scheme import resource_of
from control.resources.checks import check_amount, check_enum, check_non_negative, check_selector
from control.resources.strategy import Column, Strategy

_NONE = "N/A"


class DisruptionBudgetStrategy(Strategy[PodDisruptionBudget]):
    """Either a minimum or a maximum; its figures are its controller's."""

    columns = (
        Column("Min Available", "string", lambda pdb, now: _shown(pdb.spec.min_available)),
        Column("Max Unavailable", "string", lambda pdb, now: _shown(pdb.spec.max_unavailable)),
        Column("Allowed Disruptions", "integer", lambda pdb, now: pdb.status.disruptions_allowed),
    )

    def validate(self, obj: PodDisruptionBudget) -> list[FieldError]:
        path, spec = Path("spec"), obj.spec
        errors = []
        if spec.min_available is not None and spec.max_unavailable is not None:
            errors.append(
                invalid(path, "spec", "minAvailable and maxUnavailable cannot be both set")
            )
        for name, value in (
            ("minAvailable", spec.min_available),
            ("maxUnavailable", spec.max_unavailable),
        ):
            errors += check_amount(path.child(name), value)
        if spec.selector is not None:
            errors += check_selector(path.child("selector"), spec.selector)
        where = path.child("unhealthyPodEvictionPolicy")
        policy = spec.unhealthy_pod_eviction_policy
        errors += check_enum(where, policy, UnhealthyPodEvictionPolicyType)
        return errors

    def validate_subresource(
        self, subresource: str, new: PodDisruptionBudget, old: PodDisruptionBudget
    ) -> list[FieldError]:
        path, status = Path("status"), new.status
        return [
            *check_non_negative(path.child("disruptionsAllowed"), status.disruptions_allowed),
            *check_non_negative(path.child("currentHealthy"), status.current_healthy),
            *check_non_negative(path.child("desiredHealthy"), status.desired_healthy),
            *check_non_negative(path.child("expectedPods"), status.expected_pods),
        ]


def _shown(value: int | str | None) -> str:
    return _NONE if value is None else str(value)


STRATEGY = DisruptionBudgetStrategy(resource_of(PodDisruptionBudget))
