"""The MethodSCRIPT driver runs programs: from load to end, on the wire that the test plays."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from drivers.base import CellState, EndConditions, Mode, Reason, StepOrder
from drivers.errors import OutcomeUnknown, Rejected
from drivers.methodscript import wire

Play = Callable[..., None]

Make = Callable[..., StepOrder]

BEGIN = "TSTEP_BEGIN 0 1 G 1000 a"


def test_a_program_from_load_to_end(play: Play, make_order: Make) -> None:
    rest = make_order("r", mode=Mode.REST, ends=EndConditions(3.0), current_A=None)

    async def scenario(bench: Any) -> None:
        sent = await bench.running(rest, make_order("a"))
        assert sent[-2:] == ["on_finished:", "cell_off"]
        say = bench.instrument.say
        await say("TSTEP_BEGIN 0 2 R 1000 r", "M000B")
        for second in (1, 2, 3):
            await bench.clock.sleep(1.0)
            await say(f"Peb{wire.encode_value(second)};ab{wire.encode_value(3.7)},10,206")
        await say("*", "TSTEP_END 0 1", "TSTEP_BEGIN 1 2 G 1000 a", "M000A")
        await bench.clock.sleep(1.0)
        await bench.instrument.sample(1.0, 3.2, -5e-4, -5e-4)
        await bench.clock.sleep(0.01)
        state = await bench.driver.read_state()
        assert (state.cell, state.running, state.step_key, state.voltage_V, state.current_A) == (CellState.ON, True, "a", 3.2, -5e-4)
        await bench.clock.sleep(1.0)
        await bench.instrument.sample(2.0, 2.4, -5e-4, -1e-3)
        await say("*", "TSTEP_END 1 3", "")
        await bench.clock.sleep(0.01)
        assert bench.steps() == [("started", "r"), ("time", "r"), ("started", "a"), ("v_lower", "a")]
        assert [end.last_of_program for end in bench.ends()] == [False, True]
        resting, driven = (np.concatenate([b.current_A for b in bench.blocks() if b.step_key == key]) for key in ("r", "a"))
        assert resting.tolist() == [0.0, 0.0, 0.0]
        assert driven.tolist() == [-5e-4, -5e-4]
        assert [float(block.aux["charge_C"][0]) for block in bench.blocks() if block.step_key == "a"] == [-5e-4, -1e-3]

    play(scenario, chunking=(1, 7, 2, 30))


def test_time_stamps_follow_the_smallest_delay(play: Play, make_order: Make) -> None:
    delays_s = (0.030, 0.005, 0.200, 0.011)
    begin_delay_s = 0.020

    async def scenario(bench: Any) -> None:
        await bench.running(make_order())
        begun_ns = bench.clock.mono_ns()
        await bench.clock.sleep(begin_delay_s)
        await bench.instrument.say(BEGIN, "M000A")
        for second, delay_s in enumerate(delays_s, start=1):
            await bench.clock.sleep_until(begun_ns + round((second + delay_s) * 1e9))
            await bench.instrument.sample(float(second), 3.7)
        await bench.clock.sleep(0.001)
        device_ns = np.concatenate([block.device_ns for block in bench.blocks()])
        mono_ns = np.concatenate([block.mono_ns for block in bench.blocks()])
        assert device_ns.tolist() == [1_000_000_000, 2_000_000_000, 3_000_000_000, 4_000_000_000]
        late_ns = mono_ns - device_ns - begun_ns
        assert late_ns.tolist() == pytest.approx([20e6, 5e6, 5e6, 5e6], abs=1e4)
        clock = await bench.driver.read_clock()
        assert clock.device_ns == 4_000_000_000
        assert clock.mono_ns == mono_ns[-1]
        assert 1_000_000 <= clock.half_width_ns <= 25_000_000

    play(scenario)


def test_overload_and_nan_reach_the_host_as_they_are(play: Play, make_order: Make) -> None:
    async def scenario(bench: Any) -> None:
        await bench.running(make_order())
        await bench.instrument.say(BEGIN, "M000A")
        await bench.instrument.sample(1.0, 3.7, meta=",12,206")
        await bench.instrument.sample(2.0, math.nan)
        await bench.clock.sleep(0.01)
        status = np.concatenate([block.status for block in bench.blocks()])
        voltage_V = np.concatenate([block.voltage_V for block in bench.blocks()])
        assert status.tolist() == [wire.OVERLOAD, 0]
        assert math.isnan(voltage_V[1])

    play(scenario)


def test_skip_goes_on_with_the_program(play: Play, make_order: Make) -> None:
    async def scenario(bench: Any) -> None:
        await bench.running(make_order("a"), make_order("b"))
        await bench.instrument.say("TSTEP_BEGIN 0 2 G 1000 a", "M000A")
        await bench.instrument.sample(1.0, 3.7)
        await bench.clock.sleep(0.01)
        await bench.together(bench.driver.end_step(), bench.instrument.expect("Y"))
        await bench.instrument.say("Y", "*", "TSTEP_END 0 1", "TSTEP_BEGIN 1 2 G 1000 b", "M000A")
        await bench.clock.sleep(0.01)
        assert bench.steps() == [("started", "a"), ("skip", "a"), ("started", "b")]
        assert bench.ends()[0].last_of_program is False

    play(scenario)


def test_a_skip_that_comes_after_a_cut_off_changes_no_reason(play: Play, make_order: Make) -> None:
    async def scenario(bench: Any) -> None:
        await bench.running(make_order(ends=EndConditions(3.0)))
        await bench.instrument.say(BEGIN, "M000A")
        for second in (1.0, 2.0, 3.0):
            await bench.instrument.sample(second, 3.7)
        await bench.clock.sleep(0.01)
        await bench.driver.end_step()
        await bench.instrument.say("*", "TSTEP_END 0 1", "")
        await bench.clock.sleep(0.01)
        assert bench.steps()[-1] == ("time", "a")
        with pytest.raises(Rejected, match="no step"):
            await bench.driver.end_step()

    play(scenario)


def test_ring_2_ends_the_program(play: Play, make_order: Make) -> None:
    async def scenario(bench: Any) -> None:
        await bench.running(make_order("a"), make_order("b"))
        await bench.instrument.say("TSTEP_BEGIN 0 2 G 1000 a", "M000A")
        await bench.instrument.sample(1.0, 4.5)
        await bench.instrument.say("*", "TSTEP_END 0 12", "")
        await bench.clock.sleep(0.01)
        (end,) = bench.ends()
        assert (end.reason, end.last_of_program) == (Reason.SAFETY, True)
        assert "v_upper" in end.detail

    play(scenario)


def test_a_refused_script_was_certainly_not_started(play: Play, make_order: Make) -> None:
    async def refuse(bench: Any) -> None:
        await bench.instrument.greet()
        await bench.instrument.script("l")
        await bench.instrument.say("l!4001: Line 2, Col 1")

    async def host(bench: Any) -> None:
        await bench.driver.connect()
        with pytest.raises(Rejected, match="4001 unknown script command, Line 2, Col 1\n  sent: var i\n"):
            await bench.driver.load((make_order(),))
        with pytest.raises(Rejected, match="not the first step"):
            await bench.driver.start("a")

    async def scenario(bench: Any) -> None:
        await bench.together(host(bench), refuse(bench))
        assert b"r\n" not in bench.tap.out

    play(scenario)


def test_the_same_key_twice_is_once(play: Play, make_order: Make) -> None:
    async def scenario(bench: Any) -> None:
        await bench.running(make_order())
        await bench.instrument.say(BEGIN)
        await bench.driver.start("a")
        assert bench.tap.out.count(b"\nr\n") == 1
        with pytest.raises(Rejected, match="running"):
            await bench.driver.load((make_order("b"),))

    play(scenario)


def test_a_step_that_was_loaded_but_never_began_may_start_later(play: Play, make_order: Make) -> None:
    later = make_order("b")

    async def safe(bench: Any) -> None:
        while await bench.instrument.hear() != "Z":
            pass
        await bench.instrument.say("Z", "*", "")
        await bench.instrument.switched_off()
        await bench.instrument.looked_at()

    async def again(bench: Any) -> None:
        await bench.driver.load((later,))
        await bench.driver.start("b")

    async def scenario(bench: Any) -> None:
        await bench.running(make_order("a"), later)
        await bench.instrument.say("TSTEP_BEGIN 0 2 G 1000 a", "M0006")
        await bench.together(bench.driver.make_safe(), safe(bench))
        await bench.together(again(bench), bench.instrument.take_program())
        await bench.instrument.say("TSTEP_BEGIN 0 1 G 1000 b", "M0006")
        await asyncio.sleep(0.1)
        assert ("started", "b") in bench.steps()
        await bench.driver.start("b")
        assert bench.tap.out.count(b"\nr\n") == 2

    play(scenario)


@pytest.mark.parametrize("answer", [None, "r!000C"])
def test_a_start_without_answer_is_an_unknown_outcome(play: Play, make_order: Make, answer: str | None) -> None:
    async def instrument(bench: Any) -> None:
        await bench.instrument.greet()
        await bench.instrument.script("l")
        await bench.instrument.say("l")
        await bench.instrument.expect("r")
        if answer:
            await bench.instrument.say(answer)

    async def host(bench: Any) -> None:
        await bench.driver.connect()
        await bench.driver.load((make_order(),))
        for _ in range(2):
            with pytest.raises(OutcomeUnknown):
                await bench.driver.start("a")

    async def scenario(bench: Any) -> None:
        await bench.together(host(bench), instrument(bench))
        assert bench.tap.out.count(b"\nr\n") == 1

    play(scenario)


def test_an_impedance_spectrum_comes_whole(play: Play, make_order: Make) -> None:
    from drivers.base import ImpedanceOrder, ImpedanceSpectrum

    step = make_order("z", mode=Mode.IMPEDANCE, current_A=None, impedance=ImpedanceOrder(1e3, 1.0, 2, amplitude_A=1e-5))

    async def scenario(bench: Any) -> None:
        await bench.running(step)
        await bench.instrument.say("TSTEP_BEGIN 0 1 I 1000 z", "M000E")
        for frequency, real, imaginary in ((1000.0, 20.0, -1.0), (1.0, 70.0, -5.0)):
            values = zip(("dc", "cc", "cd"), (frequency, real, imaginary), strict=True)
            await bench.instrument.say("P" + ";".join(kind + wire.encode_value(value) for kind, value in values))
        await bench.instrument.say("*", "TSTEP_END 0 1", "")
        await bench.clock.sleep(0.01)
        (spectrum,) = [event for event in bench.events if isinstance(event, ImpedanceSpectrum)]
        assert spectrum.frequency_Hz.tolist() == [1000.0, 1.0]
        assert spectrum.impedance_ohm.tolist() == [20 - 1j, 70 - 5j]
        assert bench.events.index(spectrum) < bench.events.index(bench.ends()[0])

    play(scenario)
