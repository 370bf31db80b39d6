"""Numbered Bruker folders, 1, 2, 3, …, one FID each in order of time, and ``spectra.csv`` with the start that such folders lose.

Parameter files hold what the file knows and, for readers that insist, the keys that every TopSpin data set has. A console that
writes Bruker folders itself has them in ``raw/``, byte for byte: those are the originals, these are not.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.export.source import One, as_integers, write_text
from orchestrator.export.source import fids as all_fids
from orchestrator.export.tables import write_spectrum_table
from orchestrator.recorder.reader import Run

LITTLE, INT32, FLOAT64 = 0, 0, 2
NUCLEI = {"7Li": "7Li", "6Li": "6Li", "23Na": "23Na", "1H": "1H", "19F": "19F", "31P": "31P", "13C": "13C"}
UNKNOWN_TEMPERATURE_K = 298.0
BLOCK_BYTES = 1024


def write_bruker(run: Run, folder: Path) -> list[Path]:
    """A folder per FID, and the table of all."""
    for one in all_fids(run):
        _write_one(one, folder / str(one.number))
    return [write_spectrum_table(run, folder / "spectra.csv")]


def _write_one(one: One, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    fid = one.fid
    integers = as_integers(fid)
    raw = integers.astype("<i4") if integers is not None else fid.astype("<c16").view("<f8")
    (folder / "fid").write_bytes(padded(raw.tobytes()))
    text = jcamp_parameters(acqus(one, INT32 if integers is not None else FLOAT64))
    for name in ("acqus", "acqu"):
        write_text(folder / name, text)
    write_text(folder / "pulseprogram", "; not known to the program that exported this; see raw/ of the run\n")
    if one.series.shown is not None:
        _write_spectrum(one, folder / "pdata" / "1")


def padded(raw: bytes) -> bytes:
    """As TopSpin writes it: in blocks of 1024 bytes, the last filled with zeros; TD says how much of it is data."""
    return raw + bytes(-len(raw) % BLOCK_BYTES)


def acqus(one: One, dtype: int) -> dict[str, Any]:
    """The parameters of ``acqus``. SW carries all digits: readers take the spectral width from it."""
    series = one.series
    offset_Hz = (series.carrier_MHz - series.reference_MHz) * 1e6
    return {
        "AQSEQ": 0,
        "AQ_mod": 3,
        "BF1": series.reference_MHz,
        "BYTORDA": LITTLE,
        "D": [0.0] * 64,
        "DATE": one.start_utc_s,
        "DECIM": 1,
        "DIGMOD": 1 if series.group_delay_points else 0,
        "DIGTYP": 0,
        "DR": 22,
        "DS": 0,
        "DSPFIRM": 0,
        "DSPFVS": 0,
        "DTYPA": dtype,
        "DW": 1e6 / (2.0 * series.spectral_width_Hz),
        "EXP": "<>",
        "FnMODE": 0,
        "GRPDLY": series.group_delay_points,
        "INSTRUM": "<operando-nmr export>",
        "L": [0] * 32,
        "MASR": 0,
        "NC": 0,
        "NS": one.scans,
        "NUC1": f"<{NUCLEI.get(series.nucleus, series.nucleus)}>",
        "O1": offset_Hz,
        "P": [0.0] * 64,
        "PARMODE": 0,
        "PL": [0.0] * 64,
        "PROBHD": "<>",
        "PULPROG": "<unknown>",
        "RG": series.gain if series.gain == series.gain else 1.0,
        "SFO1": series.carrier_MHz,
        "SOLVENT": "<>",
        "SW": series.spectral_width_Hz / series.carrier_MHz,
        "SW_h": series.spectral_width_Hz,
        "TD": 2 * series.points,
        "TE": UNKNOWN_TEMPERATURE_K,
    }


def jcamp_parameters(parameters: Mapping[str, Any]) -> str:
    """A Bruker parameter file."""
    lines = [
        "##TITLE= Parameter file, operando-nmr",
        "##JCAMPDX= 5.0",
        "##DATATYPE= Parameter Values",
        "##NPOINTS= 1",
        "##ORIGIN= operando-nmr",
    ]
    lines.append("##OWNER= operando-nmr")
    for name, value in parameters.items():
        if isinstance(value, list):
            lines += [f"##${name}= (0..{len(value) - 1})", " ".join(str(each) for each in value)]
        else:
            lines.append(f"##${name}= {value!r}" if isinstance(value, float) else f"##${name}= {value}")
    return "\n".join([*lines, "##END=", ""])


def _write_spectrum(one: One, folder: Path) -> None:
    """``1r`` (float64, shift falling from left to right as TopSpin has it), ``procs`` and ``ascii-spec.txt``."""
    folder.mkdir(parents=True, exist_ok=True)
    table, series = one.series.shown, one.series
    assert table is not None
    shift = np.asarray(table["chemical_shift"])[::-1]
    intensity = np.asarray(table.part("intensity", one.row), dtype="<f8")[::-1]
    (folder / "1r").write_bytes(np.ascontiguousarray(intensity).tobytes())
    step_ppm = float(shift[0] - shift[-1]) / (shift.size - 1)
    processed = {
        "AXNUC": f"<{series.nucleus}>",
        "AXUNIT": "<>",
        "BYTORDP": LITTLE,
        "DTYPP": FLOAT64,
        "NC_proc": 0,
        "OFFSET": float(shift[0]),
        "PHC0": 0.0,
        "PHC1": 0.0,
        "SF": series.reference_MHz,
        "SI": shift.size,
        "SW_p": step_ppm * shift.size * series.reference_MHz,
        "XDIM": shift.size,
    }
    text = jcamp_parameters(processed)
    for name in ("procs", "proc"):
        write_text(folder / name, text)
    write_text(folder / "title", f"{one.key} {series.name}, begun {one.start_s:.3f} s after the run\n")
    write_text(folder / "ascii-spec.txt", _ascii(shift, intensity, series.reference_MHz))


def _ascii(shift: Any, intensity: Any, reference_MHz: float) -> str:
    """Point, intensity, Hz, ppm (inferred: the columns of TopSpin's convbin2asc)."""
    lines = [f"# operando-nmr export: {shift.size} points", "# point, intensity, hz, ppm"]
    rows = zip(intensity.tolist(), (shift * reference_MHz).tolist(), shift.tolist(), strict=True)
    return "\n".join([*lines, *(f"{n}, {value:.8g}, {Hz:.4f}, {ppm:.6f}" for n, (value, Hz, ppm) in enumerate(rows)), ""])
