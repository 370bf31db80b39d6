"""The nuclei and the spectrometer: lines where they belong, with the phase, saturation and noise of the books."""

from __future__ import annotations

import cmath
import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.optimize import least_squares

from drivers.sim.nuclei import excite, filament_nodes, foil_nodes, saturate, skin_depth_um
from drivers.sim.physics import Scan
from drivers.sim.twin import Twin

HOUR_S = 3600.0


def description(*, noise: bool = False, **geometry: Any) -> dict[str, Any]:
    """C1 without noise and phase walk unless asked; ``geometry`` overrides."""
    from drivers.sim.nuclei import Nuclei

    lines = {
        name: {
            "MHz_per_T": nucleus.MHz_per_T,
            "counts_per_umol": nucleus.counts_per_umol,
            "noise_counts": nucleus.noise_counts if noise else 0.0,
            "lines": {
                line: {
                    "shift_ppm": p.shift_ppm,
                    "lorentz_half_width_Hz": p.lorentz_half_width_Hz,
                    "gauss_sd_Hz": p.gauss_sd_Hz,
                    "T1_s": p.T1_s,
                }
                for line, p in nucleus.lines.items()
            },
        }
        for name, nucleus in Nuclei().nucleus.items()
    }
    return {"spectrometer": {"phase_walk_deg": 0.0}, "nuclei": {"geometry": geometry, "nucleus": lines}}


def keep_lines(said: dict[str, Any], *names: str) -> None:
    lithium = said["nuclei"]["nucleus"]["7Li"]
    lithium["lines"] = {name: lithium["lines"][name] for name in names}


def a_scan(twin: Twin, **given: Any) -> Scan:
    nucleus = given.get("nucleus", "7Li")
    base: dict[str, Any] = {
        "nucleus": nucleus,
        "t_start_s": 0.0,
        "t_end_s": 10.0,
        "scans": 1,
        "dummies": 0,
        "recycle_s": 10.0,
        "points": 4096,
        "spectral_width_Hz": 93458.0,
        "carrier_MHz": twin.larmor_MHz(nucleus) * (1 + 137e-6),
    }
    return Scan(**(base | given))


def peak_ppm(twin: Twin, scan: Scan, low: float, high: float) -> float:
    shifts, spectrum = spectrum_of(twin, scan)
    inside = (shifts > low) & (shifts < high)
    return float(shifts[inside][spectrum[inside].real.argmax()])


def spectrum_of(twin: Twin, scan: Scan) -> tuple[NDArray[np.float64], NDArray[np.complex128]]:
    fid = twin.acquire(scan)
    fid[0] *= 0.5
    size = 1 << 15
    frequency_Hz = np.fft.fftshift(np.fft.fftfreq(size, 1.0 / scan.spectral_width_Hz))
    reference_MHz = twin.larmor_MHz(scan.nucleus)
    shifts = (scan.carrier_MHz - reference_MHz + frequency_Hz * 1e-6) / reference_MHz * 1e6
    delay_s = scan.dead_s + 2.0 / math.pi * scan.pulse_s
    return shifts, np.fft.fftshift(np.fft.fft(fid, size)) * np.exp(-2j * math.pi * frequency_Hz * delay_s)


def test_lines_lie_where_the_reference_run_has_them_and_bulk_and_moss_are_resolved() -> None:
    twin = Twin(description(), seed=1)
    twin.drive_current(0.0, 4e-4)
    scan = a_scan(twin, t_start_s=17.9 * HOUR_S, t_end_s=18 * HOUR_S)
    assert peak_ppm(twin, scan, -50, 50) == pytest.approx(-0.8, abs=0.2)
    assert peak_ppm(twin, scan, 200, 320) == pytest.approx(267, abs=1.5)
    shifts, spectrum = spectrum_of(twin, scan)
    size = np.abs(spectrum)
    valley = size[(shifts > 249) & (shifts < 262)].min()
    assert size[(shifts > 243) & (shifts < 249)].max() > 1.3 * valley
    fresh = Twin(description(), seed=1)
    shifts, spectrum = spectrum_of(fresh, a_scan(fresh))
    metal = np.abs(np.where(shifts > 200, spectrum, 0.0))
    assert shifts[metal.argmax()] == pytest.approx(246.9, abs=0.3)


