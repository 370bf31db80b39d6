"""Every experiment of a row of the literature: it plans without a mistake, and names a cell that there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from orchestrator.config import load_experiment, load_rig, load_twin, rig_file
from orchestrator.plan import make_plan

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
