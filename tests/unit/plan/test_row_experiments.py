"""Every experiment of a row of the literature: it plans without a mistake, and names a cell that there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from orchestrator.config import load_experiment, load_rig, load_twin, rig_file
from orchestrator.model.problems import ProblemsError
from orchestrator.plan import make_plan
from orchestrator.rig.planned import planned

CONFIGS = Path(__file__).parents[3] / "configs"
ROWS = sorted(path.stem for path in (CONFIGS / "experiments").glob("[OR][0-9]*.yaml"))


@pytest.mark.parametrize("name", ROWS)
def test_a_row_plans_on_the_simulated_rig_and_needs_nothing_that_is_not_there(name: str) -> None:
    path = CONFIGS / "experiments" / f"{name}.yaml"
    experiment, told = load_experiment(path), re.search(r"--rig (configs/rigs/\S+\.yaml)", path.read_text("utf-8"))
    plan = make_plan(experiment, load_rig(rig_file(experiment) or CONFIGS.parent / (told[1] if told else "configs/rigs/memory.yaml")))
    assert list(plan.not_available) == []
    assert plan.steps


@pytest.mark.parametrize("name", ROWS)
def test_a_row_says_which_row_it_is_and_how_to_run_it_on_its_twin(name: str) -> None:
    text = (CONFIGS / "experiments" / f"{name}.yaml").read_text("utf-8")
    row = name.partition("_")[0].replace("O0", "O")
    assert re.match(rf"# Rows? {row}\b", text)
    assert f"operando run configs/experiments/{name}.yaml" in text
    for twin in re.findall(r"configs/twins/(\S+)\.yaml", text) or ["C1"]:
        assert load_twin(CONFIGS / "twins" / f"{twin}.yaml")["name"] == twin


NO_CONSOLE_YET = {"O22_z_resolved_cathode": "7Li_csi_wide", "O27_concentration_polarisation": "7Li_csi"}
"""Slices along the stack: no driver of a real console reads them."""
EXAMPLES = (
    "li_li_plate_strip",
    "anode_free_budget",
    "graphite_overcharge_stop_at_plating",
    "hard_carbon_dual_offset",
    "na_beta_alumina_short_and_image",
)


@pytest.mark.parametrize("name", [*ROWS, *EXAMPLES])
def test_a_row_runs_on_hardware_by_changing_the_rig(name: str) -> None:
    """What `check` says of it with instruments that are no emulators: a plan without a mistake, and nothing that is not available."""
    found: list[str] = []
    try:
        planned_now = planned(
            CONFIGS / "experiments" / f"{name}.yaml", CONFIGS / "rigs" / "vnmrs-methodscript.yaml", station=None, booking_end=None,
            start_utc_ns=1_800_000_000 * 10**9, free_bytes=10**12, otherwise=CONFIGS / "rigs" / "sim.yaml",
        )  # fmt: skip
        found = [*planned_now.plan.not_available, *(text for text, _ in planned_now.rig_not_available)]
        assert planned_now.plan.steps
    except ProblemsError as error:
        found = [problem.message for problem in error.problems]
    lacks = NO_CONSOLE_YET.get(name)
    assert found == ([f"the rig `vnmrs-methodscript` has no template `{lacks}`"] if lacks else [])


def test_the_rig_of_hardware_has_no_emulator_in_it() -> None:
    rig = load_rig(CONFIGS / "rigs" / "vnmrs-methodscript.yaml")
    assert rig.twin is None
    assert not [one for one in rig.instruments.values() if one.driver == "sim" or "emulator" in str(one.address)]
