"""The source and the output as commands know them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from drivers.keithley.smu.buffers import number
from drivers.keithley.smu.language import CONFLICT, ILLEGAL, Answer, Command, Complaint
from drivers.keithley.smu.output import OFF_STATES, PROTECTIONS_V, Output


class SourceCommands:
    """``SOUR`` and ``OUTP`` of an output stage. ``sense_range``: the fixed range in which a quantity is measured; None: automatic."""

    def __init__(self, output: Output, sense_range: Callable[[str], float | None]) -> None:
        self.output, self._sense_range = output, sense_range

    def answer(self, c: Command) -> Any:
        """What a command of the source or of the output answers; NotImplemented for every other."""
        head, _, rest = c.path.partition(":")
        if head == "OUTP":
            return self._outp(c, rest)
        if head != "SOUR":
            return NotImplemented
        if rest == "FUNC":
            return self._source_function(c)
        name, _, what = rest.partition(":")
        if name not in self.output.sources:
            return NotImplemented
        return self._ask_source(name, what) if c.query else self._set_source(name, what, c)

    def _source_function(self, c: Command) -> Answer:
        if c.query:
            return self.output.function
        self.output.choose(c.word(0, "VOLTage", "CURRent"))
        return None

    def _ask_source(self, name: str, what: str) -> Any:
        source, output = self.output.sources[name], self.output
        limit = "VLIM" if name == "CURR" else "ILIM"
        if what == limit:
            return number(source.limit)
        if what == f"{limit}:TRIP":
            return str(int(output.function == name and output.limited))
        match what:
            case "":
                return number(source.level)
            case "RANG":
                return number(output.source_range(name))
            case "RANG:AUTO":
                return str(int(source.fixed_range is None))
            case "READ:BACK":
                return str(int(source.readback))
            case "HIGH:CAP":
                return str(int(source.high_capacitance))
            case "PROT" if name == "VOLT":
                return "NONE" if output.protection_V is None else f"PROT{output.protection_V:g}"
            case "PROT:TRIP" if name == "VOLT":
                return str(int(output.tripped))
        return NotImplemented

    def _set_source(self, name: str, what: str, c: Command) -> Any:
        source, output = self.output.sources[name], self.output
        if what == ("VLIM" if name == "CURR" else "ILIM"):
            self._check_limit(name, c.value(0))
            return output.set_limit(name, c.value(0))
        match what:
            case "":
                return output.set_level(name, c.value(0))
            case "RANG":
                return output.set_range(name, c.value(0))
            case "RANG:AUTO":
                return output.set_range(name, None if c.switch() else output.source_range(name))
            case "READ:BACK":
                source.readback = c.switch()
                return None
            case "HIGH:CAP":
                source.high_capacitance = c.switch()
                return None
            case "PROT" if name == "VOLT":
                return output.protect(_protection(c.text(0)))
        return NotImplemented

    def _check_limit(self, name: str, limit: float) -> None:
        fixed = self._sense_range("VOLT" if name == "CURR" else "CURR")
        if fixed is not None and limit < 1e-3 * fixed:
            raise Complaint(*CONFLICT)

    def _outp(self, c: Command, rest: str) -> Any:
        if rest in {"", "STAT"}:
            return str(int(self.output.on)) if c.query else self.output.switch(on=c.switch())
        function, _, what = rest.partition(":") if ":" in rest else ("", "", rest)
        if what != "SMOD" or function not in {"", "VOLT", "CURR"}:
            return NotImplemented
        if c.query:
            return self.output.sources[function or self.output.function].off_state
        self.output.set_off_state((function,) if function else ("VOLT", "CURR"), c.word(0, *OFF_STATES))
        return None


def _protection(text: str) -> float | None:
    name = text.upper()
    if name == "NONE":
        return None
    value = float(name.removeprefix("PROT")) if name.startswith("PROT") and name[4:].isdigit() else None
    if value not in PROTECTIONS_V:
        raise Complaint(*ILLEGAL)
    return value
