"""Seeds lived through: what does not hold, how to live one again, and which are done."""

from __future__ import annotations

import tempfile
import time
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path

from nights.invariants import broken
from nights.killed import broken_by_death, die_and_continue
from nights.live import live
from nights.schedule import Night, killed_night, night_of

Say = Callable[[str], object]


def night(seed: int, *, killed: bool = False) -> Night:
    """The night of a seed, whose host lives through it or is killed in it."""
    return killed_night(seed) if killed else night_of(seed)


def complaints(seed: int, folder: Path, *, killed: bool = False) -> list[str]:
    """What does not hold after the night of a seed; a night that could not be lived is one complaint."""
    try:
        return broken_by_death(die_and_continue(killed_night(seed), folder)) if killed else broken(live(night_of(seed), folder))
    except Exception:  # noqa: BLE001 whatever it is, the next night is lived
        return [traceback.format_exc()]


def replay(seed: int, *, killed: bool = False) -> str:
    """The command that lives through this very night again."""
    return f"python -m nights {'--killed ' if killed else ''}{seed}"


def check(seed: int, folder: Path, *, killed: bool = False) -> None:
    """Raises AssertionError with what does not hold and the command that shows it again."""
    found = complaints(seed, folder, killed=killed)
    assert not found, "\n".join([f"again: {replay(seed, killed=killed)}", *night(seed, killed=killed).faults, *found])


def soak(seeds: Iterable[int], done: Path, say: Say, *, killed: bool = False) -> int:
    """Each seed that the file ``done`` does not name yet; those that hold are added to it. Returns how many did not."""
    done.parent.mkdir(parents=True, exist_ok=True)
    known = {int(line) for line in done.read_text("utf-8").split()} if done.exists() else set()
    failed = 0
    with done.open("a", encoding="utf-8") as file:
        for seed in (seed for seed in seeds if seed not in known):
            began_s = time.process_time()
            with tempfile.TemporaryDirectory() as scratch:
                found = complaints(seed, Path(scratch), killed=killed)
            if found:
                failed += 1
                say(f"FAILED {replay(seed, killed=killed)}   # {', '.join(night(seed, killed=killed).faults)}")
                for text in found:
                    say(f"  {text}")
            else:
                file.write(f"{seed}\n")
                file.flush()
            say(f"{seed}: {time.process_time() - began_s:.1f} s")
    return failed
