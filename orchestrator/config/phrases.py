"""Every sentence of the language: text and place in the file → its normal form. ``read`` is the one way in."""

from __future__ import annotations

from typing import Any

from lark import Token, v_args
from lark.exceptions import VisitError
from lark.tree import Meta

from orchestrator.config.action_words import ActionWords
from orchestrator.config.diagnostics import SentenceError
from orchestrator.config.rule_words import RuleWords
from orchestrator.config.sentences import parse
from orchestrator.config.trigger_words import TriggerWords
from orchestrator.config.words import Locate, Measure, cycle_span, whole
from orchestrator.model.acquisition import MissedPolicy
from orchestrator.model.cell import Electrode
from orchestrator.model.rule import Predicate
from orchestrator.model.values import Where

WAIT_HINT = "write `wait at open circuit after 2 missed`"


@v_args(meta=True)
class Phrases(ActionWords, TriggerWords, RuleWords):
    """The vocabularies together, and the short phrases of single keys."""

    def host_open_circuit(self, _meta: Meta, children: list[Measure]) -> dict[str, Any]:
        """``open circuit within 60 s``."""
        return {"host_lost": "open circuit", "host_lost_within_s": self.need(children[0], "time").value}

    def host_finish_step(self, _meta: Meta, _children: list[Any]) -> dict[str, Any]:
        """``finish step on device``."""
        return {"host_lost": "finish step on device"}

    def missed_continue(self, _meta: Meta, _children: list[Any]) -> MissedPolicy:
        """``continue``."""
        return MissedPolicy(do="continue")

    def missed_stop(self, _meta: Meta, _children: list[Any]) -> MissedPolicy:
        """``stop``."""
        return MissedPolicy(do="stop")

    def missed_wait(self, _meta: Meta, children: list[Token]) -> MissedPolicy:
        """``wait at open circuit after 2 missed``."""
        return MissedPolicy(do="wait at open circuit", after=whole(children[0]) if children else 1)

    def retune(self, _meta: Meta, children: list[Token]) -> int:
        """``every 10 pairs``."""
        return whole(children[0])

    def electrode(self, _meta: Meta, children: list[Any]) -> Electrode:
        """``graphite 1.60 mAh``."""
        if len(children) == 1:
            return Electrode(name=children[0])
        capacity = self.need(children[1], "charge")
        if capacity.unit != "mAh" or capacity.value <= 0:
            raise SentenceError("an electrode's capacity is given in mAh", children[1].start, children[1].end)
        return Electrode(name=children[0], capacity_mAh=capacity.value)

    def x_now(self, _meta: Meta, children: list[Token]) -> tuple[float, str | None]:
        """``0.06 Li in graphite``."""
        return float(children[0]), self.of(children[1]) if len(children) > 1 else None

    def cycles(self, _meta: Meta, children: list[Token]) -> tuple[int, int]:
        """``stripping in cycles 2-4``."""
        return cycle_span(children[0])

    def at_end_cell(self, _meta: Meta, children: list[Any]) -> str:
        """``open circuit after discharge``."""
        return f"open circuit after {children[0]}" if children else "open circuit"

    def duration(self, _meta: Meta, children: list[Measure]) -> float:
        """A time in seconds."""
        return self.need(children[0], "time").value

    def scalar(self, _meta: Meta, children: list[Measure]) -> Measure:
        """Any quantity."""
        return children[0]


def read(text: str, start: str, locate: Locate | None = None, previous: Predicate | None = None) -> Any:
    """The normal form of a sentence at a place of the file (``start``: a start rule of the grammar). Raises SentenceError."""
    tree = parse(text, start)
    try:
        return Phrases(text, locate or _here, previous).transform(tree)
    except VisitError as error:
        if isinstance(error.orig_exc, SentenceError):
            raise error.orig_exc from None
        raise


def _here(start: int, end: int) -> Where:
    return Where(line=1, column=start + 1, length=max(end - start, 1))
