"""The output stage in front of a cell: levels and limits, what "off" does, buffers, what is read."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import pytest

Play = Callable[..., Any]

CHARGE = (
    ":OUTP:SMOD HIMP",
    ':SENS:FUNC "CURR"',
    ":SENS:CURR:RSEN ON",
    ":SOUR:FUNC VOLT",
    ":SOUR:VOLT 3.2",
    ":SOUR:VOLT:ILIM 1e-3",
    ":OUTP ON",
)
READ = ':READ? "defbuffer1",SOUR,READ,REL,SOURSTAT'


def test_a_voltage_source_at_its_limit_is_a_current_source_until_the_level(play: Play) -> None:
    """CC, then CV by itself: 3.0 V + 0.1 V over the resistance leave 0.1 V · 100 F = 10 C at 1 mA."""

    async def scene(b: Any) -> None:
        await b.send(*CHARGE)
        voltage_V, current_A, _, state = await b.numbers(READ)
        assert (voltage_V, current_A) == (pytest.approx(3.1, abs=1e-4), pytest.approx(1e-3))
        assert int(state) & (32 | 64 | 128) == 32 | 64 | 128
        assert await b.ask(":SOUR:VOLT:ILIM:TRIP?") == "1"
        await b.clock.sleep(9_900)
        assert (await b.numbers(READ))[1] == pytest.approx(1e-3)
        await b.clock.sleep(1_000)
        voltage_V, current_A, _, state = await b.numbers(READ)
        assert voltage_V == pytest.approx(3.2, abs=2e-3)
        assert 1e-4 < current_A < 9.5e-4, "it tapers"
        assert int(state) & 32 == 0
        assert b.twin.charge == pytest.approx(10.0 + 0.095 * 10, rel=0.02)

    play(scene)


def test_charging_beyond_the_target_discharges(play: Play) -> None:
    async def scene(b: Any) -> None:
        await b.send(*(line.replace("3.2", "2.8") for line in CHARGE))
        assert (await b.numbers(READ))[1] == pytest.approx(-1e-3)

    play(scene)


def test_a_current_source_stands_at_its_voltage_limit(play: Play) -> None:
    async def scene(b: Any) -> None:
        await b.send(
            ":OUTP:SMOD HIMP", ':SENS:FUNC "VOLT"', ":SENS:VOLT:RSEN ON", ":SOUR:FUNC CURR", ":SOUR:CURR 1e-3", ":SOUR:CURR:VLIM 3.11"
        )
        await b.send(":OUTP ON")
        current_A, voltage_V, _, state = await b.numbers(READ)
        assert (current_A, voltage_V, int(state) & 32) == (pytest.approx(1e-3), pytest.approx(3.1, abs=1e-4), 0)
        await b.clock.sleep(2_000)
        current_A, voltage_V, _, state = await b.numbers(READ)
        assert (voltage_V, int(state) & 32) == (pytest.approx(3.11, abs=1e-3), 32)
        assert 0 < current_A < 1e-3
        assert await b.ask(":SOUR:CURR:VLIM:TRIP?") == "1"

    play(scene)


@pytest.mark.parametrize(("state", "current_A"), [("NORM", -1e-5), ("HIMP", 0.0), ("ZERO", -1.05e-4), ("GUAR", 0.0)])
def test_off_is_not_open(play: Play, state: str, current_A: float) -> None:
    """NORM drains the cell with 10 % of the range, ZERO with the limit; only HIMP opens the relay."""

    async def scene(b: Any) -> None:
        await b.send(f":OUTP:VOLT:SMOD {state}", ":OUTP OFF")
        await b.ask(":OUTP?")
        before_C, at_s = b.twin.charge, b.twin.t_s
        await b.clock.sleep(10)
        b.twin.measure(b.emulator._twin_s())
        passed_A = (b.twin.charge - before_C) / (b.twin.t_s - at_s)
        assert passed_A == pytest.approx(current_A, rel=1e-3, abs=1e-9)
        assert b.twin.output_on == (state != "HIMP")
        assert b.emulator.driven == b.twin.output_on

    play(scene)


def test_power_up_drains_the_cell_until_somebody_says_himp(play: Play) -> None:
    async def scene(b: Any) -> None:
        assert await b.ask(":OUTP:CURR:SMOD?") == "NORM"
        assert b.twin.output_on
        await b.send(":OUTP:SMOD HIMP")
        assert await b.ask(":OUTP:VOLT:SMOD?") == "HIMP"
        assert not b.twin.output_on
        await b.send("*RST")
        assert await b.ask(":OUTP:VOLT:SMOD?") == "NORM"
        assert b.twin.output_on

    play(scene, output_off="NORM")


def test_the_second_fence_trips(play: Play) -> None:
    async def scene(b: Any) -> None:
        await b.send(":OUTP:SMOD HIMP", ":SOUR:FUNC CURR", ":SOUR:CURR 0.01", ":SOUR:CURR:VLIM 20", ":SOUR:VOLT:PROT PROT5", ":OUTP ON")
        await b.clock.sleep(100)
        assert await b.ask(":SOUR:VOLT:PROT?") == "PROT5"
        assert await b.ask(":SOUR:VOLT:PROT:TRIP?") == "0"
        await b.send(":SOUR:CURR 0.05")
        assert await b.ask(":SOUR:VOLT:PROT:TRIP?") == "1"
        assert await b.ask(":OUTP?") == "0"
        assert not b.twin.output_on
        await b.send(":SOUR:VOLT:PROT PROT3")
        assert await b.error() == -224

    play(scene)


def test_changing_the_source_switches_the_output_off(play: Play) -> None:
    async def scene(b: Any) -> None:
        await b.send(*CHARGE, ":SOUR:FUNC CURR")
        assert await b.ask(":OUTP?") == "0"
        assert not b.twin.output_on

    play(scene)


def test_buffers_turn_round_or_fill_once(play: Play) -> None:
    async def scene(b: Any) -> None:
        await b.send(*CHARGE, ':TRAC:MAKE "run1",10', ':TRAC:POIN 10,"defbuffer1"')
        for _ in range(13):
            await b.send(':TRAC:TRIG "run1"', ':TRAC:TRIG "defbuffer1"')
        assert [await b.ask(f':TRAC:ACT{what}? "run1"') for what in ("", ":STAR", ":END")] == ["10", "1", "10"]
        assert [await b.ask(f':TRAC:ACT{what}? "defbuffer1"') for what in ("", ":STAR", ":END")] == ["10", "4", "3"]
        times = await b.numbers(':TRAC:DATA? 4,3,"defbuffer1",REL')
        assert times == sorted(times)
        assert len(times) == 10
        assert times[0] > 0.1, "the first three are gone"
        rows = await b.ask(':TRAC:DATA? 1,2,"run1",READ,SOUR,REL,STAT,SOURSTAT,SEC,FRAC')
        assert len(rows.split(",")) == 14
        utc_s = float(rows.split(",")[5]) + float(rows.split(",")[6])
        assert abs(utc_s - b.clock.utc_ns() / 1e9) < 2
        await b.send(':TRAC:DATA? 11,12,"run1",READ')
        assert await b.error() == 1114
        await b.send(':TRAC:MAKE "run1",100')
        assert await b.error() == 1115
        await b.send(':TRAC:CLE "run1"')
        assert await b.ask(':TRAC:ACT? "run1"') == "0"

    play(scene)


def test_binary_rows(play: Play) -> None:
    async def scene(b: Any) -> None:
        await b.send(*CHARGE, ":FORM:DATA REAL", ':TRAC:TRIG "defbuffer1"')
        await b.send(':TRAC:DATA? 1,1,"defbuffer1",READ,SOUR')
        data = (await b.stream.read())[: 2 + 16]
        assert data[:2] == b"#0"
        assert struct.unpack("<2d", data[2:18]) == (pytest.approx(1e-3), pytest.approx(3.1, abs=1e-3))
        await b.send(':TRAC:DATA? 1,1,"defbuffer1",SEC')
        b._waiting = b""
        await b.send("*CLS", ":FORM:DATA ASC", ':TRAC:DATA? 1,1,"defbuffer1",NONSENSE')
        assert await b.error() == 1133

    play(scene)
