"""The buffers as commands know them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from drivers.keithley.smu import buffers as buffering
from drivers.keithley.smu.buffers import Buffers
from drivers.keithley.smu.language import MISSING, Command, Complaint


class TraceCommands:
    """``TRAC``. ``measure``: one reading into a buffer; ``form``: how numbers are written."""

    def __init__(self, buffers: Callable[[], Buffers], measure: Callable[[str], Awaitable[float]], form: Callable[[], str]) -> None:
        self._buffers, self._measure, self._form = buffers, measure, form

    def answer(self, c: Command) -> Any:
        """What such a command answers; NotImplemented for every other."""
        if not c.path.startswith("TRAC"):
            return NotImplemented
        what = c.path.partition(":")[2]
        if what == "MAKE" and not c.query:
            return self._buffers().make(c.text(0), c.whole(1))
        if what == "TRIG" and not c.query:
            return self._trace(c)
        if what in {"DATA", ""} and c.query:
            return self._rows(c)
        place = 1 if (what, c.query) in {("FILL:MODE", False), ("POIN", False)} else 0
        held = self._buffers()[c.text(place) if len(c.arguments) > place else "defbuffer1"]
        match what, c.query:
            case "ACT", True:
                return str(len(held.rows))
            case "ACT:STAR", True:
                return str(held.first)
            case "ACT:END", True:
                return str(held.last)
            case "POIN", True:
                return str(held.size)
            case "POIN", False:
                held.clear()
                held.size = c.whole(0)
            case "CLE", False:
                held.clear()
            case "FILL:MODE", True:
                return "CONT" if held.circular else "ONCE"
            case "FILL:MODE", False:
                held.clear()
                held.circular = c.word(0, "CONTinuous", "ONCE") == "CONT"
            case _:
                return NotImplemented
        return None

    async def _trace(self, c: Command) -> None:
        await self._measure(c.text(0) if c.arguments else "defbuffer1")

    def _rows(self, c: Command) -> bytes:
        if len(c.arguments) < 2:
            raise Complaint(*MISSING)
        held = self._buffers()[c.text(2) if len(c.arguments) > 2 else "defbuffer1"]
        wanted = buffering.elements([c.text(n) for n in range(3, len(c.arguments))])
        return buffering.written(held.between(c.whole(0), c.whole(1)), wanted, self._form())
