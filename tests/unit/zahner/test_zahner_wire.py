"""Zahner's telegrams are those that a public client was seen to send."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from drivers.base import EndConditions, Limits, Mode, Reason, Settings, StepOrder
from drivers.errors import Rejected
from drivers.stream.bounds import Bound, StepPlan
from drivers.stream.rows import Row
from drivers.zahner import wire
from drivers.zahner.door import missing, over
from drivers.zahner.models import Options, capabilities_of, planned, where

GOLDEN = Path(__file__).parents[2] / "golden" / "zahner" / "dossier.hex"
SAID = {name: bytes.fromhex(data) for name, data in (line.split() for line in GOLDEN.read_text().splitlines() if line[0] != "#")}
LIMITS = Limits(voltage_upper_V=4.3, voltage_lower_V=2.4, current_A=0.6, charge_C=3600.0, time_s=1e5)
STEP = StepOrder("s1", Mode.GALVANOSTATIC, EndConditions(60.0, voltage_upper_V=4.2), LIMITS, current_A=0.5)


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("register", wire.register()),
        ("version", wire.ask_version()),
        ("galvanostat", wire.galvanostat()),
        ("set_current", wire.set_current(5e-4)),
        ("on", wire.switch(on=True)),
        ("ask_voltage", wire.ask_voltage()),
        ("off", wire.switch(on=False)),
    ],
)
def test_each_telegram_is_as_it_was_seen(name: str, made: bytes) -> None:
    assert made == SAID[name]


def test_replies_arrive_in_pieces() -> None:
    splitter, found = wire.Splitter(), []
    for byte in SAID["voltage"] * 2:
        telegram = splitter.feed(bytes([byte]))
        found += [] if telegram is None else [telegram]
    assert [wire.voltage(one.text) for one in found] == [3.7123, 3.7123]
    assert found[0].kind == wire.COMMAND


@pytest.mark.parametrize(("reply", "value"), [("current= 5.0e-04A", 5e-4), ("current=-1.25e-06A:", -1.25e-6), ("CURRENT=  0 A", 0.0)])
def test_a_current(reply: str, value: float) -> None:
    assert wire.current(reply) == value


@pytest.mark.parametrize("reply", ["", "potential= V", "current= 1mA", "potential=1e999V", "current= nanA", "1.0", "potential=1_0V"])
def test_what_is_no_number_is_none(reply: str) -> None:
    for read in (wire.voltage, wire.current):
        with pytest.raises(wire.Garbled):
            read(reply)


@pytest.mark.parametrize(("reply", "found"), [("3,ScriptRemote,5.9.3", (5, 9, 3)), ("3,x,Thales 5.10.0 USB", (5, 10, 0))])
def test_a_version_is_the_third_field(reply: str, found: tuple[int, ...]) -> None:
    assert wire.version(reply) == found


def test_versions_are_compared_as_numbers() -> None:
    assert wire.version("3,x,5.10.0") > wire.OLDEST > wire.version("3,x,5.9.2")
    with pytest.raises(wire.Garbled):
        wire.version("3,ScriptRemote")


def test_who_it_is() -> None:
    assert wire.device("ZENNIUM;33000;PRO") == ("33000", "PRO")
    assert wire.device("nothing") == ("", "")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_no_number_is_set(value: float) -> None:
    for make in (wire.set_current, wire.set_voltage):
        with pytest.raises(wire.Garbled):
            make(value)


PLAN = StepPlan(STEP, Bound(60.0, Reason.TIME), Bound(1.0, Reason.SAFETY), Bound(4.2, Reason.V_UPPER), Bound(2.4, Reason.SAFETY))
HOLD = replace(PLAN, order=replace(STEP, mode=Mode.POTENTIOSTATIC, voltage_V=4.2), taper_A=1e-3)


@pytest.mark.parametrize(
    ("plan", "row", "ends"),
    [
        (PLAN, Row(1.0, 4.0, 0.5), False),
        (PLAN, Row(60.0, 4.0, 0.5), True),
        (PLAN, Row(1.0, 4.2, 0.5), True),
        (PLAN, Row(1.0, 2.4, 0.5), True),
        (HOLD, Row(1.0, 4.2, 0.5), False),
        (HOLD, Row(1.0, 4.2, 1e-3), True),
    ],
)
def test_the_host_ends_a_step_at_each_bound(plan: StepPlan, row: Row, ends: bool) -> None:
    assert over(plan, row) is ends


def test_what_it_cannot_do_is_refused() -> None:
    for order in (replace(STEP, mode=Mode.IMPEDANCE), replace(STEP, current_A=5.0), replace(STEP, sample_interval_s=0.01)):
        with pytest.raises(Rejected):
            planned((order,), capabilities_of(Options()))


def test_rigs() -> None:
    assert where("im6", "zahner") == ("im6", 260)
    assert where("im6:2600", "zahner") == ("im6", 2600)
    for options in ({"max_current_A": "x"}, {"off_below_A": 0}, {"nonsense": 1}):
        with pytest.raises(Rejected):
            Options.of(Settings("zahner", "zahner", "", options=options))


def test_nobody_watches_a_zahner() -> None:
    """So a plan may not let the device finish by itself."""
    found = capabilities_of(Options())
    assert (found.autonomous, found.watchdog, found.on_device_limits) == (False, False, frozenset())


def test_the_setup_that_the_vendor_shows_is_read() -> None:
    _, shown = (GOLDEN.parent / "setup.txt").read_text().splitlines()
    assert wire.is_on(shown) is False
    assert wire.is_on(shown.replace(";Pot=0;", ";Pot=-1;")) is True, "neither Pset nor Pmin nor Pmax is taken for it"


def test_whether_the_cell_is_on_is_read_back() -> None:
    setup = "OK;SETUP;Pset=0.0000e+00;Cset=5.0000e-04;Nw=1;Pot={};Gal=-1;GAL=1;DEV=0;ENDSETUP\r"
    assert [wire.is_on(setup.format(pot)) for pot in ("-1", "0")] == [True, False]
    for reply in ("OK\r", "Pot=", "xPot=0", ""):
        with pytest.raises(wire.Garbled):
            wire.is_on(reply)


def test_a_current_that_is_missing_makes_it_ask() -> None:
    assert [missing(PLAN, Row(1.0, 4.0, amps)) for amps in (0.5, -0.5, 0.0, 0.2)] == [False, False, True, True]
    assert not missing(replace(PLAN, order=replace(STEP, mode=Mode.REST)), Row(1.0, 4.0, 0.0))
