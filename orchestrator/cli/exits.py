"""Exit codes, and what a person is told for each error."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any

COMPLETE, BUG, CONFIGURATION, INSTRUMENT, SAFETY, ENDED_EARLY, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130
CODES = {
    "orchestrator.rig.interrupts.Interrupted": INTERRUPTED,
    "builtins.FileNotFoundError": CONFIGURATION,
    "drivers.errors.NotRegistered": CONFIGURATION,
    "orchestrator.cli.install_agent.NotATopSpin": CONFIGURATION,
    "orchestrator.control.client.NoRunHere": CONFIGURATION,
    "orchestrator.model.problems.ProblemsError": CONFIGURATION,
    "orchestrator.recorder.reader.NotARun": CONFIGURATION,
    "orchestrator.recorder.records.JournalInUse": CONFIGURATION,
    "orchestrator.recorder.records.NetworkFolder": CONFIGURATION,
    "orchestrator.recorder.records.NotAJournal": CONFIGURATION,
    "orchestrator.recorder.records.ObserverRuns": CONFIGURATION,
    "orchestrator.recorder.records.Refused": CONFIGURATION,
    "orchestrator.rig.faults.BadFault": CONFIGURATION,
    "orchestrator.rig.folders.NoSuchRun": CONFIGURATION,
    "orchestrator.rig.gather.CannotRun": CONFIGURATION,
    "orchestrator.rig.request.NoSpeed": CONFIGURATION,
    "orchestrator.schedule.claim.GivenUp": CONFIGURATION,
    "orchestrator.schedule.entry.NoSuchEntry": CONFIGURATION,
    "orchestrator.schedule.entry.QueueServed": CONFIGURATION,
    "orchestrator.schedule.entry.Refused": CONFIGURATION,
    "drivers.errors.InstrumentError": INSTRUMENT,
    "orchestrator.rig.emulators.EmulatorsDidNotStart": INSTRUMENT,
    "orchestrator.guard.start.GuardDidNotStart": SAFETY,
    "orchestrator.validate.run.NoSuchRow": CONFIGURATION,
}
"""Of our errors and what derives from them, by name: a refusal in a sentence does not wait a second for rooms that nobody entered."""


@contextlib.contextmanager
def perhaps_nobody_looks() -> Iterator[None]:
    """A terminal that died during the night does not change what became of the run."""
    try:
        yield
        sys.stdout.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())


def told(error: Exception) -> int:
    """Print the error as a sentence and return its exit code; re-raises what is our own bug."""
    import typer

    # Typer brings its own copy of click, and click itself need not be installed: the class is found where it is used.
    click_exception: Any = typer.BadParameter.__mro__[2]
    if isinstance(error, click_exception):
        error.show()
        return CONFIGURATION
    if isinstance(error, typer.Abort):
        return INTERRUPTED
    code = code_of(error)
    if code == BUG:
        raise error
    print(sentence(error), file=sys.stderr)
    return code


def sentence(error: Exception) -> str:
    """What an error says; of the system's own the file and what is wrong with it, without its number."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror[:1].lower()}{error.strerror[1:]}"
    return str(error)


def code_of(error: Exception) -> int:
    """The exit code of an error; BUG for one that is none of ours."""
    named = (f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__)
    return next((CODES[name] for name in named if name in CODES), BUG)
