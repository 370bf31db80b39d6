"""Which interlocks are armed in a run, which are off and why, and what `check` says of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.model.experiment import Experiment
from orchestrator.model.interlocks import INTERLOCKS, TABLE, PlannedInterlock, rule_text
from orchestrator.model.rig import Instrument, NucleusSetup, Rig
from orchestrator.plan import PlanError, make_plan
from orchestrator.plan.orders import Plan

PlanOf = Callable[..., Plan]
PLATE = ("Rest for 10 minutes", "Plate working at 0.5 mA for 2 h")
VERBS = {"record", "mark", "tag", "flag", "info", "warn", "alarm", "acquire", "eis", "retune", "change acquisition", "pause nmr"} | {
    *("end step", "skip to step", "open circuit", "hold", "stop", "abort"),
}


def one(plan: Plan, name: str) -> PlannedInterlock:
    return next(planned for planned in plan.interlocks if planned.name == name)


@pytest.mark.parametrize("name", INTERLOCKS)
def test_the_table_says_everything_of_each(name: str) -> None:
    interlock = INTERLOCKS[name]
    assert set(interlock.do) <= VERBS
    assert interlock.needs
    assert interlock.source
    assert interlock.advice or interlock.ring == 1
    assert interlock.level in {"info", "warn", "alarm", "critical"}
    for number in interlock.numbers.values():
        assert number.value is None or number.least <= number.value <= number.most


def test_every_one_stands_in_every_plan_and_its_rule_can_be_said(plan: PlanOf) -> None:
    planned = plan(*PLATE).interlocks
    assert [one.name for one in planned] == [one.name for one in TABLE]
    assert all("{" not in rule_text(one) for one in planned)


def test_a_symmetric_cell_has_its_hard_short(plan: PlanOf) -> None:
    planned = one(plan(*PLATE), "hard short")
    assert planned.off == ""
    assert planned.numbers == {"part": 0.2, "samples": 3, "guard": 5.0, "floor": 0.001}
    assert "0.2 |I| R_cell in 3 samples" in rule_text(planned)


@pytest.mark.parametrize(
    ("name", "how", "why"),
    [
        (
            "hard short",
            {"cell": "half", "lines": ("Sodiate working at C/10 until 0.005 V or 9 h",)},
            "unless asked for: this is a half cell",
        ),
        (
            "hard short",
            {"cell": "half", "lines": ("Sodiate working at C/10 until 0.005 V or 9 h",), "extra": "interlocks: {hard short: on}"},
            "near 0 V: step 0",
        ),
        (
            "hard short",
            {"cell": "half", "lines": ("Desodiate working at C/10 until 2 V or 9 h",), "extra": "interlocks: {hard short: {part: 0.1}}"},
            "near 0 V: step 0",
        ),
        ("hard short", {"lines": ("Rest for 1 h",)}, "no step drives a constant current"),
        (
            "hard short",
            {"extra": "rules: [{name: hard short, enabled: false, because: it is meant to}]"},
            "by the rule of this name: it is meant to",
        ),
        ("hard short", {"extra": "rules: [{name: hard short, when: E < 0.1 V, do: [warn]}]"}, "takes its place"),
        ("hard short", {"extra": "rules: [{name: short, when: short_ratio < 0.3, do: [warn]}]"}, "the rule `short` looks at the same"),
        ("hard short", {"extra": "interlocks: {hard short: {on: false, because: a test}}"}, "switched off: a test"),
        ("open lead", {"lines": ("Rest for 1 h",)}, "no step drives current"),
        ("lost reference", {"extra": "record: {every_s: 30}"}, "samples come every 30 s"),
        ("temperature", {}, "no limit is given"),
        ("hardware fence", {}, "the rig names no fence"),
    ],
)
def test_what_does_not_fit_is_off_and_says_why(plan: PlanOf, name: str, how: dict[str, Any], why: str) -> None:
    how = dict(how)
    assert why in one(plan(*how.pop("lines", PLATE), **how), name).off


@pytest.mark.parametrize(
    ("limits", "lines"),
    [
        ("E_V: [2.0, 4.5]", ("Charge at C/10 until 4.2 V or 9 h",)),
        ("E_V: [-0.5, 4.5]", ("Discharge at C/10 until 2.5 V or 9 h",)),
    ],
)
def test_who_asks_for_it_in_a_cell_far_from_zero_has_it(plan: PlanOf, limits: str, lines: tuple[str, ...]) -> None:
    others = ", abs_I_mA: 5, charge_per_step_mAh: 3, host_lost: open circuit within 60 s"
    assert one(plan(*lines, cell="full", limits=limits + others, extra="interlocks: {hard short: on}"), "hard short").off == ""


def test_who_asks_for_what_cannot_look_is_told(plan: PlanOf) -> None:
    made = plan("Sodiate working at C/10 until 0.005 V or 9 h", cell="half", extra="interlocks: {hard short: on}")
    assert [text for text in made.warnings if "the interlock `hard short` is off all the same" in text]
    assert "test.yaml:" in next(text for text in made.warnings if "hard short" in text)


def test_numbers_actions_and_level_of_the_experiment_hold(plan: PlanOf) -> None:
    planned = one(plan(*PLATE, extra="interlocks: {overload: {samples: 10, do: [info, tag]}}"), "overload")
    assert planned.numbers["samples"] == 10
    assert planned.numbers["part"] == 0.2
    assert [action.verb for action in planned.do] == ["info", "tag"]
    assert planned.level == "info"


def test_a_temperature_waits_for_somebody_who_reads_one(plan: PlanOf) -> None:
    planned = one(plan(*PLATE, extra="interlocks: {temperature: {above: 330 K}}"), "temperature")
    assert (planned.off, planned.waits_for) == ("", ("a temperature",))


def test_a_cold_side_above_the_hot_one_is_refused(plan: PlanOf) -> None:
    with pytest.raises(PlanError, match="`below` must lie under `above`"):
        plan(*PLATE, extra="interlocks: {temperature: {above: 290 K, below: 300 K}}")


def test_amplifier_check_says_what_may_speak(plan: PlanOf) -> None:
    rules = (
        "rules: [{name: a, acquisition: fast, amplifier_check: noise level and reflected power only},"
        " {name: b, acquisition: quant, amplifier_check: off}]"
    )
    planned = one(plan(*PLATE, extra=rules), "amplifier trip")
    assert planned.evidence == {"fast": ("noise", "reflected"), "quant": ()}
    assert planned.waits_for == ()
    assert planned.sees == "nobody here measures reflected power: noise and line must both speak; not watched: fast"


@pytest.mark.parametrize(
    ("station", "meter", "sees"),
    [
        ({}, "", "nobody here measures reflected power: noise and line must both speak"),
        ({"sensors": ("vt", "coupler")}, "coupler", "reflected power: coupler"),
        ({"tuner": "t"}, "", "reflected power: the tuner t, whenever it tunes; before each spectrum where `retune_above_dB` stands"),
        ({"tuner": "t", "nuclei": {"7Li": NucleusSetup(retune_above_dB=-12)}}, "", "before each spectrum where `retune_above_dB` stands"),
        ({"tuner": "t", "sensors": ("coupler",)}, "coupler", "reflected power: coupler"),
    ],
)
def test_where_reflected_power_comes_from(
    rig: Rig, write: Callable[..., Experiment], station: dict[str, Any], meter: str, sees: str
) -> None:
    further = {
        "t": Instrument(driver="atm", address="a"),
        "vt": Instrument(driver="scpi", address="b", options={"quantity": "temperature"}),
        "coupler": Instrument(driver="scpi", address="c", options={"quantity": "reflected_power", "unit": "dBm"}),
    }
    (name, setup), *_ = rig.stations.items()
    rig = rig.model_copy(update={"instruments": {**rig.instruments, **further}, "stations": {name: setup.model_copy(update=station)}})
    planned = one(make_plan(write(*PLATE), rig), "amplifier trip")
    assert planned.meter == meter
    assert planned.sees.endswith(sees)


def test_a_plan_goes_through_json_and_back(plan: PlanOf) -> None:
    made = plan(*PLATE, extra="interlocks: {overload: {samples: 10, do: [info, tag]}}")
    assert Plan.model_validate_json(made.model_dump_json()).interlocks == made.interlocks
