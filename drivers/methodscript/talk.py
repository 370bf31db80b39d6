"""Questions and answers with an instrument: one conversation at a time, every wait bounded in real seconds."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from drivers.errors import BadReply, DeviceFault, InstrumentError, NotReachable, WrongInstrument
from drivers.methodscript import script, wire
from drivers.methodscript.link import Link
from drivers.methodscript.models import Model

REPLY_S = 2.0
SHORT_REPLY_S = 1.0
DEAF_S = 0.15
LOOK_S = 0.5
TRIES = 3
MOST_WAITING = 1000
OF_SCRIPT = (wire.Package, wire.Text, wire.LoopStart, wire.LoopEnd)

Wanted = Callable[[wire.Line], bool]


def refuses(line: wire.Line, command: str) -> bool:
    """The instrument refused that command."""
    return isinstance(line, wire.Refused) and line.command == command


def of_script(line: wire.Line) -> bool:
    """Only a running script says such a line."""
    return isinstance(line, OF_SCRIPT)


class Talk:
    """Lines are ``put`` in by the reader of the wire; whoever holds ``open`` hears them."""

    def __init__(self, link: Link, instrument: str, speed: float) -> None:
        self._link = link
        self._instrument = instrument
        self._speed = speed
        self._sent = ""
        self._lines: asyncio.Queue[tuple[str, wire.Line]] | None = None
        self._lock = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Alone on the wire; lines from before are forgotten."""
        async with self._lock:
            self._lines = asyncio.Queue(MOST_WAITING)
            try:
                yield
            finally:
                self._lines = None

    def put(self, text: str, line: wire.Line) -> None:
        """A line came; nobody may be listening."""
        if self._lines is not None and not self._lines.full():
            self._lines.put_nowait((text, line))

    async def send(self, text: str) -> None:
        """Raises NotReachable."""
        self._sent = text.strip().partition("\n")[0]
        await self._link.write(text.encode("ascii"))

    async def hear(self, wanted: Wanted, within_s: float = REPLY_S) -> tuple[str, wire.Line]:
        """The first wanted line, as text and parsed. Raises NotReachable."""
        assert self._lines is not None, "hear outside of open"
        try:
            async with asyncio.timeout(within_s):
                while True:
                    text, line = await self._lines.get()
                    if wanted(line):
                        return text, line
        except TimeoutError as silence:
            nothing = f"nothing within {within_s:g} s"
            raise NotReachable(
                "no answer", instrument=self._instrument, sent=self._sent, received=nothing, advice="check cable and power"
            ) from silence

    async def firmware(self, a_script_runs: Callable[[], bool]) -> wire.Firmware | None:
        """Who answers; None when a script runs. A first ``t`` may fall onto half a command of a host that died."""
        refused = False
        for _ in range(TRIES):
            await self.send("t\n")
            try:
                text, line = await self.hear(lambda line: isinstance(line, wire.Reply | wire.Refused), SHORT_REPLY_S)
            except NotReachable:
                if a_script_runs():
                    return None
                continue
            if isinstance(line, wire.Reply):
                return await self._firmware(text)
            refused = refuses(line, "t") or refused
            await asyncio.sleep(DEAF_S)
            if line == wire.Refused("t", wire.NOT_NOW, ""):
                return None
        if not refused:
            raise NotReachable(
                "no MethodSCRIPT instrument answers",
                instrument=self._instrument,
                sent="t",
                received=f"nothing, {TRIES} times",
                advice="check its power, its cable and the address in the rig file; close other programs that use the port",
            )
        return None

    async def _firmware(self, text: str) -> wire.Firmware:
        if not text.endswith("*"):
            text += "\n" + (await self.hear(lambda _: True))[0]
        try:
            return wire.parse_firmware(text[1:])
        except ValueError as fault:
            raise WrongInstrument("answers, but not as MethodSCRIPT", instrument=self._instrument, sent="t", received=text) from fault

    async def query(self, command: str) -> str:
        """The answer to a query; empty where this firmware refuses it."""
        await self.send(f"{command}\n")
        answers = wire.Reply | wire.Refused
        _, line = await self.hear(lambda line: isinstance(line, answers) and line.command == command)
        if isinstance(line, wire.Reply):
            return line.text
        await asyncio.sleep(DEAF_S)
        return ""

    async def load(self, text: str) -> wire.Refused | None:
        """Put a script into memory; twice, if nothing comes back (it does not run by that). Raises NotReachable."""
        for last in (False, True):
            await self.send(f"l\n{text}\n")
            try:
                _, line = await self.hear(lambda line: line == wire.Echo("l") or refuses(line, "l"))
            except NotReachable:
                if last:
                    raise
                continue
            if isinstance(line, wire.Refused):
                await asyncio.sleep(DEAF_S)
                return line
            break
        return None

    async def abort(self, within_s: float) -> bool:
        """``Z``; the empty line before it ends a half-sent script. True when a script ran. Raises NotReachable."""
        await self.send("\nZ\n")
        _, line = await self.hear(lambda line: line == wire.Echo("Z") or refuses(line, "Z"), within_s)
        if isinstance(line, wire.Refused):
            await asyncio.sleep(DEAF_S)
        return isinstance(line, wire.Echo)

    async def rescue(self) -> None:
        """``cell_off`` as a script of its own. Raises InstrumentError when it was not accepted."""
        fault: InstrumentError = NotReachable(
            "cell_off was not answered",
            instrument=self._instrument,
            sent="cell_off, as a script of its own",
            received=f"nothing, {TRIES} times",
            advice="go to the instrument and switch its output off",
        )
        for _ in range(TRIES):
            await self.send(f"\ne\n{script.RESCUE}\n")
            try:
                _, line = await self.hear(lambda line: line == wire.Echo("e") or refuses(line, "e"), SHORT_REPLY_S)
                if isinstance(line, wire.Echo):
                    await self.hear(lambda line: isinstance(line, wire.Empty), SHORT_REPLY_S)
                    return
            except NotReachable:
                continue
            if isinstance(line, wire.Refused):
                fault = BadReply(f"cell_off was refused: {wire.meaning(line.code)}", instrument=self._instrument)
            await asyncio.sleep(DEAF_S)
        raise fault

    async def look(self, model: Model) -> float:
        """The voltage at open circuit. Raises DeviceFault when the instrument says that the cell is on."""
        await self.send(f"e\n{script.look_script(model)}\n")
        _, line = await self.hear(lambda line: line == wire.Echo("e") or refuses(line, "e"))
        voltage_V: float | None = None
        while not isinstance(line, wire.Empty):
            _, line = await self.hear(lambda _: True, REPLY_S + LOOK_S / self._speed)
            if isinstance(line, wire.RuntimeFault | wire.Refused):
                await asyncio.sleep(DEAF_S)
                raise DeviceFault(f"look at open circuit failed: {wire.meaning(line.code)}", instrument=self._instrument)
            if isinstance(line, wire.Package) and (measured := line.first("ab")):
                voltage_V = measured.value
        if voltage_V is None:
            raise BadReply("no voltage in the look at open circuit", instrument=self._instrument)
        return voltage_V
