"""Exit codes, and what a person is told for each error."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any

COMPLETE, BUG, CONFIGURATION, INSTRUMENT, SAFETY, ENDED_EARLY, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130


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
    from drivers.errors import InstrumentError, NotRegistered
    from orchestrator.cli.install_agent import NotATopSpin
    from orchestrator.control.client import NoRunHere
    from orchestrator.guard.start import GuardDidNotStart
    from orchestrator.model.problems import ProblemsError
    from orchestrator.recorder.reader import NotARun
    from orchestrator.recorder.records import JournalInUse, NetworkFolder, NotAJournal, ObserverRuns, Refused
    from orchestrator.rig.emulators import EmulatorsDidNotStart
    from orchestrator.rig.faults import BadFault
    from orchestrator.rig.folders import NoSuchRun
    from orchestrator.rig.gather import CannotRun
    from orchestrator.rig.interrupts import Interrupted
    from orchestrator.schedule import entry as queue_errors
    from orchestrator.schedule.claim import GivenUp

    if isinstance(error, Interrupted):
        return INTERRUPTED
    if isinstance(error, (ProblemsError, CannotRun, BadFault, NoSuchRun, NoRunHere, NotRegistered, FileNotFoundError)):
        return CONFIGURATION
    if isinstance(error, (NotATopSpin, NotARun, queue_errors.Refused, queue_errors.NoSuchEntry, queue_errors.QueueServed, GivenUp)):
        return CONFIGURATION
    if isinstance(error, (ObserverRuns, Refused, JournalInUse, NetworkFolder, NotAJournal)):
        return CONFIGURATION
    if isinstance(error, (InstrumentError, EmulatorsDidNotStart)):
        return INSTRUMENT
    return SAFETY if isinstance(error, GuardDidNotStart) else BUG
