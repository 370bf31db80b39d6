"""Whoever takes a running step up leaves it running: no reset, no stop and no new start on the wire, and the cell sees nothing of it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import potentiostat_stands
import pytest
from potentiostat_stands import STANDS, Stands
from wire_taps import Tap

from drivers.base import CellState, Context, Settings
from drivers.registry import make_potentiostat, recorded_network
from drivers.testing.bench import PotentiostatBench, listening

TOUCHES: dict[str, str] = {
    "methodscript": r"^(Z|h|H|R|e|l|r|r\.clear|dlfw|Fmscr.*)$|cell_o(n|ff)|abort",
    "keithley": r"\*RST|SYST:PRES|\*RCL|:ABOR|:OUTP (ON|OFF|0|1)|:INIT|TRIG:(LOAD|BLOC:(?!LIST\?))|TRAC:CLE|:SOUR:\w+ |SMOD [HNZ]",
    "biologic": r"BL_(StopChannel|StartChannel|LoadTechnique|LoadFirmware|UpdateParameters|SetHardConf)",
    "neware": r"<cmd>(stop|start|clearflag|resetalarm|continue|goto|parallel)</cmd>",
    "arbin": r"\x01\x001\xbb|\x04\x002\xbb|\x01\x00!\xbb|\x01\x00\x15\xbb",
    "zahner": r"Pot=|Cset=|Pset=|Gal=|GAL=",
}
"""What on each driver's wire resets, stops, starts or changes something, as a regular expression."""
NAMELESS = frozenset({"zahner"})
"""They do not know the name of what they run: nothing is adopted, and nothing touched either."""
KEY = "s0002-c01-plate"


def touched(driver: str, sent: list[bytes]) -> list[str]:
    """Every message that does more than ask."""
    text = b"".join(sent).decode("latin-1")
    return [found.group() for found in re.finditer(TOUCHES[driver], text, re.MULTILINE)]


@pytest.fixture
def taps(monkeypatch: pytest.MonkeyPatch) -> list[Tap]:
    """The wire of every driver on the bench, in the order in which they were made."""
    made: list[Tap] = []

    def tapped(settings: Settings, context: Context) -> Any:
        made.append(Tap())
        return make_potentiostat(settings, replace(context, network=recorded_network(context.network, made[-1]), wire=made[-1]))

    monkeypatch.setattr(potentiostat_stands, "make_potentiostat", tapped)
    return made


def test_every_potentiostat_has_its_words_here() -> None:
    assert set(TOUCHES) == set(STANDS)


@pytest.mark.parametrize("driver", TOUCHES)
def test_continue_never_resets_an_instrument_whose_step_runs(
    stand: Stands, taps: list[Tap], tmp_path: Any, monkeypatch: Any, driver: str
) -> None:
    if driver == "arbin":
        with_notes = replace(STANDS[driver], options={**STANDS[driver].options, "folder": str(tmp_path)})
        monkeypatch.setitem(STANDS, driver, with_notes)

    async def test(bench: PotentiostatBench) -> None:
        await bench.potentiostat.connect()
        async with listening(bench.potentiostat.events(), bench.clock):
            await bench.start(bench.small_step(KEY, time_s=120.0))
            await bench.clock.sleep(10.0)
        await bench.potentiostat.release()
        assert touched(driver, taps[0].out), "the first one has started it: what cannot be seen here could not be seen below either"
        before_C, before_s = bench.charge_C(), bench.clock.mono_ns() / 1e9
        again = bench.another()
        await again.connect()
        async with listening(again.events(), bench.clock):
            for _ in range(20):
                state = await again.read_state()
                await bench.clock.sleep(1.0)
                assert bench.leads().output_on
            assert state.cell is not CellState.OFF
            assert (state.step_key == KEY) is (driver not in NAMELESS)
            assert taps[1].out or taps[1].into, "it has asked, or has heard it say so"
            assert touched(driver, taps[1].out) == []
            passed_C = bench.charge_C() - before_C
            assert passed_C == pytest.approx(bench.current_A * (bench.clock.mono_ns() / 1e9 - before_s), rel=1e-3)
            assert (await again.make_safe()).confirmed
            assert touched(driver, taps[1].out), "and now it has"
        await again.release()

    bench = stand(driver)

    async def opened(clock: Any) -> None:
        async with bench.opened(clock) as made:
            await test(made)

    bench.run(opened)
