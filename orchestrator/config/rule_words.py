"""The vocabulary of rules: ``abs(E) < 0.2 * abs(I) * R_eis``, ``area(240..290 ppm) > blank + 5 sd``.

A sentence is a shorthand for declared observables; there are no expressions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from lark import Token, v_args
from lark.tree import Meta

from orchestrator.config.diagnostics import SentenceError, suggestion
from orchestrator.config.words import Measure, Words, bounds, cycle_span, whole
from orchestrator.model.observables import OBSERVABLES, base_name, declared, real_part_at
from orchestrator.model.rule import Predicate

SLOPE_HINT = "write slope(NAME) or slope(a..b ppm)"
SHORT_HINT = "the declared observable is short_ratio: abs(E) < 0.2 * abs(I) * R_eis"


@dataclass(frozen=True, slots=True)
class Seen:
    """The left side of a comparison."""

    observable: str
    absolute: bool = False
    window_ppm: tuple[float, float] | None = None
    slope: bool = False
    lead: bool = False


@dataclass(frozen=True, slots=True)
class Bound:
    """The right side: a measure or number, a multiple of something, or standard deviations above something."""

    kind: str
    value: float = 0.0
    measure: Measure | None = None
    reference: dict[str, Any] | None = None


@v_args(meta=True)
class RuleWords(Words):
    """Comparisons as Predicates."""

    def when(self, _meta: Meta, children: list[Predicate]) -> tuple[Predicate, ...]:
        """All of these."""
        return tuple(children)

    def comparison(self, meta: Meta, children: list[Any]) -> Predicate:
        """``observable < bound``, as the declared observable it stands for."""
        seen, side, bound = children
        fields = self.compared(seen, bound, meta)
        test = f"slope {side}" if seen.slope else side
        predicate = Predicate(test=test, text=self.typed[meta.start_pos : meta.end_pos], where=self.where(meta), **fields)
        self.previous = predicate
        return predicate

    def compared(self, seen: Seen, bound: Bound, meta: Meta) -> dict[str, Any]:
        """The fields of the predicate for one left and one right side."""
        is_voltage = seen.observable.startswith("voltage")
        if bound.kind == "resistance" or seen.lead:
            if bound.kind != "resistance" or not is_voltage or not seen.absolute:
                raise SentenceError("only abs(E) is compared with abs(I) * R_eis", meta.start_pos, meta.end_pos, SHORT_HINT)
            return {"observable": "short_ratio", "value": bound.value}
        if bound.kind == "start":
            if not is_voltage:
                raise SentenceError("only E is compared with E at the step's start", meta.start_pos, meta.end_pos)
            if seen.absolute and seen.observable == "voltage":
                return {"observable": "polarisation_ratio", "value": bound.value}
        fields = {"observable": seen.observable, "absolute": seen.absolute, "window_ppm": seen.window_ppm, "reference": bound.reference}
        return fields if bound.reference else fields | {"value": self.value(seen, bound, meta)}

    def value(self, seen: Seen, bound: Bound, meta: Meta) -> float:
        """The number compared with, if its unit is that of the observable."""
        observable = OBSERVABLES[base_name(seen.observable)]
        if bound.measure is None:
            if observable.unit and bound.value and not seen.slope:
                hint = f"`{seen.observable}` is in {observable.unit}"
                raise SentenceError(f"`{bound.value:g}` needs a unit", meta.start_pos, meta.end_pos, hint)
            return bound.value
        quantity = bound.measure.quantity
        if quantity.unit != (observable.unit or "%") or seen.slope:
            place = (bound.measure.start, bound.measure.end)
            hint = "a slope is compared with 0 or with a part of another slope" if seen.slope else ""
            raise SentenceError(f"`{self.typed[slice(*place)]}` cannot be compared with {seen.observable}", *place, hint)
        return quantity.value if observable.unit else quantity.value / 100

    # ------------------------------------------------------------------------------------------------------ left side

    def side(self, _meta: Meta, children: list[Token]) -> str:
        """``<`` or ``>``."""
        return {"<": "below", ">": "above"}[str(children[0])]

    def seen_voltage(self, _meta: Meta, children: list[str]) -> Seen:
        """``E``."""
        return Seen(_voltage(children[0]))

    def seen_abs_voltage(self, _meta: Meta, children: list[str]) -> Seen:
        """``abs(E)``."""
        return Seen(_voltage(children[0]), absolute=True)

    def seen_short(self, _meta: Meta, children: list[str]) -> Seen:
        """``abs(E - I * R_lead)``."""
        return Seen(_voltage(children[0]), absolute=True, lead=True)

    def seen_current(self, _meta: Meta, _children: list[Any]) -> Seen:
        """``abs(I)``."""
        return Seen("current", absolute=True)

    def seen_slope(self, meta: Meta, children: list[Any]) -> Seen:
        """``slope(moss)``; a bare ``slope`` is that of the comparison before."""
        if children:
            return Seen(*_area(children[0]), slope=True)
        if self.previous is None:
            raise SentenceError("slope of what?", meta.start_pos, meta.end_pos, SLOPE_HINT)
        return Seen(self.previous.observable, self.previous.absolute, self.previous.window_ppm, slope=True)

    def seen_line(self, _meta: Meta, children: list[Any]) -> Seen:
        """``area(metal)``, ``shift(240..290 ppm)``."""
        name, line = children
        return Seen(name, window_ppm=line) if isinstance(line, tuple) else Seen(f"{name}({line})")

    def seen_abs_line(self, meta: Meta, children: list[Any]) -> Seen:
        """``abs(drift(metal))``."""
        return replace(self.seen_line(meta, children), absolute=True)

    def seen_abs_unknown(self, _meta: Meta, children: list[Token]) -> Seen:
        """``abs(F)``: neither a voltage nor a current."""
        word = children[0]
        start = word.start_pos or 0
        raise SentenceError(
            f"`{self.of(word)}` is no voltage or current", start, start + len(word), "write abs(E), abs(I), or abs(shift(metal))"
        )

    def line_property(self, meta: Meta, children: list[Token]) -> str:
        """``area``, or any other declared observable of a line, as it is written there: ``T2_error``."""
        typed = self.of(children[0])
        name = next((known for known in OBSERVABLES if known.casefold() == typed.casefold()), None)
        if name is None or not OBSERVABLES[name].of_line:
            of_lines = [known for known, one in OBSERVABLES.items() if one.of_line]
            what = "is not an observable" if name is None else "is of no line"
            raise SentenceError(f"`{typed}` {what}", meta.start_pos, meta.end_pos, suggestion(typed, of_lines))
        if name == "phase_difference_deg":
            raise SentenceError(f"`{name}` is of two lines", meta.start_pos, meta.end_pos, "write abs(phase(metal) - phase(electrolyte))")
        return name

    def line(self, _meta: Meta, children: list[Token]) -> str:
        """A line by name; ``this cycle``, ``cycle 1``."""
        return " ".join(self.of(child) for child in children)

    def window(self, _meta: Meta, children: list[Token]) -> tuple[float, float]:
        """``240..290 ppm``."""
        return bounds(children[0])

    def seen_phase(self, _meta: Meta, children: list[Token]) -> Seen:
        """``abs(phase(metal) - phase(electrolyte))``."""
        first, second = (self.of(child) for child in children)
        return Seen(f"phase_difference_deg({first}, {second})", absolute=True)

    def seen_real(self, _meta: Meta, children: list[Measure]) -> Seen:
        """``Re(Z) at 1 kHz``."""
        return Seen(real_part_at(self.need(children[0], "frequency").value))

    def seen_name(self, meta: Meta, children: list[Token]) -> Seen:
        """A declared observable by name."""
        name = self.of(children[0])
        observable = declared(name)
        if observable is None:
            raise SentenceError(f"`{name}` is not an observable", meta.start_pos, meta.end_pos, suggestion(name, OBSERVABLES))
        if observable.of_line:
            raise SentenceError(f"{name} of what?", meta.start_pos, meta.end_pos, f"write {name}(NAME) or {name}(a..b ppm)")
        return Seen(name)

    def observable(self, _meta: Meta, children: list[Seen]) -> Seen:
        """An observable alone, as the key ``observable`` names it."""
        return children[0]

    # ----------------------------------------------------------------------------------------------------- right side

    def number(self, _meta: Meta, children: list[Token]) -> Bound:
        """``0``."""
        return Bound("number", float(children[0]))

    def bound_quantity(self, _meta: Meta, children: list[Measure]) -> Bound:
        """``15 deg``."""
        return Bound("number", measure=children[0])

    def of_resistance(self, _meta: Meta, children: list[Token]) -> Bound:
        """``0.2 * abs(I) * R_eis``."""
        return Bound("resistance", float(children[0]))

    def of_start(self, _meta: Meta, children: list[Any]) -> Bound:
        """``3 * E_at_start``."""
        factor = float(children[0])
        return Bound("start", factor, reference={"of": "step_start", "factor": factor})

    def of_sd(self, _meta: Meta, children: list[Any]) -> Bound:
        """``mean + 5 sd of spectra between 20 % and 80 %``."""
        reference = {"of": children[0], "n_sd": float(children[1])}
        return Bound("sd", reference=reference | ({"over": {"x": children[2]}} if len(children) > 2 else {}))

    def sd_of(self, _meta: Meta, children: list[Token]) -> str:
        """``mean``."""
        return str(children[0])

    def between(self, _meta: Meta, children: list[Measure]) -> tuple[float, float]:
        """``of spectra between 20 % and 80 %``, as fractions."""
        for measure in children:
            if measure.quantity.unit != "%":
                raise SentenceError("spectra are chosen by x in %", measure.start, measure.end)
        return children[0].quantity.value / 100, children[1].quantity.value / 100

    def of_half_cycle(self, _meta: Meta, children: list[Token]) -> Bound:
        """``0.7 of the same half-cycle in cycles 2-4``."""
        reference = {"of": "same_half_cycle", "factor": float(children[0]), "cycles": cycle_span(children[1])}
        return Bound("half-cycle", reference=reference)

    # ------------------------------------------------------------------------------------------------- further keys

    def new_sign(self, _meta: Meta, _children: list[Any]) -> str:
        """``E has the new sign``."""
        return "new sign"

    def armed_after(self, _meta: Meta, children: list[Any]) -> dict[str, Any]:
        """``E has the new sign or 5 s``, as fields of Rule."""
        times = [self.need(child, "time").value for child in children if isinstance(child, Measure)]
        return {"armed_on_new_sign": "new sign" in children, "armed_after_s": min(times) if times else None}

    def for_count(self, _meta: Meta, children: list[Any]) -> dict[str, Any]:
        """``3 samples``, as fields of Rule."""
        return {"for_count": whole(children[0]), "for_unit": children[1]}

    def count_unit(self, _meta: Meta, children: list[Token]) -> str:
        """``samples`` or ``spectra``."""
        return "samples" if str(children[0]).startswith("sample") else "spectra"

    def confidence(self, _meta: Meta, children: list[Token]) -> float:
        """``2 SE``."""
        return float(children[0])

    def track(self, _meta: Meta, children: list[Token]) -> dict[str, Any]:
        """``strongest line 40..1100 ppm in metal``."""
        return {"what": "strongest line", "window_ppm": bounds(children[0]), "acquisition": self.of(children[1])}


def _voltage(name: str) -> str:
    return "voltage" if name == "cell" else f"voltage_{name}"


def _area(line: str | tuple[float, float]) -> tuple[str, bool, tuple[float, float] | None]:
    return ("area", False, line) if isinstance(line, tuple) else (f"area({line})", False, None)