def test_sense_of_rotation_positive_is_above_the_carrier() -> None:
    said = description()
    keep_lines(said, "bulk")
    twin = Twin(said, seed=1)
    carriers_MHz = [twin.larmor_MHz("7Li") * (1 + ppm * 1e-6) for ppm in (240, 254)]
    turns = [float(np.angle(np.divide(*twin.acquire(a_scan(twin, carrier_MHz=carrier_MHz))[1::-1]))) for carrier_MHz in carriers_MHz]
    assert turns[0] > 0.03
    assert turns[1] < -0.03


def test_sodium_has_a_line_near_zero() -> None:
    twin = Twin(description(), seed=1)
    assert twin.larmor_MHz("23Na") == pytest.approx(79.4, abs=0.1)
    scan = a_scan(twin, nucleus="23Na", carrier_MHz=twin.larmor_MHz("23Na"))
    assert peak_ppm(twin, scan, -500, 500) == pytest.approx(-2.0, abs=0.5)


def test_an_unknown_nucleus_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="no `31P`; it has: 7Li, 23Na"):
        Twin({}, seed=1).larmor_MHz("31P")


@pytest.mark.parametrize("wrong", [{"scans": 0}, {"recycle_s": math.nan}, {"t_end_s": -1.0}, {"spectral_width_Hz": 0.0}])
def test_impossible_scans_are_refused(wrong: dict[str, Any]) -> None:
    twin = Twin({}, seed=1)
    with pytest.raises(ValueError, match="scan"):
        twin.acquire(a_scan(twin, **wrong))


# ------------------------------------------------------------------------------------------------------------ the books


@pytest.mark.parametrize(("nucleus", "depth_um"), [((92.8, 116.6), 14.2), ((92.8, 155.5), 12.3), ((47.7, 105.9), 10.7)])
def test_skin_depths(nucleus: tuple[float, float], depth_um: float) -> None:
    assert skin_depth_um(*nucleus) == pytest.approx(depth_um, abs=0.1)


@pytest.mark.parametrize(("tip_deg", "size", "phase_deg"), [(45, 0.261, -46.2), (90, 0.431, -50.4), (123, 0.468, -56), (180, 0.387, -79)])
def test_thick_metal_answers_as_domain_4_12_says(tip_deg: float, size: float, phase_deg: float) -> None:
    nodes = foil_nodes(14.0)
    signal = complex(np.sum(nodes.weight * np.sin(math.radians(tip_deg) * nodes.reach)))
    assert abs(signal) == pytest.approx(size, abs=6e-4)
    assert math.degrees(cmath.phase(signal)) == pytest.approx(phase_deg, abs=0.4)


def test_thin_foil_is_unshielded_and_filaments_keep_their_phase() -> None:
    thin = foil_nodes(0.001)
    assert complex(np.sum(thin.weight * np.sin(1.0 * thin.reach))) == pytest.approx(0.001 * math.sin(1.0), rel=3e-3)
    filament = filament_nodes(1.5 / 14.2)
    signal = complex(np.sum(filament.weight * np.sin(math.pi / 2 * filament.reach)))
    assert abs(signal) == pytest.approx(1.0, abs=2e-3)
    assert abs(math.degrees(cmath.phase(signal))) < 1.0


def test_excitation_is_that_of_the_bloch_equations() -> None:
    """Against a product of many small rotations."""
    pulse_s, offset_Hz, tip_rad = 8e-6, 31e3, math.pi / 2
    vector, steps = np.array([0.0, 0.0, 1.0]), 20000
    small_x, small_z = tip_rad / steps, 2 * math.pi * offset_Hz * pulse_s / steps
    for _ in range(steps):
        x, y, z = vector
        y, z = y * math.cos(small_x) - z * math.sin(small_x), y * math.sin(small_x) + z * math.cos(small_x)
        x, y = x * math.cos(small_z) - y * math.sin(small_z), x * math.sin(small_z) + y * math.cos(small_z)
        vector = np.array([x, y, z])
    transverse, longitudinal = excite(np.array([tip_rad]), pulse_s, offset_Hz)
    assert complex(transverse[0]) == pytest.approx(1j * complex(vector[0], vector[1]), abs=1e-4)
    assert longitudinal[0] == pytest.approx(vector[2], abs=1e-4)


