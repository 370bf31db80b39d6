"""Unrolling, cycles, keys, what the host decides, and the programs that follow from it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from drivers.base import Mode
from orchestrator.plan import PlanError, programs
from orchestrator.plan.orders import Plan

PLATE = "{step: Plate working at 1 mA/cm2 until 1 mAh/cm2 or abs(E) 0.4 V}"
STRIP = "{step: Strip working at 1 mA/cm2 until 1 mAh/cm2 or abs(E) 0.4 V}"
REST = "{step: Rest for 10 minutes}"
Make = Callable[..., Plan]


def repeat(times: int, *lines: str, until: str = "") -> str:
    head = f"  - repeat: {times}\n" + (f"    until: {until}\n" if until else "") + "    steps:\n"
    return head + "\n".join(f"      - {line}" for line in lines)


def test_cycles_are_counted_where_the_first_direction_comes_back(plan: Make) -> None:
    made = plan(REST, PLATE, REST, STRIP, repeat(2, PLATE, REST, STRIP), PLATE)
    assert [step.cycle for step in made.steps] == [0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4]


def test_pulses_in_one_direction_are_one_cycle(plan: Make) -> None:
    made = plan(repeat(3, "Plate working at 1 mA/cm2 for 10 minutes", REST))
    assert {step.cycle for step in made.steps} == {1}


def test_keys_are_stable_names_of_index_cycle_and_verb(plan: Make) -> None:
    made = plan(REST, PLATE, "{name: Before / after, at: open circuit, nmr: [quant]}", STRIP)
    assert [step.key for step in made.steps] == ["s0000-c00-rest", "s0001-c01-plate", "s0002-c01-before-after", "s0003-c01-strip"]
    assert [step.index for step in made.steps] == [0, 1, 2, 3]


def test_each_step_knows_where_in_the_protocol_it_stands(plan: Make) -> None:
    made = plan(REST, repeat(2, PLATE, STRIP))
    assert [(step.path, step.turns) for step in made.steps] == [((0,), ()), ((1, 0), (1,)), ((1, 1), (1,)), ((1, 0), (2,)), ((1, 1), (2,))]


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ("", ((0, 1, 2),)),
        (", then: {quant: at end}", ((0, 1), (2,))),
        (", wait_for_nmr: at open circuit", ((0, 1), (2,))),
        (", stop_when: plating", ((0, 1), (2,))),
    ],
)
def test_a_program_ends_where_the_host_decides(plan: Make, extra: str, expected: tuple[tuple[int, ...], ...]) -> None:
    rules = "rules:\n  - {name: plating, when: 'E < 0.1 V', for: 3 samples, do: [end step]}"
    made = plan(REST, PLATE.replace("}", extra + "}"), STRIP, extra=rules)
    assert programs(made) == expected


def test_lists_prompts_and_impedance_stand_alone(plan: Make) -> None:
    made = plan(
        REST, "{name: a, at: open circuit, nmr: [quant]}", PLATE, "{prompt: look}", STRIP, "{eis: {frequency_Hz: [100000, 1]}}", REST
    )
    assert programs(made) == ((0,), (1,), (2,), (3,), (4,), (5,), (6,))


def test_a_step_that_asks_whether_there_was_a_short_begins_a_program(plan: Make) -> None:
    made = plan(REST, PLATE, STRIP.replace("}", ", if_no_short: ask a person}"))
    assert programs(made) == ((0, 1), (2,))
    assert made.steps[2].settings == {"if_no_short": "ask a person"}


def test_programs_keep_to_what_the_instrument_holds(plan: Make) -> None:
    made = plan(repeat(3, PLATE, STRIP))
    assert programs(made) == ((0, 1, 2, 3, 4, 5),)
    assert programs(made, max_steps=4) == ((0, 1, 2, 3), (4, 5))


def test_a_charge_of_earlier_steps_is_known_only_when_they_have_ended(plan: Make) -> None:
    sodiate = "Sodiate working at C/10 until 0.005 V or 12 hours"
    made = plan(sodiate, "Sodiate working at C/20 until 110 % of the sodiation so far or 3 hours", cell="half")
    assert programs(made) == ((0,), (1,))


def test_a_repeat_is_left_behind_its_last_step(plan: Make) -> None:
    charge, discharge = "Charge at C/2 until 3.8 V or 3 hours", "Discharge at C/2 until 2.5 V or 3 hours"
    made = plan(repeat(4, charge, discharge, REST, until="discharge < 50 % of cycle 2"), REST, cell="full")
    asking = {step.index: step.leave_repeat for step in made.steps if step.leave_repeat}
    assert list(asking) == [8], "cycle 1 and 2 have nothing to compare with; after the last turn the repeat is over anyway"
    leave = asking[8]
    assert leave is not None
    assert (leave.verb, leave.factor, leave.of_cycle, leave.side, leave.to_index) == ("discharge", 0.5, 2, "below", 12)
    assert made.steps[8].decides


def test_a_repeat_at_the_end_is_left_to_the_end_of_the_protocol(plan: Make) -> None:
    charge, discharge = "Charge at C/2 until 3.8 V or 3 hours", "Discharge at C/2 until 2.5 V or 3 hours"
    made = plan(repeat(3, charge, discharge, until="discharge < 50 % of cycle 1"), cell="full")
    targets = [step.leave_repeat.to_index for step in made.steps if step.leave_repeat]
    assert targets == [6] == [len(made.steps)]


def test_nested_repeats_unroll_inside_out(plan: Make) -> None:
    inner = "      - repeat: 3\n        steps:\n" + "\n".join(f"          - {line}" for line in (PLATE, STRIP))
    made = plan(f"  - repeat: 2\n    steps:\n{inner}\n      - {REST}")
    assert [step.verb for step in made.steps] == (["plate", "strip"] * 3 + ["rest"]) * 2
    assert made.steps[-1].cycle == 6
    assert made.steps[4].turns == (1, 3)


def test_impedance_fits_into_a_rest_or_lengthens_it(plan: Make) -> None:
    long = plan(PLATE, "{step: Rest for 10 minutes, nmr: {quant: at start}, eis: at end}")
    short = plan(PLATE, "{step: Rest for 6 minutes, nmr: {quant: at start}, eis: at end}")
    under_current = plan(PLATE.replace("}", ", eis: at start}"))
    assert [step.mode for step in long.steps] == [Mode.GALVANOSTATIC, Mode.REST, Mode.IMPEDANCE]
    assert long.steps[1].expected_s + long.steps[2].expected_s == pytest.approx(600)
    assert long.steps[2].settings == {"inside": True}
    assert short.steps[1].expected_s == 360
    assert short.steps[2].settings == {"inside": False}
    assert [step.mode for step in under_current.steps] == [Mode.IMPEDANCE, Mode.GALVANOSTATIC]


def test_impedance_settings_are_taken_over(plan: Make) -> None:
    made = plan(REST, "{eis: {frequency_Hz: [0.5, 50000], points: 21, amplitude_mA: 0.1}}")
    order = made.steps[1].impedance
    assert order is not None
    assert (order.frequency_start_Hz, order.frequency_end_Hz, order.points) == (50000, 0.5, 21)
    assert (order.amplitude_A, order.amplitude_V) == (pytest.approx(1e-4), None)


def test_what_every_turn_gets_wrong_is_said_once(plan: Make) -> None:
    with pytest.raises(PlanError) as caught:
        plan(repeat(20, "Plate working at 1 mA/cm2 until 110 % of the plating so far", STRIP))
    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].where.line > 0


def test_a_plan_survives_json(plan: Make) -> None:
    made = plan(
        REST, repeat(2, PLATE, STRIP), "{name: a, at: open circuit, nmr: [quant]}", extra="prepare: [ocv -5..5 mV for 1 minute, quant]"
    )
    assert Plan.model_validate_json(made.model_dump_json()) == made
