"""Steps with units in the keys become the same normal form as sentences, and say which sentence they stand for."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.config import ConfigError, parse_experiment
from orchestrator.config.diagnostics import Problems
from orchestrator.config.phrases import read
from orchestrator.config.protocol import item_of
from orchestrator.config.tree import parse_tree
from orchestrator.model.protocol import Eis, Prompt, Repeat, SampleRate, SetPoint, Step, WaitForNmr
from orchestrator.model.units import Quantity

HEAD = """\
experiment: a
cell: {id: a, type: half, working: graphite, counter: Li, capacity_mAh: 4, area_cm2: 1.0, electrode_normal_to_B0_deg: 0}
limits: {E_V: [-1, 4.5], abs_I_mA: 50, charge_per_step_mAh: 9, host_lost: finish step on device}
acquisitions: {fast: {template: t}}
protocol:
"""


def item(text: str) -> tuple[Any, list[str]]:
    problems = Problems()
    root = parse_tree("a.yaml", text, problems)
    assert root is not None
    return item_of(root, problems), [one.message for one in problems.found]


def without_places(step: Step) -> dict[str, Any]:
    plain = step.model_dump(exclude={"where", "set_where", "text"})
    for end in plain["ends"]:
        del end["where"]
    return plain


SAME = [
    ("{current_mA: -0.4, until: {voltage_V: -0.5, time_h: 5, charge_mAh: 2}}", "Galvanostatic at -0.4 mA until -0.5 V or 5 h or 2 mAh"),
    (
        "{current_mA_cm2: 0.5, until: {charge_mAh_cm2: 1, abs_voltage_V: 0.4}}",
        "Galvanostatic at 0.5 mA/cm2 until 1 mAh/cm2 or abs(E) 0.4 V",
    ),
    ("{current_uA: 20, until: {time_s: 30}}", "Galvanostatic at 20 uA until 30 s"),
    ("{current_A: 0.01, until: {charge_percent: 130, voltage_we_V: 0.1}}", "Galvanostatic at 10 mA until 130 % or E_we 0.1 V"),
    ("{C_rate: 0.2, until: {voltage_mV: 5}}", "Galvanostatic at C/5 until 5 mV"),
    ("{voltage_V: 4.2, until: {current_mA: 0.1, C_rate: 0.02}}", "Potentiostatic at 4.2 V until 0.1 mA or C/50"),
    ("{voltage_mV: 5, until: {time_min: 90}}", "Potentiostatic at 5 mV until 1.5 h"),
    ("{rest_min: 10}", "Rest for 10 min"),
    ("{rest_h: 2, until: {voltage_V: 3}}", "Rest for 2 h or until 3 V"),
    ("{rest_s: 0.5}", "Rest for 0.5 s"),
]


@pytest.mark.parametrize(("table", "sentence"), SAME)
def test_a_table_is_its_sentence(table: str, sentence: str) -> None:
    step, problems = item(table)
    assert not problems
    assert step.text == sentence
    assert without_places(step) == without_places(read(sentence, "step"))


def test_what_may_be_said_of_a_step() -> None:
    step, problems = item(
        "{rest_min: 10, name: pause, nmr: {fast: [at start, at end]}, then: {fast: at end}, wait_for_nmr: at last voltage, eis: at end,"
        " stop_when: short, sample_Hz: 5, if_no_short: ask a person}"
    )
    assert not problems
    assert (step.name, step.stop_when, step.eis, step.if_no_short) == ("pause", "short", "at end", "ask a person")
    assert [trigger.kind.value for trigger in step.nmr] == ["at start", "at end"]
    assert step.then[0].acquisition == "fast"
    assert step.wait_for_nmr == WaitForNmr(cell="at last voltage")
    assert step.sample == SampleRate(then_Hz=5.0)


def test_a_period_is_a_sample_rate() -> None:
    step, _ = item("Rest for 1 hour (10 second period)")
    assert step.sample == SampleRate(then_Hz=0.1)


OTHERS = [
    ("{set: temperature, to_K: 298, settle_min: 20}", SetPoint(quantity="temperature", to=Quantity(298.0, "K"), settle_s=1200.0)),
    ("{set: temperature, to_degC: 25}", SetPoint(quantity="temperature", to=Quantity(298.15, "K"))),
    ("{prompt: open the valve}", Prompt(text="open the valve")),
    (
        "{eis: {frequency_Hz: [500000, 0.1], points: 40, amplitude_mA: 0.1}}",
        Eis(settings={"frequency_Hz": [500000.0, 0.1], "points": 40, "amplitude_mA": 0.1}),
    ),
]


@pytest.mark.parametrize(("table", "expected"), OTHERS)
def test_other_items(table: str, expected: Any) -> None:
    found, problems = item(table)
    assert not problems
    assert found.model_copy(update={"where": expected.where}) == expected


def test_repeat_in_repeat() -> None:
    found, problems = item("{repeat: 2, steps: [Rest for 1 s, {repeat: 3, steps: [{rest_s: 2}]}]}")
    assert not problems
    assert isinstance(found, Repeat)
    assert isinstance(found.steps[1], Repeat)
    assert (found.times, found.steps[1].times) == (2, 3)


WRONG = [
    ("{current_mA: 1, voltage_V: 2, until: {time_h: 1}}", "`current_mA` and `voltage_V` are both given"),
    ("{until: {time_h: 1}}", "what the step does is missing"),
    ("{curent_mA: 1, until: {time_h: 1}}", "unknown key `curent_mA`"),
    ("{current_mA: 1 mA, until: {time_h: 1}}", "expected a number"),
    ("{current_mA: 1, until: {current_mA: 0.1}}", "a step that sets its current cannot end on a current"),
    ("{rest_min: 1, until: {current_mA: 0.1}}", "a step that rests cannot end on a current"),
    ("{current_mA: 0, until: {time_h: 1}}", "a step without current is a rest"),
    ("{current_mA: 1, until: {time_m: 5}}", "unknown key `time_m`"),
    ("{step: Rest for 1 s, until: {time_h: 1}}", "unknown key `until`"),
    ("{rest_min: 1, sample_Hz: 0}", "expected a number above zero"),
    ("{rest_min: 1, sample_Hz: {first 10 minutes: 20}}", "expected two rates"),
    ("{rest_min: 1, sample_Hz: {first 10 mA: 20, then: 1}}", "`10 mA` is not a time (s, min, h)"),
    ("{rest_min: 1, nmr: fast}", "expected which acquisition and when"),
    ("{rest_min: 1, nmr: {fast: }}", "`fast`: when?"),
    ("{rest_min: 1, nmr: {fast: {every: 5}}}", "expected a sentence, not a table"),
    ("{rest_min: 1, eis: sometimes}", "expected at start | at end"),
    ("{repeat: 0, steps: [Rest for 1 s]}", "must be greater than or equal to 1"),
    ("{repeat: 2}", "`steps` is missing"),
    ("{repeat: 2, until: discharge < 50 mV of cycle 2, steps: [Rest for 1 s]}", "`mV` is not understood here: expected `%`"),
    ("{set: temperature, to_K: 298, to_degC: 25}", "`to_K` and `to_degC` are both given"),
    ("{name: a, at: open circiut, nmr: [fast]}", "expected open circuit"),
    ("[Rest for 1 s]", "expected a sentence, not a list"),
    ("5", "`5` is not understood here"),
]


@pytest.mark.parametrize(("table", "message"), WRONG)
def test_wrong(table: str, message: str) -> None:
    _, problems = item(table)
    assert [problem for problem in problems if problem.startswith(message)], problems
    assert len(problems) == 1


def test_a_step_written_as_a_table_is_checked_like_any_other() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_experiment(HEAD + "  - {current_mA: -60, until: {voltage_V: 5}}\n  - {rest_min: 1}\n  - {current_mA: 1}\n")
    found = [(one.where.line, one.where.column, one.message) for one in caught.value.problems]
    assert found == [
        (6, 18, "60 mA is more than the limit of 50 mA"),
        (6, 42, "5 V lies outside the limits, -1 to 4.5 V"),
        (8, 5, "this step has no end"),
    ]
