"""Every sentence of the five real files, and the forms beside them, against its normal form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.config import checked, load_experiment
from orchestrator.config.diagnostics import SentenceError
from orchestrator.config.phrases import read
from orchestrator.model.acquisition import MissedPolicy
from orchestrator.model.cell import Electrode
from orchestrator.model.protocol import End, Step, Verb, WaitForNmr
from orchestrator.model.rule import Predicate
from orchestrator.model.units import Quantity

FIVE = (
    "anode_free_budget",
    "graphite_overcharge_stop_at_plating",
    "hard_carbon_dual_offset",
    "li_li_plate_strip",
    "na_beta_alumina_short_and_image",
)


def shown_end(end: End) -> str:
    name = f"abs({end.voltage_name}) " if end.absolute else "" if end.voltage_name == "cell" else f"{end.voltage_name} "
    return f"{name}{end.quantity}"


def shown_step(step: Step) -> tuple[Any, ...]:
    """What a step does, short enough for a table."""
    driven = str(step.current) if step.current else step.voltage_V
    return step.verb.value, step.electrode, driven, *map(shown_end, step.ends)


STEPS = {
    "Rest for 1 hour": ("rest", None, None, "3600 s"),
    "Rest for 10 minutes": ("rest", None, None, "600 s"),
    "Rest for 12 hours": ("rest", None, None, "43200 s"),
    "Rest for 30 minutes": ("rest", None, None, "1800 s"),
    "Charge at C/10 until 3.8 V or 11 hours": ("charge", None, "0.1 C", "3.8 V", "39600 s"),
    "Charge at C/2 until 3.8 V or 3 hours": ("charge", None, "0.5 C", "3.8 V", "10800 s"),
    "Charge at C/5 until 130 % of graphite or 3.8 V or 8 hours": ("charge", None, "0.2 C", "130 % of graphite", "3.8 V", "28800 s"),
    "Discharge at C/10 until 2.5 V or 14 hours": ("discharge", None, "0.1 C", "2.5 V", "50400 s"),
    "Discharge at C/2 until 2.5 V or 3 hours": ("discharge", None, "0.5 C", "2.5 V", "10800 s"),
    "Plate working at 0.5 mA/cm2 until 1 mAh/cm2 or abs(E) 0.4 V": ("plate", "working", "0.0005 A/cm2", "1 mAh/cm2", "abs(cell) 0.4 V"),
    "Plate working at 0.5 mA/cm2 until 9.5 mAh/cm2 or abs(E) 0.9 V": ("plate", "working", "0.0005 A/cm2", "9.5 mAh/cm2", "abs(cell) 0.9 V"),
    "Strip working at 0.5 mA/cm2 until 1 mAh/cm2 or abs(E) 0.4 V": ("strip", "working", "0.0005 A/cm2", "1 mAh/cm2", "abs(cell) 0.4 V"),
    "Strip working at 0.5 mA/cm2 until 9.5 mAh/cm2 or abs(E) 0.9 V": ("strip", "working", "0.0005 A/cm2", "9.5 mAh/cm2", "abs(cell) 0.9 V"),
    "Sodiate working at C/20 until 0.005 V or 24 hours": ("sodiate", "working", "0.05 C", "0.005 V", "86400 s"),
    "Sodiate working at C/20 until 110 % of the sodiation so far or -0.05 V or 3 hours": (
        *("sodiate", "working", "0.05 C", "110 % of the sodiation so far", "-0.05 V", "10800 s"),
    ),
    "Desodiate working at C/20 until 2.0 V or 24 hours": ("desodiate", "working", "0.05 C", "2 V", "86400 s"),
    "Potentiostatic at 0.005 V until C/100 or 3 hours": ("potentiostatic", None, 0.005, "0.01 C", "10800 s"),
    # as PyBaMM and others write them
    "Rest for 600.0 seconds": ("rest", None, None, "600 s"),
    "Charge at 0.1C for 12 hours or until 4.2 V": ("charge", None, "0.1 C", "43200 s", "4.2 V"),
    "Hold at 4.2 V for 2 hours or until 0.02C": ("potentiostatic", None, 4.2, "7200 s", "0.02 C"),
    "Hold at 4.2 V until C/50": ("potentiostatic", None, 4.2, "0.02 C"),
    "Discharge at 5 mA until 2.5 V": ("discharge", None, "0.005 A", "2.5 V"),
    "CHARGE AT 1C UNTIL 4.2V": ("charge", None, "1 C", "4.2 V"),
    # words and signs as people type them
    "Lithiate hard carbon at 50 µA·cm⁻² until −0.05 V": ("lithiate", "hard carbon", "5e-05 A/cm2", "-0.05 V"),
    "Delithiate working at 50 μA/cm² until E_we 1.5 V or 2 mAh": ("delithiate", "working", "5e-05 A/cm2", "we 1.5 V", "2 mAh"),
    "Strip upper Li at 0.4 mA cm-2 until abs(E_ce) 0.1 V": ("strip", "upper Li", "0.0004 A/cm2", "abs(ce) 0.1 V"),
    "Galvanostatic at -0.4 mA until -0.5 V or 5 h": ("galvanostatic", None, "-0.0004 A", "-0.5 V", "18000 s"),
    "Rest for 2 h or until 3.0 V": ("rest", None, None, "7200 s", "3 V"),
}
TRIGGERS = {
    "at start": {"kind": "at start"},
    "at end": {"kind": "at end"},
    "continuously": {"kind": "continuously"},
    "continuously above 80 %": {"kind": "continuously", "condition": ("x", "above", 80.0)},
    "3 times": {"kind": "times", "count": 3, "from_start": False},
    "5 times": {"kind": "times", "count": 5, "from_start": False},
    "20 times from start": {"kind": "times", "count": 20, "from_start": True},
    "every 0.01 mAh/cm2": {"kind": "every charge", "every": Quantity(0.01, "mAh/cm2")},
    "every 0.25 mAh/cm2": {"kind": "every charge", "every": Quantity(0.25, "mAh/cm2")},
    "every 1 %": {"kind": "every x", "every": Quantity(1.0, "%")},
    "every 1 % below 0.20 V": {"kind": "every x", "every": Quantity(1.0, "%"), "condition": ("voltage", "below", 0.2)},
    "every 10 %": {"kind": "every x", "every": Quantity(10.0, "%")},
    "every 2 %": {"kind": "every x", "every": Quantity(2.0, "%")},
    "every 2 % below 80 %": {"kind": "every x", "every": Quantity(2.0, "%"), "condition": ("x", "below", 80.0)},
    "every 20 minutes": {"kind": "every time", "every": Quantity(1200.0, "s")},
    "log-spaced 12 min to 12 h": {"kind": "log-spaced", "first_s": 720.0, "last_s": 43200.0, "count": 16},
    # beside the five files
    "at end after 5 s": {"kind": "at end", "guard_s": 5.0},
    "every 10 mV": {"kind": "every voltage", "every": Quantity(0.01, "V")},
    "every 10 mV with hysteresis 2 mV": {"kind": "every voltage", "every": Quantity(0.01, "V"), "hysteresis_V": 0.002},
    "log-spaced 10 s to 3 h, 9 points in rest": {"kind": "log-spaced", "first_s": 10.0, "last_s": 10800.0, "count": 9, "only_in": "rest"},
    "at start in galvanostatic steps": {"kind": "at start", "only_in": "galvanostatic"},
    "at x 0, 0.25 and 0.5": {"kind": "at x", "x": (0.0, 0.25, 0.5)},
    "at each knee": {"kind": "knee"},
    "on demand": {"kind": "on demand"},
}
ACTIONS = {
    ("action", "alarm info"): ("alarm", {"level": "info"}),
    ("action", "alarm"): ("alarm", {"level": "alarm"}),
    ("action", "eis"): ("eis", {}),
    ("action", "end step"): ("end step", {}),
    ("action", "flag budget"): ("flag", {"name": "budget"}),
    ("action", "mark"): ("mark", {"what": ("x", "E"), "at": "last"}),
    ("action", "mark E"): ("mark", {"what": ("E",), "at": "last"}),
    ("action", "mark x and E at the first of the three"): ("mark", {"what": ("x", "E"), "at": "first"}),
    ("action", "open circuit"): ("open circuit", {}),
    ("action", "quant every 10 minutes"): ("acquire", {"acquisition": "quant", "every_s": 600.0}),
    ("action", "acquire quant"): ("acquire", {"acquisition": "quant"}),
    ("action", "tag"): ("tag", {}),
    ("action", "warn"): ("warn", {"level": "warn"}),
    ("action", "record"): ("record", {}),
    ("action", "info"): ("info", {"level": "info"}),
    ("action", "critical"): ("critical", {"level": "critical"}),
    ("action", "retune"): ("retune", {}),
    ("action", "change acquisition burst"): ("change acquisition", {"acquisition": "burst"}),
    ("action", "pause nmr"): ("pause nmr", {}),
    ("action", "skip to step the last rest"): ("skip to step", {"step": "the last rest"}),
    ("action", "stop"): ("stop", {}),
    ("action", "abort"): ("abort", {}),
    ("prepare", "blank"): ("blank", {}),
    ("prepare", "blank with counter-electrode Na"): ("blank", {"with": "counter-electrode Na"}),
    ("prepare", "eis"): ("eis", {}),
    ("prepare", "noise"): ("noise", {}),
    ("prepare", "gain frozen"): ("gain", {"frozen": True}),
    ("prepare", "gain with 3x headroom then frozen"): ("gain", {"headroom": 3.0, "frozen": True}),
    ("prepare", "ocv -2..2 mV for 30 minutes"): ("ocv", {"lower_V": -0.002, "upper_V": 0.002, "for_s": 1800.0}),
    ("prepare", "ocv -5..5 mV for 10 minutes"): ("ocv", {"lower_V": -0.005, "upper_V": 0.005, "for_s": 600.0}),
    ("prepare", "ocv 2.0..3.2 V"): ("ocv", {"lower_V": 2.0, "upper_V": 3.2}),
    ("prepare", "ocv 2.5..3.4 V drifting < 5 mV per 10 minutes"): (
        "ocv",
        {"lower_V": 2.5, "upper_V": 3.4, "drift_V": 0.005, "drift_per_s": 600.0},
    ),
    ("prepare", "polarity +20 uA for 30 s must raise E"): (
        "polarity",
        {"current_A": 2e-5, "for_s": 30.0, "must": "raise", "voltage_name": "cell"},
    ),
    ("prepare", "pulse on reference"): ("pulse", {"on": "reference"}),
    ("prepare", "quant"): ("acquire", {"acquisition": "quant"}),
    ("prepare", "reference 23Na_NaCl_aq"): ("reference", {"name": "23Na_NaCl_aq"}),
    ("prepare", "reference 7Li_LiCl_aq"): ("reference", {"name": "7Li_LiCl_aq"}),
    ("prepare", "tune"): ("tune", {}),
    ("prepare", "tune at 560 ppm"): ("tune", {"at_ppm": 560.0}),
    ("at_end_nmr", "pair"): ("acquire", {"acquisition": "pair"}),
    ("at_end_nmr", "quant"): ("acquire", {"acquisition": "quant"}),
    ("at_end_nmr", "reference 23Na_NaCl_aq"): ("reference", {"name": "23Na_NaCl_aq"}),
    ("at_end_nmr", "reference 7Li_LiCl_aq"): ("reference", {"name": "7Li_LiCl_aq"}),
}
RULES = {
    "abs(E) < 0.2 * abs(I) * R_eis": {"observable": "short_ratio", "test": "below", "value": 0.2},
    "abs(E - I * R_lead) < 0.2 * abs(I) * R_cell": {"observable": "short_ratio", "test": "below", "value": 0.2},
    "abs(E) > 3 * E_at_start": {"observable": "polarisation_ratio", "test": "above", "value": 3.0},
    "abs(E) > 3 * abs(E at step start)": {"observable": "polarisation_ratio", "test": "above", "value": 3.0},
    "E > 1.2 * E at start": {"observable": "voltage", "test": "above", "reference": {"of": "step_start", "factor": 1.2}},
    "abs(E) > 400 mV": {"observable": "voltage", "absolute": True, "test": "above", "value": 0.4},
    "E_we < -0.05 V": {"observable": "voltage_we", "absolute": False, "test": "below", "value": -0.05},
    "abs(I) > 0.5 mA": {"observable": "current", "absolute": True, "test": "above", "value": 0.0005},
    "Re(Z) at 1 kHz > 60 ohm": {"observable": "Re(Z) at 1000 Hz", "test": "above", "value": 60.0},
    "Re(Z) at 50 mHz < 1 ohm": {"observable": "Re(Z) at 0.05 Hz", "test": "below", "value": 1.0},
    "short_ratio < 0.2": {"observable": "short_ratio", "test": "below", "value": 0.2},
    "abs(phase(metal) - phase(electrolyte)) > 15 deg": {
        "observable": "phase_difference_deg(metal, electrolyte)",
        "absolute": True,
        "test": "above",
        "value": 15.0,
    },
    "area(1110..1145 ppm) > blank + 5 sd": {
        "observable": "area",
        "window_ppm": (1110.0, 1145.0),
        "test": "above",
        "reference": {"of": "blank", "n_sd": 5.0},
    },
    "area(240..290 ppm) > mean + 5 sd of spectra between 20 % and 80 %": {
        "observable": "area",
        "window_ppm": (240.0, 290.0),
        "test": "above",
        "reference": {"of": "mean", "n_sd": 5.0, "over": {"x": (0.2, 0.8)}},
    },
    "slope(moss) < 0.7 of the same half-cycle in cycles 2-4": {
        "observable": "area(moss)",
        "test": "slope below",
        "reference": {"of": "same_half_cycle", "factor": 0.7, "cycles": (2, 4)},
    },
    "shift(metal) > 262 ppm": {"observable": "shift(metal)", "test": "above", "value": 262.0},
}
PHRASES: dict[tuple[str, str], Any] = {
    ("armed_after", "E has the new sign or 5 s"): {"armed_on_new_sign": True, "armed_after_s": 5.0},
    ("at_end_cell", "open circuit"): "open circuit",
    ("at_end_cell", "open circuit after discharge"): "open circuit after discharge",
    ("confidence", "2 SE"): 2.0,
    ("cycles", "stripping in cycles 2-4"): (2, 4),
    ("electrode", "Cu foil"): Electrode(name="Cu foil"),
    ("electrode", "LFP"): Electrode(name="LFP"),
    ("electrode", "LFP 2.40 mAh"): Electrode(name="LFP", capacity_mAh=2.4),
    ("electrode", "graphite 1.60 mAh"): Electrode(name="graphite", capacity_mAh=1.6),
    ("for_count", "3 samples"): {"for_count": 3, "for_unit": "samples"},
    ("for_count", "3 spectra"): {"for_count": 3, "for_unit": "spectra"},
    ("host_lost", "finish step on device"): {"host_lost": "finish step on device"},
    ("host_lost", "open circuit within 10 s"): {"host_lost": "open circuit", "host_lost_within_s": 10.0},
    ("host_lost", "open circuit within 60 s"): {"host_lost": "open circuit", "host_lost_within_s": 60.0},
    ("missed", "continue"): MissedPolicy(do="continue"),
    ("missed", "stop"): MissedPolicy(do="stop"),
    ("missed", "wait at open circuit after 2 missed"): MissedPolicy(do="wait at open circuit", after=2),
    ("retune", "every 10 pairs"): 10,
    ("sample_key", "first 10 minutes"): 600.0,
    ("track", "strongest line 40..1100 ppm in metal"): {"what": "strongest line", "window_ppm": (40.0, 1100.0), "acquisition": "metal"},
    ("wait_for_nmr", "at open circuit"): WaitForNmr(cell="at open circuit"),
    ("wait_for_nmr", "at last voltage, at most 30 minutes"): WaitForNmr(cell="at last voltage", longest_s=1800.0),
    ("wait_for_nmr", "keep current for at most 1 hour"): WaitForNmr(cell="keep current", longest_s=3600.0),
    ("x_now", "0"): (0.0, None),
    ("x_now", "0.06 Li in graphite"): (0.06, "Li in graphite"),
}


@pytest.mark.parametrize("text", STEPS)
def test_step(text: str) -> None:
    assert shown_step(read(text, "step")) == STEPS[text]


@pytest.mark.parametrize("text", TRIGGERS)
def test_trigger(text: str) -> None:
    fields = read(text, "trigger")
    if "condition" in fields:
        fields["condition"] = (fields["condition"].of, fields["condition"].side, fields["condition"].value)
    assert fields == TRIGGERS[text]


@pytest.mark.parametrize(("start", "text"), ACTIONS)
def test_action(start: str, text: str) -> None:
    action = read(text, start)
    assert (action.verb, action.arguments, action.text) == (*ACTIONS[start, text], text)


@pytest.mark.parametrize("text", RULES)
def test_rule(text: str) -> None:
    (predicate,) = read(text, "when")
    assert predicate.model_dump(include=RULES[text].keys()) == RULES[text]


@pytest.mark.parametrize(("start", "text"), PHRASES)
def test_phrase(start: str, text: str) -> None:
    assert read(text, start) == PHRASES[start, text]


def test_bare_slope_is_of_the_comparison_before() -> None:
    (area,) = read("area(240..290 ppm) > blank + 5 sd", "when")
    (slope,) = read("slope > 0", "when", previous=area)
    assert (slope.observable, slope.window_ppm, slope.test, slope.value) == ("area", (240.0, 290.0), "slope above", 0.0)
    both = read("area(240..290 ppm) > blank + 5 sd and slope > 0", "when")
    assert [one.test for one in both] == ["above", "slope above"]


def test_repeat_until_and_hold_action() -> None:
    until = read("discharge < 50 % of cycle 2", "repeat_until")
    assert (until.verb, until.side, until.factor, until.of_cycle) == (Verb.DISCHARGE, "below", 0.5, 2)
    hold = read("hold at 3 V until C/50 or 2 h", "action")
    assert (hold.verb, hold.arguments["voltage_V"], [shown_end(end) for end in hold.arguments["ends"]]) == (
        "hold",
        3.0,
        ["0.02 C", "7200 s"],
    )


def test_the_tables_hold_every_sentence_of_the_five_files(monkeypatch: pytest.MonkeyPatch, repository: Path) -> None:
    met: set[tuple[str, str]] = set()

    def listen(text: str, start: str, *rest: Any) -> Any:
        met.add((start, text))
        return read(text, start, *rest)

    monkeypatch.setattr(checked, "read", listen)
    for name in FIVE:
        load_experiment(repository / "configs" / "experiments" / f"{name}.yaml")
    held = {("step", text) for text in STEPS} | {("trigger", text) for text in TRIGGERS} | {("when", text) for text in RULES}
    held |= ACTIONS.keys() | PHRASES.keys() | {("when", "slope > 0"), ("repeat_until", "discharge < 50 % of cycle 2")}
    assert len(met) == 92
    assert not met - held


MISTAKES = [
    # start, sentence, the offending words, message, hint
    ("step", "Chrage at C/10 until 3 V", "Chrage", "not understood", "did you mean `charge`?"),
    ("step", "Charge at 5 mAA until 3 V", "mAA", "`mAA` is not a unit", "did you mean `mA`?"),
    ("step", "Charge at 5 MA until 3 V", "MA", "`MA` is not a unit", "did you mean `mA`?"),
    ("step", "Charge at 5 mV until 3 V", "5 mV", "is not a current (A, mA, uA, mA/cm2, C/5)", ""),
    ("step", "Charge at C/10 untl 3 V", "untl", "not understood", "did you mean `until`?"),
    ("step", "Charge at C/10 until 4.2", "", "the sentence ends too early: a unit should follow", ""),
    ("step", "Charge at C/10 until 3 ppm", "3 ppm", "is not a voltage (V, mV) or a time", ""),
    ("step", "Charge at -5 mA until 3 V", "-5 mA", "no current for `charge`", "the verb gives the direction"),
    ("step", "Charge at 0 mA until 3 V", "0 mA", "no current for `charge`", "is a rest"),
    ("step", "Charge at C/0 until 3 V", "C/0", "is no current", "C/10"),
    ("step", "Charge at C/10 until C/50", "C/50", "cannot end on a current", "sets the current itself"),
    ("step", "Charge at C/10 until 2 mAh of graphite", "2 mAh", "is not a percentage", "130 % of graphite"),
    ("step", "Charge at C/10 for 3 V", "3 V", "is not a time", ""),
    ("step", "Charge at C/10 for 0 h", "0 h", "must be above zero", ""),
    ("step", "Hold at 4.2 V until 4 V", "4 V", "cannot end on the voltage it sets", "a current"),
    ("step", "Hold at open circuit", "open", "not understood", "potentiostatic and nothing else"),
    ("step", "Rest for 1 hour or until 2 mAh", "2 mAh", "a rest cannot end on charge", "no current flows"),
    ("step", "Chargeat C/10", "Chargeat", "not understood", ""),
    ("trigger", "evry 5 minutes", "evry", "not understood", "did you mean `every`?"),
    ("trigger", "every 5 mA", "5 mA", "is not a time", ""),
    ("trigger", "every 2 % below 1 mAh", "1 mAh", "a condition is on x", ""),
    ("trigger", "every 2 % below 80 % above 20 %", "every 2 % below 80 % above 20 %", "condition is given twice", ""),
    ("trigger", "every 5 min with hysteresis 2 mV", "every 5 min with hysteresis 2 mV", "only a trigger on voltage", "every 10 mV"),
    ("trigger", "at x 25, 50", "at x 25, 50", "x is a fraction", "0.25 for 25 %"),
    ("trigger", "log-spaced 3 h to 10 s", "log-spaced 3 h to 10 s", "must rise", "shorter time first"),
    ("trigger", "0 times", "0", "not a whole number from 1 on", ""),
    ("action", "pause cell", "cell", "expected `nmr`", "the current goes on"),
    ("action", "mark x and E at the first of the tree", "tree", "is not a number", ""),
    ("prepare", "ocv -5..5 mA", "mA", "is not a voltage", ""),
    ("prepare", "polarity C/10 for 30 s must raise E", "C/10", "a number", ""),
    ("at_end_nmr", "referenc 7Li_LiCl_aq", "7Li_LiCl_aq", "not understood", "did you mean `reference`?"),
    ("when", "abs(E) < 0.2 * abs(I) * R_eiss", "R_eiss", "`R_cell` or `R_eis`", "did you mean `R_eis`?"),
    ("when", "abs(E) > 0.4 A", "0.4 A", "cannot be compared with voltage", ""),
    ("when", "abs(E) > 0.4", "abs(E) > 0.4", "needs a unit", "in V"),
    ("when", "polarization_ratio > 3", "polarization_ratio", "not an observable", "did you mean `polarisation_ratio`?"),
    ("when", "Re(Z) at 1 kHz > 60", "Re(Z) at 1 kHz > 60", "needs a unit", "in ohm"),
    ("when", "Re(Z) at 1 s > 60 ohm", "1 s", "is not a frequency", ""),
    ("when", "area > 3", ">", "expected `(`", ""),
    ("when", "abs(I) < 0.2 * abs(I) * R_eis", "abs(I) < 0.2 * abs(I) * R_eis", "only abs(E)", "short_ratio"),
    ("when", "slope > 0", "slope", "slope of what?", "slope(NAME)"),
    ("for_count", "1.5 samples", "1.5", "not a whole number", ""),
    ("electrode", "graphite 2 V", "2 V", "is not a charge", ""),
]


@pytest.mark.parametrize(("start", "text", "offending", "message", "hint"), MISTAKES)
def test_mistake(start: str, text: str, offending: str, message: str, hint: str) -> None:
    with pytest.raises(SentenceError) as caught:
        read(text, start)
    error = caught.value
    assert message in error.message
    assert hint in error.hint
    assert text[error.start : error.end] == offending
    if not offending:
        assert error.start == len(text)


def test_predicates_know_where_they_stand() -> None:
    first, second = read("short_ratio < 0.2 and abs(E) < 5 mV", "when")
    assert isinstance(first, Predicate)
    assert (first.where.column, second.where.column, second.text) == (1, 23, "abs(E) < 5 mV")


def test_a_reference_in_a_table_takes_its_side_from_above_nought() -> None:
    from orchestrator.config.load import parse_experiment

    rule = "{name: seen, do: warn, all: [{observable: area(moss), above: 0, reference: {of: blank, n_sd: 5}}]}"
    text = f"""
experiment: one
cell: {{id: C1, type: symmetric, working: upper Li, counter: lower Li, electrode_normal_to_B0_deg: 0}}
limits: {{abs_E_V: 0.5, abs_I_mA: 1, charge_per_step_mAh: 2, host_lost: open circuit within 60 s}}
acquisitions: {{fast: {{template: 7Li_metal}}}}
prepare: [blank]
protocol: [Rest for 1 hour]
rules: [{rule}]
"""
    (predicate,) = parse_experiment(text).rules[0].all_of
    assert (predicate.test, predicate.value, predicate.reference) == ("above", None, {"of": "blank", "n_sd": 5})
