"""What TopSpin is known to do to scripts, one fault of the emulator at a time: what a person is told, and that the next scan runs."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import console_stands
import pytest
from console_stands import Vendor

from drivers.base import (
    Acquired,
    AcquisitionOrder,
    ConsoleActivity,
    Failed,
    Fetched,
    Filed,
    LinkLost,
    LinkRestored,
    Started,
)
from drivers.errors import DeviceFault, InstrumentError, NotReachable, OutcomeUnknown, Rejected
from drivers.registry import make_console

TEMPLATE = {"nucleus": "7Li", "dataset": "templates/7Li_metal/1", "points": 2048, "carrier_ppm": 100.0}


def order(key: str, **changes: Any) -> AcquisitionOrder:
    given = {"name": "small", "nucleus": "7Li", "template": TEMPLATE, "scans": 8, "dummies": 1, "recycle_s": 0.7, "deadline_s": 60.0}
    return AcquisitionOrder(key, **{**given, **changes})


class Laboratory(console_stands.Laboratory):
    within_s = 300.0

    async def started(self, key: str = "k1", **changes: Any) -> None:
        await self.start(order(key, **changes))
        await self.log.until(Started, len(self.log.of(Started)) or 1)

    async def acquired(self, key: str, **changes: Any) -> Fetched:
        return await self.filed(order(key, **changes))


Test = Callable[[Laboratory], Coroutine[Any, Any, None]]


@pytest.fixture
def laboratory(repository: Path, tmp_path: Path) -> Callable[[Test], None]:
    """Runs a test in virtual time."""
    return Vendor("topspin", repository, str(tmp_path)).laboratory(Laboratory)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("automation", ["TopSpin did not acquire", "IconNMR"]),
        ("foreign_acquisition", ["TopSpin did not acquire", "somebody else acquires"]),
        ("compile_error", ["TopSpin did not acquire", "does not compile"]),
        ("acquisition_error", ["TopSpin left no complete data", "acqus is not there"]),
        ("audit_missing", ["TopSpin left no complete data", "audita.txt is not there"]),
        ("audit_broken", ["TopSpin left no complete data", "not what audita.txt's hash says"]),
        ("disk_full", ["TopSpin left no complete data", "free space"]),
        ("wrong_nucleus", ["another acquisition", "not at BF1 + O1"]),
        ("trigger_missed", ["TopSpin left no complete data"]),
        ("overwrite_prompt", ["zg does not come back", "dialog", "trigger"]),
    ],
)
def test_nothing_that_went_wrong_is_filed_and_the_reason_is_named(laboratory: Callable[[Test], None], fault: str, words: list[str]) -> None:
    async def test(it: Laboratory) -> None:
        await it.console.prepare(order("k1"))
        it.emulator.inject(fault)
        await it.console.start("k1")
        ended = await it.ended("k1")
        assert isinstance(ended, Failed)
        assert [word for word in words if word not in ended.why] == [], ended.why
        with pytest.raises(Rejected):
            await it.console.fetch("k1", 0)
        it.emulator.clear(fault)
        if fault not in {"overwrite_prompt", "foreign_acquisition"}:  # those go on
            assert (await it.acquired("k2")).fid.scans == 8

    laboratory(test)


@pytest.mark.parametrize(
    "fault", ["halt_deaf", "lock_off", "no_atm", "queue_desync", "slow", "user_moves", "files_late", "enum_names", "zone_moves"]
)
def test_what_does_not_hurt(laboratory: Callable[[Test], None], fault: str) -> None:
    async def test(it: Laboratory) -> None:
        it.emulator.inject(fault)
        fetched = await it.acquired("k1")
        assert (fetched.fid.scans, fetched.partial) == (8, False)

    laboratory(test)


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        ("locked_by_user", Rejected, "locked by another user"),
        ("template_2D", Rejected, "not one-dimensional"),
        ("no_acqu2", Rejected, "not one-dimensional"),
        ("dialog", DeviceFault, "a dialog is open in TopSpin"),
    ],
)
def test_what_cannot_be_prepared_is_named(laboratory: Callable[[Test], None], fault: str, error: type[Exception], words: str) -> None:
    async def test(it: Laboratory) -> None:
        it.emulator.inject(fault)
        with pytest.raises(error, match=words) as caught:
            await it.console.prepare(order("k1"))
        assert isinstance(caught.value, InstrumentError)
        assert caught.value.advice
        assert not it.log.of(Started)

    laboratory(test)


def test_a_dialog_when_it_should_start_is_unknown_until_somebody_closes_it(laboratory: Callable[[Test], None]) -> None:
    async def test(it: Laboratory) -> None:
        await it.console.prepare(order("k1", deadline_s=600.0))
        it.emulator.inject("dialog")
        with pytest.raises(OutcomeUnknown, match="a dialog is open"):
            await it.console.start("k1")
        await it.clock.sleep(100.0)
        assert not it.log.of(Started)
        it.emulator.clear("dialog")
        assert isinstance(await it.ended("k1"), Filed)
        assert len(it.log.of(Started)) == 1

    laboratory(test)


def test_somebody_changes_the_template_between_two_spectra(laboratory: Callable[[Test], None]) -> None:
    async def test(it: Laboratory) -> None:
        assert (await it.console.prepare(order("k1"))).deviations == {}
        it.emulator.inject("parameters_drift")
        assert (await it.console.prepare(order("k2"))).deviations == {"RG": (101.0, 203.0)}

    laboratory(test)


@pytest.mark.parametrize(
    ("fault", "name"),
    [("agent_gone", "TopSpin or its agent is gone"), ("topspin_gone", "is gone"), ("port_closed", "the agent's port is closed")],
)
def test_a_scan_whose_agent_is_lost_is_found_in_the_folder(laboratory: Callable[[Test], None], fault: str, name: str) -> None:
    """The acquisition server goes on: its files say when it is over, and the sums say that they are whole."""

    async def test(it: Laboratory) -> None:
        await it.started("k1", scans=40)
        await it.clock.sleep(3.0)
        it.emulator.inject(fault)
        lost = await it.log.until(LinkLost)
        assert name in lost.why, lost.why
        assert isinstance(await it.ended("k1"), Filed)
        assert (await it.console.fetch("k1", 0)).fid.scans == 40
        assert (await it.console.read_state()).activity is ConsoleActivity.UNKNOWN
        with pytest.raises(NotReachable):
            await it.console.prepare(order("k2"))
        it.emulator.clear(fault)
        await it.log.until(LinkRestored)
        assert (await it.acquired("k3")).fid.scans == 8

    laboratory(test)


def test_a_blip_costs_nothing_and_is_not_worth_a_word(laboratory: Callable[[Test], None]) -> None:
    async def test(it: Laboratory) -> None:
        await it.started("k1", scans=40)
        it.emulator.inject("port_closed")
        await it.clock.sleep(2.0)
        it.emulator.clear("port_closed")
        assert isinstance(await it.ended("k1"), Filed)
        assert not it.log.of(LinkLost)
        assert [type(event) for event in it.log.events] == [Started, Acquired, Filed]

    laboratory(test)


def test_a_second_process_fetches_what_the_first_had_started(laboratory: Callable[[Test], None]) -> None:
    async def test(it: Laboratory) -> None:
        await it.acquired("k1")
        await it.console.release()
        again = make_console(it.console._settings, it.console._context)
        await again.connect()
        fetched = await again.fetch("k1", 0)
        assert (fetched.fid.scans, fetched.partial) == (8, False)
        with pytest.raises(Rejected, match="acquired already"):
            await again.prepare(order("k1"))
        await again.release()

    laboratory(test)


def test_a_parameter_that_is_lost_without_a_word_is_found_by_reading_back(laboratory: Callable[[Test], None]) -> None:
    """Row 5 of table 1.4: PUTPAR raises nothing; what is read back is what counts."""

    async def test(it: Laboratory) -> None:
        it.emulator.inject("putpar_lost", times=2)  # of the template, and of its clone
        with pytest.raises(Rejected) as refused:
            await it.console.prepare(order("k1"))
        assert "D 1 was set to 0.7, TopSpin says 1.0" in str(refused.value)
        it.emulator.clear("putpar_lost")
        assert (await it.acquired("k2")).fid.scans == 8

    laboratory(test)


@pytest.mark.parametrize("fault", ["lock_refuses", "lock_off", "rows_lost"])
def test_what_we_never_ask_for_cannot_fail(laboratory: Callable[[Test], None], fault: str) -> None:
    """Rows 7, 9 and 10: the driver never locks, never shims, and takes no pseudo-2D: one experiment number for each spectrum."""

    async def test(it: Laboratory) -> None:
        it.emulator.inject(fault)
        assert (await it.acquired("k1")).fid.scans == 8

    laboratory(test)
