"""Every fault the emulated 2450 can show, and what the driver makes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fault_bench import PLATE, FaultBench, collected, twin_of
from wire_taps import Silence

from drivers.base import (
    CellState,
    Context,
    EndConditions,
    LinkLost,
    LinkRestored,
    SampleBlock,
    Settings,
    StepStarted,
)
from drivers.clock import Clock
from drivers.errors import NotReachable, OutcomeUnknown, Rejected, WrongInstrument
from drivers.registry import fault_names, make_emulator, make_potentiostat, memory_network, recorded_network
from drivers.transport.virtual import run_virtual

SAMPLES = (60, 61)
"""A step of 60 s whose host ends it in time has no reading at its very end."""


class Waiting(Silence):
    """``once``: what happens when the first thing is said after these."""

    once: tuple[bytes, Callable[[], None]] | None = None
    _said = b""

    def sent(self, data: bytes) -> None:
        if self.once is not None and self._said == self.once[0]:
            then, self.once = self.once[1], None
            then()
        self._said = data


@dataclass
class Bench(FaultBench):
    network: Any = None
    address: str = ""
    wire: Waiting = field(default_factory=Waiting)
    make: Callable[[], Any] = object

    async def ask(self, question: str, before: str = "") -> str:
        """From somebody else's terminal; one client at a time."""
        stream = await self.network.visa(self.address)
        await stream.write(f"{before}{question}\n".encode())
        answer: bytes = await stream.read()
        await stream.close()
        return answer.decode().strip()


Play = Callable[..., None]


@pytest.fixture
def play(repository: Path) -> Play:
    def run(scenario: Callable[[Bench], Awaitable[None]], options: Mapping[str, Any] | None = None, model: str = "2450") -> None:
        async def main(clock: Clock) -> None:
            twin = twin_of(repository, clock)
            context = Context(clock, memory_network(), Silence(), twin)
            emulator = make_emulator(Settings("emulator", "keithley2450", "", options={"model": model}), context)
            address = (await emulator.start()).address
            settings = Settings("potentiostat", "keithley", address, options=options or {})
            wire = Waiting()
            beside = Context(clock, recorded_network(context.network, wire), wire)

            def make() -> Any:
                return make_potentiostat(settings, beside)

            bench = Bench(clock, twin, emulator, make(), network=context.network, address=address, wire=wire, make=make)
            async with collected(bench):
                await scenario(bench)

        run_virtual(main)

    return run


def test_every_fault_of_the_emulator_is_tried_here() -> None:
    tried = Path(__file__).read_text(encoding="utf-8")
    names = fault_names("emulators", "keithley2450")
    assert [name for name in sorted(names) if f'"{name}"' not in tried] == []


@pytest.mark.parametrize("fault", ["garbage", "slow", "clock_off", "clock_skew", "hung_socket"])
def test_nuisances_cost_nothing(play: Play, fault: str) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.running(fault)
        await bench.clock.sleep(90.0)
        assert bench.ends() == [("plate", "time")]
        assert bench.links() == []
        assert len(bench.samples("mono_ns")) in SAMPLES
        assert np.allclose(np.diff(bench.samples("mono_ns")), 1e9, atol=6e7)

    play(scenario)


@pytest.mark.parametrize(("fault", "parameters"), [("half_line", {}), ("port_vanishes", {})])
def test_what_the_buffer_kept_comes_when_the_link_is_back(play: Play, fault: str, parameters: dict[str, Any]) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.running(fault, **parameters)
        await bench.clock.sleep(90.0)
        assert bench.links() == [LinkLost, LinkRestored]
        assert bench.ends() == [("plate", "time")]
        assert len(bench.samples("mono_ns")) in SAMPLES
        assert np.all(np.diff(bench.samples("mono_ns")) > 0)

    play(scenario)


def test_silence_is_never_called_safe(play: Play) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.running("silent")
        await bench.clock.sleep(10.0)
        assert bench.links() == [LinkLost]
        assert (await bench.driver.read_state()).cell is CellState.UNKNOWN
        assert bench.leads().output_on
        assert not (await bench.driver.make_safe()).confirmed
        assert bench.ends() == []

    play(scenario)


def test_a_slow_instrument_is_told_to_open_the_circuit_before_it_is_asked(play: Play) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.running("slow")
        await bench.clock.sleep(10.0)
        assert not (await bench.driver.make_safe()).confirmed
        await bench.clock.sleep(6.0)
        assert not bench.leads().output_on
        await bench.clock.sleep(60.0)
        assert bench.ends() == [("plate", "abort")]

    play(scenario)


