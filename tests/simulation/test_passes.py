"""A map of T2 in passes: each is whole, the rule looks at all of them together, and the step ends once enough is known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from nights.live import observed_here
from orchestrator.analysis.maps import image_noise_sd, mapped
from orchestrator.rig.gather import gather
from orchestrator.rig.process import run
from orchestrator.rig.request import RunRequest

CONFIGS = Path(__file__).parents[2] / "configs"
EXPERIMENT = """
version: 1
experiment: map-in-passes
cell: {id: NaBA, type: symmetric, working: upper Na, counter: lower Na, electrolyte: Na-beta''-alumina, area_cm2: 0.28,
       electrode_normal_to_B0_deg: 0, environments: [metal, electrolyte]}
limits: {abs_E_V: 1.0, abs_I_mA: 0.16, charge_per_step_mAh_cm2: 9.6, host_lost: open circuit within 10 s}
acquisitions:
  t2: {template: 23Na_se2d, recycle_s: 0.1, scans: 32, dummies: 2, TE_ms: [3, 20]}
protocol:
  - {step: Rest for 10 hours, nmr: {t2: continuously}, stop_when: known}
rules:
  - {name: known, acquisition: t2, when: T2_error(electrode) < KNOWN, do: [end step]}
record: {every_s: 60}
at_end: {cell: open circuit}
"""
KNOWN = 0.02


@pytest.fixture(scope="module")
def entry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[h5py.Group]:
    folder = tmp_path_factory.mktemp("passes")
    (folder / "experiment.yaml").write_text(EXPERIMENT.replace("KNOWN", str(KNOWN)), "utf-8")
    request = RunRequest(
        folder / "experiment.yaml",
        CONFIGS / "rigs" / "memory.yaml",
        folder,
        speed=None,
        seed=1,
        display="none",
        twin=CONFIGS / "twins" / "C6.yaml",
    )
    with observed_here():
        ended = run(gather(request))
    assert (ended.outcome.outcome, ended.outcome.exit_code) == ("as planned", 0)
    with h5py.File(ended.folder / "run.h5", "r") as file:
        yield file["entry"]


def values(entry: h5py.Group, name: str) -> list[float]:
    return [float(one) for one in entry[f"observables/{name}/value"][()]]


def test_the_step_ends_at_the_first_pass_whose_error_is_small_enough(entry: h5py.Group) -> None:
    errors = values(entry, "T2_error(electrode)")
    known = next(n for n, error in enumerate(errors) if error < KNOWN)
    assert known > 0
    assert len(errors) - 1 - known <= 1, "at most the pass that had begun when it was known"
    assert set(entry["acquisitions/state"][()]) == {b"verified"}


def test_what_is_told_is_the_map_of_the_mean_of_all_passes(entry: h5py.Group) -> None:
    kspace, echo_s = entry["kspace/t2/data"][()], entry["kspace/t2/TE"][()] * 1e-3
    passes = kspace.reshape(-1, 2, *kspace.shape[1:]) / 32
    told, errors = values(entry, "T2_of_passes(electrode)"), values(entry, "T2_error(electrode)")
    for n in range(2, 1 + len(told)):
        mean = passes[:n].mean(axis=0)
        found = mapped(mean, echo_s[:2], image_noise_sd(mean)).summary
        assert told[n - 2] == pytest.approx(found.electrode_s, rel=1e-4)
        assert errors[n - 1] == pytest.approx(found.electrode_sd_s / found.electrode_s, rel=1e-3)
    assert errors[1] < errors[0]
    assert np.all(np.asarray(told) > 0)
