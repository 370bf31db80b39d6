"""``operando check``: the whole plan before anything moves, or every mistake at once. Touches no instrument."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.cli.exits import COMPLETE, CONFIGURATION
from orchestrator.cli.paths import configs

if TYPE_CHECKING:
    from rich.console import Console

    from orchestrator.model.problems import ProblemsError
    from orchestrator.rig.planned import Planned


@dataclass(frozen=True, slots=True)
class Checked:
    """What can be run, and when it would start."""

    planned: Planned
    start_utc_ns: int


def check_command(
    file: Path,
    rig: Path | None = None,
    *,
    station: str | None = None,
    booking_end: str | None = None,
    as_json: bool = False,
    optimise: bool = False,
    start_utc_ns: int | None = None,
    free_bytes: int | None = None,
    console: Console | None = None,
) -> int:
    """Print the plan of an experiment, or what is wrong with it; 0, or 2 where something is.

    ``start_utc_ns``: when it would start, else now. ``free_bytes``: on the data disk, else what is free here. ``console``:
    where to print, else the terminal.
    """
    from orchestrator.model.problems import ProblemsError
    from orchestrator.rig.planned import free_bytes_at, planned

    start = time.time_ns() if start_utc_ns is None else start_utc_ns
    free = free_bytes_at(Path.cwd()) if free_bytes is None else free_bytes
    simulated = configs() / "rigs" / "sim.yaml"
    try:
        found = planned(Path(file), rig, station=station, booking_end=booking_end, start_utc_ns=start, free_bytes=free, otherwise=simulated)
    except ProblemsError as error:
        _refuse(error, as_json=as_json)
        return CONFIGURATION
    checked = Checked(found, start)
    if as_json:
        print(json.dumps(_as_json(checked, optimise=optimise)))
    else:
        _print(checked, console, optimise=optimise)
    return COMPLETE


# ------------------------------------------------------------------------------------------------------------ for people


def _print(checked: Checked, console: Console | None, *, optimise: bool) -> None:
    from rich.console import Console

    from orchestrator.cli import plan_tables
    from orchestrator.plan.optimise import advice, map_hours

    out = console or Console(highlight=False)
    experiment, rig, plan = checked.planned.experiment, checked.planned.rig, checked.planned.plan

    def say(text: str = "", style: str = "") -> None:
        out.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    simulated = " (no --rig given: the simulated one)" if checked.planned.assumed_rig else ""
    for line in plan_tables.header(experiment, plan, f"rig {rig.name}{simulated}"):
        say(line)
    say()
    out.print(plan_tables.steps(experiment, plan))
    say()
    out.print(plan_tables.acquisitions(plan))
    say()
    for line in plan_tables.totals(plan, checked.start_utc_ns):
        say(line)
    say(plan_tables.always(plan))
    say()
    out.print(plan_tables.interlocks(plan))
    say()
    for name in plan.not_available:
        say(f"not available yet: {name}", style="yellow")
    for name, consequence in checked.planned.rig_not_available:
        say(f"not available yet: {name} ({consequence})", style="yellow")
    if plan_tables.has_inferred(plan):
        say("* inferred: no source gives this number; it was chosen here and never tried on a cell")
    say(f"when this program dies: {checked.planned.alone}; host lost: {plan_tables.host_lost(plan)}")
    if checked.planned.fence:
        say(f"hardware fence: {checked.planned.fence}")
    for name in checked.planned.without_fence:
        say(f"no hardware fence: if {name} cannot be reached, nothing else opens the circuit (`fence:` in the rig file)")
    for text in plan.warnings:
        say(f"warning: {text}", style="yellow")
    for text in advice(plan) if optimise else ():
        say(f"better: {text}", style="green")
    if ways := list(map_hours(plan)) if optimise else []:
        say()
        out.print(plan_tables.hours(ways))


def _refuse(error: ProblemsError, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"ok": False, "problems": [_problem(problem) for problem in error.problems]}))
    else:
        print(error, file=sys.stderr)


# ----------------------------------------------------------------------------------------------------------- for scripts


def _as_json(checked: Checked, *, optimise: bool) -> dict[str, Any]:
    from orchestrator.plan import programs
    from orchestrator.plan.optimise import advice, map_hours

    found, plan = checked.planned, checked.planned.plan
    return {
        "ok": True,
        "rig": found.rig.name,
        "rig_assumed": found.assumed_rig,
        "start_utc_ns": checked.start_utc_ns,
        "not_available": [*plan.not_available, *(name for name, _ in found.rig_not_available)],
        "alone": found.alone,
        "fence": found.fence,
        "without_fence": list(found.without_fence),
        "warnings": list(plan.warnings),
        "programs": [list(run) for run in programs(plan)],
        "advice": list(advice(plan)) if optimise else [],
        "map_hours": [way._asdict() for way in map_hours(plan)] if optimise else [],
        "plan": plan.model_dump(mode="json"),
    }


def _problem(problem: Any) -> dict[str, Any]:
    where = problem.where
    return {"file": where.file, "line": where.line, "column": where.column, "message": problem.message, "hint": problem.hint}
