"""The command line as one: every group of commands, and what becomes of an error."""

from __future__ import annotations

import sys

import typer

from orchestrator.cli import exits
from orchestrator.cli.declared.beside import beside
from orchestrator.cli.declared.cell import cell
from orchestrator.cli.declared.data import data
from orchestrator.cli.declared.init import init
from orchestrator.cli.declared.instruments import instruments
from orchestrator.cli.declared.queue import queue
from orchestrator.cli.declared.runs import runs
from orchestrator.cli.declared.words import words

app = typer.Typer(
    name="operando",
    help="Runs battery NMR experiments while nobody watches.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for group in (runs, words, data, instruments, beside):
    app.add_typer(group)
app.add_typer(init, name="init")
app.add_typer(queue, name="queue")
app.add_typer(cell, name="cell")


def run(arguments: list[str]) -> int:
    """Parse and run; turns our errors into sentences and exit codes."""
    if not any(stream.isatty() for stream in (sys.stdout, sys.stderr)):
        app.rich_markup_mode = None  # nobody looks at colours and boxes, and drawing them takes half of the start
    try:
        result = app(arguments, prog_name="operando", standalone_mode=False)
    except typer.Exit as stopped:
        return stopped.exit_code
    except Exception as error:  # noqa: BLE001 - told() raises what is our own bug again
        return exits.told(error)
    return int(result or 0)
