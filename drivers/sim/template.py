"""What the simulated console makes of an order: the site's template, or a built-in series, into checked parameters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from drivers.base import ENCODES, ONE_PULSE, AcquisitionOrder, waits_s

SERIES: Mapping[str, Mapping[str, float]] = {
    "series_1p_7Li_metal": {"carrier_ppm": 137.0, "spectral_width_Hz": 93458.0, "points": 6144, "pulse_us": 8.0, "tip_deg": 90.0},
    "series_1p_7Li_wide": {"carrier_ppm": 137.0, "spectral_width_Hz": 200e3, "points": 8192, "pulse_us": 2.0, "tip_deg": 22.5},
    "series_1p_23Na_metal": {"carrier_ppm": 1126.0, "spectral_width_Hz": 200e3, "points": 4096, "pulse_us": 5.0, "tip_deg": 90.0},
    "series_1p_23Na_ionic": {"carrier_ppm": 0.0, "spectral_width_Hz": 100e3, "points": 4096, "pulse_us": 5.0, "tip_deg": 90.0},
}
OTHERS = frozenset(
    {"series_1p",
     "hahn_echo", "vocs_echo", "sr_T1", "ir_T1", "echo_T2", "cpmg_T2", "qcpmg", "nutation", "pfg_ste", "se2d_image", "se2d_T2map",
     "ge2d_image", "csi_1d", "exsy2d", "reference_check", "noise_check"}
)  # fmt: skip
"""Kinds without numbers of their own here: they begin with those of a single pulse on the nucleus."""
PLAIN: Mapping[str, Mapping[str, float]] = {
    "7Li": SERIES["series_1p_7Li_metal"],
    "23Na": SERIES["series_1p_23Na_ionic"],
}
GAMMA_rad_per_sT: Mapping[str, float] = {"1H": 2.6752e8, "7Li": 1.0398e8, "23Na": 7.0808e7}
UNUSED = frozenset({"name", "dataset"})
NAMES = frozenset({"carrier_ppm", "carrier_MHz", "spectral_width_Hz", "points", "pulse_us", "tip_deg", "dead_us"})
OF_SEQUENCES = frozenset(
    {"TE_ms", "tau_ms", "echoes", "echo_spacing_us", "gradient_percent", "full_gradient_T_per_m", "gradient_ms", "diffusion_ms",
     "mixing_ms", "evolution_us", "views", "field_of_view_mm", "read_field_of_view_mm"}
)  # fmt: skip
"""What sequences need besides; kept as the template says it."""
RUNS = frozenset(
    {"one_pulse", "nutation", "hahn_echo", "cpmg", "qcpmg", "saturation_recovery", "inversion_recovery", "stimulated_echo", "exchange",
     "image_se", "image_ge", "phase_encoded_fid"}
)  # fmt: skip
LACKS: Mapping[str, str] = {
    "volume_ge": "the twin has images of two dimensions, and no volume",
    "magic_angle_spinning": "a sample of the twin spins under single pulses; nothing in it is timed by the rotor",
}


@dataclass(frozen=True, slots=True)
class Parameters:
    """What the console will do; the read-back of ``prepare``."""

    nucleus: str
    scans: int
    dummies: int
    recycle_s: float
    points: int
    spectral_width_Hz: float
    carrier_MHz: float
    reference_MHz: float
    pulse_s: float
    tip_deg: float
    dead_s: float
    sequence: str = ONE_PULSE
    rows: int = 1
    further: Mapping[str, float] = field(default_factory=dict)

    @property
    def repetition_s(self) -> float:
        """From pulse to pulse."""
        return self.recycle_s + self.points / self.spectral_width_Hz + self.wait_s

    @property
    def wait_s(self) -> float:
        """What the sequence adds to each scan."""
        return waits_s(self.sequence, self.further)

    def duration_ns(self, scans: int) -> int:
        """Until so many scans are done."""
        return round((self.dummies + scans) * self.repetition_s * 1e9)

    def number(self, name: str, otherwise: float = 0.0) -> float:
        """A parameter of the sequence."""
        return self.further.get(name, otherwise)


def parameters(order: AcquisitionOrder, reference_MHz: float) -> Parameters:
    """The parameters of an order. Raises ValueError with the reason for anything unknown or no number."""
    template = dict(order.template)
    given = {**(template.pop("parameters", None) or {}), **template}
    series, nucleus = given.pop("series", None), given.pop("nucleus", order.nucleus)
    given = {name: value for name, value in given.items() if name not in UNUSED}
    if nucleus != order.nucleus:
        raise ValueError(f"the template is for {nucleus}, the order for {order.nucleus}")
    if order.sequence not in RUNS:
        raise ValueError(f"the sequence {order.sequence} cannot be run: {LACKS.get(order.sequence, 'it is not known')}")
    if series is not None and series not in SERIES and series not in OTHERS:
        raise ValueError(f"no series is called `{series}`; there are: {', '.join(SERIES)}")
    if unknown := sorted(set(given) - NAMES - OF_SEQUENCES):
        raise ValueError(f"unknown parameter `{unknown[0]}`; there are: {', '.join(sorted(NAMES | OF_SEQUENCES))}")
    start = SERIES.get(series or "", PLAIN.get(order.nucleus, PLAIN["7Li"]))
    stated = {name: value for name, value in given.items() if value is not None}
    further = {name: float(stated.pop(name)) for name in sorted(OF_SEQUENCES & stated.keys())}
    made = _checked(order, {"dead_us": 10.0, **start, **stated}, reference_MHz)
    return replace(made, sequence=order.sequence, rows=1 if order.rows is None else len(order.rows), further=further)


def of_sequence(p: Parameters) -> dict[str, Any]:
    """What a sequence asks of the twin besides: keywords of ``drivers.sim.physics.Scan``."""
    g_d = (
        GAMMA_rad_per_sT.get(p.nucleus, 0.0)
        * p.number("gradient_percent")
        / 100.0
        * p.number("full_gradient_T_per_m")
        * p.number("gradient_ms")
    )
    diffusing_s = p.number("diffusion_ms") * 1e-3
    delays_s = {"stimulated_echo": diffusing_s, "exchange": p.number("mixing_ms") * 1e-3}
    return {
        "sequence": p.sequence,
        "echo_s": p.number("TE_ms") * 1e-3,
        "delay_s": delays_s.get(p.sequence, p.number("tau_ms") * 1e-3),
        "evolution_s": p.number("evolution_us") * 1e-6,
        "echoes": int(p.number("echoes", 1.0)),
        "spacing_s": p.number("echo_spacing_us") * 1e-6,
        "gradient": (g_d * 1e-3) ** 2 * (diffusing_s - p.number("gradient_ms") * 1e-3 / 3.0),
        "view": int(p.number("view")),
        "views": int(p.number("views")),
        "fov_mm": (p.number("field_of_view_mm"), p.number("read_field_of_view_mm")),
    }


def row_parameters(made: Parameters, swept: Mapping[str, float]) -> Parameters:
    """The parameters of one row of one block: with what it sweeps in place of the template's."""
    further = {**made.further, **{name: value for name, value in swept.items() if name in OF_SEQUENCES}}
    if ENCODES in swept:
        further["view"] = swept[ENCODES]
    changed: dict[str, Any] = {"further": further}
    if "pulse_us" in swept:
        changed |= {"pulse_s": swept["pulse_us"] * 1e-6, "tip_deg": made.tip_deg * swept["pulse_us"] * 1e-6 / made.pulse_s}
    if "carrier_ppm" in swept:
        changed["carrier_MHz"] = made.reference_MHz * (1.0 + swept["carrier_ppm"] * 1e-6)
    return replace(made, **changed)


