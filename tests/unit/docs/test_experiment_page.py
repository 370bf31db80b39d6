"""Every example in the documents is read by the program; every key of the language stands on its page."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from ruamel.yaml import YAML

from orchestrator.config import load_rig, written, written_rules
from orchestrator.config.load import parse_experiment
from orchestrator.config.phrases import read
from orchestrator.config.sentences import STARTS
from orchestrator.model.available import NOT_YET

REPOSITORY = Path(__file__).parents[3]
PAGE = REPOSITORY / "docs" / "reference" / "experiment-file.md"
PAGES = (PAGE, REPOSITORY / "README.md", REPOSITORY / "docs" / "tutorial" / "first-night.md")
BASE = """
experiment: base
cell: {id: C1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.8, capacity_mAh: 2, electrode_normal_to_B0_deg: 0}
limits: {abs_E_V: 0.5, abs_I_mA: 1, charge_per_step_mAh: 2, host_lost: open circuit within 60 s}
prepare: [blank]
acquisitions: {quant: {template: 7Li_wide}, fast: {template: 7Li_metal}}
protocol: [Rest for 1 hour]
"""


def fences(page: Path) -> list[tuple[str, int, str]]:
    """Language, line and text of every fenced block."""
    text = page.read_text("utf-8")
    found = re.finditer(r"^```(\w+)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    return [(match[1], text[: match.start()].count("\n") + 1, match[2]) for match in found]


def yaml_blocks() -> list[Any]:
    return [pytest.param(text, id=f"{page.name}:{line}") for page in PAGES for language, line, text in fences(page) if language == "yaml"]


def sentences() -> list[tuple[str, str]]:
    return [(start, line) for start, _, text in fences(PAGE) if start in STARTS for line in text.splitlines()]


def in_base(text: str) -> str:
    """A part of an experiment put into a whole one."""
    yaml = YAML(typ="safe")
    whole = yaml.load(BASE) | yaml.load(text)
    out = io.StringIO()
    YAML(typ="safe").dump(whole, out)
    return out.getvalue()


@pytest.mark.parametrize("text", yaml_blocks())
def test_a_yaml_block_is_understood(text: str, tmp_path: Path) -> None:
    keys = set(YAML(typ="safe").load(text))
    if "stations" in keys:
        (tmp_path / "rig.yaml").write_text(text, "utf-8")
        load_rig(tmp_path / "rig.yaml")
        return
    experiment = text if "experiment" in keys else in_base(text)
    rig = YAML(typ="safe").load(experiment).get("rig", "")
    if rig:
        experiment = experiment.replace(rig, str(REPOSITORY / "configs" / "rigs" / Path(rig).name))
    parse_experiment(experiment, file=str(tmp_path / "experiment.yaml"))


@pytest.mark.parametrize(("start", "text"), sentences())
def test_a_sentence_is_understood(start: str, text: str) -> None:
    assert read(text, start) is not None


def test_each_kind_of_sentence_has_examples() -> None:
    starts = {start for start, _ in sentences()}
    assert {"step", "trigger", "prepare", "action", "when", "host_lost", "missed", "wait_for_nmr", "repeat_until", "at_end_cell"} <= starts


def models() -> list[type[BaseModel]]:
    found = [value for module in (written, written_rules) for value in vars(module).values() if isinstance(value, type)]
    return sorted({model for model in found if issubclass(model, written.Written) and model is not written.Written}, key=str)


@pytest.mark.parametrize("model", models())
def test_every_key_of_the_language_stands_on_the_page(model: type[BaseModel]) -> None:
    page = PAGE.read_text("utf-8")
    names = [field.alias or name for name, field in model.model_fields.items()]
    assert not [name for name in names if not re.search(rf"(`{name}`|\b{name}:)", page)]


def test_what_is_not_available_is_what_the_program_says() -> None:
    tail = PAGE.read_text("utf-8").partition("## Not available yet")[2]
    assert set(re.findall(r"`([^`]+)`", tail)) - {"orchestrator/model/available.py"} == NOT_YET.keys()
