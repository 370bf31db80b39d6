"""``operando check``: what it prints (golden text at width 120), its JSON, its exit codes, and what it does not import.

After a change that is meant: OPERANDO_WRITE_GOLDEN=1 python -m pytest tests/unit/plan/test_check_command.py, and read the diff.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from drivers.base import Capabilities
from orchestrator.cli.check import check_command
from orchestrator.cli.paths import configs
from orchestrator.config import load_rig
from orchestrator.plan.instants import utc_ns
from orchestrator.plan.orders import Plan
from orchestrator.rig.planned import capabilities

START = utc_ns("2026-03-02 18:00", "UTC")
FILES = (
    "anode_free_budget",
    "graphite_overcharge_stop_at_plating",
    "hard_carbon_dual_offset",
    "li_li_plate_strip",
    "na_beta_alumina_short_and_image",
)
BAD = """version: 1
experiment: bad
cell: {id: c, type: symmetric, working: a, counter: b, area_cm2: 1}
limits: {abs_E_V: 0.5, abs_I_mA: 5, charge_per_step_mAh: 3, host_lost: open circuit within 4 s}
acquisitions: {fast: {template: 7Li_metl, scans: 8, dummies: 2}}
protocol: [Rest for 1 hour]
"""


def printed(file: Path, **how: object) -> str:
    out = io.StringIO()
    console = Console(file=out, width=120, highlight=False, force_terminal=False)
    code = check_command(file, console=console, start_utc_ns=START, free_bytes=10**12, **how)  # type: ignore[arg-type]
    assert code == 0
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


@pytest.fixture(autouse=True)
def at_the_top(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository)


@pytest.mark.parametrize("name", FILES)
def test_the_five_files_print_their_plans(name: str, repository: Path) -> None:
    text = printed(Path("configs/experiments") / f"{name}.yaml")
    golden = repository / "tests" / "golden" / "check" / f"{name}.txt"
    if os.environ.get("OPERANDO_WRITE_GOLDEN"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


def test_it_says_that_it_assumed_the_simulated_rig() -> None:
    file = Path("configs/experiments/li_li_plate_strip.yaml")
    assert "no --rig given" in printed(file)
    assert "no --rig given" not in printed(file, rig=configs() / "rigs" / "sim.yaml")


def test_repeats_are_folded_in_print_and_unrolled_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    file = Path("configs/experiments/li_li_plate_strip.yaml")
    text = printed(file)
    assert text.count("12 ×") == 1
    assert text.count("Plate working") == 1
    assert check_command(file, as_json=True, start_utc_ns=START, free_bytes=10**12) == 0
    said = json.loads(capsys.readouterr().out)
    plan = Plan.model_validate(said["plan"])
    assert len(plan.steps) == 73
    assert said["rig_assumed"] is True
    assert said["not_available"] == []
    assert said["programs"][0] == [0, 1, 2]


def test_better_use_of_the_console_is_said_when_asked_for(tmp_path: Path) -> None:
    written = Path("configs/experiments/li_li_plate_strip.yaml").read_text("utf-8")
    file = tmp_path / "few.yaml"
    file.write_text(written.replace("scans: 64", "scans: 48"), "utf-8")
    assert "better:" not in printed(file)
    assert "better: `fast`: 70 scans instead of 48 fit into 72 s" in printed(file, optimise=True)


def test_the_hours_of_a_map_stand_in_a_table_when_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    file = Path("configs/experiments/na_beta_alumina_short_and_image.yaml")
    rig = Path("configs/rigs/memory.yaml")
    assert check_command(file, rig, start_utc_ns=START, optimise=True, as_json=True) == 0
    ways = json.loads(capsys.readouterr().out)["map_hours"]
    hours = {way["way"]: way["hours"] for way in ways}
    assert hours["as planned"] > 2 * hours["recycle delay by T1"] > 2 * hours["+ echoes by Cramér-Rao"] > 0
    text = io.StringIO()
    check_command(file, rig, start_utc_ns=START, optimise=True, console=Console(width=80, file=text))
    shown = text.getvalue()
    assert "Hours of a map of T2, at equal error of T2" in shown
    assert f"{hours['+ echoes by Cramér-Rao']:.1f}" in shown
    assert "Hours of a map" not in printed(file)


def test_all_problems_at_once_and_exit_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(BAD)
    assert check_command(file, start_utc_ns=START) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "did you mean `7Li_metal`?" in said.err
    assert "at least 8 s" in said.err
    assert f"{file}:4:" in said.err
    assert "     | " in said.err
    assert said.err.endswith("2 problems; nothing was started.\n")


def test_problems_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(BAD)
    assert check_command(file, as_json=True) == 2
    said = json.loads(capsys.readouterr().out)
    assert said["ok"] is False
    assert [problem["line"] for problem in said["problems"]] == [5, 4]


def test_what_cannot_be_read_is_exit_2_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "typo.yaml"
    file.write_text(BAD.replace("protocol:", "protocl:"))
    assert check_command(file) == 2
    assert "unknown key `protocl`" in capsys.readouterr().err


def test_a_two_night_booking_refuses_the_71_hours(capsys: pytest.CaptureFixture[str]) -> None:
    file = Path("configs/experiments/na_beta_alumina_short_and_image.yaml")
    assert check_command(file, booking_end="2026-03-04 08:00", start_utc_ns=START) == 2
    assert "the run needs 71.3 h, but the booking ends Wed 04 Mar 08:00, in 38 h" in capsys.readouterr().err


def test_a_driver_that_can_tell_without_its_instrument_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    from drivers import registry

    class Declares:
        @staticmethod
        def declared(settings: object) -> Capabilities:
            return Capabilities(make_safe_s=9)

    monkeypatch.setattr(registry, "factory", lambda kind, name: Declares)
    rig = load_rig(configs() / "rigs" / "sim.yaml")
    assert {type(one) for one in capabilities(rig).values()} == {Capabilities}


def test_it_starts_light(repository: Path) -> None:
    """No library that costs more than the whole check may be imported by it."""
    code = (
        "import sys; from pathlib import Path; from orchestrator.cli.check import check_command;"
        "code = check_command(Path('configs/experiments/li_li_plate_strip.yaml'));"
        "heavy = {'scipy', 'h5py', 'nmrglue', 'pandas', 'xarray', 'pyvisa', 'serial', 'aiomqtt'} & sys.modules.keys();"
        "print(sorted(heavy), file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.strip()) == (0, "[]")
