"""Rig files, cell records by id, the twin's physics, and the files that experiments and rigs name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from drivers.base import ElectrodeBounds
from orchestrator.config import ConfigError, load_cell, load_experiment, load_rig, load_twin, parse_experiment, rig_file, twin_file
from orchestrator.model.cell import Electrode

RIG = """\
name: bench
zone: Europe/London
instruments:
  pstat: {driver: methodscript, address: "COM7", identity: EmStat4}
  avance: {driver: topspin, address: "10.0.0.5:5000", unlock: {}}
stations:
  left: {potentiostat: "pstat:1", console: avance, nuclei: {7Li: {tuner_preset: li, manual: true}}}
templates:
  7Li_metal: {nucleus: 7Li, dataset: /data/7Li/1}
"""
CELL = """{id: HC-3, type: half, working: hard carbon, counter: Na, capacity_mAh: 1, electrode_normal_to_B0_deg: 0,
       x_now: 0.1 Na in hard carbon}"""
EXPERIMENT = """\
experiment: a
cell: HC-3
limits: {E_V: [-0.1, 3], abs_I_mA: 1, charge_per_step_mAh: 2, host_lost: finish step on device}
protocol: [Rest for 1 hour]
"""


def rig_problems(tmp_path: Path, old: str, new: str) -> list[tuple[int, str, str]]:
    assert RIG.count(old) == 1
    path = tmp_path / "rig.yaml"
    path.write_text(RIG.replace(old, new), encoding="utf-8")
    try:
        load_rig(path)
    except ConfigError as error:
        return [(one.where.line, one.message, one.hint) for one in error.problems]
    return []


def test_a_rig(tmp_path: Path) -> None:
    path = tmp_path / "rig.yaml"
    path.write_text(RIG, encoding="utf-8")
    rig = load_rig(path)
    assert (rig.name, rig.zone, rig.file, rig.source) == ("bench", "Europe/London", str(path), RIG)
    assert rig.instruments["pstat"].identity == "EmStat4"
    assert rig.stations["left"].potentiostat == "pstat:1"
    assert rig.stations["left"].nuclei["7Li"].manual
    assert rig.templates["7Li_metal"].dataset == "/data/7Li/1"
    assert twin_file(rig) is None


@pytest.mark.parametrize(
    ("old", "new", "line", "message", "hint"),
    [
        ("driver: topspin", "drvier: topspin", 5, "unknown key `drvier`", "did you mean `driver`?"),
        ("console: avance", "console: avanse", 7, "no instrument is named `avanse`", "did you mean `avance`?"),
        ('"pstat:1"', '"psat:1"', 7, "no instrument is named `psat`", "did you mean `pstat`?"),
        ("Europe/London", "Europe/Londn", 2, "`Europe/Londn` is not a time zone", "did you mean `Europe/London`?"),
        (", dataset: /data/7Li/1", "", 9, "template `7Li_metal` needs a dataset or a series", "dataset: PATH"),
        ("nucleus: 7Li", "nucleus: Li7", 9, "expected a plain name", ""),
        ("manual: true", "manual: yes", 7, "expected true or false", ""),
        ("name: bench", "name: bench\ntwin: C9.yaml", 2, "no such twin file", "looked for"),
        ("stations:", "statoins:", 6, "unknown key `statoins`", "did you mean `stations`?"),
    ],
)
def test_a_wrong_rig(tmp_path: Path, old: str, new: str, line: int, message: str, hint: str) -> None:
    found = rig_problems(tmp_path, old, new)
    assert [one[0] for one in found if one[1].startswith(message)] == [line], found
    assert hint in next(one[2] for one in found if one[1].startswith(message))


@pytest.mark.parametrize("parameters", ["protocol: 1D LITHIUM+", "acquisition_time_s: 0.4", "points: 2048"])
def test_a_template_of_a_console_with_protocols_of_its_own(tmp_path: Path, parameters: str) -> None:
    found = rig_problems(tmp_path, ", dataset: /data/7Li/1", f", parameters: {{{parameters}}}")
    assert [one[1] for one in found] == (["template `7Li_metal` needs a dataset or a series"] if parameters == "points: 2048" else [])


@pytest.mark.parametrize("name", ["sim", "memory"])
def test_the_simulated_rigs(repository: Path, name: str) -> None:
    rig = load_rig(repository / "configs" / "rigs" / f"{name}.yaml")
    assert rig.name == name
    assert {"7Li_metal", "7Li_wide", "23Na_0ppm", "23Na_900ppm", "23Na_mrs_1126ppm"} < set(rig.templates)
    assert set(rig.by_hand.values()) < set(rig.templates)
    assert set(rig.references) == {"7Li_LiCl_aq", "23Na_NaCl_aq"}
    for template in rig.templates.values():
        parameters = template.parameters
        assert {"points", "spectral_width_Hz", "carrier_ppm", "pulse_us"} <= set(parameters)
        assert parameters["points"] / parameters["spectral_width_Hz"] < 0.1
    twin = twin_file(rig)
    assert twin is not None
    assert load_twin(twin)["name"] == "C1"


def test_the_two_simulated_rigs_differ_only_in_their_wires(repository: Path) -> None:
    sim, memory = (load_rig(repository / "configs" / "rigs" / f"{name}.yaml") for name in ("sim", "memory"))
    assert (sim.templates, sim.references, sim.stations["sim"].nuclei) == (
        memory.templates,
        memory.references,
        memory.stations["sim"].nuclei,
    )
    assert {one.address for one in memory.instruments.values()} == {"memory"}


def test_templates_and_references_of_the_example_files_are_in_their_rig(repository: Path) -> None:
    for path in sorted((repository / "configs" / "experiments").glob("*.yaml")):
        experiment = load_experiment(path)
        told = re.search(r"--rig (configs/rigs/\S+\.yaml)", path.read_text("utf-8"))
        rig = load_rig(rig_file(experiment) or repository / (told[1] if told else "configs/rigs/sim.yaml"))
        assert {one.template for one in experiment.acquisitions.values() if one.template} <= set(rig.templates)
        named = [str(one.arguments["name"]) for one in experiment.prepare if one.verb == "reference"]
        assert set(named) <= set(rig.references)


def test_a_cell_by_id_beside_the_experiment_or_at_home(tmp_path: Path) -> None:
    folder, home = tmp_path / "experiments", tmp_path / "home"
    (folder / "cells").mkdir(parents=True)
    (home / "cells").mkdir(parents=True)
    path = folder / "a.yaml"
    path.write_text(EXPERIMENT)
    with pytest.raises(ConfigError, match=r"no cell record `HC-3.yaml`"):
        load_experiment(path, home=home)
    (home / "cells" / "HC-3.yaml").write_text(CELL)
    assert load_experiment(path, home=home).cell.x_now_is == "Na in hard carbon"
    (folder / "cells" / "HC-3.yaml").write_text(CELL.replace("capacity_mAh: 1", "capacity_mAh: 2"))
    assert load_experiment(path, home=home).cell.capacity_mAh == 2.0
    assert load_experiment(path, home=home).cell.where.file == str(folder / "cells" / "HC-3.yaml")


def test_mistakes_in_a_cell_record_stand_in_its_file_beside_those_of_the_experiment(tmp_path: Path) -> None:
    (tmp_path / "cells").mkdir()
    (tmp_path / "cells" / "HC-3.yaml").write_text(CELL.replace("half", "harf"))
    (tmp_path / "a.yaml").write_text(EXPERIMENT.replace("Rest for", "Rset for"))
    with pytest.raises(ConfigError) as caught:
        load_experiment(tmp_path / "a.yaml")
    assert [Path(one.where.file).name for one in caught.value.problems] == ["a.yaml", "HC-3.yaml"]
    assert "type: harf" in str(caught.value)


@pytest.mark.parametrize("cell", ["../secret", "a/b", "[1]", "5 mA"])
def test_a_cell_id_is_no_path(cell: str) -> None:
    with pytest.raises(ConfigError, match="a cell record, or the id of one"):
        parse_experiment(EXPERIMENT.replace("HC-3", cell))


def test_a_cell_record_with_capacities(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("version: 1\nid: F\ntype: full\nworking: positive\npositive: LFP 2.40 mAh\nnegative: graphite 1.60 mAh\n")
    cell = load_cell(path)
    assert (cell.positive, cell.negative) == (Electrode(name="LFP", capacity_mAh=2.4), Electrode(name="graphite", capacity_mAh=1.6))


def test_the_rig_an_experiment_names(tmp_path: Path) -> None:
    text = EXPERIMENT.replace("HC-3", CELL) + "rig: rigs/bench.yaml\n"
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(ConfigError, match="no such rig file"):
        load_experiment(tmp_path / "a.yaml")
    (tmp_path / "rigs").mkdir()
    (tmp_path / "rigs" / "bench.yaml").write_text(RIG)
    experiment = load_experiment(tmp_path / "a.yaml")
    assert rig_file(experiment) == tmp_path / "rigs" / "bench.yaml"
    assert rig_file(experiment.model_copy(update={"rig": None})) is None


def test_a_twin_refuses_a_key_given_twice(tmp_path: Path) -> None:
    path = tmp_path / "twin.yaml"
    path.write_text("cell: {a: 1}\ncell: {b: 2}\n")
    with pytest.raises(ConfigError, match=r"twin.yaml:2:1: `cell` is given twice"):
        load_twin(path)
    path.write_text("- 1\n")
    with pytest.raises(ConfigError, match="expected a table"):
        load_twin(path)


@pytest.mark.parametrize(
    ("written", "right"),
    [
        ("2026-03-01T08:00Z", True),
        ("2026-03-01 08:00 Europe/London", True),
        ("2026-03-01T08:00:00+01:00", True),
        ("2026-03-01 08:00", False),
        ("tomorrow", False),
        ("2026-13-01T08:00Z", False),
        ("2026-03-01 08:00 Europe/Nowhere", False),
    ],
)
def test_a_booking_ends_at_a_time_with_its_zone(written: str, *, right: bool) -> None:
    text = EXPERIMENT.replace("HC-3", CELL) + f"booking_ends: {written}\n"
    if right:
        assert parse_experiment(text).booking_ends == written
        return
    with pytest.raises(ConfigError, match="expected a time with its zone"):
        parse_experiment(text)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ("abs_I_mA: 1, charge_per_step_mAh: 2", "the voltage limit, both sides, is missing"),
        ("E_V: [0, 1], abs_E_V: 1, abs_I_mA: 1, charge_per_step_mAh: 2", "`E_V` and `abs_E_V` are both given"),
        ("E_V: [0], abs_I_mA: 1, charge_per_step_mAh: 2", "at least 2 items"),
        ("E_V: [0, 1], charge_per_step_mAh: 2", "the current limit is missing"),
        ("E_V: [0, 1], abs_I_mA: 1", "the charge limit of a step is missing"),
        ("E_V: [0, .inf], abs_I_mA: 1, charge_per_step_mAh: 2", "finite"),
        ("E_V: [0, 1], abs_I_mA: -1, charge_per_step_mAh: 2", "must be greater than 0"),
    ],
)
def test_limits_have_both_sides(limits: str, message: str) -> None:
    text = EXPERIMENT.replace("HC-3", CELL).replace("E_V: [-0.1, 3], abs_I_mA: 1, charge_per_step_mAh: 2", limits)
    with pytest.raises(ConfigError, match=message):
        parse_experiment(text)


def test_limits_name_their_voltage() -> None:
    text = EXPERIMENT.replace("HC-3", CELL).replace("E_V: [-0.1, 3]", "E_we_V: [-0.1, 3]")
    assert parse_experiment(text).limits.voltage_name == "we"


def test_limits_of_electrodes_stand_beside_that_of_the_cell() -> None:
    text = EXPERIMENT.replace("HC-3", CELL).replace("E_V: [-0.1, 3]", "abs_E_ce_V: 0.5, E_V: [-0.1, 3], E_we_V: [0, 2.5]")
    limits = parse_experiment(text).limits
    assert (limits.voltage_name, limits.voltage_upper_V) == ("cell", 3.0)
    assert limits.electrodes == (ElectrodeBounds("we", 0.0, 2.5), ElectrodeBounds("ce", -0.5, 0.5))


def test_the_limit_of_one_voltage_is_said_once() -> None:
    text = EXPERIMENT.replace("HC-3", CELL).replace("E_V: [-0.1, 3]", "E_V: [-0.1, 3], E_we_V: [0, 2.5], abs_E_we_V: 2")
    with pytest.raises(ConfigError, match="both given"):
        parse_experiment(text)


def test_an_end_lies_inside_the_limits_of_its_own_electrode() -> None:
    text = EXPERIMENT.replace("HC-3", CELL).replace("E_V: [-0.1, 3]", "E_V: [-0.1, 3], E_we_V: [0, 2.5]")
    step = text.index("protocol:")
    with pytest.raises(ConfigError, match=r"2\.7 V lies outside the limits, 0 to 2\.5 V"):
        parse_experiment(text[:step] + "protocol: [Rest for 1 h or until E_we 2.7 V]\n")
