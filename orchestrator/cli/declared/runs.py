"""Before a run and during it: check, run, demo, emulate, watch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from orchestrator.cli.declared.options import (
    BookingEnd,
    ClaimFolder,
    Data,
    Epoch,
    Fault,
    File,
    Json,
    Out,
    Report,
    RigFile,
    RigProcess,
    Run,
    Seed,
    Speed,
    Station,
    TwinFile,
)

runs = typer.Typer()


@runs.command()
def check(
    file: File,
    rig: RigFile = None,
    station: Station = None,
    booking_end: BookingEnd = None,
    as_json: Json = False,
    optimise: Annotated[bool, typer.Option("--optimise", help="Also say what would use the console better.")] = False,
) -> int:
    """Print the whole plan, and every mistake at once. Touches no instrument."""
    from orchestrator.cli.check import check_command

    return check_command(file, rig=rig, station=station, booking_end=booking_end, as_json=as_json, optimise=optimise)


@runs.command("run")
def run_(
    file: File,
    rig: RigFile = None,
    station: Station = None,
    booking_end: BookingEnd = None,
    speed: Speed = "1",
    seed: Seed = 0,
    epoch: Epoch = None,
    out: Out = Path("runs"),
    data: Data = None,
    fault: Fault = None,
    twin: TwinFile = None,
    claim: ClaimFolder = None,
    report: Report = True,
    as_json: Json = False,
) -> int:
    """Run an experiment. Ctrl-C once: stop after this acquisition; twice: open circuit now."""
    from orchestrator.cli.claimed import perhaps_claimed
    from orchestrator.cli.run import run_command

    def work() -> int:
        given = (file, rig, station, booking_end, speed, seed, epoch, out, data, tuple(fault or ()))
        return run_command(*given, twin=twin, report=report, as_json=as_json)

    return perhaps_claimed(claim, work)


@runs.command()
def demo(speed: Speed = "60", seed: Seed = 1, out: Out = Path("runs"), report: Report = True, as_json: Json = False) -> int:
    """Cycle a simulated Li|Li cell and watch it by 7Li NMR, in under two minutes."""
    from orchestrator.cli.broker import start_beside
    from orchestrator.cli.paths import configs
    from orchestrator.cli.run import run_command

    experiment, rig = configs() / "experiments" / "demo.yaml", configs() / "rigs" / "sim.yaml"
    if speed != "max":
        start_beside()
    return run_command(experiment, rig, None, None, speed, seed, None, out, None, (), report=report, as_json=as_json)


EMULATORS = "arbin, atm, biologic, keithley2450, marcos, methodscript, neware, openvnmrj, relay, scpi, spinsolve, topspin, zahner"


@runs.command()
def emulate(
    names: Annotated[Optional[list[str]], typer.Argument(metavar="NAME...", help=f"{EMULATORS}; `operando drivers` lists others")] = None,  # noqa: UP045
    twin: Annotated[Optional[Path], typer.Option(metavar="FILE", help="The cell and magnet behind them.")] = None,  # noqa: UP045
    speed: Annotated[float, typer.Option(help="So many times as fast.")] = 1.0,
    seed: Seed = 0,
    fault: Fault = None,
    data: Data = None,
    truth: Annotated[Path | None, typer.Option(metavar="FILE", help="Write what really happens to the cell, a JSON object a line.")] = None,
    request: Annotated[Optional[str], typer.Option(hidden=True)] = None,  # noqa: UP045
) -> int:
    """Start emulated instruments on one simulated cell; prints their addresses as JSON, a line each."""
    from orchestrator.cli.emulate import emulate_command

    return emulate_command(tuple(names or ()), twin, speed, seed, tuple(fault or ()), data, truth, request)


@runs.command()
def watch(
    run: Run = "latest",
    out: Out = Path("runs"),
    lines: Annotated[bool, typer.Option(help="Lines instead of a screen.")] = False,
    rig_process: RigProcess = "",
    as_json: Json = False,
) -> int:
    """Show a run as it goes, here or from another terminal."""
    from orchestrator.cli.watch import watch_command

    return watch_command(run, out, lines=lines, rig=rig_process, as_json=as_json)
