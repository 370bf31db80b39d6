"""The cell: nothing is lost, voltages are those of the reference run, shorts and faults do what they say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.sim.cell_parameters import FARADAY_C_PER_MOL
from drivers.sim.faults import Fault
from drivers.sim.twin import Twin

HOUR_S = 3600.0
verbs = st.sampled_from(["drive_current", "drive_voltage", "open_circuit"])
drives = st.lists(st.tuples(st.floats(0.1, 20000.0), verbs, st.floats(-1.0, 1.0), st.integers(0, 3)), min_size=1, max_size=12)


def total_mol(twin: Twin, t_s: float) -> float:
    return sum(twin.populations_mol(t_s).values())


@settings(max_examples=40, deadline=None)
@given(drives, st.booleans(), st.floats(0.0, 0.9))
def test_no_mole_is_lost_whatever_drives_the_cell(steps: list[tuple[float, str, float, int]], short: bool, dead_fraction: float) -> None:
    twin = Twin({"cell": {"foil_thickness_um": 30.0, "dead_fraction": dead_fraction}}, seed=1)
    if short:
        twin.inject(Fault("soft_short", 1000.0))
    before, t_s = total_mol(twin, 0.0), 0.0
    for lasts_s, verb, size, asked in steps:
        getattr(twin, verb)(t_s, *([] if verb == "open_circuit" else [size * (5e-3 if verb == "drive_current" else 0.5)]))
        for part in range(asked):
            twin.measure(t_s + lasts_s * part / 3)
        t_s += lasts_s
        assert total_mol(twin, t_s) == pytest.approx(before, rel=1e-12)
        assert min(twin.populations_mol(t_s).values()) >= 0.0


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-1e-3, 1e-3), min_size=1, max_size=8))
def test_each_electrode_gains_what_the_other_loses_by_faraday(currents: list[float]) -> None:
    twin, charge_C = Twin({}, seed=1), 0.0
    start = twin.populations_mol(0.0)
    for n, current_A in enumerate(currents):
        twin.drive_current(n * 777.7, current_A)
        charge_C += current_A * 777.7
    end_s = len(currents) * 777.7
    twin.measure(end_s)
    assert twin.charge_C() == pytest.approx(charge_C, abs=1e-12)
    gained = {
        side: sum(twin.populations_mol(end_s)[f"{name}_{side}"] - start[f"{name}_{side}"] for name in ("bulk", "moss", "dead"))
        for side in ("working", "counter")
    }
    assert gained["counter"] == pytest.approx(charge_C / FARADAY_C_PER_MOL, abs=1e-16)
    assert gained["working"] == pytest.approx(-gained["counter"], abs=1e-16)


def test_plating_follows_the_moss_fraction_in_closed_form() -> None:
    twin = Twin({}, seed=1)
    twin.drive_current(0.0, 4e-4)
    for hours in (0.2, 1.0, 5.0):
        q = 4e-4 * hours / 1e-3 / 0.4  # mAh/cm2
        moss_mAh_per_cm2 = q - 0.5 * 0.5 * (1.0 - np.exp(-q / 0.5))
        now = twin.state(hours * HOUR_S)
        assert now.counter.moss_mol * FARADAY_C_PER_MOL / 3.6 / 0.4 == pytest.approx(moss_mAh_per_cm2, rel=1e-9)
        assert now.working.moss_mol == 0.0


def test_after_a_reversal_moss_goes_first_and_grows_on_the_other_side() -> None:
    twin = Twin({"cell": {"dead_fraction": 0.1}}, seed=1)
    twin.drive_current(0.0, 4e-4)
    full = twin.state(HOUR_S)
    twin.drive_current(HOUR_S, -4e-4)
    half = twin.state(1.5 * HOUR_S)
    stripped_mol = 4e-4 * 0.5 * HOUR_S / FARADAY_C_PER_MOL
    assert half.counter.bulk_mol == full.counter.bulk_mol
    assert full.counter.moss_mol - half.counter.moss_mol == pytest.approx(stripped_mol / 0.9, rel=1e-9)
    assert half.counter.dead_mol == pytest.approx(stripped_mol / 9.0, rel=1e-9)
    assert half.working.moss_mol > 0.5 * stripped_mol
    empty = twin.state(2.5 * HOUR_S)
    assert empty.counter.moss_mol == 0.0
    assert empty.counter.bulk_mol < full.counter.bulk_mol
    assert empty.counter.dead_mol == pytest.approx(0.1 * full.counter.moss_mol, rel=1e-9)


def test_total_moss_slope_falls_after_the_first_reversal() -> None:
    """practice.md 14: one-way plating has slope 1, cycling -0.5 to 0 of it."""
    twin = Twin({"cell": {"dead_fraction": 0.0}}, seed=1)
    twin.drive_current(0.0, 4e-4)
    twin.drive_current(2 * HOUR_S, -4e-4)

    def moss(t_s: float) -> float:
        now = twin.populations_mol(t_s)
        return now["moss_working"] + now["moss_counter"]

    one_way = moss(2 * HOUR_S) - moss(1.5 * HOUR_S)
    cycling = moss(2.3 * HOUR_S) - moss(2 * HOUR_S)
    assert -0.5 <= cycling / 0.3 / (one_way / 0.5) <= 0.0


def test_voltage_is_that_of_the_reference_run() -> None:
    """domain.md 5.1 C1: 0.152 V at once, 0.08 V at 1.5 h, 0.10 V at 5 h, 0.133 V at 19 h."""
    twin = Twin({}, seed=1)
    twin.drive_current(0.0, 4e-4)
    found = [twin.measure(hours * HOUR_S).voltage_V for hours in (0.0, 1.5, 5.0, 19.0)]
    np.testing.assert_allclose(found, [0.152, 0.080, 0.100, 0.133], atol=0.004)


def test_a_change_of_direction_nucleates_and_a_rest_does_not() -> None:
    twin = Twin({"electronics": {"voltage_noise_V": 0.0}}, seed=1)
    twin.drive_current(0.0, 4e-4)
    settled_V = twin.measure(1000.0).voltage_V
    twin.open_circuit(1000.0)
    twin.drive_current(1100.0, 4e-4)
    assert twin.measure(1100.0).voltage_V == pytest.approx(settled_V, abs=1e-4)
    twin.drive_current(1200.0, -4e-4)
    first, second = (abs(twin.measure(t).voltage_V) for t in (1200.0, 1320.0))
    assert first - second == pytest.approx(0.060 * (1 - np.exp(-1)), abs=0.002)


@pytest.mark.parametrize("voltage_V", [0.06, -0.12, 0.005])
def test_a_held_voltage_finds_the_current_that_gives_it_back(voltage_V: float) -> None:
    quiet: dict[str, Any] = {"electronics": {"voltage_noise_V": 0.0, "current_noise_A": 0.0}}
    held = Twin(quiet, seed=1)
    held.inject(Fault("soft_short", -8000.0))
    held.drive_voltage(0.0, voltage_V)
    current_A = held.measure(0.0).current_A
    driven = Twin(quiet, seed=1)
    driven.inject(Fault("soft_short", -8000.0))
    driven.drive_current(0.0, current_A)
    assert driven.measure(0.0).voltage_V == pytest.approx(voltage_V, abs=1e-9)
    assert np.sign(current_A) == np.sign(voltage_V - 0.0005)


def test_the_soft_short_takes_charge_from_the_moss_as_in_the_reference_run() -> None:
    """V2 of domain.md 5.4: plating seen per charge 1, 0.7, 0.05-0.2, 0.4 within 0.1, and the voltages beside it."""
    twin = Twin({}, seed=1)
    twin.drive_current(0.0, 4e-4)

    def rate(begin_h: float, end_h: float) -> float:
        gained = twin.state(end_h * HOUR_S).counter.moss_mol - twin.state(begin_h * HOUR_S).counter.moss_mol
        return gained * FARADAY_C_PER_MOL / (4e-4 * (end_h - begin_h) * HOUR_S)

    twin.measure(20.4 * HOUR_S)
    assert rate(15.0, 20.4) == pytest.approx(1.0, abs=0.01)
    assert rate(20.5, 22.0) == pytest.approx(0.74, abs=0.1)
    assert 0.05 <= rate(23.5, 24.3) <= 0.2
    assert twin.measure(23.9 * HOUR_S).voltage_V == pytest.approx(0.060, abs=0.005)
    twin.measure(28.0 * HOUR_S)
    assert rate(27.0, 28.0) == pytest.approx(0.4, abs=0.1)
    assert twin.measure(28.0 * HOUR_S).voltage_V == pytest.approx(0.085, abs=0.01)
    twin.open_circuit(45.0 * HOUR_S)
    assert rate(45.0, 46.0) == 0.0
    assert twin.charge_C() == pytest.approx(4e-4 * 45 * HOUR_S, rel=1e-9)


def test_cycling_below_the_charge_of_the_soft_short_never_meets_it() -> None:
    twin = Twin({}, seed=1)
    for half in range(24):
        twin.drive_current(half * 7200.0, 4e-4 * (-1) ** half)
    assert twin.state(24 * 7200.0).soft_short_s is None


def test_hard_short_on_reversal_waits_for_the_reversal() -> None:
    twin = Twin({"faults": [{"name": "hard_short_on_reversal", "start_s": 100}]}, seed=1)
    twin.drive_current(0.0, 4e-4)
    assert twin.measure(3000.0).voltage_V > 0.07
    twin.drive_current(3600.0, -4e-4)
    assert twin.measure(3600.0).voltage_V < -0.1
    assert abs(twin.measure(3800.0).voltage_V) < 5e-3
    assert abs(twin.cell.leads(twin.state(3800.0), 3800.0).faradaic_A) < 1e-5


def test_contact_loss_runs_to_compliance_and_moves_nothing() -> None:
    twin = Twin({"faults": [{"name": "contact_loss", "start_s": 100, "end_s": 203}]}, seed=1)
    twin.drive_current(0.0, 4e-4)
    lost = twin.measure(150.0)
    assert (lost.voltage_V, lost.output_on) == (pytest.approx(10.0, abs=1e-3), True)
    assert abs(lost.current_A) < 1e-6
    assert twin.measure(203.0).voltage_V < 0.2
    assert twin.charge_C() == pytest.approx(4e-4 * 100.0, rel=1e-12)


def test_a_foil_that_is_used_up_ends_the_current() -> None:
    twin = Twin({"cell": {"foil_thickness_um": 4.85}}, seed=1)  # 1 mAh/cm2
    twin.drive_current(0.0, 4e-4)
    assert twin.measure(0.98 * HOUR_S).voltage_V < 0.2
    assert twin.measure(1.05 * HOUR_S).voltage_V == pytest.approx(10.0, abs=1e-3)
    assert twin.charge_C() == pytest.approx(4e-4 * HOUR_S, rel=0.01)
    twin.drive_current(2 * HOUR_S, -4e-4)
    assert abs(twin.measure(2 * HOUR_S + 100.0).voltage_V) < 0.2


def test_voltage_spikes_and_their_size() -> None:
    twin = Twin({"faults": [{"name": "voltage_spike", "start_s": 10, "value": -0.5}]}, seed=1)
    assert twin.measure(10.0).voltage_V == pytest.approx(-0.4995, abs=1e-3)
    assert twin.measure(12.0).voltage_V == pytest.approx(0.0, abs=1e-3)


def test_impedance_goes_from_the_leads_to_the_arc_and_halves_in_the_soft_short() -> None:
    twin = Twin({}, seed=1)
    twin.drive_current(0.0, 4e-4)
    frequency_Hz = np.geomspace(1e6, 0.8, 30)
    healthy = twin.impedance(19 * HOUR_S, frequency_Hz)
    assert healthy[0].real == pytest.approx(12.0, abs=1.0)
    assert healthy[-1].real == pytest.approx(0.133 / 4e-4, rel=0.1)
    assert (healthy.imag <= 0).all()
    shorted = twin.impedance(23.9 * HOUR_S, frequency_Hz)
    assert shorted[-1].real < 0.5 * healthy[-1].real
