"""The console's side of OpenVnmrJ: command socket, MAGICAL, acquisitions, files, back channel.

Built to the document (OpenVnmrJ's sources and recorded data sets), not yet met a console. Options: ``vnmruser`` (the
user's folder; default: a temporary one, or ``vnmrsys`` in ``folder``), ``shown_as`` (that folder's name on the console),
``data`` (a folder of recorded ``.fid`` directories to replay), ``overhead_s`` (2.3; 8 on a DD2), ``connect_timeout_s``
(127) of ``write('net')``, ``zone`` (IANA, "UTC"), ``clock_off_s``, ``user``, ``pid``, ``port``, ``infostat_port`` (where a
status stream is sent), ``faults`` (names, or name → parameters).
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from drivers.base import Context, EmulatorAddress, Listener, Settings
from drivers.errors import NotReachable
from drivers.openvnmrj.console.commands import Commands
from drivers.openvnmrj.console.experiment import Experiment
from drivers.openvnmrj.console.faults import DEAD_PID, DEFAULTS, NAMES
from drivers.openvnmrj.console.foreground import Command, Foreground
from drivers.openvnmrj.console.infostat import Infostat
from drivers.openvnmrj.console.parameters import ParameterSet
from drivers.openvnmrj.console.scanner import Scanner
from drivers.openvnmrj.replay import Recording
from drivers.openvnmrj.vnmrfiles import swapped_port, talk
from drivers.sim.stamps import Stamps
from drivers.sim.switches import Faults

CONNECT_TIMEOUT_s = 127.0
START = re.compile(rb"\bau\b")
OTHER_USER = "guest"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class OpenVnmrJEmulator:
    """VnmrJ and its console, in front of the twin of the context (or of a recording)."""

    fault_names = NAMES

    def __init__(self, settings: Settings, context: Context) -> None:
        options = settings.options
        self.settings = settings
        self.clock = context.clock
        self.network = context.network
        self.options = options
        self.connect_timeout_s = float(options.get("connect_timeout_s", CONNECT_TIMEOUT_s))
        self.zone = ZoneInfo(str(options.get("zone", "UTC")))
        self.clock_off_s = float(options.get("clock_off_s", 0.0))
        self.pid = int(options.get("pid", os.getpid()))
        self.port = int(options.get("port", 0))
        self._temporary = ""
        self.vnmruser = self._user_folder(options)
        self.experiment = Experiment(self.vnmruser, str(options.get("shown_as", "")))
        self.faults = Faults(DEFAULTS, self.clock, self._switched, self.clear)
        data = str(options.get("data") or "")
        recording = Recording(Path(data)) if data else None
        self.parameters = ParameterSet(context.twin.larmor_MHz if recording is None else recording.larmor_MHz)
        self.scanner = Scanner(
            self.clock,
            context.twin,
            self.parameters,
            experiment=self.experiment,
            faults=self.faults,
            local=self.local,
            process=self._process,
            options=options,
        )
        self.scanner.recording = recording
        self.commands = Commands(self)
        self.foreground = Foreground(self, self.clock.sleep, self._mark)
        self.background = Foreground(self, self.clock.sleep)
        self.parts: list[Scanner | Foreground | Infostat] = [self.scanner, self.foreground, self.background]
        if port := int(options.get("infostat_port", 0)):
            self.parts.append(Infostat(self.clock, self.network, self.scanner, port))
        self._listener: Listener | None = None
        self._door: asyncio.Task[None] | None = None
        self.faults.inject_all(options.get("faults", ()))

    def _user_folder(self, options: Mapping[str, Any]) -> Path:
        if named := str(options.get("vnmruser", "")):
            return Path(named).absolute()
        if folder := str(options.get("folder", "")):
            return Path(folder).absolute() / "vnmrsys"
        self._temporary = tempfile.mkdtemp(prefix="vnmrsys-")
        return Path(self._temporary)

    @property
    def stamps(self) -> Stamps:
        """Marks in real time: command read, start read, submitted, acquired, saved."""
        return self.scanner.stamps

    @property
    def served_recorded(self) -> bool:
        """True in replay: files are served byte for byte."""
        return self.scanner.recording is not None

    async def edge(self) -> bool:
        """A pulse on the external gate; False where nothing waits for one."""
        return self.scanner.edge()

    # ------------------------------------------------------------------------------------------------------------- life

    async def start(self) -> EmulatorAddress:
        """Listen, write ``.talk`` and live; the address is the user's folder."""
        await self.clock.in_thread(self.experiment.make)
        self._listener = await self.network.listen(port=self.port)
        self.port = self._listener.port
        self.faults.start()
        if "talk_missing" not in self.faults:
            await self.clock.in_thread(self.write_talk)
        await self.flush()
        self._door = asyncio.create_task(self._accept(self._listener))
        for part in self.parts:
            part.start()
        return EmulatorAddress(self.settings.instrument, "openvnmrj", str(self.vnmruser), self._listener.host, self.port)

    async def stop(self) -> None:
        """Close the socket; the twin and the files stay (a temporary folder goes)."""
        await self.faults.stop()
        if self._door is not None:
            self._door.cancel()
            with suppress(asyncio.CancelledError):
                await self._door
        for part in self.parts:
            await part.stop()
        if self._listener is not None:
            await self._listener.close()
        self.remove_talk()
        if self._temporary:
            shutil.rmtree(self._temporary, ignore_errors=True)

    async def _accept(self, listener: Listener) -> None:
        with suppress(NotReachable):
            while True:
                self.foreground.hear(await listener.accept())

    # ------------------------------------------------------------------------------------------------------------ .talk

    def write_talk(self) -> None:
        """``listenon``: host, port in network byte order as an int, pid."""
        port = self.port if "swapped_byte_order" in self.faults else swapped_port(self.port)
        if "refused_port" in self.faults:
            port = swapped_port(1)
        pid = DEAD_PID if "stale_pid" in self.faults else self.pid
        host = self._listener.host if self._listener is not None else "127.0.0.1"
        (self.vnmruser / ".talk").write_text(talk(host, port, pid))

    def remove_talk(self) -> None:
        """``listenoff``."""
        (self.vnmruser / ".talk").unlink(missing_ok=True)

    # ------------------------------------------------------------------------------------------------------------- time

    def console_time(self) -> tuple[int, int]:
        """Seconds and microseconds since 1970 by the console's clock."""
        micro = self.clock.utc_ns() // 1000 + round(self._off_s() * 1e6)
        return divmod(micro, 1_000_000)

    def _off_s(self) -> float:
        return self.clock_off_s + (float(self.faults["clock_off"]["seconds"]) if "clock_off" in self.faults else 0.0)

    def local(self, mono_ns: int) -> datetime:
        """The console's local time at an instant of the run's clock, by its own wrong or right clock."""
        utc = EPOCH + timedelta(microseconds=self.clock.utc_of(mono_ns) // 1000) + timedelta(seconds=self._off_s())
        return utc.astimezone(self.zone)

    # ------------------------------------------------------------------------------- what the foreground works on

    def values(self, name: str) -> list[float | str]:
        """Values of a parameter: as recorded in replay."""
        if self.scanner.recording is not None and name in self.parameters:
            shown = self.scanner.active.recorded if self.scanner.active else ""
            recorded = self.scanner.recording.at(shown) or self.scanner.recording.peek(str(self.parameters["tn"]))
            if recorded is not None and name in recorded.overlay:
                return [recorded.overlay[name]]
        return self.parameters.values(name)

    def assign(self, name: str, values: list[float | str], place: int | None) -> None:
        """Assign to a parameter."""
        self.parameters.assign(name, values, place)

    def command(self, name: str) -> Command | None:
        """A built-in command."""
        return self.commands.table.get(name)

    async def macro(self, name: str) -> str | None:
        """Text of a macro in the user's maclib."""
        path = self.vnmruser / "maclib" / name
        if "/" in name or not path.is_file():
            return None
        return str(await self.clock.in_thread(lambda: path.read_text(encoding="latin-1")))

    async def flush(self) -> None:
        """Write curpar, which otherwise lags behind."""
        if "curpar_stale" not in self.faults:
            await self.clock.in_thread(self.experiment.write_curpar, self.parameters.text())

    def _mark(self, command: bytes) -> None:
        self.stamps.mark("start read" if START.search(command) else "command read")

    def _process(self, text: str, origin: str) -> None:
        where = self.background if "background_processing" in self.faults else self.foreground
        where.execute(text, origin)

    # ----------------------------------------------------------------------------------------------------------- faults

    def inject(self, fault: str, **parameters: Any) -> None:
        """Switch a fault on (``drivers.openvnmrj.console.faults`` lists them and their parameters)."""
        self.faults.inject(fault, parameters)

    def clear(self, fault: str) -> None:
        """Switch a fault off."""
        self.faults.clear(fault)
        self._apply(fault, on=False)

    def _switched(self, fault: str) -> None:
        twin = self.scanner.twin
        twin.tell((self.clock.mono_ns() - twin.t0_mono_ns) / 1e9, "fault", instrument=self.settings.instrument, fault=fault)
        self._apply(fault, on=True)

    def _apply(self, fault: str, *, on: bool) -> None:
        if fault == "talk_missing" and on:
            self.remove_talk()
        elif fault in {"talk_missing", "stale_pid", "swapped_byte_order", "refused_port"} and self._listener is not None:
            self.write_talk()
        elif fault == "foreground_busy" and on:
            self.foreground.occupy(float(self.faults[fault]["seconds"]))
            self.faults.clear(fault)
        elif fault == "silent":
            self.foreground.dead = on
            if not on:
                self.foreground.occupy(0.0)
        elif fault == "wrong_nucleus":
            self.parameters.nucleus_switches = not on
        elif fault == "gain_rounding":
            self._gain_step(float(self.faults[fault]["step_dB"]) if on else 1.0)
        elif fault == "wexp_stale" and on:
            self._foreign(int(self.faults[fault]["scans"]))

    def _gain_step(self, step_dB: float) -> None:
        gain = self.parameters.tree["gain"]
        gain.header = (*gain.header[:4], f"{step_dB:g}", *gain.header[5:])

    def _foreign(self, scans: int) -> None:
        """Another user's acquisition in this experiment."""
        self.scanner.submit(processed=True, user=OTHER_USER)
        self.scanner.queue[-1].nt = scans
        self.faults.clear("wexp_stale")

    # ------------------------------------------------------------------------------------------------------------ state

    def snapshot(self) -> dict[str, Any]:
        """Plain data; files lie on the disk and are not in it."""
        now_ns = self.clock.mono_ns()
        return {
            "vnmruser": str(self.vnmruser),
            "port": self.port,
            "mono_ns": now_ns,
            "parameters": self.parameters.text(),
            "nucleus_switches": self.parameters.nucleus_switches,
            "scanner": self.scanner.snapshot(),
            "foreground": self.foreground.snapshot(),
            "background": self.background.snapshot(),
            "faults": self.faults.snapshot(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a snapshot, in the same folder; call it before ``start``."""
        self.vnmruser = self.experiment.vnmruser = Path(state["vnmruser"])
        self.experiment = self.scanner.experiment = Experiment(self.vnmruser, self.experiment.shown_as)
        self.port = state["port"]
        self.parameters.load(state["parameters"])
        self.parameters.nucleus_switches = state["nucleus_switches"]
        self.scanner.restore(state["scanner"], self.clock.mono_ns() - state["mono_ns"])
        self.foreground.restore(state["foreground"])
        self.background.restore(state["background"])
        self.faults.restore(state["faults"])
