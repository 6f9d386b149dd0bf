"""The rows of what makes and changes pods: apps, batch, autoscaling, policy. Walk step 1."""

from api import apps, batch, policy
from api.scheme.resource import SCALE, STATUS, Resource

ROWS: tuple[Resource, ...] = (
    Resource(
        "apps",
        "v1",
        "Deployment",
        "deployments",
        apps.Deployment,
        True,
        "deployment",
        short_names=("deploy",),
        categories=("all",),
        subresources=(SCALE, STATUS),
    ),
    Resource(
        "apps",
        "v1",
        "ReplicaSet",
        "replicasets",
        apps.ReplicaSet,
        True,
        "replicaset",
        short_names=("rs",),
        categories=("all",),
        subresources=(SCALE, STATUS),
    ),
    Resource(
        "batch",
        "v1",
        "Job",
        "jobs",
        batch.Job,
        True,
        "job",
        categories=("all",),
        subresources=(STATUS,),
    ),
    Resource(
        "policy",
        "v1",
        "PodDisruptionBudget",
        "poddisruptionbudgets",
        policy.PodDisruptionBudget,
        True,
        "poddisruptionbudget",
        short_names=("pdb",),
        subresources=(STATUS,),
    ),
)
