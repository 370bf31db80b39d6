"""The trigger model of one step: what the instrument does by itself, block by block. Pure.

It measures, tests the reading, pauses, counts the step's time, and asks from time to time whether the host has sent ``*TRG`` since; every
way out switches the output off. It pauses by a delay, not by a timer's event: no block of it can wait for ever but the one before the
output goes on, in a step that waits for the console's line. Built to the document, the
combination is ours (inferred), not yet met an instrument.
"""

from __future__ import annotations

import re

from drivers.keithley import wire
from drivers.keithley.setup import SETTLE_S, Setup, Window

MOST_BLOCKS = 63
_LABEL = re.compile(r"\{(\w+)\}")


class _Blocks:
    """Blocks in order; a jump names the label of its goal."""

    def __init__(self) -> None:
        self._texts: list[tuple[str, str]] = []
        self._at: dict[str, int] = {}

    def add(self, verb: str, arguments: str = "", *, label: str = "") -> None:
        """One more block; ``label``: how jumps call it."""
        self._texts.append((verb, arguments))
        if label:
            self._at[label] = len(self._texts)

    def lines(self) -> tuple[str, ...]:
        """Numbered, with block numbers for labels."""
        return tuple(self._line(at, *text) for at, text in enumerate(self._texts, 1))

    def _line(self, at: int, verb: str, arguments: str) -> str:
        jumps = _LABEL.sub(lambda found: str(self._at[found[1]]), arguments)
        return f":TRIG:BLOC:{verb} {at:d}" + (f",{jumps}" if jumps else "")


def model(setup: Setup) -> tuple[str, ...]:
    """Every command that builds the model; ``:INIT`` is not among them."""
    blocks = _Blocks()
    blocks.add("LOG:EVEN", f'INFO1,"{setup.tag.text()}"')
    blocks.add("BUFF:CLE", wire.BUFFER)
    if setup.order.ttl_in:
        blocks.add("WAIT", f"DIG{setup.options.trigger_in_line}")
    blocks.add("SOUR:STAT", "ON")
    if setup.order.ttl_out:
        blocks.add("DIG:IO", f"{setup.line_out:d},{setup.line_out:d}")
    if setup.source == "VOLT":
        blocks.add("DEL:CONS", wire.number(SETTLE_S))
    if setup.armed_above_V is not None and setup.window is not None:
        _loop(blocks, setup, "unarmed", Window.one_sided("ABOVe", setup.window.high))
    _loop(blocks, setup, "armed", setup.window)
    _last(blocks, setup)
    return (':TRIG:LOAD "Empty"', *blocks.lines())


def count_of(commands: tuple[str, ...]) -> int:
    """How many blocks a model has."""
    return sum(command.startswith(":TRIG:BLOC:") for command in commands)


def _loop(blocks: _Blocks, setup: Setup, name: str, window: Window | None) -> None:
    """Measure, test, pause, count. *unarmed*: a reading above the arming voltage goes on with the armed loop."""
    blocks.add("MEAS", wire.BUFFER, label=f"{name}_measure")
    if window is not None:
        blocks.add("BRAN:LIM:CONS", f"{_test(window)},{{off}},{{{name}_measure}}")
    if name == "unarmed":
        armed = Window.one_sided("ABOVe", setup.armed_above_V or 0.0)
        blocks.add("BRAN:LIM:CONS", f"{_test(armed)},{{armed_pause}},{{{name}_measure}}")
    blocks.add("DEL:CONS", wire.number(setup.pause_s), label=f"{name}_pause")
    if setup.options.watchdog_s == 0:
        blocks.add("BRAN:COUN", f"{setup.duration.count:d},{{{name}_measure}}")
        blocks.add("BRAN:ALW", "{last}")
        return
    blocks.add("BRAN:COUN", f"{setup.duration.count:d},{{{name}_watch}}")
    blocks.add("BRAN:ALW", "{last}")
    blocks.add("BRAN:COUN", f"{watch_count(setup):d},{{{name}_measure}}", label=f"{name}_watch")
    blocks.add("BRAN:COUN:RES", f"{{{name}_watch}}")
    blocks.add("BRAN:EVEN", f"COMM,{{{name}_measure}}")
    blocks.add("BRAN:ALW", "{off}")


def watch_count(setup: Setup) -> int:
    """Samples between two looks for ``*TRG``: a host that falls silent right after one is missed at the second look after it."""
    return max(1, int(setup.options.watchdog_s / 2 / setup.order.sample_interval_s))


def _test(window: Window) -> str:
    return f"{window.kind},{wire.number(window.low)},{wire.number(window.high)}"


def _last(blocks: _Blocks, setup: Setup) -> None:
    """The step's time is over: one more reading at its very end, then the output goes off."""
    if setup.duration.remainder_s:
        blocks.add("DEL:CONS", wire.number(setup.duration.remainder_s), label="last")
        blocks.add("MEAS", wire.BUFFER)
    else:
        blocks.add("MEAS", wire.BUFFER, label="last")
    blocks.add("SOUR:STAT", "OFF", label="off")
    if setup.order.ttl_out:
        blocks.add("DIG:IO", f"0,{setup.line_out:d}")
