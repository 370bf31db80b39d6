"""Every group, dataset, dtype, unit and attribute of ``run.h5`` (format_version 1), in one table.

The file is NeXus (NXroot, NXentry, NXdata with ``@signal`` and ``@axes``) with HDF5 dimension scales on the same datasets,
so that a viewer opens it as a plot and xarray in one line. Columns are separate 1-D datasets; text is UTF-8 of fixed length.
``derived`` datasets and ``VOLATILE`` attributes are left out of the digest: floating-point transforms may differ in the last
bit between processors, and the others say when and by what the file was written.
"""

from __future__ import annotations

import numpy as np

from orchestrator.model.kinds import AXES
from orchestrator.recorder.datasets import Dataset, Group

FORMAT = "operando-nmr run"
FORMAT_VERSION = 1
LIBVER = ("v108", "v110")

VOLATILE = frozenset({"published_utc", "journal_seq", "HDF5_Version", "h5py_version", "ph0_deg", "ph0_from_row", "chapters", "packed"})
VOLATILE_PATHS = frozenset({"/entry/control/digests", "/tail", "/late", "/chapter"})
STRUCTURAL = frozenset({"DIMENSION_LIST", "REFERENCE_LIST", "DIMENSION_LABELS", "_Netcdf4Dimid", "_Netcdf4Coordinates"})

UNKNOWN_NS = int(np.iinfo(np.int64).min)
"""In a column of nanoseconds: not known. It is numpy's and pandas' NaT."""
UTC_ATTRIBUTES = {"units": "nanoseconds since 1970-01-01 00:00:00", "calendar": "proleptic_gregorian"}
CHARGE = "mA h"
C_PER_MAH = 3.6

ROOT_ATTRIBUTES = {"NX_class": "NXroot", "default": "entry", "creator": "operando-nmr", "format": FORMAT, "format_version": FORMAT_VERSION}
ENTRY_ATTRIBUTES = {
    "NX_class": "NXentry",
    "default": "electrochemistry",
    "sign_of_current": "positive = oxidation at the electrode named working in control/cell",
    "time_convention": "time in seconds of the run's monotonic clock since @start (UTC); *_utc in nanoseconds since 1970",
    "text_convention": "UTF-8 of fixed length, padded with zeros; what is longer is cut, and stands whole in events/data",
}

STATES = "requested armed acquiring acquired filed stored verified; or at its end missed rejected lost"
TUNING_FLAGS = ("untuned", "tuner_stalled")
FLAGS = (
    "partial: fewer scans than asked; coalesced: several triggers in one; deviating: the console's parameters differ from the order; "
    "untuned: the tuner failed before it; tuner_stalled: the tuning it was measured with took far longer than those before; "
    "times unknown: nobody heard when it started or ended, so what depends on it is NaN"
)


def _utc(name: str, long_name: str) -> Dataset:
    return Dataset(name, "i8", long_name=long_name, attributes={**UTC_ATTRIBUTES, "unknown": f"{UNKNOWN_NS}: not known (NaT)"})


TIME = Dataset("time", "f8", "s", "Time / s")

ELECTROCHEMISTRY = Group(
    "electrochemistry",
    "NXdata",
    (
        TIME,
        Dataset("voltage", "f8", "V", "Cell voltage / V"),
        Dataset("voltage_corrected", "f8", "V", "Cell voltage less I R of leads and filter / V", optional=True),
        Dataset("voltage_we", "f8", "V", "Working electrode against reference / V", optional=True),
        Dataset("voltage_ce", "f8", "V", "Counter electrode against reference / V", optional=True),
        Dataset("current", "f8", "A", "Current / A"),
        Dataset("charge_step", "f8", CHARGE, "Charge of the step / mA h"),
        Dataset("charge_net", "f8", CHARGE, "Net charge of the run / mA h"),
        Dataset("charge_throughput", "f8", CHARGE, "Charge throughput of the run / mA h"),
        Dataset("x", "f8", "1", "x as control/cell defines it"),
        _utc("time_utc", "UTC"),
        Dataset("time_device", "i8", "ns", "The instrument's own stamp, untouched", optional=True),
        Dataset("step", "i4", "", "Index of the step in control/plan"),
        Dataset("cycle", "i4", "", "Cycle, counted"),
        Dataset(
            "status",
            "u2",
            "",
            "The instrument's own status bits; 0 = fine. 32768: no sample, but the edge of a gap; 16384: had from its memory later",
        ),
    ),
    signal="voltage",
    axes=("time",),
    chunk_rows=2048,
)

