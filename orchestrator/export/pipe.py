"""NMRPipe: one 1D time-domain file a FID, written by nmrglue (of which the header is its own)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from orchestrator.export.source import One, fids
from orchestrator.export.tables import write_spectrum_table
from orchestrator.recorder.reader import Run


def write_nmrpipe(run: Run, folder: Path) -> list[Path]:
    """``00001_<key>.fid`` and so on, and the table of all. The format holds single precision."""
    import nmrglue

    written = []
    for one in fids(run):
        path = folder / f"{one.number:05d}_{one.key}.fid"
        data = one.fid.astype("complex64")
        nmrglue.pipe.write(str(path), nmrglue.pipe.create_dic(_universal(one)), data, overwrite=True)
        written.append(path)
    return [*written, write_spectrum_table(run, folder / "spectra.csv")]


def _universal(one: One) -> dict[Any, Any]:
    """Nmrglue's description of a FID; the carrier in Hz from 0 ppm."""
    series = one.series
    return {
        "ndim": 1,
        0: {
            "sw": series.spectral_width_Hz,
            "complex": True,
            "obs": series.reference_MHz,
            "car": (series.carrier_MHz - series.reference_MHz) * 1e6,
            "size": series.points,
            "label": series.nucleus,
            "encoding": "direct",
            "time": True,
            "freq": False,
        },
    }
