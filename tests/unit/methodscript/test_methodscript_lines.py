"""Digital lines in a script: raised while the step runs, waited for with the cell off, and what a rig may say of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from drivers.base import EndConditions, Limits, Mode, StepOrder
from drivers.errors import Rejected
from drivers.methodscript import script
from drivers.methodscript.lines import Lines
from drivers.methodscript.models import MODELS

HR = MODELS["es4_hr"]
LIMITS = Limits(voltage_upper_V=4.3, voltage_lower_V=2.4, current_A=1e-3, charge_C=20.0, time_s=40_000.0)
STEP = StepOrder("a", Mode.GALVANOSTATIC, EndConditions(60.0), LIMITS, current_A=5e-4)
REST = StepOrder("r", Mode.REST, EndConditions(60.0), LIMITS)


def lines_of(*program: StepOrder, gpio: Lines = script.GPIO) -> list[str]:
    return script.write_program(program, HR, gpio=gpio).splitlines()


def test_a_step_without_lines_says_nothing_of_them() -> None:
    assert not [line for line in lines_of(STEP, REST) if "gpio" in line or "STEP_WAIT" in line]


def test_the_line_is_high_from_cell_on_to_cell_off_and_low_whatever_happens() -> None:
    lines = lines_of(replace(STEP, ttl_out=True), REST, gpio=Lines(out=2))
    assert lines.index("set_gpio_cfg 0b100 1") + 1 == lines.index("set_gpio 0b0") < lines.index("cell_on")
    assert lines[lines.index("cell_on") + 1] == "set_gpio 0b100"
    assert lines.index("set_gpio 0b100") < lines.index("timer_start")
    assert lines[lines.index("cell_off") + 1] == "set_gpio 0b0"
    assert lines[-3:] == ["on_finished:", "cell_off", "set_gpio 0b0"]
    assert lines.count("set_gpio 0b100") == 1, "the other step did not ask for it"


@pytest.mark.parametrize("step", [STEP, REST], ids=["driven", "rest"])
def test_the_cell_is_off_while_the_line_is_waited_for(step: StepOrder) -> None:
    lines = lines_of(replace(step, ttl_in=True), gpio=Lines(into=3))
    waits = lines.index("loop g < 8i")
    assert lines[waits - 2 : waits] == ["get_gpio g", "mod_var g 16i"]
    assert "set_gpio_cfg 0b1000 0" in lines[:waits]
    assert "cell_on" not in lines[:waits]
    assert waits < lines.index('send_string "STEP_BEGIN 0 1 {} 1000 {}"'.format("G" if step is STEP else "R", step.key))


@pytest.mark.parametrize("said", [{"trigger_out_line": 8}, {"trigger_in_line": "1"}, {"trigger_out_line": 1}, {"trigger_in_line": -1}])
def test_what_a_rig_may_not_say(said: dict[str, Any]) -> None:
    with pytest.raises(Rejected, match=r"trigger"):
        Lines.of(said, "pstat")
