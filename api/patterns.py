"""Regular expressions in Go's notation (RE2), which schemas of custom resources are written in.

Serves step 1 of the pod's walk for custom resources. Python reads nearly the same notation; what
differs is rewritten: classes of POSIX and of Unicode, `\\z`, `\\Q…\\E`, flags in the middle, and `$`,
which in Go does not match before a last newline. Pure.
"""

from __future__ import annotations

import re
from functools import lru_cache

_POSIX = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": r"\x00-\x7F",
    "blank": r"\t ",
    "cntrl": r"\x00-\x1F\x7F",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\t\n\v\f\r ",
    "upper": "A-Z",
    "word": "0-9A-Za-z_",
}
_LETTERS = r"A-Za-zªµºÀ-ÖØ-öø-ʯͰ-ͽͿ-ԯԱ-և֐-׿ؠ-ۿऀ-෿ก-ໟႠ-ჿᄀ-ᇿḀ-ỿἀ-῾぀-ヿ㐀-䶿一-鿿가-힣"
_UNICODE = {
    "L": _LETTERS,
    "Ll": "a-zµß-öø-ÿа-џ",
    "Lu": "A-ZÀ-ÖØ-ÞА-Я",
    "N": "0-9²³¹¼-¾",
    "Nd": "0-9",
    "Latin": "A-Za-zªºÀ-ÖØ-öø-ʸḀ-ỿ",
    "Greek": "Ͱ-Ͽἀ-῿",
    "Cyrillic": "Ѐ-ԯ",
}
_FLAGS = re.compile(r"\(\?([imsU]+)\)")
_BRACE = re.compile(r"\{\d+(,\d*)?\}")
_UNICODE_CLASS = re.compile(r"\\([pP])(?:\{(\^?)(\w+)\}|(\w))")
_POSIX_CLASS = re.compile(r"\[:(\^?)(\w+):\]")


@lru_cache(maxsize=512)
def compile_pattern(text: str) -> re.Pattern[str]:
    """A pattern in Go's notation, ready for `search`.

    Raises:
        ValueError: it is none.
    """
    try:
        return re.compile(_translated(text), re.ASCII)
    except (re.error, OverflowError) as error:
        raise ValueError(f"error parsing regexp: {error}: `{text}`") from None


def _translated(text: str) -> str:
    out: list[str] = []
    position, inside, opened = 0, False, 0
    while position < len(text):
        rest = text[position]
        if rest == "\\":
            piece, width = _escape(text, position, inside)
        elif inside:
            piece, width, inside = _in_class(text, position, opened)
        elif rest == "[":
            width = 2 if text[position + 1 : position + 2] == "^" else 1
            piece, inside, opened = text[position : position + width], True, position + width
        else:
            piece, width = _outside(text, position)
        out.append(piece)
        position += width
    return "".join(out)


def _outside(text: str, position: int) -> tuple[str, int]:
    char = text[position]
    if char == "$":
        return r"\Z", 1
    if flags := _FLAGS.match(text, position):
        # Python has flags for a group only: the rest of the pattern becomes one.
        rest = _translated(text[flags.end() :])
        return f"(?{flags[1].replace('U', '')}:{rest})", len(text) - position
    if text.startswith(("(?=", "(?!", "(?<=", "(?<!", "(?#", "(?("), position):
        raise ValueError("error parsing regexp: invalid or unsupported Perl syntax: `(?`")
    if char == "{" and not _BRACE.match(text, position):
        return r"\{", 1
    return char, 1


def _in_class(text: str, position: int, opened: int) -> tuple[str, int, bool]:
    """What stands in a class; the last value: whether the class goes on."""
    if text[position] == "]" and position > opened:
        return "]", 1, False
    if found := _POSIX_CLASS.match(text, position):
        if found[2] not in _POSIX or found[1]:
            raise ValueError(f"error parsing regexp: invalid character class range: `{found[0]}`")
        return _POSIX[found[2]], len(found[0]), True
    char = text[position]
    return ("\\" + char if char in "[]&~|" else char), 1, True


def _escape(text: str, position: int, inside: bool) -> tuple[str, int]:
    if found := _UNICODE_CLASS.match(text, position):
        name = found[3] or found[4]
        if name not in _UNICODE:
            raise ValueError(f"error parsing regexp: invalid character class range: `{found[0]}`")
        negated = (found[1] == "P") != bool(found[2])
        if inside and not negated:
            return _UNICODE[name], len(found[0])
        return f"[{'^' if negated else ''}{_UNICODE[name]}]", len(found[0])
    follows = text[position + 1 : position + 2]
    if follows == "Q":
        end = text.find(r"\E", position)
        quoted = text[position + 2 : end if end >= 0 else len(text)]
        return re.escape(quoted), len(quoted) + (4 if end >= 0 else 2)
    if follows == "z":
        return r"\Z", 2
    if follows in ("Z", "1", "2", "3", "4", "5", "6", "7", "8", "9", ""):
        raise ValueError(f"error parsing regexp: invalid escape sequence: `\\{follows}`")
    return text[position : position + 2], 2
