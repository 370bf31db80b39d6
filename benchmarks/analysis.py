"""Live analysis: chain and complex line fit of one FID beside lmfit's per-spectrum time, and the batch T2 map beside a scipy loop."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lmfit
import numpy as np
from scipy.optimize import curve_fit
from scipy.special import wofz

from benchmarks.measure import Report, spread
from orchestrator.analysis.chain import Axis, Chain
from orchestrator.analysis.fourier import FourierSettings
from orchestrator.analysis.lines import Line, LineModel, Sight, fid_noise_sd, points_needed
from orchestrator.analysis.relaxation import Noise, echo_decay
from orchestrator.analysis.windows import windows_of

POINTS, SW_Hz, REFERENCE_MHz = 16384, 93458.0, 116.6493
CARRIER_MHz = REFERENCE_MHz * (1.0 + 137e-6)
CELL = {"working": "Li", "counter": "Li", "electrode_normal_to_B0_deg": 0}
WINDOW_ppm = (215.0, 305.0)
LINES = (
    Line("bulk", (240.0, 252.0), 246.9, (300.0, 940.0, 3000.0), (5.0, 47.0, 2000.0)),
    Line("moss", (255.0, 280.0), 266.5, (100.0, 560.0, 3000.0), (200.0, 1354.0, 4000.0)),
)
ROUNDS = 12
MAP = (128, 128)
ECHO_s = np.array([3e-3, 5e-3, 8e-3, 13e-3, 20e-3])
LOOP_PIXELS = 300
BAR_ms, BAR_LMFIT, BAR_MAP_s, BAR_LOOP = 15.0, 20.0, 1.0, 100.0


def fid(seed: int, moss: float = 0.5, noise_sd: float = 0.02) -> Any:
    """complex128 (POINTS,): bulk, moss and electrolyte as the twin has them."""
    rng, t_s = np.random.default_rng(seed), np.arange(POINTS) / SW_Hz
    signal = noise_sd * (rng.normal(size=POINTS) + 1j * rng.normal(size=POINTS))
    for ppm, half_Hz, sd_Hz, phase_deg, amplitude in ((246.9, 470, 0, -50, 1.0), (267, 280, 575, 0, moss), (-0.8, 60, 150, 0, 0.5)):
        offset_Hz = (ppm - 137.0) * REFERENCE_MHz
        turn = np.exp(2j * np.pi * offset_Hz * t_s + 1j * np.radians(phase_deg))
        signal = signal + amplitude * turn * np.exp(-2 * np.pi * half_Hz * t_s - 2 * (np.pi * sd_Hz * t_s) ** 2)
    return signal


def with_lmfit(spectrum: Any, axis_Hz: Any) -> Callable[[], Any]:
    """The same model (two Voigt lines, phases free, complex quadratic) as a person would write it; warm-started."""
    x = axis_Hz / np.abs(axis_Hz).max()

    def model(p: Any) -> Any:
        found = sum((p[f"b{k}r"].value + 1j * p[f"b{k}i"].value) * x**k for k in range(3))
        for n in (1, 2):
            sd, half = abs(p[f"s{n}"].value) + 1e-9, p[f"g{n}"].value
            z = (1j * (axis_Hz - p[f"c{n}"].value) + half) / (np.sqrt(2) * sd)
            found = found + p[f"a{n}"].value * np.exp(1j * p[f"p{n}"].value) * wofz(1j * z) / sd
        return found

    def residual(p: Any) -> Any:
        left = model(p) - spectrum
        return np.concatenate([left.real, left.imag])

    start = lmfit.Parameters()
    scale = np.abs(spectrum).max() * 500.0
    for n, centre, half, sd, phase in ((1, 246.9, 470, 0.0, -0.8), (2, 266.8, 280, 560.0, 0.05)):
        start.add(f"a{n}", scale * (0.9 if n == 1 else 0.7), min=0)
        start.add(f"p{n}", phase)
        start.add(f"c{n}", (centre - 137.0) * REFERENCE_MHz)
        start.add(f"g{n}", half, min=10, max=3000, vary=True)
        start.add(f"s{n}", sd or 20.0, min=1, max=3000, vary=True)
    for k in range(3):
        start.add(f"b{k}r", 0.0)
        start.add(f"b{k}i", 0.0)
    return lambda: lmfit.minimize(residual, start, method="leastsq")


def timed(work: Callable[[], Any]) -> float:
    """Milliseconds of processor time on this thread."""
    began = time.thread_time()
    work()
    return (time.thread_time() - began) * 1e3


def spectra(report: Report) -> None:
    """Chain and fit, alternating with lmfit."""
    settings = FourierSettings(points=POINTS, spectral_width_Hz=SW_Hz)
    chain = Chain(settings, Axis(CARRIER_MHz, REFERENCE_MHz), windows_of("7Li", CELL), tracked=("electrolyte",))
    whole = LineModel(Sight(POINTS, SW_Hz, CARRIER_MHz, REFERENCE_MHz, WINDOW_ppm), LINES)
    model = LineModel(Sight(points_needed(LINES, POINTS, SW_Hz), SW_Hz, CARRIER_MHz, REFERENCE_MHz, WINDOW_ppm), LINES)
    start = model.fit(fid(0)).start

    def ours(one: Any) -> None:
        noise_sd = fid_noise_sd(one)
        chain.process(one[None], noise_sd)
        model.fit(one, start=start, noise_sd=noise_sd)

    ours(fid(0))
    mine, theirs = [], []
    for n in range(ROUNDS):
        one = fid(n + 1)
        mine.append(timed(lambda one=one: ours(one)))  # type: ignore[misc]
        spectrum, axis_Hz = whole._seen(one), whole.axis_ppm * REFERENCE_MHz - 137.0 * REFERENCE_MHz
        theirs.append(timed(with_lmfit(spectrum, axis_Hz)))
    ratio = statistics.median(b / a for a, b in zip(mine, theirs, strict=True))
    report.rows.append(("chain + two-line complex fit, 16k points, warm", spread(mine, "ms"), f"at most {BAR_ms:g} ms"))
    report.rows.append(("the same model by lmfit", spread(theirs, "ms"), "control"))
    report.rows.append(("lmfit over ours", f"{ratio:.0f}", f"at least {BAR_LMFIT:g}"))


def maps(report: Report) -> None:
    """The batch T2 map beside a loop over some of its pixels."""
    rng, sd = np.random.default_rng(3), 0.05
    T2_s = rng.uniform(5e-3, 17e-3, MAP)
    signals = np.exp(-ECHO_s / T2_s[..., None]) + sd * rng.normal(size=(*MAP, len(ECHO_s)))
    batch = [timed(lambda: echo_decay(signals, ECHO_s, sd, noise=Noise.NONE)) for _ in range(3)]
    rows = signals.reshape(-1, len(ECHO_s))[:LOOP_PIXELS]

    def loop() -> None:
        for row in rows:
            curve_fit(lambda t, a, r: a * np.exp(-r * t), ECHO_s, row, p0=(1.0, 100.0), sigma=np.full(5, sd), absolute_sigma=True)

    one_ms = timed(loop) / LOOP_PIXELS
    whole_ms = statistics.median(batch)
    ratio = one_ms * MAP[0] * MAP[1] / whole_ms
    report.rows.append(("T2 map 128 × 128 × 5", spread(batch, "ms"), f"at most {BAR_MAP_s:g} s"))
    report.rows.append(("loop over curve_fit, over ours", f"{ratio:.0f}", f"at least {BAR_LOOP:g}"))


def measure(_: Path, __: Path) -> Report:
    """Processor time of one thread, ours and the control alternated."""
    report = Report(
        "Live analysis",
        f"Processor time of one thread. {ROUNDS} FIDs of {POINTS} points with other noise, ours and lmfit's fit alternated, both begun at"
        " the last fit; the loop over `scipy.optimize.curve_fit` does some of the pixels and is scaled to all.",
        ("what", "median (least to most)", "asked"),
    )
    spectra(report)
    maps(report)
    return report
