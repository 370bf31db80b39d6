"""Which step of the plan a cycler runs that was told its own: by the edges that are seen in its samples. Pure.

A step of the cycler begins where its number changes, or where it begins to do something else (rest, oxidation, reduction, a held
voltage): EC-Lab goes from current to voltage within one number. It is the next of ours that waits, where it does what that one
asks for; else the plan waits for a step of its kind.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from drivers.base import CE, CELL, WE, Mode, PotentiostatEvent, Reason, StepEnded, StepOrder, StepStarted
from drivers.follow.columns import POTENTIOSTATIC, REST, UNKNOWN_MODE
from drivers.stream.samples import Outbox, Sample

NEAR_V = 0.005
"""So near a cut-off the last sample of a step was ended by it."""
NEAR = 0.98
HOLD_NS = 5_000_000_000
"""So long rows wait for the next step of ours when one has ended: the runner decides in between."""
DOES = {0: "rests", 1: "oxidises the working electrode", -1: "reduces the working electrode", 2: "holds a voltage"}


class Row(NamedTuple):
    """One sample. ``step``: the cycler's own name of the step it is in; ``mode`` as in ``columns``; ``seen_ns``: when it was read.

    ``we_V``, ``ce_V``: of each electrode against the reference; None where the file does not say.
    """

    mono_ns: int
    device_ns: int
    voltage_V: float
    current_A: float
    step: tuple[str, int]
    mode: int
    seen_ns: int
    half_width_ns: int = 0
    we_V: float | None = None
    ce_V: float | None = None


@dataclass(slots=True)
class Matching:
    """``feed`` it rows; ``start`` names the steps that may come next. ``rests_below_A``: less current than that is none."""

    outbox: Outbox
    rests_below_A: float = 1e-7
    latencies_s: list[float] = field(default_factory=list)
    running: StepOrder | None = None
    newest: Row | None = None
    _orders: deque[StepOrder] = field(default_factory=deque)
    _rows: deque[Row] = field(default_factory=deque)
    _kind: tuple[tuple[str, int], int] | None = None
    _began: Row | None = None
    _charge_C: float = 0.0
    _open: bool = False
    _hold_until_ns: int = 0

    # ------------------------------------------------------------------------------------------------------ what is asked

    def start(self, program: Iterable[StepOrder], now_ns: int) -> None:
        """These come next; the first may be the one that the cycler runs already."""
        self._orders = deque(program)
        newest = self.newest
        if self._open and newest is not None and not self._rows and self._fits(newest):
            self._begin(newest)
        self._work(now_ns)

    def forget(self) -> None:
        """No step of ours follows."""
        self._orders.clear()
        self.running = None

    def feed(self, rows: Iterable[Row], now_ns: int) -> None:
        """Rows that were not there before, in order."""
        self._rows.extend(rows)
        self._work(now_ns)

    def look_over(self, still_s: float, now_ns: int, *, stopped: bool = False) -> None:
        """No row has come for a while: a step that has reached an end of its own is over, since nothing follows to show it."""
        if self.running is None or self._rows or self.newest is None:
            return
        reason = self._reason()
        if stopped or (still_s > 0 and reason is not None):
            self._end(self.newest.mono_ns, reason or Reason.TIME, "the cycler has stopped", now_ns)

    @property
    def awaited(self) -> StepOrder | None:
        """The step that the cycler has not been seen to begin yet."""
        return None if self.running is not None else next(iter(self._orders), None)

    @property
    def does(self) -> str:
        """What the cycler is seen to do."""
        return "nothing was read yet" if self._kind is None else f"the cycler {DOES[self._kind[1]]}"

    # ------------------------------------------------------------------------------------------------------------- private

    def _work(self, now_ns: int) -> None:
        while self._rows:
            row = self._rows[0]
            kind = (row.step, self._what(row))
            if kind != self._kind:
                if self.running is not None:
                    self._end(row.mono_ns, self._reason() or Reason.TIME, "ended by the cycler", now_ns)
                if not self._orders and now_ns < self._hold_until_ns:
                    return
                self._kind, self._open = kind, True
                if self._fits(row):
                    self._begin(row)
            self._take(self._rows.popleft())

    def _what(self, row: Row) -> int:
        if row.mode == REST or (row.mode == UNKNOWN_MODE and not abs(row.current_A) > self.rests_below_A):
            return 0
        if row.mode == POTENTIOSTATIC:
            return 2
        return 1 if row.current_A > 0 else -1 if row.current_A < 0 else 0

    def _fits(self, row: Row) -> bool:
        if not self._orders:
            return False
        order, what = self._orders[0], self._what(row)
        if order.mode is Mode.REST:
            return what == 0
        if order.mode is Mode.POTENTIOSTATIC:
            return what == 2 or (row.mode == UNKNOWN_MODE and what != 0)
        return what == (1 if (order.current_A or 0.0) > 0 else -1)

    def _begin(self, row: Row) -> None:
        self.running, self._began, self._open, self._charge_C = self._orders.popleft(), row, False, 0.0
        self.latencies_s.append(max(0.0, (row.seen_ns - row.mono_ns) / 1e9))
        self._put(StepStarted(self.running.key, row.mono_ns, row.device_ns))

    def _end(self, mono_ns: int, reason: Reason, detail: str, now_ns: int) -> None:
        assert self.running is not None
        key, self.running = self.running.key, None
        last = not self._orders
        if last:
            self._hold_until_ns = now_ns + HOLD_NS
        self._put(StepEnded(key, mono_ns, reason, detail, last_of_program=last))

    def _put(self, event: PotentiostatEvent) -> None:
        self.outbox.put(event)

    def _take(self, row: Row) -> None:
        if self.newest is not None and self.running is not None and self.newest is not self._began:
            self._charge_C += abs(row.current_A) * max(0, row.mono_ns - self.newest.mono_ns) / 1e9
        self.newest = row
        key = self.running.key if self.running is not None else ""
        measured = (row.voltage_V, row.current_A, row.device_ns, row.half_width_ns, 0, float("nan"), row.we_V, row.ce_V)
        self.outbox.sample(Sample(key, row.mono_ns, *measured))

    def _reason(self) -> Reason | None:
        """The end of its own that the running step has come to by its last sample; None: none of them."""
        order, row, began = self.running, self.newest, self._began
        if order is None or row is None or began is None:
            return None
        ends = order.ends
        volts = ((CELL, row.voltage_V), (WE, row.we_V), (CE, row.ce_V))
        read = [(ends.bounds(name), value_V) for name, value_V in volts if value_V is not None]
        elapsed_s = (row.mono_ns - began.mono_ns) / 1e9
        tests: dict[Reason, Callable[[], bool]] = {
            Reason.V_UPPER: lambda: any(bound.upper_V is not None and value_V >= bound.upper_V - NEAR_V for bound, value_V in read),
            Reason.V_LOWER: lambda: any(bound.lower_V is not None and value_V <= bound.lower_V + NEAR_V for bound, value_V in read),
            Reason.CHARGE: lambda: ends.charge_C is not None and self._charge_C >= NEAR * ends.charge_C,
            Reason.CURRENT: lambda: ends.current_below_A is not None and abs(row.current_A) <= ends.current_below_A / NEAR,
            Reason.TIME: lambda: elapsed_s >= NEAR * ends.time_s,
        }
        return next((reason for reason, met in tests.items() if met()), None)
