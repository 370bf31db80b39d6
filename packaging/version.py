# ruff: noqa: INP001  a script, in no package: a package of this name would hide the library `packaging`
"""Which version is built: the tag of this commit; without git or tags the one that was released last, by CITATION.cff.

hatchling asks this file and nobody else does: an installed program knows its version from its own metadata.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
DESCRIBED = re.compile(r"v(?P<tag>\d[^-]*)-(?P<commits>\d+)-(?P<commit>g[0-9a-f]+)")


def version(folder: Path = HERE) -> str:
    """``0.2.0`` on its tag, ``0.2.0.post3+gabc1234`` three commits later; of an unpacked source archive what it says itself."""
    return _of_archive(folder) or _of_tag(folder) or _of_citation(folder)


def _of_archive(folder: Path) -> str:
    try:
        found = re.search(r"^Version: (\S+)$", (folder / "PKG-INFO").read_text("utf-8"), re.MULTILINE)
    except OSError:
        return ""
    return found[1] if found else ""


def _of_tag(folder: Path) -> str:
    """Only of a repository whose top is this folder: a source archive may lie unpacked inside somebody else's."""
    top = _said(folder, "rev-parse", "--show-toplevel")
    found = DESCRIBED.fullmatch(_said(folder, "describe", "--tags", "--long", "--match", "v[0-9]*"))
    if not top or Path(top).resolve() != folder.resolve() or found is None:
        return ""
    return found["tag"] if found["commits"] == "0" else f"{found['tag']}.post{found['commits']}+{found['commit']}"


def _said(folder: Path, *words: str) -> str:
    try:
        done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _of_citation(folder: Path) -> str:
    found = re.search(r"^version: (\S+)$", (folder / "CITATION.cff").read_text("utf-8"), re.MULTILINE)
    if found is None:
        raise ValueError("CITATION.cff names no version")
    return found[1]
