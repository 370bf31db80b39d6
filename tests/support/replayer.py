"""Plays other people's instruments: recorded data folders and a cycler's file appear piece by piece, by clocks that disagree.

No samples were published with the recorded VnmrJ run, only EC-Lab's settings and log: the ``.mpt`` is made here from those settings
(rest 10 s, then ±0.5 mA between ±1 V) on a cell that is a capacitor behind a resistor.
"""

from __future__ import annotations

import asyncio
import math
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from drivers.clock import Clock

STAMP = "%Y%m%dT%H%M%S"
FARAD, OHM, CURRENT_mA = 0.9, 80.0, 0.5
COLUMNS = ("mode", "ox/red", "error", "control changes", "Ns changes", "counter inc.", "time/s", "control/V/mA", "Ewe/V", "I/mA")
PIECES = 4


def mpt_head(began: datetime) -> str:
    """EC-Lab's head; ``began`` local, without zone."""
    lines = [
        "EC-Lab ASCII FILE",
        "Nb header lines : ",
        "",
        "Modulo Bat",
        "",
        f"Acquisition started on : {began:%m/%d/%Y %H:%M:%S}.{began.microsecond // 1000:03d}",
        "",
    ]
    lines.append("\t".join(COLUMNS) + "\t")
    lines[1] += str(len(lines))
    return "\r\n".join(lines) + "\r\n"


def mpt_rows(seconds: float, every_s: float) -> Iterator[tuple[float, str]]:
    """(time_s, line) of a cell cycled between ±1 V, from 0 on."""
    stored_V, current_mA, changed = 0.0, 0.0, 0
    t_s = 0.0
    while t_s <= seconds:
        Ewe_V = stored_V + OHM * current_mA / 1e3
        mode = 3 if current_mA == 0 else 1
        numbers = (mode, int(current_mA > 0), 0, changed, changed, 0)
        yield (
            t_s,
            "\t".join([*(str(one) for one in numbers), f"{t_s:.6E}", f"{current_mA:.4E}", f"{Ewe_V:.7E}", f"{current_mA:.7E}"]) + "\t\r\n",
        )
        changed = 0
        if (current_mA == 0 and t_s >= 10) or abs(Ewe_V) >= 1.0:
            current_mA, changed = (CURRENT_mA if current_mA == 0 else -math.copysign(CURRENT_mA, Ewe_V)), 1
        stored_V += current_mA / 1e3 * every_s / FARAD
        t_s += every_s


