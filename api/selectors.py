"""Selectors: `app=web,tier in (a,b),!canary` over labels, `spec.nodeName=n1` over fields.

Serves step 1 of the pod's walk (lists and watches), the controllers that own pods, and Services.
Both come as text in a query and, for labels, as a LabelSelector inside objects; both become a
`Selector`, a value that is parsed once and asked often.

The grammar and the messages are those of Kubernetes' `labels` and `fields` packages.
Pure; no state.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from api import validation
from api.meta import LabelSelector


class Operator(StrEnum):
    """What a requirement asks of a label."""

    IN = "in"
    NOT_IN = "notin"
    EXISTS = "exists"
    DOES_NOT_EXIST = "!"
    EQUALS = "="
    NOT_EQUALS = "!="
    GREATER_THAN = "gt"
    LESS_THAN = "lt"


_FEW = 16
MAX_REQUIREMENTS = 1000
"""Of one label selector. Each object is compared with all of them."""

_BINARY_OPERATORS = "in, notin, =, ==, !=, gt, lt"


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on one label; `values` are sorted and distinct."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether an object with these labels meets the condition."""
        value = labels.get(self.key)
        if self.operator is Operator.EQUALS:
            return value is not None and self._lists(value)
        match self.operator:
            case Operator.IN:
                return value is not None and self._lists(value)
            case Operator.NOT_IN | Operator.NOT_EQUALS:
                return value is None or not self._lists(value)
            case Operator.EXISTS:
                return value is not None
            case Operator.DOES_NOT_EXIST:
                return value is None
            case _:
                return self._compares(value)

    def _lists(self, value: str) -> bool:
        """Whether it is one of the values, which may be thousands."""
        values = self.values
        if len(values) < _FEW:
            return value in values
        position = bisect_left(values, value)
        return position < len(values) and values[position] == value

    def _compares(self, value: str | None) -> bool:
        number = _integer(value) if value is not None else None
        bound = _integer(self.values[0])
        if number is None or bound is None:
            return False
        return number > bound if self.operator is Operator.GREATER_THAN else number < bound

    def __str__(self) -> str:
        match self.operator:
            case Operator.EXISTS:
                return self.key
            case Operator.DOES_NOT_EXIST:
                return f"!{self.key}"
            case Operator.IN | Operator.NOT_IN:
                # The empty value alone is written `(,)`: `()` would be no value at all.
                return f"{self.key} {self.operator} ({','.join(self.values) or ','})"
            case Operator.GREATER_THAN:
                return f"{self.key}>{self.values[0]}"
            case Operator.LESS_THAN:
                return f"{self.key}<{self.values[0]}"
            case _:
                return f"{self.key}{self.operator}{self.values[0]}"


