"""An acquisition order as sequences of the console: single pulses and spin echoes, a few scans in each. Pure.

Within a sequence the console's own clock keeps pulse, echo, acquisition and recycle delay, to 8 ns; between two sequences this computer
does, to milliseconds. A sequence cannot be ended before its end (the server reads nothing while one runs): so none lasts longer than
``RUN_S``, or one scan. Scans lie whole samples apart: each begins at the same phase of the decimation.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from drivers.base import ONE_PULSE, AcquisitionOrder
from drivers.base.nuclei import RATIO_TO_1H
from drivers.errors import Rejected
from drivers.marcos import wire
from drivers.marcos.wire import Buffer, Step
from drivers.stream.acquiring import check_counts

ECHO = "hahn_echo"
LACKS: Mapping[str, str] = dict.fromkeys(
    ("nutation", "saturation_recovery", "inversion_recovery", "cpmg", "qcpmg", "stimulated_echo", "exchange"),
    "its driver has single pulses and spin echoes only",
) | dict.fromkeys(("phase_encoded_fid", "image_se", "image_ge", "volume_ge"), "its driver drives no gradients")
LACKS = {**LACKS, "magic_angle_spinning": "it spins no rotor"}

RUN_S = 2.0
LEAST_RATE, MOST_RATE = 4, 4095
"""Ticks a sample: limits of the decimation filter of the public gateware."""
MOST_POINTS = 131072
SPARE_SAMPLES = 2
HEAD = 1000
"""Ticks before the first scan, in which oscillator and filter are set up."""
CYCLES: Mapping[str, tuple[tuple[int, int, int], ...]] = {
    ONE_PULSE: ((0, 0, 0), (90, 0, 90), (180, 0, 180), (270, 0, 270)),
    ECHO: ((0, 90, 0), (0, 270, 0), (180, 90, 180), (180, 270, 180)),
}
"""Phases of excitation, refocusing and receiver in degrees, scan by scan; the receiver's is applied here, to whole numbers."""
LONGEST_RECYCLE_s = 3600.0


@dataclass(frozen=True, slots=True)
class Site:
    """What the rig file says of the console. ``zone``: Nyquist zone of the converters that the probe's filters leave."""

    H1_MHz: float
    clock_MHz: float = 122.88
    zone: int = 1
    gate_lead_us: float = 10.0
    dead_time_us: float = 20.0
    most_pulse_us: float = 1000.0
    most_duty: float = 0.05
    group_delay_points: float = 0.0

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Site:
        """Raises ValueError for what is no number."""
        if "H1_MHz" not in options:
            raise ValueError("say the magnet's proton frequency: options: {H1_MHz: …}")
        named = {name: float(options[name]) for name in cls.__slots__ if name in options and name != "zone"}
        return cls(**named, zone=int(options.get("nyquist_zone", 1)))


@dataclass(frozen=True, slots=True)
class Setup:
    """An order in ticks. ``rate``: ticks a sample."""

    order: AcquisitionOrder
    site: Site
    reference_MHz: float
    carrier_MHz: float
    rate: int
    points: int
    amplitude: int
    pulse: int
    refocus: int
    deviations: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)

    @property
    def width_Hz(self) -> float:
        """Spectral width as it is."""
        return self.site.clock_MHz * 1e6 / self.rate

    @property
    def window(self) -> int:
        """Ticks for which the receiver is on."""
        return (self.points + SPARE_SAMPLES) * self.rate

    def readable(self) -> dict[str, Any]:
        """What the console will do, by name."""
        return {
            "nucleus": self.order.nucleus,
            "carrier_MHz": self.carrier_MHz,
            "spectral_width_Hz": self.width_Hz,
            "points": self.points,
            "pulse_us": self.pulse / self.site.clock_MHz,
            "tx_amplitude": self.amplitude / 32767,
            "scans": self.order.scans,
            "dummies": self.order.dummies,
            "recycle_s": self.order.recycle_s,
            "decimation": self.rate,
            "sequence": self.order.sequence,
        }


@dataclass(frozen=True, slots=True)
class Run:
    """One sequence: so many scans of a row. ``receiver``: its phases in degrees; none for dummies. ``rest_s``: what to wait afterwards."""

    row: int
    code: bytes = field(repr=False)
    receiver: tuple[int, ...]
    count: int
    lasts_s: float
    rest_s: float


