"""The parameters of a new experiment: an own table, with what the emulator and readers of its files need. Pure.

Kinds and their numbers (subtype, basic type) are those of VnmrJ's parameter files; limits and values are this emulator's own.
The fields of a first line: name, subtype, basic type, most, least, step, group of use, group of display, protection, active, 64.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from drivers.openvnmrj.vnmrfiles import Parameter

ACQUISITION, PROCESSING, DISPLAY = 2, 3, 4
LAST_FIELD = "64"


@dataclass(frozen=True, slots=True)
class Kind:
    """Subtype and basic type; for numbers the most, the least and the step, for texts the longest."""

    subtype: int
    basic_type: int
    most: str
    least: str = "0"
    step: str = "0"

    def within(self, most: float, least: float, step: float = 0.0) -> Kind:
        """The same kind with limits of its own."""
        return Kind(self.subtype, self.basic_type, f"{most:g}", f"{least:g}", f"{step:g}")

    def header(self, group: int, *, active: bool = True) -> tuple[str, ...]:
        """What stands after the name."""
        words = (self.subtype, self.basic_type, self.most, self.least, self.step, group, 1, 0, int(active), LAST_FIELD)
        return tuple(str(word) for word in words)


REAL = Kind(1, 1, "1e+18", "-1e+18")
TEXT = Kind(2, 2, "256")
DELAY = Kind(3, 1, "8190", "0", "1e-07")
FLAG = Kind(4, 2, "16")
FREQUENCY = Kind(5, 1, "1e+09", "-1e+09")
PULSE = Kind(6, 1, "8190", "0", "0.025")
INTEGER = Kind(7, 1, "1e+09", "0", "1")
FREE_INTEGER = Kind(7, 1, "1e+09", "-1e+09", "1")
OFFSET = FREQUENCY.within(1e6, -1e6, 0.1)
POWER = REAL.within(63, -16, 1)
SHIM = INTEGER.within(32767, -32767, 1)

Value = float | str


@dataclass(frozen=True, slots=True)
class Row:
    """Parameters of one kind, with their values; ``allowed``: a text's only values; ``active``: switched on."""

    kind: Kind
    values: dict[str, Value | Sequence[Value]]
    group: int = ACQUISITION
    active: bool = True
    allowed: tuple[str, ...] = field(default=())


TABLE = (
    # what is acquired
    Row(TEXT, {"seqfil": "s2pul", "pslabel": "s2pul", "tn": "Li7", "dn": "H1", "solvent": "none", "samplename": "", "array": ""}),
    Row(INTEGER.within(128000, 32, 2), {"np": 16384.0}),
    Row(REAL.within(1e6, 100), {"sw": 100000.0}),
    Row(DELAY.within(100, 0), {"at": 0.08192}),
    Row(INTEGER.within(1e9, 1, 1), {"nt": 16.0}),
    Row(INTEGER, {"ct": 0.0, "bs": 4.0, "cf": 1.0, "arraydim": 1.0, "acqdim": 1.0, "celem": 1.0, "acqcycles": 1.0}),
    Row(FREE_INTEGER, {"ss": 0.0}),
    Row(DELAY, {"d1": 0.5, "d2": 0.0, "pad": 0.0, "te": 0.0, "tau": 0.0}),
    Row(INTEGER, {"nv": 0.0, "ne": 1.0}),
    Row(REAL.within(100, 0), {"lpe": 0.0, "lro": 0.0}),
    Row(TEXT, {"seqcon": "nnnnn"}),
    Row(PULSE, {"pw": 8.0, "pw90": 8.0, "p1": 0.0, "rof1": 10.0, "rof2": 5.0}),
    Row(PULSE.within(8190, -8190, 0.1), {"alfa": 5.0}),
    Row(POWER, {"tpwr": 60.0, "dpwr": 0.0}),
    Row(REAL.within(60, 0, 1), {"gain": 30.0}),
    Row(INTEGER.within(256000, 100, 100), {"fb": 50000.0}),
    # frequencies
    Row(FREQUENCY.within(1e9, 0), {"sfrq": 116.6, "dfrq": 300.0}),
    Row(OFFSET, {"tof": 0.0, "dof": 0.0}),
    Row(REAL, {"reffrq": 116.6, "H1reffrq": 300.0, "rfl": 50000.0, "rfp": 0.0}, DISPLAY),
    Row(FREQUENCY, {"lockfreq_": 46.0}),
    # decoupler, lock, shims, temperature
    Row(FLAG, {"dm": "n"}, allowed=("n", "y", "a", "s")),
    Row(FLAG, {"dmm": "c"}, allowed=("c", "g", "p", "w")),
    Row(FLAG, {"alock": "n", "wshim": "n", "in": "n", "il": "n", "hs": "n", "dp": "y", "cp": "y"}),
    Row(REAL.within(100, 0, 1), {"lockpower_": 0.0, "lockgain_": 0.0}),
    Row(SHIM, {"z1": 0.0, "z2": 0.0, "x1": 0.0, "y1": 0.0}),
    Row(REAL.within(400, -150, 0.1), {"temp": 25.0}),
    Row(INTEGER.within(10000, 0, 1), {"spin": 0.0}),
    # who, when, where
    Row(TEXT, {"console": "emulated", "systemname_": "console", "operator_": "vnmr1", "probe_": "static", "go_id": "", "comment": ""}),
    Row(TEXT, {"date": "", "time_run": "", "time_submitted": "", "time_submitted_local": "", "time_svfdate": "", "time_exp": ""}),
    Row(TEXT, {"time_complete": "", "time_saved": "", "time_processed": "", "time_plotted": "", "file": "exp", "parver": ""}, DISPLAY),
    Row(INTEGER, {"acqstatus": (0.0, 0.0)}),
    # what follows an acquisition
    Row(TEXT, {"wexp": "", "werr": "", "wnt": "", "wbs": "", "wdone": "", "proc": "ft"}, PROCESSING),
    Row(INTEGER.within(524288, 64), {"fn": 32768.0}, PROCESSING, active=False),
    Row(REAL, {"lb": 0.0, "gf": 0.0, "sb": 0.0}, PROCESSING, active=False),
    Row(FREE_INTEGER, {"lsfid": 0.0}, PROCESSING),
    Row(REAL, {"phfid": 0.0}, PROCESSING),
    Row(REAL, {"rp": 0.0, "lp": 0.0, "sp": -50000.0, "wp": 100000.0, "vs": 100.0, "cr": 0.0, "delta": 0.0}, DISPLAY),
    Row(FLAG, {"axis": "p"}, DISPLAY, allowed=("p", "h", "k")),
)


def standard() -> dict[str, Parameter]:
    """The parameter set of a new experiment, by name."""
    found: dict[str, Parameter] = {}
    for row in TABLE:
        header = row.kind.header(row.group, active=row.active)
        for name, value in row.values.items():
            values = [value] if isinstance(value, str | float) else list(value)
            found[name] = Parameter(name, header, values, list(row.allowed))
    return found
