"""What each cell is there to show (domain.md 5.1 and 7, with practice.md 13-31): cells C2 to C8, silicon, germanium."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drivers.sim.cell_parameters import FARADAY_C_PER_MOL
from drivers.sim.description import DescriptionError, read
from drivers.sim.nuclei import excite, nodes_of, skin_depth_um
from drivers.sim.twin import Twin

TWINS = Path(__file__).parents[3] / "configs" / "twins"
HOUR_S = 3600.0


def made(name: str, **changes: Any) -> Twin:
    """A cell without noise on its leads that remembers all of its past."""
    quiet = {"electronics": {"voltage_noise_V": 0.0, "current_noise_A": 0.0}, "grid": {"kept_h": 1000.0}}
    return Twin(read(TWINS / f"{name}.yaml") | quiet | changes, seed=1)


def drive_until(twin: Twin, t_s: float, current_A: float, volts: float, hours: float, step_s: float = 5.0) -> float:
    """Constant current until the voltage passes ``volts`` in the direction of the current."""
    twin.drive_current(t_s, current_A)
    end_s = t_s + hours * HOUR_S
    t_s += 600.0
    while t_s < end_s and (twin.measure(t_s).voltage_V - volts) * math.copysign(1.0, current_A) < 0.0:
        t_s += step_s
    return min(t_s, end_s)


def mol(twin: Twin, t_s: float, *names: str) -> float:
    found = twin.populations_mol(t_s)
    return sum(found[name] for name in names)


def shift_ppm(twin: Twin, t_s: float, nucleus: str, environment: str) -> float:
    return next(amount.shift_ppm for amount in twin.amounts(t_s, nucleus) if amount.environment == environment)


def seen(twin: Twin, t_s: float, nucleus: str, *environments: str) -> complex:
    """What a 90 degree pulse on resonance makes of some lines, in umol."""
    larmor_MHz, total = twin.larmor_MHz(nucleus), 0.0 + 0.0j
    for amount in twin.amounts(t_s, nucleus):
        if amount.environment in environments:
            nodes = nodes_of(amount, twin.description.nuclei.geometry, larmor_MHz)
            total += amount.umol * complex(np.sum(nodes.weight * np.sin(0.5 * math.pi * nodes.reach)))
    return total


# -------------------------------------------------------------------------------------------------------- C2 anode-free


def cycles_of_C2(count: int) -> tuple[Twin, list[dict[str, float]]]:
    """Charge C/2, discharge C/2; what each cycle did."""
    twin, t_s, done = made("C2"), 0.0, []
    for _ in range(count):
        begin_s, before = t_s, twin.populations_mol(t_s)
        full_s = drive_until(twin, begin_s, 1.2e-3, 3.8, 3.0)
        full = twin.populations_mol(full_s)
        t_s = drive_until(twin, full_s, -1.2e-3, 2.5, 3.0, 1.0)
        empty = twin.populations_mol(t_s)
        done.append(
            {
                "charge_C": 1.2e-3 * (full_s - begin_s),
                "discharge_C": 1.2e-3 * (t_s - full_s),
                "metal": full["bulk_counter"] + full["moss_counter"],
                "dead": empty["dead_counter"] - before["dead_counter"],
                "sei": empty["sei_counter"] - before["sei_counter"],
                "left": empty["bulk_counter"] + empty["moss_counter"],
            }
        )
    return twin, done


def test_C2_budget_of_every_cycle_closes_and_capacity_fades() -> None:
    """O5, P5: metal = Q/F x efficiency; Q_c - Q_d = dead + SEI, and what the bare surface holds."""
    twin, done = cycles_of_C2(3)
    assert twin.description.pair is not None
    surface_C = 3.0 * 0.05 * 0.785
    for cycle in done:
        missing_C = (cycle["dead"] + cycle["sei"]) * FARADAY_C_PER_MOL
        assert cycle["charge_C"] - cycle["discharge_C"] == pytest.approx(missing_C, abs=surface_C)
        assert cycle["metal"] * FARADAY_C_PER_MOL == pytest.approx(0.985 * cycle["charge_C"], abs=surface_C)
        assert cycle["sei"] / (cycle["metal"] + cycle["sei"]) == pytest.approx(0.015, abs=1e-3)
        assert cycle["left"] == pytest.approx(0.0, abs=1e-12)
    assert done[0]["discharge_C"] > done[1]["discharge_C"] > done[2]["discharge_C"]


def test_C2_voltage_slides_through_the_end_of_discharge_and_does_not_jump_over_it() -> None:
    """At C/2 no second moves it more than 0.1 V between 2.7 and 2.3 V: a limit is met within one sample."""
    twin = made("C2")
    full_s = drive_until(twin, 0.0, 1.2e-3, 3.8, 3.0)
    low_s = drive_until(twin, full_s, -1.2e-3, 2.7, 3.0, 1.0)
    volts = [twin.measure(low_s + second).voltage_V for second in range(20)]
    assert max(before - after for before, after in itertools.pairwise(volts)) < 0.1
    assert volts[-1] < 2.3


def test_C2_fresh_copper_has_no_voltage_and_a_small_positive_current_raises_it() -> None:
    """practice.md 31 and the `polarity` step of the experiment."""
    twin = made("C2")
    fresh_V = twin.measure(1.0).voltage_V
    assert fresh_V < 1.0
    twin.drive_current(2.0, 2e-5)
    assert twin.measure(32.0).voltage_V > fresh_V + 0.005


def test_C2_LFP_is_a_broad_line_near_zero_that_shrinks_on_charge() -> None:
    """practice.md 29: it lies under the metal window, whose blank area falls on charge."""
    twin = made("C2")
    line = twin.description.nuclei.nucleus["7Li"].lines["LFP"]
    assert line.shift_ppm == pytest.approx(0.0, abs=10.0)
    assert 2.355 * line.gauss_sd_Hz / twin.larmor_MHz("7Li") > 200.0
    before = abs(seen(twin, 0.0, "7Li", "LFP"))
    full_s = drive_until(twin, 0.0, 1.2e-3, 3.8, 3.0)
    assert abs(seen(twin, full_s, "7Li", "LFP")) < 0.1 * before


# ---------------------------------------------------------------------------------------- C3 graphite: stages, plating


def test_C3_graphite_passes_its_stages_where_domain_says() -> None:
    """Dilute 0 to 12 ppm, then LiC12 at 45, then LiC6 (P16: 45 +- 2)."""
    twin = made("C3")
    twin.drive_current(0.0, 7.64e-4)
    x_of = {round(hours, 1): twin.cell.counter.x(twin.state(hours * HOUR_S).counter) for hours in (0.3, 1.0, 2.0, 4.0)}
    early, full = 0.3 * HOUR_S, 4.7 * HOUR_S
    assert 0.0 < shift_ppm(twin, early, "7Li", "dilute") < 12.0
    assert mol(twin, early, "LiC12_counter", "LiC6_counter") == pytest.approx(0.0, abs=1e-12)
    assert mol(twin, 2.0 * HOUR_S, "LiC12_counter") > mol(twin, 2.0 * HOUR_S, "dilute_counter") > 0.0
    assert mol(twin, full, "LiC6_counter") > mol(twin, full, "LiC12_counter") > 0.0
    assert shift_ppm(twin, full, "7Li", "LiC6") == pytest.approx(45.0, abs=2.0)
    assert x_of[4.0] > x_of[1.0]


def plated_graphite() -> tuple[Twin, float, float]:
    """C/5 until 1 umol of metal: twin, the second it begins, the second of 1 umol."""
    twin, t_s = made("C3-LFP"), 4.0 * HOUR_S
    twin.drive_current(0.0, 3.2e-4)
    begin_s = 0.0
    while mol(twin, t_s, "plated_counter") < 1e-6:
        t_s += 30.0
        if not begin_s and mol(twin, t_s, "plated_counter") > 1e-9:
            begin_s = t_s
    return twin, begin_s, t_s


def test_C3_graphite_plates_when_it_is_full_and_the_metal_goes_back_at_rest() -> None:
    """O6, O7: onset near 100 % of the nominal 1.60 mAh at C/5; the metal line decays in the first hours of rest."""
    twin, begin_s, end_s = plated_graphite()
    onset_mAh = 1.72 * 0.056 + 3.2e-4 * begin_s / 3.6
    assert onset_mAh / 1.60 == pytest.approx(1.0, abs=0.05)
    twin.open_circuit(end_s)
    left = [mol(twin, end_s + hours * HOUR_S, "plated_counter") for hours in (0.0, 1.0, 3.0, 10.0)]
    assert left[0] > left[1] > left[2] > left[3]
    assert left[2] < 0.7 * left[0]
    assert shift_ppm(twin, end_s, "7Li", "plated") == pytest.approx(262.0, abs=1.0)


def test_C3_below_full_graphite_no_metal_is_plated_at_all() -> None:
    twin = made("C3-LFP")
    twin.drive_current(0.0, 3.2e-4)
    assert mol(twin, 4.0 * HOUR_S, "plated_counter", "dead_counter") == 0.0


# ------------------------------------------------------------------------------------------------------------------- C4


def test_C4_the_line_of_LCO_goes_from_0_to_100_ppm_by_two_phases() -> None:
    """O1: LCO 0-100 ppm with SOC, Li metal 250, electrolyte 0."""
    twin = made("C4")
    assert mol(twin, 0.0, "LCO_metallic_working") == pytest.approx(0.0, abs=1e-12)
    twin.drive_current(0.0, 2e-4)
    both = 3.0 * HOUR_S
    assert mol(twin, both, "LCO_working") > 0.0
    assert mol(twin, both, "LCO_metallic_working") > 0.0
    late = 10.0 * HOUR_S
    assert mol(twin, late, "LCO_working") == pytest.approx(0.0, abs=1e-12)
    assert 75.0 < shift_ppm(twin, late, "7Li", "LCO_metallic") <= 100.0
    assert shift_ppm(twin, late, "7Li", "bulk") == pytest.approx(250.0, abs=25.0)


# ----------------------------------------------------------------------------------------------------- C5 hard carbon


def test_C5_below_180_mV_a_line_grows_and_moves_to_higher_shift() -> None:
    """O18 (Stratford 2016)."""
    twin, found = made("C5"), []
    twin.drive_current(0.0, -6e-5)
    for hours in np.arange(2.0, 19.0, 0.5):
        t_s = hours * HOUR_S
        clusters = mol(twin, t_s, "quasi_metal_working")
        found.append((twin.measure(t_s).voltage_V, clusters, shift_ppm(twin, t_s, "23Na", "quasi_metal")))
    above, below = [one for one in found if one[0] > 0.18], [one for one in found if one[0] < 0.12]
    assert max(one[1] for one in above) < 1e-9
    assert all(after[1] > before[1] and after[2] > before[2] for before, after in itertools.pairwise(below))
    assert below[-1][2] > 600.0


def test_C5_held_at_5_mV_no_metal_is_plated_and_beyond_it_is() -> None:
    """practice.md 13: 5 mV is where hard carbon is held on purpose."""
    twin = made("C5")
    low_s = drive_until(twin, 0.0, -6e-5, 0.005, 24.0)
    twin.drive_voltage(low_s, 0.005)
    held_s = low_s + 3 * HOUR_S
    assert abs(twin.measure(held_s).current_A) < 1.2e-5
    assert mol(twin, held_s, "plated_working") == 0.0
    twin.drive_current(held_s, -6e-5)
    over_s = held_s + 2 * HOUR_S
    assert twin.measure(over_s).voltage_V > -0.05
    assert mol(twin, over_s, "plated_working") > 1e-6
    assert shift_ppm(twin, over_s, "23Na", "plated") == pytest.approx(1128.0, abs=1.0)


def test_C5_one_carrier_midway_sees_metal_and_ions_alike() -> None:
    """practice.md 27: 9.4 T, a 90 degree pulse of 5 us midway: both 0.96, and equal."""
    offset_Hz = 0.5 * 1126e-6 * 11.262e6 * 9.4
    metal, ions = (abs(excite(np.array([math.pi / 2]), 5e-6, sign * offset_Hz)[0][0]) for sign in (1.0, -1.0))
    assert metal == pytest.approx(ions, rel=1e-12)
    assert metal == pytest.approx(0.96, abs=0.01)
    on_one = abs(excite(np.array([math.pi / 2]), 5e-6, 2 * offset_Hz)[0][0])
    assert on_one == pytest.approx(0.65, abs=0.1)


# ------------------------------------------------------------------------------------------------------------ C6 (Rees)


def rees() -> tuple[Twin, float]:
    """0.5 mA/cm2 for 9.5 mAh/cm2, then reversed."""
    twin, reversal_s = made("C6"), 19.0 * HOUR_S
    twin.drive_current(0.0, 1.4e-4)
    twin.measure(reversal_s)
    twin.drive_current(reversal_s, -1.4e-4)
    return twin, reversal_s


def test_C6_polarisation_passes_three_times_its_start_and_reversal_shorts_the_cell() -> None:
    """R1: 9.5 mAh/cm2 = 84 um; contact 0.15; voids raise the polarisation; on reversal E goes to 0."""
    twin, reversal_s = rees()
    start_V, end_V = twin.measure(0.0).voltage_V, twin.measure(reversal_s - 1.0).voltage_V
    assert start_V == pytest.approx(0.5e-3 * 90.0, rel=0.05)
    assert end_V > 3.0 * start_V
    assert twin.state(reversal_s).working.contact == pytest.approx(0.145, abs=0.005)
    lost = (mol(twin, 0.0, "bulk_working") - mol(twin, reversal_s, "bulk_working")) / 0.28 / (0.968 / 22.99) * 1e4
    assert lost == pytest.approx(84.0, abs=1.0)
    assert twin.state(reversal_s - 1.0).hard_short_s is None
    assert abs(twin.measure(reversal_s).voltage_V) > 0.1
    assert abs(twin.measure(reversal_s + 60.0).voltage_V) < 2e-3


def test_C6_reversed_early_there_is_contact_enough_and_no_short() -> None:
    twin = made("C6")
    for half in range(4):
        twin.drive_current(half * 2 * HOUR_S, 1.4e-4 * (-1) ** half)
    assert twin.state(8 * HOUR_S).hard_short_s is None


def test_C6_skins_do_not_change_and_the_filament_is_there_with_its_own_T2() -> None:
    """P6, R3, P14: < 5 % of skin signal after 84 um; filament a thousandth of a skin, same shift; T2 5-10 and 16-17 ms."""
    twin, reversal_s = rees()
    assert abs(seen(twin, reversal_s, "23Na", "bulk")) == pytest.approx(abs(seen(twin, 0.0, "23Na", "bulk")), rel=1e-3)
    after_s = reversal_s + 1200.0
    skin_umol = 1e6 * 0.28 * skin_depth_um(47.7, twin.larmor_MHz("23Na")) * 1e-4 * 0.968 / 22.99
    assert mol(twin, after_s, "filament_working") * 1e6 == pytest.approx(1e-3 * skin_umol, rel=0.05)
    assert shift_ppm(twin, after_s, "23Na", "filament") == shift_ppm(twin, after_s, "23Na", "bulk") == 1126.0
    lines = twin.description.nuclei.nucleus["23Na"].lines
    assert 0.005 <= lines["bulk"].T2_s <= 0.010
    assert 0.016 <= lines["filament"].T2_s <= 0.017 < lines["filament"].T1_s


def test_skin_depths_of_both_papers() -> None:
    """P1: at 9.4 T sodium 10.7 (paper 11), lithium 12.3 (paper 12) um, 5 %."""
    assert skin_depth_um(47.7, made("C6").larmor_MHz("23Na")) == pytest.approx(10.7, rel=0.05)
    assert skin_depth_um(92.8, 16.546 * 9.4) == pytest.approx(12.3, rel=0.05)


# --------------------------------------------------------------------------------------------------------- C7 transition


def test_C7_overpotential_is_linear_in_microstructure_until_0_15_V_then_the_electrolyte_goes() -> None:
    """P15, O17: and the cell fails within 40 % of the life it had till then; noise rises."""
    twin, t_s, rows = made("C7"), 0.0, []
    while t_s < 60 * HOUR_S and (not rows or rows[-1][1] < 0.3):
        twin.drive_current(t_s, 7.85e-4 * (-1) ** len(rows))
        t_s += HOUR_S
        state = twin.state(t_s)
        rows.append((twin.cell.microstructure_mAh_per_cm2(state), abs(twin.measure(t_s - 1e-3).voltage_V), state.salt_mol, state.worse_s))
    before = np.array([row[:2] for row in rows if row[3] is None])
    fit = np.polyfit(before[:, 0], before[:, 1], 1)
    assert np.abs(np.polyval(fit, before[:, 0]) - before[:, 1]).max() < 0.05 * before[:, 1].max()
    assert before[:, 1].max() == pytest.approx(0.155, abs=0.015)
    turned_s = rows[-1][3]
    assert turned_s is not None
    assert t_s < 1.4 * turned_s
    lost_before = rows[0][2] - rows[len(before) - 1][2]
    assert (rows[len(before) - 1][2] - rows[-1][2]) / (len(rows) - len(before)) > 10 * lost_before / len(before)
    assert twin.cell.noise_factor(twin.state(t_s)) > 1.0


# ----------------------------------------------------------------------------------------------------------- C8 exchange


def metal_7Li(twin: Twin, hours: float) -> float:
    isotopes = twin.state(hours * HOUR_S).isotopes
    return float(isotopes.working_mol + isotopes.counter_mol)


def test_C8_7Li_enters_the_metal_exponentially_and_twice_as_fast_with_FEC() -> None:
    """O28: at open circuit; both isotopes are conserved."""
    plain, fec = made("C8"), made("C8")
    pair = read(TWINS / "C8.yaml")["pair"]
    fec = made("C8", pair=pair | {"exchange": pair["exchange"] | {"rate_per_h": 0.30}})
    end = metal_7Li(plain, 200.0)

    def rate_per_h(twin: Twin) -> float:
        return math.log((end - metal_7Li(twin, 0.5)) / (end - metal_7Li(twin, 1.5)))

    assert rate_per_h(fec) / rate_per_h(plain) == pytest.approx(2.0, rel=0.02)
    assert metal_7Li(plain, 12.0) > metal_7Li(plain, 0.0)
    for hours in (0.0, 5.0, 24.0):
        isotopes = plain.state(hours * HOUR_S).isotopes
        assert sum(isotopes) == pytest.approx(sum(plain.state(0.0).isotopes), rel=1e-9)
    both = [sum(a.umol for a in plain.amounts(5 * HOUR_S, nucleus) if a.environment == "electrolyte") for nucleus in ("6Li", "7Li")]
    assert sum(both) == pytest.approx(60.0, rel=1e-9)


# ---------------------------------------------------------------------------------------------------- silicon, germanium


def test_silicon_overlithiated_decays_to_Li15Si4_at_rest() -> None:
    """O8 (Key 2009): and its lithium is found in the SEI."""
    twin = made("Si")
    full_s = drive_until(twin, 0.0, -1e-4, 0.0, 24.0)
    twin.open_circuit(full_s)
    over = [mol(twin, full_s + hours * HOUR_S, "Li15plusSi4_working") for hours in (0.0, 2.0, 8.0)]
    sei = [mol(twin, full_s + hours * HOUR_S, "sei_working") for hours in (0.0, 8.0)]
    assert over[1] / over[0] == pytest.approx(math.exp(-1.0), rel=0.05)
    assert sei[1] - sei[0] == pytest.approx(over[0] - over[2], rel=0.02)
    assert shift_ppm(twin, full_s, "7Li", "Li15plusSi4") == pytest.approx(-10.0)
    assert min(shift_ppm(twin, full_s, "7Li", name) for name in ("Si_clusters", "Li15Si4", "Li15plusSi4")) >= -15.0


def test_germanium_has_the_four_lines_of_the_paper() -> None:
    """O9 (Tang 2015)."""
    lines = made("Ge").description.nuclei.nucleus["7Li"].lines
    assert [lines[name].shift_ppm for name in ("Li2_26Ge", "Li3_5Ge", "Li15Ge4", "Li15plusGe4")] == [24.0, 13.0, 10.0, -24.0]


# ---------------------------------------------------------------------------------------------------------- orientation


@pytest.mark.parametrize(("cell", "nucleus", "turned"), [("C1", "7Li", 30.0), ("C4", "7Li", 30.0), ("C6", "23Na", 5.0)])
def test_a_cell_that_somebody_turns_lies_as_it_was_turned_last_and_back_when_it_is_over(cell: str, nucleus: str, turned: float) -> None:
    """O3: while a prompt stands a person turns the strip, and the spectra after it are of the other angle."""
    twin = made(cell, faults=[{"name": "turned", "start_s": 100, "value": 45}, {"name": "turned", "start_s": 200, "end_s": 300}])
    shifts = [shift_ppm(twin, t_s, nucleus, "bulk") for t_s in (50.0, 150.0, 250.0, 350.0)]
    assert [shift - shifts[0] for shift in shifts] == pytest.approx([0.0, 0.5 * turned, turned, 0.5 * turned])


@pytest.mark.parametrize(("cell", "nucleus", "turned"), [("C1", "7Li", 30.0), ("C4", "7Li", 30.0), ("C6", "23Na", 5.0)])
def test_P7_a_plate_along_the_field_lies_further_left(cell: str, nucleus: str, turned: float) -> None:
    """O3: 242 to 272 ppm by angle; practice.md 16: the same foil then sits in the moss window."""
    said = read(TWINS / f"{cell}.yaml")
    shifts = []
    for angle in (0, 45, 90):
        nuclei = said["nuclei"] | {"geometry": said["nuclei"]["geometry"] | {"electrode_normal_to_B0_deg": angle}}
        shifts.append(shift_ppm(Twin(said | {"nuclei": nuclei}, seed=1), 0.0, nucleus, "bulk"))
    assert shifts[2] - shifts[0] == pytest.approx(turned)
    assert shifts[1] - shifts[0] == pytest.approx(0.5 * turned)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"pair": {"working": {}}}, "either a `foil` or an `insertion`"),
        ({"pair": {"working": {"insertion": {"phases": []}}}}, "takes the rest"),
        ({"pair": {"working": {"insertion": {"phases": [{"line": "a", "share": [[0, 2]]}, {"line": "b"}]}}}}, "below 0 or above 1"),
        ({"pair": {}, "nuclei": {"nucleus": {}}}, None),
        ({"pair": {"counter": {"foil": {"dead_fraction": 1.0}}}}, "dead_fraction"),
    ],
)
def test_a_wrong_cell_is_refused_with_its_reason(wrong: dict[str, Any], said: str | None) -> None:
    if said is None:
        assert Twin(wrong, seed=1).populations_mol(0.0)
        return
    with pytest.raises(DescriptionError, match=said):
        Twin(wrong, seed=1)


def test_a_line_of_an_environment_that_the_cell_does_not_have_is_refused_by_name() -> None:
    said = read(TWINS / "C2.yaml")
    said["nuclei"]["nucleus"]["7Li"]["lines"]["NMC"] = {"shift_ppm": 0.0, "lorentz_half_width_Hz": 1.0, "gauss_sd_Hz": 1.0, "T1_s": 1.0}
    with pytest.raises(DescriptionError, match="unknown line `NMC` of 7Li; there are: electrolyte, other, LFP, sei, bulk, moss, dead"):
        Twin(said, seed=1)


# ----------------------------------------------------------------------------------------------- limits within one sample


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("cell", ["C2", "C3", "C3-LFP", "C4", "C5", "Si", "Ge", "S"])
def test_no_second_of_1_mA_per_cm2_carries_a_cell_past_until_and_limit_at_once(cell: str, sign: float) -> None:
    """A host that is full or empty, a collector that is bare: the voltage slides, by less than 0.15 V a second."""
    twin, t_s, last_V = made(cell), 0.0, math.nan
    current_A = sign * 1e-3 * twin.cell.parameters.area_cm2
    twin.drive_current(0.0, current_A)
    steepest = 0.0
    while t_s < 12 * HOUR_S:
        here_V = twin.measure(t_s).voltage_V
        if not -1.0 < here_V < 5.5:
            break
        if abs(twin.measure(t_s + 60.0).voltage_V - here_V) > 0.1:
            volts = np.array([twin.measure(t_s + second).voltage_V for second in range(61)])
            steepest = max(steepest, float(np.abs(np.diff(volts[(volts > -1.0) & (volts < 5.5)])).max(initial=0.0)))
        t_s += 60.0
        last_V = here_V
    assert steepest < 0.15
    assert math.isfinite(last_V)
    assert steepest > 0.0, "no end was met"
