"""A second night goes on where the first one ended: cycles, charge and x; and a rehearsal leaves a real cell alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nights.live import observed_here
from orchestrator.cli.app import run as operando
from orchestrator.config import load_cell
from orchestrator.recorder.reader import open_run
from orchestrator.rig.cells import CellLedger, Passed
from orchestrator.rig.gather import gather
from orchestrator.rig.process import run
from orchestrator.rig.request import RunRequest

RECORD = """
version: 1
id: Gr-07
type: half
working: graphite
counter: lithium
area_cm2: 0.4
capacity_mAh: 1.6
C_rate_of: graphite
x_is: Li in graphite
x_now: 0.06 Li in graphite
electrode_normal_to_B0_deg: 0
"""
EXPERIMENT = """
version: 1
experiment: night
cell: Gr-07
limits: {E_V: [-2, 3], abs_I_mA: 1, charge_per_step_mAh: 1, host_lost: open circuit within 20 s}
protocol:
  - Lithiate working at 0.2 mA for 6 minutes
"""


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OPERANDO_HOME", str(tmp_path / "home"))
    (tmp_path / "home" / "cells").mkdir(parents=True)
    (tmp_path / "home" / "cells" / "Gr-07.yaml").write_text(RECORD, "utf-8")
    (tmp_path / "night.yaml").write_text(EXPERIMENT, "utf-8")
    return tmp_path


@pytest.fixture
def ledger(lab: Path) -> CellLedger:
    return CellLedger(lab / "home" / "cells" / "Gr-07.yaml")


def night(lab: Path, rig: Path) -> Any:
    request = RunRequest(lab / "night.yaml", rig, lab / "runs", speed=None, display="none", twin=rig.parent.parent / "twins" / "C3.yaml")
    with observed_here():
        return run(gather(request))


def told(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert operando([*words, "--json"]) == 0
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def test_a_second_night_begins_where_the_first_one_ended(lab: Path, repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rig = repository / "configs" / "rigs" / "memory.yaml"
    first = night(lab, rig)
    with open_run(first.folder) as file:
        ends_at = float(file.electrochemistry["x"][-1])
        assert float(file.electrochemistry["x"][0]) == pytest.approx(0.06, abs=2e-3)
        assert file.text("cell_record") == RECORD
        assert json.loads(file.text("cell_ledger"))["before"]["runs"] == 0
    assert ends_at > 0.06 + 0.9 * 0.02 / 1.6
    second = night(lab, rig)
    with open_run(second.folder) as file:
        assert float(file.electrochemistry["x"][0]) == pytest.approx(ends_at, abs=2e-3)
        before = json.loads(file.text("cell_ledger"))["before"]
        assert (before["runs"], before["cycles"], before["x"]) == (1, 1, pytest.approx(ends_at))
    standing = CellLedger(lab / "home" / "cells" / "Gr-07.yaml").standing(load_cell(lab / "home" / "cells" / "Gr-07.yaml"), simulated=True)
    assert (standing.runs, standing.cycles) == (2, 2)
    assert standing.charge_net_mAh == pytest.approx(-0.04, rel=0.02), "lithiation is reduction at working"
    shown = told(capsys, "cell", "show", "Gr-07")
    assert (shown["runs"], shown["x"]) == (0, 0.06), "rehearsals do not count for the real cell"
    assert len(shown["history"]) == 2


def test_once_in_a_real_magnet_only_real_runs_count(lab: Path, ledger: CellLedger) -> None:
    cell = load_cell(lab / "home" / "cells" / "Gr-07.yaml")
    ledger.begin_run("a", lab / "a", 0.3, simulated=True)
    assert (ledger.standing(cell).x, ledger.standing(cell, simulated=True).x) == (0.06, 0.3)
    ledger.begin_run("b", lab / "b", 0.5, simulated=False)
    ledger.begin_run("c", lab / "c", 0.9, simulated=True)
    assert (ledger.standing(cell).x, ledger.standing(cell, simulated=True).x) == (0.5, 0.5)


def test_a_run_that_died_counts_for_what_its_journal_holds(lab: Path, repository: Path, ledger: CellLedger) -> None:
    import sqlite3

    folder = night(lab, repository / "configs" / "rigs" / "memory.yaml").folder
    with sqlite3.connect(folder / "journal.sqlite") as journal:
        seqs = [seq for (seq,) in journal.execute("SELECT seq FROM record WHERE kind = 'ec.block' ORDER BY seq")]
        journal.execute("DELETE FROM record WHERE seq > ?", (seqs[len(seqs) // 2],))
    journal.close()
    ledger.begin_run("again", folder, 0.06, simulated=True)
    ledger.settle()
    died = next(line for line in ledger.lines() if not line.passed.over)
    assert -0.8 * 0.02 < died.passed.net_C / 3.6 < -0.2 * 0.02


def test_mountings_and_files_of_other_instruments_stand_in_the_ledger(
    lab: Path, ledger: CellLedger, capsys: pytest.CaptureFixture[str]
) -> None:
    file = lab / "formation.mpr"
    file.write_bytes(b"as it came")
    cell = load_cell(lab / "home" / "cells" / "Gr-07.yaml")
    assert ledger.add_history(file, Passed(-3.6, 10.8, 2, 0.2, over=True), "formation")
    assert not ledger.add_history(file, Passed(-3.6, 10.8, 2, 0.2, over=True)), "the same file counts once"
    standing = ledger.standing(cell)
    assert (standing.x, standing.cycles, standing.files) == (0.2, 2, 1)
    assert (standing.charge_net_mAh, standing.charge_throughput_mAh) == (pytest.approx(-1.0), pytest.approx(3.0))
    answer = told(capsys, "cell", "mount", "Gr-07", "--rig", "magnet", "--x", "0.25", "--note", "new O-ring")
    assert (answer["x"], answer["mountings"]) == (0.25, 1)
    assert operando(["cell", "show", "Gr-07"]) == 0
    text = capsys.readouterr().out
    assert "mounting  magnet, x 0.25 (new O-ring)" in text
    assert "formation.mpr, -1 mAh, 2 cycles, x 0.2 (formation)" in text


def test_a_bench_cyclers_file_is_counted(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = "\n".join(f"{t},3.0,{-0.001},1,1" for t in range(0, 3601, 60))
    file = lab / "formation.bdf.csv"
    file.write_text(f"Test Time / s,Voltage / V,Current / A,Cycle Count / 1,Step Count / 1\n{rows}\n", "utf-8")
    answer = told(capsys, "cell", "add-history", "Gr-07", str(file))
    assert answer["charge_net_mAh"] == pytest.approx(-1.0)
    assert answer["x"] == pytest.approx(0.06 + 1.0 / 1.6)
    assert told(capsys, "cell", "list")["cycles"] == 1


def test_a_cell_without_a_record_is_said(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert operando(["cell", "show", "Gr-08"]) == 2
    assert "known: Gr-07" in capsys.readouterr().err
