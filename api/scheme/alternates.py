"""The rows of further versions: the same objects as a stored kind's, in another group or version.

They have paths, watches and forms of their own; what is stored is converted on the way out and in
(`control/resources/conversions.py` says as what, and how). Walk step 1.
"""

from api import autoscaling, eventsv1
from api.scheme.resource import STATUS, Resource

ROWS: tuple[Resource, ...] = (
    Resource(
        "autoscaling",
        "v1",
        "HorizontalPodAutoscaler",
        "horizontalpodautoscalers",
        autoscaling.HorizontalPodAutoscaler,
        True,
        "horizontalpodautoscaler",
        short_names=("hpa",),
        categories=("all",),
        subresources=(STATUS,),
        stored_as="autoscaling/v2",
    ),
    Resource(
        "events.k8s.io",
        "v1",
        "Event",
        "events",
        eventsv1.Event,
        True,
        "event",
        short_names=("ev",),
        stored_as="v1",
    ),
)
