"""A night whose host is killed: it dies in a process of its own, and what outlives it goes on in this one.

Where ``operando continue`` takes a simulated run up again, it begins where ``die_and_live_on`` ends.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from drivers.clock import Clock
from drivers.registry import virtual_run
from nights import invariants
from nights.live import Lived, gathered_night, looked_at, observed_here
from nights.schedule import Night
from orchestrator.recorder.recover import recover
from orchestrator.rig.gather import Gathered
from orchestrator.rig.process import Ended, emulate_request, run
from orchestrator.rig.survivors import KILLED, live_on, read_survivors
from orchestrator.runner.station import Outcome

DEAD = Outcome("failed", "ended early", "the host was killed", complete=False, exit_code=KILLED, cell="unknown")
REACHES_S = 5.0
"""What the guard may take from its decision to the relay, on a wire that answers."""
UNREACHABLE = ("silent", "port_vanishes", "half_line_then_stall", "garbage_line", "echo_but_no_start", "reboot_mid_step")


@dataclass
class Killed:
    """A night whose host has died. ``safe``: the guard has made the cell safe, and read that back."""

    lived: Lived
    died_s: float
    safe: bool


def deadly(night: Night) -> Night:
    """The same night with its death as one of its faults."""
    return replace(night, faults=(*night.faults, f"host.killed:after_s={night.killed_s}"))


def die(night: Night, folder: Path) -> None:
    """Run until killed; returns where the night ends before."""
    with observed_here():
        run(gathered_night(deadly(night), folder))


def die_and_live_on(night: Night, folder: Path) -> Killed | None:
    """Kill the host of a night in another process, then let cell, instruments and guard go on here; None: it ended before."""
    command = [sys.executable, "-m", "nights.killed", json.dumps(asdict(night)), str(folder)]
    dying = subprocess.run(command, check=False, capture_output=True, text=True)
    if dying.returncode == 0:
        return None
    if dying.returncode != KILLED:
        raise RuntimeError(f"the dying process ended with {dying.returncode}: {dying.stderr}")
    gathered = gathered_night(deadly(night), folder)
    (run_folder,) = (folder / "runs").iterdir()
    state = read_survivors(run_folder)
    safe = virtual_run(
        lambda clock: _alone(gathered, run_folder, clock, night.away_s), epoch_utc_ns=state["utc_ns"], start_ns=state["mono_ns"]
    )
    recover(run_folder)
    return Killed(looked_at(night, gathered, Ended(run_folder, DEAD, {})), state["mono_ns"] / 1e9, safe)


async def _alone(gathered: Gathered, folder: Path, clock: Clock, away_s: float) -> bool:
    """Nobody but cell, instruments and guard for so many seconds."""
    async with live_on(gathered, emulate_request(gathered, folder), folder, clock) as afterwards:
        await clock.sleep(away_s)
        return afterwards.acted is not None and afterwards.acted.confirmed


def the_cell_comes_to_its_declared_state(killed: Killed) -> Iterator[str]:
    """Open circuit within ``host_lost``, or the step finished by the device; where the wire is out of order too, told as unknown."""
    lived, plan = killed.lived, killed.lived.plan
    if killed.safe and lived.cell.drives and lived.cell.drives[-1].on:
        yield f"the guard says the cell is safe; it is driven since {lived.cell.drives[-1].begin_s:.1f} s"
    wire = [line.data["fault"] for line in lived.cell.faults if line.data["fault"] in UNREACHABLE]
    until_s = killed.died_s + plan.host_lost_within_s
    if plan.host_lost != "open circuit" or wire or killed.died_s + lived.night.away_s < until_s + REACHES_S:
        return
    if not lived.cell.off_at(until_s):
        yield f"killed at {killed.died_s:.1f} s; the cell is still driven {plan.host_lost_within_s:g} s later"
    if not killed.safe:
        yield f"killed at {killed.died_s:.1f} s; the guard has not confirmed open circuit: {lived.guard[-2:]}"


def broken_by_death(killed: Killed | None) -> list[str]:
    """Every invariant that does not hold although a host may die."""
    if killed is None:
        return []
    found = [f"the cell comes to its declared state: {said}" for said in the_cell_comes_to_its_declared_state(killed)]
    return found + invariants.broken(killed.lived)


if __name__ == "__main__":
    die(Night(**json.loads(sys.argv[1])), Path(sys.argv[2]))
