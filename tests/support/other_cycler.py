"""A cycler that somebody else programs and starts: it drives the simulated cell and writes EC-Lab's text file, as its clock has it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from replayer import mpt_head

from drivers.base import EndConditions, Limits, Mode, SampleBlock, StepEnded, StepOrder, StepStarted
from drivers.clock import Clock

LIMITS = Limits(voltage_upper_V=9.0, voltage_lower_V=-9.0, current_A=0.1, charge_C=1e5, time_s=1e6)
MODES = {Mode.REST: 3, Mode.GALVANOSTATIC: 1, Mode.POTENTIOSTATIC: 2}


def rest(seconds: float) -> StepOrder:
    """Of its own program."""
    return StepOrder("", Mode.REST, EndConditions(seconds), LIMITS)


def current(amperes: float, seconds: float) -> StepOrder:
    """Of its own program."""
    return StepOrder("", Mode.GALVANOSTATIC, EndConditions(seconds), LIMITS, current_A=amperes)


class OtherCycler:
    """``run`` it beside what follows it. ``began``: clock's mono ns of each step's true beginning. ``ahead_s``: of its clock."""

    edge: Callable[[], Awaitable[object]] | None = None
    """What its trigger output is wired to: raised as a step begins."""

    def __init__(self, potentiostat: Any, clock: Clock, file: Path, program: Sequence[StepOrder], ahead_s: float = 0.0) -> None:
        self._potentiostat, self._clock, self.file, self._ahead_s = potentiostat, clock, file, ahead_s
        self._program = tuple(_named(order, n) for n, order in enumerate(program))
        self.began: list[int] = []
        self.made_safe = False

    async def run(self) -> None:
        """To the end of its program."""
        potentiostat, clock = self._potentiostat, self._clock
        await potentiostat.connect()
        zero_ns, zero_utc_ns = clock.mono_ns(), clock.utc_ns() + round(self._ahead_s * 1e9)
        local = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=zero_utc_ns // 1000)
        self._write(mpt_head(local.replace(tzinfo=None)))
        await potentiostat.load(self._program)
        await potentiostat.start(self._program[0].key)
        changed, step = 0, self._program[0]
        async for event in potentiostat.events():
            if isinstance(event, StepStarted):
                self.began.append(event.mono_ns)
                if self.edge is not None:
                    await self.edge()
                changed, step = 1, self._program[len(self.began) - 1]
            elif isinstance(event, SampleBlock):
                for at_ns, E_V, I_A in zip(event.mono_ns.tolist(), event.voltage_V.tolist(), event.current_A.tolist(), strict=True):
                    numbers = (MODES[step.mode], int(I_A > 0), 0, 0, changed, 0)
                    changed = 0
                    fields = [*(str(one) for one in numbers), f"{(at_ns - zero_ns) / 1e9:.6f}", "0", f"{E_V:.7E}", f"{I_A * 1e3:.7E}"]
                    self._write("\t".join(fields) + "\t\r\n")
            elif isinstance(event, StepEnded) and event.last_of_program:
                return

    def _write(self, text: str) -> None:
        with self.file.open("a", encoding="latin-1", newline="") as file:
            file.write(text)


def _named(order: StepOrder, n: int) -> StepOrder:
    return StepOrder(f"own-{n}", order.mode, order.ends, order.limits, current_A=order.current_A, voltage_V=order.voltage_V)
