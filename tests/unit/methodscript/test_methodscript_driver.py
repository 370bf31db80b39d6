"""The driver against an instrument played line by line: the ordinary night, then everything that goes wrong."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from drivers.base import CellState, Confirmation, EndConditions, Mode, Potentiostat, Reason, StepOrder
from drivers.errors import NotReachable, OutcomeUnknown, Rejected, WrongInstrument
from drivers.methodscript import wire
from drivers.methodscript.driver import MethodScript

Play = Callable[..., None]
Make = Callable[..., StepOrder]
BEGIN = "TSTEP_BEGIN 0 1 G 1000 a"


def test_it_is_a_potentiostat(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        assert isinstance(bench.driver, Potentiostat)

    play(scenario)


def test_connect_asks_and_changes_nothing(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        who = await bench.together(bench.driver.connect(), bench.instrument.greet())
        assert (who.model, who.serial, who.firmware) == ("EmStat4 HR", "ES4HR20B0008", "1.5.00, MethodSCRIPT 01.09.00")
        assert bytes(bench.tap.out) == b"t\ni\nv\nCM\n"
        assert (bench.driver.capabilities.CC, bench.driver.capabilities.EIS) == (True, True)

    play(scenario, chunking=(1, 3, 2))


def test_a_pico_has_no_galvanostat(play: Play, make_order: Make) -> None:
    async def instrument(bench: Any) -> None:
        await bench.instrument.expect("t")
        await bench.instrument.say("\x11tespico13#Jan 1 2024", "R*")
        for answer in ("iPICO1", "v01.03.00", "CM" + wire.encode_bits(frozenset({wire.CA}))):
            await bench.instrument.hear()
            await bench.instrument.say(answer)

    async def scenario(bench: Any) -> None:
        await bench.together(bench.driver.connect(), instrument(bench))
        assert not bench.driver.capabilities.CC
        with pytest.raises(Rejected, match="no galvanostat"):
            await bench.driver.load((make_order(),))
        assert b"l\n" not in bench.tap.out

    play(scenario)


def test_the_wrong_serial_number(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        with pytest.raises(WrongInstrument, match="ES4HR20B0008, not ES4HR99"):
            await bench.together(bench.driver.connect(), bench.instrument.greet())

    play(scenario, identity="ES4HR99")


def test_another_device_that_speaks_the_language(play: Play) -> None:
    async def bootloader(bench: Any) -> None:
        await bench.instrument.expect("t")
        await bench.instrument.say("tespbl1003#x", "R*")

    async def scenario(bench: Any) -> None:
        with pytest.raises(WrongInstrument, match="espbl"):
            await bench.together(bench.driver.connect(), bootloader(bench))

    play(scenario)


def test_nobody_answers(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        with pytest.raises(NotReachable):
            await bench.driver.connect()
        assert bytes(bench.tap.out) == b"t\n" * 3

    play(scenario)


def test_half_a_command_of_a_dead_host_spoils_only_the_first_question(play: Play) -> None:
    async def instrument(bench: Any) -> None:
        await bench.instrument.expect("t")
        await bench.instrument.say("e!4001: Line 1, Col 1")
        await bench.instrument.greet()

    async def scenario(bench: Any) -> None:
        who = await bench.together(bench.driver.connect(), instrument(bench))
        assert who.model == "EmStat4 HR"

    play(scenario)


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


def test_make_safe_aborts_switches_off_and_reads_back(play: Play, make_order: Make) -> None:
    async def instrument(bench: Any) -> None:
        while await bench.instrument.hear() != "Z":
            pass
        await bench.instrument.say("Z", "*", "")
        await bench.instrument.switched_off()
        await bench.instrument.looked_at(3.6125)

    async def scenario(bench: Any) -> None:
        await bench.running(make_order())
        await bench.instrument.say(BEGIN, "M000A")
        await bench.instrument.sample(1.0, 3.7)
        safe = await bench.together(bench.driver.make_safe(), instrument(bench))
        assert (safe.confirmation, safe.detail) == (Confirmation.CONFIRMED, "open circuit, 3.6125 V")
        await bench.clock.sleep(0.01)
        assert bench.steps() == [("started", "a"), ("abort", "a")]

    play(scenario)


def test_make_safe_while_idle(play: Play) -> None:
    async def instrument(bench: Any) -> None:
        await bench.instrument.greet()
        while await bench.instrument.hear() != "Z":
            pass
        await bench.instrument.say("Z!0006")
        await bench.instrument.switched_off()
        await bench.instrument.looked_at()

    async def host(bench: Any) -> Any:
        await bench.driver.connect()
        return await bench.driver.make_safe()

    async def scenario(bench: Any) -> None:
        assert (await bench.together(host(bench), instrument(bench))).confirmed
        assert bench.events == []

    play(scenario)


def test_a_loaded_program_does_not_survive_make_safe(play: Play, make_order: Make) -> None:
    async def instrument(bench: Any) -> None:
        await bench.instrument.greet()
        await bench.instrument.script("l")
        await bench.instrument.say("l")
        while await bench.instrument.hear() != "Z":
            pass
        await bench.instrument.say("Z!0006")
        await bench.instrument.switched_off()
        await bench.instrument.looked_at()

    async def host(bench: Any) -> None:
        await bench.driver.connect()
        await bench.driver.load((make_order(),))
        await bench.driver.make_safe()
        with pytest.raises(Rejected, match="not the first step"):
            await bench.driver.start("a")

    async def scenario(bench: Any) -> None:
        await bench.together(host(bench), instrument(bench))
        assert b"\nr\n" not in bench.tap.out

    play(scenario)


def test_a_cell_that_stays_on_is_never_called_off(play: Play) -> None:
    async def instrument(bench: Any) -> None:
        await bench.instrument.greet()
        while await bench.instrument.hear() != "Z":
            pass
        await bench.instrument.say("Z!0006")
        await bench.instrument.switched_off()
        await bench.instrument.script("e")
        await bench.instrument.say("e", "!0014: Line 7")

    async def host(bench: Any) -> Any:
        await bench.driver.connect()
        return await bench.driver.make_safe()

    async def scenario(bench: Any) -> None:
        safe = await bench.together(host(bench), instrument(bench))
        assert safe.confirmation is Confirmation.UNCONFIRMED
        assert "cell on" in safe.detail

    play(scenario)


@pytest.mark.parametrize("interval_s", [1.0, 60.0])
def test_make_safe_has_an_end_however_seldom_the_script_speaks(play: Play, make_order: Make, interval_s: float) -> None:
    """Nobody answers: ``cell_off`` was sent all the same, the answer came in the time that was promised, and it stays owed."""

    async def scenario(bench: Any) -> None:
        await bench.running(make_order(sample_interval_s=interval_s))
        await bench.instrument.say(BEGIN, "M000A")
        await bench.instrument.sample(0.5, 3.7)
        await bench.clock.sleep(0.01)
        asked_ns = bench.clock.mono_ns()
        assert not (await bench.driver.make_safe()).confirmed
        assert (bench.clock.mono_ns() - asked_ns) / 1e9 <= bench.driver.capabilities.make_safe_s
        assert b"cell_off" in bench.tap.out
        await bench.clock.sleep(0.01)
        assert bench.steps()[-1] == ("lost", "")
        told = len(bench.tap.out)
        await bench.instrument.sample(interval_s, 3.7)  # it is heard again: it is told again
        await bench.clock.sleep(5.0)
        assert b"\nZ\n" in bench.tap.out[told:]

    play(scenario)


def test_a_dead_instrument_cannot_be_made_safe(play: Play, make_order: Make) -> None:
    async def scenario(bench: Any) -> None:
        await bench.running(make_order())
        await bench.instrument.say(BEGIN, "M000A")
        await bench.clock.sleep(0.01)
        safe = await bench.driver.make_safe()
        assert safe.confirmation is Confirmation.UNCONFIRMED
        assert bench.ends() == []
        assert b"cell_off" in bench.tap.out[-40:]

    play(scenario)


def test_a_look_leaves_the_loaded_program_where_it_was(play: Play, make_order: Callable[..., StepOrder]) -> None:
    async def scenario(bench: Any) -> None:
        await bench.together(bench.driver.connect(), bench.instrument.greet())
        scripts: list[list[str]] = []

        async def instrument() -> None:
            scripts.append(await bench.instrument.script("l"))
            await bench.instrument.say("l")
            await bench.instrument.looked_at(3.3)
            scripts.append(await bench.instrument.take_program())

        async def host() -> None:
            await bench.driver.load((make_order(),))
            assert (await bench.driver.read_state()).voltage_V == pytest.approx(3.3)
            await bench.driver.start("a")

        await bench.together(host(), instrument())
        assert scripts[0] == scripts[1]

    play(scenario)


def test_state_while_idle_is_looked_up(play: Play) -> None:
    async def instrument(bench: Any) -> None:
        await bench.instrument.greet()
        await bench.instrument.looked_at(3.3)
        await bench.instrument.script("e")
        await bench.instrument.say("e", "!0014: Line 7")

    async def host(bench: Any) -> Any:
        await bench.driver.connect()
        return await bench.driver.read_state(), await bench.driver.read_state()

    async def scenario(bench: Any) -> None:
        off, on = await bench.together(host(bench), instrument(bench))
        assert (off.cell, off.running, off.voltage_V) == (CellState.OFF, False, 3.3)
        assert (on.cell, on.voltage_V) == (CellState.ON, None)

    play(scenario)


def test_a_running_script_is_adopted_by_listening(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        async def instrument() -> None:
            await bench.clock.sleep(0.5)
            await bench.instrument.say("20u;ba807A120n")
            await bench.instrument.sample(101.0, 3.71)
            await bench.clock.sleep(1.0)
            await bench.instrument.sample(102.0, 3.72)
            await bench.instrument.say("TSTEP_AT 1 3 G 1000 k-17")

        await bench.together(bench.driver.connect(), instrument())
        state = await bench.driver.read_state()
        assert (state.running, state.step_key, state.cell, state.voltage_V) == (True, "k-17", CellState.ON, 3.72)
        await bench.driver.start("k-17")
        assert bytes(bench.tap.out) == b""
        await bench.instrument.say("*", "TSTEP_END 1 2")
        await bench.clock.sleep(0.01)
        assert bench.steps() == [("started", "k-17"), ("v_upper", "k-17")]
        assert bench.ends()[0].last_of_program is False
        assert np.concatenate([block.voltage_V for block in bench.blocks()]).tolist() == [3.71, 3.72]

    play(scenario)


def test_a_slow_script_is_found_by_asking_and_still_not_stopped(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        async def instrument() -> None:
            await bench.instrument.expect("t")
            await bench.instrument.say("t!0006")
            await bench.clock.sleep(5.0)
            await bench.instrument.say("TSTEP_AT 0 1 R 10000 slow")

        await bench.together(bench.driver.connect(), instrument())
        assert (await bench.driver.read_state()).step_key == "slow"
        assert bytes(bench.tap.out) == b"t\n"

    play(scenario)


def test_silence_is_a_lost_link_and_lines_bring_it_back(play: Play, make_order: Make) -> None:
    async def scenario(bench: Any) -> None:
        await bench.running(make_order())
        await bench.instrument.say(BEGIN, "M000A")
        await bench.instrument.sample(1.0, 3.7)
        await bench.clock.sleep(6.9)
        assert bench.steps()[-1] == ("started", "a")
        await bench.clock.sleep(0.2)
        assert bench.steps()[-1] == ("lost", "")
        assert (await bench.driver.read_state()).cell is CellState.UNKNOWN
        await bench.instrument.expect("t")
        await bench.instrument.say("t!0006")
        await bench.clock.sleep(1.0)
        assert bench.steps()[-1] == ("lost", "")
        await bench.instrument.sample(9.0, 3.7)
        await bench.clock.sleep(0.01)
        assert bench.steps()[-1] == ("restored", "")
        assert float(bench.blocks()[-1].voltage_V[-1]) == 3.7

    play(scenario)


def test_accepted_and_never_begun(play: Play, make_order: Make) -> None:
    async def scenario(bench: Any) -> None:
        await bench.running(make_order())
        await bench.clock.sleep(2.5)
        assert bench.steps() == [("lost", "")]

    play(scenario)


def test_a_restart_during_a_step_is_noticed(play: Play, make_order: Make) -> None:
    async def instrument(bench: Any) -> None:
        await bench.instrument.expect("t")
        await bench.instrument.say("tes4_hr1500#Mar 12 2026 14:28:01", "R*")
        await bench.instrument.switched_off()

    async def scenario(bench: Any) -> None:
        await bench.running(make_order())
        await bench.instrument.say(BEGIN, "M000A")
        await bench.instrument.sample(1.0, 3.7)
        await bench.together(bench.clock.sleep(9.0), instrument(bench))
        assert bench.steps() == [("started", "a"), ("lost", ""), ("restored", ""), ("lost", "a")]
        assert "cell_off was accepted" in bench.ends()[0].detail

    play(scenario)


def test_a_runtime_error_switches_the_cell_off_at_once(play: Play, make_order: Make) -> None:
    async def scenario(bench: Any) -> None:
        await bench.running(make_order())
        await bench.instrument.say(BEGIN, "M000A")
        await bench.instrument.sample(1.0, 3.7)
        broke_ns = bench.clock.mono_ns()
        await bench.instrument.say("!0032: Line 24", "")
        await bench.instrument.switched_off()
        assert bench.clock.mono_ns() - broke_ns < 0.5e9
        await bench.clock.sleep(0.01)
        (end,) = bench.ends()
        assert (end.reason, end.last_of_program) == (Reason.DEVICE_ERROR, True)
        assert end.detail == "0032 critical cell overload, measurement aborted, Line 24; cell_off was accepted"

    play(scenario)


def test_a_runtime_error_and_then_silence_says_that_the_cell_may_be_on(play: Play, make_order: Make) -> None:
    async def scenario(bench: Any) -> None:
        await bench.running(make_order())
        await bench.instrument.say(BEGIN, "M000A", "!0010: Line 24")
        await bench.clock.sleep(10.0)
        assert "may still be on" in bench.ends()[0].detail

    play(scenario)


def test_garbage_and_an_empty_line_in_a_loop_end_nothing(play: Play, make_order: Make) -> None:
    async def scenario(bench: Any) -> None:
        await bench.running(make_order())
        await bench.instrument.say(BEGIN, "M000A")
        await bench.instrument.sample(1.0, 3.7)
        await bench.instrument.say("P\xff\xfe!!", "", "Pzz")
        await bench.instrument.sample(2.0, 3.6)
        await bench.clock.sleep(0.01)
        assert bench.steps() == [("started", "a")]
        assert np.concatenate([block.voltage_V for block in bench.blocks()]).tolist() == [3.7, 3.6]

    play(scenario)


def test_a_script_that_ends_without_saying_why(play: Play, make_order: Make) -> None:
    async def scenario(bench: Any) -> None:
        await bench.running(make_order("a"), make_order("b"))
        await bench.instrument.say("TSTEP_BEGIN 0 2 G 1000 a", "M000A", "*", "")
        await bench.clock.sleep(0.01)
        assert [(end.reason, end.key, end.last_of_program) for end in bench.ends()] == [(Reason.DEVICE_ERROR, "a", True)]

    play(scenario)


def test_a_fault_between_two_steps_belongs_to_the_one_that_should_have_begun(play: Play, make_order: Make) -> None:
    async def scenario(bench: Any) -> None:
        await bench.running(make_order("a"), make_order("b"))
        await bench.instrument.say("TSTEP_BEGIN 0 2 G 1000 a", "M000A", "*", "TSTEP_END 0 2", "!000F: Line 60")
        await bench.instrument.switched_off()
        await bench.clock.sleep(0.01)
        assert [(end.reason, end.key) for end in bench.ends()] == [(Reason.V_UPPER, "a"), (Reason.DEVICE_ERROR, "b")]

    play(scenario)


def test_the_port_vanishes_and_comes_back(play: Play, make_order: Make) -> None:
    async def scenario(bench: Any) -> None:
        await bench.running(make_order())
        await bench.instrument.say(BEGIN, "M000A")
        await bench.instrument.sample(1.0, 3.7)
        await bench.clock.sleep(0.01)
        await bench.instrument.stream.close()
        await bench.clock.sleep(3.0)
        assert bench.steps()[-1] == ("lost", "")
        assert not (await bench.driver.make_safe()).confirmed
        bench.instrument.stream, _ = await bench.network.serve_serial("potentiostat")
        await bench.clock.sleep(6.0)
        await bench.instrument.say("0u;ba", "")
        await bench.instrument.sample(12.0, 3.5)
        await bench.clock.sleep(0.01)
        assert bench.steps() == [("started", "a"), ("lost", ""), ("restored", "")]
        assert float(bench.blocks()[-1].voltage_V[-1]) == 3.5

    play(scenario)


def test_the_end_of_a_lost_line_is_no_end_of_the_script(play: Play, make_order: Make) -> None:
    async def scenario(bench: Any) -> None:
        await bench.running(make_order("a"), make_order("b"))
        await bench.instrument.say("TSTEP_BEGIN 0 2 G 1000 a", "M000A", "*", "TSTEP_END 0 2")
        await bench.clock.sleep(0.01)
        await bench.instrument.stream.close()
        bench.instrument.stream, _ = await bench.network.serve_serial("potentiostat")
        await bench.clock.sleep(0.6)
        await bench.instrument.say("")  # the rest of a line that was under way
        await bench.instrument.say("TSTEP_BEGIN 1 2 G 1000 b", "M000A")
        await bench.clock.sleep(0.01)
        assert bench.steps() == [("started", "a"), ("v_upper", "a"), ("lost", ""), ("restored", ""), ("started", "b")]

    play(scenario)


async def plugged_in_again(bench: Any, serial: str) -> None:
    """The port closes and comes back; whoever is behind it now says who it is."""
    await bench.together(bench.driver.connect(), bench.instrument.greet())
    await bench.instrument.stream.close()
    await bench.clock.sleep(0.1)
    bench.instrument.stream, _ = await bench.network.serve_serial("potentiostat")
    bench.instrument.lines = wire.LineSplitter()
    await bench.instrument.expect("t")
    await bench.instrument.say("tes4_hr1500#Mar 12 2026 14:28:01", "R*")
    await bench.instrument.expect("i")
    await bench.instrument.say(f"i{serial}")
    await bench.clock.sleep(0.5)


def test_the_port_comes_back_while_idle(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        await plugged_in_again(bench, "ES4HR20B0008")
        assert bench.steps() == [("lost", ""), ("restored", "")]

    play(scenario)


def test_another_instrument_behind_the_same_port_is_not_ours(play: Play) -> None:
    """ttyUSB0 has gone to somebody else's instrument: nothing is told it, and it is never read as our cell."""

    async def scenario(bench: Any) -> None:
        await plugged_in_again(bench, "ES4HR20B9999")
        assert bench.steps() == [("lost", "")]

        async def answers() -> None:
            while (heard := await bench.instrument.hear()) != "i":
                assert heard == "t"
            await bench.instrument.say("iES4HR20B9999")

        safe = await bench.together(bench.driver.make_safe(), answers())
        assert not safe.confirmed
        assert "another instrument answers at this port since it came back: ES4HR20B9999" in safe.detail

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


def test_release_leaves_the_cell_and_ends_the_stream(play: Play, make_order: Make) -> None:
    async def scenario(bench: Any) -> None:
        await bench.running(make_order())
        sent = bytes(bench.tap.out)
        await bench.driver.release()
        assert bytes(bench.tap.out) == sent
        assert len(asyncio.all_tasks()) == 2  # this one and the collector, which ends by itself

    play(scenario)


def test_nothing_touches_the_wire_before_connect(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        assert isinstance(bench.driver, MethodScript)
        assert bytes(bench.tap.out) == b""

    play(scenario)
