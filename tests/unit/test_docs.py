"""The docs tell the truth where that can be checked: paths, links, commands, generated pages.

`python -m tests.unit.test_docs` writes the generated ones anew.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from base import settings

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
PAGES = sorted([README, ROOT / "bench" / "README.md", *DOCS.rglob("*.md")])
SETTINGS = DOCS / "settings.md"
REGENERATE = "bring it up to date: .venv/bin/python -m tests.unit.test_docs"

CODE = re.compile(r"`([^`\n]+)`")
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
TOP = {path.name for path in ROOT.iterdir()}


# -- what is generated ---------------------------------------------------------------------------


def settings_page() -> str:
    lines = [
        "# Settings",
        "",
        "Generated from `control/settings.py` and `agent/settings/table.py`; a test keeps it equal.",
        "",
        "A flag wins over the environment, the environment over the TOML file (`--config FILE`, one",
        '`name = "value"` per line), the file over the default. Durations are numbers with units, such as',
        "`90s` or `1h30m`; a setting that may be given several times is a list in the file.",
    ]
    for name in ("control", "agent"):
        module = importlib.import_module(f"{name}.settings")
        lines += [
            "",
            f"## podwright {name}",
            "",
            f"{module.DESCRIPTION} File: `{module.DEFAULT_CONFIG}`, if it exists.",
            "",
            settings.reference(module.SETTINGS, prefix=module.PREFIX).rstrip("\n"),
        ]
    return "\n".join(lines) + "\n"


def test_settings_page_is_up_to_date() -> None:
    assert SETTINGS.read_text() == settings_page(), REGENERATE


# -- what is written by hand ---------------------------------------------------------------------


def paths_named(page: Path) -> Iterator[str]:
    """Every code span of a page that looks like a path of this repository, also within fences."""
    text = page.read_text()
    candidates = CODE.findall(FENCE.sub("", text))
    for block in FENCE.findall(text):
        candidates += [word.strip("(),;") for word in block.split()]
    for candidate in candidates:
        first = candidate.split()[0].removeprefix("./")
        top, _, rest = first.partition("/")
        placeholder = any(part.isupper() for part in first.split(".")[0].split("/"))
        if rest and top in TOP and re.fullmatch(r"[\w./-]+", first) and not placeholder:
            yield first


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_named_files_exist(page: Path) -> None:
    missing = sorted({path for path in paths_named(page) if not (ROOT / path).exists()})
    assert not missing, f"{page.relative_to(ROOT)} names files that do not exist"


def test_named_tests_exist() -> None:
    """The page of what holds under which fault is as good as the tests it names."""
    named = TEST.findall((DOCS / "reliability.md").read_text())
    assert len(named) > 30
    for path, name in named:
        assert re.search(rf"^(async )?def {name}\(", (ROOT / path).read_text(), re.MULTILINE), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for link in LINK.findall(FENCE.sub("", page.read_text())):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert not broken, f"{page.relative_to(ROOT)} has links that lead nowhere"


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as code hosts make them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_readme_gives_the_two_commands_of_a_fresh_machine() -> None:
    """The first block of commands is all that a fresh machine needs, and no more."""
    first = FENCE.findall(README.read_text())[0]
    commands = [line.split("#")[0].strip() for line in first.splitlines()[1:-1]]
    assert commands == ["./podwright up examples/hello.yaml", "./podwright test"]


def test_every_page_of_the_docs_can_be_found() -> None:
    """Each page is linked from another one, beginning with the README."""
    linked = {
        (page.parent / link.partition("#")[0]).resolve()
        for page in PAGES
        for link in LINK.findall(page.read_text())
        if not re.match(r"[a-z]+:", link)
    }
    assert [page for page in PAGES if page != README and page.resolve() not in linked] == []


if __name__ == "__main__":
    SETTINGS.write_text(settings_page())
