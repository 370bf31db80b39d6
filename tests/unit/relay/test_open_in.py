"""OPEN In of a BioLogic, held low by a relay: what it does to the emulated channel, and what may be said of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from drivers import registry
from drivers.base import Context, FenceState, Settings
from drivers.biologic.emulator import BiologicEmulator
from drivers.biologic.instrument.parameters import settled
from drivers.clock import Clock
from drivers.errors import NotReachable, Rejected
from drivers.relay.emulator import RelayEmulator
from drivers.relay.open_in import OpenIn
from orchestrator.guard.act import NoWire
from orchestrator.rig.emulators import make_twin

T = TypeVar("T")
TRIED = {"kind": "devantech", "tried": True}


@dataclass
class Wired:
    """A BioLogic under current, and the relay whose contact lies at its OPEN In."""

    fence: OpenIn
    relay: RelayEmulator
    cycler: BiologicEmulator
    twin: Any

    def start(self) -> None:
        """A current of 0.4 mA for ten hours, as the DLL starts it."""
        eclib, channel = self.cycler.eclib, self.cycler.channel
        singles = {"Current_step": 4e-4, "Duration_step": 36000.0, "Record_every_dT": 1.0, "Record_every_dE": 10.0}
        parameters = [eclib.BL_DefineSglParameter(label, value, 0)[1] for label, value in singles.items()]
        integers = {"Step_number": 0, "N_Cycles": 0, "I_Range": 7}
        parameters += [eclib.BL_DefineIntParameter(label, value, 0)[1] for label, value in integers.items()]
        parameters.append(eclib.BL_DefineBoolParameter("vs_initial", False, 0)[1])
        channel.load(settled("cp", parameters), first=True, last=True)
        channel.start()

    async def later(self, seconds: float) -> None:
        await self.cycler.clock.sleep(seconds)
        self.cycler._advance()


def wired(repository: Path, options: dict[str, Any], work: Callable[[Wired], Awaitable[T]]) -> T:
    async def main(clock: Clock) -> T:
        network = registry.memory_network()
        twin = make_twin(str(repository / "configs" / "twins" / "C1.yaml"), seed=1, t0_mono_ns=clock.mono_ns())
        own = {"kind": options.get("kind", "devantech"), "wired_to": "open_in", "trip_by": options.get("trip_by", "off")}
        relay = RelayEmulator(Settings("relay", "relay", "", options=own), Context(clock, network, NoWire(), twin))
        firmware = {"firmware": "kernel"}
        cycler = BiologicEmulator(Settings("cycler", "biologic", "", options=firmware), Context(clock, network, NoWire(), twin))
        address = (await relay.start()).address
        await cycler.start()
        try:
            fence = OpenIn(Settings("fence", "open_in", address, options=options), Context(clock, network, NoWire()))
            return await work(Wired(fence, relay, cycler, twin))
        finally:
            await cycler.stop()
            await relay.stop()

    return registry.virtual_run(main)


@pytest.mark.parametrize("trip_by", ["off", "on"])
def test_the_instrument_opens_the_circuit_by_itself_and_nothing_starts_while_it_is_low(repository: Path, trip_by: str) -> None:
    async def work(bench: Wired) -> None:
        await bench.fence.connect()
        assert await bench.fence.read_state() is FenceState.ARMED
        bench.start()
        await bench.later(5.0)
        assert bench.twin.measure(bench.cycler._twin_s()).output_on
        reached = await bench.fence.trip()
        await bench.later(1.0)
        assert reached.confirmed
        assert (bench.cycler.channel.opt_err, bench.cycler.driven) == (2, False)
        assert not bench.twin.measure(bench.cycler._twin_s()).output_on
        assert await bench.fence.read_state() is FenceState.TRIPPED
        bench.start()
        await bench.later(5.0)
        assert not bench.cycler.driven, "whoever starts it, the input is low"

    wired(repository, {**TRIED, "trip_by": trip_by}, work)


def test_what_nobody_has_tried_is_never_confirmed_though_the_contact_has_moved(repository: Path) -> None:
    async def work(bench: Wired) -> None:
        bench.start()
        await bench.later(5.0)
        reached = await bench.fence.trip()
        await bench.later(1.0)
        assert not bench.cycler.driven
        assert not reached.confirmed
        assert "has not been tried on this rig" in reached.detail

    wired(repository, {"kind": "devantech"}, work)


@pytest.mark.parametrize(("fault", "kind"), [("silent", "devantech"), ("stuck", "devantech"), ("", "lcus")])
def test_a_relay_that_fails_or_says_nothing_back_is_unconfirmed(repository: Path, fault: str, kind: str) -> None:
    async def work(bench: Wired) -> None:
        if fault:
            bench.relay.inject(fault)
        reached = await bench.fence.trip()
        assert not reached.confirmed
        assert reached.detail.startswith("OPEN In: ")
        if fault == "silent":
            with pytest.raises(NotReachable):
                await bench.fence.connect()

    wired(repository, {**TRIED, "kind": kind}, work)


def test_a_snapshot_keeps_the_input_low(repository: Path) -> None:
    async def work(bench: Wired) -> None:
        bench.start()
        await bench.later(5.0)
        await bench.fence.trip()
        await asyncio.sleep(0)
        state = bench.cycler.snapshot()
        bench.cycler._open_in_low = False
        bench.cycler.restore(state)
        bench.start()
        await bench.later(5.0)
        assert not bench.cycler.driven

    wired(repository, TRIED, work)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (TRIED, "OPEN In, held low by relay 1 (devantech) at COM7, read back"),
        ({"kind": "devantech", "relay": 2}, "never confirmed: that the instrument obeys has not been tried"),
        ({"kind": "lcus", "tried": True}, "which says nothing back"),
        ({"line": "rts", "tried": True}, "a coil on rts of COM7, which nobody can read back"),
    ],
)
def test_it_says_what_can_be_known_of_it(options: dict[str, Any], said: str) -> None:
    assert said in OpenIn.described(Settings("fence", "open_in", "COM7", options=options))


def test_a_relay_that_nobody_could_work_is_refused() -> None:
    with pytest.raises(Rejected, match="kind is devantech"):
        OpenIn.described(Settings("fence", "open_in", "COM7", options={"kind": "hope"}))