def test_saturation_in_closed_form_is_that_of_scan_by_scan() -> None:
    magnetisation, kept, recovery, seen = 0.7, 0.3, 0.55, []
    for _ in range(4 + 10):
        seen.append(magnetisation)
        magnetisation = 1.0 - (1.0 - magnetisation * kept) * recovery
    mean, left = saturate(np.array([0.7]), np.array([kept]), recovery, 4, 10)
    assert mean[0] == pytest.approx(np.mean(seen[4:]), rel=1e-12)
    assert left[0] == pytest.approx(seen[-1] * kept, rel=1e-12)


@pytest.mark.parametrize(("T1_s", "scans", "excess"), [(1.5, 8, 0.17), (1.5, 64, 0.022), (3.0, 8, 0.40), (3.0, 64, 0.05)])
def test_without_dummies_a_rested_electrolyte_looks_like_more(T1_s: float, scans: int, excess: float) -> None:
    """practice.md 7: +17 %, +2.2 %, +40 %, +5 % at TR 0.82 s, 90 degrees."""
    said = description()
    said["nuclei"]["nucleus"]["7Li"]["lines"] = {
        "electrolyte": {"shift_ppm": 0.0, "lorentz_half_width_Hz": 60.0, "gauss_sd_Hz": 150.0, "T1_s": T1_s}
    }

    def area(dummies: int) -> float:
        twin = Twin(said, seed=1)
        larmor_MHz = twin.larmor_MHz("7Li")
        recycle_s = 0.82 - 4096 / 93458.0
        scan = a_scan(twin, scans=scans, dummies=dummies, recycle_s=recycle_s, carrier_MHz=larmor_MHz)
        return float(abs(twin.acquire(scan)[0]))

    assert area(0) / area(50) - 1.0 == pytest.approx(excess, rel=0.12)


def test_saturation_remembers_the_acquisition_before() -> None:
    """A series at short distance starts saturated; after a long rest it does not; asking the same again is the same."""
    said = description()
    quick = {"scans": 8, "recycle_s": 0.1}

    def first_point(wait_s: float) -> float:
        twin = Twin(said, seed=1)
        twin.acquire(a_scan(twin, t_start_s=0.0, t_end_s=1.2, **quick))
        scan = a_scan(twin, t_start_s=1.2 + wait_s, t_end_s=2.4 + wait_s, carrier_MHz=twin.larmor_MHz("7Li"), **quick)
        found = twin.acquire(scan)
        np.testing.assert_array_equal(twin.acquire(scan), found)
        return float(abs(np.sum(found[:200])))

    assert first_point(0.0) < 0.75 * first_point(60.0)


def test_detuning_lowers_everything_and_turns_the_phase() -> None:
    tuned, detuned = (Twin(description() | {"faults": faults}, seed=1) for faults in ([], [{"name": "detuning_ramp", "value": 200.0}]))
    one, other = (twin.acquire(a_scan(twin, t_start_s=3590.0, t_end_s=3600.0)) for twin in (tuned, detuned))
    ratio = np.vdot(one[:100], other[:100]) / np.vdot(one[:100], one[:100])
    assert abs(ratio) < 0.95
    assert math.degrees(cmath.phase(ratio)) == pytest.approx(-38.0, abs=3.0)  # practice.md 23: 200 kHz at Q 100


# --------------------------------------------------------------------------------------------------------------- noise


def test_noise_grows_with_the_root_of_scans_and_signal_with_scans() -> None:
    said = description(noise=True)
    twin = Twin(said, seed=3)
    one, many = (twin.acquire(a_scan(twin, scans=scans, t_start_s=float(scans), t_end_s=300.0)) for scans in (1, 64))
    assert one[2000:].real.std() == pytest.approx(82.0, rel=0.05)
    assert many[2000:].imag.std() == pytest.approx(82.0 * 8, rel=0.05)
    assert abs(many[0]) / abs(one[0]) == pytest.approx(64, rel=0.1)


def test_one_scan_of_the_bulk_line_has_the_snr_of_the_reference_run() -> None:
    """domain.md 5.2: SNR1 80 at LB 50 Hz."""
    said = description(noise=True)
    keep_lines(said, "bulk")
    scan = a_scan(Twin(said, seed=3), recycle_s=1.0)
    window = np.exp(-math.pi * 50.0 * np.arange(scan.points) / scan.spectral_width_Hz)
    line, nothing = (Twin(said | {"faults": faults}, seed=3).acquire(scan) * window for faults in ([], [{"name": "amplifier_trip"}]))
    snr = np.abs(np.fft.fft(line)).max() / np.fft.fft(nothing).real.std()
    assert snr == pytest.approx(80.0, rel=0.1)


