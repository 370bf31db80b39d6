"""What one says to a rig that runs: status, pause, resume, skip, stop, abort, acquire, acknowledge, note."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.declared.options import Json, Rig

words = typer.Typer()


@words.command()
def status(rig: Rig = None, as_json: Json = False) -> int:
    """What a running rig is doing."""
    from orchestrator.cli.command import command

    return command("status", {}, rig, as_json=as_json)


@words.command()
def pause(
    what: Annotated[str, typer.Argument(metavar="nmr|cell")],
    now: Annotated[bool, typer.Option("--now", help="Cell: open circuit at once, not at the step's end.")] = False,
    rig: Rig = None,
    as_json: Json = False,
) -> int:
    """`pause nmr`: no new acquisition, current goes on. `pause cell`: the next step does not start."""
    from orchestrator.cli.command import command

    return command(f"pause {what}", {"now": now} if what == "cell" else {}, rig, as_json=as_json)


@words.command()
def resume(rig: Rig = None, as_json: Json = False) -> int:
    """End a pause; what is left is planned anew from charge and time still owed."""
    from orchestrator.cli.command import command

    return command("resume", {}, rig, as_json=as_json)


@words.command()
def skip(rig: Rig = None, as_json: Json = False) -> int:
    """End the running step, go on with the next."""
    from orchestrator.cli.command import command

    return command("skip", {}, rig, as_json=as_json)


@words.command()
def stop(
    after_step: Annotated[bool, typer.Option("--after-step", help="Let the running step end first.")] = False,
    rig: Rig = None,
    as_json: Json = False,
) -> int:
    """Finish the running acquisition, end the step, open circuit, close."""
    from orchestrator.cli.command import command

    return command("stop", {"after_step": after_step}, rig, as_json=as_json)


@words.command()
def abort(rig: Rig = None, as_json: Json = False) -> int:
    """Open circuit now, halt the console."""
    from orchestrator.cli.command import command

    return command("abort", {}, rig, as_json=as_json)


@words.command()
def acquire(name: Annotated[str, typer.Argument(metavar="NAME")], rig: Rig = None, as_json: Json = False) -> int:
    """Ask for one acquisition now."""
    from orchestrator.cli.command import command

    return command("acquire", {"name": name}, rig, as_json=as_json)


@words.command()
def acknowledge(alarm: Annotated[str, typer.Argument(metavar="ID")], rig: Rig = None, as_json: Json = False) -> int:
    """Say that you have seen an alarm."""
    from orchestrator.cli.command import command

    return command("acknowledge", {"alarm": alarm}, rig, as_json=as_json)


@words.command()
def note(text: Annotated[str, typer.Argument(metavar="TEXT")], rig: Rig = None, as_json: Json = False) -> int:
    """Write a note into the run."""
    from orchestrator.cli.command import command

    return command("note", {"text": text}, rig, as_json=as_json)
