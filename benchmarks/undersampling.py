"""A map of T2 of the shorted cell (C6) from fewer phase encodes, and in passes that stop: what its error is at equal time.

Undersampled k-space is reconstructed as Lustig, Donoho and Pauly 2007 do it, sparse in wavelets, by FISTA (Beck and Teboulle 2009):
PyLops and PyWavelets, which only this benchmark needs. What is kept of k-space is its middle, and beside it encodes drawn at random,
denser towards the middle.
"""

from __future__ import annotations

import importlib
import importlib.util
import statistics
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import QUICK, Report
from drivers.sim.description import read
from drivers.sim.physics import Scan
from drivers.sim.twin import Twin
from orchestrator.analysis.maps import mapped

Complexes = NDArray[np.complex128]
VIEWS, POINTS, SCANS = 64, 128, 1152
ECHO_s = np.array([3e-3, 5e-3, 8e-3, 13e-3, 20e-3])
HOURS = 11.6
SEEDS = 6 if QUICK else 12
PASSES = 8
ITERATIONS = 60
THRESHOLD = 1.0
"""In standard errors of a wavelet's coefficient."""


class Found(NamedTuple):
    """Of one map: T2 of the isolated cluster in ms, or None where none stood apart; its own error."""

    T2_ms: float | None
    sd_ms: float


def noiseless(folder: Path) -> tuple[Complexes, float]:
    """complex128 (echoes, views, points): k-space of one scan of the shorted cell, and the noise of one scan."""
    said = read(folder / "C6.yaml")
    noise_counts, said["nuclei"]["nucleus"]["23Na"]["noise_counts"] = said["nuclei"]["nucleus"]["23Na"]["noise_counts"], 1e-9
    twin = Twin(said, seed=1)
    current_A = 0.5e-3 * 0.28
    twin.drive_current(0.0, current_A)
    twin.drive_current(68_400.0, -current_A)
    twin.open_circuit(68_430.0)
    larmor_MHz = twin.larmor_MHz("23Na") * (1.0 + 1126e-6)
    one = Scan("23Na", 0.0, 0.0, 1, 0, 10.0, POINTS, 50e3, larmor_MHz, sequence="image_se", views=VIEWS, fov_mm=(9.6, 3.0))

    def encoded(view: int, echo_s: float) -> Complexes:
        return twin.acquire(replace(one, t_start_s=69_000.0 + view, t_end_s=69_001.0 + view, view=view, echo_s=echo_s))

    rows = [[encoded(view, float(echo_s)) for view in range(VIEWS)] for echo_s in ECHO_s]
    return np.array(rows), noise_counts * float(np.sqrt(50e3 / 93458.0))