@dataclass(frozen=True, slots=True)
class Selector:
    """All of its requirements must hold; without any it matches everything."""

    requirements: tuple[Requirement, ...] = ()
    nothing: bool = False

    @property
    def empty(self) -> bool:
        """True when it matches everything."""
        return not self.requirements and not self.nothing

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether an object with these labels is selected."""
        if self.nothing:
            return False
        for item in self.requirements:  # noqa: SIM110 (asked of thousands: a generator costs more)
            if not item.matches(labels):
                return False
        return True

    def __str__(self) -> str:
        return ",".join(map(str, self.requirements))


EVERYTHING = Selector()
NOTHING = Selector(nothing=True)


def parse_label_selector(text: str) -> Selector:
    """Read a label selector as clients write it in `labelSelector=`.

    Raises:
        ValueError: with Kubernetes' message.
    """
    selector = _Parser(text).parse()
    if len(selector.requirements) > MAX_REQUIREMENTS:
        raise ValueError(
            f"the selector has {len(selector.requirements)} requirements, "
            f"at most {MAX_REQUIREMENTS} are read"
        )
    return selector


def from_labels(labels: Mapping[str, str]) -> Selector:
    """The selector of a map (Service.spec.selector): each label must have its value."""
    return Selector(
        tuple(Requirement(key, Operator.EQUALS, (labels[key],)) for key in sorted(labels))
    )


def from_label_selector(selector: LabelSelector | None) -> Selector:
    """The selector of a LabelSelector: None selects nothing, an empty one everything.

    Raises:
        ValueError: an operator or a value that validation should have refused.
    """
    if selector is None:
        return NOTHING
    requirements = [
        Requirement(key, Operator.EQUALS, (value,)) for key, value in selector.match_labels.items()
    ]
    for expression in selector.match_expressions:
        operator = _EXPRESSION_OPERATORS.get(expression.operator)
        if operator is None:
            raise ValueError(f'"{expression.operator}" is not a valid label selector operator')
        requirements.append(_requirement(expression.key, operator, expression.values))
    return Selector(tuple(sorted(requirements, key=lambda item: item.key)))


_EXPRESSION_OPERATORS = {
    "In": Operator.IN,
    "NotIn": Operator.NOT_IN,
    "Exists": Operator.EXISTS,
    "DoesNotExist": Operator.DOES_NOT_EXIST,
}


def _requirement(key: str, operator: Operator, values: Iterable[str]) -> Requirement:
    """A checked requirement."""
    if errors := validation.qualified_name(key):
        raise ValueError(f'key: Invalid value: "{key}": {"; ".join(errors)}')
    distinct = tuple(sorted(set(values)))
    shown = "[" + ", ".join(f'"{value}"' for value in distinct) + "]"
    match operator:
        case Operator.IN | Operator.NOT_IN:
            if not distinct:
                why = "for 'in', 'notin' operators, values set can't be empty"
                raise ValueError(f"values: Invalid value: {shown}: {why}")
        case Operator.EXISTS | Operator.DOES_NOT_EXIST:
            if distinct:
                why = "values set must be empty for exists and does not exist"
                raise ValueError(f"values: Invalid value: {shown}: {why}")
        case Operator.GREATER_THAN | Operator.LESS_THAN:
            if _integer(distinct[0]) is None:
                why = "for 'Gt', 'Lt' operators, the value must be an integer"
                raise ValueError(f'values[0]: Invalid value: "{distinct[0]}": {why}')
    for position, value in enumerate(distinct):
        if errors := validation.label_value(value):
            why = "; ".join(errors)
            raise ValueError(f'values[{position}][{key}]: Invalid value: "{value}": {why}')
    return Requirement(key, operator, distinct)


def _integer(text: str) -> int | None:
    """As Go's ParseInt in base 10, 64 bits."""
    if not re.fullmatch(r"[+-]?[0-9]{1,19}", text, re.ASCII):
        return None
    number = int(text)
    return number if -(2**63) <= number < 2**63 else None


_TOKEN = re.compile(r"[ \t\r\n]*(==|!=|[=!(),<>]|[^=!(),<> \t\r\n]+)")
_SYMBOLS = frozenset(("==", "!=", "=", "!", "(", ")", ",", "<", ">"))
_OPERATOR_TOKENS = {
    "in": Operator.IN,
    "notin": Operator.NOT_IN,
    "=": Operator.EQUALS,
    "==": Operator.EQUALS,
    "!=": Operator.NOT_EQUALS,
    ">": Operator.GREATER_THAN,
    "<": Operator.LESS_THAN,
}


@dataclass(slots=True)
class _Parser:
    """Recursive descent over the tokens; the empty token is the end of the text."""

    text: str
    tokens: list[str] = field(default_factory=list)
    position: int = 0

    def parse(self) -> Selector:
        self.tokens = _TOKEN.findall(self.text)
        requirements: list[Requirement] = []
        while (token := self.peek()) != "":
            if token in _SYMBOLS and token != "!":
                raise ValueError(f"found '{token}', expected: !, identifier, or 'end of string'")
            try:
                requirements.append(self.requirement())
            except ValueError as error:
                raise ValueError(f"unable to parse requirement: {error}") from None
            token = self.take()
            if token == "":
                break
            if token != ",":
                raise ValueError(f"found '{token}', expected: ',' or 'end of string'")
            following = self.peek()
            if following == "" or (following in _SYMBOLS and following != "!"):
                raise ValueError(f"found '{following}', expected: identifier after ','")
        return Selector(tuple(sorted(requirements, key=lambda item: item.key)))

    def requirement(self) -> Requirement:
        absent = self.peek() == "!"
        if absent:
            self.take()
        key = self.take()
        if key == "" or key in _SYMBOLS:
            raise ValueError(f"found '{key}', expected: identifier")
        if errors := validation.qualified_name(key):
            raise ValueError(f'<nil>: Invalid value: "{key}": {"; ".join(errors)}')
        if absent or self.peek() in ("", ","):
            return _requirement(key, Operator.DOES_NOT_EXIST if absent else Operator.EXISTS, ())
        token = self.take()
        operator = _OPERATOR_TOKENS.get(token)
        if operator is None:
            raise ValueError(f"found '{token}', expected: {_BINARY_OPERATORS}")
        if operator in (Operator.IN, Operator.NOT_IN):
            return _requirement(key, operator, self.values())
        return _requirement(key, operator, [self.exact_value()])

    def values(self) -> list[str]:
        token = self.take()
        if token != "(":
            raise ValueError(f"found '{token}' expected: '('")
        if self.peek() == ")":
            self.take()
            return []
        found: list[str] = []
        expecting = True  # a value may stand here; an empty one is written as nothing
        while (token := self.take()) != ")":
            if token == ",":
                if expecting:
                    found.append("")
                expecting = True
            elif token == "" or token in _SYMBOLS:
                wanted = "',', or identifier" if expecting else "',' or ')'"
                raise ValueError(f"found '{token}', expected: {wanted}")
            elif expecting:
                found.append(token)
                expecting = False
            else:
                raise ValueError(f"found '{token}', expected: ',' or ')'")
        if expecting:
            found.append("")
        return found

    def exact_value(self) -> str:
        if self.peek() in ("", ","):
            return ""
        token = self.take()
        if token in _SYMBOLS:
            raise ValueError(f"found '{token}', expected: identifier")
        return token

    def peek(self) -> str:
        return self.tokens[self.position] if self.position < len(self.tokens) else ""

    def take(self) -> str:
        token = self.peek()
        self.position += 1
        return token


