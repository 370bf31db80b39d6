"""The trigger model: the step of potentiostats.md 2.6, its watchdog, its limits, its timers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Play = Callable[..., Any]

BEFORE = (
    ":OUTP:SMOD HIMP",
    ':SENS:FUNC "VOLT"',
    ":SENS:VOLT:RSEN ON",
    ":SOUR:FUNC CURR",
    ":SOUR:CURR:RANG 0.01",
    ":SOUR:CURR 1e-3",
    ":SOUR:CURR:VLIM 4.3",
)
MODEL = """:TRIG:LOAD "Empty"
:DIG:LINE1:MODE DIG,OUT
:TRIG:BLOC:BUFF:CLE 1,"defbuffer1"
:TRIG:BLOC:SOUR:STAT 2,ON
:TRIG:BLOC:DIG:IO 3,1,1
:TRIG:BLOC:MEAS 4,"defbuffer1"
:TRIG:BLOC:BRAN:LIM:CONS 5,OUTside,2.5,3.2,12,4
:TRIG:BLOC:DEL:CONS 6,0.95
:TRIG:BLOC:BRAN:COUN 7,60,4
:TRIG:BLOC:BRAN:COUN:RES 8,7
:TRIG:BLOC:BRAN:EVEN 9,COMM,11
:TRIG:BLOC:BRAN:ALW 10,12
:TRIG:BLOC:BRAN:COUN 11,600,4
:TRIG:BLOC:SOUR:STAT 12,OFF
:TRIG:BLOC:DIG:IO 13,0,1
:INIT""".splitlines()


async def ready(b: Any, *changes: tuple[str, str]) -> None:
    text = "\n".join(MODEL)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    await b.send(*BEFORE, *text.splitlines())
    assert await b.error() == 0


async def until_idle(b: Any, fed: bool) -> float:
    begin_s = b.twin.t_s
    while (await b.ask(":TRIG:STAT?")).startswith(("RUNNING", "WAITING")):
        await b.clock.sleep(20)
        if fed:
            await b.send("*TRG")
    return b.emulator._twin_s() - begin_s


def test_the_model_ends_at_the_upper_cut_off_while_it_is_fed(play: Play) -> None:
    """0.1 V over the resistance, then 0.1 V · 100 F = 10 C at 1 mA: 10 000 s."""

    async def scene(b: Any) -> None:
        await ready(b)
        assert b.twin.output_on
        assert await b.ask(":DIG:LINE1:STAT?") == "1"
        assert 9_980 < await until_idle(b, fed=True) < 10_060
        assert await b.ask(":TRIG:STAT?") == "IDLE;IDLE;13"
        assert not b.twin.output_on
        assert await b.ask(":OUTP?") == "0"
        assert await b.ask(":DIG:LINE1:STAT?") == "0"
        assert b.twin.charge == pytest.approx(10.0, rel=1e-3)
        end = await b.ask(":TRAC:ACT:END?")
        (last_V,) = await b.numbers(f':TRAC:DATA? {end},{end},"defbuffer1",READ')
        assert 3.2 < last_V < 3.2001

    play(scene)


def test_a_silent_host_ends_it_within_two_minutes(play: Play) -> None:
    async def scene(b: Any) -> None:
        await ready(b)
        assert 55 < await until_idle(b, fed=False) < 125
        assert not b.twin.output_on

    play(scene)


def test_the_number_of_rounds_ends_it(play: Play) -> None:
    async def scene(b: Any) -> None:
        await ready(b, ("11,600,4", "11,5,4"))
        assert 280 < await until_idle(b, fed=True) < 330

    play(scene)


def test_abort_leaves_the_output_as_it_is(play: Play) -> None:
    async def scene(b: Any) -> None:
        await ready(b)
        await b.clock.sleep(10)
        await b.send(":SOUR:CURR 2e-3")
        assert await b.error() == -221, "settings are refused while it runs"
        assert (await b.numbers(":TRAC:ACT?"))[0] >= 10, "the buffer is not"
        await b.send(":ABOR")
        assert (await b.ask(":TRIG:STAT?")).startswith("ABORTED")
        assert b.twin.output_on
        await b.send(":OUTP OFF")
        assert await b.ask(":OUTP?") == "0"
        assert not b.twin.output_on

    play(scene)


def test_a_timer_paces_without_drift(play: Play) -> None:
    async def scene(b: Any) -> None:
        await b.send(*BEFORE, ":TRIG:TIM1:DEL 1", ":TRIG:TIM1:COUN 0", ":TRIG:TIM1:STAR:STIM NOT8", ":TRIG:TIM1:STAT ON")
        await b.send(
            ':TRIG:LOAD "Empty"',
            ":TRIG:BLOC:SOUR:STAT 1,ON",
            ":TRIG:BLOC:NOT 2,8",
            ':TRIG:BLOC:MEAS 3,"defbuffer1"',
            ":TRIG:BLOC:WAIT 4,TIM1",
            ":TRIG:BLOC:BRAN:COUN 5,101,3",
            ":TRIG:BLOC:SOUR:STAT 6,OFF",
            ":INIT",
        )
        assert await b.error() == 0
        await until_idle(b, fed=False)
        times = await b.numbers(':TRAC:DATA? 1,101,"defbuffer1",REL')
        assert times[100] - times[0] == pytest.approx(100, abs=1e-3)

    play(scene)


def test_blocks_with_a_hole_or_of_no_kind(play: Play) -> None:
    async def scene(b: Any) -> None:
        await b.send(':TRIG:LOAD "Empty"', ":TRIG:BLOC:SOUR:STAT 2,ON", ":INIT")
        assert await b.error() == -221
        assert (await b.ask(":TRIG:STAT?")).startswith("FAILED")
        await b.send(":TRIG:BLOC:WAIT 1,TEATIME")
        assert await b.error() == -224
        await b.send(":TRIG:BLOC:SOUR:STAT 64,ON")
        assert await b.error() == -222
        await b.send(":TRIG:BLOC:SOUR:STAT 1,OFF")
        listed = (await b.ask(":TRIG:BLOC:LIST?")), await b.hear()
        assert "SOUR:STAT" in listed[0]
        assert "True" in listed[1]

    play(scene)
