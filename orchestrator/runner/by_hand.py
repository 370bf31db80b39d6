"""An acquisition that a person, or another program, makes: asked for, its files watched for, adopted."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from drivers.base import Fetched, RawFile
from orchestrator.plan.orders import PlannedAcquisition
from orchestrator.runner.foreign_files import Understood, understood
from orchestrator.runner.prompts import Prompts
from orchestrator.runner.readiness import overdue_s
from orchestrator.runner.records import Record, Records
from orchestrator.runner.states import AcquisitionState
from orchestrator.runner.station import Surroundings
from orchestrator.runner.storing import Storing
from orchestrator.runner.watched_folder import Seen, adopted, look, new
from orchestrator.runner.wire import within

LOOK_EVERY_S = 5.0
STABLE_S = 10.0
ARCHIVE_WITHIN_S = 300.0
"""A share that hangs while it is looked at is given up, as one that says no."""

S = AcquisitionState


def is_by_hand(planned: PlannedAcquisition) -> bool:
    """Nobody but a person, or another program, measures this one."""
    return "manual" in planned.template


class ByHand:
    """Makes one record at a time, in the console's owner task: whoever uses the console by hand has it to himself."""

    def __init__(self, surroundings: Surroundings, records: Records, storing: Storing, prompts: Prompts) -> None:
        self._s = surroundings
        self._records = records
        self._storing = storing
        self._prompts = prompts
        self._given_up: asyncio.Event = asyncio.Event()

    def give_up(self) -> None:
        """The run ends: nobody waits for a person any more, and what stands is adopted as it is."""
        self._given_up.set()

    async def make(self, record: Record) -> None:
        """See one record to its end."""
        template = record.planned.template
        folder = None if "watch_folder" not in template else self._s.station.hands_folder / str(template["watch_folder"])
        before = {} if folder is None else await self._look(record, folder)
        if before is None or record.over:
            return  # not wanted any more, while the folder was looked at
        self._records.move(record, S.ARMED)
        self._s.put("acquisition.armed", record.seq, key=record.key, parameters=dict(template), deviations={})
        watch = _Watch(self._s, folder, before)
        asked = asyncio.create_task(self._prompts.ask(record.key, f"By hand: {record.name}", self._text(record)), name="prompt")
        gone = asyncio.create_task(self._given_up.wait(), name="given up")
        try:
            who = await self._until_made(record, watch, asked, gone)
        except OSError as error:
            self._end(record, f"{template['watch_folder']} cannot be read: {error}")
            return
        finally:
            for task in (asked, gone):
                task.cancel()
            await asyncio.wait({asked, gone})
        await self._adopt(record, watch, who)

    def _text(self, record: Record) -> str:
        template, planned = record.planned.template, record.planned
        where = f"; its files are taken from {template['watch_folder']}" if "watch_folder" in template else ""
        swept = "".join(f", {name} {', '.join(f'{value:g}' for value in values)}" for name, values in template.get("arrays", {}).items())
        return f"please make `{template['manual']}`{swept} ({planned.duration_s / 60:g} min){where}"

    async def _look(self, record: Record, folder: Path) -> dict[str, tuple[int, int]] | None:
        try:
            return await within(ARCHIVE_WITHIN_S, self._s.clock.in_thread(look, folder, lane="raw"))
        except (OSError, TimeoutError) as error:
            self._end(record, f"{record.planned.template['watch_folder']} cannot be read: {error}")
            return None

    async def _until_made(self, record: Record, watch: _Watch, asked: asyncio.Task[str], gone: asyncio.Task[bool]) -> str:
        """Until a person says so, its own minutes are over, or nobody waits any more; returns who or what has said so."""
        clock, planned = self._s.clock, record.planned
        until_ns = clock.mono_ns() + int(overdue_s(planned, self._s.plan) * 1e9)
        while not gone.done():
            if await watch.look() and record.state is S.ARMED:
                self._begun(record)
            now_ns = clock.mono_ns()
            if asked.done() and watch.stable:
                return asked.result()
            if watch.first_ns is not None and watch.stable and now_ns - watch.first_ns >= planned.duration_s * 1e9:
                return "its minutes are over"
            if now_ns >= until_ns and not (watch.files and not watch.stable):
                return "nobody has said that it is done"
            sleep = asyncio.create_task(clock.sleep(LOOK_EVERY_S), name="look again")
            try:
                await asyncio.wait({sleep, gone, *([] if asked.done() else [asked])}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                sleep.cancel()
                await asyncio.wait({sleep})
        record.partial = True
        return "the run has ended"

    def _begun(self, record: Record) -> None:
        """When it began nobody has heard: the stamp is when its first file was seen."""
        record.times[0] = [None, None]
        self._s.put("acquisition.started", record.seq, key=record.key, block=0, latency_s=None, heard=False)
        self._records.move(record, S.ACQUIRING)

    async def _adopt(self, record: Record, watch: _Watch, who: str) -> None:
        template = record.planned.template
        if not watch.files and ("watch_folder" in template or who in {"nobody has said that it is done", "the run has ended"}):
            self._end(record, f"nothing new in {template['watch_folder']}: {who}" if "watch_folder" in template else who)
            return
        if record.state is S.ARMED:
            self._begun(record)
        self._s.put("acquisition.acquired", record.seq, key=record.key, block=0, scans_done=None, heard=False, said_by=who)
        self._records.move(record, S.ACQUIRED)
        path = str(template.get("watch_folder", ""))
        seq = self._s.put("acquisition.filed", record.seq, key=record.key, block=0, path=path)
        self._records.move(record, S.FILED)
        try:
            files = () if watch.folder is None else await within(ARCHIVE_WITHIN_S, self._hashed(watch.folder, watch.files))
        except (OSError, TimeoutError) as error:
            self._records.end(record, S.LOST, f"not adopted: {error}")
            return
        changed_utc_ns = {name: how[1] for name, how in watch.files.items()}
        await self._storing.adopt(record, files, changed_utc_ns, seq, await self._read(record, watch))

    async def _read(self, record: Record, watch: _Watch) -> Fetched | None:
        """What a driver's reader makes of the files; nothing, and a note that says why, where none knows them."""
        if watch.folder is None:
            return None
        try:
            reading = self._s.clock.in_thread(understood, watch.folder, tuple(watch.files), record.key, lane="raw")
            found = await within(ARCHIVE_WITHIN_S, reading)
        except (TimeoutError, ValueError, LookupError, TypeError) as error:
            found = Understood(None, str(error))
        if found.fetched is None:
            self._s.put("note", record.seq, text=f"{record.key}: adopted as files, no FID in run.h5: {found.why}", who="rig")
        return found.fetched

    async def _hashed(self, folder: Path, files: Seen) -> tuple[RawFile, ...]:
        return await self._s.clock.in_thread(adopted, folder, files, lane="raw")

    def _end(self, record: Record, why: str) -> None:
        self._records.end(record, S.MISSED if record.state in {S.REQUESTED, S.ARMED} else S.LOST, why)


class _Watch:
    """What has come into a folder since a prompt was raised. ``first_ns``: when the first of it was seen."""

    def __init__(self, surroundings: Surroundings, folder: Path | None, before: Mapping[str, tuple[int, int]]) -> None:
        self._s = surroundings
        self.folder = folder
        self._before = before
        self._since_ns = surroundings.clock.mono_ns()
        self.files: dict[str, tuple[int, int]] = {}
        self.first_ns: int | None = None
        self.stable = folder is None

    async def look(self) -> bool:
        """Look once more; True when there is something new. Raises OSError."""
        if self.folder is None:
            return False
        now = await within(ARCHIVE_WITHIN_S, self._s.clock.in_thread(look, self.folder, lane="raw"))
        found, now_ns = new(now, self._before), self._s.clock.mono_ns()
        if found != self.files:
            self.files, self._since_ns = found, now_ns
        if found and self.first_ns is None:
            self.first_ns = now_ns
        # files are written in the computer's time, however fast the experiment's runs
        self.stable = now_ns - self._since_ns >= STABLE_S * self._s.clock.speed * 1e9
        return bool(found)
