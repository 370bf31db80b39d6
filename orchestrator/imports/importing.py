"""A run that is over, from the vendors' files into a run folder: the journal first, then all that follows from it."""

from __future__ import annotations

import asyncio
import hashlib
import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drivers.clock import Clock, Stamp
from drivers.follow.clocks import zone_of
from orchestrator.analysis.live import LiveAnalysis
from orchestrator.imports.beginning import IMPORTED, started
from orchestrator.imports.datasets import open_folder
from orchestrator.imports.lag import Offset
from orchestrator.imports.sources import CyclerFile, Folder, Request, cycler_of, folders_of, offset_of
from orchestrator.imports.telling import (
    CYCLER_KEY,
    SOURCE,
    Axis,
    Block,
    CellTeller,
    SpectrumTeller,
    archive_cycler,
    blocks,
    left_out,
    log_notes,
    sha256_of,
)
from orchestrator.model.events import Event
from orchestrator.recorder.journal import Journal
from orchestrator.rig.folders import new_run_folder

if TYPE_CHECKING:
    from orchestrator.recorder.closeout import Finding

__all__ = ["Imported", "NothingThere", "Request", "import_run", "projected"]

ANALYSIS = "analysis"


class NothingThere(Exception):
    """There is nothing to import, in a sentence; nothing was made."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of it. ``lost``: data sets that could not be read."""

    folder: Path
    finding: Finding
    spectra: int
    lost: int
    samples: int
    offset: Offset | None
    lines: tuple[str, ...]


Told = Block | Folder


def import_run(request: Request) -> Imported:
    """Read everything, tell it to a journal, project it. Raises NothingThere, OSError, BadZone: then nothing is left behind."""
    zone = zone_of(request.zone)
    axis = Axis(zone, request.zone)
    folders = folders_of(request, axis)
    cycler = cycler_of(request, zone, folders)
    if not folders and not cycler:
        raise NothingThere(
            f"{request.nmr}: no data set of a console that can be read" + (f", and no rows in {request.ec}" if request.ec else "")
        )
    offset = offset_of(request, axis, folders, cycler)
    return asyncio.run(_Import(request, axis, folders, cycler, offset).run())


