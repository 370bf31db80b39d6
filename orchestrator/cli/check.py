"""``operando check``: the whole plan before anything moves, or every mistake at once. Touches no instrument."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.cli.exits import COMPLETE, CONFIGURATION
from orchestrator.cli.paths import configs

if TYPE_CHECKING:
    from rich.console import Console

    from drivers.base import Capabilities, ConsoleCapabilities
    from orchestrator.model.experiment import Experiment, Rig
    from orchestrator.model.problems import ProblemsError
    from orchestrator.plan.orders import Plan


@dataclass(frozen=True, slots=True)
class Checked:
    """An experiment that can be run, and its plan."""

    experiment: Experiment
    rig: Rig
    assumed_rig: bool
    plan: Plan
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

    start = time.time_ns() if start_utc_ns is None else start_utc_ns
    free = shutil.disk_usage(Path.cwd()).free if free_bytes is None else free_bytes
    try:
        checked = look(Path(file), rig, station=station, booking_end=booking_end, start_utc_ns=start, free_bytes=free)
    except ProblemsError as error:
        _refuse(error, as_json=as_json)
        return CONFIGURATION
    if as_json:
        print(json.dumps(_as_json(checked, optimise=optimise)))
    else:
        _print(checked, console, optimise=optimise)
    return COMPLETE


def look(
    file: Path,
    rig_file: Path | None = None,
    *,
    station: str | None = None,
    booking_end: str | None = None,
    start_utc_ns: int,
    free_bytes: int | None = None,
) -> Checked:
    """Read both files and plan. Raises ConfigError, PlanError."""
    from orchestrator.config import load_experiment, load_rig
    from orchestrator.config import rig_file as named_rig
    from orchestrator.plan import make_plan

    experiment = load_experiment(file)
    given = rig_file or named_rig(experiment)
    rig = load_rig(given or configs() / "rigs" / "sim.yaml")
    plan = make_plan(
        experiment,
        rig,
        station=station,
        capabilities=capabilities(rig),
        start_utc_ns=start_utc_ns,
        booking_end=booking_end,
        free_bytes=free_bytes,
    )
    return Checked(experiment, rig, given is None, plan, start_utc_ns)


def capabilities(rig: Rig) -> dict[str, Capabilities | ConsoleCapabilities]:
    """What the drivers of a rig say without their instruments, by instrument id.

    A driver that can tell from the rig file alone has a ``declared(settings)``; of the others the defaults are assumed.
    """
    from drivers.base import Settings
    from drivers.registry import factory, names

    used = {station.potentiostat.partition(":")[0]: "potentiostats" for station in rig.stations.values()}
    used |= {station.console: "consoles" for station in rig.stations.values()}
    found: dict[str, Capabilities | ConsoleCapabilities] = {}
    for name, kind in used.items():
        instrument = rig.instruments.get(name)
        if instrument is None or instrument.driver not in names(kind):
            continue
        with contextlib.suppress(ImportError):
            declared = getattr(factory(kind, instrument.driver), "declared", None)
            if declared is not None:
                settings = Settings(name, instrument.driver, instrument.address, "", instrument.identity, instrument.options)
                found[name] = declared(settings)
    return found


# ------------------------------------------------------------------------------------------------------------ for people


def _print(checked: Checked, console: Console | None, *, optimise: bool) -> None:
    from rich.console import Console

    from orchestrator.cli import plan_tables
    from orchestrator.plan.optimise import advice

    out = console or Console(highlight=False)
    plan = checked.plan

    def say(text: str = "", style: str = "") -> None:
        out.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    simulated = " (no --rig given: the simulated one)" if checked.assumed_rig else ""
    for line in plan_tables.header(checked.experiment, plan, f"rig {checked.rig.name}{simulated}"):
        say(line)
    say()
    out.print(plan_tables.steps(checked.experiment, plan))
    say()
    out.print(plan_tables.acquisitions(plan))
    say()
    for line in plan_tables.totals(plan, checked.start_utc_ns):
        say(line)
    for name in plan.not_available:
        say(f"not available yet: {name}", style="yellow")
    for text in plan.warnings:
        say(f"warning: {text}", style="yellow")
    for text in advice(plan) if optimise else ():
        say(f"better: {text}", style="green")


def _refuse(error: ProblemsError, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"ok": False, "problems": [_problem(problem) for problem in error.problems]}))
    else:
        print(error, file=sys.stderr)


# ----------------------------------------------------------------------------------------------------------- for scripts


def _as_json(checked: Checked, *, optimise: bool) -> dict[str, Any]:
    from orchestrator.plan import programs
    from orchestrator.plan.optimise import advice

    plan = checked.plan
    return {
        "ok": True,
        "rig": checked.rig.name,
        "rig_assumed": checked.assumed_rig,
        "start_utc_ns": checked.start_utc_ns,
        "not_available": list(plan.not_available),
        "warnings": list(plan.warnings),
        "programs": [list(run) for run in programs(plan)],
        "advice": list(advice(plan)) if optimise else [],
        "plan": plan.model_dump(mode="json"),
    }


def _problem(problem: Any) -> dict[str, Any]:
    where = problem.where
    return {"file": where.file, "line": where.line, "column": where.column, "message": problem.message, "hint": problem.hint}
