"""The five experiment files run: whole, by `operando run --speed max` on their twins, their long parts cut by other numbers alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import pytest

from nights.live import observed_here
from orchestrator.model.events import Event
from orchestrator.recorder.records import Reader
from orchestrator.recorder.recover import verify
from orchestrator.rig.gather import gather
from orchestrator.rig.process import run
from orchestrator.rig.request import RunRequest

TUNER = {
    "instruments:\n": "instruments:\n  atm: {driver: atm, address: 'emulator:atm', options: {presets: {7Li: 116.64, 23Na: 79.39}}}\n",
    "    console: console\n": "    console: console\n    tuner: atm\n",
}
"""What the rig in memory has not got."""


class File(NamedTuple):
    """An experiment, its twin, and what is cut."""

    name: str
    twin: str
    cut: Mapping[str, str]
    every_s: int = 10
    twin_cut: Mapping[str, str] = {}


LI_LI = File(
    "li_li_plate_strip", "C1",
    {"repeat: 12": "repeat: 2", "until 1 mAh/cm2": "until 0.05 mAh/cm2", "every 0.01 mAh/cm2": "every 0.025 mAh/cm2"},
)  # fmt: skip
ANODE_FREE = File(
    "anode_free_budget", "C2",
    {"repeat: 29": "repeat: 3", "C/10 until 3.8 V or 11 hours": "C/2 until 3.8 V or 20 minutes", "3.8 V or 3 hours": "3.8 V or 20 minutes",
     "2.5 V or 3 hours": "2.5 V or 20 minutes", "every 1 %": "every 15 %"},
    2,
)  # fmt: skip
GRAPHITE = File(
    "graphite_overcharge_stop_at_plating", "C3-LFP",
    {"Rest for 1 hour": "Rest for 20 minutes", "or 8 hours": "or 30 minutes", "12 min to 12 h": "5 min to 20 min",
     "Rest for 12 hours": "Rest for 30 minutes", "20 times": "3 times", "or 14 hours": "or 20 minutes", "every 2 %": "every 4 %"},
)  # fmt: skip
CARBON = File(
    "hard_carbon_dual_offset", "C5",
    {"Rest for 1 hour": "Rest for 20 minutes", "V or 24 hours": "V or 30 minutes", "or 3 hours, nmr": "or 20 minutes, nmr",
     "abs_I_mA: 0.1": "abs_I_mA: 9",
     "Potentiostatic at 0.005 V": "Potentiostatic at 0.9 V", "pair: 3 times": "pair: 1 times", "scans: 2048": "scans: 256",
     "every 20 minutes": "every 10 minutes"},
)  # fmt: skip
REES = File(
    "na_beta_alumina_short_and_image", "C6",
    {"until 9.5 mAh/cm2": "until 0.95 mAh/cm2", "[3, 5, 8, 13, 20]": "[3, 20]", "scans: 4096": "scans: 512",
     "for 30 minutes": "for 5 minutes"},
    10,
    {"loss_per_mAh_per_cm2: 0.09": "loss_per_mAh_per_cm2: 0.9"},
)  # fmt: skip


def cut(text: str, changes: Mapping[str, str]) -> str:
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def ran(file: File, repository: Path, folder: Path) -> tuple[Any, list[Event]]:
    text = cut((repository / "configs" / "experiments" / f"{file.name}.yaml").read_text("utf-8"), file.cut)
    text += f"\nrecord: {{every_s: {file.every_s}}}\n"
    path, twin, rig = (folder / f"{name}.yaml" for name in ("experiment", "twin", "rig"))
    path.write_text(text, encoding="utf-8")
    twin.write_text(cut((repository / "configs" / "twins" / f"{file.twin}.yaml").read_text("utf-8"), file.twin_cut), encoding="utf-8")
    memory = (repository / "configs" / "rigs" / "memory.yaml").read_text("utf-8")
    rig.write_text(cut(memory, {"views: 64": "views: 4", "../twins/C1.yaml": "twin.yaml", **TUNER}), encoding="utf-8")
    with observed_here():
        ended = run(gather(RunRequest(path, rig, folder / "runs", speed=None, seed=1, display="none", twin=twin)))
    with Reader(ended.folder / "journal.sqlite") as reader:
        events = list(reader.events())
    assert verify(ended.folder).ok
    unwell = [event.data for event in events if event.kind in {f"acquisition.{end}" for end in ("missed", "rejected", "lost")}]
    assert not unwell
    assert (ended.outcome.exit_code, ended.outcome.state, ended.outcome.complete) == (0, "finished", True), ended.outcome.reason
    return ended, events


def data_of(events: list[Event], kind: str) -> list[Mapping[str, Any]]:
    return [event.data for event in events if event.kind == kind]


def names(events: list[Event]) -> set[str]:
    return {str(data["name"]) for data in data_of(events, "observable")}


@pytest.mark.timeout(300)
def test_lithium_is_plated_and_stripped_with_impedance_in_every_rest(repository: Path, tmp_path: Path) -> None:
    ended, events = ran(LI_LI, repository, tmp_path)
    assert len(data_of(events, "eis")) == 1 + 2 * 2
    assert [data["what"] for data in data_of(events, "preparation")] == ["gain", "gain", "reference", "reference"]
    with h5py.File(ended.folder / "run.h5") as file:
        assert file["entry/impedance/z"].shape == (5, 37)
        assert len(file["entry/observables/R_cell/value"]) == 5
        assert len(file["entry/fid/reference_7Li_LiCl_aq/fid"]) == 2


@pytest.mark.timeout(300)
def test_the_budget_of_an_anode_free_cell_is_told(repository: Path, tmp_path: Path) -> None:
    _, events = ran(ANODE_FREE, repository, tmp_path)
    assert {"mAh_per_area", "dead_Li(cycle 1)", "dead_Li(this cycle)", "SEI_Li(this cycle)", "CE(this cycle)"} <= names(events)
    k = [data for data in data_of(events, "observable") if data["name"] == "mAh_per_area"]
    assert len(k) == 3, "cycles 2 to 4"
    assert 0.0 < k[-1]["error"] < 0.1 * k[-1]["value"]
    assert [data["text"] for data in data_of(events, "note") if "left after" in data["text"]] == ["the cell is left after: discharge"]


@pytest.mark.timeout(300)
def test_graphite_is_overcharged_and_labelled(repository: Path, tmp_path: Path) -> None:
    _, events = ran(GRAPHITE, repository, tmp_path)
    assert data_of(events, "label") == [{"label": "for ex situ MAS", "cell": "GrLFP-07"}]


@pytest.mark.timeout(300)
def test_hard_carbon_is_measured_on_two_carriers_and_its_empty_window_is_no_fault(repository: Path, tmp_path: Path) -> None:
    _, events = ran(CARBON, repository, tmp_path)
    assert not [data for data in data_of(events, "alarm.raised") if "amplifier" in data["id"]]
    assert len(data_of(events, "eis")) == 1
    tuned = data_of(events, "tuned")
    assert {(data["nucleus"], data["carrier_ppm"], data["ok"]) for data in tuned} == {("23Na", 560.0, True)}
    assert [data["why"] for data in tuned[:1]] == ["the preparation"]


@pytest.mark.timeout(300)
def test_the_ceramic_shorts_and_no_current_flows_any_more(repository: Path, tmp_path: Path) -> None:
    _, events = ran(REES, repository, tmp_path)
    (pulse,) = [data for data in data_of(events, "preparation") if data["what"] == "pulse"]
    assert pulse["found"]["pulse_90"] > 0.0
    short = next(event for event in events if event.kind == "rule.fired" and event.data["rule"] == "short")
    later = [event.data["mode"] for event in events if event.kind == "step.started" and event.seq > short.seq]
    assert set(later) == {"rest"}
    raised = {data["id"] for data in data_of(events, "alarm.raised")}
    assert "after-short" in raised
    assert "question" not in raised
    assert [(data["name"], data["files"]) for data in data_of(events, "attachment")] == [("XCT", []), ("SEM", []), ("EDX", [])]
