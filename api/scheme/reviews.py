"""The rows of what can only be posted. Walk step 1.

Questions are answered and leave nothing behind; `bindings` is the old way to say `pods/NAME/binding`.
"""

from api import authentication, authorization
from api.core import Binding
from api.scheme.resource import POSTED, Resource
from api.struct import ApiStruct


def _review(group: str, type_: type[ApiStruct], *, namespaced: bool = False) -> Resource:
    singular = type_.__name__.lower()
    return Resource(
        group, "v1", type_.__name__, singular + "s", type_, namespaced, singular, verbs=POSTED
    )


ROWS: tuple[Resource, ...] = (
    _review("authentication.k8s.io", authentication.SelfSubjectReview),
    _review("authentication.k8s.io", authentication.TokenReview),
    _review("authorization.k8s.io", authorization.LocalSubjectAccessReview, namespaced=True),
    _review("authorization.k8s.io", authorization.SelfSubjectAccessReview),
    _review("authorization.k8s.io", authorization.SelfSubjectRulesReview),
    _review("authorization.k8s.io", authorization.SubjectAccessReview),
)

BINDINGS = Resource("", "v1", "Binding", "bindings", Binding, True, "binding", verbs=POSTED)
