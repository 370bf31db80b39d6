"""The five experiment files run: whole, by `operando run --speed max` on their twins, their long parts cut by other numbers alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import pytest

from orchestrator.model.events import Event
from orchestrator.recorder.records import Reader
from orchestrator.recorder.recover import verify
from orchestrator.rig.gather import gather
from orchestrator.rig.process import run
from orchestrator.rig.request import RunRequest

NO_TUNER = {"tune at 560 ppm, ": "", "tune, ": "", ", retune: every 10 pairs": ""}
"""The rig in memory has no tuner."""


class File(NamedTuple):
    """An experiment, its twin, and what is cut."""

    name: str
    twin: str
    cut: Mapping[str, str]
    twin_cut: Mapping[str, str] = {}


LI_LI = File(
    "li_li_plate_strip", "C1",
    {"repeat: 12": "repeat: 2", "until 1 mAh/cm2": "until 0.05 mAh/cm2", "every 0.01 mAh/cm2": "every 0.025 mAh/cm2"},
)  # fmt: skip
ANODE_FREE = File(
    "anode_free_budget", "C2",
    {"repeat: 29": "repeat: 3", "C/10 until 3.8 V or 11 hours": "C/2 until 3.8 V or 20 minutes", "3.8 V or 3 hours": "3.8 V or 20 minutes",
     "2.5 V or 3 hours": "2.5 V or 20 minutes", "every 1 %": "every 15 %"},
)  # fmt: skip
GRAPHITE = File(
    "graphite_overcharge_stop_at_plating", "C3-LFP",
    {"Rest for 1 hour": "Rest for 20 minutes", "or 8 hours": "or 30 minutes", "12 min to 12 h": "5 min to 20 min",
     "Rest for 12 hours": "Rest for 30 minutes", "20 times": "3 times", "or 14 hours": "or 20 minutes", "every 2 %": "every 4 %"},
)  # fmt: skip
CARBON = File(
    "hard_carbon_dual_offset", "C5",
    {"Rest for 1 hour": "Rest for 20 minutes", "V or 24 hours": "V or 30 minutes", "or 3 hours, nmr": "or 20 minutes, nmr", "abs_I_mA: 0.1": "abs_I_mA: 0.09",
     "Potentiostatic at 0.005 V": "Potentiostatic at 0.9 V", "pair: 3 times": "pair: 1 times", "scans: 2048": "scans: 256", "every 20 minutes": "every 10 minutes"},
)  # fmt: skip
REES = File(
    "na_beta_alumina_short_and_image", "C6",
    {"until 9.5 mAh/cm2": "until 0.95 mAh/cm2", "[3, 5, 8, 13, 20]": "[3, 20]", "scans: 4096": "scans: 512", "for 30 minutes": "for 5 minutes"},
    {"loss_per_mAh_per_cm2: 0.09": "loss_per_mAh_per_cm2: 0.9"},
)  # fmt: skip


def cut(text: str, changes: Mapping[str, str]) -> str:
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def ran(file: File, repository: Path, folder: Path) -> tuple[Any, list[Event]]:
    text = cut((repository / "configs" / "experiments" / f"{file.name}.yaml").read_text("utf-8"), file.cut)
    for old, new in NO_TUNER.items():
        text = text.replace(old, new)
    path, twin = folder / "experiment.yaml", folder / "twin.yaml"
    path.write_text(text, encoding="utf-8")
    twin.write_text(cut((repository / "configs" / "twins" / f"{file.twin}.yaml").read_text("utf-8"), file.twin_cut), encoding="utf-8")
    rig = repository / "configs" / "rigs" / "memory.yaml"
    ended = run(gather(RunRequest(path, rig, folder / "runs", speed=None, seed=1, display="none", twin=twin)))
    with Reader(ended.folder / "journal.sqlite") as reader:
        events = list(reader.events())
    assert verify(ended.folder).ok
    assert (ended.outcome.exit_code, ended.outcome.state, ended.outcome.complete) == (0, "finished", True), ended.outcome.reason
    return ended, events


def data_of(events: list[Event], kind: str) -> list[Mapping[str, Any]]:
    return [event.data for event in events if event.kind == kind]


@pytest.mark.parametrize("file", [LI_LI, ANODE_FREE, GRAPHITE, CARBON, REES], ids=lambda file: file.name)
def test_it_runs(file: File, repository: Path, tmp_path: Path) -> None:
    ended, events = ran(file, repository, tmp_path)
    for kind in ("alarm.raised", "preparation", "rule.fired", "label", "attachment", "note"):
        for data in data_of(events, kind):
            print(kind, {k: v for k, v in data.items() if k not in ("advice",)})
    print(sorted({data["name"] for data in data_of(events, "observable")}))
    assert 0
