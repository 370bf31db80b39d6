"""nqrduck's ATM as a ``Tuner``. Built to the document (consoles.md 5.3), not yet met an instrument.

Options: ``presets``: name → ``frequency_MHz`` (at ``shift_ppm``, 0), and where to search from: ``tune_V`` and ``match_V``, or, of a
probe with motors, ``tune_steps`` and ``match_steps``; ``good_dB``: a reflection at or below this is tuned (-15); ``span_MHz``: the
range of the sweep that proves it (0.4); ``within_s``: how long a search may take (90); ``motors``: ``range_steps`` and
``step_steps`` of a search, ``backlash_steps``, ``within_s`` of one move; ``baud``. A rig's ``tuner_preset`` names one of the
presets; without one the preset has the nucleus' name. Motors are homed once, before the first tuning that needs them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from drivers.atm.motors import Motors
from drivers.atm.wire import LONGEST_LINE, PREAMPLIFIER, TUNER, WHERE, Kind, Reply, at, reflection_dB, reply, search, sweep
from drivers.base import ByteStream, Confirmation, Context, Identity, SafeState, Settings, TuneResult
from drivers.errors import BadReply, DeviceFault, InstrumentError, NotReachable, OutcomeUnknown, Rejected

BAUD = 115200
SWITCH_WITHIN_S = 10.0
ANSWER_WITHIN_S = 5.0
SWEEP_WITHIN_S = 60.0
POINTS = 20


@dataclass(frozen=True, slots=True)
class Preset:
    """Where to tune, and the voltages to search from."""

    frequency_MHz: float
    tune_V: float = 0.0
    match_V: float = 0.0
    tune_steps: float | None = None
    match_steps: float | None = None
    shift_ppm: float = 0.0

    @property
    def mechanical(self) -> bool:
        """Do motors turn its capacitors?"""
        return self.tune_steps is not None and self.match_steps is not None

    def at(self, carrier_ppm: float) -> Preset:
        """The same probe at another carrier, counted from the same reference."""
        moved = (1 + carrier_ppm * 1e-6) / (1 + self.shift_ppm * 1e-6)
        return replace(self, frequency_MHz=self.frequency_MHz * moved, shift_ppm=carrier_ppm)


class Atm:
    """One ATM on one serial line."""

    def __init__(self, settings: Settings, context: Context) -> None:
        options = settings.options
        self._name = settings.instrument
        self._address = settings.address
        self._clock = context.clock
        self._network = context.network
        self._baud = int(options.get("baud", BAUD))
        self._good_dB = float(options.get("good_dB", -15.0))
        self._span_MHz = float(options.get("span_MHz", 0.4))
        self._within_s = float(options.get("within_s", 90.0))
        self._motors = Motors(self._ask, **{str(name): int(value) for name, value in dict(options.get("motors", {})).items()})
        self._presets = {str(name): _preset(given) for name, given in dict(options.get("presets", {})).items()}
        self._port: ByteStream | None = None
        self._reader: asyncio.Task[None] | None = None
        self._lines: asyncio.Queue[Reply | None] = asyncio.Queue()
        self._turn = asyncio.Lock()
        self._doing = "idle"

    async def connect(self) -> Identity:
        """Open the line and see that somebody answers; nothing moves. Raises NotReachable, BadReply."""
        if self._port is None:
            self._port = await self._network.serial(self._address, baud=self._baud)
            self._reader = asyncio.create_task(self._read(self._port), name=f"{self._name} reader")
        await self._ask(WHERE, "position", ANSWER_WITHIN_S)
        return Identity("nqrduck", "ATM")

    async def read_state(self) -> str:
        """``idle``, ``tuning`` or ``measuring``, and where the motors stand."""
        if self._turn.locked():
            return self._doing
        position = await self._ask(WHERE, "position", ANSWER_WITHIN_S)
        return f"idle at {position.text}"

    async def tune(self, nucleus: str, preset: str = "") -> TuneResult:
        """Search, prove by a sweep, and give the probe back to the preamplifier. Raises InstrumentError."""
        return await self._tuned(self._wanted(nucleus, preset))

    async def tune_at(self, nucleus: str, preset: str, carrier_ppm: float) -> TuneResult:
        """The same at another carrier. Raises InstrumentError."""
        return await self._tuned(self._wanted(nucleus, preset).at(carrier_ppm))

    async def _tuned(self, wanted: Preset) -> TuneResult:
        began_ns = self._clock.mono_ns()
        async with self._turn, self._at_tuner("tuning"):
            where = await (self._turned(wanted) if wanted.mechanical else self._varied(wanted))
            reached_dB = await self._measured(wanted)
        now_ns = self._clock.mono_ns()
        ok = reached_dB is not None and reached_dB <= self._good_dB
        detail = where + ("" if ok else f"; not matched: wanted {self._good_dB:g} dB or less")
        return TuneResult(ok, now_ns, (now_ns - began_ns) / 1e9, reached_dB, detail)

    async def _varied(self, wanted: Preset) -> str:
        """The box searches the voltages of the varactors."""
        order = search(wanted.frequency_MHz, wanted.tune_V, wanted.match_V)
        match_V, tune_V = (await self._ask(order, "voltages", self._within_s)).numbers
        return f"tune {tune_V:g} V, match {match_V:g} V"

    async def _turned(self, wanted: Preset) -> str:
        """The motors go to the preset's place, and the box searches around it."""
        await self._motors.go(int(wanted.tune_steps or 0), int(wanted.match_steps or 0))
        tune, match = await self._motors.search(wanted.frequency_MHz, self._within_s)
        return f"tune {tune} steps, match {match} steps"

    async def reflection_dB(self, nucleus: str, preset: str = "") -> float | None:
        """The reflection as it is now; nothing is moved. Raises InstrumentError."""
        wanted = self._wanted(nucleus, preset)
        async with self._turn, self._at_tuner("measuring"):
            return await self._measured(wanted)

    async def make_safe(self) -> SafeState:
        """The probe at the preamplifier, so that no tuning power reaches it; confirmed where the box has said so."""
        try:
            await self._ask(PREAMPLIFIER, "path", SWITCH_WITHIN_S)
        except InstrumentError as error:
            return SafeState(Confirmation.UNCONFIRMED, error.message)
        return SafeState(Confirmation.CONFIRMED, "the probe is at the preamplifier")

    async def release(self) -> None:
        """Let go of the wire."""
        port, reader, self._port, self._reader = self._port, self._reader, None, None
        if reader is not None:
            reader.cancel()
            await asyncio.wait({reader})
        if port is not None:
            await port.close()

    def _wanted(self, nucleus: str, preset: str) -> Preset:
        name = preset or nucleus
        if name not in self._presets:
            there = ", ".join(self._presets) or "none"
            raise Rejected(f"it has no preset `{name}`; there are: {there}", instrument=self._name, advice="write it into the rig file")
        return self._presets[name]

    @contextlib.asynccontextmanager
    async def _at_tuner(self, doing: str) -> AsyncIterator[None]:
        """The probe at the tuner, and back at the preamplifier whatever happens."""
        self._doing = doing
        try:
            await self._ask(TUNER, "path", SWITCH_WITHIN_S)
            yield
        finally:
            self._doing = "idle"
            back = await self.make_safe()
        if not back.confirmed:
            raise OutcomeUnknown(f"the probe may still be at the tuner: {back.detail}", instrument=self._name)

    async def _measured(self, wanted: Preset) -> float | None:
        centre_Hz, half_Hz = wanted.frequency_MHz * 1e6, self._span_MHz * 0.5e6
        points: list[tuple[float, float]] = []

        def keep(one: Reply) -> None:
            points.append((one.numbers[0], reflection_dB(one.numbers[1])))

        order = sweep(centre_Hz - half_Hz, centre_Hz + half_Hz, 2 * half_Hz / POINTS)
        await self._ask(order, "swept", SWEEP_WITHIN_S, {"point": keep})
        return at(points, centre_Hz)

    async def _ask(self, order: bytes, awaited: Kind, within_s: float, also: Mapping[str, Callable[[Reply], None]] | None = None) -> Reply:
        """Send one line and wait for the answer of its kind."""
        if self._port is None:
            raise NotReachable("it is not connected", instrument=self._name)
        while not self._lines.empty():
            self._lines.get_nowait()
        await self._port.write(order)
        try:
            async with asyncio.timeout(within_s):
                return await self._answer(order, awaited, also or {})
        except TimeoutError:
            raise OutcomeUnknown(f"no answer within {within_s:g} s", instrument=self._name, sent=order) from None

    async def _answer(self, order: bytes, awaited: Kind, also: Mapping[str, Callable[[Reply], None]]) -> Reply:
        while True:
            line = await self._lines.get()
            if line is None:
                raise NotReachable("the line is closed", instrument=self._name, sent=order)
            if line.kind == awaited:
                return line
            if line.kind == "error":
                raise DeviceFault(line.text or "it reports an error", instrument=self._name, sent=order, received=line.text)
            if line.kind == "unknown" and line.text:
                raise BadReply("an answer that the protocol does not know", instrument=self._name, sent=order, received=line.text[:80])
            if line.kind in also:
                also[line.kind](line)

    async def _read(self, port: ByteStream) -> None:
        """Lines into the queue until the line ends; one that never ends is cut."""
        waiting = b""
        with contextlib.suppress(InstrumentError, OSError):
            while data := await port.read():
                *lines, waiting = (waiting + data).split(b"\n")
                for line in (*lines, *([waiting] if len(waiting) > LONGEST_LINE else [])):
                    self._lines.put_nowait(reply(line[:LONGEST_LINE]))
                waiting = waiting if len(waiting) <= LONGEST_LINE else b""
        self._lines.put_nowait(None)


def _preset(given: Any) -> Preset:
    known = dict(given) if isinstance(given, Mapping) else {"frequency_MHz": given}
    return Preset(**{name: float(value) for name, value in known.items()})
