"""The kinds of acquisition: what a template of the rig may name as its ``series``. One table (domain.md 8), pure data.

A kind says which sequence it runs (``drivers.base.SEQUENCES``), what it sweeps, its parameters with unit and limits, its
phase cycle, and which windows it is looked at in. Values inside the limits are the site's own business. Limits are inferred
for static cells at 7 to 16 T (domain.md 2.2, mostly practice knowledge) unless said otherwise; a site that knows better writes a
template that clones its own data set.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from drivers.base import ONE_PULSE


@dataclass(frozen=True, slots=True)
class SweptAxis:
    """What an acquisition may sweep: its column in ``run.h5``, the column's unit and label, and what of it makes one SI unit."""

    name: str
    column: str
    units: str
    label: str


AXES: Mapping[str, SweptAxis] = {
    axis.name: axis
    for axis in (
        SweptAxis("TE_ms", "TE", "ms", "Echo time / ms"),
        SweptAxis("tau_ms", "delay", "ms", "Recovery delay / ms"),
        SweptAxis("pulse_us", "pulse", "us", "Pulse length / us"),
        SweptAxis("gradient_percent", "gradient", "percent", "Gradient / percent of full scale"),
        SweptAxis("carrier_ppm", "carrier", "ppm", "Transmitter / ppm"),
        SweptAxis("mixing_ms", "mixing", "ms", "Mixing time / ms"),
        SweptAxis("evolution_us", "evolution", "us", "Evolution time / us"),
    )
}
"""By the name that an experiment writes."""


class Parameter(NamedTuple):
    """One number of a template: its name carries the unit. ``needed``: a template of this kind must say it."""

    name: str
    low: float
    high: float
    needed: bool = False


