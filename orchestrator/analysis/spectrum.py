"""All that one FID tells by itself: noise, areas of windows, complex lines, the common phase. Pure.

A ``Stream`` is one acquisition on one axis: its chain, its lines, where the last fit came to, and its blanks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.battery import (
    HALF_TURN_deg,
    RESISTIVITY_OHM_m,
    excitation,
    face_excitation,
    seen_depth_um,
    skin_share,
    unsorted_metal,
)
from orchestrator.analysis.chain import Axis, Chain, Complexes, Phase, Processed, peak
from orchestrator.analysis.findings import ALGORITHM, LINES, PULSE, Told
from orchestrator.analysis.fourier import FourierSettings, evolution_s, evolved_s, power_of_two
from orchestrator.analysis.lines import Component, Line, LineFit, LineModel, Sight, fid_noise_sd, points_needed
from orchestrator.analysis.wanted import Wanted
from orchestrator.analysis.windows import Window, lines_of, windows_of
from orchestrator.model.observables import base_name, window_name

Floats = NDArray[np.float64]
Scan = NDArray[np.complex128]

FIT_MARGIN_ppm = 25.0
PHASE_KNOWN_deg = 10.0
PEAK_SNR = 8.0
UNSORTED = "metal"
"""A single line of metal: foil, deposit or both."""
METAL_WITH_SKIN = frozenset({"bulk", UNSORTED})


class Remembered(NamedTuple):
    """What a stream has learned of its first spectra: its phase with the spectrum that it was told from, and its blanks."""

    learned: tuple[Phase, Complexes | None] | None = None
    blanks: tuple[Scan, ...] = ()


class Stream:
    """``data``: of its first ``fid.block``. ``full``: everything there is to tell, for reprocessing and export."""

    def __init__(self, data: Mapping[str, Any], points: int, wanted: Wanted, *, full: bool = False) -> None:
        self._wanted, self._full = wanted, full
        nucleus, cell = str(data["nucleus"]), wanted.cell
        windows = [*windows_of(nucleus, cell, wanted.edits)]
        windows += [Window(window_name(*edges), *edges, metal=True) for edges in wanted.further]
        settings = FourierSettings(
            points=power_of_two(points),
            spectral_width_Hz=data["spectral_width_Hz"],
            group_delay_points=data.get("group_delay_points") or 0.0,
            reversed_axis=bool(data.get("reversed_axis")),
        )
        axis = Axis(data["carrier_MHz"], data["reference_MHz"])
        lines = lines_of(nucleus, cell)
        tracked = _tracked(windows, axis, settings.spectral_width_Hz, lines)
        self.chain = Chain(settings, axis, windows, tracked=(tracked,), evolved_s=self._evolved_s(data))
        self._model = _line_model(data, points, lines, settings)
        self._start: Floats | None = None
        self.fit: LineFit | None = None
        self.blanks: list[Scan] = []
        self.looks = 0
        """So many of its FIDs were looked at."""
        self._pulsed = wanted.pulses.get(str(data["name"]))
        self._nucleus, self._carrier_MHz, self._reference_MHz = nucleus, data["carrier_MHz"], data["reference_MHz"]

    def _tells(self, name: str) -> bool:
        """Of what is told in a reprocessing, or where a rule looks at it."""
        return self._full or name in self._wanted.asked

    def _evolved_s(self, data: Mapping[str, Any]) -> float:
        """By the console's own words, or by the template's pulse alone."""
        found = evolved_s(data.get("parameters") or {})
        pulse_us, tip_deg = self._wanted.pulses.get(data["name"], (0.0, 90.0))
        return evolution_s(pulse_us, tip_deg) if found is None else found

    @property
    def remembered(self) -> Remembered:
        """All that a fit from its own start needs of the spectra before."""
        return Remembered(self.chain.learned, tuple(self.blanks))

    def take_up(self, remembered: Remembered) -> None:
        """Go on where another stream of this kind has come to."""
        self.blanks = list(remembered.blanks)
        if remembered.learned is not None:
            self.chain.learn(*remembered.learned)

    def afresh(self) -> None:
        """The next fit begins from its own start, not from where the last one came to."""
        self._start = None

    def taken_off(self, scan: Scan, context: Mapping[str, Any]) -> Scan | None:
        """The mean of what was measured before the protocol's first current; of a blank itself those before it, of the first itself."""
        earlier = np.mean(self.blanks, axis=0) if self.blanks else None
        if not context["blank"]:
            return earlier
        self.blanks.append(scan)
        return scan if earlier is None else earlier

    def told(self, scan: Scan, data: Mapping[str, Any], blank: Scan | None, scans: int) -> list[Told]:
        """All that complex (1, points), the FID of one scan, tells by itself."""
        raw_sd = fid_noise_sd(scan[0])
        processed = self.chain.process(scan, _noise_less(blank, scan[0], raw_sd), blank)
        wandered = np.exp(1j * np.deg2rad(float(processed.drift.ph0_deg[0])))
        fit = self.fit = self._fitted(scan[0] if blank is None else scan[0] - blank * wandered, float(processed.noise_sd[0]))
        mirrored = bool(data.get("reversed_axis"))
        lines = self._lines(fit, processed, data["reference_MHz"], mirrored=mirrored)
        told = [*self._general(processed, raw_sd, scans), *self._areas(processed, fit, mirrored=mirrored), *lines]
        return told + self._compared(told)

    def _fitted(self, scan: NDArray[np.complex128], noise_sd: float) -> LineFit | None:
        if self._model is None or noise_sd <= 0.0:
            return None
        fit = self._model.fit(scan, start=self._start, noise_sd=noise_sd)
        if fit.converged and all(component.resolved for component in fit.components):
            self._start = fit.start
        return fit

    def _general(self, processed: Processed, noise_sd: float, scans: int) -> Iterator[Told]:
        yield "noise_sd", noise_sd * math.sqrt(scans), None, "", ALGORITHM
        areas = processed.areas
        for n, name in enumerate(areas.names):
            if name == "electrolyte" or self._tells("line_snr"):
                yield f"line_snr({name})", float(processed.whole_snr[0, n]), None, "", ALGORITHM
        if "electrolyte" in areas.names and (sd := float(processed.drift.sd_deg[0])) < 45.0:
            yield "phase(electrolyte)", float(processed.drift.ph0_deg[0]), sd, "deg", ALGORITHM

    def _areas(self, processed: Processed, fit: LineFit | None, *, mirrored: bool) -> Iterator[Told]:
        """Window integrals; where a line of that name is fitted its amplitude is the area, and the window's goes under another name."""
        areas = processed.areas
        asked = {name for pair in self._wanted.differences for name in pair} - {"electrolyte"}
        lines = {component.name for component in fit.components} if fit is not None else set()
        for n, name in enumerate(areas.names):
            if name not in lines:
                yield f"area({name})", float(areas.area[0, n]), float(areas.area_sd[0, n]), "", ALGORITHM
                phase_deg, phase_sd_deg = processed.phase_of(0, name) if name in asked else (0.0, 180.0)
                if phase_sd_deg < PHASE_KNOWN_deg:
                    yield f"phase({name})", -phase_deg if mirrored else phase_deg, phase_sd_deg, "deg", ALGORITHM
                if name in self._wanted.peaks and float(areas.snr[0, n]) > PEAK_SNR:
                    yield from self._peak(processed, n)
            elif self._tells("window_area"):
                yield f"window_area({name})", float(areas.area[0, n]), float(areas.area_sd[0, n]), "", ALGORITHM

    @staticmethod
    def _peak(processed: Processed, n: int) -> Iterator[Told]:
        """Shift and width of the strongest line inside a window, without a model of it."""
        window = processed.windows[n]
        shift_ppm, width_ppm = peak(processed.spectra[0].real, processed.axis_ppm, window.inside(processed.axis_ppm))
        yield f"shift({window.name})", shift_ppm, width_ppm / (2.0 * float(processed.areas.snr[0, n])), "ppm", ALGORITHM
        yield f"width({window.name})", width_ppm, None, "ppm", ALGORITHM

    def _lines(self, fit: LineFit | None, processed: Processed, reference_MHz: float, *, mirrored: bool) -> Iterator[Told]:
        """Fitted lines; of one that is not resolved an upper limit and nothing more. On a mirrored axis phases are mirrored too."""
        if fit is None:
            return
        common_deg = processed.phase.ph0_deg + float(processed.drift.ph0_deg[0])
        for line in fit.components:
            if not line.resolved:
                yield f"upper_limit({line.name})", line.upper_limit, None, "", LINES
                continue
            yield f"area({line.name})", line.amplitude, line.amplitude_sd, "", LINES
            yield f"shift({line.name})", line.shift_ppm, line.shift_sd_ppm, "ppm", LINES
            turned_deg = processed.phase.ph1_deg_per_ppm * (line.shift_ppm - processed.phase.pivot_ppm)
            phase_deg = (line.phase_deg - common_deg - turned_deg + 180.0) % 360.0 - 180.0
            yield f"phase({line.name})", -phase_deg if mirrored else phase_deg, line.phase_sd_deg, "deg", LINES
            yield from self._pulse(line)
            if self._full or line.name in self._wanted.peaks:
                width_Hz, width_sd_Hz = voigt_width(line)
                yield f"width({line.name})", width_Hz / reference_MHz, width_sd_Hz / reference_MHz, "ppm", LINES
        if self._tells("fit_rms"):
            yield "fit_rms", fit.rms_of_maximum, None, "", LINES

    def _pulse(self, line: Component) -> Iterator[Told]:
        """By the template's pulse: the area of a line on resonance, and its metal within one skin depth of a face as if all was seen."""
        if self._pulsed is None:
            return
        pulse_us, tip_deg = self._pulsed
        offset_Hz = (line.shift_ppm * 1e-6 + 1.0) * self._reference_MHz * 1e6 - self._carrier_MHz * 1e6
        thin, doubtful = excitation(offset_Hz, pulse_us, tip_deg)
        if line.name not in METAL_WITH_SKIN:
            if not doubtful:
                yield from self._corrected(line, float(thin), 1.0)
        elif tip_deg < HALF_TURN_deg:
            thick, thick_doubtful = face_excitation(offset_Hz, pulse_us, tip_deg)
            if line.name == UNSORTED and not (doubtful or thick_doubtful):
                yield from self._bounds(line, *unsorted_metal(offset_Hz, pulse_us, tip_deg))
            elif line.name != UNSORTED and not thick_doubtful:
                yield from self._corrected(line, thick, skin_share(tip_deg))
            if self._tells("seen_depth") and line.name != UNSORTED and self._nucleus in RESISTIVITY_OHM_m:
                yield f"seen_depth({line.name})", seen_depth_um(self._nucleus, self._reference_MHz, tip_deg), None, "um", PULSE

    @staticmethod
    def _corrected(line: Component, excited: float, share: float) -> Iterator[Told]:
        yield f"excitation({line.name})", excited, None, "", PULSE
        shown = excited * share
        yield f"corrected_area({line.name})", line.amplitude / shown, line.amplitude_sd / shown, "", PULSE

    @staticmethod
    def _bounds(line: Component, least: float, most: float) -> Iterator[Told]:
        """Of one line that may be foil, deposit or both."""
        yield f"corrected_area_least({line.name})", line.amplitude / most, line.amplitude_sd / most, "", PULSE
        if least > 0.0:
            yield f"corrected_area_most({line.name})", line.amplitude / least, line.amplitude_sd / least, "", PULSE

    def _compared(self, told: Sequence[Told]) -> list[Told]:
        """Differences of phases that rules ask for. A metal's phase is against the common one already."""
        phases = {name: (value, sd) for name, value, sd, _, _ in told if base_name(name) == "phase"}
        found: list[Told] = []
        for first, second in self._wanted.differences:
            one, other = phases.get(f"phase({first})"), phases.get(f"phase({second})")
            if one is not None and other is not None:
                value = one[0] - (0.0 if second == "electrolyte" else other[0])
                sd = math.hypot(one[1] or 0.0, other[1] or 0.0)
                found.append((f"phase_difference_deg({first}, {second})", (value + 180.0) % 360.0 - 180.0, sd, "deg", ALGORITHM))
        return found