AUX = Group("aux/*", "NXdata", (TIME, Dataset("value", "f8", "*", "*")), signal="value", axes=("time",), static=False, chunk_rows=2048)

IMPEDANCE = Group(
    "impedance",
    "NXdata",
    (
        TIME,
        Dataset("step", "text:64", long_name="Key of the step"),
        Dataset("frequency", "f8", "Hz", "Frequency / Hz", ("time", "point")),
        Dataset("z", "c16", "ohm", "Impedance / ohm", ("time", "point")),
    ),
    signal="z",
    axes=("time", "point"),
    static=False,
)

# What stands beside every FID and its spectrum, one row each.
FID_COLUMNS = (
    TIME,
    Dataset("key", "text:64", long_name="Key of the acquisition"),
    Dataset("block", "i4", long_name="Block of the acquisition"),
    Dataset("row", "i4", long_name="Row within the block"),
    Dataset("t_start", "f8", "s", "First scan begins / s"),
    Dataset("t_mid", "f8", "s", "Middle of the acquisition / s"),
    Dataset("t_end", "f8", "s", "Last scan ends / s"),
    _utc("t_start_utc", "First scan begins, UTC"),
    _utc("t_mid_utc", "Middle of the acquisition, UTC"),
    _utc("t_end_utc", "Last scan ends, UTC"),
    Dataset("charge_start", "f8", CHARGE, "Net charge at t_start / mA h; the host's own integral, also across an edge between steps"),
    Dataset("charge_end", "f8", CHARGE, "Net charge at t_end / mA h; the host's own integral, also across an edge between steps"),
    Dataset("voltage_start", "f8", "V", "Cell voltage at t_start / V; NaN in the gap around an edge"),
    Dataset("voltage_end", "f8", "V", "Cell voltage at t_end / V; NaN in the gap around an edge"),
    Dataset("charge_valid", "u1", long_name="1: both charges lie between samples close before and after; 0: not known (yet)"),
    Dataset("voltage_valid", "u1", long_name="1: both voltages lie between samples of one step; 0: not known (yet)"),
    Dataset("t_start_half_width", "f8", "s", "Uncertainty of t_start / s; NaN: not known"),
    Dataset("t_end_half_width", "f8", "s", "Uncertainty of t_end / s; NaN: not known"),
    Dataset("scans_done", "i4", long_name="Scans in the data"),
    Dataset("scans_asked", "i4", long_name="Scans in the order"),
    Dataset("reasons", "text:160", long_name="Why it was acquired; comma-separated"),
    Dataset("requested_at", "f8", "s", "First trigger / s"),
    Dataset("latency", "f8", "s", "From the first trigger to the first scan / s"),
    Dataset("state", "text:12", attributes={"legend": STATES}),
    Dataset("flags", "text:48", attributes={"legend": FLAGS}),
)

# What a row was measured at, where something was swept (model.kinds).
AXIS_COLUMNS = tuple(Dataset(axis.column, "f8", axis.units, axis.label, optional=True) for axis in AXES.values())

# What stands beside every FID only: what the vendor's own files say of it, and how to prove that it is theirs.
VENDOR_COLUMNS = (
    Dataset("vendor_times", "text:640", long_name="The vendor's own time stamps by its own names, verbatim; JSON"),
    Dataset("vendor_zone", "text:32", long_name="Zone of vendor_times"),
    Dataset("raw_folder", "text:120", long_name="Folder of the vendor's files in the run folder"),
    Dataset("raw_sha256", "text:1024", long_name="SHA-256 of the vendor's files by name in raw_folder; JSON"),
    Dataset("sha256", "text:64", long_name="SHA-256 of the bytes of this row of fid"),
)

FID = Group(
    "fid/*",
    "NXdata",
    (
        Dataset("fid", "*", "counts", "FID as the console stored it, unscaled", ("time", "acquisition_time")),
        Dataset("acquisition_time", "f8", "ms", "Acquisition time / ms", ("acquisition_time",)),
        *FID_COLUMNS,
        *AXIS_COLUMNS,
        *VENDOR_COLUMNS,
    ),
    signal="fid",
    axes=("time", "acquisition_time"),
    static=False,
)