@pytest.mark.parametrize("fault", ["voltage_jump", "overflow"])
def test_the_instrument_itself_ends_the_step_at_its_limits(play: Play, fault: str) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.running(fault)
        await bench.clock.sleep(0.6)
        assert not bench.leads().output_on
        await bench.clock.sleep(2.0)
        assert bench.ends() == [("plate", "safety")]
        assert bench.samples("status")[-1] & bench.driver.capabilities.overload_status

    play(scenario)


def test_no_current_on_a_voltage_that_nobody_knows(play: Play) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.driver.connect()
        await bench.driver.load((PLATE,))
        bench.emulator.inject("overflow")
        with pytest.raises(Rejected, match="no voltage"):
            await bench.driver.start("plate")
        assert not bench.leads().output_on
        assert bench.events == []

    play(scenario)


def test_switched_on_anew_in_a_step(play: Play) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.running("reboot")
        await bench.clock.sleep(12.0)
        assert bench.links() == [LinkLost, LinkRestored]
        assert bench.ends() == [("plate", "lost")]
        assert not bench.leads().output_on, "in NORMAL the cell would be discharged through the output that is off"
        assert (await bench.driver.make_safe()).confirmed
        await bench.driver.load((replace(PLATE, key="again"),))
        await bench.driver.start("again")
        await bench.clock.sleep(70.0)
        assert bench.ends() == [("plate", "lost"), ("again", "time")]

    play(scenario)


def test_an_output_that_keeps_its_normal_state_is_never_switched_on(play: Play) -> None:
    async def scenario(bench: Bench) -> None:
        bench.emulator.inject("keeps_normal")
        with pytest.raises(Rejected, match="not high impedance"):
            await bench.start()
        state = await bench.driver.read_state()
        assert (state.cell, state.running) == (CellState.ON, False)
        assert not (await bench.driver.make_safe()).confirmed

    play(scenario)


def test_an_output_that_stays_on_is_never_called_off(play: Play) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.running("stays_on")
        assert not (await bench.driver.make_safe()).confirmed
        await bench.clock.sleep(5.0)
        assert bench.ends() == [("plate", "device_error")]
        assert (await bench.driver.read_state()).cell is CellState.ON
        assert bench.links() == []

    play(scenario)


def test_a_model_that_does_not_run_was_not_started(play: Play) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.driver.connect()
        await bench.driver.load((PLATE,))
        bench.emulator.inject("model_fails")
        with pytest.raises(Rejected, match="FAILED"):
            await bench.driver.start("plate")
        assert not bench.leads().output_on
        assert bench.events == []

    play(scenario)


def test_a_start_that_nobody_confirmed_is_followed_all_the_same(play: Play) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.driver.connect()
        await bench.driver.load((PLATE,))
        bench.wire.once = (b":INIT\n", lambda: bench.emulator.inject("silent"))
        with pytest.raises(OutcomeUnknown):
            await bench.driver.start("plate")
        assert (await bench.driver.read_state()).cell is CellState.UNKNOWN
        with pytest.raises(OutcomeUnknown):
            await bench.driver.start("plate")
        await bench.clock.sleep(20.0)
        bench.emulator.clear("silent")
        await bench.clock.sleep(90.0)
        assert bench.links() == [LinkLost, LinkRestored]
        assert bench.ends() == [("plate", "time")]
        assert [type(event) for event in bench.events if isinstance(event, StepStarted)] == [StepStarted]

    play(scenario)


@pytest.mark.parametrize("loaded", [False, True])
def test_refused_settings_start_nothing(play: Play, loaded: bool) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.driver.connect()
        if loaded:
            await bench.driver.load((PLATE,))
        bench.emulator.inject("refused")
        with pytest.raises(Rejected, match="-221"):
            await (bench.driver.start("plate") if loaded else bench.driver.load((PLATE,)))
        assert not bench.leads().output_on

    play(scenario)


def test_a_lead_without_contact(play: Play) -> None:
    async def scenario(bench: Bench) -> None:
        bench.emulator.inject("no_contact")
        with pytest.raises(Rejected, match="no contact"):
            await bench.start()
        assert not bench.leads().output_on

    play(scenario, {"model": "2461", "contact_check": True}, "2461")


def test_what_the_rig_says_of_leads_and_cell_reaches_the_instrument(play: Play) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.start()
        await bench.clock.sleep(5.0)
        assert bench.leads().output_on
        await bench.driver.release()
        assert await bench.ask(":ROUT:TERM?") == "REAR"
        assert await bench.ask(":SENS:VOLT:RSEN?") == "0"
        assert float(await bench.ask(":SENS:VOLT:NPLC?")) == 5.0
        assert await bench.ask(":SOUR:CURR:HIGH:CAP?") == "1"
        assert await bench.ask(":OUTP:SMOD?") == "HIMP"

    play(scenario, {"terminals": "rear", "sense": 2, "nplc": 5, "high_capacitance": True})


