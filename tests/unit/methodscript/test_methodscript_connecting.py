"""The MethodSCRIPT driver meets an instrument: who it is, and what it finds running there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from drivers.base import CellState, Potentiostat, StepOrder
from drivers.errors import NotReachable, Rejected, WrongInstrument
from drivers.methodscript import wire
from drivers.methodscript.driver import MethodScript

Play = Callable[..., None]

Make = Callable[..., StepOrder]


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
