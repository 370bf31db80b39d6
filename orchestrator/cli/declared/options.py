"""Arguments and options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

File = Annotated[Path, typer.Argument(metavar="FILE", help="The experiment, a YAML file.")]
RigFile = Annotated[Optional[Path], typer.Option("--rig", metavar="RIG.yaml", help="The instruments.")]  # noqa: UP045
Station = Annotated[Optional[str], typer.Option(help="Station of the rig; needed where it has several.")]  # noqa: UP045
BookingEnd = Annotated[Optional[str], typer.Option(metavar="TIME", help="When the booked magnet time ends (UTC, or local to the rig).")]  # noqa: UP045
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line, for scripts.")]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Where run folders are made.")]
Run = Annotated[str, typer.Argument(metavar="RUN", help="A run folder, its name, or `latest`.")]
Speed = Annotated[str, typer.Option(metavar="X|max", help="Simulated rigs only: so many times as fast, or as fast as it goes.")]
Seed = Annotated[int, typer.Option(help="Seed of everything simulated.")]
Epoch = Annotated[Optional[str], typer.Option(metavar="UTC", help="What the time is when the run begins (simulated rigs).")]  # noqa: UP045
Data = Annotated[
    Path | None, typer.Option(metavar="FOLDER", help="Recorded data: of an emulated console, and of a potentiostat at `recording:`.")
]
Fault = Annotated[
    list[str] | None,
    typer.Option("--fault", metavar="[EMULATOR.]NAME[:after_s=20]", help="Switch a fault of an emulator on; may be repeated."),
]
TwinFile = Annotated[Optional[Path], typer.Option("--twin", metavar="FILE", help="Simulated rigs only: another cell than the rig's.")]  # noqa: UP045
Report = Annotated[bool, typer.Option("--report/--no-report", envvar="OPERANDO_REPORT", help="Write report.html when all is over.")]
RigProcess = Annotated[str, typer.Option(hidden=True, help="pid:start of the rig; end with it.")]
Rig = Annotated[Optional[str], typer.Option("--rig", metavar="NAME", help="Which rig, where several run.")]  # noqa: UP045
ClaimFolder = Annotated[Path | None, typer.Option("--claim", hidden=True, help="Where a daemon's start of a run is claimed.")]
Windows = Annotated[Path | None, typer.Option(metavar="FILE.yaml", help="Windows of your own: `metal: [220, 310]`, in ppm, a line each.")]
