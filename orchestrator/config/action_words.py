"""The vocabulary of ``prepare``, ``at_end`` and ``do``: ``ocv -5..5 mV for 10 minutes``, ``mark x and E``."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from lark import Token, v_args
from lark.tree import Meta

from orchestrator.config.diagnostics import SentenceError
from orchestrator.config.step_words import StepWords
from orchestrator.config.words import Measure, bounds
from orchestrator.model.protocol import Step
from orchestrator.model.rule import Action

NUMBER_WORDS = {"one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"}


@v_args(meta=True)
class ActionWords(StepWords):
    """Every action as an Action; its arguments in canonical units."""

    def done(self, meta: Meta | None, verb: str, /, **arguments: Any) -> Action:
        """An action with its arguments, those that are None left out."""
        where = self.locate(0, len(self.typed)) if meta is None or meta.empty else self.where(meta)
        given = {name: value for name, value in arguments.items() if value is not None}
        return Action(verb=verb, arguments=given, text=self.typed, where=where)

    def prepare(self, _meta: Meta, children: list[Action]) -> Action:
        """One preparation."""
        return children[0]

    action = at_end_nmr = prepare

    # ------------------------------------------------------------------------------------------------------- prepare

    def ocv(self, meta: Meta, children: list[Any]) -> Action:
        """``ocv 2.5..3.4 V drifting < 5 mV per 10 minutes``."""
        scale = self.unit(children[1])
        if scale.kind != "voltage":
            raise SentenceError(f"`{self.of(children[1])}` is not a voltage (V, mV)", children[1].start_pos, children[1].end_pos)
        lower, upper = (float(Decimal(repr(value)) * Decimal(scale.factor)) for value in bounds(children[0]))
        duration = next((self.need(child, "time").value for child in children if isinstance(child, Measure)), None)
        drift = next((child for child in children if isinstance(child, dict)), {})
        return self.done(meta, "ocv", lower_V=lower, upper_V=upper, for_s=duration, **drift)

    def drifting(self, _meta: Meta, children: list[Measure]) -> dict[str, float]:
        """``drifting < 5 mV per 10 minutes``."""
        return {"drift_V": self.need(children[0], "voltage").value, "drift_per_s": self.need(children[1], "time").value}

    def polarity(self, meta: Meta, children: list[Any]) -> Action:
        """``polarity +20 uA for 30 s must raise E``."""
        current, duration, direction, voltage_name = children
        return self.done(
            meta,
            "polarity",
            current_A=self._ampere(current),
            for_s=self.need(duration, "time").value,
            must=direction,
            voltage_name=voltage_name,
        )

    def _ampere(self, measure: Measure) -> float:
        current = self.need(measure, "current")
        if current.unit != "A":
            raise SentenceError("the test current is given in A, mA or uA", measure.start, measure.end)
        return current.value

    def raise_or_lower(self, _meta: Meta, children: list[Token]) -> str:
        """``raise``."""
        return str(children[0])

    def tune(self, meta: Meta, children: list[Measure]) -> Action:
        """``tune at 560 ppm``."""
        return self.done(meta, "tune", at_ppm=self.need(children[0], "shift").value if children else None)

    def gain(self, meta: Meta, children: list[Any]) -> Action:
        """``gain with 3x headroom then frozen``."""
        headroom = next((child for child in children if isinstance(child, float)), None)
        return self.done(meta, "gain", headroom=headroom, frozen="frozen" in children)

    def headroom(self, _meta: Meta, children: list[Token]) -> float:
        """``with 3x headroom``."""
        return float(children[0])

    def frozen(self, _meta: Meta, _children: list[Any]) -> str:
        """``frozen``."""
        return "frozen"

    def pulse(self, meta: Meta, _children: list[Any]) -> Action:
        """``pulse on reference``."""
        return self.done(meta, "pulse", on="reference")

    def reference(self, meta: Meta, children: list[Token]) -> Action:
        """``reference 7Li_LiCl_aq``."""
        return self.done(meta, "reference", name=self.of(children[0]))

    def noise(self, meta: Meta, _children: list[Any]) -> Action:
        """``noise``."""
        return self.done(meta, "noise")

    def blank(self, meta: Meta, children: list[Token]) -> Action:
        """``blank with counter-electrode Na``."""
        return self.done(meta, "blank", **({"with": self.of(children[0])} if children else {}))

    def eis(self, meta: Meta, _children: list[Any]) -> Action:
        """``eis``."""
        return self.done(meta, "eis")

    def acquire_once(self, meta: Meta, children: list[Token]) -> Action:
        """``quant``."""
        return self.done(meta, "acquire", acquisition=self.of(children[0]))

    # ------------------------------------------------------------------------------------------------------------ do

    def plain_action(self, meta: Meta, children: list[Token]) -> Action:
        """``open circuit``, ``warn`` …; a level carries its name."""
        verb = " ".join(str(child) for child in children)
        return self.done(meta, verb, level=verb if verb in {"info", "warn", "critical"} else None)

    def alarm(self, meta: Meta, children: list[str]) -> Action:
        """``alarm info``."""
        return self.done(meta, "alarm", level=children[0] if children else "alarm")

    def level(self, _meta: Meta, children: list[Token]) -> str:
        """``info``."""
        return str(children[0])

    def mark(self, meta: Meta, children: list[str]) -> Action:
        """``mark x and E at the first of the three``; without a list both are marked."""
        what = tuple(dict.fromkeys(child for child in children if child != "first")) or ("x", "E")
        return self.done(meta, "mark", what=what, at="first" if "first" in children else "last")

    def mark_item(self, _meta: Meta, children: list[Token]) -> str:
        """``x`` or ``E``."""
        return {"x": "x", "e": "E"}[str(children[0])]

    def at_first(self, _meta: Meta, children: list[Token]) -> str:
        """``at the first of the three``."""
        for token in children:
            if token.type == "WORD" and str(token) not in NUMBER_WORDS:
                raise SentenceError(f"`{self.of(token)}` is not a number", token.start_pos or 0, token.end_pos or 0)
        return "first"

    def flag(self, meta: Meta, children: list[Token]) -> Action:
        """``flag budget``."""
        return self.done(meta, "flag", name=self.of(children[0]))

    def acquire(self, meta: Meta, children: list[Any]) -> Action:
        """``acquire quant every 10 minutes``, or without the word ``acquire``."""
        every = self.need(children[1], "time").value if len(children) > 1 else None
        return self.done(meta, "acquire", acquisition=self.of(children[0]), every_s=every)

    acquire_short = acquire

    def change(self, meta: Meta, children: list[Token]) -> Action:
        """``change acquisition burst``."""
        return self.done(meta, "change acquisition", acquisition=self.of(children[0]))

    def skip(self, meta: Meta, children: list[Token]) -> Action:
        """``skip to step after``."""
        return self.done(meta, "skip to step", step=self.of(children[0]))

    def hold(self, meta: Meta, children: list[Any]) -> Action:
        """``hold at 3.0 V until C/50 or 2 hours``."""
        step: Step = self.potentiostatic(meta, children)
        return self.done(meta, "hold", voltage_V=step.voltage_V, voltage_name=step.voltage_name, ends=step.ends)
