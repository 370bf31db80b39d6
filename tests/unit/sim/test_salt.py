"""The salt between two electrodes: against Sand, the steady gradient, and itself in other steps; what lies where along the stack."""

from __future__ import annotations

import math

import numpy as np
import pytest

from drivers.sim.cell_parameters import FARADAY_C_PER_MOL
from drivers.sim.environments import neighbours
from drivers.sim.faults import Faults
from drivers.sim.nuclei import Amount
from drivers.sim.pair import Pair
from drivers.sim.pair_parameters import Beside, Foil, PairParameters, Side, Transport
from drivers.sim.physics import Scan
from drivers.sim.places import Body, Filling, along_mm, filled, place_of
from drivers.sim.salt import Salt, concentration_V, diffused
from drivers.sim.twin import Twin

TRANSPORT = Transport(moss_after_mAh_per_cm2=3.0)
DENSE = Foil(moss_fraction_start=0.0, moss_fraction_charge_mAh_per_cm2=1e6)
PAIR = PairParameters(working=Side(foil=DENSE), counter=Side(foil=DENSE), transport=TRANSPORT)
u = np.linspace(0.0, 1.0, 801)


def current_A(mA_per_cm2: float) -> float:
    return mA_per_cm2 * 1e-3 * PAIR.area_cm2


@pytest.mark.parametrize("mA_per_cm2", [4.0, 8.0])
def test_the_salt_is_gone_at_the_plated_face_after_sands_time(mA_per_cm2: float) -> None:
    of_salt = 1000.0 * FARADAY_C_PER_MOL / (2.0 * 10.0 * mA_per_cm2 * TRANSPORT.anion_number)
    sand_s = math.pi * TRANSPORT.diffusion_m2_per_s * of_salt**2
    for part, gone in ((0.98, False), (1.02, True)):
        working, counter = diffused(PAIR, Salt(), current_A(-mA_per_cm2), part * sand_s).faces
        assert (working <= 0.0) is gone
        assert counter == pytest.approx(2.0 - working)


def test_any_number_of_steps_is_one_step() -> None:
    once, often = diffused(PAIR, Salt(), 3e-4, 5000.0), Salt()
    for span_s in (1.0, 499.0, 1500.0, 3000.0):
        often = diffused(PAIR, often, 3e-4, span_s)
    assert once == pytest.approx(often)


def test_no_salt_is_made_and_in_the_end_the_profile_is_straight() -> None:
    early, late = (diffused(PAIR, Salt(), current_A(0.5), span_s).profile(u) for span_s in (300.0, 1e6))
    for profile in (early, late):
        assert np.trapezoid(profile, u) == pytest.approx(1.0, abs=1e-4)
    gradient = 1e-3 * TRANSPORT.gap_mm * TRANSPORT.anion_number * 5.0 / FARADAY_C_PER_MOL / TRANSPORT.diffusion_m2_per_s / 1000.0
    assert late == pytest.approx(1.0 + gradient * (0.5 - u), abs=1e-6)
    assert concentration_V(TRANSPORT, diffused(PAIR, Salt(), current_A(0.5), 1e6), 298.0) > 0.0


def test_above_the_limiting_current_moss_begins_with_sand_and_below_it_by_charge() -> None:
    for mA_per_cm2, wanted_s in ((5.66, 634.0), (1.0, 10_800.0)):
        cell, t_s = Pair(PAIR, Faults([])), 0.0
        state = cell.driven(cell.fresh(), "current", current_A(-mA_per_cm2))
        while state.moss_s is None and t_s < 20_000.0:
            t_s += 10.0
            state = cell.advance(state, t_s)
        assert state.moss_s == pytest.approx(wanted_s, abs=15.0)
        before = state.working.moss_mol
        state = cell.advance(state, t_s + 100.0)
        assert state.working.moss_mol - before == pytest.approx(mA_per_cm2 * 0.1 / FARADAY_C_PER_MOL * PAIR.area_cm2, rel=1e-6)


def test_what_turns_into_something_else_is_not_lost_and_metal_drives_solvent_out() -> None:
    beside = {"PF6": Beside(100.0, becomes="product", rate_per_h=0.1), "product": Beside(0.0), "H": Beside(50.0, displaced=True)}
    cell = Pair(PairParameters(beside=beside), Faults([]))
    old = cell.fresh()._replace(t_s=36_000.0)
    found = {place.environment: 1e6 * place.mol for place in neighbours(cell, old)}
    assert found["PF6"] == pytest.approx(100.0 * math.exp(-1.0))
    assert found["PF6"] + found["product"] == pytest.approx(100.0)
    metal_mol = 0.1 * 60e-3 * cell.parameters.metal_mol_per_cm3
    mossy = old._replace(working=old.working._replace(moss_mol=metal_mol))
    assert 1e6 * neighbours(cell, mossy)[-1].mol == pytest.approx(45.0)


