"""TopSpin's command line, as far as a script needs it: ``zg``, ``halt``, ``tr``, parameters, ``efp`` and their like.

Every command has a result: -1 where a processing command fails; others say 0 whatever happened, and show dialogs instead.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from drivers.topspin.console import dataset, names, writer
from drivers.topspin.console.acquisition import Acquisition, number, scan_seconds
from drivers.topspin.console.dataset import Place
from drivers.topspin.console.jcamp import ParameterFile
from drivers.topspin.console.server import DISCARD, KEEP

if TYPE_CHECKING:
    from drivers.topspin.console.topspin import TopSpin

Command = Callable[[list[str]], Coroutine[Any, Any, int]]
COMPILE_ERROR = (
    "TCube: Cannot interpret pulse program: Cannot load line: duration is negative (-0.000002) In '{program}': line 24",
    "FCube2: is not ready",
    "CubeManager: Cannot run experiment {program}: TCube: is not ready",
)
ATM_s, SHIM_s, RGA_s = 14.6, 40.0, 5.0
LOCK_TEXT = "getLockAndSweepStatus - lock is off: please lock in prior to shimming"


class Commands:
    """The command line of one program."""

    def __init__(self, topspin: TopSpin) -> None:
        self.topspin = topspin
        self.table: dict[str, Command] = {
            "zg": self._zg, "go": self._go, "halt": self._halt, "stop": self._stop, "tr": self._tr, "rga": self._rga,
            "atma": self._atma, "atmm": self._atma, "pulsecal": self._atma, "topshim": self._topshim, "lock": self._lock,
            "re": self._re, "iexpno": self._iexpno, "wrpa": self._wrpa, "efp": self._process, "ef": self._process, "ft": self._process,
            "apk": self._nothing, "apbk": self._nothing, "abs": self._nothing, "getprosol": self._nothing, "sendgui": self._sendgui,
            "qumulti": self._qumulti, "qu": self._qu,
        }  # fmt: skip

    async def run(self, text: str) -> int:
        """Execute commands between semicolons; the result of the last."""
        result = 0
        if self.topspin.refused_to_all():
            return result
        for piece in text.split(";"):
            words = piece.split()
            try:
                result = await self._one(words) if words else result
            except (OSError, ValueError, names.NoParameter) as fault:
                self.topspin.screen.tell(f"{words[0]}: {fault}")
                result = -1
        return result

    async def _one(self, words: list[str]) -> int:
        command = self.table.get(words[0].lower())
        if command is not None:
            return await command(words[1:])
        return await self._assign(words)

    async def _assign(self, words: list[str]) -> int:
        """``ns 16``, ``1 td 10``: anything else that is a parameter's name."""
        place = 2 if words[0].isdigit() else 1
        name, value = " ".join(words[:place]), " ".join(words[place:])
        try:
            await self.topspin.call("PUTPAR", name, value)
        except Exception as fault:  # noqa: BLE001 the command line shows whatever went wrong
            self.topspin.screen.tell(f"{words[0]}: unknown command ({fault})")
        return 0

    # ------------------------------------------------------------------------------------------------------- acquisition

    async def _zg(self, _words: list[str]) -> int:
        await self._acquire(adds=False)
        return 0

    async def _go(self, _words: list[str]) -> int:
        await self._acquire(adds=True)
        return 0

    async def _acquire(self, *, adds: bool) -> None:
        topspin = self.topspin
        if (moved := topspin.faults.on.get("user_moves")) is not None and moved["at"] == "zg":
            topspin.faults.use("user_moves")
            topspin.current = await topspin.clock.in_thread(topspin.foreign)
        place = topspin.here()
        if self._refused(place) or not await self._may_overwrite(place, adds=adds):
            return
        file = dataset.read(place.path / "acqu")
        if file is None or self._not_runnable(place, file):
            return
        acquisition = await self._begin(place, file, adds=adds)
        await topspin.server.ended(acquisition.number)

    def _refused(self, place: Place) -> bool:
        """Somebody else uses the spectrometer (texts inferred)."""
        topspin, text = self.topspin, ""
        if topspin.server.active is not None:
            text = f"zg: acquisition already in progress in {topspin.server.active.place.path} by {topspin.server.active.user}"
        elif "automation" in topspin.faults:
            text = "zg: IconNMR automation is running"
        elif not dataset.exists(place):
            text = f"zg: {place.path}: no such data set"
        if text:
            topspin.screen.tell(text)
        return bool(text)

    async def _may_overwrite(self, place: Place, *, adds: bool) -> bool:
        topspin = self.topspin
        seconds, answer = None, "cancel"
        if (fault := topspin.faults.use("overwrite_prompt")) is not None:
            await topspin.clock.in_thread((place.path / "fid").write_bytes, bytes(1024))
            seconds, answer = fault["seconds"], str(fault["answer"])
        if adds or not topspin.site.zgsafety or not dataset.has_data(place):
            return True
        return await topspin.screen.ask(f"{place.path}: overwrite existing data?", "overwrite", seconds=seconds, answer=answer) == "ok"

    def _not_runnable(self, place: Place, file: ParameterFile) -> bool:
        """Errors of the parameters show as dialogs; whoever called goes on."""
        screen, two = self.topspin.screen, file.values.get("PARMODE", 0) != 0
        if two and not (place.path / "acqu2").exists():
            screen.tell(
                f"Cannot run single acquisition: inconsistent PARMODE 2D: Parameter set acqu2: {place.path / 'acqu2'}: Unable to open file"
            )
            return True
        if self.topspin.faults.use("compile_error") is not None:
            for text in COMPILE_ERROR:
                screen.tell(text.format(program=file.values.get("PULPROG", "zg")))
            return True
        return False

    async def _begin(self, place: Place, file: ParameterFile, *, adds: bool) -> Acquisition:
        topspin = self.topspin
        second = dataset.values(place.path / "acqu2") if file.values.get("PARMODE", 0) != 0 else {}
        if (fault := topspin.faults.use("wrong_nucleus")) is not None:
            file.values["SFO1"] = number(file.values, "SFO1") + float(fault["off_MHz"])
        acquisition = Acquisition(
            number=topspin.server.done + 1,
            words=place.words,
            user=topspin.site.desk.user,
            frozen=file.text(),
            NS=max(1, int(number(file.values, "NS"))),
            DS=max(0, int(number(file.values, "DS"))),
            scan_s=scan_seconds(file.values),
            overhead_s=topspin.site.overhead_s,
            run_ns=topspin.clock.mono_ns(),
            rows=max(1, int(number(second, "TD", 1.0))),
            adds=adds,
        )
        topspin.server.begin(acquisition)
        began = topspin.site.local(acquisition.run_ns)
        await topspin.clock.in_thread(writer.preallocate, topspin.site, acquisition, began)
        return acquisition

    async def _halt(self, _words: list[str]) -> int:
        if self.topspin.faults.use("halt_deaf") is None:
            await self._finish(KEEP)
        return 0

    async def _stop(self, _words: list[str]) -> int:
        await self._finish(DISCARD)
        return 0

    async def _finish(self, how: str) -> None:
        server = self.topspin.server
        running = server.active
        if running is None or not server.finish(how):
            self.topspin.screen.tell(f"{how}: no acquisition is running")
        else:
            await server.ended(running.number)

    async def _tr(self, _words: list[str]) -> int:
        if not await self.topspin.server.transfer():
            self.topspin.screen.tell("tr: no data yet")
        return 0

    # --------------------------------------------------------------------------------------------- tuning, lock, receiver

    async def _rga(self, _words: list[str]) -> int:
        await self.topspin.clock.sleep(RGA_s)
        return 0

    async def _atma(self, _words: list[str]) -> int:
        if "no_atm" in self.topspin.faults or not self.topspin.site.atm:
            await self.topspin.screen.ask("atma: no ATM accessory, or no licence for it", "error")
            return 0
        await self.topspin.clock.sleep(ATM_s)
        return 0

    async def _topshim(self, _words: list[str]) -> int:
        if "lock_off" in self.topspin.faults or not self.topspin.site.lock:
            self.topspin.screen.tell(LOCK_TEXT)
            return 0
        await self.topspin.clock.sleep(SHIM_s)
        return 0

    async def _lock(self, _words: list[str]) -> int:
        return -1 if self.topspin.faults.use("lock_refuses") is not None or not self.topspin.site.lock else 0

    async def _qumulti(self, words: list[str]) -> int:
        if self.topspin.server.active is not None:
            self.topspin.screen.tell("qumulti: the queue is running")
            return -1
        for expno in words:
            await self._re([expno])
            await self._acquire(adds=False)
        return 0

    async def _qu(self, words: list[str]) -> int:
        """``qu zgfp`` in one does not work."""
        if [word.lower() for word in words] == ["zg"]:
            return await self._zg([])
        self.topspin.screen.tell(f"qu: cannot queue {' '.join(words)}")
        return -1

    # --------------------------------------------------------------------------------------------- data sets, processing

    async def _re(self, words: list[str]) -> int:
        here = self.topspin.here()
        if len(words) == 1 and words[0].isdigit():
            place = Place(here.name, words[0], here.procno, here.folder, here.user)
        elif len(words) == 1:
            place = Place.at(words[0])
        else:
            place = Place(words[0], words[1], words[2] if len(words) > 2 else "1", here.folder, here.user)
        await self.topspin.show(place)
        return 0

    async def _iexpno(self, _words: list[str]) -> int:
        topspin = self.topspin
        here = topspin.here()
        if not dataset.exists(here.next()):
            await topspin.clock.in_thread(_parameters_only, here, here.next())
        await topspin.show(here.next())
        return 0

    async def _wrpa(self, words: list[str]) -> int:
        here = self.topspin.here()
        target = Place(here.name, words[0], here.procno, here.folder, here.user) if words[0].isdigit() else Place.at(words[0])
        await self.topspin.clock.in_thread(dataset.copy, here, target)
        return 0

    async def _process(self, _words: list[str]) -> int:
        topspin = self.topspin
        try:
            await topspin.clock.in_thread(writer.transform, topspin.site, topspin.here(), topspin.site.local())
        except (OSError, ValueError):
            return -1
        return 0

    async def _nothing(self, _words: list[str]) -> int:
        return 0

    async def _sendgui(self, words: list[str]) -> int:
        return await self._one(words) if words else 0


def _parameters_only(source: Place, target: Place) -> None:
    """A new expno with the parameters of the old one and no data."""
    dataset.copy(source, target)
    for name in ("fid", "ser", "acqus", "acqu2s", "audita.txt", "pdata/1/1r", "pdata/1/1i", "pdata/1/procs", "pdata/1/auditp.txt"):
        (target.path / name).unlink(missing_ok=True)
