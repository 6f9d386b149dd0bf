"""DefaultTolerationSeconds: how long a pod stays bound to a node that is gone (step 1 of the walk).

A pod that does not say tolerates `not-ready` and `unreachable` for five minutes, so that a node
that reboots keeps its pods, and one that burns down does not. Whoever updates a pod with a list of his
own does not mean to take them away: they are put back, as tolerations can only be added.
"""

from __future__ import annotations

from api.core import Pod, Toleration
from api.scheme import Resource
from control.admission.chain import Attributes, Operation, Plugin

NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"


class DefaultTolerationSeconds(Plugin):
    name = "DefaultTolerationSeconds"

    def __init__(self, seconds: int) -> None:
        self._seconds = seconds

    def handles(self, resource: Resource, operation: Operation, subresource: str) -> bool:
        written = operation in (Operation.CREATE, Operation.UPDATE)
        return resource.type is Pod and written and not subresource

    async def admit(self, request: Attributes) -> None:
        pod: Pod = request.object
        for key in (NOT_READY, UNREACHABLE):
            if not any(_covers(toleration, key) for toleration in pod.spec.tolerations):
                pod.spec.tolerations = [
                    *pod.spec.tolerations,
                    Toleration(
                        key=key,
                        operator="Exists",
                        effect="NoExecute",
                        toleration_seconds=self._seconds,
                    ),
                ]


def _covers(toleration: Toleration, key: str) -> bool:
    return toleration.key in ("", key) and toleration.effect in ("", "NoExecute")
