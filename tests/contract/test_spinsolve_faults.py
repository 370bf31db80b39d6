"""What a Spinsolve is known or feared to do, one fault of the emulator at a time: what a person is told, and that the next scan runs."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import console_stands
import pytest
from console_stands import Vendor

from drivers.base import (
    AcquisitionOrder,
    ConsoleActivity,
    Failed,
    Fetched,
    Filed,
    LinkLost,
    LinkRestored,
    Started,
)
from drivers.errors import InstrumentError, NotReachable, OutcomeUnknown, Rejected

ROOT = r"D:\opnmr"
OPTIONS = {"data_root": ROOT, "path_map": {ROOT: "data"}, "least_acquisition_s": 0.02}
TEMPLATE = {"nucleus": "7Li", "acquisition_time_s": 0.02, "pulse_angle_deg": 90}


def order(key: str, **changes: Any) -> AcquisitionOrder:
    given = {"name": "small", "nucleus": "7Li", "template": TEMPLATE, "scans": 8, "recycle_s": 0.98, "deadline_s": 120.0}
    return AcquisitionOrder(key, **{**given, **changes})


class Laboratory(console_stands.Laboratory):
    async def started(self, key: str, **changes: Any) -> None:
        await self.start(order(key, **changes))

    async def acquired(self, key: str, **changes: Any) -> Fetched:
        return await self.filed(order(key, **changes))


Test = Callable[[Laboratory], Coroutine[Any, Any, None]]


@pytest.fixture
def laboratory(repository: Path, tmp_path: Path) -> Callable[[Test], None]:
    """Runs a test in virtual time."""
    return Vendor("spinsolve", repository, emulated={"folder": str(tmp_path), "shown_as": ROOT}, driven=OPTIONS).laboratory(Laboratory)


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
