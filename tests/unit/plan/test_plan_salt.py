"""`check` prints Sand's time beside a step that asks for more than the salt bears, or says why it is not computed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from rich.console import Console

from orchestrator.cli import plan_tables
from orchestrator.config import ConfigError
from orchestrator.model.experiment import Experiment
from orchestrator.model.rig import Rig
from orchestrator.plan import make_plan

Write = Callable[..., Experiment]
SALT = "salt: {diffusion_cm2_per_s: 1e-6, mol_per_L: 1, t_plus: 0.4, gap_mm: 2}"
STEPS = ("Plate working at 1 mA/cm2 until 0.3 mAh/cm2", "Strip working at 3 mA/cm2 until 0.3 mAh/cm2")


def cell(*keys: str) -> str:
    return f"{{id: c, type: symmetric, working: Li, counter: Li, area_cm2: 0.5, electrode_normal_to_B0_deg: 0, {', '.join(keys)}}}"


def checked(write: Write, rig: Rig, record: str) -> tuple[str, str]:
    """Header, and the step table."""
    experiment = write(*STEPS, cell=record)
    plan = make_plan(experiment, rig)
    out = Console(width=200, record=True, file=None, quiet=False)
    with out.capture() as shown:
        out.print(plan_tables.steps(experiment, plan))
    return "\n".join(plan_tables.header(experiment, plan, "rig")), shown.get()


def test_beside_the_step_that_draws_more_than_the_limiting_current(write: Write, rig: Rig) -> None:
    header, steps = checked(write, rig, cell(SALT))
    assert "The salt bears 0.804 mA for ever (1.61 mA/cm2); Sand's time stands beside the steps that draw more." in header
    plate, strip = (next(line for line in steps.splitlines() if verb in line) for verb in ("Plate", "Strip"))
    assert "Sand's time" not in plate
    assert "Sand's time" in strip


def test_absent_keys_are_said_to_be_absent(write: Write, rig: Rig) -> None:
    header, steps = checked(write, rig, cell("lead_ohm: 0"))
    assert "Sand's time is not computed: the cell record has no `salt`." in header
    assert "Sand's time" not in steps


@pytest.mark.parametrize("wrong", ["t_plus: 1", "gap_mm: 0", "mol_per_l: 1"])
def test_a_salt_that_cannot_be_is_refused(write: Write, wrong: str) -> None:
    key = wrong.partition(":")[0]
    text = SALT.replace(next((part for part in SALT[7:-1].split(", ") if part.startswith(f"{key}:")), "mol_per_L: 1"), wrong)
    with pytest.raises(ConfigError):
        write(*STEPS, cell=cell(text))


def test_a_foil_of_no_acquisition_is_warned_of(write: Write, rig: Rig) -> None:
    plan = make_plan(write(*STEPS, cell=cell("foil: {mass_mg: 2.3, area: 0.5, acquisition: none}")), rig)
    assert any("foil was measured as `none`" in text for text in plan.warnings)
    plan = make_plan(write(*STEPS, cell=cell("foil: {mass_mg: 2.3, area: 0.5, acquisition: fast}")), rig)
    assert not any("foil" in text for text in plan.warnings)
