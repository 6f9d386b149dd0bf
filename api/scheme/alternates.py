"""The rows of further versions: the same objects as a stored kind's, in another group or version.

They have paths, watches and forms of their own; what is stored is converted on the way out and in
(`control/resources/conversions.py` says as what, and how). Walk step 1.
"""

from api import eventsv1
from api.scheme.resource import Resource

ROWS: tuple[Resource, ...] = (
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
