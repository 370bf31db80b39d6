"""Who starts a run: exactly one process, whoever is killed when.

Each start has a folder of its own. The new process *claims* it before it opens anything, by linking a synced file to a name that
can be taken once; a daemon that does not know whether a start came about *gives it up* by taking the very same name. So either
the run has begun and is found again, or it never will. ``ended.json`` is what the run says last.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from drivers.clock import boot_id
from drivers.durable import sync_file, sync_folder
from orchestrator.platform import process_start, same_process_lives

CLAIM, ENDED, SAID, LOG = "claim.json", "ended.json", "said.json", "log.txt"


class GivenUp(Exception):
    """This start was given up before the process came to it; nothing was started."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Whose start this is. ``process``: ``pid:start``, "" when a daemon has given it up. ``boot``: of the computer."""

    process: str
    boot: str

    @property
    def given_up(self) -> bool:
        """Will nothing ever begin here?"""
        return not self.process

    @property
    def lives(self) -> bool:
        """Does its process still run?"""
        return not self.given_up and self.boot == boot_id() and same_process_lives(self.process)


def take(folder: Path) -> None:
    """Claim a start for this process. Raises GivenUp."""
    mine = Claim(f"{os.getpid()}:{process_start(os.getpid())}", boot_id())
    if not _linked(folder, mine):
        raise GivenUp(f"{folder}: this start was given up, or is another process's; nothing was started")


def give_up(folder: Path) -> bool:
    """Make sure that nothing ever begins here; False where it has begun."""
    folder.mkdir(parents=True, exist_ok=True)
    if _linked(folder, Claim("", boot_id())):
        return True
    claim = read(folder)
    return claim is not None and claim.given_up


def _linked(folder: Path, claim: Claim) -> bool:
    """Put the claim there, whole and synced, unless there is one."""
    draft = folder / f".{CLAIM}.{os.getpid()}"
    draft.write_text(json.dumps(asdict(claim)), "utf-8")
    sync_file(draft)
    try:
        os.link(draft, folder / CLAIM)
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    sync_folder(folder)
    sync_folder(folder.parent)
    return True


def read(folder: Path) -> Claim | None:
    """Whose start this is; None while it is nobody's."""
    told = _json(folder / CLAIM)
    return None if told is None else Claim(str(told["process"]), str(told["boot"]))


def ended(folder: Path) -> Mapping[str, Any] | None:
    """What the run said last: ``exit_code``, and reason, outcome, folder where it came so far; None before its end."""
    told = _json(folder / ENDED)
    return None if told is None else {**(_last_said(folder / SAID) or {}), **told}


def _json(path: Path) -> Mapping[str, Any] | None:
    try:
        told: Mapping[str, Any] = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    return told


def _last_said(path: Path) -> Mapping[str, Any] | None:
    """The last line of a run's standard output; None where it is none of ours."""
    try:
        told = json.loads(path.read_text("utf-8").splitlines()[-1])
    except (OSError, ValueError, IndexError):
        return None
    return told if isinstance(told, dict) else None


def last_words(folder: Path) -> str:
    """The end of what a start wrote on its standard error."""
    try:
        lines = (folder / LOG).read_text("utf-8", "replace").strip().splitlines()
    except OSError:
        return ""
    return " | ".join(lines[-3:])[-500:]
