"""From a step to what a Keithley is told: golden commands, which topology, what is refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from drivers.base import EndConditions, Limits, Mode, Reason, Settings, StepOrder
from drivers.errors import Rejected
from drivers.keithley import blocks
from drivers.keithley.driver import Keithley
from drivers.keithley.models import MODELS, Options, check
from drivers.keithley.setup import Setup, commands, look_of, over_before_it_began, setup_of
from drivers.keithley.wire import number

GOLDEN = Path(__file__).parents[2] / "golden" / "keithley"
MODEL = MODELS["2450"]
SYMMETRIC = Limits(voltage_upper_V=0.6, voltage_lower_V=-0.6, current_A=5e-4, charge_C=0.432, time_s=1e4)
FULL = Limits(voltage_upper_V=4.3, voltage_lower_V=2.4, current_A=1e-3, charge_C=20, time_s=1e5)
FRESH = replace(FULL, voltage_lower_armed_above_V=3.0)
PLATE = StepOrder("plate-1", Mode.GALVANOSTATIC, EndConditions(720.5, 0.45, -0.45), SYMMETRIC, current_A=-4e-4)
CHARGE = StepOrder("charge-1", Mode.GALVANOSTATIC, EndConditions(36000, 4.2), FULL, current_A=5e-4)
DISCHARGE = StepOrder("discharge-1", Mode.GALVANOSTATIC, EndConditions(36000, None, 2.5), FULL, current_A=-5e-4)
HOLD = StepOrder("hold-1", Mode.POTENTIOSTATIC, EndConditions(7200, current_below_A=5e-5), FULL, voltage_V=4.2)
REST = StepOrder("rest-1", Mode.REST, EndConditions(600), FULL)
ARMED = StepOrder("charge-2", Mode.GALVANOSTATIC, EndConditions(36000, 4.2), FRESH, current_A=5e-4)
ALL = {
    "current_source": (PLATE, Options()),
    "voltage_source": (CHARGE, Options()),
    "voltage_source_discharge": (DISCHARGE, Options(watchdog_s=0)),
    "hold": (HOLD, Options()),
    "rest": (REST, Options()),
    "lines": (replace(PLATE, ttl_out=True, ttl_in=True), Options(trigger_out_line=3, trigger_in_line=4)),
    "armed_late": (ARMED, Options(sense=2, high_capacitance=True)),
}


@pytest.mark.parametrize("name", ALL)
def test_golden_commands(name: str) -> None:
    setup = setup_of(ALL[name][0], MODEL, ALL[name][1])
    lines = [line for line in (GOLDEN / f"{name}.scpi").read_text("utf-8").splitlines() if not line.startswith("#")]
    assert [*commands(setup), *blocks.model(setup)] == lines


def walk(setup: Setup, readings: list[float], *, triggered: bool = True) -> tuple[list[str], int]:
    """Play a model, as the document says its blocks work: what was done, and how often it paused."""
    lines = blocks.model(setup)
    program = [line.removeprefix(":TRIG:BLOC:") for line in lines if line.startswith(":TRIG:BLOC:")]
    parsed = [re.fullmatch(r"(\S+) (\d+),?(.*)", line) for line in program]
    assert all(parsed)
    assert [int(block[2]) for block in parsed if block] == list(range(1, len(program) + 1))
    counts: dict[int, int] = {}
    done, beats, at, latest, source = [], 0, 1, 0.0, iter(readings)
    while at <= len(program):
        block = parsed[at - 1]
        assert block
        verb, arguments = block[1], block[3].split(",")
        at, here = at + 1, at
        if verb == "MEAS":
            latest = next(source)
            done.append("measure")
        elif verb == "SOUR:STAT":
            done.append(arguments[0])
        elif verb == "DEL:CONS":
            beats += arguments == [number(setup.pause_s)]
        elif verb == "BRAN:ALW":
            at = int(arguments[0])
        elif verb == "BRAN:EVEN" and triggered:
            at = int(arguments[1])
        elif verb == "BRAN:COUN":
            counts[here] = counts.get(here, 0) + 1
            at = int(arguments[1]) if counts[here] < int(arguments[0]) else at
        elif verb == "BRAN:COUN:RES":
            counts[int(arguments[0])] = 0
        elif verb == "BRAN:LIM:CONS":
            low, high = sorted(map(float, arguments[1:3]))
            beyond = {"ABOVe": latest > high, "BELow": latest < low, "INside": low <= latest <= high, "OUTside": not low <= latest <= high}
            at = int(arguments[3]) if beyond[arguments[0]] else at
    return done, beats


@pytest.mark.parametrize("name", ALL)
def test_every_model_begins_on_and_ends_off_at_its_time(name: str) -> None:
    order, options = ALL[name]
    order = replace(order, ends=replace(order.ends, time_s=200.0))
    reading = {"VOLT": 3.5 if order.limits is not SYMMETRIC else 0.1, "CURR": order.current_A or 4e-4}
    setup = setup_of(order, MODEL, options)
    done, beats = walk(setup, [reading[setup.measure]] * 300)
    assert (done[0], done[-1], done.count("ON"), done.count("OFF")) == ("ON", "OFF", 1, 1)
    assert beats == 200
    assert done.count("measure") == 201


def test_without_a_trigger_the_model_ends_within_the_watchdog() -> None:
    for order in (PLATE, CHARGE, HOLD, REST, ARMED):
        setup = setup_of(order, MODEL, Options(watchdog_s=60))
        reading = {"VOLT": 3.5 if order.limits is not SYMMETRIC else 0.1, "CURR": order.current_A or 4e-4}[setup.measure]
        done, beats = walk(setup, [reading] * 100, triggered=False)
        assert done[-1] == "OFF"
        assert beats == 30


@pytest.mark.parametrize(
    ("order", "readings"),
    [
        (PLATE, [0.1, 0.2, 0.46]),
        (PLATE, [-0.1, -0.2, -0.46]),
        (CHARGE, [5e-4, 5e-4, 4.7e-4]),
        (CHARGE, [5e-4, 5e-4, -5e-4]),
        (DISCHARGE, [-5e-4, -5e-4, -4.7e-4]),
        (HOLD, [5e-4, 1e-4, 4e-5]),
        (HOLD, [-5e-4, -1e-4, -4e-5]),
        (ARMED, [1.0, 2.9, 4.21]),
        (ARMED, [1.0, 3.1, 2.3]),
    ],
)
def test_a_model_ends_at_its_limit(order: StepOrder, readings: list[float]) -> None:
    done, _ = walk(setup_of(order, MODEL, Options()), readings)
    assert done == ["ON", "measure", "measure", "measure", "OFF"]


def test_a_beat_is_never_shorter_than_the_interval() -> None:
    assert setup_of(PLATE, MODEL, Options()).pause_s == pytest.approx(1.0 - 1 / 60)
    with pytest.raises(Rejected, match="nplc"):
        setup_of(replace(PLATE, sample_interval_s=0.1), MODEL, Options(nplc=5))


def test_no_block_can_wait_for_ever_but_the_one_that_was_asked_for() -> None:
    """A step with ``ttl: wait`` waits before its output goes on."""
    for order, options in ALL.values():
        lines = blocks.model(setup_of(order, MODEL, options))
        waits = [at for at, line in enumerate(lines) if "WAIT" in line]
        assert len(waits) == order.ttl_in
        assert all("SOUR:STAT" in lines[at + 1] and lines[at + 1].endswith("ON") for at in waits)


def test_a_model_fits_the_instrument() -> None:
    assert max(blocks.count_of(blocks.model(setup_of(order, MODEL, options))) for order, options in ALL.values()) <= blocks.MOST_BLOCKS


# ------------------------------------------------------------------------------------------------------------ topology


@pytest.mark.parametrize(
    ("order", "topology", "source"),
    [
        (CHARGE, "auto", "VOLT"),
        (DISCHARGE, "auto", "VOLT"),
        (PLATE, "auto", "CURR"),
        (ARMED, "auto", "CURR"),
        (CHARGE, "current", "CURR"),
        (PLATE, "voltage", "VOLT"),
        (HOLD, "current", "VOLT"),
        (REST, "voltage", "CURR"),
    ],
)
def test_a_full_cell_gets_a_voltage_source(order: StepOrder, topology: str, source: str) -> None:
    assert setup_of(order, MODEL, Options(topology=topology)).source == source


def test_a_voltage_source_without_a_cut_off_stands_at_the_limit_and_means_it() -> None:
    setup = setup_of(replace(CHARGE, ends=EndConditions(60.0)), MODEL, Options())
    assert (setup.level, setup.target_reason) == (4.3, Reason.SAFETY)
    assert setup_of(CHARGE, MODEL, Options()).target_reason is Reason.V_UPPER
    assert setup_of(DISCHARGE, MODEL, Options()).target_reason is Reason.V_LOWER


def test_charge_is_a_time_at_constant_current() -> None:
    for ends, limits, expected in (
        (EndConditions(1e4, charge_C=0.2), SYMMETRIC, (500.0, Reason.CHARGE)),
        (EndConditions(1e4), replace(SYMMETRIC, charge_C=0.1), (250.0, Reason.SAFETY)),
        (EndConditions(1e4, charge_C=0.1), replace(SYMMETRIC, charge_C=0.1), (250.0, Reason.CHARGE)),
        (EndConditions(1e4), replace(SYMMETRIC, time_s=99.0), (99.0, Reason.SAFETY)),
    ):
        duration = setup_of(replace(PLATE, ends=ends, limits=limits), MODEL, Options()).duration
        assert duration.total_s == pytest.approx(expected[0])
        assert duration.reason is expected[1]


def test_the_look_at_open_circuit_limits_above_any_cell() -> None:
    look = look_of(setup_of(PLATE, MODEL, Options()), MODEL)
    assert (look.source, look.level, look.limit, look.prot) == ("CURR", 0.0, 6.0, "PROT10")


@pytest.mark.parametrize(
    ("order", "voltage_V", "reason"),
    [
        (CHARGE, 4.2, Reason.V_UPPER),
        (CHARGE, 4.25, Reason.V_UPPER),
        (CHARGE, 4.19, None),
        (CHARGE, 2.45, None),
        (DISCHARGE, 2.5, Reason.V_LOWER),
        (DISCHARGE, 4.25, None),
        (HOLD, 4.25, None),
        (PLATE, 0.5, None),
        (ARMED, 0.1, None),
    ],
)
def test_a_cell_that_stands_beyond_its_cut_off_gets_no_current(order: StepOrder, voltage_V: float, reason: Reason | None) -> None:
    over = over_before_it_began(setup_of(order, MODEL, Options()), voltage_V)
    assert (over[0] if over else None) is reason


@pytest.mark.parametrize(("order", "voltage_V"), [(CHARGE, 4.3), (CHARGE, 2.4), (HOLD, 1.0), (PLATE, -0.7), (ARMED, 4.4), (REST, 0.0)])
def test_a_cell_outside_its_limits_is_not_touched(order: StepOrder, voltage_V: float) -> None:
    with pytest.raises(Rejected, match="open circuit at"):
        over_before_it_began(setup_of(order, MODEL, Options()), voltage_V)


# ------------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"current_A": None}, "not between"),
        ({"current_A": 6e-4}, "not between"),
        ({"current_A": 0.0}, "not between"),
        ({"key": "a b"}, "cannot stand"),
        ({"mode": Mode.IMPEDANCE}, "no impedance"),
        ({"mode": Mode.POTENTIOSTATIC}, "no voltage"),
        ({"mode": Mode.POTENTIOSTATIC, "voltage_V": 0.7}, "outside its own limits"),
        ({"sample_interval_s": 0.01}, "faster"),
        ({"ends": EndConditions(0.5)}, "time limit"),
        ({"ends": EndConditions(float("nan"))}, "time limit"),
        ({"ends": EndConditions(10.0, charge_C=0.0)}, "not a positive number"),
        ({"ends": EndConditions(10.0, 300.0)}, "outside a 2450"),
        ({"limits": replace(SYMMETRIC, voltage_upper_V=-0.7)}, "not below"),
        ({"limits": replace(SYMMETRIC, current_A=2.0)}, "outside a 2450"),
    ],
)
def test_what_it_cannot_do_is_refused(changes: Mapping[str, Any], why: str) -> None:
    with pytest.raises(Rejected, match=why):
        check((replace(PLATE, **changes),), MODEL)


def test_samples_rarer_than_the_watchdog_are_refused() -> None:
    with pytest.raises(Rejected, match="watchdog"):
        setup_of(replace(PLATE, sample_interval_s=61.0), MODEL, Options())


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"topology": "both"}, "topology"),
        ({"sense": 3}, "sense"),
        ({"terminals": "side"}, "terminals"),
        ({"model": 2400}, "model"),
        ({"watchdog_s": 5}, "watchdog_s"),
        ({"watchdog": 60}, "no option is called watchdog"),
        ({"contact_check": True}, "2461"),
    ],
)
def test_a_rig_that_asks_for_the_impossible_is_refused(options: Mapping[str, Any], why: str) -> None:
    with pytest.raises(Rejected, match=why):
        Keithley.declared(Settings("smu", "keithley", "nowhere", options=options))


def test_what_the_rig_file_says_of_it() -> None:
    plain = Keithley.declared(Settings("smu", "keithley", "nowhere", options={"unlock": {}}))
    assert (plain.watchdog, plain.autonomous, plain.max_current_A) == (True, False, 1.05)
    alone = Keithley.declared(Settings("smu", "keithley", "nowhere", options={"watchdog_s": 0, "model": 2461}))
    assert (alone.watchdog, alone.autonomous, alone.max_current_A) == (False, True, 7.35)
    assert "charge" not in alone.on_device_limits
