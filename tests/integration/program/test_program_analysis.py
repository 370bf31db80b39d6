"""Live analysis of a run over real wires: what the spectra say comes back by the control socket, and afterwards again from the journal."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import h5py
import pytest

from orchestrator.recorder.reader import open_run

pytestmark = [pytest.mark.posix_only, pytest.mark.timeout(240)]

RULES = """
rules:
  - {name: bulk is there, acquisition: fast, when: area(bulk) > 100, for: 2 spectra, do: [info, end step]}
  - {name: plated, when: abs(E) > 1 mV, for: 3 samples, do: [warn]}
"""


def loaded(pid: int) -> str:
    return Path(f"/proc/{pid}/maps").read_text("utf-8")


def test_what_the_spectra_say_comes_back_while_the_run_goes_on(program: Any, repository: Path, tmp_path: Path) -> None:
    run = program.start(rig=repository / "configs" / "rigs" / "sim.yaml", plate="3 minutes")
    first = run.until("observable", name="noise_sd")
    maps = loaded(run.process.pid)
    assert "/scipy/" not in maps
    assert "/h5py/" not in maps
    assert run.ends().code == 0, run.said()
    stored = run.of("acquisition.stored")
    told = {event["key"] for event in run.of("observable", name="noise_sd")}
    assert first["key"] == stored[0]["key"]
    assert len(told) >= 2
    bulk = run.of("observable", name="area(bulk)")
    assert all(event["value"] > 5.0 * event["error"] > 0.0 for event in bulk)
    assert len(bulk) >= 2
    again(run, told, tmp_path)


def again(run: Any, told: set[str], tmp_path: Path) -> None:
    """Afterwards: the same numbers from the journal, in a new file and in a table; run.h5 still holds."""
    before = run.operando("verify", str(run.folder), "--digest").text
    for number in (1,):
        assert run.operando("process", str(run.folder)).code == 0
        with h5py.File(run.folder / "processed" / f"{number:04d}.h5") as file:
            fast = file["entry/fast"]
            areas, corrected = (
                dict(zip(fast["key"][()].astype(str), fast[name][()], strict=True)) for name in ("area(bulk)", "corrected_area(bulk)")
            )
            made_of = file["entry/process"].attrs["run_h5_digest"]
            assert len(made_of) == 64, "a digest"
            assert made_of in before
    live = {event["key"]: event["value"] for event in run.of("observable", name="area(bulk)")}
    assert told <= set(areas)
    assert all(areas[key] == pytest.approx(value, rel=1e-9) for key, value in live.items())
    skins = {event["key"]: event["value"] for event in run.of("observable", name="corrected_area(bulk)")}
    assert skins.keys() == live.keys(), "the skin is taken off live as well"
    assert all(corrected[key] == pytest.approx(value, rel=1e-9) for key, value in skins.items())
    assert all(value > 1.5 * live[key] for key, value in skins.items())
    table = tmp_path / "o.csv"
    assert run.operando("export", str(run.folder), "--observables", str(table)).code == 0
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["key"]: float(row["area(bulk)"]) for row in rows if row["area(bulk)"]} == pytest.approx(areas, rel=1e-6)
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES, encoding="utf-8")
    said = run.operando("rehearse", str(run.folder), "--rules", str(rules), "--json")
    fired = [json.loads(line) for line in said.text.splitlines() if line.startswith("{")]
    assert {each["rule"] for each in fired} == {"bulk is there", "plated"}, said.text
    assert run.operando("verify", str(run.folder)).code == 0
    assert run.operando("verify", str(run.folder), "--digest").text == before
    with open_run(run.folder) as opened:
        assert "area_bulk_" in opened.observables or any("bulk" in name for name in opened.observables)