def _tracked(windows: Sequence[Window], axis: Axis, spectral_width_Hz: float, lines: Sequence[Line]) -> str:
    """What the common phase is told from: the electrolyte, or, where it is out of sight, metal whose only line has no other beside it."""
    centre_ppm = (axis.carrier_MHz / axis.reference_MHz - 1.0) * 1e6
    half_ppm = 0.5 * spectral_width_Hz / axis.reference_MHz
    seen = {one.name for one in windows if abs(one.low_ppm - centre_ppm) < half_ppm or abs(one.high_ppm - centre_ppm) < half_ppm}
    alone = [line.name for line in lines] == ["metal"]
    return "metal" if alone and "electrolyte" not in seen else "electrolyte"


def _line_model(data: Mapping[str, Any], points: int, lines: Sequence[Line], settings: FourierSettings) -> LineModel | None:
    """The fit of a nucleus' metal lines, where the spectrum shows their window."""
    if not lines:
        return None
    low_ppm = min(line.shift_ppm[0] for line in lines) - FIT_MARGIN_ppm
    high_ppm = max(line.shift_ppm[1] for line in lines) + FIT_MARGIN_ppm
    half_ppm = 0.5 * settings.spectral_width_Hz / data["reference_MHz"]
    centre_ppm = (data["carrier_MHz"] / data["reference_MHz"] - 1.0) * 1e6
    if low_ppm < centre_ppm - half_ppm or high_ppm > centre_ppm + half_ppm:
        return None
    sight = Sight(
        points_needed(lines, points, settings.spectral_width_Hz),
        settings.spectral_width_Hz,
        data["carrier_MHz"],
        data["reference_MHz"],
        (low_ppm, high_ppm),
        group_delay_points=settings.group_delay_points,
        reversed_axis=settings.reversed_axis,
    )
    try:
        return LineModel(sight, lines)
    except ValueError:
        return None


def _noise_less(blank: Scan | None, scan: Scan, raw_sd: float) -> float:
    """Noise of what is left when a blank is taken off; of a blank less itself that of two."""
    if blank is None:
        return raw_sd
    return fid_noise_sd(scan - blank) or math.sqrt(2.0) * raw_sd


def voigt_width(line: Component) -> tuple[float, float]:
    """Full width at half height in Hz (Olivero and Longbothum 1977, good to 0.02 %), and its standard error where one part is held."""
    root_Hz = math.sqrt(0.2166 * line.lorentz_Hz**2 + line.gauss_Hz**2)
    by_lorentz, by_gauss = 0.5346 + 0.2166 * line.lorentz_Hz / root_Hz, line.gauss_Hz / root_Hz
    return 0.5346 * line.lorentz_Hz + root_Hz, math.hypot(by_lorentz * line.lorentz_sd_Hz, by_gauss * line.gauss_sd_Hz)
