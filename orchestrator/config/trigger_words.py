"""The vocabulary of triggers: ``every 2 % below 80 %``, ``log-spaced 12 min to 12 h``."""

from __future__ import annotations

from typing import Any

from lark import Token, v_args
from lark.tree import Meta

from orchestrator.config.diagnostics import SentenceError
from orchestrator.config.words import Measure, Words, whole
from orchestrator.model.acquisition import Condition, TriggerKind
from orchestrator.model.units import Quantity

LOG_SPACED_POINTS = 16
LARGEST_X = 2.0

Fields = dict[str, Any]


@v_args(meta=True)
class TriggerWords(Words):
    """Triggers, as fields of NmrTrigger."""

    def trigger(self, meta: Meta, children: list[Fields]) -> Fields:
        """What starts the acquisition, and its conditions; each once."""
        fields: Fields = {}
        for child in children:
            for name in child.keys() & fields.keys():
                raise SentenceError(f"{name.removesuffix('_s').removesuffix('_V')} is given twice", meta.start_pos, meta.end_pos)
            fields |= child
        if "hysteresis_V" in fields and fields["kind"] is not TriggerKind.EVERY_VOLTAGE:
            raise SentenceError(
                "only a trigger on voltage has a hysteresis", meta.start_pos, meta.end_pos, "write `every 10 mV with hysteresis 2 mV`"
            )
        return fields

    def at_start(self, _meta: Meta, _children: list[Any]) -> Fields:
        """``at start``."""
        return {"kind": TriggerKind.AT_START}

    def at_end(self, _meta: Meta, _children: list[Any]) -> Fields:
        """``at end``."""
        return {"kind": TriggerKind.AT_END}

    def continuously(self, _meta: Meta, _children: list[Any]) -> Fields:
        """``continuously``."""
        return {"kind": TriggerKind.CONTINUOUSLY}

    def knee(self, _meta: Meta, _children: list[Any]) -> Fields:
        """``at each knee``."""
        return {"kind": TriggerKind.KNEE}

    def on_demand(self, _meta: Meta, _children: list[Any]) -> Fields:
        """``on demand``."""
        return {"kind": TriggerKind.ON_DEMAND}

    def every(self, _meta: Meta, children: list[Measure]) -> Fields:
        """``every 5 minutes | 1 % | 0.01 mAh/cm2 | 10 mV``."""
        measure = children[0]
        interval = self.above_zero(measure, "time", "charge", "voltage")
        kinds = {"time": TriggerKind.EVERY_TIME, "charge": TriggerKind.EVERY_CHARGE, "voltage": TriggerKind.EVERY_VOLTAGE}
        return {"kind": TriggerKind.EVERY_X if interval.unit == "%" else kinds[measure.kind], "every": interval}

    def above_zero(self, measure: Measure, *kinds: str) -> Quantity:
        """A quantity of one of these kinds, above zero."""
        value = self.need(measure, *kinds)
        if value.value <= 0:
            raise SentenceError(f"`{self.typed[measure.start : measure.end]}` must be above zero", measure.start, measure.end)
        return value

    def times(self, _meta: Meta, children: list[Any]) -> Fields:
        """``20 times from start``."""
        return {"kind": TriggerKind.TIMES, "count": whole(children[0]), "from_start": len(children) > 1}

    def from_start(self, _meta: Meta, _children: list[Any]) -> bool:
        """``from start``."""
        return True

    def log_spaced(self, meta: Meta, children: list[Any]) -> Fields:
        """``log-spaced 12 min to 12 h, 20 points``."""
        first, last = (self.above_zero(child, "time").value for child in children[:2])
        if first >= last:
            raise SentenceError("log-spaced times must rise", meta.start_pos, meta.end_pos, "write the shorter time first")
        count = whole(children[2], least=2) if len(children) > 2 else LOG_SPACED_POINTS
        return {"kind": TriggerKind.LOG_SPACED, "first_s": first, "last_s": last, "count": count}

    def at_x(self, meta: Meta, children: list[Token]) -> Fields:
        """``at x 0, 0.25, 0.5``."""
        values = tuple(float(child) for child in children)
        if max(values) > LARGEST_X:
            raise SentenceError("x is a fraction of the capacity, not a percentage", meta.start_pos, meta.end_pos, "write 0.25 for 25 %")
        return {"kind": TriggerKind.AT_X, "x": values}

    def below(self, _meta: Meta, children: list[Measure]) -> Fields:
        """``below 80 %``."""
        return {"condition": self.condition("below", children[0])}

    def above(self, _meta: Meta, children: list[Measure]) -> Fields:
        """``above 0.2 V``."""
        return {"condition": self.condition("above", children[0])}

    def condition(self, side: Any, measure: Measure) -> Condition:
        """X in %, or the voltage."""
        value = self.need(measure, "voltage", "charge")
        if measure.kind == "charge" and value.unit != "%":
            raise SentenceError("a condition is on x (in %) or on the voltage", measure.start, measure.end)
        return Condition(of="voltage" if measure.kind == "voltage" else "x", side=side, value=value.value)

    def guard(self, _meta: Meta, children: list[Measure]) -> Fields:
        """``at start after 5 s``."""
        return {"guard_s": self.above_zero(children[0], "time").value}

    def hysteresis(self, _meta: Meta, children: list[Measure]) -> Fields:
        """``with hysteresis 2 mV``."""
        return {"hysteresis_V": self.above_zero(children[0], "voltage").value}

    def only_in(self, _meta: Meta, children: list[str]) -> Fields:
        """``in galvanostatic steps``."""
        return {"only_in": children[0]}

    def only_in_kind(self, _meta: Meta, children: list[Token]) -> str:
        """``rest``."""
        return str(children[0])
