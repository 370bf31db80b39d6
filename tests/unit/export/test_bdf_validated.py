"""The battery data format's own validator (batterydf, of the Battery Data Alliance) reads what we export."""

from __future__ import annotations

from pathlib import Path

import pytest
from artificial_night import Night
from reported import clean, run_folder

from orchestrator.export.write import export

NIGHT = Night(samples=300, fids=1, points=64)
bdf = pytest.importorskip("bdf")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bdf")
    export(run_folder(folder / "20260101T000000Z_night", clean(NIGHT)), "bdf", folder / "out")
    return folder / "out" / "night.bdf.csv"


def test_its_validator_accepts_every_column_by_its_preferred_name(exported: Path) -> None:
    report = bdf.validate(exported)
    assert report["ok"]
    assert (report["missing"], report["extras"], report["legacy_labels"]) == ([], [], [])
    assert report["n_rows"] == NIGHT.samples
    assert report["time_stats"]["monotonic"]


@pytest.mark.parametrize(
    ("name", "instead", "said"),
    [("Voltage / V", "Voltage / furlong", "missing"), ("Unix Time / s", "Wall / s", "extras"), ("Test Time / s", "t", "missing")],
)
def test_it_would_say_what_is_wrong(exported: Path, tmp_path: Path, name: str, instead: str, said: str) -> None:
    """Its control: a column that is called otherwise is heard."""
    bad = tmp_path / "bad.bdf.csv"
    bad.write_text(exported.read_text().replace(name, instead, 1))
    report = bdf.validate(bad)
    assert report[said]
    assert report["ok"] is (said == "extras")
