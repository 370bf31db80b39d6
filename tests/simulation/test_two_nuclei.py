"""Two nuclei in every galvanostatic step, through the real drivers, their emulators and the file, in virtual time."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import nmrglue
import pytest

from nights.live import observed_here
from orchestrator.rig.gather import gather
from orchestrator.rig.process import Ended, run
from orchestrator.rig.request import RunRequest

FIELD_T = 7.05
CARRIER_ppm = {"lithium": 137.0, "sodium": 0.0}
MHz_PER_T = {"lithium": 16.5483, "sodium": 11.2688}
"""Of 7Li and 23Na (CODATA and IUPAC, to five digits)."""


@dataclass
class Night:
    ended: Ended
    entry: Any

    def texts(self, path: str) -> list[str]:
        return [value.decode() for value in self.entry[path][()]]

    def events(self, kind: str) -> list[dict[str, Any]]:
        """The data of all events of a kind; none of those asked for here is longer than a row."""
        parts = zip(self.texts("events/kind"), self.entry["events/part"][()], self.texts("events/data"), strict=True)
        return [json.loads(data) for of_kind, part, data in parts if of_kind == kind and part == 0]


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    """One of the four rounds of the experiment, plating and stripping a third of its charge."""
    repository, folder = Path(__file__).parents[2], tmp_path_factory.mktemp("dual")
    text = (repository / "configs/experiments/dual-7Li-23Na.yaml").read_text("utf-8")
    for whole, short in (("- repeat: 4", "- repeat: 1"), ("until 0.5 mAh/cm2", "until 0.2 mAh/cm2"), ("Rest for 10", "Rest for 3")):
        assert whole in text
        text = text.replace(whole, short)
    (folder / "dual.yaml").write_text(text)
    request = RunRequest(folder / "dual.yaml", repository / "configs/rigs/sim.yaml", folder, speed=None, seed=1, display="none")
    with observed_here():
        ended = run(gather(request))
    with h5py.File(ended.folder / "run.h5", "r") as file:
        yield Night(ended, file["entry"])


def test_what_the_console_filed_is_read_by_anybody(night: Night) -> None:
    """The vendor's files, kept byte for byte; nothing that we told the console breaks a line of them."""
    for name in ("lithium", "sodium"):
        fids = night.entry[f"fid/{name}/fid"]
        for row, folder in enumerate(night.texts(f"fid/{name}/raw_folder")):
            (kept,) = (night.ended.folder / folder).iterdir()
            parameters, data = nmrglue.varian.read(str(kept))
            assert parameters["procpar"]["tn"]["values"][0] == {"lithium": "Li7", "sodium": "Na23"}[name]
            assert (data.real == fids[row].real).all()
            assert (abs(data.imag) == abs(fids[row].imag)).all(), "its sign is a convention"


def test_every_spectrum_of_both_nuclei_is_there(night: Night) -> None:
    outcome = night.ended.outcome
    assert (outcome.state, outcome.outcome, outcome.complete, outcome.exit_code) == ("finished", "as planned", True, 0)
    assert set(night.texts("acquisitions/state")) == {"verified"}
    counted = Counter(night.texts("acquisitions/name"))
    assert counted == {name: len(night.entry[f"fid/{name}/fid"]) for name in ("lithium", "sodium")}


def test_both_nuclei_are_measured_in_every_galvanostatic_step_two_to_one(night: Night) -> None:
    under_current = [event["key"] for event in night.events("step.started") if event["mode"] == "galvanostatic"]
    assert len(under_current) == 2
    asked = [event for event in night.events("acquisition.requested") if event["asked_as"] == "both"]
    for step in under_current:
        names = [event["name"] for event in asked if event["step_key"] == step]
        assert len(names) >= 3 * 3
        assert names == ["lithium", "sodium", "lithium"] * (len(names) // 3)
    assert {event["step_key"] for event in asked} == set(under_current)


@pytest.mark.parametrize("name", ["lithium", "sodium"])
def test_every_fid_was_taken_at_its_nucleus_frequency(night: Night, name: str) -> None:
    group = night.entry[f"fid/{name}"]
    assert group.attrs["nucleus"] == {"lithium": "7Li", "sodium": "23Na"}[name]
    parameters: dict[str, str] = {}
    for key, data in zip(night.texts(f"fid/{name}/parameters/key"), night.texts(f"fid/{name}/parameters/data"), strict=True):
        parameters[key] = parameters.get(key, "") + data
    assert list(parameters) == night.texts(f"fid/{name}/key")
    for text in parameters.values():
        said = json.loads(text)
        assert said["tn"] == {"lithium": "Li7", "sodium": "Na23"}[name]
        assert said["sfrq"] == pytest.approx(MHz_PER_T[name] * FIELD_T, rel=1e-3)
        assert said["sfrq"] / said["reffrq"] - 1 == pytest.approx(CARRIER_ppm[name] * 1e-6, abs=1e-9)
    assert group["fid"].attrs["carrier_MHz"] == json.loads(next(iter(parameters.values())))["sfrq"]


def test_what_was_asked_is_what_was_scanned(night: Night) -> None:
    for name, scans in (("lithium", 32), ("sodium", 256)):
        assert set(night.entry[f"fid/{name}/scans_done"][()]) == {scans}
