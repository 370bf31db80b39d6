"""The vocabulary of steps: ``Charge at C/10 until 3.8 V or 11 hours``."""

from __future__ import annotations

from typing import Any

from lark import Token, v_args
from lark.tree import Meta

from orchestrator.config.diagnostics import SentenceError
from orchestrator.config.words import Measure, Words, whole
from orchestrator.model.protocol import End, RepeatUntil, SampleRate, Step, Verb, WaitForNmr

SIGN_HINT = "the verb gives the direction: write the current without a sign"
TAPER_HINT = "this step sets the current itself: name a voltage, a charge or a time"
OF_HINT = "only a percentage is of something: `130 % of graphite`"


@v_args(meta=True)
class StepWords(Words):
    """Steps, the end of a repeat, waiting for the console."""

    def verb(self, _meta: Meta, children: list[Token]) -> Verb:
        """``charge`` … ``strip``."""
        return Verb(str(children[0]))

    def end_after(self, meta: Meta, children: list[Measure]) -> End:
        """``for 12 hours``."""
        return End(kind="time", quantity=self.positive(self.need(children[0], "time"), children[0]), where=self.where(meta))

    def end(self, meta: Meta, children: list[Measure]) -> End:
        """``3.8 V``, ``8 hours``, ``2 mAh``, ``C/50``."""
        measure = children[0]
        value = self.need(measure, "voltage", "time", "charge", "current")
        if measure.kind != "voltage":
            self.positive(value, measure)
        return End(kind=measure.kind, quantity=value, where=self.where(meta))

    def end_of(self, meta: Meta, children: list[Any]) -> End:
        """``130 % of graphite``."""
        measure, name = children
        if measure.quantity.unit != "%":
            raise SentenceError(f"`{self.typed[measure.start : measure.end]}` is not a percentage", measure.start, measure.end, OF_HINT)
        value = self.positive(measure.quantity, measure)
        return End(kind="charge", quantity=type(value)(value.value, "%", name), where=self.where(meta))

    def end_named(self, meta: Meta, children: list[Any]) -> End:
        """``E_we 0.1 V``."""
        return End(kind="voltage", quantity=self.need(children[1], "voltage"), voltage_name=children[0], where=self.where(meta))

    def end_absolute(self, meta: Meta, children: list[Any]) -> End:
        """``abs(E) 0.4 V``."""
        value = self.positive(self.need(children[1], "voltage"), children[1])
        return End(kind="voltage", quantity=value, absolute=True, voltage_name=children[0], where=self.where(meta))

    def positive(self, value: Any, measure: Measure) -> Any:
        """The quantity, if it is above zero."""
        if value.value <= 0:
            raise SentenceError(f"`{self.typed[measure.start : measure.end]}` must be above zero", measure.start, measure.end)
        return value

    def period(self, _meta: Meta, children: list[Measure]) -> SampleRate:
        """``(10 second period)``."""
        return SampleRate(then_Hz=1 / self.positive(self.need(children[0], "time"), children[0]).value)

    def rest(self, _meta: Meta, children: list[Any]) -> Step:
        """``Rest for 10 minutes``."""
        for end in _ends(children):
            if end.kind not in {"time", "voltage"}:
                raise SentenceError(f"a rest cannot end on {end.kind}", *self.span(end), "no current flows: name a time or a voltage")
        return Step(text=self.typed, verb=Verb.REST, ends=_ends(children), sample=_sample(children))

    def galvanostatic(self, _meta: Meta, children: list[Any]) -> Step:
        """``Plate working at 0.5 mA/cm2 until 1 mAh/cm2 or abs(E) 0.4 V``."""
        verb = children[0]
        electrode = next((child for child in children if isinstance(child, str) and child != verb), None)
        measure = next(child for child in children if isinstance(child, Measure))
        current = self.need(measure, "current")
        if current.value == 0 or (current.value < 0 and verb is not Verb.GALVANOSTATIC):
            hint = SIGN_HINT if current.value else "a step without current is a rest"
            raise SentenceError(f"`{self.typed[measure.start : measure.end]}` is no current for `{verb}`", measure.start, measure.end, hint)
        for end in _ends(children):
            if end.kind == "current":
                raise SentenceError("a galvanostatic step cannot end on a current", *self.span(end), TAPER_HINT)
        return Step(
            text=self.typed,
            verb=verb,
            electrode=electrode,
            current=current,
            ends=_ends(children),
            sample=_sample(children),
            set_where=self.locate(measure.start, measure.end),
        )

    def potentiostatic(self, _meta: Meta, children: list[Any]) -> Step:
        """``Potentiostatic at 0.005 V until C/100 or 3 hours``."""
        measure = next(child for child in children if isinstance(child, Measure))
        for end in _ends(children):
            if end.kind == "voltage" and end.voltage_name == "cell":
                raise SentenceError(
                    "a potentiostatic step cannot end on the voltage it sets", *self.span(end), "name a time, a charge or a current"
                )
        return Step(
            text=self.typed,
            verb=Verb.POTENTIOSTATIC,
            voltage_V=self.need(measure, "voltage").value,
            voltage_name=next((child for child in children if isinstance(child, str)), "cell"),
            ends=_ends(children),
            sample=_sample(children),
            set_where=self.locate(measure.start, measure.end),
        )

    def span(self, end: End) -> tuple[int, int]:
        """Where an end stands in the sentence, seen from its beginning."""
        first = self.locate(0, 1)
        start = end.where.column - first.column if end.where.line == first.line else 0
        return start, start + end.where.length

    def repeat_until(self, meta: Meta, children: list[Any]) -> RepeatUntil:
        """``discharge < 50 % of cycle 2``."""
        verb, side, percent, cycle = children
        return RepeatUntil(
            verb=verb, side=side, factor=float(percent) / 100, of_cycle=whole(cycle), text=self.typed, where=self.where(meta)
        )

    def side(self, _meta: Meta, children: list[Token]) -> str:
        """``<`` or ``>``."""
        return {"<": "below", ">": "above"}[str(children[0])]

    def wait_cell(self, _meta: Meta, children: list[Token]) -> str:
        """``at open circuit``."""
        return " ".join(str(child) for child in children)

    def wait_for_nmr(self, _meta: Meta, children: list[Any]) -> WaitForNmr:
        """``at open circuit, at most 30 minutes``."""
        longest = {"longest_s": self.need(children[1], "time").value} if len(children) > 1 else {}
        return WaitForNmr(cell=children[0], **longest)

    def sample_key(self, _meta: Meta, children: list[Measure]) -> float:
        """``first 10 minutes``, in seconds."""
        return self.need(children[0], "time").value


def _ends(children: list[Any]) -> tuple[End, ...]:
    return tuple(child for child in children if isinstance(child, End))


def _sample(children: list[Any]) -> SampleRate | None:
    return next((child for child in children if isinstance(child, SampleRate)), None)