KSPACE = Group(
    "kspace/*",
    "NXdata",
    (
        Dataset("data", "*", "counts", "k-space as the console stored it, unscaled", ("time", "pe", "ro")),
        Dataset("pe", "i4", "", "Phase encode, counted from the most negative", ("pe",)),
        Dataset("ro", "f8", "ms", "Time along read, from its middle / ms", ("ro",)),
        *FID_COLUMNS,
        *AXIS_COLUMNS,
        *VENDOR_COLUMNS,
        Dataset("row_start", "f8", "s", "Each phase encode begins, after t_start / s; NaN: not known", ("time", "pe")),
    ),
    signal="data",
    axes=("time", "pe", "ro"),
    static=False,
    attributes={"title": "Images before any transform, one row an image"},
)

IMAGE = Group(
    "images/*",
    "NXdata",
    (
        Dataset("magnitude", "f4", "counts", "Magnitude", ("time", "y", "z"), derived=True),
        Dataset("y", "f8", "mm", "Along phase / mm", ("y",)),
        Dataset("z", "f8", "mm", "Along read / mm", ("z",)),
        TIME,
        Dataset("key", "text:64", long_name="Key of the acquisition"),
        Dataset("block", "i4", long_name="Block of the acquisition"),
        *(Dataset(axis.name, axis.dtype, axis.units, axis.long_name, optional=True) for axis in AXIS_COLUMNS if axis.name == "TE"),
    ),
    signal="magnitude",
    axes=("time", "y", "z"),
    static=False,
    attributes={"display_only": "Fourier transform of kspace/, no filter"},
)

MAP = Group(
    "maps/*",
    "NXdata",
    (
        Dataset("T2", "f4", "ms", "T2 / ms", ("time", "y", "z"), derived=True),
        Dataset("T2_error", "f4", "ms", "Standard error of T2 / ms", ("time", "y", "z"), derived=True),
        Dataset("amplitude", "f4", "counts", "Magnitude at echo time 0", ("time", "y", "z"), derived=True),
        Dataset("mask", "u1", "", "1: bright enough to be fitted, 2: and its T2 is determined", ("time", "y", "z"), derived=True),
        Dataset("cluster", "u1", "", "1: of the isolated cluster of long T2", ("time", "y", "z"), derived=True),
        Dataset("histogram", "i4", "", "Determined pixels by T2", ("time", "bin"), derived=True),
        Dataset("y", "f8", "mm", "Along phase / mm", ("y",)),
        Dataset("z", "f8", "mm", "Along read / mm", ("z",)),
        Dataset("bin", "f8", "ms", "Middle of a bin of T2 / ms", ("bin",)),
        TIME,
        Dataset("key", "text:64", long_name="Key of the acquisition"),
    ),
    signal="T2",
    axes=("time", "y", "z"),
    static=False,
    attributes={"display_only": "fitted from images of several echo times (orchestrator/analysis/maps.py), one row a complete series"},
)

PARAMETERS = Group(
    "fid/*/parameters",
    "NXcollection",
    (
        Dataset("line", "i4", long_name="Number of the row", dims=("line",)),
        Dataset("key", "text:64", long_name="Key of the acquisition", dims=("line",)),
        Dataset("block", "i4", long_name="Block of the acquisition", dims=("line",)),
        Dataset("part", "i4", long_name="0, and 1, 2, ... where data goes on in further rows", dims=("line",)),
        Dataset("data", "text:2048", long_name="JSON; the parts of one block, joined", dims=("line",)),
    ),
    static=False,
    grows="line",
    chunk_rows=16,
    attributes={"title": "All parameters that the vendor's own files name, for every block of FIDs"},
)

SPECTRA = Group(
    "spectra/*",
    "NXdata",
    (
        Dataset("intensity", "f4", "a.u.", "Intensity (real part, for display)", ("time", "chemical_shift"), derived=True),
        Dataset("chemical_shift", "f8", "ppm", "*", ("chemical_shift",)),
        *(Dataset(column.name, column.dtype, link=f"fid/*/{column.name}") for column in FID_COLUMNS),
    ),
    signal="intensity",
    axes=("time", "chemical_shift"),
    static=False,
    attributes={
        "display_only": "derived from fid/ by the fixed chain described here; analyse the FIDs, not this",
        "chemical_shift_order": "ascending; NMR figures are drawn with the axis reversed",
    },
)