PULSE = Parameter("pulse_us", 0.5, 100.0)
POINTS = Parameter("points", 32, 524288)
WIDTH = Parameter("spectral_width_Hz", 1e3, 5e6)
COMMON = (PULSE, POINTS, WIDTH, Parameter("tip_deg", 0.0, 360.0), Parameter("power_W", 0.0, 2000.0))
ECHO = Parameter("TE_ms", 0.01, 1000.0)
DELAY = Parameter("tau_ms", 0.01, 60_000.0)
VIEWS = Parameter("views", 4, 512, needed=True)
FIELD = (Parameter("field_of_view_mm", 0.1, 200.0, needed=True), Parameter("read_field_of_view_mm", 0.1, 200.0, needed=True))


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of acquisition.

    ``sequence``: "" where the console measures nothing by itself; ``written_as`` then says how an experiment asks for it.
    ``rows``: what is swept inside one data set; ``per_block``: what has a data set for each value. ``phase_cycle``: scans are a
    multiple of it. ``pulses``: of a scan (the parameter of that name multiplies them). ``most_duty``: of the time under RF;
    ``most_pulse_J``: power x time of one pulse, where the template says its power. ``windows``: lines to look at, by name.
    """

    name: str
    text: str
    sequence: str = ONE_PULSE
    nuclei: tuple[str, ...] = ()
    rows: str = ""
    per_block: str = ""
    parameters: tuple[Parameter, ...] = ()
    phase_cycle: int = 4
    least_recycle_s: float = 0.01
    pulses: int = 1
    most_duty: float = 0.02
    most_pulse_J: float = 0.1
    windows: tuple[str, ...] = ()
    observables: tuple[str, ...] = ()
    written_as: str = ""

    def parameter(self, name: str) -> Parameter | None:
        """One of its parameters, or of those that all have."""
        return next((one for one in (*self.parameters, *COMMON) if one.name == name), None)

    @property
    def swept(self) -> tuple[str, ...]:
        """Names of what it can sweep."""
        return tuple(name for name in (self.rows, self.per_block) if name)

    def duty(self, pulse_us: float, repetition_s: float, template: Mapping[str, Any]) -> float:
        """The part of the time under RF."""
        many = float(template.get("echoes", 1)) if self.sequence in {"cpmg", "qcpmg"} else 1.0
        return self.pulses * many * pulse_us * 1e-6 / repetition_s if repetition_s > 0 else 1.0


LITHIUM, SODIUM = ("7Li",), ("23Na",)
METAL_Li, METAL_Na = ("bulk", "moss", "electrolyte"), ("metal", "ionic")
OF_TWO = "an interleave: write it as `of: [a, b]` of two acquisitions"


def _kinds() -> Iterator[Kind]:
    one = {"windows": METAL_Li, "nuclei": LITHIUM}
    yield Kind("series_1p_7Li_metal", "single pulse on lithium metal", least_recycle_s=0.05, **one)  # type: ignore[arg-type]
    yield Kind("series_1p_7Li_wide", "quantitative single pulse, wide window", least_recycle_s=0.2, **one)  # type: ignore[arg-type]
    yield Kind("series_1p_23Na_metal", "single pulse on sodium metal", nuclei=SODIUM, windows=METAL_Na)
    yield Kind("series_1p_23Na_ionic", "single pulse on sodium ions", nuclei=SODIUM, least_recycle_s=0.02, windows=("ionic",))
    yield Kind("series_1p", "single pulse on any other nucleus")
    yield Kind("dual_offset_23Na", "two carriers for sodium, ions and metal", sequence="", nuclei=SODIUM, written_as=OF_TWO)
    yield Kind("dual_nucleus_7Li_23Na", "lithium and sodium in turn", sequence="", written_as=OF_TWO)
    yield Kind("dual_7Li_133Cs", "lithium and caesium in turn", sequence="", written_as=OF_TWO)
    yield Kind("dual_1H_19F_7Li", "three nuclei of an electrolyte in turn", sequence="", written_as="an interleave: `of: [a, b, c]`")
    yield Kind("hahn_echo", "Hahn echo", sequence="hahn_echo", parameters=(ECHO._replace(needed=True),), phase_cycle=8, pulses=3)
    yield Kind(
        "vocs_echo", "Hahn echoes at several carriers, added up", sequence="hahn_echo", per_block="carrier_ppm",
        parameters=(ECHO._replace(needed=True), Parameter("carrier_ppm", -1e5, 1e5)), phase_cycle=8, pulses=3,
    )  # fmt: skip
    relaxing = {"parameters": (DELAY,), "observables": ("T1",)}
    yield Kind(
        "sr_T1", "T1 by saturation recovery", sequence="saturation_recovery", rows="tau_ms", phase_cycle=4, pulses=33,
        **relaxing,  # type: ignore[arg-type]
    )  # fmt: skip
    yield Kind(
        "ir_T1", "T1 by inversion recovery", sequence="inversion_recovery", rows="tau_ms", phase_cycle=4, pulses=3,
        **relaxing,  # type: ignore[arg-type]
    )  # fmt: skip
    yield Kind(
        "echo_T2", "T2 by Hahn echoes of variable time, one refocusing each", sequence="hahn_echo", rows="TE_ms", parameters=(ECHO,),
        phase_cycle=8, pulses=3, observables=("T2",),
    )  # fmt: skip
    yield Kind(
        "cpmg_T2", "T2 by echo trains (not inside metal: it mixes T1 in)", sequence="cpmg", rows="TE_ms",
        parameters=(ECHO, Parameter("echoes", 1, 1024)), phase_cycle=4, pulses=2, observables=("T2",),
    )  # fmt: skip
    yield Kind(
        "qcpmg", "echo train in one FID, for broad quadrupolar lines", sequence="qcpmg",
        parameters=(Parameter("echoes", 2, 200, needed=True), Parameter("echo_spacing_us", 20, 5000, needed=True)), phase_cycle=4, pulses=2,
    )  # fmt: skip
    yield Kind("nutation", "pulse lengths, for the 90 degree pulse", sequence="nutation", rows="pulse_us", parameters=(PULSE,))
    yield Kind(
        "exsy2d", "exchange between lines, in two dimensions", sequence="exchange", rows="evolution_us", per_block="mixing_ms",
        parameters=(Parameter("mixing_ms", 0.01, 10_000), Parameter("evolution_us", 0.0, 100_000.0)), phase_cycle=8, pulses=3,
    )  # fmt: skip
    yield Kind(
        "pfg_ste", "diffusion by stimulated echoes under gradients", sequence="stimulated_echo", rows="gradient_percent",
        parameters=(
            Parameter("gradient_percent", -100, 100), Parameter("full_gradient_T_per_m", 1e-3, 50, needed=True),
            Parameter("gradient_ms", 0.1, 20, needed=True), Parameter("diffusion_ms", 1, 2000, needed=True), ECHO,
        ),
        phase_cycle=16, pulses=3, observables=("D",),
    )  # fmt: skip
    yield Kind("csi_1d", "a spectrum for each slice along z", sequence="phase_encoded_fid", parameters=(VIEWS, FIELD[0], ECHO))
    image = {"parameters": (VIEWS, *FIELD, ECHO), "pulses": 3, "windows": ("metal",)}
    yield Kind("se2d_image", "spin-echo image of the metal's skins", sequence="image_se", phase_cycle=2, **image)  # type: ignore[arg-type]
    yield Kind(
        "se2d_T2map", "spin-echo images at several echo times, for a map of T2", sequence="image_se", per_block="TE_ms", phase_cycle=2,
        observables=("T2_electrode", "T2_cluster", "cluster_pixels"), **image,  # type: ignore[arg-type]
    )  # fmt: skip
    yield Kind("ge2d_image", "gradient-echo image", sequence="image_ge", phase_cycle=2, **{**image, "pulses": 1})  # type: ignore[arg-type]
    yield Kind(
        "ge3d_1H", "gradient-echo volume of the electrolyte's protons", sequence="volume_ge", nuclei=("1H",), parameters=(VIEWS, *FIELD)
    )
    yield Kind("mas_hahn", "Hahn echo of a spinning rotor", sequence="magic_angle_spinning", parameters=(ECHO,), phase_cycle=8)
    yield Kind("mas_matpass", "side bands sorted by pj-MATPASS", sequence="magic_angle_spinning", phase_cycle=9)
    by_steps = "steps: `{set: temperature, …}`, and the same acquisition at each"
    yield Kind("vt_array", "the same at several temperatures", sequence="", written_as=by_steps)
    yield Kind("reference_check", "the external reference", windows=("electrolyte", "ionic"), phase_cycle=1)
    yield Kind(
        "noise_check", "the receiver alone, no pulse", parameters=(PULSE._replace(low=0.0),), phase_cycle=1, observables=("noise_sd",)
    )
    yield Kind(
        "tune_only", "tuning and matching, no acquisition", sequence="", written_as="`prepare: [tune]`, or `retune` of an interleave"
    )
    yield Kind(
        "eis_gap", "no RF while an impedance spectrum is taken", sequence="", written_as="`eis: at end` of a step: the console waits"
    )


KINDS: Mapping[str, Kind] = {kind.name: kind for kind in _kinds()}


def kind_of(template: Mapping[str, Any]) -> Kind | None:
    """The kind of a template as planned (its ``series``); None where it clones a data set of the site."""
    return KINDS.get(str(template.get("series")))