@pytest.mark.parametrize(
    ("fault", "error"), [("wrong_instrument", WrongInstrument), ("wrong_language", NotReachable), ("silent", NotReachable)]
)
def test_what_does_not_answer_as_it_should_is_refused(play: Play, fault: str, error: type[Exception]) -> None:
    async def scenario(bench: Bench) -> None:
        bench.emulator.inject(fault)
        with pytest.raises(error):
            await bench.driver.connect()

    play(scenario)


def test_a_socket_that_a_dead_client_left_is_closed_first(play: Play) -> None:
    async def scenario(bench: Bench) -> None:
        bench.emulator.inject("hung_socket")
        assert (await bench.driver.connect()).model == "2450"

    play(scenario)


@pytest.mark.parametrize(("away_s", "lost"), [(0.0, 0), (12.0, 0), (33.0, 13)], ids=["read in time", "nearly full", "overrun"])
def test_a_buffer_that_wraps(play: Play, away_s: float, lost: int) -> None:
    async def scenario(bench: Bench) -> None:
        assert await bench.ask(":TRAC:POIN?", ':TRAC:POIN 20,"defbuffer1"\n') == "20"
        await bench.start(ends=EndConditions(100.0, 0.4, -0.4))
        await bench.clock.sleep(23.0)
        if away_s:
            bench.emulator.inject("silent")
            await bench.clock.sleep(away_s)
            bench.emulator.clear("silent")
        await bench.clock.sleep(100.0 - away_s)
        assert bench.ends() == [("plate", "time")]
        mono_ns = bench.samples("mono_ns")
        missing = round((np.max(np.diff(mono_ns)) - 1e9) / 1e9)
        assert missing == pytest.approx(lost, abs=4 if lost else 0)
        assert len(mono_ns) + missing in {99, 100, 101}
        assert np.all(np.diff(mono_ns) > 0.9e9)

    play(scenario)


# ------------------------------------------------------------------------------------------------- nobody is there any more


def test_when_the_host_is_gone_the_instruments_own_watchdog_opens_the_circuit(play: Play) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.start(ends=EndConditions(3600.0, 0.4, -0.4))
        await bench.clock.sleep(100.0)
        await bench.driver.release()
        await bench.clock.sleep(30.0)
        assert bench.leads().output_on, "a host that is killed and comes back finds its step"
        await bench.clock.sleep(95.0)
        assert not bench.leads().output_on
        passed_C = abs(bench.twin.charge_C())
        await bench.clock.sleep(3600.0)
        assert abs(bench.twin.charge_C()) == passed_C < 4e-4 * 230.0

    play(scenario)


def test_a_host_that_comes_back_adopts_its_step(play: Play) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.start(ends=EndConditions(300.0, 0.4, -0.4))
        await bench.clock.sleep(100.0)
        await bench.driver.release()
        await bench.clock.sleep(20.0)
        bench.events.clear()
        bench.driver = bench.make()
        collecting = asyncio.create_task(bench.collect())
        await bench.driver.connect()
        state = await bench.driver.read_state()
        assert (state.cell, state.running, state.step_key) == (CellState.ON, True, "plate")
        await bench.clock.sleep(200.0)
        assert isinstance(bench.events[0], StepStarted)
        assert bench.ends() == [("plate", "time")]
        assert len(bench.samples("mono_ns")) in (179, 180)
        counted_C = np.concatenate([event.aux["charge_C"] for event in bench.events if isinstance(event, SampleBlock)])
        assert counted_C[0] == pytest.approx(-4e-4 * 121, rel=1e-2), "what passed while nobody listened stands in the buffer"
        assert counted_C[-1] == pytest.approx(-4e-4 * 300, rel=1e-2)
        await bench.driver.release()
        await collecting

    play(scenario)


def test_without_a_watchdog_a_current_source_is_not_started(play: Play) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.driver.connect()
        with pytest.raises(Rejected, match="watchdog"):
            await bench.driver.load((PLATE,))

    play(scenario, {"watchdog_s": 0})


def test_without_a_watchdog_a_voltage_source_goes_on_to_its_own_end(play: Play) -> None:
    async def scenario(bench: Bench) -> None:
        assert bench.driver.capabilities.autonomous
        await bench.start(ends=EndConditions(600.0, 0.4, -0.4))
        await bench.clock.sleep(10.0)
        await bench.driver.release()
        await bench.clock.sleep(585.0)
        assert bench.leads().output_on
        await bench.clock.sleep(10.0)
        assert not bench.leads().output_on

    play(scenario, {"watchdog_s": 0, "topology": "voltage"})
