"""The small modules: times, IntOrString, names, field errors, API errors."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from api import errors, fielderrors, intstr, timestamps, validation
from api.fielderrors import Path
from api.meta import StatusCause
from api.scheme import by_kind
from base.clock import FakeClock

POD = by_kind("v1", "Pod")
DEPLOYMENT = by_kind("apps/v1", "Deployment")
assert POD is not None and DEPLOYMENT is not None


def test_times() -> None:
    clock = FakeClock(datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC))
    assert timestamps.now_string(clock) == "2026-01-02T03:04:05Z"
    assert timestamps.now_micro_string(clock) == "2026-01-02T03:04:05.678901Z"
    assert timestamps.parse("2026-01-02T03:04:05.6789019Z") == clock.now()
    assert timestamps.canonical("2026-01-02T04:04:05.9+01:00") == "2026-01-02T03:04:05Z"
    assert timestamps.canonical_micro("2026-01-02T03:04:05Z") == "2026-01-02T03:04:05.000000Z"
    assert timestamps.age(clock, "2026-01-02T03:03:05Z") == timedelta(
        seconds=60, microseconds=678901
    )
    assert timestamps.format(datetime(7, 1, 1, tzinfo=timezone(timedelta(0)))).startswith("0007-")


@pytest.mark.parametrize(
    "text",
    ["", "now", "2026-01-02", "2026-01-02 03:04:05Z", "2026-13-02T03:04:05Z",
     "2026-02-30T03:04:05Z", "2026-01-02T03:04:05+99:00", "0001-01-01T00:00:00+23:00"],
)  # fmt: skip
def test_bad_times(text: str) -> None:
    with pytest.raises(ValueError, match="parsing time"):
        timestamps.parse(text)


@pytest.mark.parametrize(
    ("value", "total", "up", "expected"),
    [(3, 10, True, 3), ("25%", 10, True, 3), ("25%", 10, False, 2), ("0%", 10, True, 0),
     ("100%", 7, False, 7), ("150%", 10, False, 15)],
)  # fmt: skip
def test_int_or_string(value: int | str, total: int, up: bool, expected: int) -> None:
    assert intstr.resolve(value, total, round_up=up) == expected


@pytest.mark.parametrize("value", ["25", "%", "a%", "1.5%", ""])
def test_int_or_string_refused(value: str) -> None:
    assert not intstr.is_percent(value)
    with pytest.raises(ValueError, match="string is not a percentage"):
        intstr.resolve(value, 10, round_up=True)


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (validation.dns1123_label, ["a", "1-b"], ["", "A", "-a", "a.b", "a" * 64, "a\n"]),
        (validation.dns1123_subdomain, ["a", "a.b", "0"], ["", "a..b", "a.", "_a", "a." * 130]),
        (validation.dns1035_label, ["a", "a-1"], ["", "1a", "a.b", "a" * 64]),
        (validation.qualified_name, ["a", "A.b_c", "x.io/y"], ["", "/a", "x/", "a/b/c", "X/y", "a" * 64]),
        (validation.label_value, ["", "a", "A_b.c"], ["_", "a b", "a" * 64, "é"]),
        (validation.port_name, ["http", "a1", "x-y"], ["", "1", "a--b", "-a", "HTTP", "a" * 16]),
        (validation.env_var_name, ["A", "a.b-c", "1x", "a b"], ["", "a=b", "é", "\n"]),
        (validation.c_identifier, ["_a1"], ["", "1a", "a-b"]),
        (validation.config_map_key, ["a", ".a", "A_B"], ["", ".", "..", "..a", "a/b", "a" * 254]),
        (validation.http_header_name, ["X-A"], ["", "a b", "a_b"]),
        (validation.percent, ["5%"], ["", "5", "%", "-5%"]),
        (validation.path_segment, ["a", "a:b"], [".", "..", "a/b", "a%b"]),
        (validation.ip_address, ["10.0.0.1", "::1"], ["", "10.0.0", "10.0.0.01", "fe80::1%eth0"]),
        (validation.cidr, ["10.0.0.0/8", "fd00::/64"], ["", "10.0.0.0", "10.0.0.0/33", "10.0.0.0/255.0.0.0"]),
        (validation.wildcard_subdomain, ["*.a.b"], ["*", "a.b", "*.*.a"]),
    ],
)  # fmt: skip
def test_names(check: object, good: list[str], bad: list[str]) -> None:
    assert callable(check)
    for value in good:
        assert check(value) == [], value
    for value in bad:
        assert check(value), value


def test_name_messages() -> None:
    assert validation.dns1123_label("a.b") == ["must not contain dots"]
    assert validation.dns1123_label("a" * 64) == ["must be no more than 63 bytes"]
    assert validation.dns1123_subdomain("A") == [
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
        "'.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used "
        r"for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
    ]
    assert validation.qualified_name("") == [
        "name part must be non-empty",
        "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end "
        "with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used "
        "for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
    ]
    assert validation.port_number(0) == ["must be between 1 and 65535, inclusive"]


def test_paths() -> None:
    path = Path("spec").child("containers").index(0).child("resources", "limits").key("cpu")
    assert str(path) == "spec.containers[0].resources.limits[cpu]"
    assert str(Path("a", "b")) == "a.b"
    assert str(Path().child("x")) == "x"
    assert path == Path("spec.containers[0].resources.limits[cpu]")


def test_field_error_words() -> None:
    path = Path("spec", "x")
    assert str(fielderrors.required(path)) == "spec.x: Required value"
    assert str(fielderrors.required(path, "why")) == "spec.x: Required value: why"
    assert str(fielderrors.invalid(path, 'a"b', "no")) == 'spec.x: Invalid value: "a\\"b": no'
    assert str(fielderrors.invalid(path, -1, "no")) == "spec.x: Invalid value: -1: no"
    assert str(fielderrors.invalid(path, None, "no")) == 'spec.x: Invalid value: "null": no'
    assert str(fielderrors.invalid(path, True, "no")) == "spec.x: Invalid value: true: no"
    assert (
        str(fielderrors.invalid(path, {"a": [1]}, "no")) == 'spec.x: Invalid value: {"a":[1]}: no'
    )
    assert str(fielderrors.duplicate(path, "a")) == 'spec.x: Duplicate value: "a"'
    assert str(fielderrors.forbidden(path, "no")) == "spec.x: Forbidden: no"
    assert str(fielderrors.too_long(path, 5)) == "spec.x: Too long: may not be more than 5 bytes"
    assert str(fielderrors.too_many(path, 5, 3)) == "spec.x: Too many: 5: must have at most 3 items"
    assert str(fielderrors.not_supported(path, "c", ["a", "b"])) == (
        'spec.x: Unsupported value: "c": supported values: "a", "b"'
    )


def test_api_error_messages() -> None:
    not_found = errors.not_found(POD, "x")
    assert (not_found.code, not_found.reason) == (404, "NotFound")
    assert str(not_found) == 'pods "x" not found'
    assert not_found.status.details is not None
    assert not_found.status.details.kind == "pods"
    assert errors.is_not_found(not_found) and not errors.is_conflict(not_found)
    assert str(errors.already_exists(DEPLOYMENT, "d")) == 'deployments.apps "d" already exists'
    assert str(errors.conflict(POD, "x")) == (
        'Operation cannot be fulfilled on pods "x": the object has been modified; please apply '
        "your changes to the latest version and try again"
    )
    assert str(errors.forbidden(POD, "", "no")) == "pods is forbidden: no"
    assert errors.too_many_requests("wait", 5).retry_after == 5
    assert errors.is_gone(errors.too_old(1, 7))
    assert str(errors.too_old(1, 7)) == "too old resource version: 1 (7)"
    assert not errors.is_not_found(ValueError("x"))


def test_invalid_lists_each_cause() -> None:
    one = fielderrors.required(Path("spec", "containers"))
    two = fielderrors.required(Path("metadata", "name"))
    error = errors.invalid(DEPLOYMENT, "d", [one])
    assert str(error) == 'Deployment.apps "d" is invalid: spec.containers: Required value'
    error = errors.invalid(POD, "x", [one, two, two])
    assert str(error) == (
        'Pod "x" is invalid: [spec.containers: Required value, metadata.name: Required value]'
    )
    details = error.status.details
    assert details is not None and details.kind == "Pod"
    assert details.causes[0] == StatusCause(
        reason="FieldValueRequired", message="Required value", field="spec.containers"
    )


def test_future_resource_version() -> None:
    error = errors.too_large_resource_version(10, 5)
    assert str(error) == "Timeout: Too large resource version: 10, current: 5"
    assert error.status.details is not None
    assert error.status.details.causes[0].reason == "ResourceVersionTooLarge"
