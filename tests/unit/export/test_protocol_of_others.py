"""An experiment's steps as other programs write them, and theirs as an experiment: currents, signs, ends, loops."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from drivers.neware.instrument import stepfile
from orchestrator.cli.protocol import export_protocol_command, import_protocol_command
from orchestrator.config import parse_experiment
from orchestrator.export.protocol import FORMATS, left_out, unicycler, written
from orchestrator.imports.protocol import NotRead, read
from orchestrator.plan.orders import Plan
from orchestrator.rig.planned import planned

FULL = """
version: 1
experiment: five-cycles
cell: {id: LCO-07, type: full, working: LiCoO2, counter: graphite, positive: LiCoO2, negative: graphite, capacity_mAh: 5.0,
       electrode_normal_to_B0_deg: 0}
limits: {E_V: [2.3, 4.4], abs_I_mA: 6, charge_per_step_mAh: 6, host_lost: open circuit within 60 s}
record: {every_s: 10, every_V: 0.01}
protocol:
  - Rest for 10 minutes
  - repeat: 3
    steps:
      - Charge at C/10 until 4.2 V or 12 hours
      - Hold at 4.2 V until C/50 or 2 hours
      - Discharge at C/10 until 2.5 V or 12 hours
  - Charge at C/5 until 1 mAh or 4.2 V
