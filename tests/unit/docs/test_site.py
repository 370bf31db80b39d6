"""The site is built from all pages, and a link that leads nowhere fails it."""

from __future__ import annotations

import runpy
from pathlib import Path

REPOSITORY = Path(__file__).parents[3]


def test_the_site_is_built_and_a_broken_link_fails_it(tmp_path: Path) -> None:
    site = runpy.run_path(str(REPOSITORY / "docs" / "site.py"))
    site["stage"](tmp_path / "_build" / "source")
    assert site["make"](tmp_path) == 0
    pages = {path.relative_to(tmp_path / "_build" / "html").with_suffix(".md") for path in (tmp_path / "_build" / "html").rglob("*.html")}
    documents = {path.relative_to(REPOSITORY) for path in (REPOSITORY / "docs").rglob("*.md") if "_build" not in path.parts}
    assert documents - pages == {Path("docs/how-to/index.md")} - pages
    page = tmp_path / "_build" / "html" / "docs" / "tutorial" / "first-real-rig.html"
    assert "highlight.js" not in page.read_text("utf-8")
    (tmp_path / "_build" / "source" / "docs" / "broken.md").write_text("[nowhere](nowhere.md)\n", "utf-8")
    assert site["make"](tmp_path) != 0
