"""A night whose host is killed: it dies in a process of its own, what outlives it goes on in this one, and so does the run."""

from __future__ import annotations

import math
import multiprocessing
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

from drivers.clock import Clock
from drivers.registry import virtual_run
from nights import invariants
from nights.live import Lived, gathered_night, looked_at, observed_here
from nights.schedule import Night
from orchestrator.recorder.recover import recover
from orchestrator.rig.as_it_began import ContinueRequest
from orchestrator.rig.continuing import continue_run
from orchestrator.rig.faults import parse
from orchestrator.rig.gather import Gathered
from orchestrator.rig.process import Ended, emulate_request, run
from orchestrator.rig.survivors import KILLED, live_on, read_survivors
from orchestrator.runner.station import Outcome

DEAD = Outcome("failed", "ended early", "the host was killed", complete=False, exit_code=KILLED, cell="unknown")
REACHES_S = 5.0
"""What the guard may take from its decision to the relay, on a wire that answers."""
POTENTIOSTAT = "methodscript"
WENT_WRONG = "went-wrong.txt"
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


def _dies(night: Night, folder: Path) -> None:
    """In a process of its own: what went wrong there stands in a file."""
    try:
        die(night, folder)
    except BaseException:
        (folder / WENT_WRONG).write_text(traceback.format_exc(), encoding="utf-8")
        raise


@cache
def _server() -> BaseContext:
    """Where processes are forked, from one that has imported and read everything once: half of a second process is that."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["nights.dying"])
    return context


def _died(night: Night, folder: Path) -> Path | None:
    """Kill the host of a night in another process; its run folder, None where the night ended before."""
    folder.mkdir(parents=True, exist_ok=True)
    dying = _server().Process(target=_dies, args=(night, folder))
    dying.start()
    dying.join()
    if dying.exitcode == 0:
        return None
    if dying.exitcode != KILLED:
        wrong = folder / WENT_WRONG
        raise RuntimeError(f"the dying process ended with {dying.exitcode}: {wrong.read_text('utf-8') if wrong.exists() else ''}")
    (run_folder,) = (folder / "runs").iterdir()
    return run_folder


def die_and_continue(night: Night, folder: Path) -> Killed | None:
    """The host dies, for a while only cell, instruments and guard live, then `operando continue`; None: it ended before."""
    if (run_folder := _died(night, folder)) is None:
        return None
    died_s = float(read_survivors(run_folder)["mono_ns"]) / 1e9
    with observed_here():
        ended = continue_run(ContinueRequest(run_folder, display="none", away_s=night.away_s))
    lived = looked_at(night, gathered_night(deadly(night), folder), ended)
    acted = [line for line in lived.guard if line["kind"] == "guard.acted" and line["run_mono_ns"] / 1e9 <= died_s + night.away_s]
    return Killed(lived, died_s, bool(acted) and acted[0]["confirmed"])


def die_and_live_on(night: Night, folder: Path) -> Killed | None:
    """The host dies, and only cell, instruments and guard live on; None: it ended before."""
    if (run_folder := _died(night, folder)) is None:
        return None
    gathered = gathered_night(deadly(night), folder)
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
    """Open circuit within ``host_lost``, or the step finished by the device; where the wire is out of order just then, told as unknown."""
    lived, plan, died_s = killed.lived, killed.lived.plan, killed.died_s
    back_s = died_s + lived.night.away_s
    if killed.safe and not lived.cell.off_at(back_s):
        yield f"the guard says the cell is safe; it is driven at {back_s:.1f} s"
    finishes = plan.host_lost != "open circuit"
    longest_s = max(step.limits.time_s for step in plan.steps) if finishes else plan.host_lost_within_s
    until_s = died_s + longest_s
    if back_s < until_s + REACHES_S or _wire_is_out(lived, died_s, until_s + REACHES_S):
        return
    if not lived.cell.off_at(until_s):
        yield f"killed at {died_s:.1f} s; the cell is still driven {longest_s:g} s later"
    if not killed.safe:
        yield f"killed at {died_s:.1f} s; the guard has not confirmed open circuit: {lived.guard[-2:]}"


def _wire_is_out(lived: Lived, begin_s: float, end_s: float) -> bool:
    """Did a fault of the potentiostat's wire stand in between? One that lasts as often as it is met: from its begin on."""
    begun = {line.data["fault"]: line.t_s for line in lived.cell.faults if line.data["instrument"] == POTENTIOSTAT}
    faults = [fault for fault in map(parse, lived.night.faults) if fault.instrument == POTENTIOSTAT and fault.name in UNREACHABLE]
    times = [(begun[fault.name], _lasts_s(fault.parameters)) for fault in faults if fault.name in begun]
    return any(at_s <= end_s and at_s + lasts_s >= begin_s for at_s, lasts_s in times)


def _lasts_s(parameters: Mapping[str, Any]) -> float:
    return float(parameters.get("for_s", parameters.get("seconds", math.inf)))


def broken_by_death(killed: Killed | None) -> list[str]:
    """Every invariant that does not hold although a host may die."""
    if killed is None:
        return []
    found = [f"the cell comes to its declared state: {said}" for said in the_cell_comes_to_its_declared_state(killed)]
    return found + invariants.broken(killed.lived)