def kept(views: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Which phase encodes: a quarter of them in the middle, the others at random, denser there."""
    away = np.abs(np.arange(VIEWS) - VIEWS // 2)
    middle = np.flatnonzero(away <= views // 8)
    beside = np.flatnonzero(away > views // 8)
    weight = (1.0 - away[beside] / VIEWS) ** 2
    drawn = rng.choice(beside, views - middle.size, replace=False, p=weight / weight.sum())
    return np.sort(np.concatenate([middle, drawn]))


def reconstructed(sampled: Complexes, views: NDArray[np.int64], noise_sd: float) -> Complexes:
    """complex128 (views, points): the whole k-space that the sampled rows (n, points) and sparse wavelets say."""
    pylops: Any = importlib.import_module("pylops")
    fista = importlib.import_module("pylops.optimization.sparsity").fista
    along_read = np.fft.fftshift(np.fft.ifft(np.fft.ifftshift(sampled, axes=1), axis=1, norm="ortho"), axes=1)
    dims = (VIEWS, POINTS)
    turn = pylops.signalprocessing.FFT(dims, axis=0, norm="ortho", ifftshift_before=True, fftshift_after=True, dtype="complex128")
    take = pylops.Restriction(dims, views, axis=0, dtype="complex128")
    wavelets = pylops.signalprocessing.DWT(dims, axis=0, wavelet="db2", level=2, dtype="complex128")
    model, *_ = fista(take @ turn, along_read.ravel(), niter=ITERATIONS, SOp=wavelets, eps=2.0 * THRESHOLD * noise_sd, alpha=1.0)
    image = np.asarray(model).reshape(dims)
    whole = np.fft.fft2(np.fft.ifftshift(image), norm="ortho")
    return np.asarray(np.fft.fftshift(whole), dtype=np.complex128)


def noisy(clean: Complexes, scans: float, noise_sd: float, rng: np.random.Generator) -> Complexes:
    """complex128: the mean of so many scans."""
    drawn = rng.standard_normal((*clean.shape, 2)) * noise_sd / np.sqrt(scans)
    return np.asarray(clean + drawn.view(np.complex128)[..., 0])


def looked(kspace: Complexes, noise_sd: float) -> Found:
    """By the analysis of any other map. ``noise_sd``: of a point of k-space."""
    cluster = mapped(kspace, ECHO_s, noise_sd / np.sqrt(VIEWS * POINTS)).summary.cluster
    return Found(None, np.inf) if cluster is None else Found(1e3 * cluster.T2_s, 1e3 * cluster.sd_s)


def whole(clean: Complexes, noise_sd: float, seed: int) -> Found:
    """All phase encodes."""
    rng = np.random.default_rng(seed)
    return looked(noisy(clean, SCANS, noise_sd, rng), noise_sd / np.sqrt(SCANS))


def undersampled(clean: Complexes, noise_sd: float, views: int, seed: int) -> Found:
    """A part of them, each with as many more scans as make the same time."""
    rng = np.random.default_rng(seed)
    scans = SCANS * VIEWS / views
    chosen = kept(views, rng)
    found = [reconstructed(noisy(one[chosen], scans, noise_sd, rng), chosen, noise_sd / np.sqrt(scans)) for one in clean]
    return looked(np.array(found), noise_sd / np.sqrt(SCANS))


def in_passes(clean: Complexes, noise_sd: float, wanted_ms: float, seed: int) -> tuple[float, Found]:
    """Passes of an eighth of the scans each until the cluster's T2 is known so well: hours, and what was found then."""
    rng, total = np.random.default_rng(seed), np.zeros_like(clean)
    for done in range(1, 2 * PASSES + 1):
        total += noisy(clean, SCANS / PASSES, noise_sd, rng)
        found = looked(total / done, noise_sd / np.sqrt(SCANS * done / PASSES))
        if found.T2_ms is not None and found.sd_ms <= wanted_ms:
            return HOURS * done / PASSES, found
    return 2.0 * HOURS, found


def measure(repository: Path, scratch: Path) -> Report:  # noqa: ARG001
    """Table: way, hours, how often the cluster was found, its T2 over seeds."""
    clean, noise_sd = noiseless(repository / "configs" / "twins")
    report = Report(
        "A map of T2 from fewer phase encodes, and in passes",
        f"The shorted cell C6, {SEEDS} draws of noise each, as many scans in all; T2 of the isolated cluster (16.3 ms in the twin) by the "
        "analysis of any other map. Undersampled: Lustig 2007 with FISTA (PyLops, PyWavelets).",
        ("way", "hours", "cluster found", "its T2, mean and scatter", "its own error, median"),
    )
    rows = [("64 of 64 encodes", [whole(clean, noise_sd, seed) for seed in range(SEEDS)])]
    if importlib.util.find_spec("pylops") and importlib.util.find_spec("pywt"):
        rows += [(f"{views} of 64 encodes", [undersampled(clean, noise_sd, views, seed) for seed in range(SEEDS)]) for views in (48, 32)]
    else:
        report.note = "Undersampling was left out: `pip install pylops pywavelets`."
    report.rows += [_row(name, f"{HOURS:.1f}", found) for name, found in rows]
    known_ms = statistics.median(one.sd_ms for one in rows[0][1])
    for name, factor in (("in passes, signal as planned", 1.0), ("in passes, twice the signal", 2.0)):
        stopped = [in_passes(factor * clean, noise_sd, known_ms, seed) for seed in range(SEEDS)]
        hours = statistics.mean(hours for hours, _ in stopped)
        report.rows.append(_row(name, f"{hours:.1f}", [found for _, found in stopped]))
    return report


def _row(name: str, hours: str, found: list[Found]) -> tuple[str, ...]:
    known = list(_known(found))
    told = f"{statistics.mean(known):.2f} ± {statistics.stdev(known):.2f} ms" if len(known) > 1 else "–"
    own = statistics.median(one.sd_ms for one in found)
    return name, hours, f"{len(known)} of {len(found)}", told, f"{own:.2f} ms"


def _known(found: list[Found]) -> Iterator[float]:
    return (one.T2_ms for one in found if one.T2_ms is not None)