class _Import:
    """One import, once everything about its times is known."""

    def __init__(self, request: Request, axis: Axis, folders: list[Folder], cycler: list[CyclerFile], offset: Offset | None) -> None:
        self._request = request
        self._axis = axis
        self._folders = folders
        self._cycler = cycler
        self._offset = offset
        self._offset_ns = round((offset.seconds if offset is not None else 0.0) * 1e9)
        self._analysis = LiveAnalysis()
        self._seq = 0
        self._samples = self._lost = 0

    async def run(self) -> Imported:
        """Write the journal, then ``run.h5`` from it."""
        begin_ns, end_ns = self._span()
        name = self._request.name or self._request.nmr.resolve().name
        folder = new_run_folder(self._request.out, name, begin_ns)
        self._journal = Journal.create(folder / "journal.sqlite", Clock())
        try:
            await self._tell(name, folder, begin_ns, end_ns)
        finally:
            await self._journal.close()
        finding = projected(folder)
        return Imported(folder, finding, len(self._folders), self._lost, self._samples, self._offset, self._lines)

    def _span(self) -> tuple[int, int]:
        instants = [at for one in self._folders for at in (one.start_ns, one.end_ns) if at is not None]
        for one in self._cycler:
            instants += [one.zero_ns + self._offset_ns + round(float(one.rows.time_s[at]) * 1e9) for at in (0, -1)]
        return min(instants, default=0), max(instants, default=0)

    @property
    def _lines(self) -> tuple[str, ...]:
        """What is known of the clocks, in words."""
        return (
            *clock_words(self._offset, bool(self._cycler)),
            *(f"{one.tail.path.name}: {one.how}; read by {one.tail.library}" for one in self._cycler),
        )

    def put(
        self, kind: str, data: dict[str, Any], *, blob: bytes | None = None, source: str = SOURCE, cause: int | None = None, at: Any = None
    ) -> int:
        """Into the journal, and what the analysis says of it behind it."""
        self._seq = self._journal.put(kind, data, blob=blob, source=source, cause=cause, at=at)
        event = Event(self._seq, at.mono_ns, at.utc_ns, kind, data, blob, source, cause)
        for finding in self._analysis.feed(event):
            row = {name: value for name, value in finding._asdict().items() if name != "cause" and (name != "context" or value)}
            self._journal.put("observable", row, source=ANALYSIS, cause=finding.cause, at=at)
        return self._seq

    async def _tell(self, name: str, folder: Path, begin_ns: int, end_ns: int) -> None:
        at = self._axis.stamp(begin_ns)
        watched = {
            "nmr": self._request.nmr.resolve().name,
            "ec": [{"file": one.tail.path.name, "kind": one.tail.kind, "rows": len(one.rows), "sha256": sha256_of(one.tail.path),
                    "library": one.tail.library, "start": one.tail.start.text, "assumed": one.how} for one in self._cycler],
            "zone": self._request.zone,
            "offset_s": None if self._offset is None else self._offset.seconds,
            "offset_half_width_s": None if self._offset is None else self._offset.half_width_s,
            "offset_how": "not known: both clocks are taken to be right" if self._offset is None else self._offset.how,
        }  # fmt: skip
        self.put(
            "run.started",
            started(name, self._run_id(name), rung="import", cannot=IMPORTED, origin_mono_ns=at.mono_ns, utc_ns=begin_ns,
                    zone=self._request.zone, watched=watched),
            at=at,
        )  # fmt: skip
        self.put("run.state", {"from": "preparing", "to": "running", "why": IMPORTED}, at=at)
        for line in self._lines:
            self.put("note", {"text": line, "who": "import"}, at=at)
        if self._offset is not None and self._cycler:
            device_ns = begin_ns - self._offset_ns
            sample = {"instrument": "cycler", "half_width_ns": round(self._offset.half_width_s * 1e9), "device_ns": device_ns}
            self.put("clock.sample", sample | {"how": self._offset.how}, at=at)
        await self._tell_all(folder)
        end = self._axis.stamp(end_ns)
        complete = self._lost == 0
        reason = f"{len(self._folders)} data sets and {self._samples} samples were read from files" + (
            "" if complete else f"; {self._lost} not"
        )
        self.put("run.state", {"from": "running", "to": "finished", "why": "the files end here"}, at=end)
        ended = {"state": "finished", "outcome": "imported", "reason": reason, "complete": complete, "exit_code": 0}
        self.put("run.ended", ended, at=end)

    def _run_id(self, name: str) -> str:
        told = [f"{one.key} {one.start_ns} {one.end_ns}" for one in self._folders]
        told += [f"{one.tail.path.name} {one.zero_ns} {len(one.rows)}" for one in self._cycler]
        return hashlib.sha256("\n".join([name, str(self._offset_ns), *told]).encode()).hexdigest()[:32]

    async def _tell_all(self, folder: Path) -> None:
        """Samples and spectra in the order of their times, so that each spectrum finds its charge behind it."""
        cell = CellTeller(self, self._axis)
        spectra = SpectrumTeller(self, self._axis, folder / "raw", self._request.nmr)
        folders: Iterator[tuple[Told, str]] = ((one, "") for one in self._folders)
        for what, file in heapq.merge(self._blocks(), folders, key=lambda pair: _told_ns(pair[0])):
            if isinstance(what, Block):
                cell.tell(what, file)
                self._samples += len(what.rows)
            else:
                self._tell_spectrum(spectra, what, cell.step.key)
            if self._journal.half_full:
                await self._journal.durable(self._seq)
        cell.end()
        if self._request.ec is not None:
            self._keep_cycler(self._request.ec, folder / "raw", self._axis.stamp(max(cell.last_ns, self._span()[1])))
        if cell.late:
            self.put("note", {"text": left_out(cell.late), "who": "import"}, at=self._axis.stamp(cell.last_ns))

    def _keep_cycler(self, source: Path, raw: Path, at: Stamp) -> None:
        """The cycler's own files, and what its logs say."""
        if (archived := archive_cycler(source, raw, CYCLER_KEY)) is not None:
            self.put("raw.archived", archived, at=at)
        for words in log_notes(source):
            self.put("note", {"text": words, "who": "import"}, at=at)

    def _tell_spectrum(self, spectra: SpectrumTeller, one: Folder, step_key: str) -> None:
        found = open_folder(one.folder, self._request.nmr)
        spectra.archive(found)
        self._lost += found.fetched is None
        spectra.tell(found, step_key, one.told_ns or self._span()[1])

    def _blocks(self) -> Iterator[tuple[Told, str]]:
        after_ns = -(1 << 62)
        for one in self._cycler:
            for block in blocks(one.rows, 0, one.tail.path.name, one.zero_ns, self._offset_ns, after_ns):
                after_ns = int(block.utc_ns[-1])
                yield block, one.tail.path.name


def _told_ns(what: Told) -> int:
    return int(what.utc_ns[-1]) if isinstance(what, Block) else what.told_ns


def clock_words(offset: Offset | None, has_cycler: bool) -> tuple[str, ...]:  # noqa: FBT001
    """The clocks, in a sentence for people."""
    if not has_cycler:
        return ()
    if offset is None:
        return ("the cycler's clock: not compared with the console's; both are taken to be right (--offset-s says otherwise)",)
    return (f"the cycler's clock: {offset.seconds:+.1f} s ± {offset.half_width_s:.1f} s to the console's ({offset.how})",)


def projected(folder: Path) -> Finding:
    """``run.h5`` of a run that has ended, with its close-out. Raises ObserverRuns."""
    from orchestrator.observer.observer import Observer

    observer = Observer(folder)
    try:
        while observer.step():
            pass
    finally:
        observer.close()
    assert observer.finding is not None
    return observer.finding
