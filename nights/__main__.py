"""``python -m nights SEED …`` lives through nights; ``--soak N`` through seeds 1 to N that are not done yet; ``--keep FOLDER``."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
from pathlib import Path

from nights.invariants import broken
from nights.live import live
from nights.schedule import night_of

DONE = Path("build/nights/done.txt")


def complaints(seed: int, folder: Path) -> list[str]:
    """What does not hold after the night of a seed; a night that could not be lived is one complaint."""
    try:
        return broken(live(night_of(seed), folder))
    except Exception:  # noqa: BLE001 whatever it is, the next night is lived
        return [traceback.format_exc()]


def replay(seed: int) -> str:
    """The command that lives through this very night again."""
    return f"python -m nights {seed}"


def main(arguments: list[str]) -> int:
    """Returns 1 when something does not hold."""
    parser = argparse.ArgumentParser(prog="python -m nights", description=__doc__)
    parser.add_argument("seeds", nargs="*", type=int)
    parser.add_argument("--soak", type=int, metavar="N")
    parser.add_argument("--keep", type=Path, metavar="FOLDER")
    parser.add_argument("--done", type=Path, default=DONE, metavar="FILE")
    given = parser.parse_args(arguments)
    if given.soak is not None:
        return soak(range(1, given.soak + 1), given.done)
    return max((_one(seed, given.keep) for seed in given.seeds), default=0)


def _one(seed: int, keep: Path | None) -> int:
    night = night_of(seed)
    with tempfile.TemporaryDirectory() as scratch:
        found = complaints(seed, (keep or Path(scratch)) / f"night-{seed}")
    sys.stdout.write(f"night {seed}: {', '.join(night.faults) or 'no faults'}\n")
    sys.stdout.writelines(f"  {text}\n" for text in found or ["everything holds"])
    return 1 if found else 0


def soak(seeds: range, done: Path) -> int:
    """Each seed that the file does not name yet; those that hold are added to it."""
    done.parent.mkdir(parents=True, exist_ok=True)
    known = {int(line) for line in done.read_text("utf-8").split()} if done.exists() else set()
    failed = 0
    with done.open("a", encoding="utf-8") as file:
        for seed in seeds:
            if seed in known:
                continue
            began_s = time.process_time()
            with tempfile.TemporaryDirectory() as scratch:
                found = complaints(seed, Path(scratch))
            if found:
                failed += 1
                sys.stdout.write(f"FAILED {replay(seed)}   # {', '.join(night_of(seed).faults)}\n")
                sys.stdout.writelines(f"  {text}\n" for text in found)
            else:
                file.write(f"{seed}\n")
                file.flush()
            sys.stdout.write(f"{seed}: {time.process_time() - began_s:.1f} s\n")
            sys.stdout.flush()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