def _checked(order: AcquisitionOrder, values: Mapping[str, Any], reference_MHz: float) -> Parameters:
    try:
        numbers = {name: float(value) for name, value in values.items()}
        recycle_s = float(order.recycle_s)
    except (TypeError, ValueError) as error:
        raise ValueError(f"a parameter is no number: {error}") from None
    if not all(math.isfinite(number) for number in (*numbers.values(), recycle_s)):
        raise ValueError("a parameter is not a finite number")
    carrier_MHz = numbers.pop("carrier_MHz", reference_MHz * (1.0 + numbers["carrier_ppm"] * 1e-6))
    del numbers["carrier_ppm"]
    points = int(numbers.pop("points"))
    for name in ("pulse", "dead"):
        numbers[f"{name}_s"] = numbers.pop(f"{name}_us") * 1e-6
    made = Parameters(
        order.nucleus,
        order.scans,
        order.dummies,
        recycle_s,
        points,
        numbers["spectral_width_Hz"],
        carrier_MHz,
        reference_MHz,
        numbers["pulse_s"],
        numbers["tip_deg"],
        numbers["dead_s"],
    )
    if min(made.scans, made.points, made.spectral_width_Hz, made.carrier_MHz) <= 0:
        raise ValueError("scans, points, spectral width and carrier must be positive")
    if min(made.dummies, made.recycle_s, made.pulse_s, made.dead_s) < 0:
        raise ValueError("dummies and delays must not be negative")
    return made
