"""What a run had learnt before its host died is known to the one that goes on, before its first sample."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from drivers.base import GARBLED, SampleBlock
from orchestrator.runner import reactions
from orchestrator.runner.account import Account
from orchestrator.runner.interlocks import rings
from orchestrator.runner.interlocks.rings import Rings

Survive = Callable[..., Any]
FOUND = {"name": "area(metal)", "value": 3.5, "error": None, "unit": "", "key": "a00001-fast", "algorithm": "sum 1"}


class Asked(Rings):
    """Tells, with the first sample of each life, what it knows; and is sent one and the same finding then."""

    lives: list[dict[str, Any]]
    asked = False

    def samples(self, block: SampleBlock, account: Account | None) -> None:
        if not self.asked:
            self.asked = True
            new, seq = self.inlet.take([FOUND], "tester")
            self.lives.append({"new": len(new), "seq": seq, "R_cell_ohm": self.interlocks.resistance.R_cell_ohm})
        super().samples(block, account)


def test_findings_and_R_cell_outlive_the_host(survive: Survive, kill: Any, whole: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    Asked.lives = []
    monkeypatch.setattr(reactions, "Rings", Asked)
    night = survive(kill(200.0))
    whole(night)
    first, second = Asked.lives
    (found,) = night.of("observable", name="area(metal)", algorithm="sum 1")
    assert (first["new"], second["new"]) == (1, 0), "sent again to the one that continues, it is not journaled again"
    assert first["seq"] == second["seq"] == found.seq
    (learnt,) = night.of("observable", name="R_cell")
    assert first["R_cell_ohm"] is None
    assert second["R_cell_ohm"] == learnt.data["value"], "the hard short is judged by what was learnt, not by what a short would teach"


class Disturbed(Rings):
    """Hears of lines that were no samples, once, in the first life."""

    garbled = False

    def samples(self, block: SampleBlock, account: Account | None) -> None:
        if not Disturbed.garbled and len(block) and block.mono_ns[-1] > 150_000_000_000:
            Disturbed.garbled = True
            block = replace(block, aux={**block.aux, GARBLED: np.full(len(block), 3.0)})
        super().samples(block, account)


def test_a_line_that_was_disturbed_before_the_death_is_told_to_be_quiet_after_it(
    survive: Survive, kill: Any, whole: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    Disturbed.garbled = False
    monkeypatch.setattr(reactions, "Rings", Disturbed)
    monkeypatch.setattr(rings, "QUIET_NS", 60_000_000_000)
    night = survive(kill(200.0))
    whole(night)
    (raised,), (cleared,) = night.of("alarm.raised", id="garbled"), night.of("alarm.cleared", id="garbled")
    (continued,) = [event for event in night.of("run.state") if "continued" in event.data]
    assert raised.seq < continued.seq < cleared.seq