@dataclass(slots=True)
class Replayer:
    """``play`` writes ``recorded`` (a folder of ``.fid``) into ``nmr`` and a cycler's file into ``ec``, as their time comes.

    The console's clock shows what its stamps say; this computer's is ``console_ahead_s`` behind it, the cycler's ``cycler_ahead_s``
    ahead of this computer's. ``gone``: [(from_s, to_s)] in which both shares are away.
    """

    recorded: Path
    nmr: Path
    ec: Path
    clock: Clock
    zone: str = "Europe/Berlin"
    console_ahead_s: float = 180.0
    cycler_ahead_s: float = 420.0
    every_s: float = 5.0
    most: int = 1000
    gone: list[tuple[float, float]] = field(default_factory=list)

    @property
    def folders(self) -> list[Path]:
        """In the order in which they were saved."""
        return sorted(self.recorded.glob("*.fid"), key=self.saved)[: self.most]

    @staticmethod
    def stamp(folder: Path, name: str) -> datetime:
        """A stamp of its procpar, local."""
        lines = (folder / "procpar").read_text("latin-1").splitlines()
        at = next(n for n, line in enumerate(lines) if line.startswith(f"{name} "))
        return datetime.strptime(lines[at + 1].split()[1].strip('"'), STAMP)

    def saved(self, folder: Path) -> datetime:
        """When it was saved, by the console's clock."""
        return self.stamp(folder, "time_saved")

    def utc_ns(self, local: datetime) -> int:
        """Of a stamp of the console."""
        return (local.replace(tzinfo=ZoneInfo(self.zone)) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000

    @property
    def epoch_utc_ns(self) -> int:
        """This computer's time at the beginning: a minute before the first acquisition."""
        first = min(self.stamp(folder, "time_run") for folder in self.folders)
        return self.utc_ns(first) - round((self.console_ahead_s + 60) * 1e9)

    @property
    def seconds(self) -> float:
        """How long it plays."""
        return (self.utc_ns(self.saved(self.folders[-1])) - self.epoch_utc_ns) / 1e9 - self.console_ahead_s + 30

    @property
    def offset_s(self) -> float:
        """To be added to the cycler's stamps to get the console's."""
        return self.console_ahead_s - self.cycler_ahead_s

    def away(self, t_s: float) -> bool:
        """Are the shares away?"""
        return any(begin <= t_s < end for begin, end in self.gone)

    async def play(self) -> None:
        """Write everything at its time."""
        begin_ns = self.clock.mono_ns()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._console(begin_ns))
            group.create_task(self._cycler(begin_ns))
            for begin, end in self.gone:
                group.create_task(self._vanish(begin_ns, begin, end))

    async def _vanish(self, begin_ns: int, begin: float, end: float) -> None:
        """The mount points are not there; the instruments go on writing behind them."""
        for seconds in (begin, end):
            await self.clock.sleep_until(begin_ns + round(seconds * 1e9))
            for path in (self.nmr, self.ec):
                here, hidden = path, path.with_name(path.name + ".away")
                source, target = (here, hidden) if seconds == begin else (hidden, here)
                source.rename(target)

    def _now(self, path: Path) -> Path:
        """Where a share lies now."""
        hidden = path.with_name(path.name + ".away")
        return hidden if hidden.exists() else path

    async def _console(self, begin_ns: int) -> None:
        for folder in self.folders:
            at_s = (self.utc_ns(self.saved(folder)) - self.epoch_utc_ns) / 1e9 - self.console_ahead_s
            await self.clock.sleep_until(begin_ns + round((at_s + 0.4) * 1e9))
            await self.save(folder)

    async def save(self, folder: Path) -> None:
        """One data folder, in pieces."""
        (self._now(self.nmr) / folder.name).mkdir(parents=True)
        for name in ("text", "fid", "procpar", "log"):
            content = (folder / name).read_bytes()
            size = max(1, -(-len(content) // PIECES))
            for at in range(0, max(1, len(content)), size):
                with (self._now(self.nmr) / folder.name / name).open("ab") as file:
                    file.write(content[at : at + size])
                await self.clock.sleep(0.37)

    async def _cycler(self, begin_ns: int) -> None:
        for path in sorted((self.recorded / "echem").glob("*.mp[ls]")):
            shutil.copy(path, self._now(self.ec) / path.name)
        name = "FF025e_cycle_made_here.mpt"
        began_ns = self.epoch_utc_ns + round(self.cycler_ahead_s * 1e9)
        began = (
            (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=began_ns // 1000))
            .astimezone(ZoneInfo(self.zone))
            .replace(tzinfo=None)
        )
        head = mpt_head(began)
        with (self._now(self.ec) / name).open("w", encoding="latin-1", newline="") as file:
            file.write(head[:100])
        await self.clock.sleep(1.0)
        left = head[100:]
        for t_s, line in mpt_rows(self.seconds, self.every_s):
            await self.clock.sleep_until(begin_ns + round((max(t_s, 2.0) + 0.2) * 1e9))
            text, left = left + line[:30], line[30:]
            self._append(name, text)
            await self.clock.sleep(0.3)
            self._append(name, left)
            left = ""

    def _append(self, name: str, text: str) -> None:
        with (self._now(self.ec) / name).open("a", encoding="latin-1", newline="") as file:
            file.write(text)
