"""Policies in CEL are refused where they are not enforced, and can be taken away all the same."""

from __future__ import annotations

import pytest

from api.errors import ApiError
from api.scheme import by_kind
from control.admission.chain import Attributes, Operation
from control.admission.policies import PolicyRefusal
from control.auth.user import in_process
from tests.unit.resources.examples import complete

POLICY = by_kind("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy")
BINDING = by_kind("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding")


def request(operation: Operation, *, deleted: str | None = None) -> Attributes:
    assert POLICY is not None
    policy = complete("ValidatingAdmissionPolicy")
    policy.metadata.deletion_timestamp = deleted
    return Attributes(
        operation=operation,
        resource=POLICY,
        namespace="",
        name="replicas",
        user=in_process("test"),
        object=policy,
    )


@pytest.mark.parametrize("operation", [Operation.CREATE, Operation.UPDATE])
async def test_a_policy_is_refused_and_the_way_out_named(operation: Operation) -> None:
    with pytest.raises(ApiError) as caught:
        await PolicyRefusal().validate(request(operation))
    assert caught.value.code == 403
    assert 'validatingadmissionpolicies.admissionregistration.k8s.io "replicas" is forbidden: ' in (
        caught.value.message
    )
    assert "--disable-admission-plugins=ValidatingAdmissionPolicy" in caught.value.message


async def test_finalizers_of_one_on_its_way_out_may_go() -> None:
    await PolicyRefusal().validate(request(Operation.UPDATE, deleted="2026-01-01T00:00:00Z"))


def test_nothing_else_is_refused() -> None:
    assert POLICY is not None
    assert BINDING is not None
    plugin = PolicyRefusal()
    assert plugin.handles(POLICY, Operation.CREATE, "")
    assert not plugin.handles(POLICY, Operation.DELETE, "")
    assert not plugin.handles(POLICY, Operation.UPDATE, "status")
    assert not plugin.handles(BINDING, Operation.CREATE, "")
