"""The MethodSCRIPT driver in trouble: silence, restarts, errors of the script, a port that vanishes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from drivers.base import CellState, Reason, StepOrder
from drivers.methodscript import wire

Play = Callable[..., None]

Make = Callable[..., StepOrder]

BEGIN = "TSTEP_BEGIN 0 1 G 1000 a"


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
