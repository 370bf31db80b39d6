"""The processes that stand beside the rig: the observer, which writes ``run.h5``, the publisher, the screen. None is waited for."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from orchestrator.observer.words import Heard, Said
from orchestrator.platform import hold_file, process_start
from orchestrator.recorder.records import OBSERVER_LOCK

CLOSE_OUT_BYTES_PER_S = 5e6
PARTS_WITHIN_s = 20.0
PART_WITHIN_s = 1.0
LOOK_s = 0.05


def spawn(*arguments: str, quiet: bool = False, heard: bool = False, held: bool = False) -> subprocess.Popen[bytes]:
    """Start ``python -m orchestrator …`` in a session of its own, so that Ctrl-C reaches the rig alone.

    ``held``: its standard input is ours to let go of (``let_go``), which hurries an observer.
    """
    output = subprocess.PIPE if heard else subprocess.DEVNULL if quiet else None
    given = subprocess.PIPE if held else subprocess.DEVNULL
    return subprocess.Popen([sys.executable, "-m", "orchestrator", *arguments], start_new_session=True, stdin=given, stdout=output)


def let_go(process: subprocess.Popen[bytes] | None) -> None:
    """Close a process' standard input, where we hold it."""
    if process is not None and process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()


def wait_for_file(path: Path, within_s: float) -> bool:
    """True when the file is there in time."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if path.exists():
            return True
        time.sleep(0.02)
    return False


async def observer_gone(folder: Path, within_s: float = PARTS_WITHIN_s) -> None:
    """Return when the dead rig's observer has let go of the folder, whose ballast it gives back; one that hangs is left."""
    loop = asyncio.get_running_loop()
    until_s = loop.time() + within_s
    while (own := hold_file(folder / OBSERVER_LOCK)) is None and loop.time() < until_s:
        await asyncio.sleep(LOOK_s)
    if own is not None:
        own.close()


class Publishing:
    """The process that shows a run on a broker; it is minded as the observer is."""

    def __init__(self, folder: Path, arguments: tuple[str, ...]) -> None:
        self._command = ("publish", str(folder), *arguments, "--tell")
        self._heard: Heard | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start_observer(self) -> None:
        """Start it (again)."""
        self._process = spawn(*self._command, heard=True)
        assert self._process.stdout is not None
        self._heard = Heard(self._process.stdout)

    def observer_died(self) -> bool:
        """True when it has ended although the run has not."""
        return self._process is not None and self._process.poll() is not None

    def told(self) -> Iterator[Said]:
        """What it has said since the last time; of one that has died the end."""
        if self._heard is not None:
            yield from self._heard.last() if self.observer_died() else self._heard.new()

    def part(self, within_s: float = PART_WITHIN_s) -> None:
        """The run is over: wait a moment. What the broker does not have by then goes out when it is back soon."""
        if self._process is not None:
            try:
                self._process.wait(within_s)
            except subprocess.TimeoutExpired:
                self._process.returncode = 0  # it lives on by itself: nobody waits for it any more

    def dismiss(self) -> None:
        """Ask it to end early."""
        if self._process is not None:
            self._process.terminate()


