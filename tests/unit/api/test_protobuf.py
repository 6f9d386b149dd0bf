"""Protobuf: explicit zeros, maps, packed lists, special messages, and bytes that lie."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.apps import Deployment
from api.codec import protobuf
from api.core import ConfigMap, Container, Pod
from api.core.container import ContainerRestartRuleOnExitCodes
from api.core.probe import HTTPGetAction, Probe
from api.core.resources import ResourceRequirements
from api.core.security import PodSecurityContext
from api.meta import ManagedFieldsEntry, ObjectMeta
from tests.protobuf import field, varint


def test_zeros_of_pointers_are_values() -> None:
    spec = field(1, 0)
    found = protobuf.message(field(2, spec), Deployment)
    assert found.spec.replicas == 0
    assert protobuf.message(field(2, b""), Deployment).spec.replicas is None
    context = protobuf.message(field(2, 0) + field(3, 0), PodSecurityContext)
    assert context.run_as_user == 0 and context.run_as_non_root is False


def test_zeros_of_values_are_absent() -> None:
    found = protobuf.message(field(1, "c") + field(16, 0) + field(2, ""), Container)
    assert found == Container(name="c")


def test_maps() -> None:
    entry = field(1, "k") + field(2, "v")
    found = protobuf.message(field(2, entry) + field(2, field(1, "e")) + field(3, field(2, b"\x00")),
                             ConfigMap)  # fmt: skip
    assert found.data == {"k": "v", "e": ""} and found.binary_data == {"": b"\x00"}


@pytest.mark.parametrize("data", [field(2, -1) + field(2, 7), field(2, varint(-1) + varint(7))])
def test_repeated_numbers_packed_or_not(data: bytes) -> None:
    assert protobuf.message(data, ContainerRestartRuleOnExitCodes).values == [-1, 7]


def test_inlined_bases() -> None:
    handler = field(3, field(1, field(1, 0) + field(2, 80)))
    found = protobuf.message(field(1, handler) + field(4, 10), Probe)
    assert found.tcp_socket is not None and found.tcp_socket.port == 80
    assert found.period_seconds == 10


def test_int_or_string() -> None:
    name = field(1, 1) + field(2, 0) + field(3, "http")
    assert protobuf.message(field(2, name), HTTPGetAction).port == "http"
    assert protobuf.message(field(2, field(1, 0) + field(2, -5)), HTTPGetAction).port == -5


def test_quantities_are_made_canonical() -> None:
    entry = field(1, "cpu") + field(2, field(1, "0.5"))
    assert protobuf.message(field(2, entry), ResourceRequirements).requests == {"cpu": "500m"}


def test_times() -> None:
    empty = protobuf.message(field(8, b""), ObjectMeta)
    assert empty.creation_timestamp is None
    zero = protobuf.message(field(8, field(1, -62135596800)), ObjectMeta)
    assert zero.creation_timestamp is None
    found = protobuf.message(field(8, field(1, 1767225600) + field(2, 999)), ObjectMeta)
    assert found.creation_timestamp == "2026-01-01T00:00:00Z"
    with pytest.raises(ValueError, match="out of range"):
        protobuf.message(field(8, field(1, 2**62)), ObjectMeta)


def test_raw_json() -> None:
    data = field(7, field(1, b'{"f:spec":{}}'))
    assert protobuf.message(data, ManagedFieldsEntry).fields_v1 == {"f:spec": {}}
    with pytest.raises(ValueError):
        protobuf.message(field(7, field(1, b"{")), ManagedFieldsEntry)


def test_unknown_numbers_are_skipped() -> None:
    data = (
        field(99, 5)
        + field(1, "c")
        + varint(98 << 3 | 1)
        + bytes(8)
        + varint(97 << 3 | 5)
        + bytes(4)
    )
    assert protobuf.message(data, Container) == Container(name="c")


@pytest.mark.parametrize(
    "data",
    [b"\x0a", b"\x0a\x05ab", b"\x08", b"\x08" + b"\xff" * 10, b"\x00\x00", b"\x0b", b"\x0f",
     field(1, 5), field(1, b"\xff"), b"\x0a" + varint(2**63)],
)  # fmt: skip
def test_bytes_that_lie(data: bytes) -> None:
    with pytest.raises(ValueError):
        protobuf.message(data, Container)


def test_envelope() -> None:
    inner = field(1, field(1, "v1") + field(2, "Pod")) + field(2, b"raw")
    assert protobuf.envelope(b"k8s\x00" + inner) == protobuf.Envelope("v1", "Pod", b"raw")
    with pytest.raises(ValueError, match="content encoding"):
        protobuf.envelope(b"k8s\x00" + field(3, "gzip"))


@settings(deadline=None)
@given(st.binary(max_size=80))
def test_any_bytes_are_an_object_or_a_value_error(data: bytes) -> None:
    for type_ in (Pod, ObjectMeta, Container):
        try:
            protobuf.message(data, type_)
        except ValueError:
            pass
