"""Writes the golden journal of this journal version anew, and the digest of its run.h5.

``.venv/bin/python tests/golden/journals/regenerate.py`` rewrites only the digest; ``--journal`` writes the journal too. The
digest changes with the layout (then raise ``format_version`` or say why not); the journal of a version is never rewritten
once it was released: readers accept it for ever.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "support"))

from artificial_night import Night

HERE = Path(__file__).parent
JOURNAL = HERE / "v1.sqlite"
DIGEST = HERE / "v1.digest"


def write_journal() -> None:
    JOURNAL.unlink(missing_ok=True)
    asyncio.run(Night(samples=60, fids=2, points=32, per_block=5).write(JOURNAL))
    (HERE / f".{JOURNAL.name}.lock").unlink()


def projected_digest(folder: Path) -> str:
    from orchestrator.recorder.recover import recover

    shutil.copy(JOURNAL, folder / "journal.sqlite")
    finding = recover(folder)
    assert finding.ok, finding.lines
    return finding.digest


if __name__ == "__main__":
    if "--journal" in sys.argv:
        write_journal()
    with tempfile.TemporaryDirectory() as made:
        DIGEST.write_text(projected_digest(Path(made)) + "\n")
