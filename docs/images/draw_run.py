"""Draws a run as docs/images/run.png: spectra and voltage on one axis of time. python docs/images/draw_run.py RUN.h5 (needs matplotlib)."""  # noqa: INP001

from __future__ import annotations

import sys
from pathlib import Path

import h5py
import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
from scipy.ndimage import uniform_filter1d


def draw(run: Path, image: Path, acquisition: str = "fast") -> None:
    """Write the picture of one acquisition of a run."""
    with h5py.File(run) as file:
        spectra, cell = file["entry/spectra"][acquisition], file["entry/electrochemistry"]
        shift_ppm, spectra_min = spectra["chemical_shift"][:], spectra["time"][:] / 60
        time_min, voltage_mV = cell["time"][:] / 60, cell["voltage"][:] * 1e3
        metal = (shift_ppm > 225) & (shift_ppm < 290)
        shown = uniform_filter1d(spectra["intensity"][:, metal] / 1e6, 40, axis=1)  # 4 ppm
    zero = time_min[0]
    figure, panels = plt.subplots(1, 3, sharey=True, figsize=(7.6, 4.2), width_ratios=(2, 2, 1.3), layout="constrained")
    pictures = ((shown, "spectra", "viridis"), (shown - shown[:2].mean(axis=0), "less the first two", "magma"))
    for axes, (picture, title, colours) in zip(panels, pictures, strict=False):
        axes.pcolormesh(shift_ppm[metal], spectra_min - zero, picture, shading="nearest", cmap=colours, vmin=0)
        axes.invert_xaxis()
        axes.set(xlabel="$^7$Li chemical shift / ppm", title=title)
    panels[0].set(ylabel="time / min")
    panels[2].plot(voltage_mV, time_min - zero, color="black", linewidth=0.8)
    panels[2].axvline(0, color="grey", linewidth=0.5)
    panels[2].set(xlabel="cell voltage / mV", title="plate, rest, strip")
    figure.savefig(image, dpi=110)


if __name__ == "__main__":
    draw(Path(sys.argv[1]), Path(__file__).parent / "run.png")
