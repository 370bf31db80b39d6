"""Every file of configs/twins: nothing is lost, every area is moles, a snapshot goes on exactly, asking changes nothing."""

from __future__ import annotations

import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from drivers.sim.cell_parameters import FARADAY_C_PER_MOL
from drivers.sim.description import read
from drivers.sim.faults import Fault
from drivers.sim.nuclei import nodes_of
from drivers.sim.physics import Scan
from drivers.sim.twin import Twin

TWINS = Path(__file__).parents[3] / "configs" / "twins"
CELLS = [path.stem for path in sorted(TWINS.glob("*.yaml")) if "\nsample:" not in path.read_text("utf-8")]

EMPTY = {"Li-Cs", "C5", "Si", "Ge", "S"}
"""Built with an empty host at the working electrode: nothing to oxidise."""
KORRINGA_s_K = {"7Li": 44.0, "23Na": 5.1, "6Li": 44.0 * (16.546 / 6.2661) ** 2}

every = pytest.mark.parametrize("cell", CELLS)
steps = st.tuples(st.floats(0.5, 20000.0), st.sampled_from(["current", "voltage", "off"]), st.floats(-1.0, 1.0), st.integers(0, 2))
drives = st.lists(steps, min_size=1, max_size=6)
OF_THE_CELL = ("soft_short", "hard_short_on_reversal", "contact_loss", "sense_swapped", "voltage_spike")
faults = st.lists(
    st.builds(
        lambda name, start_s, lasts_s: Fault(name, start_s, None if lasts_s is None else start_s + lasts_s),
        st.sampled_from(OF_THE_CELL), st.floats(0.0, 40000.0), st.one_of(st.none(), st.floats(1.0, 30000.0)),
    ),
    max_size=3,
)  # fmt: skip


@cache
def described(cell: str) -> dict[str, Any]:
    return read(TWINS / f"{cell}.yaml")


def made(cell: str, seed: int = 1) -> Twin:
    return Twin(described(cell), seed=seed)


def largest_A(twin: Twin) -> float:
    """2 mA/cm2."""
    return 2e-3 * float(twin.cell.parameters.area_cm2)


def drive(twin: Twin, t_s: float, kind: str, size: float) -> None:
    if kind == "off":
        twin.open_circuit(t_s)
    elif kind == "current":
        twin.drive_current(t_s, size * largest_A(twin))
    else:
        twin.drive_voltage(t_s, twin.measure(t_s).voltage_V + 0.5 * size)


def walk(twin: Twin, sequence: list[tuple[float, str, float, int]]) -> float:
    t_s = 0.0
    for lasts_s, kind, size, asked in sequence:
        drive(twin, t_s, kind, size)
        for part in range(asked):
            twin.measure(t_s + lasts_s * part / 3)
        t_s += lasts_s
    return t_s


@every
@settings(max_examples=8, deadline=None)
@given(sequence=drives, befallen=faults)
@example(sequence=[(36000.0, "voltage", 1.0, 0), (30.0, "off", 0.0, 1), (36000.0, "voltage", 1.0, 1)], befallen=[Fault("soft_short")])
@example(sequence=[(4000.0, "current", 0.5, 0), (20000.0, "current", -0.5, 0)], befallen=[Fault("hard_short_on_reversal")])
def test_no_mole_is_lost_or_made_whatever_drives_the_cell(
    cell: str, sequence: list[tuple[float, str, float, int]], befallen: list[Fault]
) -> None:
    """Shorts, hanging leads, electrodes that are used up: what there is of the ion stays, and of each isotope; no place owes any."""
    twin = made(cell)
    for fault in befallen:
        twin.inject(fault)
    before, isotopes = sum(twin.populations_mol(0.0).values()), isotopes_mol(twin, 0.0)
    end_s = walk(twin, sequence)
    found = twin.populations_mol(end_s)
    assert sum(found.values()) == pytest.approx(before, rel=1e-9)
    assert min(found.values()) >= -1e-15
    assert math.isfinite(twin.measure(end_s).voltage_V)
    then = isotopes_mol(twin, end_s)
    assert sum(then) == pytest.approx(sum(isotopes), rel=1e-9)
    if sum(isotopes):
        assert all(-1e-15 <= seven <= whole + 1e-15 for seven, whole in zip(then, wholes_mol(twin, end_s), strict=True))


def isotopes_mol(twin: Twin, t_s: float) -> tuple[float, ...]:
    """7Li on working, counter and in the electrolyte; zeros where the cell does not tell isotopes apart."""
    return tuple(getattr(twin.state(t_s), "isotopes", (0.0,)))


def wholes_mol(twin: Twin, t_s: float) -> tuple[float, ...]:
    """Both isotopes at the same places."""
    state = twin.state(t_s)
    return state.working.moles, state.counter.moles, state.salt_mol


@every
def test_a_held_voltage_that_uses_an_electrode_up_leaves_its_surface_within_the_voltage(cell: str) -> None:
    """Strip all there is at 3 V, and back: the bare surface takes no more than what is held, with what a part of a step may be too long."""
    twin = made(cell)
    for t_s, volts in ((0.0, 3.0), (15000.0, -3.0), (30000.0, 3.0)):
        twin.drive_voltage(t_s, volts)
        for part in range(1, 31):
            state = twin.state(t_s + 500.0 * part)
            for side in ("working", "counter"):
                capacity_F = surface_F(twin, side)
                assert abs(getattr(getattr(state, side), "surface_C", 0.0)) <= 12.0 * capacity_F, (side, t_s, part)


