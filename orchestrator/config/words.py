"""The words that every sentence is made of: quantities, names, ranges. Parse tree → values that know where they stand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lark import Token, Transformer, v_args
from lark.tree import Meta

from orchestrator.config.diagnostics import SentenceError, suggestion
from orchestrator.config.quantities import SHOWN, UNITS, Unit, c_rate, canonical_name, quantity, unit_of
from orchestrator.config.sentences import plain
from orchestrator.model.rule import Predicate
from orchestrator.model.units import Quantity
from orchestrator.model.values import Where

VOLTAGE_NAMES = {"e": "cell", "e_cell": "cell", "e_we": "we", "e_ce": "ce"}

Locate = Callable[[int, int], Where]


@dataclass(frozen=True, slots=True)
class Measure:
    """A quantity in a sentence: its kind and where it stands."""

    quantity: Quantity
    kind: str
    start: int
    end: int


@v_args(meta=True)
class Words(Transformer[Token, Any]):
    """Quantities, names and ranges, for every vocabulary.

    ``typed``: the sentence as typed; ``locate``: characters of it → where; ``previous``: what a bare ``slope`` refers to.
    """

    def __init__(self, typed: str, locate: Locate, previous: Predicate | None = None) -> None:
        super().__init__()
        self.typed = plain(typed)
        self.locate = locate
        self.previous = previous

    def of(self, token: Token) -> str:
        """A token as the person typed it."""
        return self.typed[token.start_pos : token.end_pos]

    def where(self, meta: Meta) -> Where:
        """Where a part of the sentence stands."""
        return self.locate(meta.start_pos, meta.end_pos)

    def need(self, measure: Measure, *kinds: str) -> Quantity:
        """The quantity, if it is of one of these kinds."""
        if measure.kind not in kinds:
            expected = " or ".join(f"a {kind} ({SHOWN[kind]})" for kind in kinds)
            raise SentenceError(f"`{self.typed[measure.start : measure.end]}` is not {expected}", measure.start, measure.end)
        return measure.quantity

    def unit(self, token: Token) -> Unit:
        """The unit of a token, whose case must be true."""
        typed = self.of(token)
        unit = unit_of(typed)
        if unit is None:
            hint = suggestion(canonical_name(typed), UNITS)
            raise SentenceError(f"`{typed}` is not a unit", token.start_pos or 0, token.end_pos or 0, hint)
        return unit

    def quantity(self, meta: Meta, children: list[Token]) -> Measure:
        """``5 mA``."""
        number, token = children
        unit = self.unit(token)
        return Measure(quantity(str(number), unit), unit.kind, meta.start_pos, meta.end_pos)

    def rate(self, meta: Meta, children: list[Token]) -> Measure:
        """``C/5``."""
        typed = str(children[0])
        if not float(typed.partition("/")[2]):
            raise SentenceError(f"`{typed}` is no current", meta.start_pos, meta.end_pos, "write C/10 for a charge in ten hours")
        return Measure(c_rate(typed), "current", meta.start_pos, meta.end_pos)

    def words(self, _meta: Meta, children: list[Token]) -> str:
        """``hard carbon``."""
        return " ".join(self.of(child) for child in children)

    def voltage_name(self, _meta: Meta, children: list[Token]) -> str:
        """``E_we`` → ``we``."""
        return VOLTAGE_NAMES[str(children[0])]


def bounds(token: Token) -> tuple[float, float]:
    """``2.5..3.4`` → (2.5, 3.4)."""
    lower, upper = sorted(float(part) for part in str(token).split(".."))
    return lower, upper


def cycle_span(token: Token) -> tuple[int, int]:
    """``2-4`` → (2, 4); ``2`` → (2, 2)."""
    first, _, last = str(token).partition("-")
    return int(float(first)), int(float(last or first))


def whole(token: Token, least: int = 1) -> int:
    """A whole number, at least ``least``. Raises SentenceError."""
    value = float(token)
    if value != int(value) or value < least:
        raise SentenceError(f"`{token}` is not a whole number from {least} on", token.start_pos or 0, token.end_pos or 0)
    return int(value)