def test_noise_is_drawn_from_instant_nucleus_and_seed() -> None:
    first, again, other = Twin({}, seed=3), Twin({}, seed=3), Twin({}, seed=4)
    later = {"t_start_s": 20.0, "t_end_s": 30.0}
    again.acquire(a_scan(again, scans=7))
    np.testing.assert_array_equal(first.acquire(a_scan(first, **later))[-50:], again.acquire(a_scan(again, **later))[-50:])
    assert not np.array_equal(first.acquire(a_scan(first, **later)), other.acquire(a_scan(other, **later)))


def test_an_amplifier_trip_leaves_noise_and_a_gain_change_scales() -> None:
    tripped = Twin({"faults": [{"name": "amplifier_trip"}]}, seed=3).acquire(a_scan(Twin({}, seed=3)))
    assert abs(tripped[0]) < 500.0
    full, half = (Twin(description() | {"faults": faults}, seed=3) for faults in ([], [{"name": "gain_changed", "value": 0.5}]))
    np.testing.assert_allclose(half.acquire(a_scan(half)), 0.5 * full.acquire(a_scan(full)), rtol=1e-12)


def test_counts_clip_at_sixteen_bits_a_scan() -> None:
    said = description()
    said["nuclei"]["nucleus"]["7Li"]["counts_per_umol"] = 5000.0
    twin = Twin(said, seed=1)
    fid = twin.acquire(a_scan(twin, scans=4))
    assert max(np.abs(fid.real).max(), np.abs(fid.imag).max()) == 4 * 32767.0


def test_the_phase_walks_slowly_and_reproducibly() -> None:
    twin = Twin({}, seed=3)
    walk = np.array([twin._spectrometer.walk_deg(290.0 * n) for n in range(500)])
    assert np.diff(walk).std() == pytest.approx(0.2, rel=0.15)
    assert Twin({}, seed=3)._spectrometer.walk_deg(290.0 * 400) == walk[400]


# ---------------------------------------------------------------------------------------------------------- round trips


def fit_two_lines(fid: NDArray[np.complex128], scan: Scan, reference_MHz: float) -> tuple[complex, complex]:
    """Complex amplitudes of bulk and moss at the middle of the pulse: shapes free, amplitudes linear (variable projection)."""
    t_s = np.arange(fid.size) / scan.spectral_width_Hz + scan.dead_s

    def design(p: NDArray[np.float64]) -> NDArray[np.complex128]:
        columns = []
        for shift_ppm, lorentz, gauss in (p[:3], p[3:]):
            offset_Hz = (reference_MHz * (1 + shift_ppm * 1e-6) - scan.carrier_MHz) * 1e6
            columns.append(np.exp(2j * np.pi * offset_Hz * t_s - 2 * np.pi * lorentz * t_s - 2 * (np.pi * gauss * t_s) ** 2))
        return np.array(columns).T

    def residual(p: NDArray[np.float64]) -> NDArray[np.float64]:
        model = design(p)
        left = fid - model @ np.linalg.lstsq(model, fid, rcond=None)[0]
        return left.view(np.float64) / np.abs(fid).max()

    start = np.array([246.5, 400.0, 50.0, 267.0, 250.0, 600.0])
    best = least_squares(residual, start, x_scale=np.array([1.0, 100.0, 100.0, 1.0, 100.0, 100.0]), xtol=1e-14, ftol=1e-14)
    model = design(best.x)
    bulk, moss = np.linalg.lstsq(model, fid, rcond=None)[0]
    return complex(bulk), complex(moss)


