"""What a running script says, line by line, turned into events. No I/O: lines in, events out."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from enum import Enum, auto

from drivers.base import CellState, ChannelState, ImpedanceSpectrum, Mode, Reason, StepEnded, StepOrder, StepStarted
from drivers.methodscript import script, wire
from drivers.methodscript.lines import SAY_EVERY_S
from drivers.methodscript.timing import StepTimer
from drivers.stream.samples import Outbox, Sample

_WHERE = re.compile(r"(STEP_BEGIN|STEP_AT|STEP_WAIT) (\d+) (\d+) ([RGPI]) (\d+) (\S+)")
_END = re.compile(r"STEP_END (\d+) (\d+)i?")
_MODES = {letter: mode for mode, letter in script.MODE_LETTER.items()}
MOST_HELD = 4096
UNKNOWN_INTERVAL_S, SLOWEST_POINT_S = 10.0, 600.0
LONGEST_STEP_S = 1e9
ALL_STATUS = 0xFFFF


class Said(Enum):
    """What a line means for whoever owns the wire."""

    FINISHED = auto()
    BROKE = auto()


@dataclass(slots=True)
class Step:
    """The step that runs now."""

    key: str
    index: int
    total: int
    mode: Mode
    interval_s: float
    time_s: float | None = None
    timer: StepTimer = field(default_factory=StepTimer)
    skip_asked: bool = False
    last_s: float = 0.0
    voltage_V: float | None = None
    current_A: float | None = None
    points: list[tuple[float, complex]] = field(default_factory=list)

    def ran_its_time(self) -> bool:
        """The step was heard up to its time limit."""
        return self.time_s is not None and self.last_s > self.time_s - 1.5 * self.interval_s


class RunningScript:
    """Follows one script; packages that come before the script has said which step it is in are held.

    Those heard before ``settled_ns`` too: a port that nobody had open hands out old lines first, and only the fresh ones among them
    show how far the step's timer stands from our clock.
    """

    def __init__(self, outbox: Outbox, program: tuple[StepOrder, ...] = (), settled_ns: int = 0) -> None:
        self._outbox = outbox
        self._orders = {order.key: order for order in program}
        self._keys = tuple(order.key for order in program)
        self._held: list[tuple[wire.Package, int]] = []
        self._settled_ns = settled_ns
        self._loops = 0
        self._next = 0
        self._over = False
        self.step: Step | None = None
        self.waits = ""
        """The step that waits for the console's line."""
        self.adopted = not program
        self.garbled = 0

    def _refuse(self) -> None:
        """A line that was no sample: garbled, twice, or out of order. It is counted, in the file too."""
        self.garbled += 1
        self._outbox.garbled += 1

    @property
    def begun(self) -> bool:
        """At least one step was heard to begin."""
        return self.step is not None or self._next > 0

    @property
    def last_ns(self) -> int | None:
        """When the last sample of the running step was taken, by our clock."""
        return None if self.step is None or self.step.timer.last_device_ns is None else self.step.timer.last_mono_ns

    @property
    def interval_s(self) -> float:
        """How often a line is due; 0 where nothing is known to be."""
        if self.step is not None:
            return SLOWEST_POINT_S if self.step.mode is Mode.IMPEDANCE else self.step.interval_s
        return SAY_EVERY_S if self.waits else UNKNOWN_INTERVAL_S if self.adopted else 0.0

    def state(self) -> ChannelState:
        """What the script has said of the channel."""
        step = self.step
        if self.waits:
            return ChannelState(CellState.OFF, running=True, step_key=self.waits, detail="it waits for the console's line")
        if step is None:
            return ChannelState(CellState.UNKNOWN, running=True, detail="a script runs; it has not yet said which step")
        cell = CellState.OFF if step.mode is Mode.REST else CellState.ON
        detail = f"step {step.index + 1} of {step.total}" + (", adopted" if self.adopted else "")
        return ChannelState(cell, running=True, step_key=step.key, voltage_V=step.voltage_V, current_A=step.current_A, detail=detail)

    def hear(self, line: wire.Line, heard_ns: int) -> Said | None:
        """One line of the stream."""
        match line:
            case wire.Package():
                self._package(line, heard_ns)
            case wire.Text(text):
                self._text(text, heard_ns)
            case wire.LoopStart():
                self._loops = 1
            case wire.LoopEnd():
                self._loops = 0
                self._spectrum(heard_ns)
            case wire.RuntimeFault():
                return Said.BROKE
            case wire.Empty():
                # An empty line inside a measurement loop is noise on the wire; silence afterwards would show the truth.
                return Said.FINISHED if not self._loops else None
            case wire.Garbage():
                self._refuse()
        return None

    # ---------------------------------------------------------------------------------------------------- where it is

    def _text(self, text: str, heard_ns: int) -> None:
        if where := _WHERE.fullmatch(text):
            self._at(where, heard_ns)
        elif end := _END.fullmatch(text):
            self._ended(int(end[1]), int(end[2]), heard_ns)

    def _at(self, where: re.Match[str], heard_ns: int) -> None:
        if self.step is not None and self.step.key == where[6]:
            return
        if self.step is not None:
            self.end(Reason.LOST, "its end was not heard", heard_ns, last=False)
        self.waits = where[6] if where[1] == "STEP_WAIT" else ""
        if self.waits:
            return
        interval_s, order = int(where[5]) / 1000, self._orders.get(where[6])
        time_s = min(order.ends.time_s, order.limits.time_s) if order else None
        self.step = Step(where[6], int(where[2]), int(where[3]), _MODES[where[4]], interval_s, time_s)
        if where[1] == "STEP_BEGIN":
            self.step.timer.start(heard_ns)
        self._outbox.put(StepStarted(self.step.key, heard_ns))
        if heard_ns >= self._settled_ns:
            self._let_go(self.step)

    def _let_go(self, step: Step) -> None:
        """Everything that was held, placed by the smallest delay among it."""
        held, self._held = self._held, []
        for package, when_ns in held:
            if (stamp := package.first("eb")) is not None and not math.isnan(stamp.value):
                step.timer.start(when_ns - round(stamp.value * 1e9))
        for package, when_ns in held:
            self._package(package, max(when_ns, self._settled_ns))

    def _ended(self, index: int, code: int, heard_ns: int) -> None:
        step = self.step
        if step is None or step.index != index:
            self._refuse()
            return
        reason = script.reason_of(code)
        if reason is Reason.TIME and step.skip_asked and not step.ran_its_time():
            reason = Reason.SKIP
        if reason is None:
            reason = Reason.DEVICE_ERROR
        self.end(reason, script.why_in_words(code), heard_ns, last=index == step.total - 1 or reason is Reason.SAFETY)

    def end(self, reason: Reason, detail: str, heard_ns: int, *, last: bool = True) -> None:
        """The step that runs, or the one that should have begun, is over; nothing happens when none is left."""
        if self.step is not None and self._held:
            self._let_go(self.step)
        key = self.step.key if self.step else self._keys[self._next] if self._next < len(self._keys) else None
        if key is None or self._over:
            return
        device_ns = self.step.timer.last_device_ns if self.step else None
        self._next = self.step.index + 1 if self.step else self._next + 1
        self.step, self.waits, self._loops, self._over = None, "", 0, last
        self._outbox.put(StepEnded(key, heard_ns, reason, detail, device_ns, last))

    # --------------------------------------------------------------------------------------------------------- values

    def _package(self, package: wire.Package, heard_ns: int) -> None:
        if self.step is None or heard_ns < self._settled_ns:
            if self.adopted and len(self._held) < MOST_HELD:
                self._held.append((package, heard_ns))
            return
        if self._held:
            self._let_go(self.step)
        said = package.by_kind()
        if "dc" in said:
            real, imaginary = said.get("cc"), said.get("cd")
            if real and imaginary:
                self.step.points.append((said["dc"].value, complex(real.value, imaginary.value)))
            return
        self._sample(self.step, said, package.status & ALL_STATUS, heard_ns)

    def _sample(self, step: Step, said: dict[str, wire.Variable], status: int, heard_ns: int) -> None:
        stamp, voltage = said.get("eb"), said.get("ab") or said.get("da")
        if stamp is None or voltage is None or not 0.0 <= stamp.value < LONGEST_STEP_S:
            self._refuse()
            return
        current, charge = said.get("ba") or said.get("db"), said.get("ja")
        device_ns = round(stamp.value * 1e9)
        if not step.timer.follows(device_ns, heard_ns):
            self._refuse()
            return
        mono_ns = step.timer.place(device_ns, heard_ns, round(stamp.resolution * 1e9))
        step.last_s, step.voltage_V = stamp.value, voltage.value
        step.current_A = current.value if current else 0.0 if step.mode is Mode.REST else math.nan
        self._outbox.sample(
            Sample(
                step.key,
                mono_ns,
                step.voltage_V,
                step.current_A,
                device_ns,
                step.timer.half_width_ns,
                status,
                charge.value if charge else 0.0 if step.mode is Mode.REST else math.nan,
            )
        )

    def _spectrum(self, heard_ns: int) -> None:
        if self.step is None or not self.step.points:
            return
        points, self.step.points = self.step.points, []
        import numpy as np

        frequency_Hz = np.array([point[0] for point in points], np.float64)
        impedance_ohm = np.array([point[1] for point in points], np.complex128)
        self._outbox.put(ImpedanceSpectrum(self.step.key, heard_ns, frequency_Hz, impedance_ohm))
