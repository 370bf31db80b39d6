"""Every link within the documents leads somewhere: to a file of the repository, and to a heading of it where one is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]
FOUND = (*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md"), *REPOSITORY.glob("drivers/**/*.md"))
PAGES = sorted(page for page in FOUND if "_build" not in page.parts)
LINK = re.compile(r"(?<!!)\[(?:[^\]\[]|\[[^\]]*\])*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")


def prose(page: Path) -> str:
    """Without fenced blocks and code."""
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", lambda code: code[0] if "](" not in code[0] else "", text)


def anchors(page: Path) -> set[str]:
    """Of the headings, as the site and code hosts make them."""
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    heads = re.findall(r"^#{1,6} +(.+?) *#*$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", re.sub(r"[`*]|\]\([^)]*\)|\[", "", head)).strip().lower().replace(" ", "-") for head in heads}


@pytest.mark.parametrize(
    "page", [page for page in PAGES if "_build" not in page.parts], ids=lambda page: page.relative_to(REPOSITORY).as_posix()
)
def test_every_link_leads_somewhere(page: Path) -> None:
    for match in LINK.finditer(prose(page)):
        target, _, heading = (match[1] or match[2]).partition("#")
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), f"{page.name}: {match[0]}"
        if heading and file.suffix == ".md":
            assert heading in anchors(file), f"{page.name}: {match[0]}; there is {sorted(anchors(file))}"
