"""Follows a cycler's files and a console's folders while they grow: the journal of a run that nobody here drives (rung 0).

Two watchers look at the two shares, each in a thread that may hang; what they find is told in the words of a driven run. Samples
wait until the clocks have been compared (or ``HOLD_s`` has passed), since what is in the journal cannot be moved. A share that is
gone is an alarm and nothing else: the files remember.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from drivers.clock import Clock
from drivers.follow.bounds import Bounds
from drivers.follow.clocks import saved_ns
from drivers.follow.cycler import Cycler, Fresh
from orchestrator.analysis.live import LiveAnalysis
from orchestrator.imports.alarms import Alarms, WatchedRules
from orchestrator.imports.datasets import Datasets, Found
from orchestrator.imports.lag import Offset, between
from orchestrator.imports.remembered import CYCLER, Remembered
from orchestrator.imports.telling import CYCLER_KEY, Axis, CellTeller, SpectrumTeller, archive_cycler, blocks, left_out, log_notes
from orchestrator.model.events import Event
from orchestrator.model.rule import Rule
from orchestrator.recorder.journal import Journal
from orchestrator.runner.charge import Charge
from orchestrator.runner.observed import ONLY_IF_THERE, Observed, Refused, observed

T = TypeVar("T")

POLL_s = 0.5
HOLD_s = 900.0
HANGS_AFTER_s = 60.0
PROBLEM_AFTER_s = 300.0
SILENT_AFTER_s = 1800.0
"""A cycler that writes no row for so long has stopped, or its file is not where it is looked for."""
SAVED_LATE_s = 2.0
"""Assumed: so long after its stamp of saving a console has begun to write its files."""
LEAST_ARRIVALS = 3
SURE_HALF_WIDTH_s = 30.0
REFINED = 0.5
NOT_KNOWN = "not known"
DRIFT_EVERY_s = 3600.0
BEAT_EVERY_s = 60.0
"""So often the journal says that somebody still watches, however seldom the others write."""


@dataclass(frozen=True, slots=True)
class Places:
    """What is watched. ``offset``: as it was told; None: it is found."""

    ec: Path
    nmr: Path
    offset: Offset | None = None
    date_order: str = ""


@dataclass(slots=True, eq=False)
class Look:
    """One share: how its looks go."""

    side: str
    path: Path
    since_s: float | None = None
    gone: bool = False


@dataclass(eq=False)
class Following:
    """``run`` it until ``stop`` is set; then ``end`` it. ``inline``: the analysis runs here (virtual time), else it sends what it finds."""

    places: Places
    journal: Journal
    clock: Clock
    folder: Path
    axis: Axis
    before: Remembered
    rules: tuple[Rule, ...] = ()
    inline: bool = False
    poll_s: float = POLL_s
    hold_s: float = HOLD_s
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    stopped_why: str = ""
    listener: Callable[[str, Mapping[str, Any]], None] | None = None
    """Who hears every event: those that ``--notify`` names are told of alarms."""

    def __post_init__(self) -> None:
        before, now_s = self.before, self._now_s
        self.alarms = Alarms(self.now, before.alarms)
        self.offset = self._told_offset()
        self.console_bounds = Bounds()
        self.datasets = Datasets(self.places.nmr, now_s, before.taken)
        self.cycler = Cycler(self.places.ec, self.axis.zone, self.places.date_order, now_s, self.clock.utc_ns, before.rows)
        self.spectra = SpectrumTeller(self, self.axis, self.folder / "raw", self.places.nmr)
        self.cell = CellTeller(self, self.axis)
        self.cell.step.index = before.step_index
        self.cell.charge = Charge(math.nan, None)
        self.cell.charge.restore(before.net_C, before.throughput_C, math.nan)
        self.cell.last_ns = max(0, before.last_sample_ns)
        self.heeding = WatchedRules(self.rules, self.now, self.alarms)
        self.counts = {"spectra": 0, "lost": 0, "samples": 0}
        self._analysis = LiveAnalysis() if self.inline else None
        self._held: list[Fresh] = []
        self._began_s = self._grew_s = now_s()
        self._told_width_s = math.inf
        self._drift_s = self._beat_s = -math.inf
        self._problems: dict[str, float] = {}
        self._looks = (Look("cycler", self.places.ec), Look("console", self.places.nmr))
        self._last_seq = 0

    # ---------------------------------------------------------------------------------------------------------- journal

    def put(
        self, kind: str, data: dict[str, Any], *, blob: bytes | None = None, source: str = "rig", cause: int | None = None, at: Any = None
    ) -> int:
        """An event with its own time."""
        self._last_seq = seq = self.journal.put(kind, data, blob=blob, source=source, cause=cause, at=at)
        if self.listener is not None:
            self.listener(kind, data)
        if self._analysis is not None:
            event = Event(seq, at.mono_ns, at.utc_ns, kind, data, blob, source, cause)
            self._take_found([finding.row() for finding in self._analysis.feed(event)], "analysis")
        return seq

    def now(self, kind: str, data: dict[str, Any], cause: int | None = None) -> int:
        """An event of this instant, by this computer's clock."""
        return self.put(kind, data, source="follow", cause=cause, at=self.axis.stamp(self.clock.utc_ns()))

    def note(self, text: str) -> None:
        """A note."""
        self.now("note", {"text": text, "who": "follow"})

    def observe(self, rows: Sequence[Mapping[str, Any]], who: str) -> tuple[bool, str]:
        """Findings of whoever looks at the spectra."""
        try:
            return True, f"{self._take_found(rows, who)} taken"
        except Refused as why:
            return False, str(why)

    def _take_found(self, rows: Sequence[Mapping[str, Any]], who: str) -> int:
        found: list[Observed] = [observed(row) for row in rows]
        for one in found:
            data = {name: value for name, value in one._asdict().items() if name != "cause" and (name not in ONLY_IF_THERE or value)}
            self.journal.put("observable", data, source=who, cause=one.cause, at=self.axis.stamp(self.clock.utc_ns()))
        self.heeding.observables(found)
        return len(found)

    def halt(self, why: str) -> None:
        """End the watching."""
        self.stopped_why = self.stopped_why or why
        self.stop.set()

    # --------------------------------------------------------------------------------------------------------- watching

    async def run(self) -> None:
        """Watch both until ``stop``."""
        tasks: list[asyncio.Task[Any]] = [
            asyncio.create_task(work(), name=work.__name__) for work in (self._watch_cycler, self._watch_console, self._mind)
        ]
        ending: asyncio.Task[Any] = asyncio.create_task(self.stop.wait(), name="stop")
        try:
            await asyncio.wait({*tasks, ending}, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            for task in (*tasks, ending):
                task.cancel()
            await asyncio.wait({*tasks, ending})

    async def _watch_cycler(self) -> None:
        while True:
            held = sum(len(fresh.rows) for fresh in self._held)
            fresh = await self._looked(self._looks[0], lambda held=held: self.cycler.look(held))  # type: ignore[misc]
            self._held += fresh or ()
            self._mark_silence(fresh)
            self._mark_problems()
            if self.offset is None:
                self._decide()
            if self.offset is not None:
                self._tell_samples()
            await self._breathe()

    async def _watch_console(self) -> None:
        while True:
            for found in await self._looked(self._looks[1], self.datasets.look) or ():
                self._compare(found)
                if await self._archived(found):
                    self._tell_spectrum(found)
                await self._room()
            await self._breathe()

    async def _looked(self, look: Look, how: Callable[[], list[T]]) -> list[T] | None:
        """One look; None where the share is gone."""
        look.since_s = self._now_s()
        try:
            found = await self.clock.in_thread(how, lane=look.side)
        except OSError as error:
            look.gone = True
            text = f"{look.path.name}: {error.strerror or error}"
            self.alarms.sound(
                f"share-{look.side}", "warn", "A share is gone", text, "nothing is lost: what was written meanwhile is read when it is back"
            )
            return None
        finally:
            look.since_s = None
        self.alarms.clear(f"share-{look.side}")
        look.gone = False
        return found

    async def _breathe(self) -> None:
        await self._room()
        await self.clock.sleep(self.poll_s)

    async def _room(self) -> None:
        if self.journal.half_full:
            await self.journal.durable(self._last_seq)

    async def _mind(self) -> None:
        """Say that a share does not answer, and how the clocks go."""
        while True:
            await self.clock.sleep(HANGS_AFTER_s / 4)
            now_s = self._now_s()
            for look in self._looks:
                if look.since_s is not None and now_s - look.since_s > HANGS_AFTER_s:
                    text = f"{look.path.name} has not answered for {now_s - look.since_s:.0f} s"
                    self.alarms.sound(
                        f"share-{look.side}", "warn", "A share does not answer", text, "nothing is lost: reading goes on when it answers"
                    )
            if now_s - self._beat_s >= BEAT_EVERY_s:
                self._beat_s = now_s
                self.now("clock.sample", {"instrument": "", "half_width_ns": 0})
            if now_s - self._drift_s >= DRIFT_EVERY_s and self.offset is not None:
                self._drift_s = now_s
                self._refine()

    def _now_s(self) -> float:
        return self.clock.utc_ns() / 1e9

    # ---------------------------------------------------------------------------------------------------------- spectra

    async def _archived(self, found: Found) -> bool:
        """Copy its files; a share that goes meanwhile, or files that change, bring it back at a later look."""
        try:
            await self.clock.in_thread(self.spectra.archive, found, lane="raw")
        except OSError as error:
            self.note(f"{found.key} is not copied yet: {error}")
            self.datasets.again(found)
            return False
        return True

    def _tell_spectrum(self, found: Found) -> None:
        self.spectra.tell(found, self.cell.step.key, self.clock.utc_ns(), self.before.half_told)
        self.counts["lost" if found.fetched is None else "spectra"] += 1

    def _compare(self, found: Found) -> None:
        """The stamp of saving against when we saw the files."""
        if found.fetched is None:
            return
        stamp_ns = saved_ns(found.fetched.times.stamps, found.saved_stamps, self.axis.zone)
        if stamp_ns is not None:
            seen = found.stamped
            resolution_s = found.fetched.times.resolution_ns / 1e9
            self.console_bounds.add(stamp_ns / 1e9, seen.before_s, seen.at_s, late_s=SAVED_LATE_s, resolution_s=resolution_s)

    # ---------------------------------------------------------------------------------------------------------- samples

    def _tell_samples(self) -> None:
        assert self.offset is not None
        offset_ns = round(self.offset.seconds * 1e9)
        held, self._held = self._held, []
        for fresh in held:
            for block in blocks(fresh.rows, fresh.first, fresh.file, fresh.zero_ns, offset_ns, self.cell.last_ns):
                seq = self.cell.tell(block, fresh.file)
                self.counts["samples"] += len(block.rows)
                if self.rules:
                    self._ask(block, seq)

    def _ask(self, block: Any, _: int) -> None:
        mono_ns = (block.utc_ns - self.axis.utc_less_mono_ns).tolist()
        began_ns = self.cell.step.began_ns - self.axis.utc_less_mono_ns
        self.heeding.samples(block, self.cell.step, self.cell.step_charges_C, mono_ns, began_ns)

    def _mark_silence(self, fresh: list[Fresh] | None) -> None:
        """A file that does not grow says nothing, and that is said. ``fresh`` None: the share is gone, which is another alarm."""
        now_s = self._now_s()
        if fresh or fresh is None:
            self._grew_s = now_s
        if fresh:
            self.alarms.clear("cycler-silent")
        elif now_s - self._grew_s >= SILENT_AFTER_s:
            text = f"no new row in {self.places.ec.name} for {(now_s - self._grew_s) / 60:.0f} min"
            advice = "has the cycler stopped, does it write elsewhere, or does its software write only at the end?"
            self.alarms.sound("cycler-silent", "warn", "The cycler's file does not grow", text, advice)

    def _mark_problems(self) -> None:
        """A file that cannot be read for long is an alarm; one that is half written is none."""
        now_s = self._now_s()
        for name in [name for name in self._problems if name not in self.cycler.problems]:
            del self._problems[name]
            self.alarms.clear(f"cycler-{name}")
        for name, why in self.cycler.problems.items():
            if now_s - self._problems.setdefault(name, now_s) >= PROBLEM_AFTER_s:
                self.alarms.sound(
                    f"cycler-{name}", "warn", "A file of the cycler cannot be read", why, "it is tried again each time it changes"
                )

    # ----------------------------------------------------------------------------------------------------------- clocks

    def _told_offset(self) -> Offset | None:
        if self.places.offset is not None:
            return self.places.offset
        before = self.before
        return None if before.offset_s is None else Offset(before.offset_s, before.half_width_s, before.how)

    def _decide(self) -> None:
        """The offset, once both clocks have been seen often enough; or that it is not known."""
        ec, console = self.cycler.bounds, self.console_bounds
        if ec.n >= LEAST_ARRIVALS and console.known and (found := between(ec, console)).half_width_s <= SURE_HALF_WIDTH_s:
            self._use(found)
        elif self._now_s() - self._began_s >= self.hold_s and self._held:
            self._use(Offset(0.0, 0.0, NOT_KNOWN))
            text = f"the clocks could not be compared within {self.hold_s / 60:.0f} min; both are taken to be right"
            self.alarms.sound("clock-offset", "info", "The clocks are not compared", text, "import the files afterwards with --offset-s")

    def _use(self, offset: Offset) -> None:
        self.offset = offset
        self._told_width_s = offset.half_width_s
        self.sample(offset, used=True)

    def sample(self, offset: Offset, *, used: bool) -> None:
        """Journal what is known of the clocks; ``used``: from now on samples are told by it."""
        now_ns = self.clock.utc_ns()
        data = {
            "instrument": CYCLER,
            "half_width_ns": -1 if offset.how == NOT_KNOWN else round(offset.half_width_s * 1e9),
            "device_ns": now_ns - round(offset.seconds * 1e9),
            "offset_s": offset.seconds,
            "how": offset.how,
            "used": used,
        }
        self.now("clock.sample", data)
        if used and offset.how != NOT_KNOWN:
            self.note(f"the cycler's clock: {offset.seconds:+.1f} s ± {offset.half_width_s:.1f} s to the console's ({offset.how})")

    def _refine(self) -> None:
        """What later arrivals say; where it contradicts what is used, an alarm."""
        ec, console = self.cycler.bounds, self.console_bounds
        if self.offset is None or not (ec.known and console.known):
            return
        now = between(ec, console)
        if now.half_width_s < REFINED * self._told_width_s:
            self._told_width_s = now.half_width_s
            self.sample(now, used=False)
        if abs(now.seconds - self.offset.seconds) > now.half_width_s + max(self.offset.half_width_s, 1.0) and self.offset.how != NOT_KNOWN:
            used_s, found_s = f"{self.offset.seconds:+.1f} s", f"{now.seconds:+.1f} s ± {now.half_width_s:.1f} s"
            text = f"samples are told with {used_s}, and the clocks now differ by {found_s}"
            self.alarms.sound("clock-drift", "warn", "A clock was set", text, "import the files afterwards with --offset-s")

    # -------------------------------------------------------------------------------------------------------------- end

    async def end(self, why: str) -> dict[str, Any]:
        """The last that is there, and the run's end; data of ``run.ended``."""
        self._refine()
        if self.offset is not None:
            self._tell_samples()
        elif self._held:
            self.note("rows of the cycler wait for a comparison of the clocks; they are told when following goes on")
        self.cell.end()
        for folder, growing in list(self.datasets.growing.items())[:20]:
            self.note(f"{folder.name} is not complete: {growing.lacking or 'it is still being written'}")
        if self.cell.late:
            self.note(left_out(self.cell.late))
        await self._keep_cycler()
        counts = self.counts
        reason = (
            f"{why}; {counts['spectra']} spectra and {counts['samples']} samples told. The cell goes on as it was: nobody here drives it"
        )
        self.now("run.state", {"from": "running", "to": "finished", "why": why})
        ended = {"state": "finished", "outcome": "watched", "reason": reason, "complete": not counts["lost"], "exit_code": 0}
        self.now("run.ended", ended)
        return ended

    async def _keep_cycler(self) -> None:
        """The cycler's files as they are now; a share that is gone keeps its own."""
        name = CYCLER_KEY if not self.before.times else f"{CYCLER_KEY}-{self.before.times + 1}"
        try:
            async with asyncio.timeout(HANGS_AFTER_s):
                archived = await self.clock.in_thread(archive_cycler, self.places.ec, self.folder / "raw", name, lane="raw")
                words = await self.clock.in_thread(log_notes, self.places.ec, lane="raw")
        except (OSError, TimeoutError) as error:
            self.note(f"the cycler's files are not copied: {error}")
            return
        if archived is not None:
            self.now("raw.archived", archived)
        for text in words:
            self.note(text)
