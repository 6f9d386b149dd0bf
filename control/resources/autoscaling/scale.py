"""Scale: how many replicas of something are wanted. A view of a workload, kept nowhere."""

from api.autoscaling import Scale
from control.resources.strategy import Column, Strategy


class ScaleRules(Strategy[Scale]):
    """What `kubectl get --subresource=scale` prints."""

    columns = (
        Column("Desired", "integer", lambda one, now: one.spec.replicas),
        Column("Available", "integer", lambda one, now: one.status.replicas),
    )