ACQUISITIONS = Group(
    "acquisitions",
    "NXcollection",
    (
        Dataset("time", "f8", "s", "First trigger / s"),
        _utc("time_utc", "First trigger, UTC"),
        Dataset("key", "text:64"),
        Dataset("name", "text:64"),
        Dataset("nucleus", "text:8"),
        Dataset("state", "text:12", attributes={"legend": STATES}),
        Dataset("why", "text:200", long_name="Why it ended as it did, where it was not verified"),
        Dataset("reasons", "text:160", long_name="Why it was acquired; comma-separated"),
        Dataset("step", "text:64", long_name="Key of the step in which it was asked for"),
        Dataset("latency", "f8", "s", "From the first trigger to the first scan / s; NaN: never started"),
        Dataset("scans_asked", "i4", long_name="-1: not said"),
        Dataset("scans_done", "i4", long_name="-1: not known"),
        Dataset("flags", "text:48", attributes={"legend": FLAGS}),
        Dataset("data", "text:80", long_name="Group of its FIDs; empty: nothing was measured"),
        Dataset("row", "i4", long_name="First row in that group; -1: nothing was measured"),
    ),
    attributes={"title": "Every acquisition that was asked for, measured or not"},
)

OBSERVABLE = Group(
    "observables/*",
    "NXdata",
    (
        TIME,
        Dataset("value", "f8", "*", "*"),
        Dataset("error", "f8", "*", "Standard error"),
        Dataset("spectrum_key", "text:64", long_name="Acquisition it was found in"),
    ),
    signal="value",
    axes=("time",),
    static=False,
)

EVENTS = Group(
    "events",
    "NXcollection",
    (
        TIME,
        _utc("time_utc", "UTC"),
        Dataset("seq", "i8", long_name="Number in the journal"),
        Dataset("part", "i4", long_name="0, and 1, 2, ... where data goes on in further rows"),
        Dataset("kind", "text:32"),
        Dataset("source", "text:32"),
        Dataset("cause", "i8", long_name="Number of the event that led to it; -1: none"),
        Dataset("data", "text:512", long_name="JSON"),
    ),
    attributes={"title": "The journal, less the sample blocks, the texts in control/ and the parameters in fid/*/parameters"},
)

CLOCK = Group(
    "clock",
    "NXcollection",
    (
        TIME,
        _utc("time_utc", "UTC"),
        Dataset("mono_ns", "i8", "ns", "The run's monotonic clock"),
        Dataset("device_ns", "i8", "ns", "The instrument's clock; -1: none"),
        Dataset("half_width_ns", "i8", "ns", "Uncertainty of the pair"),
        Dataset("instrument", "text:48", long_name="Whose clock; empty: this computer's"),
    ),
)


def _log(name: str, column: str) -> Group:
    links = (Dataset("value", "f8", link=f"electrochemistry/{column}"), Dataset("time", "f8", link="electrochemistry/time"))
    return Group(f"instrument/potentiostat/{name}", "NXlog", links)


GROUPS = (
    ELECTROCHEMISTRY,
    AUX,
    IMPEDANCE,
    FID,
    PARAMETERS,
    KSPACE,
    IMAGE,
    MAP,
    SPECTRA,
    ACQUISITIONS,
    OBSERVABLE,
    EVENTS,
    CLOCK,
    Group("instrument", "NXinstrument"),
    Group("instrument/potentiostat", "NXsensor"),
    _log("value_log", "voltage"),
    _log("current_log", "current"),
    Group("instrument/*", "NXcollection", static=False),
    Group("control", "NXcollection", attributes={"title": "What was asked for, verbatim; versions; digests"}),
    Group("sample", "NXsample"),
    Group("process", "NXprocess"),
    Group("fid", "NXcollection", attributes={"title": "FIDs by acquisition; one whose length or axis changes goes on in NAME_2"}),
    Group("spectra", "NXcollection"),
    Group("aux", "NXcollection"),
    Group("observables", "NXcollection"),
    Group("kspace", "NXcollection", static=False),
    Group("images", "NXcollection", static=False),
    Group("maps", "NXcollection", static=False),
)
STATIC = tuple(group for group in GROUPS if group.static)


def described_as(path: str) -> dict[str, tuple[str, ...]]:
    """The axes of every dataset that the table knows in a group of ``/entry``, by name; empty where it knows none."""
    parts = path.split("/")
    for group in GROUPS:
        known = group.path.split("/")
        if len(known) == len(parts) and all(here in {"*", there} for here, there in zip(known, parts, strict=True)):
            return {dataset.name: dataset.dims for dataset in group.datasets}
    return described_as("impedance") if parts[0].startswith("impedance_") else {}