def test_what_becomes_of_it_must_be_there() -> None:
    with pytest.raises(ValueError, match="`ash` is not beside"):
        PairParameters(beside={"PF6": Beside(1.0, becomes="ash")})


BODY = Body(5.0, 0.2, 0.5, 120.0, counter_host=True)


@pytest.mark.parametrize(
    ("amount", "low_mm", "high_mm"),
    [
        (Amount("bulk", 1.0, 0.0, side="working"), 0.5, 0.7),
        (Amount("LCO", 1.0, 0.0, side="counter"), -1.0, -0.5),
        (Amount("electrolyte", 1.0, 0.0), -0.5, 0.5),
        (Amount("water", 1.0, 0.0, side="outside"), 1.5, 3.5),
    ],
)
def test_a_line_lies_where_its_nuclei_are(amount: Amount, low_mm: float, high_mm: float) -> None:
    z_mm, shown = along_mm(BODY, 1.0, place_of(amount), Filling())
    assert shown.sum() == pytest.approx(1.0)
    assert low_mm <= z_mm.min() < z_mm.max() <= high_mm
    assert float(z_mm @ shown) == pytest.approx(0.5 * (low_mm + high_mm))


def test_moss_leaves_a_layer_with_less_electrolyte_at_its_own_face() -> None:
    z_mm = np.linspace(-0.49, 0.49, 99)
    shown = filled(z_mm, 1.0, Filling(working_mm=0.1, porosity=0.5))
    assert set(shown[z_mm > 0.405]) == {0.5}
    assert set(shown[z_mm < 0.395]) == {1.0}


LINE = {"shift_ppm": 0, "lorentz_half_width_Hz": 5, "gauss_sd_Hz": 0, "T1_s": 0.1, "T2_s": 0.1}
SEVEN = {"MHz_per_T": 16.5, "counts_per_umol": 1, "noise_counts": 0, "lines": {"electrolyte": LINE}}
ELECTROLYTE = {"nuclei": {"nucleus": {"7Li": SEVEN}}}


def test_phase_encodes_say_where_the_electrolyte_lies() -> None:
    dense = {"foil": {"moss_fraction_charge_mAh_per_cm2": 0}}
    description = {
        "pair": {"transport": {"gap_mm": 2.0}, "working": dense, "counter": dense},
        "image": {"separator_mm": 2.0},
        **ELECTROLYTE,
    }
    twin, views = Twin(description, seed=1), 32
    twin.drive_current(0.0, current_A(0.5))
    scans = [
        Scan("7Li", 4e4, 4e4 + 1, 1, 0, 10.0, 8, 1e5, twin.larmor_MHz("7Li"), 1e-9, 90.0, 0.0, "phase_encoded_fid", 1e-4,
             view=view, views=views, fov_mm=(4.0, 0.0))
        for view in range(views)
    ]  # fmt: skip
    encoded = np.array([twin.acquire(scan)[0] for scan in scans])
    shown = np.fft.fftshift(np.fft.ifft(np.fft.ifftshift(encoded * np.exp(-1j * np.angle(encoded[views // 2]))))).real
    z_mm = (np.arange(views) - views // 2) * 4.0 / views
    gradient = 1e-3 * 2.0 * 0.6 * 5.0 / FARADAY_C_PER_MOL / 1e-10 / 1000.0
    inside = np.abs(z_mm) < 1.07  # beyond it lies only what the width of a slice spreads
    assert float(z_mm[inside] @ shown[inside] / shown[inside].sum()) == pytest.approx(2.0 * gradient / 12.0, rel=0.06)


def test_in_a_stray_field_a_line_is_as_wide_as_its_place() -> None:
    twin = Twin({"pair": {}, "magnet": {"stray_T_per_m": 10.0}, **ELECTROLYTE}, seed=1)
    scan = Scan("7Li", 0.0, 1.0, 1, 0, 1.0, 8, 1e5, twin.larmor_MHz("7Li"))
    found = [
        amount for amount in twin._spectrometer._mean_amounts(scan, scan.carrier_MHz, twin.state) if amount.environment == "electrolyte"
    ]
    assert sum(amount.umol for amount in found) == pytest.approx(60.0)
    assert np.ptp([amount.shift_ppm for amount in found]) == pytest.approx(1e3 * 10.0 / 7.05, rel=0.02)
