"""One small file written again and again, to be run under ``iolog.so``: durably, or as most scripts do.

usage: small_files.py FOLDER SCRATCH TIMES durably|plainly. What has been acknowledged stands in FOLDER/ACKNOWLEDGED.
"""

from __future__ import annotations

import os
import struct
import sys
from pathlib import Path

from drivers.durable import write_durably

PADDING = "." * 6000


def plainly(path: Path, text: str) -> None:
    """Whole for who reads it, and nothing for who cuts the power."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)


def main(folder: Path, times: int, write: str) -> None:
    acknowledged = os.open(folder / "ACKNOWLEDGED", os.O_CREAT | os.O_WRONLY)
    for n in range(1, times + 1):
        {"durably": write_durably, "plainly": plainly}[write](folder / "state" / "told.json", f"{n}{PADDING}{n}")
        os.pwrite(acknowledged, struct.pack("<q", n), 0)
    os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[3]), sys.argv[4])
