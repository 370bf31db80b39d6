"""Arrays and images from the experiment file to run.h5, through a console in memory and through OpenVnmrJ, in virtual time."""

from __future__ import annotations

import csv
import pickle
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import nmrglue
import numpy as np
import pytest

from nights.live import observed_here
from orchestrator.analysis.maps import Tile
from orchestrator.recorder.closeout import compare
from orchestrator.recorder.pieces import shared
from orchestrator.recorder.reader import open_run
from orchestrator.recorder.records import Reader
from orchestrator.recorder.reprocess import rows as reprocessed
from orchestrator.report.distrust import intervals
from orchestrator.report.facts import gather as gather_facts
from orchestrator.report.page import PICTURED
from orchestrator.report.write import write_report
from orchestrator.rig.gather import gather
from orchestrator.rig.process import Ended, run
from orchestrator.rig.request import RunRequest

REPOSITORY = Path(__file__).parents[2]
RELAXATION = """
version: 1
experiment: relaxation
cell: {id: LiLi-1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0}
limits: {abs_E_V: 0.5, abs_I_mA: 0.5, charge_per_step_mAh: 0.85, host_lost: open circuit within 60 s}
acquisitions:
  t1: {template: 7Li_T1, recycle_s: 0.1, scans: 8, tau_ms: [20, 50, 100, 200, 400, 1000, 3000], repeat_first: true}
  one: {template: 7Li_metal, recycle_s: 0.75, scans: 8, dummies: 4}
  t2: {template: 7Li_T2, recycle_s: 1, scans: 8, dummies: 2, TE_ms: [1, 2, 5, 10, 20], repeat_first: true}
  nutation: {template: 7Li_nutation, recycle_s: 5, scans: 4, dummies: 1, pulse_us: [2, 4, 6, 8, 10, 12, 16, 20]}
  offsets: {template: 7Li_vocs, recycle_s: 1, scans: 8, dummies: 1, carrier_ppm: [0, 250]}
protocol:
  - {name: at rest, at: open circuit, nmr: [t1, one, t2, nutation, offsets, one]}
"""
CONSOLES = {"sim": "memory", "openvnmrj": "sim"}


@dataclass
class Night:
    ended: Ended
    entry: Any

    def observed(self, name: str) -> list[tuple[float, float]]:
        if name not in self.entry["observables"]:
            return []
        group = self.entry[f"observables/{name}"]
        return list(zip(group["value"][()], group["error"][()], strict=True))

    def holds(self) -> None:
        """Ended as planned, everything verified, and the file says what the journal says."""
        outcome = self.ended.outcome
        assert (outcome.state, outcome.outcome, outcome.complete, outcome.exit_code) == ("finished", "as planned", True, 0)
        assert set(self.entry["acquisitions/state"][()]) == {b"verified"}
        with Reader(self.ended.folder / "journal.sqlite") as reader:
            assert compare(self.ended.folder / "run.h5", reader.events()).ok


def lived(folder: Path, experiment: str, rig: Path) -> Iterator[Night]:
    (folder / "experiment.yaml").write_text(experiment, "utf-8")
    with observed_here():
        ended = run(gather(RunRequest(folder / "experiment.yaml", rig, folder, speed=None, seed=1, display="none")))
    with h5py.File(ended.folder / "run.h5", "r") as file:
        yield Night(ended, file["entry"])


@pytest.fixture(scope="module", params=CONSOLES)
def relaxed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    folder = tmp_path_factory.mktemp(f"relaxation-{request.param}")
    yield from lived(folder, RELAXATION, REPOSITORY / "configs" / "rigs" / f"{CONSOLES[request.param]}.yaml")


