"""The impedance techniques of a settings file, GEIS and PEIS: their rows. Pure.

Row names, their order and their words are those of files that EC-Lab 11.3 to 11.6 saved (public ones of an SP-150, SP-300 and VMP-300).
inferred: ``from fi to ff`` beside the number of points counts both ends (asked for only where whole points a decade do not give it);
``pw`` is the wait in periods; the range of a current that is written is kept in a sweep.
"""

from __future__ import annotations

import math

from drivers.base import ImpedanceOrder, StepOrder
from drivers.biologic.mps_numbers import Site, fixed, scaled
from drivers.errors import Rejected

GALVANO, POTENTIO = "Galvano Electrochemical Impedance Spectroscopy", "Potentio Electrochemical Impedance Spectroscopy"
FREQUENCIES = ((1e6, "MHz"), (1e3, "kHz"), (1.0, "Hz"), (1e-3, "mHz"), (1e-6, "µHz"))
CURRENTS = ((1.0, "A"), (1e-3, "mA"), (1e-6, "µA"), (1e-9, "nA"))
PERIODS_WAITED = 0.1
Rows = list[tuple[str, str]]
ONE_CYCLE: Rows = [("nc cycles", "0"), ("goto Ns'", "0"), ("nr cycles", "0"), ("inc. cycle", "0")]


def name_of(order: StepOrder) -> str:
    """The technique's. Raises Rejected where there is not one amplitude, in A or in V."""
    return GALVANO if _wanted(order).amplitude_A is not None else POTENTIO


def most_A(order: StepOrder) -> float:
    """The greatest current of the sweep."""
    amplitude_A = _wanted(order).amplitude_A
    return order.limits.current_A if amplitude_A is None else abs(order.current_A or 0.0) + amplitude_A


def rows(order: StepOrder, site: Site) -> Rows:
    """As far as the ranges. Raises Rejected."""
    wanted, none = _wanted(order), fixed(0.0, site, 3)
    interval = ("dt (s)", fixed(order.sample_interval_s, site, 3))
    around: Rows
    amplitude: Rows
    if wanted.amplitude_A is not None:
        bias, unit = _written(order.current_A or 0.0, CURRENTS, site) if order.current_A else (none, "mA")
        swing, swing_unit = _written(wanted.amplitude_A, CURRENTS, site)
        around = [("Is", bias), ("unit Is", unit), ("vs.", "<None>"), _no_time("tIs", site), ("record", "0"), ("dE (mV)", none), interval]
        amplitude = [("Ia/Va", "Ia"), ("Ia", swing), ("unit  Ia", swing_unit), ("va pourcent", fixed(PERIODS_WAITED, site, 2))]
    else:
        held, changes = order.voltage_V is not None, [("record", "0"), ("dI", none), ("unit dI", "mA"), interval]
        around = [("E (V)", fixed(order.voltage_V or 0.0, site, 4)), ("vs.", "Ref" if held else "Eoc"), _no_time("tE", site), *changes]
        amplitude = [("Va (mV)", fixed((wanted.amplitude_V or 0.0) * 1e3, site, 3))]
    finish = [("pw", fixed(PERIODS_WAITED, site, 2)), ("Na", "1"), ("corr", "0")]
    return [("Mode", "Single sine"), *around, *_frequencies(wanted, site), *amplitude, *finish]


def _frequencies(wanted: ImpedanceOrder, site: Site) -> Rows:
    (first, first_unit), (last, last_unit) = (
        _written(f_Hz, FREQUENCIES, site) for f_Hz in (wanted.frequency_start_Hz, wanted.frequency_end_Hz)
    )
    a_decade = (wanted.points - 1) / math.log10(wanted.frequency_start_Hz / wanted.frequency_end_Hz)
    whole = round(a_decade) >= 1 and math.isclose(a_decade, round(a_decade), rel_tol=1e-9)
    number, density = (round(a_decade), "per decade") if whole else (wanted.points, "from fi to ff")
    ends = [("fi", first), ("unit fi", first_unit), ("ff", last), ("unit ff", last_unit)]
    return [*ends, ("Nd", str(number)), ("Points", density), ("spacing", "Logarithmic")]


def _written(value: float, units: tuple[tuple[float, str], ...], site: Site) -> tuple[str, str]:
    """In the largest unit in which it is one or more and keeps its digits, as EC-Lab does: 100.000 kHz."""
    fitting = tuple(unit for unit in units if abs(value) >= unit[0] * (1 - 1e-9))
    return scaled(value, fitting or units[-1:], site)


def _no_time(name: str, site: Site) -> tuple[str, str]:
    """No time at the bias before the sweep."""
    return f"{name} (h:m:s)", f"0:00:{fixed(0.0, site, 4)}"


def _wanted(order: StepOrder) -> ImpedanceOrder:
    wanted = order.impedance
    if wanted is None or (wanted.amplitude_A is None) == (wanted.amplitude_V is None):
        raise Rejected(f"step {order.key}: impedance needs one amplitude, in A or in V")
    return wanted