def setup_of(order: AcquisitionOrder, site: Site) -> Setup:
    """Raises Rejected for what this console cannot do."""
    _check(order)
    template = order.template
    points = int(_number(template, "points", math.nan))
    width_Hz = _number(template, "spectral_width_Hz", math.nan)
    if not 1 <= points <= MOST_POINTS or width_Hz <= 0:
        raise Rejected(f"{order.key}: {points} points of {width_Hz} Hz are not possible", advice=f"at most {MOST_POINTS} points")
    rate = round(site.clock_MHz * 1e6 / width_Hz)
    if not LEAST_RATE <= rate <= MOST_RATE:
        low, high = site.clock_MHz * 1e6 / MOST_RATE, site.clock_MHz * 1e6 / LEAST_RATE
        raise Rejected(f"{order.key}: a width of {width_Hz:.0f} Hz is not possible", advice=f"{low:.0f} to {high:.0f} Hz")
    reference_MHz = site.H1_MHz * RATIO_TO_1H[order.nucleus]
    asked_MHz = reference_MHz * (1 + _number(template, "carrier_ppm", 0.0) * 1e-6)
    carrier_MHz = step_of(asked_MHz, site) * site.clock_MHz / (1 << 31)
    pulse = _pulse(order, site, "pulse_us")
    refocus = _pulse(order, site, "refocus_us", 2 * pulse / site.clock_MHz) if order.sequence == ECHO else 0
    amplitude = _number(template, "tx_amplitude", 1.0)
    if not 0 < amplitude <= 1:
        raise Rejected(f"{order.key}: an amplitude of {amplitude} of full scale is not possible")
    found_Hz = site.clock_MHz * 1e6 / rate
    differing = {} if math.isclose(width_Hz, found_Hz, rel_tol=1e-6) else {"spectral_width_Hz": (width_Hz, found_Hz)}
    setup = Setup(order, site, reference_MHz, carrier_MHz, rate, points, round(32767 * amplitude), pulse, refocus, deviations=differing)
    _check_echoes(setup)
    _check_duty(setup)
    return setup


def step_of(carrier_MHz: float, site: Site) -> int:
    """31 bits of the oscillator. Raises Rejected outside the Nyquist zone that the site's filters leave."""
    half_MHz = site.clock_MHz / 2
    if not (site.zone - 1) * half_MHz <= carrier_MHz < site.zone * half_MHz or site.zone not in {1, 2}:
        advice = "inferred: `options: {nyquist_zone: 2}` where filters let only that pass; above it an own mixer would be needed"
        raise Rejected(f"a carrier of {carrier_MHz:.3f} MHz is beyond converters of {site.clock_MHz} MHz (zone {site.zone})", advice=advice)
    return round(carrier_MHz / site.clock_MHz * (1 << 31))


def runs_of(setup: Setup, block: int) -> Iterator[Run]:
    """All sequences of a block, in order: for each row its dummies, then its scans."""
    order = setup.order
    cycle = CYCLES[order.sequence]
    for row in range(1 if order.rows is None else len(order.rows)):
        te_ms = {**order.template, **order.values(block, row)}.get("TE_ms", 0.0) if order.sequence == ECHO else 0.0
        echo = round(float(te_ms) * 1e3 * setup.site.clock_MHz)
        period = _period(setup, echo)
        in_one = max(1, int(RUN_S * setup.site.clock_MHz * 1e6 / period))
        for first, last, dummy in ((0, order.dummies, True), (0, order.scans, False)):
            for begin in range(first, last, in_one):
                count = min(in_one, last - begin)
                phases = [cycle[(begin + n) % len(cycle)] for n in range(count)]
                yield _run(setup, row, echo, period, phases, dummy=dummy)


def _run(setup: Setup, row: int, echo: int, period: int, phases: list[tuple[int, int, int]], *, dummy: bool) -> Run:
    steps = list(_head(setup))
    for n, (excite, refocus, _) in enumerate(phases):
        steps += _scan(setup, HEAD + n * period, echo, excite, refocus, silent=dummy)
    end = HEAD + (len(phases) - 1) * period + _active(setup, echo) + 10
    lasts_s, whole_s = (ticks / setup.site.clock_MHz / 1e6 for ticks in (end, HEAD + len(phases) * period))
    receiver = () if dummy else tuple(phase for _, _, phase in phases)
    return Run(row, wire.words(steps, end), receiver, len(phases), lasts_s, whole_s - lasts_s)


def _head(setup: Setup) -> Iterator[Step]:
    """Oscillator to its frequency and phase 0; receiver out of reset, its decimation handed over."""
    step = step_of(setup.carrier_MHz, setup.site)
    low, high = step & 0xFFFF, step >> 16
    yield Step(50, ((Buffer.LO0_LOW, low), (Buffer.LO0_HIGH, high | wire.LO_RESET), (Buffer.RX_CONTROL, wire.RX_RUNS)))
    yield Step(60, ((Buffer.LO0_HIGH, high),))
    yield Step(100, ((Buffer.RX0_RATE, setup.rate), (Buffer.RX_CONTROL, wire.RX_RUNS | wire.RATE_VALID)))
    yield Step(110, ((Buffer.RX_CONTROL, wire.RX_RUNS),))


