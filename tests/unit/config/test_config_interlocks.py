"""``interlocks:`` in an experiment file: switched, re-tuned with units, refused where it makes no sense."""

from __future__ import annotations

import pytest

from orchestrator.config import ConfigError, parse_experiment
from orchestrator.model.rule import InterlockSetting

HEAD = """\
experiment: a
cell: {id: a, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 1, electrode_normal_to_B0_deg: 0}
limits: {abs_E_V: 1, abs_I_mA: 5, charge_per_step_mAh: 9, host_lost: open circuit within 60 s}
acquisitions: {fast: {template: t}}
protocol: [Plate working at 1 mA for 1 h]
"""


def settings(text: str) -> tuple[InterlockSetting, ...]:
    return parse_experiment(f"{HEAD}interlocks: {text}\n").interlocks


@pytest.mark.parametrize(("word", "on"), [("off", False), ("on", True), ("true", True), ("false", False), ("OFF", False)])
def test_one_is_switched_by_name(word: str, on: bool) -> None:
    (setting,) = settings(f"{{hard short: {word}}}")
    assert (setting.name, setting.on, setting.numbers, setting.do) == ("hard short", on, {}, None)


def test_numbers_come_in_the_units_that_people_type() -> None:
    setting = settings("{lost reference: {jump: 300 mV, lasts: 0.1 min}, acquisition overdue: {factor: 2, margin: 5 min}}")
    assert [dict(one.numbers) for one in setting] == [{"jump": 0.3, "lasts": 6.0}, {"factor": 2.0, "margin": 300.0}]


def test_actions_and_reasons() -> None:
    (setting,) = settings("{overload: {on: true, do: [warn, acquire fast every 10 minutes], because: it is known}}")
    assert [action.verb for action in setting.do or ()] == ["warn", "acquire"]
    assert (setting.on, setting.because) == (True, "it is known")


def test_where_it_stands_is_known() -> None:
    (setting,) = settings("{overload: off}")
    assert (setting.where.line, setting.where.column) == (6, 14)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{hard shrt: off}", "did you mean `hard short`"),
        ("{hard short: maybe}", "is on or off, or has numbers"),
        ("{hard short: {prt: 0.1}}", "did you mean `part`"),
        ("{hard short: {guard: 5}}", "`5` needs a unit"),
        ("{hard short: {guard: 5 V}}", "`5 V` is not in s"),
        ("{hard short: {part: 0.1 s}}", "is not in numbers alone"),
        ("{hard short: {part: 3}}", "must lie between 0 and 1"),
        ("{hard short: {samples: 2.5}}", "expected a whole number"),
        ("{hard short: {samples: [3]}}", "expected a number"),
        ("{safety limits: off}", "`safety limits` cannot be switched off"),
        ("{stale samples: {on: false}}", "its time follows from `limits: host_lost`"),
        ("{disk: {do: [warn]}}", "what `disk` does cannot be changed"),
        ("{overload: {do: [explode]}}", "explode"),
        ("{overload: {do: [acquire slow]}}", "no acquisition is named `slow`"),
        ("[hard short]", "expected a table"),
    ],
)
def test_mistakes_are_said_at_their_place(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        settings(text)
    assert said in str(raised.value)
    assert "experiment.yaml:6:" in str(raised.value)
