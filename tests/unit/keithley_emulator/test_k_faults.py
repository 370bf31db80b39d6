"""Every fault by name, sockets that hang, and going on from a snapshot; pyvisa as a client that we did not write."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
import pyvisa

from drivers.clock import Clock
from drivers.errors import NotReachable
from drivers.keithley.faults import NAMES
from drivers.transport.memory import MemoryNetwork
from drivers.transport.real import RealNetwork
from drivers.transport.virtual import run_virtual

Play = Callable[..., Any]
CHARGE = (
    ":OUTP:SMOD HIMP",
    ':SENS:FUNC "VOLT"',
    ":SENS:VOLT:RSEN ON",
    ":SOUR:FUNC CURR",
    ":SOUR:CURR:VLIM 4",
    ":SOUR:CURR 1e-3",
    ":OUTP ON",
)


async def answers(b: Any, line: str = "*LANG?") -> bool:
    try:
        await b.ask(line, within_s=5.0)
    except TimeoutError:
        return False
    return True


def test_silent_while_what_runs_goes_on(play: Play) -> None:
    async def scene(b: Any) -> None:
        await b.send(*CHARGE)
        assert await b.ask(":OUTP?") == "1"
        b.emulator.inject("silent")
        assert not await answers(b)
        assert b.twin.output_on
        b.emulator.clear("silent")
        assert await answers(b)
        assert b.twin.told == ["silent"]

    play(scene)


def test_a_hung_socket_blocks_everybody_until_the_other_port(play: Play) -> None:
    async def scene(b: Any) -> None:
        b.emulator.inject("hung_socket")
        assert await answers(b)
        await b.stream.close()
        await b.connect()
        assert not await answers(b)
        other = await b.network.connect(b.address.host, b.address.port + 5)
        await other.close()
        await b.clock.sleep(1)
        b._waiting = b""
        await b.connect()
        assert await answers(b)

    play(scene)


def test_who_comes_second_waits(play: Play) -> None:
    async def scene(b: Any) -> None:
        assert await answers(b)
        first = b.stream
        await b.connect()
        assert not await answers(b)
        await first.close()
        assert await b.hear() == "SCPI", "its question was read at last"

    play(scene)


def test_a_mains_dip_is_told_by_esr(play: Play) -> None:
    async def scene(b: Any) -> None:
        await b.send(*CHARGE, "*CLS")
        assert await b.ask("*ESR?") == "0"
        b.emulator.inject("reboot")
        with pytest.raises((EOFError, NotReachable)):
            await b.ask(":OUTP?")
        with pytest.raises(NotReachable):
            await b.connect()
        await b.clock.sleep(2)
        await b.connect()
        assert int(await b.ask("*ESR?")) & 128
        assert [await b.ask(q) for q in (":OUTP?", ":OUTP:SMOD?", ":SENS:VOLT:RSEN?", ":TRAC:ACT?")] == ["0", "NORM", "0", "0"]
        assert b.twin.output_on, "and NORM drains the cell"

    play(scene)


def test_the_port_comes_back_and_the_output_stayed_on(play: Play) -> None:
    async def scene(b: Any) -> None:
        await b.send(*CHARGE)
        assert await b.ask(":OUTP?") == "1"
        b.emulator.inject("port_vanishes", seconds=3.0)
        with pytest.raises((EOFError, NotReachable)):
            await b.ask(":OUTP?")
        await b.clock.sleep(4)
        await b.connect()
        assert await b.ask(":OUTP?") == "1"
        assert b.twin.charge == pytest.approx(1e-3 * b.twin.t_s, rel=0.05)

    play(scene)


def test_answers_that_are_none(play: Play) -> None:
    async def scene(b: Any) -> None:
        b.emulator.inject("garbage")
        assert await b.ask("*LANG?") != "SCPI"
        b.emulator.inject("half_line")
        assert not await answers(b)
        b._waiting = b""
        b.emulator.inject("slow", delay_s=8.0)
        assert not await answers(b)
        assert await b.hear() == "SCPI"
        b.emulator.clear("slow")
        b.emulator.inject("wrong_instrument")
        assert "MODEL 2400" in await b.ask("*IDN?")
        b.emulator.inject("wrong_language")
        assert await b.ask("*LANG?") == "TSP"
        assert not await answers(b, "*IDN?")

    play(scene)


def test_an_output_that_lies_and_an_off_state_that_stays(play: Play) -> None:
    async def scene(b: Any) -> None:
        await b.send(*CHARGE)
        b.emulator.inject("stays_on")
        await b.send(":OUTP OFF")
        assert await b.ask(":OUTP?") == "1"
        assert b.twin.output_on
        b.emulator.clear("stays_on")
        b.emulator.inject("keeps_normal")
        await b.send(":OUTP OFF", ":OUTP:SMOD NORM")
        assert await b.ask(":OUTP:SMOD?") == "HIMP"
        b.emulator.inject("refused")
        await b.send(":OUTP ON")
        assert await b.error() == -221
        assert await b.ask(":OUTP?") == "0"
        b.emulator.inject("no_contact")
        assert await b.ask(":SYST:CCH?") == "0"

    play(scene)


def test_readings_that_are_none(play: Play) -> None:
    async def scene(b: Any) -> None:
        await b.send(*CHARGE)
        b.emulator.inject("overflow")
        assert (await b.numbers("READ?"))[0] == 9.91e37
        b.emulator.inject("voltage_jump", offset_V=2.0)
        assert (await b.numbers("READ?"))[0] == pytest.approx(5.1, abs=0.01)
        b.emulator.inject("clock_off", seconds=60.0)
        assert abs(int(await b.ask(":SYST:TIME?")) - b.clock.utc_ns() / 1e9 - 60) < 1.5

    play(scene)


def test_a_clock_that_runs_fast_and_is_set_right(play: Play) -> None:
    async def scene(b: Any) -> None:
        def ahead_s() -> float:
            return (b.emulator._utc_ns() - b.clock.utc_ns()) / 1e9

        b.emulator.inject("clock_skew", ppm=1000.0)
        await b.clock.sleep(100.0)
        assert ahead_s() == pytest.approx(0.1, abs=1e-6)
        b.emulator.clear("clock_skew")
        await b.clock.sleep(100.0)
        assert ahead_s() == pytest.approx(0.1, abs=1e-6), "it keeps what it has gained"

    play(scene)


def test_a_trigger_model_waits_for_the_edge_of_a_line(play: Play) -> None:
    async def scene(b: Any) -> None:
        await b.send(":DIG:LINE2:MODE TRIG,IN", ":TRIG:DIG2:IN:EDGE RIS", ':TRIG:LOAD "Empty"')
        await b.send(":TRIG:BLOC:WAIT 1,DIG2", ":TRIG:BLOC:SOUR:STAT 2,ON", ":INIT")
        b.emulator.drive_line(3, 1)
        await b.clock.sleep(5.0)
        assert (await b.ask(":TRIG:STAT?")).startswith("WAITING")
        assert not b.twin.output_on
        b.emulator.drive_line(2, 1)
        await b.clock.sleep(1.0)
        assert b.twin.output_on
        assert await b.ask(":TRIG:DIG2:IN:EDGE?") == "RIS"
        assert await b.ask(":DIG:LINE2:STAT?") == "1"

    play(scene)


def test_a_trigger_model_that_does_not_run(play: Play) -> None:
    async def scene(b: Any) -> None:
        b.emulator.inject("model_fails")
        await b.send(':TRIG:LOAD "Empty"', ":TRIG:BLOC:SOUR:STAT 1,ON", ":INIT")
        assert (await b.ask(":TRIG:STAT?")).startswith("FAILED")
        assert not b.twin.output_on

    play(scene)


def test_a_fault_of_no_name(play: Play) -> None:
    async def scene(b: Any) -> None:
        with pytest.raises(ValueError, match="no fault is called"):
            b.emulator.inject("tired")
        assert b.emulator.fault_names == NAMES

    play(scene)


def test_a_second_life_goes_on_where_the_first_ended(make_bench: Any) -> None:
    """The trigger model, its buffer and its settings; connections are gone."""
    kept: dict[str, Any] = {}

    async def first(clock: Clock) -> None:
        b = make_bench(clock, MemoryNetwork())
        await b.begin()
        await b.send(
            *CHARGE[:-1], ':TRIG:LOAD "Empty"', ":TRIG:BLOC:SOUR:STAT 1,ON", ':TRIG:BLOC:MEAS 2,"defbuffer1"', ":TRIG:BLOC:DEL:CONS 3,0.98"
        )
        await b.send(":TRIG:BLOC:BRAN:COUN 4,100,2", ":TRIG:BLOC:SOUR:STAT 5,OFF", ":INIT")
        await b.clock.sleep(40)
        kept.update(json.loads(json.dumps({"emulator": b.emulator.snapshot(), "charge": b.twin.charge})))
        await b.emulator.stop()

    async def second(clock: Clock) -> None:
        b = make_bench(clock, MemoryNetwork())
        b.twin.charge = kept["charge"]
        b.twin.drive_current(0.0, 1e-3)
        b.emulator.restore(kept["emulator"])
        await b.begin()
        assert (await b.ask(":TRIG:STAT?")).startswith("RUNNING")
        await b.clock.sleep(70)
        assert (await b.ask(":TRIG:STAT?")) == "IDLE;IDLE;5"
        assert await b.ask(":TRAC:ACT?") == "100"
        assert not b.twin.output_on
        await b.emulator.stop()

    run_virtual(first)
    run_virtual(second)


def test_the_beat_of_a_timer_goes_on_in_a_second_life(make_bench: Any) -> None:
    """A model that waits for TIM1 would otherwise wait for ever, with its output on."""
    kept: dict[str, Any] = {}

    async def first(clock: Clock) -> None:
        b = make_bench(clock, MemoryNetwork())
        await b.begin()
        await b.send(*CHARGE[:-1], ":TRIG:TIM1:DEL 1", ":TRIG:TIM1:COUN 100", ":TRIG:TIM1:STAR:STIM NOT8", ":TRIG:TIM1:STAT ON")
        await b.send(':TRIG:LOAD "Empty"', ":TRIG:BLOC:SOUR:STAT 1,ON", ":TRIG:BLOC:NOT 2,8", ':TRIG:BLOC:MEAS 3,"defbuffer1"')
        await b.send(":TRIG:BLOC:WAIT 4,TIM1", ":TRIG:BLOC:BRAN:COUN 5,20,3", ":TRIG:BLOC:SOUR:STAT 6,OFF", ":INIT")
        await b.clock.sleep(10)
        kept.update(json.loads(json.dumps(b.emulator.snapshot())))
        await b.emulator.stop()

    async def second(clock: Clock) -> None:
        b = make_bench(clock, MemoryNetwork())
        b.twin.drive_current(0.0, 1e-3)
        b.emulator.restore(kept)
        await b.begin()
        await b.clock.sleep(30)
        assert await b.ask(":TRIG:STAT?") == "IDLE;IDLE;6"
        assert not b.twin.output_on
        await b.emulator.stop()

    run_virtual(first)
    run_virtual(second)


async def test_pyvisa_over_a_real_socket(make_bench: Any) -> None:
    clock = Clock()
    b = make_bench(clock, RealNetwork())
    address = await b.emulator.start()

    def client() -> list[str]:
        manager = pyvisa.ResourceManager("@py")
        with manager.open_resource(address.visa, read_termination="\n", write_termination="\n", timeout=5000) as smu:
            said = [smu.query("*IDN?")]  # type: ignore[attr-defined]
            for line in CHARGE:
                smu.write(line)  # type: ignore[attr-defined]
            said += [smu.query(q) for q in (":READ?", ":OUTP?", ":SYST:ERR?")]  # type: ignore[attr-defined]
            smu.write(":OUTP OFF")  # type: ignore[attr-defined]
            said.append(smu.query(":OUTP?"))  # type: ignore[attr-defined]
        manager.close()
        return said

    identity, reading, on, error, off = await asyncio.to_thread(client)
    await b.emulator.stop()
    assert identity.startswith("KEITHLEY INSTRUMENTS,MODEL 2450,")
    assert float(reading) == pytest.approx(3.1, abs=1e-3)
    assert (on, off, error[:1]) == ("1", "0", "0")
