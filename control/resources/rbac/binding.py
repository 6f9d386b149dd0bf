"""RoleBinding and ClusterRoleBinding: who has a role. They speak at the gate of step 1 of the walk.

What a binding gives never changes, so that whoever may edit its subjects cannot raise what they get
(Kubernetes' documentation, "Using RBAC Authorization", on the `roleRef`).
"""

from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

from api import validation
from api.fielderrors import FieldError, Path, invalid, not_supported, required
from api.rbac import ClusterRoleBinding, RoleBinding, RoleRef, Subject
from api.scheme import resource_of
from control.resources.checks import check_text
from control.resources.columns import AGE
from control.resources.strategy import Column, Strategy

GROUP = "rbac.authorization.k8s.io"
ACCOUNT, USER, USER_GROUP = "ServiceAccount", "User", "Group"

T = TypeVar("T", RoleBinding, ClusterRoleBinding)


class _BindingStrategy(Strategy[T], Generic[T]):
    """A role and those who have it. A PUT of a missing one makes it."""

    columns = (
        Column("Role", "string", lambda one, now: f"{one.role_ref.kind}/{one.role_ref.name}"),
        AGE,
        Column("Users", "string", lambda one, now: _names(one.subjects, USER), priority=1),
        Column("Groups", "string", lambda one, now: _names(one.subjects, USER_GROUP), priority=1),
        Column("ServiceAccounts", "string", lambda one, now: _accounts(one.subjects), priority=1),
    )
    allow_create_on_update = True

    role_kinds: tuple[str, ...] = ()
    """What it can refer to."""

    def default(self, obj: T) -> None:
        obj.role_ref.api_group = obj.role_ref.api_group or GROUP
        for subject in obj.subjects:
            if subject.kind in (USER, USER_GROUP):
                subject.api_group = subject.api_group or GROUP

    def validate_name(self, name: str, *, generated: bool) -> list[str]:
        return validation.path_segment(name)

    def validate(self, obj: T) -> list[FieldError]:
        errors = list(_role_errors(Path("roleRef"), obj.role_ref, self.role_kinds))
        for number, subject in enumerate(obj.subjects):
            path = Path("subjects").index(number)
            errors += _subject_errors(path, subject, namespaced=self.resource.namespaced)
        return errors

    def validate_update(self, new: T, old: T) -> list[FieldError]:
        errors = self.validate(new)
        if new.role_ref != old.role_ref:
            errors.append(invalid(Path("roleRef"), new.role_ref, "cannot change roleRef"))
        return errors


class RoleBindingStrategy(_BindingStrategy[RoleBinding]):
    """Gives a role, or a cluster role, in one namespace."""

    role_kinds = ("Role", "ClusterRole")


class ClusterRoleBindingStrategy(_BindingStrategy[ClusterRoleBinding]):
    """Gives a cluster role everywhere."""

    role_kinds = ("ClusterRole",)


def _names(subjects: Iterable[Subject], kind: str) -> str:
    return ", ".join(subject.name for subject in subjects if subject.kind == kind)


def _accounts(subjects: Iterable[Subject]) -> str:
    return ", ".join(
        f"{subject.namespace}/{subject.name}" for subject in subjects if subject.kind == ACCOUNT
    )


def _role_errors(path: Path, role: RoleRef, kinds: tuple[str, ...]) -> Iterator[FieldError]:
    if role.api_group != GROUP:
        yield not_supported(path.child("apiGroup"), role.api_group, (GROUP,))
    if role.kind not in kinds:
        yield not_supported(path.child("kind"), role.kind, kinds)
    yield from check_text(path.child("name"), role.name, validation.path_segment)


def _subject_errors(path: Path, subject: Subject, *, namespaced: bool) -> Iterator[FieldError]:
    if subject.kind == ACCOUNT:
        yield from check_text(path.child("name"), subject.name, validation.dns1123_subdomain)
        if subject.api_group:
            yield not_supported(path.child("apiGroup"), subject.api_group, ("",))
        if not namespaced and not subject.namespace:
            yield required(path.child("namespace"), "")
        return
    if not subject.name:
        yield required(path.child("name"), "")
    if subject.kind not in (USER, USER_GROUP):
        yield not_supported(path.child("kind"), subject.kind, (ACCOUNT, USER, USER_GROUP))
    elif subject.api_group != GROUP:
        yield not_supported(path.child("apiGroup"), subject.api_group, (GROUP,))


ROLE_BINDING = RoleBindingStrategy(resource_of(RoleBinding))
CLUSTER_ROLE_BINDING = ClusterRoleBindingStrategy(resource_of(ClusterRoleBinding))
