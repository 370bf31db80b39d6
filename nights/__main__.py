"""Live through fault nights and say what does not hold.

``python -m nights SEED …``   these nights; ``--killed``: their host is killed and what outlives it goes on
``python -m nights --soak N`` seeds 1 to N that are not done yet (``--done FILE`` remembers which are)
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from nights.seeds import complaints, night, soak

DONE = Path("build/nights")


def main(arguments: list[str]) -> int:
    """Returns 1 when something does not hold."""
    parser = argparse.ArgumentParser(prog="python -m nights", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seeds", nargs="*", type=int)
    parser.add_argument("--killed", action="store_true")
    parser.add_argument("--soak", type=int, metavar="N")
    parser.add_argument("--keep", type=Path, metavar="FOLDER")
    parser.add_argument("--done", type=Path, metavar="FILE")
    given = parser.parse_args(arguments)
    if given.soak is not None:
        done = given.done or DONE / ("killed.txt" if given.killed else "done.txt")
        return min(1, soak(range(1, given.soak + 1), done, _say, killed=given.killed))
    return max((_one(seed, given.keep, killed=given.killed) for seed in given.seeds), default=0)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _one(seed: int, keep: Path | None, *, killed: bool) -> int:
    with tempfile.TemporaryDirectory() as scratch:
        found = complaints(seed, (keep or Path(scratch)) / f"night-{seed}", killed=killed)
    lived = night(seed, killed=killed)
    death = f"; killed at {lived.killed_s:.1f} s for {lived.away_s:.1f} s" if lived.killed_s is not None else ""
    _say(f"night {seed}: {', '.join(lived.faults) or 'no faults'}{death}")
    for text in found or ["everything holds"]:
        _say(f"  {text}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
