"""Lines described by the rig file: what is asked, where in the answer the number stands, what is sent to set it. Pure.

A pattern is a regular expression with exactly one group in round brackets around the number. It is matched against a foreign
text on the sampling side of a run, so it may hold nothing that takes more than linear time: no group is repeated, nothing refers
back or looks ahead, and the text is cut at 256 characters.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LONGEST_PATTERN, LONGEST_LINE = 160, 256
NUMBER = r"([+-]?(?:\d{1,12}\.?\d{0,12}|\.\d{1,12})(?:[eE][+-]?\d{1,3})?)"
FORBIDDEN = re.compile(r"\)[*+?{]|\\[1-9]|\(\?[^:]|[*+}][*+]")
ENDS = {"LF": b"\n", "CR": b"\r", "CRLF": b"\r\n"}
ABSOLUTE_ZERO = {"K": 0.0, "degC": -273.15}
HOTTEST_K = 650.0
"""inferred: no cell in a probe is hotter, and a missing sensor reads 673 K (domain.md 5.3)."""


class BadOptions(ValueError):
    """The rig file describes nothing that could be asked."""


@dataclass(frozen=True, slots=True)
class Words:
    """What is sent and what the answers mean. ``set_text`` empty: it cannot be set. ``plausible``: what the sensor can mean."""

    query: bytes
    pattern: re.Pattern[str]
    unit: str
    scale: float = 1.0
    offset: float = 0.0
    plausible: tuple[float, float] = (-math.inf, math.inf)
    set_text: str = ""
    set_answers: bool = False
    range: tuple[float, float] = (-math.inf, math.inf)
    end: bytes = b"\n"

    def value(self, line: bytes) -> float | None:
        """The number in an answer; None where there is none, or one that the sensor cannot mean."""
        found = self.pattern.search(line[:LONGEST_LINE].decode("ascii", "replace").strip())
        try:
            value = math.nan if found is None else float(found.group(1)) * self.scale + self.offset
        except (ValueError, IndexError):
            return None
        low, high = self.plausible
        return value if low <= value <= high else None

    def setting(self, value: float) -> bytes:
        """What sets it. Raises BadOptions outside its range."""
        low, high = self.range
        if not (self.set_text and low <= value <= high):
            raise BadOptions(
                f"{value:g} {self.unit} cannot be set: the rig allows {low:g} to {high:g}" if self.set_text else "it sets nothing"
            )
        try:
            return self.set_text.format(value=(value - self.offset) / self.scale).encode("ascii") + self.end
        except (LookupError, ValueError, ArithmeticError, AttributeError, TypeError) as wrong:
            raise BadOptions(f"{self.set_text!r} with scale {self.scale:g} sets nothing: {wrong}") from wrong


def words(options: Mapping[str, Any]) -> Words:
    """The words that ``options`` describe. Raises BadOptions."""
    unit, end = str(options.get("unit", "")), ENDS.get(str(options.get("end", "LF")))
    if end is None:
        raise BadOptions(f"end is one of {', '.join(ENDS)}, not `{options['end']}`")
    if not unit:
        raise BadOptions("say the `unit` of its values, such as K or bar")
    scale = float(options.get("scale", 1.0))
    if not math.isfinite(scale) or scale == 0.0:
        raise BadOptions("scale is a number other than 0")
    return Words(
        _line("query", options.get("query")) + end,
        pattern(str(options.get("pattern", NUMBER))),
        unit,
        scale,
        float(options.get("offset", 0.0)),
        _plausible(unit, options.get("plausible")),
        _set_text(options.get("set")),
        bool(options.get("set_answers", False)),
        _pair("range", options.get("range"), (-math.inf, math.inf)),
        end,
    )


def pattern(text: str) -> re.Pattern[str]:
    """A pattern of linear time with one group. Raises BadOptions."""
    if len(text) > LONGEST_PATTERN or (text != NUMBER and FORBIDDEN.search(text)):
        why = "no repeated group, no reference back, no look ahead, at most 160 characters"
        raise BadOptions(f"the pattern `{text[:40]}` is not allowed: {why}")
    try:
        made = re.compile(text)
    except re.error as error:
        raise BadOptions(f"the pattern `{text}` is none: {error}") from None
    if made.groups != 1:
        raise BadOptions(f"the pattern `{text}` needs exactly one group in brackets, around the number")
    return made


def _line(name: str, text: Any) -> bytes:
    if not isinstance(text, str) or not text.isascii() or not text.isprintable() or not 0 < len(text) <= LONGEST_LINE:
        raise BadOptions(f"`{name}` is one line of plain characters, such as `KRDG? A`")
    return text.encode("ascii")


def _set_text(text: Any) -> str:
    if text is None:
        return ""
    _line("set", text)
    if not re.fullmatch(r"[^{}]*\{value(:\.\d[fge])?\}[^{}]*", str(text)):
        raise BadOptions("`set` is one line with {value} or {value:.2f} in it, such as `SETP 1,{value:.2f}`")
    return str(text)


def _plausible(unit: str, given: Any) -> tuple[float, float]:
    if given is None and unit in ABSOLUTE_ZERO:
        zero = ABSOLUTE_ZERO[unit]
        return zero, zero + HOTTEST_K
    return _pair("plausible", given, (-math.inf, math.inf))


def _pair(name: str, given: Any, otherwise: tuple[float, float]) -> tuple[float, float]:
    if given is None:
        return otherwise
    if not isinstance(given, list | tuple) or len(given) != 2 or not float(given[0]) < float(given[1]):
        raise BadOptions(f"`{name}` is a pair: [lowest, highest]")
    return float(given[0]), float(given[1])