@pytest.mark.parametrize("hours", [1.8, 6.0, 18.0])
def test_v1_the_phase_difference_put_in_comes_out(hours: float) -> None:
    """V1 of domain.md 5.4: bulk:moss from 1:0.1 to 1:2.5, -42.0 degrees in, -42.0 out; amplitudes within 0.1 %."""
    said = description(bulk_phase_deg=-42.0)
    said["nuclei"]["nucleus"]["7Li"]["lines"] = {
        k: v for k, v in said["nuclei"]["nucleus"]["7Li"]["lines"].items() if k in ("bulk", "moss")
    }
    twin = Twin(said, seed=1)
    twin.drive_current(0.0, 4e-4)
    end_s = hours * HOUR_S
    scan = a_scan(twin, t_start_s=end_s - 60.0, t_end_s=end_s, pulse_s=1e-12, dead_s=5e-6, points=1024)
    bulk, moss = fit_two_lines(twin.acquire(scan), scan, twin.larmor_MHz("7Li"))
    assert math.degrees(cmath.phase(bulk / moss)) == pytest.approx(-42.0, abs=0.02)
    bulk_umol = 1e6 * 4 * 0.4 * skin_depth_um(92.8, twin.larmor_MHz("7Li")) * 1e-4 * 0.534 / 6.94
    assert abs(bulk) == pytest.approx(50.0 * bulk_umol * thick_face(), rel=1e-3)
    moss_umol = 0.45e6 * twin.state(end_s - 30.0).counter.moss_mol
    assert abs(moss) == pytest.approx(50.0 * moss_umol, rel=3e-3)


def thick_face() -> float:
    """|S| of a thick face at 90 degrees, by quadrature of domain.md 4.12."""
    real = quad(lambda u: math.sin(math.pi / 2 * u) * math.cos(2 * math.log(u)), 1e-9, 1, limit=400)[0]
    imaginary = quad(lambda u: math.sin(math.pi / 2 * u) * math.sin(2 * math.log(u)), 1e-9, 1, limit=400)[0]
    return math.hypot(real, imaginary)


def test_the_delay_costs_the_bulk_line_most_of_a_degree_per_microsecond() -> None:
    """practice.md 23: 0.8 degrees a microsecond between bulk and moss at 7 T."""
    twin = Twin({}, seed=1)
    lines = twin.description.nuclei.nucleus["7Li"].lines
    apart_Hz = (lines["moss"].shift_ppm - lines["bulk"].shift_ppm) * twin.larmor_MHz("7Li")
    assert 360.0 * apart_Hz * 1e-6 == pytest.approx(0.8, abs=0.1)


def test_v2_the_rate_of_the_moss_line_falls_in_the_soft_short() -> None:
    """The same profile as in the cell, seen by the spectrometer: complex fits of noiseless FIDs."""
    said = description()
    said["nuclei"]["nucleus"]["7Li"]["lines"] = {
        k: v for k, v in said["nuclei"]["nucleus"]["7Li"]["lines"].items() if k in ("bulk", "moss")
    }
    twin = Twin(said, seed=1)
    twin.drive_current(0.0, 4e-4)

    def moss(hours: float) -> float:
        end_s = hours * HOUR_S
        scan = a_scan(twin, t_start_s=end_s - 10.0, t_end_s=end_s, points=1024)
        return abs(fit_two_lines(twin.acquire(scan), scan, twin.larmor_MHz("7Li"))[1])

    at = {hours: moss(hours) for hours in (15.0, 20.0, 20.5, 22.0, 23.5, 24.3)}
    before = (at[20.0] - at[15.0]) / 5.0
    assert (at[22.0] - at[20.5]) / 1.5 / before == pytest.approx(0.74, abs=0.1)
    assert 0.05 <= (at[24.3] - at[23.5]) / 0.8 / before <= 0.2


def test_populations_are_the_mean_over_the_scan() -> None:
    """A long scan while moss grows shows the amount at the middle, not at either end."""
    said = description()
    keep_lines(said, "moss")
    twin = Twin(said, seed=1)
    twin.drive_current(0.0, 4e-4)
    twin.open_circuit(6 * HOUR_S)
    scan = a_scan(twin, t_start_s=4 * HOUR_S, t_end_s=6 * HOUR_S, recycle_s=1.0, carrier_MHz=twin.larmor_MHz("7Li") * (1 + 267e-6))
    middle = a_scan(twin, t_start_s=5 * HOUR_S - 1, t_end_s=5 * HOUR_S + 1, recycle_s=1.0, carrier_MHz=scan.carrier_MHz)
    assert abs(twin.acquire(scan)[0]) == pytest.approx(abs(twin.acquire(middle)[0]), rel=1e-3)
