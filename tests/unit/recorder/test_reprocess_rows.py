"""What stands in the flags of a reprocessed spectrum, and by what it was made."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import pytest

from orchestrator.analysis import findings
from orchestrator.analysis.findings import Finding
from orchestrator.recorder import reprocess
from orchestrator.recorder.reprocess import Row, Source

CONTEXT = {"acquisition": "echoes", "blank": 0}


def found(name: str, value: float) -> Finding:
    return Finding(name, value, None, "", "a1", "test", context=CONTEXT)


@pytest.mark.parametrize(
    ("name", "value", "flags"),
    [
        ("T2_excess(metal)", 2.5, ("detuned", "T2(metal) beyond T1")),
        ("T2_excess(metal)", 1.5, ("detuned",)),
        ("upper_limit(moss)", 3.0, ("detuned", "moss not resolved")),
        ("area(moss)", 3.0, ("detuned",)),
    ],
)
def test_flags_say_what_is_not_to_be_believed(name: str, value: float, flags: tuple[str, ...]) -> None:
    assert reprocess._row([found(name, value)], ["detuned"], 0).flags == flags


def test_a_blank_says_so() -> None:
    assert reprocess._row([found("noise_sd", 1.0)._replace(context=CONTEXT | {"blank": 1})], [], 0).flags == ("blank",)


def test_provenance_names_every_algorithm_and_window(tmp_path: Path) -> None:
    row = Row("a1", CONTEXT, (), {"noise_sd": (1.0, 0.1, "")})
    path, _ = reprocess._write(tmp_path, iter([row]), Source("run-1", "night", 9, 1), {"SEI": (-20.0, 20.0)}, "operando process")
    with h5py.File(path) as file:
        said = dict(file["entry/process"].attrs)
    every = {value for name, value in vars(findings).items() if name.isupper() and isinstance(value, str)}
    assert set(json.loads(said["algorithms"])) == every
    assert json.loads(said["windows_ppm"]) == {"SEI": [-20.0, 20.0]}
    assert (said["run_id"], said["asked"], said["journal_seq"], said["spectra"]) == ("run-1", "operando process", 9, 1)