@dataclass(frozen=True, slots=True)
class FieldTerm:
    """One condition on one field: `path` equals, or does not equal, `value`."""

    path: str
    value: str
    equal: bool = True

    def __str__(self) -> str:
        escaped = re.sub(r"([\\,=])", r"\\\1", self.value)
        return f"{self.path}{'=' if self.equal else '!='}{escaped}"


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """All of its terms must hold. Which paths a kind offers, its strategy says."""

    terms: tuple[FieldTerm, ...] = ()

    @property
    def empty(self) -> bool:
        """True when it matches everything."""
        return not self.terms

    @property
    def paths(self) -> tuple[str, ...]:
        """The fields it asks for."""
        return tuple(term.path for term in self.terms)

    def required(self, path: str) -> str | None:
        """The value that `path` must have, if the selector demands one (`metadata.name=x`)."""
        for term in self.terms:
            if term.path == path and term.equal:
                return term.value
        return None

    def matches(self, fields: Mapping[str, str]) -> bool:
        """Whether an object with these fields is selected; a missing field is empty."""
        return all((fields.get(term.path, "") == term.value) is term.equal for term in self.terms)

    def __str__(self) -> str:
        return ",".join(map(str, self.terms))


EVERY_FIELD = FieldSelector()

# A comma splits terms unless a backslash stands before it.
_FIELD_TERM = re.compile(r"(?:\\.|[^\\,])*\\?", re.DOTALL)


def parse_field_selector(text: str) -> FieldSelector:
    """Read a field selector as clients write it in `fieldSelector=`.

    Raises:
        ValueError: with Kubernetes' message.
    """
    terms: list[FieldTerm] = []
    for part in _split_terms(text):
        if not part:
            continue
        path, operator, value = _split_term(part)
        if not operator:
            raise ValueError(f"invalid selector: '{text}'; can't understand '{part}'")
        terms.append(FieldTerm(path, _unescape(value), operator != "!="))
    return FieldSelector(tuple(terms))


def _split_terms(text: str) -> list[str]:
    parts: list[str] = []
    position = 0
    while position <= len(text):
        found = _FIELD_TERM.match(text, position)
        assert found is not None  # the pattern matches the empty string
        parts.append(found[0])
        position = found.end() + 1
    return parts


def _split_term(part: str) -> tuple[str, str, str]:
    for position in range(len(part)):
        for operator in ("!=", "==", "="):
            if part.startswith(operator, position):
                return part[:position], operator, part[position + len(operator) :]
    return part, "", ""


def _unescape(value: str) -> str:
    if not any(character in value for character in "\\,="):
        return value
    result: list[str] = []
    characters = iter(value)
    for character in characters:
        if character == "\\":
            escaped = next(characters, "")
            if escaped not in ("\\", ",", "="):
                raise ValueError(f"invalid field selector: invalid escape sequence: \\{escaped}")
            result.append(escaped)
        elif character in ",=":
            raise ValueError(f"invalid field selector: unescaped character in value: {character}")
        else:
            result.append(character)
    return "".join(result)
