"""Builds the site of the documents: python docs/site.py [FOLDER]. Needs mkdocs (extra [docs]); a broken link fails it.

The sources are staged as they lie in the repository, so that a link from a page to a driver's README or to a rig file holds.
"""  # noqa: INP001

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
PAGES = ("*.md", "CITATION.cff", "LICENSE", "Makefile", "docker-compose.yml", "docs/**/*", "drivers/**/*.md", "configs/**/*")
BUILT = "_build"


def stage(folder: Path) -> list[Path]:
    """Copy pages, and what they link to, into a folder; the copies."""
    found = sorted({path for pattern in PAGES for path in REPOSITORY.glob(pattern) if path.is_file() and BUILT not in path.parts})
    copies = [folder / path.relative_to(REPOSITORY) for path in found]
    for path, copy in zip(found, copies, strict=True):
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    return copies


def make(folder: Path) -> int:
    """Build what is staged below a folder; mkdocs' exit code."""
    config = folder / "mkdocs.yml"
    if folder != REPOSITORY / "docs":
        shutil.copyfile(REPOSITORY / "docs" / "mkdocs.yml", config)
    return subprocess.run([sys.executable, "-m", "mkdocs", "build", "--strict", "-f", str(config)], check=False).returncode


if __name__ == "__main__":
    here = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else REPOSITORY / "docs"
    shutil.rmtree(here / BUILT, ignore_errors=True)
    stage(here / BUILT / "source")
    sys.exit(make(here))
