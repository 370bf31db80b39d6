"""The broad line of LFP under the metal: a blank reaches phases too, and a metal that is hardly there has none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from orchestrator.config import load_twin
from orchestrator.model.events import Event
from orchestrator.observer.analysis import Inline

Live = Callable[..., Any]
CONFIGS = Path(__file__).parents[2] / "configs"


def night_of(live: Live, experiment: str, twin: str, seed: int = 1) -> Any:
    """A night with the live analysis, in virtual time."""
    made: list[Inline] = []
    errors: list[str] = []

    def before(night: Any) -> None:
        made.append(Inline(night.clock, night.commands, errors.append))
        started = {"plan": night.plan.model_dump(mode="json"), "origin_mono_ns": night.clock.mono_ns()}
        made[0].before([Event(1, night.clock.mono_ns(), night.clock.utc_ns(), "run.started", started)])
        night.journal.watchers.append(made[0].heard)

    async def during(_: Any) -> None:
        await made[0].run()

    night = live(experiment, during, before=before, seed=seed, physics=dict(load_twin(CONFIGS / "twins" / twin)))
    assert errors == []
    return night


def shortened(text: str, hours: float) -> str:
    """The shipped anode-free file, its first charge and no more."""
    head, _, tail = text.partition("protocol:\n")
    step = f"  - {{step: Charge at C/10 until 3.8 V or {hours} hours, nmr: {{fast: every 1 %}}}}\n"
    _, _, after = tail.partition("\nbudget:")
    return head + "protocol:\n" + step + "budget:" + after


SHIPPED = (CONFIGS / "experiments" / "anode_free_budget.yaml").read_text()


def of(night: Any, name: str) -> dict[str, tuple[float, float]]:
    """Value and error of an observable of the fast spectra, by spectrum."""
    told = [event.data for event in night.of("observable", name=name) if event.data["key"].endswith("fast")]
    return {each["key"]: (each["value"], each["error"]) for each in told}


def test_the_shipped_rule_is_silent_in_the_first_percents_of_plating(live: Live) -> None:
    night = night_of(live, shortened(SHIPPED, 1.5), "C2.yaml")
    assert night.of("rule.fired") == []
    areas, differences = of(night, "area(metal)"), of(night, "phase_difference_deg(metal, electrolyte)")
    spectra = [key for key in areas if key.endswith("-fast")]
    first, last = spectra[0], spectra[-1]
    assert abs(areas[first][0]) < 1e-6, "the blank of the preparation, less itself, though the polarity pulse came before it"
    assert areas[last][0] > 30 * areas[last][1]
    assert first not in differences, "no metal, no phase"
    assert len(differences) > 3
    assert all(abs(value) < 3.0 * error < 30.0 for value, error in differences.values())


def test_without_a_blank_a_broad_line_is_no_phase_of_the_metal_either(live: Live) -> None:
    night = night_of(live, shortened(SHIPPED.replace(", subtract: blank", ""), 1.0), "C2.yaml")
    assert night.of("rule.fired") == []
    assert min(value for value, _ in of(night, "area(metal)").values()) < -50.0, "LFP reaches into the window"