class Companions:
    """Observer, screen and publisher of one run; observer and publisher are started again when they die.

    ``keep_free_bytes``: the observer leaves so much of the disk to the journal. ``mirror_to``: where it copies to.
    ``control``: where live analysis sends what it finds; None: it does not run there. ``publish``: what the publisher is told;
    empty where nobody can watch. ``status_to``: a folder that gets a page and a picture each minute.
    ``meanwhile``: what is done while the observer closes the file.
    """

    def __init__(
        self,
        folder: Path,
        display: str,
        *,
        keep_free_bytes: int = 0,
        mirror_to: Path | None = None,
        control: Path | None = None,
        publish: tuple[str, ...] = (),
        status_to: Path | None = None,
        meanwhile: Callable[[], object] | None = None,
    ) -> None:
        self.folder = folder
        self._display = display
        self._keep_free_bytes = keep_free_bytes
        self._mirror_to = mirror_to
        self._control = control
        self._status_to = status_to
        self._meanwhile = meanwhile
        self._heard: Heard | None = None
        self._observer: subprocess.Popen[bytes] | None = None
        self._screen: subprocess.Popen[bytes] | None = None
        self._rig = ("--rig-process", f"{os.getpid()}:{process_start(os.getpid())}")
        self.publishing = Publishing(folder, (*publish, *self._rig)) if publish else None

    def start(self) -> None:
        """Start them; returns at once."""
        self.start_observer()
        if self.publishing is not None:
            self.publishing.start_observer()
        if self._display != "none":
            self._screen = spawn("watch", str(self.folder), *self._rig, *(["--lines"] if self._display == "lines" else []))

    def start_late(self) -> None:
        """A run that ended before anybody watched has its ``run.h5`` too."""
        if self._observer is None:
            self.start_observer()

    def ready(self, within_s: float = 20.0) -> bool:
        """Wait until ``run.h5`` exists, valid and empty."""
        return wait_for_file(self.folder / "run.h5", within_s)

    def observer_died(self) -> bool:
        """True when the observer has ended although the run has not."""
        return self._observer is not None and self._observer.poll() is not None

    def start_observer(self) -> None:
        """Start the observer, again if need be."""
        mirror = () if self._mirror_to is None else ("--mirror-to", str(self._mirror_to))
        control = () if self._control is None else ("--control", str(self._control))
        status = () if self._status_to is None else ("--status-to", str(self._status_to))
        options = ("--keep-free", str(self._keep_free_bytes), *mirror, *control, *status, "--tell")
        let_go(self._observer)
        self._observer = spawn("observe", str(self.folder), *self._rig, *options, heard=True, held=True)
        assert self._observer.stdout is not None
        self._heard = Heard(self._observer.stdout)

    def told(self) -> Iterator[Said]:
        """What the observer has said since the last time; of one that has died the end."""
        if self._heard is not None:
            yield from self._heard.last() if self.observer_died() else self._heard.new()

    def dismiss(self) -> None:
        """Ask them to end early: their run has died."""
        if self.publishing is not None:
            self.publishing.dismiss()
        for process in (self._observer, self._screen):
            if process is not None:
                process.terminate()

    def finish(self, within_s: float = 120.0, screen_within_s: float = 3.0) -> dict[str, Any]:
        """Wait for the close-out; returns what the observer found (empty when it did not finish).

        A long run's close-out merges, reads and hashes all of it, so the time allowed grows with its size.
        The screen is not waited for longer than a moment: it may hang on a terminal that takes nothing.
        """
        let_go(self._observer)
        if self._meanwhile is not None:
            self._meanwhile()
        within_s += _bytes_of(self.folder, "journal.sqlite", "run.h5", "run.h5.chapters/*") / CLOSE_OUT_BYTES_PER_S
        for process, limit_s in ((self._observer, within_s), (self._screen, screen_within_s)):
            if process is not None:
                _ended(process, limit_s)
        if self.publishing is not None:
            self.publishing.part()
        try:
            found: dict[str, Any] = json.loads((self.folder / "closeout.json").read_text("utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        return found


def _bytes_of(folder: Path, *names: str) -> int:
    """Bytes of the files of these patterns; some may go while we look."""
    size = 0
    for path in (found for name in names for found in folder.glob(name)):
        with contextlib.suppress(FileNotFoundError):
            size += path.stat().st_size
    return size


def _ended(process: subprocess.Popen[bytes], within_s: float) -> None:
    """Wait for a process, then ask it to end, then end it."""
    for urge in (process.terminate, process.kill):
        try:
            process.wait(within_s)
        except subprocess.TimeoutExpired:
            urge()
        else:
            return
    process.wait()
