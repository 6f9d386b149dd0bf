"""The links of a page that comes through `proxy`, turned to lead back through it. Pure.

After step 5 of a pod's walk, for whoever looks at a pod's pages: `<a href="/next">` means the pod, but
would lead to the API server itself. The attributes are those that HTML has for URLs
(https://html.spec.whatwg.org/multipage/indices.html#attributes-3). What scripts and style sheets put
together themselves stays as it is, as in Kubernetes.

A page is rewritten piece by piece. At most `LONGEST_TAG` bytes wait for the end of a tag; a longer
one passes unchanged, as does whatever is no HTML, so no page costs more than its length.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator, Mapping

LONGEST_TAG = 16 * 1024
_MOST_AT_A_TIME = 256 * 1024

_HREF, _SRC, _CITE = frozenset({"href"}), frozenset({"src"}), frozenset({"cite"})
_ATTRIBUTES: Mapping[str, frozenset[str]] = {
    "a": _HREF,
    "applet": frozenset({"codebase"}),
    "area": _HREF,
    "audio": _SRC,
    "base": _HREF,
    "blockquote": _CITE,
    "body": frozenset({"background"}),
    "button": frozenset({"formaction"}),
    "del": _CITE,
    "embed": _SRC,
    "form": frozenset({"action"}),
    "frame": frozenset({"longdesc", "src"}),
    "head": frozenset({"profile"}),
    "html": frozenset({"manifest"}),
    "iframe": frozenset({"longdesc", "src"}),
    "img": frozenset({"longdesc", "src", "usemap"}),
    "input": frozenset({"src", "usemap", "formaction"}),
    "ins": _CITE,
    "link": _HREF,
    "object": frozenset({"classid", "codebase", "data", "usemap"}),
    "q": _CITE,
    "script": _SRC,
    "source": _SRC,
    "video": frozenset({"poster", "src"}),
}
_TEXT_ONLY = frozenset(
    {"iframe", "noembed", "noframes", "script", "style", "textarea", "title", "xmp"}
)
"""Elements in which `<` begins no tag but their own end."""

_VALUE = rb"""(?:"[^"]*+"|'[^']*+'|(?!["'])[^\s>]*+)"""
_TAG = re.compile(rb"<([a-zA-Z][^\s/>]*+)(?:[^>=]++|=\s*+" + _VALUE + rb")*+>")
_ATTRIBUTE = re.compile(rb"""([^\s"'>/=]++)(\s*+=\s*+)(""" + _VALUE + rb")")


class Links:
    """Rewrites one page; `turn` says what a URL becomes."""

    def __init__(self, turn: Callable[[str], str]) -> None:
        self._turn = turn
        self._held = b""
        self._inside = ""

    def feed(self, piece: bytes) -> bytes:
        """What of the page can be sent, now that this piece is known, too."""
        page, self._held = self._held + piece, b""
        done: list[bytes] = []
        position = 0
        while position < len(page):
            end = self._next(page, position, done)
            if end is None:
                if len(page) - position <= LONGEST_TAG:
                    self._held = page[position:]
                else:
                    done.append(page[position:])
                break
            position = end
        return b"".join(done)

    def close(self) -> bytes:
        """What waited for an end that did not come."""
        held, self._held = self._held, b""
        return held

    def _next(self, page: bytes, position: int, done: list[bytes]) -> int | None:
        """Put the next stretch of the page into `done` and say where it ends; None: not known yet."""
        start = page.find(b"<", position)
        if start != position:
            start = len(page) if start < 0 else start
            done.append(page[position:start])
            return start
        if self._inside:
            return self._text(page, start, done)
        if page.startswith(b"<!--", start):
            end = page.find(b"-->", start)
            return None if end < 0 else _copy(page, start, end + 3, done)
        follows = page[start + 1 : start + 2]
        if follows and not follows.isalpha():
            whole = len(page) - start >= len(b"<!--") or not b"<!--".startswith(page[start:])
            return _copy(page, start, start + 1, done) if whole else None
        tag = _TAG.match(page, start)
        if tag is None:
            return None
        name = tag[1].decode("latin-1").lower()
        done.append(self._rewritten(tag[0], name))
        self._inside = name if name in _TEXT_ONLY else ""
        return tag.end()

    def _text(self, page: bytes, start: int, done: list[bytes]) -> int | None:
        end = b"</" + self._inside.encode()
        found = page[start : start + len(end)].lower()
        if found == end:
            self._inside = ""
        elif end.startswith(found):
            return None
        return _copy(page, start, start + 1, done)

    def _rewritten(self, tag: bytes, name: str) -> bytes:
        wanted = _ATTRIBUTES.get(name)
        if wanted is None:
            return tag

        def value(found: re.Match[bytes]) -> bytes:
            if found[1].decode("latin-1").lower() not in wanted:
                return found[0]
            text = found[3]
            quote = text[:1] if text[:1] in (b'"', b"'") else b""
            url = text[len(quote) : len(text) - len(quote)].decode("utf-8", "surrogateescape")
            turned = self._turn(url).encode("utf-8", "surrogateescape")
            return found[1] + found[2] + quote + turned + quote

        return _ATTRIBUTE.sub(value, tag)


def _copy(page: bytes, start: int, end: int, done: list[bytes]) -> int:
    done.append(page[start:end])
    return end


READABLE = frozenset({"", "identity", "gzip"})
"""The Content-Encodings that `Readable` knows."""


class Readable:
    """Pieces of an answer as they were before they were compressed."""

    def __init__(self, encoding: str) -> None:
        gzip = 16 + zlib.MAX_WBITS
        self._inflate = zlib.decompressobj(gzip) if encoding == "gzip" else None

    def pieces(self, piece: bytes) -> Iterator[bytes]:
        """However much a few bytes may stand for, little of it is held at a time.

        Raises:
            zlib.error: it is not what the header says.
        """
        if self._inflate is None:
            yield piece
            return
        while piece:
            yield self._inflate.decompress(piece, _MOST_AT_A_TIME)
            piece = self._inflate.unconsumed_tail
