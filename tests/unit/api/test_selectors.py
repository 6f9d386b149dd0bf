"""Label and field selectors: grammar, messages, matching."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.meta import LabelSelector, LabelSelectorRequirement
from api.selectors import (
    EVERYTHING,
    NOTHING,
    FieldTerm,
    from_label_selector,
    from_labels,
    parse_field_selector,
    parse_label_selector,
)

WEB = {"app": "web", "tier": "front", "size": "10"}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True),
        ("  ", True),
        ("app", True),
        ("!app", False),
        ("! canary", True),
        ("app=web", True),
        ("app==web", True),
        ("app = web , tier=front", True),
        ("app!=web", False),
        ("missing!=web", True),
        ("app in (web,api)", True),
        ("app in (api)", False),
        ("app notin (api)", True),
        ("missing notin (api)", True),
        ("missing in (,)", False),
        ("app in ()", None),
        ("size>9", True),
        ("size > 10", False),
        ("size<11", True),
        ("app>1", False),
        ("missing<1", False),
        ("app=", False),
        ("in in (in)", False),
        ("app=web,!canary,tier in (front, back)", True),
        ("a.b/c=d", False),
    ],
)
def test_labels(text: str, matches: bool | None) -> None:
    if matches is None:
        with pytest.raises(ValueError):
            parse_label_selector(text)
        return
    selector = parse_label_selector(text)
    assert selector.matches(WEB) is matches
    assert parse_label_selector(str(selector)) == selector


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("=web", "found '=', expected: !, identifier, or 'end of string'"),
        ("app=web,", "found '', expected: identifier after ','"),
        ("app=web tier", "found 'tier', expected: ',' or 'end of string'"),
        ("app is web", "found 'is', expected: in, notin, =, ==, !=, gt, lt"),
        ("app in web", "found 'web' expected: '('"),
        ("app in (web", "found '', expected: ',' or ')'"),
        ("app in (=", "found '=', expected: ',', or identifier"),
        ("app==(", "found '(', expected: identifier"),
        ("!", "found '', expected: identifier"),
        ("app in ()", "for 'in', 'notin' operators, values set can't be empty"),
        ("size>big", "for 'Gt', 'Lt' operators, the value must be an integer"),
        ("-bad=x", '<nil>: Invalid value: "-bad": name part must consist of'),
        ("app=_x", 'values[0][app]: Invalid value: "_x": a valid label must be'),
        ("a/b/c", "a valid label key must consist of"),
    ],
)
def test_labels_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_label_selector(text)
    assert message in str(caught.value)


def test_label_selector_objects() -> None:
    assert from_label_selector(None) is NOTHING
    assert from_label_selector(LabelSelector()) == EVERYTHING
    assert from_label_selector(LabelSelector()).empty
    selector = from_label_selector(
        LabelSelector(
            match_labels={"app": "web"},
            match_expressions=[
                LabelSelectorRequirement(key="tier", operator="In", values=["front", "back"]),
                LabelSelectorRequirement(key="canary", operator="DoesNotExist"),
                LabelSelectorRequirement(key="size", operator="Exists"),
                LabelSelectorRequirement(key="zone", operator="NotIn", values=["a"]),
            ],
        )
    )
    assert selector.matches(WEB)
    assert not selector.matches({**WEB, "canary": "yes"})
    assert str(selector) == "app=web,!canary,size,tier in (back,front),zone notin (a)"
    with pytest.raises(ValueError, match='"Near" is not a valid label selector operator'):
        from_label_selector(
            LabelSelector(match_expressions=[LabelSelectorRequirement(key="a", operator="Near")])
        )


def test_map_selector() -> None:
    assert str(from_labels({"b": "2", "a": "1"})) == "a=1,b=2"
    assert not NOTHING.matches({})


@given(st.text(alphabet="ab=!(),<> inotx-/.1", max_size=24))
def test_label_selectors_never_crash(text: str) -> None:
    try:
        selector = parse_label_selector(text)
    except ValueError:
        return
    assert str(parse_label_selector(str(selector))) == str(selector)


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("", ()),
        (",", ()),
        ("spec.nodeName=n1", (FieldTerm("spec.nodeName", "n1"),)),
        ("a==b,c!=d", (FieldTerm("a", "b"), FieldTerm("c", "d", False))),
        (r"a=b\,c\=d\\e", (FieldTerm("a", r"b,c=d\e"),)),
        ("a=", (FieldTerm("a", ""),)),
    ],
)
def test_fields(text: str, terms: tuple[FieldTerm, ...]) -> None:
    selector = parse_field_selector(text)
    assert selector.terms == terms
    assert parse_field_selector(str(selector)) == selector


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a", "invalid selector: 'a'; can't understand 'a'"),
        ("a=b=c", "unescaped character in value: ="),
        ("a=b\\x", "invalid escape sequence: \\x"),
        ("a=b\\", "invalid escape sequence: \\"),
    ],
)
def test_fields_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_field_selector(text)
    assert message in str(caught.value)


def test_fields_match() -> None:
    selector = parse_field_selector("spec.nodeName=n1,status.phase!=Failed")
    assert selector.matches({"spec.nodeName": "n1", "status.phase": "Running"})
    assert selector.matches({"spec.nodeName": "n1"})
    assert not selector.matches({"spec.nodeName": "n2"})
    assert selector.required("spec.nodeName") == "n1"
    assert selector.required("status.phase") is None


@given(st.text(alphabet="ab=!\\,", max_size=16))
def test_field_selectors_never_crash(text: str) -> None:
    try:
        selector = parse_field_selector(text)
    except ValueError:
        return
    assert parse_field_selector(str(selector)) == selector


def test_many_values_are_found_as_few_are() -> None:
    names = [f"v{number}" for number in range(2000)]
    chosen = parse_label_selector(f"a in ({','.join(names)})")
    assert all(chosen.matches({"a": name}) for name in names)
    assert not any(chosen.matches({"a": name}) for name in ("", "v", "v2000", "w"))
    assert not chosen.matches({})
    others = parse_label_selector(f"a notin ({','.join(names)})")
    assert others.matches({}) and others.matches({"a": "w"}) and not others.matches({"a": "v7"})


def test_a_selector_of_thousands_of_requirements_is_refused() -> None:
    parse_label_selector(",".join(f"!k{number}" for number in range(1000)))
    with pytest.raises(ValueError, match="has 1001 requirements, at most 1000 are read"):
        parse_label_selector(",".join(f"!k{number}" for number in range(1001)))