def test_every_row_is_there_with_its_value_and_its_own_time(relaxed: Night) -> None:
    relaxed.holds()
    t1, t2 = relaxed.entry["fid/t1"], relaxed.entry["fid/t2"]
    assert t1["delay"][()].tolist() == [20, 50, 100, 200, 400, 1000, 3000, 20]
    assert t2["TE"][()].tolist() == [1, 2, 5, 10, 20, 1]
    assert relaxed.entry["fid/nutation/pulse"][()].tolist() == [2, 4, 6, 8, 10, 12, 16, 20]
    assert [relaxed.entry[f"fid/{name}/carrier"][0] for name in ("offsets", "offsets_2")] == [0, 250]
    for group in (t1, t2):
        start, end = group["t_start"][()], group["t_end"][()]
        assert start[1:] == pytest.approx(end[:-1], abs=1e-6)
        assert (end > start).all()
        assert len(set(group["key"][()])) == 1
        assert group["row"][()].tolist() == list(range(len(start)))
        assert np.isfinite(group["charge_start"][1:]).all()  # the very first scan begins before the first sample
    lengths = np.diff(np.append(t1["t_start"][()], t1["t_end"][-1]))
    planned = 8 * (0.1 + 4096 / 93458 + t1["delay"][()] / 1e3)
    assert lengths / lengths.sum() == pytest.approx(planned / planned.sum(), rel=1e-3)


def test_the_relaxation_of_the_twin_comes_back(relaxed: Night) -> None:
    """C1: metal 148 ms (Korringa, 44 s K) and 10 ms; the emulated console's 90 degree pulse is 8 us."""
    ((t1, t1_sd),) = relaxed.observed("T1(bulk)")
    ((t2, t2_sd),) = relaxed.observed("T2(bulk)")
    assert t1 == pytest.approx(0.148, rel=0.06)
    assert t2 == pytest.approx(0.010, rel=0.06)
    assert 0 < t1_sd < 0.006
    assert 0 < t2_sd < 0.0006
    ((pulse, pulse_sd),) = relaxed.observed("pulse_90(electrolyte)")
    assert pulse == pytest.approx(8.0, rel=0.02)
    assert pulse_sd < 0.1
    ((drift, drift_sd),) = relaxed.observed("drift(electrolyte)")[-1:]
    assert abs(drift) < 5 * drift_sd < 0.1


def test_a_single_pulse_after_an_array_is_a_single_pulse_again(relaxed: Night) -> None:
    fids = relaxed.entry["fid/one/fid"][()]
    assert fids.shape == (2, 6144)
    first, second = np.abs(fids[:, :64]).sum(axis=1)
    assert second == pytest.approx(first, rel=0.1)
    assert "TE" not in relaxed.entry["fid/one"]


def test_what_was_told_live_is_told_again_by_process(relaxed: Night) -> None:
    again = {row.context["acquisition"]: row for row in reprocessed(relaxed.ended.folder) if row.context.get("acquisition") in {"t1", "t2"}}
    assert again["t1"].values["T1(bulk)"][0] == relaxed.observed("T1(bulk)")[0][0]
    assert again["t2"].values["T2(bulk)"][:2] == relaxed.observed("T2(bulk)")[0]


# ---------------------------------------------------------------------------------------------------- the flagship, short


def rees(folder: Path, rig: str) -> tuple[str, Path]:
    """The flagship's own file with shorter steps and without what later issues bring; a cell that shorts sooner, and is brighter."""
    configs = REPOSITORY / "configs"
    experiment = (configs / "experiments" / "na_beta_alumina_short_and_image.yaml").read_text("utf-8")
    for whole, short in (
        ("prepare: [ocv -2..2 mV for 30 minutes, tune, pulse on reference, gain frozen, reference 23Na_NaCl_aq, eis]", ""),
        (", if_no_short: ask a person", ""),
        (", attach: [XCT, SEM, EDX]", ""),
        ("9.5 mAh/cm2 or", "1.2 mAh/cm2 or"),
        ("every 0.25 mAh", "every 0.5 mAh"),
        ("scans: 4096", "scans: 256"),
    ):
        assert whole in experiment
        experiment = experiment.replace(whole, short)
    twin = (configs / "twins" / "C6.yaml").read_text("utf-8")
    for whole, short in (("counts_per_umol: 30", "counts_per_umol: 240"), ("filament_mA_per_cm2: 1.5", "filament_mA_per_cm2: 0.53")):
        assert whole in twin
        twin = twin.replace(whole, short)
    (folder / "C6.yaml").write_text(twin, "utf-8")
    text = (configs / "rigs" / f"{rig}.yaml").read_text("utf-8").replace("../twins/C1.yaml", "C6.yaml")
    (folder / "rig.yaml").write_text(re.sub(r"scans: 1\d{3}, dummies: 8", "scans: 16, dummies: 2", text), "utf-8")
    return experiment, folder / "rig.yaml"


