"""Every interlock by name, as data: what it needs, its rule with its numbers, how bad it is, what is done about it.

Three rings stand around a cell: the step's own ends (1), the limits that no step may pass (2), the hardware fence (3). What
has ring 0 stands beside them: it looks at the console, the clocks and the disk, and never touches a cell by itself.

An interlock that does not fit a cell is off by itself (``plan.interlocks`` says why). An experiment switches one off or on,
or changes its numbers and actions, under ``interlocks:``; what is ``fixed`` stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from orchestrator.model.rule import Action
from orchestrator.model.values import Frozen

Level = Literal["info", "warn", "alarm", "critical"]


@dataclass(frozen=True, slots=True)
class Number:
    """One number of a rule: its value (None: the experiment must give it), its unit ("" = none), and where it may lie.

    ``inferred``: no source gives it; chosen here, and never tried on a cell.
    """

    value: float | None
    unit: str = ""
    least: float = 0.0
    most: float = float("inf")
    whole: bool = False
    inferred: bool = False


@dataclass(frozen=True, slots=True)
class Interlock:
    """One interlock. ``needs``: quantities or capabilities without which it cannot look; ``rule``: with ``{number}`` in it.

    ``also``: what the program does besides ``do``. ``advice``: what a person does about it at three in the morning.
    """

    name: str
    ring: Literal[0, 1, 2, 3]
    title: str
    needs: tuple[str, ...]
    rule: str
    source: str
    level: Level
    do: tuple[str, ...]
    advice: str
    numbers: Mapping[str, Number]
    also: str = ""
    on: bool = True
    fixed: str = ""
    """Why nobody switches it off; "" = the experiment may."""


SAMPLES = Number(3, least=1, most=1000, whole=True)
ABOUT_SAMPLES = replace(SAMPLES, inferred=True)
GUARD = Number(5.0, "s", most=3600)
ABOUT_GUARD = Number(2.0, "s", most=3600, inferred=True)
LOOK = "look at the cell and its leads before anything is started"

TABLE: tuple[Interlock, ...] = (
    Interlock(
        "step cut-off",
        1,
        "A step has ended",
        ("voltage", "current"),
        "the first of the step's own ends: time, voltage, charge, current; on the device where it can, on the host always: "
        "at once where the device cannot, after 5 s of an end that it lets pass by more than two instruments differ",
        "potentiostats.md 5, rule 2; how long and how far it may be let pass is inferred",
        "info",
        ("end step",),
        "",
        {},
        fixed="a step has its ends",
    ),
    Interlock(
        "safety limits",
        2,
        "A safety limit was passed",
        ("voltage", "current"),
        "one sample outside `limits`: voltage, current, charge or time of the step",
        "potentiostats.md 5, rule 2",
        "critical",
        ("open circuit",),
        LOOK,
        {},
        also="the run ends",
        fixed="nothing starts without limits",
    ),
    Interlock(
        "unreadable samples",
        2,
        "Nobody can read the cell",
        ("voltage", "current"),
        "voltage or current is no number in 3 samples in a row",
        "potentiostats.md 5, rule 6; that it takes three is inferred",
        "critical",
        ("open circuit",),
        LOOK,
        {},
        also="the run ends",
        fixed="a cell that nobody sees carries no current",
    ),
    Interlock(
        "stale samples",
        2,
        "The samples are old",
        ("voltage",),
        "under current no new sample for a part of host_lost, or for so long only samples that are older than that",
        "potentiostats.md 5, rule 6; the guard acts later than this",
        "critical",
        ("open circuit",),
        "look at the link to the potentiostat and at what else this computer does",
        {},
        also="the run ends where the device is not to finish its step",
        fixed="its time follows from `limits: host_lost`",
    ),
    Interlock(
        "open lead",
        2,
        "A lead is open",
        ("voltage", "current"),
        "|I| below {part} of what is asked for, or |E| above {compliance} of the instrument's range, "
        "in {samples} samples in a row, {guard} after an edge",
        "domain.md 2.4, contact loss",
        "alarm",
        ("open circuit",),
        "look at the cell's leads and contacts; `resume` goes on with what the step is owed",
        {
            "part": Number(0.1, most=1.0, inferred=True),
            "compliance": Number(0.95, least=0.1, most=1.0, inferred=True),
            "samples": ABOUT_SAMPLES,
            "guard": ABOUT_GUARD,
        },
    ),
    Interlock(
        "lost reference",
        2,
        "A reference or sense lead has jumped, or is not read",
        ("voltage",),
        "E, E_we or E_ce jumps by {jump} within {within} at an unchanged current, and stays there for {lasts}, or E_we is no number "
        "for as long, or the same to its last digit while E moves by {jump}; not within {guard} of an edge",
        "potentiostats.md 5, rule 11; domain.md 2.4: what a moved lead does is over in 2 s",
        "alarm",
        ("open circuit",),
        "look at the reference and sense leads; `resume` goes on with what the step is owed",
        {
            "jump": Number(0.5, "V", least=0.01, most=20, inferred=True),
            "within": Number(2.0, "s", least=0.001, most=60, inferred=True),
            "lasts": Number(3.0, "s", most=3600, inferred=True),
            "guard": replace(GUARD, inferred=True),
        },
    ),
    Interlock(
        "hard short",
        2,
        "The cell is shorted",
        ("voltage", "current", "R_cell"),
        "|E - I R_lead| below {part} |I| R_cell in {samples} samples in a row of one sign, {guard} after an edge, "
        "at constant current, where that bound is at least {floor}",
        "practice.md 13, and the guard of its experiments",
        "critical",
        ("open circuit", "tag"),
        "take the post-short spectra; look at the cell before `resume`",
        {"part": Number(0.2, most=1.0), "samples": SAMPLES, "guard": GUARD, "floor": Number(0.001, "V", most=1.0, inferred=True)},
    ),
    Interlock(
        "overload",
        2,
        "The potentiostat is overloaded",
        ("current",),
        "the instrument says overload, or a constant current is off by {part} of itself, "
        "in {samples} samples in a row, {guard} after an edge",
        "potentiostats.md 2.1 (f): three in a row are a fault",
        "alarm",
        (),
        "look at its range and at the cell's leads: what it reads may not be what is there; the limits go on watching",
        {"part": Number(0.2, least=0.01, most=0.9, inferred=True), "samples": SAMPLES, "guard": ABOUT_GUARD},
    ),
    Interlock(
        "hardware fence",
        3,
        "The hardware fence was tripped",
        ("fence",),
        "open circuit was tried and nobody could read it back",
        "potentiostats.md 5, rule 2",
        "critical",
        ("open circuit",),
        "go to the instrument and switch its output off",
        {},
        fixed="it is tripped when nothing else is left",
    ),
    Interlock(
        "temperature",
        2,
        "The cell is too hot or too cold",
        ("temperature",),
        "{samples} readings in a row above {above} or below {below}",
        "potentiostats.md 5; the lab knows the numbers",
        "alarm",
        ("open circuit",),
        "look at the temperature controller and its gas flow",
        {"above": Number(None, "K", most=2000), "below": Number(None, "K", most=2000), "samples": ABOUT_SAMPLES},
    ),
    Interlock(
        "temperature sensor",
        0,
        "A temperature sensor fails",
        ("temperature",),
        "{samples} readings in a row outside {lowest} to {highest}, or no number",
        "domain.md 5.3: a missing sensor reads 673 K",
        "warn",
        (),
        "look at the sensor's plug; until then nobody watches this temperature",
        {
            "lowest": Number(100.0, "K", most=2000, inferred=True),
            "highest": Number(600.0, "K", most=2000, inferred=True),
            "samples": ABOUT_SAMPLES,
        },
    ),
    Interlock(
        "clock step",
        0,
        "The computer's clock was set",
        ("clocks",),
        "wall clock and monotonic clock part by more than {step} between two looks",
        "domain.md 2.4, clock drift: both are stored",
        "warn",
        (),
        "durations are right all the same; the times of day before and after differ by this much",
        {"step": Number(1.0, "s", least=0.01, most=86400)},
    ),
    Interlock(
        "tuner stall",
        0,
        "Acquisitions take longer than they did",
        ("acquisitions",),
        "{times} in a row take longer than the median of those before plus the larger of {margin} and {spread} MAD",
        "domain.md 2.4, [H]: 10 of 600",
        "warn",
        (),
        "look at the tuner; the cell is not affected",
        {
            "times": Number(3, least=1, most=100, whole=True),
            "margin": Number(5.0, "s", most=86400),
            "spread": Number(3.0, least=1.0, most=100.0),
        },
    ),
    Interlock(
        "acquisition overdue",
        0,
        "An acquisition is overdue",
        ("acquisitions",),
        "an acquisition takes longer than {factor} times its planned time plus {margin}",
        "domain.md 2.4, tuner stalls",
        "warn",
        (),
        "look at the console; the cell is not affected",
        {"factor": Number(1.5, least=1.0, most=100.0), "margin": Number(60.0, "s", least=1.0, most=86400)},
        also="it is halted and what was scanned is kept",
        fixed="a console that hangs would hold up every acquisition after it",
    ),
    Interlock(
        "amplifier trip",
        0,
        "No pulse reaches the coil",
        ("noise_sd", "reflected_power", "line_snr"),
        "two of three, in {times} spectra of one acquisition: noise off by a factor {noise}, reflected power by {reflected}, "
        "a line that was there (SNR {there}) below SNR {gone}; never the line alone",
        "practice.md 30",
        "alarm",
        ("pause nmr",),
        "look at the amplifier, switch it on, then `resume`",
        {
            "noise": Number(1.5, least=1.01, most=100.0, inferred=True),
            "reflected": Number(3.0, least=1.01, most=1000.0, inferred=True),
            "there": Number(10.0, least=1.0, most=1e6, inferred=True),
            "gone": Number(3.0, most=1e6, inferred=True),
            "times": Number(2, least=1, most=100, whole=True, inferred=True),
        },
    ),
    Interlock(
        "receiver overflow",
        0,
        "The receiver overflows",
        ("fids",),
        "{points} points or more of a FID lie at the limit of the converter",
        "domain.md 2.4",
        "warn",
        ("tag",),
        "lower the receiver gain; this spectrum has a ridge and its areas are too small",
        {"points": Number(3, least=1, most=1e6, whole=True, inferred=True)},
    ),
    Interlock(
        "disk",
        0,
        "The disk is nearly full",
        ("disk",),
        "less free than a tenth of it; than twice what the run still needs; than what is kept for its last records",
        "data.md 4: what was acknowledged is never lost",
        "warn",
        ("pause nmr", "open circuit"),
        "make room on the disk of the run",
        {},
        also="in this order: a warning, no new acquisition, the ballast, open circuit and the end of the run",
        fixed="a run that nobody can record is not driven",
    ),
)

INTERLOCKS: Mapping[str, Interlock] = {one.name: one for one in TABLE}


class PlannedInterlock(Frozen):
    """One interlock in a run. ``off``: why it does not look ("" = armed). ``waits_for``: what it has not been given yet.

    ``evidence``: acquisition → what may speak against its amplifier, where the experiment says. ``meter``: the sensor that measures
    reflected power. ``sees``: with what it looks on this rig, where that is not all that it could.
    """

    name: str
    numbers: Mapping[str, float] = {}
    level: Level
    do: tuple[Action, ...] = ()
    off: str = ""
    waits_for: tuple[str, ...] = ()
    evidence: Mapping[str, tuple[str, ...]] = {}
    meter: str = ""
    sees: str = ""

    @property
    def table(self) -> Interlock:
        """Its line of the table."""
        return INTERLOCKS[self.name]


def said(unit: str, value: float) -> str:
    """A number of a rule as a person reads it, with its unit."""
    if unit == "V" and value and abs(value) < 0.1:
        return f"{value * 1e3:g} mV"
    return f"{value:g} {unit}".strip()


def inferred(planned: PlannedInterlock) -> frozenset[str]:
    """Its numbers that no source gives, and that nobody has written otherwise in the experiment."""
    numbers = planned.table.numbers
    return frozenset(name for name, number in numbers.items() if number.inferred and planned.numbers.get(name) == number.value)


def rule_text(planned: PlannedInterlock, mark: str = "") -> str:
    """The rule of an interlock with its numbers in it; ``mark``: behind those that are inferred."""
    table, marked = planned.table, inferred(planned)
    values = {
        name: said(number.unit, planned.numbers[name]) + (mark if name in marked else "") if name in planned.numbers else "-"
        for name, number in table.numbers.items()
    }
    return table.rule.format(**values)