def surface_F(twin: Twin, side: str) -> float:
    """Of one electrode."""
    pair = twin.description.pair
    if pair is None:
        return math.inf
    electrode = getattr(pair, side)
    return float((electrode.foil or electrode.insertion).surface_F_per_cm2 * pair.area_cm2)


@every
def test_each_electrode_gains_by_faraday_what_the_charge_says(cell: str) -> None:
    """Against the charge that flowed, not against the other electrode; a bare surface takes at most its own capacity."""
    twin = made(cell)
    current_A = 0.1 * largest_A(twin) * (-1.0 if cell in EMPTY else 1.0)
    twin.drive_current(0.0, current_A)
    start, end, before, after = twin.populations_mol(0.0), twin.populations_mol(3600.0), twin.state(0.0), twin.state(3600.0)
    assert after.charge_C == pytest.approx(current_A * 3600.0, rel=1e-12)
    stored_C = {side: stored(after, side) - stored(before, side) for side in ("working", "counter")}
    eaten_mol = start["electrolyte"] - end["electrolyte"] - sum(stored_C.values()) / FARADAY_C_PER_MOL
    for side, sign in (("working", -1.0), ("counter", 1.0)):
        gained = sum(end[name] - start[name] for name in end if name.endswith(side))
        wanted = (sign * after.charge_C + stored_C[side]) / FARADAY_C_PER_MOL + (eaten_mol if side == "counter" else 0.0)
        assert gained == pytest.approx(wanted, abs=1e-13)


def stored(state: Any, side: str) -> float:
    """Charge in the surface of an electrode."""
    return float(getattr(getattr(state, side), "surface_C", 0.0))


@every
def test_a_snapshot_goes_through_json_and_goes_on_to_the_last_bit(cell: str) -> None:
    first = made(cell, 11)
    drive(first, 0.0, "current", 0.4)
    drive(first, 2000.5, "voltage", -0.1)
    drive(first, 4000.25, "off", 0.0)
    first.measure(5000.0)
    saved = json.loads(json.dumps(first.snapshot()))
    second = made(cell, 11)
    second.restore(saved)
    assert second.snapshot() == saved
    for twin in (first, second):
        drive(twin, 6000.0, "current", -0.3)
    assert [first.measure(t_s) for t_s in (5500.0, 6001.0, 9000.0)] == [second.measure(t_s) for t_s in (5500.0, 6001.0, 9000.0)]
    assert first.state(9000.0) == second.state(9000.0)


@every
def test_the_answer_does_not_depend_on_how_often_the_cell_was_asked(cell: str) -> None:
    busy, lazy = made(cell), made(cell)
    for twin, instants in ((busy, np.linspace(0.0, 7000.0, 877)), (lazy, np.array([]))):
        drive(twin, 0.0, "current", 0.35)
        for t_s in instants[instants < 4000.5]:
            twin.measure(float(t_s))
        twin.drive_current(4000.5, -0.2 * largest_A(twin))
        for t_s in instants[instants >= 4000.5]:
            twin.measure(float(t_s))
    assert busy.measure(7000.0) == lazy.measure(7000.0)
    assert busy.state(7000.0) == lazy.state(7000.0)


@every
def test_every_area_is_traceable_to_moles(cell: str) -> None:
    """The first point of a short, noiseless, fully relaxed pulse on each line alone = counts x moles x what the coil sees of a place."""
    said = described(cell)
    for nucleus, parameters in Twin(said, seed=1).description.nuclei.nucleus.items():
        for name in parameters.lines:
            twin = Twin(alone(said, nucleus, name), seed=1)
            drive(twin, 0.0, "current", 0.35)
            larmor_MHz = twin.larmor_MHz(nucleus)
            scan = Scan(nucleus, 5000.0, 5000.001, 1, 0, 1.0, 8, 1e6, larmor_MHz * (1 + parameters.lines[name].shift_ppm * 1e-6),
                        pulse_s=1e-12, tip_deg=90.0, dead_s=0.0)  # fmt: skip
            wanted = 0.0 + 0.0j
            for amount in twin.amounts(5000.0005, nucleus):
                nodes = nodes_of(amount, twin.description.nuclei.geometry, larmor_MHz)
                wanted += amount.umol * complex(np.sum(nodes.weight * np.sin(0.5 * math.pi * nodes.reach)))
            assert twin.acquire(scan)[0] == pytest.approx(parameters.counts_per_umol * wanted, rel=1e-4, abs=1e-6), name


def alone(said: dict[str, Any], nucleus: str, name: str) -> dict[str, Any]:
    """One line of one nucleus, without noise, phase walk or a clipping converter."""
    copy = json.loads(json.dumps(said))
    kept = copy["nuclei"]["nucleus"][nucleus]
    kept["lines"] = {name: kept["lines"][name]}
    kept["noise_counts"] = 0.0
    copy["nuclei"]["geometry"] = copy["nuclei"].get("geometry", {}) | {"bulk_phase_deg": None}
    copy["spectrometer"] = {"phase_walk_deg": 0.0}
    return dict(copy)


@every
def test_relaxation_is_physical_and_metal_obeys_korringa(cell: str) -> None:
    """P3: T1 T = 44 s K for lithium, 5.1 s K for sodium; P4: T2 at most T1."""
    twin = made(cell)
    for nucleus, parameters in twin.description.nuclei.nucleus.items():
        for name, line in parameters.lines.items():
            assert line.T2_s <= line.T1_s, f"{nucleus} {name}"
            if name in {"bulk", "moss", "dead", "plated", "filament"}:
                assert line.T1_s * 298.0 == pytest.approx(KORRINGA_s_K[nucleus], rel=0.06)