@pytest.fixture(scope="module")
def flagship(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    folder = tmp_path_factory.mktemp("rees")
    yield from lived(folder, *rees(folder, "memory"))


def test_images_through_openvnmrj_are_one_data_set_each(tmp_path: Path) -> None:
    """Pristine, at rest: three spin echoes, the first once more, and a gradient echo; the vendor's own files say what they are."""
    experiment, rig = rees(tmp_path, "sim")
    head, _, tail = experiment.partition("  - step: Strip")
    _, _, tail = tail.partition("rules:")
    experiment = f"{head}  - Rest for 10 s\nrules: []\nat_end:" + tail.partition("at_end:")[2]
    experiment = experiment.replace("[3, 5, 8, 13, 20]", "[3, 8, 20]")
    for night in lived(tmp_path, experiment, rig):
        night.holds()
        assert night.entry["kspace/t2_map/TE"][()].tolist() == [3, 8, 20, 3]
        ((electrode, _),) = night.observed("T2(electrode)")
        assert 0.005 < electrode < 0.010
        assert [value for value, _ in night.observed("pixels(cluster)")] == [0.0]
        for row, folder in enumerate(night.entry["kspace/t2_map/raw_folder"][()]):
            (kept,) = (night.ended.folder / folder.decode()).iterdir()
            parameters, data = nmrglue.varian.read(str(kept))
            said = {name: parameters["procpar"][name]["values"][0] for name in ("seqfil", "arraydim", "nv", "te")}
            assert said == {"seqfil": "sems", "arraydim": "64", "nv": "64", "te": str(night.entry["kspace/t2_map/TE"][row] / 1e3)}
            assert data.shape == (64, 128)
            assert np.abs(data).max() == pytest.approx(np.abs(night.entry["kspace/t2_map/data"][row]).max())


def test_images_stand_as_k_space_with_their_echo_times(flagship: Night) -> None:
    flagship.holds()
    group = flagship.entry["kspace/t2_map"]
    assert group["data"].shape == (12, 64, 128)
    assert group["TE"][()].tolist() == [3, 5, 8, 13, 20, 3] * 2
    assert group["block"][()].tolist() == list(range(6)) * 2
    assert (np.diff(group["row_start"][()], axis=1) > 0).all()
    assert flagship.entry["kspace/ge/data"].shape == (2, 64, 128)
    assert "t2_map" not in flagship.entry["fid"]
    assert np.abs(flagship.entry["images/t2_map/z"][()]).max() == pytest.approx(1.5)


def test_the_short_ends_the_step_and_the_images_follow_at_open_circuit(flagship: Night) -> None:
    kinds, data = flagship.entry["events/kind"][()], flagship.entry["events/data"][()]
    ended = [text for kind, text in zip(kinds, data, strict=True) if kind == b"step.ended"]
    assert b"short" in ended[2]
    rest = flagship.entry["electrochemistry"]
    after = rest["time"][()] > flagship.entry["kspace/t2_map/t_start"][6]
    assert (rest["current"][()][after] == 0).all()


def test_the_map_finds_the_electrodes_and_only_after_the_short_the_cluster(flagship: Night) -> None:
    """Rees: electrodes 5 to 10 ms, 5 to 12 after; an isolated cluster near 16 ms."""
    before, after = (value for value, _ in flagship.observed("T2(electrode)"))
    assert 0.005 < before < after < 0.012
    assert [value > 0 for value, _ in flagship.observed("pixels(cluster)")] == [False, True]
    ((cluster, cluster_sd),) = flagship.observed("T2(cluster)")
    assert abs(cluster - 0.0163) < 4 * cluster_sd < 0.012
    width_before, width_after = (value for value, _ in flagship.observed("T2_width(electrode)"))
    assert width_after > width_before
    maps = flagship.entry["maps/t2_map"]
    assert maps["cluster"][0].sum() == 0 < maps["cluster"][1].sum() == flagship.observed("pixels(cluster)")[1][0]
    assert maps["histogram"][()].sum(axis=1).min() > 100
    assert all(abs(value) < 5 * sd + 0.005 for value, sd in flagship.observed("drift(image)"))
    assert all(value <= 0.05 * maps["histogram"][0].sum() for value, _ in flagship.observed("pixels(beyond_T1)")), (
        "the dendrite is at its limit"
    )
    assert len(flagship.observed("pixels(beyond_T1)")) == 2


def test_the_report_redraws_the_four_figures_of_the_paper_before_and_after_the_short(flagship: Night) -> None:
    """Voltage and spectra over the night; spectra; images; maps of T2 with histograms: of both states, and those after are trusted."""
    folder = flagship.ended.folder
    assert write_report(folder).has_figure
    figures = ("figure", "figure_spectra", "figure_images", "figure_T2")
    assert all((folder / "report" / f"{name}.png").stat().st_size > 10_000 for name in figures)
    page = (folder / "report.html").read_text("utf-8")
    assert all(caption in page for caption in PICTURED.values())
    with (folder / "report" / "pictures.csv").open(encoding="utf-8", newline="") as file:
        drawn = [(row["kind"], row["acquisition"], row["which"]) for row in csv.DictReader(file)]
    wanted = [("image", "ge"), ("image", "t2_map"), ("map", "t2_map"), ("cluster", "t2_map"), ("histogram", "t2_map"), ("spectrum", "mrs")]
    assert {(*one, which) for one in wanted for which in ("first", "last")} <= set(drawn)
    (_, voids), (_, after) = (np.loadtxt(folder / "report" / f"histogram_t2_map_{which}.csv", delimiter=",", skiprows=1)[:, 1:].sum(axis=0)
                              for which in ("first", "last"))  # fmt: skip
    assert voids == 0 < after, "pixels of the isolated cluster"
    with open_run(folder) as run:
        doubted = intervals(gather_facts(run))
    begun_s = flagship.entry["kspace/t2_map/t_start"][6]
    assert not [one for one in doubted if one.end_s > begun_s]


def test_the_tiles_of_a_map_may_be_fitted_by_others(flagship: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.analysis.maps.TILE", 16)
    asked: list[list[Any]] = []

    def elsewhere(function: Callable[[Any], Any], pieces: Iterable[Any]) -> Iterator[Any]:
        pieces = list(pieces)
        asked.append(pieces)
        done = {n: function(pickle.loads(pickle.dumps(pieces[n]))) for n in reversed(range(len(pieces)))}
        return (done[n] for n in range(len(pieces)))

    ((folder, others),) = shared([flagship.ended.folder], None, elsewhere)
    apart = {row.key: row for row in reprocessed(folder, others=others)}
    together = {row.key: row for row in reprocessed(flagship.ended.folder)}
    assert repr([apart[key] for key in together]) == repr(list(together.values()))
    assert apart.keys() == together.keys()
    tiles = [pieces for pieces in asked if isinstance(pieces[0], Tile)]
    assert len(tiles) == 2
    assert all(len(each) > 1 for each in tiles)
