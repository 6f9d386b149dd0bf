"""Pages through the proxy: what of them is a link, wherever their pieces end, and what is not."""

from __future__ import annotations

import gzip

import pytest
from multidict import CIMultiDict

from control.apiserver.agents import forwarding
from control.apiserver.agents.forwarding import Destination
from control.apiserver.agents.links import LONGEST_TAG, Links, Readable


async def _nowhere() -> forwarding.Streams:
    raise AssertionError("not dialled")


HERE = Destination("http", "10.1.2.3:8080", _nowhere)
PREFIX = "/proxy"


def rewritten(page: str, size: int = 10**9) -> str:
    links = Links(lambda url: forwarding.link(url, HERE, PREFIX))
    data = page.encode()
    pieces = [links.feed(data[start : start + size]) for start in range(0, len(data), size)]
    return (b"".join(pieces) + links.close()).decode()


@pytest.mark.parametrize("size", [1, 3, 7, 10**9])
@pytest.mark.parametrize(
    ("page", "seen"),
    [
        ('<a href="/rewriteme">test</a>', '<a href="/proxy/rewriteme">test</a>'),
        ("<A class=x HREF = '/a?b=c&amp;d#e'>", "<A class=x HREF = '/proxy/a?b=c&amp;d#e'>"),
        ("<img src=/a.png alt=/b>", "<img src=/proxy/a.png alt=/b>"),
        ('<form action="http://10.1.2.3:8080/x">', '<form action="/proxy/x">'),
        ('<video src="/a" poster="/b"/>', '<video src="/proxy/a" poster="/proxy/b"/>'),
        ('<link title=">" href="/\u00fc.css">', '<link title=">" href="/proxy/\u00fc.css">'),
        (
            '<script src="/a.js">if (a<b) "<a href=\\"/x\\">"</script><a href="/b">',
            '<script src="/proxy/a.js">if (a<b) "<a href=\\"/x\\">"</script><a href="/proxy/b">',
        ),
        ('<!doctype html><!-- <a href="/x"> --><a href="/y">', None),
    ],
)
def test_links_of_a_page(page: str, seen: str | None, size: int) -> None:
    if seen is None:
        seen = page.replace('"/y"', '"/proxy/y"')
    assert rewritten(page, size) == seen


@pytest.mark.parametrize(
    "page",
    [
        '<a href="next">',
        '<a href="#top">',
        '<a href="">',
        '<a href="//elsewhere.example/x">',
        '<a href="https://elsewhere.example/x">',
        '<a href="http://[">',
        '<a href="javascript:go()">',
        '<a href="/proxy/there">',
        '<p data-href="/x" href="/x">',
        '1 < 2 <a href="/x"',
        "<!-",
        '<title><a href="/x"></title',
    ],
)
def test_what_stays(page: str) -> None:
    assert rewritten(page) == rewritten(page, 1) == page


def test_a_tag_without_an_end_holds_nobody_up() -> None:
    links = Links(lambda url: url)
    assert links.feed(b"<a x") == b""
    assert links.feed(b"<a x " * LONGEST_TAG) == b"<a x" + b"<a x " * LONGEST_TAG
    assert links.feed(b"text") == b"text"


def test_compressed_pages_are_read_in_small_pieces() -> None:
    page = b"<p>" * 10**6
    found = list(Readable("gzip").pieces(gzip.compress(page)))
    assert b"".join(found) == page
    assert max(map(len, found)) < len(page) / 4


def test_which_answers_are_pages() -> None:
    html = {"Content-Type": "Text/HTML; charset=utf-8"}
    assert forwarding.has_links(200, CIMultiDict(html))
    assert forwarding.has_links(404, CIMultiDict(html, **{"Content-Encoding": "gzip"}))
    assert not forwarding.has_links(206, CIMultiDict(html))
    assert not forwarding.has_links(200, CIMultiDict(html, **{"Content-Encoding": "br"}))
    assert not forwarding.has_links(200, CIMultiDict({"Content-Type": "text/plain"}))
