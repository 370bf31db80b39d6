"""What a Spinsolve is known or feared to do, one fault of the emulator at a time: what a person is told, and that the next scan runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from drivers.base import (
    AcquisitionOrder,
    ConsoleActivity,
    ConsoleEvent,
    Context,
    Failed,
    Fetched,
    Filed,
    LinkLost,
    LinkRestored,
    Settings,
    Started,
)
from drivers.clock import Clock
from drivers.errors import InstrumentError, NotReachable, OutcomeUnknown, Rejected
from drivers.registry import factory, make_console, make_emulator, memory_network
from drivers.testing.bench import EventLog, listening
from drivers.transport.virtual import run_virtual

ROOT = r"D:\opnmr"
OPTIONS = {"data_root": ROOT, "path_map": {ROOT: "data"}, "least_acquisition_s": 0.02}
TEMPLATE = {"nucleus": "7Li", "acquisition_time_s": 0.02, "pulse_angle_deg": 90}
EITHER = 600.0


class Silence:
    def sent(self, data: bytes) -> None: ...

    def received(self, data: bytes) -> None: ...


@dataclass
class Laboratory:
    """An emulated Spinsolve and a driver that is connected."""

    clock: Clock
    console: Any
    emulator: Any
    log: EventLog[ConsoleEvent]
    another: Callable[[], Any]

    async def started(self, key: str, **changes: Any) -> None:
        given = {"name": "small", "nucleus": "7Li", "template": TEMPLATE, "scans": 8, "recycle_s": 0.98, "deadline_s": 120.0}
        await self.console.prepare(AcquisitionOrder(key, **{**given, **changes}))
        await self.console.start(key)

    async def ended(self, key: str) -> Filed | Failed:
        """How it ended."""
        async with asyncio.timeout(EITHER):
            while True:
                for event in self.log.events:
                    if isinstance(event, Filed | Failed) and event.key == key:
                        return event
                await asyncio.sleep(0.2)

    async def acquired(self, key: str, **changes: Any) -> Fetched:
        """A whole acquisition."""
        await self.started(key, **changes)
        ended = await self.ended(key)
        assert isinstance(ended, Filed), ended
        return await self.console.fetch(key, 0)


Test = Callable[[Laboratory], Coroutine[Any, Any, None]]


@pytest.fixture
def laboratory(repository: Path, tmp_path: Path) -> Callable[[Test], None]:
    """Runs a test in virtual time."""
    description = YAML(typ="safe").load(repository / "configs" / "twins" / "C1.yaml")

    @asynccontextmanager
    async def opened(clock: Clock) -> AsyncIterator[Laboratory]:
        twin = factory("twins", "twin")(description, seed=1, t0_mono_ns=clock.mono_ns())
        network = memory_network()
        chosen = {"folder": str(tmp_path), "shown_as": ROOT}
        emulator = make_emulator(Settings("emulator", "spinsolve", "", options=chosen), Context(clock, network, Silence(), twin))
        address = (await emulator.start()).address

        def another() -> Any:
            return make_console(Settings("console", "spinsolve", address, options=OPTIONS), Context(clock, network, Silence()))

        console = another()
        await console.connect()
        try:
            async with listening(console.events(), clock) as log:
                yield Laboratory(clock, console, emulator, log, another)
        finally:
            await console.release()
            await emulator.stop()

    def run(test: Test) -> None:
        async def main(clock: Clock) -> None:
            async with opened(clock) as made:
                await test(made)

        run_virtual(main)

    return run


HARMLESS = {
    "swap_ready_completed": {},
    "glue_messages": {"seconds": 2.0},
    "split_messages": {"pieces": 7},
    "drop_progress": {},
    "empty_folder": {},
    "error_while_running": {},
    "clock_off": {"seconds": 10440.0},
    "folder_late": {"seconds": 5.0},
    "connection_reset": {"seconds": 2.0},
    "slow": {},
    "drop_ready": {},
    "drop_completed": {},
    "shim_bad": {},
    "lock_lost": {},
}


@pytest.mark.parametrize("fault", HARMLESS)
def test_all_scans_are_had_in_spite_of_it(laboratory: Callable[[Test], None], fault: str) -> None:
    async def test(lab: Laboratory) -> None:
        lab.emulator.inject(fault, **HARMLESS[fault])
        fetched = await lab.acquired("k1")
        assert (fetched.fid.scans, fetched.partial) == (8, False)
        assert fetched.parameters["userData"].startswith("opnmr_key=k1;")
        assert len(lab.log.of(Started)) == 1
        assert (await lab.acquired("k2")).fid.scans == 8

    laboratory(test)


TELLS = {
    "start_ignored": "nothing was heard of it",
    "run_fails": "Signal overload",
    "no_data": "no complete files",
    "disk_full": "bytes, its header says",
    "wrong_nucleus": "the files hold 1H, not 7Li",
}


@pytest.mark.parametrize(("fault", "words"), TELLS.items())
def test_it_fails_with_a_reason_and_the_next_one_runs(laboratory: Callable[[Test], None], fault: str, words: str) -> None:
    async def test(lab: Laboratory) -> None:
        lab.emulator.inject(fault)
        with suppress(OutcomeUnknown):
            await lab.started("k1")
        ended = await lab.ended("k1")
        assert isinstance(ended, Failed)
        assert words in ended.why
        with pytest.raises(InstrumentError):
            await lab.console.fetch("k1", 0)
        assert (await lab.acquired("k2")).fid.scans == 8

    laboratory(test)


@pytest.mark.parametrize(("fault", "words"), [("busy", "busy"), ("user_data_lost", "does not take our key")])
def test_start_is_rejected(laboratory: Callable[[Test], None], fault: str, words: str) -> None:
    async def test(lab: Laboratory) -> None:
        lab.emulator.inject(fault)
        with pytest.raises(Rejected, match=words):
            await lab.started("k1")
        assert not lab.log.of(Started)
        assert (await lab.acquired("k2")).fid.scans == 8

    laboratory(test)


@pytest.mark.parametrize("fault", ["silent", "port_closed"])
def test_a_link_that_is_away_for_a_while_costs_nothing(laboratory: Callable[[Test], None], fault: str) -> None:
    async def test(lab: Laboratory) -> None:
        await lab.started("k1", scans=60)
        await lab.log.until(Started)
        lab.emulator.inject(fault, for_s=40.0)
        await lab.clock.sleep(5)
        await lab.console.read_state()
        with pytest.raises(NotReachable):
            await _gone(lab)
        ended = await lab.ended("k1")
        assert isinstance(ended, Filed), ended
        assert (await lab.console.fetch("k1", 0)).fid.scans == 60

    laboratory(test)


async def _gone(lab: Laboratory) -> None:
    """A second client, which gets no answer."""
    stranger = lab.another()
    try:
        await stranger.connect()
    finally:
        await stranger.release()


def test_the_program_crashes_in_the_middle(laboratory: Callable[[Test], None]) -> None:
    async def test(lab: Laboratory) -> None:
        await lab.started("k1", scans=60, deadline_s=70.0)
        await lab.log.until(Started)
        lab.emulator.inject("program_gone", seconds=30.0)
        await lab.log.until(LinkLost)
        await lab.log.until(LinkRestored)
        ended = await lab.ended("k1")
        assert isinstance(ended, Failed)
        assert (await lab.acquired("k2")).fid.scans == 8

    laboratory(test)


def test_somebody_elses_run_is_waited_for(laboratory: Callable[[Test], None]) -> None:
    async def test(lab: Laboratory) -> None:
        lab.emulator.inject("foreign_run", seconds=60.0)
        await lab.clock.sleep(2)
        assert (await lab.console.read_state()).activity is ConsoleActivity.FOREIGN
        with pytest.raises(Rejected, match="foreign"):
            await lab.started("k1")
        await lab.clock.sleep(70)
        assert (await lab.console.read_state()).activity is ConsoleActivity.IDLE
        assert (await lab.acquired("k2")).fid.scans == 8

    laboratory(test)


def test_another_client_may_take_over_or_be_refused_or_meddle(laboratory: Callable[[Test], None]) -> None:
    async def test(lab: Laboratory) -> None:
        lab.emulator.inject("second_client", does="refused")
        with pytest.raises(NotReachable):
            await _gone(lab)
        lab.emulator.clear("second_client")
        lab.emulator.inject("second_client", does="sets")
        assert (await lab.acquired("k1")).fid.scans == 8
        lab.emulator.inject("second_client", does="starts")
        await lab.clock.sleep(1)
        with pytest.raises(Rejected, match="foreign"):
            await lab.started("k2")

    laboratory(test)


def test_a_magnet_that_is_off_is_told_on_connecting(laboratory: Callable[[Test], None]) -> None:
    async def test(lab: Laboratory) -> None:
        lab.emulator.inject("hardware_off")
        with pytest.raises(NotReachable, match="no spectrometer is connected"):
            await _gone(lab)
        with pytest.raises(Rejected, match="Not connected"):
            await lab.started("k1")

    laboratory(test)
