"""The twin as a whole: its description, its memory, and that asking changes nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drivers.sim.cell import Electrode, State
from drivers.sim.description import DescriptionError, build, read
from drivers.sim.faults import Fault
from drivers.sim.knots import Knots, Shape
from drivers.sim.physics import Physics, Scan
from drivers.sim.twin import Description, Twin

HOUR_S = 3600.0


def scan(start_s: float, end_s: float, **given: Any) -> Scan:
    base: dict[str, Any] = {
        "nucleus": "7Li",
        "scans": 64,
        "dummies": 4,
        "recycle_s": 0.75,
        "points": 2048,
        "spectral_width_Hz": 93458.0,
        "carrier_MHz": 116.665,
    }
    return Scan(t_start_s=start_s, t_end_s=end_s, **(base | given))


def drive(twin: Twin) -> None:
    """Plate, hold, rest, strip through a leak: every kind of drive within three hours."""
    twin.drive_current(10.0, 4e-4)
    twin.drive_voltage(1812.345, 0.06)
    twin.open_circuit(3600.0)
    twin.drive_current(4000.5, -5e-4)


def test_the_file_says_what_the_code_defaults_to(repository: Path) -> None:
    assert build(Description, read(repository / "configs" / "twins" / "C1.yaml")) == Description()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"cell": {"area_cm": 1}}, r"unknown key `cell.area_cm` \(did you mean `area_cm2`"),
        ({"cell": {"area_cm2": "1"}}, "`cell.area_cm2` must be float"),
        ({"cell": 3}, "`cell` must be a mapping"),
        ({"nuclei": {"nucleus": {"7Li": {"MHz_per_T": 1}}}}, "7Li"),
        ({"faults": [{"name": "earthquake"}]}, "no fault is called `earthquake`"),
        ({"version": 2}, "version 2"),
        ({"cell": {"dead_fraction": 1.0}}, "dead_fraction"),
    ],
)
def test_wrong_descriptions_are_refused_with_their_key(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(DescriptionError, match=said):
        Twin(wrong, seed=1)


def test_all_wrong_keys_are_named_at_once() -> None:
    with pytest.raises(DescriptionError, match=r"`nme`.*`magnet\.field`"):
        Twin({"nme": "x", "magnet": {"field": 7.0}}, seed=1)


def test_the_answer_at_an_instant_does_not_depend_on_what_was_asked_before() -> None:
    busy, lazy = Twin({}, seed=7), Twin({}, seed=7)
    for twin in (busy, lazy):
        twin.inject(Fault("soft_short", 2000.0))
    instants = np.concatenate([np.linspace(0.0, 3 * HOUR_S, 731), np.random.default_rng(1).uniform(0.0, 3 * HOUR_S, 300)])
    instants.sort()
    commands = [
        (10.0, "drive_current", 4e-4),
        (1812.345, "drive_voltage", 0.06),
        (3600.0, "open_circuit", None),
        (4000.5, "drive_current", -5e-4),
    ]
    for t_s in instants:
        while commands and commands[0][0] <= t_s:
            at_s, verb, value = commands.pop(0)
            getattr(busy, verb)(at_s, *([] if value is None else [value]))
        busy.measure(float(t_s))
    drive(lazy)
    assert busy.measure(3.0 * HOUR_S) == lazy.measure(3.0 * HOUR_S)
    assert busy.state(3.0 * HOUR_S) == lazy.state(3.0 * HOUR_S)
    assert busy.charge_C() == lazy.charge_C()
    np.testing.assert_array_equal(busy.acquire(scan(9000.0, 9060.0)), lazy.acquire(scan(9000.0, 9060.0)))


def test_the_past_can_be_asked_and_rewritten() -> None:
    ahead, straight = Twin({}, seed=3), Twin({}, seed=3)
    for twin in (ahead, straight):
        twin.drive_current(0.0, 4e-4)
    at_100 = ahead.measure(100.0)
    ahead.measure(5000.0)
    assert ahead.measure(100.0) == at_100
    ahead.open_circuit(200.0)
    straight.open_circuit(200.0)
    assert ahead.measure(5000.0) == straight.measure(5000.0)
    assert ahead.charge_C() == pytest.approx(200.0 * 4e-4, rel=1e-12)
    ahead.drive_current(300.0, 4e-4)
    assert [ahead.measure(t_s).output_on for t_s in (150.0, 250.0, 350.0)] == [True, False, True]


def test_a_snapshot_goes_through_json_and_goes_on_exactly() -> None:
    first = Twin({"electronics": {"spikes_per_h": 30}}, seed=11, t0_mono_ns=5)
    drive(first)
    first.inject(Fault("soft_short", 4100.0))
    first.acquire(scan(5000.0, 5060.0, recycle_s=0.05))
    saved = json.loads(json.dumps(first.snapshot()))
    second = Twin({"electronics": {"spikes_per_h": 30}}, seed=11)
    second.restore(saved)
    assert second.t0_mono_ns == 5
    assert second.snapshot() == saved
    for twin in (first, second):
        twin.drive_voltage(6000.0, -0.05)
    assert [first.measure(t) for t in (5500.0, 6001.0, 9000.0)] == [second.measure(t) for t in (5500.0, 6001.0, 9000.0)]
    wanted = scan(5061.0, 5100.0, recycle_s=0.05)
    np.testing.assert_array_equal(first.acquire(wanted), second.acquire(wanted))
    assert first.snapshot() == second.snapshot()


def test_what_is_kept_of_the_past_is_exact() -> None:
    foil = Electrode(1e-4, 2e-5, 3e-6, 4e-7, 5e-8)
    states = [State(0.1, "off", 0.0, foil, foil), State(1.0, "voltage", -0.3, foil, Electrode(1e-9), -7.0, -1, 0.5, 0.7, 0.9, 12.0)]
    knots = Knots(Shape(states[0]), states)
    assert list(knots) == states
    assert [type(number) for number in knots[1]] == [type(number) for number in states[1]]
    knots.cut(1, 2)
    assert list(knots) == states[1:]


def test_a_snapshot_of_another_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="seed 1"):
        Twin({}, seed=2).restore(Twin({}, seed=1).snapshot())


def test_seeds_differ_and_repeat() -> None:
    def night(seed: int) -> list[float]:
        twin: Physics = Twin({}, seed=seed)
        twin.drive_current(0.0, 4e-4)
        return [twin.measure(float(t)).voltage_V for t in range(50)]

    assert night(1) == night(1)
    assert night(1) != night(2)


def test_noise_is_what_the_description_says() -> None:
    twin = Twin({}, seed=5)
    voltages = np.array([twin.measure(0.1 * n).voltage_V for n in range(4000)])
    assert voltages.std() == pytest.approx(50e-6, rel=0.05)
    assert voltages.mean() == pytest.approx(0.0005, abs=4e-6)


def test_spikes_come_at_their_rate_and_are_short() -> None:
    twin = Twin({"electronics": {"spikes_per_h": 6}}, seed=5)
    high = np.array([abs(twin.measure(0.5 * n).voltage_V) > 0.04 for n in range(2 * 3600 * 10)])
    begins = np.flatnonzero(np.diff(high.astype(int)) == 1)
    assert 35 < begins.size < 85
    assert high.sum() * 0.5 / begins.size < 2.0


def test_open_circuit_reads_exactly_no_current() -> None:
    twin = Twin({}, seed=5)
    twin.drive_current(0.0, 4e-4)
    assert twin.measure(1.0).output_on
    twin.open_circuit(2.0)
    after = twin.measure(3.0)
    assert (after.current_A, after.output_on) == (0.0, False)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_drive_that_is_no_number_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="cannot drive"):
        Twin({}, seed=1).drive_current(0.0, value)
