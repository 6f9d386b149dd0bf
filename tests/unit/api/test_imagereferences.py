"""Image references: the distribution project's own examples, and what hypothesis makes of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api import imagereferences
from api.imagereferences import InvalidReference

DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("busybox", "docker.io/library/busybox:latest"),
        ("busybox:1.36", "docker.io/library/busybox:1.36"),
        ("a/b", "docker.io/a/b:latest"),
        ("localhost/b", "localhost/b:latest"),
        ("registry.test/b", "registry.test/b:latest"),
        ("registry:5000/b:c", "registry:5000/b:c"),
        ("Upper/b", "Upper/b:latest"),
        (f"a@{DIGEST}", f"docker.io/library/a@{DIGEST}"),
        (f"a:1@{DIGEST}", f"docker.io/library/a:1@{DIGEST}"),
        ("index.docker.io/a", "docker.io/library/a:latest"),
        ("a__b/c---d/e.f", "docker.io/a__b/c---d/e.f:latest"),
        ("[2001:db8::1]:5000/a", "[2001:db8::1]:5000/a:latest"),
    ],
)
def test_full_names(text: str, full: str) -> None:
    assert str(imagereferences.parse(text)) == full
    assert str(imagereferences.parse(full)) == full


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "invalid reference format"),
        (":tag", "invalid reference format"),
        ("a:", "invalid reference format"),
        ("a b", "invalid reference format"),
        ("a//b", "invalid reference format"),
        ("a/b_", "invalid reference format"),
        ("a@sha256:short", "invalid reference format"),
        ("a:" + "t" * 129, "invalid reference format"),
        (
            "BusyBox",
            "invalid reference format: repository name (library/BusyBox) must be lowercase",
        ),
        (
            "f" * 64,
            f"invalid repository name ({'f' * 64}), cannot specify 64-byte hexadecimal strings",
        ),
        ("a" * 256, "repository name must not be more than 255 characters"),
    ],
)
def test_what_is_no_reference(text: str, message: str) -> None:
    with pytest.raises(InvalidReference) as caught:
        imagereferences.parse(text)
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("text", "tagged"),
    [("a", "a:latest"), ("a:1", "a:1"), (f"a@{DIGEST}", f"a@{DIGEST}"), ("h:5/a", "h:5/a:latest")],
)
def test_with_tag(text: str, tagged: str) -> None:
    assert imagereferences.with_tag(text) == tagged


@given(st.text(alphabet="aB0.:/@_-[]", max_size=30))
def test_a_full_name_is_its_own_full_name(text: str) -> None:
    try:
        full = str(imagereferences.parse(text))
    except InvalidReference:
        return
    assert str(imagereferences.parse(full)) == full