"""
METHOD: list[dict[str, Any]] = [
    {"step": "open_circuit_voltage", "until_time_s": 600.0},
    {"step": "tag", "tag": "repeat 1"},
    {"step": "constant_current", "current_mA": 0.5, "until_time_s": 43200.0, "until_voltage_V": 4.2},
    {"step": "constant_voltage", "voltage_V": 4.2, "until_time_s": 7200.0, "until_current_mA": 0.1},
    {"step": "constant_current", "current_mA": -0.5, "until_time_s": 43200.0, "until_voltage_V": 2.5},
    {"step": "loop", "loop_to": "repeat 1", "cycle_count": 3},
    {"step": "constant_current", "current_mA": 1.0, "until_time_s": 3600.0, "until_voltage_V": 4.2},
]
pytest.importorskip("aurora_unicycler")


@pytest.fixture
def plan(tmp_path: Path, repository: Path) -> Plan:
    path = tmp_path / "full.yaml"
    path.write_text(FULL, encoding="utf-8")
    return planned(path, repository / "configs/rigs/memory.yaml", start_utc_ns=0).plan


def test_currents_have_signs_charges_are_times_and_repeats_are_loops(plan: Plan) -> None:
    found = unicycler(plan)
    assert found["method"] == METHOD
    assert found["record"] == {"time_s": 10.0, "voltage_V": 0.01}
    assert found["sample"] == {"name": "five-cycles", "capacity_mAh": 5.0}
    safety = {"max_voltage_V": 4.4, "min_voltage_V": 2.3, "max_current_mA": 6.0, "min_current_mA": -6.0, "max_capacity_mAh": 6.0}
    assert found["safety"] == pytest.approx(safety)


def test_the_same_as_sentences_of_pybamm(plan: Plan) -> None:
    cycle = ["Charge at 0.5 mA for 12 hours or until 4.2 V", "Hold at 4.2 V for 2 hours or until 0.1 mA"]
    cycle.append("Discharge at 0.5 mA for 12 hours or until 2.5 V")
    wanted = ["Rest for 600.0 seconds", *cycle * 3, "Charge at 1.0 mA for 1 hour or until 4.2 V"]
    assert written(plan, "pybamm").decode().splitlines() == wanted


def test_the_same_as_a_step_file_that_the_emulated_neware_reads(plan: Plan) -> None:
    program = stepfile.read(written(plan, "neware"))
    assert [step["type"] for step in program["steps"]] == [4, 1, 3, 2, 5, 1, 6]
    assert program["steps"][1]["current_A"] == pytest.approx(5e-4)
    assert program["steps"][3]["current_A"] == pytest.approx(-5e-4)
    assert (program["steps"][4]["start_step"], program["steps"][4]["count"]) == (2, 3)
    assert program["protect"]["upper_V"] == pytest.approx(4.4)


def test_the_same_as_settings_of_ec_lab(plan: Plan) -> None:
    text = written(plan, "biologic").decode("cp1252")
    assert text.startswith("EC-LAB SETTING FILE")
    assert "Modulo Bat" in text
    assert "Ewe max = 4.40000 V" in text


@pytest.mark.parametrize("name", ["demo", "li_li_plate_strip", "graphite_overcharge_stop_at_plating", "anode_free_budget"])
@pytest.mark.parametrize("form", FORMATS)
def test_what_people_write_is_exported(repository: Path, name: str, form: str) -> None:
    found = planned(
        repository / f"configs/experiments/{name}.yaml", None, start_utc_ns=0, otherwise=repository / "configs/rigs/sim.yaml"
    ).plan
    assert written(found, form)
    assert "acquisitions and their triggers" in left_out(found, form)


def test_there_and_back_is_the_same_experiment(plan: Plan, tmp_path: Path, repository: Path) -> None:
    """Cell and console must be said by hand; steps, record and limits are there."""
    text = read(written(plan, "unicycler").decode())
    said = "type: full, working: LiCoO2, positive: LiCoO2, negative: graphite"
    text = text.replace("cell: {id: five-cycles, ", f"cell: {{id: LCO-07, {said}, ")
    path = tmp_path / "back.yaml"
    path.write_text(text, encoding="utf-8")
    again = planned(path, repository / "configs/rigs/memory.yaml", start_utc_ns=0).plan
    assert unicycler(again) == unicycler(plan)
    assert parse_experiment(text).limits.voltage_upper_V == 4.4


def protocol(*method: dict[str, Any], **more: Any) -> str:
    return json.dumps({"sample": {"name": "cell 1"}, "record": {"time_s": 10}, "method": list(method), **more})


RATE = {"step": "constant_current", "rate_C": "C/10", "until_voltage_V": "4.2", "until_time_s": ""}


def test_a_rate_stays_a_rate_where_nobody_knows_the_capacity() -> None:
    assert "C_rate: 0.1" in read(protocol(RATE))
    assert "current_mA: 0.5" in read(protocol(RATE, sample={"name": "a", "capacity_mAh": 5}))
    assert "id: cell-1" in read(protocol(RATE))


def test_loops_in_loops_and_by_number() -> None:
    rest = {"step": "open_circuit_voltage", "until_time_s": 1}
    tag = {"step": "tag", "tag": "a"}
    loops = [{"step": "loop", "loop_to": 3, "cycle_count": 2}, {"step": "loop", "loop_to": "a", "cycle_count": 5}]
    text = read(protocol(tag, rest, RATE, rest, loops[0], loops[1]))
    assert text.index("repeat: 5") < text.index("rest_s") < text.index("repeat: 2") < text.index("C_rate")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no protocol"),
        ("[]", "no protocol"),
        ("{}", "no protocol"),
        (protocol(), "no protocol"),
        (protocol({"step": "voltage_scan", "start_voltage_V": 3, "end_voltage_V": 4, "scan_rate_mV_per_s": 1}), "voltage_scan"),
        (
            protocol(
                {"step": "tag", "tag": "a"},
                RATE,
                {"step": "tag", "tag": "b"},
                RATE,
                {"step": "loop", "loop_to": "a", "cycle_count": 2},
                {"step": "loop", "loop_to": "b", "cycle_count": 2},
            ),
            "crosses",
        ),
    ],
)
def test_what_is_no_protocol_is_refused(text: str, why: str) -> None:
    with pytest.raises(NotRead, match=why):
        read(text)


def test_commands_write_beside_the_file_and_never_over_anything(
    tmp_path: Path, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, rig = tmp_path / "full.yaml", repository / "configs/rigs/memory.yaml"
    path.write_text(FULL, encoding="utf-8")
    assert export_protocol_command(path, "unicycler", None, rig, as_json=True) == 0
    assert json.loads(capsys.readouterr().out) == {"file": str(tmp_path / "full.json"), "left_out": []}
    assert import_protocol_command(tmp_path / "full.json", None, as_json=False) == 2
    assert "there already" in capsys.readouterr().err
    assert path.read_text("utf-8") == FULL
    assert import_protocol_command(tmp_path / "full.json", tmp_path / "new.yaml", as_json=False) == 0
    for wrong in (("arbin", path), ("unicycler", tmp_path / "none.yaml")):
        assert export_protocol_command(wrong[1], wrong[0], None, rig, as_json=False) == 2


def test_without_the_library_it_says_what_to_install() -> None:
    code = "import sys; sys.modules['aurora_unicycler'] = None\nfrom orchestrator.export.protocol import library\nlibrary()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install 'operando-nmr[protocol]'" in done.stderr
