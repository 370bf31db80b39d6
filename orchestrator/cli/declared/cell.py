"""`operando cell …`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from orchestrator.cli.declared.options import Json

cell = typer.Typer(help="Cells outlive runs: their records, and what has happened to them.", no_args_is_help=True)
CellName = Annotated[str, typer.Argument(metavar="CELL", help="Its record is cells/CELL.yaml in OPERANDO_HOME.")]
Note = Annotated[str, typer.Option(metavar="TEXT")]


@cell.command("list")
def cell_list(as_json: Json = False) -> int:
    """Every cell with a record, and how far it is."""
    from orchestrator.cli.cell import list_command

    return list_command(as_json=as_json)


@cell.command("show")
def cell_show(name: CellName, as_json: Json = False) -> int:
    """One cell: x, cycles and charge so far, and where each came from."""
    from orchestrator.cli.cell import show_command

    return show_command(name, as_json=as_json)


@cell.command("mount")
def cell_mount(
    name: CellName,
    rig: Annotated[str, typer.Option(metavar="NAME", help="Of the rig whose probe it is in.")],
    station: Annotated[str, typer.Option(help="Of a rig with several.")] = "",
    x: Annotated[Optional[float], typer.Option(help="Where somebody knows it; it then counts from here.")] = None,  # noqa: UP045
    note: Note = "",
    as_json: Json = False,
) -> int:
    """It was put into a probe. For the queue: `operando queue confirm`."""
    from orchestrator.cli.cell import mount_command

    return mount_command(name, rig, station, x, note, as_json=as_json)


@cell.command("add-history")
def cell_add_history(
    name: CellName,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Of a cycler: .mpr, .mpt, .nda, .ndax, BDF.")],
    x_includes_it: Annotated[bool, typer.Option("--x-includes-it", help="`x_now` of the record is of after it.")] = False,
    turned: Annotated[bool, typer.Option("--turned", help="Its current is positive for reduction at `working` of the record.")] = False,
    note: Note = "",
    as_json: Json = False,
) -> int:
    """What a bench cycler did to it (formation): its charge, cycles and x count on from there."""
    from orchestrator.cli.cell import history_command

    return history_command(name, file, note, x_includes_it=x_includes_it, turned=turned, as_json=as_json)
