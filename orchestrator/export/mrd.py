"""ISMRMRD: the k-space of each imaging acquisition in one HDF5 file, by the format's own tables (version 1 of the header).

One ISMRMRD acquisition is one phase encode; an image of ours is a repetition, an echo time a contrast. The signal is turned as
in the other exports: a console's mirrored axis is conjugated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import h5py
import numpy as np

from orchestrator.analysis.sweeps import GAMMA_rad_per_sT
from orchestrator.export.source import CannotExport
from orchestrator.recorder.reader import Run

INDEX = np.dtype(
    [(name, "<u2") for name in ("kspace_encode_step_1", "kspace_encode_step_2", "average", "slice", "contrast", "phase", "repetition")]
    + [("set", "<u2"), ("segment", "<u2"), ("user", "<u2", (8,))]
)
HEAD = np.dtype(
    [
        *[("version", "<u2"), ("flags", "<u8"), ("measurement_uid", "<u4"), ("scan_counter", "<u4"), ("acquisition_time_stamp", "<u4")],
        *[("physiology_time_stamp", "<u4", (3,)), ("number_of_samples", "<u2"), ("available_channels", "<u2"), ("active_channels", "<u2")],
        *[("channel_mask", "<u8", (16,)), ("discard_pre", "<u2"), ("discard_post", "<u2"), ("center_sample", "<u2")],
        *[("encoding_space_ref", "<u2"), ("trajectory_dimensions", "<u2"), ("sample_time_us", "<f4"), ("position", "<f4", (3,))],
        *[("read_dir", "<f4", (3,)), ("phase_dir", "<f4", (3,)), ("slice_dir", "<f4", (3,)), ("patient_table_position", "<f4", (3,))],
        *[("idx", INDEX), ("user_int", "<i4", (8,)), ("user_float", "<f4", (8,))],
    ]
)
ROW = np.dtype([("head", HEAD), ("traj", h5py.vlen_dtype("<f4")), ("data", h5py.vlen_dtype("<f4"))])
FIRST, LAST = 1 << 6, 1 << 7
"""Flags 7 and 8 of the format: first and last in the slice."""
MS_PER_S, NOT_KNOWN = 1e3, 0


@dataclass(frozen=True, slots=True, eq=False)
class Images:
    """Images of one name: k-space complex64 (n, pe, ro), and what the header says of them."""

    nucleus: str
    kspace: Any
    echo_ms: Sequence[float]
    start_s: Any
    row_start_s: Any
    spectral_width_Hz: float
    H1_Hz: int
    carrier_Hz: float
    field_of_view_mm: tuple[float, float]


def write_mrd(run: Run, folder: Path) -> list[Path]:
    """``<acquisition>.h5`` each, ``/dataset/data`` and ``/dataset/xml``. Raises CannotExport where nothing was imaged."""
    names = sorted(run.entry.get("kspace", {}))
    if not names:
        raise CannotExport("no image was acquired in this run; ISMRMRD is for k-space")
    written = [folder / f"{name}.h5" for name in names]
    for name, path in zip(names, written, strict=True):
        _write(_images(run, name), path)
    return written


def _images(run: Run, name: str) -> Images:
    node, shown = run.entry[f"kspace/{name}"], run.entry[f"images/{name}"]
    about, nucleus = node["data"].attrs, str(node.attrs["nucleus"])
    stored = node["data"][()]
    gamma = GAMMA_rad_per_sT.get(nucleus, float("nan"))
    H1_Hz = float(about["reference_MHz"]) * 1e6 * GAMMA_rad_per_sT["1H"] / gamma
    return Images(
        nucleus,
        (stored.conj() if about.get("reversed_axis", 0) else stored).astype("<c8"),
        node["TE"][()].tolist() if "TE" in node else [0.0] * len(stored),
        node["t_start"][()],
        node["row_start"][()],
        float(about["spectral_width_Hz"]),
        round(H1_Hz) if np.isfinite(H1_Hz) else NOT_KNOWN,
        float(about["carrier_MHz"]) * 1e6,
        (_length(shown["y"][()]), _length(shown["z"][()])),
    )


def _length(axis: Any) -> float:
    """Field of view of pixels (n,) that lie evenly."""
    return float(axis.size * (axis[1] - axis[0])) if axis.size > 1 else 1.0


def _write(images: Images, path: Path) -> None:
    n, encodes, _ = images.kspace.shape
    with h5py.File(path, "w") as file:
        group = file.create_group("dataset")
        group.create_dataset("xml", data=np.array([header(images).encode()], dtype=object), dtype=h5py.string_dtype("utf-8"))
        table = group.create_dataset("data", (n * encodes,), ROW, maxshape=(None,), chunks=(1,))
        for repetition in range(n):
            table[repetition * encodes : (repetition + 1) * encodes] = _rows(images, repetition)


def _rows(images: Images, repetition: int) -> Any:
    """One image: a row each phase encode."""
    _, encodes, points = images.kspace.shape
    rows = np.zeros(encodes, ROW)
    head = rows["head"]
    at_s = images.start_s[repetition] + np.nan_to_num(images.row_start_s[repetition])
    head["version"], head["active_channels"], head["available_channels"] = 1, 1, 1
    head["scan_counter"] = np.arange(encodes) + repetition * encodes
    head["acquisition_time_stamp"] = np.nan_to_num(at_s * MS_PER_S).clip(0, 2**32 - 1).astype("<u4")
    head["number_of_samples"], head["center_sample"] = points, points // 2
    head["sample_time_us"] = 1e6 / images.spectral_width_Hz
    head["read_dir"], head["phase_dir"], head["slice_dir"] = (1, 0, 0), (0, 1, 0), (0, 0, 1)
    head["flags"][0] |= FIRST
    head["flags"][-1] |= LAST
    index = head["idx"]
    index["kspace_encode_step_1"], index["repetition"] = np.arange(encodes), repetition
    index["contrast"] = _echoes(images).index(images.echo_ms[repetition])
    for row, signal in zip(rows, images.kspace[repetition], strict=True):
        row["traj"], row["data"] = np.zeros(0, "<f4"), np.ascontiguousarray(signal).view("<f4")
    return rows


def _echoes(images: Images) -> list[float]:
    return sorted(set(images.echo_ms))


def header(images: Images) -> str:
    """The XML header: geometry, limits, echo times, and in userParameters what ISMRMRD has no word for."""
    n, encodes, points = images.kspace.shape
    (phase_mm, read_mm), echoes = images.field_of_view_mm, _echoes(images)
    space = (
        f"<matrixSize><x>{points}</x><y>{encodes}</y><z>1</z></matrixSize>"
        f"<fieldOfView_mm><x>{read_mm:g}</x><y>{phase_mm:g}</y><z>1</z></fieldOfView_mm>"
    )
    times = "".join(f"<TE>{echo:g}</TE>" for echo in echoes)
    return (
        '<?xml version="1.0"?><ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD">'
        "<acquisitionSystemInformation><receiverChannels>1</receiverChannels></acquisitionSystemInformation>"
        f"<experimentalConditions><H1resonanceFrequency_Hz>{images.H1_Hz}</H1resonanceFrequency_Hz></experimentalConditions>"
        f"<encoding><encodedSpace>{space}</encodedSpace><reconSpace>{space}</reconSpace><encodingLimits>"
        f"{_limits('kspace_encoding_step_1', encodes, encodes // 2)}{_limits('contrast', len(echoes), 0)}{_limits('repetition', n, 0)}"
        "</encodingLimits><trajectory>cartesian</trajectory></encoding>"
        f"<sequenceParameters>{times}</sequenceParameters><userParameters>"
        f"<userParameterDouble><name>carrier_Hz</name><value>{images.carrier_Hz!r}</value></userParameterDouble>"
        f"<userParameterString><name>nucleus</name><value>{escape(images.nucleus)}</value></userParameterString>"
        "<userParameterString><name>acquisition_time_stamp</name><value>ms since the run began</value></userParameterString>"
        "</userParameters></ismrmrdHeader>"
    )


def _limits(name: str, n: int, centre: int) -> str:
    return f"<{name}><minimum>0</minimum><maximum>{n - 1}</maximum><center>{centre}</center></{name}>"
