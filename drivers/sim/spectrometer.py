"""The spectrometer of the twin: from lines to a summed FID in ADC counts.

    s(t_k) = e^(i phi) sum_j A_j V_j(t_k + t_d) e^(2 pi i (f_j - f_carrier)(t_k + t_d)) + noise,  t_k = k / SW

A_j holds amount, skin depth, excitation, saturation and the number of scans; V(t) = exp(-2 pi g t - 2 (pi s t)^2).
Populations are the mean of ``AVERAGED`` equal parts of the time from the end of the dummies to the end of the scan.
The digital filter stops a line that lies outside the spectral width by more than its own; a broader one folds (inferred).
Noise grows with the root of the scans; each scan clips at +-32767 counts (here: the sum at scans times that). Positive
frequency is above the carrier. What the last acquisition of a nucleus left saturated recovers until the next begins.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from drivers.sim import image, noise
from drivers.sim.faults import Faults
from drivers.sim.hopping import narrowed, stored
from drivers.sim.nuclei import Amount, LineParameters, Nuclei, excite, nodes_of, saturate
from drivers.sim.physics import Scan
from drivers.sim.quadrupolar import pattern
from drivers.sim.sequences import ENCODED, PICTURES, Pulse, course, recovered, settle, shape
from drivers.sim.spinning import sidebands, spun

ADC_LIMIT = 32767.0
AVERAGED = 8
FILTERED = 3.0
"""A line so many widths outside the spectral width is stopped by the digital filter."""
GONE = 32.0  # exponent at which a line has decayed below everything: e^-32 = 1e-14
SINGLE_PULSE = frozenset({"one_pulse", "nutation"})
Amounts = Callable[[Any, str, float], list[Amount]]
"""The lines of a nucleus in one state of the cell, at a Larmor frequency in MHz."""
WALK_PURPOSE, FID_PURPOSE = 0x50484153, 0x464944


@dataclass(frozen=True, slots=True)
class SpectrometerParameters:
    """The console and probe. Defaults: domain.md 5.2, [H]."""

    phase_deg: float = 0.0
    phase_walk_deg: float = 0.2
    phase_walk_every_s: float = 290.0
    probe_Q: float = 100.0


class Left(NamedTuple):
    """What one acquisition found and left: longitudinal magnetisation by line, before its first and after its last pulse."""

    t_start_s: float
    t_end_s: float
    found: dict[str, list[float]]
    found_at_s: float
    left: dict[str, list[float]]


class Spectrometer:
    """Acquires; remembers only what saturation needs."""

    def __init__(
        self,
        parameters: SpectrometerParameters,
        nuclei: Nuclei,
        amounts: Amounts,
        *,
        field_T: float,
        stray_T_per_m: float = 0.0,
        spinning_Hz: float = 0.0,
        temperature_K: float = 298.0,
        faults: Faults,
        seed: int,
        pictures: image.Pictures | None = None,
    ) -> None:
        self.parameters = parameters
        self.nuclei = nuclei
        self.amounts = amounts
        self.field_T = field_T
        self.stray_T_per_m = stray_T_per_m
        self.spinning_Hz = spinning_Hz
        self.temperature_K = temperature_K
        self.faults = faults
        self.seed = seed
        self.pictures = pictures
        self._left: dict[str, Left] = {}
        self._walk_deg = [0.0]

    def larmor_MHz(self, nucleus: str) -> float:
        """Frequency of 0 ppm; raises ValueError for a nucleus that the twin does not have."""
        try:
            return self.nuclei.nucleus[nucleus].MHz_per_T * self.field_T
        except KeyError:
            raise ValueError(f"the twin has no `{nucleus}`; it has: {', '.join(self.nuclei.nucleus)}") from None

    def acquire(self, scan: Scan, state_at: Callable[[float], Any]) -> NDArray[np.complex128]:
        """complex128 (points,): the summed FID; ``state_at`` gives the cell at an instant."""
        _check(scan)
        larmor_MHz = self.larmor_MHz(scan.nucleus)
        signal = np.zeros(scan.points, dtype=np.complex128)
        probe = self._probe(scan)
        middle_s = 0.5 * (scan.t_start_s + scan.t_end_s)
        lines = self._amplitudes(scan, larmor_MHz, state_at, probe)
        if scan.sequence in PICTURES:
            self._encode(signal, scan, lines, larmor_MHz, state_at(middle_s))
        else:
            state = state_at(middle_s) if scan.sequence in ENCODED else None
            for amount, amplitude in lines:
                if state is not None:
                    amplitude *= self._pictures.encode(scan, state, amount)  # noqa: PLW2901
                offset_Hz = (larmor_MHz * (1.0 + amount.shift_ppm * 1e-6) - scan.carrier_MHz) * 1e6
                self._add(signal, scan, amount.environment, amplitude, offset_Hz)
        turned = cmath.exp(1j * math.radians(self.parameters.phase_deg + self.walk_deg(middle_s)))
        gain = self._gain(middle_s)
        signal *= turned * gain * (0.0 if self.faults.any("amplifier_trip", middle_s) else 1.0)
        signal += gain * self._noise(scan, middle_s)
        limit = ADC_LIMIT * scan.scans
        return np.clip(signal.real, -limit, limit) + 1j * np.clip(signal.imag, -limit, limit)

    # ---------------------------------------------------------------------------------------------------------- signal

    def _amplitudes(self, scan: Scan, larmor_MHz: float, state_at: Callable[[float], Any], probe: complex) -> list[tuple[Amount, complex]]:
        """Complex amplitude of every line, all scans summed."""
        parameters = self.nuclei.nucleus[scan.nucleus]
        repetition_s = _repetition_s(scan)
        before, gap_s, found_at_s = self._found(scan)
        found: dict[str, list[float]] = {}
        left: dict[str, list[float]] = {}
        result = []
        for slot, amount in enumerate(self._mean_amounts(scan, larmor_MHz, state_at)):
            line, nodes = parameters.lines[amount.environment], nodes_of(amount, self.nuclei.geometry, larmor_MHz)
            name = f"{slot}.{amount.environment}"
            earlier = np.array(before.get(name, [1.0] * nodes.reach.size))
            rested = 1.0 - (1.0 - earlier) * math.exp(-gap_s / line.T1_s)
            offset_Hz = (larmor_MHz * (1.0 + amount.shift_ppm * 1e-6) - scan.carrier_MHz) * 1e6
            tipped, kept = excite(_tip(scan, probe) * nodes.reach, scan.pulse_s, offset_Hz)
            if scan.sequence in SINGLE_PULSE:
                mean, after = saturate(rested, kept, math.exp(-repetition_s / line.T1_s), scan.dummies, scan.scans)
            else:
                tipped, mean, after = self._through(scan, line, Pulse(tipped, kept, _tip(scan, probe) * nodes.reach), rested, offset_Hz)
            found[name], left[name] = earlier.tolist(), after.tolist()
            total = complex(np.sum(nodes.weight * tipped * mean)) * probe * probe / abs(probe)
            counts = scan.scans * parameters.counts_per_umol * amount.umol
            result.append((amount, counts * self._rephased(amount, larmor_MHz, scan) * total))
        self._left[scan.nucleus] = Left(scan.t_start_s, self._last_pulse_s(scan), found, found_at_s, left)
        return self._exchanged(scan, larmor_MHz, result) if scan.sequence == "exchange" else result

    def _exchanged(self, scan: Scan, larmor_MHz: float, lines: list[tuple[Amount, complex]]) -> list[tuple[Amount, complex]]:
        """Each line labelled by the cosine of what it turned in the evolution time (inferred: of both phases one), then mixed."""
        parameters, t_s, labels = self.nuclei.nucleus[scan.nucleus], scan.evolution_s, []
        for amount, _ in lines:
            line = parameters.lines[amount.environment]
            turned = (larmor_MHz * (1.0 + amount.shift_ppm * 1e-6) - scan.carrier_MHz) * 2e6 * math.pi * t_s
            decay = 2.0 * math.pi * line.lorentz_half_width_Hz * t_s + 2.0 * (math.pi * line.gauss_sd_Hz * t_s) ** 2
            labels.append(math.cos(turned) * math.exp(-decay))
        amounts, names = [amount.umol for amount, _ in lines], [amount.environment for amount, _ in lines]
        shown = stored(np.array(labels), amounts, names, parameters.exchanging, scan.delay_s)
        return [(amount, size * float(label)) for (amount, size), label in zip(lines, shown, strict=True)]

    def _through(
        self, scan: Scan, line: LineParameters, pulse: Pulse, rested: NDArray[np.float64], offset_Hz: float
    ) -> tuple[NDArray[np.complex128], NDArray[np.float64], NDArray[np.float64]]:
        """(n,) what is seen of m where it is read, (n,) mean of that m over the counted scans, (n,) m at the end of the last."""
        turning = excite(2.0 * pulse.tip_rad, 2.0 * scan.pulse_s, offset_Hz)
        gone = course(scan, pulse, Pulse(*turning, 2.0 * pulse.tip_rad), line.times)
        mean, last = settle(rested, gone.left.then(recovered(scan.recycle_s, line.T1_s)), scan.dummies, scan.scans)
        return gone.seen, gone.ready.at(mean), gone.left.at(last)

    def _encode(
        self, signal: NDArray[np.complex128], scan: Scan, lines: list[tuple[Amount, complex]], larmor_MHz: float, state: Any
    ) -> None:
        """One row of k-space: of each line what it has, where it lies."""
        for amount, amplitude in lines:
            line = self.nuclei.nucleus[scan.nucleus].lines[amount.environment]
            offset_Hz = (larmor_MHz * (1.0 + amount.shift_ppm * 1e-6) - scan.carrier_MHz) * 1e6
            signal += amplitude * self._pictures.row(scan, state, amount, offset_Hz, (line.times, line.T2_sd_s))

    @property
    def _pictures(self) -> image.Pictures:
        if self.pictures is None:
            raise ValueError("this twin has no images")
        return self.pictures

    def _mean_amounts(self, scan: Scan, larmor_MHz: float, state_at: Callable[[float], Any]) -> list[Amount]:
        begin_s = min(scan.t_end_s, scan.t_start_s + scan.dummies * _repetition_s(scan))
        part_s = (scan.t_end_s - begin_s) / AVERAGED
        rows = [self.amounts(state_at(begin_s + (n + 0.5) * part_s), scan.nucleus, larmor_MHz) for n in range(AVERAGED)]
        found = [_mean(column) for column in zip(*rows, strict=True)]
        return found if self.stray_T_per_m == 0.0 else self._strayed(found, state_at(0.5 * (begin_s + scan.t_end_s)))

    def _strayed(self, amounts: list[Amount], state: Any) -> list[Amount]:
        """Each line as slices along z, each at the frequency that the field has there."""
        found: list[Amount] = []
        for amount in amounts:
            z_mm, shown = self._pictures.slices(state, amount)
            moved_ppm = 1e3 * self.stray_T_per_m / self.field_T * z_mm
            found += [
                amount._replace(umol=amount.umol * float(part), shift_ppm=amount.shift_ppm + float(ppm))
                for part, ppm in zip(shown, moved_ppm, strict=True)
            ]
        return found

    def _rephased(self, amount: Amount, larmor_MHz: float, scan: Scan) -> complex:
        """Turns the foil's own phase into the one the description asks for."""
        wanted_deg = self.nuclei.geometry.bulk_phase_deg
        if amount.environment != "bulk" or wanted_deg is None:
            return 1.0
        tip_rad = math.radians(scan.tip_deg)
        nodes = nodes_of(amount, self.nuclei.geometry, larmor_MHz)
        own = complex(np.sum(nodes.weight * np.sin(tip_rad * nodes.reach)))
        moss = nodes_of(amount._replace(environment="moss"), self.nuclei.geometry, larmor_MHz)
        beside = complex(np.sum(moss.weight * np.sin(tip_rad * moss.reach)))
        return cmath.exp(1j * (math.radians(wanted_deg) + cmath.phase(beside) - cmath.phase(own)))

    def _add(self, signal: NDArray[np.complex128], scan: Scan, environment: str, amplitude: complex, offset_Hz: float) -> None:
        line = self.nuclei.nucleus[scan.nucleus].lines[environment]
        if abs(offset_Hz) - FILTERED * (line.lorentz_half_width_Hz + line.gauss_sd_Hz) > 0.5 * scan.spectral_width_Hz:
            return
        lorentz = 2.0 * math.pi * line.lorentz_half_width_Hz
        gauss = 0.0 if line.hopping is not None else 2.0 * (math.pi * line.gauss_sd_Hz) ** 2
        reach_s = 2.0 * GONE / (lorentz + math.sqrt(lorentz**2 + 4.0 * gauss * GONE) or 1e-300)
        count = scan.points if scan.sequence == "qcpmg" else min(scan.points, int(reach_s * scan.spectral_width_Hz) + 1)
        t_s = np.arange(count) / scan.spectral_width_Hz + scan.dead_s + (scan.echo_s if scan.sequence in ENCODED else 0.0)
        seen = shape(scan, t_s, offset_Hz, lorentz, gauss)
        if line.hopping is not None:
            seen *= narrowed(t_s, line.gauss_sd_Hz, line.hopping.rate_per_s(self.temperature_K))
        if line.Cq_kHz:
            seen *= pattern(count, 1.0 / scan.spectral_width_Hz, scan.dead_s, line.Cq_kHz, self.larmor_MHz(scan.nucleus))
        if line.anisotropy_ppm:
            sizes = sidebands(line.anisotropy_ppm * self.larmor_MHz(scan.nucleus), line.asymmetry, self.spinning_Hz)
            seen *= spun(count, 1.0 / scan.spectral_width_Hz, scan.dead_s, sizes, self.spinning_Hz)
        signal[:count] += amplitude * seen

    # ------------------------------------------------------------------------------------------------------ saturation

    def _found(self, scan: Scan) -> tuple[Mapping[str, list[float]], float, float]:
        """What the acquisition before left, for how long it has recovered, and when it was left."""
        last = self._left.get(scan.nucleus)
        if last is None:
            return {}, 0.0, scan.t_start_s
        if scan.t_start_s <= last.t_start_s:  # asked again: the same start finds the same magnetisation
            return last.found, max(0.0, scan.t_start_s + scan.recycle_s - last.found_at_s), last.found_at_s
        return last.left, max(0.0, scan.t_start_s + scan.recycle_s - last.t_end_s), last.t_end_s

    def _last_pulse_s(self, scan: Scan) -> float:
        over_s = scan.t_start_s + (scan.dummies + scan.scans) * _repetition_s(scan)
        return over_s - scan.points / scan.spectral_width_Hz if scan.sequence in SINGLE_PULSE else over_s

    # ------------------------------------------------------------------------------------------------------ the console

    def walk_deg(self, t_s: float) -> float:
        """Slow random walk of the phase at ``t_s``: a sum of steps drawn from the seed, straight in between."""
        place = max(0.0, t_s) / self.parameters.phase_walk_every_s
        whole = int(place)
        while len(self._walk_deg) < whole + 2:
            step_deg = noise.normal_pair(self.seed, len(self._walk_deg), WALK_PURPOSE)[0] * self.parameters.phase_walk_deg
            self._walk_deg.append(self._walk_deg[-1] + step_deg)
        return self._walk_deg[whole] + (place - whole) * (self._walk_deg[whole + 1] - self._walk_deg[whole])

    def _probe(self, scan: Scan) -> complex:
        """Response of the detuned probe, 1 when tuned (domain.md 5.2)."""
        response = 1.0 + 0.0j
        for fault in self.faults.active("detuning_ramp", scan.t_end_s):
            away_MHz = fault.size * 1e-3 * (scan.t_end_s - fault.start_s) / 3600.0
            response /= 1.0 + 2.0j * self.parameters.probe_Q * away_MHz / scan.carrier_MHz
        return response

    def _gain(self, t_s: float) -> float:
        return math.prod(fault.size for fault in self.faults.active("gain_changed", t_s))

    def _noise(self, scan: Scan, t_s: float) -> NDArray[np.complex128]:
        """complex128 (points,): noise of all scans."""
        parameters = self.nuclei.nucleus[scan.nucleus]
        width = math.sqrt(scan.scans * scan.spectral_width_Hz / parameters.noise_at_spectral_width_Hz)
        sd = parameters.noise_counts * width * math.prod(fault.size for fault in self.faults.active("filter_fault", t_s))
        purpose = FID_PURPOSE + int.from_bytes(scan.nucleus.encode(), "big")
        drawn = noise.generator(self.seed, round(scan.t_start_s * 1e9) + scan.scans, purpose).standard_normal((scan.points, 2))
        drawn *= sd
        return drawn.view(np.complex128)[:, 0]

    # -------------------------------------------------------------------------------------------------------- snapshot

    def snapshot(self) -> dict[str, Any]:
        """JSON data: what saturation remembers."""
        return {nucleus: left._asdict() for nucleus, left in self._left.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a snapshot."""
        self._left = {nucleus: Left(**left) for nucleus, left in state.items()}


def _mean(column: tuple[Amount, ...]) -> Amount:
    numbers = ([amount.umol, amount.shift_ppm, amount.depth] for amount in column)
    umol, shift_ppm, depth = (sum(values) / len(column) for values in zip(*numbers, strict=True))
    return Amount(column[0].environment, umol, shift_ppm, depth, column[0].side)


def _repetition_s(scan: Scan) -> float:
    return scan.recycle_s + scan.wait_s + scan.points / scan.spectral_width_Hz


def _tip(scan: Scan, probe: complex) -> float:
    return math.radians(scan.tip_deg) * abs(probe)


def _check(scan: Scan) -> None:
    if scan.scans < 1 or scan.dummies < 0 or scan.points < 1:
        raise ValueError("a scan needs at least one scan and one point")
    numbers = (
        scan.t_start_s,
        scan.t_end_s,
        scan.recycle_s,
        scan.spectral_width_Hz,
        scan.carrier_MHz,
        scan.pulse_s,
        scan.tip_deg,
        scan.dead_s,
    )
    if not all(math.isfinite(number) for number in numbers) or scan.t_end_s < scan.t_start_s or scan.spectral_width_Hz <= 0:
        raise ValueError(f"impossible scan: {scan}")
