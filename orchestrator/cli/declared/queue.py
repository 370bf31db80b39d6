"""`operando queue …`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from orchestrator.cli.declared.options import File, Json, Out, RigFile, Seed, Speed, Station

queue = typer.Typer(help="Runs that start by themselves: tonight, each night, when the magnet is ours.", no_args_is_help=True)
Number = Annotated[int, typer.Argument(metavar="ID", help="As `operando queue list` shows it.")]
Instant = Optional[str]  # noqa: UP045


@queue.command("add")
def queue_add(
    file: File,
    rig: RigFile = None,
    station: Station = None,
    not_before: Annotated[Instant, typer.Option("--not-before", metavar="TIME", help="Local to the rig, or with a zone.")] = None,
    must_end_by: Annotated[
        Instant, typer.Option("--must-end-by", metavar="TIME", help="It is not begun unless it can end by then.")
    ] = None,
    booking: Annotated[Instant, typer.Option(metavar="TIME..TIME", help="Magnet time that is ours: no other entry starts into it.")] = None,
    window: Annotated[list[str] | None, typer.Option(metavar="19:00-08:00", help="Nightly, by the rig's clock; repeatable.")] = None,
    repeat: Annotated[int, typer.Option(min=1, help="So many runs, one after the other.")] = 1,
    priority: Annotated[int, typer.Option(help="Higher goes first.")] = 0,
    loaded: Annotated[bool, typer.Option("--loaded", help="The cell is in the magnet now.")] = False,
    speed: Speed = "1",
    seed: Seed = 0,
    out: Out = Path("runs"),
    as_json: Json = False,
) -> int:
    """Queue a run, with copies of its files as they are now. What cannot fit its times is refused, with the arithmetic."""
    from orchestrator.cli.queue import add_command

    times = {"not_before": not_before, "must_end_by": must_end_by, "booking": booking, "nightly": tuple(window or ())}
    how = {"station": station, "repeat": repeat, "priority": priority, "loaded": loaded, "speed": speed, "seed": seed}
    return add_command(file, rig, out, {**times, **how}, as_json=as_json)


@queue.command("list")
def queue_list(every: Annotated[bool, typer.Option("--all", help="Also what is over.")] = False, as_json: Json = False) -> int:
    """What is queued, in the order in which it comes, and why each waits."""
    from orchestrator.cli.queue import list_command

    return list_command(every=every, as_json=as_json)


@queue.command("show")
def queue_show(number: Number, as_json: Json = False) -> int:
    """One entry: its files as pinned, and what happened to it."""
    from orchestrator.cli.queue import show_command

    return show_command(number, as_json=as_json)


@queue.command("confirm")
def queue_confirm(
    number: Number,
    again: Annotated[bool, typer.Option("--again", help="A run that died: from the start, instead of continued.")] = False,
    as_json: Json = False,
) -> int:
    """You have looked: its cell is in the magnet. What waited for a person goes on."""
    from orchestrator.cli.queue import confirm_command

    return confirm_command(number, again=again, as_json=as_json)


@queue.command("move")
def queue_move(
    number: Number,
    before: Annotated[Optional[int], typer.Option(metavar="ID", help="To before this one; else to the end.")] = None,  # noqa: UP045
    priority: Annotated[Optional[int], typer.Option(help="Higher goes first.")] = None,  # noqa: UP045
    as_json: Json = False,
) -> int:
    """Change the order."""
    from orchestrator.cli.queue import move_command

    return move_command(number, before, priority, as_json=as_json)


@queue.command("remove")
def queue_remove(number: Number, as_json: Json = False) -> int:
    """Take an entry out. One that runs is stopped first (`operando stop`)."""
    from orchestrator.cli.queue import remove_command

    return remove_command(number, as_json=as_json)