def _scan(setup: Setup, at: int, echo: int, excite: int, refocus: int, *, silent: bool) -> Iterator[Step]:
    yield from _pulse_steps(setup, at, setup.pulse, excite)
    if setup.order.sequence == ECHO:
        yield from _pulse_steps(setup, at + (setup.pulse + echo - setup.refocus) // 2, setup.refocus, refocus)
    begin = at + _receive(setup, echo)
    if not silent:
        yield Step(begin, ((Buffer.GATES, wire.RX_GATE), (Buffer.RX_CONTROL, wire.RX_RUNS | wire.RX_ENABLE)))
        yield Step(begin + setup.window, ((Buffer.GATES, 0), (Buffer.RX_CONTROL, wire.RX_RUNS)))


def _pulse_steps(setup: Setup, at: int, length: int, phase_deg: int) -> Iterator[Step]:
    """Amplifier on, pulse, and both off; ``at`` is when the amplifier is switched on."""
    in_phase, quadrature = {0: (1, 0), 90: (0, 1), 180: (-1, 0), 270: (0, -1)}[phase_deg]
    begin = at + _lead(setup)
    yield Step(at, ((Buffer.GATES, wire.TX_GATE),))
    yield Step(begin, ((Buffer.TX0_I, in_phase * setup.amplitude), (Buffer.TX0_Q, quadrature * setup.amplitude)))
    yield Step(begin + length, ((Buffer.TX0_I, 0), (Buffer.TX0_Q, 0), (Buffer.GATES, 0)))


def _lead(setup: Setup) -> int:
    return max(10, round(setup.site.gate_lead_us * setup.site.clock_MHz))


def _receive(setup: Setup, echo: int) -> int:
    """From the beginning of a scan to its first sample: after the dead time, or at the echo's middle."""
    if setup.order.sequence == ECHO:
        return _lead(setup) + setup.pulse // 2 + echo
    return _lead(setup) + setup.pulse + max(10, round(setup.site.dead_time_us * setup.site.clock_MHz))


def _active(setup: Setup, echo: int) -> int:
    return _receive(setup, echo) + setup.window


def _period(setup: Setup, echo: int) -> int:
    """From scan to scan: a whole number of samples."""
    recycle = max(100, round(setup.order.recycle_s * setup.site.clock_MHz * 1e6))
    return math.ceil((_active(setup, echo) + recycle) / setup.rate) * setup.rate


def expected_s(setup: Setup, block: int) -> float:
    """How long the sequences of a block and the delays between them take."""
    return sum(run.lasts_s + run.rest_s for run in runs_of(setup, block))


def _check(order: AcquisitionOrder) -> None:
    if order.sequence not in CYCLES:
        raise Rejected(f"{order.key}: this console cannot run {order.sequence}", advice=LACKS.get(order.sequence, ""))
    if order.nucleus not in RATIO_TO_1H:
        raise Rejected(f"{order.key}: the frequency of {order.nucleus} is not known", advice=f"known: {', '.join(RATIO_TO_1H)}")
    check_counts(order, LONGEST_RECYCLE_s)
    swept = [axis.name for axis in (order.rows, order.per_block) if axis is not None]
    if any(name != "TE_ms" or order.sequence != ECHO for name in swept):
        raise Rejected(f"{order.key}: this console cannot sweep {', '.join(swept)} in {order.sequence}")


def _check_echoes(setup: Setup) -> None:
    order = setup.order
    if order.sequence != ECHO:
        return
    rows = range(1 if order.rows is None else len(order.rows))
    found = [{**order.template, **order.values(block, row)}.get("TE_ms") for block in range(order.blocks) for row in rows]
    least = 2 * (setup.refocus / 2 + setup.pulse / 2 + _lead(setup) + 20) / setup.site.clock_MHz / 1e3
    for te_ms in found:
        if te_ms is None or not least <= float(te_ms) <= 1e3 * RUN_S:
            raise Rejected(f"{order.key}: an echo time of {te_ms} ms is not possible", advice=f"{least:.3g} to {1e3 * RUN_S:.0f} ms")


def _check_duty(setup: Setup) -> None:
    """Power x time: what the amplifier and the coil bear on average."""
    period = _period(setup, 0)
    duty = (setup.amplitude / 32767) ** 2 * (setup.pulse + setup.refocus) / period
    if duty > setup.site.most_duty:
        raise Rejected(
            f"{setup.order.key}: {duty:.3f} of the time at full power; {setup.site.most_duty} is allowed", advice="recycle longer"
        )


def _pulse(order: AcquisitionOrder, site: Site, name: str, default_us: float = math.nan) -> int:
    length_us = _number(order.template, name, default_us)
    if not 0.1 <= length_us <= site.most_pulse_us:
        raise Rejected(f"{order.key}: {name} = {length_us} is not possible", advice=f"0.1 to {site.most_pulse_us:.0f} us, in the template")
    return round(length_us * site.clock_MHz)


def _number(template: Mapping[str, Any], name: str, default: float) -> float:
    try:
        value = float(template.get(name, default))
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        raise Rejected(f"{name} = {template.get(name)!r} is no number", advice=f"the template says `{name}`")
    return value
