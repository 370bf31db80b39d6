"""A BioLogic whose Ref is on a third electrode, in front of the emulated DLL and the twin of C3: what it tests and holds is Ewe."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from wire_taps import Silence

from drivers.base import CE, WE, Context, ElectrodeBounds, EndConditions, Limits, Mode, Reason, SampleBlock, Settings, StepEnded, StepOrder
from drivers.clock import Clock
from drivers.errors import Rejected
from drivers.registry import factory, make_emulator, make_potentiostat, memory_network
from drivers.transport.virtual import run_virtual
from orchestrator.config import load_twin

LIMITS = Limits(4.5, 2.0, 0.01, 100.0, 50_000.0, electrodes=(ElectrodeBounds("we", 2.5, 4.4), ElectrodeBounds("ce", -0.5, 2.0)))
Work = Callable[[Any, Any, list[Any]], Awaitable[None]]


def charge(**changes: Any) -> StepOrder:
    """C/2 for half an hour, on the positive electrode."""
    return replace(StepOrder("s1", Mode.GALVANOSTATIC, EndConditions(1800.0), LIMITS, current_A=1.9e-3), **changes)


@pytest.fixture
def bench(repository: Path) -> Callable[..., list[Any]]:
    """``bench(work, family)``: everything that the channel says while ``work(channel, twin, said)`` lasts."""

    def lived(work: Work, family: str = "VMP3") -> list[Any]:
        said: list[Any] = []

        async def main(clock: Clock) -> None:
            network = memory_network()
            twin = factory("twins", "twin")(load_twin(repository / "configs" / "twins" / "C3.yaml"), seed=1, t0_mono_ns=clock.mono_ns())
            context = Context(clock, network, Silence(), twin)
            emulator = make_emulator(Settings("pstat", "biologic", "", options={"electrodes": 3, "family": family}), context)
            address = (await emulator.start()).address
            options = {"electrodes": 3, "family": family, "max_current_A": 0.1}
            channel = make_potentiostat(Settings("pstat", "biologic", address, options=options), Context(clock, network, Silence(), None))
            listening = asyncio.create_task(listen(channel, said))
            await channel.connect()
            await work(channel, twin, said)
            await channel.release()
            listening.cancel()
            await emulator.stop()

        run_virtual(main)
        return said

    return lived


async def listen(channel: Any, said: list[Any]) -> None:
    async for event in channel.events():
        said.append(event)  # noqa: PERF401 - as they come


async def run(channel: Any, order: StepOrder, said: list[Any]) -> StepEnded:
    await channel.load((order,))
    await channel.start(order.key)
    while not (ended := [one for one in said if isinstance(one, StepEnded) and one.key == order.key]):
        await asyncio.sleep(1.0)
    return ended[0]


def samples(said: list[Any], name: str) -> Any:
    return np.concatenate([getattr(block, name) for block in said if isinstance(block, SampleBlock)])


@pytest.mark.parametrize("family", ["VMP3", "VMP-300"])
def test_both_electrodes_come_with_every_row_of_a_charge(bench: Any, family: str) -> None:
    async def work(channel: Any, twin: Any, said: list[Any]) -> None:
        assert (await run(channel, charge(), said)).reason is Reason.TIME

    said = bench(work, family)
    E_V, we_V, ce_V = (samples(said, name) for name in ("voltage_V", "voltage_we_V", "voltage_ce_V"))
    assert 1750 <= len(E_V) <= 1801
    assert np.array_equal(E_V, we_V - ce_V)
    assert 3.6 < we_V[-1] < 4.0
    assert 0.1 < ce_V[-1] < 0.3


def test_a_rest_is_read_against_the_reference(bench: Any) -> None:
    async def work(channel: Any, twin: Any, said: list[Any]) -> None:
        await run(channel, charge(mode=Mode.REST, current_A=None, ends=EndConditions(60.0)), said)

    said = bench(work)
    assert samples(said, "voltage_ce_V") == pytest.approx(1.104, abs=2e-3)
    assert samples(said, "voltage_V") == pytest.approx(2.502, abs=2e-3)


def test_its_own_end_is_on_the_working_electrode(bench: Any) -> None:
    order = charge(ends=EndConditions(7200.0, electrodes=(ElectrodeBounds("we", upper_V=3.75),)))

    async def work(channel: Any, twin: Any, said: list[Any]) -> None:
        ended = await run(channel, order, said)
        assert ended.reason is Reason.V_UPPER, ended
        assert not twin.measure((ended.mono_ns - twin.t0_mono_ns) / 1e9 + 1.0).output_on

    said = bench(work)
    assert samples(said, "voltage_we_V").max() < 3.7505
    assert samples(said, "voltage_V").max() < 3.7, "the cell's own voltage ended nothing"


def test_it_holds_the_working_electrode(bench: Any) -> None:
    order = charge(key="s2", mode=Mode.POTENTIOSTATIC, current_A=None, voltage_V=3.7, voltage_name=WE, ends=EndConditions(600.0))

    async def work(channel: Any, twin: Any, said: list[Any]) -> None:
        await run(channel, charge(), said)
        said.clear()
        assert (await run(channel, order, said)).reason is Reason.TIME

    assert samples(bench(work), "voltage_we_V") == pytest.approx(3.7, abs=1e-3)


def test_what_it_cannot_do_is_refused(bench: Any) -> None:
    async def work(channel: Any, twin: Any, said: list[Any]) -> None:
        assert channel.capabilities.electrodes == {WE, CE}
        with pytest.raises(Rejected, match="holds E_we only"):
            await channel.load((charge(mode=Mode.POTENTIOSTATIC, voltage_V=3.7, current_A=None),))
        with pytest.raises(Rejected, match="no limit of E_we"):
            await channel.load((charge(limits=replace(LIMITS, electrodes=())),))

    bench(work)


def test_by_ec_lab_a_third_electrode_is_refused() -> None:
    made = factory("potentiostats", "biologic")
    with pytest.raises(Rejected, match="by EC-Lab's own door"):
        made.declared(Settings("pstat", "biologic", "", options={"door": "eclab", "electrodes": 3}))
