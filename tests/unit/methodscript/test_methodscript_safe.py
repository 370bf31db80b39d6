"""The MethodSCRIPT driver makes the cell safe, and never says so without having read it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from drivers.base import Confirmation, StepOrder
from drivers.errors import Rejected

Play = Callable[..., None]

Make = Callable[..., StepOrder]

BEGIN = "TSTEP_BEGIN 0 1 G 1000 a"


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
