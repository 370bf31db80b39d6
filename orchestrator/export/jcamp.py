"""JCAMP-DX 5.01, an NTUPLES FID a file, values in plain decimals (AFFN)."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from orchestrator.export.source import One, as_integers, fids, write_text
from orchestrator.export.tables import write_spectrum_table
from orchestrator.recorder.reader import Run

PER_LINE = 8


def write_jcamp(run: Run, folder: Path) -> list[Path]:
    """``00001_<key>.dx`` and so on, and the table of all."""
    written = []
    for one in fids(run):
        path = folder / f"{one.number:05d}_{one.key}.dx"
        write_text(path, text_of(one))
        written.append(path)
    return [*written, write_spectrum_table(run, folder / "spectra.csv")]


def text_of(one: One) -> str:
    """One file. Whole numbers stay whole; others are written with nine digits."""
    series, fid = one.series, one.fid
    dwell_s, last = 1.0 / series.spectral_width_Hz, series.points - 1
    whole = as_integers(fid)
    parts = (whole[0::2], whole[1::2]) if whole is not None else (fid.real, fid.imag)
    begun = datetime.fromtimestamp(one.start_utc_s, UTC)
    bounds = [(f"{part.min():.9g}", f"{part.max():.9g}", f"{part[0]:.9g}", f"{part[-1]:.9g}") for part in parts]
    lines = [
        f"##TITLE= {one.key} {series.name}",
        "##JCAMP-DX= 5.01 $$ operando-nmr",
        "##DATA TYPE= NMR FID",
        "##DATA CLASS= NTUPLES",
        "##ORIGIN= operando-nmr",
        "##OWNER= the authors of the run",
        f"##LONG DATE= {begun:%Y/%m/%d %H:%M:%S} +0000",
        f"##.OBSERVE FREQUENCY= {series.carrier_MHz!r}",
        f"##.OBSERVE NUCLEUS= ^{series.nucleus}",
        "##.ACQUISITION MODE= SIMULTANEOUS",
        f"##.AVERAGES= {one.scans}",
        f"##$REFERENCE_MHZ= {series.reference_MHz!r}",
        f"##$SW_H= {series.spectral_width_Hz!r}",
        f"##$GRPDLY= {series.group_delay_points!r}",
        f"##$RUN_START_S= {one.start_s!r}",
        "##NTUPLES= NMR FID",
        "##VAR_NAME= TIME, FID/REAL, FID/IMAG, PAGE NUMBER",
        "##SYMBOL= X, R, I, N",
        "##VAR_TYPE= INDEPENDENT, DEPENDENT, DEPENDENT, PAGE",
        "##VAR_FORM= AFFN, AFFN, AFFN, AFFN",
        f"##VAR_DIM= {series.points}, {series.points}, {series.points}, 2",
        "##UNITS= SECONDS, ARBITRARY UNITS, ARBITRARY UNITS, ",
        f"##FIRST= 0, {bounds[0][2]}, {bounds[1][2]}, 1",
        f"##LAST= {last * dwell_s:.12g}, {bounds[0][3]}, {bounds[1][3]}, 2",
        f"##MIN= 0, {bounds[0][0]}, {bounds[1][0]}, 1",
        f"##MAX= {last * dwell_s:.12g}, {bounds[0][1]}, {bounds[1][1]}, 2",
        f"##FACTOR= {dwell_s:.17g}, 1, 1, 1",
    ]
    for number, (symbol, part) in enumerate(zip("RI", parts, strict=True), 1):
        lines += [f"##PAGE= N={number}", f"##DATA TABLE= (X++({symbol}..{symbol})), XYDATA", *_table(part)]
    return "\n".join([*lines, "##END NTUPLES= NMR FID", "##END=", ""])


def _table(values: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> list[str]:
    told = [f"{value:.9g}" if isinstance(value, float) else str(value) for value in values.tolist()]
    return [f"{start} {' '.join(told[start : start + PER_LINE])}" for start in range(0, len(told), PER_LINE)]
